// lammps_les._core: the evaluator of LAMMPS, its networks and its long-range solvers for Python.

#include <torch/extension.h>

namespace py = pybind11;

void bind_evaluator(pybind11::module_ &m);
void bind_gpu(pybind11::module_ &m);
void bind_kspace(pybind11::module_ &m);
void bind_long_range(pybind11::module_ &m);
void bind_network(pybind11::module_ &m);

PYBIND11_MODULE(_core, m)
{
  m.doc() = "Evaluator and long-range solvers of lammps-les in C++; formulas in export/FORMAT.md.";
  py::register_local_exception_translator([](std::exception_ptr thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const c10::Error &e) {    // without its C++ stack
      py::set_error(PyExc_RuntimeError, e.what_without_backtrace());
    }
  });
  bind_evaluator(m);
  bind_gpu(m);
  bind_kspace(m);
  bind_long_range(m);
  bind_network(m);
}
