#include "mesh_choice.h"

#include "aliasing.h"
#include "wave_vectors.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>
#include <stdexcept>

namespace les {

using torch::Tensor;

namespace {

constexpr double SAFETY = 2.0;                 // between the error estimated and the accuracy asked for
constexpr double FINEST_OVERSAMPLING = 2.5;    // of a mesh that is chosen
constexpr double FINEST_FOR_ORDER = 5.0;       // where the order is given
constexpr double WATER = 0.1;                  // atoms / A^3

// Estimated seconds of a step on one core: a constant, and for each mesh point, atom, and point of the window of an atom, in rows of
// whole vectors
constexpr double MESH_START = 3e-4, MESH_POINT = 8e-9, MESH_ATOM = 2e-7, MESH_TERM = 7e-10;

struct TooManyPoints : std::runtime_error {
  using std::runtime_error::runtime_error;
};

double atoms_of(const MeshSettings &settings, const Tensor &cell)
{
  return settings.n_atoms > 0.0 ? settings.n_atoms : WATER * std::abs(torch::det(cell).item<double>());
}

// Smallest size of the form 2^a 3^b 5^c that is even and not below n.
int64_t good_size(double least)
{
  if (!(least < MeshSettings::MOST_POINTS)) return int64_t(1) << 50;    // too many anyhow
  auto n = static_cast<int64_t>(least);
  for (n += n % 2;; n += 2) {
    int64_t rest = n;
    for (const int64_t p : {2, 3, 5})
      while (rest % p == 0) rest /= p;
    if (rest == 1) return n;
  }
}

double points_of(const MeshChoice &choice)
{
  double points = 1.0;
  for (const int64_t n : choice.mesh) points *= static_cast<double>(n);
  return points;
}

double mesh_cost(const MeshChoice &choice, double n_atoms, int moments)
{
  const double points = points_of(choice);
  const int row = (choice.order + 3) / 4 * 4;
  const double term =
      MESH_TERM * (6 + 4 * moments) / 6.0;    // derivatives of the window to spread and gather, of charges 6
  return MESH_START + MESH_POINT * points + n_atoms * (MESH_ATOM + term * choice.order * choice.order * row);
}

// The mesh of a window of `order` points, and of the spacing dl/2 / oversampling.
MeshChoice mesh_of(const LongRangeParameters &parameters, const Tensor &cell, int order, double oversampling,
                   int moments)
{
  // of the spacing asked for, not of the mesh that comes of it: the window must not change with small changes of the cell
  MeshChoice choice{
      {}, order, oversampling, aliasing_error(order, oversampling, parameters.sigma / parameters.dl, moments)};
  const Tensor lengths = cell.norm(2, 1);
  const double spacing = 0.5 * parameters.dl / oversampling;
  for (int m = 0; m < 3; m++)
    choice.mesh[m] = good_size(std::max(std::ceil(lengths[m].item<double>() / spacing), 2.0 * order));
  return choice;
}

// Throws where it would be too large to hold.
MeshChoice checked(const MeshChoice &choice, const MeshSettings &settings, const Tensor &cell)
{
  const double most =
      (settings.reference ? 5.0 : 1.0) * MeshSettings::MOST_POINTS;    // a reference has 3.4 times as many
  if (points_of(choice) <= most * settings.ranks) return choice;
  std::ostringstream text;
  text.precision(3);
  text << "a mesh of " << points_of(choice) << " points would be needed in a cell of " << lengths_of(cell)
       << " A, more than " << most << " for each rank; "
       << (settings.reference       ? "leave out this reference by mesh_error no, or take more ranks"
           : settings.spacing > 0.0 ? "give a larger spacing, or none"
                                    : "take more ranks, a larger accuracy")
       << ", or a smaller cell, or open boundaries where most of it is vacuum";
  throw TooManyPoints(text.str());
}

std::optional<MeshChoice> mesh_that_fits(const LongRangeParameters &parameters, const MeshSettings &settings,
                                         const Tensor &cell)
{
  try {
    return choose_mesh(parameters, settings, cell);
  } catch (const TooManyPoints &) {
    return {};
  }
}

}    // namespace

MeshChoice choose_mesh(const LongRangeParameters &parameters, const MeshSettings &settings, const Tensor &cell)
{
  const int given = settings.order;
  TORCH_CHECK(given == 0 || (given >= MeshSettings::MIN_ORDER && given <= MeshSettings::MAX_ORDER), "a window of ",
              given, " points is not implemented; expected ", MeshSettings::MIN_ORDER, " to ", MeshSettings::MAX_ORDER);
  TORCH_CHECK(settings.spacing < 0.5 * parameters.dl, "mesh spacing ", settings.spacing,
              " A is too coarse for this model: it must be below dl/2 = ", 0.5 * parameters.dl, " A");
  const double accuracy = settings.accuracy / SAFETY, n_atoms = atoms_of(settings, cell),
               sigma_by_dl = parameters.sigma / parameters.dl;
  std::optional<MeshChoice> best;
  for (int order = given ? given : MeshSettings::MIN_ORDER; order <= (given ? given : MeshSettings::MAX_ORDER);
       order++) {
    double oversampling = 0.5 * parameters.dl / settings.spacing;
    if (settings.spacing == 0.0)
      oversampling = oversampling_for(order, accuracy, sigma_by_dl, settings.moments,
                                      given ? FINEST_FOR_ORDER : FINEST_OVERSAMPLING);
    if (oversampling == 0.0) continue;
    const MeshChoice choice = mesh_of(parameters, cell, order, oversampling, settings.moments);
    // of a spacing given by hand, the first order that reaches the accuracy, or the last one
    if (settings.spacing > 0.0) {
      best = choice;
      if (choice.error <= accuracy) break;
    } else if (!best || mesh_cost(choice, n_atoms, settings.moments) < mesh_cost(*best, n_atoms, settings.moments))
      best = choice;
  }
  TORCH_CHECK(best, "a window of ", given ? given : MeshSettings::MAX_ORDER,
              " points cannot reach the accuracy asked for; take a larger ", given ? "order, or a larger " : "",
              "accuracy");
  return checked(settings.reference
                     ? mesh_of(parameters, cell, best->order + 2, 1.5 * best->oversampling, settings.moments)
                     : *best,
                 settings, cell);
}

bool refine(const LongRangeParameters &parameters, MeshSettings &settings, const Tensor &cell, double factor)
{
  if (settings.spacing > 0.0) return false;
  const MeshChoice now = choose_mesh(parameters, settings, cell);
  const double least = SAFETY * aliasing_error(settings.order > 0 ? settings.order : MeshSettings::MAX_ORDER,
                                               FINEST_OVERSAMPLING, parameters.sigma / parameters.dl, settings.moments);
  MeshSettings finer = settings;
  for (;; factor = 0.5) {
    if (finer.accuracy <= least) return false;
    finer.accuracy = std::max(factor * finer.accuracy, least);
    const auto next = mesh_that_fits(parameters, finer, cell);
    if (!next) return false;
    if (!(*next == now)) break;
  }
  settings = finer;
  return true;
}

Cost estimate_cost(const LongRangeParameters &parameters, const MeshSettings &settings, const Tensor &cell)
{
  constexpr double DIRECT_START = 6e-4, DIRECT_TERM = 7e-10;
  constexpr double MOMENTS[3] = {1.0, 1.8, 2.8};    // docs/performance.md
  const double n_atoms = atoms_of(settings, cell), vectors = wave_vectors_in_box(parameters, cell);
  Cost cost{HUGE_VAL, HUGE_VAL};
  if (vectors <= MOST_WAVE_VECTORS)
    cost.direct = DIRECT_START + DIRECT_TERM * MOMENTS[settings.moments] * n_atoms * vectors;
  if (const auto mesh = mesh_that_fits(parameters, settings, cell))
    cost.mesh = mesh_cost(*mesh, n_atoms, settings.moments);
  return cost;
}

}    // namespace les
