/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the CUDA backend does on the host, without a GPU: chains of nodes as programs, packed
 * weights, cuDNN's descriptors, the cache of machine code, and the compiler.
 */
#include "cache.c"
#include "cudnn-graph.c"
#include "cudnn-shape.c"
#include "fused.c"
#include "nvrtc.c"

#include "program-private.h"

#include <infer/infer.h>

/* --- in place of the driver's part --- */

gboolean
infer_cudnn_check(cudnnStatus_t status, const char *what, GError **error)
{
  if (status == CUDNN_STATUS_SUCCESS)
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE, "%s: %s", what, cudnnGetErrorString(status));
  return FALSE;
}

CUfunction
infer_cuda_fixed(InferCudaDevice *device, const char *name, GError **error)
{
  return NULL;
}

gboolean
infer_cuda_fail(const InferPrepare *prepare, GError **error, InferError code, const char *format,
                ...)
{
  g_set_error_literal(error, INFER_ERROR, code, format);
  return FALSE;
}

/* --- steps --- */

typedef struct {
  InferNetwork *network;
  GPtrArray *nodes;
} Net;

static InferTensor *
add(Net *net, const char *op, InferTensor *a, InferTensor *b, InferTensor *c, GVariant *attrs)
{
  InferTensor *inputs[] = {a, b, c};
  GError *error = NULL;
  InferNode *node = infer_network_add_node(net->network, op, NULL, inputs,
                                           c   ? 3
                                           : b ? 2
                                               : 1,
                                           attrs, 1, &error);

  g_assert_no_error(error);
  g_ptr_array_add(net->nodes, node);
  return node->outputs[0];
}

static InferTensor *
constant(Net *net, const InferDims *dims)
{
  g_autoptr(InferArray) value = infer_array_new(INFER_TYPE_FLOAT, dims, NULL);

  for (gint64 i = 0; i < infer_array_count(value); i++)
    ((float *)value->data)[i] = (float)(i + 1);
  return infer_network_add_constant(net->network, NULL, value);
}

static InferTensor *
start(Net *net, gint64 groups)
{
  InferTensor *x;

  net->network = infer_network_new();
  net->nodes = g_ptr_array_new();
  x = infer_network_add_input(net->network, "x", INFER_TYPE_FLOAT, &INFER_DIMS(2, 8, 9, 10), NULL,
                              NULL);
  return add(
      net, "Conv", x, constant(net, &INFER_DIMS(16, 8 / groups, 3, 3)),
      constant(net, &INFER_DIMS(16)),
      infer_attrs_new("group", 'i', groups, "pads", 'I', (gint64[]){1, 1, 1, 1}, (gsize)4, NULL));
}

static InferStep *
step_of(const Net *net)
{
  return infer_step_new((InferNode *const *)net->nodes->pdata, net->nodes->len, 0);
}

static void
finish(Net *net, InferStep *step)
{
  infer_step_free(step);
  g_ptr_array_unref(net->nodes);
  g_object_unref(net->network);
}

static void
assert_modes(const InferEpilogueProgram *program, guint n, const InferEpilogueMode *modes)
{
  g_assert_cmpint(program->n, ==, n);
  for (guint i = 0; i < n; i++)
    g_assert_cmpint(program->ops[i].mode, ==, modes[i]);
}

/* --- tests --- */

static void
test_gate(void)
{
  Net net;
  InferTensor *y = start(&net, 1);
  InferStep *step;
  InferCudnnConv conv;

  add(&net, "Mul", y, add(&net, "Sigmoid", y, NULL, NULL, NULL), NULL, NULL);
  step = step_of(&net);
  g_assert_true(infer_cudnn_conv_parse(step, &conv));
  assert_modes(&conv.chain.program, 2,
               (InferEpilogueMode[]){INFER_EPILOGUE_ADD, INFER_EPILOGUE_SWISH});
  g_assert_cmpint(conv.chain.program.ops[1].a, ==, 1);
  finish(&net, step);
}

static void
test_hard_swish(void)
{
  Net net;
  InferTensor *y = start(&net, 1);
  InferStep *step;
  InferCudnnConv conv;

  add(&net, "HardSwish", y, NULL, NULL, NULL);
  step = step_of(&net);
  g_assert_true(infer_cudnn_conv_parse(step, &conv));
  assert_modes(&conv.chain.program, 5,
               (InferEpilogueMode[]){INFER_EPILOGUE_ADD, INFER_EPILOGUE_MUL, INFER_EPILOGUE_ADD,
                                     INFER_EPILOGUE_RELU, INFER_EPILOGUE_MUL});
  g_assert_cmpint(conv.chain.program.ops[4].a, ==, 1);
  g_assert_cmpint(conv.chain.program.ops[4].b, ==, 4);
  finish(&net, step);
}

static void
test_refused(void)
{
  static const InferDims dims[] = {{2, {9, 10}}, {4, {1, 1, 9, 1}}, {4, {2, 16, 1, 1}}};

  /* Constants that are neither a scalar nor one number a channel. */
  for (guint i = 0; i < G_N_ELEMENTS(dims); i++) {
    Net net;
    InferTensor *y = start(&net, 1);
    InferStep *step;
    InferCudnnConv conv;

    add(&net, "Mul", y, constant(&net, &dims[i]), NULL, NULL);
    step = step_of(&net);
    g_assert_false(infer_cudnn_conv_parse(step, &conv));
    finish(&net, step);
  }
}

static void
test_narrow_groups(void)
{
  static const gint64 groups[] = {1, 2, 4, 8};

  for (guint i = 0; i < G_N_ELEMENTS(groups); i++) {
    Net net;
    InferCudnnConv conv;
    InferStep *step;

    start(&net, groups[i]);
    step = step_of(&net);
    g_assert_true(infer_cudnn_conv_parse(step, &conv) == (groups[i] <= 2));
    finish(&net, step);
  }
}

static void
test_weights(void)
{
  Net net;
  InferCudnnConv conv;
  InferStep *step;
  Packing packing = {&conv, 8, 8};
  g_autofree float *packed = NULL;
  const float *from;

  start(&net, 2);
  step = step_of(&net);
  g_assert_true(infer_cudnn_conv_parse(step, &conv));
  g_assert_cmpint(conv.channels_in, ==, 4);
  g_assert_cmpint(conv.channels_out, ==, 8);
  packed = g_new(float, 16 * 9 * 8);
  from = step->inputs[conv.w]->value->data;
  g_assert_true(pack_weights(&packing, step->inputs[conv.w]->value, packed, NULL));
  for (gint k = 0; k < 16; k++)
    for (gint t = 0; t < 9; t++)
      for (gint c = 0; c < 8; c++)
        g_assert_cmpfloat(packed[(k * 9 + t) * 8 + c], ==, c < 4 ? from[(k * 4 + c) * 9 + t] : 0);
  finish(&net, step);
}

/* A slice of channels, and dimensions of one element. */
static void
test_strides(void)
{
  InferBuffer buffer = {
      .type = INFER_TYPE_FLOAT, .dims = INFER_DIMS(2, 8, 1, 5), .strides = {5 * 24, 1, 7777, 24}};
  gint64 strides[4];

  g_assert_true(infer_cudnn_conv_strides(&buffer, strides));
  g_assert_cmpint(strides[3], ==, 24);
  g_assert_cmpint(strides[2], ==, 120);
  g_assert_cmpint(strides[0], ==, 120);
  buffer.strides[1] = 2;
  g_assert_false(infer_cudnn_conv_strides(&buffer, strides));
}

/* Every descriptor is finalized; what is missing at the end is the device's handle. */
static void
test_descriptors(void)
{
  static const char *const unary[] = {"Relu", "LeakyRelu", "Sigmoid",  "Tanh",      "Elu",
                                      "Gelu", "Swish",     "Softplus", "HardSwish", "Mish"};

  for (guint i = 0; i < G_N_ELEMENTS(unary); i++)
    for (guint way = 0; way < 3; way++) {
      Net net;
      InferTensor *y = start(&net, 1), *other;
      g_autoptr(GError) error = NULL;
      InferCudnnVariant variant = {
          .sum_first = way == 1, .split = way == 2, .pad = way == 2 ? 8 : 0};
      InferCudnnConv conv;
      InferStep *step;

      other = infer_network_add_input(net.network, "other", INFER_TYPE_FLOAT, &y->dims, NULL, NULL);
      add(&net, unary[i], add(&net, "Add", y, other, NULL, NULL), NULL, NULL, NULL);
      step = step_of(&net);
      g_assert_true(infer_cudnn_conv_parse(step, &conv));
      conv.images = 2;
      for (guint k = 0; k < 3; k++) {
        conv.in[k] = conv.out[k] = (gint64[]){1, 9, 10}[k];
        conv.begin[k] = conv.end[k] = k > 0;
      }
      memcpy(conv.x_strides, (gint64[]){720, 720, 80, 8}, sizeof conv.x_strides);
      memcpy(conv.y_strides, (gint64[]){1440, 1440, 160, 16}, sizeof conv.y_strides);
      memcpy(conv.side_strides[1], conv.y_strides, sizeof conv.y_strides);
      g_assert_null(infer_cudnn_graph_new(NULL, &conv, &variant, &error));
      g_assert_cmpstr(error->message, ==,
                      "setting an attribute: CUDNN_STATUS_BAD_PARAM_NULL_POINTER");
      finish(&net, step);
    }
}

static void
test_cache(void)
{
  g_autoptr(GBytes) key = g_bytes_new_static("some key", 8);
  g_autoptr(GBytes) other = g_bytes_new_static("other key", 9);
  g_autoptr(GBytes) data = g_bytes_new_static("machine code", 12);
  g_autoptr(GBytes) found = NULL;
  guint8 digest[16];
  g_autofree char *path = file_name("test", key, digest);
  g_autofree char *text = NULL;
  gsize size;

  g_assert_nonnull(path);
  infer_cuda_cache_store("test", key, data);
  found = infer_cuda_cache_load("test", key);
  g_assert_true(found && g_bytes_equal(found, data));
  g_assert_null(infer_cuda_cache_load("test", other));
  /* What others can write, what was changed, and what was cut off is not taken. */
  g_assert_cmpint(g_chmod(path, 0620), ==, 0);
  g_assert_null(infer_cuda_cache_load("test", key));
  g_assert_cmpint(g_chmod(path, 0600), ==, 0);
  g_assert_true(g_file_get_contents(path, &text, &size, NULL));
  text[size - 1] ^= 1;
  g_assert_true(g_file_set_contents(path, text, (gssize)size, NULL));
  g_chmod(path, 0600);
  g_assert_null(infer_cuda_cache_load("test", key));
  g_assert_true(g_file_set_contents(path, text, (gssize)size - 5, NULL));
  g_chmod(path, 0600);
  g_assert_null(infer_cuda_cache_load("test", key));
  g_unlink(path);
}

static void
test_compiler(void)
{
  static const char source[] = "extern \"C\" __global__ void f(float *x) { *x += 1.0f; }";
  g_autoptr(GError) error = NULL;
  g_autofree char *arch = infer_cuda_nvrtc_arch(9, 0, &error);
  g_autofree char *newer = infer_cuda_nvrtc_arch(99, 0, &error);
  g_autoptr(GBytes) code = arch ? infer_cuda_nvrtc_compile(source, arch, &error) : NULL;
  g_autoptr(GBytes) again = NULL;

  g_assert_no_error(error);
  g_assert_cmpstr(arch, ==, "sm_90a");
  g_assert_true(g_str_has_prefix(newer, "compute_"));
  g_assert_cmpmem(g_bytes_get_data(code, NULL), 4, "\177ELF", 4);
  again = infer_cuda_nvrtc_compile(source, arch, &error);
  g_assert_true(again && g_bytes_equal(code, again));
  g_assert_null(infer_cuda_nvrtc_compile("this is no kernel", arch, &error));
  g_assert_nonnull(strstr(error->message, "kernel.cu"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cuda/gate", test_gate);
  g_test_add_func("/cuda/hard-swish", test_hard_swish);
  g_test_add_func("/cuda/refused", test_refused);
  g_test_add_func("/cuda/narrow-groups", test_narrow_groups);
  g_test_add_func("/cuda/weights", test_weights);
  g_test_add_func("/cuda/strides", test_strides);
  g_test_add_func("/cuda/descriptors", test_descriptors);
  g_test_add_func("/cuda/cache", test_cache);
  g_test_add_func("/cuda/compiler", test_compiler);
  return g_test_run();
}
