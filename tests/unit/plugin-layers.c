/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "plugin-layers.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

gint plugin_layers_runs;

static gboolean
same_shape(const InferNode *node, guint n_inputs, const InferPluginOperand *inputs, guint n_outputs,
           InferPluginOperand *outputs, GError **error)
{
  for (guint i = 0; i < n_outputs; i++) {
    outputs[i].type = inputs[0].type;
    outputs[i].dims = inputs[0].dims;
  }
  return TRUE;
}

/* --- test.Scale: in * factor + offset (+ a constant vector of weights, summed up) --- */

static const InferPluginField scale_fields[] = {
    {"factor", 'f', TRUE, NULL, "what is multiplied by"},
    {"offset", 'f', FALSE, "0.25", "what is added"},
    {"axes", 'I', FALSE, NULL, NULL},
    {"label", 's', FALSE, "'plain'", NULL},
    {"names", 'S', FALSE, NULL, NULL},
    {"blob", 'y', FALSE, NULL, NULL},
    {"order", 'i', FALSE, "1", NULL},
    {NULL},
};

static gboolean
scale_eval(const InferNode *node, guint n_inputs, const InferArray *const *inputs, guint n_outputs,
           InferArray **outputs, gpointer scratch, GError **error)
{
  double factor = infer_node_get_float(node, "factor", 0);
  double offset = infer_node_get_float(node, "offset", 0);

  for (gint64 i = 0; n_inputs > 1 && inputs[1] && i < infer_array_count(inputs[1]); i++)
    offset += infer_array_get_double(inputs[1], (gsize)i);
  for (gint64 i = 0; i < infer_array_count(inputs[0]); i++)
    infer_array_set_double(outputs[0], (gsize)i,
                           infer_array_get_double(inputs[0], (gsize)i) * factor + offset);
  return TRUE;
}

typedef struct {
  gint64 count;
  float factor, offset;
} Scale;

static gboolean
scale_prepare(InferPluginPrepare *prepare, GError **error)
{
  Scale *self = g_new0(Scale, 1);
  const InferArray *weights = prepare->n_inputs > 1 ? prepare->inputs[1].value : NULL;

  self->count = infer_dims_count(&prepare->outputs[0].dims);
  self->factor = (float)infer_node_get_float(prepare->node, "factor", 0);
  self->offset = (float)infer_node_get_float(prepare->node, "offset", 0);
  for (gint64 i = 0; weights && i < infer_array_count(weights); i++)
    self->offset += (float)infer_array_get_double(weights, (gsize)i);
  prepare->workspace = 256;
  prepare->state = self;
  return TRUE;
}

static gboolean
scale_run(const InferPluginRun *run, GError **error)
{
  const Scale *self = run->state;
  const float *in = run->inputs[0];
  float *out = run->outputs[0];

  memset(run->workspace, 0xff, 256);
  for (gint64 i = 0; i < self->count; i++)
    out[i] = in[i] * self->factor + self->offset;
  g_atomic_int_inc(&plugin_layers_runs);
  return TRUE;
}

/* Memory of the null device cannot be reached from outside; here is a part of that device. */
static void
reach(const void *memory, gsize size, int how)
{
  gsize page = (gsize)sysconf(_SC_PAGESIZE), start = (gsize)memory / page * page;

  g_assert_cmpint(mprotect((void *)start, (gsize)memory + size - start, how), ==, 0);
}

static gboolean
null_run(const InferPluginRun *run, GError **error)
{
  gsize size = (gsize)((const Scale *)run->state)->count * sizeof(float);
  const void *memory[] = {run->inputs[0], run->outputs[0], run->workspace, run->inputs[1]};
  const gsize sizes[] = {size, size, 256, 2 * sizeof(float)};
  gboolean ok;

  for (guint i = 0; i < G_N_ELEMENTS(memory); i++)
    if (memory[i])
      reach(memory[i], sizes[i], PROT_READ | PROT_WRITE);
  /* Constants are there as well. */
  g_assert_true(!memory[3] || ((const float *)memory[3])[1] == 2);
  ok = scale_run(run, error);
  for (guint i = 0; i < G_N_ELEMENTS(memory); i++)
    if (memory[i])
      reach(memory[i], sizes[i], PROT_NONE);
  return ok;
}

static gboolean
wrong_run(const InferPluginRun *run, GError **error)
{
  gboolean ok = scale_run(run, error);

  ((float *)run->outputs[0])[0] += 1;
  return ok;
}

static gboolean
failing_run(const InferPluginRun *run, GError **error)
{
  g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE, "the board is not plugged in");
  return FALSE;
}

#define F32(LAYOUT)                                                                                \
  {                                                                                                \
    INFER_TYPE_FLOAT, LAYOUT                                                                       \
  }

static const InferPluginFormats any[] = {
    {{F32(INFER_PLUGIN_ANY), F32(INFER_PLUGIN_ROW_MAJOR)}, {F32(INFER_PLUGIN_ANY)}},
};

#define IMPL(BACKEND, RUN)                                                                         \
  {                                                                                                \
    .backend = BACKEND, .batch_invariant = TRUE, .formats = any, .n_formats = 1,                   \
    .prepare = scale_prepare, .run = RUN, .release = g_free                                        \
  }

static const InferPluginImpl scale_impls[] = {IMPL("cpu", scale_run), {NULL}};
static const InferPluginImpl wrong_impls[] = {IMPL("cpu", wrong_run), {NULL}};
static const InferPluginImpl failing_impls[] = {IMPL("cpu", failing_run), {NULL}};
static const InferPluginImpl null_impls[] = {IMPL("null", null_run), {NULL}};

#define LAYER(SPACE, NAME, VERSION, ...)                                                           \
  {                                                                                                \
    .name_space = SPACE, .name = NAME, .version = VERSION, .fields = scale_fields,                 \
    .min_inputs = 1, .max_inputs = 2, .min_outputs = 1, .max_outputs = 1, .shape = same_shape,     \
    __VA_ARGS__                                                                                    \
  }

/* --- test.Rows: channels-last memory, found through strides; two outputs --- */

static gboolean
last_prepare(InferPluginPrepare *prepare, GError **error)
{
  prepare->state = prepare;
  return prepare->inputs[0].strides[1] == 1 && prepare->outputs[1].strides[1] == 1;
}

static gboolean
last_run(const InferPluginRun *run, GError **error)
{
  const InferPluginPrepare *self = run->state;
  gint64 count = infer_dims_count(&self->inputs[0].dims), channels = self->inputs[0].dims.d[1];

  for (gint64 i = 0; i < count; i++) {
    float value = ((const float *)run->inputs[0])[i];
    ((float *)run->outputs[0])[i] = value * (float)(i % channels);
    ((float *)run->outputs[1])[i] = value;
  }
  g_atomic_int_inc(&plugin_layers_runs);
  return TRUE;
}

static gboolean
last_eval(const InferNode *node, guint n_inputs, const InferArray *const *inputs, guint n_outputs,
          InferArray **outputs, gpointer scratch, GError **error)
{
  const gint64 *d = inputs[0]->dims.d;
  gint64 plane = d[2] * d[3];

  for (gint64 i = 0; i < infer_array_count(inputs[0]); i++) {
    float value = ((const float *)inputs[0]->data)[i];
    ((float *)outputs[0]->data)[i] = value * (float)(i / plane % d[1]);
    ((float *)outputs[1]->data)[i] = value;
  }
  return TRUE;
}

static const InferPluginFormats last[] = {
    {{F32(INFER_PLUGIN_CHANNELS_LAST)}, {F32(INFER_PLUGIN_CHANNELS_LAST)}},
};
static const InferPluginImpl last_impls[] = {{.backend = "cpu",
                                              .name = "test.last",
                                              .batch_invariant = TRUE,
                                              .formats = last,
                                              .n_formats = 1,
                                              .prepare = last_prepare,
                                              .run = last_run},
                                             {NULL}};

/* --- test.Positive: as many elements as the data says --- */

static gboolean
positive_shape(const InferNode *node, guint n_inputs, const InferPluginOperand *inputs,
               guint n_outputs, InferPluginOperand *outputs, GError **error)
{
  outputs[0].type = inputs[0].type;
  outputs[0].dims = INFER_DIMS(INFER_DIM_UNKNOWN);
  return TRUE;
}

static gboolean
positive_eval(const InferNode *node, guint n_inputs, const InferArray *const *inputs,
              guint n_outputs, InferArray **outputs, gpointer scratch, GError **error)
{
  const float *in = inputs[0]->data;
  gint64 n = 0;

  for (gint64 i = 0; i < infer_array_count(inputs[0]); i++)
    n += in[i] > 0;
  outputs[0] = infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(n), error);
  for (gint64 i = 0, at = 0; outputs[0] && i < infer_array_count(inputs[0]); i++)
    if (in[i] > 0)
      ((float *)outputs[0]->data)[at++] = in[i];
  return outputs[0] != NULL;
}

/* --- answers that cannot be --- */

static gboolean
silent_shape(const InferNode *node, guint n_inputs, const InferPluginOperand *inputs,
             guint n_outputs, InferPluginOperand *outputs, GError **error)
{
  return FALSE;
}

static gboolean
foreign_shape(const InferNode *node, guint n_inputs, const InferPluginOperand *inputs,
              guint n_outputs, InferPluginOperand *outputs, GError **error)
{
  outputs[0].type = INFER_TYPE_FLOAT;
  outputs[0].dims = INFER_DIMS(INFER_DIM_SYMBOL(40));
  return TRUE;
}

static const InferPluginCreator creators[] = {
    LAYER("test", "Scale", 1, .description = "scales", .eval = scale_eval, .impls = scale_impls),
    LAYER("test", "Reference", 1, .eval = scale_eval),
    LAYER("test", "Wrong", 1, .eval = scale_eval, .impls = wrong_impls),
    LAYER("test", "Failing", 1, .eval = scale_eval, .impls = failing_impls),
    LAYER("test", "Opaque", 1, .impls = scale_impls),
    LAYER("test", "Null", 1, .eval = scale_eval, .impls = null_impls),
    LAYER("test", "Nowhere", 1),
    LAYER("test", "Twice", 1, .eval = scale_eval),
    LAYER("other", "Twice", 1, .eval = scale_eval),
    {.name_space = "test",
     .name = "Rows",
     .version = 4,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 2,
     .max_outputs = 2,
     .shape = same_shape,
     .eval = last_eval,
     .impls = last_impls},
    {.name_space = "test",
     .name = "Positive",
     .version = 1,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .shape = positive_shape,
     .eval = positive_eval},
    {.name_space = "test",
     .name = "Silent",
     .version = 1,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .shape = silent_shape},
    {.name_space = "test",
     .name = "Foreign",
     .version = 1,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .shape = foreign_shape},
};

static const InferPluginCreator newer =
    LAYER("test", "Scale", 2, .eval = scale_eval, .impls = scale_impls);

static gboolean
init_all(InferPluginRegistrar *registrar, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS(creators); i++)
    if (!infer_plugin_register_creator(registrar, &creators[i], error))
      return FALSE;
  return TRUE;
}

static gboolean
init_newer(InferPluginRegistrar *registrar, GError **error)
{
  return infer_plugin_register_creator(registrar, &newer, error);
}

static const InferPluginEntry entry_all = {INFER_PLUGIN_ABI, "layers of the test", NULL, init_all};
static const InferPluginEntry entry_newer = {INFER_PLUGIN_ABI, "newer layers", NULL, init_newer};
const InferPluginEntry plugin_layers_again = {INFER_PLUGIN_ABI, "layers again", NULL, init_all};

void
plugin_layers_register(gboolean only_newer)
{
  g_autoptr(GError) error = NULL;

  infer_plugin_register(only_newer ? &entry_newer : &entry_all, &error);
  g_assert_no_error(error);
}
