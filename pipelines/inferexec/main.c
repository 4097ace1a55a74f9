/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <stdio.h>
#include <string.h>

static void G_GNUC_PRINTF(3, 0)
    print_line(FILE *file, const char *level, const char *format, va_list list)
{
  fprintf(file, "[%s] ", level);
  vfprintf(file, format, list);
  fputc('\n', file);
}

void
exec_info(const char *format, ...)
{
  va_list list;
  va_start(list, format);
  print_line(stdout, "I", format, list);
  va_end(list);
}

void
exec_note(const char *format, ...)
{
  va_list list;
  va_start(list, format);
  print_line(stderr, "W", format, list);
  va_end(list);
}

void
exec_verbose(const ExecArgs *args, const char *format, ...)
{
  if (!args->verbose)
    return;
  va_list list;
  va_start(list, format);
  print_line(stdout, "V", format, list);
  va_end(list);
}

static void
print_status(const char *status, int argc, char **argv)
{
  /* Messages of both streams stay in order where they are seen together. */
  fflush(stderr);
  printf("&&&& %s inferexec #", status);
  for (int i = 0; i < argc; i++)
    printf(" %s", argv[i]);
  printf("\n");
  fflush(stdout);
}

static gboolean
show_layers(const ExecArgs *args, InferNetwork *parsed, InferEngine *engine, GError **error)
{
  if (args->export_graph != NULL && !exec_graph_export(args->export_graph, parsed, engine, error))
    return FALSE;
  if (!args->dump_layer_info && args->export_layer_info == NULL)
    return TRUE;
  g_autofree char *layers = infer_engine_inspect(engine);
  if (args->dump_layer_info) {
    if (parsed != NULL)
      exec_graph_print(parsed);
    exec_info("Layers:");
    printf("%s\n", layers);
  }
  return args->export_layer_info == NULL ||
         exec_write_file(args->export_layer_info, layers, strlen(layers), error);
}

static gboolean
show_outputs(const ExecArgs *args, InferContext *context, GError **error)
{
  if (args->dump_output && !exec_outputs_dump(context, error))
    return FALSE;
  if (args->export_output != NULL && !exec_outputs_export(args->export_output, context, error))
    return FALSE;
  return args->ref_outputs == NULL || exec_outputs_compare(args, context, error);
}

static gboolean
measure(const ExecArgs *args, const InferNetwork *parsed, InferEngine *engine, GError **error)
{
  guint most = infer_engine_get_max_batch(engine);
  if (args->batch > most && parsed != NULL) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--batch=%u: the model has a fixed batch, and runs one at a time; export it with a "
                "batch that is open",
                args->batch);
    return FALSE;
  }
  if (args->batch > most) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--batch=%u: the engine was built for at most %u; build it with --maxBatch=%u",
                args->batch, most, args->batch);
    return FALSE;
  }
  g_autoptr(GPtrArray) streams = exec_streams_new(args, engine, error);
  if (streams == NULL)
    return FALSE;

  ExecStream *stream = streams->pdata[0];
  g_autoptr(ExecTrace) trace = exec_trace_new();
  if (!exec_run(args, streams, trace, error))
    return FALSE;
  exec_report_times(args, infer_context_get_batch(stream->context), trace);
  if (args->export_times != NULL && !exec_export_times(args->export_times, trace, error))
    return FALSE;
  if (!show_outputs(args, stream->context, error) || !exec_debug_save(args, stream, error))
    return FALSE;
  if (!args->dump_profile && args->export_profile == NULL)
    return TRUE;
  if (!exec_profile(args, stream, trace, error))
    return FALSE;
  if (args->dump_profile)
    exec_report_profile(args, trace);
  return args->export_profile == NULL || exec_export_profile(args->export_profile, trace, error);
}

static gboolean
execute(const ExecArgs *args, GError **error)
{
  g_autoptr(InferNetwork) parsed = NULL;

  if (args->check_only)
    return exec_model_check(args, error);
  g_autoptr(InferEngine) engine = exec_engine_new(args, &parsed, error);
  if (engine == NULL)
    return FALSE;
  if (args->save_engine != NULL) {
    if (!infer_engine_save(engine, args->save_engine, error))
      return FALSE;
    exec_info("Plan written to %s", args->save_engine);
  }
  if (!show_layers(args, parsed, engine, error))
    return FALSE;
  return args->skip_inference || measure(args, parsed, engine, error);
}

int
main(int argc, char **argv)
{
  g_auto(ExecArgs) args = {0};
  g_autoptr(GError) error = NULL;
  gboolean good = exec_args_parse(&args, argc, argv, &error);
  if (good && args.help) {
    exec_print_help();
    return 0;
  }
  if (good && args.version) {
    printf("inferexec %s\n", INFER_VERSION);
    return 0;
  }
  print_status("RUNNING", argc, argv);
  good = good && execute(&args, &error);
  if (!good) {
    fflush(stdout);
    fprintf(stderr, "[E] %s\n", error != NULL ? error->message : "failed without a reason");
  }
  print_status(good ? "PASSED" : "FAILED", argc, argv);
  return good ? 0 : 1;
}
