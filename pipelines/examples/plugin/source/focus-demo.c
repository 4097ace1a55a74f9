/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * focus-demo [LIBRARY...] [device=NAME] [plan=FILE]: loads plugin libraries, builds a network with
 * the layer example.FocusNormalize in it, saves the plan (for good where a file is named), loads
 * it, runs a batch, and looks whether each number is what the layer's formula says.
 */
#include <infer/infer.h>

#include <glib/gstdio.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROWS 3
#define CHANNELS 3
#define SIZE 64
#define BLOCK 2

static const double mean[CHANNELS] = {123.5, 116.25, 103.75};
static const double deviation[CHANNELS] = {58.5, 57, 57.5};

static InferNetwork *
make_network(GError **error)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  InferDims dims = {.n = 4, .d = {0, CHANNELS, SIZE, SIZE}};
  GVariant *fields =
      infer_attrs_new("block", 'i', (gint64)BLOCK, "mean", 'F', mean, (gsize)CHANNELS, "deviation",
                      'F', deviation, (gsize)CHANNELS, NULL);
  InferTensor *image;
  InferNode *node;

  dims.d[0] = infer_network_add_symbol(network, "batch", 1, 1, 64);
  image = infer_network_add_input(network, "image", INFER_TYPE_UINT8, &dims, NULL, error);
  node = image ? infer_network_add_plugin(network, "example.FocusNormalize", 0, "focus", &image, 1,
                                          fields, 0, error)
               : NULL;
  node = node ? infer_network_add_node(network, "Relu", "relu", node->outputs, 1, NULL, 1, error)
              : NULL;
  if (!node || !infer_network_mark_output(network, node->outputs[0], "result", error))
    return NULL;
  return g_steal_pointer(&network);
}

static gboolean
save_plan(const char *path, const char *device, GError **error)
{
  g_autoptr(InferNetwork) network = make_network(error);
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferEngine) engine = NULL;
  g_autofree char *steps = NULL;

  if (!network)
    return FALSE;
  infer_builder_set_device(builder, device);
  infer_builder_set_max_batch(builder, ROWS);
  engine = infer_builder_build(builder, network, "focus-demo", NULL, error);
  if (!engine)
    return FALSE;
  steps = infer_engine_inspect(engine);
  printf("%s\n", steps);
  return infer_engine_save(engine, path, error);
}

static guint8
pixel(gint64 n, gint64 c, gint64 y, gint64 x)
{
  return (guint8)(n * 31 + c * 57 + y * 7 + x * 13);
}

static guint
count_wrong(const float *result)
{
  const gint64 out = SIZE / BLOCK;
  guint wrong = 0;

  for (gint64 n = 0; n < ROWS; n++)
    for (gint64 k = 0; k < CHANNELS * BLOCK * BLOCK; k++)
      for (gint64 y = 0; y < out; y++)
        for (gint64 x = 0; x < out; x++) {
          gint64 c = k % CHANNELS, i = k / CHANNELS / BLOCK, j = k / CHANNELS % BLOCK;
          double value = (pixel(n, c, y * BLOCK + i, x * BLOCK + j) - mean[c]) / deviation[c];

          wrong += !(fabs(*result++ - MAX(value, 0)) < 1e-5);
        }
  return wrong;
}

static gboolean
run_plan(const char *path, const char *device, GError **error)
{
  g_autoptr(InferEngine) engine =
      infer_engine_new_from_file(path, device, 0, INFER_LOAD_MAP, error);
  g_autoptr(InferContext) context = engine ? infer_context_new(engine, error) : NULL;
  guint8 *image;
  gsize size;
  guint wrong;
  const float *result;

  if (!context || !infer_context_set_batch(context, ROWS, error))
    return FALSE;
  image = infer_context_map(context, "image", &size, error);
  for (gsize i = 0; image && i < size; i++)
    image[i] = pixel((gint64)i / (SIZE * SIZE * CHANNELS), (gint64)i / (SIZE * SIZE) % CHANNELS,
                     (gint64)i / SIZE % SIZE, (gint64)i % SIZE);
  result = image && infer_context_run(context, error)
               ? infer_context_map(context, "result", &size, error)
               : NULL;
  if (!result)
    return FALSE;
  wrong = count_wrong(result);
  if (wrong)
    g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "%u numbers are wrong", wrong);
  else
    printf("%" G_GSIZE_FORMAT " numbers are right\n", size / sizeof(float));
  return wrong == 0;
}

int
main(int argc, char **argv)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *folder = g_dir_make_tmp("focus-XXXXXX", &error);
  g_autofree char *temporary = folder ? g_build_filename(folder, "focus.plan", NULL) : NULL;
  const char *device = "cpu", *path = temporary;
  gboolean ok = folder != NULL;

  for (int i = 1; i < argc && ok; i++) {
    if (g_str_has_prefix(argv[i], "device="))
      device = argv[i] + strlen("device=");
    else if (g_str_has_prefix(argv[i], "plan="))
      path = argv[i] + strlen("plan=");
    else
      ok = infer_plugin_load(argv[i], &error);
  }
  ok = ok && save_plan(path, device, &error) && run_plan(path, device, &error);
  if (!ok)
    fprintf(stderr, "focus-demo: %s\n", error->message);
  if (folder) {
    g_unlink(temporary);
    g_rmdir(folder);
  }
  return ok ? 0 : 1;
}
