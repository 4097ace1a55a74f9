/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

extern const InferOp *const infer_ops_reorg[];

/*
 * "infer.Reorg": the reorganisation layer of YOLOv2 (Redmon and Farhadi 2017), with the order of
 * elements that Darknet's weights are trained with. It is not a space-to-depth: the input's
 * elements are read as if they were [N, C / s^2, H * s, W * s], and its blocks of s by s are spread
 * over planes of H by W.
 *
 * Input: [N, C, H, W] of any type; C a multiple of s^2, H and W of s. Output:
 * [N, C * s^2, H / s, W / s]. "stride" is s.
 */

static gboolean
reorg_dims(const InferNode *node, const InferDims *in, gint64 *stride, InferDims *out,
           GError **error)
{
  gint64 s = *stride = infer_node_get_int(node, "stride", 2);
  *out = INFER_DIMS(INFER_DIM_UNKNOWN, INFER_DIM_UNKNOWN, INFER_DIM_UNKNOWN, INFER_DIM_UNKNOWN);
  if (s < 1 || s > G_MAXINT16)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "stride is %" G_GINT64_FORMAT, s);
  if (in->n < 0)
    return TRUE;
  if (in->n != 4 || (in->d[1] >= 0 && in->d[1] % (s * s) != 0) ||
      (in->d[2] >= 0 && in->d[2] % s != 0) || (in->d[3] >= 0 && in->d[3] % s != 0)) {
    g_autofree char *text = infer_dims_to_string(in);
    return infer_op_error(
        node, error, INFER_ERROR_SHAPE,
        "an input of %s is not [N, C, H, W] with C a multiple of %" G_GINT64_FORMAT
        ", H and W of %" G_GINT64_FORMAT,
        text, s * s, s);
  }
  out->d[0] = in->d[0];
  if (in->d[1] >= 0 && __builtin_mul_overflow(in->d[1], s * s, &out->d[1]))
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "the output has too many channels");
  for (gint i = 2; i < 4; i++)
    out->d[i] = in->d[i] >= 0 ? in->d[i] / s : s == 1 ? in->d[i] : INFER_DIM_UNKNOWN;
  if (s == 1)
    out->d[1] = in->d[1];
  return TRUE;
}

static gboolean
reorg_infer(InferShapeArgs *args, GError **error)
{
  gint64 stride;
  InferDims dims;
  return data_require(args, 0, error) &&
         reorg_dims(args->node, &args->in[0].dims, &stride, &dims, error) &&
         data_set(args, 0, args->in[0].type, &dims, error);
}

static gboolean
reorg_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  gint64 s;
  InferDims dims;
  if (!reorg_dims(args->node, &in->dims, &s, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, &dims, error);
  if (!out || out->size == 0)
    return out != NULL;
  gsize size = data_element_size(in);
  gint64 channels = in->dims.d[1], height = in->dims.d[2], width = in->dims.d[3];
  gint64 planes = channels / (s * s);
  const char *from = in->data;
  char *to = out->data;
  for (gint64 n = 0; n < in->dims.d[0]; n++, from += size * (gsize)(channels * height * width))
    for (gint64 c = 0; c < channels; c++)
      for (gint64 y = 0; y < height; y++) {
        gint64 row = (c % planes * height + y) * s + c / planes / s;
        for (gint64 x = 0; x < width; x++, to += size)
          memcpy(to, from + (gsize)(row * width * s + x * s + c / planes % s) * size, size);
      }
  return TRUE;
}

static const InferAttrSpec reorg_attrs[] = {{"stride", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp reorg = {
    .name = "infer.Reorg",
    .version = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = reorg_attrs,
    .infer = reorg_infer,
    .eval = reorg_eval,
};

const InferOp *const infer_ops_reorg[] = {&reorg, NULL};
