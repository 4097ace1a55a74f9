/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A layer that gst-infer does not have: example.FocusNormalize, the first layer of small detectors.
 * It moves blocks of block x block pixels into channels (as ONNX's SpaceToDepth) and normalises
 * them on the way: an image of uint8 or float, [N, C, H, W], becomes floats,
 *
 *   out[n, (i * block + j) * C + c, y, x] = (in[n, c, y * block + i, x * block + j] - mean[c]) /
 * deviation[c]
 *
 * of dimensions [N, C * block * block, H / block, W / block].
 */
#include <infer/plugin.h>
#include <infer/error.h>

#include <math.h>

#define MAX_BLOCK 16
#define MAX_CHANNELS 4096

static const InferPluginField fields[] = {
    {"block", 'i', FALSE, "2", "edge of a block in pixels, 1 to 16"},
    {"mean", 'F', FALSE, "[0.0]", "what is taken from each channel; one number for all channels"},
    {"deviation", 'F', FALSE, "[1.0]", "what each channel is divided by"},
    {NULL},
};

/* --- shapes --- */

static gboolean
check_list(const InferNode *node, const char *name, gint64 channels, gboolean divides,
           GError **error)
{
  gsize n;
  const double *list = infer_node_get_floats(node, name, &n);

  if (n != 1 && channels > 0 && (gint64)n != channels) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "field '%s' has %" G_GSIZE_FORMAT " numbers, the image has %" G_GINT64_FORMAT
                " channels",
                name, n, channels);
    return FALSE;
  }
  for (gsize i = 0; i < n; i++)
    if (!isfinite(list[i]) || (divides && list[i] == 0)) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "field '%s': %g cannot be used", name,
                  list[i]);
      return FALSE;
    }
  return TRUE;
}

/* A dimension that is not known yet (negative) stays unknown when it is divided. */
static gboolean
divide(gint64 from, gint64 block, gint64 *to, GError **error)
{
  if (from >= 0 && from % block != 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "%" G_GINT64_FORMAT " pixels are no multiple of the block of %" G_GINT64_FORMAT,
                from, block);
    return FALSE;
  }
  *to = from >= 0 ? from / block : block == 1 ? from : INFER_DIM_UNKNOWN;
  return TRUE;
}

static gboolean
focus_shape(const InferNode *node, guint n_inputs, const InferPluginOperand *inputs,
            guint n_outputs, InferPluginOperand *outputs, GError **error)
{
  const InferDims *in = &inputs[0].dims;
  InferDims *out = &outputs[0].dims;
  gint64 block = infer_node_get_int(node, "block", 2);

  if (inputs[0].type != INFER_TYPE_UINT8 && inputs[0].type != INFER_TYPE_FLOAT) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE, "the image is of %s; uint8 and float can be",
                infer_type_name(inputs[0].type));
    return FALSE;
  }
  if (block < 1 || block > MAX_BLOCK) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "field 'block' is %" G_GINT64_FORMAT "; 1 to %d can be", block, MAX_BLOCK);
    return FALSE;
  }
  outputs[0].type = INFER_TYPE_FLOAT;
  if (in->n == -1)
    return TRUE; /* the rank is not known yet; that of the output is -1 already */
  if (in->n != 4 || in->d[1] > MAX_CHANNELS) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "the image has %d dimensions; [N, C, H, W] with at most %d channels is needed",
                in->n, MAX_CHANNELS);
    return FALSE;
  }
  *out = (InferDims){.n = 4};
  out->d[0] = in->d[0];
  out->d[1] = in->d[1] >= 0 ? in->d[1] * block * block : block == 1 ? in->d[1] : INFER_DIM_UNKNOWN;
  return divide(in->d[2], block, &out->d[2], error) && divide(in->d[3], block, &out->d[3], error) &&
         check_list(node, "mean", in->d[1], FALSE, error) &&
         check_list(node, "deviation", in->d[1], TRUE, error);
}

/* --- the reference: as plain as can be, for it is what everything else is compared with --- */

static double
list_at(const double *list, gsize n, gint64 index)
{
  return list[n == 1 ? 0 : index];
}

static gboolean
focus_eval(const InferNode *node, guint n_inputs, const InferArray *const *inputs, guint n_outputs,
           InferArray **outputs, gpointer scratch, GError **error)
{
  const gint64 *in = inputs[0]->dims.d, *out = outputs[0]->dims.d;
  gint64 block = infer_node_get_int(node, "block", 2);
  gsize n_mean, n_deviation, at = 0;
  const double *mean = infer_node_get_floats(node, "mean", &n_mean);
  const double *deviation = infer_node_get_floats(node, "deviation", &n_deviation);

  for (gint64 n = 0; n < out[0]; n++)
    for (gint64 k = 0; k < out[1]; k++)
      for (gint64 y = 0; y < out[2]; y++)
        for (gint64 x = 0; x < out[3]; x++) {
          gint64 c = k % in[1], i = k / in[1] / block, j = k / in[1] % block;
          gint64 from = ((n * in[1] + c) * in[2] + y * block + i) * in[3] + x * block + j;
          double value = infer_array_get_double(inputs[0], (gsize)from);

          infer_array_set_double(outputs[0], at++,
                                 (value - list_at(mean, n_mean, c)) /
                                     list_at(deviation, n_deviation, c));
        }
  return TRUE;
}

/* --- the CPU --- */

/* out = in * scale + shift; both numbers per channel are ready before the first run. */
typedef struct {
  const InferPluginTensor *in, *out;
  gint64 block;
  float *scale, *shift;
} Focus;

static gboolean
focus_prepare(InferPluginPrepare *prepare, GError **error)
{
  Focus *self = g_new0(Focus, 1);
  gsize n_mean, n_deviation;
  const double *mean = infer_node_get_floats(prepare->node, "mean", &n_mean);
  const double *deviation = infer_node_get_floats(prepare->node, "deviation", &n_deviation);
  gint64 channels = prepare->inputs[0].dims.d[1];

  self->in = &prepare->inputs[0];
  self->out = &prepare->outputs[0];
  self->block = infer_node_get_int(prepare->node, "block", 2);
  self->scale = g_new(float, channels + 1);
  self->shift = g_new(float, channels + 1);
  for (gint64 c = 0; c < channels; c++) {
    double divisor = list_at(deviation, n_deviation, c);

    self->scale[c] = (float)(1 / divisor);
    self->shift[c] = (float)(-list_at(mean, n_mean, c) / divisor);
  }
  prepare->state = self;
  return TRUE;
}

static void
focus_release(gpointer state)
{
  Focus *self = state;

  g_free(self->scale);
  g_free(self->shift);
  g_free(self);
}

/* The loop that the compiler turns into vectors. */
#define ROW(NAME, TYPE)                                                                            \
  static void NAME(float *restrict out, const TYPE *restrict in, gint64 n, gint64 step,            \
                   float scale, float shift)                                                       \
  {                                                                                                \
    for (gint64 x = 0; x < n; x++)                                                                 \
      out[x] = (float)in[x * step] * scale + shift;                                                \
  }

ROW(row_float, float)
ROW(row_uint8, guint8)

static gboolean
focus_run(const InferPluginRun *run, GError **error)
{
  const Focus *self = run->state;
  const gint64 *is = self->in->strides, *os = self->out->strides, *d = self->out->dims.d;
  gint64 channels = self->in->dims.d[1], block = self->block;

  for (gint64 n = 0; n < d[0]; n++)
    for (gint64 k = 0; k < d[1]; k++)
      for (gint64 y = 0; y < d[2]; y++) {
        gint64 c = k % channels, i = k / channels / block, j = k / channels % block;
        gint64 from = n * is[0] + c * is[1] + (y * block + i) * is[2] + j;
        float *out = (float *)run->outputs[0] + n * os[0] + k * os[1] + y * os[2];

        if (self->in->type == INFER_TYPE_FLOAT)
          row_float(out, (const float *)run->inputs[0] + from, d[3], block, self->scale[c],
                    self->shift[c]);
        else
          row_uint8(out, (const guint8 *)run->inputs[0] + from, d[3], block, self->scale[c],
                    self->shift[c]);
      }
  return TRUE;
}

/* One row for each combination that can be run; INFER_PLUGIN_CHANNELS_LAST would be others. */
static const InferPluginFormats formats[] = {
    {{{INFER_TYPE_FLOAT, INFER_PLUGIN_ROW_MAJOR}}, {{INFER_TYPE_FLOAT, INFER_PLUGIN_ROW_MAJOR}}},
    {{{INFER_TYPE_UINT8, INFER_PLUGIN_ROW_MAJOR}}, {{INFER_TYPE_FLOAT, INFER_PLUGIN_ROW_MAJOR}}},
};

static const InferPluginImpl impls[] = {
    {
        .backend = "cpu",
        .batch_invariant = TRUE,
        .formats = formats,
        .n_formats = G_N_ELEMENTS(formats),
        .prepare = focus_prepare,
        .run = focus_run,
        .release = focus_release,
    },
    {NULL},
};

static const InferPluginCreator creator = {
    .name_space = "example",
    .name = "FocusNormalize",
    .version = 1,
    .description = "blocks of pixels moved into channels and normalised",
    .fields = fields,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .shape = focus_shape,
    .eval = focus_eval,
    .impls = impls,
};

static gboolean
focus_init(InferPluginRegistrar *registrar, GError **error)
{
  return infer_plugin_register_creator(registrar, &creator, error);
}

INFER_PLUGIN_DEFINE("focus", "an example: example.FocusNormalize", focus_init)
