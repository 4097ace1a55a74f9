/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control.h"

#include <string.h>

extern const InferOp *const infer_ops_loop[];

/*
 * Loop: inputs are the trip limit and the first condition (both optional), what is carried, and
 * captures. The body takes iteration, condition, what is carried and captures; it gives the next
 * condition, what is carried on, and what is collected.
 */

typedef struct {
  guint n_carried;
  guint n_captures;
  guint n_scans;
} Shape;

static gboolean
read_shape(const InferNode *node, guint n_in, guint n_out, Shape *self, GError **error)
{
  InferNetwork *body = node->graphs[0];

  if (!control_captures(node, n_in, 2, &self->n_captures, error))
    return FALSE;
  self->n_carried = n_in - 2 - self->n_captures;
  self->n_scans = n_out - self->n_carried;
  if (n_out >= self->n_carried && infer_network_get_n_inputs(body) == n_in &&
      infer_network_get_n_outputs(body) == n_out + 1)
    return TRUE;
  return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                        "it has %u inputs and %u outputs, its body %u and %u; %u and %u are needed",
                        n_in, n_out, infer_network_get_n_inputs(body),
                        infer_network_get_n_outputs(body), n_in, n_out + 1);
}

static gboolean
check_head(const InferShapeArgs *args, guint index, InferType type, GError **error)
{
  const InferOperand *in = &args->in[index];

  if (in->type == INFER_TYPE_UNDEFINED)
    return TRUE;
  if (in->type == type && in->kind == INFER_KIND_TENSOR &&
      (!infer_dims_is_constant(&in->dims) || infer_dims_count(&in->dims) == 1))
    return TRUE;
  return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u has to be one %s", index,
                        infer_type_name(type));
}

/* Whether the body hands the condition on as it got it, or says true. */
static gboolean
never_ends(InferNetwork *body)
{
  const InferTensor *tensor = infer_network_get_output(body, 0);

  for (guint i = 0; i < infer_network_get_n_nodes(body) && tensor->producer; i++) {
    if (strcmp(tensor->producer->op->name, "Identity") != 0)
      return FALSE;
    tensor = tensor->producer->inputs[0];
  }
  if (tensor->value)
    return infer_array_count(tensor->value) == 1 && infer_array_get_int(tensor->value, 0) != 0;
  return tensor == infer_network_get_input(body, 1);
}

/* The trip limit and the condition are constants where they are known. */
static gint64
known_trips(InferNetwork *body, gboolean has_limit, const InferArray *limit, gboolean has_condition,
            const InferArray *condition)
{
  gint64 trips = G_MAXINT64;

  if ((has_condition && !condition) || (has_limit && !limit))
    return INFER_DIM_UNKNOWN;
  if (limit)
    trips = infer_array_get_int(limit, 0);
  if (trips <= 0 || (condition && infer_array_get_int(condition, 0) == 0))
    return 0;
  return trips <= CONTROL_MAX_TRIPS && never_ends(body) ? trips : INFER_DIM_UNKNOWN;
}

gint64
infer_graph_loop_trips(const InferNode *node)
{
  const InferTensor *limit = node->inputs[0], *condition = node->inputs[1];

  return known_trips(node->graphs[0], limit != NULL, limit ? limit->value : NULL, condition != NULL,
                     condition ? condition->value : NULL);
}

static gboolean
scan_output(InferShapeArgs *args, guint index, const InferOperand *item, gint64 trips,
            GError **error)
{
  InferOperand *out = &args->out[index];

  if (item->kind != INFER_KIND_TENSOR)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "output %u collects a %s; only tensors can be stacked", index,
                          infer_kind_name(item->kind));
  out->type = item->type;
  if (item->dims.n < 0)
    return TRUE;
  if (item->dims.n >= INFER_MAX_DIMS)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "output %u has %d dimensions",
                          index, item->dims.n + 1);
  out->dims.n = item->dims.n + 1;
  out->dims.d[0] = trips;
  for (gint i = 0; i < item->dims.n; i++)
    /* Dimensions that nothing was seen of are stacked as 0. */
    out->dims.d[i + 1] = trips > 0 || item->dims.d[i] >= 0 ? item->dims.d[i] : INFER_DIM_UNKNOWN;
  return TRUE;
}

static gboolean
loop_infer(InferShapeArgs *args, GError **error)
{
  g_autofree InferOperand *in = g_new0(InferOperand, args->n_in + 1);
  g_autofree InferOperand *out = g_new0(InferOperand, args->n_out + 2);
  gint64 trips;
  Shape shape;

  if (!read_shape(args->node, args->n_in, args->n_out, &shape, error) ||
      !check_head(args, 0, INFER_TYPE_INT64, error) || !check_head(args, 1, INFER_TYPE_BOOL, error))
    return FALSE;
  memcpy(in, args->in, args->n_in * sizeof *in);
  in[0] = (InferOperand){.type = INFER_TYPE_INT64, .item_dims = INFER_DIMS_UNKNOWN};
  in[1] = (InferOperand){.type = INFER_TYPE_BOOL, .item_dims = INFER_DIMS_UNKNOWN};
  if (!control_infer_states(args, in, args->n_in, 2, shape.n_carried, out, args->n_out + 1, 1,
                            error))
    return FALSE;
  trips =
      known_trips(args->node->graphs[0], args->in[0].type != INFER_TYPE_UNDEFINED,
                  args->in[0].value, args->in[1].type != INFER_TYPE_UNDEFINED, args->in[1].value);
  for (guint i = 0; i < shape.n_carried; i++)
    args->out[i] = trips > 0 ? out[1 + i] : in[2 + i];
  for (guint i = shape.n_carried; i < args->n_out; i++)
    if (!scan_output(args, i, &out[1 + i], trips, error))
      return FALSE;
  if (out[0].type == INFER_TYPE_BOOL && out[0].kind == INFER_KIND_TENSOR)
    return TRUE;
  return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                        "the first output of its body has to be a bool");
}

/* --- evaluation --- */

typedef struct {
  Shape shape;
  gint64 trips;
  gboolean going;
  InferArray *iteration;
  InferArray *condition;
  const InferArray **in; /* of the body */
  InferArray **out;
  InferArray **carried; /* references to what @in has of it */
  ControlLists lists;
} State;

static gboolean
read_head(const InferEvalArgs *args, State *self, GError **error)
{
  self->trips = G_MAXINT64;
  self->going = TRUE;
  for (guint i = 0; i < 2; i++)
    if (args->in[i] &&
        (args->in[i]->kind != INFER_KIND_TENSOR || infer_array_count(args->in[i]) != 1))
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is not one number", i);
  if (args->in[0])
    self->trips = infer_array_get_int(args->in[0], 0);
  if (args->in[1])
    self->going = infer_array_get_int(args->in[1], 0) != 0;
  return TRUE;
}

static gboolean
start(const InferEvalArgs *args, State *self, GError **error)
{
  const InferDims scalar = INFER_DIMS_SCALAR;

  if (!read_shape(args->node, args->n_in, args->n_out, &self->shape, error) ||
      !read_head(args, self, error))
    return FALSE;
  self->condition = infer_array_new(INFER_TYPE_BOOL, &scalar, error);
  self->in = g_new0(const InferArray *, args->n_in + 1);
  self->out = g_new0(InferArray *, args->n_out + 2);
  self->carried = g_new0(InferArray *, self->shape.n_carried + 1);
  control_lists_init(&self->lists, self->shape.n_scans);
  if (!self->condition)
    return FALSE;
  *(guint8 *)self->condition->data = 1;
  memcpy(self->in, args->in, args->n_in * sizeof *self->in);
  self->in[1] = self->condition;
  for (guint i = 0; i < self->shape.n_carried; i++)
    if (args->in[2 + i])
      self->carried[i] = infer_array_ref((InferArray *)args->in[2 + i]);
  return TRUE;
}

static void
state_clear(State *self)
{
  for (guint i = 0; self->carried && i < self->shape.n_carried; i++)
    g_clear_pointer(&self->carried[i], infer_array_unref);
  g_clear_pointer(&self->iteration, infer_array_unref);
  g_clear_pointer(&self->condition, infer_array_unref);
  g_free(self->in);
  g_free(self->out);
  if (self->carried)
    control_lists_clear(&self->lists);
  g_free(self->carried);
}

/* What the body gave becomes what the next iteration takes. */
static gboolean
hand_on(const InferEvalArgs *args, State *self, GError **error)
{
  gsize bytes = 0;
  gboolean ok = TRUE;

  for (guint i = 0; i < self->shape.n_carried; i++) {
    g_clear_pointer(&self->carried[i], infer_array_unref);
    self->carried[i] = self->out[1 + i];
    self->in[2 + i] = self->carried[i];
    bytes += infer_array_total_size(self->carried[i]);
  }
  for (guint i = 0; i < self->shape.n_scans; i++)
    ok &= control_lists_add(&self->lists, args->node, i, self->out[1 + self->shape.n_carried + i],
                            bytes, ok ? error : NULL);
  if (ok && bytes > CONTROL_MAX_BYTES)
    ok = infer_op_error(args->node, error, INFER_ERROR_MEMORY,
                        "its iterations hand on more than %" G_GSIZE_FORMAT
                        " bytes; bound its trip count",
                        CONTROL_MAX_BYTES);
  return ok;
}

static gboolean
iterate(const InferEvalArgs *args, State *self, GError **error)
{
  g_autoptr(InferGraphRun) run = infer_graph_run_new(args->node->graphs[0]);
  const gint64 most = infer_graph_is_trial()            ? CONTROL_MAX_TRIAL_TRIPS
                      : self->trips > CONTROL_MAX_TRIPS ? CONTROL_MAX_OPEN_TRIPS
                                                        : CONTROL_MAX_TRIPS;

  for (gint64 i = 0; self->going && i < self->trips; i++) {
    if (i >= most)
      return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                            "it has run %" G_GINT64_FORMAT " times and has not ended; bound its "
                            "trip count",
                            i);
    /* A new one each time: a sequence may hold on to it. */
    g_clear_pointer(&self->iteration, infer_array_unref);
    self->in[0] = self->iteration = infer_array_new(INFER_TYPE_INT64, &INFER_DIMS_SCALAR, error);
    if (!self->iteration)
      return FALSE;
    *(gint64 *)self->iteration->data = i;
    if (!infer_graph_run(run, self->in, args->n_in, self->out, args->n_out + 1, error)) {
      g_prefix_error(error, "node '%s' (Loop), iteration %" G_GINT64_FORMAT ": ", args->node->name,
                     i);
      return FALSE;
    }
    self->going = self->out[0]->kind == INFER_KIND_TENSOR && infer_array_count(self->out[0]) == 1 &&
                  infer_array_get_int(self->out[0], 0);
    infer_array_unref(self->out[0]);
    if (!hand_on(args, self, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
finish(const InferEvalArgs *args, State *self, GError **error)
{
  for (guint i = 0; i < self->shape.n_carried; i++) {
    if (!self->carried[i])
      return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT, "input %u is missing", 2 + i);
    if (!control_put(args, i, self->carried[i], error))
      return FALSE;
  }
  for (guint i = 0; i < self->shape.n_scans; i++) {
    guint output = self->shape.n_carried + i;
    if (!control_lists_put(&self->lists, args, i, output, 1 + output, 0, FALSE, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
loop_eval(const InferEvalArgs *args, GError **error)
{
  State state = {0};
  gboolean ok =
      start(args, &state, error) && iterate(args, &state, error) && finish(args, &state, error);

  state_clear(&state);
  return control_finish(args, ok, error);
}

static const InferAttrSpec attrs[] = {{"captures", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp op_loop = {
    .name = "Loop",
    .version = 21,
    .min_inputs = 0,
    .max_inputs = INFER_OP_VARIADIC,
    .min_outputs = 1,
    .max_outputs = INFER_OP_VARIADIC,
    .attrs = attrs,
    .flags = INFER_OP_VALUES,
    .n_graphs = 1,
    .infer = loop_infer,
    .eval = loop_eval,
};

const InferOp *const infer_ops_loop[] = {&op_loop, NULL};
