/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <infer/error.h>

#include "modelinfo-private.h"

#define MAX_FILE_SIZE (1024 * 1024)

static const char *const dir_names[] = {"input", "output", NULL};

static const char *const main_keys[] = {
    "version",        "group-id",  "decoder",       "labels",     "score-threshold",
    "label-file",     "box-order", "first-class",   "classes",    "top-k",
    "activation",     "anchors",   "iou-threshold", "background", "max-detections",
    "class-agnostic", NULL};
static const char *const tensor_keys[] = {"id", "type", "dims", "dir", "ranges", "name", NULL};

/* A key file while it is read. */
typedef struct {
  GKeyFile *keys;
  const char *source;
  const char *folder; /* NULL where the text does not come from a file */
  InferModelValues *values;
} Reader;

char *
infer_model_info_read_file(const char *path, gsize *length, GError **error)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat st;

  if (fd < 0 || fstat(fd, &st) != 0) {
    int code = errno;
    if (fd >= 0)
      close(fd);
    g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "%s cannot be read: %s", path,
                g_strerror(code));
    return NULL;
  }
  if (!S_ISREG(st.st_mode) || st.st_size > MAX_FILE_SIZE) {
    close(fd);
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL,
                S_ISREG(st.st_mode) ? "%s is larger than 1 MiB: it is not a text file for a model"
                                    : "%s is not a regular file",
                path);
    return NULL;
  }

  g_autofree char *text = g_malloc(MAX_FILE_SIZE + 1);
  gsize used = 0;
  ssize_t got = 0;
  while (used < MAX_FILE_SIZE) {
    got = read(fd, text + used, MAX_FILE_SIZE - used);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      break;
    used += (gsize)got;
  }
  int code = errno;
  close(fd);
  if (got < 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "%s cannot be read: %s", path,
                g_strerror(code));
    return NULL;
  }
  text[used] = '\0';
  *length = used;
  return g_realloc(g_steal_pointer(&text), used + 1);
}

char **
infer_labels_load(const char *path, GError **error)
{
  gsize length = 0;
  g_autofree char *text = infer_model_info_read_file(path, &length, error);
  if (text == NULL)
    return NULL;

  const char *at = text;
  if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
    at += 3;
  const char *bad = NULL;
  if (!g_utf8_validate(at, (gssize)(length - (gsize)(at - text)), &bad)) {
    guint line = 1;
    for (const char *p = at; p < bad; p++)
      line += *p == '\n';
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL,
                "%s: line %u is not UTF-8 text: write one label a line in UTF-8", path, line);
    return NULL;
  }

  g_auto(GStrv) lines = g_strsplit(at, "\n", -1);
  guint n = g_strv_length(lines);
  if (n > 0 && (*lines[n - 1] == '\0' || g_str_equal(lines[n - 1], "\r")))
    g_clear_pointer(&lines[--n], g_free);
  if (n == 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "%s holds no labels: write one label a line",
                path);
    return NULL;
  }
  for (guint i = 0; i < n; i++)
    g_strstrip(lines[i]);
  return g_steal_pointer(&lines);
}

G_GNUC_PRINTF(5, 6)
static gboolean
wrong_value(const Reader *reader, const char *group, const char *key, GError **error,
            const char *format, ...)
{
  g_autofree char *value = g_key_file_get_value(reader->keys, group, key, NULL);
  g_autofree char *shown = value ? g_utf8_make_valid(value, MIN(strlen(value), 80)) : NULL;
  va_list args;

  va_start(args, format);
  g_autofree char *reason = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "%s: [%s] %s=%s: %s", reader->source, group,
              key, shown ? shown : "", reason);
  return FALSE;
}

/* The value without surrounding space, or NULL where there is no such key. */
static gboolean
read_string(const Reader *reader, const char *group, const char *key, char **value, GError **error)
{
  g_autoptr(GError) reason = NULL;

  *value = NULL;
  if (!g_key_file_has_key(reader->keys, group, key, NULL))
    return TRUE;
  *value = g_key_file_get_string(reader->keys, group, key, &reason);
  if (*value == NULL)
    return wrong_value(reader, group, key, error, "%s", reason->message);
  g_strstrip(*value);
  return TRUE;
}

static gboolean
read_choice(const Reader *reader, const char *group, const char *key, const char *const *names,
            int *choice, GError **error)
{
  g_autofree char *text = NULL;
  if (!read_string(reader, group, key, &text, error))
    return FALSE;
  if (text == NULL)
    return TRUE;
  for (int i = 0; names[i] != NULL; i++) {
    if (g_str_equal(names[i], text)) {
      *choice = i;
      return TRUE;
    }
  }
  g_autofree char *allowed = g_strjoinv(", ", (char **)names);
  return wrong_value(reader, group, key, error, "allowed are %s", allowed);
}

static gboolean
parse_float(const char *text, float *value)
{
  char *end = NULL;
  double number = g_ascii_strtod(text, &end);

  while (g_ascii_isspace(*end))
    end++;
  *value = (float)number;
  return end != text && *end == '\0' && isfinite(*value);
}

/* Numbers between semicolons, one for all channels or one per channel. */
static gboolean
read_channels(const Reader *reader, const char *group, const char *key, float lowest, float highest,
              float values[3], GError **error)
{
  g_autofree char *text = NULL;
  if (!read_string(reader, group, key, &text, error))
    return FALSE;
  if (text == NULL)
    return TRUE;

  if (g_str_has_suffix(text, ";"))
    text[strlen(text) - 1] = '\0';
  g_auto(GStrv) parts = g_strsplit(text, ";", 5);
  guint n = g_strv_length(parts);
  float numbers[3];
  gboolean ok = n == 1 || n == 3;
  for (guint i = 0; ok && i < n; i++)
    ok = parse_float(parts[i], &numbers[i]) && numbers[i] >= lowest && numbers[i] <= highest;
  if (!ok)
    return wrong_value(reader, group, key, error,
                       "allowed is one number, or three separated by semicolons%s",
                       lowest == 0 ? ", of 0 to 255" : "");
  for (guint i = 0; i < 3; i++)
    values[i] = numbers[n == 1 ? 0 : i];
  return TRUE;
}

static gboolean
parse_range(const char *text, double *scale, double *bias)
{
  g_auto(GStrv) ends = g_strsplit(text, ",", 3);
  float low, high;

  if (g_strv_length(ends) != 2 || !parse_float(ends[0], &low) || !parse_float(ends[1], &high))
    return FALSE;
  *scale = ((double)high - (double)low) / 255.0;
  *bias = (double)low;
  return isfinite((float)*scale);
}

static gboolean
read_ranges(const Reader *reader, const char *group, InferPreprocess *pre, GError **error)
{
  g_autofree char *text = NULL;
  if (!read_string(reader, group, "ranges", &text, error))
    return FALSE;
  if (text == NULL)
    return TRUE;

  if (g_str_has_suffix(text, ";"))
    text[strlen(text) - 1] = '\0';
  g_auto(GStrv) parts = g_strsplit(text, ";", 5);
  guint n = g_strv_length(parts);
  double scale[3], bias[3];
  gboolean ok = n == 1 || n == 3;
  for (guint i = 0; ok && i < n; i++)
    ok = parse_range(parts[i], &scale[i], &bias[i]);
  if (!ok)
    return wrong_value(reader, group, "ranges", error,
                       "allowed is one pair lowest,highest or three separated by semicolons");
  for (guint i = 0; i < 3; i++) {
    pre->scale[i] = (float)scale[n == 1 ? 0 : i];
    pre->bias[i] = (float)bias[n == 1 ? 0 : i];
  }
  return TRUE;
}

static gboolean
read_image_input(const Reader *reader, const char *group, GError **error)
{
  InferPreprocess *pre = &reader->values->pre;
  int color = pre->color, resize = pre->resize, filter = pre->filter, coord = pre->coordinates;

  if (!read_choice(reader, group, "color", infer_color_names, &color, error) ||
      !read_choice(reader, group, "resize", infer_resize_names, &resize, error) ||
      !read_choice(reader, group, "filter", infer_filter_names, &filter, error) ||
      !read_choice(reader, group, "coordinates", infer_coordinates_names, &coord, error) ||
      !read_ranges(reader, group, pre, error) ||
      !read_channels(reader, group, "scale", -G_MAXFLOAT, G_MAXFLOAT, pre->scale, error) ||
      !read_channels(reader, group, "bias", -G_MAXFLOAT, G_MAXFLOAT, pre->bias, error) ||
      !read_channels(reader, group, "pad", 0, 255, pre->pad, error))
    return FALSE;
  pre->color = (InferColor)color;
  pre->resize = (InferResize)resize;
  pre->filter = (InferFilter)filter;
  pre->coordinates = (InferCoordinates)coord;
  return TRUE;
}

static gboolean
read_labels(const Reader *reader, GError **error)
{
  gboolean inline_labels = g_key_file_has_key(reader->keys, MAIN_GROUP, "labels", NULL);
  g_autofree char *path = NULL;
  g_auto(GStrv) labels = NULL;

  if (!read_string(reader, MAIN_GROUP, "label-file", &path, error))
    return FALSE;
  if (path != NULL) {
    if (inline_labels)
      return wrong_value(reader, MAIN_GROUP, "label-file", error,
                         "labels is given as well: keep one of the two");
    if (reader->folder == NULL || *path == '\0')
      return wrong_value(reader, MAIN_GROUP, "label-file", error,
                         "allowed is the name of a file, and only in a file: use labels here");
    g_autofree char *full =
        g_path_is_absolute(path) ? g_strdup(path) : g_build_filename(reader->folder, path, NULL);
    g_autoptr(GError) reason = NULL;
    labels = infer_labels_load(full, &reason);
    if (labels == NULL)
      return wrong_value(reader, MAIN_GROUP, "label-file", error, "%s", reason->message);
  } else if (inline_labels) {
    g_autoptr(GError) reason = NULL;
    labels = g_key_file_get_string_list(reader->keys, MAIN_GROUP, "labels", NULL, &reason);
    if (labels == NULL)
      return wrong_value(reader, MAIN_GROUP, "labels", error, "%s", reason->message);
    if (labels[0] == NULL)
      g_clear_pointer(&labels, g_strfreev);
  } else {
    return TRUE;
  }
  g_strfreev(reader->values->labels);
  reader->values->labels = g_steal_pointer(&labels);
  return TRUE;
}

/* An integer key that may be absent. */
static gboolean
read_integer(const Reader *reader, const char *key, gint min, gint max, gint *result,
             GError **error)
{
  g_autofree char *text = NULL;
  g_autofree char *allowed = g_strdup_printf("allowed is an integer of %d to %d", min, max);
  gint64 value = 0;

  if (!read_string(reader, MAIN_GROUP, key, &text, error))
    return FALSE;
  if (text == NULL)
    return TRUE;
  if (!g_ascii_string_to_signed(text, 10, min, max, &value, NULL))
    return wrong_value(reader, MAIN_GROUP, key, error, allowed);
  *result = (gint)value;
  return TRUE;
}

static gboolean
read_numbers(const Reader *reader, GError **error)
{
  g_autofree char *threshold = NULL;

  if (!read_string(reader, MAIN_GROUP, "score-threshold", &threshold, error))
    return FALSE;
  if (threshold != NULL) {
    char *end = NULL;
    double value = g_ascii_strtod(threshold, &end);
    if (end == threshold || *end != '\0' || !(value >= 0 && value <= 1))
      return wrong_value(reader, MAIN_GROUP, "score-threshold", error,
                         "allowed is a number of 0 to 1");
    reader->values->score_threshold = value;
  }
  return read_integer(reader, "first-class", -65536, 65536, &reader->values->outputs.first_class,
                      error) &&
         read_integer(reader, "classes", 1, 1000000, &reader->values->outputs.n_classes, error);
}

static gboolean
read_main(const Reader *reader, gboolean *has_decoder, GError **error)
{
  InferModelValues *values = reader->values;
  g_autofree char *version = NULL;
  int decoder = values->decoder, order = values->outputs.yxyx ? 1 : 0;

  if (!read_string(reader, MAIN_GROUP, "version", &version, error))
    return FALSE;
  if (version != NULL && !g_str_has_prefix(version, "1."))
    return wrong_value(reader, MAIN_GROUP, "version", error, "allowed is 1.0");
  if (!read_choice(reader, MAIN_GROUP, "decoder", infer_decoder_names, &decoder, error) ||
      !read_choice(reader, MAIN_GROUP, "box-order", infer_box_order_names, &order, error) ||
      !read_numbers(reader, error) || !read_labels(reader, error))
    return FALSE;
  values->decoder = (InferDecoder)decoder;
  values->outputs.yxyx = order == 1;
  *has_decoder = g_key_file_has_key(reader->keys, MAIN_GROUP, "decoder", NULL);
  return TRUE;
}

static gboolean
has_any_key(GKeyFile *keys, const char *group, const char *const *names)
{
  for (guint i = 0; names[i] != NULL; i++)
    if (g_key_file_has_key(keys, group, names[i], NULL))
      return TRUE;
  return FALSE;
}

/* What the groups say of the inputs: which one is the image. */
typedef struct {
  const char *marked; /* has keys that only an image has */
  const char *ranged; /* the first with ranges */
  const char *first;
  const char *known; /* the one named like the input known before */
  guint n;
} Inputs;

static gboolean
note_input(const Reader *reader, const char *group, Inputs *inputs, GError **error)
{
  g_autofree char *name = infer_model_info_tensor_of_group(reader->keys, group);

  if (has_any_key(reader->keys, group, infer_image_keys)) {
    if (inputs->marked != NULL) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL,
                  "%s: [%s] and [%s] both describe an image: one input can be the image",
                  reader->source, inputs->marked, group);
      return FALSE;
    }
    inputs->marked = group;
  }
  if (inputs->ranged == NULL && g_key_file_has_key(reader->keys, group, "ranges", NULL))
    inputs->ranged = group;
  if (inputs->first == NULL)
    inputs->first = group;
  if (g_strcmp0(reader->values->input, name) == 0)
    inputs->known = group;
  inputs->n++;
  return TRUE;
}

static gboolean
read_output(const Reader *reader, const char *group, guint *seen, GError **error)
{
  int role = -1;
  if (!read_choice(reader, group, "role", infer_role_names, &role, error))
    return FALSE;
  if (role < 0)
    return TRUE;
  char **slot = infer_model_values_role(&reader->values->outputs, (guint)role);
  if (*seen & (1u << role))
    return wrong_value(reader, group, "role", error, "the output '%s' has this role already",
                       *slot);
  *seen |= 1u << role;
  g_free(*slot);
  *slot = infer_model_info_tensor_of_group(reader->keys, group);
  return TRUE;
}

static gboolean
read_tensors(const Reader *reader, guint *roles, GError **error)
{
  g_auto(GStrv) groups = g_key_file_get_groups(reader->keys, NULL);
  Inputs inputs = {0};

  for (guint i = 0; groups[i] != NULL; i++) {
    if (g_str_equal(groups[i], MAIN_GROUP))
      continue;
    int dir = -1;
    if (!read_choice(reader, groups[i], "dir", dir_names, &dir, error))
      return FALSE;
    gboolean has_role = g_key_file_has_key(reader->keys, groups[i], "role", NULL);
    gboolean is_image = has_any_key(reader->keys, groups[i], infer_image_keys);
    if ((dir == 1 && is_image) || (dir == 0 && has_role) || (is_image && has_role))
      return wrong_value(reader, groups[i], "dir", error,
                         "a role belongs to an output, image keys such as color to an input");
    if (dir == 0 || is_image || (dir < 0 && g_strcmp0(groups[i], reader->values->input) == 0)) {
      if (!note_input(reader, groups[i], &inputs, error))
        return FALSE;
    } else if (!read_output(reader, groups[i], roles, error)) {
      return FALSE;
    }
  }

  const char *image = inputs.marked ? inputs.marked : inputs.known ? inputs.known : inputs.ranged;
  if (image == NULL && inputs.n == 1)
    image = inputs.first;
  if (image == NULL)
    return TRUE;
  g_free(reader->values->input);
  reader->values->input = infer_model_info_tensor_of_group(reader->keys, image);
  return read_image_input(reader, image, error);
}

static gboolean
check_decoder(const Reader *reader, gboolean has_decoder, guint roles, GError **error)
{
  InferModelValues *values = reader->values;

  if (!has_decoder && roles == 15)
    values->decoder = INFER_DECODER_DETECTIONS;
  if (values->decoder != INFER_DECODER_DETECTIONS)
    return TRUE;
  for (guint i = 0; infer_role_names[i] != NULL; i++) {
    if (*infer_model_values_role(&values->outputs, i) == NULL) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL,
                  "%s: [" MAIN_GROUP "] decoder=detections: no output has role=%s; the group of "
                  "an output names its role, one each of boxes, scores, classes, count",
                  reader->source, infer_role_names[i]);
      return FALSE;
    }
  }
  return TRUE;
}

static void
report_unknown_keys(const Reader *reader)
{
  g_auto(GStrv) groups = g_key_file_get_groups(reader->keys, NULL);

  for (guint i = 0; groups[i] != NULL; i++) {
    g_auto(GStrv) keys = g_key_file_get_keys(reader->keys, groups[i], NULL, NULL);
    gboolean is_main = g_str_equal(groups[i], MAIN_GROUP);
    for (guint k = 0; keys != NULL && keys[k] != NULL; k++) {
      gboolean known = is_main ? g_strv_contains(main_keys, keys[k])
                               : g_strv_contains(infer_image_keys, keys[k]) ||
                                     g_strv_contains(tensor_keys, keys[k]) ||
                                     g_str_equal(keys[k], "role");
      if (!known) {
        g_autofree char *name = g_strescape(keys[k], NULL);
        g_debug("%s: [%s] %s is not known here and kept as it is", reader->source, groups[i], name);
      }
    }
  }
}

gboolean
infer_model_values_read(InferModelValues *values, GKeyFile *keys, const char *source,
                        const char *folder, GError **error)
{
  const Reader reader = {keys, source, folder, values};
  gboolean has_decoder = FALSE;
  guint roles = 0;

  if (!read_main(&reader, &has_decoder, error) || !read_tensors(&reader, &roles, error) ||
      !check_decoder(&reader, has_decoder, roles, error))
    return FALSE;
  report_unknown_keys(&reader);
  return TRUE;
}
