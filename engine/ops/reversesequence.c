/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

extern const InferOp *const infer_ops_reversesequence[];

static gboolean
reverse_check(const InferNode *node, const InferDims *in, const InferDims *lengths, gint64 *batch,
              GError **error)
{
  gint64 time = infer_node_get_int(node, "time_axis", 0);
  *batch = infer_node_get_int(node, "batch_axis", 1);
  if (time < 0 || time > 1 || *batch < 0 || *batch > 1 || time == *batch)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "time_axis is %" G_GINT64_FORMAT " and batch_axis %" G_GINT64_FORMAT
                          "; one must be 0 and the other 1",
                          time, *batch);
  gboolean good = (in->n < 0 || in->n >= 2) && (lengths->n < 0 || lengths->n == 1);
  if (good && in->n >= 2 && lengths->n == 1)
    good = number_fits(in->d[*batch], lengths->d[0]);
  if (good)
    return TRUE;
  g_autofree char *a = infer_dims_to_string(in);
  g_autofree char *b = infer_dims_to_string(lengths);
  return infer_op_error(node, error, INFER_ERROR_SHAPE, "input of %s and lengths of %s do not fit",
                        a, b);
}

static gboolean
reverse_infer(InferShapeArgs *args, GError **error)
{
  gint64 batch;
  return data_require(args, 0, error) && number_require_index(args, 1, error) &&
         reverse_check(args->node, &args->in[0].dims, &args->in[1].dims, &batch, error) &&
         data_set(args, 0, args->in[0].type, &args->in[0].dims, error);
}

static gboolean
reverse_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0], *lengths = args->in[1];
  gint64 batch;
  if (!reverse_check(args->node, &in->dims, &lengths->dims, &batch, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, &in->dims, error);
  if (!out)
    return FALSE;
  gint64 batches = in->dims.d[batch], steps = in->dims.d[!batch];
  gsize width = (gsize)data_product(&in->dims, 2, in->dims.n) * data_element_size(in);
  gint64 batch_step = batch == 0 ? steps : 1, time_step = batch == 0 ? 1 : batches;
  for (gint64 b = 0; b < batches; b++) {
    gint64 length = infer_array_get_int(lengths, (gsize)b);
    if (length < 0 || length > steps)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "sequence %" G_GINT64_FORMAT " has length %" G_GINT64_FORMAT
                            ", there are %" G_GINT64_FORMAT " steps",
                            b, length, steps);
    for (gint64 t = 0; t < steps && width > 0; t++) {
      gint64 from = t < length ? length - 1 - t : t;
      memcpy((char *)out->data + (gsize)(b * batch_step + t * time_step) * width,
             (const char *)in->data + (gsize)(b * batch_step + from * time_step) * width, width);
    }
  }
  return TRUE;
}

static const InferAttrSpec reverse_attrs[] = {
    {"batch_axis", 'i', FALSE}, {"time_axis", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp reverse_sequence = {
    .name = "ReverseSequence",
    .version = 10,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = reverse_attrs,
    .infer = reverse_infer,
    .eval = reverse_eval,
};

const InferOp *const infer_ops_reversesequence[] = {&reverse_sequence, NULL};
