// Reciprocal sum on a particle mesh. The sum is band-limited (|k| <= 2 pi/dl), so with the influence function masked at its cutoff the
// mesh is exact up to aliasing of the window.
//
// rho(mesh) = sum_i q_i w(r_i - mesh),  S(k) = rho(k)/w(k),  phi(mesh) <- 2 (N/V) f(k) rho(k)/w(k)^2,  phi_i = sum_mesh w phi(mesh),
// and forces by the slope of w: the exact gradient of the mesh energy, which is why their sum is only nearly zero; it is removed.
//
// Each rank spreads its own atoms on the region around them; regions go to pencils (whole n3 lines), then transform by transform
// to pencils on the other axes, and back. No rank holds more than its share. A GPU on its own spreads on the whole mesh: finding the
// region would make the host wait for it.

#include "mesh_choice.h"
#include "mesh_layout.h"
#include "wave_vectors.h"
#include "window.h"

#include <torch/fft.h>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace les {

namespace {

using torch::Tensor;
// Where the atoms of a rank lie on the mesh.
struct Placement {
  Tensor first;       // [n, 3] i64, first of the `order` points, relative to the region
  Tensor fraction;    // [n, 3] f64, atom minus that point, mesh units
  Box region;
  Tensor points;    // [n order^3] i64, flat indices into the region; by tensor operations only
};

// f with the number of window points as a constant: loops over points then become vector instructions.
template <class F> void with_order(int order, F &&f)
{
  static_assert(MeshSettings::MIN_ORDER == 5 && MeshSettings::MAX_ORDER + 2 == 12);
  switch (order) {
  case 5: return f(std::integral_constant<int, 5>());
  case 6: return f(std::integral_constant<int, 6>());
  case 7: return f(std::integral_constant<int, 7>());
  case 8: return f(std::integral_constant<int, 8>());
  case 9: return f(std::integral_constant<int, 9>());
  case 10: return f(std::integral_constant<int, 10>());
  case 11: return f(std::integral_constant<int, 11>());    // of a mesh that judges another
  case 12: return f(std::integral_constant<int, 12>());
  default: TORCH_INTERNAL_ASSERT(false);    // choose_mesh has seen to it
  }
}

class MeshSum : public LongRangeSolver {
 public:
  MeshSum(const LongRangeParameters &p, const MeshSettings &settings, const Communicator &comm) :
      p_(p), settings_(settings), comm_(comm)
  {
  }

  void setup(const Tensor &cell) override
  {
    const MeshChoice choice = choose_mesh(p_, settings_, cell);
    mesh_ = choice.mesh;
    order_ = choice.order;
    estimate_ = choice.error;
    window_ = std::make_unique<Window>(order_, choice.oversampling);

    spectrum_ = {mesh_[0], mesh_[1], mesh_[2] / 2 + 1};
    const auto [rows, columns] = rank_grid(mesh_, comm_.size());
    lines3_ = pencils(mesh_, 2, rows, columns);
    lines1_ = pencils(spectrum_, 0, rows, columns);
    slabs_ = columns == 1;
    const Layout after3 = pencils(spectrum_, 2, rows, columns), lines2 = pencils(spectrum_, 1, rows, columns);
    if (slabs_) to_lines1_ = Transfer(after3, lines1_, spectrum_, comm_.rank());
    else {
      to_lines2_ = Transfer(after3, lines2, spectrum_, comm_.rank());
      to_lines1_ = Transfer(lines2, lines1_, spectrum_, comm_.rank());
    }
    after3_shape_ = after3[comm_.rank()].shape();

    // integer triples, window transform and mask on this rank's part of the spectrum
    const Box &box = lines1_[comm_.rank()];
    std::array<Tensor, 3> n, w;
    for (int m = 0; m < 3; m++) {
      n[m] = torch::arange(box.low[m], std::max(box.low[m], box.high[m]), torch::kFloat64);
      if (m < 2)
        n[m] = torch::where(n[m] > 0.5 * static_cast<double>(mesh_[m]), n[m] - static_cast<double>(mesh_[m]), n[m]);
      w[m] = window_->transform(n[m], mesh_[m]);
    }
    const auto grid = torch::meshgrid({n[0], n[1], n[2]}, "ij");
    const Tensor triples = torch::stack({grid[0], grid[1], grid[2]}, -1).reshape({-1, 3});
    vectors_ = WaveVectors(p_, triples, cell);
    const auto wgrid = torch::meshgrid({w[0], w[1], w[2]}, "ij");
    window_squared_ = (wgrid[0] * wgrid[1] * wgrid[2]).square().reshape({-1}).index_select(0, vectors_.inside());
    n_spectrum_ = triples.size(0);
    // k and -k: the half that the real transform keeps stands for both, but for n3 = 0
    weight_ = 1.0 + (vectors_.triples().select(1, 2) > 0).to(torch::kFloat64);
    influence_ = {};
  }

  LongRange compute(const Tensor &positions, const Tensor &charges, const Tensor &cell, bool atom_virial) const override
  {
    TORCH_CHECK(window_, "mesh sum: setup() was not called");
    const int64_t n = positions.size(0), channels = charges.size(1);
    const auto f64 = positions.options().dtype(torch::kFloat64);
    const Tensor q = charges.detach();
    const Influence &influence = influence_of(cell, q.options());
    const Tensor &g = influence.green;
    const Placement place = placement(positions.matmul(influence.inverse), influence.size, q);
    const bool whole = spreads_on_whole_mesh(q);
    const Transfer regions = whole ? Transfer() : Transfer(all_regions(place.region), lines3_, mesh_, comm_.rank());

    LongRange out;
    out.potential = torch::zeros({n, channels}, q.options());
    out.virial = torch::zeros({3, 3}, f64);
    if (atom_virial) out.atom_virial = torch::zeros({n, 3, 3}, f64);
    Tensor gradient = torch::zeros({n, 3}, f64);    // sum_c q_c dphi_c/ds
    const Windows windows = windows_of(place, q);
    for (int64_t c = 0; c < channels; c++) {
      const Tensor qc = q.select(1, c).contiguous();
      const Tensor mesh = spread(place, windows, qc);
      const Tensor rho = forward(whole ? mesh : regions.to_boxes(mesh, comm_));    // [spectrum part]
      const auto apply = [&](const Tensor &factor) {
        const Tensor values = backward(rho * factor.view(rho.sizes()));
        return whole ? values : regions.to_regions(values, comm_);
      };
      const auto [phi, slope] = interpolate(place, windows, influence.size, apply(2.0 * g));
      out.potential.select(1, c).copy_(phi);
      gradient += qc.to(torch::kFloat64).unsqueeze(1) * slope;
      // sum over both halves of f |S|^2 T_ab
      const Tensor structure = torch::view_as_real(rho.reshape({-1}).index_select(0, influence.inside));
      const Tensor power = influence.power_weight * structure.to(torch::kFloat64).square().sum(-1);
      out.virial += power.matmul(influence.strain).view({3, 3});
      if (!atom_virial) continue;
      for (int a = 0; a < 3; a++)    // W_i = sum_k f T_ab Re[q_i conj(S) exp(i k.r_i)]
        for (int b = 0; b <= a; b++) {
          const Tensor t = torch::zeros_like(g).index_copy_(0, influence.inside,
                                                            influence.strain.select(1, 3 * a + b).to(g.options()));
          const Tensor share = interpolate(place, windows, influence.size, apply(g * t)).first;
          const Tensor w = (qc * share).to(f64);
          out.atom_virial.select(1, a).select(1, b) += w;
          if (a != b) out.atom_virial.select(1, b).select(1, a) += w;
        }
    }
    out.forces = -gradient.matmul(influence.inverse.t());
    remove_net_force(out.forces);

    if (p_.remove_self) out.potential -= p_.self_factor * self_potential(p_) * q;
    out.energy = 0.5 * (q.to(torch::kFloat64) * out.potential.to(torch::kFloat64)).sum(1);
    return out;
  }

  Tensor potential_moments(const Tensor &positions, const Tensor &charges, const Tensor &cell) const override
  {
    const Tensor q = charges.detach();
    const Influence &influence = influence_of(cell, q.options());
    const Placement place = placement(positions.matmul(influence.inverse), influence.size, q);
    const bool whole = spreads_on_whole_mesh(q);
    const Transfer regions = whole ? Transfer() : Transfer(all_regions(place.region), lines3_, mesh_, comm_.rank());
    const Windows windows = windows_of(place, q);
    const Tensor slope = vectors_.weights(cell).slope.to(q.options());
    Tensor out = torch::zeros({q.size(0), q.size(1), 3}, positions.options());
    for (int64_t c = 0; c < q.size(1); c++) {
      const Tensor spread_out = spread(place, windows, q.select(1, c).contiguous());
      const Tensor rho = forward(whole ? spread_out : regions.to_boxes(spread_out, comm_));    // S*
      for (int a = 0; a < 3; a++) {
        const Tensor t = torch::zeros_like(influence.green).index_copy_(0, influence.inside, slope.select(1, a));
        const Tensor factor = torch::complex(torch::zeros_like(t), 2.0 * influence.green * t);
        const Tensor values = backward(rho * factor.view(rho.sizes()));
        const Tensor mesh = whole ? values : regions.to_regions(values, comm_);
        out.select(1, c).select(1, a).copy_(interpolate(place, windows, influence.size, mesh).first);
      }
    }
    return out;
  }

  std::string description() const override
  {
    std::ostringstream text;
    text << "mesh " << mesh_[0] << " x " << mesh_[1] << " x " << mesh_[2] << ", window of " << order_
         << " points, estimated relative error of forces " << estimate_;
    return text.str();
  }

 private:
  LongRangeParameters p_;
  MeshSettings settings_;
  const Communicator &comm_;
  std::array<int64_t, 3> mesh_{}, spectrum_{};
  int order_ = 0;
  double estimate_ = 0.0;
  std::unique_ptr<Window> window_;
  Layout lines3_, lines1_;               // of the mesh, and of the spectrum after the transform on axis 1
  bool slabs_ = true;                    // lines3_ holds whole planes: axes 3 and 2 are transformed together
  Transfer to_lines2_, to_lines1_;       // of the spectrum; for slabs the second alone
  std::vector<int64_t> after3_shape_;    // of this rank's spectrum after the transform on axis 3
  // of this rank's part of the spectrum, host f64
  int64_t n_spectrum_ = 0;    // k
  WaveVectors vectors_;
  Tensor window_squared_;    // [k'] of those inside
  Tensor weight_;            // [k'] 2 where -k is left out, else 1

  // What depends on the cell alone, on the device of the charges: made anew when the cell changes.
  struct Influence {
    Tensor cell;
    Tensor inverse;         // [3, 3] f64: fractional coordinates are r inverse
    Tensor size;            // [3] f64, points along the axes
    Tensor green;           // [k] (N/V) f / w^2, zero outside the cutoff; type of the charges
    Tensor inside;          // [k'] i64, which are inside; and of these
    Tensor power_weight;    // [k'] f64, green times 2 where -k is left out
    Tensor strain;          // [k', 9] f64, T_ab of WaveVectors
  };
  mutable Influence influence_;

  const Influence &influence_of(const Tensor &cell, const torch::TensorOptions &options) const
  {
    if (influence_.cell.defined() && torch::equal(influence_.cell, cell)) return influence_;
    const auto weights = vectors_.weights(cell);
    const Tensor green = weights.f / window_squared_;
    const auto f64 = options.dtype(torch::kFloat64);
    influence_ = {cell.clone(),
                  torch::inverse(cell).to(f64),
                  torch::tensor(at::IntArrayRef(mesh_.data(), 3), torch::kFloat64).to(f64),
                  torch::zeros({n_spectrum_}, torch::kFloat64).index_copy_(0, vectors_.inside(), green).to(options),
                  vectors_.inside().to(options.device()),
                  (green * weight_).to(f64),
                  weights.strain.to(f64)};
    return influence_;
  }

  // Ranks without planes or lines take part with empty tensors, which the transforms themselves refuse.
  Tensor forward(const Tensor &rho) const
  {
    if (comm_.size() == 1) return torch::fft::rfftn(rho);
    const auto fft = [](const Tensor &t, int64_t axis) {
      return t.numel() ? torch::fft::fft(t, c10::nullopt, axis) : t;
    };
    Tensor s = torch::empty(after3_shape_, complex_options(rho));
    if (slabs_) {
      if (rho.numel()) s = torch::fft::rfftn(rho, c10::nullopt, {{1, 2}});
    } else {
      if (rho.numel()) s = torch::fft::rfft(rho, c10::nullopt, 2);
      s = fft(to_lines2_.to_boxes(s, comm_), 1);
    }
    return fft(to_lines1_.to_boxes(s, comm_), 0);
  }

  // Unscaled, as S and phi are.
  Tensor backward(const Tensor &spectrum) const
  {
    if (comm_.size() == 1)
      return torch::fft::irfftn(spectrum, at::IntArrayRef(mesh_.data(), 3), c10::nullopt, "forward");
    const auto ifft = [](const Tensor &t, int64_t axis) {
      return t.numel() ? torch::fft::ifft(t, c10::nullopt, axis, "forward") : t;
    };
    Tensor s = to_lines1_.to_regions(ifft(spectrum, 0), comm_);
    if (!slabs_) s = to_lines2_.to_regions(ifft(s, 1), comm_);
    if (s.numel() == 0) return torch::empty(lines3_[comm_.rank()].shape(), torch::real(s).options());
    if (!slabs_) return torch::fft::irfft(s, mesh_[2], 2, "forward");
    return torch::fft::irfftn(s, {{mesh_[1], mesh_[2]}}, {{1, 2}}, "forward");
  }

  static torch::TensorOptions complex_options(const Tensor &real)
  {
    return real.options().dtype(real.scalar_type() == torch::kFloat64 ? torch::kComplexDouble : torch::kComplexFloat);
  }

  // On one GPU, indices of points are taken modulo the mesh.
  bool spreads_on_whole_mesh(const Tensor &values) const { return comm_.size() == 1 && !loops(values); }

  Placement placement(const Tensor &fractional, const Tensor &size, const Tensor &like) const
  {
    Placement place;
    const int64_t n = fractional.size(0);
    const bool whole = spreads_on_whole_mesh(like);
    Tensor u = fractional * size;    // [n, 3], mesh units
    if (n > 0 && !whole) {           // atoms that spread over more than the cell are put back into it
      const Tensor extent = std::get<0>(u.max(0)) - std::get<0>(u.min(0));
      u = torch::where(extent > size - 1.0, u - (fractional.floor() * size), u);
    }
    // points first ... first + order - 1 lie within order/2 of the atom
    const Tensor first = torch::ceil(u - 0.5 * order_);
    place.fraction = u - first;
    place.first = first.to(torch::kInt64);
    if (whole) place.region.high = mesh_;
    else if (n > 0) {
      const Tensor low = std::get<0>(first.min(0)), high = std::get<0>(first.max(0)) + order_;
      const Tensor bounds = torch::stack({low, high}).to(torch::kCPU);
      TORCH_CHECK(bounds.isfinite().all().item<bool>(), "a position is not finite");
      const double *b = bounds.data_ptr<double>();
      for (int a = 0; a < 3; a++) {
        place.region.low[a] = static_cast<int64_t>(b[a]);
        place.region.high[a] = static_cast<int64_t>(b[3 + a]);
      }
      place.first = place.first - low.to(torch::kInt64);
    }
    if (!loops(like)) place.points = flat_points(place);
    return place;
  }

  Layout all_regions(const Box &mine) const
  {
    if (comm_.size() == 1) return {mine};
    const Tensor row =
        torch::tensor({mine.low[0], mine.low[1], mine.low[2], mine.high[0], mine.high[1], mine.high[2]}, torch::kInt64);
    const Tensor rows = comm_.gather_rows(row.view({1, 6})).contiguous();
    const int64_t *bounds = rows.data_ptr<int64_t>();
    Layout regions(comm_.size());
    for (int r = 0; r < comm_.size(); r++)
      for (int a = 0; a < 3; a++) {
        regions[r].low[a] = bounds[6 * r + a];
        regions[r].high[a] = bounds[6 * r + 3 + a];
      }
    return regions;
  }

  // Loops over atoms are for the CPU.
  bool loops(const Tensor &values) const { return settings_.loops && values.is_cpu(); }

  // Window values and slopes on the three axes, [n, 3, P] each
  using Windows = std::pair<Tensor, Tensor>;
  Windows windows_of(const Placement &place, const Tensor &like) const
  {
    if (!loops(like)) return window_->evaluate(place.fraction, like.scalar_type());
    const Tensor fraction = place.fraction.contiguous();    // [n, 3]
    const int64_t n = fraction.size(0);
    Tensor w = torch::empty({n, 3, order_}, like.options()), d = torch::empty({n, 3, order_}, like.options());
    AT_DISPATCH_FLOATING_TYPES(w.scalar_type(), "windows", [&] {
      with_order(order_, [&](auto order) {
        window_->evaluate<order>(fraction.data_ptr<double>(), 3 * n, w.data_ptr<scalar_t>(), d.data_ptr<scalar_t>());
      });
    });
    return {w, d};
  }

  // Flat indices into the region of all points of all atoms, [n P^3]. On the whole mesh also a position that is not finite gets some
  // of its points: the energy then shows it.
  Tensor flat_points(const Placement &place) const
  {
    const auto &b = place.region;
    const Tensor p = torch::arange(order_, place.first.options());
    const auto along = [&](int axis) {    // [n, P]
      const Tensor points = place.first.select(1, axis).unsqueeze(1) + p;
      return b.length(axis) == mesh_[axis] ? points.remainder(mesh_[axis]) : points;
    };
    const Tensor line = (along(0) * b.length(1)).unsqueeze(2) + along(1).unsqueeze(1);    // [n, P, P]
    return ((line * b.length(2)).unsqueeze(3) + along(2).unsqueeze(1).unsqueeze(2)).view({-1});
  }

  static Tensor products(const Tensor &a, const Tensor &b, const Tensor &c)
  {
    return (a.unsqueeze(2).unsqueeze(3) * b.unsqueeze(1).unsqueeze(3) * c.unsqueeze(1).unsqueeze(2))
        .reshape({a.size(0), -1});
  }

  // rho on the region of this rank's atoms
  Tensor spread(const Placement &place, const Windows &windows, const Tensor &q) const
  {
    Tensor mesh = torch::zeros(place.region.shape(), q.options());
    const int64_t n = q.size(0);
    if (n == 0) return mesh;
    const Tensor &w = windows.first;
    if (!loops(q)) {
      const Tensor values = products(w.select(1, 0), w.select(1, 1), w.select(1, 2)) * q.unsqueeze(1);
      mesh.view({-1}).index_add_(0, place.points, values.view({-1}));
      return mesh;
    }
    const int64_t s0 = mesh.stride(0), s1 = mesh.stride(1);
    const int64_t *first = place.first.data_ptr<int64_t>();
    AT_DISPATCH_FLOATING_TYPES(q.scalar_type(), "spread", [&] {
      const scalar_t *charge = q.data_ptr<scalar_t>(), *weights = w.data_ptr<scalar_t>();
      scalar_t *out = mesh.data_ptr<scalar_t>();
      with_order(order_, [&](auto order) {
        constexpr int P = order;
        for (int64_t i = 0; i < n; i++) {
          const scalar_t *wx = weights + 3 * P * i, *wy = wx + P;
          scalar_t wz[P];
          std::copy_n(wy + P, P, wz);
          scalar_t *base = out + first[3 * i] * s0 + first[3 * i + 1] * s1 + first[3 * i + 2];
          for (int a = 0; a < P; a++)
            for (int b = 0; b < P; b++) {
              const scalar_t v = charge[i] * wx[a] * wy[b];
              scalar_t *row = base + a * s0 + b * s1;
              for (int c = 0; c < P; c++) row[c] += v * wz[c];
            }
        }
      });
    });
    return mesh;
  }

  // phi [n] and dphi/ds [n, 3] f64 from phi on the region
  std::pair<Tensor, Tensor> interpolate(const Placement &place, const Windows &windows, const Tensor &size,
                                        const Tensor &phi_mesh) const
  {
    const int64_t n = place.first.size(0);
    const auto options = phi_mesh.options();
    Tensor phi = torch::zeros({n}, options), slope = torch::zeros({n, 3}, options);
    if (n == 0) return {phi, slope.to(torch::kFloat64)};
    const auto &[w, d] = windows;
    if (!loops(phi_mesh)) {
      const Tensor values = phi_mesh.reshape({-1}).index_select(0, place.points).view({n, -1});
      const auto x = w.select(1, 0), y = w.select(1, 1), z = w.select(1, 2);
      phi = (values * products(x, y, z)).sum(1);
      slope = torch::stack({(values * products(d.select(1, 0), y, z)).sum(1),
                            (values * products(x, d.select(1, 1), z)).sum(1),
                            (values * products(x, y, d.select(1, 2))).sum(1)},
                           1);
      return {phi, slope.to(torch::kFloat64) * size};
    }
    const Tensor mesh = phi_mesh.contiguous();
    const int64_t s0 = mesh.stride(0), s1 = mesh.stride(1);
    const int64_t *first = place.first.data_ptr<int64_t>();
    AT_DISPATCH_FLOATING_TYPES(mesh.scalar_type(), "interpolate", [&] {
      const scalar_t *in = mesh.data_ptr<scalar_t>(), *weights = w.data_ptr<scalar_t>(),
                     *slopes = d.data_ptr<scalar_t>();
      scalar_t *out = phi.data_ptr<scalar_t>(), *grad = slope.data_ptr<scalar_t>();
      with_order(order_, [&](auto order) {
        constexpr int P = order;
        for (int64_t i = 0; i < n; i++) {
          const scalar_t *wx = weights + 3 * P * i, *wy = wx + P, *wz = wy + P;
          const scalar_t *dx = slopes + 3 * P * i, *dy = dx + P, *dz = dy + P;
          const scalar_t *base = in + first[3 * i] * s0 + first[3 * i + 1] * s1 + first[3 * i + 2];
          // along the last axis, summed over the others with the values and with either slope
          scalar_t line[P] = {}, tilt_x[P] = {}, tilt_y[P] = {};
          for (int a = 0; a < P; a++) {
            scalar_t sum[P] = {}, tilt[P] = {};
            for (int b = 0; b < P; b++) {
              const scalar_t *row = base + a * s0 + b * s1;
              for (int c = 0; c < P; c++) {
                sum[c] += wy[b] * row[c];
                tilt[c] += dy[b] * row[c];
              }
            }
            for (int c = 0; c < P; c++) {
              line[c] += wx[a] * sum[c];
              tilt_x[c] += dx[a] * sum[c];
              tilt_y[c] += wx[a] * tilt[c];
            }
          }
          scalar_t value = 0, gx = 0, gy = 0, gz = 0;
          for (int c = 0; c < P; c++) {
            value += line[c] * wz[c];
            gx += tilt_x[c] * wz[c];
            gy += tilt_y[c] * wz[c];
            gz += line[c] * dz[c];
          }
          out[i] = value;
          grad[3 * i] = gx;
          grad[3 * i + 1] = gy;
          grad[3 * i + 2] = gz;
        }
      });
    });
    return {phi, slope.to(torch::kFloat64) * size};
  }

  // The mesh breaks translation invariance by its aliasing error; what is left over is shared out evenly.
  void remove_net_force(Tensor &forces) const
  {
    const Tensor count = torch::full({1}, static_cast<double>(forces.size(0)), forces.options());
    const Tensor total = comm_.sum(torch::cat({forces.sum(0), count}));
    forces -= total.narrow(0, 0, 3) / total[3].clamp_min(1.0);
  }
};

}    // namespace

std::unique_ptr<LongRangeSolver> make_mesh_sum(const LongRangeParameters &parameters, const MeshSettings &settings,
                                               const Communicator &communicator)
{
  return std::make_unique<MeshSum>(parameters, settings, communicator);
}

}    // namespace les
