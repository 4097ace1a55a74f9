/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "anyvalue.h"

#include <string.h>

#define MAX_DEPTH 8
#define MAX_VALUES 65536

/* Numbers without a point are integers, words are texts; what is repeated becomes a list. */

static gboolean read_message(TokenReader *in, char end, guint depth, GVariant **value,
                             GError **error);

static gboolean
read_number(TokenReader *in, GVariant **value, GError **error)
{
  gboolean hex = g_str_has_prefix(in->word, "0x") || g_str_has_prefix(in->word, "-0x");
  gboolean real = !hex && strpbrk(in->word, ".eEfF") != NULL;
  gint64 number = 0;
  double fraction = 0;

  if (real ? !token_real(in, &fraction, error)
           : !token_integer(in, G_MININT64, G_MAXINT64, &number, error)) {
    return FALSE;
  }
  *value = real ? g_variant_new_double(fraction) : g_variant_new_int64(number);
  return TRUE;
}

static gboolean
read_word(TokenReader *in, GVariant **value, GError **error)
{
  static const char *const reals[] = {"inf", "nan", "infinity", NULL};
  double fraction = 0;

  if (g_strv_contains(reals, in->word)) {
    if (!token_real(in, &fraction, error)) {
      return FALSE;
    }
    *value = g_variant_new_double(fraction);
    return TRUE;
  }
  if (g_str_equal(in->word, "true") || g_str_equal(in->word, "false")) {
    *value = g_variant_new_int64(in->word[0] == 't');
  } else {
    *value = g_variant_new_take_string(g_utf8_make_valid(in->word, -1));
  }
  return token_next(in, error);
}

static gboolean
read_value(TokenReader *in, guint depth, GVariant **value, GError **error)
{
  if (token_is(in, '{') || token_is(in, '<')) {
    char end = token_is(in, '{') ? '}' : '>';
    return token_next(in, error) && read_message(in, end, depth, value, error);
  }
  if (in->kind == TOKEN_TEXT) {
    g_autoptr(GString) text = token_text(in, error);
    *value =
        text ? g_variant_new_take_string(g_utf8_make_valid(text->str, (gssize)text->len)) : NULL;
    return text != NULL;
  }
  /* A sign before a number or "inf" may stand alone. */
  if (in->kind == TOKEN_NUMBER) {
    return read_number(in, value, error);
  }
  if (in->kind == TOKEN_WORD) {
    return read_word(in, value, error);
  }
  return token_error(in, error, "a value is expected, not '%s'", in->word);
}

static gboolean
add_value(TokenReader *in, GPtrArray *list, guint depth, GError **error)
{
  GVariant *value = NULL;

  if (list->len >= MAX_VALUES) {
    return token_error(in, error, "more than %d values", MAX_VALUES);
  }
  if (!read_value(in, depth, &value, error)) {
    return FALSE;
  }
  g_ptr_array_add(list, g_variant_ref_sink(value));
  return TRUE;
}

static gboolean
read_field(TokenReader *in, GHashTable *fields, guint depth, GError **error)
{
  GPtrArray *list;
  gboolean good;

  if (in->kind != TOKEN_WORD) {
    return token_error(in, error, "the name of a field is expected, not '%s'", in->word);
  }
  list = g_hash_table_lookup(fields, in->word);
  if (!list) {
    list = g_ptr_array_new_with_free_func((GDestroyNotify)g_variant_unref);
    g_hash_table_insert(fields, g_utf8_make_valid(in->word, -1), list);
  }
  if (!token_next(in, error) || (token_is(in, ':') && !token_next(in, error))) {
    return FALSE;
  }
  if (!token_is(in, '[')) {
    return add_value(in, list, depth, error);
  }
  good = token_next(in, error);
  while (good && !token_is(in, ']')) {
    good = add_value(in, list, depth, error) &&
           (token_is(in, ',')
                ? token_next(in, error)
                : token_is(in, ']') || token_error(in, error, "',' or ']' is missing in a list"));
  }
  return good && token_next(in, error);
}

/* One value as it is; several as a list of variants, since integers and floats may be mixed. */
static GVariant *
list_variant(GPtrArray *list)
{
  GVariantBuilder builder;

  if (list->len == 1) {
    return list->pdata[0];
  }
  g_variant_builder_init(&builder, G_VARIANT_TYPE("av"));
  for (guint i = 0; i < list->len; i++) {
    g_variant_builder_add(&builder, "v", list->pdata[i]);
  }
  return g_variant_builder_end(&builder);
}

static gboolean
read_message(TokenReader *in, char end, guint depth, GVariant **value, GError **error)
{
  g_autoptr(GHashTable) fields =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
  g_auto(GVariantDict) dict = G_VARIANT_DICT_INIT(NULL);
  GHashTableIter iter;
  gpointer name, list;

  if (depth == 0) {
    return token_error(in, error, "messages are nested too deeply");
  }
  while (!token_is(in, end)) {
    if (in->kind == TOKEN_END) {
      return token_error(in, error, "a message has no '%c'", end);
    }
    if (!read_field(in, fields, depth - 1, error) ||
        ((token_is(in, ',') || token_is(in, ';')) && !token_next(in, error))) {
      return FALSE;
    }
  }
  g_hash_table_iter_init(&iter, fields);
  while (g_hash_table_iter_next(&iter, &name, &list)) {
    g_variant_dict_insert_value(&dict, name, list_variant(list));
  }
  *value = g_variant_dict_end(&dict);
  if (!token_next(in, error)) {
    g_clear_pointer(value, g_variant_unref);
    return FALSE;
  }
  return TRUE;
}

GVariant *
prototext_any_message(TokenReader *in, GError **error)
{
  GVariant *value = NULL;
  char end = token_is(in, '<') ? '>' : '}';

  return token_next(in, error) && read_message(in, end, MAX_DEPTH, &value, error)
             ? g_variant_ref_sink(value)
             : NULL;
}
