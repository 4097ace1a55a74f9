/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/quantized.h"
#include "ops/window.h"

/* Convolutions of 8-bit integers: as 32-bit sums, or quantized again. Padding is the input's zero
 * point, so that it adds nothing. */

typedef struct {
  guint x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias;
} Layout;

static const Layout plain = {.x = 0, .w = 1, .x_zero = 2, .w_zero = 3};
static const Layout quantized = {0, 1, 2, 3, 4, 5, 6, 7, 8};

/* One parameter for all, or one for each channel of the output. */
static gboolean
check_per_channel(const InferShapeArgs *args, guint index, gint64 channels, GError **error)
{
  const InferDims *dims = index < args->n_in ? &args->in[index].dims : NULL;

  if (!infer_check_present(args, index) || dims->n <= 0 || (dims->n == 1 && dims->d[0] == 1))
    return TRUE;
  return infer_check_vector(args, index, &channels, error);
}

static gboolean
conv_dims(InferShapeArgs *args, const Layout *l, GError **error)
{
  InferDims x = args->in[l->x].dims, w = args->in[l->w].dims, *out = &args->out[0].dims;
  gint rank = x.n >= 0 ? x.n : w.n;
  InferWindow window;
  gint64 group;

  if (!infer_check_int(args->node, "group", 1, 1, G_MAXINT32, &group, error))
    return FALSE;
  if (rank < 0)
    return TRUE;
  if (rank < 3 || rank > 2 + INFER_WINDOW_MAX || (w.n >= 0 && w.n != rank))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "the input has %d dimensions and the weight %d; supported are 3 to 5 for "
                          "both",
                          rank, w.n);
  x = x.n < 0 ? infer_check_unknown(rank) : x;
  w = w.n < 0 ? infer_check_unknown(rank) : w;
  if ((x.d[1] >= 0 && w.d[1] >= 0 && x.d[1] != infer_check_product(w.d[1], group)) || w.d[0] == 0 ||
      w.d[1] == 0 || (w.d[0] >= 0 && w.d[0] % group != 0))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "%" G_GINT64_FORMAT " channels do not fit a weight of %" G_GINT64_FORMAT
                          " x %" G_GINT64_FORMAT " in %" G_GINT64_FORMAT " groups",
                          x.d[1], w.d[0], w.d[1], group);
  *out = infer_check_unknown(rank);
  out->d[0] = x.d[0];
  out->d[1] = w.d[0];
  return check_per_channel(args, l->w_zero, w.d[0], error) &&
         (l->w_scale == 0 || check_per_channel(args, l->w_scale, w.d[0], error)) &&
         (l->bias == 0 || infer_check_vector(args, l->bias, &out->d[1], error)) &&
         infer_window_read(args->node, rank - 2, w.d + 2, &window, error) &&
         infer_window_output(args->node, &window, x.d + 2, out->d + 2, error);
}

static gboolean
check_operands(InferShapeArgs *args, const Layout *l, GError **error)
{
  return infer_q8_require(args, l->x, l->x, error) && infer_q8_require(args, l->w, l->w, error) &&
         infer_q8_require(args, l->x_zero, l->x, error) &&
         infer_q8_require(args, l->w_zero, l->w, error) &&
         infer_check_scalar(args, l->x_zero, error) && conv_dims(args, l, error);
}

static gboolean
plain_infer(InferShapeArgs *args, GError **error)
{
  args->out[0].type = INFER_TYPE_INT32;
  return check_operands(args, &plain, error);
}

static gboolean
quantized_infer(InferShapeArgs *args, GError **error)
{
  const Layout *l = &quantized;
  const guint scales[] = {l->x_scale, l->w_scale, l->y_scale};

  for (guint i = 0; i < G_N_ELEMENTS(scales); i++)
    if (!infer_op_require_type(args, scales[i], error, INFER_TYPE_FLOAT, INFER_TYPE_UNDEFINED))
      return FALSE;
  if (infer_check_present(args, l->bias) &&
      !infer_op_require_type(args, l->bias, error, INFER_TYPE_INT32, INFER_TYPE_UNDEFINED))
    return FALSE;
  args->out[0].type = args->in[l->y_zero].type;
  return infer_q8_require(args, l->y_zero, l->y_zero, error) &&
         infer_check_scalar(args, l->x_scale, error) &&
         infer_check_scalar(args, l->y_scale, error) &&
         infer_check_scalar(args, l->y_zero, error) && check_operands(args, l, error);
}

/* The sum of one element of the output, over the taps of all channels of its group. */
static gint32
sum_at(const InferSlide *s, const InferArray *x, gint64 x_at, const InferArray *w, gint64 w_at,
       gint64 channels, gint32 x_zero, gint32 w_zero, const gint64 *at)
{
  gint64 plane = s->in[0] * s->in[1] * s->in[2], tap[INFER_WINDOW_MAX];
  gint32 sum = 0;

  for (gint64 c = 0; c < channels; c++, x_at += plane)
    for (tap[0] = 0; tap[0] < s->kernel[0]; tap[0]++)
      for (tap[1] = 0; tap[1] < s->kernel[1]; tap[1]++)
        for (tap[2] = 0; tap[2] < s->kernel[2]; tap[2]++, w_at++) {
          gint64 from = 0;
          gboolean inside = TRUE;

          for (gint i = 0; i < INFER_WINDOW_MAX; i++) {
            gint64 p = at[i] * s->stride[i] - s->begin[i] + tap[i] * s->dilation[i];

            inside = inside && p >= 0 && p < s->in[i];
            from = from * s->in[i] + p;
          }
          if (inside)
            sum = infer_q8_mac(sum, infer_q8(x, x_at + from) - x_zero, infer_q8(w, w_at) - w_zero);
        }
  return sum;
}

static float
scale_of(const InferArray *scale, gint64 i)
{
  return ((const float *)scale->data)[infer_array_count(scale) == 1 ? 0 : i];
}

static void
store(const InferEvalArgs *args, gint64 channel, gint64 to, gint32 sum)
{
  const Layout *l = &quantized;
  const InferArray *bias = args->n_in > l->bias ? args->in[l->bias] : NULL;
  float factor;

  if (args->out[0]->type == INFER_TYPE_INT32) {
    ((gint32 *)args->out[0]->data)[to] = sum;
    return;
  }
  if (bias)
    sum = infer_q8_mac(sum, ((const gint32 *)bias->data)[channel], 1);
  factor = scale_of(args->in[l->x_scale], 0) * scale_of(args->in[l->w_scale], channel) /
           scale_of(args->in[l->y_scale], 0);
  infer_q8_store(args->out[0], to, sum, factor, infer_q8_zero(args->in[l->y_zero], 0));
}

static gboolean
convolve(const InferEvalArgs *args, const Layout *l, GError **error)
{
  const InferArray *x = args->in[l->x], *w = args->in[l->w];
  const InferArray *x_zero = l->x_zero < args->n_in ? args->in[l->x_zero] : NULL;
  const InferArray *w_zero = l->w_zero < args->n_in ? args->in[l->w_zero] : NULL;
  gint64 m = w->dims.d[0], channels = w->dims.d[1], to = 0, in_plane, taps;
  gint64 per_group = m / infer_node_get_int(args->node, "group", 1);
  InferWindow window;
  InferSlide s;

  if (infer_array_count(args->out[0]) == 0)
    return TRUE;
  if (!infer_window_read(args->node, x->dims.n - 2, w->dims.d + 2, &window, error))
    return FALSE;
  infer_window_slide(&window, x->dims.d + 2, args->out[0]->dims.d + 2, &s);
  in_plane = s.in[0] * s.in[1] * s.in[2];
  taps = s.kernel[0] * s.kernel[1] * s.kernel[2];
  for (gint64 nm = 0; nm < x->dims.d[0] * m; nm++) {
    gint64 c = nm % m, from = nm / m * x->dims.d[1] + c / per_group * channels;
    gint64 at[INFER_WINDOW_MAX];

    if (!infer_op_go_on(error))
      return FALSE;
    for (at[0] = 0; at[0] < s.out[0]; at[0]++)
      for (at[1] = 0; at[1] < s.out[1]; at[1]++)
        for (at[2] = 0; at[2] < s.out[2]; at[2]++, to++)
          store(args, c, to,
                sum_at(&s, x, from * in_plane, w, c * channels * taps, channels,
                       infer_q8_zero(x_zero, 0), infer_q8_zero(w_zero, c), at));
  }
  return TRUE;
}

static gboolean
plain_eval(const InferEvalArgs *args, GError **error)
{
  return convolve(args, &plain, error);
}

static gboolean
quantized_eval(const InferEvalArgs *args, GError **error)
{
  return convolve(args, &quantized, error);
}

static const InferAttrSpec attrs[] = {{"auto_pad", 's', FALSE}, {"dilations", 'I', FALSE},
                                      {"group", 'i', FALSE},    {"kernel_shape", 'I', FALSE},
                                      {"pads", 'I', FALSE},     {"strides", 'I', FALSE},
                                      {NULL, 0, FALSE}};

static const InferOp conv_integer = {.name = "ConvInteger",
                                     .version = 10,
                                     .min_inputs = 2,
                                     .max_inputs = 4,
                                     .min_outputs = 1,
                                     .max_outputs = 1,
                                     .attrs = attrs,
                                     .infer = plain_infer,
                                     .eval = plain_eval};
static const InferOp qlinear_conv = {.name = "QLinearConv",
                                     .version = 10,
                                     .min_inputs = 8,
                                     .max_inputs = 9,
                                     .min_outputs = 1,
                                     .max_outputs = 1,
                                     .attrs = attrs,
                                     .infer = quantized_infer,
                                     .eval = quantized_eval};

extern const InferOp *const infer_ops_qconv[];
const InferOp *const infer_ops_qconv[] = {&conv_integer, &qlinear_conv, NULL};
