/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"
#include "ops/window.h"

/* The padding that the attributes leave: given, or what is left over for a wanted output. */
typedef struct {
  InferWindow window;
  gint64 more[INFER_WINDOW_MAX];   /* output_padding */
  gint64 wanted[INFER_WINDOW_MAX]; /* output_shape; -1 where it is not given */
} Transposed;

/* Channels of the input and of the output, of one group. */
typedef struct {
  gint64 batch, groups, in, out, taps, in_plane, out_plane;
} Channels;

/* Adds one channel of the input to one channel of the output. The slide is that of the convolution
 * whose gradient this is: its input is our output. */
#define DEFINE_SCATTER(T)                                                                          \
  static void scatter_tap_##T(const InferSlide *s, const gint64 *tap, T weight, const T *x, T *y)  \
  {                                                                                                \
    gint64 first[INFER_WINDOW_MAX], last[INFER_WINDOW_MAX], at[INFER_WINDOW_MAX];                  \
    for (gint i = 0; i < INFER_WINDOW_MAX; i++) {                                                  \
      at[i] = tap[i] * s->dilation[i] - s->begin[i];                                               \
      first[i] = at[i] >= 0 ? 0 : (-at[i] + s->stride[i] - 1) / s->stride[i];                      \
      last[i] = s->in[i] <= at[i] ? 0 : MIN(s->out[i], (s->in[i] - 1 - at[i]) / s->stride[i] + 1); \
    }                                                                                              \
    for (gint64 d = first[0]; d < last[0]; d++)                                                    \
      for (gint64 h = first[1]; h < last[1]; h++) {                                                \
        const T *from = x + (d * s->out[1] + h) * s->out[2];                                       \
        gint64 row = (d * s->stride[0] + at[0]) * s->in[1] + h * s->stride[1] + at[1];             \
        T *to = y + row * s->in[2];                                                                \
        for (gint64 w = first[2]; w < last[2]; w++)                                                \
          to[w * s->stride[2] + at[2]] += weight * from[w];                                        \
      }                                                                                            \
  }                                                                                                \
  static void scatter_plane_##T(const InferSlide *s, const T *w, const T *x, T *y)                 \
  {                                                                                                \
    gint64 tap[INFER_WINDOW_MAX];                                                                  \
    for (tap[0] = 0; tap[0] < s->kernel[0]; tap[0]++)                                              \
      for (tap[1] = 0; tap[1] < s->kernel[1]; tap[1]++)                                            \
        for (tap[2] = 0; tap[2] < s->kernel[2]; tap[2]++)                                          \
          scatter_tap_##T(s, tap, *w++, x, y);                                                     \
  }                                                                                                \
  static gboolean scatter_##T(const InferSlide *s, const Channels *c, const T *x, const T *w,      \
                              const T *bias, T *y, GError **error)                                 \
  {                                                                                                \
    for (gint64 n = 0; n < c->batch; n++)                                                          \
      for (gint64 m = 0; m < c->out * c->groups; m++) {                                            \
        T *plane = y + (n * c->groups * c->out + m) * c->out_plane;                                \
        gint64 first = m / c->out * c->in;                                                         \
        if (!infer_op_go_on(error))                                                                \
          return FALSE;                                                                            \
        for (gint64 i = 0; i < c->out_plane; i++)                                                  \
          plane[i] = bias ? bias[m] : 0;                                                           \
        for (gint64 k = first; k < first + c->in; k++)                                             \
          scatter_plane_##T(s, w + (k * c->out + m % c->out) * c->taps,                            \
                            x + (n * c->groups * c->in + k) * c->in_plane, plane);                 \
      }                                                                                            \
    return TRUE;                                                                                   \
  }

DEFINE_SCATTER(float)
DEFINE_SCATTER(double)

static gboolean
read_transposed(const InferNode *node, gint n, const gint64 *kernel, Transposed *t, GError **error)
{
  if (!infer_window_read(node, n, kernel, &t->window, error) ||
      !infer_check_ints(node, "output_padding", n, 0, 0, t->more, error) ||
      !infer_check_ints(node, "output_shape", n, 1, -1, t->wanted, error))
    return FALSE;
  for (gint i = 0; i < n; i++)
    if (t->more[i] >= MAX(t->window.stride[i], t->window.dilation[i]))
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                            "output_padding %" G_GINT64_FORMAT
                            " is not less than the stride or the dilation",
                            t->more[i]);
  return TRUE;
}

static gboolean
is_same(const Transposed *t)
{
  return t->window.auto_pad == INFER_PAD_SAME_UPPER || t->window.auto_pad == INFER_PAD_SAME_LOWER;
}

static gint64
extent(const Transposed *t, gint i)
{
  return (t->window.kernel[i] - 1) * t->window.dilation[i] + 1;
}

static gboolean
output_dim(const InferNode *node, const Transposed *t, gint i, gint64 in, gint64 *out,
           GError **error)
{
  const InferWindow *w = &t->window;
  gint64 grown;

  *out = t->wanted[i] > 0 ? t->wanted[i] : INFER_DIM_UNKNOWN;
  if (in < 0) {
    if (t->wanted[i] < 0 && w->stride[i] == 1 &&
        (is_same(t) ||
         (w->kernel[i] > 0 && extent(t, i) - 1 + t->more[i] == w->begin[i] + w->end[i])))
      *out = in;
    return TRUE;
  }
  if (in == 0 || __builtin_mul_overflow(in, w->stride[i], &grown) || grown > G_MAXINT64 / 4)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "spatial dimension %d of %" G_GINT64_FORMAT " is not possible", i, in);
  if (t->wanted[i] > 0)
    return TRUE;
  if (is_same(t)) {
    *out = grown;
    return TRUE;
  }
  if (w->kernel[i] < 0)
    return TRUE;
  *out = grown - w->stride[i] + extent(t, i) + t->more[i] - w->begin[i] - w->end[i];
  if (*out < 1)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "padding leaves nothing of spatial dimension %d", i);
  return TRUE;
}

/* The slide of the convolution that goes the other way. Padding that is not given is what the
 * full result has too much; a result that is too small is left zero at its end. */
static void
backward_slide(const Transposed *t, const gint64 *in, const gint64 *out, InferSlide *slide)
{
  infer_window_slide(&t->window, out, in, slide);
  for (gint i = 0; i < t->window.n; i++) {
    gint j = i + INFER_WINDOW_MAX - t->window.n;
    gint64 total = (in[i] - 1) * t->window.stride[i] + extent(t, i) + t->more[i] - out[i];

    if (t->wanted[i] < 0 && !is_same(t))
      continue;
    total = MAX(total, 0);
    slide->begin[j] = t->window.auto_pad == INFER_PAD_SAME_UPPER ? total / 2 : total - total / 2;
  }
}

static gboolean
convtranspose_infer(InferShapeArgs *args, GError **error)
{
  InferDims x = args->in[0].dims, w = args->in[1].dims, *out = &args->out[0].dims;
  gint rank = x.n >= 0 ? x.n : w.n;
  gint64 group, channels;
  Transposed t;

  if (!infer_check_reals(args, 0, 2, error) ||
      !infer_check_int(args->node, "group", 1, 1, G_MAXINT32, &group, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if (rank < 0)
    return TRUE;
  if (rank < 3 || rank > 2 + INFER_WINDOW_MAX || (w.n >= 0 && w.n != rank))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "the input has %d dimensions and the weight %d; supported are 3 to 5 for "
                          "both",
                          rank, w.n);
  x = x.n < 0 ? infer_check_unknown(rank) : x;
  w = w.n < 0 ? infer_check_unknown(rank) : w;
  if ((x.d[1] >= 0 && w.d[0] >= 0 && x.d[1] != w.d[0]) || w.d[0] == 0 || w.d[1] == 0 ||
      (w.d[0] >= 0 && w.d[0] % group != 0))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "%" G_GINT64_FORMAT " channels do not fit a weight for %" G_GINT64_FORMAT
                          " in %" G_GINT64_FORMAT " groups",
                          x.d[1], w.d[0], group);
  channels = infer_check_product(w.d[1], group);
  if (!infer_check_vector(args, 2, &channels, error) ||
      !read_transposed(args->node, rank - 2, w.d + 2, &t, error))
    return FALSE;
  *out = infer_check_unknown(rank);
  out->d[0] = x.d[0];
  out->d[1] = channels;
  for (gint i = 0; i < rank - 2; i++)
    if (!output_dim(args->node, &t, i, x.d[2 + i], &out->d[2 + i], error))
      return FALSE;
  return TRUE;
}

static gboolean
convtranspose_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0], *w = args->in[1];
  const InferArray *bias = args->n_in > 2 ? args->in[2] : NULL;
  InferArray *y = args->out[0];
  gint64 groups = infer_node_get_int(args->node, "group", 1);
  Channels channels = {.batch = x->dims.d[0],
                       .groups = groups,
                       .in = w->dims.d[0] / groups,
                       .out = w->dims.d[1],
                       .taps = 1,
                       .in_plane = 1,
                       .out_plane = 1};
  InferSlide slide;
  Transposed t;

  if (infer_array_count(y) == 0)
    return TRUE;
  if (!read_transposed(args->node, x->dims.n - 2, w->dims.d + 2, &t, error))
    return FALSE;
  backward_slide(&t, x->dims.d + 2, y->dims.d + 2, &slide);
  for (gint i = 0; i < INFER_WINDOW_MAX; i++) {
    channels.taps *= slide.kernel[i];
    channels.in_plane *= slide.out[i];
    channels.out_plane *= slide.in[i];
  }
  if (x->type == INFER_TYPE_FLOAT)
    return scatter_float(&slide, &channels, x->data, w->data, bias ? bias->data : NULL, y->data,
                         error);
  return scatter_double(&slide, &channels, x->data, w->data, bias ? bias->data : NULL, y->data,
                        error);
}

static const InferAttrSpec attrs[] = {
    {"auto_pad", 's', FALSE},     {"dilations", 'I', FALSE},      {"group", 'i', FALSE},
    {"kernel_shape", 'I', FALSE}, {"output_padding", 'I', FALSE}, {"output_shape", 'I', FALSE},
    {"pads", 'I', FALSE},         {"strides", 'I', FALSE},        {NULL, 0, FALSE}};

static const InferOp convtranspose = {.name = "ConvTranspose",
                                      .version = 11,
                                      .min_inputs = 2,
                                      .max_inputs = 3,
                                      .min_outputs = 1,
                                      .max_outputs = 1,
                                      .attrs = attrs,
                                      .infer = convtranspose_infer,
                                      .eval = convtranspose_eval};

extern const InferOp *const infer_ops_convtranspose[];
const InferOp *const infer_ops_convtranspose[] = {&convtranspose, NULL};
