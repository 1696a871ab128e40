// The long-range sum above its solvers, on torch tensors.

#include "initialized.h"
#include "kspace_arguments.h"
#include "thread_communicator.h"

#include <pybind11/stl.h>
#include <torch/extension.h>

#include <numeric>

namespace py = pybind11;
using torch::Tensor;

namespace {

const les::SerialCommunicator serial;

// The long-range sum as a run has it, on one rank or on threads in place of ranks, for tests.
class Sum {
 public:
  Sum(double sigma, double dl, double norm, bool remove_self, const std::string &method, double accuracy,
      double spacing, int order, const std::string &mesh_error, const std::optional<std::vector<int64_t>> &counts) :
      counts_(counts.value_or(std::vector<int64_t>{}))
  {
    const les::LongRangeParameters parameters = les::checked(les::LongRangeParameters{sigma, dl, norm, remove_self});
    const les::KspaceSettings settings{les::choice_of<les::KspaceChoice>("method", method, les::KSPACE_CHOICES),
                                       les::checked(les::MeshSettings{accuracy, spacing, order}),
                                       les::choice_of<les::MeshCheck>("mesh_error", mesh_error, les::MESH_CHECKS)};
    board_ = std::make_shared<les::ThreadCommunicator::Board>(ranks());
    for (int rank = 0; rank < ranks(); rank++) {
      communicators_.push_back(std::make_unique<les::ThreadCommunicator>(board_, rank));
      sums_.push_back(std::make_unique<les::LongRangeSum>(
          parameters, settings, counts ? *communicators_.back() : static_cast<const les::Communicator &>(serial)));
    }
  }

  bool is_set_up() const { return sums_[0]->is_set_up(); }
  bool is_mesh() const { return sums_[0]->is_mesh(); }
  std::string description() const { return sums_[0]->description(); }
  void forget_mesh()
  {
    for (auto &sum : sums_) sum->forget_mesh();
  }

  std::string choose(const les::Boundary &boundary, const Tensor &cell, double n_atoms)
  {
    les::check_number("n_atoms", n_atoms, 0.0, 1e15);
    std::string said;
    for (auto &sum : sums_) said = sum->choose(boundary, les::checked_cell("cell", cell), n_atoms);
    return said;
  }

  py::dict compute(const Tensor &positions, const Tensor &charges, const Tensor &cell,
                   const std::optional<Tensor> &dipole, const std::optional<Tensor> &quadrupole,
                   const std::optional<Tensor> &kappa, const std::optional<Tensor> &alpha, bool atom_virial)
  {
    const les::Atoms atoms(positions, "charges", charges, false);
    les::Latents latents{atoms.sources};
    const std::array<const std::optional<Tensor> *, 5> given{nullptr, &dipole, &quadrupole, &kappa, &alpha};
    for (size_t l = 1; l < given.size(); l++) {
      if (!*given[l]) continue;
      std::vector<int64_t> shape(charges.sizes().begin(), charges.sizes().end());
      shape.insert(shape.end(), les::LATENTS[l].shape.begin(), les::LATENTS[l].shape.end());
      latents.*les::LATENTS[l].member =
          les::checked(les::LATENTS[l].name, **given[l], {charges.scalar_type()}, shape, charges.device());
    }
    cell_ = les::checked_cell("cell", cell);
    positions_ = shares(atoms.positions, 0);
    latents_.assign(ranks(), {});
    for (const les::LatentKind &kind : les::LATENTS)
      if (const Tensor &values = latents.*kind.member; values.defined()) {
        const auto parts = shares(values, 0);
        for (int rank = 0; rank < ranks(); rank++) latents_[rank].*kind.member = parts[rank];
      }
    last_.assign(ranks(), {});
    std::vector<std::optional<std::pair<les::MeasuredMesh, les::MeshErrors>>> measured(ranks());
    les::on_ranks(ranks(), *board_, [&](int rank) {
      last_[rank] = sums_[rank]->compute(positions_[rank], latents_[rank], cell_, atom_virial);
      measured[rank] = sums_[rank]->take_mesh_errors(last_[rank], latents_[rank]);
    });

    py::dict result;
    const auto tell = [&](const char *name, const auto &of) {
      if (of(last_[0]).defined()) result[name] = joined(of, last_, 0);
    };
    tell("energy", [](const les::LongRange &l) { return l.energy; });
    tell("forces", [](const les::LongRange &l) { return l.forces; });
    tell("atom_virial", [](const les::LongRange &l) { return l.atom_virial; });
    tell("potential", [](const les::LongRange &l) { return l.potential; });
    tell("field", [](const les::LongRange &l) { return l.field; });
    tell("charge_induced", [](const les::LongRange &l) { return l.charge_induced; });
    tell("dipole_induced", [](const les::LongRange &l) { return l.dipole_induced; });
    Tensor virial = last_[0].virial;
    for (int rank = 1; rank < ranks(); rank++) virial = virial + last_[rank].virial;
    result["virial"] = virial;
    py::dict by_latents;
    for (const les::LatentKind &kind : les::LATENTS)
      if ((last_[0].by_latents.*kind.member).defined())
        by_latents[kind.name] = joined([&](const les::LongRange &l) { return l.by_latents.*kind.member; }, last_, 0);
    result["by_latents"] = by_latents;
    result["measured"] = py::none();    // errors of forces and of fields, how many times the mesh was refined
    if (measured[0])
      result["measured"] =
          py::make_tuple(measured[0]->second.forces, measured[0]->second.fields, measured[0]->first.refined);
    return result;
  }

  // What other sources make at the atoms of the last `compute`: charges [k, n, C], dipoles [k, n, C, 3].
  py::dict respond(const std::optional<Tensor> &charges, const std::optional<Tensor> &dipoles)
  {
    if (last_.empty()) les::refuse("respond", "a call of compute before", "none");
    const int64_t n = std::accumulate(positions_.begin(), positions_.end(), int64_t{0},
                                      [](int64_t sum, const Tensor &r) { return sum + r.size(0); });
    const Tensor &like = latents_[0].charge;
    const auto sets = [&](const char *name, const std::optional<Tensor> &given, std::vector<int64_t> shape) {
      return given ? shares(les::checked(name, *given, {like.scalar_type()}, shape, like.device()), 1)
                   : std::vector<Tensor>(ranks());
    };
    const auto q = sets("charges", charges, {-1, n, like.size(1)});
    const auto u = sets("dipoles", dipoles, {-1, n, like.size(1), 3});
    std::vector<les::SourceResponse> responses(ranks());
    les::on_ranks(ranks(), *board_, [&](int rank) {
      responses[rank] = sums_[rank]->respond(last_[rank], positions_[rank], latents_[rank], q[rank], u[rank], cell_);
    });
    py::dict result;
    for (const les::LatentKind &kind : les::LATENTS)
      if ((responses[0].by_sources.*kind.member).defined())
        result[kind.name] =
            joined([&](const les::SourceResponse &r) { return r.by_sources.*kind.member; }, responses, 1);
    result["forces"] = joined([](const les::SourceResponse &r) { return r.forces; }, responses, 1);
    return result;
  }

 private:
  std::vector<int64_t> counts_;    // atoms of each rank; empty: one rank has all
  std::shared_ptr<les::ThreadCommunicator::Board> board_;
  std::vector<std::unique_ptr<les::ThreadCommunicator>> communicators_;
  std::vector<std::unique_ptr<les::LongRangeSum>> sums_;
  // of the last compute, by ranks
  std::vector<Tensor> positions_;
  std::vector<les::Latents> latents_;
  std::vector<les::LongRange> last_;
  Tensor cell_;

  int ranks() const { return counts_.empty() ? 1 : static_cast<int>(counts_.size()); }

  std::vector<Tensor> shares(const Tensor &all, int axis) const
  {
    if (counts_.empty()) return {all};
    if (std::accumulate(counts_.begin(), counts_.end(), int64_t{0}) != all.size(axis))
      les::refuse("counts", "as many atoms as there are", at::IntArrayRef(counts_));
    return all.split_with_sizes(counts_, axis);
  }

  template <class F, class R> static Tensor joined(F &&of, const std::vector<R> &results, int axis)
  {
    std::vector<Tensor> parts;
    for (const R &result : results) parts.push_back(of(result));
    return torch::cat(parts, axis);
  }
};

}    // namespace

void bind_long_range(py::module_ &m)
{
  py::class_<Sum>(m, "LongRangeSum",
                  "The sum as a run has it, on one rank or, with `counts`, on as many threads with so many atoms each; "
                  "see cpp/kspace/long_range.h.")
      .def(py::init<double, double, double, bool, std::string, double, double, int, std::string,
                    std::optional<std::vector<int64_t>>>(),
           py::kw_only(), py::arg("sigma"), py::arg("dl"), py::arg("norm"), py::arg("remove_self"),
           py::arg("method") = "auto", py::arg("accuracy") = 1e-5, py::arg("spacing") = 0.0, py::arg("order") = 0,
           py::arg("mesh_error") = "auto", py::arg("counts") = py::none())
      .def("choose", les::method(&Sum::choose), py::arg("boundary"), py::arg("cell"), py::arg("n_atoms"))
      .def("is_set_up", les::method(&Sum::is_set_up))
      .def("is_mesh", les::method(&Sum::is_mesh))
      .def("description", les::method(&Sum::description))
      .def("forget_mesh", les::method(&Sum::forget_mesh))
      .def("compute", les::method(&Sum::compute), py::arg("positions"), py::arg("charges"), py::arg("cell"),
           py::kw_only(), py::arg("dipole") = py::none(), py::arg("quadrupole") = py::none(),
           py::arg("kappa") = py::none(), py::arg("alpha") = py::none(), py::arg("atom_virial") = false)
      .def("respond", les::method(&Sum::respond), py::kw_only(), py::arg("charges") = py::none(),
           py::arg("dipoles") = py::none());
}
