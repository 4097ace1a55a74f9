/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_pad[];

/* More than a tensor can have, and far from where sums wrap. */
#define PAD_LIMIT (G_GINT64_CONSTANT(1) << 48)

typedef enum {
  PAD_CONSTANT,
  PAD_REFLECT,
  PAD_EDGE,
  PAD_WRAP,
} PadMode;

/* What happens to one axis. */
typedef struct {
  gint64 in, out;
  gint64 before; /* index of the first input element in the output; negative where cropped */
  gint64 first;  /* first input element that is left by the crops */
  gint64 left;   /* how many are left */
} PadAxis;

typedef struct {
  PadMode mode;
  gint rank;
  PadAxis axis[INFER_MAX_DIMS];
  gint64 in_stride[INFER_MAX_DIMS], out_stride[INFER_MAX_DIMS];
  gsize size;
  const char *fill;
} Pad;

static gboolean
pad_mode(const InferNode *node, PadMode *mode, GError **error)
{
  static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
  const char *name = infer_node_get_string(node, "mode", "constant");
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    if (g_str_equal(name, names[i])) {
      *mode = (PadMode)i;
      return TRUE;
    }
  return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                        "mode '%s' is not known; constant, reflect, edge and wrap are", name);
}

/* Which axis pair @i of the pads is for; -1 where that is not known. */
static gboolean
pad_axis(const InferNode *node, const DataInts *axes, gboolean given, gint i, gint rank,
         guint *seen, gint *axis, GError **error)
{
  *axis = given ? -1 : i;
  if (!given || i >= axes->n || !axes->known[i])
    return TRUE;
  if (!infer_op_axis(node, axes->v[i], rank, axis, error))
    return FALSE;
  if (*seen & (1u << *axis))
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "axis %d is given twice", *axis);
  *seen |= 1u << *axis;
  return TRUE;
}

static gboolean
pad_one(const InferNode *node, PadMode mode, gint64 d, gint64 before, gint64 after, PadAxis *axis,
        GError **error)
{
  *axis = (PadAxis){.in = d, .before = before};
  if (ABS(CLAMP(before, -PAD_LIMIT, PAD_LIMIT)) == PAD_LIMIT ||
      ABS(CLAMP(after, -PAD_LIMIT, PAD_LIMIT)) == PAD_LIMIT)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "pads of %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT " are too large",
                          before, after);
  if (d < 0) {
    axis->out = before == 0 && after == 0 ? d : INFER_DIM_UNKNOWN;
    return TRUE;
  }
  if (__builtin_add_overflow(d, before, &axis->out) ||
      __builtin_add_overflow(axis->out, after, &axis->out) || axis->out < 0)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "pads of %" G_GINT64_FORMAT " and %" G_GINT64_FORMAT
                          " do not fit a dimension of %" G_GINT64_FORMAT,
                          before, after, d);
  axis->first = before < 0 ? -MAX(before, -d) : 0;
  axis->left = d - axis->first - (after < 0 ? -MAX(after, -d) : 0);
  if (mode != PAD_CONSTANT && axis->out > 0 && axis->left <= 0)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "nothing is left of a dimension of %" G_GINT64_FORMAT " to pad with", d);
  return TRUE;
}

/* Fills @pad's axes, of which out is what is asked for. */
static gboolean
pad_axes(const InferNode *node, const InferDims *in, const DataInts *pads, const DataInts *axes,
         gboolean given, Pad *pad, GError **error)
{
  gint n = given ? axes->n : in->n;
  guint seen = 0, known = 0;
  gboolean lost = FALSE;
  if (n < 0 && pads->n >= 0)
    n = pads->n / 2;
  if (n >= 0 && pads->n >= 0 && pads->n != 2 * n)
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "pads has %d values, %d are needed",
                          pads->n, 2 * n);
  if (n > in->n)
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "%d axes of a tensor of rank %d", n,
                          in->n);
  pad->rank = in->n;
  for (gint i = 0; i < in->n; i++)
    if (!pad_one(node, PAD_CONSTANT, in->d[i], 0, 0, &pad->axis[i], error))
      return FALSE;
  for (gint i = 0; i < n; i++) {
    gint axis;
    if (!pad_axis(node, axes, given, i, in->n, &seen, &axis, error))
      return FALSE;
    lost = lost || axis < 0;
    if (axis < 0)
      continue;
    known |= 1u << axis;
    if (pads->n < 0 || !pads->known[i] || !pads->known[i + n])
      pad->axis[axis].out = INFER_DIM_UNKNOWN;
    else if (!pad_one(node, pad->mode, in->d[axis], pads->v[i], pads->v[i + n], &pad->axis[axis],
                      error))
      return FALSE;
  }
  for (gint i = 0; i < in->n; i++)
    if ((lost || n < 0) && !(known & (1u << i)))
      pad->axis[i].out = INFER_DIM_UNKNOWN;
  return TRUE;
}

static void
pad_dims(const Pad *pad, InferDims *dims)
{
  dims->n = pad->rank;
  for (gint i = 0; i < pad->rank; i++)
    dims->d[i] = pad->axis[i].out;
}

static gboolean
pad_infer(InferShapeArgs *args, GError **error)
{
  DataInts pads, axes;
  InferDims dims = INFER_DIMS_UNKNOWN;
  Pad pad;
  if (!data_require(args, 0, error) || !data_ints(args, 1, &pads, error) ||
      !data_ints(args, 3, &axes, error) || !pad_mode(args->node, &pad.mode, error))
    return FALSE;
  if (data_present(args, 2)) {
    gint64 count = infer_dims_count(&args->in[2].dims);
    if (args->in[2].type != args->in[0].type || (count >= 0 && count != 1))
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "constant_value must be one element of type %s",
                            infer_type_name(args->in[0].type));
  }
  if (args->in[0].dims.n >= 0) {
    if (!pad_axes(args->node, &args->in[0].dims, &pads, &axes, data_present(args, 3), &pad, error))
      return FALSE;
    pad_dims(&pad, &dims);
  }
  return data_set(args, 0, args->in[0].type, &dims, error);
}

/* The input element that output element @o of an axis shows; -1 for the constant. */
static gint64
pad_source(PadMode mode, const PadAxis *axis, gint64 o)
{
  gint64 i = o - axis->before;
  if (mode == PAD_CONSTANT)
    return i >= 0 && i < axis->in ? i : -1;
  gint64 n = axis->left, period = mode == PAD_REFLECT ? 2 * (n - 1) : n;
  i -= axis->first;
  if (mode == PAD_EDGE)
    return axis->first + CLAMP(i, 0, n - 1);
  if (n == 1)
    return axis->first;
  i %= period;
  i = i < 0 ? i + period : i;
  return axis->first + (i < n ? i : period - i);
}

static void
pad_fill(const Pad *pad, char *dst, gint64 n)
{
  for (gint64 i = 0; i < n; i++)
    memcpy(dst + (gsize)i * pad->size, pad->fill, pad->size);
}

/* The innermost axis: what both have in common in one copy, the rest by element. */
static void
pad_row(const Pad *pad, char *dst, const char *src)
{
  const PadAxis *axis = &pad->axis[pad->rank - 1];
  gint64 last = MIN(axis->first + axis->left, axis->in);
  gint64 from = CLAMP(axis->before + axis->first, 0, axis->out);
  gint64 to = CLAMP(axis->before + last, from, axis->out);
  for (gint64 o = 0; o < axis->out; o++) {
    if (o == from && to > from) {
      memcpy(dst + (gsize)o * pad->size, src + (gsize)(o - axis->before) * pad->size,
             (gsize)(to - from) * pad->size);
      o = to - 1;
      continue;
    }
    gint64 i = pad_source(pad->mode, axis, o);
    memcpy(dst + (gsize)o * pad->size, i < 0 ? pad->fill : src + (gsize)i * pad->size, pad->size);
  }
}

/* Recursion is as deep as there are dimensions. */
static void
pad_block(const Pad *pad, gint level, char *dst, const char *src)
{
  if (level == pad->rank - 1) {
    pad_row(pad, dst, src);
    return;
  }
  for (gint64 o = 0; o < pad->axis[level].out; o++) {
    gint64 i = pad_source(pad->mode, &pad->axis[level], o);
    char *to = dst + (gsize)(o * pad->out_stride[level]) * pad->size;
    if (i < 0)
      pad_fill(pad, to, pad->out_stride[level]);
    else
      pad_block(pad, level + 1, to, src + (gsize)(i * pad->in_stride[level]) * pad->size);
  }
}

static gboolean
pad_eval(const InferEvalArgs *args, GError **error)
{
  static const char zero[16] = {0};
  const InferArray *in = args->in[0], *value = data_array(args, 2), *list = data_array(args, 3);
  DataInts pads, axes;
  InferDims dims;
  Pad pad;
  if (!pad_mode(args->node, &pad.mode, error) ||
      !data_ints_from_array(args->node, args->in[1], &pads, error) ||
      !data_ints_from_array(args->node, list, &axes, error) ||
      !pad_axes(args->node, &in->dims, &pads, &axes, list != NULL, &pad, error))
    return FALSE;
  if (value && infer_array_count(value) != 1)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "constant_value has %" G_GINT64_FORMAT " elements",
                          infer_array_count(value));
  pad_dims(&pad, &dims);
  InferArray *out = data_output(args, 0, in->type, &dims, error);
  if (!out || out->size == 0)
    return out != NULL;
  pad.size = data_element_size(in);
  pad.fill = value ? value->data : zero;
  data_strides(&in->dims, pad.in_stride);
  data_strides(&dims, pad.out_stride);
  if (pad.rank == 0)
    memcpy(out->data, in->data, pad.size);
  else
    pad_block(&pad, 0, out->data, in->data);
  return TRUE;
}

static const InferAttrSpec pad_attrs[] = {{"mode", 's', FALSE}, {NULL, 0, FALSE}};

static const InferOp pad_op = {
    .name = "Pad",
    .version = 21,
    .min_inputs = 2,
    .max_inputs = 4,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = pad_attrs,
    .infer = pad_infer,
    .eval = pad_eval,
};

const InferOp *const infer_ops_pad[] = {&pad_op, NULL};
