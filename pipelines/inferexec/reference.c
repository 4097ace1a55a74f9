/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

/* The most bytes that a file of outputs may have. */
#define MAX_FILE ((gsize)1 << 31)

/* Elements as numbers; 64 bits of integers are kept apart, since a double does not hold them. */
typedef struct {
  InferDims dims;
  gsize n;
  double *values;
  gint64 *wholes; /* (nullable): signed, or bits of unsigned ones */
} Reference;

static void
reference_free(gpointer data)
{
  Reference *reference = data;

  g_free(reference->values);
  g_free(reference->wholes);
  g_free(reference);
}

static Reference *
reference_new(const InferDims *dims, gsize n, gboolean whole)
{
  Reference *reference = g_new0(Reference, 1);

  reference->dims = *dims;
  reference->n = n;
  reference->values = g_new0(double, n + 1);
  reference->wholes = whole ? g_new0(gint64, n + 1) : NULL;
  return reference;
}

static Reference *
from_array(const InferArray *array)
{
  gsize n = (gsize)infer_array_count(array);
  gboolean whole = exec_is_whole(array->type);
  Reference *reference = reference_new(&array->dims, n, whole);

  for (gsize i = 0; i < n; i++) {
    reference->values[i] = infer_array_get_double(array, i);
    if (whole)
      reference->wholes[i] = array->type == INFER_TYPE_UINT64
                                 ? (gint64)((const guint64 *)array->data)[i]
                                 : infer_array_get_int(array, i);
  }
  return reference;
}

/* --- JSON, as --exportOutput writes it --- */

static gboolean
read_text(const char *text, double *value, gint64 *whole)
{
  guint64 number = 0;

  if (strcmp(text, "NaN") == 0)
    *value = NAN;
  else if (strcmp(text, "Infinity") == 0)
    *value = INFINITY;
  else if (strcmp(text, "-Infinity") == 0)
    *value = -INFINITY;
  else if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &number, NULL))
    return FALSE;
  else
    *value = (double)number;
  if (whole != NULL)
    *whole = (gint64)number;
  return TRUE;
}

static gboolean
read_value(JsonNode *node, double *value, gint64 *whole)
{
  GType type = JSON_NODE_HOLDS_VALUE(node) ? json_node_get_value_type(node) : G_TYPE_INVALID;

  if (type == G_TYPE_STRING)
    return read_text(json_node_get_string(node), value, whole);
  if (type != G_TYPE_INT64 && type != G_TYPE_DOUBLE)
    return FALSE;
  *value = json_node_get_double(node);
  if (whole != NULL)
    *whole = json_node_get_int(node);
  return TRUE;
}

static gboolean
read_dims(const char *text, InferDims *dims)
{
  g_auto(GStrv) parts = g_strsplit(text, "x", INFER_MAX_DIMS + 2);
  guint n = text[0] != '\0' && strcmp(text, "scalar") != 0 ? g_strv_length(parts) : 0;

  if (n > INFER_MAX_DIMS)
    return FALSE;
  dims->n = (gint)n;
  for (guint i = 0; i < n; i++)
    if (!g_ascii_string_to_signed(parts[i], 10, 0, G_MAXINT64, &dims->d[i], NULL))
      return FALSE;
  return TRUE;
}

/* Returns: the member where it is there and a string, or an array. */
static JsonNode *
member(JsonNode *object, const char *name, gboolean array)
{
  JsonNode *node = JSON_NODE_HOLDS_OBJECT(object)
                       ? json_object_get_member(json_node_get_object(object), name)
                       : NULL;
  gboolean fits = node != NULL && (array ? JSON_NODE_HOLDS_ARRAY(node)
                                         : JSON_NODE_HOLDS_VALUE(node) &&
                                               json_node_get_value_type(node) == G_TYPE_STRING);
  return fits ? node : NULL;
}

static gboolean
read_output(const char *path, InferEngine *engine, JsonNode *node, GHashTable *references,
            GError **error)
{
  JsonNode *name = member(node, "name", FALSE), *shape = member(node, "dimensions", FALSE);
  JsonNode *values = member(node, "values", TRUE);
  InferDims dims = {0};

  if (name == NULL || shape == NULL || values == NULL ||
      !read_dims(json_node_get_string(shape), &dims)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "%s: an output is not {\"name\": ..., \"dimensions\": \"1x3\", \"values\": [...]}, "
                "as --exportOutput writes it",
                path);
    return FALSE;
  }
  JsonArray *list = json_node_get_array(values);
  guint n = json_array_get_length(list);
  const InferBinding *binding = infer_engine_find_binding(engine, json_node_get_string(name));
  Reference *reference = reference_new(&dims, n, binding != NULL && exec_is_whole(binding->type));
  g_hash_table_replace(references, g_strdup(json_node_get_string(name)), reference);
  if (infer_dims_count(&dims) != n) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE, "%s: '%s' is %s and has %u values", path,
                json_node_get_string(name), json_node_get_string(shape), n);
    return FALSE;
  }
  for (guint i = 0; i < n; i++) {
    if (!read_value(json_array_get_element(list, i), &reference->values[i],
                    reference->wholes != NULL ? &reference->wholes[i] : NULL)) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "%s: value %u of '%s' is no number",
                  path, i, json_node_get_string(name));
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
read_json(const char *path, GBytes *bytes, InferEngine *engine, GHashTable *references,
          GError **error)
{
  g_autoptr(JsonParser) parser = json_parser_new();
  g_autoptr(GError) trouble = NULL;
  gsize size = 0;
  const char *text = g_bytes_get_data(bytes, &size);
  gboolean parsed = size > 0 && g_utf8_validate(text, (gssize)size, NULL) &&
                    json_parser_load_from_data(parser, text, (gssize)size, &trouble);
  JsonNode *root = parsed ? json_parser_get_root(parser) : NULL;

  if (root == NULL || !JSON_NODE_HOLDS_ARRAY(root)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "%s: this is neither a list of outputs as --exportOutput writes it nor a .npy "
                "file%s%s",
                path, trouble != NULL ? ": " : "", trouble != NULL ? trouble->message : "");
    return FALSE;
  }
  JsonArray *outputs = json_node_get_array(root);
  for (guint i = 0; i < json_array_get_length(outputs); i++)
    if (!read_output(path, engine, json_array_get_element(outputs, i), references, error))
      return FALSE;
  return TRUE;
}

/* --- NumPy --- */

static const InferBinding *
find_output(InferEngine *engine, const char *name)
{
  const InferBinding *found = NULL;
  guint n = infer_engine_get_n_bindings(engine);

  for (guint i = 0; i < n; i++) {
    const InferBinding *binding = infer_engine_get_binding(engine, i);
    if (binding->is_input)
      continue;
    if (name != NULL && strcmp(binding->name, name) == 0)
      return binding;
    if (name == NULL && found != NULL)
      return NULL;
    found = binding;
  }
  return name == NULL ? found : NULL;
}

static gboolean
read_npy(const char *path, const char *name, GBytes *bytes, InferEngine *engine,
         GHashTable *references, GError **error)
{
  const InferBinding *output = find_output(engine, name);
  gsize size = 0;
  const guint8 *data = g_bytes_get_data(bytes, &size);
  ExecNpy npy;

  if (output == NULL) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "%s: which output this is has to be said, as in --loadRefOutputs=NAME:%s", path,
                path);
    return FALSE;
  }
  if (!exec_npy_parse(data, size, path, &npy, error))
    return FALSE;
  g_autoptr(InferArray) array = infer_array_new(npy.type, &npy.dims, error);
  if (array == NULL)
    return FALSE;
  if (array->size != 0)
    memcpy(array->data, data + npy.offset, MIN(array->size, size - npy.offset));
  g_hash_table_replace(references, g_strdup(output->name), from_array(array));
  return TRUE;
}

/* NAME:FILE where NAME is an output, else a file. */
static gboolean
read_item(const char *item, InferEngine *engine, GHashTable *references, GError **error)
{
  g_autofree char *name = NULL;
  const char *path = item;

  for (const char *colon = strrchr(item, ':'); colon != NULL && name == NULL;
       colon = g_strrstr_len(item, colon - item, ":")) {
    g_autofree char *begin = g_strndup(item, (gsize)(colon - item));
    if (find_output(engine, begin) != NULL) {
      name = g_steal_pointer(&begin);
      path = colon + 1;
    }
  }
  g_autoptr(GBytes) bytes = exec_read_file(path, MAX_FILE, MAX_FILE, error);
  if (bytes == NULL)
    return FALSE;
  gsize size = 0;
  const guint8 *data = g_bytes_get_data(bytes, &size);
  if (exec_npy_is(data, size))
    return read_npy(path, name, bytes, engine, references, error);
  return read_json(path, bytes, engine, references, error);
}

/* --- comparison --- */

static double
difference(const Reference *found, const Reference *wanted, gsize i)
{
  double a = found->values[i], b = wanted->values[i];

  if (found->wholes != NULL && wanted->wholes != NULL) {
    if (found->wholes[i] == wanted->wholes[i])
      return 0;
    return MAX(fabs(a - b), 1);
  }
  if (a == b || (isnan(a) && isnan(b)))
    return 0;
  return isnan(a - b) ? INFINITY : fabs(a - b);
}

static gboolean
compare(const ExecArgs *args, const char *name, const Reference *found, const Reference *wanted,
        GError **error)
{
  double largest = 0;
  gsize place = 0, off = 0;

  if (!infer_dims_equal(&found->dims, &wanted->dims)) {
    g_autofree char *here = infer_dims_to_string(&found->dims);
    g_autofree char *there = infer_dims_to_string(&wanted->dims);
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "output '%s' is %s, in --loadRefOutputs it is %s", name, here, there);
    return FALSE;
  }
  for (gsize i = 0; i < found->n; i++) {
    double apart = difference(found, wanted, i);
    double allowed = args->atol + args->rtol * fabs(wanted->values[i]);
    off += !(apart <= allowed);
    if (apart > largest) {
      largest = apart;
      place = i;
    }
  }
  exec_info("Output '%s': largest difference %g (element %" G_GSIZE_FORMAT ": %.9g, reference "
            "%.9g), %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT " differ by more than is allowed",
            name, largest, place, found->n > 0 ? found->values[place] : 0,
            found->n > 0 ? wanted->values[place] : 0, off, found->n);
  if (off == 0)
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED,
              "output '%s' differs from --loadRefOutputs by up to %g, allowed are --atol=%g and "
              "--rtol=%g",
              name, largest, args->atol, args->rtol);
  return FALSE;
}

/* Every output is compared and told of; the first that is off is the error. */
static gboolean
compare_all(const ExecArgs *args, InferContext *context, GHashTable *references, GError **error)
{
  InferEngine *engine = infer_context_get_engine(context);
  guint n = infer_engine_get_n_bindings(engine);
  gboolean good = TRUE;
  guint compared = 0;

  for (guint i = 0; i < n; i++) {
    const InferBinding *binding = infer_engine_get_binding(engine, i);
    Reference *wanted = g_hash_table_lookup(references, binding->name);
    if (binding->is_input)
      continue;
    if (wanted == NULL) {
      exec_note("output '%s' is not in --loadRefOutputs", binding->name);
      continue;
    }
    g_autoptr(InferArray) array = exec_output_view(context, binding, good ? error : NULL);
    Reference *found = array != NULL ? from_array(array) : NULL;
    good &= found != NULL && compare(args, binding->name, found, wanted, good ? error : NULL);
    g_clear_pointer(&found, reference_free);
    compared++;
  }
  if (compared == 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--loadRefOutputs=%s has none of the outputs", args->ref_outputs);
    return FALSE;
  }
  return good;
}

gboolean
exec_outputs_compare(const ExecArgs *args, InferContext *context, GError **error)
{
  g_autoptr(GHashTable) references =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, reference_free);
  g_auto(GStrv) items = g_strsplit(args->ref_outputs, ",", -1);

  for (char **item = items; *item != NULL; item++)
    if (!read_item(*item, infer_context_get_engine(context), references, error))
      return FALSE;
  return compare_all(args, context, references, error);
}
