/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine-private.h"
#include "graph.h"
#include "planner.h"
#include "plugin-private.h"

#include <math.h>
#include <string.h>

/*
 * Every step is run on the device once, with all tensors kept, and compared with its nodes' eval
 * on the same inputs. Comparing step by step names the one that is wrong, and a discontinuous
 * operator (top-k, suppression) cannot blow a rounding difference up.
 */

/* What rounding may do to the result of a step, relative to its largest element: for FP32 also with
 * factors rounded to TF32. */
static double
tolerance(const InferStep *step)
{
  double worst = 1e-3;

  for (guint i = 0; i < step->n_inputs + step->n_outputs; i++) {
    const InferTensor *tensor =
        i < step->n_inputs ? step->inputs[i] : step->outputs[i - step->n_inputs];
    if (tensor->type == INFER_TYPE_FLOAT16)
      worst = MAX(worst, 1e-2);
    else if (tensor->type == INFER_TYPE_BFLOAT16)
      worst = MAX(worst, 4e-2);
  }
  return worst;
}

void
infer_fill_random(InferEngine *engine, const InferTensor *input, const InferDims *dims,
                  gpointer data, GRand *random)
{
  const char *image = infer_model_info_get_input(engine->info);
  const InferPreprocess *pre = infer_model_info_get_preprocess(engine->info);
  gboolean pixels = image && g_str_equal(image, input->name);
  InferArray *view = infer_array_new_view(input->type, dims, data);
  gint64 count = infer_dims_count(dims);

  if (input->type == INFER_TYPE_FLOAT) {
    double scale = pixels ? 255 * (double)pre->scale[0] : 1,
           bias = pixels ? (double)pre->bias[0] : 0;

    for (gint64 i = 0; i < count; i++)
      ((float *)data)[i] = (float)(g_rand_double(random) * scale + bias);
    count = 0;
  }
  for (gint64 i = 0; i < count; i++) {
    double value = g_rand_double(random);

    if (input->type == INFER_TYPE_UINT8)
      value = floor(value * 256);
    else if (!infer_type_is_float(input->type))
      value = floor(value * 2);
    infer_array_set_double(view, (gsize)i, value);
  }
  infer_array_unref(view);
}

/* A dense row-major copy of a lowered tensor, as eval wants it; @base is the host's. */
static InferArray *
gather(const InferPrepared *prepared, const InferTensor *tensor, guint8 *base, GError **error)
{
  const InferBuffer *buffer = &prepared->buffers[tensor->index];
  const InferArray *known = prepared->known[prepared->roots[tensor->index]];
  const guint8 *from = known ? (const guint8 *)known->data + prepared->shifts[tensor->index]
                             : infer_prepared_data(prepared, tensor, base);
  InferArray *array;
  gint64 count = infer_dims_count(&buffer->dims), at[INFER_MAX_DIMS] = {0}, offset = 0;
  gsize size = infer_type_bits(buffer->type) / 8;

  if (tensor->value)
    return infer_array_ref(tensor->value);
  array = infer_array_new(buffer->type, &buffer->dims, error);
  /* Elements of less than a byte have no strides. */
  if (array && size == 0)
    memcpy(array->data, from, array->size);
  for (gint64 i = 0; array && size > 0 && i < count; i++) {
    memcpy((guint8 *)array->data + (gsize)i * size, from + (gsize)offset * size, size);
    for (gint axis = buffer->dims.n - 1; axis >= 0; axis--) {
      offset += buffer->strides[axis];
      if (++at[axis] < buffer->dims.d[axis])
        break;
      offset -= buffer->strides[axis] * at[axis];
      at[axis] = 0;
    }
  }
  return array;
}

/* The least steps of numbers near zero: all that is left of what underflows. */
static double
least_step(InferType type)
{
  return type == INFER_TYPE_FLOAT16 ? 4 * 0x1p-24 : 0;
}

static gboolean
compare(const InferStep *step, const InferImpl *impl, const InferTensor *tensor,
        const InferArray *have, const InferArray *want, GError **error)
{
  double largest = 1e-6, worst = 0;
  gint64 count = infer_array_count(want), at = 0;

  for (gint64 i = 0; i < count; i++)
    if (isfinite(infer_array_get_double(want, (gsize)i)))
      largest = MAX(largest, fabs(infer_array_get_double(want, (gsize)i)));
  for (gint64 i = 0; i < count; i++) {
    double a = infer_array_get_double(have, (gsize)i), b = infer_array_get_double(want, (gsize)i);
    double difference = isnan(a) != isnan(b) ? INFINITY : isnan(a) || a == b ? 0 : fabs(a - b);
    if (difference > worst) {
      worst = difference;
      at = i;
    }
  }
  if (worst <= tolerance(step) * largest + least_step(have->type))
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_VERIFY,
              "step '%s' (%s) is wrong: element %" G_GINT64_FORMAT " of '%s' is %g, the reference "
              "says %g; please report this, and build without verification to go on",
              step->name, impl->name, at, tensor->name, infer_array_get_double(have, (gsize)at),
              infer_array_get_double(want, (gsize)at));
  return FALSE;
}

static gboolean
eval_nodes(const InferStep *step, GHashTable *values, GError **error)
{
  for (guint i = 0; i < step->n_nodes; i++) {
    const InferNode *node = step->nodes[i];
    g_autofree const InferArray **in = g_new0(const InferArray *, node->n_inputs + 1);
    g_autofree InferArray **out = g_new0(InferArray *, node->n_outputs + 1);

    for (guint j = 0; j < node->n_inputs; j++)
      in[j] = node->inputs[j] ? g_hash_table_lookup(values, node->inputs[j]) : NULL;
    if (!infer_op_eval_alloc(node, in, node->n_inputs, out, node->n_outputs, error))
      return FALSE;
    for (guint j = 0; j < node->n_outputs; j++)
      g_hash_table_insert(values, node->outputs[j], out[j]);
  }
  return TRUE;
}

static gboolean
verify_step(const InferPrepared *prepared, guint index, guint8 *base, GError **error)
{
  const InferStep *step = prepared->program->steps->pdata[index];
  const InferImpl *impl = prepared->impls[index];
  g_autoptr(GHashTable) values =
      g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)infer_array_unref);

  if (infer_step_is_view(step) || impl == &infer_impl_reference)
    return TRUE;
  if (infer_step_find_opaque(step)) {
    g_message("step '%s' (%s) could not be compared: the plugin has no reference evaluation",
              step->name, step->impl->name);
    return TRUE;
  }
  for (guint i = 0; i < step->n_inputs; i++) {
    InferArray *array = gather(prepared, step->inputs[i], base, error);
    if (!array)
      return FALSE;
    g_hash_table_insert(values, step->inputs[i], array);
  }
  if (!eval_nodes(step, values, error))
    return FALSE;
  for (guint i = 0; i < step->n_outputs; i++) {
    g_autoptr(InferArray) have = gather(prepared, step->outputs[i], base, error);
    if (!have || !compare(step, impl, step->outputs[i], have,
                          g_hash_table_lookup(values, step->outputs[i]), error))
      return FALSE;
  }
  return TRUE;
}

/* Every row of a batch gets the same numbers, so that every row has to give the same results. */
static void
fill_inputs(InferEngine *engine, const InferPrepared *prepared, guint8 *base)
{
  InferNetwork *network = engine->program->network;
  g_autoptr(GRand) random = g_rand_new_with_seed(1);

  for (guint i = 0; i < infer_network_get_n_inputs(network); i++) {
    const InferTensor *input = infer_network_get_input(network, i);
    guint8 *data = infer_prepared_data(prepared, input, base);
    InferDims dims = prepared->buffers[input->index].dims;
    gsize size;

    if (input->initial) {
      memcpy(data, input->initial->data, input->initial->size);
      continue;
    }
    if (!infer_engine_has_rows(engine, input)) {
      infer_fill_random(engine, input, &dims, data, random);
      continue;
    }
    dims.d[0] = 1;
    size = infer_type_size(input->type, infer_dims_count(&dims));
    infer_fill_random(engine, input, &dims, data, random);
    for (guint row = 1; row < prepared->batch; row++)
      memcpy(data + row * size, data, size);
  }
}

/* A run with random inputs in memory of its own, which holds NaNs before, so that what nobody wrote
 * shows. */
typedef struct {
  InferEngine *engine;
  GCancellable *cancellable;
  InferPrepared *prepared;
  InferStream *stream;
  guint8 *base;   /* as the host sees it */
  guint8 *memory; /* as the device does */
  gsize seen;     /* bytes of it that the host sees: inputs and outputs come first */
} Trial;

static gboolean
to_device(Trial *self, InferStream *stream, GError **error)
{
  const InferBackend *backend = self->engine->device->backend;
  gsize rest = self->prepared->memory_size - self->prepared->io_size;

  return self->memory == self->base ||
         (backend->upload(stream, self->memory, self->base, self->prepared->io_size, error) &&
          backend->fill(stream, self->memory + self->prepared->io_size, 0xff, rest, error));
}

static gboolean
from_device(Trial *self, InferStream *stream, GError **error)
{
  return self->memory == self->base || self->engine->device->backend->download(
                                           stream, self->base, self->memory, self->seen, error);
}

static gboolean
run_all(gpointer data, InferStream *stream, GError **error)
{
  Trial *self = data;

  return to_device(self, stream, error) &&
         infer_prepared_run_made_up(self->prepared, self->memory, stream, self->cancellable,
                                    error) &&
         from_device(self, stream, error);
}

static gboolean
alloc_memory(Trial *self, gboolean keep_all, GError **error)
{
  InferDevice *device = self->engine->device;
  gsize size = MAX(self->prepared->memory_size, 1);

  self->memory = device->backend->alloc(device, size, error);
  self->seen = keep_all || device->backend->host_memory ? self->prepared->memory_size
                                                        : self->prepared->io_size;
  self->base = self->memory && !device->backend->host_memory
                   ? device->backend->alloc_host(device, MAX(self->seen, 1), error)
                   : self->memory;
  return self->base != NULL;
}

static gboolean
trial_run(Trial *self, guint batch, gboolean keep_all, GError **error)
{
  InferEngine *engine = self->engine;
  const InferBackend *backend = engine->device->backend;
  InferSymbolValues values = infer_engine_values(engine, batch, INFER_RANGE_MIN);

  self->prepared = infer_prepared_new(engine->program, engine->device, engine->packs, &values,
                                      batch, keep_all, error);
  self->stream = self->prepared ? backend->stream_new(engine->device, error) : NULL;
  if (!self->stream || !alloc_memory(self, keep_all, error))
    return FALSE;
  memset(self->base, 0xff, self->seen);
  infer_prepared_set_base(self->prepared, self->memory);
  fill_inputs(engine, self->prepared, self->base);
  return backend->stream_run(self->stream, run_all, self, error) &&
         backend->stream_sync(self->stream, error);
}

static void
trial_clear(Trial *self)
{
  const InferBackend *backend = self->engine->device->backend;

  if (self->base && self->base != self->memory)
    backend->free_host(self->engine->device, self->base);
  if (self->memory)
    backend->free(self->engine->device, self->memory);
  if (self->stream)
    backend->stream_free(self->stream);
  if (self->prepared)
    infer_prepared_free(self->prepared);
}

/* Where a device need not sum in one order in all batches, rounding may differ: as much as in a
 * whole network of the types that are in it. */
static double
output_tolerance(const InferEngine *engine)
{
  double worst = 1e-3;

  if (engine->device->backend->exact_rows)
    return 0;
  for (guint i = 0; i < infer_network_get_n_tensors(engine->program->network); i++) {
    InferType type = infer_network_get_tensor(engine->program->network, i)->type;
    worst = MAX(worst, type == INFER_TYPE_FLOAT16 ? 2e-2 : type == INFER_TYPE_BFLOAT16 ? 1e-1 : 0);
  }
  return worst;
}

static gboolean
same_output(const InferEngine *engine, InferType type, const guint8 *a, const guint8 *b, gsize size)
{
  const double tolerance = output_tolerance(engine);
  const float *x = (const float *)(gconstpointer)a, *y = (const float *)(gconstpointer)b;
  double largest = 1e-6;

  if (memcmp(a, b, size) == 0)
    return TRUE;
  if (tolerance == 0 || type != INFER_TYPE_FLOAT)
    return FALSE;
  for (gsize i = 0; i < size / sizeof(float); i++)
    largest = MAX(largest, isfinite(x[i]) ? fabs((double)x[i]) : 0);
  for (gsize i = 0; i < size / sizeof(float); i++)
    if (!(fabs((double)x[i] - (double)y[i]) <= tolerance * largest) &&
        memcmp(&x[i], &y[i], sizeof *x) != 0)
      return FALSE;
  return TRUE;
}

/* Sharing memory between tensors must not change a bit of what leaves. */
static gboolean
compare_outputs(const Trial *kept, const Trial *planned, GError **error)
{
  InferNetwork *network = kept->engine->program->network;

  for (guint i = 0; i < infer_network_get_n_outputs(network); i++) {
    const InferTensor *tensor = infer_network_get_output(network, i);

    if (same_output(kept->engine, tensor->type,
                    infer_prepared_data(kept->prepared, tensor, kept->base),
                    infer_prepared_data(planned->prepared, tensor, planned->base),
                    infer_buffer_size(&kept->prepared->buffers[tensor->index])))
      continue;
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERIFY,
                "output '%s' changes when tensors share memory, in a batch of %u; please report "
                "this, and build without verification to go on",
                tensor->name, kept->prepared->batch);
    return FALSE;
  }
  return TRUE;
}

static gboolean
verify_steps(const Trial *kept, GError **error)
{
  for (guint i = 0; i < kept->prepared->n_steps; i++)
    if (!infer_op_go_on(error) || !verify_step(kept->prepared, i, kept->base, error))
      return FALSE;
  return TRUE;
}

/* Every step against the reference, then the memory plan against memory of one's own. */
static gboolean
verify_fully(Trial *kept, guint batch, GError **error)
{
  Trial planned = {.engine = kept->engine, .cancellable = kept->cancellable};
  gboolean ok = trial_run(kept, batch, TRUE, error) && verify_steps(kept, error) &&
                trial_run(&planned, batch, FALSE, error) && compare_outputs(kept, &planned, error);

  trial_clear(&planned);
  return ok;
}

/* Whether each row of a batch of equal rows gives what the row alone gave. */
static gboolean
rows_agree(const Trial *alone, const Trial *batch)
{
  InferNetwork *network = alone->engine->program->network;
  guint n = batch->prepared->batch;

  for (guint i = 0; i < infer_network_get_n_outputs(network); i++) {
    const InferTensor *tensor = infer_network_get_output(network, i);
    gsize row = infer_buffer_size(&alone->prepared->buffers[tensor->index]);
    gsize all = infer_buffer_size(&batch->prepared->buffers[tensor->index]);
    const guint8 *want = infer_prepared_data(alone->prepared, tensor, alone->base);
    const guint8 *have = infer_prepared_data(batch->prepared, tensor, batch->base);

    if (all != row && all != row * n)
      return FALSE;
    for (guint k = 0; k < all / MAX(row, 1); k++)
      if (!same_output(alone->engine, tensor->type, want, have + k * row, row))
        return FALSE;
  }
  return TRUE;
}

/* A batch is checked by its rows, which costs a run. Only where they differ, since the network or
 * an implementation mixes rows, is it compared with the reference as well. */
static gboolean
verify_batch(const Trial *alone, guint n, GError **error)
{
  Trial batch = {.engine = alone->engine, .cancellable = alone->cancellable}, kept = batch;
  gboolean ok = trial_run(&batch, n, FALSE, error);

  if (ok && !rows_agree(alone, &batch))
    ok = verify_fully(&kept, n, error);
  trial_clear(&batch);
  trial_clear(&kept);
  return ok;
}

gboolean
infer_verify(InferEngine *engine, GCancellable *cancellable, GError **error)
{
  Trial kept = {.engine = engine, .cancellable = cancellable};
  gboolean ok;

  /* Evaluations look at it, since that of one layer may take seconds. */
  if (cancellable)
    g_cancellable_push_current(cancellable);
  ok = verify_fully(&kept, 1, error);
  if (ok && engine->max_batch > 1)
    ok = verify_batch(&kept, MIN(engine->max_batch, 3), error) &&
         verify_batch(&kept, engine->max_batch, error);
  if (cancellable)
    g_cancellable_pop_current(cancellable);
  trial_clear(&kept);
  return ok;
}
