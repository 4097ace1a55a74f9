/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cudnn-conv.h"

#include <math.h>
#include <stdbool.h>

/* Convolutions with their epilogues as cuDNN's operation graphs. */

/* --- descriptors --- */

static void
destroy(gpointer descriptor)
{
  cudnnBackendDestroyDescriptor(descriptor);
}

GPtrArray *
infer_cudnn_owner_new(void)
{
  return g_ptr_array_new_with_free_func(destroy);
}

cudnnBackendDescriptor_t
infer_cudnn_new(GPtrArray *owner, cudnnBackendDescriptorType_t type, GError **error)
{
  cudnnBackendDescriptor_t descriptor = NULL;

  if (!infer_cudnn_check(cudnnBackendCreateDescriptor(type, &descriptor), "making a descriptor",
                         error))
    return NULL;
  g_ptr_array_add(owner, descriptor);
  return descriptor;
}

gboolean
infer_cudnn_set(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, gint64 n, const void *values, GError **error)
{
  return infer_cudnn_check(cudnnBackendSetAttribute(descriptor, name, type, n, values),
                           "setting an attribute", error);
}

gboolean
infer_cudnn_finalize(cudnnBackendDescriptor_t descriptor, const char *what, GError **error)
{
  return infer_cudnn_check(cudnnBackendFinalize(descriptor), what, error);
}

/* --- the pieces --- */

typedef struct {
  InferCudnnGraph *graph;
  const InferCudnnConv *conv;
  const InferCudnnVariant *variant;
  cudnnDataType_t type;
  GPtrArray *operations;
  guint n_virtual;
  GError **error;
} Maker;

typedef cudnnBackendDescriptor_t Descriptor;

static gboolean
set_int(Maker *self, Descriptor descriptor, cudnnBackendAttributeName_t name, gint64 n,
        const gint64 *values)
{
  return infer_cudnn_set(descriptor, name, CUDNN_TYPE_INT64, n, values, self->error);
}

static gboolean
set_type(Maker *self, Descriptor descriptor, cudnnBackendAttributeName_t name, cudnnDataType_t type)
{
  return infer_cudnn_set(descriptor, name, CUDNN_TYPE_DATA_TYPE, 1, &type, self->error);
}

static gboolean
set_part(Maker *self, Descriptor descriptor, cudnnBackendAttributeName_t name, Descriptor part)
{
  return part &&
         infer_cudnn_set(descriptor, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part, self->error);
}

static gboolean
set_double(Maker *self, Descriptor descriptor, cudnnBackendAttributeName_t name, double value)
{
  return infer_cudnn_set(descriptor, name, CUDNN_TYPE_DOUBLE, 1, &value, self->error);
}

typedef struct {
  gint64 id;
  gint n;
  gint64 dims[5], strides[5];
  cudnnDataType_t type;
  gint64 alignment;
  gboolean is_virtual, by_value;
} Tensor;

static Descriptor
make_tensor(Maker *self, const Tensor *tensor)
{
  Descriptor descriptor =
      infer_cudnn_new(self->graph->descriptors, CUDNN_BACKEND_TENSOR_DESCRIPTOR, self->error);
  bool yes = true;

  if (!descriptor || !set_type(self, descriptor, CUDNN_ATTR_TENSOR_DATA_TYPE, tensor->type) ||
      !set_int(self, descriptor, CUDNN_ATTR_TENSOR_DIMENSIONS, tensor->n, tensor->dims) ||
      !set_int(self, descriptor, CUDNN_ATTR_TENSOR_STRIDES, tensor->n, tensor->strides) ||
      !set_int(self, descriptor, CUDNN_ATTR_TENSOR_UNIQUE_ID, 1, &tensor->id) ||
      !set_int(self, descriptor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 1, &tensor->alignment))
    return NULL;
  if (tensor->is_virtual && !infer_cudnn_set(descriptor, CUDNN_ATTR_TENSOR_IS_VIRTUAL,
                                             CUDNN_TYPE_BOOLEAN, 1, &yes, self->error))
    return NULL;
  if (tensor->by_value && !infer_cudnn_set(descriptor, CUDNN_ATTR_TENSOR_IS_BY_VALUE,
                                           CUDNN_TYPE_BOOLEAN, 1, &yes, self->error))
    return NULL;
  return infer_cudnn_finalize(descriptor, "a tensor", self->error) ? descriptor : NULL;
}

/* Images, channels and the spatial dimensions in cuDNN's order; @strides of the images and three
 * spatial dimensions, or %NULL where the tensor is dense. */
static Tensor
image_tensor(const Maker *self, gint64 id, gint64 images, gint64 channels, const gint64 *spatial,
             const gint64 *strides)
{
  gint n = self->conv->spatial, skip = INFER_CUDNN_SPATIAL - n;
  Tensor tensor = {.id = id, .n = n + 2, .type = self->type, .alignment = 16};
  gint64 next = channels;

  tensor.dims[0] = images;
  tensor.dims[1] = channels;
  tensor.strides[1] = 1;
  for (gint i = n - 1; i >= 0; i--) {
    tensor.dims[2 + i] = spatial[skip + i];
    tensor.strides[2 + i] = strides ? strides[1 + skip + i] : next;
    next *= spatial[skip + i];
  }
  tensor.strides[0] = strides ? strides[0] : next;
  return tensor;
}

/* The result, before or after the epilogue. */
static Tensor
result_tensor(const Maker *self, gint64 id, const gint64 *strides)
{
  const InferCudnnConv *conv = self->conv;

  return image_tensor(self, id, conv->images,
                      conv->groups * infer_cudnn_conv_out(conv, self->variant), conv->out, strides);
}

static Descriptor
virtual_tensor(Maker *self)
{
  Tensor tensor = result_tensor(self, INFER_CUDNN_VIRTUAL + self->n_virtual++, NULL);

  tensor.is_virtual = TRUE;
  tensor.type = CUDNN_DATA_FLOAT;
  return make_tensor(self, &tensor);
}

static Descriptor
scalar_tensor(Maker *self, float value)
{
  InferCudnnGraph *graph = self->graph;
  Tensor tensor = {.id = INFER_CUDNN_SCALAR + graph->n_scalars,
                   .n = self->conv->spatial + 2,
                   .type = CUDNN_DATA_FLOAT,
                   .alignment = 4,
                   .by_value = TRUE};

  if (graph->n_scalars == INFER_CUDNN_MAX_SCALARS)
    return NULL;
  for (gint i = 0; i < tensor.n; i++)
    tensor.dims[i] = tensor.strides[i] = 1;
  graph->scalars[graph->n_scalars++] = value;
  return make_tensor(self, &tensor);
}

static Descriptor
side_tensor(Maker *self, guint side)
{
  static const gint64 ones[INFER_CUDNN_SPATIAL] = {1, 1, 1};
  const InferCudnnConv *conv = self->conv;
  gint64 channels = conv->groups * conv->channels_out;
  Tensor tensor = conv->chain.constant[side]
                      ? image_tensor(self, INFER_CUDNN_SIDE + side, 1, channels, ones, NULL)
                      : result_tensor(self, INFER_CUDNN_SIDE + side, conv->side_strides[side]);

  return make_tensor(self, &tensor);
}

/* --- the convolution --- */

static Descriptor
weight_tensor(Maker *self)
{
  const InferCudnnConv *conv = self->conv;
  gint64 in = infer_cudnn_conv_in(conv, self->variant);
  gint64 out = infer_cudnn_conv_out(conv, self->variant);
  Tensor tensor =
      conv->transposed
          ? image_tensor(self, INFER_CUDNN_W, conv->groups * in, out, conv->kernel, NULL)
          : image_tensor(self, INFER_CUDNN_W, conv->groups * out, in, conv->kernel, NULL);

  return make_tensor(self, &tensor);
}

static Descriptor
window(Maker *self)
{
  const InferCudnnConv *conv = self->conv;
  gint64 n = conv->spatial, skip = INFER_CUDNN_SPATIAL - n;
  cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  Descriptor descriptor =
      infer_cudnn_new(self->graph->descriptors, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, self->error);

  if (!descriptor ||
      !set_type(self, descriptor, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT) ||
      !infer_cudnn_set(descriptor, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1,
                       &mode, self->error) ||
      !set_int(self, descriptor, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 1, &n) ||
      !set_int(self, descriptor, CUDNN_ATTR_CONVOLUTION_DILATIONS, n, conv->dilation + skip) ||
      !set_int(self, descriptor, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, n, conv->stride + skip) ||
      !set_int(self, descriptor, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, n, conv->begin + skip) ||
      !set_int(self, descriptor, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, n, conv->end + skip) ||
      !infer_cudnn_finalize(descriptor, "a convolution's window", self->error))
    return NULL;
  return descriptor;
}

static gboolean
add_convolution(Maker *self, Descriptor x, Descriptor y)
{
  static const struct {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t conv, x, w, y, alpha, beta;
  } kinds[] = {
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
      {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
  };
  gint kind = self->conv->transposed ? 1 : 0;
  const float one = 1.0f, zero = 0.0f;
  Descriptor operation = infer_cudnn_new(self->graph->descriptors, kinds[kind].type, self->error);

  if (!operation || !set_part(self, operation, kinds[kind].conv, window(self)) ||
      !set_part(self, operation, kinds[kind].x, x) ||
      !set_part(self, operation, kinds[kind].w, weight_tensor(self)) ||
      !set_part(self, operation, kinds[kind].y, y) ||
      !infer_cudnn_set(operation, kinds[kind].alpha, CUDNN_TYPE_FLOAT, 1, &one, self->error) ||
      !infer_cudnn_set(operation, kinds[kind].beta, CUDNN_TYPE_FLOAT, 1, &zero, self->error) ||
      !infer_cudnn_finalize(operation, "a convolution", self->error))
    return FALSE;
  g_ptr_array_add(self->operations, operation);
  return TRUE;
}

/* --- the epilogue --- */

typedef struct {
  cudnnPointwiseMode_t mode;
  /* Parameters that are not cuDNN's own; 0 of a pair for none. */
  struct {
    cudnnBackendAttributeName_t name;
    double value;
  } set[2];
  guint n_set;
} Pointwise;

static Pointwise
pointwise_of(const InferEpilogueOp *op)
{
  static const cudnnPointwiseMode_t modes[] = {
      [INFER_EPILOGUE_ADD] = CUDNN_POINTWISE_ADD,
      [INFER_EPILOGUE_SUB] = CUDNN_POINTWISE_SUB,
      [INFER_EPILOGUE_MUL] = CUDNN_POINTWISE_MUL,
      [INFER_EPILOGUE_DIV] = CUDNN_POINTWISE_DIV,
      [INFER_EPILOGUE_MAX] = CUDNN_POINTWISE_MAX,
      [INFER_EPILOGUE_MIN] = CUDNN_POINTWISE_MIN,
      [INFER_EPILOGUE_RELU] = CUDNN_POINTWISE_RELU_FWD,
      [INFER_EPILOGUE_LEAKY] = CUDNN_POINTWISE_RELU_FWD,
      [INFER_EPILOGUE_SIGMOID] = CUDNN_POINTWISE_SIGMOID_FWD,
      [INFER_EPILOGUE_TANH] = CUDNN_POINTWISE_TANH_FWD,
      [INFER_EPILOGUE_ELU] = CUDNN_POINTWISE_ELU_FWD,
      [INFER_EPILOGUE_GELU] = CUDNN_POINTWISE_GELU_FWD,
      [INFER_EPILOGUE_GELU_TANH] = CUDNN_POINTWISE_GELU_APPROX_TANH_FWD,
      [INFER_EPILOGUE_SWISH] = CUDNN_POINTWISE_SWISH_FWD,
      [INFER_EPILOGUE_SOFTPLUS] = CUDNN_POINTWISE_SOFTPLUS_FWD,
      [INFER_EPILOGUE_EXP] = CUDNN_POINTWISE_EXP,
      [INFER_EPILOGUE_ABS] = CUDNN_POINTWISE_ABS,
      [INFER_EPILOGUE_NEG] = CUDNN_POINTWISE_NEG,
      [INFER_EPILOGUE_SQRT] = CUDNN_POINTWISE_SQRT,
  };
  Pointwise result = {.mode = modes[op->mode]};

  if (op->mode == INFER_EPILOGUE_RELU && !isinf(op->p1)) {
    result.set[result.n_set].name = CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP;
    result.set[result.n_set++].value = op->p1;
  } else if (op->mode == INFER_EPILOGUE_LEAKY || op->mode == INFER_EPILOGUE_ELU ||
             op->mode == INFER_EPILOGUE_SWISH) {
    result.set[0].name = op->mode == INFER_EPILOGUE_LEAKY
                             ? CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE
                         : op->mode == INFER_EPILOGUE_ELU ? CUDNN_ATTR_POINTWISE_ELU_ALPHA
                                                          : CUDNN_ATTR_POINTWISE_SWISH_BETA;
    result.set[result.n_set++].value = op->p0;
  }
  return result;
}

static gboolean
add_pointwise(Maker *self, const Pointwise *what, Descriptor x, Descriptor b, Descriptor y)
{
  GPtrArray *owner = self->graph->descriptors;
  Descriptor pointwise = infer_cudnn_new(owner, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, self->error);
  Descriptor operation;

  if (!pointwise ||
      !infer_cudnn_set(pointwise, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1,
                       &what->mode, self->error) ||
      !set_type(self, pointwise, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT))
    return FALSE;
  for (guint i = 0; i < what->n_set; i++)
    if (!set_double(self, pointwise, what->set[i].name, what->set[i].value))
      return FALSE;
  if (!infer_cudnn_finalize(pointwise, "a pointwise function", self->error))
    return FALSE;
  operation = infer_cudnn_new(owner, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, self->error);
  if (!operation ||
      !set_part(self, operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise) ||
      !set_part(self, operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x) ||
      (b && !set_part(self, operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b)) ||
      !set_part(self, operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y) ||
      !infer_cudnn_finalize(operation, "a pointwise operation", self->error))
    return FALSE;
  g_ptr_array_add(self->operations, operation);
  return TRUE;
}

/* cuDNN's ReLU has a lower bound of 0; other bounds are a maximum and a minimum. */
static gboolean
add_clip(Maker *self, const InferEpilogueOp *op, Descriptor x, Descriptor y)
{
  const Pointwise relu = {.mode = CUDNN_POINTWISE_RELU_FWD};
  const Pointwise most = {.mode = CUDNN_POINTWISE_MAX}, least = {.mode = CUDNN_POINTWISE_MIN};
  gboolean low = !isinf(op->p0), high = !isinf(op->p1), is_relu = op->p0 == 0.0f;
  Descriptor middle = low && high ? virtual_tensor(self) : low ? y : x;
  Descriptor bound = NULL;

  if (!low && !high) {
    const Pointwise same = {.mode = CUDNN_POINTWISE_IDENTITY};
    return add_pointwise(self, &same, x, NULL, y);
  }
  if (low) {
    if (!is_relu)
      bound = scalar_tensor(self, op->p0);
    if (!middle || (!is_relu && !bound) ||
        !add_pointwise(self, is_relu ? &relu : &most, x, bound, middle))
      return FALSE;
  }
  if (!high)
    return TRUE;
  bound = scalar_tensor(self, op->p1);
  return bound && add_pointwise(self, &least, middle, bound, y);
}

/* A convolution that ends with a ReLU is taken for a pattern whose engines have no upper bound. */
static gboolean
must_clip(const InferEpilogueOp *op, gboolean is_last)
{
  return op->mode == INFER_EPILOGUE_RELU && (op->p0 != 0.0f || (is_last && !isinf(op->p1)));
}

static gboolean
add_operation(Maker *self, const InferEpilogueOp *op, Descriptor *values, Descriptor *sides,
              Descriptor y, gboolean is_last)
{
  Pointwise what = pointwise_of(op);
  Descriptor b = NULL;

  if (must_clip(op, is_last))
    return add_clip(self, op, values[op->a], y);
  if (op->operand == INFER_EPILOGUE_VALUE)
    b = values[op->b];
  else if (op->operand == INFER_EPILOGUE_SCALAR)
    b = scalar_tensor(self, op->p0);
  else if (op->operand != INFER_EPILOGUE_NONE) {
    if (!sides[op->b])
      sides[op->b] = side_tensor(self, (guint)op->b);
    b = sides[op->b];
  }
  if (op->operand != INFER_EPILOGUE_NONE && !b)
    return FALSE;
  return add_pointwise(self, &what, values[op->a], b, y);
}

/* The program as @variant orders it. */
static InferEpilogueProgram
ordered(const InferEpilogueProgram *program, gboolean sum_first)
{
  InferEpilogueProgram result = *program;

  if (sum_first && program->n >= 2) {
    result.ops[0] = program->ops[1];
    result.ops[1] = program->ops[0];
    result.ops[0].a = 0;
    result.ops[1].a = 1;
  }
  return result;
}

static gboolean
add_all(Maker *self)
{
  const InferCudnnConv *conv = self->conv;
  InferEpilogueProgram program = ordered(&conv->chain.program, self->variant->sum_first);
  gint n = self->variant->split ? 0 : program.n;
  Descriptor values[INFER_EPILOGUE_MAX_OPS + 1] = {NULL};
  Descriptor sides[INFER_EPILOGUE_MAX_SIDES] = {NULL};
  Tensor x = image_tensor(self, INFER_CUDNN_X, conv->images,
                          conv->groups * infer_cudnn_conv_in(conv, self->variant), conv->in,
                          self->variant->pad ? NULL : conv->x_strides);
  Tensor y = result_tensor(self, INFER_CUDNN_Y, self->variant->split ? NULL : conv->y_strides);
  Descriptor first = make_tensor(self, &x), last = first ? make_tensor(self, &y) : NULL;

  values[0] = n == 0 ? last : virtual_tensor(self);
  if (!first || !last || !values[0] || !add_convolution(self, first, values[0]))
    return FALSE;
  for (gint i = 0; i < n; i++) {
    values[i + 1] = i + 1 == n ? last : virtual_tensor(self);
    if (!values[i + 1] ||
        !add_operation(self, &program.ops[i], values, sides, values[i + 1], i + 1 == n))
      return FALSE;
  }
  return TRUE;
}

InferCudnnGraph *
infer_cudnn_graph_new(cudnnHandle_t handle, const InferCudnnConv *conv,
                      const InferCudnnVariant *variant, GError **error)
{
  g_autoptr(InferCudnnGraph) graph = g_new0(InferCudnnGraph, 1);
  g_autoptr(GPtrArray) operations = g_ptr_array_new();
  Maker self = {.graph = graph,
                .conv = conv,
                .variant = variant,
                .operations = operations,
                .error = error,
                .type = conv->type == INFER_TYPE_FLOAT     ? CUDNN_DATA_FLOAT
                        : conv->type == INFER_TYPE_FLOAT16 ? CUDNN_DATA_HALF
                                                           : CUDNN_DATA_BFLOAT16};

  graph->handle = handle;
  graph->descriptors = infer_cudnn_owner_new();
  if (!add_all(&self)) {
    if (error && !*error)
      g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED, "the epilogue is too long");
    return NULL;
  }
  graph->graph =
      infer_cudnn_new(graph->descriptors, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, error);
  if (!graph->graph ||
      !infer_cudnn_set(graph->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                       operations->len, operations->pdata, error) ||
      !infer_cudnn_set(graph->graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1,
                       &graph->handle, error) ||
      !infer_cudnn_finalize(graph->graph, "an operation graph", error))
    return NULL;
  return g_steal_pointer(&graph);
}

void
infer_cudnn_graph_free(InferCudnnGraph *graph)
{
  /* Those that refer to others were made later. */
  while (graph->descriptors->len > 0)
    g_ptr_array_set_size(graph->descriptors, (gint)graph->descriptors->len - 1);
  g_ptr_array_unref(graph->descriptors);
  g_free(graph);
}
