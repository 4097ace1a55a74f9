/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/types.h>

G_BEGIN_DECLS

/**
 * InferArray:
 * @type: element type
 * @dims: constant dimensions
 * @size: bytes at @data; 0 for strings
 * @data: the elements, row-major, aligned to 64 bytes when allocated here; of strings it is
 *   private, see infer_array_get_string()
 *
 * A refcounted block of elements on the host: a weight, a constant, an input or an output.
 * The fields are read-only to users; what @data points at may be written by the creator.
 *
 * A sequence or optional (infer_array_get_kind()) is an array too: it has an element type, no
 * dimensions (their number is -1) and no elements, but items that are arrays.
 */
typedef struct _InferArray InferArray;
struct _InferArray {
  InferType type;
  InferDims dims;
  gsize size;
  gpointer data;
  /*< private >*/
  GBytes *owner;
  gatomicrefcount ref_count;
  InferKind kind;
  guint n_items;
  InferArray **items;
};

/**
 * infer_array_new:
 * @type: element type
 * @dims: constant dimensions
 * @error: return location
 *
 * Returns: (transfer full) (nullable): a zeroed array, or %NULL where the dimensions are not
 *   constant or the memory cannot be had.
 */
INFER_API InferArray *infer_array_new(InferType type, const InferDims *dims, GError **error);

/**
 * infer_array_new_from_bytes:
 * @type: element type
 * @dims: constant dimensions
 * @bytes: the elements, in the host's byte order; kept, not copied
 * @error: return location
 *
 * Returns: (transfer full) (nullable): an array over @bytes, or %NULL when the sizes differ.
 */
INFER_API InferArray *infer_array_new_from_bytes(InferType type, const InferDims *dims,
                                                 GBytes *bytes, GError **error);

/**
 * infer_array_new_from_data:
 * @type: element type
 * @dims: constant dimensions
 * @data: (array length=size) (element-type guint8): the elements, in the host's byte order; copied
 * @size: bytes at @data
 * @error: return location
 *
 * Returns: (transfer full) (nullable): an array of the elements, or %NULL when the sizes differ.
 */
INFER_API InferArray *infer_array_new_from_data(InferType type, const InferDims *dims,
                                                const guint8 *data, gsize size, GError **error);

/**
 * infer_array_get_bytes:
 * @array: an array
 *
 * Returns: (transfer full): a copy of the elements
 */
INFER_API GBytes *infer_array_get_bytes(const InferArray *array);

/**
 * infer_array_new_view: (skip)
 *
 * An array over memory of the caller, which has to outlive it. @data may be changed later
 * through infer_array_set_view().
 *
 * Returns: (transfer full): the array.
 */
INFER_API InferArray *infer_array_new_view(InferType type, const InferDims *dims, gpointer data);

/**
 * infer_array_new_float:
 * @value: the element
 *
 * Returns: (transfer full): a float scalar.
 */
INFER_API InferArray *infer_array_new_float(float value);
/**
 * infer_array_new_int64s:
 * @values: (array length=n): the elements
 * @n: how many there are
 *
 * Returns: (transfer full): a vector of @n int64.
 */
INFER_API InferArray *infer_array_new_int64s(const gint64 *values, gsize n);

/**
 * infer_array_new_sequence:
 * @type: element type of every tensor in it
 * @items: (array length=n_items): tensors
 * @n_items: how many there are
 * @error: return location
 *
 * Contents that belong to the caller (infer_array_new_view()) are copied, others are shared.
 *
 * Returns: (transfer full) (nullable): a sequence, or %NULL where an item is no tensor of @type
 */
INFER_API InferArray *infer_array_new_sequence(InferType type, InferArray *const *items,
                                               guint n_items, GError **error);

/**
 * infer_array_new_optional:
 * @kind: %INFER_KIND_OPTIONAL or %INFER_KIND_OPTIONAL_SEQUENCE
 * @type: element type
 * @value: (nullable): a tensor or a sequence, as @kind says; %NULL for nothing
 * @error: return location
 *
 * Returns: (transfer full) (nullable): an optional, or %NULL where @value is of another kind or
 *   type
 */
INFER_API InferArray *infer_array_new_optional(InferKind kind, InferType type, InferArray *value,
                                               GError **error);

/**
 * infer_array_get_kind:
 *
 * Returns: whether it is a tensor, a sequence or an optional.
 */
INFER_API InferKind infer_array_get_kind(const InferArray *array);
/**
 * infer_array_get_n_items:
 * @array: an array
 *
 * Returns: the tensors of a sequence; 1 for an optional with a value; else 0
 */
INFER_API guint infer_array_get_n_items(const InferArray *array);
/**
 * infer_array_get_item:
 * @array: a sequence or optional
 * @index: item
 *
 * Returns: (transfer none) (nullable): the item, %NULL where there is none of that number
 */
INFER_API InferArray *infer_array_get_item(const InferArray *array, guint index);

/**
 * infer_array_new_strings:
 * @dims: constant dimensions
 * @values: (array length=n) (nullable): the elements, row-major; copied, %NULL for empty ones
 * @n: how many there are
 * @error: return location
 *
 * Strings live on the host only and are bytes without a meaning to this library; ONNX's are UTF-8.
 *
 * Returns: (transfer full) (nullable): the array, or %NULL when the dimensions ask for another
 *   number of elements.
 */
INFER_API InferArray *infer_array_new_strings(const InferDims *dims, const char *const *values,
                                              gsize n, GError **error);

/**
 * infer_array_get_string:
 * @array: an array of strings
 * @index: element, row-major
 *
 * Returns: (transfer none): the element; "" in an array of another type or beyond its end
 */
INFER_API const char *infer_array_get_string(const InferArray *array, gsize index);

/**
 * infer_array_set_string:
 * @array: an array of strings that the caller made
 * @index: element, row-major
 * @value: (nullable): copied
 */
INFER_API void infer_array_set_string(InferArray *array, gsize index, const char *value);

/**
 * infer_array_ref: (skip)
 */
INFER_API InferArray *infer_array_ref(InferArray *array);
/**
 * infer_array_unref: (skip)
 */
INFER_API void infer_array_unref(InferArray *array);
INFER_API GType infer_array_get_type(void);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InferArray, infer_array_unref)

/**
 * infer_array_count:
 * @array: an array
 *
 * Returns: the number of elements.
 */
INFER_API gint64 infer_array_count(const InferArray *array);

/**
 * infer_array_get_int:
 * @array: an array of any numeric type
 * @index: element, row-major
 *
 * Returns: the element converted; 0 for types that have no value here (strings, complex).
 */
INFER_API gint64 infer_array_get_int(const InferArray *array, gsize index);
/**
 * infer_array_get_double:
 * @array: an array of any numeric type
 * @index: element, row-major
 *
 * Returns: the element converted; 0 for types that have no value here (strings, complex).
 */
INFER_API double infer_array_get_double(const InferArray *array, gsize index);
/**
 * infer_array_set_double:
 * @array: an array that the caller made
 * @index: element, row-major
 * @value: stored converted to the array's type, saturating integers and floats of 8 bits and fewer;
 *   floats are rounded to nearest, float8e8m0 up
 */
INFER_API void infer_array_set_double(InferArray *array, gsize index, double value);

G_END_DECLS
