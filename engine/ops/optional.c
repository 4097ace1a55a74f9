/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"

#include <string.h>

extern const InferOp *const infer_ops_optional[];

/* Values that may be nothing. A plain value passes where an optional could be. */

static gboolean
is_optional(InferKind kind)
{
  return kind == INFER_KIND_OPTIONAL || kind == INFER_KIND_OPTIONAL_SEQUENCE;
}

static InferKind
optional_kind(const InferNode *node, InferKind input, gboolean given)
{
  if (given)
    return input == INFER_KIND_SEQUENCE ? INFER_KIND_OPTIONAL_SEQUENCE : INFER_KIND_OPTIONAL;
  return infer_node_get_int(node, "sequence", 0) ? INFER_KIND_OPTIONAL_SEQUENCE
                                                 : INFER_KIND_OPTIONAL;
}

static InferType
optional_type(const InferNode *node)
{
  gint64 type = infer_node_get_int(node, "dtype", INFER_TYPE_FLOAT);

  return type > 0 && type < INFER_N_TYPES ? (InferType)type : INFER_TYPE_UNDEFINED;
}

static gboolean
optional_infer(InferShapeArgs *args, GError **error)
{
  const InferOperand *in =
      args->n_in && args->in[0].type != INFER_TYPE_UNDEFINED ? &args->in[0] : NULL;
  InferOperand *out = &args->out[0];

  if (in && is_optional(in->kind))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "its input is an optional already");
  out->kind = optional_kind(args->node, in ? in->kind : INFER_KIND_TENSOR, in != NULL);
  out->type = in ? in->type : optional_type(args->node);
  out->item_dims = !in                               ? INFER_DIMS_UNKNOWN
                   : in->kind == INFER_KIND_SEQUENCE ? in->item_dims
                                                     : in->dims;
  return TRUE;
}

static gboolean
optional_eval(const InferEvalArgs *args, GError **error)
{
  InferArray *in = args->n_in ? (InferArray *)args->in[0] : NULL;
  InferKind kind = optional_kind(args->node, in ? in->kind : INFER_KIND_TENSOR, in != NULL);

  args->out[0] =
      infer_array_new_optional(kind, in ? in->type : optional_type(args->node), in, error);
  return args->out[0] != NULL;
}

static gboolean
has_infer(InferShapeArgs *args, GError **error)
{
  args->out[0].type = INFER_TYPE_BOOL;
  args->out[0].dims = INFER_DIMS_SCALAR;
  return TRUE;
}

static gboolean
has_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->n_in ? args->in[0] : NULL;

  *(guint8 *)args->out[0]->data = in && (!is_optional(in->kind) || in->n_items > 0);
  return TRUE;
}

static gboolean
get_infer(InferShapeArgs *args, GError **error)
{
  const InferOperand *in = &args->in[0];

  args->out[0] = *in;
  if (in->kind == INFER_KIND_OPTIONAL) {
    args->out[0].kind = INFER_KIND_TENSOR;
    args->out[0].dims = in->item_dims;
    args->out[0].item_dims = INFER_DIMS_UNKNOWN;
  } else if (in->kind == INFER_KIND_OPTIONAL_SEQUENCE) {
    args->out[0].kind = INFER_KIND_SEQUENCE;
  }
  return TRUE;
}

static gboolean
get_eval(const InferEvalArgs *args, GError **error)
{
  InferArray *value = (InferArray *)args->in[0];

  if (is_optional(value->kind)) {
    if (value->n_items == 0)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "the optional has no value; OptionalHasElement tells that before");
    value = value->items[0];
  }
  if (!args->out[0]) {
    args->out[0] = infer_array_keep(value, error);
    return args->out[0] != NULL;
  }
  if (args->out[0]->type != value->type || !infer_dims_equal(&args->out[0]->dims, &value->dims))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "the value has other dimensions");
  if (value->size)
    memcpy(args->out[0]->data, value->data, value->size);
  return TRUE;
}

static const InferAttrSpec no_attrs[] = {{NULL, 0, FALSE}};
/* What an optional without a value could hold, instead of ONNX's type attribute. */
static const InferAttrSpec optional_attrs[] = {
    {"dtype", 'i', FALSE}, {"sequence", 'i', FALSE}, {NULL, 0, FALSE}};

#define OPTIONAL(ID, NAME, VERSION, MIN_INPUTS, ATTRS)                                             \
  static const InferOp op_##ID = {                                                                 \
      .name = NAME,                                                                                \
      .version = VERSION,                                                                          \
      .min_inputs = MIN_INPUTS,                                                                    \
      .max_inputs = 1,                                                                             \
      .min_outputs = 1,                                                                            \
      .max_outputs = 1,                                                                            \
      .attrs = ATTRS,                                                                              \
      .flags = INFER_OP_VALUES,                                                                    \
      .infer = ID##_infer,                                                                         \
      .eval = ID##_eval,                                                                           \
  }

OPTIONAL(optional, "Optional", 15, 0, optional_attrs);
OPTIONAL(has, "OptionalHasElement", 18, 0, no_attrs);
OPTIONAL(get, "OptionalGetElement", 18, 1, no_attrs);

const InferOp *const infer_ops_optional[] = {&op_optional, &op_has, &op_get, NULL};
