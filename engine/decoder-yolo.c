/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "decoder-private.h"

/* Columns @start up to @end of [N,A,X]. */
static InferTensor *
columns(InferDecoding *d, InferTensor *rows, gint64 start, gint64 end)
{
  return infer_decoding_slice(d, rows, 2, start, end);
}

/* Objectness times class. */
static InferTensor *
joint_scores(InferDecoding *d, InferTensor *rows)
{
  return infer_decoding_op2(d, "Mul", columns(d, rows, 4, 5), columns(d, rows, 5, G_MAXINT64),
                            NULL);
}

/* Pairs of width and height in pixels for strides 8, 16 and 32: those of the model info, else what
 * COCO's objects gave (Jocher 2020). */
static gboolean
read_anchors(InferDecoding *d, double anchors[18])
{
  static const double usual[18] = {10, 13, 16,  30,  33, 23,  30,  61,  62,
                                   45, 59, 119, 116, 90, 156, 198, 373, 326};
  g_autofree char *text = infer_model_info_get_option(d->info, "anchors");
  g_auto(GStrv) parts = text ? g_strsplit_set(text, ",; ", 64) : NULL;
  guint n = 0;

  memcpy(anchors, usual, sizeof usual);
  for (guint i = 0; parts && parts[i]; i++) {
    char *end = NULL;
    if (*parts[i] == '\0')
      continue;
    const double value = g_ascii_strtod(parts[i], &end);
    if (n >= 18 || *end != '\0' || !(value > 0 && value < 65536))
      return infer_decoding_fail(d, "anchors=%s is no list of 18 sizes in pixels", text);
    anchors[n++] = value;
  }
  return n == 0 || n == 18 ||
         infer_decoding_fail(d, "anchors has %u numbers, 9 pairs are needed", n);
}

/* One map: [N,3*(5+C),H,W], or [N,3,H,W,5+C], which is brought into that order. */
static InferNode *
decode_map(InferDecoding *d, guint index, const double *anchors)
{
  InferTensor *map = infer_network_get_output(d->network, index);
  InferNode *node;
  gint64 stride;

  if (map->type != INFER_TYPE_FLOAT || map->dims.d[2] < 1) {
    infer_decoding_fail(d, "output %u is no map of fixed size", index);
    return NULL;
  }
  stride = d->height / map->dims.d[2];
  if (stride != 8 && stride != 16 && stride != 32) {
    infer_decoding_fail(d, "output %u has stride %" G_GINT64_FORMAT ", not 8, 16 or 32", index,
                        stride);
    return NULL;
  }
  if (map->dims.n == 5) {
    const gint64 perm[] = {0, 1, 4, 2, 3};
    const gint64 shape[] = {0, 3 * map->dims.d[4], map->dims.d[2], map->dims.d[3]};
    map = infer_decoding_transpose(d, map, perm, 5);
    map = infer_decoding_reshape(d, map, shape, 4);
  }
  if (d->failed)
    return NULL;
  node = infer_network_add_node(d->network, "infer.YoloDecode", NULL, &map, 1,
                                infer_attrs_new("anchors", 'F',
                                                anchors + (stride == 8    ? 0
                                                           : stride == 16 ? 6
                                                                          : 12),
                                                (gsize)6, "stride", 'i', stride, "version", 'i',
                                                (gint64)5, NULL),
                                2, d->error);
  d->failed = node == NULL;
  return node;
}

static gboolean
decode_maps(InferDecoding *d)
{
  const float pixels[4] = {1 / (float)d->width, 1 / (float)d->height, 1 / (float)d->width,
                           1 / (float)d->height};
  const InferDims dims = INFER_DIMS(1, 1, 4);
  InferTensor *boxes[3] = {NULL}, *scores[3] = {NULL};
  double anchors[18];

  if (!read_anchors(d, anchors))
    return FALSE;
  for (guint i = 0; i < 3; i++) {
    InferNode *node = decode_map(d, i, anchors);
    if (!node)
      return FALSE;
    boxes[i] = node->outputs[0];
    scores[i] = node->outputs[1];
  }
  return infer_decoding_suppress(d,
                                 infer_decoding_op2(d, "Mul", infer_decoding_concat(d, boxes, 3, 1),
                                                    infer_decoding_constant(d, &dims, pixels),
                                                    NULL),
                                 infer_decoding_concat(d, scores, 3, 1), -1);
}

gboolean
infer_decode_yolov5(InferDecoding *d)
{
  const guint n = infer_network_get_n_outputs(d->network);
  const InferTensor *first = infer_network_get_output(d->network, 0);
  InferTensor *rows;

  if (n == 3 && first && (first->dims.n == 4 || first->dims.n == 5))
    return decode_maps(d);
  /* Exports leave the maps beside the rows. */
  rows = infer_decoding_output(d, 0, 3);
  if (!rows)
    return FALSE;
  if (rows->dims.d[2] < 6)
    return infer_decoding_fail(d, "rows of %" G_GINT64_FORMAT " numbers, more than 5 are needed",
                               rows->dims.d[2]);
  return infer_decoding_suppress(
      d, infer_decoding_corners(d, columns(d, rows, 0, 2), columns(d, rows, 2, 4)),
      joint_scores(d, rows), -1);
}

gboolean
infer_decode_yolov8(InferDecoding *d)
{
  const gint64 perm[] = {0, 2, 1};
  InferTensor *rows = infer_decoding_output(d, 0, 3);

  if (!rows)
    return FALSE;
  if (rows->dims.d[1] > 0 && (rows->dims.d[2] < 0 || rows->dims.d[1] < rows->dims.d[2]))
    rows = infer_decoding_transpose(d, rows, perm, 3);
  if (!d->failed && rows->dims.d[2] < 5)
    return infer_decoding_fail(d, "rows of %" G_GINT64_FORMAT " numbers, more than 4 are needed",
                               rows->dims.d[2]);
  return infer_decoding_suppress(
      d, infer_decoding_corners(d, columns(d, rows, 0, 2), columns(d, rows, 2, 4)),
      columns(d, rows, 4, G_MAXINT64), -1);
}

/* One row for each object: nothing is suppressed, the threshold is applied by who reads them. */
gboolean
infer_decode_yolov10(InferDecoding *d)
{
  const float pixels[4] = {1 / (float)d->width, 1 / (float)d->height, 1 / (float)d->width,
                           1 / (float)d->height};
  const InferDims dims = INFER_DIMS(1, 1, 4);
  const gint64 flat[] = {0, -1}, axis = 1;
  InferTensor *rows = infer_decoding_output(d, 0, 3), *scores, *ones, *outputs[4];

  if (!rows)
    return FALSE;
  if (rows->dims.d[2] != 6 || rows->dims.d[1] < 1)
    return infer_decoding_fail(d, "the output is not [N,K,6]");
  scores = infer_decoding_reshape(d, columns(d, rows, 4, 5), flat, 2);
  outputs[0] = infer_decoding_op2(d, "Mul", columns(d, rows, 0, 4),
                                  infer_decoding_constant(d, &dims, pixels), NULL);
  outputs[1] = scores;
  outputs[2] = infer_decoding_reshape(d, columns(d, rows, 5, 6), flat, 2);
  /* All rows count; from the comparison with itself every number is one. */
  ones = infer_decoding_op1(d, "Cast", infer_decoding_op2(d, "Equal", scores, scores, NULL),
                            infer_attrs_new("to", 'i', (gint64)INFER_TYPE_FLOAT, NULL));
  ones = infer_decoding_op2(d, "Max", ones, infer_decoding_number(d, 1), NULL);
  outputs[3] = infer_decoding_op2(d, "ReduceSum", ones, infer_decoding_ints(d, &axis, 1),
                                  infer_attrs_new("keepdims", 'i', (gint64)0, NULL));
  return infer_decoding_finish(d, outputs);
}

/* x and y of each cell, and its stride, in the order of the rows. */
static gboolean
make_grid(InferDecoding *d, gint64 cells, InferTensor **grid, InferTensor **strides)
{
  const InferDims grid_dims = INFER_DIMS(1, cells, 2), stride_dims = INFER_DIMS(1, cells, 1);
  g_autofree float *xy = g_new(float, 2 * (gsize)cells), *step = g_new(float, (gsize)cells);
  gsize at = 0;

  for (gint64 stride = 8; stride <= 32; stride *= 2) {
    for (gint64 y = 0; y < d->height / stride; y++) {
      for (gint64 x = 0; x < d->width / stride; x++, at++) {
        xy[2 * at] = (float)x;
        xy[2 * at + 1] = (float)y;
        step[at] = (float)stride;
      }
    }
  }
  *grid = infer_decoding_constant(d, &grid_dims, xy);
  *strides = infer_decoding_constant(d, &stride_dims, step);
  return !d->failed;
}

/* Ge et al. 2021: the centre is the offset in its cell, the size the exponential. */
gboolean
infer_decode_yolox(InferDecoding *d)
{
  const gint64 cells = infer_decoder_cells(d->width, d->height);
  InferTensor *rows = infer_decoding_output(d, 0, 3), *grid, *strides, *centre, *size;

  if (!rows)
    return FALSE;
  if (rows->dims.d[1] != cells || rows->dims.d[2] < 6)
    return infer_decoding_fail(d,
                               "the output is not [N,%" G_GINT64_FORMAT
                               ",5+C] as an image of %" G_GINT64_FORMAT "x%" G_GINT64_FORMAT
                               " gives",
                               cells, d->width, d->height);
  if (!make_grid(d, cells, &grid, &strides))
    return FALSE;
  centre = infer_decoding_op2(d, "Add", columns(d, rows, 0, 2), grid, NULL);
  centre = infer_decoding_op2(d, "Mul", centre, strides, NULL);
  size = infer_decoding_op1(d, "Exp", columns(d, rows, 2, 4), NULL);
  size = infer_decoding_op2(d, "Mul", size, strides, NULL);
  return infer_decoding_suppress(d, infer_decoding_corners(d, centre, size), joint_scores(d, rows),
                                 -1);
}

/* Of one scale: the centre is off by tanh cells, the size a sigmoid's share of the image, the score
 * objectness^0.6 * class^0.4. */
gboolean
infer_decode_fastestdet(InferDecoding *d)
{
  const gint64 perm[] = {0, 2, 3, 1};
  InferTensor *map = infer_decoding_output(d, 0, 4), *rows, *centre, *size, *scores;

  if (!map)
    return FALSE;
  const gint64 height = map->dims.d[2], width = map->dims.d[3], depth = map->dims.d[1];
  if (height < 1 || width < 1 || height > 4096 || width > 4096 || depth < 6)
    return infer_decoding_fail(d, "the output is not [N,5+C,H,W] of fixed size");
  const gint64 cells = height * width, shape[] = {0, cells, depth};
  const InferDims grid_dims = INFER_DIMS(1, cells, 2), scale_dims = INFER_DIMS(1, 1, 2);
  const float cell[2] = {(float)d->width / (float)width, (float)d->height / (float)height};
  const float image[2] = {(float)d->width, (float)d->height};
  g_autofree float *grid = g_new(float, 2 * (gsize)cells);

  for (gint64 i = 0; i < cells; i++) {
    grid[2 * i] = (float)(i % width);
    grid[2 * i + 1] = (float)(i / width);
  }
  rows = infer_decoding_reshape(d, infer_decoding_transpose(d, map, perm, 4), shape, 3);
  centre = infer_decoding_op1(d, "Tanh", columns(d, rows, 1, 3), NULL);
  centre = infer_decoding_op2(d, "Add", centre, infer_decoding_constant(d, &grid_dims, grid), NULL);
  centre =
      infer_decoding_op2(d, "Mul", centre, infer_decoding_constant(d, &scale_dims, cell), NULL);
  size = infer_decoding_op1(d, "Sigmoid", columns(d, rows, 3, 5), NULL);
  size = infer_decoding_op2(d, "Mul", size, infer_decoding_constant(d, &scale_dims, image), NULL);
  scores = infer_decoding_op2(
      d, "Mul",
      infer_decoding_op2(d, "Pow", columns(d, rows, 0, 1), infer_decoding_number(d, 0.6f), NULL),
      infer_decoding_op2(d, "Pow", columns(d, rows, 5, G_MAXINT64), infer_decoding_number(d, 0.4f),
                         NULL),
      NULL);
  return infer_decoding_suppress(d, infer_decoding_corners(d, centre, size), scores, -1);
}
