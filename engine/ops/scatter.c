/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

extern const InferOp *const infer_ops_scatter[];

typedef enum {
  SCATTER_NONE,
  SCATTER_ADD,
  SCATTER_MUL,
  SCATTER_MAX,
  SCATTER_MIN,
} Reduction;

static const char *const reductions[] = {"none", "add", "mul", "max", "min", NULL};

/* Combines @n updates with the elements at hand. */
typedef void (*CombineFunc)(Reduction reduction, void *to, const void *from, gint64 n);

#define EACH(EXPR)                                                                                 \
  for (gint64 i = 0; i < n; i++)                                                                   \
    EXPR;                                                                                          \
  break

/* Maximum and minimum keep a NaN of either side. */
#define DEFINE_COMBINE(NAME, T, ADD, MUL)                                                          \
  static void combine_##NAME(Reduction reduction, void *to, const void *from, gint64 n)            \
  {                                                                                                \
    T *a = to;                                                                                     \
    const T *b = from;                                                                             \
    switch (reduction) {                                                                           \
    case SCATTER_ADD:                                                                              \
      EACH(ADD);                                                                                   \
    case SCATTER_MUL:                                                                              \
      EACH(MUL);                                                                                   \
    case SCATTER_MAX:                                                                              \
      EACH(a[i] = a[i] >= b[i] || a[i] != a[i] ? a[i] : b[i]);                                     \
    case SCATTER_MIN:                                                                              \
      EACH(a[i] = a[i] <= b[i] || a[i] != a[i] ? a[i] : b[i]);                                     \
    default:                                                                                       \
      memcpy(to, from, (gsize)n * sizeof(T));                                                      \
    }                                                                                              \
  }

/* The builtins wrap without being undefined. */
#define DEFINE_COMBINE_INT(NAME, T)                                                                \
  DEFINE_COMBINE(NAME, T, (void)__builtin_add_overflow(a[i], b[i], &a[i]),                         \
                 (void)__builtin_mul_overflow(a[i], b[i], &a[i]))

DEFINE_COMBINE(float, float, a[i] += b[i], a[i] *= b[i])
DEFINE_COMBINE(double, double, a[i] += b[i], a[i] *= b[i])
DEFINE_COMBINE(bool, guint8, a[i] = a[i] || b[i], a[i] = a[i] && b[i])
DEFINE_COMBINE_INT(int8, gint8)
DEFINE_COMBINE_INT(int16, gint16)
DEFINE_COMBINE_INT(int32, gint32)
DEFINE_COMBINE_INT(int64, gint64)
DEFINE_COMBINE_INT(uint8, guint8)
DEFINE_COMBINE_INT(uint16, guint16)
DEFINE_COMBINE_INT(uint32, guint32)
DEFINE_COMBINE_INT(uint64, guint64)

static const CombineFunc combine_funcs[INFER_N_TYPES] = {
    [INFER_TYPE_FLOAT] = combine_float,   [INFER_TYPE_DOUBLE] = combine_double,
    [INFER_TYPE_BOOL] = combine_bool,     [INFER_TYPE_INT8] = combine_int8,
    [INFER_TYPE_INT16] = combine_int16,   [INFER_TYPE_INT32] = combine_int32,
    [INFER_TYPE_INT64] = combine_int64,   [INFER_TYPE_UINT8] = combine_uint8,
    [INFER_TYPE_UINT16] = combine_uint16, [INFER_TYPE_UINT32] = combine_uint32,
    [INFER_TYPE_UINT64] = combine_uint64,
};

/* What one update does: @func is NULL where bytes are only copied. */
typedef struct {
  Reduction reduction;
  CombineFunc func;
  gsize size;
} Update;

static inline void
update(const Update *how, char *to, const char *from, gint64 n)
{
  if (how->func)
    how->func(how->reduction, to, from, n);
  else
    memcpy(to, from, (gsize)n * how->size);
}

static gboolean
update_params(const InferNode *node, InferType type, Update *how, GError **error)
{
  guint choice;
  if (!number_choice(node, "reduction", reductions, &choice, error))
    return FALSE;
  how->reduction = (Reduction)choice;
  how->func = choice == SCATTER_NONE ? NULL : combine_funcs[type];
  how->size = infer_type_bits(type) / 8;
  if (choice != SCATTER_NONE && !how->func)
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "reduction '%s' of %s is not supported; integers, bool, float and "
                          "double are",
                          reductions[choice], infer_type_name(type));
  return TRUE;
}

static gboolean
bad_index(const InferNode *node, gint64 index, gint64 d, GError **error)
{
  return infer_op_error(
      node, error, INFER_ERROR_SHAPE,
      "index %" G_GINT64_FORMAT " is out of the range of %" G_GINT64_FORMAT " elements", index, d);
}

static gboolean
mismatch(const InferNode *node, const InferDims *data, const InferDims *indices,
         const InferDims *updates, GError **error)
{
  g_autofree char *a = infer_dims_to_string(data);
  g_autofree char *b = infer_dims_to_string(indices);
  g_autofree char *c = infer_dims_to_string(updates);
  return infer_op_error(node, error, INFER_ERROR_SHAPE,
                        "data of %s, indices of %s and updates of %s do not fit", a, b, c);
}

/* ScatterElements: indices and updates alike, and within the data but for the axis. */
static gboolean
elements_check(const InferNode *node, const InferDims *data, const InferDims *indices,
               const InferDims *updates, gint *axis, GError **error)
{
  gint rank = data->n >= 0 ? data->n : indices->n >= 0 ? indices->n : updates->n;
  *axis = 0;
  if (rank < 0)
    return TRUE;
  if (!infer_op_axis(node, infer_node_get_int(node, "axis", 0), rank, axis, error))
    return FALSE;
  gboolean good = (indices->n < 0 || indices->n == rank) && (updates->n < 0 || updates->n == rank);
  for (gint i = 0; good && i < rank; i++) {
    gint64 n = indices->n >= 0 ? indices->d[i] : INFER_DIM_UNKNOWN;
    if (updates->n >= 0) {
      good = number_fits(n, updates->d[i]);
      n = n >= 0 ? n : updates->d[i];
    }
    if (data->n >= 0 && data->d[i] >= 0 && i != *axis && n > data->d[i])
      good = FALSE;
  }
  return good || mismatch(node, data, indices, updates, error);
}

static gboolean
require_inputs(const InferShapeArgs *args, Update *how, GError **error)
{
  return data_require(args, 0, error) && number_require_index(args, 1, error) &&
         number_require_same(args, 2, 0, error) &&
         update_params(args->node, args->in[0].type, how, error);
}

static gboolean
elements_infer(InferShapeArgs *args, GError **error)
{
  Update how;
  gint axis;
  return require_inputs(args, &how, error) &&
         elements_check(args->node, &args->in[0].dims, &args->in[1].dims, &args->in[2].dims, &axis,
                        error) &&
         data_set(args, 0, args->in[0].type, &args->in[0].dims, error);
}

static gboolean
elements_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0], *indices = args->in[1], *updates = args->in[2];
  const InferDims *dims = &indices->dims;
  gint64 strides[INFER_MAX_DIMS], at[INFER_MAX_DIMS] = {0}, base = 0;
  Update how;
  gint axis;
  if (!update_params(args->node, in->type, &how, error) ||
      !elements_check(args->node, &in->dims, dims, &updates->dims, &axis, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, &in->dims, error);
  if (!out)
    return FALSE;
  memcpy(out->data, in->data, in->size);
  gint64 n = infer_array_count(indices), d = in->dims.d[axis];
  data_strides(&in->dims, strides);
  gint64 step = strides[axis];
  /* The axis does not move the base: the index does. */
  strides[axis] = 0;
  for (gint64 i = 0; i < n; i++) {
    gint64 index = infer_array_get_int(indices, (gsize)i);
    if (index < -d || index >= d)
      return bad_index(args->node, index, d, error);
    index += index < 0 ? d : 0;
    update(&how, (char *)out->data + (gsize)(base + index * step) * how.size,
           (const char *)updates->data + (gsize)i * how.size, 1);
    for (gint k = dims->n - 1; k >= 0; k--) {
      base += strides[k];
      if (++at[k] < dims->d[k])
        break;
      base -= strides[k] * dims->d[k];
      at[k] = 0;
    }
  }
  return TRUE;
}

/* ScatterND: updates have the indices' dimensions but the last, then what an index leaves of the
 * data's. */
static gboolean
nd_check(const InferNode *node, const InferDims *data, const InferDims *indices,
         const InferDims *updates, GError **error)
{
  gboolean good = data->n != 0 && indices->n != 0;
  if (good && indices->n > 0 && updates->n >= 0)
    for (gint i = 0; good && i < indices->n - 1; i++)
      good = i < updates->n && number_fits(indices->d[i], updates->d[i]);
  gint64 depth = indices->n > 0 ? indices->d[indices->n - 1] : INFER_DIM_UNKNOWN;
  if (good && depth >= 0 && data->n >= 0) {
    good = depth >= 1 && depth <= data->n;
    if (good && updates->n >= 0) {
      good = updates->n == indices->n - 1 + data->n - (gint)depth;
      for (gint i = (gint)depth; good && i < data->n; i++)
        good = number_fits(data->d[i], updates->d[indices->n - 1 + i - (gint)depth]);
    }
  }
  return good || mismatch(node, data, indices, updates, error);
}

static gboolean
nd_infer(InferShapeArgs *args, GError **error)
{
  Update how;
  return require_inputs(args, &how, error) &&
         nd_check(args->node, &args->in[0].dims, &args->in[1].dims, &args->in[2].dims, error) &&
         data_set(args, 0, args->in[0].type, &args->in[0].dims, error);
}

static gboolean
nd_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0], *indices = args->in[1], *updates = args->in[2];
  gint64 strides[INFER_MAX_DIMS];
  Update how;
  if (!update_params(args->node, in->type, &how, error) ||
      !nd_check(args->node, &in->dims, &indices->dims, &updates->dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, &in->dims, error);
  if (!out)
    return FALSE;
  memcpy(out->data, in->data, in->size);
  gint depth = (gint)indices->dims.d[indices->dims.n - 1];
  gint64 rows = data_product(&indices->dims, 0, indices->dims.n - 1);
  gint64 width = data_product(&in->dims, depth, in->dims.n);
  data_strides(&in->dims, strides);
  for (gint64 row = 0; row < rows; row++) {
    gint64 offset = 0;
    for (gint k = 0; k < depth; k++) {
      gint64 d = in->dims.d[k], index = infer_array_get_int(indices, (gsize)(row * depth + k));
      if (index < -d || index >= d)
        return bad_index(args->node, index, d, error);
      offset += (index < 0 ? index + d : index) * strides[k];
    }
    if (width > 0)
      update(&how, (char *)out->data + (gsize)offset * how.size,
             (const char *)updates->data + (gsize)(row * width) * how.size, width);
  }
  return TRUE;
}

static const InferAttrSpec elements_attrs[] = {
    {"axis", 'i', FALSE}, {"reduction", 's', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec nd_attrs[] = {{"reduction", 's', FALSE}, {NULL, 0, FALSE}};

#define SCATTER(ID, NAME)                                                                          \
  static const InferOp ID = {                                                                      \
      .name = NAME,                                                                                \
      .version = 18,                                                                               \
      .min_inputs = 3,                                                                             \
      .max_inputs = 3,                                                                             \
      .min_outputs = 1,                                                                            \
      .max_outputs = 1,                                                                            \
      .attrs = ID##_attrs,                                                                         \
      .infer = ID##_infer,                                                                         \
      .eval = ID##_eval,                                                                           \
  }

SCATTER(elements, "ScatterElements");
SCATTER(nd, "ScatterND");

const InferOp *const infer_ops_scatter[] = {&elements, &nd, NULL};
