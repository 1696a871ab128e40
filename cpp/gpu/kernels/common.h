// What all kernels share. Headers of this folder are read twice: by the host, which sees the arguments, and by the compiler of kernels,
// with LES_KERNELS. Nothing else is included, so that three compilers take them: NVRTC, nvcc, and the host's, which plays kernels in tests.
//
// No kernel waits for the host, and none adds floating-point numbers in an order that may change: equal input gives equal bits.
#pragma once

#ifdef LES_KERNELS
#ifndef KERNEL    // extern "C": found by its name
#define KERNEL(name, Arguments, threads) extern "C" __global__ void __launch_bounds__(threads) name(const Arguments a)
#define DEVICE __device__ inline
#define SHARED_BYTES(name) extern __shared__ __align__(16) char name[]
#endif
typedef REAL Real;    // type of the network
#else
#include <cstdint>
#define DEVICE inline
namespace les::gpu {
typedef void Real;
#endif

typedef long i64;

constexpr int WARP = 32;

#ifdef LES_KERNELS

DEVICE i64 thread_index() { return blockIdx.x * (i64) blockDim.x + threadIdx.x; }

// Over the lanes of a warp, which all take part and all get it
template <class T> DEVICE T warp_sum(T v)
{
  for (int s = WARP / 2; s > 0; s >>= 1) v += __shfl_xor_sync(~0u, v, s);
  return v;
}

// Over a block of whole warps: K sums of what the lanes hold, into out [K], in the order of the warps
template <int K> DEVICE void block_sum(const double (&v)[K], double *out)
{
  __shared__ double part[WARP * K];
  const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
  for (int k = 0; k < K; k++) {
    const double sum = warp_sum(v[k]);
    if (lane == 0) part[warp * K + k] = sum;
  }
  __syncthreads();
  if (threadIdx.x < K) {
    double sum = 0.0;
    for (int w = 0; w < (int) (blockDim.x / WARP); w++) sum += part[w * K + threadIdx.x];
    out[threadIdx.x] = sum;
  }
}

// Of a column of rows [rows, columns], by one warp, whose lanes all get it
DEVICE double column_sum(const double *in, int rows, int columns, int column)
{
  double sum = 0.0;
  for (int r = threadIdx.x % WARP; r < rows; r += WARP) sum += in[(i64) r * columns + column];
  return warp_sum(sum);
}

// Of symmetric [3, 3] in the order xx yy zz xy xz yz: where the k-th stands in the upper triangle, and in the lower one
DEVICE int upper(int k) { return k < 3 ? 4 * k : k == 3 ? 1 : k == 4 ? 2 : 5; }
DEVICE int lower(int k) { return k < 3 ? 4 * k : k == 3 ? 3 : k == 4 ? 6 : 7; }

#else
}    // namespace les::gpu
#endif
