/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plan.h"
#include "string-pack.h"

#include <string.h>
#include <xxhash.h>

/* Bytes that lie in the data; those of the engine are not copied before the file is put together.
 */
typedef struct {
  gconstpointer bytes;
  gsize size;
  guint64 offset;
  GBytes *owner; /* nullable: keeps them */
} Blob;

typedef struct {
  GVariantBuilder blobs;
  GArray *data; /* Blob */
  guint64 data_size;
  GHashTable *seen; /* content hash -> index + 1, so that equal weights are stored once */
  gint n;
  gboolean strip;
} Writer;

static guint64
align(guint64 offset)
{
  return (offset + INFER_PLAN_ALIGNMENT - 1) / INFER_PLAN_ALIGNMENT * INFER_PLAN_ALIGNMENT;
}

static void
blob_clear(gpointer data)
{
  g_clear_pointer(&((Blob *)data)->owner, g_bytes_unref);
}

static gint
add_blob(Writer *self, gconstpointer bytes, gsize size, GBytes *owner)
{
  XXH128_hash_t hash = XXH3_128bits(bytes, size);
  g_autofree char *key =
      g_strdup_printf("%" G_GINT64_MODIFIER "x%" G_GINT64_MODIFIER "x-%" G_GSIZE_FORMAT,
                      (guint64)hash.high64, (guint64)hash.low64, size);
  gint index = GPOINTER_TO_INT(g_hash_table_lookup(self->seen, key));
  Blob blob = {bytes, size, self->data_size, NULL};

  if (index)
    return index - 1;
  blob.owner = owner ? g_bytes_ref(owner) : NULL;
  g_variant_builder_add(&self->blobs, "(tt)", blob.offset, (guint64)size);
  g_array_append_val(self->data, blob);
  self->data_size = align(self->data_size + size);
  g_hash_table_insert(self->seen, g_steal_pointer(&key), GINT_TO_POINTER(++self->n));
  return self->n - 1;
}

static GVariant *
write_symbols(InferNetwork *network)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE(INFER_PLAN_SYMBOLS));
  for (guint i = 0; i < infer_network_get_n_symbols(network); i++) {
    const InferSymbol *symbol = infer_network_get_symbol(network, i);
    g_variant_builder_add(&builder, "(sxxx)", symbol->name, symbol->min, symbol->opt, symbol->max);
  }
  return g_variant_builder_end(&builder);
}

static gint
add_array(Writer *self, const InferArray *array)
{
  g_autoptr(GBytes) strings = NULL;
  gsize size;
  gconstpointer data;

  if (!array)
    return -1;
  if (array->type != INFER_TYPE_STRING)
    return add_blob(self, array->data, array->size, NULL);
  strings = infer_strings_pack(array);
  data = g_bytes_get_data(strings, &size);
  return add_blob(self, data, size, strings);
}

static GVariant *
write_tensors(Writer *self, InferNetwork *network, const InferOrder *orders)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE(INFER_PLAN_TENSORS));
  for (guint i = 0; i < infer_network_get_n_tensors(network); i++) {
    const InferTensor *tensor = infer_network_get_tensor(network, i);
    const InferOrder plain = infer_order_row_major(tensor->dims.n);
    const InferOrder *order = orders ? &orders[i] : &plain;
    gint value = self->strip && infer_model_is_stripped(tensor) ? INFER_PLAN_LEFT_OUT
                                                                : add_array(self, tensor->value);
    gint initial = add_array(self, tensor->initial);

    g_variant_builder_add(
        &builder, "(su@ax@ayii)", tensor->name, (guint32)tensor->type,
        g_variant_new_fixed_array(G_VARIANT_TYPE_INT64, tensor->dims.d,
                                  (gsize)MAX(tensor->dims.n, 0), 8),
        g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, order->axis, (gsize)order->n, 1), value,
        initial);
  }
  return g_variant_builder_end(&builder);
}

static GVariant *
tensor_indices(InferTensor *const *tensors, guint n)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE("ai"));
  for (guint i = 0; i < n; i++)
    g_variant_builder_add(&builder, "i", tensors[i] ? (gint)tensors[i]->index : -1);
  return g_variant_builder_end(&builder);
}

static GVariant *
write_nodes(InferNetwork *network)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE(INFER_PLAN_NODES));
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++) {
    const InferNode *node = infer_network_get_node(network, i);
    g_variant_builder_add(&builder, "(ssu@a{sv}@ai@ai)", node->name, node->op->name,
                          node->op->version, node->attrs,
                          tensor_indices(node->inputs, node->n_inputs),
                          tensor_indices(node->outputs, node->n_outputs));
  }
  return g_variant_builder_end(&builder);
}

static GVariant *
write_steps(const InferProgram *program)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE(INFER_PLAN_STEPS));
  for (guint i = 0; i < program->steps->len; i++) {
    const InferStep *step = program->steps->pdata[i];
    g_variant_builder_add(&builder, "(suus)", step->name, step->n_nodes, step->anchor,
                          step->impl ? step->impl->name : "");
  }
  return g_variant_builder_end(&builder);
}

static GVariant *
write_tunings(const InferProgram *program)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE(INFER_PLAN_TUNINGS));
  for (guint i = 0; program->tunings && i < program->tunings->len; i++) {
    const InferTuning *tuning = program->tunings->pdata[i];
    guint n = MIN(infer_network_get_n_symbols(program->network), INFER_MAX_SYMBOLS);

    g_variant_builder_open(&builder, G_VARIANT_TYPE("(axa(ss))"));
    g_variant_builder_add_value(
        &builder, g_variant_new_fixed_array(G_VARIANT_TYPE_INT64, tuning->values.values, n, 8));
    g_variant_builder_open(&builder, G_VARIANT_TYPE("a(ss)"));
    for (guint k = 0; k < tuning->n; k++) {
      const InferChoice *choice = &tuning->choices[k];
      g_variant_builder_add(&builder, "(ss)", choice->impl ? choice->impl->name : "",
                            choice->tactic ? choice->tactic : "");
    }
    g_variant_builder_close(&builder);
    g_variant_builder_close(&builder);
  }
  return g_variant_builder_end(&builder);
}

static gint
by_key(gconstpointer a, gconstpointer b)
{
  return g_bytes_compare((*(InferPack *const *)a)->key, (*(InferPack *const *)b)->key);
}

/* Sorted, so that the order in which contexts packed them does not show. */
static GVariant *
write_packs(Writer *self, InferPacks *packs)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&packs->lock);
  g_autoptr(GPtrArray) sorted = g_ptr_array_new();
  GVariantBuilder builder;

  for (guint i = 0; i < packs->entries->len; i++)
    g_ptr_array_add(sorted, packs->entries->pdata[i]);
  g_ptr_array_sort(sorted, by_key);
  g_variant_builder_init(&builder, G_VARIANT_TYPE(INFER_PLAN_PACKS));
  for (guint i = 0; i < sorted->len; i++) {
    const InferPack *pack = sorted->pdata[i];
    gsize size, key_size;
    gconstpointer data = g_bytes_get_data(pack->data, &size);
    gconstpointer key = g_bytes_get_data(pack->key, &key_size);

    g_variant_builder_add(&builder, "(u@ayi)", pack->tensor,
                          g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, key, key_size, 1),
                          add_blob(self, data, size, pack->data));
  }
  return g_variant_builder_end(&builder);
}

static GVariant *
write_timings(const InferEngine *engine)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE(INFER_PLAN_TIMINGS));
  for (guint i = 0; i < engine->timings->len; i++) {
    const InferTiming *timing = &g_array_index(engine->timings, InferTiming, i);
    g_variant_builder_add(&builder, "(ut)", timing->batch, timing->nanoseconds);
  }
  return g_variant_builder_end(&builder);
}

static GVariant *
write_bindings(InferNetwork *network, gboolean inputs)
{
  GVariantBuilder builder;
  guint n = inputs ? infer_network_get_n_inputs(network) : infer_network_get_n_outputs(network);

  g_variant_builder_init(&builder, G_VARIANT_TYPE(INFER_PLAN_INDICES));
  for (guint i = 0; i < n; i++) {
    const InferTensor *tensor =
        inputs ? infer_network_get_input(network, i) : infer_network_get_output(network, i);
    g_variant_builder_add(&builder, "u", tensor->index);
  }
  return g_variant_builder_end(&builder);
}

static GVariant *
write_kinds(InferNetwork *network)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE(INFER_PLAN_KINDS));
  for (guint i = 0; i < infer_network_get_n_tensors(network); i++) {
    const InferTensor *tensor = infer_network_get_tensor(network, i);
    if (tensor->kind != INFER_KIND_TENSOR)
      g_variant_builder_add(&builder, "{uu}", i, (guint32)tensor->kind);
  }
  return g_variant_builder_end(&builder);
}

static GVariant *write_tail(Writer *writer, InferNetwork *network, InferNetwork *tail);

/* @network has the symbols: sub-networks have none of their own. */
static GVariant *
write_graphs(Writer *writer, InferNetwork *network, InferNetwork *owner)
{
  GVariantBuilder builder;
  gboolean strip = writer->strip;

  /* Constants inside of sub-networks are no weights that can be set. */
  writer->strip = FALSE;
  g_variant_builder_init(&builder, G_VARIANT_TYPE(INFER_PLAN_GRAPHS));
  for (guint i = 0; i < infer_network_get_n_nodes(owner); i++) {
    const InferNode *node = infer_network_get_node(owner, i);
    GVariantBuilder graphs;

    if (node->n_graphs == 0)
      continue;
    g_variant_builder_init(&graphs, G_VARIANT_TYPE("aa{sv}"));
    for (guint k = 0; k < node->n_graphs; k++)
      g_variant_builder_add_value(&graphs, write_tail(writer, network, node->graphs[k]));
    g_variant_builder_add(&builder, "(u@aa{sv})", i, g_variant_builder_end(&graphs));
  }
  writer->strip = strip;
  return g_variant_builder_end(&builder);
}

static void
write_network(Writer *writer, GVariantBuilder *builder, InferNetwork *symbols,
              InferNetwork *network)
{
  g_variant_builder_add(builder, "{sv}", "symbols", write_symbols(symbols));
  g_variant_builder_add(builder, "{sv}", "tensors", write_tensors(writer, network, NULL));
  g_variant_builder_add(builder, "{sv}", "kinds", write_kinds(network));
  g_variant_builder_add(builder, "{sv}", "nodes", write_nodes(network));
  g_variant_builder_add(builder, "{sv}", "graphs", write_graphs(writer, symbols, network));
  g_variant_builder_add(builder, "{sv}", "inputs", write_bindings(network, TRUE));
  g_variant_builder_add(builder, "{sv}", "outputs", write_bindings(network, FALSE));
}

/* Tensors of a rank that is not known are stored as scalars: a tail infers as it runs. */
static GVariant *
write_tail(Writer *writer, InferNetwork *network, InferNetwork *tail)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  write_network(writer, &builder, network, tail);
  return g_variant_builder_end(&builder);
}

static GVariant *
write_model(Writer *writer, const InferModel *model)
{
  GVariantBuilder builder, asked;

  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  write_network(writer, &builder, model->network, model->network);
  g_variant_builder_add(&builder, "{sv}", "fusion", g_variant_new_boolean(model->fusion));
  g_variant_builder_add(&builder, "{sv}", "precisions", g_variant_new_uint32(model->precisions));
  g_variant_builder_init(&asked, G_VARIANT_TYPE(INFER_PLAN_INDICES));
  for (guint i = 0; i < infer_network_get_n_nodes(model->network); i++) {
    const InferNode *node = infer_network_get_node(model->network, i);
    g_variant_builder_add(&asked, "u",
                          (guint32)node->precision | (node->on_host ? INFER_PLAN_ON_HOST : 0));
  }
  g_variant_builder_add(&builder, "{sv}", "asked", g_variant_builder_end(&asked));
  return g_variant_builder_end(&builder);
}

char *
infer_plan_fingerprint(InferEngine *engine)
{
  g_autoptr(GVariant) nodes = g_variant_ref_sink(write_nodes(engine->program->network));
  g_autoptr(GVariant) steps = g_variant_ref_sink(write_steps(engine->program));
  g_autoptr(GVariant) tunings = g_variant_ref_sink(write_tunings(engine->program));
  XXH3_state_t *state = XXH3_createState();
  XXH128_hash_t hash;

  XXH3_128bits_reset(state);
  XXH3_128bits_update(state, g_variant_get_data(nodes), g_variant_get_size(nodes));
  XXH3_128bits_update(state, g_variant_get_data(steps), g_variant_get_size(steps));
  XXH3_128bits_update(state, g_variant_get_data(tunings), g_variant_get_size(tunings));
  XXH3_128bits_update(state, engine->device->key, strlen(engine->device->key));
  for (guint i = 0; i < infer_network_get_n_tensors(engine->program->network); i++) {
    const InferTensor *tensor = infer_network_get_tensor(engine->program->network, i);
    XXH3_128bits_update(state, tensor->dims.d, (gsize)MAX(tensor->dims.n, 0) * 8);
  }
  hash = XXH3_128bits_digest(state);
  XXH3_freeState(state);
  return g_strdup_printf("%" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x", (guint64)hash.high64,
                         (guint64)hash.low64);
}

static GVariant *
write_table(InferEngine *engine, Writer *writer)
{
  InferNetwork *network = engine->program->network;
  g_autofree char *info = infer_model_info_to_data(engine->info);
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", "version", g_variant_new_string(INFER_VERSION));
  g_variant_builder_add(&builder, "{sv}", "device", g_variant_new_string(engine->device->name));
  g_variant_builder_add(&builder, "{sv}", "device-key", g_variant_new_string(engine->device->key));
  g_variant_builder_add(&builder, "{sv}", "source", g_variant_new_string(engine->source));
  g_variant_builder_add(&builder, "{sv}", "model-info", g_variant_new_string(info));
  g_variant_builder_add(&builder, "{sv}", "symbols", write_symbols(network));
  g_variant_builder_add(&builder, "{sv}", "tensors",
                        write_tensors(writer, network, engine->program->orders));
  g_variant_builder_add(&builder, "{sv}", "kinds", write_kinds(network));
  g_variant_builder_add(&builder, "{sv}", "nodes", write_nodes(network));
  g_variant_builder_add(&builder, "{sv}", "graphs", write_graphs(writer, network, network));
  g_variant_builder_add(&builder, "{sv}", "steps", write_steps(engine->program));
  g_variant_builder_add(&builder, "{sv}", "tunings", write_tunings(engine->program));
  g_variant_builder_add(&builder, "{sv}", "inputs", write_bindings(network, TRUE));
  g_variant_builder_add(&builder, "{sv}", "outputs", write_bindings(network, FALSE));
  g_variant_builder_add(&builder, "{sv}", "output-names",
                        g_variant_new_strv((const char *const *)engine->outputs, -1));
  if (engine->debug[0])
    g_variant_builder_add(&builder, "{sv}", "debug-names",
                          g_variant_new_strv((const char *const *)engine->debug, -1));
  if (engine->tail)
    g_variant_builder_add(&builder, "{sv}", "tail", write_tail(writer, engine->tail, engine->tail));
  if (engine->model)
    g_variant_builder_add(&builder, "{sv}", "model", write_model(writer, engine->model));
  g_variant_builder_add(&builder, "{sv}", "packs",
                        writer->strip ? g_variant_new_array(G_VARIANT_TYPE("(uayi)"), NULL, 0)
                                      : write_packs(writer, engine->packs));
  g_variant_builder_add(&builder, "{sv}", "timings", write_timings(engine));
  g_variant_builder_add(&builder, "{sv}", "blobs", g_variant_builder_end(&writer->blobs));
  return g_variant_ref_sink(g_variant_builder_end(&builder));
}

/* The whole file, zeros where nothing is. */
static guint8 *
put_together(const Writer *self, const InferPlanHeader *header, GVariant *table, gsize *size,
             GError **error)
{
  const guint64 offset = GUINT64_FROM_LE(header->data_offset), all = offset + self->data_size;
  guint8 *file = g_try_malloc(all);
  guint64 at = sizeof *header + g_variant_get_size(table);

  if (!file) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY,
                "%" G_GUINT64_FORMAT " bytes for the plan cannot be had", all);
    return NULL;
  }
  memcpy(file + sizeof *header, g_variant_get_data(table), g_variant_get_size(table));
  for (guint i = 0; i < self->data->len; i++) {
    const Blob *blob = &g_array_index(self->data, Blob, i);

    memset(file + at, 0, offset + blob->offset - at);
    at = offset + blob->offset;
    if (blob->size)
      memcpy(file + at, blob->bytes, blob->size);
    at += blob->size;
  }
  memset(file + at, 0, all - at);
  *size = all;
  return file;
}

static void
fill_header(InferPlanHeader *header, const Writer *writer, gsize table_size)
{
  *header = (InferPlanHeader){.magic = INFER_PLAN_MAGIC};
  header->format = GUINT32_TO_LE(INFER_PLAN_FORMAT);
  header->header_size = GUINT32_TO_LE(sizeof *header);
  header->table_size = GUINT64_TO_LE(table_size);
  header->data_offset = GUINT64_TO_LE(align(sizeof *header + table_size));
  header->data_size = GUINT64_TO_LE(writer->data_size);
}

GBytes *
infer_plan_write(InferEngine *engine, GError **error)
{
  Writer writer = {.strip = engine->strip || engine->hollow};
  g_autoptr(GVariant) table = NULL;
  InferPlanHeader header;
  guint8 *file;
  gsize size = 0;

  g_variant_builder_init(&writer.blobs, G_VARIANT_TYPE(INFER_PLAN_BLOBS));
  writer.data = g_array_new(FALSE, FALSE, sizeof(Blob));
  g_array_set_clear_func(writer.data, blob_clear);
  writer.seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  table = write_table(engine, &writer);
  fill_header(&header, &writer, g_variant_get_size(table));
  file = put_together(&writer, &header, table, &size, error);
  g_array_unref(writer.data);
  g_hash_table_unref(writer.seen);
  if (!file)
    return NULL;
  header.table_hash = GUINT64_TO_LE(XXH3_64bits(file + sizeof header, g_variant_get_size(table)));
  header.data_hash =
      GUINT64_TO_LE(XXH3_64bits(file + GUINT64_FROM_LE(header.data_offset), writer.data_size));
  memcpy(file, &header, sizeof header);
  return g_bytes_new_take(file, size);
}
