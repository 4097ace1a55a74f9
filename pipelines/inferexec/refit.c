/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <infer/parsers.h>

static gboolean
dump(InferEngine *engine, GError **error)
{
  g_autoptr(InferRefit) refit = infer_refit_new(engine, error);

  if (refit == NULL)
    return FALSE;
  for (const char *const *name = infer_refit_get_names(refit); *name != NULL; name++) {
    InferType type = INFER_TYPE_UNDEFINED;
    InferDims dims = {0};
    infer_refit_get_prototype(refit, *name, &type, &dims);
    g_autofree char *shape = infer_dims_to_string(&dims);
    exec_info("Weights '%s': %s %s%s", *name, infer_type_name(type), shape,
              infer_refit_get_weights(refit, *name) == NULL ? ", left out" : "");
  }
  return TRUE;
}

static InferEngine *
fill(const char *path, InferEngine *engine, GError **error)
{
  gint64 start = g_get_monotonic_time();
  g_autoptr(InferRefit) refit = infer_refit_new(engine, error);
  g_autoptr(InferNetwork) network = refit != NULL ? infer_parse_file(path, NULL, error) : NULL;
  gint n = network != NULL ? infer_refit_set_from_network(refit, network, error) : -1;

  if (n < 0)
    return NULL;
  if (n == 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--refitFrom=%s has none of the engine's weights; --dumpRefit prints their names",
                path);
    return NULL;
  }
  gint64 parsed = g_get_monotonic_time();
  g_autoptr(InferEngine) made = infer_refit_commit(refit, NULL, error);
  if (made == NULL)
    return NULL;
  for (const char *const *note = infer_engine_get_notes(made); *note != NULL; note++)
    exec_info("Note: %s", *note);
  exec_info("%d weights of %s set: parsed in %.3f sec, refitted in %.3f sec.", n, path,
            (parsed - start) / 1e6, (g_get_monotonic_time() - parsed) / 1e6);
  return g_steal_pointer(&made);
}

InferEngine *
exec_refit(const ExecArgs *args, InferEngine *engine, GError **error)
{
  g_autoptr(InferEngine) old = engine;

  if (args->dump_refit && !dump(old, error))
    return NULL;
  return args->refit_from != NULL ? fill(args->refit_from, old, error) : g_steal_pointer(&old);
}
