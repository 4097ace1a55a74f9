/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "decoder-private.h"
#include "modelinfo-private.h"

/** The most rows of a detector that reports each object once. */
#define MOST_OBJECTS 1000

gboolean
infer_decoder_from_name(const char *name, InferDecoder *decoder)
{
  static const struct {
    const char *name;
    InferDecoder decoder;
  } others[] = {
      {"auto", INFER_DECODER_NONE},      {"yolov7", INFER_DECODER_YOLOV5},
      {"yolov6", INFER_DECODER_YOLOV5},  {"yolov9", INFER_DECODER_YOLOV8},
      {"yolo11", INFER_DECODER_YOLOV8},  {"yolov11", INFER_DECODER_YOLOV8},
      {"yolov12", INFER_DECODER_YOLOV8}, {"yolo12", INFER_DECODER_YOLOV8},
      {"yolo26", INFER_DECODER_YOLOV10}, {"rfb", INFER_DECODER_SSD},
  };

  for (guint i = 0; infer_decoder_names[i]; i++) {
    *decoder = (InferDecoder)i;
    if (g_str_equal(infer_decoder_names[i], name))
      return TRUE;
  }
  for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
    *decoder = others[i].decoder;
    if (g_str_equal(others[i].name, name))
      return TRUE;
  }
  *decoder = INFER_DECODER_NONE;
  return FALSE;
}

const char *
infer_decoder_get_name(InferDecoder decoder)
{
  return (guint)decoder <= INFER_DECODER_RAW ? infer_decoder_names[decoder] : "none";
}

gint64
infer_decoder_cells(gint64 width, gint64 height)
{
  gint64 cells = 0;

  for (gint64 stride = 8; stride <= 32; stride *= 2)
    cells += (width / stride) * (height / stride);
  return cells;
}

gboolean
infer_decoder_image(InferNetwork *network, gint64 *width, gint64 *height)
{
  InferModelInfo *info = infer_network_get_model_info(network);
  const char *name = info ? infer_model_info_get_input(info) : NULL;

  *width = *height = 0;
  for (guint i = 0; name && i < infer_network_get_n_inputs(network); i++) {
    const InferTensor *input = infer_network_get_input(network, i);
    if (!g_str_equal(input->name, name) || input->dims.n != 4)
      continue;
    const gboolean last = input->dims.d[3] == 3 || input->dims.d[3] == 1;
    *height = input->dims.d[last ? 1 : 2];
    *width = input->dims.d[last ? 2 : 3];
  }
  return *width > 0 && *height > 0 && *width <= 65536 && *height <= 65536;
}

/* One output of three dimensions; what is not the anchors is box, objectness and classes. */
static InferDecoder
guess_rows(InferNetwork *network, const InferDims *dims)
{
  InferModelInfo *info = infer_network_get_model_info(network);
  const char *const *labels = infer_model_info_get_labels(info);
  const gint64 n_labels = labels ? (gint64)g_strv_length((char **)labels) : 0;
  gint64 width, height;

  if (dims->d[1] > 0 && dims->d[1] <= MOST_OBJECTS && dims->d[2] == 6)
    return INFER_DECODER_YOLOV10;
  if (!infer_decoder_image(network, &width, &height))
    return INFER_DECODER_NONE;
  const gint64 cells = infer_decoder_cells(width, height);
  if (dims->d[2] == cells && dims->d[1] > 4)
    return INFER_DECODER_YOLOV8;
  if (dims->d[1] == 3 * cells && dims->d[2] > 5)
    return INFER_DECODER_YOLOV5;
  if (dims->d[1] == cells && dims->d[2] > 4)
    return n_labels > 0 && dims->d[2] == 4 + n_labels ? INFER_DECODER_YOLOV8 : INFER_DECODER_YOLOX;
  return INFER_DECODER_NONE;
}

/* Three maps of strides 8, 16 and 32 with three anchors each. */
static gboolean
are_maps(InferNetwork *network)
{
  gint64 width, height;

  if (!infer_decoder_image(network, &width, &height))
    return FALSE;
  for (guint i = 0; i < 3; i++) {
    const InferDims *dims = &infer_network_get_output(network, i)->dims;
    const gboolean flat = dims->n == 4 && dims->d[1] > 15 && dims->d[1] % 3 == 0;
    const gboolean split = dims->n == 5 && dims->d[1] == 3 && dims->d[4] > 5;
    gboolean fits = FALSE;

    for (gint64 stride = 8; stride <= 32; stride *= 2)
      fits |= (flat || split) && dims->d[2] == height / stride && dims->d[3] == width / stride;
    if (!fits)
      return FALSE;
  }
  return TRUE;
}

static InferDecoder
guess_one(InferNetwork *network)
{
  const InferDims *dims = &infer_network_get_output(network, 0)->dims;
  gint64 width, height;

  if (dims->n == 3 && dims->d[1] > 1 && dims->d[2] == 1)
    return INFER_DECODER_CLASSIFICATION;
  if (dims->n == 3)
    return guess_rows(network, dims);
  if (dims->n == 2 && dims->d[1] > 1)
    return INFER_DECODER_CLASSIFICATION;
  if (dims->n != 4)
    return INFER_DECODER_NONE;
  if (dims->d[1] > 1 && dims->d[2] == 1 && dims->d[3] == 1)
    return INFER_DECODER_CLASSIFICATION;
  if (dims->d[1] > 5 && infer_decoder_image(network, &width, &height) &&
      dims->d[2] == height / 16 && dims->d[3] == width / 16)
    return INFER_DECODER_FASTESTDET;
  return INFER_DECODER_NONE;
}

InferDecoder
infer_network_guess_decoder(InferNetwork *network)
{
  const guint n = infer_network_get_n_outputs(network);

  if (!infer_network_get_model_info(network))
    return INFER_DECODER_NONE;
  for (guint i = 0; i < n; i++)
    if (infer_network_get_output(network, i)->type != INFER_TYPE_FLOAT)
      return INFER_DECODER_NONE;
  if (n == 1)
    return guess_one(network);
  if (n == 2) {
    const InferDims *a = &infer_network_get_output(network, 0)->dims;
    const InferDims *b = &infer_network_get_output(network, 1)->dims;
    if (a->n == 3 && b->n == 3 && a->d[1] == b->d[1] && a->d[1] > 0 &&
        (a->d[2] == 4 || b->d[2] == 4) && a->d[2] > 1 && b->d[2] > 1)
      return INFER_DECODER_SSD;
  }
  if (n == 3 && are_maps(network))
    return INFER_DECODER_YOLOV5;
  return INFER_DECODER_NONE;
}
