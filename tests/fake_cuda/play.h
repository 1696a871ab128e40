// Kernels on a CPU: put before their source, for the compiler of the host.
//
// Each thread of a block is a fiber. Barriers, votes and shuffles of a warp switch between them; a warp runs as far as it can before the next
// one starts, so that what it needs from that one it must wait for. Blocks, warps and lanes go from first to last, or from last to first: results
// that change with it have a race, or depend on an order. Shared memory is not a number before each block.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

struct Launch {    // as in driver.cpp
  dim3 grid;
  unsigned threads;
  size_t shared, size;    // bytes of shared memory; of the argument
  bool descending;
};

#define __device__
#define DEVICE static inline
#define __forceinline__ inline
#define __restrict__ __restrict
#define __shared__ static __attribute__((section("shared_memory")))
extern "C" char __start_shared_memory[] __attribute__((weak)), __stop_shared_memory[] __attribute__((weak));

namespace play {

enum State { RUNS, AT_WARP, AT_BLOCK, DONE };

struct Fiber {
  ucontext_t start;
  jmp_buf here;
  State state;
  unsigned votes;
  bool begun = false;
  std::unique_ptr<char[]> stack;
};

static std::vector<std::unique_ptr<Fiber>> fibers;
static jmp_buf scheduler;
static unsigned current;
static std::function<void()> body;
static uint64_t boxes[2][1024];
static std::vector<char> shared;

[[noreturn]] static void refuse(const char *what)
{
  std::fprintf(stderr, "fake cuda: %s, in block %u, thread %u\n", what, blockIdx.x, current);
  std::abort();
}

static void wait(State state)
{
  Fiber &fiber = *fibers[current];
  fiber.state = state;
  if (_setjmp(fiber.here) == 0) _longjmp(scheduler, 1);
}

static void run()    // a fiber, for one kernel after another
{
  for (;;) {
    body();
    wait(DONE);
  }
}

static void enter(unsigned thread)
{
  current = threadIdx.x = thread;
  Fiber &fiber = *fibers[thread];
  if (_setjmp(scheduler) != 0) return;
  if (fiber.begun) _longjmp(fiber.here, 1);
  fiber.begun = true;
  setcontext(&fiber.start);
}

static void make_fibers(unsigned threads)
{
  constexpr size_t STACK = 1 << 16;
  while (fibers.size() < threads) {
    auto fiber = std::make_unique<Fiber>();
    fiber->stack.reset(new char[STACK]);
    getcontext(&fiber->start);
    fiber->start.uc_stack.ss_sp = fiber->stack.get();
    fiber->start.uc_stack.ss_size = STACK;
    makecontext(&fiber->start, run, 0);
    fibers.push_back(std::move(fiber));
  }
}

static void run_block(unsigned threads, bool descending)
{
  for (unsigned t = 0; t < threads; t++) {
    fibers[t]->state = RUNS;
    fibers[t]->votes = 0;
  }
  std::memset(shared.data(), 0xff, shared.size());
  if (__start_shared_memory) std::memset(__start_shared_memory, 0xff, __stop_shared_memory - __start_shared_memory);
  for (;;) {
    unsigned done = 0, blocked = 0;
    for (unsigned s = 0; s < threads; s += 32) {
      const unsigned first = descending ? (threads - 1) / 32 * 32 - s : s, end = std::min(first + 32, threads);
      for (bool on = true; on;) {
        unsigned voting = 0, at_barrier = 0;
        for (unsigned k = first; k < end; k++) {
          const unsigned t = descending ? first + end - 1 - k : k;
          if (fibers[t]->state == RUNS) enter(t);
        }
        for (unsigned t = first; t < end; t++) {
          voting += fibers[t]->state == AT_WARP;
          at_barrier += fibers[t]->state == AT_BLOCK;
        }
        if (voting && voting != end - first) refuse("lanes of a warp part at a vote");
        for (unsigned t = first; t < end && voting; t++) fibers[t]->state = RUNS;
        on = voting > 0;
      }
      for (unsigned t = first; t < end; t++) {
        done += fibers[t]->state == DONE;
        blocked += fibers[t]->state == AT_BLOCK;
      }
    }
    if (done == threads) return;
    if (done) refuse("threads of a block part at a barrier");
    for (unsigned t = 0; t < threads; t++) fibers[t]->state = RUNS;
  }
}

static void launch(const Launch &how, size_t size, unsigned most_threads, const std::function<void()> &kernel)
{
  if (how.size != size) refuse("a kernel got an argument of another size");
  if (how.threads > most_threads) refuse("a kernel got more threads than it is made for");
  body = kernel;
  gridDim = how.grid;
  blockDim = {how.threads, 1, 1};
  shared.resize(how.shared);
  make_fibers(how.threads);
  for (unsigned y = 0; y < gridDim.y; y++)
    for (unsigned x = 0; x < gridDim.x; x++) {
      blockIdx = {how.descending ? gridDim.x - 1 - x : x, how.descending ? gridDim.y - 1 - y : y, 0};
      run_block(how.threads, how.descending);
    }
}

// Where this lane's warp keeps what it votes
template <class T> static const uint64_t *vote(T value)
{
  uint64_t *box = boxes[fibers[current]->votes++ & 1];
  std::memcpy(box + current, &value, sizeof(T));
  wait(AT_WARP);
  threadIdx.x = current;
  return box + (current & ~31u);
}

template <class T> static T value_of(const uint64_t *votes, int lane)
{
  T value;
  std::memcpy(&value, votes + (lane & 31), sizeof(T));
  return value;
}

}    // namespace play

#define KERNEL(name, Arguments, threads)                                       \
  static void name##_thread(const Arguments &);                                \
  extern "C" void name(const void *arguments, const Launch &how)               \
  {                                                                            \
    const Arguments &a = *static_cast<const Arguments *>(arguments);           \
    play::launch(how, sizeof(Arguments), threads, [&a] { name##_thread(a); }); \
  }                                                                            \
  static void name##_thread([[maybe_unused]] const Arguments &a)
#define SHARED_BYTES(name) char *const name = play::shared.data()

static void __syncthreads() { play::wait(play::AT_BLOCK); }
static inline void __syncwarp() { play::wait(play::AT_WARP); }
template <class T> static T __shfl_sync(unsigned, T v, int lane) { return play::value_of<T>(play::vote(v), lane); }
template <class T> static T __shfl_xor_sync(unsigned, T v, int mask)
{
  const int lane = threadIdx.x & 31;
  return play::value_of<T>(play::vote(v), lane ^ mask);
}
static inline unsigned __ballot_sync(unsigned, bool vote)
{
  const uint64_t *votes = play::vote<uint64_t>(vote);
  unsigned out = 0;
  for (int lane = 0; lane < 32; lane++) out |= unsigned(votes[lane] & 1) << lane;
  return out;
}
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
template <class T, class V> static T atomicAdd(T *p, V v)
{
  const T old = *p;
  *p = static_cast<T>(old + v);
  return old;
}
template <class T, class V> static T atomicMax(T *p, V v)
{
  const T old = *p;
  if (static_cast<T>(v) > old) *p = static_cast<T>(v);
  return old;
}
using std::ceil, std::exp, std::floor, std::nan, std::rint;
