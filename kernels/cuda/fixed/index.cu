/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.cuh"

/*
 * What is moved by indices. They come at run time, so that one which is out of range cannot be an
 * error: it chooses zeros, or nothing where elements are written.
 */

#define THREADS 256
#define LINEAR_INDEX (blockIdx.x * THREADS + threadIdx.x)

static __device__ __forceinline__ void
move_one(void *dst, int64_t to, const void *src, int64_t from, uint32_t size)
{
  if (size == 4)
    ((uint32_t *)dst)[to] = from < 0 ? 0 : ((const uint32_t *)src)[from];
  else if (size == 2)
    ((uint16_t *)dst)[to] = from < 0 ? 0 : ((const uint16_t *)src)[from];
  else if (size == 1)
    ((uint8_t *)dst)[to] = from < 0 ? 0 : ((const uint8_t *)src)[from];
  else if (size == 8)
    ((uint64_t *)dst)[to] = from < 0 ? 0 : ((const uint64_t *)src)[from];
  else
    ((uint4 *)dst)[to] = from < 0 ? make_uint4(0, 0, 0, 0) : ((const uint4 *)src)[from];
}

INFER_KERNEL(THREADS)
infer_pad(void *dst, const void *src, const void *value, const InferCudaPadArgs args)
{
  uint32_t index = LINEAR_INDEX;
  int64_t from = 0, to = 0;
  bool inside = true;

  if (index >= args.count)
    return;
  for (int32_t i = args.n - 1; i >= 0; i--) {
    uint32_t rest = infer_cuda_divide(index, args.dims[i]);
    int64_t o = index - rest * args.dims[i].divisor;
    int64_t at = infer_cuda_pad_source(args.mode, args.in[i], args.before[i], args.first[i],
                                       args.left[i], o);

    inside = inside && at >= 0;
    from += at * args.src[i];
    to += o * args.dst[i];
    index = rest;
  }
  if (inside)
    move_one(dst, to, src, from, args.size);
  else
    move_one(dst, to, value, value ? 0 : -1, args.size);
}

INFER_KERNEL(THREADS)
infer_gather(void *dst, const void *src, const void *indices, const InferCudaGatherArgs args)
{
  uint32_t i = LINEAR_INDEX;

  if (i >= args.count)
    return;
  uint32_t row = infer_cuda_divide(i, args.width);
  uint32_t stack = infer_cuda_divide(row, args.n_indices);
  int64_t index = read_index(indices, row - stack * args.n_indices.divisor, args.wide, args.rows);
  int64_t from =
      ((int64_t)stack * args.rows + index) * args.width.divisor + (i - row * args.width.divisor);

  move_one(dst, i, src, index < 0 ? -1 : from, args.size);
}

INFER_KERNEL(THREADS)
infer_gather_elements(void *dst, const void *src, const void *indices,
                      const InferCudaElementsArgs args)
{
  uint32_t i = LINEAR_INDEX;

  if (i >= args.count)
    return;
  int64_t index = read_index(indices, i, args.wide, args.axis_size);
  int64_t from = infer_cuda_elements_base(&args, i) + index * args.step;

  move_one(dst, i, src, index < 0 ? -1 : from, args.size);
}

/* Where an index of several axes points at; -1 where it is out of range. */
static __device__ __forceinline__ int64_t
nd_offset(const void *indices, uint32_t row, const InferCudaNdArgs &args)
{
  int64_t offset = (int64_t)infer_cuda_divide(row, args.rows) * args.pitch;

  for (int32_t k = 0; k < args.depth; k++) {
    int64_t index = read_index(indices, (int64_t)row * args.depth + k, args.wide, args.dims[k]);

    if (index < 0)
      return -1;
    offset += index * args.strides[k];
  }
  return offset;
}

INFER_KERNEL(THREADS)
infer_gather_nd(void *dst, const void *src, const void *indices, const InferCudaNdArgs args)
{
  uint32_t i = LINEAR_INDEX;

  if (i >= args.count)
    return;
  uint32_t row = infer_cuda_divide(i, args.width);
  int64_t offset = nd_offset(indices, row, args);

  move_one(dst, i, src, offset < 0 ? -1 : offset + (i - row * args.width.divisor), args.size);
}

/*
 * Scatters are deterministic: first every update enters itself with the row of data that it goes
 * to, then every element of data takes its updates in their order. Without a reduction only the
 * last one counts; else those of a row are a list, which is walked by number.
 */

static __device__ __forceinline__ void
enter(int32_t *heads, int32_t *next, int64_t row, uint32_t update)
{
  if (next == 0)
    atomicMax(&heads[row], (int32_t)update);
  else
    next[update] = atomicExch(&heads[row], (int32_t)update);
}

INFER_KERNEL(THREADS)
infer_scatter_enter_elements(int32_t *heads, int32_t *next, const void *indices,
                             const InferCudaElementsArgs args)
{
  uint32_t i = LINEAR_INDEX;

  if (i >= args.count)
    return;
  int64_t index = read_index(indices, i, args.wide, args.axis_size);

  if (index >= 0)
    enter(heads, next, infer_cuda_elements_base(&args, i) + index * args.step, i);
}

INFER_KERNEL(THREADS)
infer_scatter_enter_nd(int32_t *heads, int32_t *next, const void *indices,
                       const InferCudaNdArgs args)
{
  uint32_t i = LINEAR_INDEX;

  if (i >= args.count)
    return;
  int64_t offset = nd_offset(indices, i, args);

  if (offset >= 0)
    enter(heads, next, offset / args.width.divisor, i);
}

template <typename T>
static __device__ __forceinline__ T
combine(int32_t reduction, T a, T b)
{
  switch (reduction) {
  case 1:
    return (T)(a + b);
  case 2:
    return (T)(a * b);
  case 3:
    return a >= b || a != a ? a : b;
  default:
    return a <= b || a != a ? a : b;
  }
}

template <typename T>
static __device__ void
reduce(void *dst, const void *src, const void *updates, const int32_t *next, int32_t head,
       uint32_t i, uint32_t column, const InferCudaScatterArgs &args)
{
  T value = ((const T *)src)[i];
  int32_t last = -1;

  for (;;) {
    int32_t least = 0x7fffffff;

    for (int32_t k = head; k >= 0; k = next[k])
      least = k > last && k < least ? k : least;
    if (least == 0x7fffffff)
      break;
    value = combine<T>(args.reduction, value,
                       ((const T *)updates)[(int64_t)least * args.width.divisor + column]);
    last = least;
  }
  ((T *)dst)[i] = value;
}

/* Truth values: a sum is "or", a product "and". */
static __device__ void
reduce_bool(void *dst, const void *src, const void *updates, const int32_t *next, int32_t head,
            uint32_t i, uint32_t column, const InferCudaScatterArgs &args)
{
  InferCudaScatterArgs logic = args;

  if (args.reduction > 2) {
    reduce<uint8_t>(dst, src, updates, next, head, i, column, args);
    return;
  }
  uint8_t value = ((const uint8_t *)src)[i], all = 1, any = 0;
  for (int32_t k = head; k >= 0; k = next[k]) {
    bool set = ((const uint8_t *)updates)[(int64_t)k * logic.width.divisor + column] != 0;

    all = all && set;
    any = any || set;
  }
  if (head >= 0)
    value = args.reduction == 1 ? value || any : value && all;
  ((uint8_t *)dst)[i] = value;
}

INFER_KERNEL(THREADS)
infer_scatter_apply(void *dst, const void *src, const void *updates, const int32_t *heads,
                    const int32_t *next, const InferCudaScatterArgs args)
{
  uint32_t i = LINEAR_INDEX;

  if (i >= args.count)
    return;
  uint32_t row = infer_cuda_divide(i, args.width), column = i - row * args.width.divisor;
  int32_t head = heads[row];

  if (head < 0)
    move_one(dst, i, src, i, args.size);
  else if (args.reduction == 0)
    move_one(dst, i, updates, (int64_t)head * args.width.divisor + column, args.size);
  else
    switch (args.type) {
#define CASE(TYPE, T)                                                                              \
  case TYPE:                                                                                       \
    reduce<T>(dst, src, updates, next, head, i, column, args);                                     \
    break
      CASE(INFER_CUDA_FLOAT, float);
      CASE(INFER_CUDA_DOUBLE, double);
      /* Without a sign, so that what overflows wraps; order needs the sign. */
    case INFER_CUDA_INT8:
      args.reduction <= 2 ? reduce<uint8_t>(dst, src, updates, next, head, i, column, args)
                          : reduce<int8_t>(dst, src, updates, next, head, i, column, args);
      break;
    case INFER_CUDA_INT16:
      args.reduction <= 2 ? reduce<uint16_t>(dst, src, updates, next, head, i, column, args)
                          : reduce<int16_t>(dst, src, updates, next, head, i, column, args);
      break;
    case INFER_CUDA_INT32:
      args.reduction <= 2 ? reduce<uint32_t>(dst, src, updates, next, head, i, column, args)
                          : reduce<int32_t>(dst, src, updates, next, head, i, column, args);
      break;
    case INFER_CUDA_INT64:
      args.reduction <= 2 ? reduce<uint64_t>(dst, src, updates, next, head, i, column, args)
                          : reduce<int64_t>(dst, src, updates, next, head, i, column, args);
      break;
      CASE(INFER_CUDA_UINT8, uint8_t);
      CASE(INFER_CUDA_UINT16, uint16_t);
      CASE(INFER_CUDA_UINT32, uint32_t);
      CASE(INFER_CUDA_UINT64, uint64_t);
    default:
      reduce_bool(dst, src, updates, next, head, i, column, args);
    }
}

INFER_KERNEL(THREADS)
infer_where(void *dst, const uint8_t *condition, const void *x, const void *y,
            const InferCudaWhereArgs args)
{
  uint32_t index = LINEAR_INDEX;
  int64_t at[4] = {0, 0, 0, 0};

  if (index >= args.count)
    return;
  for (int32_t i = args.n - 1; i >= 0; i--) {
    uint32_t rest = infer_cuda_divide(index, args.dims[i]);
    int64_t o = index - rest * args.dims[i].divisor;

#pragma unroll
    for (int k = 0; k < 4; k++)
      at[k] += o * args.strides[k][i];
    index = rest;
  }
  if (condition[at[0]])
    move_one(dst, at[3], x, at[1], args.size);
  else
    move_one(dst, at[3], y, at[2], args.size);
}

static __device__ __forceinline__ int64_t
read_integer(const void *data, uint32_t at, int32_t type)
{
  switch (type) {
  case INFER_CUDA_INT8:
    return ((const int8_t *)data)[at];
  case INFER_CUDA_UINT8:
  case INFER_CUDA_BOOL:
    return ((const uint8_t *)data)[at];
  case INFER_CUDA_INT16:
    return ((const int16_t *)data)[at];
  case INFER_CUDA_UINT16:
    return ((const uint16_t *)data)[at];
  case INFER_CUDA_INT32:
    return ((const int32_t *)data)[at];
  case INFER_CUDA_UINT32:
    return ((const uint32_t *)data)[at];
  default:
    return ((const int64_t *)data)[at];
  }
}

INFER_KERNEL(THREADS)
infer_onehot(void *dst, const void *indices, const void *values, const InferCudaOneHotArgs args)
{
  uint32_t i = LINEAR_INDEX;

  if (i >= args.count)
    return;
  uint32_t row = infer_cuda_divide(i, args.inner), column = i - row * args.inner.divisor;
  uint32_t outer = infer_cuda_divide(row, args.depth), place = row - outer * args.depth.divisor;
  int64_t depth = args.depth.divisor;
  int64_t index = read_integer(indices, outer * args.inner.divisor + column, args.type);

  index += index < 0 ? depth : 0;
  move_one(dst, i, values, index == (int64_t)place ? 1 : 0, args.size);
}
