// What the files pair_les*.cpp share: the step of the model as the pair style sees it.
#pragma once

#include "les_step.h"
#include "pair_les.h"

#include "domain.h"

#include <string>
#include <vector>

namespace LAMMPS_NS {

// What the pair style adds to the step: LAMMPS's types, indices and units.
class PairLES::Impl : public les::LesStep {
 public:
  using LesStep::LesStep;

  std::string path;                     // of the model file
  std::vector<int> species_of_type;     // [ntypes + 1], -1 for NULL
  std::vector<double> atomic_energy;    // [species] eV
  std::vector<double> charge_unit;      // [channels] e per file unit, sign included

  bool respond_every_step = false;
  bool warned_of_drift = false;
  bigint evaluated_at = -1, charges_at = -1, born_at = -1;    // timesteps
  int nlocal = 0, nghost = 0;                                 // when forces were computed

  // per atom, LAMMPS indices
  std::vector<double> q, phi;                  // [nlocal * channels] e, V
  std::vector<double> z;                       // [nall * 9] e
  std::vector<double> along;                   // [nall * 3] e times the unit of the field
  std::vector<double> *to_owners = nullptr;    // what is on its way from ghosts to their owners, and its row length
  int width = 0;
};

}    // namespace LAMMPS_NS

namespace les {

// Cell [3, 3] f64, rows in A
inline torch::Tensor box_of(const LAMMPS_NS::Domain *domain)
{
  const double rows[9] = {domain->xprd, 0.0, 0.0, domain->xy, domain->yprd, 0.0, domain->xz, domain->yz, domain->zprd};
  return torch::tensor(at::ArrayRef<double>(rows, 9), torch::kFloat64).view({3, 3});
}

// What a torch exception is about, without its C++ or TorchScript stack.
inline std::string reason_of(const std::exception &e)
{
  const std::string text = e.what();
  const auto start = text.rfind("Error: ");
  const std::string tail = start == std::string::npos ? text : text.substr(start + 7);
  return tail.substr(0, tail.find('\n'));
}

}    // namespace les
