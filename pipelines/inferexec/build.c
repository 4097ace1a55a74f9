/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <infer/parsers.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
show_progress(const char *stage, double fraction, gpointer user_data)
{
  /* The line is written again and again; the rest of a longer one before is erased. */
  fprintf(stderr, "\r[%3.0f%%] %s\033[K", CLAMP(fraction, 0, 1) * 100, stage);
  if (fraction >= 1)
    fputs("\r\033[K", stderr);
  fflush(stderr);
}

/* "workspace:256", as trtexec writes it. */
static gboolean
set_workspace(const ExecArgs *args, InferBuilder *builder, GError **error)
{
  const char *text = args->pool_sizes;
  double mib = args->workspace;
  char *end = NULL;

  if (mib > 0)
    infer_builder_set_workspace_limit(builder, (gsize)(mib * 1024 * 1024));
  if (text == NULL)
    return TRUE;
  if (g_str_has_prefix(text, "workspace:") && g_ascii_isdigit(text[strlen("workspace:")]))
    mib = g_ascii_strtod(text + strlen("workspace:"), &end);
  if (end == NULL || *end != '\0' || mib <= 0 || mib > 1e9) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--memPoolSize=%s: allowed is workspace:MIB, as in workspace:256", text);
    return FALSE;
  }
  infer_builder_set_workspace_limit(builder, (gsize)(mib * 1024 * 1024));
  return TRUE;
}

static void
set_tactics(const ExecArgs *args, InferBuilder *builder)
{
  InferPrecisions precisions = args->no_tf32 ? 0 : INFER_PRECISION_TF32;

  precisions |= args->fp16 || args->best ? INFER_PRECISION_FP16 : 0;
  precisions |= args->bf16 || args->best ? INFER_PRECISION_BF16 : 0;
  precisions |= args->int8 || args->best ? INFER_PRECISION_INT8 : 0;
  infer_builder_set_precisions(builder, precisions);
  infer_builder_set_optimization_level(builder, args->level);
  infer_builder_set_time_budget(builder, (guint64)(args->time_budget * 1e9));
  infer_builder_set_deterministic(builder, args->deterministic);
  infer_builder_set_refittable(builder, args->refittable);
  infer_builder_set_stripped(builder, args->stripped);
}

static InferEngine *
build(const ExecArgs *args, InferNetwork *network, GError **error)
{
  exec_verbose(args, "Parsed: %u nodes, %u inputs, %u outputs", infer_network_get_n_nodes(network),
               infer_network_get_n_inputs(network), infer_network_get_n_outputs(network));

  g_autoptr(InferBuilder) builder = infer_builder_new();
  infer_builder_set_device(builder, args->device);
  infer_builder_set_threads(builder, args->threads);
  if (!exec_shapes_set_profile(args, builder, network, error))
    return NULL;
  if (!set_workspace(args, builder, error))
    return NULL;
  set_tactics(args, builder);
  infer_builder_set_verify(builder, !args->no_verify);
  infer_builder_set_timing_cache(builder, args->no_timing_cache ? "" : args->timing_cache);
  gboolean progress = isatty(STDERR_FILENO);
  if (progress)
    infer_builder_set_progress(builder, show_progress, NULL, NULL);

  /* Without its folder, so that the same model gives the same plan wherever it lies. */
  g_autofree char *source = g_path_get_basename(exec_model_file(args));
  gint64 start = g_get_monotonic_time();
  g_autoptr(InferEngine) engine = infer_builder_build(builder, network, source, NULL, error);
  if (progress) {
    fputs("\r\033[K", stderr);
    fflush(stderr);
  }
  if (engine != NULL)
    for (const char *const *note = infer_engine_get_notes(engine); *note != NULL; note++)
      exec_info("Note: %s", *note);
  if (engine != NULL)
    exec_info("Engine built in %.3f sec.", (g_get_monotonic_time() - start) / 1e6);
  return g_steal_pointer(&engine);
}

static InferEngine *
load(const ExecArgs *args, const char *path, GError **error)
{
  if (args->outputs != NULL) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--output cannot be used with %s, which is a plan: outputs are chosen when it is "
                "built",
                path);
    return NULL;
  }
  gint64 start = g_get_monotonic_time();
  g_autoptr(InferEngine) engine =
      infer_engine_new_from_file(path, args->device, args->threads, INFER_LOAD_MAP, error);
  if (engine != NULL)
    exec_info("Engine loaded in %.3f sec.", (g_get_monotonic_time() - start) / 1e6);
  return g_steal_pointer(&engine);
}

static void
describe(InferEngine *engine)
{
  exec_info("Device: %s, max batch %u, weights %.2f MiB", infer_engine_get_device(engine),
            infer_engine_get_max_batch(engine),
            infer_engine_get_weights_size(engine) / (1024.0 * 1024.0));
  guint n = infer_engine_get_n_bindings(engine);
  for (guint i = 0; i < n; i++) {
    const InferBinding *binding = infer_engine_get_binding(engine, i);
    g_autofree char *dims = infer_dims_to_string(&binding->dims);
    exec_info("%s '%s': %s %s%s", binding->is_input ? "Input" : "Output", binding->name,
              infer_type_name(binding->type), dims, binding->is_optional ? ", has a default" : "");
  }
}

static gboolean
append_decoder(const ExecArgs *args, InferNetwork *network, GError **error)
{
  InferDecoder decoder = INFER_DECODER_NONE;

  if (args->decoder == NULL)
    return TRUE;
  if (!infer_decoder_from_name(args->decoder, &decoder) && g_strcmp0(args->decoder, "auto") != 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--decoder=%s is not known; allowed are auto, detections, classification, ssd, "
                "yolov5, yolov8, yolov10, yolox, fastestdet and raw",
                args->decoder);
    return FALSE;
  }
  if (infer_network_get_model_info(network) == NULL) {
    g_autoptr(InferModelInfo) info = infer_model_info_new();
    infer_network_set_model_info(network, info);
  }
  if (decoder != INFER_DECODER_NONE)
    infer_model_info_set_decoder(infer_network_get_model_info(network), decoder);
  if (!infer_network_append_decoder(network, error))
    return FALSE;
  decoder = infer_model_info_get_decoder(infer_network_get_model_info(network));
  if (decoder != INFER_DECODER_NONE) {
    exec_info("Decoder: %s", infer_decoder_get_name(decoder));
    return TRUE;
  }
  g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
              "--decoder=auto: the outputs look like those of no decoder; name one, or leave the "
              "outputs as they are with --decoder=raw");
  return FALSE;
}

InferEngine *
exec_engine_new(const ExecArgs *args, InferNetwork **parsed, GError **error)
{
  const char *plan = args->load_engine;
  const char *path = exec_model_file(args);
  g_autoptr(InferNetwork) network = NULL;

  if (!exec_load_plugins(args, error))
    return NULL;
  if (args->deploy == NULL && path != NULL && path == args->model &&
      infer_format_of_file(path, NULL) == INFER_FORMAT_PLAN)
    plan = path;
  if (plan == NULL) {
    network = exec_model_parse(args, NULL, error);
    if (network == NULL || !append_decoder(args, network, error) ||
        !exec_layers_set(args, network, error) || !exec_debug_mark(args, network, error))
      return NULL;
  }
  InferEngine *engine = plan != NULL ? load(args, plan, error) : build(args, network, error);
  if (engine != NULL)
    engine = exec_refit(args, engine, error);
  if (engine != NULL)
    describe(engine);
  *parsed = g_steal_pointer(&network);
  return engine;
}
