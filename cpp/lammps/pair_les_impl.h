// What the files pair_les*.cpp share: the step of the model as the pair style sees it.
#pragma once

#include "cell.h"
#include "les_step.h"
#include "pair_les.h"

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

  std::string known_species() const    // with a blank before each
  {
    std::string text;
    for (const auto &s : info().species) text += " " + s;
    return text;
  }

  bool respond_every_step = false;
  bool warned_of_drift = false;
  les::Cell last_cell{};    // of the last evaluation, from the beginning of the run without flips
  std::string reported;     // of the solver, in this run
  bigint evaluated_at = -1, charges_at = -1, born_at = -1;    // timesteps
  int nlocal = 0, nghost = 0;                                 // when forces were computed
  int excluded = 0;                                           // group bits of atoms that are as good as deleted

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
inline torch::Tensor cell_tensor(const Cell &h)
{
  const double rows[9] = {h[0], 0.0, 0.0, h[5], h[1], 0.0, h[4], h[3], h[2]};
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
