/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "small-net.h"

#include <math.h>

InferTensor *
small_net_weight(InferNetwork *network, GRand *random, const char *name, const InferDims *dims,
                 double scale)
{
  g_autoptr(InferArray) array = infer_array_new(INFER_TYPE_FLOAT, dims, NULL);

  for (gint64 i = 0; i < infer_array_count(array); i++)
    ((float *)array->data)[i] = (float)g_rand_double_range(random, -scale, scale);
  return infer_network_add_constant(network, name, array);
}

static InferTensor *
add(InferNetwork *network, const char *op, const char *name, InferTensor *const *inputs, guint n,
    GVariant *attrs)
{
  GError *error = NULL;
  InferNode *node = infer_network_add_node(network, op, name, inputs, n, attrs, 1, &error);

  g_assert_no_error(error);
  return node->outputs[0];
}

static InferTensor *
ints(InferNetwork *network, const gint64 *values, gsize n)
{
  g_autoptr(InferArray) array = infer_array_new_int64s(values, n);

  return infer_network_add_constant(network, NULL, array);
}

static InferTensor *
scalar(InferNetwork *network, float value)
{
  g_autoptr(InferArray) array = infer_array_new_float(value);

  return infer_network_add_constant(network, NULL, array);
}

/* Convolution, batch normalization and maybe ReLU6. */
static InferTensor *
conv(InferNetwork *network, GRand *random, const char *name, InferTensor *in, gint64 channels,
     gint64 kernel, gint64 stride, gint64 group, gboolean clip)
{
  gint64 in_channels = in->dims.d[1], pad = kernel / 2;
  gint64 pads[] = {pad, pad, pad, pad}, strides[] = {stride, stride};
  g_autofree char *norm = g_strconcat(name, "/norm", NULL);
  g_autofree char *act = g_strconcat(name, "/relu6", NULL);
  InferTensor *weights = small_net_weight(
      network, random, NULL, &INFER_DIMS(channels, in_channels / group, kernel, kernel),
      sqrt(3.0 / (double)(in_channels / group * kernel * kernel)));
  InferTensor *y = add(network, "Conv", name, (InferTensor *[]){in, weights}, 2,
                       infer_attrs_new("group", 'i', group, "pads", 'I', pads, (gsize)4, "strides",
                                       'I', strides, (gsize)2, NULL));
  g_autoptr(InferArray) variance = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(channels), NULL);
  InferTensor *stats[5];

  for (gint64 i = 0; i < channels; i++)
    ((float *)variance->data)[i] = (float)g_rand_double_range(random, 0.5, 1.5);
  stats[0] = y;
  for (guint i = 1; i < 4; i++)
    stats[i] = small_net_weight(network, random, NULL, &INFER_DIMS(channels), 1);
  stats[4] = infer_network_add_constant(network, NULL, variance);
  y = add(network, "BatchNormalization", norm, stats, 5, NULL);
  if (!clip)
    return y;
  return add(network, "Clip", act, (InferTensor *[]){y, scalar(network, 0), scalar(network, 6)}, 3,
             NULL);
}

/* A head whose result is read in channels-last order, as TensorFlow's are. */
static InferTensor *
head(InferNetwork *network, GRand *random, const char *name, InferTensor *in, gint64 channels,
     gint64 last)
{
  gint64 perm[] = {0, 2, 3, 1}, target[] = {0, -1, last};
  g_autofree char *reshape = g_strconcat(name, "/reshape", NULL);
  InferTensor *y = conv(network, random, name, in, channels, 1, 1, 1, FALSE);

  y = add(network, "Transpose", NULL, &y, 1, infer_attrs_new("perm", 'I', perm, (gsize)4, NULL));
  return add(network, "Reshape", reshape, (InferTensor *[]){y, ints(network, target, 3)}, 2, NULL);
}

static InferTensor *
anchors(InferNetwork *network, gint64 n)
{
  g_autoptr(InferArray) array = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(n, 4), NULL);

  for (gint64 i = 0; i < n; i++) {
    float y = (float)(i / 16 % 8) / 8, x = (float)(i / 2 % 8) / 8;
    float corners[] = {y, x, y + 0.25f, x + 0.25f};
    for (guint k = 0; k < 4; k++)
      ((float *)array->data)[i * 4 + k] = corners[k];
  }
  return infer_network_add_constant(network, "anchors", array);
}

static void
detect(InferNetwork *network, InferTensor *codes, InferTensor *scores)
{
  static const char *const names[] = {"boxes", "scores", "classes", "count"};
  const InferDims none = INFER_DIMS_SCALAR;
  g_autoptr(InferArray) score = infer_array_new_float(0.3f);
  g_autoptr(InferArray) iou = infer_array_new_float(0.5f);
  g_autoptr(InferModelInfo) info = infer_model_info_new();
  InferDetectionOutputs outputs = {.boxes = (char *)"boxes",
                                   .scores = (char *)"scores",
                                   .classes = (char *)"classes",
                                   .count = (char *)"count",
                                   .yxyx = TRUE};
  GError *error = NULL;
  InferTensor *inputs[4];
  InferNode *node;

  inputs[0] = add(network, "infer.BoxDecode", "decode",
                  (InferTensor *[]){codes, anchors(network, 128)}, 2, NULL);
  inputs[1] = add(network, "Sigmoid", "sigmoid", &scores, 1, NULL);
  inputs[2] =
      infer_network_add_input(network, "score_threshold", INFER_TYPE_FLOAT, &none, score, &error);
  inputs[3] =
      infer_network_add_input(network, "iou_threshold", INFER_TYPE_FLOAT, &none, iou, &error);
  node = infer_network_add_node(
      network, "infer.DetectionNMS", "nms", inputs, 4,
      infer_attrs_new("max_per_class", 'i', (gint64)10, "max_total", 'i', (gint64)20, NULL), 4,
      &error);
  g_assert_no_error(error);
  for (guint i = 0; i < 4; i++)
    g_assert_true(infer_network_mark_output(network, node->outputs[i], names[i], &error));
  infer_model_info_set_input(info, "image");
  infer_model_info_set_detections(info, &outputs);
  infer_network_set_model_info(network, info);
}

InferNetwork *
small_net_new(guint32 seed)
{
  InferNetwork *network = infer_network_new();
  g_autoptr(GRand) random = g_rand_new_with_seed(seed);
  gint64 batch = infer_network_add_symbol(network, "batch", 1, 1, 64);
  gint64 to_nchw[] = {0, 3, 1, 2};
  GError *error = NULL;
  InferTensor *x = infer_network_add_input(network, "image", INFER_TYPE_FLOAT,
                                           &INFER_DIMS(batch, 32, 32, 3), NULL, &error);
  InferTensor *y;

  g_assert_no_error(error);
  x = add(network, "Transpose", NULL, &x, 1, infer_attrs_new("perm", 'I', to_nchw, (gsize)4, NULL));
  x = conv(network, random, "stem", x, 16, 3, 2, 1, TRUE);
  y = conv(network, random, "block/expand", x, 32, 1, 1, 1, TRUE);
  y = conv(network, random, "block/depthwise", y, 32, 3, 1, 32, TRUE);
  y = conv(network, random, "block/project", y, 16, 1, 1, 1, FALSE);
  x = add(network, "Add", "block/add", (InferTensor *[]){x, y}, 2, NULL);
  x = conv(network, random, "down", x, 24, 3, 2, 1, TRUE);
  detect(network, head(network, random, "head/boxes", x, 8, 4),
         head(network, random, "head/scores", x, 6, 3));
  return network;
}
