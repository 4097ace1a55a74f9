/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cuda-check.h"
#include "move.h"
#include "cuda-emulate.h"

#include <infer/infer.h>
#include <math.h>
#include <string.h>

/* --- what the backend gives its implementations --- */

static const InferCudaQueue check_queue;

const InferCudaQueue *
infer_cuda_queue(InferStream *stream)
{
  return &check_queue;
}

CUfunction
infer_cuda_fixed(InferCudaDevice *device, const char *name, GError **error)
{
  const EmulateKernel *kernel = emulate_find(name);

  if (!kernel)
    g_error("there is no kernel %s", name);
  return (CUfunction)(gpointer)kernel;
}

gboolean
infer_cuda_launch(const InferCudaQueue *queue, CUfunction function, InferCudaSize grid,
                  InferCudaSize block, guint shared, void **params, GError **error)
{
  g_assert_cmpuint(grid.x * grid.y * grid.z, >, 0);
  g_assert_cmpuint(grid.y, <, 65536);
  g_assert_cmpuint(grid.z, <, 65536);
  emulate_launch((const EmulateKernel *)(gpointer)function, (EmulateDims){grid.x, grid.y, grid.z},
                 block.x, shared, params);
  return TRUE;
}

gboolean
infer_cuda_fail(const InferPrepare *prepare, GError **error, InferError code, const char *format,
                ...)
{
  va_list args;

  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, INFER_ERROR, code, "step '%s': %s", prepare->step->name, text);
  return FALSE;
}

const void *
infer_cuda_constant(InferPrepare *prepare, guint input, GError **error)
{
  return prepare->step->inputs[input]->value->data;
}

static void *
check_alloc(InferDevice *device, gsize size, GError **error)
{
  return g_malloc(size);
}

static void
check_free(InferDevice *device, void *memory)
{
  g_free(memory);
}

static gboolean
check_load(InferDevice *device, void *dst, const void *src, gsize size, GError **error)
{
  memcpy(dst, src, size);
  return TRUE;
}

static const InferBackend check_backend = {
    .name = "check", .alloc = check_alloc, .free = check_free, .load = check_load};

/* --- arrays --- */

InferArray *
check_array(InferType type, const InferDims *dims, double limit)
{
  g_autoptr(GError) error = NULL;
  InferArray *array = infer_array_new(type, dims, &error);

  g_assert_no_error(error);
  for (gint64 i = 0; i < infer_array_count(array); i++) {
    if (type == INFER_TYPE_FLOAT16 || type == INFER_TYPE_BFLOAT16)
      ((guint16 *)array->data)[i] = (guint16)g_test_rand_int();
    else if (type == INFER_TYPE_BOOL)
      ((guint8 *)array->data)[i] = g_test_rand_bit();
    else
      infer_array_set_double(array, (gsize)i, g_test_rand_double_range(-limit, limit));
  }
  return array;
}

InferArray *
check_ints(gsize n, const gint64 *values)
{
  g_autoptr(GError) error = NULL;
  InferArray *array = infer_array_new(INFER_TYPE_INT64, &INFER_DIMS((gint64)n), &error);

  g_assert_no_error(error);
  memcpy(array->data, values, n * sizeof *values);
  return array;
}

/* --- operands in memory of any order --- */

typedef struct {
  guint8 *memory, *data;
  gsize size, element;
} Block;

static InferOrder
random_order(gint rank)
{
  InferOrder order = infer_order_row_major(rank);

  if (g_test_rand_bit())
    return infer_order_channels_last(rank);
  for (gint i = rank - 1; i > 0; i--) {
    gint k = g_test_rand_int_range(0, i + 1);
    guint8 axis = order.axis[i];

    order.axis[i] = order.axis[k];
    order.axis[k] = axis;
  }
  return order;
}

static void
block_strides(InferBuffer *buffer, InferLayout layout, const InferOrder *common, gboolean gaps)
{
  InferOrder order = infer_order_row_major(buffer->dims.n);
  InferDims dims = buffer->dims;

  if (layout == INFER_LAYOUT_CHANNELS_LAST)
    order = infer_order_channels_last(dims.n);
  else if (layout == INFER_LAYOUT_ANY && common->n == dims.n)
    order = *common;
  for (gint i = 0; gaps && i < dims.n; i++)
    dims.d[i] += g_test_rand_int_range(0, 3) * (g_test_rand_bit() ? 8 : 1);
  infer_order_strides(&order, &dims, buffer->strides);
}

static void
block_make(Block *block, const InferBuffer *buffer, gboolean gaps)
{
  gint64 last = 0;

  block->element = infer_type_bits(buffer->type) / 8;
  for (gint i = 0; i < buffer->dims.n; i++)
    last += MAX(buffer->dims.d[i] - 1, 0) * buffer->strides[i];
  block->size = (gsize)(last + 1) * block->element + 256;
  block->memory = g_malloc(block->size);
  memset(block->memory, 0xa5, block->size);
  block->data = (guint8 *)(((guintptr)block->memory + 63) & ~(guintptr)63);
  /* A part starts at any element. */
  if (gaps)
    block->data += (gsize)g_test_rand_int_range(0, 9) * block->element;
}

static void
block_copy(Block *block, const InferBuffer *buffer, guint8 *dense, gboolean load)
{
  gint64 count = infer_dims_count(&buffer->dims);

  for (gint64 i = 0; i < count; i++) {
    gint64 at = 0, rest = i;
    guint8 *element;

    for (gint axis = buffer->dims.n - 1; axis >= 0; axis--) {
      at += rest % buffer->dims.d[axis] * buffer->strides[axis];
      rest /= buffer->dims.d[axis];
    }
    element = block->data + (gsize)at * block->element;
    if (load) {
      memcpy(element, dense + (gsize)i * block->element, block->element);
    } else {
      memcpy(dense + (gsize)i * block->element, element, block->element);
      memset(element, 0xa5, block->element);
    }
  }
}

/* After its elements are taken out, nothing but what was there before. */
static void
block_check_rest(const Block *block)
{
  for (gsize i = 0; i < block->size; i++)
    g_assert_cmphex(block->memory[i], ==, 0xa5);
}

/* --- runs --- */

static void
compare(const Check *check, guint output, const InferArray *want, const InferArray *have)
{
  gsize size = want->size / MAX((gsize)infer_array_count(want), 1);

  for (gint64 i = 0; i < infer_array_count(want); i++) {
    double a, b;

    if (memcmp((guint8 *)want->data + (gsize)i * size, (guint8 *)have->data + (gsize)i * size,
               size) == 0)
      continue;
    a = infer_array_get_double(want, (gsize)i);
    b = infer_array_get_double(have, (gsize)i);
    if (isnan(a) && isnan(b))
      continue;
    if (!(fabs(a - b) <= check->tolerance * (1 + fabs(a))))
      g_error("%s: element %" G_GINT64_FORMAT " of output %u is %.9g, expected %.9g", check->op, i,
              output, b, a);
  }
}

static InferNode *
build(Check *check, InferNetwork *network)
{
  InferTensor *tensors[CHECK_OPERANDS] = {NULL};
  g_autoptr(GError) error = NULL;
  InferNode *node;

  for (guint i = 0; i < check->n_in; i++) {
    g_autofree char *name = g_strdup_printf("in%u", i);

    if (!check->in[i])
      continue;
    tensors[i] = check->varying[i] ? infer_network_add_input(network, name, check->in[i]->type,
                                                             &check->in[i]->dims, NULL, &error)
                                   : infer_network_add_constant(network, name, check->in[i]);
    g_assert_no_error(error);
  }
  node = infer_network_add_node(network, check->op, "node", tensors, check->n_in, check->attrs,
                                check->n_out, &error);
  g_assert_no_error(error);
  return node;
}

static void
run_step(const Check *check, InferStep *step, InferArray *const *want)
{
  InferCudaDevice device = {.base = {.name = (char *)"cuda:0", .backend = &check_backend}};
  InferLayout in_layouts[CHECK_OPERANDS] = {0}, out_layouts[CHECK_OPERANDS] = {0};
  InferBuffer inputs[CHECK_OPERANDS] = {0}, outputs[CHECK_OPERANDS] = {0};
  InferPrepare prepare = {
      .device = &device.base, .step = step, .inputs = inputs, .outputs = outputs};
  Block in[CHECK_OPERANDS] = {0}, out[CHECK_OPERANDS] = {0};
  void *in_data[CHECK_OPERANDS] = {NULL}, *out_data[CHECK_OPERANDS] = {NULL}, *workspace;
  g_autoptr(GError) error = NULL;
  InferOrder common;

  g_assert_true(check->impl->supports(&device.base, step, in_layouts, out_layouts));
  common = random_order(step->outputs[0]->dims.n);
  for (guint pass = 0; pass < 2; pass++)
    for (guint i = 0; i < (pass ? step->n_outputs : step->n_inputs); i++) {
      InferBuffer *buffer = pass ? &outputs[i] : &inputs[i];
      const InferTensor *tensor = pass ? step->outputs[i] : step->inputs[i];
      Block *block = pass ? &out[i] : &in[i];
      gboolean gaps;

      buffer->type = tensor->type;
      buffer->dims = tensor->dims;
      buffer->value = tensor->value;
      block_strides(buffer, (pass ? out_layouts : in_layouts)[i], &common, FALSE);
      gaps = !tensor->value && check->impl->strided &&
             check->impl->strided(&prepare, pass == 1, i) && g_test_rand_bit();
      if (gaps)
        block_strides(buffer, (pass ? out_layouts : in_layouts)[i], &common, TRUE);
      block_make(block, buffer, gaps);
      (pass ? out_data : in_data)[i] = block->data;
    }
  for (guint k = 0; k < check->n_in; k++) {
    gint at = check->in[k] ? infer_step_find_input(step, step->nodes[0]->inputs[k]) : -1;

    if (at >= 0 && !inputs[at].value)
      block_copy(&in[at], &inputs[at], check->in[k]->data, TRUE);
    else if (at >= 0)
      in_data[at] = NULL;
  }
  g_assert_true(check->impl->prepare(&prepare, &error));
  g_assert_no_error(error);
  workspace = g_malloc(prepare.workspace + 64);
  memset(workspace, 0x5a, prepare.workspace + 64);
  void *aligned = (void *)(((guintptr)workspace + 63) & ~(guintptr)63);
  /* Twice, as nothing may be left of the first run. */
  for (guint i = 0; i < 2; i++) {
    g_assert_true(check->impl->run(prepare.state, NULL, in_data, out_data, aligned, &error));
    g_assert_no_error(error);
  }
  for (guint i = 0; i < step->n_outputs; i++) {
    g_autoptr(InferArray) have = infer_array_new(outputs[i].type, &outputs[i].dims, &error);

    g_assert_no_error(error);
    block_copy(&out[i], &outputs[i], have->data, FALSE);
    block_check_rest(&out[i]);
    compare(check, i, want[i], have);
    g_free(out[i].memory);
  }
  for (guint i = 0; i < step->n_inputs; i++)
    g_free(in[i].memory);
  g_free(workspace);
  check->impl->release(prepare.state);
}

/* --- on a device --- */

const char *
check_device(void)
{
  return g_getenv("INFER_CHECK_DEVICE");
}

int
check_main(const char *device)
{
  g_autoptr(GError) error = NULL;
  InferDevice *opened = device ? infer_device_open(device, 0, &error) : NULL;

  if (device && !opened) {
    g_print("1..0 # SKIP %s\n", error->message);
    return 77;
  }
  g_clear_pointer(&opened, infer_device_unref);
  return g_test_run();
}

/* Where a device has implementations, the one under test has to have run. */
static void
check_steps(const Check *check, InferContext *context, const char *device)
{
  gboolean seen = !g_str_has_prefix(device, "cuda");
  InferStepTime step;

  for (guint i = 0; infer_context_get_step_time(context, i, &step); i++)
    seen = seen || !step.implementation || g_str_equal(step.implementation, check->impl->name);
  if (!seen)
    g_error("%s: %s did not run", check->op, check->impl->name);
}

static void
run_device(const Check *check, InferNetwork *network, const InferNode *node,
           InferArray *const *want)
{
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferContext) context = NULL;
  g_autoptr(GError) error = NULL;

  for (guint i = 0; i < node->n_outputs; i++) {
    g_autofree char *name = g_strdup_printf("out%u", i);

    g_assert_true(infer_network_mark_output(network, node->outputs[i], name, &error));
  }
  infer_builder_set_device(builder, check_device());
  infer_builder_set_verify(builder, FALSE);
  engine = infer_builder_build(builder, network, "check", NULL, &error);
  g_assert_no_error(error);
  context = infer_context_new(engine, &error);
  g_assert_no_error(error);
  g_assert_true(infer_context_set_batch(context, infer_engine_get_max_batch(engine), &error));
  infer_context_set_profiling(context, TRUE);
  for (guint i = 0; i < check->n_in; i++) {
    g_autofree char *name = g_strdup_printf("in%u", i);
    gsize size = 0;
    gpointer memory;

    if (!check->in[i] || !check->varying[i])
      continue;
    memory = infer_context_map(context, name, &size, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(size, ==, check->in[i]->size);
    if (size > 0)
      memcpy(memory, check->in[i]->data, size);
  }
  infer_context_run(context, &error);
  g_assert_no_error(error);
  for (guint i = 0; i < check->n_out; i++) {
    gsize size = 0;
    g_autofree char *name = g_strdup_printf("out%u", i);
    gpointer memory = infer_context_map(context, name, &size, &error);
    g_autoptr(InferArray) have = NULL;

    g_assert_no_error(error);
    g_assert_cmpuint(size, ==, want[i]->size);
    have = infer_array_new_view(want[i]->type, &want[i]->dims, memory);
    compare(check, i, want[i], have);
  }
  check_steps(check, context, check_device());
}

void
check_run(Check *check)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferNode *node = build(check, network);
  InferStep step = {.name = (char *)"step", .n_nodes = 1, .nodes = &node, .impl = check->impl};
  InferTensor *inputs[CHECK_OPERANDS];
  InferArray *want[CHECK_OPERANDS] = {NULL};
  g_autoptr(GError) error = NULL;

  for (guint i = 0; i < node->n_inputs; i++)
    if (node->inputs[i])
      inputs[step.n_inputs++] = node->inputs[i];
  step.inputs = inputs;
  step.outputs = node->outputs;
  step.n_outputs = node->n_outputs;
  infer_op_eval_alloc(node, (const InferArray *const *)check->in, check->n_in, want, check->n_out,
                      &error);
  g_assert_no_error(error);
  if (check_device())
    run_device(check, network, node, want);
  else
    run_step(check, &step, want);
  for (guint i = 0; i < check->n_out; i++)
    infer_array_unref(want[i]);
  for (guint i = 0; i < check->n_in; i++)
    g_clear_pointer(&check->in[i], infer_array_unref);
}
