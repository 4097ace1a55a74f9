/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "zoo.h"

#include <math.h>

#define DIMS(...) (&INFER_DIMS(__VA_ARGS__))
#define ROUND_DOWN INFER_PADDING_MODE_EXPLICIT_ROUND_DOWN
#define ROUND_UP INFER_PADDING_MODE_EXPLICIT_ROUND_UP

/* A network under construction; its first error stops everything after it. */
typedef struct {
  InferNetwork *network;
  guint64 random;
  GError *error;
} Zoo;

/* Millions of weights: a generator of a few instructions (xorshift64*, Vigna 2016). */
static float
next_random(Zoo *zoo)
{
  zoo->random ^= zoo->random >> 12;
  zoo->random ^= zoo->random << 25;
  zoo->random ^= zoo->random >> 27;
  return (float)((zoo->random * G_GUINT64_CONSTANT(2685821657736338717)) >> 40) * 0x1p-24f;
}

static InferArray *
uniform(Zoo *zoo, const InferDims *dims, double low, double high)
{
  InferArray *array = infer_array_new(INFER_TYPE_FLOAT, dims, &zoo->error);

  for (gint64 i = 0; array && i < infer_array_count(array); i++)
    ((float *)array->data)[i] = (float)(low + (high - low) * (double)next_random(zoo));
  return array;
}

/* Weights that keep the variance of what passes through (He and others 2015). */
static InferArray *
weights(Zoo *zoo, const InferDims *dims)
{
  double scale = sqrt(6.0 * (double)dims->d[0] / (double)MAX(infer_dims_count(dims), 1));

  return uniform(zoo, dims, -scale, scale);
}

static Zoo
zoo_begin(guint32 seed, gint64 size, InferTensor **data)
{
  Zoo zoo = {.network = infer_network_new(), .random = ((guint64)seed << 20) + 88172645463325252};
  gint64 batch = infer_network_add_symbol(zoo.network, "batch", 1, 1, 1024);

  *data = infer_network_add_input(zoo.network, "data", INFER_TYPE_FLOAT, DIMS(batch, 3, size, size),
                                  NULL, &zoo.error);
  return zoo;
}

static InferNetwork *
zoo_end(Zoo *zoo, InferTensor *x)
{
  x = infer_network_add_soft_max(zoo->network, x, 1, FALSE, NULL, &zoo->error);
  if (x)
    infer_network_mark_output(zoo->network, x, "prob", &zoo->error);
  if (zoo->error)
    g_error("%s", zoo->error->message);
  return zoo->network;
}

/* --- blocks --- */

typedef struct {
  gint64 channels, kernel, stride, pad, groups;
  gboolean bias;
} Conv;

static InferTensor *
conv(Zoo *zoo, InferTensor *x, Conv c)
{
  gint64 groups = MAX(c.groups, 1), stride = MAX(c.stride, 1);
  g_autoptr(InferArray) kernel = NULL;
  g_autoptr(InferArray) bias = c.bias ? uniform(zoo, DIMS(c.channels), -0.05, 0.05) : NULL;

  if (!x)
    return NULL;
  kernel = weights(zoo, DIMS(c.channels, x->dims.d[1] / groups, c.kernel, c.kernel));
  return infer_network_add_convolution(zoo->network, x, c.channels, DIMS(c.kernel, c.kernel),
                                       kernel, bias, DIMS(stride, stride), DIMS(c.pad, c.pad), NULL,
                                       ROUND_DOWN, NULL, groups, NULL, &zoo->error);
}

static InferTensor *
relu(Zoo *zoo, InferTensor *x)
{
  return infer_network_add_activation(zoo->network, x, INFER_ACTIVATION_RELU, 0, 0, NULL,
                                      &zoo->error);
}

static InferTensor *
conv_relu(Zoo *zoo, InferTensor *x, Conv c)
{
  c.bias = TRUE;
  return relu(zoo, conv(zoo, x, c));
}

static InferTensor *
conv_norm(Zoo *zoo, InferTensor *x, Conv c)
{
  const InferDims dims = INFER_DIMS(c.channels);
  g_autoptr(InferArray) scale = uniform(zoo, &dims, 0.5, 1);
  g_autoptr(InferArray) shift = uniform(zoo, &dims, -0.1, 0.1);
  g_autoptr(InferArray) mean = uniform(zoo, &dims, -0.1, 0.1);
  g_autoptr(InferArray) variance = uniform(zoo, &dims, 0.5, 1.5);

  return infer_network_add_batch_normalization(zoo->network, conv(zoo, x, c), scale, shift, mean,
                                               variance, 1e-5, NULL, &zoo->error);
}

static InferTensor *
max_pool(Zoo *zoo, InferTensor *x, gint64 kernel, gint64 stride, gint64 pad, InferPaddingMode mode)
{
  return infer_network_add_pooling(zoo->network, x, INFER_POOLING_MAX, DIMS(kernel, kernel),
                                   DIMS(stride, stride), DIMS(pad, pad), NULL, mode, TRUE, 0, NULL,
                                   &zoo->error);
}

static InferTensor *
mean_of_planes(Zoo *zoo, InferTensor *x)
{
  return infer_network_add_pooling(zoo->network, x, INFER_POOLING_AVERAGE, NULL, NULL, NULL, NULL,
                                   ROUND_DOWN, TRUE, 0, NULL, &zoo->error);
}

static InferTensor *
dense(Zoo *zoo, InferTensor *x, gint64 n)
{
  g_autoptr(InferArray) matrix = NULL;
  g_autoptr(InferArray) bias = uniform(zoo, DIMS(n), -0.05, 0.05);
  gint64 row = 1;

  if (!x)
    return NULL;
  for (gint i = 1; i < x->dims.n; i++)
    row *= x->dims.d[i];
  matrix = weights(zoo, DIMS(n, row));
  return infer_network_add_fully_connected(zoo->network, x, n, matrix, bias, NULL, &zoo->error);
}

static InferTensor *
lrn(Zoo *zoo, InferTensor *x)
{
  return infer_network_add_lrn(zoo->network, x, 5, 1e-4, 0.75, 1, NULL, &zoo->error);
}

static InferTensor *
add(Zoo *zoo, InferTensor *a, InferTensor *b)
{
  return infer_network_add_element_wise(zoo->network, a, b, INFER_ELEMENT_WISE_SUM, NULL,
                                        &zoo->error);
}

static InferTensor *
concat(Zoo *zoo, InferTensor *const *inputs, guint n)
{
  return infer_network_add_concatenation(zoo->network, inputs, n, 1, NULL, &zoo->error);
}

/* --- networks --- */

InferNetwork *
zoo_alexnet(guint32 seed)
{
  InferTensor *x;
  Zoo zoo = zoo_begin(seed, 227, &x);

  x = conv_relu(&zoo, x, (Conv){96, 11, 4, 0, 1, TRUE});
  x = max_pool(&zoo, lrn(&zoo, x), 3, 2, 0, ROUND_DOWN);
  x = conv_relu(&zoo, x, (Conv){256, 5, 1, 2, 2, TRUE});
  x = max_pool(&zoo, lrn(&zoo, x), 3, 2, 0, ROUND_DOWN);
  x = conv_relu(&zoo, x, (Conv){384, 3, 1, 1, 1, TRUE});
  x = conv_relu(&zoo, x, (Conv){384, 3, 1, 1, 2, TRUE});
  x = conv_relu(&zoo, x, (Conv){256, 3, 1, 1, 2, TRUE});
  x = max_pool(&zoo, x, 3, 2, 0, ROUND_DOWN);
  x = relu(&zoo, dense(&zoo, x, 4096));
  x = relu(&zoo, dense(&zoo, x, 4096));
  return zoo_end(&zoo, dense(&zoo, x, 1000));
}

InferNetwork *
zoo_vgg16(guint32 seed)
{
  static const struct {
    gint64 channels;
    guint n;
  } stages[] = {{64, 2}, {128, 2}, {256, 3}, {512, 3}, {512, 3}};
  InferTensor *x;
  Zoo zoo = zoo_begin(seed, 224, &x);

  for (guint i = 0; i < G_N_ELEMENTS(stages); i++) {
    for (guint k = 0; k < stages[i].n; k++)
      x = conv_relu(&zoo, x, (Conv){stages[i].channels, 3, 1, 1, 1, TRUE});
    x = max_pool(&zoo, x, 2, 2, 0, ROUND_DOWN);
  }
  x = relu(&zoo, dense(&zoo, x, 4096));
  x = relu(&zoo, dense(&zoo, x, 4096));
  return zoo_end(&zoo, dense(&zoo, x, 1000));
}

/* An inception block: 1x1, 3x3 and 5x5 after reductions, and a pooling, side by side. */
static InferTensor *
inception(Zoo *zoo, InferTensor *x, const gint64 *n)
{
  InferTensor *branches[4];

  branches[0] = conv_relu(zoo, x, (Conv){n[0], 1, 1, 0, 1, TRUE});
  branches[1] = conv_relu(zoo, x, (Conv){n[1], 1, 1, 0, 1, TRUE});
  branches[1] = conv_relu(zoo, branches[1], (Conv){n[2], 3, 1, 1, 1, TRUE});
  branches[2] = conv_relu(zoo, x, (Conv){n[3], 1, 1, 0, 1, TRUE});
  branches[2] = conv_relu(zoo, branches[2], (Conv){n[4], 5, 1, 2, 1, TRUE});
  branches[3] = max_pool(zoo, x, 3, 1, 1, ROUND_DOWN);
  branches[3] = conv_relu(zoo, branches[3], (Conv){n[5], 1, 1, 0, 1, TRUE});
  return concat(zoo, branches, 4);
}

InferNetwork *
zoo_googlenet(guint32 seed)
{
  /* 3a, 3b, 4a to 4e, 5a, 5b. */
  static const gint64 blocks[][6] = {
      {64, 96, 128, 16, 32, 32},     {128, 128, 192, 32, 96, 64},   {192, 96, 208, 16, 48, 64},
      {160, 112, 224, 24, 64, 64},   {128, 128, 256, 24, 64, 64},   {112, 144, 288, 32, 64, 64},
      {256, 160, 320, 32, 128, 128}, {256, 160, 320, 32, 128, 128}, {384, 192, 384, 48, 128, 128}};
  InferTensor *x;
  Zoo zoo = zoo_begin(seed, 224, &x);

  x = conv_relu(&zoo, x, (Conv){64, 7, 2, 3, 1, TRUE});
  x = lrn(&zoo, max_pool(&zoo, x, 3, 2, 0, ROUND_UP));
  x = conv_relu(&zoo, x, (Conv){64, 1, 1, 0, 1, TRUE});
  x = conv_relu(&zoo, x, (Conv){192, 3, 1, 1, 1, TRUE});
  x = max_pool(&zoo, lrn(&zoo, x), 3, 2, 0, ROUND_UP);
  for (guint i = 0; i < G_N_ELEMENTS(blocks); i++) {
    x = inception(&zoo, x, blocks[i]);
    if (i == 1 || i == 6)
      x = max_pool(&zoo, x, 3, 2, 0, ROUND_UP);
  }
  return zoo_end(&zoo, dense(&zoo, mean_of_planes(&zoo, x), 1000));
}

static InferTensor *
bottleneck(Zoo *zoo, InferTensor *x, gint64 width, gint64 stride)
{
  gboolean same = x && x->dims.d[1] == 4 * width && stride == 1;
  InferTensor *y = relu(zoo, conv_norm(zoo, x, (Conv){width, 1, 1, 0, 1, FALSE}));

  y = relu(zoo, conv_norm(zoo, y, (Conv){width, 3, stride, 1, 1, FALSE}));
  y = conv_norm(zoo, y, (Conv){4 * width, 1, 1, 0, 1, FALSE});
  if (!same)
    x = conv_norm(zoo, x, (Conv){4 * width, 1, stride, 0, 1, FALSE});
  return relu(zoo, add(zoo, y, x));
}

InferNetwork *
zoo_resnet50(guint32 seed)
{
  static const guint depths[] = {3, 4, 6, 3};
  InferTensor *x;
  Zoo zoo = zoo_begin(seed, 224, &x);

  x = relu(&zoo, conv_norm(&zoo, x, (Conv){64, 7, 2, 3, 1, FALSE}));
  x = max_pool(&zoo, x, 3, 2, 1, ROUND_DOWN);
  for (guint i = 0; i < G_N_ELEMENTS(depths); i++)
    for (guint k = 0; k < depths[i]; k++)
      x = bottleneck(&zoo, x, (gint64)64 << i, i > 0 && k == 0 ? 2 : 1);
  return zoo_end(&zoo, dense(&zoo, mean_of_planes(&zoo, x), 1000));
}

static InferTensor *
fire(Zoo *zoo, InferTensor *x, gint64 squeeze, gint64 expand)
{
  InferTensor *both[2];

  x = conv_relu(zoo, x, (Conv){squeeze, 1, 1, 0, 1, TRUE});
  both[0] = conv_relu(zoo, x, (Conv){expand, 1, 1, 0, 1, TRUE});
  both[1] = conv_relu(zoo, x, (Conv){expand, 3, 1, 1, 1, TRUE});
  return concat(zoo, both, 2);
}

InferNetwork *
zoo_squeezenet(guint32 seed)
{
  static const gint64 fires[] = {16, 16, 32, 32, 48, 48, 64, 64};
  InferTensor *x;
  Zoo zoo = zoo_begin(seed, 224, &x);

  x = conv_relu(&zoo, x, (Conv){64, 3, 2, 0, 1, TRUE});
  x = max_pool(&zoo, x, 3, 2, 0, ROUND_UP);
  for (guint i = 0; i < G_N_ELEMENTS(fires); i++) {
    x = fire(&zoo, x, fires[i], 4 * fires[i]);
    if (i == 1 || i == 3)
      x = max_pool(&zoo, x, 3, 2, 0, ROUND_UP);
  }
  x = mean_of_planes(&zoo, conv_relu(&zoo, x, (Conv){1000, 1, 1, 0, 1, TRUE}));
  return zoo_end(&zoo, infer_network_add_shuffle(zoo.network, x, NULL, DIMS(0, -1), TRUE, NULL,
                                                 NULL, &zoo.error));
}

static InferTensor *
relu6(Zoo *zoo, InferTensor *x)
{
  return infer_network_add_activation(zoo->network, x, INFER_ACTIVATION_CLIP, 0, 6, NULL,
                                      &zoo->error);
}

static InferTensor *
inverted_residual(Zoo *zoo, InferTensor *x, gint64 expansion, gint64 channels, gint64 stride)
{
  gint64 in = x ? x->dims.d[1] : 1, wide = in * expansion;
  InferTensor *y = x;

  if (expansion > 1)
    y = relu6(zoo, conv_norm(zoo, y, (Conv){wide, 1, 1, 0, 1, FALSE}));
  y = relu6(zoo, conv_norm(zoo, y, (Conv){wide, 3, stride, 1, wide, FALSE}));
  y = conv_norm(zoo, y, (Conv){channels, 1, 1, 0, 1, FALSE});
  return stride == 1 && in == channels ? add(zoo, x, y) : y;
}

InferNetwork *
zoo_mobilenet_v2(guint32 seed)
{
  static const struct {
    gint64 expansion, channels;
    guint n;
    gint64 stride;
  } stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  InferTensor *x;
  Zoo zoo = zoo_begin(seed, 224, &x);

  x = relu6(&zoo, conv_norm(&zoo, x, (Conv){32, 3, 2, 1, 1, FALSE}));
  for (guint i = 0; i < G_N_ELEMENTS(stages); i++)
    for (guint k = 0; k < stages[i].n; k++)
      x = inverted_residual(&zoo, x, stages[i].expansion, stages[i].channels,
                            k == 0 ? stages[i].stride : 1);
  x = relu6(&zoo, conv_norm(&zoo, x, (Conv){1280, 1, 1, 0, 1, FALSE}));
  return zoo_end(&zoo, dense(&zoo, mean_of_planes(&zoo, x), 1000));
}

const ZooEntry zoo_entries[] = {{"AlexNet", zoo_alexnet},
                                {"VGG-16", zoo_vgg16},
                                {"GoogLeNet", zoo_googlenet},
                                {"ResNet-50", zoo_resnet50},
                                {"SqueezeNet 1.1", zoo_squeezenet},
                                {"MobileNetV2", zoo_mobilenet_v2},
                                {NULL, NULL}};
