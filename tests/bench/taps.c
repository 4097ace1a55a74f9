/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Times of convolutions of one tap by every implementation and tactic of a device, each after the
 * cache was emptied:
 *
 *   taps [--all] [DEVICE [CHANNELS,OUT,SIDE,BATCH[,ACTIVATION] ...]]
 *
 * ACTIVATION is an operator, with + before it for a tensor that is added first and behind it for
 * one that is added last. Without shapes: those of MobileNetV2, EfficientNet-B0 and ResNet-50. The
 * last column is what the fewest bytes that have to be moved make in the time of the best.
 */
#include "prepare.h"

#include <infer/infer.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUNS 8

static const char *const shapes[] = {"16,96,112,32,Clip",    "24,144,56,32,Clip",
                                     "32,192,28,32,Clip",    "64,384,14,32,Clip",
                                     "96,576,14,32,Clip",    "160,960,7,32,Clip",
                                     "320,1280,7,32,Clip",   "32,16,112,32",
                                     "96,24,56,32",          "144,24,56,32,+",
                                     "144,32,28,32",         "192,32,28,32,+",
                                     "192,64,14,32",         "384,64,14,32,+",
                                     "576,96,14,32,+",       "576,160,7,32",
                                     "960,160,7,32,+",       "960,320,7,32",
                                     "16,96,112,32,Swish",   "24,144,56,32,Swish",
                                     "40,240,28,32,Swish",   "80,480,14,32,Swish",
                                     "112,672,14,32,Swish",  "192,1152,7,32,Swish",
                                     "240,40,28,32,+",       "480,80,14,32,+",
                                     "672,112,14,32,+",      "1152,192,7,32,+",
                                     "64,64,56,32,Relu",     "64,256,56,32,+Relu",
                                     "256,64,56,32,Relu",    "256,128,56,32,Relu",
                                     "128,512,28,32,+Relu",  "512,128,28,32,Relu",
                                     "256,1024,14,32,+Relu", "1024,256,14,32,Relu",
                                     "512,2048,7,32,+Relu",  "2048,512,7,32,Relu",
                                     "256,1024,14,1,+Relu",  "1024,256,14,1,Relu",
                                     "512,2048,7,1,+Relu",   "2048,512,7,1,Relu",
                                     "64,256,56,1,+Relu",    "96,576,14,1,Clip",
                                     "960,160,7,1,+",        NULL};

typedef struct _Shape Shape;

typedef struct {
  const Shape *shape;
  const InferImpl *impl;
  char *tactic;
  gpointer state;
  gsize workspace;
  double time;
} Candidate;

struct _Shape {
  InferDevice *device;
  InferNetwork *network;
  InferStep *step;
  InferBuffer inputs[8], output;
  void *memory[9];
  InferPacks *packs;
  GPtrArray *candidates;
  double bytes;
  InferArray *first; /* what the first candidate made */
  double apart;      /* how far others are from that, of its range */
};

static InferArray *
random_array(const InferDims *dims)
{
  static GRand *random;
  InferArray *array = infer_array_new(INFER_TYPE_FLOAT16, dims, NULL);

  if (!random)
    random = g_rand_new_with_seed(1);
  gint64 some = MIN(infer_array_count(array), 49999);
  for (gint64 i = 0; i < some; i++)
    infer_array_set_double(array, (gsize)i, g_rand_int_range(random, -127, 128) / 128.0);
  /* The rest repeats, with a period that no shape has. */
  for (gsize i = (gsize)some * 2; i < array->size; i++)
    ((guint8 *)array->data)[i] = ((guint8 *)array->data)[i - (gsize)some * 2];
  return array;
}

static InferTensor *
add_constant(InferNetwork *network, InferDims dims)
{
  g_autoptr(InferArray) value = random_array(&dims);

  return infer_network_add_constant(network, NULL, value);
}

static InferTensor *
add_node(InferNetwork *network, GPtrArray *nodes, const char *op, InferTensor *const *inputs,
         guint n)
{
  g_autoptr(GError) error = NULL;
  InferNode *node = infer_network_add_node(network, op, NULL, inputs, n, NULL, 1, &error);

  if (!node)
    g_error("%s: %s", op, error->message);
  g_ptr_array_add(nodes, node);
  return node->outputs[0];
}

static InferTensor *
add_sum(InferNetwork *network, GPtrArray *nodes, InferTensor *y)
{
  InferTensor *other =
      infer_network_add_input(network, "other", INFER_TYPE_FLOAT16, &y->dims, NULL, NULL);

  return add_node(network, nodes, "Add", (InferTensor *[]){y, other}, 2);
}

static gboolean
build(Shape *shape, const char *text)
{
  g_autoptr(GPtrArray) nodes = g_ptr_array_new();
  long in, out, side, batch;
  char what[32] = "";
  InferTensor *y, *inputs[3];
  char *plus;

  if (sscanf(text, "%ld,%ld,%ld,%ld,%31s", &in, &out, &side, &batch, what) < 4)
    return FALSE;
  InferDims dims = INFER_DIMS(batch, in, side, side);
  shape->network = infer_network_new();
  inputs[0] = infer_network_add_input(shape->network, "x", INFER_TYPE_FLOAT16, &dims, NULL, NULL);
  inputs[1] = add_constant(shape->network, (InferDims)INFER_DIMS(out, in, 1, 1));
  inputs[2] = add_constant(shape->network, (InferDims)INFER_DIMS(out));
  y = add_node(shape->network, nodes, "Conv", inputs, 3);
  plus = strchr(what, '+');
  if (plus == what)
    y = add_sum(shape->network, nodes, y);
  if (plus == what)
    memmove(what, what + 1, strlen(what));
  else if (plus)
    *plus = 0;
  if (g_str_equal(what, "Clip")) {
    const InferDims scalar = {0};
    inputs[0] = y;
    for (guint i = 0; i < 2; i++) {
      g_autoptr(InferArray) bound = infer_array_new(INFER_TYPE_FLOAT16, &scalar, NULL);
      infer_array_set_double(bound, 0, i * 6);
      inputs[1 + i] = infer_network_add_constant(shape->network, NULL, bound);
    }
    y = add_node(shape->network, nodes, what, inputs, 3);
  } else if (*what) {
    y = add_node(shape->network, nodes, what, &y, 1);
  }
  if (plus && plus != what)
    y = add_sum(shape->network, nodes, y);
  shape->bytes = 2.0 * (double)(batch * side * side) * (double)(in + out * (plus ? 2 : 1)) +
                 2.0 * (double)(in * out);
  shape->step = infer_step_new((InferNode *const *)nodes->pdata, nodes->len, 0);
  return TRUE;
}

static void
set_buffer(InferBuffer *buffer, const InferTensor *tensor)
{
  InferOrder order =
      tensor->dims.n == 4 ? infer_order_channels_last(4) : infer_order_row_major(tensor->dims.n);

  *buffer = (InferBuffer){
      .type = tensor->type, .dims = tensor->dims, .value = tensor->value, .alignment = 64};
  if (tensor->value)
    order = infer_order_row_major(tensor->dims.n);
  infer_order_strides(&order, &buffer->dims, buffer->strides);
}

static gboolean
place(Shape *shape, GError **error)
{
  const InferBackend *backend = shape->device->backend;
  const InferStep *step = shape->step;

  for (guint i = 0; i < step->n_inputs; i++) {
    set_buffer(&shape->inputs[i], step->inputs[i]);
    if (step->inputs[i]->value) {
      shape->memory[i] = step->inputs[i]->value->data;
      continue;
    }
    g_autoptr(InferArray) array = random_array(&step->inputs[i]->dims);
    shape->memory[i] = backend->alloc(shape->device, array->size, error);
    if (!shape->memory[i] || (backend->load && !backend->load(shape->device, shape->memory[i],
                                                              array->data, array->size, error)))
      return FALSE;
  }
  set_buffer(&shape->output, step->outputs[0]);
  shape->memory[8] = backend->alloc(shape->device, infer_buffer_size(&shape->output), error);
  return shape->memory[8] != NULL;
}

static InferPrepare
prepare_of(const Shape *shape, const char *tactic)
{
  return (InferPrepare){.device = shape->device,
                        .step = shape->step,
                        .inputs = shape->inputs,
                        .outputs = &shape->output,
                        .tactic = tactic,
                        .packer = shape->packs};
}

static void
list(Shape *shape)
{
  const InferTacticArgs args = {.level = 3, .max_workspace = (gsize)1 << 30};
  const InferImpl *const *impls = shape->device->backend->impls("Conv");
  InferPrepare prepare = prepare_of(shape, NULL);

  for (; impls && *impls; impls++) {
    InferLayout layouts[9] = {0};
    g_auto(GStrv) names = NULL;

    if (!(*impls)->supports(shape->device, shape->step, layouts, layouts + 8))
      continue;
    names = (*impls)->tactics ? (*impls)->tactics(&prepare, &args) : NULL;
    if (names && !names[0])
      g_clear_pointer(&names, g_strfreev);
    for (guint i = 0; i == 0 || (names && names[i]); i++) {
      Candidate *candidate = g_new0(Candidate, 1);
      candidate->shape = shape;
      candidate->impl = *impls;
      candidate->tactic = names ? g_strdup(names[i]) : NULL;
      g_ptr_array_add(shape->candidates, candidate);
      if (!names)
        break;
    }
  }
}

static void
prepare_one(gpointer data, gpointer user_data)
{
  Candidate *candidate = data;
  const Shape *shape = candidate->shape;
  g_autoptr(GError) error = NULL;
  InferPrepare prepare = prepare_of(shape, candidate->tactic);

  if (candidate->impl->prepare(&prepare, &error)) {
    candidate->state = prepare.state;
    candidate->workspace = prepare.workspace;
  } else {
    g_info("%s %s: %s", candidate->impl->name, candidate->tactic, error->message);
  }
}

typedef struct {
  Shape *shape;
  const Candidate *candidate;
  void *flush, *workspace;
} Trial;

static gboolean
run_trial(gpointer data, InferStream *stream, GError **error)
{
  const Trial *trial = data;
  InferDevice *device = trial->shape->device;

  for (guint i = 0; i < RUNS; i++) {
    if (trial->flush && device->backend->fill &&
        !device->backend->fill(stream, trial->flush, 0, 2 * device->cache_size, error))
      return FALSE;
    if (!device->backend->stream_mark(stream, 2 * i, error) ||
        !trial->candidate->impl->run(trial->candidate->state, stream, trial->shape->memory,
                                     &trial->shape->memory[8], trial->workspace, error) ||
        !device->backend->stream_mark(stream, 2 * i + 1, error))
      return FALSE;
  }
  return TRUE;
}

/* Microseconds of the fastest run. */
static gboolean
measure(Shape *shape, InferStream *stream, Candidate *candidate, void *flush, GError **error)
{
  const InferBackend *backend = shape->device->backend;
  Trial trial = {shape, candidate, flush, NULL};
  gboolean ok;

  trial.workspace = backend->alloc(shape->device, MAX(candidate->workspace, 64), error);
  ok = trial.workspace && backend->stream_run(stream, run_trial, &trial, error) &&
       backend->stream_sync(stream, error);
  candidate->time = 1e9;
  for (guint i = 1; ok && i < RUNS; i++)
    candidate->time =
        MIN(candidate->time, (double)backend->stream_elapsed(stream, 2 * i + 1) / 1e3);
  if (trial.workspace)
    backend->free(shape->device, trial.workspace);
  return ok;
}

/* Compares some of the output with the first candidate's. */
static gboolean
check(Shape *shape, InferStream *stream, GError **error)
{
  const InferBackend *backend = shape->device->backend;
  g_autoptr(InferArray) got = infer_array_new(INFER_TYPE_FLOAT16, &shape->output.dims, NULL);
  double range = 1e-3, most = 0;

  if (!backend->download ||
      !backend->download(stream, got->data, shape->memory[8], got->size, error) ||
      !backend->stream_sync(stream, error))
    return !backend->download;
  if (!shape->first) {
    shape->first = g_steal_pointer(&got);
    return TRUE;
  }
  for (gint64 i = 0; i < infer_array_count(got); i += 61) {
    double a = infer_array_get_double(shape->first, (gsize)i);
    range = MAX(range, fabs(a));
    most = MAX(most, fabs(a - infer_array_get_double(got, (gsize)i)));
  }
  shape->apart = MAX(shape->apart, most / range);
  return TRUE;
}

static void
print(const Shape *shape, const char *text, gboolean all)
{
  double best = 1e9;
  const char *last = NULL;

  printf("%-22s", text);
  for (guint i = 0; i < shape->candidates->len; i++)
    best = MIN(best, ((const Candidate *)shape->candidates->pdata[i])->time);
  for (guint i = 0; i < shape->candidates->len; i++) {
    const Candidate *first = shape->candidates->pdata[i], *least = first;
    if (last == first->impl->name)
      continue;
    last = first->impl->name;
    for (guint k = i; k < shape->candidates->len; k++) {
      const Candidate *other = shape->candidates->pdata[k];
      if (other->impl != first->impl)
        break;
      if (all && other->time < 1e9 && g_str_has_prefix(other->impl->name, "cuda."))
        printf(" [%s %.1f]", other->tactic ? other->tactic : "-", other->time);
      if (other->time < least->time)
        least = other;
    }
    if (least->time < 1e9)
      printf(" %s %.1f (%.16s)", last, least->time, least->tactic ? least->tactic : "-");
  }
  printf("  %.0f GB/s, apart %.1e\n", shape->bytes / best / 1e3, shape->apart);
  fflush(stdout);
}

/* All shapes are prepared at once, which compiles kernels on all processors. */
static gboolean
begin(Shape *shape, InferDevice *device, const char *text, GThreadPool *pool, GError **error)
{
  shape->device = device;
  shape->packs = infer_packs_new();
  shape->packs->device = device;
  shape->candidates = g_ptr_array_new();
  if (!build(shape, text) || !place(shape, error))
    return FALSE;
  list(shape);
  for (guint i = 0; i < shape->candidates->len; i++)
    g_thread_pool_push(pool, shape->candidates->pdata[i], NULL);
  return TRUE;
}

static gboolean
end(Shape *shape, InferStream *stream, const char *text, void *flush, gboolean all, GError **error)
{
  gboolean ok = TRUE;

  for (guint i = 0; ok && i < shape->candidates->len; i++) {
    Candidate *candidate = shape->candidates->pdata[i];
    candidate->time = 1e9;
    if (candidate->state)
      ok = measure(shape, stream, candidate, flush, error) && check(shape, stream, error);
    if (candidate->state && candidate->impl->release)
      candidate->impl->release(candidate->state);
  }
  if (ok)
    print(shape, text, all);
  for (guint i = 0; i < G_N_ELEMENTS(shape->memory); i++)
    if (shape->memory[i] && (i == 8 || !shape->step->inputs[i]->value))
      shape->device->backend->free(shape->device, shape->memory[i]);
  g_clear_pointer(&shape->first, infer_array_unref);
  return ok;
}

int
main(int argc, char **argv)
{
  gboolean all = argc > 1 && g_str_equal(argv[1], "--all");
  char **args = argv + (all ? 2 : 1);
  g_autoptr(GError) error = NULL;
  InferDevice *device = infer_device_open(args[0] ? args[0] : "cuda:0", 0, &error);
  const char *const *texts = args[0] && args[1] ? (const char *const *)args + 1 : shapes;
  guint n = g_strv_length((char **)texts);
  g_autofree Shape *list_of = g_new0(Shape, n);
  GThreadPool *pool =
      g_thread_pool_new(prepare_one, NULL, (gint)g_get_num_processors(), FALSE, NULL);
  InferStream *stream = device ? device->backend->stream_new(device, &error) : NULL;
  void *flush = stream && device->cache_size
                    ? device->backend->alloc(device, 2 * device->cache_size, &error)
                    : NULL;
  gboolean ok = TRUE;

  if (!stream) {
    fprintf(stderr, "%s\n", error->message);
    return 77;
  }
  for (guint i = 0; ok && i < n; i++)
    ok = begin(&list_of[i], device, texts[i], pool, &error);
  g_thread_pool_free(pool, FALSE, TRUE);
  for (guint i = 0; ok && i < n; i++)
    ok = end(&list_of[i], stream, texts[i], flush, all, &error);
  if (!ok)
    fprintf(stderr, "%s\n", error ? error->message : "a shape cannot be read");
  return ok ? 0 : 1;
}
