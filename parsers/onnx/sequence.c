/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Sequences are lists of tensors at parse time; positions have to be constants. */

#define MAX_ITEMS 4096

static OnnxValue *
sequence_in(const OnnxCall *call, guint index, GError **error)
{
  OnnxValue *value = index < call->values->len ? call->values->pdata[index] : NULL;

  if (!value || value->kind != ONNX_SEQUENCE) {
    onnx_error(error, INFER_ERROR_MODEL, "input %u is not a sequence", index);
    return NULL;
  }
  return value;
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

/* A position among @n items, the last one where it is absent. */
static gboolean
position(const OnnxCall *call, guint index, guint n, guint *place, GError **error)
{
  const InferTensor *tensor = onnx_in(call, index);
  g_autoptr(InferArray) array = tensor ? parsers_known(tensor) : NULL;

  if (!tensor) {
    *place = n - 1;
    return n > 0 || onnx_error(error, INFER_ERROR_MODEL, "the sequence is empty");
  }
  if (!array || infer_array_count(array) != 1) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "the position in the sequence is not a constant");
  }
  gint64 at = infer_array_get_int(array, 0);
  at += at < 0 ? n : 0;
  if (at < 0 || at >= n) {
    return onnx_error(error, INFER_ERROR_MODEL,
                      "position %" G_GINT64_FORMAT " is not in the sequence of %u", at, n);
  }
  *place = (guint)at;
  return TRUE;
}

static gboolean
construct(OnnxImport *im, OnnxCall *call, GError **error)
{
  OnnxValue *value = onnx_value(im, ONNX_SEQUENCE, NULL);

  for (guint i = 0; i < call->values->len; i++) {
    if (!onnx_require(call, i, error)) {
      return FALSE;
    }
    g_ptr_array_add(value->items, call->values->pdata[i]);
  }
  return put_out(call, value);
}

static gboolean
empty(OnnxImport *im, OnnxCall *call, GError **error)
{
  return put_out(call, onnx_value(im, ONNX_SEQUENCE, NULL));
}

static gboolean
insert(OnnxImport *im, OnnxCall *call, GError **error)
{
  const OnnxValue *from = sequence_in(call, 0, error);
  guint at = 0;

  if (!from || !onnx_require(call, 1, error)) {
    return FALSE;
  }
  at = from->items->len;
  if (from->items->len >= MAX_ITEMS) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED, "a sequence of more than %d tensors",
                      MAX_ITEMS);
  }
  /* It may stand behind the last one; -1 is before the last one all the same. */
  const InferTensor *where = onnx_in(call, 2);
  g_autoptr(InferArray) array = where ? parsers_known(where) : NULL;
  gboolean end = array && infer_array_count(array) == 1 &&
                 infer_array_get_int(array, 0) == (gint64)from->items->len;
  if (where && !end && !position(call, 2, from->items->len, &at, error)) {
    return FALSE;
  }
  OnnxValue *copy = copy_of(im, from);
  g_ptr_array_insert(copy->items, (gint)at, call->values->pdata[1]);
  return put_out(call, copy);
}

static gboolean
erase(OnnxImport *im, OnnxCall *call, GError **error)
{
  const OnnxValue *from = sequence_in(call, 0, error);
  guint at = 0;

  if (!from || !position(call, 1, from->items->len, &at, error)) {
    return FALSE;
  }
  OnnxValue *copy = copy_of(im, from);
  g_ptr_array_remove_index(copy->items, at);
  return put_out(call, copy);
}

static gboolean
at_position(OnnxImport *im, OnnxCall *call, GError **error)
{
  const OnnxValue *from = sequence_in(call, 0, error);
  guint at = 0;

  return from && onnx_require(call, 1, error) && position(call, 1, from->items->len, &at, error) &&
         put_out(call, from->items->pdata[at]);
}

static gboolean
length(OnnxImport *im, OnnxCall *call, GError **error)
{
  const OnnxValue *from = sequence_in(call, 0, error);

  return from && onnx_out(im, call, 0,
                          onnx_const_scalar(im, call, NULL, INFER_TYPE_INT64, from->items->len));
}

static gboolean
concat(OnnxImport *im, OnnxCall *call, GError **error)
{
  const OnnxValue *from = sequence_in(call, 0, error);
  gint64 axis = onnx_int(call, "axis", 0);
  gboolean fresh = onnx_int(call, "new_axis", 0) != 0;

  if (!from) {
    return FALSE;
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

/* The sizes of the parts of @size elements. */
static gboolean
part_sizes(const OnnxCall *call, gint64 size, GArray *sizes, GError **error)
{
  const InferTensor *split = onnx_in(call, 1);
  g_autoptr(InferArray) array = split ? parsers_known(split) : NULL;
  gint64 step = 1;

  if (split && !array) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED, "the sizes of the parts are not constants");
  }
  if (array && array->dims.n == 1) {
    for (gsize i = 0; i < (gsize)MIN(infer_array_count(array), MAX_ITEMS); i++) {
      gint64 part = infer_array_get_int(array, i);
      g_array_append_val(sizes, part);
    }
    return TRUE;
  }
  step = array ? infer_array_get_int(array, 0) : 1;
  if (size < 0 || step < 1 || size / step >= MAX_ITEMS) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                      "parts of %" G_GINT64_FORMAT " of a dimension that is not constant or too "
                      "large",
                      step);
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
  axis += axis < 0 ? x->dims.n : 0;
  if (axis < 0 || axis >= x->dims.n) {
    return onnx_error(error, INFER_ERROR_SHAPE, "the axis does not fit %d dimensions", x->dims.n);
  }
  if (!part_sizes(call, x->dims.d[axis], sizes, error)) {
    return FALSE;
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
    g_ptr_array_add(call->out[i]->items, value);
  }
  return outputs != NULL;
}

static gboolean
map(OnnxImport *im, OnnxCall *call, GError **error)
{
  const OnnxValue *from = sequence_in(call, 0, error);
  const InferOnnx__Graph *body = from ? onnx_attr_graph(call, "body", error) : NULL;

  if (!body) {
    return FALSE;
  }
  for (guint i = 0; i < call->n_outputs; i++) {
    call->out[i] = onnx_value(im, ONNX_SEQUENCE, NULL);
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
