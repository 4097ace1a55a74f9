/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "toymodel.h"

static InferTensor *
add(InferNetwork *network, const char *op, InferTensor *a, InferTensor *b, InferTensor *c,
    InferTensor *d, GVariant *attrs)
{
  g_autoptr(GError) error = NULL;
  InferTensor *inputs[] = {a, b, c, d};
  const guint n = d ? 4 : c ? 3 : b ? 2 : 1;
  InferNode *node = infer_network_add_node(network, op, NULL, inputs, n, attrs, 1, &error);

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
number(InferNetwork *network, float value)
{
  g_autoptr(InferArray) array = infer_array_new_float(value);

  return infer_network_add_constant(network, NULL, array);
}

static void
output(InferNetwork *network, InferTensor *tensor, const char *name)
{
  g_autoptr(GError) error = NULL;

  infer_network_mark_output(network, tensor, name, &error);
  g_assert_no_error(error);
}

static InferModelInfo *
make_info(InferResize resize)
{
  InferModelInfo *info = infer_model_info_new();
  const InferPreprocess pre = {.color = INFER_COLOR_RGB,
                               .resize = resize,
                               .filter = INFER_FILTER_NEAREST,
                               .scale = {1 / 255.0f, 1 / 255.0f, 1 / 255.0f}};
  const InferDetectionOutputs outputs = {
      .boxes = "boxes", .scores = "scores", .classes = "classes", .count = "count"};
  const char *labels[TOY_N_LABELS + 1] = {"zero", "one",   "two",   "three", "four", "five",
                                          "six",  "seven", "eight", "nine",  NULL};

  infer_model_info_set_input(info, "image");
  infer_model_info_set_preprocess(info, &pre);
  infer_model_info_set_detections(info, &outputs);
  infer_model_info_set_score_threshold(info, 0.25);
  infer_model_info_set_labels(info, labels);
  return info;
}

/* Zero, after @work multiplications by a large matrix. */
static InferTensor *
waste_time(InferNetwork *network, InferTensor *zero, guint work)
{
  const InferDims dims = INFER_DIMS(TOY_WORK_SIDE, TOY_WORK_SIDE),
                  row = INFER_DIMS(1, TOY_WORK_SIDE);
  g_autoptr(InferArray) array = infer_array_new(INFER_TYPE_FLOAT, &dims, NULL);
  g_autoptr(InferArray) spread = infer_array_new(INFER_TYPE_FLOAT, &row, NULL);
  InferTensor *matrix, *x;

  for (guint i = 0; i < TOY_WORK_SIDE * TOY_WORK_SIDE; i++)
    ((float *)array->data)[i] = (float)(i % 7) / (7 * TOY_WORK_SIDE);
  matrix = infer_network_add_constant(network, NULL, array);
  for (guint i = 0; i < TOY_WORK_SIDE; i++)
    ((float *)spread->data)[i] = 1;
  x = add(network, "MatMul", zero, infer_network_add_constant(network, NULL, spread), NULL, NULL,
          NULL);
  for (guint i = 0; i < work; i++)
    x = add(network, "MatMul", x, matrix, NULL, NULL, NULL);
  return add(network, "ReduceMean", x, ints(network, (gint64[]){1}, 1), NULL, NULL,
             infer_attrs_new("keepdims", 'i', (gint64)1, NULL));
}

InferNetwork *
toy_model_network(guint max_batch, InferResize resize)
{
  return toy_model_network_slow(max_batch, resize, 0);
}

InferNetwork *
toy_model_network_slow(guint max_batch, InferResize resize, guint work)
{
  g_autoptr(GError) error = NULL;
  InferNetwork *network = infer_network_new();
  g_autoptr(InferModelInfo) info = make_info(resize);
  const gint64 batch = infer_network_add_symbol(network, "batch", 1, 1, max_batch);
  const InferDims dims = INFER_DIMS(batch, 3, TOY_SIDE, TOY_SIDE);
  InferTensor *image, *mean, *colors[3], *zero, *one, *boxes;

  image = infer_network_add_input(network, "image", INFER_TYPE_FLOAT, &dims, NULL, &error);
  g_assert_no_error(error);
  mean = add(network, "ReduceMean", image, ints(network, (gint64[]){2, 3}, 2), NULL, NULL,
             infer_attrs_new("keepdims", 'i', (gint64)0, NULL));
  for (gint64 i = 0; i < 3; i++)
    colors[i] = add(network, "Slice", mean, ints(network, (gint64[]){i}, 1),
                    ints(network, (gint64[]){i + 1}, 1), ints(network, (gint64[]){1}, 1), NULL);
  zero = add(network, "Mul", colors[0], number(network, 0), NULL, NULL, NULL);
  if (work > 0)
    zero = waste_time(network, zero, work);
  one = add(network, "Add", zero, number(network, 1), NULL, NULL, NULL);
  boxes = add(network, "Concat", zero, zero, colors[0], one,
              infer_attrs_new("axis", 'i', (gint64)1, NULL));
  output(network,
         add(network, "Reshape", boxes, ints(network, (gint64[]){-1, 1, 4}, 3), NULL, NULL, NULL),
         "boxes");
  output(network, colors[1], "scores");
  output(network,
         add(network, "Add",
             add(network, "Mul", colors[2], number(network, 10.2f), NULL, NULL, NULL),
             number(network, 0.25f), NULL, NULL, NULL),
         "classes");
  output(network, add(network, "Reshape", one, ints(network, (gint64[]){-1}, 1), NULL, NULL, NULL),
         "count");
  infer_network_set_model_info(network, info);
  return network;
}

void
toy_model_save(const char *path, guint max_batch, InferResize resize)
{
  toy_model_save_slow(path, max_batch, resize, 0);
}

void
toy_model_save_slow(const char *path, guint max_batch, InferResize resize, guint work)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = toy_model_network_slow(max_batch, resize, work);
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_threads(builder, 1);
  infer_builder_set_max_batch(builder, max_batch);
  engine = infer_builder_build(builder, network, "toy", NULL, &error);
  g_assert_no_error(error);
  infer_engine_save(engine, path, &error);
  g_assert_no_error(error);
}
