/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Constants, inputs, and operators that only pass values on. */

#define DEFAULT_MAX_BATCH 1024
/* The range of a dimension that is open and not the batch. */
#define DEFAULT_OPEN 224
#define DEFAULT_MAX_OPEN 8192

static gboolean
emit_const(TfImport *im, TfNode *node, GError **error)
{
  g_autoptr(InferArray) array = tf_const_array(im->graph, node, error);
  if (!array) {
    return FALSE;
  }
  g_autofree char *name = tf_node_name(node);
  return tf_out(node, 0, infer_network_add_constant(im->network, name, array));
}

/* The name that the SavedModel's signature gives to an input, else its own. */
static char *
input_name(TfImport *im, const TfNode *node)
{
  const InferTf__InfoEntry *known = g_hash_table_lookup(im->placeholders, node->def->name);

  return known ? g_utf8_make_valid(known->key, -1) : tf_node_name(node);
}

static gint64
open_dim(TfImport *im, const char *name, gint axis)
{
  if (axis == 0) {
    guint max = im->options && im->options->max_batch ? im->options->max_batch : DEFAULT_MAX_BATCH;
    return infer_network_add_symbol(im->network, "batch", 1, 1, max);
  }
  g_autofree char *symbol = g_strdup_printf("%s.%d", name, axis);
  return infer_network_add_symbol(im->network, symbol, 1, DEFAULT_OPEN, DEFAULT_MAX_OPEN);
}

static gboolean
placeholder_dims(TfImport *im, TfNode *node, const char *name, InferDims *dims, GError **error)
{
  const InferTf__Attr *attr = tf_attr(node, "shape");
  const InferTf__InfoEntry *known = g_hash_table_lookup(im->placeholders, node->def->name);
  const InferTf__Shape *shape = attr ? attr->shape : NULL;

  if ((!shape || shape->unknown_rank) && known) {
    shape = known->value->tensor_shape;
  }
  if (!shape || shape->unknown_rank) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "the input has no shape; export the graph with one, or give it as a shape "
                    "'%s:224x224x3', without the batch",
                    node->def->name);
  }
  if (shape->n_dim > INFER_MAX_DIMS) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "%" G_GSIZE_FORMAT " dimensions; at most %d can be", shape->n_dim,
                    INFER_MAX_DIMS);
  }
  dims->n = (gint)shape->n_dim;
  for (gint i = 0; i < dims->n; i++) {
    gint64 size = shape->dim[i]->has_size ? shape->dim[i]->size : 0;
    if (size < -1) {
      return tf_error(error, INFER_ERROR_MODEL, "dimension %d is %" G_GINT64_FORMAT, i, size);
    }
    dims->d[i] = size == -1 ? open_dim(im, name, i) : size;
  }
  return TRUE;
}

static gboolean
emit_placeholder(TfImport *im, TfNode *node, GError **error)
{
  InferType type = tf_attr_type(node, "dtype", INFER_TYPE_UNDEFINED);
  g_autofree char *name = input_name(im, node);
  InferDims dims;

  if (im->network != im->main) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "a branch or a loop reads an input that is not handed to it");
  }
  if (type == INFER_TYPE_UNDEFINED || type == INFER_TYPE_STRING) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "an input of %s is not supported; name "
                    "outputs that do not need it",
                    type == INFER_TYPE_STRING ? "strings" : "this type");
  }
  if (!parsers_find_shape(im->options, node->def->name, &dims, error)) {
    return FALSE;
  }
  if (dims.n > 1) {
    dims.d[0] = open_dim(im, name, 0);
  } else if (!placeholder_dims(im, node, name, &dims, error)) {
    return FALSE;
  }
  return tf_out(node, 0, infer_network_add_input(im->network, name, type, &dims, NULL, error));
}

/* What a caller cuts out of a graph: the node's own operator and all before it are left out. */
static gboolean
emit_given(TfImport *im, TfNode *node, GError **error)
{
  g_autofree char *name = tf_node_name(node);
  InferType type = tf_attr_type(node, "T", INFER_TYPE_FLOAT);
  InferDims dims;

  if (!parsers_find_shape(im->options, node->def->name, &dims, error)) {
    return FALSE;
  }
  dims.d[0] = open_dim(im, name, 0);
  return tf_out(node, 0, infer_network_add_input(im->network, name, type, &dims, NULL, error));
}

const TfOp tf_op_given = {"given", emit_given};

/* A switch such as "is training" is fixed at its default; anything larger is an optional input. */
static gboolean
emit_placeholder_with_default(TfImport *im, TfNode *node, GError **error)
{
  g_autoptr(InferArray) value = tf_const(node, 0, NULL);

  if (!value || value->type == INFER_TYPE_BOOL || value->dims.n == 0) {
    return tf_forward(node, 0, 0, error);
  }
  if (im->network != im->main) {
    return tf_forward(node, 0, 0, error);
  }
  g_autofree char *name = input_name(im, node);
  return tf_out(
      node, 0, infer_network_add_input(im->network, name, value->type, &value->dims, value, error));
}

static gboolean
emit_identity(TfImport *im, TfNode *node, GError **error)
{
  return tf_forward(node, 0, 0, error);
}

static gboolean
emit_identity_n(TfImport *im, TfNode *node, GError **error)
{
  for (guint i = 0; i < node->n_inputs; i++) {
    if (!tf_forward(node, i, i, error)) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
emit_nothing(TfImport *im, TfNode *node, GError **error)
{
  return TRUE;
}

static gboolean
emit_cast(TfImport *im, TfNode *node, GError **error)
{
  InferType type = tf_attr_type(node, "DstT", INFER_TYPE_UNDEFINED);
  gboolean nchw = tf_has_nchw(node, 0);
  InferTensor *input = nchw ? tf_in_nchw(im, node, 0, error) : tf_in(im, node, 0, error);

  if (input && (infer_type_bits(type) == 0)) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "the type to convert to is not supported");
  }
  return input && tf_out_as(node, 0, tf_cast(im, node, NULL, input, type, error), nchw);
}

const TfOp tf_ops_basic[] = {
    {"Const", emit_const},
    {"HostConst", emit_const},
    {"Placeholder", emit_placeholder},
    {"PlaceholderV2", emit_placeholder},
    {"PlaceholderWithDefault", emit_placeholder_with_default},
    {"Identity", emit_identity},
    {"StopGradient", emit_identity},
    {"PreventGradient", emit_identity},
    {"Snapshot", emit_identity},
    {"GuaranteeConst", emit_identity},
    {"DeepCopy", emit_identity},
    {"Print", emit_identity},
    {"PrintV2", emit_nothing},
    {"_EagerConst", emit_identity},
    {"CheckNumericsV2", emit_identity},
    {"CheckNumerics", emit_identity},
    {"EnsureShape", emit_identity},
    {"IdentityN", emit_identity_n},
    {"NoOp", emit_nothing},
    {"Assert", emit_nothing},
    {"Cast", emit_cast},
    {NULL, NULL},
};
