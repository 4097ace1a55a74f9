/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#if defined(__GNUC__)
#define INFER_API __attribute__((visibility("default")))
#else
#define INFER_API
#endif

/**
 * InferType:
 *
 * Element types. The numbers are those of ONNX's TensorProto.DataType, so that plans, models and
 * logs agree on them.
 */
typedef enum {
  INFER_TYPE_UNDEFINED = 0,
  INFER_TYPE_FLOAT = 1,
  INFER_TYPE_UINT8 = 2,
  INFER_TYPE_INT8 = 3,
  INFER_TYPE_UINT16 = 4,
  INFER_TYPE_INT16 = 5,
  INFER_TYPE_INT32 = 6,
  INFER_TYPE_INT64 = 7,
  INFER_TYPE_STRING = 8,
  INFER_TYPE_BOOL = 9,
  INFER_TYPE_FLOAT16 = 10,
  INFER_TYPE_DOUBLE = 11,
  INFER_TYPE_UINT32 = 12,
  INFER_TYPE_UINT64 = 13,
  INFER_TYPE_COMPLEX64 = 14,
  INFER_TYPE_COMPLEX128 = 15,
  INFER_TYPE_BFLOAT16 = 16,
  INFER_TYPE_FLOAT8E4M3FN = 17,
  INFER_TYPE_FLOAT8E4M3FNUZ = 18,
  INFER_TYPE_FLOAT8E5M2 = 19,
  INFER_TYPE_FLOAT8E5M2FNUZ = 20,
  INFER_TYPE_UINT4 = 21,
  INFER_TYPE_INT4 = 22,
  INFER_TYPE_FLOAT4E2M1 = 23,
  INFER_TYPE_FLOAT8E8M0 = 24,
  INFER_TYPE_UINT2 = 25,
  INFER_TYPE_INT2 = 26,
} InferType;

/**
 * InferKind:
 * @INFER_KIND_TENSOR: a tensor
 * @INFER_KIND_SEQUENCE: a list of tensors of one element type
 * @INFER_KIND_OPTIONAL: a tensor, or nothing
 * @INFER_KIND_OPTIONAL_SEQUENCE: a list of tensors, or nothing
 *
 * What a value is. All but tensors live on the host only.
 */
typedef enum {
  INFER_KIND_TENSOR = 0,
  INFER_KIND_SEQUENCE = 1,
  INFER_KIND_OPTIONAL = 2,
  INFER_KIND_OPTIONAL_SEQUENCE = 3,
} InferKind;

/**
 * infer_kind_name:
 *
 * Returns: "tensor", "sequence", "optional" or "optional sequence"
 */
INFER_API const char *infer_kind_name(InferKind kind);

/* Number of element types, for tables indexed by #InferType. */
#define INFER_N_TYPES 27

/**
 * infer_type_bits:
 *
 * Returns: the bits of one element (4 and 2 for packed types), 0 for undefined and for strings.
 */
INFER_API guint infer_type_bits(InferType type);

/**
 * infer_type_name:
 *
 * Returns: the type's name as ONNX spells it in lower case ("float", "int64", ...).
 */
INFER_API const char *infer_type_name(InferType type);

/**
 * infer_type_is_float:
 *
 * Returns: whether elements are floating-point numbers, of whatever size.
 */
INFER_API gboolean infer_type_is_float(InferType type);
/**
 * infer_type_is_integer:
 *
 * Returns: whether elements are integers, of whatever size and sign; booleans are none.
 */
INFER_API gboolean infer_type_is_integer(InferType type);

/* The most dimensions of a tensor. */
#define INFER_MAX_DIMS 8

/**
 * InferDims:
 * @n: number of dimensions, 0 for a scalar, -1 when the rank is not known
 * @d: the dimensions, outermost first, in ONNX's logical order
 *
 * A dimension is a constant (>= 0), a symbol of the network (INFER_DIM_SYMBOL(i)), or
 * %INFER_DIM_UNKNOWN where nothing is known of it.
 */
typedef struct {
  gint n;
  gint64 d[INFER_MAX_DIMS];
} InferDims;

#define INFER_DIM_UNKNOWN G_MININT64
#define INFER_DIM_SYMBOL(index) (-(gint64)(index)-1)
#define INFER_DIM_IS_SYMBOL(dim) ((dim) < 0 && (dim) != INFER_DIM_UNKNOWN)
#define INFER_DIM_SYMBOL_INDEX(dim) ((guint)(-(dim)-1))

/* INFER_DIMS: a constant #InferDims from a list of dimensions. */
#define INFER_DIMS(...)                                                                            \
  ((InferDims){.n = sizeof((gint64[]){__VA_ARGS__}) / sizeof(gint64), .d = {__VA_ARGS__}})
#define INFER_DIMS_SCALAR ((InferDims){.n = 0})
#define INFER_DIMS_UNKNOWN ((InferDims){.n = -1})

INFER_API GType infer_dims_get_type(void);

/**
 * infer_dims_new:
 * @values: (array length=n): the dimensions
 * @n: how many there are, at most %INFER_MAX_DIMS
 * @error: return location
 *
 * For languages that have no use for INFER_DIMS().
 *
 * Returns: (transfer full) (nullable): the dimensions; to be freed with g_free()
 */
INFER_API InferDims *infer_dims_new(const gint64 *values, guint n, GError **error);

/**
 * infer_dims_get_values:
 * @dims: dimensions
 * @n: (out): how many there are, 0 when the rank is not known
 *
 * Returns: (transfer none) (array length=n): the dimensions
 */
INFER_API const gint64 *infer_dims_get_values(const InferDims *dims, guint *n);

/**
 * infer_dims_equal:
 *
 * Returns: whether ranks and all dimensions are the same, open ones by their symbol.
 */
INFER_API gboolean infer_dims_equal(const InferDims *a, const InferDims *b);

/**
 * infer_dims_is_constant:
 *
 * Returns: whether the rank and every dimension are known numbers.
 */
INFER_API gboolean infer_dims_is_constant(const InferDims *dims);

/**
 * infer_dims_count:
 *
 * Returns: the number of elements, or -1 where a dimension is not a constant or the product does
 *   not fit.
 */
INFER_API gint64 infer_dims_count(const InferDims *dims);

/**
 * infer_dims_to_string:
 *
 * Returns: (transfer full): "1x3x300x300", with "?" for what is not a constant, "scalar" for none.
 */
INFER_API char *infer_dims_to_string(const InferDims *dims);

/**
 * infer_type_size:
 *
 * Returns: bytes that @count elements of @type take, packed types rounded up; G_MAXSIZE where that
 *   does not fit.
 */
INFER_API gsize infer_type_size(InferType type, gint64 count);

G_END_DECLS
