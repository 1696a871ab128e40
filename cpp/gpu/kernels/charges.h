// Charges in their potential: energies and forces.
#include "common.h"

#ifndef LES_KERNELS
namespace les::gpu {
#endif

struct ChargesInField {
  const Real *charge;        // [n, channels]
  const Real *field;         // [n, channels] potential of all sources
  const double *gradient;    // [n, channels, 3] of the potential
  double self;               // potential of a charge 1 of its own, that is to be added
  int n, channels;
  Real *potential;    // [n, channels]
  double *energy;     // [n] q phi/2
  double *force;      // [n, 3] -q grad phi
  double *parts;      // [blocks, 3] sums of the forces
};

struct RemoveNetForce {
  const double *parts;    // [blocks, 3]
  int n, blocks;
  double *force;    // [n, 3]
};
constexpr int CHARGES_THREADS = 256;

#ifdef LES_KERNELS

KERNEL(charges_in_field, ChargesInField, CHARGES_THREADS)
{
  const i64 i = thread_index();
  double energy = 0.0, force[3] = {};
  for (i64 k = i * a.channels; i < a.n && k < (i + 1) * a.channels; k++) {
    const Real q = a.charge[k], phi = a.field[k] + (Real) a.self * q;
    a.potential[k] = phi;
    energy += 0.5 * (double) q * (double) phi;
    for (int m = 0; m < 3; m++) force[m] -= (double) q * a.gradient[3 * k + m];
  }
  if (i < a.n) {
    a.energy[i] = energy;
    for (int m = 0; m < 3; m++) a.force[3 * i + m] = force[m];
  }
  block_sum(force, a.parts + 3 * blockIdx.x);
}

KERNEL(remove_net_force, RemoveNetForce, CHARGES_THREADS)
{
  __shared__ double net[3];
  const int warp = threadIdx.x / WARP;
  if (warp < 3) {
    const double sum = column_sum(a.parts, a.blocks, 3, warp);
    if (threadIdx.x % WARP == 0) net[warp] = sum / a.n;
  }
  __syncthreads();
  const i64 i = thread_index();
  for (int m = 0; m < 3 && i < a.n; m++) a.force[3 * i + m] -= net[m];
}

#else
}    // namespace les::gpu
#endif
