/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"

#include <string.h>

extern const InferOp *const infer_ops_sequence[];

/* Lists of tensors: what is in them is shared, not copied. */

static gboolean
is_kind(const InferShapeArgs *args, guint index, InferKind kind, GError **error)
{
  const InferOperand *in = &args->in[index];

  return in->kind == kind ||
         infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is a %s, not a %s", index,
                        infer_kind_name(in->kind), infer_kind_name(kind));
}

static gboolean
is_array(const InferEvalArgs *args, guint index, InferKind kind, GError **error)
{
  const InferArray *in = args->in[index];

  return (in && in->kind == kind) ||
         infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is not a %s", index,
                        infer_kind_name(kind));
}

static gboolean
is_position(const InferShapeArgs *args, guint index, GError **error)
{
  const InferOperand *in = &args->in[index];

  if (index >= args->n_in || in->type == INFER_TYPE_UNDEFINED)
    return TRUE;
  if (in->kind == INFER_KIND_TENSOR &&
      (in->type == INFER_TYPE_INT32 || in->type == INFER_TYPE_INT64) &&
      (!infer_dims_is_constant(&in->dims) || infer_dims_count(&in->dims) == 1))
    return TRUE;
  return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                        "the position has to be one int32 or int64");
}

/* Input @index as a position among @n, which a negative one counts from the end of; the last, or
 * @n itself where @behind, when it is absent. */
static gboolean
position(const InferEvalArgs *args, guint index, guint n, gboolean behind, guint *place,
         GError **error)
{
  const InferArray *array = index < args->n_in ? args->in[index] : NULL;
  gint64 at = behind ? n : (gint64)n - 1, limit = behind ? (gint64)n + 1 : n;

  if (array) {
    if (array->kind != INFER_KIND_TENSOR || infer_array_count(array) != 1)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "the position is not one number");
    at = infer_array_get_int(array, 0);
    at += at < 0 ? n : 0;
  }
  if (at < 0 || at >= limit)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "position %" G_GINT64_FORMAT " is not in a sequence of %u", at, n);
  *place = (guint)at;
  return TRUE;
}

static void
set_sequence(InferOperand *out, InferType type, const InferDims *item_dims)
{
  out->kind = INFER_KIND_SEQUENCE;
  out->type = type;
  out->item_dims = *item_dims;
}

/* --- SequenceConstruct, SequenceEmpty --- */

static gboolean
construct_infer(InferShapeArgs *args, GError **error)
{
  set_sequence(&args->out[0], args->in[0].type, &args->in[0].dims);
  for (guint i = 0; i < args->n_in; i++) {
    if (!is_kind(args, i, INFER_KIND_TENSOR, error))
      return FALSE;
    if (args->in[i].type != args->in[0].type)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is %s, input 0 %s", i,
                            infer_type_name(args->in[i].type), infer_type_name(args->in[0].type));
    infer_dims_join(&args->out[0].item_dims, &args->in[i].dims);
  }
  return TRUE;
}

static gboolean
construct_eval(const InferEvalArgs *args, GError **error)
{
  for (guint i = 0; i < args->n_in; i++)
    if (!is_array(args, i, INFER_KIND_TENSOR, error))
      return FALSE;
  args->out[0] =
      infer_array_new_sequence(args->in[0]->type, (InferArray *const *)args->in, args->n_in, error);
  return args->out[0] != NULL;
}

static InferType
empty_type(const InferNode *node)
{
  gint64 type = infer_node_get_int(node, "dtype", INFER_TYPE_FLOAT);

  return type > 0 && type < INFER_N_TYPES ? (InferType)type : INFER_TYPE_UNDEFINED;
}

static gboolean
empty_infer(InferShapeArgs *args, GError **error)
{
  set_sequence(&args->out[0], empty_type(args->node), &(InferDims){.n = -1});
  return TRUE;
}

static gboolean
empty_eval(const InferEvalArgs *args, GError **error)
{
  args->out[0] = infer_array_new_sequence(empty_type(args->node), NULL, 0, error);
  return args->out[0] != NULL;
}

/* --- SequenceAt, SequenceLength --- */

static gboolean
at_infer(InferShapeArgs *args, GError **error)
{
  if (!is_kind(args, 0, INFER_KIND_SEQUENCE, error) || !is_position(args, 1, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  args->out[0].dims = args->in[0].item_dims;
  return TRUE;
}

static gboolean
at_eval(const InferEvalArgs *args, GError **error)
{
  InferArray *item;
  guint place;

  if (!is_array(args, 0, INFER_KIND_SEQUENCE, error) ||
      !position(args, 1, args->in[0]->n_items, FALSE, &place, error))
    return FALSE;
  item = args->in[0]->items[place];
  if (!args->out[0]) {
    args->out[0] = infer_array_ref(item);
    return TRUE;
  }
  if (!infer_dims_equal(&args->out[0]->dims, &item->dims) || args->out[0]->type != item->type)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "the tensor has other dimensions");
  if (item->size)
    memcpy(args->out[0]->data, item->data, item->size);
  return TRUE;
}

static gboolean
length_infer(InferShapeArgs *args, GError **error)
{
  args->out[0].type = INFER_TYPE_INT64;
  args->out[0].dims = INFER_DIMS_SCALAR;
  return is_kind(args, 0, INFER_KIND_SEQUENCE, error);
}

static gboolean
length_eval(const InferEvalArgs *args, GError **error)
{
  if (!is_array(args, 0, INFER_KIND_SEQUENCE, error))
    return FALSE;
  *(gint64 *)args->out[0]->data = args->in[0]->n_items;
  return TRUE;
}

/* --- SequenceInsert, SequenceErase --- */

static gboolean
insert_infer(InferShapeArgs *args, GError **error)
{
  const InferOperand *list = &args->in[0], *item = &args->in[1];

  if (!is_kind(args, 0, INFER_KIND_SEQUENCE, error) ||
      !is_kind(args, 1, INFER_KIND_TENSOR, error) || !is_position(args, 2, error))
    return FALSE;
  if (item->type != list->type)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "a tensor of %s cannot go into a sequence of %s",
                          infer_type_name(item->type), infer_type_name(list->type));
  set_sequence(&args->out[0], list->type, &list->item_dims);
  infer_dims_join(&args->out[0].item_dims, &item->dims);
  return TRUE;
}

static gboolean
insert_eval(const InferEvalArgs *args, GError **error)
{
  g_autofree InferArray **items = NULL;
  guint n, place;

  if (!is_array(args, 0, INFER_KIND_SEQUENCE, error) ||
      !is_array(args, 1, INFER_KIND_TENSOR, error) ||
      !position(args, 2, args->in[0]->n_items, TRUE, &place, error))
    return FALSE;
  n = args->in[0]->n_items;
  items = g_new0(InferArray *, (gsize)n + 1);
  for (guint i = 0, from = 0; i < n + 1; i++)
    items[i] = i == place ? (InferArray *)args->in[1] : args->in[0]->items[from++];
  args->out[0] = infer_array_new_sequence(args->in[0]->type, items, n + 1, error);
  return args->out[0] != NULL;
}

static gboolean
erase_infer(InferShapeArgs *args, GError **error)
{
  set_sequence(&args->out[0], args->in[0].type, &args->in[0].item_dims);
  return is_kind(args, 0, INFER_KIND_SEQUENCE, error) && is_position(args, 1, error);
}

static gboolean
erase_eval(const InferEvalArgs *args, GError **error)
{
  g_autofree InferArray **items = NULL;
  guint n, place, to = 0;

  if (!is_array(args, 0, INFER_KIND_SEQUENCE, error) ||
      !position(args, 1, args->in[0]->n_items, FALSE, &place, error))
    return FALSE;
  n = args->in[0]->n_items;
  items = g_new0(InferArray *, (gsize)n + 1);
  for (guint i = 0; i < n; i++)
    if (i != place)
      items[to++] = args->in[0]->items[i];
  args->out[0] = infer_array_new_sequence(args->in[0]->type, items, n - 1, error);
  return args->out[0] != NULL;
}

/* --- ConcatFromSequence --- */

static gboolean
concat_infer(InferShapeArgs *args, GError **error)
{
  gboolean fresh = infer_node_get_int(args->node, "new_axis", 0) != 0;
  const InferDims *item = &args->in[0].item_dims;
  InferDims *out = &args->out[0].dims;
  gint axis;

  if (!is_kind(args, 0, INFER_KIND_SEQUENCE, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if (item->n < 0)
    return TRUE;
  if (item->n + fresh > INFER_MAX_DIMS ||
      !infer_op_axis(args->node, infer_node_get_int(args->node, "axis", 0), item->n + fresh, &axis,
                     error))
    return FALSE;
  out->n = item->n + fresh;
  for (gint i = 0, k = 0; i < out->n; i++) {
    out->d[i] = fresh && i == axis ? 0 : item->d[k++];
    if (i == axis)
      out->d[i] = INFER_DIM_UNKNOWN;
  }
  return TRUE;
}

static gboolean
concat_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *list = args->in[0];

  if (!is_array(args, 0, INFER_KIND_SEQUENCE, error))
    return FALSE;
  args->out[0] =
      infer_arrays_join(list->items, list->n_items, infer_node_get_int(args->node, "axis", 0),
                        infer_node_get_int(args->node, "new_axis", 0) != 0, error);
  if (!args->out[0])
    g_prefix_error(error, "node '%s' (%s): ", args->node->name, args->node->op->name);
  return args->out[0] != NULL;
}

/* --- SplitToSequence --- */

static gboolean
drops_axis(const InferNode *node, gboolean has_split)
{
  return !has_split && infer_node_get_int(node, "keepdims", 1) == 0;
}

static gboolean
split_infer(InferShapeArgs *args, GError **error)
{
  const InferOperand *in = &args->in[0];
  gboolean has_split = args->n_in > 1 && args->in[1].type != INFER_TYPE_UNDEFINED;
  InferDims *item = &args->out[0].item_dims;
  gint axis;

  if (!is_kind(args, 0, INFER_KIND_TENSOR, error) ||
      (has_split && !is_kind(args, 1, INFER_KIND_TENSOR, error)))
    return FALSE;
  set_sequence(&args->out[0], in->type, &in->dims);
  if (in->dims.n < 0)
    return TRUE;
  if (!infer_op_axis(args->node, infer_node_get_int(args->node, "axis", 0), in->dims.n, &axis,
                     error))
    return FALSE;
  item->d[axis] = has_split ? INFER_DIM_UNKNOWN : 1;
  if (drops_axis(args->node, has_split)) {
    for (gint i = axis; i + 1 < item->n; i++)
      item->d[i] = item->d[i + 1];
    item->n--;
  }
  return TRUE;
}

/* Elements of part @index; the last of equal parts is what remains. */
static gint64
part_size(const InferArray *split, guint index, gint64 left)
{
  if (!split)
    return 1;
  if (split->dims.n == 0)
    return MIN(infer_array_get_int(split, 0), left);
  return index < (guint64)infer_array_count(split) ? infer_array_get_int(split, index) : -1;
}

static gboolean
split_parts(const InferEvalArgs *args, gint axis, GPtrArray *parts, GError **error)
{
  const InferArray *in = args->in[0], *split = args->n_in > 1 ? args->in[1] : NULL;
  gint64 size = in->dims.d[axis], done = 0;
  gboolean drop = drops_axis(args->node, split != NULL);
  gsize wanted = split && split->dims.n ? (gsize)infer_array_count(split) : 0;

  while (split && split->dims.n ? parts->len < wanted : done < size) {
    gint64 count = part_size(split, parts->len, size - done);
    InferArray *part;

    if (count < (wanted ? 0 : 1) || count > size - done)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "part %u of %" G_GINT64_FORMAT
                            " elements does not fit the %" G_GINT64_FORMAT " of axis %d",
                            parts->len, count, size, axis);
    part = infer_array_slice(in, axis, done, count, drop, error);
    if (!part)
      return FALSE;
    g_ptr_array_add(parts, part);
    done += count;
  }
  return done == size ||
         infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                        "the parts have %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " elements",
                        done, size);
}

static gboolean
split_eval(const InferEvalArgs *args, GError **error)
{
  g_autoptr(GPtrArray) parts = g_ptr_array_new_with_free_func((GDestroyNotify)infer_array_unref);
  gint axis;

  if (!is_array(args, 0, INFER_KIND_TENSOR, error) ||
      (args->n_in > 1 && args->in[1] && !is_array(args, 1, INFER_KIND_TENSOR, error)) ||
      !infer_op_axis(args->node, infer_node_get_int(args->node, "axis", 0), args->in[0]->dims.n,
                     &axis, error))
    return FALSE;
  if (args->n_in > 1 && args->in[1] &&
      (args->in[1]->dims.n > 1 || !infer_type_is_integer(args->in[1]->type)))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "the sizes of the parts have to be integers in at most one dimension");
  if (!split_parts(args, axis, parts, error))
    return FALSE;
  args->out[0] = infer_array_new_sequence(args->in[0]->type, (InferArray *const *)parts->pdata,
                                          parts->len, error);
  return args->out[0] != NULL;
}

static const InferAttrSpec no_attrs[] = {{NULL, 0, FALSE}};
static const InferAttrSpec empty_attrs[] = {{"dtype", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec concat_attrs[] = {
    {"axis", 'i', TRUE}, {"new_axis", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec split_attrs[] = {
    {"axis", 'i', FALSE}, {"keepdims", 'i', FALSE}, {NULL, 0, FALSE}};

#define SEQUENCE(ID, NAME, VERSION, MIN_INPUTS, MAX_INPUTS, ATTRS)                                 \
  static const InferOp op_##ID = {                                                                 \
      .name = NAME,                                                                                \
      .version = VERSION,                                                                          \
      .min_inputs = MIN_INPUTS,                                                                    \
      .max_inputs = MAX_INPUTS,                                                                    \
      .min_outputs = 1,                                                                            \
      .max_outputs = 1,                                                                            \
      .attrs = ATTRS,                                                                              \
      .flags = INFER_OP_VALUES,                                                                    \
      .infer = ID##_infer,                                                                         \
      .eval = ID##_eval,                                                                           \
  }

SEQUENCE(construct, "SequenceConstruct", 11, 1, INFER_OP_VARIADIC, no_attrs);
SEQUENCE(empty, "SequenceEmpty", 11, 0, 0, empty_attrs);
SEQUENCE(at, "SequenceAt", 11, 2, 2, no_attrs);
SEQUENCE(length, "SequenceLength", 11, 1, 1, no_attrs);
SEQUENCE(insert, "SequenceInsert", 11, 2, 3, no_attrs);
SEQUENCE(erase, "SequenceErase", 11, 1, 2, no_attrs);
SEQUENCE(concat, "ConcatFromSequence", 11, 1, 1, concat_attrs);
SEQUENCE(split, "SplitToSequence", 11, 1, 2, split_attrs);

const InferOp *const infer_ops_sequence[] = {&op_construct, &op_empty,  &op_at,
                                             &op_length,    &op_insert, &op_erase,
                                             &op_concat,    &op_split,  NULL};
