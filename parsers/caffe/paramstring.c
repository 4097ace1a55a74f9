/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include "../plugin.h"

#include <string.h>

/*
 * The one parameter of a layer in Python is a text that most such layers give to YAML or to eval():
 *
 *     'feat_stride': 16
 *     'scales': !!python/tuple [8, 16, 32]
 *
 * or {'feat_stride': 16, 'scales': (8, 16, 32)}, or lists of lines that begin with "-". What is
 * read here is what these have in common: one level of names with numbers, words, texts and flat
 * lists.
 */

#define MAX_ITEMS 4096

typedef struct {
  const char *text;
  const char *at;
} Reader;

static gboolean
wrong(const Reader *in, GError **error)
{
  return caffe_error(error, INFER_ERROR_UNSUPPORTED,
                     "its parameters '%s' are not understood from '%.20s' on", in->text, in->at);
}

/* Passes over blanks, comments and tags like "!!python/tuple"; over ends of lines with @lines. */
static void
skip(Reader *in, gboolean lines)
{
  for (;;) {
    if (*in->at == '#') {
      in->at += strcspn(in->at, "\n");
    } else if (*in->at == '!') {
      in->at += strcspn(in->at, " \t\r\n[(");
    } else if (*in->at && strchr(lines ? " \t\r\n" : " \t\r", *in->at)) {
      in->at++;
    } else {
      return;
    }
  }
}

/* A text in quotes, or what comes before a sign or the end of the line. */
static char *
word(Reader *in, gboolean *quoted, GError **error)
{
  *quoted = *in->at == '\'' || *in->at == '"';
  if (*quoted) {
    const char *from = in->at + 1, *end = strchr(from, *in->at);
    if (!end) {
      wrong(in, error);
      return NULL;
    }
    in->at = end + 1;
    return g_strndup(from, (gsize)(end - from));
  }
  gsize length = strcspn(in->at, ":,[](){}#\r\n'\"");
  char *text = g_strstrip(g_strndup(in->at, length));
  in->at += length;
  if (!text[0]) {
    g_free(text);
    wrong(in, error);
    return NULL;
  }
  return text;
}

static GVariant *
scalar(Reader *in, GError **error)
{
  gboolean quoted;
  g_autofree char *text = word(in, &quoted, error);
  gint64 number;
  char *end;

  if (!text) {
    return NULL;
  }
  if (!quoted && g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &number, NULL)) {
    return g_variant_new_int64(number);
  }
  double real = g_ascii_strtod(text, &end);
  if (!quoted && *end == 0) {
    return g_variant_new_double(real);
  }
  if (!quoted &&
      (g_ascii_strcasecmp(text, "true") == 0 || g_ascii_strcasecmp(text, "false") == 0)) {
    return g_variant_new_int64(g_ascii_strcasecmp(text, "true") == 0);
  }
  return g_variant_new_string(text);
}

/* Integers, or numbers, or texts. */
static GVariant *
list_variant(const Reader *in, GPtrArray *items, GError **error)
{
  gboolean ints = TRUE, numbers = TRUE;
  GVariantBuilder builder;

  for (guint i = 0; i < items->len; i++) {
    ints = ints && g_variant_is_of_type(items->pdata[i], G_VARIANT_TYPE_INT64);
    numbers = numbers && !g_variant_is_of_type(items->pdata[i], G_VARIANT_TYPE_STRING);
  }
  g_variant_builder_init(&builder, ints      ? G_VARIANT_TYPE("ax")
                                   : numbers ? G_VARIANT_TYPE("ad")
                                             : G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < items->len; i++) {
    GVariant *item = items->pdata[i];
    gboolean text = g_variant_is_of_type(item, G_VARIANT_TYPE_STRING);
    if (!numbers && !text) {
      g_variant_builder_clear(&builder);
      wrong(in, error);
      return NULL;
    }
    if (ints || text) {
      g_variant_builder_add_value(&builder, item);
    } else {
      gboolean whole = g_variant_is_of_type(item, G_VARIANT_TYPE_INT64);
      g_variant_builder_add(&builder, "d",
                            whole ? (double)g_variant_get_int64(item) : g_variant_get_double(item));
    }
  }
  return g_variant_builder_end(&builder);
}

static gboolean
take_item(Reader *in, GPtrArray *items, GError **error)
{
  GVariant *item = scalar(in, error);

  if (!item) {
    return FALSE;
  }
  g_ptr_array_add(items, g_variant_ref_sink(item));
  return items->len <= MAX_ITEMS || wrong(in, error);
}

static GVariant *
value(Reader *in, GError **error)
{
  g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);

  skip(in, FALSE);
  if (*in->at == '[' || *in->at == '(') {
    char close = *in->at++ == '[' ? ']' : ')';
    for (skip(in, TRUE); *in->at != close; skip(in, TRUE)) {
      if (!take_item(in, items, error)) {
        return NULL;
      }
      skip(in, TRUE);
      if (*in->at == ',') {
        in->at++;
      } else if (*in->at != close) {
        wrong(in, error);
        return NULL;
      }
    }
    in->at++;
    return list_variant(in, items, error);
  }
  if (*in->at != '\n') {
    return scalar(in, error);
  }
  /* A line for each item. */
  for (skip(in, TRUE); *in->at == '-'; skip(in, TRUE)) {
    in->at++;
    skip(in, FALSE);
    if (!take_item(in, items, error)) {
      return NULL;
    }
  }
  return items->len ? list_variant(in, items, error) : (wrong(in, error), NULL);
}

gboolean
caffe_param_string(const char *text, GHashTable *fields, GError **error)
{
  Reader in = {.text = text, .at = text};

  skip(&in, TRUE);
  gboolean braces = *in.at == '{';
  in.at += braces;
  for (skip(&in, TRUE); *in.at && *in.at != '}'; skip(&in, TRUE)) {
    gboolean quoted;
    g_autofree char *name = word(&in, &quoted, error);
    if (!name) {
      return FALSE;
    }
    skip(&in, FALSE);
    if (*in.at != ':') {
      return wrong(&in, error);
    }
    in.at++;
    GVariant *what = value(&in, error);
    if (!what) {
      return FALSE;
    }
    parsers_fields_add(fields, name, what);
    skip(&in, TRUE);
    if (*in.at == ',') {
      in.at++;
    } else if (braces && *in.at != '}') {
      return wrong(&in, error);
    }
  }
  if (braces != (*in.at == '}')) {
    return wrong(&in, error);
  }
  in.at += braces;
  skip(&in, TRUE);
  return *in.at == 0 || wrong(&in, error);
}
