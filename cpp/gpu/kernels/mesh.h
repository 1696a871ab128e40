// Charges of a periodic mesh: from the atoms to the mesh, the influence function on its spectrum, and from the mesh back to the atoms.
//
// ORDER is the number of points P of the window on each axis, DEGREE that of its polynomials. Atoms are sorted by tiles of TILE^3 points, those
// where their windows begin; with P - 1 points more on each axis, a tile holds all points of its atoms. An axis has at least P points, and
// the mesh fewer than 2^31.
#include "common.h"

#ifndef LES_KERNELS
namespace les::gpu {
#endif

struct Place {
  const double *x;      // [n, 3] A
  double inverse[9];    // of the cell: fractional coordinates are x inverse
  int size[3];          // points of the mesh
  int n;
  Real *fraction;    // [n, 3] of the atom past its first point, in points: P/2 - 1 to P/2
  int *first;        // [n, 3] that point
  int *tile;         // [n]
};

struct Spread {
  const Real *fraction;
  const int *first;
  const i64 *start, *order;    // [tiles + 1], [n] atoms by tiles
  const Real *charge;          // [n, channels]
  const Real *window;          // [DEGREE + 1, P] polynomials, by powers of fraction - (P - 1)/2
  int size[3];
  int channels;
  Real *tiles;    // [channels, tiles, EDGE, EDGE, EDGE]
};

struct Fold {
  const Real *tiles;
  int size[3];
  Real *mesh;    // [channels, size]
};

struct Influence {
  const Real *rho;              // [size 0, size 1, columns of `row`] complex
  double inverse[9];            // of the cell
  double chosen[9];             // likewise, when wave vectors were chosen
  const double *by_window;      // [size 0 + size 1 + columns] 1/w(k)^2 of each axis
  double norm, sigma2, most;    // N/V; A^2; largest |k|^2 of those chosen
  int size[3];
  int columns, row;    // of the spectrum that are wanted; that rho has
  Real *phi;           // [size 0, size 1, columns] complex
  double *virial;      // [blocks, 6] xx yy zz xy xz yz
};

struct SumVirial {
  const double *parts;    // [rows, 6]
  int rows;
  double *virial;    // [3, 3]
};

struct Gather {
  const Real *fraction;
  const int *first;
  const i64 *order;
  const Real *window;
  const Real *mesh;         // [size] of one channel
  double by_position[9];    // [a, m] change of the mesh coordinate m along the axis a
  int size[3];
  int n, channel, channels;
  Real *potential;     // [n, channels]
  double *gradient;    // [n, channels, 3]
};

constexpr int TILE = 8, TEAMS = 2, PLACE_THREADS = 256, FOLD_THREADS = 256, INFLUENCE_THREADS = 256,
              VIRIAL_THREADS = 6 * WARP, GATHER_THREADS = 256;
DEVICE constexpr int spread_threads(int order) { return order * order * TEAMS; }
DEVICE constexpr int edge_of_tile(int order) { return TILE + order - 1; }

#ifdef LES_KERNELS

constexpr int P = ORDER, EDGE = edge_of_tile(P);

DEVICE int inside(int point, int size) { return point < size ? point : point - size; }
DEVICE int tiles_along(int size) { return (size + TILE - 1) / TILE; }

// At the point `o` of an axis
DEVICE void window_at(const Real *window, Real fraction, int o, Real &w, Real &slope)
{
  const Real u = fraction - (Real) (0.5 * (P - 1));
  w = window[DEGREE * P + o];
  slope = 0;
  for (int d = DEGREE - 1; d >= 0; d--) {
    slope = slope * u + w;
    w = w * u + window[d * P + o];
  }
}

KERNEL(place, Place, PLACE_THREADS)
{
  const i64 i = thread_index();
  if (i >= a.n) return;
  int tile = 0;
  for (int m = 0; m < 3; m++) {
    double s = 0.0;
    for (int k = 0; k < 3; k++) s += a.x[3 * i + k] * a.inverse[3 * k + m];
    const double u = s * a.size[m], f = ceil(u - 0.5 * P);
    const bool finite = f > -1e15 && f < 1e15;    // else the energy shows it
    const int first = finite ? (int) ((i64) f % a.size[m]) : 0, at = first < 0 ? first + a.size[m] : first;
    a.fraction[3 * i + m] = finite ? (Real) (u - f) : (Real) nan("");
    a.first[3 * i + m] = at;
    tile = tile * tiles_along(a.size[m]) + at / TILE;
  }
  a.tile[i] = tile;
}

// A block spreads the atoms of a tile. A thread owns the points whose y and z leave certain remainders of P, and whose x one of TEAMS: of the
// P points of an atom along an axis each has a remainder of its own, so no two threads meet, and no barrier is needed between atoms.
KERNEL(spread, Spread, spread_threads(P))
{
  constexpr int THREADS = spread_threads(P), BATCH = 32;
  __shared__ Real tile[EDGE * EDGE * EDGE];
  __shared__ Real weights[BATCH][3][P];
  __shared__ int corner[BATCH][3];
  const int t1 = tiles_along(a.size[1]), t2 = tiles_along(a.size[2]), index = blockIdx.x;
  const int low[3] = {index / (t1 * t2) * TILE, index / t2 % t1 * TILE, index % t2 * TILE};
  const int thread = threadIdx.x, c = thread % P, b = thread / P % P, team = thread / (P * P);
  for (int k = thread; k < EDGE * EDGE * EDGE; k += THREADS) tile[k] = 0;
  const i64 end = a.start[index + 1];
  for (i64 from = a.start[index]; from < end; from += BATCH) {
    const int atoms = end - from < BATCH ? (int) (end - from) : BATCH;
    __syncthreads();
    for (int k = thread; k < atoms * 3 * P; k += THREADS) {
      const int s = k / (3 * P), axis = k / P % 3, o = k % P;
      const i64 i = a.order[from + s];
      Real w, slope;
      window_at(a.window, a.fraction[3 * i + axis], o, w, slope);
      weights[s][axis][o] = axis == 0 ? w * a.charge[i * a.channels + blockIdx.y] : w;
      if (o == 0) corner[s][axis] = a.first[3 * i + axis] - low[axis];
    }
    __syncthreads();
    for (int s = 0; s < atoms; s++) {
      const int x = corner[s][0], y = corner[s][1], z = corner[s][2];
      const int oy = (b - y + 2 * P) % P, oz = (c - z + 2 * P) % P;    // y, z < TILE <= 2 P
      const Real v = weights[s][1][oy] * weights[s][2][oz];
      Real *column = tile + (x * EDGE + y + oy) * EDGE + z + oz;
      for (int ox = (x + team) % TEAMS; ox < P; ox += TEAMS) column[ox * EDGE * EDGE] += v * weights[s][0][ox];
    }
  }
  __syncthreads();
  Real *out = a.tiles + (blockIdx.y * (i64) gridDim.x + index) * (EDGE * EDGE * EDGE);
  for (int k = thread; k < EDGE * EDGE * EDGE; k += THREADS) out[k] = tile[k];
}

// Tiles that hold a point of one axis, one after the other: those before it too, and at its beginning those at its end.
struct Covers {
  int size, at, tile;
  __device__ Covers(int point, int size) : size(size), at(point) { begin(); }
  __device__ bool any() const { return at < size + P - 1; }
  __device__ int local() const { return at - tile * TILE; }
  __device__ void next()
  {
    tile--;
    if (tile >= 0 && local() < EDGE) return;
    at += size;
    begin();
  }
  __device__ void begin()
  {
    const int last = tiles_along(size) - 1;
    tile = at / TILE < last ? at / TILE : last;
  }
};

KERNEL(fold, Fold, FOLD_THREADS)
{
  const int point = (int) thread_index(), points = a.size[0] * a.size[1] * a.size[2];
  if (point >= points) return;
  const int z = point % a.size[2], y = point / a.size[2] % a.size[1], x = point / a.size[2] / a.size[1];
  const int t0 = tiles_along(a.size[0]), t1 = tiles_along(a.size[1]), t2 = tiles_along(a.size[2]);
  Real sum = 0;
  for (Covers i(x, a.size[0]); i.any(); i.next())
    for (Covers j(y, a.size[1]); j.any(); j.next()) {
      const i64 row = ((blockIdx.y * (i64) t0 + i.tile) * t1 + j.tile) * t2;    // of tiles
      const Real *line = a.tiles + ((row * EDGE + i.local()) * EDGE + j.local()) * EDGE;
      for (Covers k(z, a.size[2]); k.any(); k.next()) sum += line[k.tile * (EDGE * EDGE * EDGE) + k.local()];
    }
  a.mesh[blockIdx.y * (i64) points + point] = sum;
}

// phi(k) = 2 (N/V) f(k) rho(k)/w(k)^2 of those chosen, and -dE/d(strain), on half of the spectrum
KERNEL(influence, Influence, INFLUENCE_THREADS)
{
  const int points = a.size[0] * a.size[1] * a.columns;
  double virial[6] = {};
  for (int p = (int) thread_index(); p < points; p += gridDim.x * INFLUENCE_THREADS) {
    const int i2 = p % a.columns, i1 = p / a.columns % a.size[1], i0 = p / a.columns / a.size[1];
    const double n[3] = {(double) (2 * i0 > a.size[0] ? i0 - a.size[0] : i0),
                         (double) (2 * i1 > a.size[1] ? i1 - a.size[1] : i1), (double) i2};
    double k[3], k2 = 0.0, chosen2 = 0.0;
    for (int m = 0; m < 3; m++) {
      const double two_pi = 6.283185307179586;
      double chosen = 0.0;
      k[m] = 0.0;
      for (int j = 0; j < 3; j++) {
        k[m] += two_pi * a.inverse[3 * m + j] * n[j];
        chosen += two_pi * a.chosen[3 * m + j] * n[j];
      }
      k2 += k[m] * k[m];
      chosen2 += chosen * chosen;
    }
    const Real *rho = a.rho + 2 * (((i64) i0 * a.size[1] + i1) * a.row + i2);
    Real green = 0;
    if (i0 + i1 + i2 > 0 && chosen2 <= a.most) {
      const double of_window = a.by_window[i0] * a.by_window[a.size[0] + i1] * a.by_window[a.size[0] + a.size[1] + i2];
      const double g = 2.0 * a.norm * exp(-0.5 * a.sigma2 * k2) / k2 * of_window;
      green = (Real) g;
      const double power = (double) rho[0] * rho[0] + (double) rho[1] * rho[1];
      const double e = (i2 > 0 ? 1.0 : 0.5) * g * power;    // of k and -k
      const double slope = 2.0 * e * (1.0 / k2 + 0.5 * a.sigma2);
      for (int m = 0; m < 3; m++) virial[m] += e - slope * k[m] * k[m];
      virial[3] -= slope * k[0] * k[1];
      virial[4] -= slope * k[0] * k[2];
      virial[5] -= slope * k[1] * k[2];
    }
    // also a mesh that is not finite has nothing there
    a.phi[2 * p] = green == 0 ? 0 : green * rho[0];
    a.phi[2 * p + 1] = green == 0 ? 0 : green * rho[1];
  }
  block_sum(virial, a.virial + 6 * blockIdx.x);
}

KERNEL(sum_virial, SumVirial, VIRIAL_THREADS)
{
  const int k = threadIdx.x / WARP;
  const double sum = column_sum(a.parts, a.rows, 6, k);
  if (threadIdx.x % WARP == 0) a.virial[upper(k)] = a.virial[lower(k)] = sum;
}

// A warp an atom, a lane some of the P^2 rows of points along x
KERNEL(gather, Gather, GATHER_THREADS)
{
  const int lane = threadIdx.x % WARP;
  const i64 s = thread_index() / WARP;
  if (s >= a.n) return;
  const i64 i = a.order[s];
  // lane P m + o has the window of the axis m at the point o
  Real w = 0, slope = 0;
  if (lane < 3 * P) window_at(a.window, a.fraction[3 * i + lane / P], lane % P, w, slope);
  Real wx[P], dx[P];
  for (int o = 0; o < P; o++) {
    wx[o] = __shfl_sync(~0u, w, o);
    dx[o] = __shfl_sync(~0u, slope, o);
  }
  const int *first = a.first + 3 * i;
  const i64 plane = (i64) a.size[1] * a.size[2];
  Real f = 0, fx = 0, fy = 0, fz = 0;
  for (int from = 0; from < P * P; from += WARP) {
    const int row = from + lane, oy = row < P * P ? row / P : 0, oz = row % P;
    const Real wy = __shfl_sync(~0u, w, P + oy), dy = __shfl_sync(~0u, slope, P + oy);
    const Real wz = __shfl_sync(~0u, w, 2 * P + oz), dz = __shfl_sync(~0u, slope, 2 * P + oz);
    if (row >= P * P) continue;
    const Real *points = a.mesh + inside(first[1] + oy, a.size[1]) * (i64) a.size[2] + inside(first[2] + oz, a.size[2]);
    Real v = 0, d = 0;
    for (int o = 0; o < P; o++) {
      const Real value = points[inside(first[0] + o, a.size[0]) * plane];
      v += wx[o] * value;
      d += dx[o] * value;
    }
    f += wy * wz * v;
    fx += wy * wz * d;
    fy += dy * wz * v;
    fz += wy * dz * v;
  }
  f = warp_sum(f);
  const double g[3] = {(double) warp_sum(fx), (double) warp_sum(fy), (double) warp_sum(fz)};
  const i64 at = i * a.channels + a.channel;
  if (lane == 0) a.potential[at] = f;
  if (lane < 3)
    a.gradient[3 * at + lane] =
        a.by_position[3 * lane] * g[0] + a.by_position[3 * lane + 1] * g[1] + a.by_position[3 * lane + 2] * g[2];
}

#else
}    // namespace les::gpu
#endif
