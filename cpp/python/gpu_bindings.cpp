// Kernels of the GPU, for tests: tensors of the host go to the first GPU, and results come back.

#include "compile.h"
#include "neighbors.h"
#include "program.h"
#include "tally.h"

#include <pybind11/stl.h>
#include <torch/extension.h>

namespace py = pybind11;
using torch::Tensor;

namespace {

const torch::Device GPU(torch::kCUDA, 0);

Tensor up(const Tensor &t) { return t.contiguous().to(GPU); }
Tensor down(const Tensor &t) { return t.to(torch::kCPU); }

std::tuple<Tensor, Tensor, int64_t> select_edges(const Tensor &own, const Tensor &first, const Tensor &atom,
                                                 const Tensor &number, const Tensor &x, double cutoff, int64_t width)
{
  const auto out = les::gpu::select_edges({up(own), up(first), up(atom), up(number)}, up(x), cutoff, width);
  return {down(out.vectors), down(out.index), out.most.item<int64_t>()};
}

std::tuple<std::vector<Tensor>, int64_t> find_neighbors(const Tensor &x, const Tensor &number, int64_t centers,
                                                        double cutoff, double reach)
{
  const auto out = les::gpu::find_neighbors(x.contiguous(), number.contiguous(), centers, cutoff, reach, GPU);
  const auto &e = out.edges;
  return {{down(e.own), down(e.first), down(e.atom), down(e.number)}, out.most};
}

Tensor tally(const Tensor &gradient, const Tensor &vectors, const Tensor &index, const Tensor &far_force,
             const Tensor &far_virial, const Tensor &energy, const Tensor &far_energy, int64_t n_all)
{
  return down(les::gpu::tally({up(gradient), up(vectors), up(index), up(far_force), up(far_virial), up(energy),
                               up(far_energy), Tensor(), n_all}));
}

py::tuple compile(const std::string &program, const les::gpu::Macros &macros, int architecture,
                  const std::vector<std::string> &options)
{
  const auto out = les::gpu::compile(program, macros, architecture, options);
  return py::make_tuple(py::bytes(out.code), out.log);
}

}    // namespace

void bind_gpu(py::module_ &m)
{
  py::module_ gpu = m.def_submodule("gpu", "Kernels of cpp/gpu, for tests.");
  gpu.def("up", &up, "A tensor on the first GPU, also where Python's torch does not know of one.");
  gpu.def("down", &down, "A tensor on the host.");
  gpu.def("compile", &compile, py::arg("program"), py::arg("macros"), py::arg("architecture"),
          py::arg("options") = std::vector<std::string>{}, "Machine code of a program and the compiler's messages.");
  gpu.def("find_neighbors", &find_neighbors, py::arg("x"), py::arg("number"), py::arg("centers"), py::arg("cutoff"),
          py::arg("reach"));
  gpu.def("select_edges", &select_edges, py::arg("own"), py::arg("first"), py::arg("atom"), py::arg("number"),
          py::arg("x"), py::arg("cutoff"), py::arg("width"));
  gpu.def("tally", &tally, py::arg("gradient"), py::arg("vectors"), py::arg("index"), py::arg("far_force"),
          py::arg("far_virial"), py::arg("energy"), py::arg("far_energy"), py::arg("n_all"));
}
