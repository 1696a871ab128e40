// Electric field on a system described by Born effective charges: F_ib = sum_a E_a Z_iab
// (Zhong et al., npj Comput. Mater. (2025)); of a model with alpha a uniform field has 1/2 sum_ac E_a E_c d(alpha_ac)/dr_ib too.
//
// The field force is not the gradient of a function of the positions (no acoustic sum rule is built into Z), so the energy of
// the fix is minus the work that the field has done along the path, by the trapezoidal rule; see field_path.h.

#include "fix_efield_bec.h"

#include "current.h"
#include "field_path.h"
#include "keywords.h"
#include "pair_les.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "input.h"
#include "modify.h"
#include "region.h"
#include "update.h"
#include "variable.h"

#if __has_include("respa.h")
#include "respa.h"
#define LES_HAVE_RESPA
#endif

#include <cmath>
#include <cstring>

using namespace LAMMPS_NS;
using namespace FixConst;

namespace {
constexpr double MOST_FIELD = 1000.0;    // V/A; that of a proton at the Bohr radius is 51
}

/* ----------------------------------------------------------------------
   fix ID group efield/bec Ex Ey Ez [region R] [neutral yes|no] [response full|field]
------------------------------------------------------------------------- */

FixEfieldBEC::FixEfieldBEC(LAMMPS *lmp, int narg, char **arg) :
    Fix(lmp, narg, arg), region(nullptr), neutral(true), field_only(false), pair(nullptr), ilevel_respa(0),
    path(std::make_unique<FieldPath>(lmp)), counted_at(-1)
{
  if (narg < 6) error->all(FLERR, "fix efield/bec: expected three components of the field (V/A), got {}", narg - 3);
  for (int a = 0; a < 3; a++) {
    const les::Argument given(lmp, fmt::format("fix efield/bec: E{}", "xyz"[a]), arg[3 + a]);
    const std::string expected = fmt::format("a field from {:g} to {:g} V/A, or v_name", -MOST_FIELD, MOST_FIELD);
    if (!utils::strmatch(given.text(), "^v_")) field[a].value = given.number(-MOST_FIELD, MOST_FIELD, expected);
    else if (given.text() == "v_") given.refuse(expected);
    else field[a].variable = given.text().substr(2);
  }
  les::Keywords args(lmp, "fix efield/bec", {"region", "neutral", "response"}, narg, arg, 6);
  while (args.next()) {
    if (args.is("region")) {
      region_id = args.text();
      if (!domain->get_region_by_id(region_id))
        error->all(FLERR, "fix efield/bec: region {} does not exist", region_id);
    } else if (args.is("neutral")) neutral = args.yes_or_no();
    else field_only = args.choice({"full", "field"}) == 1;
  }

  dynamic_group_allow = 1;
  scalar_flag = vector_flag = 1;
  size_vector = 9;
  global_freq = 1;
  extscalar = extvector = 1;
  energy_global_flag = 1;
  virial_global_flag = virial_peratom_flag = 1;
  respa_level_support = 1;
  restart_global = 1;
  create_attribute = 1;
  maxexchange = FieldPath::POINT_SIZE;

  FixEfieldBEC::grow_arrays(atom->nmax);
  atom->add_callback(Atom::GROW);
}

FixEfieldBEC::~FixEfieldBEC()
{
  if (copymode) return;
  if (modify->get_fix_by_id(id)) atom->delete_callback(id, Atom::GROW);
}

int FixEfieldBEC::setmask() { return POST_FORCE | POST_FORCE_RESPA | MIN_POST_FORCE; }

void FixEfieldBEC::init()
{
  pair = PairLES::find(lmp, "fix efield/bec");
  if (pair->channels() == 0) error->all(FLERR, "fix efield/bec: the model of pair_style les has no charges");

  for (auto &component : field) {
    if (component.variable.empty()) continue;
    component.index = input->variable->find(component.variable.c_str());
    if (component.index < 0) error->all(FLERR, "fix efield/bec: variable {} does not exist", component.variable);
    component.per_atom = input->variable->atomstyle(component.index);
    if (component.per_atom && field_only)
      error->all(FLERR,
                 "fix efield/bec: variable {} is atom-style, but 'response field' is for uniform fields; use "
                 "'response full'",
                 component.variable);
    if (!component.per_atom && !input->variable->equalstyle(component.index))
      error->all(FLERR, "fix efield/bec: variable {} is neither equal- nor atom-style", component.variable);
  }
  const double constant[3] = {field[0].value, field[1].value, field[2].value};
  const bool known = field[0].variable.empty() && field[1].variable.empty() && field[2].variable.empty();
  pair->respond_every_step(!field_only, known ? constant : nullptr);
  if (!region_id.empty()) {
    region = domain->get_region_by_id(region_id);
    if (!region) error->all(FLERR, "fix efield/bec: region {} does not exist", region_id);
  }
  refuse_exchange_of_energies();
  warn_of_other_fixes();
  if (utils::strmatch(update->integrate_style, "^respa")) {
#ifdef LES_HAVE_RESPA
    ilevel_respa = dynamic_cast<Respa *>(update->integrate)->nlevels - 1;
    if (respa_level >= 0) ilevel_respa = MIN(respa_level, ilevel_respa);
#else
    error->all(
        FLERR,
        "fix efield/bec: this plugin was built without LAMMPS's respa.h, so it cannot be used with run_style respa; "
        "build it against a LAMMPS source tree");
#endif
  }
}

// The path starts anew with each run: what happened to the atoms between runs is not the field's work.
void FixEfieldBEC::first_evaluation(int vflag)
{
  counted_at = update->ntimestep;
  apply(vflag, FieldPath::START);
}

void FixEfieldBEC::setup(int vflag)
{
#ifdef LES_HAVE_RESPA
  if (auto *respa = dynamic_cast<Respa *>(update->integrate)) {
    respa->copy_flevel_f(ilevel_respa);
    first_evaluation(vflag);
    respa->copy_f_flevel(ilevel_respa);
    return;
  }
#endif
  first_evaluation(vflag);
}

void FixEfieldBEC::min_setup(int vflag)
{
  if (!thermo_energy && comm->me == 0)
    error->warning(FLERR,
                   "fix efield/bec: without 'fix_modify {} energy yes' the minimizer does not see the energy of the "
                   "field and may not converge",
                   id);
  first_evaluation(vflag);
}

// The first evaluation of a step is where the atoms have moved in the field. Fixes that try moves (gcmc, widom, atom/swap, ...)
// begin with it, call again for each trial, and the integrator comes last, with what they have accepted.
void FixEfieldBEC::post_force(int vflag)
{
  const bool moved = counted_at != update->ntimestep;
  counted_at = update->ntimestep;
  apply(vflag, moved ? FieldPath::EXTEND : FieldPath::STAY);
}

// A minimizer knows no step: each evaluation is the next point of its path, and going back along a line takes back what it added.
void FixEfieldBEC::min_post_force(int vflag) { apply(vflag, FieldPath::EXTEND); }

void FixEfieldBEC::post_force_respa(int vflag, int ilevel, int /*iloop*/)
{
  if (ilevel != ilevel_respa) return;
#ifdef LES_HAVE_RESPA
  if (ilevel < dynamic_cast<Respa *>(update->integrate)->nlevels - 1) {    // several times a step
    counted_at = update->ntimestep;
    apply(vflag, FieldPath::EXTEND);
    return;
  }
#endif
  post_force(vflag);
}

/* ---------------------------------------------------------------------- */

void FixEfieldBEC::evaluate_field()
{
  bool variables = false;
  for (const auto &component : field) variables = variables || !component.variable.empty();
  if (!variables) return;
  modify->clearstep_compute();
  for (int a = 0; a < 3; a++) {
    if (field[a].variable.empty()) continue;
    if (field[a].per_atom) {
      field_at.resize(3 * static_cast<size_t>(atom->nmax));
      input->variable->compute_atom(field[a].index, igroup, &field_at[a], 3, 0);
    } else {
      field[a].value = input->variable->compute_equal(field[a].index);
    }
    check_variable(a);
  }
  modify->addstep_compute(update->ntimestep + 1);
}

// Collective. Variables may give what is no field at any step; of atoms, those that feel it count.
void FixEfieldBEC::check_variable(int a)
{
  const auto is_field = [](double e) { return std::abs(e) <= MOST_FIELD; };    // false for nan
  std::string at;
  double value = field[a].value;
  if (field[a].per_atom) {
    double first = HUGE_VAL, mine = HUGE_VAL;    // the lowest atom ID, of all ranks and of this one
    value = 0.0;
    for (int i = 0; i < atom->nlocal; i++)
      if (!is_field(field_on(i, a)) && atom->tag[i] < mine && feels_field(i)) {
        mine = static_cast<double>(atom->tag[i]);
        value = field_on(i, a);
      }
    MPI_Allreduce(&mine, &first, 1, MPI_DOUBLE, MPI_MIN, world);
    if (first == HUGE_VAL) return;
    if (mine != first) value = 0.0;
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_SUM, world);
    at = fmt::format(" on atom {:.0f}", first);
  }
  if (!is_field(value))
    error->all(FLERR,
               "fix efield/bec: variable {} gives {:g} for E{}{} at step {}; expected a field from {:g} to {:g} V/A",
               field[a].variable, value, "xyz"[a], at, update->ntimestep, -MOST_FIELD, MOST_FIELD);
}

double FixEfieldBEC::field_on(int i, int a) const
{
  return field[a].per_atom ? field_at[3 * static_cast<size_t>(i) + a] : field[a].value;
}

bool FixEfieldBEC::feels_field(int i)
{
  const double *x = atom->x[i];
  return (atom->mask[i] & groupbit) && pair->sees(i) && (!region || region->match(x[0], x[1], x[2]));
}

// Forces of a uniform field, of second order where there is alpha, in `pushes`.
void FixEfieldBEC::along_field()
{
  const double uniform[3] = {field[0].value, field[1].value, field[2].value};
  const double *along = pair->born_along(uniform);
  for (size_t k = 0; k < pushes.size(); k++) pushes[k] = force->qe2f * along[k];
}

// Forces of the field on atoms, in `pushes`; Born effective charges where they were needed in full, else null.
const double *FixEfieldBEC::field_forces()
{
  const size_t n = 3 * static_cast<size_t>(atom->nlocal);
  const double volt = force->qe2f;    // force units per e V/A
  pushes.assign(n, 0.0);
  if (field_only) {
    along_field();
    return nullptr;
  }
  const double *z = pair->born();
  const bool uniform = !field[0].per_atom && !field[1].per_atom && !field[2].per_atom;
  if (uniform && pair->has_second_order()) {
    along_field();
    return z;
  }
  for (int i = 0; i < atom->nlocal; i++)
    for (int b = 0; b < 3; b++)
      for (int a = 0; a < 3; a++)
        pushes[3 * static_cast<size_t>(i) + b] += volt * field_on(i, a) * z[9 * static_cast<size_t>(i) + 3 * a + b];
  return z;
}

void FixEfieldBEC::apply(int vflag, int motion)
{
  if (region) region->prematch();
  evaluate_field();
  const double *z = field_forces();
  path->begin(static_cast<FieldPath::Motion>(motion));
  const int nlocal = atom->nlocal;
  double **x = atom->x;
  v_init(vflag);

  // mean over the atoms that feel the field
  std::vector<char> feels(nlocal);
  double mine[4] = {0.0, 0.0, 0.0, 0.0}, all[4];
  for (int i = 0; i < nlocal; i++) {
    feels[i] = feels_field(i);
    double *push = &pushes[3 * static_cast<size_t>(i)];
    if (!feels[i]) {
      push[0] = push[1] = push[2] = 0.0;
      continue;
    }
    for (int b = 0; b < 3; b++) mine[b] += push[b];
    mine[3] += 1.0;
  }
  MPI_Allreduce(mine, all, 4, MPI_DOUBLE, MPI_SUM, world);

  for (int i = 0; i < nlocal; i++) {
    double *push = &pushes[3 * static_cast<size_t>(i)];
    const double net[3] = {push[0], push[1], push[2]};
    if (feels[i]) {
      for (int b = 0; b < 3; b++) {
        if (neutral) push[b] -= all[b] / all[3];
        atom->f[i][b] += push[b];
      }
      if (evflag) {
        double u[3];
        domain->unmap(x[i], atom->image[i], u);
        double v[6] = {push[0] * u[0], push[1] * u[1], push[2] * u[2], push[0] * u[1], push[0] * u[2], push[1] * u[2]};
        v_tally(i, v);
      }
    }
    static constexpr double NO_TENSOR[9] = {};
    path->visit(i, net, push, z ? z + 9 * static_cast<size_t>(i) : NO_TENSOR, atom->mask[i] & groupbit);
  }
  path->end();
}

/* ----------------------------------------------------------------------
   output: scalar = minus the work done by the field; vector = net field force before neutral, itinerant polarization, current
------------------------------------------------------------------------- */

double FixEfieldBEC::compute_scalar() { return 0.0 - path->totals().work; }

double FixEfieldBEC::compute_vector(int n)
{
  if (n < 3) return path->totals().net[n];
  if (field_only)
    error->all(FLERR, "fix efield/bec: 'response field' gives no polarization and no current; use 'response full'");
  if (n < 6) return path->totals().polarization[n - 3];
  if (!pair) error->all(FLERR, "fix efield/bec: the current is known from the first run on; use 'run 0' first");
  double current[3];    // not remembered: velocities change within a step
  les::current(pair->born(), atom->v, atom->mask, groupbit, atom->nlocal, world, current);
  return current[n - 6];
}

/* ----------------------------------------------------------------------
   restart: the totals; what is remembered per atom is evaluated anew at the same positions
------------------------------------------------------------------------- */

void FixEfieldBEC::write_restart(FILE *fp)
{
  const FieldPath::Totals now = path->totals();
  if (comm->me == 0) {
    const double list[4] = {now.work, now.polarization[0], now.polarization[1], now.polarization[2]};
    const int size = sizeof(list);
    fwrite(&size, sizeof(int), 1, fp);
    fwrite(list, sizeof(double), 4, fp);
  }
}

void FixEfieldBEC::restart(char *buf)
{
  double list[4];
  memcpy(list, buf, sizeof(list));
  path->go_on_from(list[0], list + 1, comm->me == 0);    // one rank holds what was before
}

/* ----------------------------------------------------------------------
   where each atom was: moves with the atoms
------------------------------------------------------------------------- */

void FixEfieldBEC::grow_arrays(int nmax) { path->points.resize(nmax); }

void FixEfieldBEC::copy_arrays(int i, int j, int /*delflag*/) { path->points[j] = path->points[i]; }

void FixEfieldBEC::set_arrays(int i) { path->start_atom(i); }

int FixEfieldBEC::pack_exchange(int i, double *buf)
{
  static_assert(sizeof(FieldPath::Point) == FieldPath::POINT_SIZE * sizeof(double));
  memcpy(buf, &path->points[i], sizeof(FieldPath::Point));
  return FieldPath::POINT_SIZE;
}

int FixEfieldBEC::unpack_exchange(int i, double *buf)
{
  memcpy(&path->points[i], buf, sizeof(FieldPath::Point));
  return FieldPath::POINT_SIZE;
}

double FixEfieldBEC::memory_usage()
{
  return static_cast<double>(path->points.size() * sizeof(FieldPath::Point) +
                             (field_at.size() + pushes.size()) * sizeof(double));
}
