/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

#include <math.h>

extern const InferOp *const infer_ops_boxdecode[];

/*
 * "infer.BoxDecode": boxes from anchors and the codes of a detector, by the box coder of Faster
 * R-CNN (Ren et al. 2015): a code moves the centre in units of the anchor's size and scales the
 * size by its exponential.
 *
 * Inputs: encodings [N, A, 4], anchors [A, 4] as corners. Output: boxes [N, A, 4], corners in the
 * order of the anchors. "order" says whether y ("yx") or x ("xy") comes first, in codes and
 * corners alike, so that it does not matter to the arithmetic; "scales" are the divisors of the
 * four codes in their order.
 */

typedef struct {
  float scale[4];
  gboolean clip;
} Decode;

static gboolean
decode_params(const InferNode *node, Decode *decode, GError **error)
{
  static const float usual[4] = {10, 10, 5, 5};
  const char *order = infer_node_get_string(node, "order", "yx");
  gsize n = 0;
  const double *scales = infer_node_get_floats(node, "scales", &n);
  if (!g_str_equal(order, "yx") && !g_str_equal(order, "xy"))
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "order '%s' is neither yx nor xy",
                          order);
  if (infer_node_has_attr(node, "scales") && n != 4)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "scales has %" G_GSIZE_FORMAT " values, 4 are needed", n);
  for (guint i = 0; i < 4; i++) {
    decode->scale[i] = n == 4 ? (float)scales[i] : usual[i];
    if (!isfinite(decode->scale[i]) || decode->scale[i] == 0)
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                            "scale %u is %g, it must be finite and not 0", i,
                            (double)decode->scale[i]);
  }
  decode->clip = infer_node_get_int(node, "clip", 0) != 0;
  return TRUE;
}

static gboolean
fits(gint64 a, gint64 b)
{
  return a < 0 || b < 0 || a == b;
}

static gboolean
decode_dims(const InferNode *node, const InferDims *codes, const InferDims *anchors, InferDims *out,
            GError **error)
{
  *out = INFER_DIMS(INFER_DIM_UNKNOWN, INFER_DIM_UNKNOWN, 4);
  if ((codes->n >= 0 && (codes->n != 3 || !fits(codes->d[2], 4))) ||
      (anchors->n >= 0 && (anchors->n != 2 || !fits(anchors->d[1], 4))) ||
      (codes->n == 3 && anchors->n == 2 && !fits(codes->d[1], anchors->d[0]))) {
    g_autofree char *left = infer_dims_to_string(codes);
    g_autofree char *right = infer_dims_to_string(anchors);
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "encodings of %s and anchors of %s are not [N, A, 4] and [A, 4]", left,
                          right);
  }
  if (codes->n == 3) {
    out->d[0] = codes->d[0];
    out->d[1] = codes->d[1];
  }
  if (anchors->n == 2 && out->d[1] < 0 && anchors->d[0] != INFER_DIM_UNKNOWN)
    out->d[1] = anchors->d[0];
  return TRUE;
}

static gboolean
decode_infer(InferShapeArgs *args, GError **error)
{
  Decode decode;
  InferDims dims;
  return infer_op_require_type(args, 0, error, INFER_TYPE_FLOAT, INFER_TYPE_UNDEFINED) &&
         infer_op_require_type(args, 1, error, INFER_TYPE_FLOAT, INFER_TYPE_UNDEFINED) &&
         decode_params(args->node, &decode, error) &&
         decode_dims(args->node, &args->in[0].dims, &args->in[1].dims, &dims, error) &&
         data_set(args, 0, INFER_TYPE_FLOAT, &dims, error);
}

static void
decode_box(const Decode *decode, const float *code, const float *anchor, float *box)
{
  for (guint i = 0; i < 2; i++) {
    float size = anchor[i + 2] - anchor[i];
    float centre = anchor[i] + 0.5f * size;
    float at = code[i] / decode->scale[i] * size + centre;
    float half = 0.5f * expf(code[i + 2] / decode->scale[i + 2]) * size;
    box[i] = at - half;
    box[i + 2] = at + half;
  }
  /* fmaxf takes the number where the other is NaN: a clipped box is always finite. */
  for (guint i = 0; decode->clip && i < 4; i++)
    box[i] = fminf(fmaxf(box[i], 0.0f), 1.0f);
}

static gboolean
decode_eval(const InferEvalArgs *args, GError **error)
{
  Decode decode;
  InferDims dims;
  if (!decode_params(args->node, &decode, error) ||
      !decode_dims(args->node, &args->in[0]->dims, &args->in[1]->dims, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, INFER_TYPE_FLOAT, &dims, error);
  if (!out)
    return FALSE;
  const float *codes = args->in[0]->data, *anchors = args->in[1]->data;
  float *boxes = out->data;
  for (gint64 n = 0; n < dims.d[0]; n++)
    for (gint64 a = 0; a < dims.d[1]; a++, codes += 4, boxes += 4)
      decode_box(&decode, codes, anchors + a * 4, boxes);
  return TRUE;
}

static const InferAttrSpec decode_attrs[] = {
    {"scales", 'F', FALSE}, {"order", 's', FALSE}, {"clip", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp box_decode = {
    .name = "infer.BoxDecode",
    .version = 1,
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = decode_attrs,
    .infer = decode_infer,
    .eval = decode_eval,
};

const InferOp *const infer_ops_boxdecode[] = {&box_decode, NULL};
