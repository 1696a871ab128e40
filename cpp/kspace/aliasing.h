// What a mesh leaves out, estimated before there are atoms.
//
// A window w on a mesh of spacing h takes each wave vector k for k + m K as well, K = 2 pi/h. In the field of charges that are
// independent of one another, with f(k) as in solver.h, the relative rms error of forces is R,
//
//   R^2 = sum_k f^2 sum_{m != 0} (w(k + mK)/w(k))^2 (|k + mK|^2 + k^2) s(k) s(k + mK) / sum_k f^2 k^2 s(k)^2,   |k| <= 2 pi/dl
//
// with s = 1 for charges. Dipoles and quadrupoles of random directions, their components u q and Q q for charges of rms q, make it
// s = 1 + u^2 k^2 + 0.3 Q^2 k^4; u = sigma/4 and Q = sigma^2/4 is what is expected of them. It holds
// for any order, spacing, sigma and dl: 0.7 to 1.3 R was measured for 200 random ions (medians over orders and spacings, as below).
// Charges of matter screen each other, which makes forces smaller, and 2 R is the estimate: errors measured are 1.8 to 2.4 R for
// liquid and superionic water, triclinic or elongated, and slabs of it in vacuum; 0.3 to 1 R for a molecule in vacuum; 3 to 10 R for
// oxide crystals, 14 R for rock salt within 0.02 A of its sites, whose forces nearly vanish. Fields are some times more accurate.
#pragma once

namespace les {

// 2 R for a window of `order` points and a mesh `oversampling` times finer than dl/2; sigma by dl; `moments` are the highest of the
// sources, as of MeshSettings
double aliasing_error(int order, double oversampling, double sigma_by_dl, int moments);

// The oversampling for an error of `accuracy`, within [MIN_OVERSAMPLING, most]; 0 where `most` is not enough
constexpr double MIN_OVERSAMPLING = 1.05;
double oversampling_for(int order, double accuracy, double sigma_by_dl, int moments, double most);

}    // namespace les
