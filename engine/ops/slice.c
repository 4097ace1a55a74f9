/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_slice[];

/* One number of a parameter, or that it is not known. */
typedef struct {
  gint64 v;
  gboolean known;
} Number;

typedef struct {
  DataInts starts, ends, axes, steps;
  gboolean has_axes, has_steps;
} SliceParams;

/* What is taken of one axis. */
typedef struct {
  gint64 start, step, count;
} Part;

/* The part of a dimension of @d elements; clamping as ONNX has it. */
static Part
slice_part(gint64 d, gint64 start, gint64 end, gint64 step)
{
  Part part = {.step = MAX(step, -G_MAXINT64)};
  gint64 low = step > 0 ? 0 : -1;
  start = start < 0 ? start + d : start;
  end = end < 0 ? end + d : end;
  if (d == 0)
    return part;
  start = CLAMP(start, 0, d + low);
  end = CLAMP(end, low, step > 0 ? d : d - 1);
  part.start = start;
  if (step > 0)
    part.count = end > start ? (end - start - 1) / step + 1 : 0;
  else
    part.count = start > end ? (start - end - 1) / -part.step + 1 : 0;
  return part;
}

/* Whether an end is beyond every dimension, as exporters write "to the end". */
static gboolean
is_huge(Number end)
{
  return end.known && end.v >= G_MAXINT32;
}

/* The dimension that is left of one whose size is not a number. */
static gint64
slice_symbol(gint64 d, Number start, Number end, Number step)
{
  if (!step.known || !start.known)
    return INFER_DIM_UNKNOWN;
  gboolean same_end = !end.known && end.v == d && d != INFER_DIM_UNKNOWN;
  if (step.v == 1 && start.v == 0 && (is_huge(end) || same_end))
    return d;
  if (step.v == -1 && (start.v == -1 || is_huge(start)) && end.known && end.v <= -G_MAXINT32)
    return d;
  return INFER_DIM_UNKNOWN;
}

static Number
number_at(const DataInts *ints, gint i, gboolean present, gint64 fallback)
{
  if (!present)
    return (Number){fallback, TRUE};
  return i < ints->n ? (Number){ints->v[i], ints->known[i]} : (Number){INFER_DIM_UNKNOWN, FALSE};
}

/* How many axes are sliced: -1 where not known. */
static gboolean
slice_count(const InferNode *node, const SliceParams *p, gint rank, gint *n, GError **error)
{
  const gint counts[] = {p->starts.n, p->ends.n, p->has_axes ? p->axes.n : -1,
                         p->has_steps ? p->steps.n : -1};
  *n = -1;
  for (guint i = 0; i < G_N_ELEMENTS(counts); i++) {
    if (counts[i] < 0)
      continue;
    if (*n >= 0 && counts[i] != *n)
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "starts, ends, axes and steps differ in length (%d and %d)", *n,
                            counts[i]);
    *n = counts[i];
  }
  if (*n > rank)
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "%d axes of a tensor of rank %d", *n,
                          rank);
  return TRUE;
}

/* Dimensions of the output, and of each axis what is taken where that is known. */
static gboolean
slice_dims(const InferNode *node, const InferDims *in, const SliceParams *p, InferDims *out,
           Part *parts, GError **error)
{
  gint n;
  guint seen = 0;
  gboolean lost = FALSE;
  *out = *in;
  if (in->n < 0)
    return TRUE;
  if (!slice_count(node, p, in->n, &n, error))
    return FALSE;
  for (gint i = 0; i < in->n; i++)
    parts[i] = (Part){0, 1, in->d[i]};
  for (gint i = 0; i < n; i++) {
    Number axis = number_at(&p->axes, i, p->has_axes, i);
    Number start = number_at(&p->starts, i, TRUE, 0), end = number_at(&p->ends, i, TRUE, 0);
    Number step = number_at(&p->steps, i, p->has_steps, 1);
    gint a;
    if (step.known && step.v == 0)
      return infer_op_error(node, error, INFER_ERROR_SHAPE, "a step is 0");
    lost = lost || !axis.known;
    if (!axis.known)
      continue;
    if (!infer_op_axis(node, axis.v, in->n, &a, error))
      return FALSE;
    if (seen & (1u << a))
      return infer_op_error(node, error, INFER_ERROR_SHAPE, "axis %d is given twice", a);
    seen |= 1u << a;
    if (in->d[a] >= 0 && start.known && end.known && step.known)
      parts[a] = slice_part(in->d[a], start.v, end.v, step.v);
    else
      parts[a].count = slice_symbol(in->d[a], start, end, step);
  }
  for (gint i = 0; i < in->n; i++)
    out->d[i] = n < 0 || (lost && !(seen & (1u << i))) ? INFER_DIM_UNKNOWN : parts[i].count;
  return TRUE;
}

static void
slice_content(InferShapeArgs *args, const Part *part)
{
  InferDims content;
  InferOperand *out = &args->out[0];
  if (out->dims.n != 1 || out->dims.d[0] < 0 || !data_content(args, 0, &content) ||
      content.n != args->in[0].dims.d[0])
    return;
  out->has_content = TRUE;
  out->content.n = (gint)out->dims.d[0];
  for (gint i = 0; i < out->content.n; i++)
    out->content.d[i] = content.d[part->start + i * part->step];
}

static gboolean
slice_infer(InferShapeArgs *args, GError **error)
{
  SliceParams p = {.has_axes = data_present(args, 3), .has_steps = data_present(args, 4)};
  InferDims dims;
  Part parts[INFER_MAX_DIMS];
  if (!data_require(args, 0, error) || !data_ints(args, 1, &p.starts, error) ||
      !data_ints(args, 2, &p.ends, error) || !data_ints(args, 3, &p.axes, error) ||
      !data_ints(args, 4, &p.steps, error) ||
      !slice_dims(args->node, &args->in[0].dims, &p, &dims, parts, error) ||
      !data_set(args, 0, args->in[0].type, &dims, error))
    return FALSE;
  slice_content(args, parts);
  return TRUE;
}

static gboolean
slice_eval(const InferEvalArgs *args, GError **error)
{
  const InferNode *node = args->node;
  const InferArray *in = args->in[0], *axes = data_array(args, 3), *steps = data_array(args, 4);
  SliceParams p = {.has_axes = axes != NULL, .has_steps = steps != NULL};
  InferDims dims;
  Part parts[INFER_MAX_DIMS];
  if (!data_ints_from_array(node, args->in[1], &p.starts, error) ||
      !data_ints_from_array(node, args->in[2], &p.ends, error) ||
      !data_ints_from_array(node, axes, &p.axes, error) ||
      !data_ints_from_array(node, steps, &p.steps, error) ||
      !slice_dims(node, &in->dims, &p, &dims, parts, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, &dims, error);
  if (!out)
    return FALSE;
  if (out->size == 0)
    return TRUE;
  gint64 src[INFER_MAX_DIMS], dst[INFER_MAX_DIMS], offset = 0;
  gsize size = data_element_size(in);
  data_strides(&in->dims, src);
  data_strides(&dims, dst);
  for (gint i = 0; i < dims.n; i++) {
    offset += parts[i].start * src[i];
    /* A step of one element only is never taken, and may be too large to multiply. */
    src[i] = parts[i].count > 1 ? src[i] * parts[i].step : 0;
  }
  infer_data_copy(out->data, (const char *)in->data + (gsize)offset * size, size, dims.n, dims.d,
                  dst, src);
  return TRUE;
}

static const InferAttrSpec slice_attrs[] = {{NULL, 0, FALSE}};

static const InferOp slice = {
    .name = "Slice",
    .version = 13,
    .min_inputs = 3,
    .max_inputs = 5,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = slice_attrs,
    .infer = slice_infer,
    .eval = slice_eval,
};

const InferOp *const infer_ops_slice[] = {&slice, NULL};
