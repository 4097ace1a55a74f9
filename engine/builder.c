/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/builder.h>
#include <infer/context.h>
#include "plan.h"
#include "precision.h"
#include "tail.h"
#include "tuner.h"
#include "passes/passes.h"

#include <string.h>

/* Runs that are timed for the plan's record, after one that warms up. */
#define TIMED_RUNS 5

struct _InferBuilder {
  GObject parent;

  char *device;
  guint threads;
  guint max_batch;
  gboolean verify;
  gboolean fusion;
  InferPrecisions precisions;
  guint level;
  guint64 time_budget;
  gsize workspace_limit;
  gboolean deterministic;
  gboolean refittable;
  gboolean stripped;
  char *timing_cache;
  GArray *profiles; /* Profile */
  InferProgressFunc progress;
  gpointer progress_data;
  GDestroyNotify progress_destroy;
};

G_DEFINE_FINAL_TYPE(InferBuilder, infer_builder, G_TYPE_OBJECT)

typedef struct {
  char *name;
  gint64 min, opt, max;
} Profile;

static void
profile_clear(gpointer data)
{
  g_free(((Profile *)data)->name);
}

static void
infer_builder_init(InferBuilder *self)
{
  self->profiles = g_array_new(FALSE, FALSE, sizeof(Profile));
  g_array_set_clear_func(self->profiles, profile_clear);
  self->device = g_strdup("auto");
  self->max_batch = 1;
  self->verify = TRUE;
  self->fusion = TRUE;
  self->precisions = INFER_PRECISION_TF32;
  self->level = 3;
}

static void
infer_builder_finalize(GObject *object)
{
  InferBuilder *self = INFER_BUILDER(object);

  infer_builder_set_progress(self, NULL, NULL, NULL);
  g_array_unref(self->profiles);
  g_free(self->timing_cache);
  g_free(self->device);
  G_OBJECT_CLASS(infer_builder_parent_class)->finalize(object);
}

static void
infer_builder_class_init(InferBuilderClass *klass)
{
  G_OBJECT_CLASS(klass)->finalize = infer_builder_finalize;
}

InferBuilder *
infer_builder_new(void)
{
  return g_object_new(INFER_TYPE_BUILDER, NULL);
}

void
infer_builder_set_device(InferBuilder *self, const char *device)
{
  g_free(self->device);
  self->device = g_strdup(device ? device : "auto");
}

void
infer_builder_set_threads(InferBuilder *self, guint threads)
{
  self->threads = threads;
}

void
infer_builder_set_max_batch(InferBuilder *self, guint max_batch)
{
  self->max_batch = CLAMP(max_batch, 1, 65536);
}

void
infer_builder_set_verify(InferBuilder *self, gboolean verify)
{
  self->verify = verify;
}

void
infer_builder_set_fusion(InferBuilder *self, gboolean fusion)
{
  self->fusion = fusion;
}

void
infer_builder_set_precisions(InferBuilder *self, InferPrecisions precisions)
{
  self->precisions = precisions;
}

void
infer_builder_set_optimization_level(InferBuilder *self, guint level)
{
  self->level = MIN(level, 5);
}

void
infer_builder_set_time_budget(InferBuilder *self, guint64 nanoseconds)
{
  self->time_budget = nanoseconds;
}

void
infer_builder_set_workspace_limit(InferBuilder *self, gsize bytes)
{
  self->workspace_limit = bytes;
}

void
infer_builder_set_deterministic(InferBuilder *self, gboolean deterministic)
{
  self->deterministic = deterministic;
}

void
infer_builder_set_timing_cache(InferBuilder *self, const char *path)
{
  g_free(self->timing_cache);
  self->timing_cache = g_strdup(path);
}

void
infer_builder_set_refittable(InferBuilder *self, gboolean refittable)
{
  self->refittable = refittable;
}

void
infer_builder_set_stripped(InferBuilder *self, gboolean stripped)
{
  self->stripped = stripped;
}

void
infer_builder_set_progress(InferBuilder *self, InferProgressFunc func, gpointer user_data,
                           GDestroyNotify destroy)
{
  if (self->progress_destroy)
    self->progress_destroy(self->progress_data);
  self->progress = func;
  self->progress_data = user_data;
  self->progress_destroy = destroy;
}

static gboolean
report(InferBuilder *self, const char *stage, double fraction, GCancellable *cancellable,
       GError **error)
{
  if (self->progress)
    self->progress(stage, fraction, self->progress_data);
  return !g_cancellable_set_error_if_cancelled(cancellable, error);
}

void
infer_builder_set_profile(InferBuilder *self, const char *dimension, gint64 min, gint64 opt,
                          gint64 max)
{
  Profile profile = {g_strdup(dimension), min, opt, max};

  g_array_append_val(self->profiles, profile);
}

static gboolean
set_ranges(InferBuilder *self, InferNetwork *network, gboolean *open, GError **error)
{
  for (guint i = 0; i < infer_network_get_n_symbols(network); i++) {
    const InferSymbol *symbol = infer_network_get_symbol(network, i);

    open[i] = g_str_equal(symbol->name, "batch");
    if (!open[i])
      continue;
    if (symbol->max < self->max_batch) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                  "a batch of %u was asked for, the network takes at most %" G_GINT64_FORMAT,
                  self->max_batch, symbol->max);
      return FALSE;
    }
    infer_network_set_symbol_range(network, "batch", 1, self->max_batch, self->max_batch, NULL);
  }
  for (guint i = 0; i < self->profiles->len; i++) {
    const Profile *profile = &g_array_index(self->profiles, Profile, i);

    if (!infer_network_set_symbol_range(network, profile->name, profile->min, profile->opt,
                                        profile->max, error))
      return FALSE;
    for (guint k = 0; k < infer_network_get_n_symbols(network); k++)
      open[k] |= g_str_equal(infer_network_get_symbol(network, k)->name, profile->name);
  }
  return TRUE;
}

/* The batch and the dimensions of the profile get their ranges; every other open dimension is built
 * at the value to tune for. */
static gboolean
fix_symbols(InferBuilder *self, InferNetwork *network, GError **error)
{
  g_autofree gboolean *open = g_new0(gboolean, infer_network_get_n_symbols(network) + 1);

  if (!set_ranges(self, network, open, error))
    return FALSE;
  for (guint i = 0; i < infer_network_get_n_inputs(network); i++) {
    InferDims *dims = &infer_network_get_input(network, i)->dims;
    for (gint k = 0; k < dims->n; k++)
      if (INFER_DIM_IS_SYMBOL(dims->d[k]) && !open[INFER_DIM_SYMBOL_INDEX(dims->d[k])])
        dims->d[k] = infer_network_get_symbol(network, INFER_DIM_SYMBOL_INDEX(dims->d[k]))->opt;
  }
  return TRUE;
}

static gboolean
check_network(InferNetwork *network, GError **error)
{
  for (guint i = 0; i < infer_network_get_n_inputs(network); i++) {
    const InferTensor *input = infer_network_get_input(network, i);
    gboolean known = input->kind != INFER_KIND_TENSOR || input->dims.n >= 0;

    for (gint k = 0; k < input->dims.n; k++)
      known &= input->dims.d[k] != INFER_DIM_UNKNOWN;
    if (!known) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                  "the dimensions of input '%s' are not known; give them numbers or symbols",
                  input->name);
      return FALSE;
    }
  }
  if (infer_network_get_n_outputs(network) > 0)
    return infer_network_validate(network, error);
  g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
              "the network has no output; mark one with infer_network_mark_output()");
  return FALSE;
}

static gboolean
has_output(InferNetwork *network, const char *name)
{
  for (guint i = 0; i < infer_network_get_n_outputs(network); i++)
    if (g_str_equal(infer_network_get_output(network, i)->name, name))
      return TRUE;
  return FALSE;
}

/* What is marked for debugging leaves the network as outputs do, so that every pass keeps it. */
static gboolean
mark_debug(InferNetwork *network, GError **error)
{
  for (guint i = 0; i < infer_network_get_n_tensors(network); i++) {
    InferTensor *tensor = infer_network_get_tensor(network, i);
    if (tensor->is_debug && !tensor->is_output &&
        !infer_network_mark_output(network, tensor, NULL, error))
      return FALSE;
  }
  return TRUE;
}

static char **
debug_names(InferNetwork *network)
{
  GStrvBuilder *builder = g_strv_builder_new();
  char **names;

  for (guint i = 0; i < infer_network_get_n_tensors(network); i++)
    if (infer_network_get_tensor(network, i)->is_debug)
      g_strv_builder_add(builder, infer_network_get_tensor(network, i)->name);
  names = g_strv_builder_end(builder);
  g_strv_builder_unref(builder);
  return names;
}

/* The outputs of @network that are outputs of @source, where they are not debug tensors only. */
static char **
output_names(InferNetwork *source, InferNetwork *network)
{
  GStrvBuilder *builder = g_strv_builder_new();
  char **names;

  for (guint i = 0; i < infer_network_get_n_outputs(network); i++)
    if (has_output(source, infer_network_get_output(network, i)->name))
      g_strv_builder_add(builder, infer_network_get_output(network, i)->name);
  names = g_strv_builder_end(builder);
  g_strv_builder_unref(builder);
  return names;
}

/* Values that the symbols of a network can have at once. */
static InferSymbolValues
typical_values(InferNetwork *network)
{
  InferSymbolValues values = {{0}};

  for (guint i = 0; i < MIN(infer_network_get_n_symbols(network), INFER_MAX_SYMBOLS); i++)
    values.values[i] = infer_network_get_symbol(network, i)->opt;
  return values;
}

static InferEngine *
lower(InferBuilder *self, InferNetwork *network, char **outputs, char **debug, InferDevice *device,
      const char *source, GError **error)
{
  const InferSymbolValues values = typical_values(network);
  g_autoptr(InferNetwork) tail = NULL;
  g_autoptr(InferEngine) engine = NULL;
  InferProgram *program;

  if (!infer_tail_split(network, &values, &tail, error))
    return NULL;
  program = infer_lower(network, device, self->fusion, error);
  if (!program)
    return NULL;
  engine = infer_engine_new(program, g_steal_pointer(&tail), (const char *const *)outputs, device,
                            source, error);
  return engine && infer_engine_set_debug(engine, (const char *const *)debug, error)
             ? g_steal_pointer(&engine)
             : NULL;
}

/* --- what was asked of single layers --- */

static gboolean
has_layer(InferNetwork *network, const char *name)
{
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++)
    if (g_str_equal(infer_network_get_node(network, i)->name, name))
      return TRUE;
  return FALSE;
}

/* Passes make new nodes in place of old ones, under their names. */
static void
keep_constraints(InferNetwork *source, InferNetwork *network, GPtrArray *notes)
{
  for (guint i = 0; i < infer_network_get_n_nodes(source); i++) {
    const InferNode *wanted = infer_network_get_node(source, i);

    if (wanted->precision == INFER_TYPE_UNDEFINED && !wanted->on_host)
      continue;
    for (guint k = 0; k < infer_network_get_n_nodes(network); k++) {
      InferNode *node = infer_network_get_node(network, k);
      if (!g_str_equal(node->name, wanted->name))
        continue;
      node->precision = wanted->precision;
      node->on_host = wanted->on_host;
    }
    if (!has_layer(network, wanted->name))
      g_ptr_array_add(notes, g_strdup_printf("layer '%s' was folded into others, and what was "
                                             "asked of it has no effect",
                                             wanted->name));
  }
}

/* Whether what a step writes follows from shapes, so that it is computed when they are prepared. */
static gboolean
is_shape_step(const InferStep *step, const InferOperand *operands)
{
  for (guint i = 0; i < step->n_outputs; i++)
    if (!infer_operand_is_known(&operands[step->outputs[i]->index]))
      return FALSE;
  return TRUE;
}

/* Layers that the device has nothing for. */
static void
note_host_layers(const InferEngine *engine, GPtrArray *notes)
{
  InferNetwork *network = engine->program->network;
  const InferSymbolValues values = typical_values(network);
  g_autofree InferOperand *operands =
      g_new0(InferOperand, infer_network_get_n_tensors(network) + 1);

  if (engine->device->backend->host_memory ||
      !infer_network_shapes(network, &values, operands, NULL))
    return;
  for (guint i = 0; i < engine->program->steps->len; i++) {
    const InferStep *step = engine->program->steps->pdata[i];
    if (step->impl && step->impl->on_host && !is_shape_step(step, operands))
      g_ptr_array_add(notes, g_strdup_printf("layer '%s' (%s) runs on the host: device %s has no "
                                             "implementation for it",
                                             step->name, step->nodes[step->anchor]->op->name,
                                             engine->device->name));
  }
}

/* No device computes in INT8 so far: what lies between quantize and dequantize nodes is evaluated
 * as the model says, in float. */
static void
note_int8(const InferBuilder *self, InferNetwork *network, const InferDevice *device,
          GPtrArray *notes)
{
  guint n = 0;

  for (guint i = 0; i < infer_network_get_n_nodes(network); i++)
    n += g_str_has_suffix(infer_network_get_node(network, i)->op->name, "uantizeLinear");
  if (!(self->precisions & INFER_PRECISION_INT8))
    return;
  if (n == 0)
    g_ptr_array_add(notes, g_strdup("int8 was asked for; the network has no quantize and "
                                    "dequantize nodes, which say where, and no layer is in int8"));
  else
    g_ptr_array_add(notes, g_strdup_printf("int8 was asked for; device %s has it for none of the "
                                           "layers, and those between quantize and dequantize "
                                           "nodes compute in float",
                                           device->name));
}

static InferType
wanted_type(const InferBuilder *self)
{
  return self->precisions & INFER_PRECISION_FP16   ? INFER_TYPE_FLOAT16
         : self->precisions & INFER_PRECISION_BF16 ? INFER_TYPE_BFLOAT16
                                                   : INFER_TYPE_FLOAT;
}

static gboolean
asks_precision(InferNetwork *network)
{
  for (guint i = 0; i < infer_network_get_n_nodes(network); i++)
    if (infer_network_get_node(network, i)->precision != INFER_TYPE_UNDEFINED)
      return TRUE;
  return FALSE;
}

/* The network as the passes get it. */
static InferNetwork *
begin(InferBuilder *self, InferNetwork *source, GError **error)
{
  g_autoptr(InferNetwork) network = infer_network_copy(source);

  return mark_debug(network, error) && fix_symbols(self, network, error) ? g_steal_pointer(&network)
                                                                         : NULL;
}

static InferNetwork *
optimize(InferBuilder *self, InferNetwork *source, InferDevice *device, GPtrArray *notes,
         GCancellable *cancellable, GError **error)
{
  g_autoptr(InferNetwork) network = infer_network_copy(source);
  gboolean ok;

  /* Loops that are computed in advance look at it. */
  if (cancellable)
    g_cancellable_push_current(cancellable);
  ok = infer_passes_run(network, cancellable, error);
  if (cancellable)
    g_cancellable_pop_current(cancellable);
  if (!ok)
    return NULL;
  keep_constraints(source, network, notes);
  if (!report(self, "fusion", 0.1, cancellable, error) ||
      (self->fusion && !infer_join_siblings(network, device, error)))
    return NULL;
  if (wanted_type(self) == INFER_TYPE_FLOAT && !asks_precision(network))
    return g_steal_pointer(&network);
  return infer_assign_precision(network, device, wanted_type(self), notes, error);
}

static void
keep_notes(InferEngine *engine, GPtrArray *notes)
{
  note_host_layers(engine, notes);
  g_ptr_array_add(notes, NULL);
  g_ptr_array_unref(engine->notes);
  engine->notes = g_ptr_array_ref(notes);
  for (guint i = 0; notes->pdata[i]; i++)
    g_info("%s", (const char *)notes->pdata[i]);
}

static void
keep_model(InferBuilder *self, InferEngine *engine, InferNetwork *begun)
{
  if (!self->refittable && !self->stripped)
    return;
  engine->model = infer_model_new(begun, self->fusion, self->precisions);
  engine->strip = self->stripped;
}

static InferEngine *
make_engine(InferBuilder *self, InferNetwork *source_network, const char *source,
            GCancellable *cancellable, GError **error)
{
  g_autoptr(InferDevice) device = infer_device_open(self->device, self->threads, error);
  g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
  g_auto(GStrv) outputs = NULL;
  g_auto(GStrv) debug = NULL;
  g_autoptr(InferNetwork) begun = NULL;
  g_autoptr(InferNetwork) network = NULL;
  InferEngine *engine;

  if (!device || !check_network(source_network, error) ||
      !report(self, "passes", 0, cancellable, error))
    return NULL;
  begun = begin(self, source_network, error);
  network = begun ? optimize(self, begun, device, notes, cancellable, error) : NULL;
  if (!network)
    return NULL;
  note_int8(self, begun, device, notes);
  outputs = output_names(source_network, network);
  debug = debug_names(source_network);
  engine = lower(self, network, outputs, debug, device, source, error);
  if (!engine)
    return NULL;
  keep_notes(engine, notes);
  keep_model(self, engine, begun);
  return engine;
}

InferEngine *
infer_model_build(const InferModel *model, InferEngine *old, GCancellable *cancellable,
                  GError **error)
{
  g_autoptr(InferBuilder) self = infer_builder_new();
  g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(InferNetwork) network = NULL;
  InferEngine *engine;

  infer_builder_set_fusion(self, model->fusion);
  infer_builder_set_precisions(self, model->precisions);
  network = optimize(self, model->network, old->device, notes, cancellable, error);
  engine = network ? lower(self, network, old->outputs, old->debug, old->device, old->source, error)
                   : NULL;
  if (engine)
    keep_notes(engine, notes);
  return engine;
}

/* A digit is a word and a number. */
static gboolean
fill_strings(InferContext *context, const InferTensor *input, GError **error)
{
  g_autofree const char **strings = NULL;
  InferDims dims;
  gsize n;

  if (input->initial)
    return TRUE;
  if (!infer_context_get_dims(context, input->name, &dims, error))
    return FALSE;
  n = (gsize)infer_dims_count(&dims);
  strings = g_new(const char *, n + 1);
  for (gsize i = 0; i < n; i++)
    strings[i] = "0";
  return infer_context_set_strings(context, input->name, strings, n, error);
}

static gboolean
fill_inputs(InferEngine *engine, InferContext *context, GError **error)
{
  g_autoptr(GRand) random = g_rand_new_with_seed(1);

  for (guint i = 0; i < infer_network_get_n_inputs(engine->program->network); i++) {
    const InferTensor *input = infer_network_get_input(engine->program->network, i);
    InferDims dims;
    gpointer data;

    if (input->type == INFER_TYPE_STRING) {
      if (!fill_strings(context, input, error))
        return FALSE;
      continue;
    }
    data = infer_context_map(context, input->name, NULL, error);
    if (!data || !infer_context_get_dims(context, input->name, &dims, error))
      return FALSE;
    if (!input->initial)
      infer_fill_random(engine, input, &dims, data, random);
  }
  return TRUE;
}

static gboolean
measure(InferEngine *engine, InferContext *context, guint64 *nanoseconds, GError **error)
{
  if (!fill_inputs(engine, context, error))
    return FALSE;
  *nanoseconds = G_MAXUINT64;
  for (guint i = 0; i <= TIMED_RUNS; i++) {
    gint64 before = g_get_monotonic_time();
    if (!infer_context_run(context, error))
      return FALSE;
    if (i)
      *nanoseconds = MIN(*nanoseconds, (guint64)(g_get_monotonic_time() - before) * 1000);
  }
  return TRUE;
}

static gboolean
time_batch(InferEngine *engine, InferContext *context, InferTimingCache *cache, const char *name,
           guint batch, GError **error)
{
  InferTiming timing = {.batch = batch};
  g_autofree char *key = g_strdup_printf("%s %u", name, batch);

  if (!infer_context_set_batch(context, batch, error))
    return FALSE;
  if (!infer_timing_cache_lookup(cache, key, &timing.nanoseconds)) {
    if (!measure(engine, context, &timing.nanoseconds, error))
      return FALSE;
    infer_timing_cache_add(cache, key, timing.nanoseconds);
  }
  g_array_append_val(engine->timings, timing);
  return TRUE;
}

static gboolean
tune(InferBuilder *self, InferEngine *engine, InferTimingCache *cache, GCancellable *cancellable,
     GError **error)
{
  const InferTuneOptions options = {
      .args = {.level = self->level,
               .deterministic = self->deterministic,
               .tf32 = (self->precisions & INFER_PRECISION_TF32) != 0,
               .max_workspace = self->workspace_limit ? self->workspace_limit : G_MAXSIZE},
      .budget = self->time_budget,
  };

  return report(self, "tune", 0.15, cancellable, error) &&
         infer_tune(engine, &options, cache, cancellable, error);
}

/* Prepares the sizes that are worth having in the plan, which packs their weights. */
static gboolean
prepare_sizes(InferBuilder *self, InferEngine *engine, InferTimingCache *cache,
              GCancellable *cancellable, GError **error)
{
  g_autoptr(InferContext) context = infer_context_new(engine, error);
  g_autofree char *name = infer_plan_fingerprint(engine);
  guint n = 0;

  if (!context)
    return FALSE;
  infer_context_set_cancellable(context, cancellable);
  infer_context_set_trial(context, TRUE);
  for (guint size = 1; size; size = infer_engine_next_size(engine, size)) {
    if (!time_batch(engine, context, cache, name, size, error) ||
        !report(self, "prepare", 0.5 + 0.2 * ++n / (1 + g_bit_storage(engine->max_batch)),
                cancellable, error))
      return FALSE;
  }
  return TRUE;
}

InferEngine *
infer_builder_build(InferBuilder *self, InferNetwork *network, const char *source,
                    GCancellable *cancellable, GError **error)
{
  g_autoptr(InferEngine) engine = make_engine(self, network, source, cancellable, error);
  g_autoptr(InferTimingCache) cache = engine ? infer_timing_cache_open(self->timing_cache) : NULL;

  if (!engine || !tune(self, engine, cache, cancellable, error) ||
      !prepare_sizes(self, engine, cache, cancellable, error))
    return NULL;
  if (self->verify && (!report(self, "verify", 0.7, cancellable, error) ||
                       !infer_verify(engine, cancellable, error)))
    return NULL;
  if (!report(self, "done", 1, cancellable, error))
    return NULL;
  return g_steal_pointer(&engine);
}
