/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"
#include "ops/data.h"

#include <math.h>

/* Sampling at given coordinates (Jaderberg et al., "Spatial Transformer Networks", 2015), and the
 * grid of coordinates of an affine map. */

#define MAX_SPATIAL 3

typedef enum { MODE_NEAREST, MODE_LINEAR, MODE_CUBIC } Mode;
typedef enum { PAD_ZEROS, PAD_BORDER, PAD_REFLECTION } Padding;

/* ONNX before version 20 spelled two of them for planes only. */
static const char *const mode_names[] = {"nearest",  "linear",  "cubic", "",
                                         "bilinear", "bicubic", NULL};
static const char *const padding_names[] = {"zeros", "border", "reflection", NULL};

typedef struct {
  Mode mode;
  Padding padding;
  gboolean align;
  gint n;
  gint64 in[MAX_SPATIAL];
} Sampler;

static gboolean
read_sampler(const InferNode *node, Sampler *s, GError **error)
{
  gint mode, padding;

  if (!infer_check_choice(node, "mode", "linear", mode_names, &mode, error) ||
      !infer_check_choice(node, "padding_mode", "zeros", padding_names, &padding, error))
    return FALSE;
  if (!*mode_names[mode])
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "mode is empty");
  s->mode = (Mode)(mode > MODE_CUBIC ? mode - 3 : mode);
  s->padding = (Padding)padding;
  s->align = infer_node_get_int(node, "align_corners", 0) != 0;
  return TRUE;
}

static gboolean
gridsample_infer(InferShapeArgs *args, GError **error)
{
  const InferDims *x = &args->in[0].dims, *grid = &args->in[1].dims;
  InferDims *out = &args->out[0].dims;
  gint rank = x->n >= 0 ? x->n : grid->n;
  gint64 batch, last;
  Sampler s;

  if (!infer_check_reals(args, 0, 0, error) || !infer_check_reals(args, 1, 1, error) ||
      !read_sampler(args->node, &s, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if (rank < 0)
    return TRUE;
  if (rank < 3 || rank > 2 + MAX_SPATIAL || (x->n >= 0 && grid->n >= 0 && x->n != grid->n))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "the input has %d dimensions and the grid %d; supported are 3 to 5 for "
                          "both",
                          x->n, grid->n);
  batch = x->n >= 0 ? x->d[0] : INFER_DIM_UNKNOWN;
  last = grid->n >= 0 ? grid->d[rank - 1] : INFER_DIM_UNKNOWN;
  if (grid->n >= 0 &&
      ((batch >= 0 && grid->d[0] >= 0 && batch != grid->d[0]) || (last >= 0 && last != rank - 2)))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "a grid of %" G_GINT64_FORMAT " images and %" G_GINT64_FORMAT
                          " coordinates does not fit the input",
                          grid->d[0], last);
  for (gint i = 2; x->n >= 0 && i < rank; i++)
    if (x->d[i] == 0)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "dimension %d is empty", i);
  *out = infer_check_unknown(rank);
  out->d[0] = batch < 0 && grid->n >= 0 ? grid->d[0] : batch;
  out->d[1] = x->n >= 0 ? x->d[1] : INFER_DIM_UNKNOWN;
  for (gint i = 2; grid->n >= 0 && i < rank; i++)
    out->d[i] = grid->d[i - 1];
  return TRUE;
}

static double
reflect(double x, double least, double most)
{
  double range = most - least, turns, rest;

  if (range <= 0)
    return least;
  if (x >= least && x <= most)
    return x;
  rest = fabs(x - least);
  turns = floor(rest / range);
  rest -= turns * range;
  return fmod(turns, 2) == 0 ? least + rest : most - rest;
}

/* From [-1, 1] to elements, moved inside where the padding says so. */
static double
coordinate(const Sampler *s, gint i, double x)
{
  double size = (double)s->in[i];
  double least = s->align ? 0 : -0.5, most = s->align ? size - 1 : size - 0.5;

  x = s->align ? (x + 1) / 2 * (size - 1) : ((x + 1) * size - 1) / 2;
  if (s->mode == MODE_NEAREST)
    x = rint(x);
  if (x >= least && x <= most)
    return x;
  /* A cubic goes on outside, over repeated borders, as in PyTorch, where the operator is from. */
  if (s->padding == PAD_BORDER)
    x = s->mode == MODE_CUBIC ? CLAMP(x, -3, size + 2) : CLAMP(x, 0, size - 1);
  else if (s->padding == PAD_REFLECTION)
    x = reflect(x, least, most);
  /* Anything that far outside is not a number of an element; a little outside stays that. */
  return x > -4 && x < size + 4 ? x : s->padding == PAD_ZEROS ? -4 : 0;
}

/* The taps of one dimension: indices, -1 where there is zero, and weights. */
typedef struct {
  gint n;
  gint64 at[4];
  double weight[4];
} Taps;

/* Keys' cubic with a = -0.75, at the distances 1 + t, t, 1 - t and 2 - t. */
static void
cubic_weights(double t, double *w)
{
  const double a = -0.75;
  double u = 1 - t;

  w[0] = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a;
  w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
  w[2] = ((a + 2) * u - (a + 3)) * u * u + 1;
  w[3] = ((a * (u + 1) - 5 * a) * (u + 1) + 8 * a) * (u + 1) - 4 * a;
}

static void
find_taps(const Sampler *s, gint i, double x, Taps *taps)
{
  double base = s->mode == MODE_NEAREST ? rint(x) : floor(x), t = x - base;
  gint64 first = (gint64)base - (s->mode == MODE_CUBIC ? 1 : 0), size = s->in[i];

  taps->n = s->mode == MODE_NEAREST ? 1 : s->mode == MODE_LINEAR ? 2 : 4;
  taps->weight[0] = s->mode == MODE_NEAREST ? 1 : 1 - t;
  taps->weight[1] = t;
  if (s->mode == MODE_CUBIC)
    cubic_weights(t, taps->weight);
  for (gint k = 0; k < taps->n; k++) {
    gint64 at = first + k;

    if (at >= 0 && at < size)
      taps->at[k] = at;
    else if (s->padding == PAD_ZEROS)
      taps->at[k] = -1;
    else if (s->padding == PAD_BORDER)
      taps->at[k] = CLAMP(at, 0, size - 1);
    else
      taps->at[k] = CLAMP(
          (gint64)reflect((double)at, s->align ? 0 : -0.5, (double)size - (s->align ? 1 : 0.5)), 0,
          size - 1);
  }
}

static double
gather(const Sampler *s, const Taps *taps, gint i, const InferArray *x, gint64 at)
{
  double sum = 0;

  if (i >= s->n || i >= 3)
    return infer_real(x, at);
  for (gint k = 0; k < taps[i].n; k++)
    if (taps[i].at[k] >= 0)
      sum += taps[i].weight[k] * gather(s, taps, i + 1, x, at * s->in[i] + taps[i].at[k]);
  return sum;
}

static gboolean
gridsample_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0], *grid = args->in[1];
  InferArray *y = args->out[0];
  gint64 channels = x->dims.d[1], positions = 1;
  Sampler s = {.n = x->dims.n - 2};
  Taps taps[MAX_SPATIAL];

  if (!read_sampler(args->node, &s, error))
    return FALSE;
  for (gint i = 0; i < s.n; i++) {
    s.in[i] = x->dims.d[2 + i];
    positions *= y->dims.d[2 + i];
  }
  if (infer_array_count(y) == 0)
    return TRUE;
  for (gint64 np = 0; np < x->dims.d[0] * positions; np++) {
    gint64 n = np / positions, p = np % positions;

    if (p == 0 && !infer_op_go_on(error))
      return FALSE;
    /* The grid gives the innermost coordinate first. */
    for (gint i = 0; i < s.n; i++)
      find_taps(&s, i, coordinate(&s, i, infer_real(grid, np * s.n + s.n - 1 - i)), &taps[i]);
    for (gint64 c = 0; c < channels; c++)
      infer_real_set(y, (n * channels + c) * positions + p,
                     gather(&s, taps, 0, x, n * channels + c));
  }
  return TRUE;
}

static gboolean
affine_dims(const InferShapeArgs *args, const DataInts *size, InferDims *out, GError **error)
{
  const InferDims *theta = &args->in[0].dims;
  gint n = size->n >= 0 ? size->n - 2 : theta->n == 3 && theta->d[1] > 0 ? (gint)theta->d[1] : -1;
  gint64 batch = INFER_DIM_UNKNOWN, rows = n, columns = n + 1;

  if (size->n >= 0 && (n < 2 || n > MAX_SPATIAL))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "size has %d elements, 4 or 5 are needed", size->n);
  if (n < 0)
    return TRUE;
  if (n != 2 && n != 3)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "theta has %d rows, 2 or 3 are needed", n);
  if (size->n >= 0)
    batch = size->v[0];
  if (!infer_check_dims(args, 0, 3, (gint64 *[]){&batch, &rows, &columns}, error))
    return FALSE;
  *out = infer_check_unknown(n + 2);
  out->d[0] = batch;
  out->d[n + 1] = n;
  for (gint i = 0; size->n >= 0 && i < n; i++) {
    if (size->known[2 + i] && size->v[2 + i] < 0)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "size has a negative element");
    out->d[1 + i] = size->v[2 + i];
  }
  return TRUE;
}

static gboolean
affine_infer(InferShapeArgs *args, GError **error)
{
  DataInts size;

  if (!infer_check_reals(args, 0, 0, error) ||
      !infer_op_require_type(args, 1, error, INFER_TYPE_INT64, INFER_TYPE_UNDEFINED) ||
      !data_ints(args, 1, &size, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if (size.n >= 0 && size.known[0] && size.v[0] < 0)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "size has a negative element");
  return affine_dims(args, &size, &args->out[0].dims, error);
}

/* From an element to [-1, 1]. */
static double
normalized(gint64 i, gint64 size, gboolean align)
{
  if (align)
    return size > 1 ? 2.0 * (double)i / (double)(size - 1) - 1 : 0;
  return (2.0 * (double)i + 1) / (double)size - 1;
}

static gboolean
affine_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *theta = args->in[0];
  gint n = (gint)theta->dims.d[1];
  InferDims dims = {.n = n + 2};
  gboolean align = infer_node_get_int(args->node, "align_corners", 0) != 0;
  gint64 count, positions = 1;
  InferArray *y;

  dims.d[0] = theta->dims.d[0];
  dims.d[n + 1] = n;
  for (gint i = 0; i < n; i++)
    dims.d[1 + i] = infer_array_get_int(args->in[1], (gsize)(2 + i));
  y = data_output(args, 0, theta->type, &dims, error);
  if (!y)
    return FALSE;
  for (gint i = 0; i < n; i++)
    positions *= dims.d[1 + i];
  count = infer_array_count(y) / n;
  for (gint64 p = 0; p < count; p++) {
    double at[MAX_SPATIAL + 1] = {[0] = 0};
    gint64 rest = p;

    at[n] = 1;
    for (gint i = 0; i < n; i++) {
      gint64 size = dims.d[n - i];

      at[i] = normalized(rest % size, size, align);
      rest /= size;
    }
    for (gint row = 0; row < n; row++) {
      double sum = 0;

      for (gint i = 0; i <= n; i++)
        sum += infer_real(theta, (p / positions * n + row) * (n + 1) + i) * at[i];
      infer_real_set(y, p * n + row, sum);
    }
  }
  return TRUE;
}

static const InferAttrSpec sample_attrs[] = {{"align_corners", 'i', FALSE},
                                             {"mode", 's', FALSE},
                                             {"padding_mode", 's', FALSE},
                                             {NULL, 0, FALSE}};
static const InferAttrSpec affine_attrs[] = {{"align_corners", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp gridsample = {.name = "GridSample",
                                   .version = 20,
                                   .min_inputs = 2,
                                   .max_inputs = 2,
                                   .min_outputs = 1,
                                   .max_outputs = 1,
                                   .attrs = sample_attrs,
                                   .infer = gridsample_infer,
                                   .eval = gridsample_eval};
static const InferOp affinegrid = {.name = "AffineGrid",
                                   .version = 20,
                                   .min_inputs = 2,
                                   .max_inputs = 2,
                                   .min_outputs = 1,
                                   .max_outputs = 1,
                                   .attrs = affine_attrs,
                                   .infer = affine_infer,
                                   .eval = affine_eval};

extern const InferOp *const infer_ops_gridsample[];
const InferOp *const infer_ops_gridsample[] = {&gridsample, &affinegrid, NULL};
