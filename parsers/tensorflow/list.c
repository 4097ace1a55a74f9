/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "list.h"

#include "trace.h"

#include <string.h>

/*
 * TensorList and TensorArray: lists that loops read from and write to. They are no tensors of the
 * network: while a loop is written out they are kept here, and a loop of the engine stacks what its
 * iterations write.
 */

#define MAX_ITEMS 65536

static void
thing_free(gpointer data)
{
  TfThing *thing = data;

  g_clear_pointer(&thing->items, g_ptr_array_unref);
  g_free(thing);
}

TfThing *
tf_thing_new(TfImport *im, TfThingKind kind)
{
  TfThing *thing = g_new0(TfThing, 1);

  if (!im->things) {
    im->things = g_ptr_array_new_with_free_func(thing_free);
  }
  g_ptr_array_add(im->things, thing);
  thing->kind = kind;
  return thing;
}

TfThing *
tf_thing_in(TfNode *node, guint index)
{
  if (index >= node->n_inputs || !node->inputs[index].node) {
    return NULL;
  }
  const TfEdge *edge = &node->inputs[index];
  GArray *values = edge->node->values;
  return values && edge->port < values->len ? g_array_index(values, TfValue, edge->port).thing
                                            : NULL;
}

gboolean
tf_out_thing(TfNode *node, guint port, TfThing *thing)
{
  tf_output(node, port)->thing = thing;
  return thing != NULL;
}

gboolean
tf_thing_is_list(const TfThing *thing)
{
  return thing && thing->kind != TF_VARIABLE;
}

gboolean
tf_list_is_open(const TfThing *list)
{
  if (!list || list->kind != TF_LIST || list->stacked) {
    return FALSE;
  }
  for (guint i = 0; list->items && i < list->items->len; i++) {
    if (list->items->pdata[i]) {
      return FALSE;
    }
  }
  return TRUE;
}

TfThing *
tf_list_of_tensor(TfImport *im, InferTensor *stacked)
{
  TfThing *list = tf_thing_new(im, TF_LIST);

  list->stacked = stacked;
  list->type = stacked->type;
  return list;
}

InferTensor *
tf_list_stacked(TfImport *im, TfNode *node, TfThing *list, GError **error)
{
  static const gint64 first = 0;
  guint n = list->items ? list->items->len : 0;

  if (list->stacked) {
    return list->stacked;
  }
  if (list->kind == TF_SLOT || n == 0) {
    tf_error(error, INFER_ERROR_UNSUPPORTED,
             "a list is read in the loop that fills it, or before anything is in it");
    return NULL;
  }
  g_autofree InferTensor **rows = g_new0(InferTensor *, n);
  for (guint i = 0; i < n; i++) {
    if (!list->items->pdata[i]) {
      tf_error(error, INFER_ERROR_UNSUPPORTED, "element %u of a list of %u is never written", i, n);
      return NULL;
    }
    rows[i] = tf_unsqueeze(im, node, "row", list->items->pdata[i], &first, 1, error);
    if (!rows[i]) {
      return NULL;
    }
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)0, NULL);
  list->stacked = tf_add(im, node, "stack", "Concat", attrs, rows, n, error);
  return list->stacked;
}

static TfThing *
list_in(TfNode *node, guint index, GError **error)
{
  TfThing *list = tf_thing_in(node, index);

  if (!tf_thing_is_list(list)) {
    tf_error(error, INFER_ERROR_UNSUPPORTED, "input %u is not a list that can be followed", index);
    return NULL;
  }
  return list;
}

static gboolean
known_int(const InferTensor *tensor, gint64 *value)
{
  g_autoptr(InferArray) array = tensor ? parsers_known(tensor) : NULL;

  if (!array || infer_array_count(array) != 1 || !infer_type_is_integer(array->type)) {
    return FALSE;
  }
  *value = infer_array_get_int(array, 0);
  return TRUE;
}

/* --- making lists --- */

static gboolean
reserve(TfImport *im, TfNode *node, guint length_input, const char *dtype, guint ports,
        GError **error)
{
  TfThing *list = tf_thing_new(im, TF_LIST);
  gint64 n = 0;

  list->length = tf_in(im, node, length_input, error);
  list->type = tf_attr_type(node, dtype, INFER_TYPE_FLOAT);
  if (!list->length) {
    return FALSE;
  }
  if (known_int(list->length, &n)) {
    if (n < 0 || n > MAX_ITEMS) {
      return tf_error(error, INFER_ERROR_UNSUPPORTED, "a list of %" G_GINT64_FORMAT " elements", n);
    }
    list->items = g_ptr_array_new();
    g_ptr_array_set_size(list->items, (gint)n);
  }
  for (guint i = 0; i < ports; i++) {
    tf_out_thing(node, i, list);
  }
  return TRUE;
}

static gboolean
emit_reserve(TfImport *im, TfNode *node, GError **error)
{
  return reserve(im, node, 1, "element_dtype", 1, error);
}

static gboolean
emit_empty(TfImport *im, TfNode *node, GError **error)
{
  TfThing *list = tf_thing_new(im, TF_LIST);

  list->items = g_ptr_array_new();
  list->type = tf_attr_type(node, "element_dtype", INFER_TYPE_FLOAT);
  return tf_out_thing(node, 0, list);
}

/* The handle and the flow of an array are one list here. */
static gboolean
emit_array(TfImport *im, TfNode *node, GError **error)
{
  return reserve(im, node, 0, "dtype", 2, error);
}

static gboolean
emit_from_tensor(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *tensor = tf_in(im, node, 0, error);

  return tensor && tf_out_thing(node, 0, tf_list_of_tensor(im, tensor));
}

/* Whether @indices are 0, 1, 2, ... as far as that can be told: a constant, or a Range. */
static gboolean
counts_up(const TfNode *node, guint input, InferTensor *indices)
{
  g_autoptr(InferArray) known = parsers_known(indices);
  TfNode *range = tf_source(node, input);
  gint64 start = -1, step = 0;

  for (gint64 i = 0; known && i < infer_array_count(known); i++) {
    if (infer_array_get_int(known, (gsize)i) != i) {
      return FALSE;
    }
  }
  if (known) {
    return TRUE;
  }
  if (!tf_is(range, "Range")) {
    return FALSE;
  }
  TfValue *first = tf_value(range, 0, NULL), *by = tf_value(range, 2, NULL);
  return first && by && known_int(first->tf, &start) && known_int(by->tf, &step) && start == 0 &&
         step == 1;
}

/* The order of inputs: handle, indices, value, flow. */
static gboolean
emit_array_scatter(TfImport *im, TfNode *node, GError **error)
{
  TfThing *list = list_in(node, 0, error);
  InferTensor *indices = list ? tf_in(im, node, 1, error) : NULL;
  InferTensor *value = indices ? tf_in(im, node, 2, error) : NULL;

  if (!value) {
    return FALSE;
  }
  if (!tf_list_is_open(list) || !counts_up(node, 1, indices)) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "it does not fill an array in order");
  }
  return tf_out_thing(node, 0, tf_list_of_tensor(im, value));
}

/* --- reading --- */

static InferTensor *
list_item(TfImport *im, TfNode *node, TfThing *list, InferTensor *index, GError **error)
{
  gint64 at = 0;

  if (list->kind == TF_LIST && list->items && known_int(index, &at)) {
    if (at < 0 || at >= list->items->len || !list->items->pdata[at]) {
      tf_error(error, INFER_ERROR_MODEL,
               "element %" G_GINT64_FORMAT " of a list of %u is not there", at, list->items->len);
      return NULL;
    }
    return list->items->pdata[at];
  }
  InferTensor *all = tf_list_stacked(im, node, list, error);
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)0, NULL);
  if (!all) {
    g_variant_unref(g_variant_ref_sink(attrs));
    return NULL;
  }
  return tf_add2(im, node, NULL, "Gather", attrs, all, index, error);
}

static gboolean
emit_get(TfImport *im, TfNode *node, GError **error)
{
  TfThing *list = list_in(node, tf_is_array_op(node, "Read") ? 2 : 0, error);
  InferTensor *index = list ? tf_in(im, node, 1, error) : NULL;

  return index && tf_out(node, 0, list_item(im, node, list, index, error));
}

static gboolean
emit_stack(TfImport *im, TfNode *node, GError **error)
{
  TfThing *list = list_in(node, 0, error);

  return list && tf_out(node, 0, tf_list_stacked(im, node, list, error));
}

/* Handle, indices, flow. */
static gboolean
emit_array_gather(TfImport *im, TfNode *node, GError **error)
{
  TfThing *list = list_in(node, 2, error);
  InferTensor *all = list ? tf_list_stacked(im, node, list, error) : NULL;
  InferTensor *indices = all ? tf_in(im, node, 1, error) : NULL;

  if (!indices) {
    return FALSE;
  }
  if (counts_up(node, 1, indices)) {
    return tf_out(node, 0, all);
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)0, NULL);
  return tf_out(node, 0, tf_add2(im, node, NULL, "Gather", attrs, all, indices, error));
}

static gboolean
emit_length(TfImport *im, TfNode *node, GError **error)
{
  TfThing *list = list_in(node, node->n_inputs > 1 ? 1 : 0, error);

  if (!list) {
    return FALSE;
  }
  if (list->items) {
    return tf_out(node, 0, tf_scalar(im, node, NULL, INFER_TYPE_INT32, list->items->len));
  }
  if (!list->stacked) {
    return list->length
               ? tf_out(node, 0, list->length)
               : tf_error(error, INFER_ERROR_UNSUPPORTED, "the list's length is not known");
  }
  InferTensor *shape = tf_add1(im, node, "shape", "Shape", NULL, list->stacked, error);
  InferTensor *zero = tf_scalar(im, node, "zero", INFER_TYPE_INT64, 0);
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)0, NULL);
  InferTensor *n = tf_add2(im, node, "length", "Gather", attrs, shape, zero, error);
  return n && tf_out(node, 0, tf_cast(im, node, NULL, n, INFER_TYPE_INT32, error));
}

/* --- writing --- */

/* A list with one more element, or with another in a place; the old one stays as it was. */
static TfThing *
written(TfImport *im, TfNode *node, TfThing *list, InferTensor *index, InferTensor *item,
        GError **error)
{
  gint64 at = 0;

  TfThing *next = tf_thing_new(im, list->kind);
  next->type = item->type;
  if (list->kind == TF_SLOT) {
    if (list->item) {
      tf_error(error, INFER_ERROR_UNSUPPORTED, "an iteration writes to a list more than once");
      return NULL;
    }
    next->index = index;
    next->item = item;
    return next;
  }
  if (list->items && known_int(index, &at) && at >= 0 && at < MAX_ITEMS) {
    next->items = g_ptr_array_copy(list->items, NULL, NULL);
    if (at >= next->items->len) {
      g_ptr_array_set_size(next->items, (gint)at + 1); /* arrays may grow */
    }
    next->items->pdata[at] = item;
    return next;
  }
  if (!list->stacked) {
    tf_error(error, INFER_ERROR_UNSUPPORTED, "which element of a list is written depends on data");
    return NULL;
  }
  static const gint64 axes[2] = {0, 0};
  InferTensor *places = tf_cast(im, node, "place", index, INFER_TYPE_INT64, error);
  InferTensor *where =
      places ? tf_unsqueeze(im, node, "where", places, (const gint64[]){0, 1}, 2, error) : NULL;
  InferTensor *row = where ? tf_unsqueeze(im, node, "row", item, axes, 1, error) : NULL;
  InferTensor *in[3] = {list->stacked, where, row};
  next->stacked = row ? tf_add(im, node, NULL, "ScatterND", NULL, in, 3, error) : NULL;
  return next->stacked ? next : NULL;
}

/* Lists: list, index, item. Arrays: handle, index, value, flow. */
static gboolean
emit_set(TfImport *im, TfNode *node, GError **error)
{
  TfThing *list = list_in(node, tf_is_array_op(node, "Write") ? 3 : 0, error);
  InferTensor *index = list ? tf_in(im, node, 1, error) : NULL;
  InferTensor *item = index ? tf_in(im, node, 2, error) : NULL;

  return item && tf_out_thing(node, 0, written(im, node, list, index, item, error));
}

static gboolean
emit_push(TfImport *im, TfNode *node, GError **error)
{
  TfThing *list = list_in(node, 0, error);
  InferTensor *item = list ? tf_in(im, node, 1, error) : NULL;

  if (!item) {
    return FALSE;
  }
  if (!list->items) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "a list grows while the engine runs a loop");
  }
  InferTensor *end = tf_scalar(im, node, "end", INFER_TYPE_INT64, list->items->len);
  return tf_out_thing(node, 0, written(im, node, list, end, item, error));
}

static gboolean
emit_pop(TfImport *im, TfNode *node, GError **error)
{
  TfThing *list = list_in(node, 0, error);

  if (!list) {
    return FALSE;
  }
  if (!list->items || list->items->len == 0 || !list->items->pdata[list->items->len - 1]) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "nothing is known to be at the list's end");
  }
  TfThing *less = tf_thing_new(im, TF_LIST);
  less->type = list->type;
  less->items = g_ptr_array_copy(list->items, NULL, NULL);
  g_ptr_array_set_size(less->items, (gint)list->items->len - 1);
  return tf_out_thing(node, 0, less) && tf_out(node, 1, list->items->pdata[list->items->len - 1]);
}

const TfOp tf_ops_list[] = {
    {"TensorListReserve", emit_reserve},
    {"EmptyTensorList", emit_empty},
    {"TensorListFromTensor", emit_from_tensor},
    {"TensorListGetItem", emit_get},
    {"TensorListSetItem", emit_set},
    {"TensorListStack", emit_stack},
    {"TensorListLength", emit_length},
    {"TensorListPushBack", emit_push},
    {"TensorListPopBack", emit_pop},
    {"TensorArrayV3", emit_array},
    {"TensorArrayScatterV3", emit_array_scatter},
    {"TensorArrayReadV3", emit_get},
    {"TensorArrayWriteV3", emit_set},
    {"TensorArrayGatherV3", emit_array_gather},
    {"TensorArraySizeV3", emit_length},
    {NULL, NULL},
};
