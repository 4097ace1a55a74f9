/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <math.h>
#include <string.h>

static gboolean
bad_value(const ExecFlag *flag, const char *value, const char *allowed, GError **error)
{
  g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "--%s=%s: allowed is %s", flag->name, value,
              allowed);
  return FALSE;
}

static gboolean
parse_number(const ExecFlag *flag, const char *value, double *number)
{
  char *end = NULL;
  if (value[0] == '\0' || !(g_ascii_isdigit(value[0]) || value[0] == '.'))
    return FALSE;
  *number = g_ascii_strtod(value, &end);
  return *end == '\0' && isfinite(*number) && *number >= flag->min && *number <= flag->max;
}

static gboolean
parse_uint(const ExecFlag *flag, const char *value, guint *result, GError **error)
{
  guint64 number = 0;
  if (g_ascii_string_to_unsigned(value, 10, flag->min, flag->max, &number, NULL)) {
    *result = number;
    return TRUE;
  }
  g_autofree char *allowed =
      g_strdup_printf("a whole number from %.0f to %.0f", flag->min, flag->max);
  return bad_value(flag, value, allowed, error);
}

static gboolean
parse_double(const ExecFlag *flag, const char *value, double *result, GError **error)
{
  if (parse_number(flag, value, result))
    return TRUE;
  g_autofree char *allowed = g_strdup_printf("a number from %.10g to %.10g", flag->min, flag->max);
  return bad_value(flag, value, allowed, error);
}

static gboolean
parse_percentiles(const ExecFlag *flag, const char *value, GArray **result, GError **error)
{
  g_auto(GStrv) parts = g_strsplit(value, ",", -1);
  g_autoptr(GArray) numbers = g_array_new(FALSE, FALSE, sizeof(double));
  for (char **part = parts; *part != NULL; part++) {
    double number = 0;
    if (!parse_number(flag, *part, &number))
      return bad_value(flag, value, "a list of numbers from 0 to 100, as in 90,95,99", error);
    g_array_append_val(numbers, number);
  }
  if (numbers->len == 0)
    return bad_value(flag, value, "a list of numbers from 0 to 100, as in 90,95,99", error);
  g_clear_pointer(result, g_array_unref);
  *result = g_steal_pointer(&numbers);
  return TRUE;
}

static gboolean
parse_names(const ExecFlag *flag, const char *value, char ***result, GError **error)
{
  g_auto(GStrv) names = g_strsplit(value, ",", -1);
  for (char **name = names; *name != NULL; name++) {
    if ((*name)[0] == '\0')
      return bad_value(flag, value, "a list of names with commas between them", error);
  }
  g_strfreev(*result);
  *result = g_steal_pointer(&names);
  return TRUE;
}

static gboolean
parse_device(const ExecFlag *flag, const char *value, char **result, GError **error)
{
  const char *digits = g_str_has_prefix(value, "cuda:") ? value + strlen("cuda:") : value;
  gboolean number = g_ascii_string_to_unsigned(digits, 10, 0, 1023, NULL, NULL);
  if (!number && strcmp(value, "auto") != 0 && strcmp(value, "cpu") != 0 &&
      strcmp(value, "cuda") != 0 && strcmp(value, "null") != 0)
    return bad_value(flag, value, "auto, cpu, or cuda:N with N the number of the GPU", error);
  g_free(*result);
  *result = number ? g_strdup_printf("cuda:%s", digits) : g_strdup(value);
  return TRUE;
}

static gboolean
set_flag(ExecArgs *args, const ExecFlag *flag, const char *value, GError **error)
{
  gpointer field = G_STRUCT_MEMBER_P(args, flag->offset);
  switch (flag->kind) {
  case EXEC_FLAG_BOOL:
    *(gboolean *)field = TRUE;
    return TRUE;
  case EXEC_FLAG_STRING:
    g_free(*(char **)field);
    *(char **)field = g_strdup(value);
    return TRUE;
  case EXEC_FLAG_STRINGS:
    if (!*(GPtrArray **)field)
      *(GPtrArray **)field = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(*(GPtrArray **)field, g_strdup(value));
    return TRUE;
  case EXEC_FLAG_NAMES:
    return parse_names(flag, value, field, error);
  case EXEC_FLAG_UINT:
    return parse_uint(flag, value, field, error);
  case EXEC_FLAG_DOUBLE:
    return parse_double(flag, value, field, error);
  case EXEC_FLAG_PERCENTILES:
    return parse_percentiles(flag, value, field, error);
  case EXEC_FLAG_DEVICE:
    return parse_device(flag, value, field, error);
  }
  return TRUE;
}

static const ExecFlag *
find_flag(const char *name)
{
  for (const ExecFlag *flag = exec_flags; flag->name != NULL; flag++) {
    if (strcmp(flag->name, name) == 0)
      return flag;
  }
  return NULL;
}

static gboolean
parse_argument(ExecArgs *args, const char *argument, GError **error)
{
  if (strcmp(argument, "-h") == 0) {
    args->help = TRUE;
    return TRUE;
  }
  if (!g_str_has_prefix(argument, "--")) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "'%s' is not a flag; flags are written --flag=value (see --help)", argument);
    return FALSE;
  }
  const char *equals = strchr(argument, '=');
  g_autofree char *name =
      equals ? g_strndup(argument + 2, equals - argument - 2) : g_strdup(argument + 2);
  const ExecFlag *flag = find_flag(name);
  if (flag == NULL) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "unknown flag '--%s'; the nearest that is known is '--%s' (see --help)", name,
                exec_nearest_flag(name));
    return FALSE;
  }
  if (flag->kind == EXEC_FLAG_BOOL && equals != NULL) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "'%s': --%s takes no value", argument,
                flag->name);
    return FALSE;
  }
  if (flag->kind != EXEC_FLAG_BOOL && (equals == NULL || equals[1] == '\0')) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "'%s': a value is missing, it is written --%s=%s", argument, flag->name,
                flag->value);
    return FALSE;
  }
  if (strcmp(flag->name, "avgRuns") == 0)
    args->given_avg_runs = TRUE;
  return set_flag(args, flag, equals ? equals + 1 : NULL, error);
}

/* --deploy takes --model as its other half; otherwise each names a model of its own. */
static gboolean
check_sources(const ExecArgs *args, GError **error)
{
  guint sources = (args->tf != NULL) + (args->onnx != NULL) + (args->uff != NULL) +
                  (args->deploy != NULL || args->model != NULL) + (args->load_engine != NULL);

  if (sources != 1) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "%s of --onnx=FILE, --tf=FILE, --uff=FILE, --deploy=FILE, --model=FILE and "
                "--loadEngine=FILE %s given; give one (--deploy with --model as its weights)",
                sources == 0 ? "none" : "more than one", sources == 0 ? "was" : "were");
    return FALSE;
  }
  const char *flag = args->layer_precisions ? "layerPrecisions"
                     : args->layer_devices  ? "layerDevices"
                     : args->mark_debug     ? "markDebug"
                     : args->refittable     ? "refit"
                     : args->stripped       ? "stripWeights"
                                            : NULL;
  if (args->load_engine != NULL && flag != NULL) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--%s cannot be used with --loadEngine: it is chosen when a plan is built", flag);
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_together(ExecArgs *args, GError **error)
{
  if (args->help || args->version)
    return TRUE;
  if (!check_sources(args, error))
    return FALSE;
  if (args->max_batch != 0 && args->max_batch < args->batch) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--batch=%u is greater than --maxBatch=%u; raise --maxBatch", args->batch,
                args->max_batch);
    return FALSE;
  }
  return TRUE;
}

gboolean
exec_args_parse(ExecArgs *args, int argc, char **argv, GError **error)
{
  static const double percentiles[] = {90, 95, 99};
  *args = (ExecArgs){.batch = 1,
                     .iterations = 10,
                     .avg_runs = 10,
                     .warm_up = 200,
                     .duration = 3,
                     .level = 3,
                     .streams = 1,
                     .atol = 1e-5,
                     .rtol = 1e-5};
  args->device = g_strdup("auto");
  args->percentiles = g_array_new(FALSE, FALSE, sizeof(double));
  g_array_append_vals(args->percentiles, percentiles, G_N_ELEMENTS(percentiles));
  for (int i = 1; i < argc; i++) {
    if (!parse_argument(args, argv[i], error))
      return FALSE;
  }
  return check_together(args, error);
}

void
exec_args_clear(ExecArgs *args)
{
  for (const ExecFlag *flag = exec_flags; flag->name != NULL; flag++) {
    gpointer field = G_STRUCT_MEMBER_P(args, flag->offset);
    if (flag->kind == EXEC_FLAG_STRING || flag->kind == EXEC_FLAG_DEVICE)
      g_clear_pointer((char **)field, g_free);
    else if (flag->kind == EXEC_FLAG_NAMES)
      g_clear_pointer((char ***)field, g_strfreev);
  }
  g_clear_pointer(&args->plugins, g_ptr_array_unref);
  g_clear_pointer(&args->tf_inputs, g_ptr_array_unref);
  g_clear_pointer(&args->uff_inputs, g_ptr_array_unref);
  g_clear_pointer(&args->percentiles, g_array_unref);
}
