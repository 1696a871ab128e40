#include "mesh_choice.h"

#include "window.h"

#include <algorithm>
#include <cmath>

namespace les {

using torch::Tensor;

namespace {

constexpr double SAFETY = 2.0;                 // between the error estimated and the accuracy asked for
constexpr double FINEST_OVERSAMPLING = 2.5;    // of a refined mesh

// Smallest size of the form 2^a 3^b 5^c that is even and not below n.
int64_t good_size(int64_t n)
{
  for (n += n % 2;; n += 2) {
    int64_t rest = n;
    for (const int64_t p : {2, 3, 5})
      while (rest % p == 0) rest /= p;
    if (rest == 1) return n;
  }
}

int choose_order(const MeshSettings &settings)
{
  if (settings.order > 0) return settings.order;
  return 6 + (settings.accuracy < 3e-4) + (settings.accuracy < 3e-5) + (settings.accuracy < 3e-6) +
         (settings.accuracy < 3e-7);
}

}    // namespace

MeshChoice choose_mesh(const LongRangeParameters &parameters, const MeshSettings &settings, const Tensor &cell)
{
  MeshChoice choice{};
  choice.order = choose_order(settings);
  TORCH_CHECK(choice.order >= MeshSettings::MIN_ORDER && choice.order <= MeshSettings::MAX_ORDER, "a window of ",
              choice.order, " points is not implemented; expected ", MeshSettings::MIN_ORDER, " to ",
              MeshSettings::MAX_ORDER);
  double spacing = settings.spacing > 0.0
                       ? settings.spacing
                       : 0.5 * parameters.dl / Window::oversampling_for(choice.order, settings.accuracy / SAFETY);
  TORCH_CHECK(spacing < 0.5 * parameters.dl, "mesh spacing ", spacing,
              " A is too coarse for this model: it must be below dl/2 = ", 0.5 * parameters.dl, " A");
  if (settings.reference) {
    choice.order += 2;
    spacing /= 1.5;
  }
  // of the spacing asked for, not of the mesh that came of it: the window must not change with small changes of the cell
  choice.oversampling = 0.5 * parameters.dl / spacing;
  choice.error = Window::error(choice.order, choice.oversampling);
  const Tensor lengths = cell.norm(2, 1);
  for (int m = 0; m < 3; m++)
    choice.mesh[m] = good_size(
        std::max<int64_t>(static_cast<int64_t>(std::ceil(lengths[m].item<double>() / spacing)), 2 * choice.order));
  return choice;
}

bool refine(const LongRangeParameters &parameters, MeshSettings &settings, const Tensor &cell, double factor)
{
  if (settings.spacing > 0.0) return false;
  const MeshChoice now = choose_mesh(parameters, settings, cell);
  const double least =
      SAFETY * Window::error(settings.order > 0 ? settings.order : MeshSettings::MAX_ORDER, FINEST_OVERSAMPLING);
  MeshSettings finer = settings;
  for (;; factor = 0.5) {
    if (finer.accuracy <= least) return false;
    finer.accuracy = std::max(factor * finer.accuracy, least);
    if (!(choose_mesh(parameters, finer, cell) == now)) break;
  }
  settings = finer;
  return true;
}

double direct_terms(const LongRangeParameters &parameters, const Tensor &cell, double n_atoms)
{
  double box = 0.5;
  const Tensor lengths = cell.norm(2, 1);
  for (int m = 0; m < 3; m++) box *= 2.0 * std::floor(lengths[m].item<double>() / parameters.dl) + 1.0;
  return n_atoms * box;
}

Cost estimate_cost(const LongRangeParameters &parameters, const MeshSettings &settings, const Tensor &cell,
                   double n_atoms)
{
  // seconds: a constant, and for each unit of work
  constexpr double DIRECT_START = 8e-4, DIRECT_TERM = 7e-10;
  constexpr double MESH_START = 8e-4, MESH_POINT = 2.6e-8,
                   MESH_TERM = 4e-10;    // one point; one atom and one of its points
  const MeshChoice choice = choose_mesh(parameters, settings, cell);
  const double points = static_cast<double>(choice.mesh[0] * choice.mesh[1] * choice.mesh[2]);
  const double window = std::pow(choice.order, 3);
  return {DIRECT_START + DIRECT_TERM * direct_terms(parameters, cell, n_atoms),
          MESH_START + MESH_POINT * points + MESH_TERM * n_atoms * window};
}

}    // namespace les
