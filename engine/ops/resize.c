/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/resample.h"

#include <math.h>
#include <string.h>

/* Larger dimensions could not be allocated anyway, and let products overflow. */
#define MAX_DIM ((gint64)1 << 40)
static const char *const mode_names[] = {"nearest", "linear", "cubic", NULL};
static const char *const coord_names[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
    "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize", NULL};
static const char *const near_names[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil",
                                         NULL};
static const char *const policy_names[] = {"stretch", "not_larger", "not_smaller", NULL};

static gboolean
read_choice(const InferNode *node, const char *name, const char *const *names, gint *choice,
            GError **error)
{
  const char *text = infer_node_get_string(node, name, names[0]);
  g_autofree char *all = NULL;

  for (gint i = 0; names[i]; i++)
    if (strcmp(text, names[i]) == 0) {
      *choice = i;
      return TRUE;
    }
  all = g_strjoinv(", ", (char **)names);
  return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "%s is '%.40s', it can be %s", name,
                        text, all);
}

static gboolean
read_attrs(const InferNode *node, InferResample *r, GError **error)
{
  memset(r, 0, sizeof *r);
  r->antialias = infer_node_get_int(node, "antialias", 0) != 0;
  r->exclude_outside = infer_node_get_int(node, "exclude_outside", 0) != 0;
  r->extrapolation = infer_node_get_float(node, "extrapolation_value", 0);
  r->cubic_a = infer_node_get_float(node, "cubic_coeff_a", -0.75);
  return read_choice(node, "mode", mode_names, &r->mode, error) &&
         read_choice(node, "coordinate_transformation_mode", coord_names, &r->coord, error) &&
         read_choice(node, "nearest_mode", near_names, &r->near, error) &&
         read_choice(node, "keep_aspect_ratio_policy", policy_names, &r->policy, error);
}

static gboolean
read_axes(const InferNode *node, InferResample *r, GError **error)
{
  gboolean seen[INFER_MAX_DIMS] = {FALSE};
  gsize n = 0;
  const gint64 *axes = infer_node_get_ints(node, "axes", &n);

  if (!axes || n == 0) {
    r->n_axes = r->in.n;
    for (gint i = 0; i < r->n_axes; i++)
      r->axes[i] = i;
    return TRUE;
  }
  r->n_axes = 0;
  for (gsize i = 0; i < n; i++) {
    gint axis;

    if (!infer_op_axis(node, axes[i], r->in.n, &axis, error))
      return FALSE;
    if (seen[axis])
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "axis %d is there twice", axis);
    seen[axis] = TRUE;
    r->axes[r->n_axes++] = axis;
  }
  return TRUE;
}

/* Whether an optional input is there; exporters leave those that do not apply empty. */
static gboolean
is_given(const InferOperand *in, guint n_in, guint index)
{
  return index < n_in && in[index].type != INFER_TYPE_UNDEFINED &&
         !(in[index].dims.n == 1 && in[index].dims.d[0] == 0);
}

static gboolean
check_length(const InferNode *node, const InferOperand *in, guint index, gint64 want,
             GError **error)
{
  const InferDims *dims = &in[index].dims;

  if (dims->n < 0 || (dims->n == 1 && (dims->d[0] < 0 || dims->d[0] == want)))
    return TRUE;
  g_autofree char *text = infer_dims_to_string(dims);
  return infer_op_error(node, error, INFER_ERROR_SHAPE,
                        "input %u is %s, %" G_GINT64_FORMAT " elements are needed", index, text,
                        want);
}

static gboolean
set_size(const InferNode *node, InferResample *r, gint axis, double size, GError **error)
{
  if (!(size >= 0) || size > (double)MAX_DIM || (size > 0 && r->in.d[axis] == 0))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "dimension %d of %" G_GINT64_FORMAT " cannot be resized to %g", axis,
                          r->in.d[axis], size);
  r->out.d[axis] = (gint64)size;
  return TRUE;
}

static gboolean
plan_scales(const InferNode *node, const InferOperand *scales, InferResample *r, GError **error)
{
  for (gint i = 0; i < r->n_axes; i++) {
    gint axis = r->axes[i];
    gint64 in = r->in.d[axis];
    float scale;

    r->out.d[axis] = INFER_DIM_UNKNOWN;
    if (!scales->value)
      continue;
    scale = (float)infer_array_get_double(scales->value, (gsize)i);
    if (!(scale > 0) || !isfinite(scale))
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                            "scale %g of dimension %d is not a positive number", (double)scale,
                            axis);
    r->scale[axis] = (double)scale;
    if (in < 0)
      r->out.d[axis] = scale == 1 ? in : INFER_DIM_UNKNOWN;
    else if (!set_size(node, r, axis, (double)floorf((float)in * scale), error))
      return FALSE;
  }
  return TRUE;
}

/* Sizes that keep the aspect ratio: one scale for all axes. */
static gboolean
plan_policy(const InferNode *node, const gint64 *sizes, InferResample *r, GError **error)
{
  double common = 0;

  for (gint i = 0; i < r->n_axes; i++) {
    double scale;

    if (sizes[i] < 0 || r->in.d[r->axes[i]] <= 0) {
      for (gint j = 0; j < r->n_axes; j++)
        r->out.d[r->axes[j]] = INFER_DIM_UNKNOWN;
      return TRUE;
    }
    scale = (double)sizes[i] / (double)r->in.d[r->axes[i]];
    if (i == 0 || (r->policy == INFER_RESAMPLE_POLICY_NOT_LARGER ? scale < common : scale > common))
      common = scale;
  }
  r->by_sizes = FALSE;
  for (gint i = 0; i < r->n_axes; i++) {
    gint axis = r->axes[i];

    r->scale[axis] = common;
    if (!set_size(node, r, axis, floor(common * (double)r->in.d[axis] + 0.5), error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
plan_sizes(const InferNode *node, const InferOperand *sizes, InferResample *r, GError **error)
{
  gint64 list[INFER_MAX_DIMS];

  r->by_sizes = TRUE;
  for (gint i = 0; i < r->n_axes; i++) {
    list[i] = INFER_DIM_UNKNOWN;
    if (sizes->value) {
      list[i] = infer_array_get_int(sizes->value, (gsize)i);
      if (list[i] < 0)
        return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                              "size %" G_GINT64_FORMAT " of dimension %d is negative", list[i],
                              r->axes[i]);
    } else if (sizes->has_content && sizes->content.n == r->n_axes) {
      list[i] = sizes->content.d[i];
    }
  }
  if (r->policy != INFER_RESAMPLE_POLICY_STRETCH)
    return plan_policy(node, list, r, error);
  for (gint i = 0; i < r->n_axes; i++) {
    gint axis = r->axes[i];

    r->out.d[axis] = list[i];
    if (list[i] < 0)
      continue;
    if (!set_size(node, r, axis, (double)list[i], error))
      return FALSE;
    if (r->in.d[axis] > 0)
      r->scale[axis] = (double)list[i] / (double)r->in.d[axis];
  }
  return TRUE;
}

static gboolean
plan_roi(const InferNode *node, const InferOperand *in, guint n_in, InferResample *r,
         GError **error)
{
  for (gint i = 0; i < r->in.n; i++)
    r->end[i] = 1;
  if (r->coord != INFER_RESAMPLE_COORD_TF_CROP_AND_RESIZE)
    return TRUE;
  if (!is_given(in, n_in, 1))
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "tf_crop_and_resize needs a roi");
  if (!check_length(node, in, 1, 2 * (gint64)r->n_axes, error))
    return FALSE;
  for (gint i = 0; in[1].value && i < r->n_axes; i++) {
    double start = infer_array_get_double(in[1].value, (gsize)i);
    double end = infer_array_get_double(in[1].value, (gsize)(r->n_axes + i));

    if (!(fabs(start) < 1e6) || !(fabs(end) < 1e6))
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                            "the roi from %g to %g of dimension %d is out of range", start, end,
                            r->axes[i]);
    r->start[r->axes[i]] = start;
    r->end[r->axes[i]] = end;
  }
  return TRUE;
}

/* The rank of the input is known. */
static gboolean
plan(const InferNode *node, const InferOperand *in, guint n_in, InferResample *r, GError **error)
{
  gboolean scales = is_given(in, n_in, 2), sizes = is_given(in, n_in, 3);

  if (!read_attrs(node, r, error))
    return FALSE;
  r->in = r->out = in[0].dims;
  for (gint i = 0; i < r->in.n; i++) {
    r->scale[i] = 1;
    if (r->in.d[i] > MAX_DIM)
      return set_size(node, r, i, (double)r->in.d[i], error);
  }
  if (scales == sizes && r->in.n > 0)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "%s scales and sizes are given; exactly one of them is needed",
                          scales ? "both" : "neither");
  if (!read_axes(node, r, error) || !plan_roi(node, in, n_in, r, error))
    return FALSE;
  if (scales)
    return check_length(node, in, 2, r->n_axes, error) && plan_scales(node, &in[2], r, error);
  if (sizes)
    return check_length(node, in, 3, r->n_axes, error) && plan_sizes(node, &in[3], r, error);
  return TRUE;
}

static gboolean
check_types(const InferShapeArgs *args, gint mode, GError **error)
{
  if (mode == INFER_RESAMPLE_NEAREST) {
    if (infer_type_bits(args->in[0].type) < 8)
      return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                            "input 0 is of type %s, which is not supported",
                            infer_type_name(args->in[0].type));
  } else if (!infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                                    INFER_TYPE_INT8, INFER_TYPE_UINT8, INFER_TYPE_INT16,
                                    INFER_TYPE_UINT16, INFER_TYPE_INT32, INFER_TYPE_UINT32,
                                    INFER_TYPE_INT64, INFER_TYPE_UINT64, INFER_TYPE_UNDEFINED)) {
    return FALSE;
  }
  for (guint i = 1; i < args->n_in; i++) {
    if (args->in[i].type == INFER_TYPE_UNDEFINED)
      continue;
    if (i == 3 ? !infer_op_require_type(args, i, error, INFER_TYPE_INT64, INFER_TYPE_UNDEFINED)
               : !infer_op_require_type(args, i, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                                        INFER_TYPE_UNDEFINED))
      return FALSE;
  }
  return TRUE;
}

static gboolean
resize_infer(InferShapeArgs *args, GError **error)
{
  InferResample r;

  if (!read_attrs(args->node, &r, error) || !check_types(args, r.mode, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if (args->in[0].dims.n < 0)
    return TRUE;
  if (!plan(args->node, args->in, args->n_in, &r, error))
    return FALSE;
  args->out[0].dims = r.out;
  return TRUE;
}

static gsize
resize_scratch(const InferShapeArgs *args)
{
  InferResample r;

  if (!read_attrs(args->node, &r, NULL) || !infer_dims_is_constant(&args->out[0].dims) ||
      !infer_dims_is_constant(&args->in[0].dims))
    return 0;
  r.in = args->in[0].dims;
  r.out = args->out[0].dims;
  return infer_resample_scratch(&r);
}

static gboolean
resize_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0];
  g_autofree gpointer own = NULL;
  gpointer scratch = args->scratch;
  InferOperand operands[4];
  InferResample r;

  for (guint i = 0; i < args->n_in; i++)
    infer_operand_from_array(&operands[i], args->in[i]);
  if (!plan(args->node, operands, args->n_in, &r, error))
    return FALSE;
  if (!args->out[0]) {
    args->out[0] = infer_array_new(x->type, &r.out, error);
    if (!args->out[0])
      return FALSE;
    own = scratch = g_try_malloc(infer_resample_scratch(&r) + 1);
    if (!own)
      return infer_op_error(args->node, error, INFER_ERROR_MEMORY,
                            "no memory for %" G_GSIZE_FORMAT " bytes of scratch",
                            infer_resample_scratch(&r));
  }
  if (!infer_dims_equal(&r.out, &args->out[0]->dims))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "scales or sizes are not those that the shapes were inferred from");
  if (infer_array_count(args->out[0]) == 0)
    return TRUE;
  if (r.mode == INFER_RESAMPLE_NEAREST)
    infer_resample_nearest(&r, x, args->out[0], scratch);
  else
    infer_resample_interpolate(&r, x, args->out[0], scratch);
  return TRUE;
}

static const InferAttrSpec resize_attrs[] = {{"antialias", 'i', FALSE},
                                             {"axes", 'I', FALSE},
                                             {"coordinate_transformation_mode", 's', FALSE},
                                             {"cubic_coeff_a", 'f', FALSE},
                                             {"exclude_outside", 'i', FALSE},
                                             {"extrapolation_value", 'f', FALSE},
                                             {"keep_aspect_ratio_policy", 's', FALSE},
                                             {"mode", 's', FALSE},
                                             {"nearest_mode", 's', FALSE},
                                             {NULL, 0, FALSE}};

static const InferOp resize = {.name = "Resize",
                               .version = 19,
                               .min_inputs = 1,
                               .max_inputs = 4,
                               .min_outputs = 1,
                               .max_outputs = 1,
                               .attrs = resize_attrs,
                               .infer = resize_infer,
                               .scratch = resize_scratch,
                               .eval = resize_eval};

extern const InferOp *const infer_ops_resize[];
const InferOp *const infer_ops_resize[] = {&resize, NULL};
