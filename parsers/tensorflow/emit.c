/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <op.h>

/* Constants are computed while parsing, so that axes, shapes and anchors are numbers; but a small
 * file must not make a large computation. */
#define MAX_FOLD ((gsize)64 << 20)
#define MAX_FOLD_ALL ((gsize)1 << 30)

gboolean
tf_error(GError **error, InferError code, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, INFER_ERROR, (gint)code, text);
  return FALSE;
}

static char *
full_name(TfImport *im, TfNode *node, const char *suffix)
{
  g_autofree char *name = tf_node_name(node);

  if (!suffix && g_hash_table_contains(im->wanted, node)) {
    suffix = "result";
  }
  return suffix ? g_strdup_printf("%s/%s", name, suffix) : g_steal_pointer(&name);
}

static gboolean
is_heavy(const char *op)
{
  static const char *const heavy[] = {"Conv",
                                      "MatMul",
                                      "Gemm",
                                      "MaxPool",
                                      "TopK",
                                      "AveragePool",
                                      "Resize",
                                      "BatchNormalization",
                                      "infer.BoxDecode",
                                      "infer.DetectionNMS",
                                      NULL};
  return g_strv_contains(heavy, op);
}

static gboolean
fold_fits(TfImport *im, const InferNode *node)
{
  gsize size = 0;

  for (guint i = 0; i < node->n_outputs; i++) {
    gint64 count = infer_dims_count(&node->outputs[i]->dims);
    gsize bytes = count < 0 ? MAX_FOLD + 1 : infer_type_size(node->outputs[i]->type, count);
    if (bytes > MAX_FOLD) {
      return FALSE;
    }
    size += bytes;
  }
  if (size > MAX_FOLD_ALL - im->folded) {
    return FALSE;
  }
  im->folded += size;
  return TRUE;
}

/* Whether the operator could be computed: then its outputs are constants of the network. */
static gboolean
fold(TfImport *im, const char *name, const char *op, GVariant *attrs, InferTensor *const *inputs,
     guint n_inputs, InferTensor **outputs, guint n_outputs)
{
  g_autoptr(GPtrArray) arrays = g_ptr_array_new_with_free_func((GDestroyNotify)infer_array_unref);
  g_autoptr(GPtrArray) tensors = g_ptr_array_new();
  g_autoptr(InferNetwork) side = NULL;

  if (is_heavy(op) || n_inputs == 0) {
    return FALSE;
  }
  for (guint i = 0; i < n_inputs; i++) {
    if (inputs[i] && !inputs[i]->value && !inputs[i]->has_content) {
      return FALSE;
    }
  }
  side = infer_network_new();
  for (guint i = 0; i < n_inputs; i++) {
    InferArray *array = inputs[i] ? parsers_known(inputs[i]) : NULL;
    if (inputs[i] && !array) {
      return FALSE;
    }
    if (array) {
      g_ptr_array_add(arrays, array);
    }
    g_ptr_array_add(tensors, array ? infer_network_add_constant(side, NULL, array) : NULL);
  }
  InferNode *node = infer_network_add_node(side, op, name, (InferTensor *const *)tensors->pdata,
                                           n_inputs, attrs, n_outputs, NULL);
  if (!node || !fold_fits(im, node)) {
    return FALSE;
  }
  g_autofree const InferArray **in = g_new0(const InferArray *, n_inputs);
  g_autofree InferArray **out = g_new0(InferArray *, n_outputs);
  for (guint i = 0; i < n_inputs; i++) {
    in[i] = node->inputs[i] ? node->inputs[i]->value : NULL;
  }
  if (!infer_op_eval_alloc(node, in, n_inputs, out, n_outputs, NULL)) {
    return FALSE;
  }
  for (guint i = 0; i < n_outputs; i++) {
    outputs[i] = infer_network_add_constant(im->network, name, out[i]);
    infer_array_unref(out[i]);
  }
  return TRUE;
}

gboolean
tf_add_n(TfImport *im, TfNode *tf, const char *suffix, const char *op, GVariant *attrs,
         InferTensor *const *inputs, guint n_inputs, InferTensor **outputs, guint n_outputs,
         GError **error)
{
  g_autofree char *name = full_name(im, tf, suffix);
  g_autoptr(GVariant) owned = attrs ? g_variant_ref_sink(attrs) : NULL;

  if (fold(im, name, op, owned, inputs, n_inputs, outputs, n_outputs)) {
    return TRUE;
  }
  InferNode *node =
      infer_network_add_node(im->network, op, name, inputs, n_inputs, owned, n_outputs, error);
  if (!node) {
    return FALSE;
  }
  for (guint i = 0; i < n_outputs; i++) {
    outputs[i] = node->outputs[i];
  }
  return TRUE;
}

InferTensor *
tf_add(TfImport *im, TfNode *node, const char *suffix, const char *op, GVariant *attrs,
       InferTensor *const *inputs, guint n_inputs, GError **error)
{
  InferTensor *output = NULL;

  if (!tf_add_n(im, node, suffix, op, attrs, inputs, n_inputs, &output, 1, error)) {
    return NULL;
  }
  /* The shape of a tensor of constant dimensions is a constant although the tensor is none. */
  g_autoptr(InferArray) known = output->value ? NULL : parsers_known(output);
  return known ? infer_network_add_constant(im->network, output->name, known) : output;
}

InferTensor *
tf_add1(TfImport *im, TfNode *node, const char *suffix, const char *op, GVariant *attrs,
        InferTensor *input, GError **error)
{
  return tf_add(im, node, suffix, op, attrs, &input, 1, error);
}

InferTensor *
tf_add2(TfImport *im, TfNode *node, const char *suffix, const char *op, GVariant *attrs,
        InferTensor *a, InferTensor *b, GError **error)
{
  return tf_add(im, node, suffix, op, attrs, (InferTensor *[]){a, b}, 2, error);
}

InferTensor *
tf_ints(TfImport *im, TfNode *node, const char *suffix, const gint64 *values, gsize n)
{
  g_autofree char *name = full_name(im, node, suffix);
  g_autoptr(InferArray) array = infer_array_new_int64s(values, n);

  return infer_network_add_constant(im->network, name, array);
}

InferTensor *
tf_scalar(TfImport *im, TfNode *node, const char *suffix, InferType type, double value)
{
  g_autofree char *name = full_name(im, node, suffix);
  g_autoptr(InferArray) array = infer_array_new(type, &INFER_DIMS_SCALAR, NULL);

  infer_array_set_double(array, 0, value);
  return infer_network_add_constant(im->network, name, array);
}

InferTensor *
tf_cast(TfImport *im, TfNode *node, const char *suffix, InferTensor *input, InferType type,
        GError **error)
{
  if (input->type == type) {
    return input;
  }
  GVariant *attrs = infer_attrs_new("to", 'i', (gint64)type, NULL);
  return tf_add1(im, node, suffix, "Cast", attrs, input, error);
}

InferTensor *
tf_squeeze(TfImport *im, TfNode *node, const char *suffix, InferTensor *input, const gint64 *axes,
           gsize n, GError **error)
{
  if (n == 0) {
    return input;
  }
  InferTensor *list = tf_ints(im, node, "axes", axes, n);
  return tf_add2(im, node, suffix, "Squeeze", NULL, input, list, error);
}

InferTensor *
tf_unsqueeze(TfImport *im, TfNode *node, const char *suffix, InferTensor *input, const gint64 *axes,
             gsize n, GError **error)
{
  if (n == 0) {
    return input;
  }
  InferTensor *list = tf_ints(im, node, "axes", axes, n);
  return tf_add2(im, node, suffix, "Unsqueeze", NULL, input, list, error);
}

InferTensor *
tf_transpose(TfImport *im, TfNode *node, const char *suffix, InferTensor *input, const gint64 *perm,
             gsize n, GError **error)
{
  GVariant *attrs = infer_attrs_new("perm", 'I', perm, n, NULL);
  return tf_add1(im, node, suffix, "Transpose", attrs, input, error);
}

InferTensor *
tf_part(TfImport *im, TfNode *node, InferTensor *x, gint64 axis, gint64 start, gint64 end,
        gint64 step, GError **error)
{
  InferTensor *in[5] = {x, tf_ints(im, node, "starts", &start, 1),
                        tf_ints(im, node, "ends", &end, 1), tf_ints(im, node, "axes", &axis, 1),
                        tf_ints(im, node, "steps", &step, 1)};

  return tf_add(im, node, "part", "Slice", NULL, in, 5, error);
}

InferTensor *
tf_join(TfImport *im, TfNode *node, InferTensor *const *parts, guint n, gint64 axis, GError **error)
{
  return n == 1 ? parts[0]
                : tf_add(im, node, "joined", "Concat", infer_attrs_new("axis", 'i', axis, NULL),
                         parts, n, error);
}
