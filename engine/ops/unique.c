/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"
#include "order.h"

extern const InferOp *const infer_ops_unique[];

/* The slices of an axis, or the elements where none is given. A slice has @outer rows of @inner
 * elements. */
typedef struct {
  const InferArray *in;
  gint axis;
  gint64 n, outer, inner;
} Slices;

typedef struct {
  gint64 first; /* the slice that shows it first */
  gint64 count;
  gint64 number; /* in the output's order */
} Group;

static gint
compare_slices(const Slices *s, gint64 a, gint64 b)
{
  for (gint64 row = 0; row < s->outer; row++)
    for (gint64 i = 0; i < s->inner; i++) {
      guint64 x = infer_order_key(s->in, (row * s->n + a) * s->inner + i);
      guint64 y = infer_order_key(s->in, (row * s->n + b) * s->inner + i);
      if (x != y)
        return x < y ? -1 : 1;
    }
  return 0;
}

/* Merges from the bottom up, which keeps equal slices in their order. @other is of the same
 * length; returns the one of both that has the result. */
static gint64 *
sort_slices(const Slices *s, gint64 *order, gint64 *other)
{
  for (gint64 width = 1; width < s->n; width *= 2) {
    for (gint64 low = 0; low < s->n; low += 2 * width) {
      gint64 middle = MIN(low + width, s->n), high = MIN(low + 2 * width, s->n);
      gint64 a = low, b = middle;
      for (gint64 k = low; k < high; k++) {
        gboolean left = b == high || (a < middle && compare_slices(s, order[a], order[b]) <= 0);
        other[k] = left ? order[a++] : order[b++];
      }
    }
    gint64 *swap = order;
    order = other;
    other = swap;
  }
  return order;
}

static gboolean
slices_of(const InferNode *node, const InferArray *in, Slices *s, GError **error)
{
  *s = (Slices){in, -1, infer_array_count(in), 1, 1};
  if (!infer_node_has_attr(node, "axis"))
    return TRUE;
  if (!infer_op_axis(node, infer_node_get_int(node, "axis", 0), in->dims.n, &s->axis, error))
    return FALSE;
  s->n = in->dims.d[s->axis];
  s->outer = data_product(&in->dims, 0, s->axis);
  s->inner = data_product(&in->dims, s->axis + 1, in->dims.n);
  return TRUE;
}

static gboolean
unique_infer(InferShapeArgs *args, GError **error)
{
  const InferDims *in = &args->in[0].dims;
  InferDims dims = INFER_DIMS(INFER_DIM_UNKNOWN);
  gint64 n = in->n >= 0 ? data_product(in, 0, in->n) : INFER_DIM_UNKNOWN;
  guint sorted = (guint)infer_node_get_int(args->node, "sorted", 1);
  if (args->in[0].type != INFER_TYPE_STRING &&
      (!data_require(args, 0, error) ||
       !infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                              INFER_TYPE_FLOAT16, INFER_TYPE_BFLOAT16, INFER_TYPE_INT8,
                              INFER_TYPE_INT16, INFER_TYPE_INT32, INFER_TYPE_INT64,
                              INFER_TYPE_UINT8, INFER_TYPE_UINT16, INFER_TYPE_UINT32,
                              INFER_TYPE_UINT64, INFER_TYPE_BOOL, INFER_TYPE_UNDEFINED)))
    return FALSE;
  if (sorted > 1)
    return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT, "sorted must be 0 or 1");
  if (infer_node_has_attr(args->node, "axis")) {
    gint axis = 0;
    dims = *in;
    if (in->n >= 0 &&
        !infer_op_axis(args->node, infer_node_get_int(args->node, "axis", 0), in->n, &axis, error))
      return FALSE;
    n = in->n >= 0 ? in->d[axis] : INFER_DIM_UNKNOWN;
    if (in->n >= 0)
      dims.d[axis] = INFER_DIM_UNKNOWN;
  }
  if (!data_set(args, 0, args->in[0].type, &dims, error))
    return FALSE;
  for (guint i = 1; i < args->n_out; i++)
    if (!data_set(args, i, INFER_TYPE_INT64, &INFER_DIMS(i == 2 ? n : INFER_DIM_UNKNOWN), error))
      return FALSE;
  return TRUE;
}

/* Groups equal slices, which lie side by side in @order; @group_of gets the group of each. */
static gint64
make_groups(const Slices *s, const gint64 *order, Group *groups, gint64 *group_of)
{
  gint64 n = 0;
  for (gint64 i = 0; i < s->n; i++) {
    if (i == 0 || compare_slices(s, order[i - 1], order[i]) != 0) {
      groups[n] = (Group){order[i], 0, n};
      n++;
    }
    groups[n - 1].count++;
    group_of[order[i]] = n - 1;
  }
  return n;
}

static gboolean
write_outputs(const InferEvalArgs *args, const Slices *s, const Group *groups, gint64 n_groups,
              const gint64 *group_of, GError **error)
{
  InferDims dims = INFER_DIMS(n_groups);
  gint64 *lists[4] = {NULL};
  if (s->axis >= 0) {
    dims = s->in->dims;
    dims.d[s->axis] = n_groups;
  }
  InferArray *out = data_output(args, 0, s->in->type, &dims, error);
  if (!out)
    return FALSE;
  for (guint i = 1; i < args->n_out; i++) {
    InferDims list = INFER_DIMS(i == 2 ? s->n : n_groups);
    InferArray *array = data_output(args, i, INFER_TYPE_INT64, &list, error);
    if (!array)
      return FALSE;
    lists[i] = array->data;
  }
  gsize width = (gsize)s->inner * data_element_size(s->in);
  for (gint64 g = 0; g < n_groups; g++) {
    const Group *group = &groups[g];
    for (gint64 row = 0; row < s->outer && width > 0; row++)
      memcpy((char *)out->data + (gsize)(row * n_groups + group->number) * width,
             (const char *)s->in->data + (gsize)(row * s->n + group->first) * width, width);
    if (lists[1])
      lists[1][group->number] = group->first;
    if (lists[3])
      lists[3][group->number] = group->count;
  }
  for (gint64 i = 0; lists[2] && i < s->n; i++)
    lists[2][i] = groups[group_of[i]].number;
  return TRUE;
}

static gboolean
unique_numbers(const InferEvalArgs *args, GError **error)
{
  Slices s;
  if (!slices_of(args->node, args->in[0], &s, error))
    return FALSE;
  g_autofree gint64 *a = g_try_new(gint64, (gsize)s.n + 1);
  g_autofree gint64 *b = g_try_new(gint64, (gsize)s.n + 1);
  g_autofree Group *groups = g_try_new(Group, (gsize)s.n + 1);
  if (!a || !b || !groups)
    return infer_op_error(args->node, error, INFER_ERROR_MEMORY,
                          "no memory to sort %" G_GINT64_FORMAT " elements", s.n);
  for (gint64 i = 0; i < s.n; i++)
    a[i] = i;
  gint64 *order = sort_slices(&s, a, b);
  gint64 *group_of = order == a ? b : a;
  gint64 n = make_groups(&s, order, groups, group_of);
  if (!infer_node_get_int(args->node, "sorted", 1)) {
    /* In the order in which they come: a group's first slice is the only one with that number. */
    gint64 next = 0;
    for (gint64 i = 0; i < s.n; i++)
      if (groups[group_of[i]].first == i)
        groups[group_of[i]].number = next++;
  }
  return write_outputs(args, &s, groups, n, group_of, error);
}

static gint
compare_strings(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Numbers of strings in the order of their bytes, which in UTF-8 is that of the characters. */
static InferArray *
rank_strings(const InferArray *in, GPtrArray *strings, GError **error)
{
  g_autoptr(GHashTable) ranks = g_hash_table_new(g_str_hash, g_str_equal);
  InferArray *array = infer_array_new(INFER_TYPE_UINT64, &in->dims, error);

  for (gint64 i = 0; i < infer_array_count(in); i++) {
    const char *string = infer_array_get_string(in, (gsize)i);
    if (g_hash_table_add(ranks, (gpointer)string))
      g_ptr_array_add(strings, (gpointer)string);
  }
  g_ptr_array_sort(strings, compare_strings);
  for (guint i = 0; i < strings->len; i++)
    g_hash_table_insert(ranks, strings->pdata[i], GUINT_TO_POINTER(i));
  for (gint64 i = 0; array && i < infer_array_count(in); i++)
    ((guint64 *)array->data)[i] =
        GPOINTER_TO_UINT(g_hash_table_lookup(ranks, infer_array_get_string(in, (gsize)i)));
  return array;
}

static gboolean
unique_strings(const InferEvalArgs *args, GError **error)
{
  g_autoptr(GPtrArray) strings = g_ptr_array_new();
  g_autoptr(InferArray) ranks = rank_strings(args->in[0], strings, error);
  g_autoptr(InferArray) found = NULL;
  const InferArray *in[1] = {ranks};
  InferArray *out[4] = {NULL};
  InferEvalArgs numbers = *args;

  for (guint i = 1; i < args->n_out; i++)
    out[i] = args->out[i];
  numbers.in = in;
  numbers.out = out;
  if (!ranks || !unique_numbers(&numbers, error)) {
    for (guint i = 0; i < args->n_out; i++)
      if (out[i] && out[i] != args->out[i])
        infer_array_unref(out[i]);
    return FALSE;
  }
  found = out[0];
  for (guint i = 1; i < args->n_out; i++)
    args->out[i] = out[i];
  if (!data_output(args, 0, INFER_TYPE_STRING, &found->dims, error))
    return FALSE;
  for (gint64 i = 0; i < infer_array_count(found); i++)
    infer_array_set_string(args->out[0], (gsize)i,
                           strings->pdata[((const guint64 *)found->data)[i]]);
  return TRUE;
}

static gboolean
unique_eval(const InferEvalArgs *args, GError **error)
{
  return args->in[0]->type == INFER_TYPE_STRING ? unique_strings(args, error)
                                                : unique_numbers(args, error);
}

static const InferAttrSpec unique_attrs[] = {
    {"axis", 'i', FALSE}, {"sorted", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp unique = {
    .name = "Unique",
    .version = 11,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 4,
    .attrs = unique_attrs,
    .infer = unique_infer,
    .eval = unique_eval,
};

const InferOp *const infer_ops_unique[] = {&unique, NULL};
