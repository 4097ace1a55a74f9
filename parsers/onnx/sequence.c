/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Sequences are lists of tensors while what is done with them is known; the engine's operators do
 * the rest. */

#define MAX_ITEMS 4096

/* What input 0 is: a list that is known, or (with @list NULL) a sequence of the engine. */
static gboolean
list_in(const OnnxCall *call, const OnnxValue **list, GError **error)
{
  const OnnxValue *value = call->values->len ? call->values->pdata[0] : NULL;

  *list = value && value->kind == ONNX_SEQUENCE ? value : NULL;
  if (*list ||
      (value && value->kind == ONNX_TENSOR && value->tensor->kind == INFER_KIND_SEQUENCE)) {
    return TRUE;
  }
  return onnx_error(error, INFER_ERROR_MODEL, "input 0 is not a sequence");
}

/* Leaves the node to the engine. */
static gboolean
leave(OnnxImport *im, OnnxCall *call, GError **error)
{
  if (call->values->len && call->values->pdata[0]) {
    call->in->pdata[0] = onnx_tensor_of(im, call, call->values->pdata[0], error);
    return call->in->pdata[0] != NULL;
  }
  return TRUE;
}

static OnnxValue *
copy_of(OnnxImport *im, const OnnxValue *from)
{
  OnnxValue *copy = onnx_value(im, ONNX_SEQUENCE, NULL);

  for (guint i = 0; from && i < from->items->len; i++) {
    g_ptr_array_add(copy->items, from->items->pdata[i]);
  }
  return copy;
}

static gboolean
put_out(OnnxCall *call, OnnxValue *value)
{
  call->out[0] = value;
  call->done = TRUE;
  return TRUE;
}

typedef enum { WRONG, UNKNOWN, KNOWN } Position;

/* A position among @n, the last one where it is absent; @n itself as well where @behind. */
static Position
position(const OnnxCall *call, guint index, guint n, gboolean behind, guint *place, GError **error)
{
  const InferTensor *tensor = onnx_in(call, index);
  g_autoptr(InferArray) array = tensor ? parsers_known(tensor) : NULL;
  gint64 at = behind ? n : (gint64)n - 1;

  if (tensor && (!array || infer_array_count(array) != 1)) {
    return UNKNOWN;
  }
  if (array) {
    at = infer_array_get_int(array, 0);
    at += at < 0 ? n : 0;
  }
  if (at < 0 || at >= (gint64)n + behind) {
    onnx_error(error, INFER_ERROR_MODEL,
               "position %" G_GINT64_FORMAT " is not in the sequence of %u", at, n);
    return WRONG;
  }
  *place = (guint)at;
  return KNOWN;
}

static gboolean
construct(OnnxImport *im, OnnxCall *call, GError **error)
{
  OnnxValue *value = onnx_value(im, ONNX_SEQUENCE, NULL);

  for (guint i = 0; i < call->values->len; i++) {
    const InferTensor *tensor = onnx_require(call, i, error);
    if (!tensor) {
      return FALSE;
    }
    value->type = tensor->type;
    g_ptr_array_add(value->items, call->values->pdata[i]);
  }
  return put_out(call, value);
}

static gboolean
empty(OnnxImport *im, OnnxCall *call, GError **error)
{
  OnnxValue *value = onnx_value(im, ONNX_SEQUENCE, NULL);

  value->type = onnx_type(onnx_int(call, "dtype", INFER_TYPE_FLOAT));
  return put_out(call, value);
}

static gboolean
insert(OnnxImport *im, OnnxCall *call, GError **error)
{
  const OnnxValue *from;
  guint at = 0;

  if (!list_in(call, &from, error) || !onnx_require(call, 1, error)) {
    return FALSE;
  }
  if (!from || from->items->len >= MAX_ITEMS) {
    return leave(im, call, error);
  }
  Position found = position(call, 2, from->items->len, TRUE, &at, error);
  if (found != KNOWN) {
    return found == UNKNOWN && leave(im, call, error);
  }
  OnnxValue *copy = copy_of(im, from);
  copy->type = onnx_in(call, 1)->type;
  g_ptr_array_insert(copy->items, (gint)at, call->values->pdata[1]);
  return put_out(call, copy);
}

static gboolean
erase(OnnxImport *im, OnnxCall *call, GError **error)
{
  const OnnxValue *from;
  guint at = 0;

  if (!list_in(call, &from, error)) {
    return FALSE;
  }
  Position found = from ? position(call, 1, from->items->len, FALSE, &at, error) : UNKNOWN;
  if (found != KNOWN) {
    return found == UNKNOWN && leave(im, call, error);
  }
  OnnxValue *copy = copy_of(im, from);
  g_ptr_array_remove_index(copy->items, at);
  return put_out(call, copy);
}

static gboolean
at_position(OnnxImport *im, OnnxCall *call, GError **error)
{
  const OnnxValue *from;
  guint at = 0;

  if (!list_in(call, &from, error) || !onnx_require(call, 1, error)) {
    return FALSE;
  }
  Position found = from ? position(call, 1, from->items->len, FALSE, &at, error) : UNKNOWN;
  if (found != KNOWN) {
    return found == UNKNOWN && leave(im, call, error);
  }
  return put_out(call, from->items->pdata[at]);
}

static gboolean
length(OnnxImport *im, OnnxCall *call, GError **error)
{
  const OnnxValue *from;

  if (!list_in(call, &from, error)) {
    return FALSE;
  }
  if (!from) {
    return leave(im, call, error);
  }
  return onnx_out(im, call, 0,
                  onnx_const_scalar(im, call, NULL, INFER_TYPE_INT64, from->items->len));
}

static gboolean
concat(OnnxImport *im, OnnxCall *call, GError **error)
{
  const OnnxValue *from;
  gint64 axis = onnx_int(call, "axis", 0);
  gboolean fresh = onnx_int(call, "new_axis", 0) != 0;

  if (!list_in(call, &from, error)) {
    return FALSE;
  }
  if (!from) {
    return leave(im, call, error);
  }
  g_autofree InferTensor **tensors = g_new0(InferTensor *, from->items->len + 1);
  for (guint i = 0; i < from->items->len; i++) {
    const OnnxValue *item = from->items->pdata[i];
    tensors[i] = item->tensor;
    if (fresh) {
      tensors[i] = onnx_unsqueeze(im, call, "row", tensors[i], &axis, 1, error);
    }
    if (!tensors[i]) {
      return FALSE;
    }
  }
  GVariant *attrs = infer_attrs_new("axis", 'i', axis, NULL);
  return onnx_out(im, call, 0,
                  onnx_add(im, call, NULL, "Concat", attrs, tensors, from->items->len, error));
}

/* --- SplitToSequence --- */

/* The sizes of the parts of @size elements; FALSE where they are not known. */
static gboolean
part_sizes(const OnnxCall *call, gint64 size, GArray *sizes)
{
  const InferTensor *split = onnx_in(call, 1);
  g_autoptr(InferArray) array = split ? parsers_known(split) : NULL;
  gint64 step = 1;

  if (split && (!array || infer_array_count(array) < 1 || infer_array_count(array) > MAX_ITEMS)) {
    return FALSE;
  }
  if (array && array->dims.n == 1) {
    for (gsize i = 0; i < (gsize)infer_array_count(array); i++) {
      gint64 part = infer_array_get_int(array, i);
      g_array_append_val(sizes, part);
    }
    return TRUE;
  }
  step = array ? infer_array_get_int(array, 0) : 1;
  if (size < 0 || step < 1 || size / step >= MAX_ITEMS) {
    return FALSE;
  }
  for (gint64 done = 0; done < size; done += step) {
    gint64 part = MIN(step, size - done);
    g_array_append_val(sizes, part);
  }
  return TRUE;
}

static gboolean
split(OnnxImport *im, OnnxCall *call, GError **error)
{
  InferTensor *x = onnx_require(call, 0, error);
  g_autoptr(GArray) sizes = g_array_new(FALSE, FALSE, sizeof(gint64));
  gint64 axis = onnx_int(call, "axis", 0);

  if (!x) {
    return FALSE;
  }
  if (x->dims.n < 0) {
    return leave(im, call, error);
  }
  axis += axis < 0 ? x->dims.n : 0;
  if (axis < 0 || axis >= x->dims.n) {
    return onnx_error(error, INFER_ERROR_SHAPE, "the axis does not fit %d dimensions", x->dims.n);
  }
  if (!part_sizes(call, x->dims.d[axis], sizes) || sizes->len == 0) {
    return leave(im, call, error);
  }
  guint n = sizes->len;
  g_autofree InferTensor **parts = g_new0(InferTensor *, n + 1);
  InferTensor *list = onnx_const_ints(im, call, "sizes", (const gint64 *)(gpointer)sizes->data, n);
  GVariant *attrs = infer_attrs_new("axis", 'i', axis, NULL);
  if (!onnx_add_n(im, call, NULL, "Split", attrs, (InferTensor *[]){x, list}, 2, parts, n, error)) {
    return FALSE;
  }
  gboolean drop = !onnx_in(call, 1) && onnx_int(call, "keepdims", 1) == 0;
  OnnxValue *value = onnx_value(im, ONNX_SEQUENCE, NULL);
  for (guint i = 0; i < n; i++) {
    InferTensor *part = parts[i];
    if (drop) {
      InferTensor *axes = onnx_const_ints(im, call, "axes", &axis, 1);
      part = onnx_add2(im, call, "part", "Squeeze", NULL, part, axes, error);
    }
    if (!part) {
      return FALSE;
    }
    g_ptr_array_add(value->items, onnx_value(im, ONNX_TENSOR, part));
  }
  return put_out(call, value);
}

/* --- SequenceMap --- */

static gboolean
map_item(OnnxImport *im, OnnxCall *call, const InferOnnx__Graph *body, guint item, GError **error)
{
  g_autofree char *suffix = g_strdup_printf("%u", item);
  g_autoptr(GPtrArray) inputs = g_ptr_array_new();

  for (guint i = 0; i < call->values->len; i++) {
    OnnxValue *value = call->values->pdata[i];
    if (value && value->kind == ONNX_SEQUENCE) {
      if (item >= value->items->len) {
        return onnx_error(error, INFER_ERROR_MODEL, "the sequences have different lengths");
      }
      value = value->items->pdata[item];
    }
    g_ptr_array_add(inputs, value ? value : onnx_value(im, ONNX_NOTHING, NULL));
  }
  g_autoptr(GPtrArray) outputs =
      onnx_inline(im, call, body, suffix, (OnnxValue *const *)inputs->pdata, inputs->len, error);
  for (guint i = 0; outputs && i < MIN(outputs->len, call->n_outputs); i++) {
    OnnxValue *value = outputs->pdata[i];
    if (value->kind != ONNX_TENSOR) {
      return value->kind == ONNX_FAILED
                 ? FALSE
                 : onnx_error(error, INFER_ERROR_UNSUPPORTED, "output %u is not a tensor", i);
    }
    call->out[i]->type = value->tensor->type;
    g_ptr_array_add(call->out[i]->items, value);
  }
  return outputs != NULL;
}

static gboolean
map(OnnxImport *im, OnnxCall *call, GError **error)
{
  const OnnxValue *from;

  if (!list_in(call, &from, error)) {
    return FALSE;
  }
  for (guint i = 0; i < call->values->len; i++) {
    const OnnxValue *value = call->values->pdata[i];
    /* A list that only the engine knows. */
    if (value && value->kind == ONNX_TENSOR && value->tensor->kind != INFER_KIND_TENSOR) {
      return onnx_run_map(im, call, error);
    }
  }
  const InferOnnx__Graph *body = onnx_attr_graph(call, "body", error);
  if (!body) {
    return FALSE;
  }
  for (guint i = 0; i < call->n_outputs; i++) {
    call->out[i] = onnx_value(im, ONNX_SEQUENCE, NULL);
  }
  if (from->items->len == 0) {
    return onnx_run_map(im, call, error);
  }
  for (guint i = 0; i < from->items->len; i++) {
    if (!map_item(im, call, body, i, error)) {
      return FALSE;
    }
  }
  call->done = TRUE;
  return TRUE;
}

const OnnxRule onnx_rules_sequence[] = {
    {"SequenceConstruct", 0, construct},
    {"SequenceEmpty", 0, empty},
    {"SequenceInsert", 0, insert},
    {"SequenceErase", 0, erase},
    {"SequenceAt", 0, at_position},
    {"SequenceLength", 0, length},
    {"SequenceMap", 0, map},
    {"ConcatFromSequence", 0, concat},
    {"SplitToSequence", 0, split},
    {NULL, 0, NULL},
};
