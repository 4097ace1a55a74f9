/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cuda-check.h"
#include "frames.h"
#include "preprocess.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Pre-processing on the device gives what the CPU gives, of frames in memory of either. */

#define MOST_FRAMES 4
#define GUARD 16

/* --- the driver, whose device is the host --- */

static guint n_allocations;
static InferCudaUploads *uploads;

InferCudaUploads **
infer_cuda_uploads(InferStream *stream)
{
  return &uploads;
}

gboolean
infer_cuda_check(CUresult result, const char *what, GError **error)
{
  g_assert_cmpint(result, ==, CUDA_SUCCESS);
  return TRUE;
}

CUresult
cuMemHostAlloc(void **memory, size_t size, unsigned flags)
{
  n_allocations++;
  *memory = malloc(size);
  return CUDA_SUCCESS;
}

CUresult
cuMemAlloc(CUdeviceptr *memory, size_t size)
{
  n_allocations++;
  *memory = (CUdeviceptr)(guintptr)aligned_alloc(256, (size + 255) & ~(gsize)255);
  return CUDA_SUCCESS;
}

CUresult
cuMemFreeHost(void *memory)
{
  free(memory);
  return CUDA_SUCCESS;
}

CUresult
cuMemFree(CUdeviceptr memory)
{
  free((void *)(guintptr)memory);
  return CUDA_SUCCESS;
}

CUresult
cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t size, CUstream stream)
{
  memcpy((void *)(guintptr)to, from, size);
  return CUDA_SUCCESS;
}

CUresult
cuEventCreate(CUevent *event, unsigned flags)
{
  n_allocations++;
  *event = (CUevent)(gpointer)&uploads;
  return CUDA_SUCCESS;
}

CUresult
cuEventDestroy(CUevent event)
{
  return CUDA_SUCCESS;
}

CUresult
cuEventRecord(CUevent event, CUstream stream)
{
  return CUDA_SUCCESS;
}

CUresult
cuEventSynchronize(CUevent event)
{
  return CUDA_SUCCESS;
}

CUresult
cuStreamSynchronize(CUstream stream)
{
  return CUDA_SUCCESS;
}

/* --- frames --- */

typedef struct {
  InferFrame frame;
  guint8 *memory[3];
} Picture;

static gint
pick(gint least, gint most)
{
  return g_test_rand_int_range(least, most + 1);
}

static gboolean
plane_size(const InferFrame *frame, guint plane, guint *bytes, guint *rows)
{
  guint w = frame->width, h = frame->height, cw = (w + 1) / 2, ch = (h + 1) / 2;
  const guint widths[][3] = {{w, 2 * cw}, {2 * w, 4 * cw}, {w, cw, cw}, {4 * cw}, {3 * w},
                             {3 * w},     {4 * w},         {4 * w},     {w}};

  *bytes = widths[frame->format][plane];
  *rows = plane ? ch : h;
  return *bytes > 0;
}

/* Planes end with their last byte, so that reading past it is noticed by the sanitizer. */
static void
picture_make(Picture *picture, InferPixelFormat format, gint side)
{
  static const float weights[][2] = {
      {0, 0}, {0.299f, 0.114f}, {0.2126f, 0.0722f}, {0.2627f, 0.0593f}};
  InferFrame *frame = &picture->frame;
  gint matrix = pick(0, 3);
  guint bytes, rows;

  *picture =
      (Picture){.frame = {.format = format,
                          .width = (guint)pick(1, side),
                          .height = (guint)pick(1, side),
                          .full_range = g_test_rand_bit(),
                          .kr = weights[matrix][0],
                          .kb = weights[matrix][1],
                          .memory = g_test_rand_bit() ? INFER_FRAME_CUDA : INFER_FRAME_HOST}};
  if (g_test_rand_bit()) {
    frame->crop_x = (guint)pick(0, (gint)frame->width - 1);
    frame->crop_y = (guint)pick(0, (gint)frame->height - 1);
    frame->crop_width = (guint)pick(1, (gint)(frame->width - frame->crop_x));
    frame->crop_height = (guint)pick(1, (gint)(frame->height - frame->crop_y));
  }
  for (guint i = 0; i < 3 && plane_size(frame, i, &bytes, &rows); i++) {
    guint stride = bytes + (guint)pick(0, 8);
    gsize size = (gsize)stride * (rows - 1) + bytes;

    picture->memory[i] = malloc(size);
    for (gsize k = 0; k < size; k++)
      picture->memory[i][k] = (guint8)pick(0, 255);
    frame->planes[i] = picture->memory[i];
    frame->strides[i] = (gint)stride;
    if (g_test_rand_bit()) {
      frame->planes[i] += (gsize)stride * (rows - 1);
      frame->strides[i] = -(gint)stride;
    }
  }
}

static void
random_preprocess(InferPreprocess *pre)
{
  *pre = (InferPreprocess){.color = (InferColor)pick(0, 2),
                           .resize = (InferResize)pick(0, 2),
                           .filter = (InferFilter)pick(0, 2),
                           .coordinates = (InferCoordinates)pick(0, 2)};
  for (guint i = 0; i < 3; i++) {
    pre->scale[i] = (float)g_test_rand_double_range(0.3, 1);
    pre->bias[i] = (float)g_test_rand_double_range(-5, 5);
    pre->pad[i] = (float)pick(0, 255);
  }
}

static void
random_target(InferImageTarget *target, const InferPreprocess *pre, gint side)
{
  *target = (InferImageTarget){.type = g_test_rand_bit() ? INFER_TYPE_FLOAT : INFER_TYPE_UINT8,
                               .width = (guint)pick(1, side),
                               .height = (guint)pick(1, side),
                               .channels = pre->color == INFER_COLOR_GRAY ? 1 : 3};
  if (g_test_rand_bit()) {
    target->stride_c = 1;
    target->stride_x = target->channels;
    target->stride_y = target->stride_x * target->width;
  } else {
    target->stride_x = 1;
    target->stride_y = target->width + (g_test_rand_bit() ? 3 : 0);
    target->stride_c = target->stride_y * target->height;
  }
  target->stride_n = target->stride_y * target->height * target->channels + 5;
}

static double
element(const InferImageTarget *target, const guint8 *data, gsize i)
{
  return target->type == INFER_TYPE_FLOAT ? (double)((const float *)data)[i] : (double)data[i];
}

static void
compare(const Picture *pictures, guint n, const InferPreprocess *pre,
        const InferImageTarget *target)
{
  gsize count = (gsize)target->stride_n * n + GUARD;
  gsize bytes = count * (target->type == INFER_TYPE_FLOAT ? sizeof(float) : 1);
  g_autofree guint8 *want = g_malloc(bytes), *have = g_malloc(bytes);
  InferImageTarget to = *target;
  InferFrame frames[MOST_FRAMES];
  g_autoptr(GError) error = NULL;

  memset(want, 0x11, bytes);
  memset(have, 0x11, bytes);
  for (guint i = 0; i < n; i++)
    frames[i] = pictures[i].frame;
  to.data = have;
  infer_cuda_preprocess(NULL, frames, n, pre, &to, &error);
  g_assert_no_error(error);
  for (guint i = 0; i < n; i++)
    frames[i].memory = INFER_FRAME_HOST;
  to.data = want;
  infer_preprocess_frames(infer_row_ops(0), frames, n, pre, &to, &error);
  g_assert_no_error(error);
  for (gsize i = 0; i < count; i++) {
    double a = element(target, want, i), b = element(target, have, i);

    /* Bytes may round either way. */
    if (fabs(a - b) > (target->type == INFER_TYPE_FLOAT ? 1e-3 : 1))
      g_error("format %d, element %" G_GSIZE_FORMAT " of %ux%u is %g, expected %g",
              (gint)frames[0].format, i, target->width, target->height, b, a);
  }
}

static void
pictures_clear(Picture *pictures, guint n)
{
  for (guint i = 0; i < n; i++)
    for (guint k = 0; k < 3; k++)
      free(pictures[i].memory[k]);
}

static void
test_frames(void)
{
  for (guint i = 0; i < 150; i++) {
    Picture pictures[MOST_FRAMES];
    InferPreprocess pre;
    InferImageTarget target;
    guint n = (guint)pick(1, MOST_FRAMES);

    random_preprocess(&pre);
    random_target(&target, &pre, i % 3 ? 40 : 90);
    for (guint k = 0; k < n; k++)
      picture_make(&pictures[k], (InferPixelFormat)pick(0, INFER_PIXEL_GRAY8), i % 4 ? 60 : 9);
    compare(pictures, n, &pre, &target);
    pictures_clear(pictures, n);
  }
}

/* An average over more samples than a block keeps weights of. */
static void
test_shrink(void)
{
  for (guint i = 0; i <= INFER_PIXEL_GRAY8; i++) {
    Picture picture;
    InferPreprocess pre;
    InferImageTarget target;

    random_preprocess(&pre);
    pre.filter = INFER_FILTER_AREA;
    random_target(&target, &pre, 3);
    picture_make(&picture, (InferPixelFormat)i, 300);
    compare(&picture, 1, &pre, &target);
    pictures_clear(&picture, 1);
  }
}

/* Frames of a size that was seen before allocate nothing. */
static void
test_steady(void)
{
  Picture picture;
  InferPreprocess pre;
  InferImageTarget target;
  guint before;

  random_preprocess(&pre);
  random_target(&target, &pre, 20);
  picture_make(&picture, INFER_PIXEL_NV12, 90);
  picture.frame.memory = INFER_FRAME_HOST;
  for (guint i = 0; i < 5; i++)
    compare(&picture, 1, &pre, &target);
  before = n_allocations;
  for (guint i = 0; i < 9; i++)
    compare(&picture, 1, &pre, &target);
  g_assert_cmpuint(n_allocations, ==, before);
  pictures_clear(&picture, 1);
}

static void
test_refused(void)
{
  Picture picture;
  InferPreprocess pre;
  InferImageTarget target;
  g_autoptr(GError) error = NULL;

  random_preprocess(&pre);
  random_target(&target, &pre, 20);
  picture_make(&picture, INFER_PIXEL_RGB, 9);
  picture.frame.memory = (InferFrameMemory)7;
  g_assert_false(infer_cuda_preprocess(NULL, &picture.frame, 1, &pre, &target, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);
  g_clear_error(&error);
  picture.frame.memory = INFER_FRAME_CUDA;
  g_assert_false(
      infer_preprocess_frames(infer_row_ops(0), &picture.frame, 1, &pre, &target, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED);
  g_clear_error(&error);
  target.type = INFER_TYPE_INT64;
  g_assert_false(infer_cuda_preprocess(NULL, &picture.frame, 1, &pre, &target, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED);
  pictures_clear(&picture, 1);
}

int
main(int argc, char **argv)
{
  int result;

  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/cuda-frames/everything", test_frames);
  g_test_add_func("/cuda-frames/shrink", test_shrink);
  g_test_add_func("/cuda-frames/steady", test_steady);
  g_test_add_func("/cuda-frames/refused", test_refused);
  result = g_test_run();
  g_clear_pointer(&uploads, infer_cuda_uploads_free);
  return result;
}
