// lammps_les._core: the evaluator of LAMMPS and its long-range solvers for Python.

#include <torch/extension.h>

void bind_evaluator(pybind11::module_ &m);
void bind_kspace(pybind11::module_ &m);

PYBIND11_MODULE(_core, m)
{
  m.doc() = "Evaluator and long-range solvers of lammps-les in C++; formulas in export/FORMAT.md.";
  bind_evaluator(m);
  bind_kspace(m);
}
