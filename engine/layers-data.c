/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layers-private.h"

#include <string.h>

/* Layers that move elements, and those that make them. */

static const char *const pad_modes[] = {
    [INFER_SAMPLE_MODE_STRICT_BOUNDS] = NULL, [INFER_SAMPLE_MODE_WRAP] = "wrap",
    [INFER_SAMPLE_MODE_CLAMP] = "edge",       [INFER_SAMPLE_MODE_FILL] = "constant",
    [INFER_SAMPLE_MODE_REFLECT] = "reflect",
};

InferTensor *
infer_network_add_concatenation(InferNetwork *network, InferTensor *const *inputs, guint n_inputs,
                                gint64 axis, const char *name, GError **error)
{
  INFER_LAYER("concatenation");

  for (guint i = 0; i < n_inputs; i++)
    if (!infer_layer_needs(&layer, inputs[i], INFER_LAYER_END))
      return NULL;
  return infer_layer_last(&layer, "Concat", inputs, n_inputs, INFER_ATTRS(INFER_INT("axis", axis)));
}

/* Pads the last dimensions, before and after. */
static InferTensor *
pad(InferLayer *layer, gboolean last, InferTensor *input, const InferDims *pre,
    const InferDims *post, InferSampleMode mode, double value)
{
  gint64 pads[2 * INFER_MAX_DIMS], axes[INFER_MAX_DIMS];
  gint n = pre->n;
  InferTensor *inputs[4] = {input};

  memcpy(pads, pre->d, (gsize)n * sizeof *pads);
  memcpy(pads + n, post->d, (gsize)n * sizeof *pads);
  for (gint i = 0; i < n; i++)
    axes[i] = i - n;
  inputs[1] = infer_layer_ints(layer, pads, 2 * (gsize)n);
  inputs[2] = mode == INFER_SAMPLE_MODE_FILL ? infer_layer_number(layer, input->type, value) : NULL;
  inputs[3] = infer_layer_ints(layer, axes, (gsize)n);
  return (last ? infer_layer_last : infer_layer_part)(
      layer, "Pad", inputs, 4, infer_attrs_new("mode", 's', pad_modes[mode], NULL));
}

InferTensor *
infer_network_add_padding(InferNetwork *network, InferTensor *input, const InferDims *pre_padding,
                          const InferDims *post_padding, InferSampleMode mode, double value,
                          const char *name, GError **error)
{
  INFER_LAYER("padding");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !infer_layer_list(&layer, "pre-padding", pre_padding, -1) ||
      !infer_layer_list(&layer, "post-padding", post_padding, pre_padding->n) ||
      !infer_layer_choice(&layer, "mode", (int)mode, G_N_ELEMENTS(pad_modes)))
    return NULL;
  if (!pad_modes[mode]) {
    infer_layer_error(&layer, INFER_ERROR_ARGUMENT, "strict bounds say nothing of what is added");
    return NULL;
  }
  return pad(&layer, TRUE, input, pre_padding, post_padding, mode, value);
}

InferTensor *
infer_network_add_shuffle(InferNetwork *network, InferTensor *input,
                          const InferDims *first_permutation, const InferDims *dims,
                          gboolean zero_is_placeholder, const InferDims *second_permutation,
                          const char *name, GError **error)
{
  INFER_LAYER("shuffle");
  const InferDims *const steps[] = {first_permutation, dims, second_permutation};
  static const char *const whats[] = {"first permutation", "dims", "second permutation"};
  guint left = 0;

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END))
    return NULL;
  for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
    if (steps[i] && !infer_layer_list(&layer, whats[i], steps[i], -1))
      return NULL;
    left += steps[i] != NULL;
  }
  if (left == 0)
    return INFER_LAST("Identity", NULL, input);
  for (guint i = 0; i < G_N_ELEMENTS(steps); i++) {
    InferTensor *inputs[2] = {input};
    GVariant *attrs;

    if (!steps[i])
      continue;
    if (i == 1)
      inputs[1] = infer_layer_list_constant(&layer, dims);
    attrs = i == 1 ? INFER_ATTRS(INFER_INT("allowzero", !zero_is_placeholder))
                   : INFER_ATTRS(INFER_INTS("perm", steps[i]));
    input = (--left ? infer_layer_part : infer_layer_last)(&layer, i == 1 ? "Reshape" : "Transpose",
                                                           inputs, i == 1 ? 2 : 1, attrs);
  }
  return input;
}

InferTensor *
infer_network_add_squeeze(InferNetwork *network, InferTensor *input, const InferDims *axes,
                          const char *name, GError **error)
{
  INFER_LAYER("squeeze");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      (axes && !infer_layer_list(&layer, "axes", axes, -1)))
    return NULL;
  if (!axes)
    return INFER_LAST("Squeeze", NULL, input);
  return INFER_LAST("Squeeze", NULL, input, infer_layer_list_constant(&layer, axes));
}

InferTensor *
infer_network_add_unsqueeze(InferNetwork *network, InferTensor *input, const InferDims *axes,
                            const char *name, GError **error)
{
  INFER_LAYER("unsqueeze");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !infer_layer_list(&layer, "axes", axes, -1))
    return NULL;
  return INFER_LAST("Unsqueeze", NULL, input, infer_layer_list_constant(&layer, axes));
}

InferTensor *
infer_network_add_shape(InferNetwork *network, InferTensor *input, const char *name, GError **error)
{
  INFER_LAYER("shape");

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END))
    return NULL;
  return INFER_LAST("Shape", NULL, input);
}

/* --- slice --- */

/* No tensor has a dimension like this; keeps sums from wrapping. */
#define LARGEST ((gint64)1 << 48)

/* What a slice reads of one dimension. */
typedef struct {
  gint64 start, size, stride;
  gint64 first, last; /* the lowest and the highest element, where the size is known */
} Range;

static gboolean
read_range(InferLayer *layer, gint axis, gint64 in, Range *range)
{
  gint64 end;

  if (range->stride == 0 || ABS(CLAMP(range->stride, -LARGEST, LARGEST)) == LARGEST)
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT, "stride %d is %" G_GINT64_FORMAT, axis,
                             range->stride);
  if (range->start > LARGEST || range->start < -LARGEST)
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT, "start %d is %" G_GINT64_FORMAT, axis,
                             range->start);
  if (range->size < -1 || (range->size == -1 && (range->stride < 0 || range->start < 0)))
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT,
                             "size %d is %" G_GINT64_FORMAT
                             "; -1 can be with a start of 0 or more and a stride above 0",
                             axis, range->size);
  if (range->size == -1 && in >= 0)
    range->size = in <= range->start ? 0 : (in - range->start - 1) / range->stride + 1;
  if (range->size <= 0) {
    range->first = range->last = range->start;
    return TRUE;
  }
  if (__builtin_mul_overflow(range->size - 1, range->stride, &end) ||
      __builtin_add_overflow(range->start, end, &end) || MAX(range->start, end) > LARGEST ||
      MIN(range->start, end) < -LARGEST)
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT, "dimension %d is too large", axis);
  range->first = MIN(range->start, end);
  range->last = MAX(range->start, end);
  return TRUE;
}

static gboolean
check_strict(InferLayer *layer, gint axis, gint64 in, const Range *range)
{
  if (range->size == 0 || (range->first >= 0 && (in < 0 || range->last < in)))
    return TRUE;
  return infer_layer_error(layer, INFER_ERROR_SHAPE,
                           "it reads elements %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
                           " of dimension %d, which has %" G_GINT64_FORMAT,
                           range->first, range->last, axis, in);
}

/* Makes the input as large as what is read of it. */
static InferTensor *
pad_for(InferLayer *layer, InferTensor *input, Range *ranges, InferSampleMode mode, double value)
{
  InferDims pre = {.n = input->dims.n}, post = pre;
  gboolean any = FALSE;

  for (gint i = 0; i < pre.n; i++) {
    gint64 in = input->dims.d[i];

    if (in < 0) {
      infer_layer_error(layer, INFER_ERROR_UNSUPPORTED,
                        "dimension %d has to be constant to be read outside", i);
      return NULL;
    }
    if (ranges[i].size <= 0)
      continue;
    pre.d[i] = ranges[i].first < 0 ? -ranges[i].first : 0;
    post.d[i] = ranges[i].last >= in ? ranges[i].last - in + 1 : 0;
    ranges[i].start += pre.d[i];
    any = any || pre.d[i] || post.d[i];
  }
  return any ? pad(layer, FALSE, input, &pre, &post, mode, value) : input;
}

/* The element that a slice stops before. */
static gint64
end_of(const Range *range)
{
  gint64 end;

  if (range->size < 0)
    return G_MAXINT64;
  if (range->size == 0)
    return range->start;
  end = range->start + (range->size - 1) * range->stride;
  if (range->stride > 0)
    return end + 1;
  return end > 0 ? end - 1 : G_MININT64; /* -1 would be the last element */
}

InferTensor *
infer_network_add_slice(InferNetwork *network, InferTensor *input, const InferDims *start,
                        const InferDims *size, const InferDims *stride, InferSampleMode mode,
                        double value, const char *name, GError **error)
{
  INFER_LAYER("slice");
  Range ranges[INFER_MAX_DIMS];
  InferDims starts, ends, axes, steps;
  gint n;

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !infer_layer_list(&layer, "start", start, input->dims.n) ||
      !infer_layer_list(&layer, "size", size, start->n) ||
      (stride && !infer_layer_list(&layer, "stride", stride, start->n)) ||
      !infer_layer_choice(&layer, "mode", (int)mode, G_N_ELEMENTS(pad_modes)))
    return NULL;
  n = start->n;
  steps = infer_layer_list_or(stride, n, 1);
  starts = ends = axes = (InferDims){.n = n};
  for (gint i = 0; i < n; i++) {
    gint64 in = input->dims.n < 0 ? -1 : input->dims.d[i];

    ranges[i] = (Range){.start = start->d[i], .size = size->d[i], .stride = steps.d[i]};
    if (!read_range(&layer, i, in, &ranges[i]) ||
        (!pad_modes[mode] && !check_strict(&layer, i, in, &ranges[i])))
      return NULL;
  }
  if (pad_modes[mode])
    input = pad_for(&layer, input, ranges, mode, value);
  for (gint i = 0; i < n; i++) {
    starts.d[i] = ranges[i].start;
    ends.d[i] = end_of(&ranges[i]);
    axes.d[i] = i;
  }
  return INFER_LAST("Slice", NULL, input, infer_layer_list_constant(&layer, &starts),
                    infer_layer_list_constant(&layer, &ends),
                    infer_layer_list_constant(&layer, &axes),
                    infer_layer_list_constant(&layer, &steps));
}

/* --- resize --- */

static const char *const resize_modes[] = {
    [INFER_RESIZE_MODE_NEAREST] = "nearest",
    [INFER_RESIZE_MODE_LINEAR] = "linear",
    [INFER_RESIZE_MODE_CUBIC] = "cubic",
};

static const char *const coordinate_modes[] = {
    [INFER_COORDINATES_HALF_PIXEL] = "half_pixel",
    [INFER_COORDINATES_ASYMMETRIC] = "asymmetric",
    [INFER_COORDINATES_ALIGN_CORNERS] = "align_corners",
};

static const char *const nearest_modes[] = {
    [INFER_RESIZE_ROUND_HALF_DOWN] = "round_prefer_floor",
    [INFER_RESIZE_ROUND_HALF_UP] = "round_prefer_ceil",
    [INFER_RESIZE_ROUND_FLOOR] = "floor",
    [INFER_RESIZE_ROUND_CEIL] = "ceil",
};

static InferTensor *
scales_constant(InferLayer *layer, const double *scales, guint n)
{
  g_autoptr(InferArray) array =
      infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS((gint64)n), layer->error);

  layer->failed = layer->failed || !array;
  if (!array)
    return NULL;
  for (guint i = 0; i < n; i++)
    infer_array_set_double(array, i, scales[i]);
  return infer_layer_constant(layer, "scales", array, NULL);
}

InferTensor *
infer_network_add_resize(InferNetwork *network, InferTensor *input, const InferDims *dims,
                         const double *scales, guint n_scales, InferResizeMode mode,
                         InferCoordinates coordinates, InferResizeRound rounding,
                         double cubic_coefficient, gboolean exclude_outside, const char *name,
                         GError **error)
{
  INFER_LAYER("resize");
  InferTensor *inputs[4] = {input};

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "mode", (int)mode, G_N_ELEMENTS(resize_modes)) ||
      !infer_layer_choice(&layer, "coordinates", (int)coordinates,
                          G_N_ELEMENTS(coordinate_modes)) ||
      !infer_layer_choice(&layer, "rounding", (int)rounding, G_N_ELEMENTS(nearest_modes)) ||
      (dims && !infer_layer_list(&layer, "dims", dims, input->dims.n)))
    return NULL;
  if ((dims != NULL) == (n_scales > 0) || n_scales > INFER_MAX_DIMS) {
    infer_layer_error(&layer, INFER_ERROR_ARGUMENT,
                      "either dimensions or scales are needed, at most %d", INFER_MAX_DIMS);
    return NULL;
  }
  if (dims)
    inputs[3] = infer_layer_list_constant(&layer, dims);
  else
    inputs[2] = scales_constant(&layer, scales, n_scales);
  return infer_layer_last(
      &layer, "Resize", inputs, dims ? 4 : 3,
      infer_attrs_new("mode", 's', resize_modes[mode], "coordinate_transformation_mode", 's',
                      coordinate_modes[coordinates], "nearest_mode", 's', nearest_modes[rounding],
                      "cubic_coeff_a", 'f', cubic_coefficient, "exclude_outside", 'i',
                      (gint64)(exclude_outside && mode == INFER_RESIZE_MODE_CUBIC), NULL));
}

/* --- fill --- */

static InferTensor *
fill_constant(InferLayer *layer, const InferDims *dims, double alpha, double beta, InferType type)
{
  g_autoptr(InferArray) array = infer_array_new(type, dims, layer->error);
  InferTensor *value;

  layer->failed = layer->failed || !array;
  if (!array)
    return NULL;
  for (gint64 i = 0; i < infer_array_count(array); i++)
    infer_array_set_double(array, (gsize)i, alpha + beta * (double)i);
  value = infer_layer_constant(layer, "elements", array, NULL);
  return infer_layer_last(layer, "Identity", &value, 1, NULL);
}

InferTensor *
infer_network_add_fill(InferNetwork *network, const InferDims *dims, InferFill operation,
                       double alpha, double beta, InferType type, gint64 seed, const char *name,
                       GError **error)
{
  INFER_LAYER("fill");
  gboolean normal = operation == INFER_FILL_RANDOM_NORMAL;

  if (!infer_layer_needs(&layer, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "operation", (int)operation, 4) ||
      !infer_layer_list(&layer, "dims", dims, -1))
    return NULL;
  if (operation == INFER_FILL_CONSTANT || operation == INFER_FILL_LINSPACE)
    return fill_constant(&layer, dims, alpha, operation == INFER_FILL_LINSPACE ? beta : 0, type);
  return infer_layer_last(&layer, normal ? "RandomNormal" : "RandomUniform", NULL, 0,
                          INFER_ATTRS(INFER_INTS("shape", dims), INFER_INT("dtype", type),
                                      INFER_REAL(normal ? "mean" : "low", alpha),
                                      INFER_REAL(normal ? "scale" : "high", beta),
                                      INFER_REAL("seed", seed)));
}
