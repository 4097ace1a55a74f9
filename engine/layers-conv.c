/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layers-private.h"

#include <string.h>

/* Convolutions, pooling, and products with weights. */

static const char *const auto_pads[] = {
    [INFER_PADDING_MODE_EXPLICIT_ROUND_DOWN] = "NOTSET",
    [INFER_PADDING_MODE_EXPLICIT_ROUND_UP] = "NOTSET",
    [INFER_PADDING_MODE_SAME_UPPER] = "SAME_UPPER",
    [INFER_PADDING_MODE_SAME_LOWER] = "SAME_LOWER",
};

/* A window over the spatial dimensions, as the caller said it. */
typedef struct {
  InferDims kernel, stride, pre, post, dilation;
  InferPaddingMode mode;
} Window;

static gboolean
is_explicit(InferPaddingMode mode)
{
  return mode == INFER_PADDING_MODE_EXPLICIT_ROUND_DOWN ||
         mode == INFER_PADDING_MODE_EXPLICIT_ROUND_UP;
}

static gboolean
read_window(InferLayer *layer, const InferTensor *input, const InferDims *kernel,
            const InferDims *stride, const InferDims *pre, const InferDims *post,
            const InferDims *dilation, InferPaddingMode mode, Window *window)
{
  struct {
    const char *what;
    const InferDims *list;
  } lists[] = {
      {"stride", stride}, {"pre-padding", pre}, {"post-padding", post}, {"dilation", dilation}};
  gint n = input->dims.n < 0 ? -1 : input->dims.n - 2;

  if (!kernel)
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT, "the kernel's size is missing");
  if (input->dims.n >= 0 && (n < 1 || n > 3))
    return infer_layer_error(layer, INFER_ERROR_SHAPE,
                             "the input has %d dimensions, 3 to 5 are needed", input->dims.n);
  if (!infer_layer_list(layer, "kernel", kernel, n) ||
      !infer_layer_choice(layer, "padding mode", (int)mode, G_N_ELEMENTS(auto_pads)))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS(lists); i++)
    if (lists[i].list && !infer_layer_list(layer, lists[i].what, lists[i].list, kernel->n))
      return FALSE;
  if (kernel->n < 1 || kernel->n > 3)
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT, "kernel has %d numbers, 1 to 3 can be",
                             kernel->n);
  window->kernel = *kernel;
  window->stride = infer_layer_list_or(stride, kernel->n, 1);
  window->pre = infer_layer_list_or(pre, kernel->n, 0);
  window->post = infer_layer_list_or(post ? post : pre, kernel->n, 0);
  window->dilation = infer_layer_list_or(dilation, kernel->n, 1);
  window->mode = mode;
  return TRUE;
}

/* Moves the end so far that a last window which hangs over fits: ONNX's convolution cannot. */
static gboolean
round_up(InferLayer *layer, const InferTensor *input, Window *window)
{
  for (gint i = 0; i < window->kernel.n; i++) {
    gint64 in = input->dims.n < 0 ? -1 : input->dims.d[i + 2], span, rest;

    if (in < 0)
      return infer_layer_error(layer, INFER_ERROR_UNSUPPORTED,
                               "rounding up needs constant spatial dimensions");
    /* What does not fit is refused by the operator. */
    if (window->stride.d[i] <= 0 || __builtin_sub_overflow(window->kernel.d[i], 1, &span) ||
        __builtin_mul_overflow(span, window->dilation.d[i], &span) ||
        __builtin_add_overflow(in, window->pre.d[i], &rest) ||
        __builtin_add_overflow(rest, window->post.d[i], &rest) ||
        __builtin_sub_overflow(rest, span, &rest) || --rest < 0)
      continue;
    if (rest % window->stride.d[i] &&
        __builtin_add_overflow(window->post.d[i], window->stride.d[i] - rest % window->stride.d[i],
                               &window->post.d[i]))
      return infer_layer_error(layer, INFER_ERROR_ARGUMENT, "its padding is too large");
  }
  return TRUE;
}

static void
add_list(GVariantBuilder *attrs, const char *name, const gint64 *values, gint n)
{
  g_variant_builder_add(
      attrs, "{sv}", name,
      g_variant_new_fixed_array(G_VARIANT_TYPE_INT64, values, (gsize)n, sizeof(gint64)));
}

static void
window_attrs(GVariantBuilder *attrs, const Window *window)
{
  gint n = window->kernel.n;
  gint64 pads[2 * INFER_MAX_DIMS];

  g_variant_builder_init(attrs, G_VARIANT_TYPE_VARDICT);
  add_list(attrs, "kernel_shape", window->kernel.d, n);
  add_list(attrs, "strides", window->stride.d, n);
  add_list(attrs, "dilations", window->dilation.d, n);
  g_variant_builder_add(attrs, "{sv}", "auto_pad", g_variant_new_string(auto_pads[window->mode]));
  if (!is_explicit(window->mode))
    return;
  memcpy(pads, window->pre.d, (gsize)n * sizeof *pads);
  memcpy(pads + n, window->post.d, (gsize)n * sizeof *pads);
  add_list(attrs, "pads", pads, 2 * n);
}

/* [rows, columns, kernel...]; where the columns are not known the array's dimensions have to do. */
static InferTensor *
add_kernel(InferLayer *layer, InferArray *weights, gint64 rows, gint64 columns,
           const InferDims *kernel)
{
  InferDims dims = {.n = kernel->n + 2, .d = {rows, columns}};

  memcpy(dims.d + 2, kernel->d, (gsize)kernel->n * sizeof *kernel->d);
  return infer_layer_constant(layer, "weights", weights,
                              rows >= 0 && columns >= 0 && infer_dims_is_constant(&dims) ? &dims
                                                                                         : NULL);
}

static InferTensor *
add_bias(InferLayer *layer, InferArray *bias, gint64 n)
{
  return bias ? infer_layer_constant(layer, "bias", bias, &INFER_DIMS(n)) : NULL;
}

static gint64
channels_of(const InferTensor *input)
{
  return input->dims.n > 1 ? input->dims.d[1] : -1;
}

static gboolean
check_counts(InferLayer *layer, const InferTensor *input, gint64 n_outputs, gint64 groups)
{
  gint64 channels = channels_of(input);

  if (n_outputs < 1)
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT,
                             "%" G_GINT64_FORMAT " outputs are asked for, at least 1 is needed",
                             n_outputs);
  if (groups < 1 || n_outputs % groups || (channels >= 0 && channels % groups))
    return infer_layer_error(layer, INFER_ERROR_ARGUMENT,
                             "%" G_GINT64_FORMAT " groups do not divide %" G_GINT64_FORMAT
                             " channels and %" G_GINT64_FORMAT " outputs",
                             groups, channels, n_outputs);
  return TRUE;
}

/* A convolution or its transposition, which differ in the order of the weights. */
static InferTensor *
convolve(InferLayer *layer, gboolean transposed, InferTensor *input, gint64 n_outputs,
         Window *window, InferArray *weights, InferArray *bias, gint64 groups)
{
  InferTensor *inputs[3] = {input};
  gint64 channels;
  GVariantBuilder attrs;

  if (!check_counts(layer, input, n_outputs, groups))
    return NULL;
  channels = channels_of(input);
  if (!transposed && window->mode == INFER_PADDING_MODE_EXPLICIT_ROUND_UP &&
      !round_up(layer, input, window))
    return NULL;
  inputs[1] = transposed ? add_kernel(layer, weights, channels, n_outputs / groups, &window->kernel)
                         : add_kernel(layer, weights, n_outputs,
                                      channels < 0 ? -1 : channels / groups, &window->kernel);
  inputs[2] = add_bias(layer, bias, n_outputs);
  window_attrs(&attrs, window);
  g_variant_builder_add(&attrs, "{sv}", "group", g_variant_new_int64(groups));
  return infer_layer_last(layer, transposed ? "ConvTranspose" : "Conv", inputs, bias ? 3 : 2,
                          g_variant_builder_end(&attrs));
}

InferTensor *
infer_network_add_convolution(InferNetwork *network, InferTensor *input, gint64 n_outputs,
                              const InferDims *kernel, InferArray *weights, InferArray *bias,
                              const InferDims *stride, const InferDims *pre_padding,
                              const InferDims *post_padding, InferPaddingMode padding_mode,
                              const InferDims *dilation, gint64 groups, const char *name,
                              GError **error)
{
  INFER_LAYER("convolution");
  Window window;

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !read_window(&layer, input, kernel, stride, pre_padding, post_padding, dilation, padding_mode,
                   &window))
    return NULL;
  return convolve(&layer, FALSE, input, n_outputs, &window, weights, bias, groups);
}

InferTensor *
infer_network_add_deconvolution(InferNetwork *network, InferTensor *input, gint64 n_outputs,
                                const InferDims *kernel, InferArray *weights, InferArray *bias,
                                const InferDims *stride, const InferDims *pre_padding,
                                const InferDims *post_padding, InferPaddingMode padding_mode,
                                const InferDims *dilation, gint64 groups, const char *name,
                                GError **error)
{
  INFER_LAYER("deconvolution");
  Window window;

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !read_window(&layer, input, kernel, stride, pre_padding, post_padding, dilation, padding_mode,
                   &window))
    return NULL;
  return convolve(&layer, TRUE, input, n_outputs, &window, weights, bias, groups);
}

InferTensor *
infer_network_add_fully_connected(InferNetwork *network, InferTensor *input, gint64 n_outputs,
                                  InferArray *weights, InferArray *bias, const char *name,
                                  GError **error)
{
  INFER_LAYER("fully connected");
  InferTensor *inputs[3] = {input};
  InferDims dims = {.n = 2, .d = {n_outputs}};

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !check_counts(&layer, input, n_outputs, 1))
    return NULL;
  if (input->dims.n != 2)
    inputs[0] = INFER_PART("Flatten", INFER_ATTRS(INFER_INT("axis", 1)), input);
  if (!inputs[0])
    return NULL;
  dims.d[1] = inputs[0]->dims.n == 2 ? inputs[0]->dims.d[1] : -1;
  inputs[1] = infer_layer_constant(&layer, "weights", weights, dims.d[1] >= 0 ? &dims : NULL);
  inputs[2] = add_bias(&layer, bias, n_outputs);
  return infer_layer_last(&layer, "Gemm", inputs, bias ? 3 : 2,
                          INFER_ATTRS(INFER_INT("transB", 1)));
}

/* --- pooling --- */

static const char *const pool_ops[] = {
    [INFER_POOLING_MAX] = "MaxPool",
    [INFER_POOLING_AVERAGE] = "AveragePool",
    [INFER_POOLING_MAX_AVERAGE_BLEND] = "",
    [INFER_POOLING_L2] = "LpPool",
};

/* A pooling over @window, or over everything where it is NULL. */
static InferTensor *
pool(InferLayer *layer, gboolean last, InferPooling kind, InferTensor *input, const Window *window,
     gboolean exclude_padding)
{
  g_autofree char *global = g_strconcat("Global", pool_ops[kind], NULL);
  GVariantBuilder attrs;

  g_variant_builder_init(&attrs, G_VARIANT_TYPE_VARDICT);
  if (window) {
    g_variant_builder_clear(&attrs);
    window_attrs(&attrs, window);
    g_variant_builder_add(
        &attrs, "{sv}", "ceil_mode",
        g_variant_new_int64(window->mode == INFER_PADDING_MODE_EXPLICIT_ROUND_UP));
    if (kind == INFER_POOLING_AVERAGE)
      g_variant_builder_add(&attrs, "{sv}", "count_include_pad",
                            g_variant_new_int64(!exclude_padding));
  }
  if (kind == INFER_POOLING_L2)
    g_variant_builder_add(&attrs, "{sv}", "p", g_variant_new_int64(2));
  return (last ? infer_layer_last : infer_layer_part)(layer, window ? pool_ops[kind] : global,
                                                      &input, 1, g_variant_builder_end(&attrs));
}

InferTensor *
infer_network_add_pooling(InferNetwork *network, InferTensor *input, InferPooling kind,
                          const InferDims *kernel, const InferDims *stride,
                          const InferDims *pre_padding, const InferDims *post_padding,
                          InferPaddingMode padding_mode, gboolean exclude_padding, double blend,
                          const char *name, GError **error)
{
  INFER_LAYER("pooling");
  Window window, *used = kernel ? &window : NULL;
  InferTensor *largest, *mean;

  if (!infer_layer_needs(&layer, input, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "pooling", (int)kind, G_N_ELEMENTS(pool_ops)) ||
      (kernel && !read_window(&layer, input, kernel, stride ? stride : kernel, pre_padding,
                              post_padding, NULL, padding_mode, &window)))
    return NULL;
  if (kind != INFER_POOLING_MAX_AVERAGE_BLEND)
    return pool(&layer, TRUE, kind, input, used, exclude_padding);
  largest = pool(&layer, FALSE, INFER_POOLING_MAX, input, used, exclude_padding);
  mean = pool(&layer, FALSE, INFER_POOLING_AVERAGE, input, used, exclude_padding);
  if (!largest || !mean)
    return NULL;
  largest = INFER_PART("Mul", NULL, largest, infer_layer_number(&layer, input->type, 1 - blend));
  mean = INFER_PART("Mul", NULL, mean, infer_layer_number(&layer, input->type, blend));
  return INFER_LAST("Add", NULL, largest, mean);
}

/* --- products --- */

/* Swaps the last two dimensions, or adds one to a vector. */
static InferTensor *
operand(InferLayer *layer, InferTensor *tensor, InferMatrixOperation operation, gint64 vector_axis)
{
  InferDims perm = {.n = tensor->dims.n};

  if (operation == INFER_MATRIX_OPERATION_NONE)
    return tensor;
  if (operation == INFER_MATRIX_OPERATION_VECTOR) {
    InferTensor *axis = infer_layer_ints(layer, &vector_axis, 1);
    return infer_layer_part(layer, "Unsqueeze", (InferTensor *const[]){tensor, axis}, 2, NULL);
  }
  if (perm.n < 2) {
    infer_layer_error(layer, INFER_ERROR_SHAPE,
                      "'%s' cannot be transposed: it has to have 2 dimensions at least",
                      tensor->name);
    return NULL;
  }
  for (gint i = 0; i < perm.n; i++)
    perm.d[i] = i;
  perm.d[perm.n - 2] = perm.n - 1;
  perm.d[perm.n - 1] = perm.n - 2;
  return infer_layer_part(layer, "Transpose", &tensor, 1, INFER_ATTRS(INFER_INTS("perm", &perm)));
}

InferTensor *
infer_network_add_matrix_multiply(InferNetwork *network, InferTensor *a,
                                  InferMatrixOperation operation_a, InferTensor *b,
                                  InferMatrixOperation operation_b, const char *name,
                                  GError **error)
{
  INFER_LAYER("matrix multiply");
  gint64 gone[2];
  gsize n = 0;
  InferTensor *product;

  if (!infer_layer_needs(&layer, a, b, INFER_LAYER_END) ||
      !infer_layer_choice(&layer, "operation", (int)operation_a, 3) ||
      !infer_layer_choice(&layer, "operation", (int)operation_b, 3))
    return NULL;
  if (operation_a == INFER_MATRIX_OPERATION_VECTOR)
    gone[n++] = -2;
  if (operation_b == INFER_MATRIX_OPERATION_VECTOR)
    gone[n++] = -1;
  a = operand(&layer, a, operation_a, -2);
  b = a ? operand(&layer, b, operation_b, -1) : NULL;
  if (!a || !b)
    return NULL;
  if (n == 0)
    return INFER_LAST("MatMul", NULL, a, b);
  product = INFER_PART("MatMul", NULL, a, b);
  return INFER_LAST("Squeeze", NULL, product, infer_layer_ints(&layer, gone, n));
}

InferTensor *
infer_network_add_einsum(InferNetwork *network, InferTensor *const *inputs, guint n_inputs,
                         const char *equation, const char *name, GError **error)
{
  INFER_LAYER("einsum");

  for (guint i = 0; i < n_inputs; i++)
    if (!infer_layer_needs(&layer, inputs[i], INFER_LAYER_END))
      return NULL;
  return infer_layer_last(&layer, "Einsum", inputs, n_inputs,
                          infer_attrs_new("equation", 's', equation ? equation : "", NULL));
}
