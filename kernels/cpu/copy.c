/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"
#include <string.h>

#define TILE 16

static void
swap_axes(InferCpuCopy *copy, gint i, gint k)
{
  gint64 dim = copy->dims[i], src = copy->src[i], dst = copy->dst[i];
  copy->dims[i] = copy->dims[k];
  copy->src[i] = copy->src[k];
  copy->dst[i] = copy->dst[k];
  copy->dims[k] = dim;
  copy->src[k] = src;
  copy->dst[k] = dst;
}

static gint64
distance(gint64 stride)
{
  return stride < 0 ? -stride : stride;
}

/* Outermost first as the destination lies in memory, so that writes go forward. */
static void
sort_axes(InferCpuCopy *copy)
{
  for (gint i = 1; i < copy->n; i++)
    for (gint k = i; k > 0 && distance(copy->dst[k - 1]) < distance(copy->dst[k]); k--)
      swap_axes(copy, k - 1, k);
}

static void
merge_axes(InferCpuCopy *copy)
{
  gint n = 0;
  for (gint i = 0; i < copy->n; i++) {
    gint64 dim = copy->dims[i], src = copy->src[i], dst = copy->dst[i];
    if (n > 0 && copy->src[n - 1] == src * dim && copy->dst[n - 1] == dst * dim) {
      dim *= copy->dims[--n];
    }
    copy->dims[n] = dim;
    copy->src[n] = src;
    copy->dst[n++] = dst;
  }
  copy->n = n;
}

/* A transpose in tiles needs the axis along which the source is dense next to the last. */
static void
find_transpose(InferCpuCopy *copy)
{
  gint last = copy->n - 1;
  if (last < 1 || copy->dst[last] != 1 || copy->src[last] == 1 || copy->src[last] == 0)
    return;
  for (gint i = 0; i < last; i++)
    if (copy->src[i] == 1) {
      for (gint k = i; k < last - 1; k++)
        swap_axes(copy, k, k + 1);
      copy->transpose = TRUE;
      return;
    }
}

gboolean
infer_cpu_copy_init(InferCpuCopy *copy, InferType type, const InferDims *dims,
                    const gint64 *src_strides, const gint64 *dst_strides, GError **error)
{
  guint bits = infer_type_bits(type);
  *copy = (InferCpuCopy){.size = bits / 8};
  if (bits != 8 && bits != 16 && bits != 32 && bits != 64) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "elements of type %s cannot be copied one by one", infer_type_name(type));
    return FALSE;
  }
  for (gint i = 0; i < dims->n; i++) {
    if (dims->d[i] == 1)
      continue;
    copy->dims[copy->n] = dims->d[i];
    copy->src[copy->n] = src_strides[i];
    copy->dst[copy->n++] = dst_strides[i];
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

#define DEFINE_LOOPS(TYPE, NAME)                                                                   \
  static void NAME##_row(TYPE *dst, gint64 dst_step, const TYPE *src, gint64 src_step, gint64 n)   \
  {                                                                                                \
    for (gint64 i = 0; i < n; i++)                                                                 \
      dst[i * dst_step] = src[i * src_step];                                                       \
  }                                                                                                \
  static void NAME##_tiles(TYPE *dst, gint64 dst_step, const TYPE *src, gint64 src_step,           \
                           gint64 rows, gint64 columns)                                            \
  {                                                                                                \
    for (gint64 top = 0; top < rows; top += TILE)                                                  \
      for (gint64 left = 0; left < columns; left += TILE) {                                        \
        gint64 bottom = MIN(top + TILE, rows), right = MIN(left + TILE, columns);                  \
        for (gint64 r = top; r < bottom; r++)                                                      \
          for (gint64 c = left; c < right; c++)                                                    \
            dst[r * dst_step + c] = src[r + c * src_step];                                         \
      }                                                                                            \
  }

DEFINE_LOOPS(guint8, copy8)
DEFINE_LOOPS(guint16, copy16)
DEFINE_LOOPS(guint32, copy32)
DEFINE_LOOPS(guint64, copy64)

static void
copy_row(const InferCpuCopy *copy, const guint8 *src, guint8 *dst, gint64 n)
{
  gint last = copy->n - 1;
  gint64 from = copy->src[last], to = copy->dst[last];
  if (from == 1 && to == 1)
    memcpy(dst, src, (gsize)n * copy->size);
  else if (copy->size == 1)
    copy8_row(dst, to, src, from, n);
  else if (copy->size == 2)
    copy16_row((guint16 *)dst, to, (const guint16 *)src, from, n);
  else if (copy->size == 4)
    copy32_row((guint32 *)dst, to, (const guint32 *)src, from, n);
  else
    copy64_row((guint64 *)dst, to, (const guint64 *)src, from, n);
}

static void
copy_tiles(const InferCpuCopy *copy, const guint8 *src, guint8 *dst, gint64 rows)
{
  gint last = copy->n - 1;
  gint64 from = copy->src[last], to = copy->dst[last - 1], columns = copy->dims[last];
  if (copy->size == 1)
    copy8_tiles(dst, to, src, from, rows, columns);
  else if (copy->size == 2)
    copy16_tiles((guint16 *)dst, to, (const guint16 *)src, from, rows, columns);
  else if (copy->size == 4)
    copy32_tiles((guint32 *)dst, to, (const guint32 *)src, from, rows, columns);
  else
    copy64_tiles((guint64 *)dst, to, (const guint64 *)src, from, rows, columns);
}

typedef struct {
  const InferCpuCopy *copy;
  const guint8 *src;
  guint8 *dst;
  gint inner; /* dimensions that one call of a loop does */
} Call;

static void
run_blocks(gpointer data, gint64 begin, gint64 end)
{
  const Call *call = data;
  const InferCpuCopy *copy = call->copy;
  gint outer = copy->n - call->inner;
  gint64 at[INFER_MAX_DIMS], rest = begin, from = 0, to = 0, size = (gint64)copy->size;
  for (gint i = outer - 1; i >= 0; i--) {
    at[i] = rest % copy->dims[i];
    rest /= copy->dims[i];
    from += at[i] * copy->src[i];
    to += at[i] * copy->dst[i];
  }
  for (gint64 block = begin; block < end; block++) {
    if (call->inner == 2)
      copy_tiles(copy, call->src + from * size, call->dst + to * size, copy->dims[copy->n - 2]);
    else
      copy_row(copy, call->src + from * size, call->dst + to * size, copy->dims[copy->n - 1]);
    for (gint i = outer - 1; i >= 0; i--) {
      from += copy->src[i];
      to += copy->dst[i];
      if (++at[i] < copy->dims[i])
        break;
      at[i] = 0;
      from -= copy->src[i] * copy->dims[i];
      to -= copy->dst[i] * copy->dims[i];
    }
  }
}

/* One block alone: its first dimension is split. */
static void
run_inside(gpointer data, gint64 begin, gint64 end)
{
  const Call *call = data;
  const InferCpuCopy *copy = call->copy;
  gint first = copy->n - call->inner;
  const guint8 *src = call->src + begin * copy->src[first] * (gint64)copy->size;
  guint8 *dst = call->dst + begin * copy->dst[first] * (gint64)copy->size;
  if (call->inner == 2)
    copy_tiles(copy, src, dst, end - begin);
  else
    copy_row(copy, src, dst, end - begin);
}

void
infer_cpu_copy_run(const InferCpuCopy *copy, const void *src, void *dst)
{
  Call call = {.copy = copy, .src = src, .dst = dst, .inner = copy->transpose ? 2 : 1};
  gint outer = copy->n - call.inner;
  gint64 blocks = 1, block = 1;
  for (gint i = 0; i < outer; i++)
    blocks *= copy->dims[i];
  for (gint i = outer; i < copy->n; i++)
    block *= copy->dims[i];
  if (blocks == 0 || block == 0)
    return;
  if (blocks == 1)
    infer_cpu_parallel(copy->dims[outer], block / copy->dims[outer], run_inside, &call);
  else
    infer_cpu_parallel(blocks, block, run_blocks, &call);
}

gboolean
infer_cpu_pixels(const InferBuffer *buffer, gint64 *pitch)
{
  const InferDims *dims = &buffer->dims;
  gint64 next = 0;
  if (dims->n < 3 || (dims->d[1] > 1 && buffer->strides[1] != 1))
    return FALSE;
  *pitch = dims->d[1];
  for (gint i = dims->n - 1; i >= 2; i--) {
    if (dims->d[i] == 1)
      continue;
    if (next != 0 && buffer->strides[i] != next)
      return FALSE;
    if (next == 0)
      *pitch = buffer->strides[i];
    next = buffer->strides[i] * dims->d[i];
  }
  return *pitch >= dims->d[1];
}
