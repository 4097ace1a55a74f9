/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/parsers.h>

#include "recognize.h"
#include "wire.h"

#include <string.h>

static const char plan_magic[8] = {'I', 'N', 'F', 'E', 'R', 'P', 'L', 'N'};

/* A ModelProto has a version number or operator sets beside its graph. */
static gboolean
is_onnx(const guint8 *data, gsize size)
{
  WireReader reader = {.data = data, .position = 0, .end = size};
  gboolean graph = FALSE, known = FALSE;
  g_autoptr(GError) error = NULL;

  while (wire_reader_next(&reader, &error)) {
    gboolean number = reader.field == 1 || reader.field == 5;
    if (reader.field <= 8 && reader.wire_type != (number ? 0 : 2)) {
      return FALSE;
    }
    known = known || reader.field == 1 || reader.field == 8;
    graph = graph || reader.field == 7;
  }
  return !error && graph && known;
}

InferFormat
infer_format_of_file(const char *path, GError **error)
{
  g_autoptr(GError) trouble = NULL;
  g_autofree char *name = parsers_saved_model_file(path);
  g_autoptr(GMappedFile) file = g_mapped_file_new(name, FALSE, &trouble);
  if (!file) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "%s%s", trouble->message,
                g_str_equal(name, path) ? "" : "; a folder can only be a SavedModel");
    return INFER_FORMAT_UNKNOWN;
  }
  const guint8 *data = (const guint8 *)g_mapped_file_get_contents(file);
  gsize size = g_mapped_file_get_length(file);
  if (size >= sizeof plan_magic && memcmp(data, plan_magic, sizeof plan_magic) == 0) {
    return INFER_FORMAT_PLAN;
  }
  if (size > 0 && is_onnx(data, size)) {
    return INFER_FORMAT_ONNX;
  }
  if (size > 0 && recognize_uff(data, size)) {
    return INFER_FORMAT_UFF;
  }
  if (size > 0 && (recognize_prototxt(data, size) || recognize_caffemodel(data, size))) {
    return INFER_FORMAT_CAFFE;
  }
  return size > 0 && (recognize_saved_model(data, size) || recognize_graph_def(data, size))
             ? INFER_FORMAT_TENSORFLOW
             : INFER_FORMAT_UNKNOWN;
}

/* The other half of a net stands beside it under the same name. */
static char *
caffe_sibling(const char *path, const char *suffix)
{
  const char *dot = strrchr(path, '.');
  gsize length = dot && !strchr(dot, G_DIR_SEPARATOR) ? (gsize)(dot - path) : strlen(path);
  g_autofree char *stem = g_strndup(path, length);
  g_autofree char *other = g_strconcat(stem, suffix, NULL);

  return !g_str_equal(other, path) && g_file_test(other, G_FILE_TEST_IS_REGULAR)
             ? g_steal_pointer(&other)
             : NULL;
}

static InferNetwork *
parse_caffe(const char *path, const InferParseOptions *options, GError **error)
{
  g_autoptr(GError) trouble = NULL;
  g_autoptr(GMappedFile) file = g_mapped_file_new(path, FALSE, &trouble);

  if (!file) {
    g_set_error_literal(error, INFER_ERROR, INFER_ERROR_FAILED, trouble->message);
    return NULL;
  }
  gboolean text = recognize_prototxt((const guint8 *)g_mapped_file_get_contents(file),
                                     g_mapped_file_get_length(file));
  g_autofree char *other = caffe_sibling(path, text ? ".caffemodel" : ".prototxt");
  return text ? infer_parse_caffe(path, other, options, error)
              : infer_parse_caffe(other, path, options, error);
}

static InferNetwork *
parse_by_format(const char *path, const InferParseOptions *options, GError **error)
{
  GError *trouble = NULL;
  InferFormat format = infer_format_of_file(path, &trouble);

  if (trouble) {
    g_propagate_error(error, trouble);
    return NULL;
  }
  if (format == INFER_FORMAT_TENSORFLOW) {
    return infer_parse_tensorflow(path, options, error);
  }
  if (format == INFER_FORMAT_ONNX) {
    return infer_parse_onnx(path, options, error);
  }
  if (format == INFER_FORMAT_CAFFE) {
    return parse_caffe(path, options, error);
  }
  if (format == INFER_FORMAT_UFF) {
    return infer_parse_uff(path, options, error);
  }
  if (format == INFER_FORMAT_PLAN) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "%s: this is a plan, which is loaded, not parsed", path);
    return NULL;
  }
  g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
              "%s: the format is not known; ONNX models, frozen TensorFlow "
              "GraphDefs and SavedModels, Caffe's prototxt and caffemodel, and UFF can be read",
              path);
  return NULL;
}

InferNetwork *
infer_parse_file(const char *path, const InferParseOptions *options, GError **error)
{
  g_autoptr(InferNetwork) network = parse_by_format(path, options, error);
  g_autofree char *over = network ? infer_model_info_find(path) : NULL;

  if (over && !infer_model_info_load_over(infer_network_get_model_info(network), over, error)) {
    return NULL;
  }
  return g_steal_pointer(&network);
}
