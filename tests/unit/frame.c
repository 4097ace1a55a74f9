/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include "backend.h"

static void
test_validate(void)
{
  guint8 memory[256];
  InferFrame good = {.format = INFER_PIXEL_I420,
                     .width = 7,
                     .height = 5,
                     .planes = {memory, memory, memory},
                     .strides = {7, 4, 4},
                     .kr = 0.299f,
                     .kb = 0.114f};
  InferFrame bad;

  g_assert_true(infer_frame_validate(&good, NULL));
#define REFUSED(change)                                                                            \
  do {                                                                                             \
    g_autoptr(GError) error = NULL;                                                                \
    bad = good;                                                                                    \
    change;                                                                                        \
    g_assert_false(infer_frame_validate(&bad, &error));                                            \
    g_assert_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT);                                      \
  } while (0)
#define ACCEPTED(change)                                                                           \
  do {                                                                                             \
    bad = good;                                                                                    \
    change;                                                                                        \
    g_assert_true(infer_frame_validate(&bad, NULL));                                               \
  } while (0)
  REFUSED(bad.width = 0);
  REFUSED(bad.height = 0);
  REFUSED(bad.width = 70000);
  REFUSED(bad.format = (InferPixelFormat)99);
  REFUSED(bad.format = (InferPixelFormat)-1);
  REFUSED(bad.planes[0] = NULL);
  REFUSED(bad.planes[2] = NULL);
  REFUSED(bad.strides[0] = 6);
  REFUSED(bad.strides[0] = -6);
  REFUSED(bad.strides[1] = 3);
  REFUSED(bad.crop_x = 7; bad.crop_width = 1);
  REFUSED(bad.crop_x = 1);
  REFUSED(bad.crop_x = 3; bad.crop_width = 5);
  REFUSED(bad.crop_x = 3; bad.crop_width = G_MAXUINT);
  REFUSED(bad.crop_y = G_MAXUINT; bad.crop_height = 2);
  REFUSED(bad.kr = NAN);
  REFUSED(bad.kb = 0.9f);
  REFUSED(bad.kr = -0.1f);
  ACCEPTED(bad.strides[0] = -7);
  ACCEPTED(bad.strides[0] = 100);
  ACCEPTED(bad.crop_x = 6; bad.crop_width = 1; bad.crop_y = 4; bad.crop_height = 1);
  ACCEPTED(bad.kr = 0; bad.kb = 0);
  ACCEPTED(bad.format = INFER_PIXEL_GRAY8; bad.planes[1] = NULL);
#undef REFUSED
#undef ACCEPTED
}

static void
assert_place(InferResize resize, guint crop_w, guint crop_h, guint width, guint height, double sx,
             double sy, double x, double y)
{
  InferFrame frame = {.width = 1000, .height = 1000, .crop_width = crop_w, .crop_height = crop_h};
  InferPreprocess pre = {.resize = resize};
  InferPlacement place = infer_frame_place(&frame, &pre, width, height);

  g_assert_cmpfloat_with_epsilon(place.scale_x, sx, 1e-12);
  g_assert_cmpfloat_with_epsilon(place.scale_y, sy, 1e-12);
  g_assert_cmpfloat(place.offset_x, ==, x);
  g_assert_cmpfloat(place.offset_y, ==, y);
}

static void
test_place(void)
{
  InferFrame empty = {.width = 0};
  InferPreprocess pre = {.resize = INFER_RESIZE_LETTERBOX};

  assert_place(INFER_RESIZE_STRETCH, 0, 0, 300, 200, 0.3, 0.2, 0, 0);
  assert_place(INFER_RESIZE_STRETCH, 768, 576, 300, 300, 300.0 / 768, 300.0 / 576, 0, 0);
  assert_place(INFER_RESIZE_LETTERBOX, 768, 576, 300, 300, 300.0 / 768, 225.0 / 576, 0, 37);
  assert_place(INFER_RESIZE_LETTERBOX, 500, 1000, 300, 300, 0.3, 0.3, 75, 0);
  assert_place(INFER_RESIZE_LETTERBOX, 1000, 1, 300, 300, 0.3, 1, 0, 149);
  assert_place(INFER_RESIZE_CROP, 800, 600, 300, 300, 0.5, 0.5, -50, 0);
  assert_place(INFER_RESIZE_CROP, 600, 802, 300, 300, 0.5, 0.5, 0, -50);
  assert_place(INFER_RESIZE_CROP, 300, 300, 300, 300, 1, 1, 0, 0);
  g_assert_cmpfloat(infer_frame_place(&empty, &pre, 10, 10).scale_x, ==, 1);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/frame/validate", test_validate);
  g_test_add_func("/frame/place", test_place);
  return g_test_run();
}
