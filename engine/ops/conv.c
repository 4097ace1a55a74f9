/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/window.h"

/* The outputs for which tap @tap of dimension @i lies inside the input. */
static void
tap_range(const InferSlide *s, gint i, gint64 tap, gint64 *first, gint64 *last)
{
  gint64 offset = tap * s->dilation[i] - s->begin[i];

  *first = offset >= 0 ? 0 : (-offset + s->stride[i] - 1) / s->stride[i];
  *last = s->in[i] <= offset ? 0 : MIN(s->out[i], (s->in[i] - 1 - offset) / s->stride[i] + 1);
}

/* Adds one channel of the input, convolved, to one channel of the output: tap by tap, so that the
 * innermost loop runs along a row of the output. */
#define DEFINE_CONV(T)                                                                             \
  static void add_row_##T(T weight, const T *x, gint64 stride, T *y, gint64 n)                     \
  {                                                                                                \
    if (stride == 1)                                                                               \
      for (gint64 i = 0; i < n; i++)                                                               \
        y[i] += weight * x[i];                                                                     \
    else                                                                                           \
      for (gint64 i = 0; i < n; i++)                                                               \
        y[i] += weight * x[i * stride];                                                            \
  }                                                                                                \
  static void add_tap_##T(const InferSlide *s, const gint64 *tap, T weight, const T *x, T *y)      \
  {                                                                                                \
    gint64 first[INFER_WINDOW_MAX], last[INFER_WINDOW_MAX], at[INFER_WINDOW_MAX];                  \
    for (gint i = 0; i < INFER_WINDOW_MAX; i++) {                                                  \
      tap_range(s, i, tap[i], &first[i], &last[i]);                                                \
      if (first[i] >= last[i])                                                                     \
        return;                                                                                    \
      at[i] = tap[i] * s->dilation[i] - s->begin[i];                                               \
    }                                                                                              \
    for (gint64 d = first[0]; d < last[0]; d++)                                                    \
      for (gint64 h = first[1]; h < last[1]; h++) {                                                \
        gint64 row = (d * s->stride[0] + at[0]) * s->in[1] + h * s->stride[1] + at[1];             \
        add_row_##T(weight, x + row * s->in[2] + first[2] * s->stride[2] + at[2], s->stride[2],    \
                    y + (d * s->out[1] + h) * s->out[2] + first[2], last[2] - first[2]);           \
      }                                                                                            \
  }                                                                                                \
  static void add_plane_##T(const InferSlide *s, const T *w, const T *x, T *y)                     \
  {                                                                                                \
    gint64 tap[INFER_WINDOW_MAX];                                                                  \
    for (tap[0] = 0; tap[0] < s->kernel[0]; tap[0]++)                                              \
      for (tap[1] = 0; tap[1] < s->kernel[1]; tap[1]++)                                            \
        for (tap[2] = 0; tap[2] < s->kernel[2]; tap[2]++)                                          \
          add_tap_##T(s, tap, *w++, x, y);                                                         \
  }                                                                                                \
  static gboolean conv_##T(const InferSlide *s, const Channels *c, const T *x, const T *w,         \
                           const T *bias, T *y, GError **error)                                    \
  {                                                                                                \
    gint64 per_group = c->out / c->groups;                                                         \
    for (gint64 n = 0; n < c->batch; n++)                                                          \
      for (gint64 m = 0; m < c->out; m++) {                                                        \
        T *plane = y + (n * c->out + m) * c->out_plane;                                            \
        const T *from = x + (n * c->groups + m / per_group) * c->in * c->in_plane;                 \
        if (!infer_op_go_on(error))                                                                \
          return FALSE;                                                                            \
        for (gint64 i = 0; i < c->out_plane; i++)                                                  \
          plane[i] = bias ? bias[m] : 0;                                                           \
        for (gint64 k = 0; k < c->in; k++)                                                         \
          add_plane_##T(s, w + (m * c->in + k) * c->taps, from + k * c->in_plane, plane);          \
      }                                                                                            \
    return TRUE;                                                                                   \
  }

/* in: channels of a group */
typedef struct {
  gint64 batch, groups, in, out, taps, in_plane, out_plane;
} Channels;

DEFINE_CONV(float)
DEFINE_CONV(double)

static gboolean
check_types(const InferShapeArgs *args, GError **error)
{
  for (guint i = 0; i < args->n_in; i++) {
    if (i == 2 && args->in[i].type == INFER_TYPE_UNDEFINED)
      continue;
    if (!infer_op_require_type(args, i, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                               INFER_TYPE_UNDEFINED))
      return FALSE;
    if (args->in[i].type != args->in[0].type)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is %s, input 0 is %s",
                            i, infer_type_name(args->in[i].type),
                            infer_type_name(args->in[0].type));
  }
  return TRUE;
}

static gboolean
check_channels(const InferShapeArgs *args, gint64 in, const InferDims *w, GError **error)
{
  gint64 group = infer_node_get_int(args->node, "group", 1), want;

  if (group < 1)
    return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT,
                          "group is %" G_GINT64_FORMAT ", at least 1 is needed", group);
  if (w->d[1] >= 0 && __builtin_mul_overflow(w->d[1], group, &want))
    want = -1;
  if (w->d[1] >= 0 && in >= 0 && in != want)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "the input has %" G_GINT64_FORMAT
                          " channels, the weight expects %" G_GINT64_FORMAT
                          " in each of %" G_GINT64_FORMAT " groups",
                          in, w->d[1], group);
  if (w->d[0] >= 0 && w->d[0] % group != 0)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "%" G_GINT64_FORMAT
                          " output channels do not divide into %" G_GINT64_FORMAT " groups",
                          w->d[0], group);
  if (w->d[0] == 0 || w->d[1] == 0)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "the weight is empty");
  return TRUE;
}

static gboolean
check_bias(const InferShapeArgs *args, gint64 *out, GError **error)
{
  const InferDims *dims;

  if (args->n_in < 3 || args->in[2].type == INFER_TYPE_UNDEFINED || args->in[2].dims.n < 0)
    return TRUE;
  dims = &args->in[2].dims;
  if (dims->n != 1 || (dims->d[0] >= 0 && *out >= 0 && dims->d[0] != *out)) {
    g_autofree char *text = infer_dims_to_string(dims);
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "the bias is %s, the weight has %" G_GINT64_FORMAT " output channels",
                          text, *out);
  }
  if (*out < 0)
    *out = dims->d[0];
  return TRUE;
}

static InferDims
unknown_dims(gint n)
{
  InferDims dims = {.n = n};

  for (gint i = 0; i < n; i++)
    dims.d[i] = INFER_DIM_UNKNOWN;
  return dims;
}

static gboolean
conv_infer(InferShapeArgs *args, GError **error)
{
  InferDims x = args->in[0].dims, w = args->in[1].dims;
  InferDims *out = &args->out[0].dims;
  gint rank = x.n >= 0 ? x.n : w.n;
  InferWindow window;

  if (!check_types(args, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if (rank < 0)
    return TRUE;
  if (rank < 3 || rank > 2 + INFER_WINDOW_MAX)
    return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                          "an input of %d dimensions; supported are 3 to 5", rank);
  if (x.n < 0)
    x = unknown_dims(rank);
  if (w.n < 0)
    w = unknown_dims(rank);
  if (x.n != w.n)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "the input has %d dimensions, the weight %d", x.n, w.n);
  *out = unknown_dims(rank);
  out->d[0] = x.d[0];
  out->d[1] = w.d[0];
  return check_channels(args, x.d[1], &w, error) && check_bias(args, &out->d[1], error) &&
         infer_window_read(args->node, rank - 2, w.d + 2, &window, error) &&
         infer_window_output(args->node, &window, x.d + 2, out->d + 2, error);
}

static gboolean
conv_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0], *w = args->in[1];
  const InferArray *bias = args->n_in > 2 ? args->in[2] : NULL;
  InferArray *y = args->out[0];
  Channels channels = {.batch = x->dims.d[0],
                       .groups = infer_node_get_int(args->node, "group", 1),
                       .in = w->dims.d[1],
                       .out = w->dims.d[0],
                       .taps = 1,
                       .in_plane = 1,
                       .out_plane = 1};
  InferWindow window;
  InferSlide slide;

  if (infer_array_count(y) == 0)
    return TRUE;
  if (!infer_window_read(args->node, x->dims.n - 2, w->dims.d + 2, &window, error))
    return FALSE;
  infer_window_slide(&window, x->dims.d + 2, y->dims.d + 2, &slide);
  for (gint i = 0; i < INFER_WINDOW_MAX; i++) {
    channels.taps *= slide.kernel[i];
    channels.in_plane *= slide.in[i];
    channels.out_plane *= slide.out[i];
  }
  if (x->type == INFER_TYPE_FLOAT)
    return conv_float(&slide, &channels, x->data, w->data, bias ? bias->data : NULL, y->data,
                      error);
  return conv_double(&slide, &channels, x->data, w->data, bias ? bias->data : NULL, y->data, error);
}

static const InferAttrSpec conv_attrs[] = {{"auto_pad", 's', FALSE}, {"dilations", 'I', FALSE},
                                           {"group", 'i', FALSE},    {"kernel_shape", 'I', FALSE},
                                           {"pads", 'I', FALSE},     {"strides", 'I', FALSE},
                                           {NULL, 0, FALSE}};

static const InferOp conv = {.name = "Conv",
                             .version = 11,
                             .min_inputs = 2,
                             .max_inputs = 3,
                             .min_outputs = 1,
                             .max_outputs = 1,
                             .attrs = conv_attrs,
                             .infer = conv_infer,
                             .eval = conv_eval};

extern const InferOp *const infer_ops_conv[];
const InferOp *const infer_ops_conv[] = {&conv, NULL};
