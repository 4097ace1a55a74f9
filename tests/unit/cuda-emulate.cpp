/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cuda-emulate.h"

#include <algorithm>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <utility>
#include <vector>

struct EmulateSize {
  unsigned x, y, z;
};

struct alignas(8) uint2 {
  uint32_t x, y;
};

struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};

static EmulateSize threadIdx, blockIdx, blockDim, gridDim;

#define INFER_EMULATE
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(n)
#define __shared__ static
#define __align__(n) alignas(n)
#define __restrict__
#define INFER_DYNAMIC_SHARED(name) unsigned char *name = shared_memory

/* --- threads of a block that meet at barriers --- */

#define MOST_THREADS 1024
#define STACK (64 * 1024)

alignas(64) static unsigned char shared_memory[228 * 1024];
static ucontext_t scheduler, threads[MOST_THREADS];
static bool running[MOST_THREADS];
static std::vector<unsigned char> stacks;
static unsigned current;
static void (*body)(void *);
static void *body_data;
static bool plain; /* no barrier may come */

static void
__syncthreads(void)
{
  if (plain) {
    fprintf(stderr, "a kernel has a barrier and is not said to\n");
    abort();
  }
  swapcontext(&threads[current], &scheduler);
}

static void
enter_thread(void)
{
  body(body_data);
  running[current] = false;
  swapcontext(&threads[current], &scheduler);
}

static void
run_block(unsigned n)
{
  bool any = true;

  stacks.resize((size_t)n * STACK);
  for (unsigned i = 0; i < n; i++) {
    getcontext(&threads[i]);
    threads[i].uc_stack.ss_sp = stacks.data() + (size_t)i * STACK;
    threads[i].uc_stack.ss_size = STACK;
    threads[i].uc_link = nullptr;
    makecontext(&threads[i], enter_thread, 0);
    running[i] = true;
  }
  /* In the other direction every second time, so that what lacks a barrier shows. */
  for (unsigned turn = 0; any; turn++) {
    any = false;
    for (unsigned k = 0; k < n; k++) {
      current = turn & 1 ? n - 1 - k : k;
      if (!running[current])
        continue;
      threadIdx.x = current;
      swapcontext(&scheduler, &threads[current]);
      any = any || running[current];
    }
  }
}

template <typename T>
static T
atomicAdd(T *at, T value)
{
  T old = *at;
  *at += value;
  return old;
}

template <typename T>
static T
atomicMax(T *at, T value)
{
  T old = *at;
  *at = old > value ? old : value;
  return old;
}

template <typename T>
static T
atomicExch(T *at, T value)
{
  T old = *at;
  *at = value;
  return old;
}

static inline float
__fmul_rn(float a, float b)
{
  return a * b;
}

static inline float
__fadd_rn(float a, float b)
{
  return a + b;
}

static inline uint4
make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w)
{
  return {x, y, z, w};
}

#include "fixed/copy.cu"
#undef THREADS
#undef EACH
#include "fixed/index.cu"
#undef THREADS
#include "fixed/cast.cu"
#undef THREADS
#undef EACH

#include "fixed/detection.cu"
#undef THREADS
#undef CHUNK
#include "fixed/topk.cu"
#undef THREADS
#undef CHUNK

#undef LEAST
#undef MOST
#include "fixed/sampling.cu"
#undef THREADS
#include "fixed/frames.cu"
#undef X
#undef Y

/* --- kernels by name --- */

struct EmulateKernel {
  const char *name;
  bool barriers;
  void (*call)(void **params);
};

template <auto F> struct Caller;

template <typename... A, void (*F)(A...)> struct Caller<F> {
  template <size_t... I> static void call(void **params, std::index_sequence<I...>)
  {
    F(*(std::remove_const_t<A> *)params[I]...);
  }
  static void call(void **params)
  {
    call(params, std::index_sequence_for<A...>());
  }
};

#define PLAIN(name)                                                                                \
  {                                                                                                \
#name, false, Caller < name> ::call                                                            \
  }
#define BARRIERS(name)                                                                             \
  {                                                                                                \
#name, true, Caller < name> ::call                                                             \
  }

static const EmulateKernel kernels[] = {
    PLAIN(infer_copy_1),
    PLAIN(infer_copy_2),
    PLAIN(infer_copy_4),
    PLAIN(infer_copy_8),
    PLAIN(infer_copy_16),
    BARRIERS(infer_transpose_1),
    BARRIERS(infer_transpose_2),
    BARRIERS(infer_transpose_4),
    BARRIERS(infer_transpose_8),
    PLAIN(infer_fill),
    PLAIN(infer_pad),
    PLAIN(infer_gather),
    PLAIN(infer_gather_elements),
    PLAIN(infer_gather_nd),
    PLAIN(infer_scatter_enter_elements),
    PLAIN(infer_scatter_enter_nd),
    PLAIN(infer_scatter_apply),
    PLAIN(infer_where),
    PLAIN(infer_onehot),
    PLAIN(infer_cast),
    PLAIN(infer_cast_float_half),
    PLAIN(infer_cast_float_bfloat),
    PLAIN(infer_cast_half_float),
    PLAIN(infer_cast_bfloat_float),
    PLAIN(infer_cast_uint8_float),
    PLAIN(infer_cast_uint8_half),
    PLAIN(infer_boxdecode),
    PLAIN(infer_nms_gather),
    PLAIN(infer_nms_gather_best),
    BARRIERS(infer_nms_suppress),
    BARRIERS(infer_nms_write),
    BARRIERS(infer_topk),
    PLAIN(infer_roialign),
    PLAIN(infer_gridsample),
    BARRIERS(infer_frames),
};

const EmulateKernel *
emulate_find(const char *name)
{
  for (const EmulateKernel &kernel : kernels)
    if (strcmp(kernel.name, name) == 0)
      return &kernel;
  return nullptr;
}

struct Call {
  const EmulateKernel *kernel;
  void **params;
};

static void
call_kernel(void *data)
{
  Call *call = (Call *)data;
  call->kernel->call(call->params);
}

void
emulate_launch(const EmulateKernel *kernel, EmulateDims grid, unsigned block, unsigned shared,
               void **params)
{
  Call call = {kernel, params};

  if (block > MOST_THREADS || shared > sizeof shared_memory) {
    fprintf(stderr, "%s: %u threads with %u bytes are too many\n", kernel->name, block, shared);
    abort();
  }
  body = call_kernel;
  body_data = &call;
  plain = !kernel->barriers;
  gridDim = {grid.x, grid.y, grid.z};
  blockDim = {block, 1, 1};
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        blockIdx = {x, y, z};
        if (kernel->barriers) {
          run_block(block);
          continue;
        }
        for (threadIdx.x = 0; threadIdx.x < block; threadIdx.x++)
          call_kernel(&call);
      }
}
