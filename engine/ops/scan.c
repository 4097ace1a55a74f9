/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "control.h"

#include <string.h>

extern const InferOp *const infer_ops_scan[];

/*
 * Scan: inputs are the first states, the tensors that are gone through, and captures. The body
 * takes the states, a slice of each tensor and the captures; it gives the next states and what is
 * collected.
 */

typedef struct {
  guint n_states, n_scanned, n_captures, n_scans;
  const gint64 *in_axes, *in_back, *out_axes, *out_back; /* NULL for zeros */
} Shape;

static gboolean
read_list(const InferNode *node, const char *name, guint n, const gint64 **list, GError **error)
{
  gsize count;

  *list = infer_node_get_ints(node, name, &count);
  if (count == 0)
    *list = NULL;
  return !*list || count == n ||
         infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                        "%s has %" G_GSIZE_FORMAT " elements, %u are needed", name, count, n);
}

static gint64
element(const gint64 *list, guint index)
{
  return list ? list[index] : 0;
}

static gboolean
read_shape(const InferNode *node, guint n_in, guint n_out, Shape *self, GError **error)
{
  gint64 scanned = infer_node_get_int(node, "num_scan_inputs", 0);
  InferNetwork *body = node->graphs[0];

  if (!control_captures(node, n_in, 0, &self->n_captures, error))
    return FALSE;
  if (scanned < 1 || scanned > (gint64)n_in - self->n_captures)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "num_scan_inputs is %" G_GINT64_FORMAT " of %u inputs", scanned, n_in);
  self->n_scanned = (guint)scanned;
  self->n_states = n_in - self->n_captures - self->n_scanned;
  if (n_out < self->n_states || infer_network_get_n_inputs(body) != n_in ||
      infer_network_get_n_outputs(body) != n_out)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "it has %u inputs and %u outputs, its body %u and %u", n_in, n_out,
                          infer_network_get_n_inputs(body), infer_network_get_n_outputs(body));
  self->n_scans = n_out - self->n_states;
  return read_list(node, "scan_input_axes", self->n_scanned, &self->in_axes, error) &&
         read_list(node, "scan_input_directions", self->n_scanned, &self->in_back, error) &&
         read_list(node, "scan_output_axes", self->n_scans, &self->out_axes, error) &&
         read_list(node, "scan_output_directions", self->n_scans, &self->out_back, error);
}

/* The slices' operands; the length where it is known. */
static gboolean
infer_slices(const InferShapeArgs *args, const Shape *shape, InferOperand *in, gint64 *length,
             GError **error)
{
  *length = INFER_DIM_UNKNOWN;
  for (guint i = 0; i < shape->n_scanned; i++) {
    InferOperand *slice = &in[shape->n_states + i];
    gint axis;
    gint64 size;

    if (slice->type == INFER_TYPE_UNDEFINED || slice->kind != INFER_KIND_TENSOR)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "scan input %u is no tensor", i);
    slice->value = NULL;
    slice->has_content = FALSE;
    if (slice->dims.n < 0)
      continue;
    if (!infer_op_axis(args->node, element(shape->in_axes, i), slice->dims.n, &axis, error))
      return FALSE;
    size = slice->dims.d[axis];
    if (*length >= 0 && size >= 0 && size != *length)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "scan input %u has %" G_GINT64_FORMAT
                            " elements, others %" G_GINT64_FORMAT,
                            i, size, *length);
    if (*length < 0 && (size >= 0 || *length == INFER_DIM_UNKNOWN))
      *length = size;
    for (gint k = axis; k + 1 < slice->dims.n; k++)
      slice->dims.d[k] = slice->dims.d[k + 1];
    slice->dims.n--;
  }
  return TRUE;
}

static gboolean
infer_collected(const InferShapeArgs *args, const Shape *shape, guint index,
                const InferOperand *item, gint64 length, GError **error)
{
  InferOperand *out = &args->out[shape->n_states + index];
  gint axis;

  if (item->kind != INFER_KIND_TENSOR)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "it collects a %s",
                          infer_kind_name(item->kind));
  out->type = item->type;
  if (item->dims.n < 0)
    return TRUE;
  if (item->dims.n >= INFER_MAX_DIMS)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "it collects %d dimensions",
                          item->dims.n);
  out->dims.n = item->dims.n + 1;
  if (!infer_op_axis(args->node, element(shape->out_axes, index), out->dims.n, &axis, error))
    return FALSE;
  for (gint i = 0, k = 0; i < out->dims.n; i++)
    out->dims.d[i] = i == axis ? length : item->dims.d[k++];
  return TRUE;
}

static gboolean
scan_infer(InferShapeArgs *args, GError **error)
{
  g_autofree InferOperand *in = g_new0(InferOperand, args->n_in + 1);
  g_autofree InferOperand *out = g_new0(InferOperand, args->n_out + 1);
  gint64 length;
  Shape shape;

  if (!read_shape(args->node, args->n_in, args->n_out, &shape, error))
    return FALSE;
  memcpy(in, args->in, args->n_in * sizeof *in);
  if (!infer_slices(args, &shape, in, &length, error) ||
      !control_infer_states(args, in, args->n_in, 0, shape.n_states, out, args->n_out, 0, error))
    return FALSE;
  for (guint i = 0; i < shape.n_states; i++)
    args->out[i] = length > 0 ? out[i] : in[i];
  for (guint i = 0; i < shape.n_scans; i++)
    if (!infer_collected(args, &shape, i, &out[shape.n_states + i], length, error))
      return FALSE;
  return TRUE;
}

/* --- evaluation --- */

typedef struct {
  Shape shape;
  gint64 length;
  gint *axes;            /* of what is gone through */
  const InferArray **in; /* of the body */
  InferArray **owned;    /* references to what @in has of states and slices */
  InferArray **out;
  ControlLists lists;
} State;

static gboolean
find_length(const InferEvalArgs *args, State *self, GError **error)
{
  self->axes = g_new0(gint, self->shape.n_scanned + 1);
  for (guint i = 0; i < self->shape.n_scanned; i++) {
    const InferArray *array = args->in[self->shape.n_states + i];
    gint64 size;

    if (!array || array->kind != INFER_KIND_TENSOR)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "scan input %u is no tensor", i);
    if (!infer_op_axis(args->node, element(self->shape.in_axes, i), array->dims.n, &self->axes[i],
                       error))
      return FALSE;
    size = array->dims.d[self->axes[i]];
    if (i > 0 && size != self->length)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "scan input %u has %" G_GINT64_FORMAT
                            " elements, others %" G_GINT64_FORMAT,
                            i, size, self->length);
    self->length = size;
  }
  return TRUE;
}

static gboolean
start(const InferEvalArgs *args, State *self, GError **error)
{
  guint n_owned;

  if (!read_shape(args->node, args->n_in, args->n_out, &self->shape, error))
    return FALSE;
  n_owned = self->shape.n_states + self->shape.n_scanned;
  self->in = g_new0(const InferArray *, args->n_in + 1);
  self->out = g_new0(InferArray *, args->n_out + 1);
  self->owned = g_new0(InferArray *, n_owned + 1);
  control_lists_init(&self->lists, self->shape.n_scans);
  memcpy(self->in, args->in, args->n_in * sizeof *self->in);
  for (guint i = 0; i < self->shape.n_states; i++) {
    if (!args->in[i])
      return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT, "state %u is missing", i);
    self->owned[i] = infer_array_ref((InferArray *)args->in[i]);
  }
  return find_length(args, self, error);
}

static void
state_clear(State *self)
{
  for (guint i = 0; self->owned && i < self->shape.n_states + self->shape.n_scanned; i++)
    g_clear_pointer(&self->owned[i], infer_array_unref);
  if (self->owned)
    control_lists_clear(&self->lists);
  g_free(self->owned);
  g_free(self->axes);
  g_free(self->in);
  g_free(self->out);
}

static gboolean
take_slices(const InferEvalArgs *args, State *self, gint64 at, GError **error)
{
  for (guint i = 0; i < self->shape.n_scanned; i++) {
    guint input = self->shape.n_states + i;
    gint64 place = element(self->shape.in_back, i) ? self->length - 1 - at : at;

    g_clear_pointer(&self->owned[input], infer_array_unref);
    self->owned[input] = infer_array_slice(args->in[input], self->axes[i], place, 1, TRUE, error);
    if (!self->owned[input])
      return FALSE;
    self->in[input] = self->owned[input];
  }
  return TRUE;
}

static gboolean
iterate(const InferEvalArgs *args, State *self, GError **error)
{
  g_autoptr(InferGraphRun) run = infer_graph_run_new(args->node->graphs[0]);

  for (gint64 at = 0; at < self->length; at++) {
    gboolean ok = TRUE;

    if (!take_slices(args, self, at, error) ||
        !infer_graph_run(run, self->in, args->n_in, self->out, args->n_out, error)) {
      g_prefix_error(error, "node '%s' (Scan), iteration %" G_GINT64_FORMAT ": ", args->node->name,
                     at);
      return FALSE;
    }
    for (guint i = 0; i < self->shape.n_states; i++) {
      g_clear_pointer(&self->owned[i], infer_array_unref);
      self->in[i] = self->owned[i] = self->out[i];
    }
    for (guint i = 0; i < self->shape.n_scans; i++)
      ok &= control_lists_add(&self->lists, args->node, i, self->out[self->shape.n_states + i], 0,
                              ok ? error : NULL);
    if (!ok)
      return FALSE;
  }
  return TRUE;
}

static gboolean
finish(const InferEvalArgs *args, State *self, GError **error)
{
  for (guint i = 0; i < self->shape.n_states; i++)
    if (!control_put(args, i, self->owned[i], error))
      return FALSE;
  for (guint i = 0; i < self->shape.n_scans; i++) {
    guint output = self->shape.n_states + i;
    if (!control_lists_put(&self->lists, args, i, output, output, element(self->shape.out_axes, i),
                           element(self->shape.out_back, i) != 0, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
scan_eval(const InferEvalArgs *args, GError **error)
{
  State state = {0};
  gboolean ok =
      start(args, &state, error) && iterate(args, &state, error) && finish(args, &state, error);

  state_clear(&state);
  return control_finish(args, ok, error);
}

static const InferAttrSpec attrs[] = {
    {"captures", 'i', FALSE},
    {"num_scan_inputs", 'i', TRUE},
    {"scan_input_axes", 'I', FALSE},
    {"scan_input_directions", 'I', FALSE},
    {"scan_output_axes", 'I', FALSE},
    {"scan_output_directions", 'I', FALSE},
    {NULL, 0, FALSE},
};

static const InferOp op_scan = {
    .name = "Scan",
    .version = 21,
    .min_inputs = 1,
    .max_inputs = INFER_OP_VARIADIC,
    .min_outputs = 1,
    .max_outputs = INFER_OP_VARIADIC,
    .attrs = attrs,
    .flags = INFER_OP_VALUES,
    .n_graphs = 1,
    .infer = scan_infer,
    .eval = scan_eval,
};

const InferOp *const infer_ops_scan[] = {&op_scan, NULL};
