/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plugin libraries, good and bad ones, by PLUGIN_KIND; see plugin.c. */
#include <infer/error.h>
#include <infer/plugin.h>

#include <string.h>

#define GOOD 0
#define OTHER_ABI 1
#define FAILS 2
#define EMPTY 3
#define SECOND_HALF 4

#if PLUGIN_KIND == EMPTY

extern INFER_API int plugin_of_something_else;
INFER_API int plugin_of_something_else = 1;

#else

static gboolean
shape(const InferNode *node, guint n_inputs, const InferPluginOperand *inputs, guint n_outputs,
      InferPluginOperand *outputs, GError **error)
{
  outputs[0].type = inputs[0].type;
  outputs[0].dims = inputs[0].dims;
  return TRUE;
}

/* Two halves: the layer is the one library's, its implementation the other's. */
static const InferPluginFormats formats[] = {
    {{{INFER_TYPE_FLOAT, INFER_PLUGIN_ANY}}, {{INFER_TYPE_FLOAT, INFER_PLUGIN_ANY}}},
};

static gboolean
prepare(InferPluginPrepare *self, GError **error)
{
  gint64 *count = g_new(gint64, 1);

  *count = infer_dims_count(&self->outputs[0].dims);
  self->state = count;
  return TRUE;
}

static gboolean
run(const InferPluginRun *self, GError **error)
{
  for (gint64 i = 0; i < *(const gint64 *)self->state; i++)
    ((float *)self->outputs[0])[i] = -((const float *)self->inputs[0])[i];
  return TRUE;
}

static const InferPluginImpl half = {.backend = "cpu",
                                     .formats = formats,
                                     .n_formats = 1,
                                     .batch_invariant = TRUE,
                                     .prepare = prepare,
                                     .run = run,
                                     .release = g_free};

static const InferPluginCreator creator = {.name_space = "library",
                                           .name = "Negate",
                                           .version = 3,
                                           .min_inputs = 1,
                                           .max_inputs = 1,
                                           .min_outputs = 1,
                                           .max_outputs = 1,
                                           .shape = shape};

static gboolean
init(InferPluginRegistrar *registrar, GError **error)
{
  if (PLUGIN_KIND == SECOND_HALF)
    return infer_plugin_register_impl(registrar, "library.Negate", 3, &half, error);
  if (PLUGIN_KIND == GOOD)
    return infer_plugin_register_creator(registrar, &creator, error);
  if (!infer_plugin_register_creator(registrar, &creator, error))
    return FALSE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE, "the licence has run out");
  return FALSE;
}

#if PLUGIN_KIND == OTHER_ABI
extern INFER_API const InferPluginEntry infer_plugin_entry;
INFER_API const InferPluginEntry infer_plugin_entry = {77, NULL, NULL, init};
#else
INFER_PLUGIN_DEFINE("a test", NULL, init)
#endif

#endif
