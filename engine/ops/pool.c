/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/window.h"
#include "ops/convert.h"

#include <math.h>
#include <string.h>

typedef enum { POOL_MAX, POOL_AVERAGE, POOL_LP } PoolKind;

typedef struct {
  InferOp op;
  PoolKind kind;
} Pool;

static PoolKind
kind_of(const InferNode *node)
{
  return ((const Pool *)node->op)->kind;
}

static gboolean
check_type(const InferShapeArgs *args, GError **error)
{
  if (kind_of(args->node) == POOL_MAX)
    return infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                                 INFER_TYPE_INT8, INFER_TYPE_UINT8, INFER_TYPE_UNDEFINED);
  return infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                               INFER_TYPE_UNDEFINED);
}

static gboolean
check_p(const InferNode *node, GError **error)
{
  gint64 p = infer_node_get_int(node, "p", 2);

  if (p < 1 || p > 1000)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "p is %" G_GINT64_FORMAT ", allowed are 1 to 1000", p);
  return TRUE;
}

static gboolean
pool_infer(InferShapeArgs *args, GError **error)
{
  const InferDims *x = &args->in[0].dims;
  InferDims *out = &args->out[0].dims;
  gint64 order = infer_node_get_int(args->node, "storage_order", 0);
  InferWindow window;

  if (!check_type(args, error) || !check_p(args->node, error))
    return FALSE;
  if (order != 0 && order != 1)
    return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT,
                          "storage_order is %" G_GINT64_FORMAT ", it can be 0 or 1", order);
  args->out[0].type = args->in[0].type;
  if (args->n_out > 1)
    args->out[1].type = INFER_TYPE_INT64;
  if (x->n < 0)
    return TRUE;
  if (!infer_op_require_rank(args, 0, 3, 2 + INFER_WINDOW_MAX, error) ||
      !infer_window_read(args->node, x->n - 2, NULL, &window, error))
    return FALSE;
  if (window.kernel[0] < 0)
    return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT, "kernel_shape is empty");
  *out = *x;
  if (!infer_window_output(args->node, &window, x->d + 2, out->d + 2, error))
    return FALSE;
  if (args->n_out > 1)
    args->out[1].dims = *out;
  return TRUE;
}

/* A plane of the input, as doubles: every type that is pooled fits exactly. */
static gsize
pool_scratch(const InferShapeArgs *args)
{
  const InferDims *x = &args->in[0].dims;
  InferDims plane = {.n = x->n - 2};

  memcpy(plane.d, x->d + 2, sizeof(gint64) * (gsize)MAX(plane.n, 0));
  return infer_type_size(INFER_TYPE_DOUBLE, infer_dims_count(&plane));
}

/* What one window saw: taps inside the input, taps inside the padded input. */
typedef struct {
  double value;
  gint64 at;
  double inside, padded;
} Seen;

typedef struct {
  InferSlide slide;
  PoolKind kind;
  gint p;
  gboolean include_pad;
  gboolean column_major;
} PoolRun;

static inline void
see(const PoolRun *run, double x, gint64 at, Seen *seen)
{
  seen->inside++;
  switch (run->kind) {
  case POOL_MAX:
    /* Not-a-number wins, as it does in NumPy. */
    if (seen->at < 0 || x > seen->value || (x != x && seen->value == seen->value)) {
      seen->value = x;
      seen->at = at;
    }
    break;
  case POOL_AVERAGE:
    seen->value += x;
    break;
  case POOL_LP:
    seen->value += run->p == 1 ? fabs(x) : run->p == 2 ? x * x : pow(fabs(x), run->p);
    break;
  }
}

/* Taps of dimension @i that fall before the end of the padding after the input. */
static gint64
padded_taps(const InferSlide *s, gint i, gint64 start)
{
  gint64 room = s->in[i] + s->end[i] - start;

  return room <= 0 ? 0 : MIN(s->kernel[i], (room - 1) / s->dilation[i] + 1);
}

static inline void
tap_bounds(const InferSlide *s, gint i, gint64 start, gint64 *first, gint64 *last)
{
  *first = start >= 0 ? 0 : (-start + s->dilation[i] - 1) / s->dilation[i];
  *last = start >= s->in[i] ? 0 : MIN(s->kernel[i], (s->in[i] - 1 - start) / s->dilation[i] + 1);
}

static Seen
look(const PoolRun *run, const double *plane, const gint64 *at)
{
  const InferSlide *s = &run->slide;
  gint64 start[INFER_WINDOW_MAX], first[INFER_WINDOW_MAX], last[INFER_WINDOW_MAX];
  Seen seen = {.value = 0, .at = -1, .padded = 1};

  for (gint i = 0; i < INFER_WINDOW_MAX; i++) {
    start[i] = at[i] * s->stride[i] - s->begin[i];
    tap_bounds(s, i, start[i], &first[i], &last[i]);
    seen.padded *= (double)padded_taps(s, i, start[i]);
  }
  for (gint64 d = first[0]; d < last[0]; d++)
    for (gint64 h = first[1]; h < last[1]; h++) {
      gint64 row = (start[0] + d * s->dilation[0]) * s->in[1] + start[1] + h * s->dilation[1];
      gint64 from = row * s->in[2] + start[2];

      for (gint64 w = first[2]; w < last[2]; w++)
        see(run, plane[from + w * s->dilation[2]], from + w * s->dilation[2], &seen);
    }
  return seen;
}

static double
result_of(const PoolRun *run, const Seen *seen)
{
  double divisor = run->include_pad ? seen->padded : seen->inside;

  switch (run->kind) {
  case POOL_MAX:
    return seen->at < 0 ? -INFINITY : seen->value;
  case POOL_AVERAGE:
    return divisor > 0 ? seen->value / divisor : 0;
  default:
    return run->p == 1   ? seen->value
           : run->p == 2 ? sqrt(seen->value)
                         : pow(seen->value, 1.0 / run->p);
  }
}

/* The index that MaxPool gives out; -1 where the window saw only padding. */
static gint64
index_of(const PoolRun *run, gint64 at, gint64 plane_start)
{
  const gint64 *in = run->slide.in;
  gint64 w = at % in[2], h = at / in[2] % in[1], d = at / in[2] / in[1];

  if (at < 0)
    return -1;
  return plane_start + (run->column_major ? d + in[0] * (h + in[1] * w) : at);
}

static void
pool_plane(const PoolRun *run, const double *plane, gint64 plane_start, InferArray *y,
           gint64 *indices, gint64 out_start)
{
  const gint64 *out = run->slide.out;
  gint64 at[INFER_WINDOW_MAX], to = out_start;

  for (at[0] = 0; at[0] < out[0]; at[0]++)
    for (at[1] = 0; at[1] < out[1]; at[1]++)
      for (at[2] = 0; at[2] < out[2]; at[2]++, to++) {
        Seen seen = look(run, plane, at);

        infer_store_double(y, to, result_of(run, &seen));
        if (indices)
          indices[to] = index_of(run, seen.at, plane_start);
      }
}

static gboolean
pool_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0];
  InferArray *y = args->out[0];
  gint64 *indices = args->n_out > 1 ? args->out[1]->data : NULL;
  PoolRun run = {.kind = kind_of(args->node)};
  gint64 in_plane = 1, out_plane = 1, planes;
  InferWindow window;

  if (infer_array_count(y) == 0)
    return TRUE;
  planes = x->dims.d[0] * x->dims.d[1];
  if (!infer_window_read(args->node, x->dims.n - 2, NULL, &window, error))
    return FALSE;
  infer_window_slide(&window, x->dims.d + 2, y->dims.d + 2, &run.slide);
  run.p = (gint)infer_node_get_int(args->node, "p", 2);
  run.include_pad = infer_node_get_int(args->node, "count_include_pad", 0) != 0;
  run.column_major = infer_node_get_int(args->node, "storage_order", 0) == 1;
  for (gint i = 0; i < INFER_WINDOW_MAX; i++) {
    in_plane *= run.slide.in[i];
    out_plane *= run.slide.out[i];
  }
  for (gint64 i = 0; i < planes; i++) {
    infer_load_doubles(x->type, x->data, i * in_plane, 1, in_plane, args->scratch);
    pool_plane(&run, args->scratch, i * in_plane, y, indices, i * out_plane);
  }
  return TRUE;
}

static gboolean
global_infer(InferShapeArgs *args, GError **error)
{
  InferDims *out = &args->out[0].dims;

  if (!infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                             INFER_TYPE_UNDEFINED) ||
      !check_p(args->node, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if (args->in[0].dims.n < 0)
    return TRUE;
  if (!infer_op_require_rank(args, 0, 3, INFER_MAX_DIMS, error))
    return FALSE;
  *out = args->in[0].dims;
  for (gint i = 2; i < out->n; i++) {
    if (out->d[i] == 0)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "spatial dimension %d is empty",
                            i - 2);
    out->d[i] = 1;
  }
  return TRUE;
}

static gboolean
global_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0];
  InferArray *y = args->out[0];
  PoolRun run = {.kind = kind_of(args->node), .p = (gint)infer_node_get_int(args->node, "p", 2)};
  gint64 planes = infer_array_count(y), size = planes ? infer_array_count(x) / planes : 0;
  double buffer[256];

  for (gint64 i = 0; i < planes; i++) {
    Seen seen = {.value = 0, .at = -1};

    for (gint64 at = 0; at < size; at += G_N_ELEMENTS(buffer)) {
      gint64 n = MIN(size - at, (gint64)G_N_ELEMENTS(buffer));

      infer_load_doubles(x->type, x->data, i * size + at, 1, n, buffer);
      for (gint64 j = 0; j < n; j++)
        see(&run, buffer[j], at + j, &seen);
    }
    infer_store_double(y, i, result_of(&run, &seen));
  }
  return TRUE;
}

#define WINDOW_ATTRS                                                                               \
  {"auto_pad", 's', FALSE}, {"ceil_mode", 'i', FALSE}, {"dilations", 'I', FALSE},                  \
      {"kernel_shape", 'I', TRUE}, {"pads", 'I', FALSE},                                           \
  {                                                                                                \
    "strides", 'I', FALSE                                                                          \
  }

static const InferAttrSpec max_attrs[] = {
    WINDOW_ATTRS, {"storage_order", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec average_attrs[] = {
    WINDOW_ATTRS, {"count_include_pad", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec lp_attrs[] = {WINDOW_ATTRS, {"p", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec global_lp_attrs[] = {{"p", 'i', FALSE}, {NULL, 0, FALSE}};

#define POOL(NAME, VERSION, KIND, OUTPUTS, ATTRS)                                                  \
  {                                                                                                \
    .op = {.name = NAME,                                                                           \
           .version = VERSION,                                                                     \
           .min_inputs = 1,                                                                        \
           .max_inputs = 1,                                                                        \
           .min_outputs = 1,                                                                       \
           .max_outputs = OUTPUTS,                                                                 \
           .attrs = ATTRS,                                                                         \
           .infer = pool_infer,                                                                    \
           .scratch = pool_scratch,                                                                \
           .eval = pool_eval},                                                                     \
    .kind = KIND,                                                                                  \
  }
#define GLOBAL(NAME, VERSION, KIND, ATTRS)                                                         \
  {                                                                                                \
    .op = {.name = NAME,                                                                           \
           .version = VERSION,                                                                     \
           .min_inputs = 1,                                                                        \
           .max_inputs = 1,                                                                        \
           .min_outputs = 1,                                                                       \
           .max_outputs = 1,                                                                       \
           .attrs = ATTRS,                                                                         \
           .infer = global_infer,                                                                  \
           .eval = global_eval},                                                                   \
    .kind = KIND,                                                                                  \
  }

static const Pool pools[] = {
    POOL("MaxPool", 12, POOL_MAX, 2, max_attrs),
    POOL("AveragePool", 19, POOL_AVERAGE, 1, average_attrs),
    POOL("LpPool", 18, POOL_LP, 1, lp_attrs),
    GLOBAL("GlobalMaxPool", 1, POOL_MAX, NULL),
    GLOBAL("GlobalAveragePool", 1, POOL_AVERAGE, NULL),
    GLOBAL("GlobalLpPool", 2, POOL_LP, global_lp_attrs),
};

extern const InferOp *const infer_ops_pool[];
const InferOp *const infer_ops_pool[] = {&pools[0].op, &pools[1].op, &pools[2].op, &pools[3].op,
                                         &pools[4].op, &pools[5].op, NULL};
