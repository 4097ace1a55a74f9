/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include <infer/error.h>

#include "modelinfo-private.h"

/* A plan holds the labels in the text, and separators in them are escaped. */
#define MAX_TEXT_SIZE (4 * 1024 * 1024)

/* Names by value of the enumerations; the index is the value. */
const char *const infer_color_names[] = {"rgb", "bgr", "gray", NULL};
const char *const infer_resize_names[] = {"stretch", "letterbox", "crop", NULL};
const char *const infer_filter_names[] = {"nearest", "bilinear", "area", NULL};
const char *const infer_coordinates_names[] = {"half-pixel", "asymmetric", "align-corners", NULL};
const char *const infer_decoder_names[] = {
    "none",    "detections", "classification", "ssd", "yolov5", "yolov8",
    "yolov10", "yolox",      "fastestdet",     "raw", NULL};
const char *const infer_box_order_names[] = {"xyxy", "yxyx", NULL};
const char *const infer_role_names[] = {"boxes", "scores", "classes", "count", NULL};

const char *const infer_image_keys[] = {"color", "resize", "filter", "coordinates",
                                        "scale", "bias",   "pad",    NULL};

struct _InferModelInfo {
  GObject parent;
  InferModelValues values;
  GKeyFile *file; /* what was read, so that keys of others survive a round trip */
};

G_DEFINE_FINAL_TYPE(InferModelInfo, infer_model_info, G_TYPE_OBJECT)

void
infer_model_values_init(InferModelValues *values)
{
  *values = (InferModelValues){.score_threshold = -1,
                               .pre = {.filter = INFER_FILTER_BILINEAR, .scale = {1, 1, 1}}};
}

void
infer_model_values_clear(InferModelValues *values)
{
  g_free(values->input);
  g_free(values->outputs.boxes);
  g_free(values->outputs.scores);
  g_free(values->outputs.classes);
  g_free(values->outputs.count);
  g_strfreev(values->labels);
}

void
infer_model_values_copy(InferModelValues *to, const InferModelValues *from)
{
  *to = *from;
  to->input = g_strdup(from->input);
  to->outputs.boxes = g_strdup(from->outputs.boxes);
  to->outputs.scores = g_strdup(from->outputs.scores);
  to->outputs.classes = g_strdup(from->outputs.classes);
  to->outputs.count = g_strdup(from->outputs.count);
  to->labels = g_strdupv(from->labels);
}

char **
infer_model_values_role(InferDetectionOutputs *outputs, guint role)
{
  char **const slots[] = {&outputs->boxes, &outputs->scores, &outputs->classes, &outputs->count};
  return slots[role];
}

static void
infer_model_info_finalize(GObject *object)
{
  InferModelInfo *info = INFER_MODEL_INFO(object);

  infer_model_values_clear(&info->values);
  g_key_file_unref(info->file);
  G_OBJECT_CLASS(infer_model_info_parent_class)->finalize(object);
}

static void
infer_model_info_class_init(InferModelInfoClass *klass)
{
  G_OBJECT_CLASS(klass)->finalize = infer_model_info_finalize;
}

static void
infer_model_info_init(InferModelInfo *info)
{
  infer_model_values_init(&info->values);
  info->file = g_key_file_new();
}

/* A tensor's group is named as the tensor, except where its name cannot be a group's name. */
char *
infer_model_info_tensor_of_group(GKeyFile *keys, const char *group)
{
  char *name = g_key_file_get_string(keys, group, "name", NULL);
  return name != NULL ? name : g_strdup(group);
}

static void
keep_keys(GKeyFile *to, GKeyFile *from)
{
  g_auto(GStrv) groups = g_key_file_get_groups(from, NULL);

  for (guint i = 0; groups[i] != NULL; i++) {
    g_auto(GStrv) keys = g_key_file_get_keys(from, groups[i], NULL, NULL);
    for (guint k = 0; keys != NULL && keys[k] != NULL; k++) {
      g_autofree char *value = g_key_file_get_value(from, groups[i], keys[k], NULL);
      if (value != NULL)
        g_key_file_set_value(to, groups[i], keys[k], value);
    }
  }
}

/* Everything is read into a copy, so that a text with an error changes nothing. */
static gboolean
load_text(InferModelInfo *info, const char *text, gsize length, const char *source,
          const char *folder, GError **error)
{
  g_autoptr(GKeyFile) keys = g_key_file_new();
  g_autoptr(GError) reason = NULL;

  if (length > MAX_TEXT_SIZE || (length > 0 && memchr(text, 0, length) != NULL)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL,
                "%s is not a model info: it is larger than 4 MiB or not text", source);
    return FALSE;
  }
  if (!g_key_file_load_from_data(keys, length > 0 ? text : "\n", length > 0 ? length : 1,
                                 G_KEY_FILE_NONE, &reason)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "%s is not a model info: %s", source,
                reason->message);
    return FALSE;
  }
  if (!g_key_file_has_group(keys, MAIN_GROUP)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL,
                "%s is not a model info: it has no group [" MAIN_GROUP "]", source);
    return FALSE;
  }

  InferModelValues values;
  infer_model_values_copy(&values, &info->values);
  gboolean ok = infer_model_values_read(&values, keys, source, folder, error);
  if (ok) {
    InferModelValues old = info->values;
    info->values = values;
    values = old;
    keep_keys(info->file, keys);
  }
  infer_model_values_clear(&values);
  return ok;
}

InferModelInfo *
infer_model_info_new(void)
{
  return g_object_new(INFER_TYPE_MODEL_INFO, NULL);
}

InferModelInfo *
infer_model_info_new_from_file(const char *path, GError **error)
{
  g_autoptr(InferModelInfo) info = infer_model_info_new();
  return infer_model_info_load_over(info, path, error) ? g_steal_pointer(&info) : NULL;
}

InferModelInfo *
infer_model_info_new_from_data(const char *text, gsize length, const char *source, GError **error)
{
  g_autoptr(InferModelInfo) info = infer_model_info_new();
  if (!load_text(info, text, length, source ? source : "model info", NULL, error))
    return NULL;
  return g_steal_pointer(&info);
}

gboolean
infer_model_info_load_over(InferModelInfo *info, const char *path, GError **error)
{
  gsize length = 0;
  g_autofree char *text = infer_model_info_read_file(path, &length, error);
  if (text == NULL)
    return FALSE;
  g_autofree char *folder = g_path_get_dirname(path);
  return load_text(info, text, length, path, folder, error);
}

char *
infer_model_info_find(const char *model_path)
{
  g_autofree char *whole = g_strconcat(model_path, ".modelinfo", NULL);
  if (g_file_test(whole, G_FILE_TEST_IS_REGULAR))
    return g_steal_pointer(&whole);

  const char *dot = strrchr(model_path, '.');
  const char *slash = strrchr(model_path, G_DIR_SEPARATOR);
  const char *base = slash ? slash + 1 : model_path;
  if (dot == NULL || dot <= base)
    return NULL;
  g_autofree char *stem = g_strndup(model_path, (gsize)(dot - model_path));
  g_autofree char *path = g_strconcat(stem, ".modelinfo", NULL);
  return g_file_test(path, G_FILE_TEST_IS_REGULAR) ? g_steal_pointer(&path) : NULL;
}

static gboolean
is_group_name(const char *name)
{
  if (*name == '\0' || g_str_equal(name, MAIN_GROUP))
    return FALSE;
  for (const char *p = name; *p != '\0'; p++)
    if (*p == '[' || *p == ']' || g_ascii_iscntrl(*p))
      return FALSE;
  return TRUE;
}

/* The group that describes tensor @name; a new one where there is none yet. */
static char *
group_of_tensor(GKeyFile *keys, const char *name)
{
  g_auto(GStrv) groups = g_key_file_get_groups(keys, NULL);
  for (guint i = 0; groups[i] != NULL; i++) {
    g_autofree char *tensor = infer_model_info_tensor_of_group(keys, groups[i]);
    if (!g_str_equal(groups[i], MAIN_GROUP) && g_str_equal(tensor, name))
      return g_strdup(groups[i]);
  }
  if (is_group_name(name) && !g_key_file_has_group(keys, name))
    return g_strdup(name);
  for (guint i = 0;; i++) {
    g_autofree char *group = g_strdup_printf("tensor-%u", i);
    if (!g_key_file_has_group(keys, group)) {
      g_key_file_set_string(keys, group, "name", name);
      return g_steal_pointer(&group);
    }
  }
}

static void
write_channels(GKeyFile *keys, const char *group, const char *key, const float values[3])
{
  g_autoptr(GString) text = g_string_new(NULL);
  char number[G_ASCII_DTOSTR_BUF_SIZE];

  for (guint i = 0; i < 3; i++)
    g_string_append_printf(text, "%s%s", i ? ";" : "",
                           g_ascii_formatd(number, sizeof number, "%.9g", (double)values[i]));
  g_key_file_set_value(keys, group, key, text->str);
}

/* For readers that know only upstream's key; scale and bias beside it are the exact values. */
static void
write_ranges(GKeyFile *keys, const char *group, const InferPreprocess *pre)
{
  g_autoptr(GString) text = g_string_new(NULL);
  char low[G_ASCII_DTOSTR_BUF_SIZE], high[G_ASCII_DTOSTR_BUF_SIZE];

  for (guint i = 0; i < 3; i++) {
    float top = (float)((double)pre->scale[i] * 255.0 + (double)pre->bias[i]);
    if (!isfinite(top))
      return;
    g_ascii_formatd(low, sizeof low, "%.9g", (double)pre->bias[i]);
    g_ascii_formatd(high, sizeof high, "%.9g", (double)top);
    g_string_append_printf(text, "%s%s,%s", i ? ";" : "", low, high);
  }
  g_key_file_set_value(keys, group, "ranges", text->str);
}

static void
write_main(GKeyFile *keys, const InferModelValues *values)
{
  g_key_file_set_value(keys, MAIN_GROUP, "version", "1.0");
  g_key_file_set_value(keys, MAIN_GROUP, "decoder", infer_decoder_names[values->decoder]);
  g_key_file_remove_key(keys, MAIN_GROUP, "label-file", NULL);
  g_key_file_remove_key(keys, MAIN_GROUP, "labels", NULL);
  g_key_file_remove_key(keys, MAIN_GROUP, "score-threshold", NULL);
  if (values->score_threshold >= 0) {
    char number[G_ASCII_DTOSTR_BUF_SIZE];
    g_ascii_dtostr(number, sizeof number, values->score_threshold);
    g_key_file_set_value(keys, MAIN_GROUP, "score-threshold", number);
  }
  if (values->labels != NULL)
    g_key_file_set_string_list(keys, MAIN_GROUP, "labels", (const char *const *)values->labels,
                               g_strv_length(values->labels));
  if (values->decoder == INFER_DECODER_DETECTIONS) {
    g_key_file_set_value(keys, MAIN_GROUP, "box-order",
                         infer_box_order_names[values->outputs.yxyx ? 1 : 0]);
    g_key_file_set_integer(keys, MAIN_GROUP, "first-class", values->outputs.first_class);
    if (values->outputs.n_classes > 0)
      g_key_file_set_integer(keys, MAIN_GROUP, "classes", values->outputs.n_classes);
  }
}

static void
write_tensors(GKeyFile *keys, InferModelValues *values)
{
  if (values->input != NULL) {
    const InferPreprocess *pre = &values->pre;
    g_autofree char *group = group_of_tensor(keys, values->input);
    g_key_file_set_value(keys, group, "dir", "input");
    g_key_file_set_value(keys, group, "color", infer_color_names[pre->color]);
    g_key_file_set_value(keys, group, "resize", infer_resize_names[pre->resize]);
    g_key_file_set_value(keys, group, "filter", infer_filter_names[pre->filter]);
    g_key_file_set_value(keys, group, "coordinates", infer_coordinates_names[pre->coordinates]);
    write_ranges(keys, group, pre);
    write_channels(keys, group, "scale", pre->scale);
    write_channels(keys, group, "bias", pre->bias);
    write_channels(keys, group, "pad", pre->pad);
  }
  const gboolean has_roles = values->decoder == INFER_DECODER_DETECTIONS ||
                             values->decoder == INFER_DECODER_CLASSIFICATION;
  for (guint i = 0; has_roles && infer_role_names[i] != NULL; i++) {
    const char *name = *infer_model_values_role(&values->outputs, i);
    if (name == NULL)
      continue;
    g_autofree char *group = group_of_tensor(keys, name);
    g_key_file_set_value(keys, group, "dir", "output");
    g_key_file_set_value(keys, group, "role", infer_role_names[i]);
  }
}

static int
by_name(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A text that was read gives the same text again, whatever the order in which its keys were set. */
static char *
to_sorted_text(GKeyFile *keys)
{
  g_autoptr(GKeyFile) sorted = g_key_file_new();
  g_auto(GStrv) groups = g_key_file_get_groups(keys, NULL);

  for (guint i = 0; groups[i] != NULL; i++) {
    gsize n = 0;
    g_auto(GStrv) names = g_key_file_get_keys(keys, groups[i], &n, NULL);

    if (n > 0)
      qsort(names, n, sizeof *names, by_name);
    for (gsize k = 0; k < n; k++) {
      g_autofree char *value = g_key_file_get_value(keys, groups[i], names[k], NULL);
      if (value != NULL)
        g_key_file_set_value(sorted, groups[i], names[k], value);
    }
  }
  return g_key_file_to_data(sorted, NULL, NULL);
}

char *
infer_model_info_to_data(InferModelInfo *info)
{
  g_autoptr(GKeyFile) keys = g_key_file_new();

  write_main(keys, &info->values);
  keep_keys(keys, info->file);
  g_auto(GStrv) groups = g_key_file_get_groups(keys, NULL);
  for (guint i = 0; groups[i] != NULL; i++) {
    g_key_file_remove_key(keys, groups[i], "role", NULL);
    for (guint k = 0; infer_image_keys[k] != NULL; k++)
      g_key_file_remove_key(keys, groups[i], infer_image_keys[k], NULL);
  }
  write_main(keys, &info->values);
  write_tensors(keys, &info->values);
  return to_sorted_text(keys);
}

const char *
infer_model_info_get_input(InferModelInfo *info)
{
  return info->values.input;
}

/* Names and labels come from model files: text that is no UTF-8 could not be read back. */
static char *
dup_text(const char *text)
{
  return text == NULL ? NULL : g_utf8_make_valid(text, -1);
}

void
infer_model_info_set_input(InferModelInfo *info, const char *name)
{
  char *copy = dup_text(name);
  g_free(info->values.input);
  info->values.input = copy;
}

const InferPreprocess *
infer_model_info_get_preprocess(InferModelInfo *info)
{
  return &info->values.pre;
}

void
infer_model_info_set_preprocess(InferModelInfo *info, const InferPreprocess *pre)
{
  info->values.pre = *pre;
}

InferDecoder
infer_model_info_get_decoder(InferModelInfo *info)
{
  return info->values.decoder;
}

void
infer_model_info_set_decoder(InferModelInfo *info, InferDecoder decoder)
{
  info->values.decoder = decoder;
}

char *
infer_model_info_get_option(InferModelInfo *info, const char *key)
{
  char *value = g_key_file_get_string(info->file, MAIN_GROUP, key, NULL);

  return value ? g_strstrip(value) : NULL;
}

void
infer_model_info_set_option(InferModelInfo *info, const char *key, const char *value)
{
  if (value)
    g_key_file_set_string(info->file, MAIN_GROUP, key, value);
  else
    g_key_file_remove_key(info->file, MAIN_GROUP, key, NULL);
}

const InferDetectionOutputs *
infer_model_info_get_detections(InferModelInfo *info)
{
  return &info->values.outputs;
}

void
infer_model_info_set_detections(InferModelInfo *info, const InferDetectionOutputs *outputs)
{
  InferDetectionOutputs copy = {dup_text(outputs->boxes),
                                dup_text(outputs->scores),
                                dup_text(outputs->classes),
                                dup_text(outputs->count),
                                outputs->yxyx,
                                outputs->first_class,
                                outputs->n_classes};

  for (guint i = 0; infer_role_names[i] != NULL; i++)
    g_free(*infer_model_values_role(&info->values.outputs, i));
  info->values.outputs = copy;
  info->values.decoder = INFER_DECODER_DETECTIONS;
}

double
infer_model_info_get_score_threshold(InferModelInfo *info)
{
  return info->values.score_threshold;
}

void
infer_model_info_set_score_threshold(InferModelInfo *info, double threshold)
{
  info->values.score_threshold = threshold >= 0 && threshold <= 1 ? threshold : -1;
}

const char *const *
infer_model_info_get_labels(InferModelInfo *info)
{
  return (const char *const *)info->values.labels;
}

void
infer_model_info_set_labels(InferModelInfo *info, const char *const *labels)
{
  g_autoptr(GPtrArray) copy = g_ptr_array_new();

  for (guint i = 0; labels != NULL && labels[i] != NULL; i++)
    g_ptr_array_add(copy, dup_text(labels[i]));
  g_strfreev(info->values.labels);
  info->values.labels = NULL;
  if (copy->len > 0) {
    g_ptr_array_add(copy, NULL);
    info->values.labels = (char **)g_ptr_array_free(g_steal_pointer(&copy), FALSE);
  }
}
