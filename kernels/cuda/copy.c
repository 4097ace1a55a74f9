/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "copy.h"

#define THREADS 256
#define EACH 4
/* Shorter sides leave most of a tile empty. */
#define LEAST_SIDE 16

static void
swap_axes(InferCudaCopy *copy, gint i, gint k)
{
  gint64 dim = copy->dims[i], src = copy->src[i], dst = copy->dst[i];

  copy->dims[i] = copy->dims[k];
  copy->src[i] = copy->src[k];
  copy->dst[i] = copy->dst[k];
  copy->dims[k] = dim;
  copy->src[k] = src;
  copy->dst[k] = dst;
}

/* Outermost first as the destination lies in memory, so that neighbours write together. */
static void
sort_axes(InferCudaCopy *copy)
{
  for (gint i = 1; i < copy->n; i++)
    for (gint k = i; k > 0 && ABS(copy->dst[k - 1]) < ABS(copy->dst[k]); k--)
      swap_axes(copy, k - 1, k);
}

static void
merge_axes(InferCudaCopy *copy)
{
  gint n = 0;

  for (gint i = 0; i < copy->n; i++) {
    gint64 dim = copy->dims[i], src = copy->src[i], dst = copy->dst[i];

    if (n > 0 && copy->src[n - 1] == src * dim && copy->dst[n - 1] == dst * dim)
      dim *= copy->dims[--n];
    copy->dims[n] = dim;
    copy->src[n] = src;
    copy->dst[n++] = dst;
  }
  copy->n = n;
}

static void
find_transpose(InferCudaCopy *copy)
{
  gint last = copy->n - 1;

  if (last < 1 || copy->dst[last] != 1 || copy->src[last] == 1 || copy->dims[last] < LEAST_SIDE)
    return;
  for (gint i = 0; i < last; i++)
    if (copy->src[i] == 1 && copy->dims[i] >= LEAST_SIDE) {
      for (gint k = i; k < last - 1; k++)
        swap_axes(copy, k, k + 1);
      copy->transpose = TRUE;
      return;
    }
}

gboolean
infer_cuda_copy_init(InferCudaCopy *copy, InferType type, gint n, const gint64 *dims,
                     const gint64 *src, const gint64 *dst, GError **error)
{
  guint bits = infer_type_bits(type);

  *copy = (InferCudaCopy){.size = bits / 8};
  if ((bits != 8 && bits != 16 && bits != 32 && bits != 64) || n > INFER_CUDA_DIMS) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "elements of type %s in %d dimensions cannot be copied one by one",
                infer_type_name(type), n);
    return FALSE;
  }
  for (gint i = 0; i < n; i++) {
    if (dims[i] == 1)
      continue;
    copy->dims[copy->n] = dims[i];
    copy->src[copy->n] = src[i];
    copy->dst[copy->n++] = dst[i];
  }
  sort_axes(copy);
  merge_axes(copy);
  if (copy->n == 0) {
    copy->dims[0] = copy->src[0] = copy->dst[0] = 1;
    copy->n = 1;
  }
  find_transpose(copy);
  return TRUE;
}

gboolean
infer_cuda_copy_kernels(InferCudaDevice *device, InferCudaCopyKernels *kernels, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS(kernels->copy); i++) {
    g_autofree char *name = g_strdup_printf("infer_copy_%u", 1u << i);

    kernels->copy[i] = infer_cuda_fixed(device, name, error);
    if (!kernels->copy[i])
      return FALSE;
  }
  for (guint i = 0; i < G_N_ELEMENTS(kernels->transpose); i++) {
    g_autofree char *name = g_strdup_printf("infer_transpose_%u", 1u << i);

    kernels->transpose[i] = infer_cuda_fixed(device, name, error);
    if (!kernels->transpose[i])
      return FALSE;
  }
  return TRUE;
}

static gint64
count_from(const InferCudaCopy *copy, gint first)
{
  gint64 count = 1;

  for (gint i = first; i < copy->n; i++)
    if (__builtin_mul_overflow(count, copy->dims[i], &count))
      return G_MAXINT64;
  return count;
}

gboolean
infer_cuda_copy_args(const InferCudaCopy *copy, InferCudaCopyArgs *args)
{
  gint64 count = count_from(copy, 0);

  if (count > INFER_CUDA_MOST)
    return FALSE;
  args->count = (guint32)count;
  args->n = copy->n;
  for (gint i = 0; i < copy->n; i++) {
    args->dims[i] = infer_cuda_divisor((guint32)copy->dims[i]);
    args->src[i] = copy->src[i];
    args->dst[i] = copy->dst[i];
  }
  return TRUE;
}

gboolean
infer_cuda_linear(const InferCudaQueue *queue, CUfunction function, guint32 count, guint threads,
                  guint each, void **params, GError **error)
{
  guint64 block = (guint64)threads * each, blocks = (count + block - 1) / block;

  if (count == 0)
    return TRUE;
  return infer_cuda_launch(queue, function, (InferCudaSize){(guint)blocks, 1, 1},
                           (InferCudaSize){threads, 1, 1}, 0, params, error);
}

static gboolean
is_multiple(const InferCudaCopy *copy, gint64 width)
{
  gint last = copy->n - 1;

  for (gint i = 0; i < last; i++)
    if (copy->src[i] % width != 0 || copy->dst[i] % width != 0)
      return FALSE;
  return copy->dims[last] % width == 0;
}

/* Several elements become one of up to 16 bytes where both sides are dense. */
static void
widen(InferCudaCopy *copy, guintptr pointers)
{
  gint last = copy->n - 1;
  gint64 width = 16 / (gint64)copy->size;

  if (copy->src[last] != 1 || copy->dst[last] != 1)
    return;
  while (width > 1 && (!is_multiple(copy, width) || pointers % ((guintptr)width * copy->size) != 0))
    width /= 2;
  for (gint i = 0; i < last; i++) {
    copy->src[i] /= width;
    copy->dst[i] /= width;
  }
  copy->dims[last] /= width;
  copy->size *= (gsize)width;
}

static gboolean
run_tiles(const InferCudaCopy *copy, const InferCudaCopyKernels *kernels,
          const InferCudaQueue *queue, const void *src, void *dst, GError **error)
{
  gint r = copy->n - 2, c = copy->n - 1;
  guint32 tile = INFER_CUDA_TILE(copy->size);
  gint64 n = 16 / (gint64)copy->size, blocks;
  guint32 tiles_r = (guint32)((copy->dims[r] + tile - 1) / tile);
  guint32 tiles_c = (guint32)((copy->dims[c] + tile - 1) / tile);
  InferCudaTransposeArgs args = {
      .rows = (guint32)copy->dims[r],
      .columns = (guint32)copy->dims[c],
      .src_column = copy->src[c],
      .dst_row = copy->dst[r],
      .tiles_r = infer_cuda_divisor(tiles_r),
      .tiles_c = infer_cuda_divisor(tiles_c),
      .wide_src = copy->src[c] % n == 0 && (guintptr)src % 16 == 0,
      .wide_dst = copy->dst[r] % n == 0 && (guintptr)dst % 16 == 0,
      .n = r,
  };
  void *params[] = {&dst, &src, &args};

  blocks = (gint64)tiles_r * tiles_c;
  for (gint i = 0; i < r; i++) {
    args.dims[i] = infer_cuda_divisor((guint32)copy->dims[i]);
    args.src[i] = copy->src[i];
    args.dst[i] = copy->dst[i];
    args.wide_src &= copy->src[i] % n == 0;
    args.wide_dst &= copy->dst[i] % n == 0;
    blocks *= copy->dims[i];
  }
  return infer_cuda_launch(queue, kernels->transpose[__builtin_ctz((guint)copy->size)],
                           (InferCudaSize){(guint)blocks, 1, 1},
                           (InferCudaSize){INFER_CUDA_TILE_THREADS, 1, 1}, 0, params, error);
}

/* What is too large for one launch is cut in two along its first dimension. */
static gboolean
run_halves(const InferCudaCopy *copy, const InferCudaCopyKernels *kernels,
           const InferCudaQueue *queue, const guint8 *src, guint8 *dst, GError **error)
{
  InferCudaCopy half = *copy;
  gint64 n = copy->dims[0] / 2 & ~(gint64)63, size = (gint64)copy->size;

  n = MAX(n, 1);
  half.dims[0] = n;
  if (!infer_cuda_copy_run(&half, kernels, queue, src, dst, error))
    return FALSE;
  half.dims[0] = copy->dims[0] - n;
  return infer_cuda_copy_run(&half, kernels, queue, src + n * copy->src[0] * size,
                             dst + n * copy->dst[0] * size, error);
}

gboolean
infer_cuda_copy_run(const InferCudaCopy *copy, const InferCudaCopyKernels *kernels,
                    const InferCudaQueue *queue, const void *src, void *dst, GError **error)
{
  InferCudaCopy wide = *copy;
  InferCudaCopyArgs args;
  gint64 count = count_from(copy, 0), vector = 16 / (gint64)copy->size;
  void *params[] = {&dst, &src, &args};

  if (count == 0)
    return TRUE;
  if (copy->transpose && count <= INFER_CUDA_MOST)
    return run_tiles(copy, kernels, queue, src, dst, error);
  /* One dense run whose end is not a whole vector. */
  if (copy->n == 1 && copy->src[0] == 1 && copy->dst[0] == 1 && copy->dims[0] > 64 * vector &&
      copy->dims[0] % vector != 0) {
    gint64 n = copy->dims[0] / vector * vector, bytes = n * (gint64)copy->size;

    wide.dims[0] = n;
    if (!infer_cuda_copy_run(&wide, kernels, queue, src, dst, error))
      return FALSE;
    wide.dims[0] = copy->dims[0] - n;
    return infer_cuda_copy_run(&wide, kernels, queue, (const guint8 *)src + bytes,
                               (guint8 *)dst + bytes, error);
  }
  widen(&wide, (guintptr)src | (guintptr)dst);
  if (!infer_cuda_copy_args(&wide, &args))
    return run_halves(copy, kernels, queue, src, dst, error);
  return infer_cuda_linear(queue, kernels->copy[__builtin_ctz((guint)wide.size)], args.count,
                           THREADS, EACH, params, error);
}
