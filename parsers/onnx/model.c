/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

/* The fields that are read, see onnx.proto. Graphs are in attributes of nodes of graphs. */
static const WireRule node_rules[8];
static const WireRule type_rules[6];
#define KEEP(field)                                                                                \
  {                                                                                                \
    (field), WIRE_KEEP, NULL, 0                                                                    \
  }
#define SUB(field, rules)                                                                          \
  {                                                                                                \
    (field), WIRE_MESSAGE, (rules), 0                                                              \
  }
#define END                                                                                        \
  {                                                                                                \
    0, WIRE_KEEP, NULL, 0                                                                          \
  }

static const WireRule entry_rules[] = {KEEP(1), KEEP(2), END};
static const WireRule tensor_rules[] = {
    KEEP(1),
    KEEP(2),
    {4, WIRE_CUT_LONG, NULL, 1001},
    KEEP(5),
    KEEP(6),
    KEEP(7),
    KEEP(8),
    {9, WIRE_CUT, NULL, 1000},
    {10, WIRE_CUT_LONG, NULL, 1002},
    KEEP(11),
    SUB(13, entry_rules),
    KEEP(14),
    END,
};
static const WireRule sparse_rules[] = {SUB(1, tensor_rules), SUB(2, tensor_rules), KEEP(3), END};
static const WireRule dim_rules[] = {KEEP(1), KEEP(2), END};
static const WireRule shape_rules[] = {SUB(1, dim_rules), END};
static const WireRule tensor_type_rules[] = {KEEP(1), SUB(2, shape_rules), END};
static const WireRule item_type_rules[] = {SUB(1, type_rules), END};
static const WireRule type_rules[] = {
    SUB(1, tensor_type_rules),
    SUB(4, item_type_rules),
    KEEP(5),
    KEEP(8),
    SUB(9, item_type_rules),
    END,
};
static const WireRule value_rules[] = {KEEP(1), SUB(2, type_rules), END};
static const WireRule graph_rules[] = {
    SUB(1, node_rules),
    KEEP(2),
    SUB(5, tensor_rules),
    SUB(11, value_rules),
    SUB(12, value_rules),
    SUB(15, sparse_rules),
    END,
};
static const WireRule attr_rules[] = {
    KEEP(1),
    KEEP(2),
    KEEP(3),
    KEEP(4),
    SUB(5, tensor_rules),
    SUB(6, graph_rules),
    KEEP(7),
    KEEP(8),
    KEEP(9),
    SUB(14, type_rules),
    KEEP(20),
    KEEP(21),
    SUB(22, sparse_rules),
    END,
};
static const WireRule node_rules[] = {
    KEEP(1), KEEP(2), KEEP(3), KEEP(4), SUB(5, attr_rules), KEEP(7), KEEP(8), END,
};
static const WireRule opset_rules[] = {KEEP(1), KEEP(2), END};
static const WireRule function_rules[] = {
    KEEP(1),
    KEEP(4),
    KEEP(5),
    KEEP(6),
    SUB(7, node_rules),
    SUB(9, opset_rules),
    KEEP(10),
    SUB(11, attr_rules),
    KEEP(13),
    END,
};
static const WireRule model_rules[] = {
    KEEP(1), SUB(7, graph_rules), SUB(8, opset_rules), SUB(25, function_rules), END,
};

/* A graph in a graph is four messages deeper: node, attribute, graph and what is in it. */
#define MAX_DEPTH 64

gboolean
onnx_error(GError **error, InferError code, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, INFER_ERROR, (gint)code, text);
  return FALSE;
}

char *
onnx_valid(const char *text)
{
  return g_utf8_make_valid(text ? text : "", -1);
}

char *
onnx_text(const ProtobufCBinaryData *bytes)
{
  g_autofree char *text = g_strndup((const char *)bytes->data, bytes->len);

  return g_utf8_make_valid(text, -1);
}

void
onnx_model_free(OnnxModel *model)
{
  if (model->def) {
    infer_onnx__model__free_unpacked(model->def, &model->allocator.base);
  }
  g_clear_pointer(&model->functions, g_hash_table_unref);
  g_clear_pointer(&model->external, g_hash_table_unref);
  g_clear_pointer(&model->ranges, g_array_unref);
  g_clear_pointer(&model->bytes, g_bytes_unref);
  g_free(model->folder);
  g_free(model);
}

static char *
function_key(const char *domain, const char *name, const char *overload)
{
  return g_strdup_printf("%s\n%s\n%s", domain ? domain : "", name ? name : "",
                         overload ? overload : "");
}

const InferOnnx__Function *
onnx_model_function(const OnnxModel *model, const char *domain, const char *name,
                    const char *overload)
{
  g_autofree char *key = function_key(domain, name, overload);

  return g_hash_table_lookup(model->functions, key);
}

static gboolean
unpack(OnnxModel *model, GError **error)
{
  gsize size = 0;
  const guint8 *data = g_bytes_get_data(model->bytes, &size);
  g_autoptr(GByteArray) kept = wire_scan(data, size, model_rules, MAX_DEPTH, model->ranges, error);

  if (!kept) {
    return FALSE;
  }
  /* An empty message of two bytes becomes a structure of about two hundred. */
  wire_allocator_init(&model->allocator, (gsize)1 << 20);
  model->allocator.left += (gsize)kept->len * 160;
  model->def = infer_onnx__model__unpack(&model->allocator.base, kept->len, kept->data);
  if (!model->def) {
    return onnx_error(error, INFER_ERROR_MODEL,
                      "damaged: it is not an ONNX model, or memory is short");
  }
  return model->def->graph || onnx_error(error, INFER_ERROR_MODEL, "the model has no graph");
}

OnnxModel *
onnx_model_load(GBytes *bytes, const char *folder, GError **error)
{
  g_autoptr(OnnxModel) model = g_new0(OnnxModel, 1);

  model->bytes = g_bytes_ref(bytes);
  model->folder = g_strdup(folder);
  model->ranges = g_array_new(FALSE, FALSE, sizeof(WireRange));
  model->external =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
  model->functions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  if (!unpack(model, error)) {
    return NULL;
  }
  for (gsize i = 0; i < model->def->n_functions; i++) {
    InferOnnx__Function *function = model->def->functions[i];
    char *key = function_key(function->domain, function->name, function->overload);
    if (!g_hash_table_insert(model->functions, key, function)) {
      onnx_error(error, INFER_ERROR_MODEL, "two functions are named '%s'",
                 function->name ? function->name : "");
      return NULL;
    }
  }
  return g_steal_pointer(&model);
}
