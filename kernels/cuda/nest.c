/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nest.h"

#include <string.h>

void
infer_cuda_nest_add(InferCudaNest *nest, gboolean gone, const InferCudaNestAxis *axis)
{
  InferCudaNestAxis *list = gone ? nest->gone : nest->kept;
  gint *n = gone ? &nest->n_gone : &nest->n_kept, at;

  if (axis->dim == 1)
    return;
  /* By the input's strides, innermost last. */
  for (at = *n; at > 0 && list[at - 1].stride[0] < axis->stride[0]; at--)
    list[at] = list[at - 1];
  list[at] = *axis;
  (*n)++;
}

static void
join(InferCudaNestAxis *list, gint *n)
{
  gint last = 0;

  for (gint i = 1; i < *n; i++) {
    gboolean same = TRUE;

    for (gint k = 0; k < INFER_NEST_OPERANDS; k++)
      same = same && list[last].stride[k] == list[i].stride[k] * list[i].dim;
    if (!same) {
      list[++last] = list[i];
      continue;
    }
    list[i].dim *= list[last].dim;
    list[last] = list[i];
  }
  if (*n > 0)
    *n = last + 1;
}

/* The most neighbours along the innermost of @list that are read together. */
static gint
neighbours(const InferCudaNest *nest, const InferCudaNestAxis *list, gint n, const InferBuffer *b,
           gint operand)
{
  const InferCudaNestAxis *inner = &list[n - 1];
  gint size = (gint)infer_type_bits(b->type) / 8, count = size > 0 ? 16 / size : 1;
  const struct {
    const InferCudaNestAxis *axes;
    gint n;
  } lists[] = {{nest->kept, nest->n_kept}, {nest->gone, nest->n_gone}};

  if (inner->stride[operand] != 1)
    return 1;
  while (count > 1 && (b->alignment % (gsize)(count * size) || inner->dim % count))
    count /= 2;
  for (gint l = 0; l < 2; l++)
    for (gint i = 0; i < lists[l].n; i++)
      while (count > 1 && &lists[l].axes[i] != inner && lists[l].axes[i].stride[operand] % count)
        count /= 2;
  return MIN(count, 8);
}

static gint
power_of_two(gint64 least, gint from, gint to)
{
  gint value = from;

  while (value < to && value < least)
    value *= 2;
  return value;
}

static void
lay_threads(InferCudaNest *nest, const InferBuffer *x, const InferBuffer *y, gboolean stores_run)
{
  const InferCudaNestAxis *kept = &nest->kept[nest->n_kept - 1];
  const InferCudaNestAxis *gone = &nest->gone[nest->n_gone - 1];
  gboolean columns = kept->dim > 1 && kept->stride[0] == 1 && gone->stride[0] != 1;

  nest->vec = nest->run = nest->lanes = 1;
  if (columns) {
    nest->vec = neighbours(nest, nest->kept, nest->n_kept, x, INFER_NEST_X);
    if (kept->stride[INFER_NEST_Y] != 1)
      nest->vec = 1;
    nest->lanes = power_of_two(kept->dim / nest->vec, 2, nest->vec > 1 ? 8 : 32);
    /* Whole warps; eight rows a thread are under way at once. */
    nest->depth = power_of_two(nest->count / 8, 32 / nest->lanes, 256 / nest->lanes);
    return;
  }
  if (gone->dim > 1 && gone->stride[0] == 1)
    nest->run = neighbours(nest, nest->gone, nest->n_gone, x, INFER_NEST_X);
  if (stores_run && gone->stride[INFER_NEST_Y] != 1)
    nest->run = 1;
  nest->depth = power_of_two(nest->count / nest->run / 2, 32, 256);
}

void
infer_cuda_nest_finish(InferCudaNest *nest, const InferBuffer *x, const InferBuffer *y,
                       gboolean join_kept, gboolean stores_run)
{
  static const InferCudaNestAxis none = {.dim = 1};

  if (join_kept)
    join(nest->kept, &nest->n_kept);
  join(nest->gone, &nest->n_gone);
  if (nest->n_kept == 0)
    nest->kept[nest->n_kept++] = none;
  if (nest->n_gone == 0)
    nest->gone[nest->n_gone++] = none;
  nest->outputs = nest->count = 1;
  for (gint i = 0; i < nest->n_kept; i++)
    nest->outputs *= nest->kept[i].dim;
  for (gint i = 0; i < nest->n_gone; i++)
    nest->count *= nest->gone[i].dim;
  lay_threads(nest, x, y, stores_run);
}

static void
define_strides(GString *source, const char *prefix, const InferCudaNestAxis *list, gint n)
{
  static const char *const operands[] = {"X", "Y", "SCALE", "SHIFT"};
  gint64 values[INFER_CUDA_NEST_AXES];

  for (gint k = 0; k < INFER_NEST_OPERANDS; k++) {
    g_autofree char *name = g_strdup_printf("%s_%s", prefix, operands[k]);

    for (gint i = 0; i < n; i++)
      values[i] = list[i].stride[k];
    infer_cuda_define_list(source, name, values, n);
  }
}

void
infer_cuda_nest_define(const InferCudaNest *nest, GString *source, const InferBuffer *x,
                       const InferBuffer *y)
{
  gboolean columns = nest->lanes > 1;
  const InferCudaNestAxis *list = columns ? nest->kept : nest->gone;
  gint n = columns ? nest->n_kept : nest->n_gone;
  gint64 kept[INFER_CUDA_NEST_AXES], gone[INFER_CUDA_NEST_AXES], axes[INFER_CUDA_NEST_AXES];

  for (gint i = 0; i < nest->n_kept; i++) {
    kept[i] = i == 0 ? 1 : nest->kept[i].dim;
    axes[i] = nest->kept[i].axis;
  }
  for (gint i = 0; i < nest->n_gone; i++)
    gone[i] = nest->gone[i].dim;
  infer_cuda_define(source, "KEPT", nest->n_kept);
  infer_cuda_define(source, "GONE", nest->n_gone);
  infer_cuda_define_list(source, "KEPT_DIMS", kept, nest->n_kept);
  infer_cuda_define_list(source, "KEPT_AXES", axes, nest->n_kept);
  infer_cuda_define_list(source, "GONE_DIMS", gone, nest->n_gone);
  define_strides(source, "KEPT", nest->kept, nest->n_kept);
  define_strides(source, "GONE", nest->gone, nest->n_gone);
  infer_cuda_define(source, "COUNT", nest->count);
  infer_cuda_define(source, "LANES", nest->lanes);
  infer_cuda_define(source, "DEPTH", nest->depth);
  infer_cuda_define(source, "VEC", nest->vec);
  infer_cuda_define(source, "RUN", nest->run);
  infer_cuda_define(source, "X_ALIGNED", neighbours(nest, list, n, x, INFER_NEST_X));
  infer_cuda_define(source, "Y_ALIGNED", neighbours(nest, list, n, y, INFER_NEST_Y));
  infer_cuda_define_text(source, "X_T", infer_cuda_type(x->type));
  infer_cuda_define_text(source, "Y_T", infer_cuda_type(y->type));
}

static gint64
extent(const InferBuffer *buffer)
{
  gint64 most = 1;

  for (gint i = 0; i < buffer->dims.n; i++)
    most += MAX(buffer->dims.d[i] - 1, 0) * buffer->strides[i];
  return most;
}

gboolean
infer_cuda_nest_is_wide(const InferBuffer *x, const InferBuffer *y)
{
  return MAX(extent(x), extent(y)) > G_MAXINT32 / 2;
}

const char *
infer_cuda_accumulator(InferType type, gboolean roots)
{
  if (infer_cuda_is_data(type))
    return "float";
  if (type == INFER_TYPE_DOUBLE || roots)
    return "double";
  return type == INFER_TYPE_UINT64 ? "unsigned long long" : "long long";
}

gboolean
infer_cuda_any_strides(const InferPrepare *prepare, gboolean output, guint index)
{
  return TRUE;
}
