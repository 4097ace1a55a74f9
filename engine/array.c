/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/array.h>
#include <infer/error.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "packed.h"
#include "smallfloat.h"

G_DEFINE_BOXED_TYPE(InferArray, infer_array, infer_array_ref, infer_array_unref)

#define ALIGNMENT 64
/* More than any tensor of a network that runs on one machine; keeps sums of sizes from wrapping. */
#define MAX_ARRAY_SIZE ((gsize)1 << 40)

static InferArray *
array_alloc(InferType type, const InferDims *dims)
{
  InferArray *array = g_new0(InferArray, 1);

  array->type = type;
  array->dims = *dims;
  g_atomic_ref_count_init(&array->ref_count);
  return array;
}

/* Strings are interned, so that equal ones are one pointer and data movement can move pointers;
 * the empty string is NULL, as in fresh memory. */
typedef struct {
  gsize n;
  char *strings[];
} Strings;

static void
strings_free(gpointer data)
{
  Strings *strings = data;

  for (gsize i = 0; i < strings->n; i++)
    g_clear_pointer(&strings->strings[i], g_ref_string_release);
  g_free(strings);
}

static InferArray *
string_array_new(const InferDims *dims, GError **error)
{
  gint64 count = infer_dims_count(dims);
  Strings *strings;
  InferArray *array;

  strings = count < 0 || count > (gint64)(MAX_ARRAY_SIZE / sizeof(char *))
                ? NULL
                : g_try_malloc0(sizeof *strings + (gsize)count * sizeof(char *));
  if (!strings) {
    g_autofree char *text = infer_dims_to_string(dims);
    g_set_error(
        error, INFER_ERROR, INFER_ERROR_MEMORY,
        "an array of %s strings cannot be had: the dimensions are not constant or too large", text);
    return NULL;
  }
  strings->n = (gsize)count;
  array = array_alloc(INFER_TYPE_STRING, dims);
  array->data = strings->strings;
  array->owner = g_bytes_new_with_free_func(strings, sizeof *strings, strings_free, strings);
  return array;
}

static gboolean
array_size(InferType type, const InferDims *dims, gsize *size, GError **error)
{
  g_autofree char *text = infer_dims_to_string(dims);
  gint64 count = infer_dims_count(dims);

  if (infer_type_bits(type) == 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                "an array of type %s cannot be made: elements have no fixed size",
                infer_type_name(type));
    return FALSE;
  }
  if (count < 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "an array of dimensions %s cannot be made: they are not constant or too large",
                text);
    return FALSE;
  }
  *size = infer_type_size(type, count);
  if (*size > MAX_ARRAY_SIZE) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY, "an array of %s %s is too large",
                infer_type_name(type), text);
    return FALSE;
  }
  return TRUE;
}

InferArray *
infer_array_new(InferType type, const InferDims *dims, GError **error)
{
  InferArray *array;
  gpointer data;
  gsize size, allocated;

  if (type == INFER_TYPE_STRING)
    return string_array_new(dims, error);
  if (!array_size(type, dims, &size, error))
    return NULL;
  allocated = MAX(size + (ALIGNMENT - size % ALIGNMENT) % ALIGNMENT, ALIGNMENT);
  data = aligned_alloc(ALIGNMENT, allocated);
  if (!data) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY, "%" G_GSIZE_FORMAT " bytes cannot be had",
                allocated);
    return NULL;
  }
  memset(data, 0, allocated);
  array = array_alloc(type, dims);
  array->size = size;
  array->data = data;
  array->owner = g_bytes_new_with_free_func(data, size, free, data);
  return array;
}

InferArray *
infer_array_new_from_bytes(InferType type, const InferDims *dims, GBytes *bytes, GError **error)
{
  InferArray *array;
  gsize size, have;
  gconstpointer data = g_bytes_get_data(bytes, &have);

  if (!array_size(type, dims, &size, error))
    return NULL;
  if (size != have) {
    g_autofree char *text = infer_dims_to_string(dims);
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "%s %s takes %" G_GSIZE_FORMAT " bytes, but %" G_GSIZE_FORMAT " are there",
                infer_type_name(type), text, size, have);
    return NULL;
  }
  /* Evaluations read elements through typed pointers. */
  if ((gsize)data % MAX(infer_type_bits(type) / 8, 1)) {
    array = infer_array_new(type, dims, error);
    if (array)
      memcpy(array->data, data, size);
    return array;
  }
  array = array_alloc(type, dims);
  array->size = size;
  array->data = (gpointer)data;
  array->owner = g_bytes_ref(bytes);
  return array;
}

InferArray *
infer_array_new_from_data(InferType type, const InferDims *dims, const guint8 *data, gsize size,
                          GError **error)
{
  g_autoptr(GBytes) bytes = g_bytes_new(data, size);

  return infer_array_new_from_bytes(type, dims, bytes, error);
}

GBytes *
infer_array_get_bytes(const InferArray *array)
{
  return g_bytes_new(array->data, array->size);
}

InferArray *
infer_array_new_view(InferType type, const InferDims *dims, gpointer data)
{
  InferArray *array = array_alloc(type, dims);

  array->size = infer_type_size(type, infer_dims_count(dims));
  array->data = data;
  return array;
}

InferArray *
infer_array_new_float(float value)
{
  const InferDims scalar = INFER_DIMS_SCALAR;
  InferArray *array = infer_array_new(INFER_TYPE_FLOAT, &scalar, NULL);

  *(float *)array->data = value;
  return array;
}

InferArray *
infer_array_new_int64s(const gint64 *values, gsize n)
{
  const InferDims dims = INFER_DIMS((gint64)n);
  InferArray *array = infer_array_new(INFER_TYPE_INT64, &dims, NULL);

  if (n)
    memcpy(array->data, values, n * sizeof(gint64));
  return array;
}

InferArray *
infer_array_new_strings(const InferDims *dims, const char *const *values, gsize n, GError **error)
{
  InferArray *array = string_array_new(dims, error);

  if (array && (gint64)n != infer_dims_count(dims)) {
    g_autofree char *text = infer_dims_to_string(dims);
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "an array of %s strings cannot be made of %" G_GSIZE_FORMAT, text, n);
    g_clear_pointer(&array, infer_array_unref);
  }
  for (gsize i = 0; array && i < n; i++)
    infer_array_set_string(array, i, values[i]);
  return array;
}

const char *
infer_array_get_string(const InferArray *array, gsize index)
{
  const char *value;

  if (array->type != INFER_TYPE_STRING || index >= (gsize)infer_array_count(array))
    return "";
  value = ((char *const *)array->data)[index];
  return value ? value : "";
}

void
infer_array_set_string(InferArray *array, gsize index, const char *value)
{
  char **at = (char **)array->data + index;

  if (array->type != INFER_TYPE_STRING || index >= (gsize)infer_array_count(array))
    return;
  g_clear_pointer(at, g_ref_string_release);
  if (value && value[0])
    *at = g_ref_string_new_intern(value);
}

InferArray *
infer_array_ref(InferArray *array)
{
  g_atomic_ref_count_inc(&array->ref_count);
  return array;
}

void
infer_array_unref(InferArray *array)
{
  if (!g_atomic_ref_count_dec(&array->ref_count))
    return;
  /* Items have items only in an optional sequence: this is three deep at most. */
  for (guint i = 0; i < array->n_items; i++)
    infer_array_unref(array->items[i]);
  g_free(array->items);
  g_clear_pointer(&array->owner, g_bytes_unref);
  g_free(array);
}

gint64
infer_array_count(const InferArray *array)
{
  return infer_dims_count(&array->dims);
}

static gint64
double_to_int(double value)
{
  if (isnan(value))
    return 0;
  if (value >= 9223372036854775808.0)
    return G_MAXINT64;
  if (value <= -9223372036854775808.0)
    return G_MININT64;
  return (gint64)value;
}

gint64
infer_array_get_int(const InferArray *array, gsize index)
{
  switch (array->type) {
  case INFER_TYPE_INT64:
    return ((const gint64 *)array->data)[index];
  case INFER_TYPE_UINT64: {
    guint64 value = ((const guint64 *)array->data)[index];
    return value > G_MAXINT64 ? G_MAXINT64 : (gint64)value;
  }
  case INFER_TYPE_INT32:
    return ((const gint32 *)array->data)[index];
  case INFER_TYPE_UINT32:
    return ((const guint32 *)array->data)[index];
  default:
    return double_to_int(infer_array_get_double(array, index));
  }
}

/* Codes of floats of 16 bits and fewer, and integers of 4 and 2 bits. */
static guint
get_code(const InferArray *array, gsize index)
{
  switch (infer_type_bits(array->type)) {
  case 16:
    return ((const guint16 *)array->data)[index];
  case 8:
    return ((const guint8 *)array->data)[index];
  default:
    return infer_packed_get(infer_type_bits(array->type), array->data, index);
  }
}

static double
get_small(const InferArray *array, gsize index)
{
  const guint bits = infer_type_bits(array->type);

  if (infer_type_is_small_float(array->type))
    return infer_small_float_decode(array->type, get_code(array, index));
  if (array->type == INFER_TYPE_INT4 || array->type == INFER_TYPE_INT2)
    return infer_packed_sign(bits, get_code(array, index));
  if (array->type == INFER_TYPE_UINT4 || array->type == INFER_TYPE_UINT2)
    return get_code(array, index);
  return 0;
}

static void
set_small(InferArray *array, gsize index, double value)
{
  const guint bits = infer_type_bits(array->type);
  guint code;

  if (infer_type_is_small_float(array->type))
    code = infer_small_float_encode(array->type, value, TRUE, INFER_ROUND_UP);
  else if (array->type == INFER_TYPE_INT4 || array->type == INFER_TYPE_INT2)
    code = (guint)CLAMP(double_to_int(value), -(1 << (bits - 1)), (1 << (bits - 1)) - 1);
  else if (array->type == INFER_TYPE_UINT4 || array->type == INFER_TYPE_UINT2)
    code = (guint)CLAMP(double_to_int(value), 0, (1 << bits) - 1);
  else
    return;
  if (bits == 16)
    ((guint16 *)array->data)[index] = (guint16)code;
  else if (bits == 8)
    ((guint8 *)array->data)[index] = (guint8)code;
  else
    infer_packed_set(bits, array->data, index, code);
}

double
infer_array_get_double(const InferArray *array, gsize index)
{
  switch (array->type) {
  case INFER_TYPE_FLOAT:
    return ((const float *)array->data)[index];
  case INFER_TYPE_DOUBLE:
    return ((const double *)array->data)[index];
  case INFER_TYPE_UINT8:
  case INFER_TYPE_BOOL:
    return ((const guint8 *)array->data)[index];
  case INFER_TYPE_INT8:
    return ((const gint8 *)array->data)[index];
  case INFER_TYPE_UINT16:
    return ((const guint16 *)array->data)[index];
  case INFER_TYPE_INT16:
    return ((const gint16 *)array->data)[index];
  case INFER_TYPE_UINT32:
    return ((const guint32 *)array->data)[index];
  case INFER_TYPE_INT32:
    return ((const gint32 *)array->data)[index];
  case INFER_TYPE_UINT64:
    return (double)((const guint64 *)array->data)[index];
  case INFER_TYPE_INT64:
    return (double)((const gint64 *)array->data)[index];
  default:
    return get_small(array, index);
  }
}

#define STORE_INT(ctype, low, high)                                                                \
  ((ctype *)array->data)[index] = (ctype)CLAMP(double_to_int(value), (gint64)low, (gint64)high)

void
infer_array_set_double(InferArray *array, gsize index, double value)
{
  switch (array->type) {
  case INFER_TYPE_FLOAT:
    ((float *)array->data)[index] = (float)value;
    break;
  case INFER_TYPE_DOUBLE:
    ((double *)array->data)[index] = value;
    break;
  case INFER_TYPE_BOOL:
    ((guint8 *)array->data)[index] = value != 0;
    break;
  case INFER_TYPE_UINT8:
    STORE_INT(guint8, 0, G_MAXUINT8);
    break;
  case INFER_TYPE_INT8:
    STORE_INT(gint8, G_MININT8, G_MAXINT8);
    break;
  case INFER_TYPE_UINT16:
    STORE_INT(guint16, 0, G_MAXUINT16);
    break;
  case INFER_TYPE_INT16:
    STORE_INT(gint16, G_MININT16, G_MAXINT16);
    break;
  case INFER_TYPE_UINT32:
    STORE_INT(guint32, 0, G_MAXUINT32);
    break;
  case INFER_TYPE_INT32:
    STORE_INT(gint32, G_MININT32, G_MAXINT32);
    break;
  case INFER_TYPE_UINT64:
    ((guint64 *)array->data)[index] = value <= 0 || isnan(value)        ? 0
                                      : value >= 18446744073709551616.0 ? G_MAXUINT64
                                                                        : (guint64)value;
    break;
  case INFER_TYPE_INT64:
    ((gint64 *)array->data)[index] = double_to_int(value);
    break;
  default:
    set_small(array, index, value);
  }
}
