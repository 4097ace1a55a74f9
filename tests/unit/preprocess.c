/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>
#include "preprocess.h"

/*
 * The CPU's pre-processing against a plain version: convert a pixel of the frame to RGB with
 * upsampled chroma, interpolate, scale, one output element at a time in double precision.
 */

#define MAX_FRAMES 3

typedef struct {
  InferFrame frame;
  guint8 *memory[3];
} Picture;

static const char *const format_names[] = {"NV12", "P010_LE", "I420", "YUY2", "RGB",
                                           "BGR",  "RGBA",    "BGRA", "GRAY8"};

static void
picture_clear(Picture *picture)
{
  for (guint i = 0; i < 3; i++)
    g_clear_pointer(&picture->memory[i], free);
}

/* Bytes of a row and rows of a plane; FALSE past the last plane. */
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

/* Values from the middle, which no conversion clamps. */
static guint8
random_sample(const InferFrame *frame, guint plane, guint x)
{
  gboolean chroma = (plane > 0 && frame->format <= INFER_PIXEL_I420) ||
                    (frame->format == INFER_PIXEL_YUY2 && (x & 1));

  if (frame->format == INFER_PIXEL_P010_LE && !(x & 1))
    return (guint8)g_test_rand_int_range(0, 256);
  if (chroma)
    return (guint8)g_test_rand_int_range(116, 141);
  if (frame->format >= INFER_PIXEL_RGB && frame->format <= INFER_PIXEL_BGRA)
    return (guint8)g_test_rand_int_range(0, 256);
  return (guint8)g_test_rand_int_range(80, 170);
}

/* Which of 8 values makes a byte of a picture of one color. */
static guint
flat_index(InferPixelFormat format, guint plane, guint x)
{
  static const guint periods[][3] = {{1, 2}, {2, 4}, {1, 1, 1}, {4}, {3}, {3}, {4}, {4}, {1}};

  if (format == INFER_PIXEL_YUY2)
    return x & 1 ? x % 4 : 0;
  return x % periods[format][plane] + (plane ? 2 * plane : 0);
}

static void
picture_fill(Picture *picture, gboolean flat)
{
  InferFrame *frame = &picture->frame;

  for (guint i = 0; i < 3; i++) {
    guint bytes, rows, stride;
    guint8 values[8];

    frame->planes[i] = NULL;
    if (!plane_size(frame, i, &bytes, &rows))
      break;
    stride = bytes + (guint)g_test_rand_int_range(0, 9);
    /* Ends with the last row's last byte, so that reading past it is noticed by the sanitizer. */
    picture->memory[i] = malloc((gsize)stride * (rows - 1) + bytes);
    frame->strides[i] = (gint)stride;
    frame->planes[i] = picture->memory[i];
    if (g_test_rand_bit()) {
      frame->planes[i] += (gsize)stride * (rows - 1);
      frame->strides[i] = -(gint)stride;
    }
    for (guint k = 0; k < 8; k++)
      values[k] = (guint8)g_test_rand_int_range(0, 256);
    for (guint y = 0; y < rows; y++) {
      for (guint x = 0; x < bytes; x++)
        picture->memory[i][(gsize)y * stride + x] =
            flat ? values[flat_index(frame->format, i, x)] : random_sample(frame, i, x);
    }
  }
}

static void
picture_random(Picture *picture, InferPixelFormat format, guint max_side, gboolean flat)
{
  static const float weights[][2] = {
      {0, 0}, {0.299f, 0.114f}, {0.2126f, 0.0722f}, {0.2627f, 0.0593f}};
  InferFrame *frame = &picture->frame;
  guint matrix = (guint)g_test_rand_int_range(0, 4);

  *frame = (InferFrame){.format = format, .full_range = g_test_rand_bit()};
  frame->width = (guint)g_test_rand_int_range(1, (gint)max_side);
  frame->height = (guint)g_test_rand_int_range(1, (gint)max_side);
  frame->kr = weights[matrix][0];
  frame->kb = weights[matrix][1];
  if (g_test_rand_bit()) {
    frame->crop_x = (guint)g_test_rand_int_range(0, (gint)frame->width);
    frame->crop_y = (guint)g_test_rand_int_range(0, (gint)frame->height);
    frame->crop_width = 1 + (guint)g_test_rand_int_range(0, (gint)(frame->width - frame->crop_x));
    frame->crop_height = 1 + (guint)g_test_rand_int_range(0, (gint)(frame->height - frame->crop_y));
  }
  picture_fill(picture, flat);
}

/* The plain version. */

static double
sample_at(const InferFrame *frame, guint plane, gint x, gint y)
{
  const guint8 *row = frame->planes[plane] + (gssize)y * frame->strides[plane];

  if (frame->format == INFER_PIXEL_P010_LE)
    return ((row[2 * x] | row[2 * x + 1] << 8) >> 6) / 4.0;
  return row[x];
}

/* Cb (0) or Cr (1) of a chroma position, clamped to the plane. */
static double
chroma_at(const InferFrame *frame, guint which, gint x, gint y)
{
  gint cw = (gint)(frame->width + 1) / 2, ch = (gint)(frame->height + 1) / 2;

  x = CLAMP(x, 0, cw - 1);
  if (frame->format == INFER_PIXEL_YUY2)
    return sample_at(frame, 0, 4 * x + 1 + 2 * (gint)which, y);
  y = CLAMP(y, 0, ch - 1);
  if (frame->format == INFER_PIXEL_I420)
    return sample_at(frame, 1 + which, x, y);
  return sample_at(frame, 1, 2 * x + (gint)which, y);
}

static double
chroma_row(const InferFrame *frame, guint which, gint x, gint y)
{
  double here = chroma_at(frame, which, x / 2, y);

  return x % 2 ? (here + chroma_at(frame, which, x / 2 + 1, y)) / 2 : here;
}

static double
chroma_upsampled(const InferFrame *frame, guint which, gint x, gint y)
{
  if (frame->format == INFER_PIXEL_YUY2)
    return chroma_row(frame, which, x, y);
  return 0.75 * chroma_row(frame, which, x, y / 2) +
         0.25 * chroma_row(frame, which, x, y % 2 ? y / 2 + 1 : y / 2 - 1);
}

static void
yuv_to_rgb(const InferFrame *frame, double y, double u, double v, double *rgb)
{
  gboolean ten = frame->format == INFER_PIXEL_P010_LE, full = frame->full_range;
  double kr = frame->kr > 0 ? (double)frame->kr : 0.299;
  double kb = frame->kb > 0 ? (double)frame->kb : 0.114;
  double white = ten ? 1023 / 4.0 : 255;

  y = full ? y / white : (y - 16) / 219;
  u = (u - 128) / (full ? white : 224);
  v = (v - 128) / (full ? white : 224);
  rgb[0] = y + 2 * (1 - kr) * v;
  rgb[2] = y + 2 * (1 - kb) * u;
  rgb[1] = (y - kr * rgb[0] - kb * rgb[2]) / (1 - kr - kb);
  for (guint c = 0; c < 3; c++)
    rgb[c] = CLAMP(rgb[c] * 255, 0.0, 255.0);
}

static void
rgb_at(const InferFrame *frame, gint x, gint y, double *rgb)
{
  static const guint8 orders[][4] = {{0, 1, 2, 3}, {2, 1, 0, 3}, {0, 1, 2, 4}, {2, 1, 0, 4}};

  if (frame->format == INFER_PIXEL_GRAY8) {
    yuv_to_rgb(frame, sample_at(frame, 0, x, y), 128, 128, rgb);
  } else if (frame->format < INFER_PIXEL_RGB) {
    double luma = sample_at(frame, 0, frame->format == INFER_PIXEL_YUY2 ? 2 * x : x, y);

    yuv_to_rgb(frame, luma, chroma_upsampled(frame, 0, x, y), chroma_upsampled(frame, 1, x, y),
               rgb);
  } else {
    const guint8 *order = orders[frame->format - INFER_PIXEL_RGB];

    for (guint c = 0; c < 3; c++)
      rgb[c] = sample_at(frame, 0, x * order[3] + order[c], y);
  }
}

/* Weights of the @in pixels of a crop for output @x of @out. */
static void
plain_weights(const InferPreprocess *pre, gint in, gint out, gint x, double *weights)
{
  double scale = (double)in / out, at = 0;

  for (gint i = 0; i < in; i++)
    weights[i] = 0;
  if (pre->filter == INFER_FILTER_AREA && out < in) {
    for (gint i = 0; i < in; i++)
      weights[i] = MAX(0.0, MIN((x + 1) * scale, i + 1.0) - MAX(x * scale, (double)i)) / scale;
    return;
  }
  if (pre->coordinates == INFER_COORDINATES_HALF_PIXEL)
    at = (x + 0.5) * scale - 0.5;
  else if (pre->coordinates == INFER_COORDINATES_ASYMMETRIC)
    at = x * scale;
  else
    at = out > 1 ? x * (in - 1.0) / (out - 1.0) : 0;
  if (pre->filter == INFER_FILTER_NEAREST) {
    double half = pre->coordinates == INFER_COORDINATES_ASYMMETRIC ? 0 : 0.5;

    at = floor(at + half + 1e-9);
    weights[CLAMP((gint)at, 0, in - 1)] = 1;
    return;
  }
  at = CLAMP(at, 0.0, in - 1.0);
  weights[(gint)at] = 1 - (at - floor(at));
  if ((gint)at + 1 < in)
    weights[(gint)at + 1] = at - floor(at);
}

static void
plain_pixel(const InferFrame *frame, const double *wx, const double *wy, double *rgb)
{
  gint cw = (gint)(frame->crop_width ? frame->crop_width : frame->width);
  gint ch = (gint)(frame->crop_height ? frame->crop_height : frame->height);

  rgb[0] = rgb[1] = rgb[2] = 0;
  for (gint y = 0; y < ch; y++) {
    for (gint x = 0; wy[y] > 0 && x < cw; x++) {
      double pixel[3];

      if (wx[x] <= 0)
        continue;
      rgb_at(frame, (gint)frame->crop_x + x, (gint)frame->crop_y + y, pixel);
      for (guint c = 0; c < 3; c++)
        rgb[c] += wx[x] * wy[y] * pixel[c];
    }
  }
}

/* The network's pixel, before scale and bias. */
static void
plain_output(const InferFrame *frame, const InferPreprocess *pre, guint width, guint height, gint x,
             gint y, double *out)
{
  InferPlacement place = infer_frame_place(frame, pre, width, height);
  gint cw = (gint)(frame->crop_width ? frame->crop_width : frame->width);
  gint ch = (gint)(frame->crop_height ? frame->crop_height : frame->height);
  gint ow = (gint)lround(cw * place.scale_x), oh = (gint)lround(ch * place.scale_y);
  double rgb[3], wx[256], wy[256];
  double kr = frame->kr > 0 ? (double)frame->kr : 0.299;
  double kb = frame->kb > 0 ? (double)frame->kb : 0.114;

  x -= (gint)place.offset_x;
  y -= (gint)place.offset_y;
  if (x < 0 || x >= ow || y < 0 || y >= oh) {
    for (guint c = 0; c < 3; c++)
      out[c] = (double)pre->pad[c];
    return;
  }
  plain_weights(pre, cw, ow, x, wx);
  plain_weights(pre, ch, oh, y, wy);
  plain_pixel(frame, wx, wy, rgb);
  for (guint c = 0; c < 3; c++)
    out[c] = rgb[pre->color == INFER_COLOR_BGR ? 2 - c : c];
  if (pre->color == INFER_COLOR_GRAY)
    out[0] = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2];
}

/* Layouts of the target. */

typedef enum { PACKED, PLANAR, LOOSE, N_TARGETS } TargetLayout;

static gsize
target_init(InferImageTarget *target, TargetLayout layout, InferType type, guint channels,
            guint images)
{
  gint64 pixel = layout == PACKED ? channels : layout == PLANAR ? 1 : channels + 2;

  target->type = type;
  target->channels = channels;
  target->stride_x = pixel;
  target->stride_y = pixel * target->width + (layout == LOOSE ? 3 : 0);
  target->stride_c = layout == PLANAR ? target->stride_y * target->height : 1;
  target->stride_n = target->stride_y * target->height * (layout == PLANAR ? channels : 1);
  return (gsize)(target->stride_n * images) * (type == INFER_TYPE_FLOAT ? 4 : 1);
}

static double
target_get(const InferImageTarget *target, gint64 n, gint64 c, gint64 y, gint64 x)
{
  gint64 at =
      n * target->stride_n + c * target->stride_c + y * target->stride_y + x * target->stride_x;

  if (target->type == INFER_TYPE_FLOAT)
    return (double)((float *)target->data)[at];
  return ((guint8 *)target->data)[at];
}

/* Overwrites what has to be written, so that what is left must be as it was. */
static void
target_mark(const InferImageTarget *target, guint images)
{
  for (gint64 n = 0; n < images; n++) {
    for (gint64 i = 0; i < (gint64)target->channels * target->height * target->width; i++) {
      gint64 c = i % target->channels, y = i / target->channels / target->width;
      gint64 at = n * target->stride_n + c * target->stride_c + y * target->stride_y +
                  i / target->channels % target->width * target->stride_x;

      if (target->type == INFER_TYPE_FLOAT)
        memset((float *)target->data + at, 0xa5, sizeof(float));
      else
        ((guint8 *)target->data)[at] = 0xa5;
    }
  }
}

static void
compare(const InferRowOps *ops, const Picture *pictures, guint n, const InferPreprocess *pre,
        const InferImageTarget *target, const char *what)
{
  for (guint i = 0; i < n; i++) {
    for (guint y = 0; y < target->height; y++) {
      for (guint x = 0; x < target->width; x++) {
        double plain[3];

        plain_output(&pictures[i].frame, pre, target->width, target->height, (gint)x, (gint)y,
                     plain);
        for (guint c = 0; c < target->channels; c++) {
          double want = plain[c] * (double)pre->scale[c] + (double)pre->bias[c];
          double got = target_get(target, i, c, y, x);
          double tolerance = 2e-3 * fabs((double)pre->scale[c]) + 1e-4;

          if (target->type == INFER_TYPE_UINT8) {
            want = CLAMP(want, 0.0, 255.0);
            tolerance += 0.5;
          }
          if (!(fabs(got - want) <= tolerance))
            g_error("%s, %s: image %u, channel %u, %u,%u is %g instead of %g (%s %ux%u to %ux%u)",
                    ops->name, what, i, c, x, y, got, want, format_names[pictures[i].frame.format],
                    pictures[i].frame.width, pictures[i].frame.height, target->width,
                    target->height);
        }
      }
    }
  }
}

static void
check(const InferRowOps *ops, const Picture *pictures, guint n, const InferPreprocess *pre,
      InferImageTarget *target, TargetLayout layout, InferType type)
{
  g_autoptr(GError) error = NULL;
  guint channels = pre->color == INFER_COLOR_GRAY ? 1 : 3;
  gsize size = target_init(target, layout, type, channels, n);
  g_autofree guint8 *data = g_malloc(size);
  g_autofree char *what = g_strdup_printf(
      "color %d resize %d filter %d coordinates %d layout %d type %d", (gint)pre->color,
      (gint)pre->resize, (gint)pre->filter, (gint)pre->coordinates, (gint)layout, (gint)type);
  InferFrame frames[MAX_FRAMES];

  for (guint i = 0; i < n; i++)
    frames[i] = pictures[i].frame;
  memset(data, 0xa5, size);
  target->data = data;
  if (!infer_preprocess_frames(ops, frames, n, pre, target, &error))
    g_error("%s: %s", what, error->message);
  compare(ops, pictures, n, pre, target, what);
  target_mark(target, n);
  for (gsize i = 0; i < size; i++)
    g_assert_cmpint(data[i], ==, 0xa5);
}

static void
random_preprocess(InferPreprocess *pre, InferType type)
{
  pre->color = (InferColor)g_test_rand_int_range(0, 3);
  for (guint c = 0; c < 3; c++) {
    gboolean bytes = type == INFER_TYPE_UINT8;

    pre->scale[c] =
        (float)(bytes ? g_test_rand_double_range(0.8, 1.5) : g_test_rand_double_range(-0.03, 0.03));
    pre->bias[c] = (float)g_test_rand_double_range(-3, 3);
    pre->pad[c] = (float)g_test_rand_double_range(0, 255);
  }
}

static void
test_everything(gconstpointer user_data)
{
  InferPixelFormat format = GPOINTER_TO_INT(user_data);
  guint cases = 3 * 3 * 3 * N_TARGETS * 2;
  const InferRowOps *ops;

  for (guint i = 0; i < cases; i++) {
    InferPreprocess pre = {.resize = i % 3, .filter = i / 3 % 3, .coordinates = i / 9 % 3};
    TargetLayout layout = i / 27 % N_TARGETS;
    InferType type = i / 81 ? INFER_TYPE_UINT8 : INFER_TYPE_FLOAT;
    guint n = (guint)g_test_rand_int_range(1, MAX_FRAMES + 1);
    InferImageTarget target = {.width = (guint)g_test_rand_int_range(1, 40),
                               .height = (guint)g_test_rand_int_range(1, 40)};
    Picture pictures[MAX_FRAMES] = {0};

    random_preprocess(&pre, type);
    for (guint k = 0; k < n; k++)
      picture_random(&pictures[k], format, 60, FALSE);
    for (guint k = 0; (ops = infer_row_ops(k)); k++)
      check(ops, pictures, n, &pre, &target, layout, type);
    for (guint k = 0; k < n; k++)
      picture_clear(&pictures[k]);
  }
}

/* Any values, also those that conversion clamps; flat, as clamping and interpolation then
 * commute. */
static void
test_clamped(void)
{
  for (guint i = 0; i < 300; i++) {
    InferPreprocess pre = {.resize = i % 3, .filter = INFER_FILTER_BILINEAR};
    InferImageTarget target = {.width = 9, .height = 7};
    Picture picture = {0};

    random_preprocess(&pre, INFER_TYPE_FLOAT);
    if (pre.color == INFER_COLOR_GRAY)
      pre.color = INFER_COLOR_RGB;
    picture_random(&picture, (InferPixelFormat)(i % 9), 30, TRUE);
    check(infer_row_ops(0), &picture, 1, &pre, &target, PACKED, INFER_TYPE_FLOAT);
    picture_clear(&picture);
  }
}

/* Large enough for several threads and blocks. */
static void
test_large(void)
{
  for (guint i = 0; i < 6; i++) {
    InferPreprocess pre = {.filter = i % 3, .resize = i / 3};
    InferImageTarget target = {.width = 301, .height = 90};
    Picture picture = {.frame = {.format = i % 2 ? INFER_PIXEL_NV12 : INFER_PIXEL_RGB,
                                 .width = 255,
                                 .height = 201}};

    random_preprocess(&pre, INFER_TYPE_UINT8);
    picture_fill(&picture, FALSE);
    check(infer_row_ops(0), &picture, 1, &pre, &target, i % 2 ? PACKED : PLANAR, INFER_TYPE_UINT8);
    picture_clear(&picture);
  }
}

/* More geometries than are kept, again and again. */
static void
test_many_geometries(void)
{
  InferPreprocess pre = {.filter = INFER_FILTER_BILINEAR, .scale = {1, 1, 1}};
  Picture picture = {.frame = {.format = INFER_PIXEL_I420, .width = 60, .height = 50}};

  picture_fill(&picture, FALSE);
  for (guint i = 0; i < 120; i++) {
    InferImageTarget target = {.width = 8, .height = 6};

    picture.frame.crop_x = i % 40;
    picture.frame.crop_width = 20 - i % 7;
    check(infer_row_ops(0), &picture, 1, &pre, &target, PACKED, INFER_TYPE_FLOAT);
  }
  picture_clear(&picture);
}

static gpointer
check_in_thread(gpointer data)
{
  const Picture *picture = data;
  InferPreprocess pre = {.filter = INFER_FILTER_AREA, .scale = {1, 1, 1}};

  for (guint i = 0; i < 20; i++) {
    InferImageTarget target = {.width = 20 + i % 3, .height = 18};

    check(infer_row_ops(0), picture, 1, &pre, &target, PACKED, INFER_TYPE_FLOAT);
  }
  return NULL;
}

/* Contexts run side by side, and their threads end. */
static void
test_threads(void)
{
  Picture pictures[4] = {0};
  GThread *threads[4];

  for (guint i = 0; i < 4; i++) {
    picture_random(&pictures[i], (InferPixelFormat)i, 60, FALSE);
    threads[i] = g_thread_new("check", check_in_thread, &pictures[i]);
  }
  for (guint i = 0; i < 4; i++) {
    g_thread_join(threads[i]);
    picture_clear(&pictures[i]);
  }
}

static void
test_bad_targets(void)
{
  InferPreprocess pre = {.scale = {1, 1, 1}};
  Picture picture = {.frame = {.format = INFER_PIXEL_RGB, .width = 4, .height = 4}};
  float data[48];
  InferImageTarget good = {data, INFER_TYPE_FLOAT, 4, 4, 3, 48, 1, 12, 3}, bad;

  picture_fill(&picture, FALSE);
#define REFUSED(code)                                                                              \
  do {                                                                                             \
    g_autoptr(GError) error = NULL;                                                                \
    g_assert_false(                                                                                \
        infer_preprocess_frames(infer_row_ops(0), &picture.frame, 1, &pre, &bad, &error));         \
    g_assert_error(error, INFER_ERROR, code);                                                      \
  } while (0)
  bad = good;
  bad.type = INFER_TYPE_INT64;
  REFUSED(INFER_ERROR_UNSUPPORTED);
  bad = good;
  bad.channels = 1;
  REFUSED(INFER_ERROR_ARGUMENT);
  bad = good;
  bad.width = 0;
  REFUSED(INFER_ERROR_ARGUMENT);
  bad = good;
  picture.frame.planes[0] = NULL;
  REFUSED(INFER_ERROR_ARGUMENT);
#undef REFUSED
  picture_clear(&picture);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(format_names); i++) {
    g_autofree char *path = g_strdup_printf("/preprocess/%s", format_names[i]);

    g_test_add_data_func(path, GINT_TO_POINTER(i), test_everything);
  }
  g_test_add_func("/preprocess/clamped", test_clamped);
  g_test_add_func("/preprocess/large", test_large);
  g_test_add_func("/preprocess/many-geometries", test_many_geometries);
  g_test_add_func("/preprocess/threads", test_threads);
  g_test_add_func("/preprocess/bad-targets", test_bad_targets);
  return g_test_run();
}
