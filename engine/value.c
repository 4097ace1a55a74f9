/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/error.h>
#include "graph.h"

#include <string.h>

/* Sequences and optionals: arrays of arrays, on the host only. */

const char *
infer_kind_name(InferKind kind)
{
  static const char *const names[] = {"tensor", "sequence", "optional", "optional sequence"};

  return (guint)kind < G_N_ELEMENTS(names) ? names[kind] : "invalid";
}

static gboolean
check_item(const InferArray *item, InferKind kind, InferType type, GError **error)
{
  if (item && item->kind == kind && item->type == type)
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE, "an item is a %s of %s, not a %s of %s",
              item ? infer_kind_name(item->kind) : "nothing",
              item ? infer_type_name(item->type) : "nothing", infer_kind_name(kind),
              infer_type_name(type));
  return FALSE;
}

InferArray *
infer_array_keep(const InferArray *array, GError **error)
{
  InferArray *copy;

  if (array->owner || array->kind != INFER_KIND_TENSOR)
    return infer_array_ref((InferArray *)array);
  copy = infer_array_new(array->type, &array->dims, error);
  if (copy && copy->size)
    memcpy(copy->data, array->data, copy->size);
  return copy;
}

static InferArray *
new_value(InferKind kind, InferType type, InferArray *const *items, guint n_items, GError **error)
{
  InferArray *array = g_new0(InferArray, 1);

  array->type = type;
  array->kind = kind;
  array->dims = INFER_DIMS_UNKNOWN;
  g_atomic_ref_count_init(&array->ref_count);
  array->items = g_new0(InferArray *, (gsize)n_items + 1);
  for (guint i = 0; i < n_items; i++) {
    array->items[i] = infer_array_keep(items[i], error);
    if (!array->items[i]) {
      infer_array_unref(array);
      return NULL;
    }
    array->n_items++;
  }
  return array;
}

InferArray *
infer_array_new_sequence(InferType type, InferArray *const *items, guint n_items, GError **error)
{
  for (guint i = 0; i < n_items; i++)
    if (!check_item(items[i], INFER_KIND_TENSOR, type, error)) {
      g_prefix_error(error, "a sequence cannot be made: ");
      return NULL;
    }
  return new_value(INFER_KIND_SEQUENCE, type, items, n_items, error);
}

InferArray *
infer_array_new_optional(InferKind kind, InferType type, InferArray *value, GError **error)
{
  InferKind inner = kind == INFER_KIND_OPTIONAL ? INFER_KIND_TENSOR : INFER_KIND_SEQUENCE;

  if (kind != INFER_KIND_OPTIONAL && kind != INFER_KIND_OPTIONAL_SEQUENCE) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "a %s is no optional",
                infer_kind_name(kind));
    return NULL;
  }
  if (value && !check_item(value, inner, type, error)) {
    g_prefix_error(error, "an optional cannot be made: ");
    return NULL;
  }
  return new_value(kind, type, &value, value ? 1 : 0, error);
}

InferKind
infer_array_get_kind(const InferArray *array)
{
  return array->kind;
}

guint
infer_array_get_n_items(const InferArray *array)
{
  return array->n_items;
}

InferArray *
infer_array_get_item(const InferArray *array, guint index)
{
  return index < array->n_items ? array->items[index] : NULL;
}

gsize
infer_array_total_size(const InferArray *array)
{
  gsize size = array->size;

  for (guint i = 0; i < array->n_items; i++)
    size += infer_array_total_size(array->items[i]) + sizeof(InferArray);
  return size;
}

/* --- what is known of several --- */

void
infer_dims_join(InferDims *dims, const InferDims *other)
{
  if (dims->n != other->n) {
    *dims = INFER_DIMS_UNKNOWN;
    return;
  }
  for (gint i = 0; i < dims->n; i++)
    if (dims->d[i] != other->d[i])
      dims->d[i] = INFER_DIM_UNKNOWN;
}

gboolean
infer_operand_join(InferOperand *operand, const InferOperand *other)
{
  if (operand->type != other->type || operand->kind != other->kind)
    return FALSE;
  infer_dims_join(&operand->dims, &other->dims);
  infer_dims_join(&operand->item_dims, &other->item_dims);
  operand->value = NULL;
  operand->has_content &= other->has_content && operand->content.n == other->content.n;
  for (gint i = 0; operand->has_content && i < operand->content.n; i++)
    if (operand->content.d[i] != other->content.d[i])
      operand->content.d[i] = INFER_DIM_UNKNOWN;
  return TRUE;
}

void
infer_array_item_dims(const InferArray *array, InferDims *dims)
{
  const InferArray *list = array;

  *dims = INFER_DIMS_UNKNOWN;
  if (array->kind == INFER_KIND_OPTIONAL_SEQUENCE && array->n_items)
    list = array->items[0];
  for (guint i = 0; i < list->n_items; i++) {
    if (i == 0)
      *dims = list->items[i]->dims;
    else
      infer_dims_join(dims, &list->items[i]->dims);
  }
}

/* --- joining and slicing --- */

static gboolean
check_bytes(const InferArray *array, GError **error)
{
  if (array->kind == INFER_KIND_TENSOR && infer_type_bits(array->type) >= 8)
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
              "a %s of %s can neither be joined nor cut into slices", infer_kind_name(array->kind),
              infer_type_name(array->type));
  return FALSE;
}

/* Whether @array fits behind @first; axes other than the joined one have to be equal. */
static gboolean
fits(const InferArray *first, const InferArray *array, gint axis, gboolean fresh, GError **error)
{
  gboolean same = array->type == first->type && array->dims.n == first->dims.n;
  g_autofree char *a = NULL, *b = NULL;

  if (!check_bytes(array, error))
    return FALSE;
  for (gint i = 0; same && i < array->dims.n; i++)
    same = array->dims.d[i] == first->dims.d[i] || (i == axis && !fresh);
  if (same)
    return TRUE;
  a = infer_dims_to_string(&first->dims);
  b = infer_dims_to_string(&array->dims);
  g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE, "%s %s and %s %s cannot be joined",
              infer_type_name(first->type), a, infer_type_name(array->type), b);
  return FALSE;
}

static gboolean
joined_dims(InferArray *const *arrays, guint n, gint64 axis, gboolean fresh, gint *place,
            InferDims *dims, GError **error)
{
  gint rank = arrays[0]->dims.n + (fresh ? 1 : 0);

  axis += axis < 0 ? rank : 0;
  if (axis < 0 || axis >= rank || rank > INFER_MAX_DIMS) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "axis %" G_GINT64_FORMAT " does not fit %d dimensions, at most %d", axis, rank,
                INFER_MAX_DIMS);
    return FALSE;
  }
  *place = (gint)axis;
  dims->n = rank;
  for (gint i = 0; i < rank; i++)
    dims->d[i] = arrays[0]->dims.d[fresh && i > axis ? i - 1 : MIN(i, arrays[0]->dims.n - 1)];
  dims->d[axis] = 0;
  for (guint i = 0; i < n; i++) {
    if (!fits(arrays[0], arrays[i], (gint)axis, fresh, error) ||
        __builtin_add_overflow(dims->d[axis], fresh ? 1 : arrays[i]->dims.d[axis], &dims->d[axis]))
      return FALSE;
  }
  return TRUE;
}

InferArray *
infer_arrays_join(InferArray *const *arrays, guint n, gint64 axis, gboolean fresh, GError **error)
{
  InferDims dims;
  InferArray *joined;
  gint place;
  gsize outer = 1, done = 0, row;

  if (n == 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "nothing cannot be joined: the sequence is empty");
    return NULL;
  }
  if (!joined_dims(arrays, n, axis, fresh, &place, &dims, error))
    return NULL;
  joined = infer_array_new(arrays[0]->type, &dims, error);
  if (!joined || joined->size == 0)
    return joined;
  for (gint i = 0; i < place; i++)
    outer *= (gsize)dims.d[i];
  row = joined->size / outer;
  for (guint i = 0; i < n; i++) {
    gsize part = arrays[i]->size / outer;
    for (gsize k = 0; part && k < outer; k++)
      memcpy((guint8 *)joined->data + k * row + done, (const guint8 *)arrays[i]->data + k * part,
             part);
    done += part;
  }
  return joined;
}

InferArray *
infer_array_slice(const InferArray *array, gint axis, gint64 start, gint64 count, gboolean drop,
                  GError **error)
{
  InferDims dims = array->dims;
  InferArray *slice;
  gsize outer = 1, row, part, inner;

  if (!check_bytes(array, error))
    return NULL;
  if (axis < 0 || axis >= dims.n || start < 0 || count < 0 || start > dims.d[axis] ||
      count > dims.d[axis] - start) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE,
                "elements %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT " of axis %d are not there",
                start, start + count, axis);
    return NULL;
  }
  for (gint i = 0; i < axis; i++)
    outer *= (gsize)dims.d[i];
  row = outer ? array->size / outer : 0;
  inner = dims.d[axis] ? row / (gsize)dims.d[axis] : 0;
  dims.d[axis] = count;
  if (drop && count == 1) {
    for (gint i = axis; i + 1 < dims.n; i++)
      dims.d[i] = dims.d[i + 1];
    dims.n--;
  }
  slice = infer_array_new(array->type, &dims, error);
  part = inner * (gsize)count;
  for (gsize k = 0; slice && part && k < outer; k++)
    memcpy((guint8 *)slice->data + k * part,
           (const guint8 *)array->data + k * row + inner * (gsize)start, part);
  return slice;
}
