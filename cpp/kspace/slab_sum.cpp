// The periodic sum of a cell that is extended along the normal has images of the slab above and below it, and a neutralizing background.
// What these do to the slab is known: with z along the normal, L the height of the extended cell, and for each channel
//
//   Q = sum q,  M = sum (q z + u_z),  T = sum (q z^2 + 2 z u_z + Q_zz)
//   E_slab = E_periodic + (N/V) [M^2 - Q T - Q^2 (L^2/12 + sigma^2/2)]
//
// is the sum over the lattice of the slab alone, whose mean potential is -(N/A) sum_j q_j |z - z_j|, smeared: Yeh and Berkowitz,
// J. Chem. Phys. 111, 3155 (1999); with a net charge Ballenegger, Arnold and Cerda, J. Chem. Phys. 131, 094107 (2009); sigma since
// charges are smeared. It holds up to exp(-2 pi d/a), d the empty height and a the longest period in the plane. As part of K it is one more potential,
//
//   phi(z) = (N/V) [2 M z - T - Q z^2 - 2 Q (L^2/12 + sigma^2/2)].

#include "slab_sum.h"

#include <cstdio>
#include <stdexcept>

namespace les {

namespace {

using torch::Tensor;

class SlabSum : public Solver {
 public:
  SlabSum(std::unique_ptr<Solver> periodic, const LongRangeParameters &p, double extension, const Communicator &comm) :
      periodic_(std::move(periodic)), p_(p), extension_(extension), comm_(comm)
  {
  }

  void setup(const Tensor &cell) override { periodic_->setup(extended_cell(cell, extension_)); }

  Fields apply(const Tensor &positions, const Tensor &sources, const Tensor &cell, int order, bool atom_virial,
               const Fields *earlier) const override
  {
    const Tensor box = extended_cell(cell, extension_);
    const Plates plates(*this, box, positions.options());
    std::optional<Fields> inner;
    if (earlier) {
      inner = *earlier;
      plates.add_to(inner->derivatives, positions, earlier->spectrum.back(), -1.0);
    }
    Fields out = periodic_->apply(positions, sources, box, order, atom_virial, inner ? &*inner : nullptr);
    const Along along(positions, sources, plates.normal);
    const Tensor moments = comm_.sum(along.moments()),    // [5, C]
        others = earlier ? earlier->spectrum.back() : moments;
    plates.add_to(out.derivatives, positions, moments, 1.0);

    // by atoms, half of what the sources make of the other potential, and half of what the others make of this one
    const Along theirs = earlier ? Along(positions, earlier->sources, plates.normal) : along;
    const auto [energy, pull] = plates.shares(along, others);
    const auto [other_energy, other_pull] = plates.shares(theirs, moments);
    const Tensor flat = torch::eye(3, positions.options()) - plates.normal.unsqueeze(1) * plates.normal;
    const Tensor upright = plates.normal.unsqueeze(1) * plates.normal;
    const Tensor w =
        0.5 * ((energy + other_energy).view({-1, 1, 1}) * flat + (pull + other_pull).view({-1, 1, 1}) * upright);
    out.virial = out.virial + w.sum(0);
    if (atom_virial) out.atom_virial = out.atom_virial + w;
    out.spectrum.push_back(moments);
    return out;
  }

  Tensor moments(const Tensor &, const Tensor &, const Tensor &) const override
  {
    throw std::runtime_error("the flux of heat is not implemented for slabs (boundary p p f): it takes boundary p p p "
                             "or an open system");
  }

  bool conserves_momentum() const override { return periodic_->conserves_momentum(); }

  std::string description() const override
  {
    char text[64];
    std::snprintf(text, sizeof(text), "slab, extended %.4g times: ", extension_);
    return text + periodic_->description();
  }

 private:
  std::unique_ptr<Solver> periodic_;
  LongRangeParameters p_;
  double extension_;
  const Communicator &comm_;

  // Components of the sources along the normal.
  struct Along {
    Tensor z;          // [n, 1] f64
    Tensor q, u, Q;    // [n, C] f64; zero where there are none

    Along(const Tensor &positions, const Tensor &sources, const Tensor &normal) :
        z(positions.matmul(normal).unsqueeze(1)), q(sources.select(2, 0).to(torch::kFloat64))
    {
      const int64_t components = sources.size(2);
      u = components > 1 ? sources.narrow(2, 1, 3).to(torch::kFloat64).matmul(normal) : torch::zeros_like(q);
      Q = components > 4
              ? sources.narrow(2, 4, 9).to(torch::kFloat64).unflatten(2, {3, 3}).matmul(normal).matmul(normal)
              : torch::zeros_like(q);
    }
    // Of this rank: Q, M, T; and what the last two have of a stretch along the normal, dM and dT [5, C]
    Tensor moments() const
    {
      const Tensor qz = q * z, stretch = 2.0 * z * (qz + u);
      return torch::stack({q, qz + u, z * (qz + 2.0 * u) + Q, qz, stretch}).sum(1);
    }
  };

  struct Plates {
    double strength, constant, height;    // N/V, L^2/12 + sigma^2/2, L
    Tensor normal;                        // [3] f64

    Plates(const SlabSum &sum, const Tensor &box, const torch::TensorOptions &options)
    {
      height = box[2].norm().item<double>();
      strength = sum.p_.norm / std::abs(torch::linalg_det(box).item<double>());
      constant = height * height / 12.0 + 0.5 * sum.p_.sigma * sum.p_.sigma;
      normal = (box[2] / height).to(options);
    }

    // phi and its derivatives by z, at z [n, 1]: [n, C]
    Tensor potential(const Tensor &z, const Tensor &moments, int derivative) const
    {
      const Tensor &charge = moments[0], &dipole = moments[1], &second = moments[2];
      if (derivative == 0) return strength * (2.0 * dipole * z - second - charge * (z * z + 2.0 * constant));
      if (derivative == 1) return strength * 2.0 * (dipole - charge * z);
      return (-2.0 * strength * charge).expand({z.size(0), -1});
    }

    // `times` phi and its gradients at the atoms, added to fields [n, C], [n, C, 3], ...
    void add_to(std::vector<Tensor> &fields, const Tensor &positions, const Tensor &moments, double times) const
    {
      const Tensor z = positions.matmul(normal).unsqueeze(1);
      for (int d = 0; d <= 2 && d < static_cast<int>(fields.size()); d++) {
        Tensor added = times * potential(z, moments, d);    // [n, C]
        for (int m = 0; m < d; m++) added = added.unsqueeze(-1) * normal;
        fields[d] = fields[d] + added.to(fields[d].options());
      }
    }

    // Of 1/2 <s, phi'> by atoms: itself, and its -d/d(strain) along the normal, volume and height included. [n]
    std::pair<Tensor, Tensor> shares(const Along &s, const Tensor &moments) const
    {
      const Tensor slope = potential(s.z, moments, 1), bend = potential(s.z, moments, 2);
      const Tensor energy = 0.5 * (s.q * potential(s.z, moments, 0) + s.u * slope + s.Q * 0.5 * bend);
      // M', T' and L change with the strain as z does
      const Tensor stretched =
          strength * (2.0 * moments[3] * s.z - moments[4]) * s.q + strength * 2.0 * moments[3] * s.u;
      const Tensor by_strain =
          0.5 * (s.z * (s.q * slope + s.u * bend) + stretched) - strength * s.q * moments[0] * (height * height / 6.0);
      return {energy.sum(1), (energy - by_strain).sum(1)};
    }
  };
};

}    // namespace

Tensor extended_cell(const Tensor &cell, double extension)
{
  if (extension == 1.0) return cell;
  constexpr double MOST_TILTED = 1e-6;
  const Tensor length = cell.norm(2, 1);
  for (int m = 0; m < 2; m++)
    if (std::abs(cell[m].dot(cell[2]).item<double>()) > MOST_TILTED * (length[m] * length[2]).item<double>())
      throw std::runtime_error("the third lattice vector of a slab (boundary p p f) must be normal to the other two: "
                               "in LAMMPS a box that is not tilted towards z, xz = yz = 0");
  Tensor box = cell.clone();
  box[2] *= extension;
  return box;
}

std::unique_ptr<Solver> with_extension(std::unique_ptr<Solver> periodic, const LongRangeParameters &parameters,
                                       double extension, const Communicator &communicator)
{
  if (extension == 1.0) return periodic;
  return std::make_unique<SlabSum>(std::move(periodic), parameters, extension, communicator);
}

}    // namespace les
