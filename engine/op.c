/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"
#include "plugin-private.h"

#include "widen.h"

#include <stdlib.h>
#include <string.h>

extern const InferOp *const *const infer_op_files[];

static GHashTable *op_names;
static GPtrArray *op_all;

static void
load_table(void)
{
  static gsize once;

  if (!g_once_init_enter(&once))
    return;
  op_names = g_hash_table_new(g_str_hash, g_str_equal);
  op_all = g_ptr_array_new();
  for (guint f = 0; infer_op_files[f]; f++)
    for (guint i = 0; infer_op_files[f][i]; i++) {
      const InferOp *op = infer_op_files[f][i];
      g_hash_table_insert(op_names, (gpointer)op->name, (gpointer)op);
      g_ptr_array_add(op_all, (gpointer)op);
    }
  g_ptr_array_add(op_all, NULL);
  g_once_init_leave(&once, 1);
}

const InferOp *
infer_op_find(const char *name)
{
  const InferOp *op;

  load_table();
  op = g_hash_table_lookup(op_names, name);
  return op || !strchr(name, '.') ? op : infer_plugin_op(name);
}

const InferOp *const *
infer_op_list(void)
{
  load_table();
  return (const InferOp *const *)op_all->pdata;
}

static const char *
kind_signature(char kind)
{
  switch (kind) {
  case 'i':
    return "x";
  case 'f':
    return "d";
  case 's':
    return "s";
  case 'I':
    return "ax";
  case 'F':
    return "ad";
  case 'y':
    return "ay";
  default:
    return "as";
  }
}

static gboolean
check_attrs(const InferNode *node, GError **error)
{
  const InferOp *op = node->op;
  GVariantIter iter;
  const char *name;
  GVariant *value;

  g_variant_iter_init(&iter, node->attrs);
  while (g_variant_iter_loop(&iter, "{&sv}", &name, &value)) {
    const InferAttrSpec *spec = op->attrs;

    while (spec && spec->name && strcmp(spec->name, name) != 0)
      spec++;
    if (!spec || !spec->name ||
        !g_str_equal(g_variant_get_type_string(value), kind_signature(spec->kind))) {
      infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                     spec && spec->name ? "attribute '%s' has another type than the operator's"
                                        : "attribute '%s' is not one of the operator's",
                     name);
      g_variant_unref(value);
      return FALSE;
    }
  }
  for (const InferAttrSpec *spec = op->attrs; spec && spec->name; spec++)
    if (spec->required && !infer_node_has_attr(node, spec->name))
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "attribute '%s' is missing",
                            spec->name);
  return TRUE;
}

static gboolean
check_arity(const InferNode *node, const InferOperand *in, guint n_in, guint n_out, GError **error)
{
  const InferOp *op = node->op;

  if (n_in < op->min_inputs || n_in > op->max_inputs)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "it has %u inputs, %u to %u are needed", n_in, op->min_inputs,
                          op->max_inputs);
  if (n_out < op->min_outputs || n_out > op->max_outputs)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "it has %u outputs, %u to %u are needed", n_out, op->min_outputs,
                          op->max_outputs);
  for (guint i = 0; i < MIN(op->min_inputs, n_in); i++)
    if (in[i].type == INFER_TYPE_UNDEFINED)
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "input %u is missing", i);
  for (guint i = 0; i < n_in && !(op->flags & INFER_OP_VALUES); i++)
    if (in[i].kind != INFER_KIND_TENSOR)
      return infer_op_error(node, error, INFER_ERROR_SHAPE, "input %u has to be a tensor, not a %s",
                            i, infer_kind_name(in[i].kind));
  if (node->n_graphs != op->n_graphs)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "it has %u sub-networks, %u are needed", node->n_graphs, op->n_graphs);
  return TRUE;
}

static gboolean
check_output(const InferNode *node, guint index, const InferOperand *out, GError **error)
{
  g_autofree char *text = NULL;

  if (infer_type_bits(out->type) == 0 && out->type != INFER_TYPE_STRING)
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "the type of output %u is not known",
                          index);
  if (out->kind != INFER_KIND_TENSOR && out->dims.n >= 0)
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "output %u is a %s with dimensions",
                          index, infer_kind_name(out->kind));
  if (out->dims.n > INFER_MAX_DIMS)
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "output %u has %d dimensions, at most %d",
                          index, out->dims.n, INFER_MAX_DIMS);
  if (!infer_dims_is_constant(&out->dims))
    return TRUE;
  if (infer_type_size(out->type, infer_dims_count(&out->dims)) <= (gsize)1 << 40)
    return TRUE;
  text = infer_dims_to_string(&out->dims);
  return infer_op_error(node, error, INFER_ERROR_SHAPE, "output %u of %s %s is too large", index,
                        infer_type_name(out->type), text);
}

gboolean
infer_op_shape_args(InferShapeArgs *args, GError **error)
{
  const InferNode *node = args->node;

  if (!check_arity(node, args->in, args->n_in, args->n_out, error))
    return FALSE;
  for (guint i = 0; i < args->n_out; i++) {
    memset(&args->out[i], 0, sizeof args->out[i]);
    args->out[i].dims.n = args->out[i].item_dims.n = -1;
  }
  if (!check_attrs(node, error) || !node->op->infer(args, error))
    return FALSE;
  for (guint i = 0; i < args->n_out; i++)
    if (!check_output(node, i, &args->out[i], error))
      return FALSE;
  return TRUE;
}

gboolean
infer_op_shape(const InferNode *node, const InferOperand *in, guint n_in, InferOperand *out,
               guint n_out, GError **error)
{
  guint widens;

  return infer_widen_shape(node, in, n_in, out, n_out, &widens, error);
}

gboolean
infer_op_settle(const InferNode *node, const InferOperand *in, guint n_in, InferOperand *out,
                guint n_out, GError **error)
{
  guint widens = 0;
  InferShapeArgs args = {.node = node,
                         .n_in = n_in,
                         .in = in,
                         .n_out = n_out,
                         .out = out,
                         .settle = TRUE,
                         .widens = &widens};

  return infer_op_shape_args(&args, error);
}

void
infer_operand_from_array(InferOperand *operand, const InferArray *array)
{
  gint64 count;

  memset(operand, 0, sizeof *operand);
  if (!array)
    return;
  operand->type = array->type;
  operand->dims = array->dims;
  operand->kind = array->kind;
  operand->item_dims = INFER_DIMS_UNKNOWN;
  if (array->kind != INFER_KIND_TENSOR) {
    infer_array_item_dims(array, &operand->item_dims);
    return;
  }
  operand->value = array;
  count = infer_array_count(array);
  if (array->dims.n > 1 || count > INFER_MAX_DIMS ||
      !(infer_type_is_integer(array->type) || array->type == INFER_TYPE_BOOL))
    return;
  operand->has_content = TRUE;
  operand->content.n = (gint)count;
  /* Negative numbers would read as symbols; what needs them reads the value. */
  for (gint64 i = 0; i < count; i++) {
    gint64 element = infer_array_get_int(array, (gsize)i);
    operand->content.d[i] = element < 0 ? INFER_DIM_UNKNOWN : element;
  }
}

void
infer_operand_from_tensor(InferOperand *operand, const InferTensor *tensor)
{
  if (tensor && tensor->value) {
    infer_operand_from_array(operand, tensor->value);
    return;
  }
  memset(operand, 0, sizeof *operand);
  if (!tensor)
    return;
  operand->type = tensor->type;
  operand->dims = tensor->dims;
  operand->kind = tensor->kind;
  operand->item_dims = tensor->item_dims;
  operand->has_content = tensor->has_content;
  operand->content = tensor->content;
}

gboolean
infer_operand_is_known(const InferOperand *operand)
{
  return operand->has_content && !operand->value && infer_dims_is_constant(&operand->content) &&
         infer_dims_is_constant(&operand->dims) &&
         infer_dims_count(&operand->dims) == operand->content.n;
}

InferArray *
infer_operand_content_new(InferType type, const InferDims *dims, const InferDims *content,
                          GError **error)
{
  InferArray *array = infer_array_new(type, dims, error);

  for (gint i = 0; array && i < content->n; i++) {
    if (type == INFER_TYPE_INT64)
      ((gint64 *)array->data)[i] = content->d[i];
    else
      infer_array_set_double(array, (gsize)i, (double)content->d[i]);
  }
  return array;
}

static gboolean
make_outputs(const InferOperand *shapes, InferArray **out, guint n_out, GError **error)
{
  for (guint i = 0; i < n_out; i++)
    if (infer_dims_is_constant(&shapes[i].dims)) {
      out[i] = infer_array_new(shapes[i].type, &shapes[i].dims, error);
      if (!out[i])
        return FALSE;
    }
  return TRUE;
}

static gboolean
eval_outputs(const InferShapeArgs *args, InferEvalArgs *eval, GError **error)
{
  const InferNode *node = args->node;
  g_autofree InferType *types = g_new0(InferType, args->n_out + 1);
  g_autofree guint8 *scratch = NULL;

  if (!make_outputs(args->out, eval->out, args->n_out, error))
    return FALSE;
  if (node->op->scratch) {
    gsize size = infer_widen_scratch(args, *args->widens);

    scratch = g_try_malloc0(size + 64);
    if (!scratch)
      return infer_op_error(node, error, INFER_ERROR_MEMORY,
                            "%" G_GSIZE_FORMAT " bytes of scratch cannot be had", size);
    eval->scratch = scratch + (64 - (gsize)scratch % 64) % 64;
  }
  if (*args->widens == 0)
    return node->op->eval(eval, error);
  for (guint i = 0; i < args->n_out; i++)
    types[i] = args->out[i].type;
  return infer_widen_eval(eval, *args->widens, types, error);
}

/* What sub-networks give is inferred as they run, node by node. */
static gboolean
eval_graphs(const InferNode *node, const InferArray *const *in, guint n_in, InferArray **out,
            guint n_out, GError **error)
{
  g_autofree InferOperand *operands = g_new0(InferOperand, n_in + 1);
  const InferEvalArgs eval = {.node = node, .n_in = n_in, .in = in, .n_out = n_out, .out = out};

  for (guint i = 0; i < n_in; i++)
    if (in[i]) {
      operands[i].type = in[i]->type;
      operands[i].kind = in[i]->kind;
    }
  return check_arity(node, operands, n_in, n_out, error) && check_attrs(node, error) &&
         node->op->eval(&eval, error);
}

gboolean
infer_op_eval_alloc(const InferNode *node, const InferArray *const *in, guint n_in,
                    InferArray **out, guint n_out, GError **error)
{
  g_autofree InferOperand *operands = g_new0(InferOperand, n_in + 1);
  g_autofree InferOperand *shapes = g_new0(InferOperand, n_out + 1);
  guint widens = 0;
  InferShapeArgs args = {
      .node = node, .n_in = n_in, .in = operands, .n_out = n_out, .out = shapes, .widens = &widens};
  InferEvalArgs eval = {.node = node, .n_in = n_in, .in = in, .n_out = n_out, .out = out};

  for (guint i = 0; i < n_out; i++)
    out[i] = NULL;
  for (guint i = 0; i < n_in; i++)
    infer_operand_from_array(&operands[i], in[i]);
  if (node->op->n_graphs == 0 && !infer_op_shape_args(&args, error))
    return FALSE;
  if (node->op->n_graphs ? eval_graphs(node, in, n_in, out, n_out, error)
                         : eval_outputs(&args, &eval, error)) {
    for (guint i = 0; i < n_out; i++)
      if (!out[i])
        return infer_op_error(node, error, INFER_ERROR_FAILED, "output %u was not computed", i);
    return TRUE;
  }
  for (guint i = 0; i < n_out; i++)
    g_clear_pointer(&out[i], infer_array_unref);
  return FALSE;
}
