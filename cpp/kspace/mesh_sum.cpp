// Reciprocal sum on a particle mesh. The sum is band-limited (|k| <= 2 pi/dl), so with the influence function masked at its cutoff the
// mesh is exact up to aliasing of the window.
//
// rho(mesh) = sum_i (q_i + u_i.grad + 1/2 Q_i:grad grad) w(r_i - mesh),  S(k) = rho(k)/w(k),  phi(mesh) <- 2 (N/V) f(k) rho(k)/w(k)^2,
// phi_i = sum_mesh w phi(mesh), and gradients by derivatives of w: forces are the exact gradient of the mesh energy, which is why their
// sum is only nearly zero.
//
// Each rank spreads its own atoms on the region around them; regions go to the bricks of the transform, and back.

#include "mesh.h"
#include "mesh_choice.h"
#include "mesh_transform.h"
#include "powers.h"
#include "sources.h"
#include "spectrum_filter.h"
#include "stencils.h"
#include "wave_vectors.h"

#include <sstream>

namespace les {

namespace {

using torch::Tensor;

class MeshSum : public Solver {
 public:
  MeshSum(const LongRangeParameters &p, const MeshSettings &settings, const Communicator &comm) :
      p_(p), settings_(settings), comm_(comm)
  {
  }

  void setup(const Tensor &cell) override
  {
    choice_ = choose_mesh(p_, settings_, cell);
    window_ = std::make_unique<Window>(choice_.order, choice_.oversampling, Window::boxes_for(settings_.moments));
    // |k| <= 2 pi/dl means |n3| <= |a3|/dl; the mesh is finer than that
    const double highest = cell[2].norm().item<double>() / p_.dl * (1.0 + SHELL_TOLERANCE);
    transform_ = MeshTransform(choice_.mesh, static_cast<int64_t>(highest), comm_);

    // integer triples, window transform and mask on this rank's part of the spectrum
    const Brick &part = transform_.spectrum();
    std::array<Tensor, 3> n, w;
    for (int m = 0; m < 3; m++) {
      const auto size = static_cast<double>(choice_.mesh[m]);
      n[m] = torch::arange(part.low[m], std::max(part.low[m], part.high[m]), torch::kFloat64);
      if (m < 2) n[m] = torch::where(n[m] > 0.5 * size, n[m] - size, n[m]);
      w[m] = window_->transform(n[m], choice_.mesh[m]);
    }
    const auto grid = torch::meshgrid({n[0], n[1], n[2]}, "ij"), window = torch::meshgrid({w[0], w[1], w[2]}, "ij");
    const Tensor triples = torch::stack({grid[0], grid[1], grid[2]}, -1).reshape({-1, 3});
    vectors_ = WaveVectors(p_, triples, cell);
    window_squared_ = (window[0] * window[1] * window[2]).square().reshape({-1}).index_select(0, vectors_.inside());
    // k and -k: the half that the real transform keeps stands for both, but for n3 = 0
    weight_ = 1.0 + (vectors_.triples().select(1, 2) > 0).to(torch::kFloat64);
    triples_ = n;
    influence_ = {};
    transforms_ = w;
    chosen_ = torch::inverse(cell);
    kernels_.reset();
  }

  Fields apply(const Tensor &positions, const Tensor &sources, const Tensor &cell, int order, bool atom_virial,
               const Fields *earlier) const override
  {
    check_order(sources, order, earlier);
    if (order == 1 && sources.size(2) == 1 && !atom_virial && !earlier && by_kernels(sources))
      return apply_kernels(positions, sources, cell);
    const int moments = highest_moment(sources);
    const int64_t n = sources.size(0), channels = sources.size(1);
    const Influence &influence = influence_of(cell, sources.options());
    const MeshOfAtoms mesh(*this, positions, influence, sources, std::max(order, moments));
    const Tensor weights = on_mesh(sources.detach(), influence);

    Fields out;
    out.sources = sources;
    out.virial = torch::zeros({3, 3}, positions.options());
    if (atom_virial) out.atom_virial = torch::zeros({n, 3, 3}, positions.options());
    const Tensor strain = atom_virial ? vectors_.weights(cell).strain.to(sources.options()) : Tensor();
    std::vector<Tensor> fields;    // by mesh coordinates
    for (int64_t c = 0; c < channels; c++) {
      const Tensor weight = weights.select(1, c);
      out.spectrum.push_back(mesh.spectrum(weight, influence, earlier ? earlier->spectrum[c] : Tensor(), &out.virial));
      const Tensor &phi = out.spectrum.back(), &other = earlier ? earlier->spectrum[c] : phi;
      fields.push_back(mesh.stencils.gather(mesh.back(phi), order));
      if (!atom_virial) continue;
      for (int a = 0; a < 3; a++)    // W_i = sum_k (N/V) f T_ab Re[(q_i + i k.u_i - 1/2 k.Q_i.k) conj(S') exp(i k.r_i)]
        for (int b = 0; b <= a; b++) {
          const Tensor t = on_spectrum(0.5 * strain.select(1, 3 * a + b), influence.inside);
          const Tensor w = (weight * mesh.stencils.gather(mesh.back(other * t), moments)).sum(1);
          out.atom_virial.select(1, a).select(1, b) += w;
          if (a != b) out.atom_virial.select(1, b).select(1, a) += w;
        }
    }
    out.derivatives = in_space(fields, n, order, sources.scalar_type(), influence);
    if (const Tensor local = moment_virial(out, earlier); local.defined()) {
      out.virial += local.sum(0);
      if (atom_virial) out.atom_virial += local;
    }
    return out;
  }

  Tensor moments(const Tensor &positions, const Tensor &sources, const Tensor &cell) const override
  {
    const Tensor q = charges_of(sources);
    const Influence &influence = influence_of(cell, q.options());
    const MeshOfAtoms mesh(*this, positions, influence, q, 0);
    const Tensor slope = vectors_.weights(cell).slope.to(q.options());
    Tensor out = torch::zeros({q.size(0), q.size(1), 3}, positions.options());
    for (int64_t c = 0; c < q.size(1); c++) {
      const Tensor phi = mesh.spectrum(q.narrow(1, c, 1), influence, Tensor(), nullptr);
      for (int a = 0; a < 3; a++) {
        const Tensor t = on_spectrum(slope.select(1, a), influence.inside), i = torch::complex(torch::zeros_like(t), t);
        out.select(1, c).select(1, a).copy_(mesh.stencils.gather(mesh.back(phi * i), 0).select(1, 0));
      }
    }
    return out;
  }

  bool conserves_momentum() const override { return false; }

  std::string description() const override
  {
    std::ostringstream text;
    text.precision(2);
    text << "mesh " << choice_.mesh[0] << " x " << choice_.mesh[1] << " x " << choice_.mesh[2] << ", window of "
         << choice_.order << " points, estimated relative error of forces " << choice_.error;
    return text.str();
  }

 private:
  LongRangeParameters p_;
  MeshSettings settings_;
  const Communicator &comm_;
  MeshChoice choice_{};
  std::unique_ptr<Window> window_;
  MeshTransform transform_;
  // of this rank's part of the spectrum, host f64
  WaveVectors vectors_;
  Tensor window_squared_;            // [k'] of those inside
  Tensor weight_;                    // [k'] 2 where -k is left out, else 1
  std::array<Tensor, 3> triples_;    // along the axes of the spectrum

  bool loops(const torch::TensorOptions &options) const { return settings_.loops && options.device().is_cpu(); }

  // What depends on the cell alone, on the device of the sources: made anew when the cell changes.
  struct Influence {
    Tensor cell;
    Tensor inverse;    // [3, 3] f64: fractional coordinates are r inverse
    Tensor size;       // [3] f64, points along the axes
    // f64, of each degree d: takes derivatives by mesh coordinates, in the order of powers.h, to gradients [3^d]
    std::vector<Tensor> gradients;
    Tensor inside;            // [k'] i64, which wave vectors are inside
    SpectrumFilter filter;    // for loops; else by tensor operations:
    Tensor green;             // [spectrum, 2] as in the filter, for real and imaginary parts; type of the sources
    Tensor power_strain;      // [k', 9] f64, T_ab of WaveVectors by what |phi(k)|^2 counts in the energy
  };
  mutable Influence influence_;

  // ---- charges alone on the GPU of one rank; see gpu/mesh.h
  std::array<Tensor, 3> transforms_;    // of the window along the axes, host f64
  Tensor chosen_;                       // [3, 3] f64, inverse of the cell for which wave vectors were chosen
  mutable std::unique_ptr<gpu::MeshKernels> kernels_;

  bool by_kernels(const Tensor &sources) const
  {
    return settings_.kernels && comm_.size() == 1 && gpu::available(sources.device()) &&
           *std::min_element(choice_.mesh.begin(), choice_.mesh.end()) >= choice_.order;
  }

  Fields apply_kernels(const Tensor &positions, const Tensor &sources, const Tensor &cell) const
  {
    TORCH_CHECK(window_, "mesh sum: setup() was not called");
    const torch::ScalarType type = sources.scalar_type();
    if (!kernels_ || kernels_->type() != type || kernels_->device() != sources.device())
      kernels_ = std::make_unique<gpu::MeshKernels>(window_->coefficients(), choice_.mesh, transforms_, type,
                                                    sources.device());
    const Tensor charges = charges_of(sources), inverse = torch::inverse(cell);
    const int64_t n = charges.size(0), channels = charges.size(1), rows = kernels_->rows();
    const double largest = TWO_PI / p_.dl * (1.0 + SHELL_TOLERANCE), volume = std::abs(torch::det(cell).item<double>());
    const gpu::MeshKernels::Influence of{inverse, chosen_, p_.norm / volume, p_.sigma * p_.sigma, largest * largest};
    const auto atoms = kernels_->place(positions, inverse);
    const Tensor mesh = kernels_->spread(atoms, charges),
                 parts = torch::empty({channels * rows, 6}, positions.options());
    Tensor potential = torch::empty({n, channels}, charges.options()),
           gradient = torch::empty({n, channels, 3}, positions.options());
    Fields out;
    out.sources = sources;
    for (int64_t c = 0; c < channels; c++) {
      const Tensor rho = transform_.forward(mesh[c]);
      out.spectrum.push_back(kernels_->influence(rho, of, parts.narrow(0, c * rows, rows)));
      kernels_->gather(atoms, transform_.backward(out.spectrum.back()), inverse, c, potential, gradient);
    }
    out.derivatives = {potential, gradient};
    out.virial = kernels_->virial(parts);
    return out;
  }

  const Influence &influence_of(const Tensor &cell, const torch::TensorOptions &options) const
  {
    TORCH_CHECK(window_, "mesh sum: setup() was not called");
    if (influence_.cell.defined() && torch::equal(influence_.cell, cell)) return influence_;
    const auto weights = vectors_.weights(cell);
    const Tensor green = 2.0 * weights.f / window_squared_;
    const auto f64 = options.dtype(torch::kFloat64);
    const Tensor inverse = torch::inverse(cell).to(f64),
                 size = torch::tensor(at::IntArrayRef(choice_.mesh.data(), 3), torch::kFloat64).to(f64);
    Influence &out = influence_;
    out = {cell.clone(), inverse, size, gradients(inverse * size), vectors_.inside().to(options.device()), {}, {}, {}};
    if (loops(options)) out.filter = filter(green, weights.decay, inverse, options);
    else {
      const Tensor power = weight_ / (2.0 * green);
      out.power_strain = (power.unsqueeze(1) * weights.strain).to(f64);
      out.green = on_spectrum(green.to(f64), out.inside).unsqueeze(-1).expand({-1, -1, -1, 2}).to(options).contiguous();
    }
    return out;
  }

  SpectrumFilter filter(const Tensor &green, const Tensor &decay, const Tensor &inverse,
                        const torch::TensorOptions &options) const
  {
    SpectrumFilter out;
    out.green = on_spectrum(green, vectors_.inside()).to(options);
    out.decay = on_spectrum(decay, vectors_.inside()).to(options);
    const int64_t columns = out.green.size(2);
    const Tensor places = torch::arange(1, columns + 1) * (out.green != 0.0);
    const Tensor last = columns > 0 ? std::get<0>(places.flatten(0, 1).max(1)) : torch::zeros({0}, torch::kInt64);
    out.columns.assign(last.data_ptr<int64_t>(), last.data_ptr<int64_t>() + last.numel());
    for (int m = 0; m < 3; m++)
      out.n[m].assign(triples_[m].data_ptr<double>(), triples_[m].data_ptr<double>() + triples_[m].numel());
    for (int a = 0; a < 3; a++)
      for (int m = 0; m < 3; m++) out.k[a][m] = TWO_PI * inverse[a][m].item<double>();
    return out;
  }

  // By dx_m/dr_a [a, m] of mesh coordinates x: matrices [components of degree d, 3^d], d = 0 ... 3, since d/dr_a = sum_m dx_m/dr_a d/dx_m
  static std::vector<Tensor> gradients(const Tensor &by_position)
  {
    std::vector<Tensor> out;
    Tensor full = torch::ones({1, 1}, by_position.options());    // [3^d of x, 3^d of r]
    for (int d = 0; d <= 3; d++) {
      const int64_t first = count_of_powers(d - 1), count = count_of_powers(d) - first;
      const Tensor places = torch::tensor(places_of_entries(d), torch::kInt64).to(full.device());
      out.push_back(torch::zeros({count, full.size(1)}, full.options()).index_add_(0, places - first, full));
      full = torch::kron(full, by_position.t().contiguous());
    }
    return out;
  }

  // Sources as weights of derivatives of the window, [n, C, 1, 4 or 10]
  static Tensor on_mesh(const Tensor &sources, const Influence &influence)
  {
    if (sources.size(2) == 1) return sources;
    const Tensor s = sources.to(torch::kFloat64);
    std::vector<Tensor> parts{s.narrow(2, 0, 1), s.narrow(2, 1, 3).matmul(influence.gradients[1].t())};
    if (sources.size(2) > 4) parts.push_back(0.5 * s.narrow(2, 4, 9).matmul(influence.gradients[2].t()));
    return torch::cat(parts, 2).to(sources.options());
  }

  // rows [n, C, K] times a small matrix [K, M]: libraries take much longer for it on a CPU
  static Tensor times(const Tensor &rows, const Tensor &matrix)
  {
    if (!rows.is_cpu()) return rows.matmul(matrix);
    const int64_t n = rows.size(0), channels = rows.size(1), inner = matrix.size(0), columns = matrix.size(1);
    Tensor out = torch::zeros({n, channels, columns}, rows.options());
    const double *in = rows.data_ptr<double>(), *by = matrix.data_ptr<double>();
    double *to = out.data_ptr<double>();
    for (int64_t i = 0; i < n; i++)
      for (int64_t c = 0; c < channels; c++, to += columns) {
        const double *row = in + i * rows.stride(0) + c * rows.stride(1);
        for (int64_t k = 0; k < inner; k++)
          for (int64_t m = 0; m < columns; m++) to[m] += row[k] * by[k * columns + m];
      }
    return out;
  }

  // Fields by mesh coordinates [n, K] of each channel -> the potential, of `type`, and its gradients by positions, f64
  static std::vector<Tensor> in_space(const std::vector<Tensor> &by_channel, int64_t n, int order,
                                      torch::ScalarType type, const Influence &influence)
  {
    const auto channels = static_cast<int64_t>(by_channel.size());
    const Tensor fields = channels == 1 ? by_channel[0].unsqueeze(1)
                          : channels    ? torch::stack(by_channel, 1)
                                        : torch::empty({n, 0, count_of_powers(order)}, influence.inverse.options());
    std::vector<Tensor> out{fields.select(2, 0).to(type).contiguous()};
    std::vector<int64_t> shape{n, channels};
    for (int d = 1; d <= order; d++) {
      const int64_t first = count_of_powers(d - 1), count = count_of_powers(d) - first;
      shape.push_back(3);
      out.push_back(times(fields.narrow(2, first, count), influence.gradients[d]).view(shape));
    }
    return out;
  }

  // Values of the wave vectors inside [k'] in their places of the spectrum, and zeros.
  Tensor on_spectrum(const Tensor &values, const Tensor &places) const
  {
    const auto shape = transform_.spectrum().shape();
    return torch::zeros({shape[0] * shape[1] * shape[2]}, values.options()).index_copy_(0, places, values).view(shape);
  }
  static Tensor inside(const Tensor &spectrum, const Influence &influence)
  {
    return spectrum.view({-1}).index_select(0, influence.inside);
  }

  // The way from the atoms to the spectrum and back, for atoms in their places.
  struct MeshOfAtoms {
    const MeshSum &sum;
    bool loops, whole;    // see Stencils
    Stencils stencils;
    Transfer regions;

    // `derivatives` of the window are asked for, for values of the type of the sources
    MeshOfAtoms(const MeshSum &mesh, const Tensor &positions, const Influence &influence, const Tensor &sources,
                int derivatives) :
        sum(mesh), loops(mesh.loops(sources.options())), whole(mesh.comm_.size() == 1),
        stencils(*mesh.window_, positions, influence.inverse, influence.size, mesh.choice_.mesh, sources.scalar_type(),
                 loops, whole, derivatives)
    {
      if (!whole)
        regions = Transfer(all_regions(stencils.region(), mesh.comm_), mesh.transform_.bricks(), mesh.choice_.mesh,
                           mesh.comm_.rank());
    }

    // phi(k); `virial`, if not null, gets the sum over both halves of (N/V) f Re[S S'*] T_ab, S' of `other` if it is defined
    Tensor spectrum(const Tensor &weights, const Influence &influence, const Tensor &other, Tensor *virial) const
    {
      const Tensor mesh = stencils.spread(weights);
      const Tensor rho = sum.transform_.forward(whole ? mesh : regions.to_bricks(mesh, sum.comm_));
      if (loops) {
        Tensor unused = torch::zeros({3, 3}, torch::kFloat64);
        return influence.filter.apply(rho, other, virial ? *virial : unused);
      }
      Tensor phi =
          torch::empty(rho.sizes(), rho.options());    // contiguous, which the transforms of many ranks are not
      Tensor parts = torch::view_as_real(phi);
      torch::mul_out(parts, torch::view_as_real(rho), influence.green);
      if (virial) {
        const Tensor mine = inside(phi, influence), theirs = other.defined() ? inside(other, influence) : mine;
        const Tensor product =
            torch::addcmul(torch::real(mine) * torch::real(theirs), torch::imag(mine), torch::imag(theirs));
        *virial += product.to(torch::kFloat64).matmul(influence.power_strain).view({3, 3});
      }
      return phi;
    }

    Tensor back(const Tensor &spectrum) const    // to the points around the atoms
    {
      const Tensor values = sum.transform_.backward(spectrum);
      return whole ? values : regions.to_regions(values, sum.comm_);
    }
  };
};

}    // namespace

std::unique_ptr<Solver> make_mesh_sum(const LongRangeParameters &parameters, const MeshSettings &settings,
                                      const Communicator &communicator)
{
  return std::make_unique<MeshSum>(parameters, settings, communicator);
}

}    // namespace les
