/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert.h"
#include "labels.h"
#include "number.h"
#include "order.h"

extern const InferOp *const infer_ops_mlfeature[];

/* Operators of ONNX's domain ai.onnx.ml that prepare features: ArrayFeatureExtractor, Binarizer
 * and LabelEncoder, here of numbers. */

static gboolean
extract_dims(const InferNode *node, const InferDims *in, gint64 count, InferDims *out,
             GError **error)
{
  *out = *in;
  if (in->n < 0)
    return TRUE;
  if (in->n == 0)
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "a scalar has no features");
  /* A vector is a matrix of one row. */
  if (in->n == 1)
    *out = INFER_DIMS(1, count);
  out->d[out->n - 1] = count;
  return TRUE;
}

static gboolean
extract_infer(InferShapeArgs *args, GError **error)
{
  const InferDims *indices = &args->in[1].dims;
  gint64 count = indices->n >= 0 ? data_product(indices, 0, indices->n) : INFER_DIM_UNKNOWN;
  InferDims dims;
  return data_require(args, 0, error) && number_require_index(args, 1, error) &&
         extract_dims(args->node, &args->in[0].dims, count, &dims, error) &&
         data_set(args, 0, args->in[0].type, &dims, error);
}

static gboolean
extract_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0], *indices = args->in[1];
  gint64 n = infer_array_count(indices);
  InferDims dims;
  if (!extract_dims(args->node, &in->dims, n, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, &dims, error);
  if (!out)
    return FALSE;
  gsize size = data_element_size(in);
  gint64 d = in->dims.d[in->dims.n - 1], rows = data_product(&in->dims, 0, in->dims.n - 1);
  for (gint64 i = 0; i < n; i++) {
    gint64 index = infer_array_get_int(indices, (gsize)i);
    if (index < 0 || index >= d)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "feature %" G_GINT64_FORMAT " is not one of %" G_GINT64_FORMAT, index,
                            d);
    for (gint64 row = 0; row < rows; row++)
      memcpy((char *)out->data + (gsize)(row * n + i) * size,
             (const char *)in->data + (gsize)(row * d + index) * size, size);
  }
  return TRUE;
}

static gboolean
binarize_infer(InferShapeArgs *args, GError **error)
{
  return number_require(args, 0, error) &&
         data_set(args, 0, args->in[0].type, &args->in[0].dims, error);
}

static gboolean
binarize_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  InferArray *out = data_output(args, 0, in->type, &in->dims, error);
  if (!out)
    return FALSE;
  double threshold = infer_node_get_float(args->node, "threshold", 0);
  gint64 n = infer_array_count(in);
  for (gint64 i = 0; i < n; i++)
    infer_store_double(out, i, infer_array_get_double(in, (gsize)i) > threshold);
  return TRUE;
}

/* A key with its place in the list. */
typedef struct {
  guint64 key;
  gint64 index;
} Label;

typedef struct {
  const gint64 *int_keys, *int_values;
  const double *float_keys, *float_values;
  gsize n;
} Encoder;

static gboolean
encoder_params(const InferNode *node, InferType type, Encoder *encoder, GError **error)
{
  gsize n[4];
  encoder->int_keys = infer_node_get_ints(node, "keys_int64s", &n[0]);
  encoder->float_keys = infer_node_get_floats(node, "keys_floats", &n[1]);
  encoder->int_values = infer_node_get_ints(node, "values_int64s", &n[2]);
  encoder->float_values = infer_node_get_floats(node, "values_floats", &n[3]);
  encoder->n = MAX(n[0], n[1]);
  encoder->int_keys = n[0] > 0 ? encoder->int_keys : NULL;
  encoder->int_values = n[2] > 0 ? encoder->int_values : NULL;
  gboolean ints = infer_type_is_integer(type);
  if ((n[0] > 0) == (n[1] > 0) || (n[2] > 0) == (n[3] > 0) || MAX(n[2], n[3]) != encoder->n)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "one list of keys and one of values are needed, of the same length");
  return ints == (n[0] > 0) ||
         infer_op_error(node, error, INFER_ERROR_SHAPE, "the keys are not of the input's type %s",
                        infer_type_name(type));
}

static InferType
encoder_type(const Encoder *encoder, InferType in)
{
  if (encoder->int_values)
    return INFER_TYPE_INT64;
  return in == INFER_TYPE_DOUBLE ? INFER_TYPE_DOUBLE : INFER_TYPE_FLOAT;
}

static gboolean
encode_infer(InferShapeArgs *args, GError **error)
{
  Encoder encoder;
  if (infer_labels_concern(args->node))
    return infer_labels_infer(args, error);
  return data_require(args, 0, error) &&
         infer_op_require_type(args, 0, error, INFER_TYPE_INT64, INFER_TYPE_INT32, INFER_TYPE_INT16,
                               INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE, INFER_TYPE_UNDEFINED) &&
         encoder_params(args->node, args->in[0].type, &encoder, error) &&
         data_set(args, 0, encoder_type(&encoder, args->in[0].type), &args->in[0].dims, error);
}

static gsize
encode_scratch(const InferShapeArgs *args)
{
  Encoder encoder;
  if (infer_labels_concern(args->node))
    return 0;
  return encoder_params(args->node, args->in[0].type, &encoder, NULL) ? encoder.n * sizeof(Label)
                                                                      : 0;
}

/* Of equal keys the last one in the list counts, so that it comes first. */
static gboolean
label_before(const Label *a, const Label *b)
{
  return a->key != b->key ? a->key < b->key : a->index > b->index;
}

static void
sift(Label *heap, gsize n, gsize at)
{
  for (gsize child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && label_before(&heap[child], &heap[child + 1]))
      child++;
    if (!label_before(&heap[at], &heap[child]))
      return;
    Label swap = heap[at];
    heap[at] = heap[child];
    heap[child] = swap;
  }
}

static void
sort_labels(const Encoder *encoder, gboolean single, Label *labels)
{
  for (gsize i = 0; i < encoder->n; i++) {
    double key = encoder->float_keys ? encoder->float_keys[i] : 0;
    labels[i].key = encoder->int_keys ? infer_order_int(encoder->int_keys[i])
                                      : infer_order_double(single ? (double)(float)key : key);
    labels[i].index = (gint64)i;
  }
  for (gsize at = encoder->n / 2; at-- > 0;)
    sift(labels, encoder->n, at);
  for (gsize last = encoder->n; last-- > 1;) {
    Label swap = labels[0];
    labels[0] = labels[last];
    labels[last] = swap;
    sift(labels, last, 0);
  }
}

static gint64
find_label(const Label *labels, gsize n, guint64 key)
{
  gsize low = 0, high = n;
  while (low < high) {
    gsize middle = low + (high - low) / 2;
    if (labels[middle].key < key)
      low = middle + 1;
    else
      high = middle;
  }
  return low < n && labels[low].key == key ? labels[low].index : -1;
}

static gboolean
encode_eval(const InferEvalArgs *args, GError **error)
{
  const InferNode *node = args->node;
  const InferArray *in = args->in[0];
  g_autofree Label *own = NULL;
  Label *labels = args->scratch;
  Encoder encoder;
  if (infer_labels_concern(node))
    return infer_labels_eval(args, error);
  if (!encoder_params(node, in->type, &encoder, error))
    return FALSE;
  InferArray *out = data_output(args, 0, encoder_type(&encoder, in->type), &in->dims, error);
  if (!out)
    return FALSE;
  if (!labels && !(labels = own = g_try_new(Label, encoder.n)))
    return infer_op_error(node, error, INFER_ERROR_MEMORY, "no memory to sort the keys");
  sort_labels(&encoder, in->type == INFER_TYPE_FLOAT, labels);
  gint64 n = infer_array_count(in), default_int = infer_node_get_int(node, "default_int64", -1);
  double default_float = infer_node_get_float(node, "default_float", -0.0);
  for (gint64 i = 0; i < n; i++) {
    gint64 found = find_label(labels, encoder.n, infer_order_key(in, i));
    if (encoder.int_values)
      ((gint64 *)out->data)[i] = found >= 0 ? encoder.int_values[found] : default_int;
    else
      infer_store_double(out, i, found >= 0 ? encoder.float_values[found] : default_float);
  }
  return TRUE;
}

static const InferAttrSpec binarize_attrs[] = {{"threshold", 'f', FALSE}, {NULL, 0, FALSE}};
/* dtype is our own: the type of the values where it is not one of the lists'. */
static const InferAttrSpec encode_attrs[] = {{"keys_int64s", 'I', FALSE},
                                             {"keys_floats", 'F', FALSE},
                                             {"values_int64s", 'I', FALSE},
                                             {"values_floats", 'F', FALSE},
                                             {"keys_strings", 'S', FALSE},
                                             {"values_strings", 'S', FALSE},
                                             {"default_string", 's', FALSE},
                                             {"dtype", 'i', FALSE},
                                             {"default_int64", 'i', FALSE},
                                             {"default_float", 'f', FALSE},
                                             {NULL, 0, FALSE}};

static const InferOp extract = {
    .name = "ArrayFeatureExtractor",
    .version = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .infer = extract_infer,
    .eval = extract_eval,
};

static const InferOp binarize = {
    .name = "Binarizer",
    .version = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = binarize_attrs,
    .flags = INFER_OP_POINTWISE,
    .infer = binarize_infer,
    .eval = binarize_eval,
};

static const InferOp encode = {
    .name = "LabelEncoder",
    .version = 4,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = encode_attrs,
    .infer = encode_infer,
    .scratch = encode_scratch,
    .eval = encode_eval,
};

const InferOp *const infer_ops_mlfeature[] = {&extract, &binarize, &encode, NULL};
