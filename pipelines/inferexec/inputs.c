/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <glib/gstdio.h>
#include <string.h>

/* Any number does; it stays so that two runs can be compared. */
#define SEED 20240229

static void
input_free(gpointer data)
{
  ExecInput *input = data;
  infer_array_unref(input->array);
  g_free(input);
}

static char *
input_names(InferEngine *engine)
{
  GString *names = g_string_new(NULL);
  guint n = infer_engine_get_n_bindings(engine);
  for (guint i = 0; i < n; i++) {
    const InferBinding *binding = infer_engine_get_binding(engine, i);
    if (binding->is_input)
      g_string_append_printf(names, "%s'%s'", names->len > 0 ? ", " : "", binding->name);
  }
  return g_string_free(names, FALSE);
}

static const InferBinding *
find_input(InferEngine *engine, const char *name, gsize length)
{
  g_autofree char *copy = g_strndup(name, length);
  const InferBinding *binding = infer_engine_find_binding(engine, copy);
  return binding != NULL && binding->is_input ? binding : NULL;
}

/* Splits NAME:FILE at the colon before which the longest name of an input stands: names and files
 * may hold colons themselves. */
static const InferBinding *
split_spec(InferEngine *engine, const char *spec, const char **path)
{
  const char *quote = spec[0] == '\'' ? strchr(spec + 1, '\'') : NULL;
  if (quote != NULL && quote[1] == ':') {
    *path = quote + 2;
    return find_input(engine, spec + 1, quote - spec - 1);
  }
  for (const char *colon = strrchr(spec, ':'); colon != NULL;
       colon = g_strrstr_len(spec, colon - spec, ":")) {
    const InferBinding *binding = find_input(engine, spec, colon - spec);
    *path = colon + 1;
    if (binding != NULL)
      return binding;
  }
  return NULL;
}

/* Returns: (element-type InferBinding utf8): which file each input is loaded from. */
static GHashTable *
parse_specs(const char *specs, InferEngine *engine, GError **error)
{
  g_autoptr(GHashTable) files = g_hash_table_new_full(NULL, NULL, NULL, g_free);
  g_auto(GStrv) parts = g_strsplit(specs != NULL ? specs : "", ",", -1);
  for (char **part = parts; *part != NULL; part++) {
    const char *path = NULL;
    const InferBinding *binding = split_spec(engine, *part, &path);
    if (binding == NULL || path[0] == '\0') {
      g_autofree char *names = input_names(engine);
      g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                  "--loadInputs=%s: '%s' is not NAME:FILE with the name of an input; inputs are %s",
                  specs, *part, names);
      return NULL;
    }
    if (!g_hash_table_insert(files, (gpointer)binding, g_strdup(path))) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                  "--loadInputs=%s: input '%s' is there twice", specs, binding->name);
      return NULL;
    }
  }
  return g_steal_pointer(&files);
}

GBytes *
exec_read_file(const char *path, gsize limit, gsize needed, GError **error)
{
  GStatBuf info;
  char *data = NULL;
  gsize size = 0;
  if (g_stat(path, &info) == 0) {
    if (!S_ISREG(info.st_mode)) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "%s is not a regular file", path);
      return NULL;
    }
    if ((guint64)info.st_size > limit) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                  "%s: %" G_GUINT64_FORMAT " bytes found, %" G_GSIZE_FORMAT " needed", path,
                  (guint64)info.st_size, needed);
      return NULL;
    }
  }
  if (!g_file_get_contents(path, &data, &size, error))
    return NULL;
  return g_bytes_new_take(data, size);
}

/* Pixels to the values that the network reads; @source_last: the bytes are interleaved. */
static InferArray *
normalise(const guint8 *pixels, gboolean source_last, InferType type, const InferDims *dims,
          const InferPreprocess *pre, GError **error)
{
  ExecImage image = {0};
  InferArray *array = infer_array_new(type, dims, error);
  if (array == NULL || !exec_image_from_dims(dims, &image))
    return array;
  gsize channels = image.channels;
  gsize row = channels * image.pixels;
  gsize count = infer_array_count(array);
  for (gsize i = 0; i < count; i++) {
    gsize inside = i % row;
    gsize channel = image.channels_last ? inside % channels : inside / image.pixels;
    gsize pixel = image.channels_last ? inside / channels : inside % image.pixels;
    gsize from = source_last ? pixel * channels + channel : channel * image.pixels + pixel;
    float value = (float)pixels[i - inside + from] * pre->scale[channel] + pre->bias[channel];
    infer_array_set_double(array, i, value);
  }
  return array;
}

/* Copied, because elements in a file need not be aligned. */
static InferArray *
copy_elements(InferType type, const InferDims *dims, const guint8 *elements, gsize size,
              GError **error)
{
  InferArray *array = infer_array_new(type, dims, error);
  if (array != NULL && array->size != 0)
    memcpy(array->data, elements, MIN(array->size, size));
  return array;
}

/* Interleaved dims of an image input. */
static InferDims
interleaved(const InferDims *dims)
{
  ExecImage image;
  if (!exec_image_from_dims(dims, &image) || image.channels_last)
    return *dims;
  return INFER_DIMS(dims->d[0], dims->d[2], dims->d[3], dims->d[1]);
}

/* Whether shapes are the same, where a single row may lack its batch. */
static gboolean
shape_fits(const InferDims *found, const InferDims *dims)
{
  if (infer_dims_equal(found, dims))
    return TRUE;
  return found->n == dims->n - 1 && dims->d[0] == 1 &&
         memcmp(found->d, dims->d + 1, found->n * sizeof(gint64)) == 0;
}

static InferArray *
load_npy(const char *path, GBytes *bytes, const InferBinding *binding, const InferDims *dims,
         const InferPreprocess *pre, GError **error)
{
  gsize size = 0;
  const guint8 *data = g_bytes_get_data(bytes, &size);
  ExecNpy npy;
  if (!exec_npy_parse(data, size, path, &npy, error))
    return NULL;
  gboolean pixels = pre != NULL && npy.type == INFER_TYPE_UINT8 && binding->type != npy.type;
  if (npy.type != binding->type && !pixels) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "%s: elements are %s, input '%s' needs %s", path, infer_type_name(npy.type),
                binding->name, infer_type_name(binding->type));
    return NULL;
  }
  InferDims swapped = pixels ? interleaved(dims) : *dims;
  gboolean native = shape_fits(&npy.dims, dims);
  if (!native && !shape_fits(&npy.dims, &swapped)) {
    g_autofree char *found = infer_dims_to_string(&npy.dims);
    g_autofree char *needed = infer_dims_to_string(dims);
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "%s: shape %s found, input '%s' needs %s (the batch is set by --batch)", path,
                found, binding->name, needed);
    return NULL;
  }
  if (pixels) {
    ExecImage image = {0};
    exec_image_from_dims(dims, &image);
    exec_note("%s: uint8 pixels are normalised for input '%s'", path, binding->name);
    return normalise(data + npy.offset, !native || image.channels_last, binding->type, dims, pre,
                     error);
  }
  return copy_elements(binding->type, dims, data + npy.offset, size - npy.offset, error);
}

static InferArray *
load_raw(const char *path, GBytes *bytes, const InferBinding *binding, const InferDims *dims,
         const InferPreprocess *pre, GError **error)
{
  gsize size = 0;
  const guint8 *data = g_bytes_get_data(bytes, &size);
  gsize count = infer_dims_count(dims);
  gsize needed = infer_type_size(binding->type, count);
  if (size == needed)
    return copy_elements(binding->type, dims, data, size, error);
  if (pre != NULL && size == count) {
    exec_note("%s: taken as interleaved uint8 pixels, normalised for input '%s'", path,
              binding->name);
    return normalise(data, TRUE, binding->type, dims, pre, error);
  }
  g_autofree char *shape = infer_dims_to_string(dims);
  g_autofree char *other =
      pre != NULL ? g_strdup_printf(" (or %" G_GSIZE_FORMAT " of uint8 pixels)", count) : NULL;
  g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
              "%s: %" G_GSIZE_FORMAT " bytes found, input '%s' (%s of %s) needs %" G_GSIZE_FORMAT
              "%s",
              path, size, binding->name, shape, infer_type_name(binding->type), needed,
              other != NULL ? other : "");
  return NULL;
}

/* @pre: how pixels become elements, for the float image input. */
static InferArray *
load(const char *path, const InferBinding *binding, const InferDims *dims,
     const InferPreprocess *pre, GError **error)
{
  gint64 count = infer_dims_count(dims);
  gsize needed = count < 0 ? G_MAXSIZE : infer_type_size(binding->type, count);
  if (infer_type_bits(binding->type) == 0 || needed > G_MAXSSIZE - 2 * EXEC_NPY_MAX_HEADER) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "input '%s' of %s cannot be loaded from a file", binding->name,
                infer_type_name(binding->type));
    return NULL;
  }
  g_autoptr(GBytes) bytes = exec_read_file(path, needed + 2 * EXEC_NPY_MAX_HEADER, needed, error);
  if (bytes == NULL)
    return NULL;
  gsize size = 0;
  const guint8 *data = g_bytes_get_data(bytes, &size);
  /* A raw file may begin like a .npy file by chance; then it has exactly the bytes needed. */
  if (exec_npy_is(data, size) && (size != needed || g_str_has_suffix(path, ".npy")))
    return load_npy(path, bytes, binding, dims, pre, error);
  return load_raw(path, bytes, binding, dims, pre, error);
}

static InferArray *
make(const char *path, InferContext *context, const InferBinding *binding, GRand *random,
     GError **error)
{
  InferDims dims;
  ExecImage image;
  InferModelInfo *info = infer_engine_get_model_info(infer_context_get_engine(context));
  if (!infer_context_get_dims(context, binding->name, &dims, error))
    return NULL;
  gboolean is_image = g_strcmp0(infer_model_info_get_input(info), binding->name) == 0 &&
                      exec_image_from_dims(&dims, &image);
  const InferPreprocess *pre = is_image ? infer_model_info_get_preprocess(info) : NULL;
  if (path != NULL)
    return load(path, binding, &dims, infer_type_is_float(binding->type) ? pre : NULL, error);
  InferArray *array = infer_array_new(binding->type, &dims, error);
  if (array != NULL)
    exec_random_fill(array, pre, random);
  return array;
}

GPtrArray *
exec_inputs_new(const ExecArgs *args, InferContext *context, GError **error)
{
  InferEngine *engine = infer_context_get_engine(context);
  g_autoptr(GHashTable) files = parse_specs(args->load_inputs, engine, error);
  if (files == NULL)
    return NULL;
  g_autoptr(GRand) random = g_rand_new_with_seed(SEED);
  g_autoptr(GPtrArray) inputs = g_ptr_array_new_with_free_func(input_free);
  guint n = infer_engine_get_n_bindings(engine);
  for (guint i = 0; i < n; i++) {
    const InferBinding *binding = infer_engine_get_binding(engine, i);
    const char *path = g_hash_table_lookup(files, binding);
    if (!binding->is_input || (binding->is_optional && path == NULL))
      continue;
    InferArray *array = make(path, context, binding, random, error);
    if (array == NULL)
      return NULL;
    if (path == NULL)
      exec_verbose(args, "Input '%s' is random", binding->name);
    ExecInput *input = g_new(ExecInput, 1);
    *input = (ExecInput){binding, array};
    g_ptr_array_add(inputs, input);
  }
  return g_steal_pointer(&inputs);
}

gboolean
exec_inputs_stage(GPtrArray *inputs, InferContext *context, GError **error)
{
  for (guint i = 0; i < inputs->len; i++) {
    const ExecInput *input = inputs->pdata[i];
    const char *name = input->binding->name;
    if (input->binding->is_optional && input->array->dims.n == 0 &&
        infer_context_set_scalar(context, name, infer_array_get_double(input->array, 0)))
      continue;
    gsize size = 0;
    gpointer memory = infer_context_map(context, name, &size, error);
    if (memory == NULL)
      return FALSE;
    if (size != input->array->size) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                  "input '%s' takes %" G_GSIZE_FORMAT " bytes, there are %" G_GSIZE_FORMAT, name,
                  size, input->array->size);
      return FALSE;
    }
    if (size != 0)
      memcpy(memory, input->array->data, size);
  }
  return TRUE;
}
