// What runs, but may not be what was meant.

#include "pair_les_impl.h"

#include "atom.h"
#include "comm.h"
#include "compute.h"
#include "domain.h"
#include "error.h"
#include "fix.h"
#include "modify.h"

#include <algorithm>
#include <cmath>

using namespace LAMMPS_NS;
using torch::Tensor;

// Elements in a wrong order at pair_coeff make a run that looks like one. Isotopes are allowed, so this only warns.
void PairLES::compare_masses() const
{
  if (!atom->mass || comm->me != 0) return;
  const les::Metadata &info = impl->info();
  std::string off;
  for (int type = 1; type <= atom->ntypes; type++) {
    if (impl->species_of_type[type] < 0 || !atom->mass_setflag[type]) continue;
    const auto known = info.atomic_masses.find(info.network.species[impl->species_of_type[type]]);
    if (known == info.atomic_masses.end() || std::abs(atom->mass[type] / known->second - 1.0) < 0.05) continue;
    off += fmt::format("{} type {} has mass {:.6g}, {} has {:.6g}", off.empty() ? "" : ";", type, atom->mass[type],
                       known->first, known->second);
  }
  if (!off.empty())
    error->warning(
        FLERR, "pair les: are the elements of pair_coeff in the order of the atom types?{} (isotopes are fine)", off);
}

// Commands that take derivatives by strain from atoms moved in a box that stays: right for forces of finite range alone.
void PairLES::warn_of_other_commands()
{
  Impl &m = *impl;
  if (m.warned_of_commands || comm->me != 0 || !domain->xperiodic || m.channels() == 0) return;
  std::string found;
  for (const auto *fix : modify->get_fix_list())
    if (utils::strmatch(fix->style, "^numdiff/virial")) found = fmt::format("fix {} {}", fix->id, fix->style);
  for (const auto *compute : modify->get_compute_list())
    if (utils::strmatch(compute->style, "^born/matrix"))
      found = fmt::format("compute {} {} numdiff", compute->id, compute->style);
  if (found.empty()) return;
  m.warned_of_commands = true;
  error->warning(
      FLERR,
      "pair les: {} moves atoms in a box that stays as it is, but the wave vectors of the long-range sum follow the "
      "box: its result is wrong. Strain the box instead, with change_box and run 0",
      found);
}

// Wave vectors and mesh stay as they were chosen, so that energy, forces and pressure are consistent; far from there they fit badly.
void PairLES::warn_of_drift()
{
  Impl &m = *impl;
  // with `kset S` the user has said when
  if (m.warned_of_drift || m.settings.kset_strain < HUGE_VAL || les::strain(m.last_cell, m.setup_cell) < 0.05) return;
  m.warned_of_drift = true;
  if (comm->me == 0)
    error->warning(FLERR,
                   "pair les: the cell has changed by more than 5 % since its wave vectors were chosen; 'run' again to "
                   "choose them anew, or use 'pair_style les kset cell' where another program hands over the cells");
}

// Long waves of charge must cost energy; "Stability" in export/FORMAT.md. Collective.
void PairLES::check_stability()
{
  constexpr double LARGE_CHI = 0.9, NEAR = 0.8;
  Impl &m = *impl;
  if (!(m.info().gives("alpha") || m.info().gives("kappa")) || !domain->zperiodic) return;
  const les::Stability s = m.evaluator->stability();
  // the longest wave of the cell stands between its two planes that are farthest apart
  const auto widths = les::widths(m.last_cell);
  const double longest = *std::max_element(widths.begin(), widths.end());
  std::string what;
  if (!(s.chi < LARGE_CHI)) what = fmt::format("its susceptibility chi is {:.3g}, and must be less than 1", s.chi);
  else if (longest > NEAR * s.longest)
    what = fmt::format("its induced charges allow no cell wider than {:.4g} A, and this one has {:.4g} A", s.longest,
                       longest);
  const bool broken = !(s.chi < 1.0) || longest > s.longest;
  const std::string line =
      fmt::format("pair les: model file {} {} for these atoms: {}", m.path,
                  broken ? "gives negative energies to waves of charge" : "is near the end of its stability", what);
  if (broken && m.settings.unstable == Impl::Unstable::Refuse)
    throw std::runtime_error(line +
                             "; take smaller cells or another model, or go on by 'pair_style les unstable allow'");
  if (!what.empty() && comm->me == 0) error->warning(FLERR, line);
  else if (comm->me == 0 && !m.reported_stability)
    utils::logmesg(lmp, "pair les: susceptibility chi {:.3g}{}\n", s.chi,
                   std::isfinite(s.longest) ? fmt::format(", stable in cells up to {:.4g} A", s.longest) : "");
  m.reported_stability = true;
}

// Charges that do not add up to zero have a uniform background, which acts on a slab or a molecule more the more vacuum there is.
void PairLES::warn_of_net_charge_in_vacuum()
{
  constexpr double SLICE = 1.0, VACUUM = 6.0;                                       // A
  const double least = std::max(1e-3, 1e-7 * static_cast<double>(atom->natoms));    // e; less may be rounding
  Impl &m = *impl;
  if (m.warned_of_vacuum || !domain->zperiodic) return;    // a slab has no background
  const Tensor net = m.comm.sum(m.evaluator->charges().to(torch::kFloat64).sum(0)).to(torch::kCPU);    // [channels]
  std::string sums;
  double largest = 0.0;
  for (size_t c = 0; c < m.charge_unit.size(); c++) {
    const double charge = m.charge_unit[c] * net[static_cast<int64_t>(c)].item<double>();
    largest = std::max(largest, std::abs(charge));
    sums += fmt::format("{}{:.3g}", c ? ", " : "", charge);
  }
  if (largest < least) return;

  const auto width = les::widths(m.last_cell);
  std::string gaps;
  for (int axis = 0; axis < 3; axis++) {
    const int64_t slices = std::max<int64_t>(1, static_cast<int64_t>(width[axis] / SLICE));
    std::vector<int64_t> count(slices, 0);
    for (int i = 0; i < atom->nlocal; i++) {
      if (!sees(i)) continue;
      const double s = les::fractional(atom->x[i], m.last_cell)[axis];
      count[std::min(static_cast<int64_t>((s - std::floor(s)) * static_cast<double>(slices)), slices - 1)]++;
    }
    const Tensor sum = m.comm.sum(torch::from_blob(count.data(), {slices}, torch::kInt64));
    const int64_t *atoms = sum.data_ptr<int64_t>();
    int64_t empty = 0, most = 0;    // longest run of empty slices, also across the end
    for (int64_t k = 0; k < 2 * slices; k++) {
      empty = atoms[k % slices] ? 0 : std::min(empty + 1, slices);
      most = std::max(most, empty);
    }
    const double gap = width[axis] * static_cast<double>(most) / static_cast<double>(slices);
    if (gap > VACUUM) gaps += fmt::format("{}{:.0f} A along {}", gaps.empty() ? "" : ", ", gap, "abc"[axis]);
  }
  if (gaps.empty()) return;
  m.warned_of_vacuum = true;
  if (comm->me == 0)
    error->warning(FLERR,
                   "pair les: the charges add up to {} e in a cell with vacuum ({}): energies and forces depend on its "
                   "thickness, by "
                   "way of the uniform background of a net charge. Compare runs of equal cells only",
                   sums, gaps);
}
