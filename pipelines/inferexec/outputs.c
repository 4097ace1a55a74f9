/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <stdio.h>

InferArray *
exec_output_view(InferContext *context, const InferBinding *binding, GError **error)
{
  InferDims dims;
  gsize size = 0;
  if (!infer_context_get_dims(context, binding->name, &dims, error))
    return NULL;
  gpointer memory = infer_context_map(context, binding->name, &size, error);
  if (memory == NULL)
    return NULL;
  gint64 count = infer_dims_count(&dims);
  if (infer_type_bits(binding->type) < 8 || count < 0 ||
      infer_type_size(binding->type, count) != size) {
    g_autofree char *shape = infer_dims_to_string(&dims);
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "output '%s' (%s of %s) cannot be shown as numbers", binding->name, shape,
                infer_type_name(binding->type));
    return NULL;
  }
  return infer_array_new_view(binding->type, &dims, memory);
}

gboolean
exec_is_whole(InferType type)
{
  return infer_type_is_integer(type) || type == INFER_TYPE_BOOL;
}

static guint64
get_uint64(const InferArray *array, gsize index)
{
  return ((const guint64 *)array->data)[index];
}

static void
print_value(const InferArray *array, gsize index)
{
  if (array->type == INFER_TYPE_UINT64)
    printf(" %" G_GUINT64_FORMAT, get_uint64(array, index));
  else if (exec_is_whole(array->type))
    printf(" %" G_GINT64_FORMAT, infer_array_get_int(array, index));
  else
    printf(" %.9g", infer_array_get_double(array, index));
}

gboolean
exec_outputs_dump(InferContext *context, GError **error)
{
  InferEngine *engine = infer_context_get_engine(context);
  guint n = infer_engine_get_n_bindings(engine);
  exec_info("Output Tensors:");
  for (guint i = 0; i < n; i++) {
    const InferBinding *binding = infer_engine_get_binding(engine, i);
    if (binding->is_input)
      continue;
    g_autoptr(InferArray) array = exec_output_view(context, binding, error);
    if (array == NULL)
      return FALSE;
    g_autofree char *shape = infer_dims_to_string(&array->dims);
    exec_info("%s: (%s)", binding->name, shape);
    gsize count = infer_array_count(array);
    gsize columns = array->dims.n > 0 ? MAX(array->dims.d[array->dims.n - 1], 1) : 1;
    for (gsize j = 0; j < count; j++) {
      print_value(array, j);
      if ((j + 1) % columns == 0)
        printf("\n");
    }
  }
  return TRUE;
}

/* JSON has no numbers for what is not finite, nor for the upper half of uint64 in this library. */
static void
add_value(JsonBuilder *builder, const InferArray *array, gsize index)
{
  if (array->type == INFER_TYPE_UINT64 && get_uint64(array, index) > G_MAXINT64) {
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, get_uint64(array, index));
    json_builder_add_string_value(builder, text);
    return;
  }
  if (exec_is_whole(array->type)) {
    json_builder_add_int_value(builder, infer_array_get_int(array, index));
    return;
  }
  double value = infer_array_get_double(array, index);
  if (isnan(value))
    json_builder_add_string_value(builder, "NaN");
  else if (isinf(value))
    json_builder_add_string_value(builder, value > 0 ? "Infinity" : "-Infinity");
  else
    json_builder_add_double_value(builder, value);
}

static void
add_output(JsonBuilder *builder, const char *name, const InferArray *array)
{
  g_autofree char *shape = infer_dims_to_string(&array->dims);
  json_builder_begin_object(builder);
  json_builder_set_member_name(builder, "name");
  json_builder_add_string_value(builder, name);
  json_builder_set_member_name(builder, "dimensions");
  json_builder_add_string_value(builder, shape);
  json_builder_set_member_name(builder, "values");
  json_builder_begin_array(builder);
  gsize count = infer_array_count(array);
  for (gsize i = 0; i < count; i++)
    add_value(builder, array, i);
  json_builder_end_array(builder);
  json_builder_end_object(builder);
}

gboolean
exec_outputs_export(const char *path, InferContext *context, GError **error)
{
  InferEngine *engine = infer_context_get_engine(context);
  g_autoptr(JsonBuilder) builder = json_builder_new();
  json_builder_begin_array(builder);
  guint n = infer_engine_get_n_bindings(engine);
  for (guint i = 0; i < n; i++) {
    const InferBinding *binding = infer_engine_get_binding(engine, i);
    if (binding->is_input)
      continue;
    g_autoptr(InferArray) array = exec_output_view(context, binding, error);
    if (array == NULL)
      return FALSE;
    add_output(builder, binding->name, array);
  }
  json_builder_end_array(builder);
  g_autoptr(JsonNode) root = json_builder_get_root(builder);
  g_autoptr(JsonGenerator) generator = json_generator_new();
  json_generator_set_root(generator, root);
  gsize size = 0;
  g_autofree char *text = json_generator_to_data(generator, &size);
  return exec_write_file(path, text, size, error);
}
