// Forces and virial from the gradients of the edges.
//
// Forces are summed as 64-bit integers, in units of 2^-40 eV/A: their sums do not depend on the order. What is not finite, or beyond
// 2^15 eV/A (of which 256 would fit), cannot be summed so; it marks its atoms, whose forces then are not a number.
#include "common.h"

#ifndef LES_KERNELS
namespace les::gpu {
#endif

struct Tally {
  const double *gradient;    // [n, width, 3] dE/d(edge vector), eV/A; 0 in empty places
  const double *vectors;     // [n, width, 3] A
  const i64 *neighbor;       // [n, width]; the center itself in empty places
  i64 *fixed;                // [n_all, 4] forces, and a mark; 0 before
  double *virial;            // [blocks, 6] xx yy zz xy xz yz of -r (x) g, symmetric part
  int n, width;
};

struct Finish {
  const i64 *fixed;            // of the tally
  const double *virial;        // likewise
  const double *far_force;     // [n, 3]
  const double *far_virial;    // [3, 3]
  const Real *energy;          // [n]
  const double *far_energy;    // [n]
  const i64 *most;             // []
  double *out;                 // [3 n_all + 2 n + 9 + 1] forces, energies, virial, most
  int n, n_all, blocks;        // of the tally
};
constexpr int TALLY_THREADS = 256, FINISH_THREADS = 256;
constexpr double FORCE_UNITS = 1099511627776.0, MOST_FORCE = 32768.0;    // units in 1 eV/A; eV/A

#ifdef LES_KERNELS

DEVICE void add_fixed(i64 *force, int axis, double value)
{
  if (!(value < MOST_FORCE && value > -MOST_FORCE)) force[3] = 1;
  else atomicAdd((unsigned long long *) force + axis, (unsigned long long) (i64) rint(value * FORCE_UNITS));
}

// A warp a center. The three components of a neighbor are added by lanes side by side: what limits is the number of accesses.
KERNEL(tally, Tally, TALLY_THREADS)
{
  const int lane = threadIdx.x % WARP, warps = TALLY_THREADS / WARP;
  double virial[6] = {};
  for (i64 i = blockIdx.x * (i64) warps + threadIdx.x / WARP; i < a.n; i += gridDim.x * (i64) warps) {
    const i64 row = i * a.width;
    double total[3] = {};
    for (int e = lane; e < a.width; e += WARP) {
      const double *g = a.gradient + 3 * (row + e), *r = a.vectors + 3 * (row + e);
      for (int k = 0; k < 3; k++) {
        total[k] += g[k];
        virial[k] -= r[k] * g[k];
      }
      virial[3] -= 0.5 * (r[0] * g[1] + r[1] * g[0]);
      virial[4] -= 0.5 * (r[0] * g[2] + r[2] * g[0]);
      virial[5] -= 0.5 * (r[1] * g[2] + r[2] * g[1]);
    }
    for (int t = lane; t < 3 * a.width; t += WARP) {
      const double g = a.gradient[3 * row + t];
      if (g != 0.0) add_fixed(a.fixed + 4 * a.neighbor[row + t / 3], t % 3, -g);
    }
    for (int k = 0; k < 3; k++) {
      const double sum = warp_sum(total[k]);
      if (lane == 0) add_fixed(a.fixed + 4 * i, k, sum);
    }
  }
  block_sum(virial, a.virial + 6 * blockIdx.x);
}

// All that the host gets, side by side, by a thread an atom; the first block adds up the virial.
KERNEL(finish, Finish, FINISH_THREADS)
{
  const i64 i = thread_index();
  double *energies = a.out + 3 * (i64) a.n_all, *virial = energies + 2 * (i64) a.n;
  if (i < a.n_all) {
    const bool marked = a.fixed[4 * i + 3] != 0;
    for (int k = 0; k < 3; k++) {
      double f = (double) a.fixed[4 * i + k] * (1.0 / FORCE_UNITS);
      if (i < a.n) f += a.far_force[3 * i + k];
      a.out[3 * i + k] = marked ? nan("") : f;
    }
  }
  if (i < a.n) {
    energies[2 * i] = (double) a.energy[i];
    energies[2 * i + 1] = a.far_energy[i];
  }
  if (blockIdx.x > 0) return;
  const int k = threadIdx.x / WARP;
  if (k < 6) {
    const double sum = column_sum(a.virial, a.blocks, 6, k);
    if (threadIdx.x % WARP == 0) {
      virial[upper(k)] = a.far_virial[upper(k)] + sum;
      virial[lower(k)] = a.far_virial[lower(k)] + sum;
    }
  }
  if (threadIdx.x == 6 * WARP) virial[9] = a.most ? (double) *a.most : 0.0;
}

#else
}    // namespace les::gpu
#endif
