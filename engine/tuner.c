/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tuner.h"
#include "planner.h"

#include <string.h>
#include <xxhash.h>

/* Runs of a candidate after the two that warm up and say whether it is worth more. */
#define RUNS 6
/* The first candidate, which nothing was measured for, is left only for one that is faster by this
 * factor. */
#define GAIN 0.97
/* What is slower than the best so far by this factor is not measured further. */
#define HOPELESS 1.5
/* Constants up to this size are part of what a step is: they may be shapes and attributes. */
#define MAX_KEY_VALUE 1024
/* A time that says that a candidate cannot be run. */
#define REFUSED G_MAXUINT64

/* One way to run a step. */
typedef struct {
  const InferImpl *impl;
  char *tactic;
  char *key; /* in the timing cache */
  guint64 time;
  gboolean known;
  gboolean skipped; /* there was no time */
  /* while it is measured */
  gpointer state;
  gsize workspace;
} Candidate;

typedef struct {
  InferEngine *engine;
  const InferTuneOptions *options;
  InferTimingCache *cache;
  GCancellable *cancellable;
  gint64 deadline; /* monotonic microseconds, or G_MAXINT64 */

  InferPacks *packs;
  InferPrepared *prepared;
  InferStream *stream;
  guint8 *memory;
  guint8 *workspace;
  gsize workspace_size;
  guint8 *flush; /* larger than the cache */
} Tuner;

static void
candidate_free(gpointer data)
{
  Candidate *candidate = data;

  g_free(candidate->tactic);
  g_free(candidate->key);
  g_free(candidate);
}

/* --- what a step is, in a form that names it --- */

static void
describe_operand(GString *text, const InferBuffer *buffer)
{
  g_string_append_printf(text, "|%d", (gint)buffer->type);
  for (gint i = 0; i < buffer->dims.n; i++)
    g_string_append_printf(text, " %" G_GINT64_FORMAT "/%" G_GINT64_FORMAT, buffer->dims.d[i],
                           buffer->strides[i]);
  if (!buffer->value)
    return;
  g_string_append_c(text, '=');
  if (buffer->value->size <= MAX_KEY_VALUE)
    g_string_append_printf(text, "%" G_GINT64_MODIFIER "x",
                           (guint64)XXH3_64bits(buffer->value->data, buffer->value->size));
}

static void
describe_tensor(GString *text, const InferStep *step, const InferTensor *tensor)
{
  gint in = tensor ? infer_step_find_input(step, tensor) : -1;
  gint out = tensor ? infer_step_find_output(step, tensor) : -1;

  if (!tensor || in >= 0 || out >= 0) {
    g_string_append_printf(text, " %c%d", in >= 0 ? 'i' : out >= 0 ? 'o' : '-', MAX(in, out));
    return;
  }
  for (guint i = 0; i < step->n_nodes; i++)
    for (guint j = 0; j < step->nodes[i]->n_outputs; j++)
      if (step->nodes[i]->outputs[j] == tensor)
        g_string_append_printf(text, " n%u.%u", i, j);
}

/* The same for steps that run the same, whatever their names and weights. */
static char *
describe_step(const InferEngine *engine, const InferStep *step, const InferBuffer *inputs,
              const InferBuffer *outputs)
{
  g_autoptr(GString) text = g_string_new(engine->device->key);
  XXH128_hash_t hash;

  for (guint i = 0; i < step->n_nodes; i++) {
    const InferNode *node = step->nodes[i];
    g_autofree char *attrs = g_variant_print(node->attrs, FALSE);

    g_string_append_printf(text, "\n%s %u %s", node->op->name, node->op->version, attrs);
    for (guint j = 0; j < node->n_inputs; j++)
      describe_tensor(text, step, node->inputs[j]);
  }
  for (guint i = 0; i < step->n_inputs; i++)
    describe_operand(text, &inputs[i]);
  for (guint i = 0; i < step->n_outputs; i++)
    describe_operand(text, &outputs[i]);
  hash = XXH3_128bits(text->str, text->len);
  return g_strdup_printf("%" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x", (guint64)hash.high64,
                         (guint64)hash.low64);
}

/* --- candidates --- */

static gboolean
is_dense(const Tuner *self, const InferTensor *tensor, const InferBuffer *buffer)
{
  gint64 strides[INFER_MAX_DIMS];

  infer_order_strides(&self->engine->program->orders[tensor->index], &buffer->dims, strides);
  for (gint i = 0; i < buffer->dims.n; i++)
    if (buffer->dims.d[i] > 1 && strides[i] != buffer->strides[i])
      return FALSE;
  return self->prepared->shifts[tensor->index] % 64 == 0;
}

/* Whether an implementation takes the operands where they lie. */
static gboolean
takes_operands(const Tuner *self, const InferImpl *impl, const InferPrepare *prepare)
{
  const InferStep *step = prepare->step;

  for (guint i = 0; i < step->n_inputs; i++)
    if (!step->inputs[i]->value && !is_dense(self, step->inputs[i], &prepare->inputs[i]) &&
        !(impl->strided && impl->strided(prepare, FALSE, i)))
      return FALSE;
  for (guint i = 0; i < step->n_outputs; i++)
    if (!is_dense(self, step->outputs[i], &prepare->outputs[i]) &&
        !(impl->strided && impl->strided(prepare, TRUE, i)))
      return FALSE;
  return TRUE;
}

static gboolean
same_layouts(const Tuner *self, const InferImpl *impl, const InferStep *step)
{
  guint n = step->n_inputs + step->n_outputs;
  g_autofree InferLayout *own = g_new0(InferLayout, n + 1);
  g_autofree InferLayout *other = g_new0(InferLayout, n + 1);

  return infer_impl_supports(step->impl, self->engine->device, step, own, own + step->n_inputs) &&
         infer_impl_supports(impl, self->engine->device, step, other, other + step->n_inputs) &&
         memcmp(own, other, n * sizeof *own) == 0;
}

static void
add_candidate(Tuner *self, GPtrArray *list, const InferImpl *impl, const char *tactic,
              const char *name)
{
  Candidate *candidate = g_new0(Candidate, 1);

  candidate->impl = impl;
  candidate->tactic = g_strdup(tactic);
  candidate->key = g_strdup_printf("%s %s %s", name, impl->name, tactic ? tactic : "");
  candidate->known = infer_timing_cache_lookup(self->cache, candidate->key, &candidate->time);
  g_ptr_array_add(list, candidate);
}

/* The step's own implementation first: it is taken where nothing is measured. */
static GPtrArray *
list_candidates(Tuner *self, const InferPrepare *prepare, const char *name)
{
  const InferStep *step = prepare->step;
  const InferImpl *const *impls =
      self->engine->device->backend->impls(step->nodes[step->anchor]->op->name);
  GPtrArray *list = g_ptr_array_new_with_free_func(candidate_free);
  guint place = 0;

  for (; impls && *impls; impls++) {
    const InferImpl *impl = *impls;
    g_auto(GStrv) tactics = NULL;

    if (impl != step->impl &&
        (!same_layouts(self, impl, step) || !takes_operands(self, impl, prepare)))
      continue;
    if (impl == step->impl)
      place = list->len;
    tactics = impl->tactics ? impl->tactics(prepare, &self->options->args) : NULL;
    if (!tactics || !tactics[0])
      add_candidate(self, list, impl, NULL, name);
    for (guint i = 0; tactics && tactics[i]; i++)
      add_candidate(self, list, impl, tactics[i], name);
  }
  if (place && place < list->len) {
    gpointer first = list->pdata[place];
    memmove(list->pdata + 1, list->pdata, place * sizeof(gpointer));
    list->pdata[0] = first;
  }
  return list;
}

/* --- measuring --- */

typedef struct {
  const Tuner *tuner;
  const InferPrepare *prepare;
} Preparing;

static gboolean
is_over(const Tuner *self)
{
  return g_get_monotonic_time() >= self->deadline || g_cancellable_is_cancelled(self->cancellable);
}

static void
prepare_candidate(gpointer data, gpointer user_data)
{
  Candidate *candidate = data;
  const Preparing *preparing = user_data;
  InferPrepare prepare = *preparing->prepare;
  g_autoptr(GError) error = NULL;

  if (is_over(preparing->tuner)) {
    candidate->skipped = TRUE;
    return;
  }

  prepare.tactic = candidate->tactic;
  if (candidate->impl->prepare(&prepare, &error)) {
    candidate->state = prepare.state;
    candidate->workspace = prepare.workspace;
  } else {
    candidate->time = REFUSED;
    g_debug("%s: %s '%s' is not taken: %s", prepare.step->name, candidate->impl->name,
            candidate->tactic ? candidate->tactic : "", error->message);
  }
}

/* Libraries compile some candidates, which takes its time: one processor each. */
static void
prepare_candidates(Tuner *self, GPtrArray *list, const InferPrepare *prepare)
{
  Preparing preparing = {.tuner = self, .prepare = prepare};
  GThreadPool *pool = NULL;

  if (!self->engine->device->backend->host_memory)
    pool =
        g_thread_pool_new(prepare_candidate, &preparing, (gint)g_get_num_processors(), FALSE, NULL);
  for (guint i = 0; i < list->len; i++) {
    Candidate *candidate = list->pdata[i];
    if (candidate->known)
      continue;
    if (pool)
      g_thread_pool_push(pool, candidate, NULL);
    else
      prepare_candidate(candidate, &preparing);
  }
  if (pool)
    g_thread_pool_free(pool, FALSE, TRUE);
}

typedef struct {
  Tuner *tuner;
  const Candidate *candidate;
  guint step;
  guint runs;
} Trial;

static gboolean
run_trial(gpointer data, InferStream *stream, GError **error)
{
  const Trial *trial = data;
  const Tuner *self = trial->tuner;
  const InferBackend *backend = self->engine->device->backend;
  const InferStep *step = self->prepared->program->steps->pdata[trial->step];
  gpointer *list = self->prepared->pointers + self->prepared->step_pointers[trial->step];

  for (guint i = 0; i < trial->runs; i++) {
    if (self->flush &&
        !backend->fill(stream, self->flush, 0, 2 * self->engine->device->cache_size, error))
      return FALSE;
    if (!backend->stream_mark(stream, 2 * i, error) ||
        !trial->candidate->impl->run(trial->candidate->state, stream, list, list + step->n_inputs,
                                     self->workspace, error) ||
        !backend->stream_mark(stream, 2 * i + 1, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
reserve_workspace(Tuner *self, gsize size, GError **error)
{
  const InferBackend *backend = self->engine->device->backend;

  if (size <= self->workspace_size)
    return TRUE;
  if (self->workspace)
    backend->free(self->engine->device, self->workspace);
  self->workspace_size = 0;
  self->workspace = backend->alloc(self->engine->device, size, error);
  if (self->workspace)
    self->workspace_size = size;
  return self->workspace != NULL;
}

/* The least time of @runs runs without the first @warm: what else runs on a machine only adds. */
static gboolean
time_runs(Tuner *self, guint step, const Candidate *candidate, guint warm, guint runs,
          guint64 *time, GError **error)
{
  const InferBackend *backend = self->engine->device->backend;
  Trial trial = {.tuner = self, .candidate = candidate, .step = step, .runs = runs};

  if (!backend->stream_run(self->stream, run_trial, &trial, error) ||
      !backend->stream_sync(self->stream, error))
    return FALSE;
  *time = REFUSED;
  for (guint i = warm; i < runs; i++)
    *time = MIN(*time, backend->stream_elapsed(self->stream, 2 * i + 1));
  return TRUE;
}

/* A candidate that fails is refused; the device may be in no state to go on after it, which the
 * runs that follow would say. */
static void
measure(Tuner *self, guint step, Candidate *candidate, guint64 best)
{
  g_autoptr(GError) error = NULL;

  candidate->time = REFUSED;
  if (candidate->workspace > self->options->args.max_workspace)
    return;
  if (!reserve_workspace(self, candidate->workspace, &error) ||
      !time_runs(self, step, candidate, 1, 2, &candidate->time, &error) ||
      ((double)candidate->time < HOPELESS * (double)best &&
       !time_runs(self, step, candidate, 0, RUNS, &candidate->time, &error))) {
    candidate->time = REFUSED;
    g_info("%s '%s' cannot be measured: %s", candidate->impl->name,
           candidate->tactic ? candidate->tactic : "", error->message);
  }
}

static gboolean
measure_all(Tuner *self, guint step, GPtrArray *list, const InferPrepare *prepare, GError **error)
{
  gint64 start = g_get_monotonic_time(), prepared;
  guint64 best = REFUSED;
  gboolean ok = TRUE;

  prepare_candidates(self, list, prepare);
  prepared = g_get_monotonic_time();
  for (guint i = 0; i < list->len; i++) {
    Candidate *candidate = list->pdata[i];

    best = candidate->known ? MIN(best, candidate->time) : best;
    if (candidate->known)
      continue;
    ok = ok && !g_cancellable_set_error_if_cancelled(self->cancellable, error);
    if (candidate->skipped)
      candidate->time = REFUSED;
    else if (ok && candidate->state)
      measure(self, step, candidate, best);
    best = MIN(best, candidate->time);
    if (ok && !candidate->skipped)
      infer_timing_cache_add(self->cache, candidate->key, candidate->time);
    if (candidate->state && candidate->impl->release)
      candidate->impl->release(candidate->state);
    candidate->state = NULL;
  }
  g_debug("%s: %u candidates, %.2f s to prepare, %.2f s to measure, the best takes %.1f us",
          prepare->step->name, list->len, (double)(prepared - start) / 1e6,
          (double)(g_get_monotonic_time() - prepared) / 1e6, (double)best / 1e3);
  return ok;
}

/* --- steps --- */

static void
keep_best(const GPtrArray *list, const InferStep *step, InferChoice *choice)
{
  const Candidate *first = list->pdata[0], *best = first;

  for (guint i = 1; i < list->len; i++) {
    const Candidate *candidate = list->pdata[i];
    if (candidate->time < best->time && (double)candidate->time < GAIN * (double)first->time)
      best = candidate;
  }
  if (best->time == REFUSED)
    return;
  choice->impl = best->impl != step->impl ? best->impl : NULL;
  choice->tactic = g_strdup(best->tactic);
}

static gboolean
all_known(const GPtrArray *list)
{
  for (guint i = 0; i < list->len; i++)
    if (!((const Candidate *)list->pdata[i])->known)
      return FALSE;
  return TRUE;
}

/* Chooses among the candidates, measuring those that are not known. */
static gboolean
tune_prepared(Tuner *self, guint index, const InferPrepare *prepare, InferChoice *choice,
              GError **error)
{
  g_autofree char *name =
      describe_step(self->engine, prepare->step, prepare->inputs, prepare->outputs);
  gint64 start = g_get_monotonic_time();
  g_autoptr(GPtrArray) list = list_candidates(self, prepare, name);

  g_debug("%s: %u candidates, %.2f s to list", prepare->step->name, list->len,
          (double)(g_get_monotonic_time() - start) / 1e6);
  if (list->len < 2)
    return TRUE;
  if (!all_known(list) && !measure_all(self, index, list, prepare, error))
    return FALSE;
  keep_best(list, prepare->step, choice);
  return TRUE;
}

static gboolean
tune_step(Tuner *self, guint index, InferChoice *choice, GError **error)
{
  const InferStep *step = self->prepared->program->steps->pdata[index];
  g_autofree InferBuffer *inputs = NULL;
  g_autofree InferBuffer *outputs = NULL;
  InferPrepare prepare = {.device = self->engine->device, .step = step};
  InferPacks *packs;
  gboolean ok;

  if (infer_step_is_view(step) || self->prepared->skipped[index] || step->impl->on_host ||
      step->impl == &infer_impl_reformat || g_get_monotonic_time() >= self->deadline)
    return TRUE;
  packs = infer_packs_new(); /* most candidates lose, and their weights with them */
  infer_prepared_operands(self->prepared, index, &inputs, &outputs);
  prepare.inputs = inputs;
  prepare.outputs = outputs;
  prepare.packer = packs;
  ok = tune_prepared(self, index, &prepare, choice, error);
  infer_packs_free(packs);
  return ok;
}

/* --- shapes --- */

/* Everything that steps read has been written by a run with random inputs. */
static gboolean
run_all(gpointer data, InferStream *stream, GError **error)
{
  Tuner *self = data;

  return infer_prepared_run_made_up(self->prepared, self->memory, stream, self->cancellable, error);
}

static gboolean
fill_inputs(Tuner *self, GError **error)
{
  InferNetwork *network = self->engine->program->network;
  const InferBackend *backend = self->engine->device->backend;
  g_autoptr(GRand) random = g_rand_new_with_seed(1);

  for (guint i = 0; i < infer_network_get_n_inputs(network); i++) {
    const InferTensor *input = infer_network_get_input(network, i);
    const InferBuffer *buffer = &self->prepared->buffers[input->index];
    guint8 *memory = infer_prepared_data(self->prepared, input, self->memory);
    g_autoptr(InferArray) values = infer_array_new(buffer->type, &buffer->dims, error);

    if (!values)
      return FALSE;
    if (input->initial)
      memcpy(values->data, input->initial->data, MIN(values->size, input->initial->size));
    else
      infer_fill_random(self->engine, input, &buffer->dims, values->data, random);
    if (backend->host_memory)
      memcpy(memory, values->data, values->size);
    else if (!backend->load(self->engine->device, memory, values->data, values->size, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
open_shapes(Tuner *self, const InferSymbolValues *values, guint batch, GError **error)
{
  InferEngine *engine = self->engine;
  const InferBackend *backend = engine->device->backend;

  self->prepared =
      infer_prepared_new(engine->program, engine->device, self->packs, values, batch, FALSE, error);
  if (!self->prepared)
    return FALSE;
  self->memory = backend->alloc(engine->device, MAX(self->prepared->memory_size, 1), error);
  if (!self->memory)
    return FALSE;
  infer_prepared_set_base(self->prepared, self->memory);
  return fill_inputs(self, error) && backend->stream_run(self->stream, run_all, self, error) &&
         backend->stream_sync(self->stream, error);
}

static void
close_shapes(Tuner *self)
{
  if (self->memory)
    self->engine->device->backend->free(self->engine->device, self->memory);
  self->memory = NULL;
  g_clear_pointer(&self->prepared, infer_prepared_free);
}

static gboolean
tune_batch(Tuner *self, guint batch, GPtrArray *tunings, GError **error)
{
  InferSymbolValues values = infer_engine_values(self->engine, batch, INFER_RANGE_OPT);
  InferTuning *tuning = infer_tuning_new(&values, self->engine->program->steps->len);
  gint64 start = g_get_monotonic_time();
  gboolean ok = open_shapes(self, &values, batch, error);

  g_debug("a batch of %u: default tactics prepared and run after %.2f s", batch,
          (double)(g_get_monotonic_time() - start) / 1e6);
  g_ptr_array_add(tunings, tuning);
  for (guint i = 0; ok && i < tuning->n; i++)
    ok = !g_cancellable_set_error_if_cancelled(self->cancellable, error) &&
         tune_step(self, i, &tuning->choices[i], error);
  close_shapes(self);
  return ok;
}

/* Where all sizes have to use one tactic, a middle one decides. Elsewhere the largest, a single
 * row, and then each fourth part of the largest, or half with time to spare; what there is no time
 * for goes by the nearest that was measured. */
static gboolean
tune_batches(Tuner *self, GPtrArray *tunings, GError **error)
{
  guint max = self->engine->max_batch;
  guint factor = self->options->args.level >= 4 ? 2 : 4;

  if (self->engine->device->backend->exact_rows)
    return tune_batch(self, MIN(max, 4), tunings, error);
  if (!tune_batch(self, max, tunings, error) || (max > 1 && !tune_batch(self, 1, tunings, error)))
    return FALSE;
  for (guint size = max / factor; size > 1 && g_get_monotonic_time() < self->deadline;
       size /= factor)
    if (!tune_batch(self, size, tunings, error))
      return FALSE;
  return TRUE;
}

static gboolean
tuner_open(Tuner *self, GError **error)
{
  InferDevice *device = self->engine->device;

  self->packs = infer_packs_new();
  self->stream = device->backend->stream_new(device, error);
  if (self->stream && device->cache_size && !device->backend->host_memory)
    self->flush = device->backend->alloc(device, 2 * device->cache_size, error);
  return self->stream && (self->flush || device->backend->host_memory || !device->cache_size);
}

static void
tuner_close(Tuner *self)
{
  InferDevice *device = self->engine->device;

  if (self->flush)
    device->backend->free(device, self->flush);
  if (self->workspace)
    device->backend->free(device, self->workspace);
  if (self->stream)
    device->backend->stream_free(self->stream);
  infer_packs_free(self->packs);
}

gboolean
infer_tune(InferEngine *engine, const InferTuneOptions *options, InferTimingCache *cache,
           GCancellable *cancellable, GError **error)
{
  Tuner self = {.engine = engine,
                .options = options,
                .cache = cache,
                .cancellable = cancellable,
                .deadline = G_MAXINT64};
  g_autoptr(GPtrArray) tunings = g_ptr_array_new_with_free_func(infer_tuning_free);
  gboolean ok;

  if (options->args.level == 0 || !engine->device->backend->impls)
    return TRUE;
  if (options->budget)
    self.deadline = g_get_monotonic_time() + (gint64)(options->budget / 1000);
  ok = tuner_open(&self, error) && tune_batches(&self, tunings, error);
  tuner_close(&self);
  if (ok)
    engine->program->tunings = g_steal_pointer(&tunings);
  return ok;
}
