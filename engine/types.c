/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/types.h>
#include <infer/error.h>

/* It would take the name for a difference. */
/* clang-format off */
G_DEFINE_QUARK(infer-error-quark, infer_error)
/* clang-format on */

static gpointer
dims_copy(gpointer boxed)
{
  return g_memdup2(boxed, sizeof(InferDims));
}

G_DEFINE_BOXED_TYPE(InferDims, infer_dims, dims_copy, g_free)

static const struct {
  const char *name;
  guint bits;
} type_table[INFER_N_TYPES] = {
    [INFER_TYPE_UNDEFINED] = {"undefined", 0},
    [INFER_TYPE_FLOAT] = {"float", 32},
    [INFER_TYPE_UINT8] = {"uint8", 8},
    [INFER_TYPE_INT8] = {"int8", 8},
    [INFER_TYPE_UINT16] = {"uint16", 16},
    [INFER_TYPE_INT16] = {"int16", 16},
    [INFER_TYPE_INT32] = {"int32", 32},
    [INFER_TYPE_INT64] = {"int64", 64},
    [INFER_TYPE_STRING] = {"string", 0},
    [INFER_TYPE_BOOL] = {"bool", 8},
    [INFER_TYPE_FLOAT16] = {"float16", 16},
    [INFER_TYPE_DOUBLE] = {"double", 64},
    [INFER_TYPE_UINT32] = {"uint32", 32},
    [INFER_TYPE_UINT64] = {"uint64", 64},
    [INFER_TYPE_COMPLEX64] = {"complex64", 64},
    [INFER_TYPE_COMPLEX128] = {"complex128", 128},
    [INFER_TYPE_BFLOAT16] = {"bfloat16", 16},
    [INFER_TYPE_FLOAT8E4M3FN] = {"float8e4m3fn", 8},
    [INFER_TYPE_FLOAT8E4M3FNUZ] = {"float8e4m3fnuz", 8},
    [INFER_TYPE_FLOAT8E5M2] = {"float8e5m2", 8},
    [INFER_TYPE_FLOAT8E5M2FNUZ] = {"float8e5m2fnuz", 8},
    [INFER_TYPE_UINT4] = {"uint4", 4},
    [INFER_TYPE_INT4] = {"int4", 4},
    [INFER_TYPE_FLOAT4E2M1] = {"float4e2m1", 4},
    [INFER_TYPE_FLOAT8E8M0] = {"float8e8m0", 8},
    [INFER_TYPE_UINT2] = {"uint2", 2},
    [INFER_TYPE_INT2] = {"int2", 2},
};

guint
infer_type_bits(InferType type)
{
  return (guint)type < INFER_N_TYPES ? type_table[type].bits : 0;
}

const char *
infer_type_name(InferType type)
{
  return (guint)type < INFER_N_TYPES ? type_table[type].name : "invalid";
}

gboolean
infer_type_is_float(InferType type)
{
  switch (type) {
  case INFER_TYPE_FLOAT:
  case INFER_TYPE_DOUBLE:
  case INFER_TYPE_FLOAT16:
  case INFER_TYPE_BFLOAT16:
    return TRUE;
  default:
    return FALSE;
  }
}

gboolean
infer_type_is_integer(InferType type)
{
  switch (type) {
  case INFER_TYPE_UINT8:
  case INFER_TYPE_INT8:
  case INFER_TYPE_UINT16:
  case INFER_TYPE_INT16:
  case INFER_TYPE_INT32:
  case INFER_TYPE_INT64:
  case INFER_TYPE_UINT32:
  case INFER_TYPE_UINT64:
    return TRUE;
  default:
    return FALSE;
  }
}

InferDims *
infer_dims_new(const gint64 *values, guint n, GError **error)
{
  InferDims *dims;

  if (n > INFER_MAX_DIMS) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE, "%u dimensions are more than %d", n,
                INFER_MAX_DIMS);
    return NULL;
  }
  dims = g_new0(InferDims, 1);
  dims->n = (gint)n;
  for (guint i = 0; i < n; i++)
    dims->d[i] = values[i];
  return dims;
}

const gint64 *
infer_dims_get_values(const InferDims *dims, guint *n)
{
  *n = (guint)CLAMP(dims->n, 0, INFER_MAX_DIMS);
  return dims->d;
}

gboolean
infer_dims_equal(const InferDims *a, const InferDims *b)
{
  if (a->n != b->n)
    return FALSE;
  for (gint i = 0; i < a->n; i++)
    if (a->d[i] != b->d[i])
      return FALSE;
  return TRUE;
}

gboolean
infer_dims_is_constant(const InferDims *dims)
{
  for (gint i = 0; i < dims->n; i++)
    if (dims->d[i] < 0)
      return FALSE;
  return dims->n >= 0;
}

gint64
infer_dims_count(const InferDims *dims)
{
  gint64 count = 1;
  gboolean empty = FALSE;

  if (!infer_dims_is_constant(dims))
    return -1;
  for (gint i = 0; i < dims->n; i++) {
    if (dims->d[i] == 0)
      empty = TRUE;
    else if (__builtin_mul_overflow(count, dims->d[i], &count))
      return -1;
  }
  return empty ? 0 : count;
}

char *
infer_dims_to_string(const InferDims *dims)
{
  GString *text = g_string_new(NULL);

  if (dims->n < 0)
    g_string_append(text, "unknown rank");
  else if (dims->n == 0)
    g_string_append(text, "scalar");
  for (gint i = 0; i < dims->n; i++) {
    if (i)
      g_string_append_c(text, 'x');
    if (dims->d[i] < 0)
      g_string_append_c(text, '?');
    else
      g_string_append_printf(text, "%" G_GINT64_FORMAT, dims->d[i]);
  }
  return g_string_free(text, FALSE);
}

gsize
infer_type_size(InferType type, gint64 count)
{
  guint bits = infer_type_bits(type);
  gsize size;

  if (count < 0)
    return G_MAXSIZE;
  if (bits >= 8)
    return __builtin_mul_overflow((gsize)count, (gsize)bits / 8, &size) ? G_MAXSIZE : size;
  if (bits == 0)
    return 0;
  return (gsize)count / (8 / bits) + ((gsize)count % (8 / bits) ? 1 : 0);
}
