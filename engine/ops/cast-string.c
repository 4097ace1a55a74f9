/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/cast-string.h"

#include <math.h>
#include <string.h>

#include "packed.h"
#include "smallfloat.h"

/* The narrowest type that holds all values decides which digits tell two of them apart. */
static gboolean
is_same(InferType type, double a, double b)
{
  if (type == INFER_TYPE_DOUBLE)
    return a == b;
  if (type == INFER_TYPE_FLOAT)
    return (float)a == (float)b;
  return infer_small_float_encode(type, a, FALSE, INFER_ROUND_NEAREST) ==
         infer_small_float_encode(type, b, FALSE, INFER_ROUND_NEAREST);
}

/* The shortest decimal number that reads as @value: its digits and its exponent. */
static int
shortest(InferType type, double value, char *digits, gsize size)
{
  char text[40] = "", format[8];
  int n = 0;

  for (int precision = 0; precision <= 17; precision++) {
    g_snprintf(format, sizeof format, "%%.%de", precision);
    g_ascii_formatd(text, sizeof text, format, fabs(value));
    if (is_same(type, g_ascii_strtod(text, NULL), fabs(value)))
      break;
  }
  for (const char *c = text; *c && *c != 'e' && n + 1 < (int)size; c++)
    if (*c != '.')
      digits[n++] = *c;
  while (n > 1 && digits[n - 1] == '0')
    n--;
  digits[n] = 0;
  return (int)g_ascii_strtoll(strchr(text, 'e') + 1, NULL, 10);
}

static char *
real_text(InferType type, double value)
{
  GString *text = g_string_new(signbit(value) && !isnan(value) ? "-" : "");
  char digits[24];
  int exponent, n;

  if (isnan(value) || isinf(value)) {
    g_string_append(text, isnan(value) ? "nan" : "inf");
    return g_string_free(text, FALSE);
  }
  exponent = shortest(type, value, digits, sizeof digits);
  n = (int)strlen(digits);
  if (exponent < -4 || exponent >= 16) {
    g_string_append_c(text, digits[0]);
    if (n > 1)
      g_string_append_printf(text, ".%s", digits + 1);
    g_string_append_printf(text, "e%c%02d", exponent < 0 ? '-' : '+', ABS(exponent));
  } else if (exponent < 0) {
    g_string_append_printf(text, "0.%.*s%s", -exponent - 1, "0000", digits);
  } else {
    for (int i = 0; i <= exponent; i++)
      g_string_append_c(text, i < n ? digits[i] : '0');
    g_string_append_printf(text, ".%s", n > exponent + 1 ? digits + exponent + 1 : "0");
  }
  return g_string_free(text, FALSE);
}

static char *
element_text(const InferArray *in, gsize i)
{
  if (in->type == INFER_TYPE_BOOL)
    return g_strdup(infer_array_get_int(in, i) ? "True" : "False");
  if (in->type == INFER_TYPE_UINT64)
    return g_strdup_printf("%" G_GUINT64_FORMAT, ((const guint64 *)in->data)[i]);
  if (in->type == INFER_TYPE_FLOAT || in->type == INFER_TYPE_DOUBLE ||
      infer_type_is_small_float(in->type))
    return real_text(in->type, infer_array_get_double(in, i));
  return g_strdup_printf("%" G_GINT64_FORMAT, infer_array_get_int(in, i));
}

gboolean
infer_cast_to_strings(const InferNode *node, const InferArray *in, InferArray *out, GError **error)
{
  for (gint64 i = 0; i < infer_array_count(out); i++) {
    g_autofree char *text = NULL;

    if (in->type == INFER_TYPE_STRING) {
      infer_array_set_string(out, (gsize)i, infer_array_get_string(in, (gsize)i));
      continue;
    }
    text = element_text(in, (gsize)i);
    infer_array_set_string(out, (gsize)i, text);
  }
  return TRUE;
}

/* Integers of 64 bits have more digits than a double. */
static gboolean
read_whole(const char *text, InferArray *out, gsize i)
{
  gint64 number;
  guint64 bits;

  if (out->type == INFER_TYPE_INT64 &&
      g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &number, NULL)) {
    ((gint64 *)out->data)[i] = number;
    return TRUE;
  }
  if (out->type == INFER_TYPE_UINT64 &&
      g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &bits, NULL)) {
    ((guint64 *)out->data)[i] = bits;
    return TRUE;
  }
  return FALSE;
}

static gboolean
read_real(const char *text, double *value)
{
  char *end;

  if (g_ascii_strcasecmp(text, "true") == 0 || g_ascii_strcasecmp(text, "false") == 0) {
    *value = g_ascii_strcasecmp(text, "true") == 0;
    return TRUE;
  }
  *value = g_ascii_strtod(text, &end);
  return end != text && *end == 0;
}

static void
store_real(InferArray *out, gsize i, double value, gboolean saturate)
{
  guint bits = infer_type_bits(out->type), code;

  if (!infer_type_is_small_float(out->type)) {
    infer_array_set_double(out, i, value);
    return;
  }
  code = infer_small_float_encode(out->type, value, saturate, INFER_ROUND_UP);
  if (bits == 16)
    ((guint16 *)out->data)[i] = (guint16)code;
  else if (bits == 8)
    ((guint8 *)out->data)[i] = (guint8)code;
  else
    infer_packed_set(bits, out->data, i, code);
}

gboolean
infer_cast_from_strings(const InferNode *node, const InferArray *in, gboolean saturate,
                        InferArray *out, GError **error)
{
  for (gint64 i = 0; i < infer_array_count(in); i++) {
    g_autofree char *text = g_strstrip(g_strdup(infer_array_get_string(in, (gsize)i)));
    double value;

    if (read_whole(text, out, (gsize)i))
      continue;
    if (!read_real(text, &value))
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "'%.40s' is not a number", text);
    store_real(out, (gsize)i, value, saturate);
  }
  return TRUE;
}
