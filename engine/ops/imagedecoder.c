/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "images.h"
#include "ops/check.h"
#include "ops/data.h"

static const char *const formats[] = {
    [INFER_IMAGE_RGB] = "RGB", [INFER_IMAGE_BGR] = "BGR", [INFER_IMAGE_GRAY] = "Grayscale", NULL};

static gboolean
decoder_infer(InferShapeArgs *args, GError **error)
{
  gint format;

  if (!infer_check_choice(args->node, "pixel_format", "RGB", formats, &format, error) ||
      !infer_op_require_type(args, 0, error, INFER_TYPE_UINT8, INFER_TYPE_UNDEFINED) ||
      (args->in[0].dims.n >= 0 && !infer_op_require_rank(args, 0, 1, 1, error)))
    return FALSE;
  args->out[0].type = INFER_TYPE_UINT8;
  args->out[0].dims =
      INFER_DIMS(INFER_DIM_UNKNOWN, INFER_DIM_UNKNOWN, format == INFER_IMAGE_GRAY ? 1 : 3);
  return TRUE;
}

/* What is no picture gives one without pixels, as ONNX has it. */
static gboolean
decoder_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  const InferImages *images = infer_images_open(error);
  g_autoptr(GError) trouble = NULL;
  gint format;

  if (!images || !infer_check_choice(args->node, "pixel_format", "RGB", formats, &format, error))
    return FALSE;
  g_autoptr(InferArray) image =
      images->decode(in->data, in->size, (InferImageFormat)format, &trouble);
  if (!image) {
    g_info("node '%s': %s", args->node->name, trouble->message);
    image = infer_array_new(INFER_TYPE_UINT8, &INFER_DIMS(0, 0, format == INFER_IMAGE_GRAY ? 1 : 3),
                            error);
  }
  if (image && args->out[0]) {
    InferArray *out = data_output(args, 0, INFER_TYPE_UINT8, &image->dims, error);
    if (out && out->size > 0)
      memcpy(out->data, image->data, out->size);
    return out != NULL;
  }
  args->out[0] = g_steal_pointer(&image);
  return args->out[0] != NULL;
}

static const InferAttrSpec attrs[] = {{"pixel_format", 's', FALSE}, {NULL, 0, FALSE}};

static const InferOp decoder = {.name = "ImageDecoder",
                                .version = 20,
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .min_outputs = 1,
                                .max_outputs = 1,
                                .attrs = attrs,
                                .infer = decoder_infer,
                                .eval = decoder_eval};

extern const InferOp *const infer_ops_imagedecoder[];
const InferOp *const infer_ops_imagedecoder[] = {&decoder, NULL};
