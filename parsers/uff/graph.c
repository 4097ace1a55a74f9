/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "uff.h"

#include <string.h>

#define KEEP(n)                                                                                    \
  {                                                                                                \
    n, WIRE_KEEP                                                                                   \
  }
#define MAX_DEPTH 16

static const WireRule ints_rules[] = {KEEP(1), {0}};
static const WireRule entry_orders[] = {KEEP(1), {2, WIRE_MESSAGE, ints_rules}, {0}};
static const WireRule orders_rules[] = {{1, WIRE_MESSAGE, entry_orders}, {0}};
static const WireRule order_lists[] = {{1, WIRE_MESSAGE, orders_rules}, {0}};
static const WireRule data_rules[] = {
    KEEP(1),
    KEEP(2),
    KEEP(3),
    KEEP(4),
    KEEP(5),
    KEEP(7),
    {8, WIRE_MESSAGE, ints_rules},
    {9, WIRE_CUT, NULL, 1009},
    KEEP(100),
    KEEP(101),
    {103, WIRE_MESSAGE, orders_rules},
    {104, WIRE_MESSAGE, order_lists},
    {0},
};
static const WireRule entry_rules[] = {KEEP(1), {2, WIRE_MESSAGE, data_rules}, {0}};
static const WireRule node_rules[] = {
    KEEP(1), KEEP(2), KEEP(3), {4, WIRE_MESSAGE, entry_rules}, {0}};
static const WireRule graph_rules[] = {KEEP(1), {2, WIRE_MESSAGE, node_rules}, {0}};
static const WireRule meta_rules[] = {
    KEEP(1), {4, WIRE_MESSAGE, graph_rules}, {5, WIRE_MESSAGE, entry_rules}, {0}};

gboolean
uff_error(GError **error, InferError code, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  g_set_error_literal(error, INFER_ERROR, (gint)code, valid);
  return FALSE;
}

static gboolean
join(UffImport *im, GError **error)
{
  for (guint i = 0; i < im->n_nodes; i++) {
    UffNode *node = &im->nodes[i];
    node->n_inputs = (guint)node->def->n_inputs;
    node->inputs = g_new0(UffNode *, node->n_inputs + 1);
    for (guint k = 0; k < node->n_inputs; k++) {
      node->inputs[k] = g_hash_table_lookup(im->by_name, node->def->inputs[k]);
      if (!node->inputs[k]) {
        return uff_error(error, INFER_ERROR_MODEL, "'%s' reads '%s', which is not in the graph",
                         node->def->id, node->def->inputs[k]);
      }
      node->inputs[k]->readers++;
    }
    const char *op = node->def->operation;
    im->channels_last =
        im->channels_last ||
        ((g_str_equal(op, "Conv") || g_str_equal(op, "Pool")) && uff_channels_last(im, node, 0));
  }
  return TRUE;
}

static gboolean
index_nodes(UffImport *im, const InferUff__Graph *graph, GError **error)
{
  im->n_nodes = (guint)graph->n_nodes;
  im->nodes = g_new0(UffNode, im->n_nodes + 1);
  for (guint i = 0; i < im->n_nodes; i++) {
    UffNode *node = &im->nodes[i];
    node->def = graph->nodes[i];
    if (!node->def->id || !node->def->id[0] || !node->def->operation) {
      return uff_error(error, INFER_ERROR_MODEL, "node %u has no id or no operation", i);
    }
    if (!g_hash_table_insert(im->by_name, node->def->id, node)) {
      return uff_error(error, INFER_ERROR_MODEL, "two nodes are named '%s'", node->def->id);
    }
  }
  for (gsize i = 0; i < im->graph->n_referenced_data; i++) {
    InferUff__Entry *entry = im->graph->referenced_data[i];
    if (entry->key && entry->value) {
      g_hash_table_insert(im->data, entry->key, entry->value);
    }
  }
  return join(im, error);
}

gboolean
uff_graph_load(UffImport *im, GError **error)
{
  gsize size = 0;
  const guint8 *bytes = g_bytes_get_data(im->bytes, &size);

  im->ranges = g_array_new(FALSE, FALSE, sizeof(WireRange));
  g_autoptr(GByteArray) kept = wire_scan(bytes, size, meta_rules, MAX_DEPTH, im->ranges, error);
  if (!kept) {
    return FALSE;
  }
  wire_allocator_init(&im->allocator, ((gsize)1 << 20) + (gsize)kept->len * 128);
  im->graph = infer_uff__meta_graph__unpack(&im->allocator.base, kept->len, kept->data);
  if (!im->graph) {
    return uff_error(error, INFER_ERROR_MODEL, "damaged: it is not UFF, or memory is short");
  }
  if (im->graph->n_graphs != 1 || im->graph->graphs[0]->n_nodes > G_MAXINT32 / 2) {
    return uff_error(error, INFER_ERROR_MODEL, "it has %" G_GSIZE_FORMAT " graphs, not one",
                     im->graph->n_graphs);
  }
  return index_nodes(im, im->graph->graphs[0], error);
}

const InferUff__Data *
uff_field(const UffImport *im, const UffNode *node, const char *name)
{
  for (gsize i = 0; i < node->def->n_fields; i++) {
    const InferUff__Entry *entry = node->def->fields[i];
    gsize length = strlen(name);
    if (entry->key && entry->value && g_str_has_prefix(entry->key, name) &&
        (entry->key[length] == 0 || g_str_has_prefix(entry->key + length, "_u_"))) {
      const InferUff__Data *data = entry->value;
      return data->ref ? g_hash_table_lookup(im->data, data->ref) : data;
    }
  }
  return NULL;
}

gint64
uff_int(const UffImport *im, const UffNode *node, const char *name, gint64 fallback)
{
  const InferUff__Data *data = uff_field(im, node, name);

  return !data ? fallback : data->has_i ? data->i : data->has_b ? data->b : fallback;
}

double
uff_double(const UffImport *im, const UffNode *node, const char *name, double fallback)
{
  const InferUff__Data *data = uff_field(im, node, name);

  return !data ? fallback : data->has_d ? data->d : data->has_i ? (double)data->i : fallback;
}

const char *
uff_string(const UffImport *im, const UffNode *node, const char *name, const char *fallback)
{
  const InferUff__Data *data = uff_field(im, node, name);

  return data && data->s ? data->s : fallback;
}

gsize
uff_ints(const UffImport *im, const UffNode *node, const char *name, gint64 *values, gsize max)
{
  const InferUff__Data *data = uff_field(im, node, name);
  gsize n = 0;

  if (data && data->has_i && max > 0) {
    values[n++] = data->i;
  }
  for (gsize i = 0; data && data->i_list && i < data->i_list->n_val && n < max; i++) {
    values[n++] = data->i_list->val[i];
  }
  return n;
}

gsize
uff_doubles(const UffImport *im, const UffNode *node, const char *name, double *values, gsize max)
{
  const InferUff__Data *data = uff_field(im, node, name);
  gsize n = 0;

  if (data && (data->has_d || data->has_i) && max > 0) {
    values[n++] = data->has_d ? data->d : (double)data->i;
  }
  for (gsize i = 0; data && data->d_list && i < data->d_list->n_val && n < max; i++) {
    values[n++] = data->d_list->val[i];
  }
  for (gsize i = 0; data && data->i_list && i < data->i_list->n_val && n < max; i++) {
    values[n++] = (double)data->i_list->val[i];
  }
  return n;
}

gsize
uff_order(const UffImport *im, const UffNode *node, guint index, gint64 order[UFF_MAX_ORDER])
{
  const InferUff__Data *data = uff_field(im, node, "inputs_orders");
  const InferUff__ListDimensionOrders *list = data ? data->dim_orders_list : NULL;
  const InferUff__ListInt64 *have = list && index < list->n_val && list->val[index]->n_orders > 0
                                        ? list->val[index]->orders[0]->value
                                        : NULL;
  gsize n = 0;

  for (gsize i = 0; have && i < have->n_val; i++) {
    gboolean range = have->val[i] == 2 && i + 1 < have->n_val && have->val[i + 1] == G_MAXINT32;
    i += range;
    if (n == UFF_MAX_ORDER) {
      return 0;
    }
    order[n++] = range || have->val[i] >= 2 ? UFF_REST : have->val[i];
  }
  return n;
}

GVariant *
uff_variant(const InferUff__Data *data)
{
  GVariantBuilder builder;

  if (!data) {
    return NULL;
  }
  if (data->s) {
    return g_variant_new_take_string(g_utf8_make_valid(data->s, -1));
  }
  if (data->has_d) {
    return g_variant_new_double(data->d);
  }
  if (data->has_i || data->has_b) {
    return g_variant_new_int64(data->has_i ? data->i : data->b);
  }
  if (data->d_list) {
    return g_variant_new_fixed_array(G_VARIANT_TYPE_DOUBLE, data->d_list->val, data->d_list->n_val,
                                     sizeof(double));
  }
  if (data->i_list) {
    return g_variant_new_fixed_array(G_VARIANT_TYPE_INT64, data->i_list->val, data->i_list->n_val,
                                     sizeof(gint64));
  }
  if (!data->s_list) {
    return NULL;
  }
  g_variant_builder_init(&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (gsize i = 0; i < data->s_list->n_val; i++) {
    g_autofree char *valid = g_utf8_make_valid(data->s_list->val[i], -1);
    g_variant_builder_add(&builder, "s", valid);
  }
  return g_variant_builder_end(&builder);
}

/* Types are 0x10000 for integers and 0x20000 for floats, plus their bits. */
InferType
uff_type(gint32 dtype)
{
  switch (dtype) {
  case 0x10008:
    return INFER_TYPE_INT8;
  case 0x10010:
    return INFER_TYPE_INT16;
  case 0x10020:
    return INFER_TYPE_INT32;
  case 0x10040:
    return INFER_TYPE_INT64;
  case 0x20010:
    return INFER_TYPE_FLOAT16;
  case 0x20020:
    return INFER_TYPE_FLOAT;
  default:
    return INFER_TYPE_UNDEFINED;
  }
}

InferArray *
uff_constant(const UffImport *im, const UffNode *node, GError **error)
{
  const InferUff__Data *values = uff_field(im, node, "values");
  const InferUff__Data *dtype = uff_field(im, node, "dtype");
  const InferUff__Data *shape = uff_field(im, node, "shape");
  InferType type = uff_type(dtype && dtype->has_dtype ? dtype->dtype : 0);
  InferDims dims = INFER_DIMS_SCALAR;

  if (type == INFER_TYPE_UNDEFINED || !values || !values->has_blob_range ||
      values->blob_range == 0 || values->blob_range > im->ranges->len) {
    uff_error(error, INFER_ERROR_MODEL, "the constant has no type or no values");
    return NULL;
  }
  for (gsize i = 0; shape && shape->i_list && i < shape->i_list->n_val; i++) {
    if (dims.n == INFER_MAX_DIMS || shape->i_list->val[i] < 0) {
      uff_error(error, INFER_ERROR_MODEL, "the constant's dimensions cannot be");
      return NULL;
    }
    dims.d[dims.n++] = shape->i_list->val[i];
  }
  if (shape && shape->has_i && shape->i >= 0) {
    dims.d[dims.n++] = shape->i;
  }
  WireRange range = g_array_index(im->ranges, WireRange, values->blob_range - 1);
  g_autoptr(GBytes) bytes = g_bytes_new_from_bytes(im->bytes, range.offset, range.length);
  return infer_array_new_from_bytes(type, &dims, bytes, error);
}

gboolean
uff_channels_last(const UffImport *im, const UffNode *node, guint index)
{
  gint64 order[UFF_MAX_ORDER];
  gsize n = uff_order(im, node, index, order);

  return n > 0 && order[n - 1] == 1;
}
