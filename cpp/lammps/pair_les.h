/* -*- c++ -*- ----------------------------------------------------------
   pair_style les: Latent Ewald Summation models, see docs/pair_les.md
------------------------------------------------------------------------- */

#ifdef PAIR_CLASS
// clang-format off
PairStyle(les,PairLES);
// clang-format on
#else

#ifndef LMP_PAIR_LES_H
#define LMP_PAIR_LES_H

#include "pair.h"

#include <array>
#include <functional>
#include <memory>

namespace les {
enum class AtomQuantity;
struct Graph;
struct Result;
struct Want;
}    // namespace les

namespace LAMMPS_NS {

class PairLES : public Pair {
 public:
  PairLES(class LAMMPS *);
  ~PairLES() override;
  void settings(int, char **) override;
  void coeff(int, char **) override;
  void init_style() override;
  double init_one(int, int) override;
  void compute(int, int) override;
  void finish() override;
  int pack_forward_comm(int, int *, double *, int, int *) override;
  void unpack_forward_comm(int, int, double *) override;
  int pack_reverse_comm(int, int, double *) override;
  void unpack_reverse_comm(int, int *, double *) override;
  double memory_usage() override;

  // The only pair style les of this run; an error that names `caller` where there is none, or more than one.
  static PairLES *find(class LAMMPS *, const char *caller);

  // What fix efield/bec and the computes read: values for the atoms as they are now. Those of the last force evaluation, if nothing has
  // moved since; else the model is evaluated again, or it is an error between runs. Collective; indices are LAMMPS's.
  void check_born();    // to be called in init(): an error where the model file cannot give born()
  // The same, and saves a second evaluation of the network in each step. What is known before: whether the axes will be asked for, and
  // a field that stays as it is, or null.
  void respond_every_step(bool axes, const double *field);
  const double *born();    // [nlocal][9] e, xx xy xz yx ..., P component first
  // [nlocal][3] e V/A, forces in a uniform field [V/A]: sum_a E_a Z_iab, and what is of second order in E; never kept
  const double *born_along(const double *field);
  bool has_second_order() const;
  // [nlocal][channels * width], units and order as in atom_quantities.h; an error where the model has no such quantity
  const double *atom_quantity(les::AtomQuantity);
  bool has(les::AtomQuantity) const;
  const double *root_of_epsilon() const;    // [9] by which polarizations are multiplied
  bool removes_mean() const;                // of the charges, in a polarization
  int channels() const;                     // an error before pair_coeff
  bool sees(int i) const;                   // false for types mapped to NULL, and for excluded atoms

 private:
  class Impl;
  std::unique_ptr<Impl> impl;

  void load_model();
  std::array<bool, 3> boundary() const;
  void start_evaluation();
  les::Graph build_graph();
  void complete(les::Graph &) const;
  bool outgrew_rows(int64_t most_neighbors);
  void report_solver();
  void warn_of_drift();
  void warn_of_net_charge_in_vacuum();
  void check_stability();
  void warn_of_other_commands();
  void remember_atoms();
  bool atoms_are_those_evaluated() const;
  void require_evaluation(const char *what);
  void evaluate_again();
  void check_input();
  void check_heat_flux() const;
  void warn_of_heat_flux() const;
  void compare_masses() const;
  std::string add_to_lammps(const les::Result &result, const les::Want &want);
  int excluded_groups() const;    // bits of groups that a Monte Carlo fix has taken out; an error for other exclusions
  static bool several(class LAMMPS *);
  void evaluate_response(const double (*directions)[3], int count, bool second_order);
  std::string failure(const std::string &reason) const;
  void together(const std::function<void()> &work);
  void stop_together(const std::string &failure_here);
  void stop_with(int rank, const std::string &failure_here);
};

}    // namespace LAMMPS_NS

#endif
#endif
