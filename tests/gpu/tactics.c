/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "prepare.h"

#include <infer/infer.h>
#include <math.h>
#include <string.h>

/*
 * Convolutions and products on a device: every implementation that supports a step, by every tactic
 * that it names, gives what the reference does, once enqueued and once as a captured graph. Prints
 * TAP.
 *
 *   gpu-tactics [--level 0..5] [--tf32] [--only TEXT] [DEVICE]
 */

#define SKIPPED 77

typedef struct {
  const char *name;
  const char *op;                              /* Conv, ConvTranspose, MatMul or Gemm */
  gint64 x[INFER_MAX_DIMS], w[INFER_MAX_DIMS]; /* end with 0 */
  gint64 stride, dilation, begin, end, group;
  gboolean bias, residual, residual_last;
  const char *activation[3];
  gboolean second_is_data; /* of a product */
  gint64 gap;              /* channels between a pixel's and the next one's */
  gboolean gate;           /* the input is multiplied by a number for each channel of an image */
} Case;

static const Case cases[] = {
    {"3x3",
     "Conv",
     {3, 64, 14, 14},
     {64, 64, 3, 3},
     1,
     1,
     1,
     1,
     1,
     .bias = TRUE,
     .activation = {"Relu"}},
    {"3x3 bare", "Conv", {1, 32, 9, 11}, {48, 32, 3, 3}, 2, 1, 1, 0, 1},
    {"1x1 residual",
     "Conv",
     {2, 64, 7, 7},
     {128, 64, 1, 1},
     1,
     1,
     0,
     0,
     1,
     TRUE,
     TRUE,
     FALSE,
     {"Relu"}},
    {"1x1 silu",
     "Conv",
     {2, 32, 10, 10},
     {96, 32, 1, 1},
     1,
     1,
     0,
     0,
     1,
     TRUE,
     .activation = {"Swish"}},
    {"stem", "Conv", {2, 3, 33, 31}, {32, 3, 7, 7}, 2, 1, 3, 3, 1, TRUE, .activation = {"Relu"}},
    {"asymmetric",
     "Conv",
     {1, 16, 15, 15},
     {24, 16, 3, 3},
     2,
     1,
     0,
     1,
     1,
     TRUE,
     .activation = {"HardSwish"}},
    {"dilated",
     "Conv",
     {2, 32, 17, 17},
     {32, 32, 3, 3},
     1,
     3,
     3,
     3,
     1,
     TRUE,
     .activation = {"LeakyRelu"}},
    {"groups", "Conv", {2, 64, 14, 14}, {64, 16, 3, 3}, 1, 1, 1, 1, 4, TRUE, TRUE, FALSE, {"Relu"}},
    {"odd channels",
     "Conv",
     {2, 19, 8, 8},
     {21, 19, 3, 3},
     1,
     1,
     1,
     1,
     1,
     TRUE,
     TRUE,
     TRUE,
     {"Sigmoid"}},
    {"relu then sum",
     "Conv",
     {1, 64, 12, 12},
     {64, 64, 3, 3},
     1,
     1,
     1,
     1,
     1,
     TRUE,
     TRUE,
     TRUE,
     {"Relu"}},
    {"gelu elu",
     "Conv",
     {1, 16, 6, 6},
     {16, 16, 3, 3},
     1,
     1,
     1,
     1,
     1,
     TRUE,
     .activation = {"Gelu", "Elu"}},
    {"1d", "Conv", {2, 16, 50}, {32, 16, 5}, 2, 1, 2, 2, 1, TRUE, .activation = {"Tanh"}},
    {"3d",
     "Conv",
     {1, 16, 5, 8, 8},
     {32, 16, 3, 3, 3},
     1,
     1,
     1,
     1,
     1,
     TRUE,
     .activation = {"Relu"}},
    {"transposed",
     "ConvTranspose",
     {2, 32, 7, 7},
     {32, 16, 4, 4},
     2,
     1,
     1,
     1,
     1,
     TRUE,
     .activation = {"Relu"}},
    {"transposed groups", "ConvTranspose", {1, 32, 5, 6}, {32, 8, 3, 3}, 2, 1, 0, 1, 4, TRUE},
    {"tap of few",
     "Conv",
     {2, 16, 9, 7},
     {96, 16, 1, 1},
     1,
     1,
     0,
     0,
     1,
     TRUE,
     FALSE,
     FALSE,
     {"Clip"}},
    {"tap to few", "Conv", {3, 96, 11, 5}, {24, 96, 1, 1}, 1, 1, 0, 0, 1, TRUE, TRUE},
    {"tap swish",
     "Conv",
     {1, 40, 13, 9},
     {240, 40, 1, 1},
     1,
     1,
     0,
     0,
     1,
     TRUE,
     .activation = {"Swish"}},
    {"tap odd",
     "Conv",
     {2, 21, 5, 9},
     {35, 21, 1, 1},
     1,
     1,
     0,
     0,
     1,
     TRUE,
     TRUE,
     TRUE,
     {"HardSwish"}},
    {"tap even", "Conv", {2, 36, 6, 6}, {68, 36, 1, 1}, 1, 1, 0, 0, 1, .residual = TRUE},
    {"tap apart",
     "Conv",
     {3, 72, 7, 5},
     {56, 72, 1, 1},
     2,
     1,
     0,
     0,
     1,
     TRUE,
     .activation = {"Clip"}},
    {"tap of a part", "Conv", {2, 40, 8, 6}, {48, 40, 1, 1}, 1, 1, 0, 0, 1, TRUE, .gap = 24},
    {"tap of an odd part", "Conv", {2, 20, 8, 6}, {44, 20, 1, 1}, 1, 1, 0, 0, 1, TRUE, .gap = 12},
    {"tap deep",
     "Conv",
     {1, 320, 7, 7},
     {200, 320, 1, 1},
     1,
     1,
     0,
     0,
     1,
     TRUE,
     .activation = {"Clip"}},
    {"tap deep part", "Conv", {3, 600, 5, 5}, {72, 600, 1, 1}, 1, 1, 0, 0, 1, TRUE, .gap = 8},
    {"tap many rows",
     "Conv",
     {2, 24, 60, 62},
     {40, 24, 1, 1},
     1,
     1,
     0,
     0,
     1,
     TRUE,
     TRUE,
     TRUE,
     {"Relu"}},
    {"tap gated", "Conv", {3, 40, 7, 9}, {24, 40, 1, 1}, 1, 1, 0, 0, 1, TRUE, TRUE, .gate = TRUE},
    {"tap gated deep",
     "Conv",
     {2, 304, 5, 5},
     {64, 304, 1, 1},
     1,
     1,
     0,
     0,
     1,
     TRUE,
     .activation = {"Clip"},
     .gate = TRUE},
    {"tap gated odd",
     "Conv",
     {2, 67, 6, 5},
     {45, 67, 1, 1},
     2,
     1,
     0,
     0,
     1,
     .activation = {"Swish"},
     .gate = TRUE},
    {"tap 1d", "Conv", {2, 48, 37}, {64, 48, 1}, 1, 1, 0, 0, 1, TRUE, .activation = {"Tanh"}},
    {"tap 3d", "Conv", {2, 48, 3, 5, 4}, {32, 48, 1, 1, 1}, 2, 1, 0, 0, 1, TRUE},
    {"product", "MatMul", {5, 64}, {64, 96}, .bias = FALSE},
    {"product of batches", "MatMul", {2, 3, 10, 32}, {2, 3, 32, 17}, .second_is_data = TRUE},
    {"product broadcast", "MatMul", {4, 1, 6, 16}, {3, 16, 8}, .second_is_data = TRUE},
    {"product of a vector", "MatMul", {4, 6, 16}, {16}, .second_is_data = TRUE},
    {"product rows", "MatMul", {2, 7, 24}, {24, 40}, .residual = TRUE, .activation = {"Gelu"}},
    {"fully connected", "Gemm", {9, 128}, {1000, 128}, .bias = TRUE, .activation = {"Relu"}},
    {"fully connected odd",
     "Gemm",
     {3, 33},
     {21, 33},
     .bias = TRUE,
     .residual = TRUE,
     .activation = {"Sigmoid"}},
    {NULL},
};

typedef struct {
  const char *device_name, *only;
  InferDevice *device;
  InferStream *stream;
  guint level, number, failed;
  gboolean tf32;
  GRand *random;
} Run;

static InferDims
dims_of(const gint64 *list)
{
  InferDims dims = {0};

  while (dims.n < INFER_MAX_DIMS && list[dims.n] > 0) {
    dims.d[dims.n] = list[dims.n];
    dims.n++;
  }
  return dims;
}

/* Values that 16-bit types hold exactly, so that the reference sees the same ones. */
static InferArray *
random_array(Run *run, InferType type, const InferDims *dims, double scale)
{
  InferArray *array = infer_array_new(type, dims, NULL);

  for (gint64 i = 0; i < infer_array_count(array); i++)
    infer_array_set_double(array, (gsize)i,
                           g_rand_int_range(run->random, -127, 128) / 128.0 * scale);
  return array;
}

/* --- the network of one step --- */

typedef struct {
  InferNetwork *network;
  GPtrArray *nodes;  /* InferNode */
  GPtrArray *inputs; /* InferArray, of the network's inputs */
  InferType type;
  GError *error;
} Net;

static InferTensor *
add_node(Net *net, const char *op, InferTensor *const *inputs, guint n, GVariant *attrs)
{
  InferNode *node =
      net->error ? NULL
                 : infer_network_add_node(net->network, op, NULL, inputs, n, attrs, 1, &net->error);

  if (!node)
    return NULL;
  g_ptr_array_add(net->nodes, node);
  return node->outputs[0];
}

static InferTensor *
add_input(Run *run, Net *net, const char *name, const InferDims *dims)
{
  g_ptr_array_add(net->inputs, random_array(run, net->type, dims, 1.0));
  return infer_network_add_input(net->network, name, net->type, dims, NULL, &net->error);
}

static InferTensor *
add_constant(Run *run, Net *net, const InferDims *dims, double scale)
{
  g_autoptr(InferArray) value = random_array(run, net->type, dims, scale);

  return infer_network_add_constant(net->network, NULL, value);
}

static GVariant *
conv_attrs(const Case *c, gint spatial)
{
  gint64 strides[3], dilations[3], pads[6];

  for (gint i = 0; i < spatial; i++) {
    strides[i] = c->stride;
    dilations[i] = c->dilation;
    pads[i] = c->begin;
    pads[spatial + i] = c->end;
  }
  return infer_attrs_new("group", 'i', c->group, "strides", 'I', strides, (gsize)spatial,
                         "dilations", 'I', dilations, (gsize)spatial, "pads", 'I', pads,
                         (gsize)spatial * 2, NULL);
}

/* 2^-n, near what keeps results of the size of the inputs. */
static double
scale_of(gint64 taps)
{
  return exp2(-ceil(log2(sqrt((double)taps))));
}

static InferTensor *
add_anchor(Run *run, Net *net, const Case *c)
{
  InferDims x = dims_of(c->x), w = dims_of(c->w);
  gint64 count = infer_dims_count(&w);
  InferTensor *inputs[3] = {add_input(run, net, "x", &x)};
  gboolean transposed = g_str_equal(c->op, "ConvTranspose");

  if (c->gate) {
    InferDims channels = INFER_DIMS(x.d[0], x.d[1], 1, 1);
    InferTensor *scale = add_input(run, net, "scale", &channels);
    inputs[0] = add_node(net, "Mul", (InferTensor *[]){inputs[0], scale}, 2, NULL);
  }
  if (g_str_has_prefix(c->op, "Conv")) {
    InferDims bias = INFER_DIMS(transposed ? w.d[1] * c->group : w.d[0]);
    inputs[1] = add_constant(run, net, &w, scale_of(count / w.d[transposed ? 1 : 0]));
    inputs[2] = c->bias ? add_constant(run, net, &bias, 1.0) : NULL;
    return add_node(net, c->op, inputs, c->bias ? 3 : 2, conv_attrs(c, x.n - 2));
  }
  if (g_str_equal(c->op, "Gemm")) {
    InferDims bias = INFER_DIMS(w.d[0]);
    inputs[1] = add_constant(run, net, &w, scale_of(w.d[1]));
    inputs[2] = c->bias ? add_constant(run, net, &bias, 1.0) : NULL;
    return add_node(net, "Gemm", inputs, c->bias ? 3 : 2,
                    infer_attrs_new("transB", 'i', (gint64)1, NULL));
  }
  inputs[1] = c->second_is_data ? add_input(run, net, "b", &w)
                                : add_constant(run, net, &w, scale_of(w.d[w.n - 2]));
  return add_node(net, "MatMul", inputs, 2, NULL);
}

static InferTensor *
add_activations(Net *net, const Case *c, InferTensor *y)
{
  for (guint i = 0; y && i < G_N_ELEMENTS(c->activation) && c->activation[i]; i++) {
    InferTensor *inputs[] = {y, NULL, NULL};
    gboolean clip = g_str_equal(c->activation[i], "Clip");

    for (guint k = 0; clip && k < 2; k++) {
      const InferDims scalar = {0};
      g_autoptr(InferArray) bound = infer_array_new(net->type, &scalar, NULL);
      infer_array_set_double(bound, 0, k * 0.75);
      inputs[1 + k] = infer_network_add_constant(net->network, NULL, bound);
    }
    y = add_node(net, c->activation[i], inputs, clip ? 3 : 1, NULL);
  }
  return y;
}

static gboolean
build(Run *run, Net *net, const Case *c, InferType type)
{
  InferTensor *y;

  net->network = infer_network_new();
  net->nodes = g_ptr_array_new();
  net->inputs = g_ptr_array_new_with_free_func((GDestroyNotify)infer_array_unref);
  net->type = type;
  y = add_anchor(run, net, c);
  if (y && c->residual_last)
    y = add_activations(net, c, y);
  if (y && c->residual) {
    InferTensor *other = add_input(run, net, "residual", &y->dims);
    y = other ? add_node(net, "Add", (InferTensor *[]){y, other}, 2, NULL) : NULL;
  }
  if (y && !c->residual_last)
    y = add_activations(net, c, y);
  return y != NULL;
}

static void
clear(Net *net)
{
  g_clear_object(&net->network);
  g_ptr_array_unref(net->nodes);
  g_ptr_array_unref(net->inputs);
  g_clear_error(&net->error);
}

/* --- the reference, in FP32 --- */

static InferArray *
reference(const Net *net, GError **error)
{
  g_autoptr(GHashTable) values =
      g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)infer_array_unref);
  InferNode *last = net->nodes->pdata[net->nodes->len - 1];

  for (guint i = 0; i < net->inputs->len; i++)
    g_hash_table_insert(values, infer_network_get_input(net->network, i),
                        infer_array_ref(net->inputs->pdata[i]));
  for (guint i = 0; i < net->nodes->len; i++) {
    const InferNode *node = net->nodes->pdata[i];
    const InferArray *in[3] = {NULL};
    InferArray *out[1] = {NULL};
    for (guint k = 0; k < node->n_inputs; k++)
      in[k] = node->inputs[k]->value ? node->inputs[k]->value
                                     : g_hash_table_lookup(values, node->inputs[k]);
    if (!infer_op_eval_alloc(node, in, node->n_inputs, out, 1, error))
      return NULL;
    g_hash_table_insert(values, node->outputs[0], out[0]);
  }
  return infer_array_ref(g_hash_table_lookup(values, last->outputs[0]));
}

/* --- the device --- */

typedef struct {
  Run *run;
  InferStep *step;
  const InferImpl *impl;
  InferBuffer inputs[6], output;
  void *memory[7], *workspace; /* the last one is the output's */
  gpointer state;
  gboolean captured;
} Job;

static void
set_buffer(InferBuffer *buffer, const InferTensor *tensor, InferLayout layout, gint64 gap)
{
  InferOrder order = layout == INFER_LAYOUT_CHANNELS_LAST
                         ? infer_order_channels_last(tensor->dims.n)
                         : infer_order_row_major(tensor->dims.n);

  *buffer = (InferBuffer){
      .type = tensor->type, .dims = tensor->dims, .value = tensor->value, .alignment = 64};
  infer_order_strides(&order, &buffer->dims, buffer->strides);
  if (gap > 0) {
    for (gint i = 0; i < buffer->dims.n; i++)
      buffer->strides[i] =
          i == 1 ? 1 : buffer->strides[i] / tensor->dims.d[1] * (tensor->dims.d[1] + gap);
    for (buffer->alignment = 64; gap * 2 % (gint64)buffer->alignment != 0;)
      buffer->alignment /= 2;
  }
}

/* Bytes that it reaches over, with gaps. */
static gsize
extent_of(const InferBuffer *buffer)
{
  gint64 last = 0;

  for (gint i = 0; i < buffer->dims.n; i++)
    last += (buffer->dims.d[i] - 1) * buffer->strides[i];
  return (gsize)(last + 1) * infer_type_bits(buffer->type) / 8;
}

/* Between row-major and the buffer's order. */
static void
reorder(const InferBuffer *buffer, const guint8 *from, guint8 *to, gboolean back)
{
  gsize size = infer_type_bits(buffer->type) / 8;

  for (gint64 i = 0; i < infer_dims_count(&buffer->dims); i++) {
    gint64 rest = i, at = 0;
    for (gint axis = buffer->dims.n - 1; axis >= 0; axis--) {
      at += rest % buffer->dims.d[axis] * buffer->strides[axis];
      rest /= buffer->dims.d[axis];
    }
    memcpy(to + (gsize)(back ? i : at) * size, from + (gsize)(back ? at : i) * size, size);
  }
}

static gboolean
copy_in(Job *job, void *to, const void *from, gsize size, GError **error)
{
  const InferBackend *backend = job->run->device->backend;

  if (!backend->host_memory)
    return backend->load(job->run->device, to, from, size, error);
  memcpy(to, from, size);
  return TRUE;
}

static gboolean
copy_out(Job *job, void *to, const void *from, gsize size, GError **error)
{
  const InferBackend *backend = job->run->device->backend;

  if (!backend->host_memory)
    return backend->download(job->run->stream, to, from, size, error) &&
           backend->stream_sync(job->run->stream, error);
  memcpy(to, from, size);
  return TRUE;
}

static gboolean
fill_operands(Job *job, const Net *net, GError **error)
{
  InferDevice *device = job->run->device;

  for (guint i = 0; i < job->step->n_inputs; i++) {
    const InferTensor *tensor = job->step->inputs[i];
    if (tensor->value) {
      job->memory[i] = tensor->value->data;
      continue;
    }
    for (guint k = 0; k < net->inputs->len; k++) {
      const InferArray *array = net->inputs->pdata[k];
      gsize size = extent_of(&job->inputs[i]);
      g_autofree guint8 *ordered = g_malloc(size);
      if (infer_network_get_input(net->network, k) != tensor)
        continue;
      /* What is read from between the elements shows too. */
      memset(ordered, 0xff, size);
      reorder(&job->inputs[i], array->data, ordered, FALSE);
      job->memory[i] = device->backend->alloc(device, size, error);
      if (!job->memory[i] || !copy_in(job, job->memory[i], ordered, size, error))
        return FALSE;
    }
  }
  job->memory[6] = device->backend->alloc(device, extent_of(&job->output), error);
  return job->memory[6] != NULL;
}

static void
free_job(Job *job)
{
  InferDevice *device = job->run->device;

  for (guint i = 0; i < job->step->n_inputs; i++)
    if (!job->step->inputs[i]->value && job->memory[i])
      device->backend->free(device, job->memory[i]);
  if (job->memory[6])
    device->backend->free(device, job->memory[6]);
  infer_step_free(job->step);
}

static gboolean
run_impl(gpointer data, InferStream *stream, GError **error)
{
  Job *job = data;

  return job->impl->run(job->state, stream, job->memory, &job->memory[6], job->workspace, error);
}

static gboolean
run_captured(gpointer data, InferStream *stream, GError **error)
{
  Job *job = data;
  const InferBackend *backend = job->run->device->backend;
  gpointer graph;
  gboolean ok;

  if (!backend->capture_begin)
    return run_impl(data, stream, error);
  if (!backend->capture_begin(stream, error))
    return FALSE;
  ok = run_impl(data, stream, error);
  graph = backend->capture_end(stream, ok ? error : NULL);
  ok = ok && graph && backend->graph_launch(graph, stream, error) &&
       backend->stream_sync(stream, error);
  if (graph)
    backend->graph_free(graph);
  return ok;
}

static gboolean
compare(const Job *job, const InferArray *want, const guint8 *data, GError **error)
{
  g_autoptr(InferArray) got =
      infer_array_new_view(job->output.type, &job->output.dims, (gpointer)data);
  double range = 1e-3;
  double tolerance = job->output.type != INFER_TYPE_FLOAT ? 2e-2 : job->run->tf32 ? 1e-2 : 1e-4;

  for (gint64 i = 0; i < infer_array_count(want); i++)
    range = MAX(range, fabs(infer_array_get_double(want, (gsize)i)));
  for (gint64 i = 0; i < infer_array_count(want); i++) {
    double a = infer_array_get_double(want, (gsize)i), b = infer_array_get_double(got, (gsize)i);
    if (fabs(a - b) <= tolerance * range)
      continue;
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERIFY,
                "element %" G_GINT64_FORMAT " is %.9g, expected %.9g, of a range of %.4g", i, b, a,
                range);
    return FALSE;
  }
  return TRUE;
}

/* Whether what lies between the elements of the output is as it was. */
static gboolean
check_gaps(const Job *job, guint8 *data, gsize size, GError **error)
{
  gsize element = infer_type_bits(job->output.type) / 8;
  g_autofree guint8 *blank = g_malloc((gsize)infer_dims_count(&job->output.dims) * element);

  memset(blank, 0xff, (gsize)infer_dims_count(&job->output.dims) * element);
  reorder(&job->output, blank, data, FALSE);
  for (gsize i = 0; i < size; i++)
    if (data[i] != 0xff) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_VERIFY, "byte %zu beside the output is written",
                  i);
      return FALSE;
    }
  return TRUE;
}

static gboolean
run_and_compare(Job *job, const InferArray *want, gboolean captured, GError **error)
{
  const InferBackend *backend = job->run->device->backend;
  gsize size = extent_of(&job->output);
  g_autofree guint8 *ordered = g_malloc(size), *plain = g_malloc(size);

  /* What is not written shows. */
  memset(ordered, 0xff, size);
  if (!copy_in(job, job->memory[6], ordered, size, error) ||
      !backend->stream_run(job->run->stream, captured ? run_captured : run_impl, job, error) ||
      !backend->stream_sync(job->run->stream, error) ||
      !copy_out(job, ordered, job->memory[6], size, error))
    return FALSE;
  reorder(&job->output, ordered, plain, TRUE);
  return compare(job, want, plain, error) && check_gaps(job, ordered, size, error);
}

static gboolean
check_tactic(Job *job, InferPrepare *prepare, const InferArray *want, GError **error)
{
  InferDevice *device = job->run->device;
  gboolean ok = job->impl->prepare(prepare, error);

  if (!ok)
    return FALSE;
  job->state = prepare->state;
  job->workspace = device->backend->alloc(device, MAX(prepare->workspace, 1), error);
  ok = job->workspace && run_and_compare(job, want, FALSE, error) &&
       run_and_compare(job, want, TRUE, error);
  if (job->workspace)
    device->backend->free(device, job->workspace);
  if (job->impl->release)
    job->impl->release(job->state);
  return ok;
}

/* Tuning skips an engine that cannot be had; one that is had has to be right. */
static gboolean
is_refusal(const GError *error)
{
  return !g_error_matches(error, INFER_ERROR, INFER_ERROR_VERIFY) &&
         strstr(error->message, "tactic") != NULL;
}

static void
check_tactics(Job *job, const Case *c, const InferArray *want)
{
  Run *run = job->run;
  InferPacks *packs = infer_packs_new();
  InferTacticArgs args = {.level = run->level, .tf32 = run->tf32, .max_workspace = (gsize)1 << 30};
  InferPrepare prepare = {.device = run->device,
                          .step = job->step,
                          .inputs = job->inputs,
                          .outputs = &job->output,
                          .packer = packs};
  g_auto(GStrv) names = job->impl->tactics ? job->impl->tactics(&prepare, &args) : NULL;
  guint n = names ? g_strv_length(names) : 0, refused = 0;

  /* Its own choice, and then all that it named. */
  for (guint i = 0; i <= n; i++) {
    g_autoptr(GError) error = NULL;
    InferPrepare copy = prepare;
    copy.tactic = i == 0 ? NULL : names[i - 1];
    if (!check_tactic(job, &copy, want, &error) && i > 0 && is_refusal(error)) {
      refused++;
      continue;
    }
    run->failed += error != NULL;
    g_print("%s %u - %s %s %s: %s\n", error ? "not ok" : "ok", ++run->number, c->name,
            infer_type_name(job->output.type), job->impl->name,
            copy.tactic ? copy.tactic : "its own choice");
    if (error)
      g_print("# %s\n", error->message);
  }
  if (refused > 0)
    g_print("# %u of %u tactics could not be had\n", refused, n);
  if (n > 0 && refused == n) {
    run->failed++;
    g_print("not ok %u - %s: none of the tactics can be had\n", ++run->number, c->name);
  }
  {
    g_autoptr(GError) error = NULL;
    InferPrepare copy = prepare;
    copy.tactic = "no such tactic";
    gboolean ok = !job->impl->tactics || (!job->impl->prepare(&copy, &error) && error != NULL);
    run->failed += !ok;
    g_print("%s %u - %s: an unknown tactic is an error\n", ok ? "ok" : "not ok", ++run->number,
            c->name);
  }
  infer_packs_free(packs);
}

static gboolean
takes_gaps(const Job *job)
{
  const InferPrepare prepare = {.device = job->run->device,
                                .step = job->step,
                                .inputs = job->inputs,
                                .outputs = &job->output};

  return job->impl->strided && job->impl->strided(&prepare, FALSE, 0) &&
         job->impl->strided(&prepare, TRUE, 0);
}

static void
check_impl(Run *run, const Case *c, const Net *net, const InferImpl *impl, const InferArray *want)
{
  InferLayout inputs[6] = {INFER_LAYOUT_ROW_MAJOR}, output[1] = {INFER_LAYOUT_ROW_MAJOR};
  g_autoptr(GError) error = NULL;
  Job job = {.run = run, .impl = impl};

  job.step = infer_step_new((InferNode *const *)net->nodes->pdata, net->nodes->len, c->gate);
  job.step->impl = impl;
  if (job.step->n_inputs > G_N_ELEMENTS(job.inputs) ||
      !infer_impl_supports(impl, run->device, job.step, inputs, output)) {
    g_print("# %s does not take '%s' in %s\n", impl->name, c->name, infer_type_name(net->type));
    infer_step_free(job.step);
    return;
  }
  for (guint i = 0; i < job.step->n_inputs; i++)
    set_buffer(&job.inputs[i], job.step->inputs[i], inputs[i], i == 0 ? c->gap : 0);
  set_buffer(&job.output, job.step->outputs[0], output[0], c->gap);
  if (c->gap > 0 && !takes_gaps(&job)) {
    g_print("# %s does not take parts of '%s'\n", impl->name, c->name);
    infer_step_free(job.step);
    return;
  }
  if (fill_operands(&job, net, &error)) {
    check_tactics(&job, c, want);
  } else {
    run->failed++;
    g_print("not ok %u - %s\n# %s\n", ++run->number, c->name, error->message);
  }
  free_job(&job);
}

static void
check_case(Run *run, const Case *c, InferType type, guint32 seed)
{
  const InferImpl *const *list = run->device->backend->impls(c->op);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferArray) want = NULL;
  Net plain = {0}, net = {0};

  g_rand_set_seed(run->random, seed);
  if (build(run, &plain, c, INFER_TYPE_FLOAT))
    want = reference(&plain, &error);
  g_rand_set_seed(run->random, seed);
  if (!want) {
    run->failed++;
    g_print("not ok %u - %s: %s\n", ++run->number, c->name,
            error ? error->message : plain.error->message);
  } else if (!build(run, &net, c, type)) {
    g_print("ok %u - %s %s # SKIP %s\n", ++run->number, c->name, infer_type_name(type),
            net.error->message);
  } else {
    for (; list && *list; list++)
      check_impl(run, c, &net, *list, want);
  }
  clear(&plain);
  if (net.network)
    clear(&net);
}

int
main(int argc, char **argv)
{
  static const InferType types[] = {INFER_TYPE_FLOAT, INFER_TYPE_FLOAT16, INFER_TYPE_BFLOAT16};
  g_autofree char *only = NULL;
  gint level = 3;
  Run run = {0};
  const GOptionEntry options[] = {
      {"level", 0, 0, G_OPTION_ARG_INT, &level, "how many tactics", "0..5"},
      {"tf32", 0, 0, G_OPTION_ARG_NONE, &run.tf32, "floats may be multiplied as TF32", NULL},
      {"only", 0, 0, G_OPTION_ARG_STRING, &only, "cases whose name has this", "TEXT"},
      {NULL}};
  g_autoptr(GOptionContext) context = g_option_context_new("[DEVICE]");
  g_autoptr(GError) error = NULL;

  g_option_context_add_main_entries(context, options, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error)) {
    g_printerr("%s\n", error->message);
    return 2;
  }
  run.level = (guint)CLAMP(level, 0, 5);
  run.device = infer_device_open(argc > 1 ? argv[1] : "cuda:0", 0, &error);
  if (!run.device) {
    g_print("1..0 # SKIP %s\n", error->message);
    return SKIPPED;
  }
  g_print("# %s\n", run.device->key);
  run.stream = run.device->backend->stream_new(run.device, &error);
  if (!run.stream) {
    g_print("Bail out! %s\n", error->message);
    return 1;
  }
  run.random = g_rand_new();
  for (guint t = 0; t < G_N_ELEMENTS(types); t++)
    for (const Case *c = cases; c->name; c++)
      if (!only || strstr(c->name, only))
        check_case(&run, c, types[t], 17 + (guint32)(c - cases));
  g_print("1..%u\n", run.number);
  g_rand_free(run.random);
  run.device->backend->stream_free(run.stream);
  infer_device_unref(run.device);
  return run.failed > 0 ? 1 : 0;
}
