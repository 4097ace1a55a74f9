/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"
#include "ops/data.h"
#include "ops/window.h"

/* Sums overlapping blocks up to an image: the gradient of taking an image apart for a convolution
 * that is a product of matrices. */

/* How many dimensions an image has, from whatever says so; -1 where nothing does. */
static gboolean
count_spatial(const InferNode *node, const DataInts *image, const DataInts *block, gint *n,
              GError **error)
{
  gsize strides = 0;

  infer_node_get_ints(node, "strides", &strides);
  *n = image->n >= 0   ? image->n
       : block->n >= 0 ? block->n
       : strides > 0   ? (gint)MIN(strides, 99)
                       : -1;
  if (*n > INFER_WINDOW_MAX || *n == 0 || (block->n >= 0 && *n >= 0 && block->n != *n))
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "image_shape has %d elements and block_shape %d; supported are 1 to %d",
                          image->n, block->n, INFER_WINDOW_MAX);
  return TRUE;
}

/* Positions of the block, and elements of it; unknown where a shape is. */
static gboolean
count_blocks(const InferNode *node, const InferWindow *window, const gint64 *image,
             gint64 *positions, gint64 *taps, GError **error)
{
  gint64 out[INFER_WINDOW_MAX];

  if (!infer_window_output(node, window, image, out, error))
    return FALSE;
  *positions = *taps = 1;
  for (gint i = 0; i < window->n; i++) {
    *positions = image[i] < 0 ? INFER_DIM_UNKNOWN : infer_check_product(*positions, out[i]);
    *taps =
        window->kernel[i] < 0 ? INFER_DIM_UNKNOWN : infer_check_product(*taps, window->kernel[i]);
  }
  *positions = *positions < 0 ? INFER_DIM_UNKNOWN : *positions;
  return TRUE;
}

static gboolean
col2im_dims(const InferShapeArgs *args, const DataInts *image, const DataInts *block, gint n,
            InferDims *out, GError **error)
{
  gint64 kernel[INFER_WINDOW_MAX], size[INFER_WINDOW_MAX], batch = INFER_DIM_UNKNOWN;
  gint64 rows = INFER_DIM_UNKNOWN, positions, taps;
  InferWindow window;

  for (gint i = 0; i < n; i++) {
    kernel[i] = block->n >= 0 && block->known[i] ? block->v[i] : -1;
    size[i] = image->n >= 0 && image->known[i] ? image->v[i] : INFER_DIM_UNKNOWN;
    if ((block->n >= 0 && block->known[i] && block->v[i] < 1) ||
        (image->n >= 0 && image->known[i] && image->v[i] < 1))
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "image_shape or block_shape is not positive in dimension %d", i);
  }
  if (!infer_window_read(args->node, n, kernel, &window, error) ||
      !count_blocks(args->node, &window, size, &positions, &taps, error) ||
      !infer_check_dims(args, 0, 3, (gint64 *[]){&batch, &rows, &positions}, error))
    return FALSE;
  if (rows >= 0 && taps > 0 && rows % taps != 0)
    return infer_op_error(
        args->node, error, INFER_ERROR_SHAPE,
        "%" G_GINT64_FORMAT " rows are not channels of %" G_GINT64_FORMAT " elements", rows, taps);
  *out = infer_check_unknown(n + 2);
  out->d[0] = batch;
  if (taps == 1 || (rows >= 0 && taps > 0))
    out->d[1] = taps == 1 ? rows : rows / taps;
  for (gint i = 0; i < n; i++)
    out->d[2 + i] = image->n >= 0 ? image->v[i] : INFER_DIM_UNKNOWN;
  return TRUE;
}

static gboolean
col2im_infer(InferShapeArgs *args, GError **error)
{
  DataInts image, block;
  gint n;

  if (!infer_check_reals(args, 0, 0, error) || !data_ints(args, 1, &image, error) ||
      !data_ints(args, 2, &block, error) || !count_spatial(args->node, &image, &block, &n, error))
    return FALSE;
  args->out[0].type = args->in[0].type;
  return n < 0 || col2im_dims(args, &image, &block, n, &args->out[0].dims, error);
}

/* Adds one row of columns, the values of one tap at all positions, to a plane. */
static void
add_tap(const InferSlide *s, const gint64 *tap, const InferArray *x, gint64 from, InferArray *y,
        gint64 plane)
{
  gint64 at[INFER_WINDOW_MAX];

  for (at[0] = 0; at[0] < s->out[0]; at[0]++)
    for (at[1] = 0; at[1] < s->out[1]; at[1]++)
      for (at[2] = 0; at[2] < s->out[2]; at[2]++, from++) {
        gboolean inside = TRUE;
        gint64 to = 0;

        for (gint i = 0; i < INFER_WINDOW_MAX; i++) {
          gint64 p = at[i] * s->stride[i] - s->begin[i] + tap[i] * s->dilation[i];

          inside = inside && p >= 0 && p < s->in[i];
          to = to * s->in[i] + p;
        }
        if (inside)
          infer_real_set(y, plane + to, infer_real(y, plane + to) + infer_real(x, from));
      }
}

static void
add_planes(const InferSlide *s, const InferArray *x, gint64 positions, InferArray *y)
{
  gint64 size = s->in[0] * s->in[1] * s->in[2], planes = infer_array_count(y) / size, from = 0;
  gint64 tap[INFER_WINDOW_MAX];

  for (gint64 p = 0; p < planes; p++)
    for (tap[0] = 0; tap[0] < s->kernel[0]; tap[0]++)
      for (tap[1] = 0; tap[1] < s->kernel[1]; tap[1]++)
        for (tap[2] = 0; tap[2] < s->kernel[2]; tap[2]++, from += positions)
          add_tap(s, tap, x, from, y, p * size);
}

static gboolean
col2im_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0];
  InferDims dims = {.n = 2 + (gint)infer_array_count(args->in[1])};
  gint64 kernel[INFER_WINDOW_MAX], out[INFER_WINDOW_MAX], positions, taps;
  gint n = dims.n - 2;
  InferWindow window;
  InferSlide slide;
  InferArray *y;

  for (gint i = 0; i < n; i++) {
    kernel[i] = infer_array_get_int(args->in[2], (gsize)i);
    dims.d[2 + i] = infer_array_get_int(args->in[1], (gsize)i);
    if (kernel[i] < 1 || dims.d[2 + i] < 1)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "image_shape or block_shape is not positive in dimension %d", i);
  }
  if (!infer_window_read(args->node, n, kernel, &window, error) ||
      !count_blocks(args->node, &window, dims.d + 2, &positions, &taps, error) ||
      !infer_window_output(args->node, &window, dims.d + 2, out, error))
    return FALSE;
  if (taps < 1 || x->dims.d[1] % taps != 0 || x->dims.d[2] != positions)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "%" G_GINT64_FORMAT " x %" G_GINT64_FORMAT
                          " columns do not fit %" G_GINT64_FORMAT " positions of %" G_GINT64_FORMAT
                          " elements",
                          x->dims.d[1], x->dims.d[2], positions, taps);
  dims.d[0] = x->dims.d[0];
  dims.d[1] = x->dims.d[1] / taps;
  y = data_output(args, 0, x->type, &dims, error);
  if (!y)
    return FALSE;
  memset(y->data, 0, y->size);
  infer_window_slide(&window, dims.d + 2, out, &slide);
  if (infer_array_count(y) > 0)
    add_planes(&slide, x, positions, y);
  return TRUE;
}

static const InferAttrSpec attrs[] = {
    {"dilations", 'I', FALSE}, {"pads", 'I', FALSE}, {"strides", 'I', FALSE}, {NULL, 0, FALSE}};

static const InferOp col2im = {.name = "Col2Im",
                               .version = 18,
                               .min_inputs = 3,
                               .max_inputs = 3,
                               .min_outputs = 1,
                               .max_outputs = 1,
                               .attrs = attrs,
                               .infer = col2im_infer,
                               .eval = col2im_eval};

extern const InferOp *const infer_ops_col2im[];
const InferOp *const infer_ops_col2im[] = {&col2im, NULL};
