/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"
#include "ops/data.h"

/* Blocks of channels to blocks of pixels, and back. */

static const char *const modes[] = {"DCR", "CRD", NULL};

static gboolean
to_space_infer(InferShapeArgs *args, GError **error)
{
  InferDims *out = &args->out[0].dims;
  gint64 block, area;
  gint mode;

  if (!data_require(args, 0, error) ||
      !infer_check_int(args->node, "blocksize", 1, 1, G_MAXINT16, &block, error) ||
      !infer_check_choice(args->node, "mode", "DCR", modes, &mode, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if (args->in[0].dims.n < 0)
    return TRUE;
  if (!infer_op_require_rank(args, 0, 4, 4, error))
    return FALSE;
  *out = args->in[0].dims;
  area = block * block;
  if (out->d[1] >= 0 && out->d[1] % area != 0)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "%" G_GINT64_FORMAT
                          " channels do not divide into blocks of %" G_GINT64_FORMAT
                          " x %" G_GINT64_FORMAT,
                          out->d[1], block, block);
  if (block > 1)
    out->d[1] = out->d[1] < 0 ? INFER_DIM_UNKNOWN : out->d[1] / area;
  for (gint i = 2; i < 4; i++) {
    gint64 dim = infer_check_product(out->d[i], block);

    if (out->d[i] >= 0 && dim < 0)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "dimension %d of %" G_GINT64_FORMAT " is too large", i, out->d[i]);
    out->d[i] = dim;
  }
  return TRUE;
}

/* One image of the larger plane is h x block x w x block, one of the deeper stack has a channel
 * for each place in the block; the inner copy runs over [channel][h][place][w][place]. */
static void
shuffle(const InferEvalArgs *args, gboolean to_space)
{
  const InferArray *x = args->in[0];
  InferArray *y = args->out[0];
  gboolean crd = strcmp(infer_node_get_string(args->node, "mode", "DCR"), "CRD") == 0;
  gint64 block = infer_node_get_int(args->node, "blocksize", 1);
  const InferDims *deep = to_space ? &x->dims : &y->dims;
  gint64 c = deep->d[1] / (block * block), h = deep->d[2], w = deep->d[3], plane = h * w;
  gint64 dims[] = {deep->d[0], c, h, block, w, block};
  gint64 wide[] = {
      c * plane * block * block, plane * block * block, w * block * block, w * block, block, 1};
  gint64 dcr[] = {c * plane * block * block, plane, w, block * c * plane, 1, c * plane};
  gint64 crd_strides[] = {dcr[0], block * block * plane, w, block * plane, 1, plane};
  const gint64 *stack = crd ? crd_strides : dcr;

  if (infer_array_count(x) > 0)
    infer_data_copy(y->data, x->data, data_element_size(x), 6, dims, to_space ? wide : stack,
                    to_space ? stack : wide);
}

static gboolean
to_space_eval(const InferEvalArgs *args, GError **error)
{
  shuffle(args, TRUE);
  return TRUE;
}

static gboolean
to_depth_infer(InferShapeArgs *args, GError **error)
{
  InferDims *out = &args->out[0].dims;
  gint64 block, channels;
  gint mode;

  if (!data_require(args, 0, error) ||
      !infer_check_int(args->node, "blocksize", 1, 1, G_MAXINT16, &block, error) ||
      !infer_check_choice(args->node, "mode", "DCR", modes, &mode, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  if (args->in[0].dims.n < 0)
    return TRUE;
  if (!infer_op_require_rank(args, 0, 4, 4, error))
    return FALSE;
  *out = args->in[0].dims;
  channels = infer_check_product(out->d[1], block * block);
  if (out->d[1] >= 0 && channels < 0)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "%" G_GINT64_FORMAT " channels are too many", out->d[1]);
  out->d[1] = channels;
  for (gint i = 2; i < 4 && block > 1; i++) {
    if (out->d[i] >= 0 && out->d[i] % block != 0)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "dimension %d of %" G_GINT64_FORMAT
                            " does not divide into blocks of %" G_GINT64_FORMAT,
                            i, out->d[i], block);
    out->d[i] = out->d[i] < 0 ? INFER_DIM_UNKNOWN : out->d[i] / block;
  }
  return TRUE;
}

static gboolean
to_depth_eval(const InferEvalArgs *args, GError **error)
{
  shuffle(args, FALSE);
  return TRUE;
}

static const InferAttrSpec attrs[] = {
    {"blocksize", 'i', TRUE}, {"mode", 's', FALSE}, {NULL, 0, FALSE}};

static const InferOp to_space = {.name = "DepthToSpace",
                                 .version = 13,
                                 .min_inputs = 1,
                                 .max_inputs = 1,
                                 .min_outputs = 1,
                                 .max_outputs = 1,
                                 .attrs = attrs,
                                 .infer = to_space_infer,
                                 .eval = to_space_eval};
static const InferOp to_depth = {.name = "SpaceToDepth",
                                 .version = 28,
                                 .min_inputs = 1,
                                 .max_inputs = 1,
                                 .min_outputs = 1,
                                 .max_outputs = 1,
                                 .attrs = attrs,
                                 .infer = to_depth_infer,
                                 .eval = to_depth_eval};

extern const InferOp *const infer_ops_depthtospace[];
const InferOp *const infer_ops_depthtospace[] = {&to_space, &to_depth, NULL};
