/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * detect MODEL [IMAGE.ppm]: parses a model, builds an engine for this machine, and prints the
 * objects of a picture (of a gray one when there is none).
 *
 *   cc detect.c $(pkg-config --cflags --libs infer-parsers-1.0 infer-1.0) -o detect
 */
#include <infer/infer.h>
#include <infer/parsers.h>

#include <stdio.h>
#include <string.h>

/* A binary PPM of 8 bits, or a gray picture of 640x480. */
static guint8 *
load_picture(const char *path, InferFrame *frame, GError **error)
{
  g_autofree char *text = NULL;
  gsize size, pixels;
  int header = 0;
  guint8 *copy;

  *frame = (InferFrame){.format = INFER_PIXEL_RGB, .width = 640, .height = 480, .full_range = TRUE};
  if (path && !g_file_get_contents(path, &text, &size, error))
    return NULL;
  if (path && (sscanf(text, "P6 %u %u 255%n", &frame->width, &frame->height, &header) != 2 ||
               header == 0 || frame->width > 65535 || frame->height > 65535)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "'%s' is not a binary PPM of 8 bits",
                path);
    return NULL;
  }
  pixels = (gsize)frame->width * frame->height * 3;
  copy = g_malloc(pixels);
  memset(copy, 128, pixels);
  if (path && size >= (gsize)header + 1 + pixels)
    memcpy(copy, text + header + 1, pixels);
  frame->planes[0] = copy;
  frame->strides[0] = (gint)frame->width * 3;
  return copy;
}

static InferEngine *
build(const char *path, GError **error)
{
  g_autoptr(InferNetwork) network = infer_parse_file(path, NULL, error);
  g_autoptr(InferBuilder) builder = infer_builder_new();

  return network ? infer_builder_build(builder, network, path, NULL, error) : NULL;
}

static gboolean
print_objects(InferContext *context, const InferFrame *frame, const InferPlacement *place,
              GError **error)
{
  InferModelInfo *info = infer_engine_get_model_info(infer_context_get_engine(context));
  const InferDetectionOutputs *outputs = infer_model_info_get_detections(info);
  const float *boxes, *scores, *count;

  if (infer_model_info_get_decoder(info) != INFER_DECODER_DETECTIONS) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED, "the model is no detector");
    return FALSE;
  }
  boxes = infer_context_map(context, outputs->boxes, NULL, error);
  scores = infer_context_map(context, outputs->scores, NULL, error);
  count = infer_context_map(context, outputs->count, NULL, error);
  if (!boxes || !scores || !count)
    return FALSE;
  printf("%.0f objects in %u x %u pixels, network pixels are %.2f x %.2f of the picture's\n",
         (double)count[0], frame->width, frame->height, place->scale_x, place->scale_y);
  for (guint i = 0; i < (guint)count[0]; i++)
    printf("%5.1f %%  %.3f %.3f %.3f %.3f\n", (double)scores[i] * 100, (double)boxes[i * 4],
           (double)boxes[i * 4 + 1], (double)boxes[i * 4 + 2], (double)boxes[i * 4 + 3]);
  return TRUE;
}

static gboolean
detect(const char *model, const char *picture, GError **error)
{
  InferFrame frame;
  InferPlacement place;
  g_autofree guint8 *pixels = load_picture(picture, &frame, error);
  g_autoptr(InferEngine) engine = pixels ? build(model, error) : NULL;
  g_autoptr(InferContext) context = engine ? infer_context_new(engine, error) : NULL;

  if (!context || !infer_context_set_batch(context, 1, error))
    return FALSE;
  infer_context_set_scalar(context, "score_threshold", 0.5);
  return infer_context_enqueue_frames(context, &frame, 1, &place, error) &&
         infer_context_run(context, error) && print_objects(context, &frame, &place, error);
}

int
main(int argc, char **argv)
{
  g_autoptr(GError) error = NULL;

  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: detect MODEL [IMAGE.ppm]\n");
    return 1;
  }
  if (detect(argv[1], argc > 2 ? argv[2] : NULL, &error))
    return 0;
  fprintf(stderr, "detect: %s\n", error->message);
  return 1;
}
