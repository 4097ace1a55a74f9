/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <string.h>

/*
 * The .npy format: "\x93NUMPY", two bytes of version, the length of the header (2 bytes in version
 * 1, 4 bytes in 2 and 3, little endian), the header, which is a Python dictionary with the keys
 * descr, fortran_order and shape, and the elements. Source: numpy.lib.format's documentation.
 */

static const char magic[] = "\x93NUMPY";
#define MAGIC_SIZE 6

typedef struct {
  const char *at;
  const char *end;
  const char *source;
} Cursor;

static gboolean
damaged(const char *source, GError **error, const char *what)
{
  g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "%s: not a usable .npy file: %s", source,
              what);
  return FALSE;
}

static void
skip_space(Cursor *cursor)
{
  while (cursor->at < cursor->end && strchr(" \t\r\n", *cursor->at) != NULL && *cursor->at != '\0')
    cursor->at++;
}

static gboolean
accept(Cursor *cursor, const char *token)
{
  skip_space(cursor);
  gsize length = strlen(token);
  if ((gsize)(cursor->end - cursor->at) < length || memcmp(cursor->at, token, length) != 0)
    return FALSE;
  cursor->at += length;
  return TRUE;
}

/* A quoted string without escapes; (transfer full) (nullable). */
static char *
read_string(Cursor *cursor)
{
  skip_space(cursor);
  if (cursor->at >= cursor->end || (*cursor->at != '\'' && *cursor->at != '"'))
    return NULL;
  char quote = *cursor->at;
  const char *start = cursor->at + 1;
  const char *stop = start;
  while (stop < cursor->end && *stop != quote && *stop != '\\' && g_ascii_isprint(*stop))
    stop++;
  if (stop >= cursor->end || *stop != quote)
    return NULL;
  cursor->at = stop + 1;
  return g_strndup(start, stop - start);
}

static gboolean
read_number(Cursor *cursor, gint64 *number)
{
  skip_space(cursor);
  const char *start = cursor->at;
  *number = 0;
  for (; cursor->at < cursor->end && g_ascii_isdigit(*cursor->at); cursor->at++) {
    if (__builtin_mul_overflow(*number, 10, number) ||
        __builtin_add_overflow(*number, *cursor->at - '0', number))
      return FALSE;
  }
  return cursor->at > start;
}

static gboolean
read_shape(Cursor *cursor, InferDims *dims, GError **error)
{
  *dims = INFER_DIMS_SCALAR;
  if (!accept(cursor, "("))
    return damaged(cursor->source, error, "'shape' is not a tuple");
  while (!accept(cursor, ")")) {
    if (dims->n == INFER_MAX_DIMS) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                  "%s: the array has more than %d dimensions", cursor->source, INFER_MAX_DIMS);
      return FALSE;
    }
    if (!read_number(cursor, &dims->d[dims->n]))
      return damaged(cursor->source, error, "'shape' does not hold numbers that fit 63 bits");
    dims->n++;
    if (!accept(cursor, ",")) {
      if (accept(cursor, ")"))
        break;
      return damaged(cursor->source, error, "'shape' does not end");
    }
  }
  return TRUE;
}

static gboolean
read_descr(Cursor *cursor, InferType *type, GError **error)
{
  static const struct {
    const char *name;
    InferType type;
  } types[] = {
      {"f4", INFER_TYPE_FLOAT},  {"f2", INFER_TYPE_FLOAT16}, {"f8", INFER_TYPE_DOUBLE},
      {"u1", INFER_TYPE_UINT8},  {"i1", INFER_TYPE_INT8},    {"u2", INFER_TYPE_UINT16},
      {"i2", INFER_TYPE_INT16},  {"u4", INFER_TYPE_UINT32},  {"i4", INFER_TYPE_INT32},
      {"u8", INFER_TYPE_UINT64}, {"i8", INFER_TYPE_INT64},   {"b1", INFER_TYPE_BOOL},
  };
  g_autofree char *descr = read_string(cursor);
  if (descr == NULL)
    return damaged(cursor->source, error, "'descr' is not a plain element type");
  gboolean foreign = descr[0] == (G_BYTE_ORDER == G_LITTLE_ENDIAN ? '>' : '<');
  const char *name = descr[0] != '\0' && strchr("<>=|", descr[0]) != NULL ? descr + 1 : descr;
  for (guint i = 0; i < G_N_ELEMENTS(types); i++) {
    if (strcmp(types[i].name, name) != 0)
      continue;
    *type = types[i].type;
    if (!foreign || name[1] == '1')
      return TRUE;
  }
  g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
              "%s: elements are '%s', which is %s; save a numeric array in this machine's byte "
              "order",
              cursor->source, descr, foreign ? "another byte order" : "no type of a tensor");
  return FALSE;
}

static gboolean
read_order(Cursor *cursor, GError **error)
{
  if (accept(cursor, "False"))
    return TRUE;
  if (!accept(cursor, "True"))
    return damaged(cursor->source, error, "'fortran_order' is neither True nor False");
  g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
              "%s: the array is in Fortran order; save numpy.ascontiguousarray(array)",
              cursor->source);
  return FALSE;
}

static gboolean
read_header(Cursor *cursor, ExecNpy *npy, GError **error)
{
  enum { DESCR = 1, ORDER = 2, SHAPE = 4, ALL = 7 };
  guint seen = 0;
  if (!accept(cursor, "{"))
    return damaged(cursor->source, error, "the header is not a dictionary");
  while (!accept(cursor, "}")) {
    g_autofree char *key = read_string(cursor);
    if (key == NULL || !accept(cursor, ":"))
      return damaged(cursor->source, error, "the header is not a dictionary of names");
    guint bit = strcmp(key, "descr") == 0           ? DESCR
                : strcmp(key, "fortran_order") == 0 ? ORDER
                : strcmp(key, "shape") == 0         ? SHAPE
                                                    : 0;
    if (bit == 0 || (seen & bit) != 0)
      return damaged(cursor->source, error, "the header has a key that is unknown or there twice");
    seen |= bit;
    if ((bit == DESCR && !read_descr(cursor, &npy->type, error)) ||
        (bit == ORDER && !read_order(cursor, error)) ||
        (bit == SHAPE && !read_shape(cursor, &npy->dims, error)))
      return FALSE;
    if (!accept(cursor, ",")) {
      if (accept(cursor, "}"))
        break;
      return damaged(cursor->source, error, "the header does not end");
    }
  }
  return seen == ALL || damaged(cursor->source, error, "descr, fortran_order or shape is missing");
}

gboolean
exec_npy_is(const guint8 *data, gsize size)
{
  return size >= MAGIC_SIZE && memcmp(data, magic, MAGIC_SIZE) == 0;
}

static gboolean
check_size(const ExecNpy *npy, gsize size, const char *source, GError **error)
{
  gint64 count = infer_dims_count(&npy->dims);
  gsize needed = count < 0 ? G_MAXSIZE : infer_type_size(npy->type, count);
  if (needed == size - npy->offset)
    return TRUE;
  g_autofree char *shape = infer_dims_to_string(&npy->dims);
  if (needed == G_MAXSIZE)
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "%s: an array %s is too large", source,
                shape);
  else
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "%s: %" G_GSIZE_FORMAT " bytes of elements found, an array %s of %s needs "
                "%" G_GSIZE_FORMAT,
                source, size - npy->offset, shape, infer_type_name(npy->type), needed);
  return FALSE;
}

gboolean
exec_npy_parse(const guint8 *data, gsize size, const char *source, ExecNpy *npy, GError **error)
{
  if (!exec_npy_is(data, size) || size < MAGIC_SIZE + 4)
    return damaged(source, error, "it ends inside the header");
  guint8 major = data[MAGIC_SIZE];
  if (major < 1 || major > 3) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "%s: .npy version %u; versions 1 to 3 are read", source, major);
    return FALSE;
  }
  gsize start = MAGIC_SIZE + (major == 1 ? 4 : 6);
  if (size < start)
    return damaged(source, error, "it ends inside the header");
  gsize length = data[MAGIC_SIZE + 2] | (gsize)data[MAGIC_SIZE + 3] << 8;
  if (major > 1)
    length |= (gsize)data[MAGIC_SIZE + 4] << 16 | (gsize)data[MAGIC_SIZE + 5] << 24;
  if (length > EXEC_NPY_MAX_HEADER)
    return damaged(source, error, "its header is longer than 64 KiB");
  if (length > size - start)
    return damaged(source, error, "it ends inside the header");

  *npy = (ExecNpy){.offset = start + length};
  const char *text = (const char *)data + start;
  Cursor cursor = {text, text + length, source};
  return read_header(&cursor, npy, error) && check_size(npy, size, source, error);
}
