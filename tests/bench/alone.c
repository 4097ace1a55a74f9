/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "alone.h"
#include <infer/parsers.h>

gboolean
alone_open(Alone *alone, const char *model, guint max_batch, GError **error)
{
  const InferParseOptions options = {.max_batch = max_batch};
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(InferNetwork) network = NULL;

  *alone = (Alone){NULL};
  if (infer_format_of_file(model, NULL) == INFER_FORMAT_PLAN) {
    alone->engine = infer_engine_new_from_file(model, "cpu", 0, INFER_LOAD_MAP, error);
  } else {
    network = infer_parse_file(model, &options, error);
    if (!network || !infer_network_append_decoder(network, error))
      return FALSE;
    infer_builder_set_device(builder, "cpu");
    infer_builder_set_max_batch(builder, max_batch);
    alone->engine = infer_builder_build(builder, network, model, NULL, error);
  }
  if (alone->engine)
    alone->context = infer_context_new(alone->engine, error);
  return alone->context != NULL;
}

/* Random pictures; scalar inputs keep what they are. */
static gboolean
fill(Alone *alone, GError **error)
{
  g_autoptr(GRand) random = g_rand_new_with_seed(1);

  for (guint i = 0; i < infer_engine_get_n_bindings(alone->engine); i++) {
    const InferBinding *binding = infer_engine_get_binding(alone->engine, i);
    gsize size;
    gpointer data;

    if (!binding->is_input || binding->is_optional)
      continue;
    data = infer_context_map(alone->context, binding->name, &size, error);
    if (!data)
      return FALSE;
    if (binding->type == INFER_TYPE_FLOAT) {
      for (gsize k = 0; k < size / sizeof(float); k++)
        ((float *)data)[k] = (float)g_rand_double_range(random, -1, 1);
    } else {
      for (gsize k = 0; k < size; k++)
        ((guint8 *)data)[k] = (guint8)g_rand_int(random);
    }
  }
  return TRUE;
}

gdouble
alone_rate(Alone *alone, guint batch, gdouble seconds, GError **error)
{
  gint64 start, now;
  guint runs = 0;

  if (!infer_context_set_batch(alone->context, batch, error) || !fill(alone, error) ||
      !infer_context_run(alone->context, error))
    return 0;
  start = g_get_monotonic_time();
  do {
    if (!infer_context_run(alone->context, error))
      return 0;
    runs++;
    now = g_get_monotonic_time();
  } while ((gdouble)(now - start) < seconds * G_USEC_PER_SEC);
  return (gdouble)runs * batch * G_USEC_PER_SEC / (gdouble)(now - start);
}

guint
alone_best(Alone *alone, gdouble seconds, GError **error)
{
  gdouble most = 0;
  guint best = 0;

  for (guint batch = 1; batch <= infer_engine_get_max_batch(alone->engine); batch *= 2) {
    const gdouble rate = alone_rate(alone, batch, seconds, error);
    if (rate <= 0)
      return 0;
    if (rate > most) {
      most = rate;
      best = batch;
    }
  }
  return best;
}

void
alone_close(Alone *alone)
{
  g_clear_object(&alone->context);
  g_clear_object(&alone->engine);
}
