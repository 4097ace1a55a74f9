/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "token.h"

#include <infer/error.h>

#include <errno.h>
#include <math.h>
#include <string.h>

void
token_reader_init(TokenReader *reader, const char *text, gsize size)
{
  memset(reader, 0, sizeof *reader);
  reader->at = text;
  reader->end = size ? text + size : text;
  reader->next_line = 1;
}

gboolean
token_error(const TokenReader *reader, GError **error, const char *format, ...)
{
  va_list args;

  if (error && *error) {
    return FALSE;
  }
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  g_set_error(error, INFER_ERROR, INFER_ERROR_MODEL, "line %u: %s", reader->line, valid);
  return FALSE;
}

gboolean
token_is(const TokenReader *reader, char sign)
{
  return reader->kind == TOKEN_SIGN && reader->sign == sign;
}

static void
skip_space(TokenReader *reader)
{
  gboolean comment = FALSE;

  for (; reader->at < reader->end; reader->at++) {
    char c = *reader->at;
    if (c == '\n') {
      reader->next_line++;
      comment = FALSE;
    } else if (c == '#') {
      comment = TRUE;
    } else if (!comment && !g_ascii_isspace(c) && c != '\v') {
      return;
    }
  }
}

static gboolean
is_word(char c)
{
  return g_ascii_isalnum(c) || c == '_';
}

static gboolean
is_number(const TokenReader *reader, char c, char before)
{
  return is_word(c) || c == '.' || ((c == '+' || c == '-') && (before == 'e' || before == 'E'));
}

static gboolean
take(TokenReader *reader, const char *from, TokenKind kind, GError **error)
{
  gsize length = (gsize)(reader->at - from);

  reader->kind = kind;
  if (length >= TOKEN_MAX) {
    return token_error(reader, error, "a word of %" G_GSIZE_FORMAT " characters", length);
  }
  memcpy(reader->word, from, length);
  reader->word[length] = 0;
  return TRUE;
}

static gboolean
take_text(TokenReader *reader, GError **error)
{
  char quote = *reader->at++;
  const char *from = reader->at;

  for (; reader->at < reader->end && *reader->at != quote; reader->at++) {
    if (*reader->at == '\n') {
      break;
    }
    if (*reader->at == '\\' && reader->end - reader->at > 1) {
      reader->at++;
    }
  }
  if (reader->at >= reader->end || *reader->at != quote) {
    return token_error(reader, error, "a text has no closing %c", quote);
  }
  reader->from = from;
  reader->length = (gsize)(reader->at - from);
  reader->at++;
  reader->kind = TOKEN_TEXT;
  g_strlcpy(reader->word, "a text", sizeof reader->word);
  return TRUE;
}

gboolean
token_next(TokenReader *reader, GError **error)
{
  skip_space(reader);
  reader->line = reader->next_line;
  if (reader->at >= reader->end) {
    reader->kind = TOKEN_END;
    g_strlcpy(reader->word, "the end", sizeof reader->word);
    return TRUE;
  }
  const char *from = reader->at;
  char c = *from;
  if (c == '"' || c == '\'') {
    return take_text(reader, error);
  }
  if (g_ascii_isalpha(c) || c == '_') {
    while (reader->at < reader->end && is_word(*reader->at)) {
      reader->at++;
    }
    return take(reader, from, TOKEN_WORD, error);
  }
  if (g_ascii_isdigit(c) || c == '.' || c == '-' || c == '+') {
    do {
      reader->at++;
    } while (reader->at < reader->end && is_number(reader, *reader->at, reader->at[-1]));
    return take(reader, from, TOKEN_NUMBER, error);
  }
  reader->at++;
  reader->sign = c;
  if (!strchr("{}<>[]:,;", c) || c == 0) {
    return token_error(reader, error, "the character 0x%02x has no meaning here", (guint8)c);
  }
  return take(reader, from, TOKEN_SIGN, error);
}

/* The number of an escape in @base, of at most @max digits. */
static gunichar
digits(const char **at, const char *end, guint base, guint max)
{
  gunichar value = 0;

  for (guint i = 0; i < max && *at < end; i++, (*at)++) {
    gint digit = g_ascii_xdigit_value(**at);
    if (digit < 0 || digit >= (gint)base) {
      break;
    }
    value = value * base + (guint)digit;
  }
  return value;
}

static gboolean
unescape(TokenReader *reader, GString *text, GError **error)
{
  static const char names[] = "abfnrtv\\'\"?", values[] = "\a\b\f\n\r\t\v\\'\"?";
  const char *at = reader->from, *end = at + reader->length;

  while (at < end) {
    char c = *at++;
    if (c != '\\' || at >= end) {
      g_string_append_c(text, c);
      continue;
    }
    const char *name = *at ? strchr(names, *at) : NULL;
    if (name) {
      g_string_append_c(text, values[name - names]);
      at++;
    } else if (*at >= '0' && *at <= '7') {
      g_string_append_c(text, (char)digits(&at, end, 8, 3));
    } else if (*at == 'x' || *at == 'X') {
      at++;
      g_string_append_c(text, (char)digits(&at, end, 16, 2));
    } else if (*at == 'u' || *at == 'U') {
      guint length = *at++ == 'u' ? 4 : 8;
      gunichar code = digits(&at, end, 16, length);
      g_string_append_unichar(text, g_unichar_validate(code) ? code : 0xfffd);
    } else {
      return token_error(reader, error, "'\\%c' is no escape", *at);
    }
  }
  return TRUE;
}

GString *
token_text(TokenReader *reader, GError **error)
{
  g_autoptr(GString) text = g_string_new(NULL);

  if (reader->kind != TOKEN_TEXT) {
    token_error(reader, error, "a text in quotes is expected, not '%s'", reader->word);
    return NULL;
  }
  while (reader->kind == TOKEN_TEXT) {
    if (!unescape(reader, text, error) || !token_next(reader, error)) {
      return NULL;
    }
  }
  if (memchr(text->str, 0, text->len) || !g_utf8_validate(text->str, -1, NULL)) {
    token_error(reader, error, "a text is not UTF-8");
    return NULL;
  }
  return g_steal_pointer(&text);
}

gboolean
token_integer(TokenReader *reader, gint64 min, gint64 max, gint64 *value, GError **error)
{
  char *end = NULL;

  errno = 0;
  gint64 number = reader->kind == TOKEN_NUMBER ? g_ascii_strtoll(reader->word, &end, 0) : 0;
  if (!end || *end != 0) {
    return token_error(reader, error, "'%s' is not an integer", reader->word);
  }
  if (errno == ERANGE || number < min || number > max) {
    return token_error(reader, error,
                       "%s is not in the range from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                       reader->word, min, max);
  }
  *value = number;
  return token_next(reader, error);
}

gboolean
token_real(TokenReader *reader, double *value, GError **error)
{
  g_autofree char *lower = g_ascii_strdown(reader->word, -1);
  const char *plain = lower[0] == '-' ? lower + 1 : lower;
  double sign = lower[0] == '-' ? -1 : 1;
  char *end = NULL;

  if (g_str_equal(plain, "inf") || g_str_equal(plain, "infinity")) {
    *value = sign * (double)INFINITY;
  } else if (g_str_equal(plain, "nan")) {
    *value = (double)NAN;
  } else {
    *value = reader->kind == TOKEN_NUMBER ? g_ascii_strtod(lower, &end) : 0;
    if (!end || end == lower || !(*end == 0 || g_str_equal(end, "f"))) {
      return token_error(reader, error, "'%s' is not a number", reader->word);
    }
  }
  return token_next(reader, error);
}
