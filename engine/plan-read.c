/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"
#include "plan-reader.h"
#include "plugin-private.h"
#include "string-pack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

/* Networks of a hundred thousand nodes exist; a million is a damaged file. */
#define MAX_ITEMS 1000000
/* The most bytes of one tensor that was left out: plans are not larger. */
#define MAX_LEFT_OUT ((gsize)1 << 31)

gboolean
infer_plan_damaged(const char *source, GError **error, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start(args, format);
  message = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, INFER_ERROR, INFER_ERROR_PLAN,
              "plan '%s' is damaged: %s; build it again from the model", source, message);
  return FALSE;
}

/* --- header --- */

static gboolean
check_header(const InferPlanHeader *header, const char *source, GError **error)
{
  if (memcmp(header->magic, INFER_PLAN_MAGIC, sizeof header->magic) != 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_PLAN, "'%s' is not a plan file", source);
    return FALSE;
  }
  if (GUINT32_FROM_LE(header->format) != INFER_PLAN_FORMAT) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERSION,
                "plan '%s' has format %u, this version (%s) reads format %u; build it again from "
                "the model",
                source, GUINT32_FROM_LE(header->format), INFER_VERSION, INFER_PLAN_FORMAT);
    return FALSE;
  }
  return TRUE;
}

/* What no checksum covers. */
static gboolean
is_padding(const guint8 *file, guint64 from, guint64 to)
{
  for (guint64 i = from; i < to; i++)
    if (file[i] != 0)
      return FALSE;
  return TRUE;
}

static gboolean
check_file(GBytes *bytes, InferPlanHeader *header, const char *source, GError **error)
{
  gsize size;
  const guint8 *file = g_bytes_get_data(bytes, &size);
  guint64 table, offset, data;

  if (size < sizeof *header) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_PLAN,
                "'%s' is not a plan file: it has %" G_GSIZE_FORMAT " bytes", source, size);
    return FALSE;
  }
  memcpy(header, file, sizeof *header);
  if (!check_header(header, source, error))
    return FALSE;
  table = GUINT64_FROM_LE(header->table_size);
  offset = GUINT64_FROM_LE(header->data_offset);
  data = GUINT64_FROM_LE(header->data_size);
  if (GUINT32_FROM_LE(header->header_size) != sizeof *header || table > size - sizeof *header ||
      offset % INFER_PLAN_ALIGNMENT || offset > size || offset < sizeof *header + table ||
      data != size - offset)
    return infer_plan_damaged(
        source, error, "it has %" G_GSIZE_FORMAT " bytes, its header speaks of %" G_GUINT64_FORMAT,
        size, offset + data);
  if (header->reserved || offset - sizeof *header - table >= INFER_PLAN_ALIGNMENT ||
      !is_padding(file, sizeof *header + table, offset))
    return infer_plan_damaged(source, error, "there is something between its parts");
  if (XXH3_64bits(file + sizeof *header, table) != GUINT64_FROM_LE(header->table_hash))
    return infer_plan_damaged(source, error, "the checksum of its tables is wrong");
  if (XXH3_64bits(file + offset, data) != GUINT64_FROM_LE(header->data_hash))
    return infer_plan_damaged(source, error, "the checksum of its weights is wrong");
  return TRUE;
}

static GVariant *
read_table(GBytes *bytes, const InferPlanHeader *header, const char *source, GError **error)
{
  const guint8 *file = g_bytes_get_data(bytes, NULL);
  /* A copy: what was checked cannot change any more when the mapped file does. */
  g_autoptr(GBytes) copy = g_bytes_new(file + sizeof *header, GUINT64_FROM_LE(header->table_size));
  g_autoptr(GVariant) table =
      g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE_VARDICT, copy, FALSE));

  if (!g_variant_is_normal_form(table)) {
    infer_plan_damaged(source, error, "its tables cannot be read");
    return NULL;
  }
  return g_steal_pointer(&table);
}

GVariant *
infer_plan_part(InferPlanReader *self, const char *name, const char *type, GError **error)
{
  GVariant *part = g_variant_lookup_value(self->table, name, G_VARIANT_TYPE(type));

  if (!part)
    infer_plan_damaged(self->source, error, "it has no '%s'", name);
  else if (g_variant_is_container(part) && g_variant_n_children(part) > MAX_ITEMS) {
    g_clear_pointer(&part, g_variant_unref);
    infer_plan_damaged(self->source, error, "it has too many '%s'", name);
  }
  return part;
}

/* --- parts --- */

static gboolean
read_blobs(InferPlanReader *self, GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "blobs", INFER_PLAN_BLOBS, error);
  gsize size = g_bytes_get_size(self->data);

  for (gsize i = 0; part && i < g_variant_n_children(part); i++) {
    guint64 offset, length;
    GBytes *blob;

    g_variant_get_child(part, i, "(tt)", &offset, &length);
    if (offset > size || length > size - offset || offset % INFER_PLAN_ALIGNMENT)
      return infer_plan_damaged(self->source, error,
                                "weights %" G_GSIZE_FORMAT " lie outside the file", i);
    blob = g_bytes_new_from_bytes(self->data, offset, length);
    g_array_append_val(self->blobs, blob);
  }
  return part != NULL;
}

GBytes *
infer_plan_blob(InferPlanReader *self, gint index)
{
  return index >= 0 && (guint)index < self->blobs->len ? g_array_index(self->blobs, GBytes *, index)
                                                       : NULL;
}

static gboolean
read_symbols(InferPlanReader *self, GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "symbols", INFER_PLAN_SYMBOLS, error);

  for (gsize i = 0; part && i < g_variant_n_children(part); i++) {
    const char *name;
    gint64 min, opt, max;

    g_variant_get_child(part, i, "(&sxxx)", &name, &min, &opt, &max);
    infer_network_add_symbol(self->network, name, min, opt, max);
  }
  return part != NULL;
}

static void
unmap(gpointer data)
{
  GBytes *extent = data;
  gsize size;
  gpointer memory = (gpointer)g_bytes_get_data(extent, &size);

  munmap(memory, size);
  g_bytes_unref(extent);
}

/* Zeros in place of contents that were left out. They take no memory: nothing writes them. */
static InferArray *
empty_array(InferPlanReader *self, const InferTensor *tensor, GError **error)
{
  gsize size = infer_type_size(tensor->type, infer_dims_count(&tensor->dims));
  g_autoptr(GBytes) bytes = NULL;
  gpointer memory;

  if (!self->missing || size == 0 || size > MAX_LEFT_OUT ||
      !infer_model_is_weight_type(tensor->type)) {
    infer_plan_damaged(self->source, error, "tensor '%s' cannot have been left out", tensor->name);
    return NULL;
  }
  memory = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY, "plan '%s': tensor '%s' finds no room",
                self->source, tensor->name);
    return NULL;
  }
  bytes = g_bytes_new_with_free_func(memory, size, unmap, g_bytes_new_static(memory, size));
  g_hash_table_add(self->missing, g_strdup(tensor->name));
  return infer_array_new_from_bytes(tensor->type, &tensor->dims, bytes, error);
}

static gboolean
read_array(InferPlanReader *self, const char *name, gint blob, const InferTensor *tensor,
           InferArray **array, GError **error)
{
  GBytes *bytes = infer_plan_blob(self, blob);

  *array = NULL;
  if (blob == -1)
    return TRUE;
  if (blob == INFER_PLAN_LEFT_OUT)
    return (*array = empty_array(self, tensor, error)) != NULL;
  if (!bytes)
    return infer_plan_damaged(self->source, error, "tensor '%s' has no contents", name);
  *array = tensor->type == INFER_TYPE_STRING
               ? infer_strings_unpack(&tensor->dims, bytes, error)
               : infer_array_new_from_bytes(tensor->type, &tensor->dims, bytes, error);
  if (!*array)
    g_prefix_error(error, "plan '%s', tensor '%s': ", self->source, name);
  return *array != NULL;
}

static gboolean
read_tensor(InferPlanReader *self, GVariant *item, guint index, GError **error)
{
  const char *name;
  guint32 type;
  gint value, initial;
  g_autoptr(GVariant) dims_part = NULL;
  g_autoptr(GVariant) order_part = NULL;
  g_autoptr(InferArray) array = NULL;
  InferDims dims = {0};
  InferOrder *order = &self->orders[index];
  const gint64 *d;
  const guint8 *axes;
  gsize n, n_axes;
  InferTensor *tensor;

  g_variant_get(item, "(&su@ax@ayii)", &name, &type, &dims_part, &order_part, &value, &initial);
  d = g_variant_get_fixed_array(dims_part, &n, 8);
  axes = g_variant_get_fixed_array(order_part, &n_axes, 1);
  if (n > INFER_MAX_DIMS || n_axes != n ||
      (infer_type_bits((InferType)type) == 0 && type != INFER_TYPE_STRING))
    return infer_plan_damaged(self->source, error, "tensor '%s' has an impossible type or rank",
                              name);
  dims.n = order->n = (gint)n;
  for (gsize i = 0; i < n; i++) {
    dims.d[i] = d[i];
    order->axis[i] = axes[i];
    if (INFER_DIM_IS_SYMBOL(d[i]) &&
        INFER_DIM_SYMBOL_INDEX(d[i]) >= infer_network_get_n_symbols(self->network))
      return infer_plan_damaged(self->source, error, "tensor '%s' has an unknown dimension", name);
  }
  if (!infer_order_is_valid(order))
    return infer_plan_damaged(self->source, error, "tensor '%s' has an impossible order", name);
  tensor = infer_network_restore_tensor(self->network, name, (InferType)type, &dims);
  if (!tensor)
    return infer_plan_damaged(self->source, error, "tensor '%s' is there twice", name);
  if (!read_array(self, name, value, tensor, &array, error))
    return FALSE;
  if (array)
    infer_network_set_value(self->network, tensor, array);
  /* The default of an optional input waits at the tensor until it is marked as an input. */
  return read_array(self, name, initial, tensor, &tensor->initial, error);
}

static gboolean
read_tensors(InferPlanReader *self, GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "tensors", INFER_PLAN_TENSORS, error);

  if (!part)
    return FALSE;
  self->orders = g_new0(InferOrder, g_variant_n_children(part) + 1);
  for (gsize i = 0; i < g_variant_n_children(part); i++) {
    g_autoptr(GVariant) item = g_variant_get_child_value(part, i);
    if (!read_tensor(self, item, (guint)i, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
read_inputs(InferPlanReader *self, GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "inputs", INFER_PLAN_INDICES, error);

  for (gsize i = 0; part && i < g_variant_n_children(part); i++) {
    guint32 index;
    InferTensor *tensor;
    g_autoptr(InferArray) initial = NULL;

    g_variant_get_child(part, i, "u", &index);
    tensor = infer_network_get_tensor(self->network, index);
    initial = tensor ? g_steal_pointer(&tensor->initial) : NULL;
    if (!tensor || !infer_network_restore_input(self->network, tensor, initial))
      return infer_plan_damaged(self->source, error,
                                "input %" G_GSIZE_FORMAT " is not a tensor of its own", i);
    for (gint k = 0; self->depth == 0 && k < tensor->dims.n; k++)
      if (tensor->dims.d[k] == INFER_DIM_UNKNOWN)
        return infer_plan_damaged(self->source, error, "input '%s' has an unknown dimension",
                                  tensor->name);
  }
  return part != NULL;
}

/* The tensors that a list of indices names; -1 is an absent one where that is allowed. */
static InferTensor **
get_tensors(InferPlanReader *self, GVariant *list, gboolean optional, guint *n, GError **error)
{
  gsize count;
  const gint32 *indices = g_variant_get_fixed_array(list, &count, 4);
  g_autofree InferTensor **tensors = g_new0(InferTensor *, count + 1);

  for (gsize i = 0; i < count; i++) {
    if (indices[i] == -1 && optional)
      continue;
    tensors[i] =
        indices[i] >= 0 ? infer_network_get_tensor(self->network, (guint)indices[i]) : NULL;
    if (!tensors[i]) {
      infer_plan_damaged(self->source, error, "a node names a tensor that is not there");
      return NULL;
    }
  }
  *n = (guint)count;
  return g_steal_pointer(&tensors);
}

static const InferOp *
find_op(InferPlanReader *self, const char *node, const char *name, guint32 version, GError **error)
{
  gboolean plugin = infer_plugin_is_id(name);
  g_autofree char *key = plugin ? g_strdup_printf("%s@%u", name, version) : g_strdup(name);
  const InferOp *op = infer_op_find(key);

  if (op && op->version == version)
    return op;
  if (plugin) {
    g_autofree char *reason = infer_plugin_unknown(name, version);
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERSION, "plan '%s', node '%s': %s", self->source,
                node, reason);
  } else {
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERSION,
                "plan '%s', node '%s': operator %s of version %u is not in this version (%s), "
                "which has %u; build the plan again from the model",
                self->source, node, name, version, INFER_VERSION, op ? op->version : 0);
  }
  return NULL;
}

static gboolean
read_node(InferPlanReader *self, GVariant *item, GError **error)
{
  const char *name, *op_name;
  guint32 version;
  guint n_in, n_out;
  g_autoptr(GVariant) attrs = NULL;
  g_autoptr(GVariant) in = NULL;
  g_autoptr(GVariant) out = NULL;
  g_autofree InferTensor **inputs = NULL;
  g_autofree InferTensor **outputs = NULL;
  const InferOp *op;

  g_variant_get(item, "(&s&su@a{sv}@ai@ai)", &name, &op_name, &version, &attrs, &in, &out);
  op = find_op(self, name, op_name, version, error);
  if (!op)
    return FALSE;
  inputs = get_tensors(self, in, TRUE, &n_in, error);
  outputs = inputs ? get_tensors(self, out, FALSE, &n_out, error) : NULL;
  if (!outputs)
    return FALSE;
  return infer_network_restore_node(self->network, op, name, attrs, inputs, n_in, outputs, n_out,
                                    error) != NULL;
}

static gboolean
read_nodes(InferPlanReader *self, GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "nodes", INFER_PLAN_NODES, error);

  for (gsize i = 0; part && i < g_variant_n_children(part); i++) {
    g_autoptr(GVariant) item = g_variant_get_child_value(part, i);
    if (!read_node(self, item, error))
      return FALSE;
  }
  return part != NULL;
}

static gboolean
read_kinds(InferPlanReader *self, GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "kinds", INFER_PLAN_KINDS, error);

  for (gsize i = 0; part && i < g_variant_n_children(part); i++) {
    guint32 index, kind;
    InferTensor *tensor;

    g_variant_get_child(part, i, "{uu}", &index, &kind);
    tensor = infer_network_get_tensor(self->network, index);
    if (!tensor || tensor->value || tensor->initial || kind > INFER_KIND_OPTIONAL_SEQUENCE)
      return infer_plan_damaged(self->source, error, "tensor %u cannot be of kind %u", index, kind);
    tensor->kind = (InferKind)kind;
    tensor->dims = INFER_DIMS_UNKNOWN;
  }
  return part != NULL;
}

static gboolean read_graph(InferPlanReader *self, GError **error);

static InferNetwork *
read_sub_network(InferPlanReader *self, GVariant *table, GError **error)
{
  InferPlanReader reader = {.source = self->source,
                            .table = table,
                            .data = self->data,
                            .blobs = self->blobs,
                            .depth = self->depth + 1};
  gboolean ok;

  if (reader.depth >= INFER_MAX_NESTING) {
    infer_plan_damaged(self->source, error, "more than %d sub-networks are in each other",
                       INFER_MAX_NESTING);
    return NULL;
  }
  reader.network = infer_network_new();
  ok = read_graph(&reader, error);
  g_free(reader.orders);
  if (!ok)
    g_clear_object(&reader.network);
  return reader.network;
}

static gboolean
read_node_graphs(InferPlanReader *self, InferNode *node, GVariant *list, GError **error)
{
  g_autoptr(GPtrArray) graphs = g_ptr_array_new_with_free_func(g_object_unref);

  if (g_variant_n_children(list) != node->op->n_graphs)
    return infer_plan_damaged(self->source, error, "node '%s' has another number of sub-networks",
                              node->name);
  for (gsize i = 0; i < g_variant_n_children(list); i++) {
    g_autoptr(GVariant) table = g_variant_get_child_value(list, i);
    InferNetwork *graph = read_sub_network(self, table, error);
    if (!graph)
      return FALSE;
    g_ptr_array_add(graphs, graph);
  }
  infer_node_set_graphs(node, (InferNetwork *const *)graphs->pdata, graphs->len);
  return TRUE;
}

static gboolean
read_graphs(InferPlanReader *self, GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "graphs", INFER_PLAN_GRAPHS, error);

  for (gsize i = 0; part && i < g_variant_n_children(part); i++) {
    guint32 index;
    g_autoptr(GVariant) list = NULL;
    InferNode *node;

    g_variant_get_child(part, i, "(u@aa{sv})", &index, &list);
    node = infer_network_get_node(self->network, index);
    if (!node || node->n_graphs > 0)
      return infer_plan_damaged(self->source, error, "there is no node %u for a sub-network",
                                index);
    if (!read_node_graphs(self, node, list, error))
      return FALSE;
  }
  return part != NULL;
}

static gboolean
read_outputs(InferPlanReader *self, GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "outputs", INFER_PLAN_INDICES, error);

  for (gsize i = 0; part && i < g_variant_n_children(part); i++) {
    guint32 index;
    InferTensor *tensor;

    g_variant_get_child(part, i, "u", &index);
    tensor = infer_network_get_tensor(self->network, index);
    if (!tensor || !tensor->producer || tensor->value || tensor->is_output)
      return infer_plan_damaged(self->source, error, "output %" G_GSIZE_FORMAT " is not written",
                                i);
    if (!infer_network_mark_output(self->network, tensor, NULL, error))
      return FALSE;
  }
  return part != NULL;
}

/* Symbols, tensors and nodes of the network that the table describes. */
static gboolean
read_graph(InferPlanReader *self, GError **error)
{
  return read_symbols(self, error) && read_tensors(self, error) && read_inputs(self, error) &&
         read_nodes(self, error) && read_outputs(self, error) && read_kinds(self, error) &&
         read_graphs(self, error) && infer_network_validate(self->network, error);
}

/* The tail's inputs have to be what the program leaves behind. */
static gboolean
check_tail(const InferPlanReader *self, InferNetwork *tail, GError **error)
{
  for (guint i = 0; i < infer_network_get_n_inputs(tail); i++) {
    const InferTensor *input = infer_network_get_input(tail, i);
    const InferTensor *source = infer_network_find_tensor(self->network, input->name);

    if (input->kind != INFER_KIND_TENSOR && !source)
      continue;
    if (!source || input->kind != INFER_KIND_TENSOR || (!source->is_output && !source->is_input) ||
        source->type != input->type)
      return infer_plan_damaged(self->source, error, "its tail reads '%s', which is not there",
                                input->name);
  }
  return TRUE;
}

static gboolean
read_tail(InferPlanReader *self, InferNetwork **tail, GError **error)
{
  g_autoptr(GVariant) part =
      g_variant_lookup_value(self->table, "tail", G_VARIANT_TYPE(INFER_PLAN_TAIL));
  InferPlanReader reader = {.source = self->source,
                            .table = part,
                            .data = self->data,
                            .blobs = self->blobs,
                            .missing = self->missing};
  gboolean ok;

  *tail = NULL;
  if (!part)
    return TRUE;
  reader.network = infer_network_new();
  ok = read_graph(&reader, error) && check_tail(self, reader.network, error);
  g_free(reader.orders);
  if (ok)
    *tail = reader.network;
  else
    g_object_unref(reader.network);
  return ok;
}

static gboolean
read_network(InferPlanReader *self, GError **error)
{
  g_autoptr(GVariant) info_text = infer_plan_part(self, "model-info", "s", error);
  g_autoptr(InferModelInfo) info = NULL;
  const char *text;
  gsize length;

  if (!info_text)
    return FALSE;
  text = g_variant_get_string(info_text, &length);
  info = infer_model_info_new_from_data(text, length, self->source, error);
  if (!info)
    return FALSE;
  self->network = infer_network_new();
  infer_network_set_model_info(self->network, info);
  return read_blobs(self, error) && read_graph(self, error) &&
         infer_network_infer(self->network, error);
}

/* --- whole --- */

static InferDevice *
open_device(InferPlanReader *self, const char *wanted, guint threads, GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "device", "s", error);
  g_auto(GStrv) have = NULL;
  g_auto(GStrv) want = NULL;

  if (!part)
    return NULL;
  if (!wanted || !*wanted || g_str_equal(wanted, "auto"))
    return infer_device_open(g_variant_get_string(part, NULL), threads, error);
  have = g_strsplit(g_variant_get_string(part, NULL), ":", 2);
  want = g_strsplit(wanted, ":", 2);
  if (!have[0] || g_strcmp0(have[0], want[0]) != 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERSION,
                "plan '%s' was made for device '%s', not for '%s'; build it again from the model",
                self->source, g_variant_get_string(part, NULL), wanted);
    return NULL;
  }
  return infer_device_open(wanted, threads, error);
}

static gboolean
read_debug(InferPlanReader *self, InferEngine *engine, GError **error)
{
  g_autoptr(GVariant) names =
      g_variant_lookup_value(self->table, "debug-names", G_VARIANT_TYPE_STRING_ARRAY);
  g_autofree const char **list = names ? g_variant_get_strv(names, NULL) : NULL;

  if (!list || infer_engine_set_debug(engine, list, error))
    return TRUE;
  g_prefix_error(error, "plan '%s': ", self->source);
  return FALSE;
}

/* What was asked of the nodes when they were built. */
static gboolean
read_asked(InferPlanReader *self, GError **error)
{
  g_autoptr(GVariant) part = infer_plan_part(self, "asked", INFER_PLAN_INDICES, error);
  guint n = infer_network_get_n_nodes(self->network);

  if (part && g_variant_n_children(part) != n)
    return infer_plan_damaged(self->source, error, "its model is of another length");
  for (guint i = 0; part && i < n; i++) {
    InferNode *node = infer_network_get_node(self->network, i);
    guint32 asked;

    g_variant_get_child(part, i, "u", &asked);
    if (!infer_node_set_precision(node, (InferType)(asked & ~(guint32)INFER_PLAN_ON_HOST), error))
      return FALSE;
    node->on_host = (asked & INFER_PLAN_ON_HOST) != 0;
  }
  return part != NULL;
}

static gboolean
read_model(InferPlanReader *self, InferEngine *engine, GError **error)
{
  g_autoptr(GVariant) part =
      g_variant_lookup_value(self->table, "model", G_VARIANT_TYPE(INFER_PLAN_MODEL));
  g_autoptr(GHashTable) missing = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  InferPlanReader reader = {.source = self->source,
                            .table = part,
                            .data = self->data,
                            .blobs = self->blobs,
                            .missing = missing};
  gboolean fusion = TRUE, ok;
  guint32 precisions = 0;

  engine->hollow = g_hash_table_size(self->missing) > 0;
  if (!part)
    return !engine->hollow || infer_plan_damaged(self->source, error, "weights are missing");
  reader.network = infer_network_new();
  ok = read_graph(&reader, error) && read_asked(&reader, error);
  g_free(reader.orders);
  g_variant_lookup(part, "fusion", "b", &fusion);
  g_variant_lookup(part, "precisions", "u", &precisions);
  if (ok) {
    infer_network_set_model_info(reader.network,
                                 infer_network_get_model_info(engine->program->network));
    engine->model = infer_model_new(reader.network, fusion, precisions);
    g_hash_table_unref(engine->model->missing);
    engine->model->missing = g_steal_pointer(&missing);
    engine->hollow |= g_hash_table_size(engine->model->missing) > 0;
  }
  g_object_unref(reader.network);
  return ok;
}

static InferEngine *
read_engine(InferPlanReader *self, const char *device_name, guint threads, GError **error)
{
  g_autoptr(InferDevice) device = open_device(self, device_name, threads, error);
  g_autoptr(InferProgram) program = NULL;
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferNetwork) tail = NULL;
  g_autoptr(GVariant) names = NULL;
  g_autofree const char **outputs = NULL;
  const char *origin = NULL;

  if (!device || !read_network(self, error) || !read_tail(self, &tail, error))
    return NULL;
  names = infer_plan_part(self, "output-names", "as", error);
  if (!names)
    return NULL;
  outputs = g_variant_get_strv(names, NULL);
  if (!outputs[0]) {
    infer_plan_damaged(self->source, error, "it has no output");
    return NULL;
  }
  program = g_new0(InferProgram, 1);
  program->network = g_object_ref(self->network);
  program->orders = g_steal_pointer(&self->orders);
  program->steps = g_ptr_array_new_with_free_func(infer_step_free);
  if (!infer_plan_read_steps(self, program, device, error) ||
      !infer_plan_read_tunings(self, program, device, error))
    return NULL;
  if (!infer_program_check(program, device, error)) {
    g_prefix_error(error, "plan '%s': ", self->source);
    return NULL;
  }
  g_variant_lookup(self->table, "source", "&s", &origin);
  engine = infer_engine_new(g_steal_pointer(&program), g_steal_pointer(&tail), outputs, device,
                            origin, error);
  if (!engine || !read_debug(self, engine, error) || !read_model(self, engine, error) ||
      !infer_plan_read_packs(self, engine, error) || !infer_plan_read_timings(self, engine, error))
    return NULL;
  return g_steal_pointer(&engine);
}

static void
unref_blob(gpointer data)
{
  g_bytes_unref(*(GBytes **)data);
}

InferEngine *
infer_plan_read(GBytes *bytes, const char *source, const char *device, guint threads,
                GError **error)
{
  InferPlanReader reader = {.source = source};
  InferPlanHeader header;
  InferEngine *engine = NULL;

  if (!check_file(bytes, &header, source, error))
    return NULL;
  reader.table = read_table(bytes, &header, source, error);
  if (!reader.table)
    return NULL;
  reader.data = g_bytes_new_from_bytes(bytes, GUINT64_FROM_LE(header.data_offset),
                                       GUINT64_FROM_LE(header.data_size));
  reader.missing = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  reader.blobs = g_array_new(FALSE, TRUE, sizeof(GBytes *));
  g_array_set_clear_func(reader.blobs, unref_blob);
  engine = read_engine(&reader, device, threads, error);
  g_hash_table_unref(reader.missing);
  g_array_unref(reader.blobs);
  g_bytes_unref(reader.data);
  g_variant_unref(reader.table);
  g_clear_object(&reader.network);
  g_free(reader.orders);
  return engine;
}

gboolean
infer_engine_check_file(const char *path, const char *device, GError **error)
{
  InferPlanHeader header = {0};
  FILE *file = fopen(path, "rb");
  gsize n;

  if (!file) {
    g_set_error(error, G_FILE_ERROR, (gint)g_file_error_from_errno(errno),
                "'%s' cannot be opened: %s", path, g_strerror(errno));
    return FALSE;
  }
  n = fread(&header, 1, sizeof header, file);
  fclose(file);
  if (n < sizeof header)
    memset(header.magic, 0, sizeof header.magic);
  return check_header(&header, path, error);
}
