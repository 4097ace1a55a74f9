/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <locale.h>
#include <string.h>

#include <glib/gstdio.h>
#include <infer/infer.h>

static const char full_text[] = "[modelinfo]\n"
                                "version=1.0\n"
                                "group-id=ssd\n"
                                "score-threshold=0.35\n"
                                "labels=person;bi\\;cycle;;car;\n"
                                "box-order=yxyx\n"
                                "first-class=1\n"
                                "made-by=somebody\n"
                                "\n"
                                "[image_tensor]\n"
                                "id=in\n"
                                "type=uint8\n"
                                "dims=1,300,300,3\n"
                                "dir=input\n"
                                "ranges=-1,1;0,255;0,1\n"
                                "color=bgr\n"
                                "resize=letterbox\n"
                                "filter=area\n"
                                "coordinates=align-corners\n"
                                "pad=114;115;116\n"
                                "[b]\ndir=output\nrole=boxes\n"
                                "[s:0]\ndir=output\nrole=scores\n"
                                "[c]\ndir=output\nrole=classes\n"
                                "[n]\ndir=output\nrole=count\n";

typedef struct {
  char *folder;
} Fixture;

static void
setup(Fixture *fixture, gconstpointer data)
{
  fixture->folder = g_dir_make_tmp("modelinfo-XXXXXX", NULL);
  g_assert_nonnull(fixture->folder);
}

static void
teardown(Fixture *fixture, gconstpointer data)
{
  g_autoptr(GDir) dir = g_dir_open(fixture->folder, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *path = g_build_filename(fixture->folder, name, NULL);
    g_remove(path);
  }
  g_rmdir(fixture->folder);
  g_free(fixture->folder);
}

static char *
put_file(Fixture *fixture, const char *name, const char *text, gssize length)
{
  char *path = g_build_filename(fixture->folder, name, NULL);
  g_assert_true(g_file_set_contents(path, text, length, NULL));
  return path;
}

static InferModelInfo *
from_text(const char *text)
{
  g_autoptr(GError) error = NULL;
  InferModelInfo *info = infer_model_info_new_from_data(text, strlen(text), "text", &error);
  g_assert_no_error(error);
  return info;
}

static void
check_full(InferModelInfo *info)
{
  const InferPreprocess *pre = infer_model_info_get_preprocess(info);
  const InferDetectionOutputs *outputs = infer_model_info_get_detections(info);
  const char *const *labels = infer_model_info_get_labels(info);

  g_assert_cmpstr(infer_model_info_get_input(info), ==, "image_tensor");
  g_assert_cmpint(pre->color, ==, INFER_COLOR_BGR);
  g_assert_cmpint(pre->resize, ==, INFER_RESIZE_LETTERBOX);
  g_assert_cmpint(pre->filter, ==, INFER_FILTER_AREA);
  g_assert_cmpint(pre->coordinates, ==, INFER_COORDINATES_ALIGN_CORNERS);
  g_assert_true(pre->scale[0] == (float)(2.0 / 255) && pre->bias[0] == -1);
  g_assert_true(pre->scale[1] == 1 && pre->bias[1] == 0);
  g_assert_true(pre->scale[2] == (float)(1.0 / 255) && pre->bias[2] == 0);
  g_assert_true(pre->pad[0] == 114 && pre->pad[1] == 115 && pre->pad[2] == 116);
  g_assert_cmpint(infer_model_info_get_decoder(info), ==, INFER_DECODER_DETECTIONS);
  g_assert_cmpstr(outputs->boxes, ==, "b");
  g_assert_cmpstr(outputs->scores, ==, "s:0");
  g_assert_cmpstr(outputs->classes, ==, "c");
  g_assert_cmpstr(outputs->count, ==, "n");
  g_assert_true(outputs->yxyx);
  g_assert_cmpint(outputs->first_class, ==, 1);
  g_assert_true(infer_model_info_get_score_threshold(info) == 0.35);
  g_assert_cmpuint(g_strv_length((char **)labels), ==, 4);
  g_assert_cmpstr(labels[1], ==, "bi;cycle");
  g_assert_cmpstr(labels[2], ==, "");
  g_assert_cmpstr(labels[3], ==, "car");
}

static void
test_read(void)
{
  g_autoptr(InferModelInfo) info = from_text(full_text);
  check_full(info);
}

static void
test_round_trip(void)
{
  g_autoptr(InferModelInfo) info = from_text(full_text);
  g_autofree char *text = infer_model_info_to_data(info);
  g_autoptr(InferModelInfo) again = from_text(text);
  g_autofree char *text_again = infer_model_info_to_data(again);

  check_full(again);
  g_assert_cmpstr(text, ==, text_again);
  g_assert_nonnull(strstr(text, "made-by=somebody"));
  g_assert_nonnull(strstr(text, "dims=1,300,300,3"));
}

static void
test_defaults(void)
{
  g_autoptr(InferModelInfo) info = infer_model_info_new();
  const InferPreprocess *pre = infer_model_info_get_preprocess(info);

  g_assert_null(infer_model_info_get_input(info));
  g_assert_null(infer_model_info_get_labels(info));
  g_assert_cmpint(infer_model_info_get_decoder(info), ==, INFER_DECODER_NONE);
  g_assert_cmpfloat(infer_model_info_get_score_threshold(info), <, 0);
  g_assert_true(pre->scale[0] == 1 && pre->bias[0] == 0 && pre->filter == INFER_FILTER_BILINEAR);
  g_autofree char *text = infer_model_info_to_data(info);
  g_autoptr(InferModelInfo) again = from_text(text);
  g_assert_null(infer_model_info_get_input(again));
  g_assert_cmpfloat(infer_model_info_get_score_threshold(again), <, 0);
}

/* Any float has to survive, in a locale with a comma as well. */
static void
test_exact_numbers(void)
{
  const char *old = setlocale(LC_NUMERIC, "de_DE.UTF-8");
  g_autoptr(GRand) rand = g_rand_new_with_seed(1);

  for (guint i = 0; i < 500; i++) {
    InferPreprocess pre = {.filter = INFER_FILTER_NEAREST};
    for (guint c = 0; c < 3; c++) {
      pre.scale[c] = (float)(g_rand_double(rand) * (i % 2 ? 1e-30 : 1) / 255);
      pre.bias[c] = (float)(g_rand_double(rand) * 300 - 150);
      pre.pad[c] = (float)(g_rand_double(rand) * 255);
    }
    g_autoptr(InferModelInfo) info = infer_model_info_new();
    infer_model_info_set_input(info, "x");
    infer_model_info_set_preprocess(info, &pre);
    infer_model_info_set_score_threshold(info, g_rand_double(rand));
    g_autofree char *text = infer_model_info_to_data(info);
    g_autoptr(InferModelInfo) again = from_text(text);
    g_assert_cmpmem(infer_model_info_get_preprocess(again), sizeof pre, &pre, sizeof pre);
    g_assert_true(infer_model_info_get_score_threshold(again) ==
                  infer_model_info_get_score_threshold(info));
  }
  if (old != NULL)
    setlocale(LC_NUMERIC, "C");
}

/* Names that cannot be the name of a group in a key file. */
static void
test_odd_names(void)
{
  static const char *const names[] = {"a[0]", "modelinfo", "", "a\nb", " x ", "tensor-0", NULL};
  const InferDetectionOutputs outputs = {(char *)"o[1]",       (char *)"o[2]", (char *)"o]",
                                         (char *)"modelinfo2", FALSE,          0};
  const char *const labels[] = {" leading", "semi;colon", "", "back\\slash", "new\nline", "", NULL};

  for (guint i = 0; names[i] != NULL; i++) {
    g_autoptr(InferModelInfo) info = infer_model_info_new();
    infer_model_info_set_input(info, names[i]);
    infer_model_info_set_detections(info, &outputs);
    infer_model_info_set_labels(info, labels);
    g_autofree char *text = infer_model_info_to_data(info);
    g_autoptr(InferModelInfo) again = from_text(text);
    g_assert_cmpstr(infer_model_info_get_input(again), ==, names[i]);
    g_assert_cmpstr(infer_model_info_get_detections(again)->classes, ==, "o]");
    g_assert_cmpstr(infer_model_info_get_detections(again)->count, ==, "modelinfo2");
    g_assert_cmpstrv((char **)infer_model_info_get_labels(again), (char **)labels);
  }
}

static void
test_not_utf8(void)
{
  const char *const labels[] = {"caf\xe9", NULL};
  g_autoptr(InferModelInfo) info = infer_model_info_new();

  infer_model_info_set_input(info, "in\xff");
  infer_model_info_set_labels(info, labels);
  g_autofree char *text = infer_model_info_to_data(info);
  g_autoptr(InferModelInfo) again = from_text(text);
  g_assert_true(g_utf8_validate(infer_model_info_get_labels(again)[0], -1, NULL));
}

static void
test_scale_wins(void)
{
  g_autoptr(InferModelInfo) info = from_text("[modelinfo]\nversion=1.0\n[x]\ndir=input\n"
                                             "ranges=0,1\nscale=0.5\nbias=1;2;3;\n");
  const InferPreprocess *pre = infer_model_info_get_preprocess(info);

  g_assert_true(pre->scale[0] == 0.5f && pre->scale[2] == 0.5f);
  g_assert_true(pre->bias[0] == 1 && pre->bias[1] == 2 && pre->bias[2] == 3);
}

static void
test_image_input(void)
{
  static const struct {
    const char *text, *input;
  } cases[] = {
      {"[modelinfo]\n[a]\ndir=input\n", "a"},
      {"[modelinfo]\n[a]\ndir=input\n[b]\ndir=input\n", NULL},
      {"[modelinfo]\n[a]\ndir=input\n[b]\ndir=input\nranges=0,1\n", "b"},
      {"[modelinfo]\n[a]\ndir=input\nranges=0,1\n[b]\ndir=input\ncolor=rgb\n", "b"},
      {"[modelinfo]\n[a]\ndir=output\n[b]\ncolor=rgb\n", "b"},
  };

  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(InferModelInfo) info = from_text(cases[i].text);
    g_assert_cmpstr(infer_model_info_get_input(info), ==, cases[i].input);
  }
}

static void
test_wrong_values(void)
{
  static const struct {
    const char *text, *group, *what;
  } cases[] = {
      {"[x]\ndir=input\ncolor=pink\n", "[x] color=pink", "rgb, bgr, gray"},
      {"[x]\ndir=input\nresize=\n", "[x] resize=", "stretch, letterbox, crop"},
      {"[x]\ndir=sideways\n", "[x] dir=sideways", "input, output"},
      {"[x]\ndir=input\nranges=0;1;2\n", "[x] ranges=", "pair"},
      {"[x]\ndir=input\nranges=0,1;0,1\n", "[x] ranges=", "pair"},
      {"[x]\ndir=input\nranges=0,1e39\n", "[x] ranges=", "pair"},
      {"[x]\ndir=input\nranges=-3e38,3e38;0,nan;0,1\n", "[x] ranges=", "pair"},
      {"[x]\ndir=input\nscale=inf\n", "[x] scale=inf", "number"},
      {"[x]\ndir=input\nscale=1;2\n", "[x] scale=1;2", "three"},
      {"[x]\ndir=input\nscale=0,5\n", "[x] scale=0,5", "number"},
      {"[x]\ndir=input\npad=0;0;256\n", "[x] pad=", "0 to 255"},
      {"[x]\ndir=output\nrole=box\n", "[x] role=box", "boxes, scores"},
      {"[x]\ndir=input\nrole=boxes\n", "[x] dir=input", "output"},
      {"[x]\nrole=boxes\n[y]\nrole=boxes\n", "[y] role=boxes", "'x'"},
      {"[x]\ncolor=rgb\n[y]\ncolor=rgb\n", "[x]", "[y]"},
      {"version=2.0\n", "[modelinfo] version=2.0", "1.0"},
      {"score-threshold=1.5\n", "[modelinfo] score-threshold=1.5", "0 to 1"},
      {"score-threshold=nan\n", "[modelinfo] score-threshold=nan", "0 to 1"},
      {"first-class=99999999999999999999\n", "[modelinfo] first-class=", "integer"},
      {"decoder=magic\n", "[modelinfo] decoder=magic", "none, detections"},
      {"decoder=detections\n[x]\nrole=boxes\n", "role=scores", "boxes, scores, classes, count"},
      {"label-file=x.txt\n", "[modelinfo] label-file=x.txt", "labels"},
      {"labels=\xff;b\n", "[modelinfo] labels=", ""},
      {"box-order=xywh\n", "[modelinfo] box-order=xywh", "xyxy, yxyx"},
  };

  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = g_strconcat("[modelinfo]\n", cases[i].text, NULL);
    g_autoptr(GError) error = NULL;
    InferModelInfo *info = infer_model_info_new_from_data(text, strlen(text), "file.x", &error);
    g_autofree char *shown = g_strescape(cases[i].text, NULL);
    g_test_message("%s -> %s", shown, error ? error->message : "(read)");
    g_assert_null(info);
    g_assert_error(error, INFER_ERROR, INFER_ERROR_MODEL);
    g_assert_nonnull(strstr(error->message, "file.x"));
    g_assert_nonnull(strstr(error->message, cases[i].group));
    g_assert_nonnull(strstr(error->message, cases[i].what));
  }
}

static void
expect_bad(const char *text, gsize length)
{
  g_autoptr(GError) error = NULL;
  g_assert_null(infer_model_info_new_from_data(text, length, "file.x", &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_MODEL);
  g_assert_nonnull(strstr(error->message, "file.x"));
}

static void
test_not_a_model_info(void)
{
  g_autofree char *large = g_strnfill(8 << 20, '\n');

  expect_bad("", 0);
  expect_bad("no key file", 11);
  expect_bad("[other]\na=b\n", 12);
  expect_bad("[modelinfo]\n\0[x]\n", 17);
  expect_bad(large, strlen(large));
}

/* Cut at every byte and flipped at every byte: read or refused, never worse. */
static void
test_damaged(void)
{
  const gsize length = strlen(full_text);
  g_autofree char *copy = g_malloc(length);

  for (gsize i = 0; i < length; i++) {
    for (guint bit = 0; bit < 9; bit++) {
      memcpy(copy, full_text, length);
      if (bit < 8)
        copy[i] = (char)(copy[i] ^ (1 << bit));
      g_autoptr(GError) error = NULL;
      g_autoptr(InferModelInfo) info =
          infer_model_info_new_from_data(copy, bit < 8 ? length : i, "x", &error);
      g_assert_true((info != NULL) != (error != NULL));
      g_autofree char *text = info ? infer_model_info_to_data(info) : NULL;
    }
  }
}

static void
test_load_over(Fixture *fixture, gconstpointer data)
{
  g_autoptr(InferModelInfo) info = from_text(full_text);
  g_autofree char *good = put_file(fixture, "good.modelinfo",
                                   "[modelinfo]\nscore-threshold=0.5\n"
                                   "[image_tensor]\nresize=crop\n",
                                   -1);
  g_autofree char *bad = put_file(fixture, "bad.modelinfo",
                                  "[modelinfo]\nscore-threshold=0.9\nlabels=a\n"
                                  "[image_tensor]\ndir=input\ncolor=red\n",
                                  -1);
  g_autoptr(GError) error = NULL;

  g_assert_false(infer_model_info_load_over(info, bad, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_MODEL);
  g_assert_nonnull(strstr(error->message, bad));
  check_full(info);
  g_clear_error(&error);

  g_assert_true(infer_model_info_load_over(info, good, &error));
  g_assert_true(infer_model_info_get_score_threshold(info) == 0.5);
  g_assert_cmpint(infer_model_info_get_preprocess(info)->resize, ==, INFER_RESIZE_CROP);
  g_assert_cmpint(infer_model_info_get_preprocess(info)->color, ==, INFER_COLOR_BGR);
  g_assert_true(infer_model_info_get_preprocess(info)->scale[0] == (float)(2.0 / 255));
  g_assert_cmpint(infer_model_info_get_decoder(info), ==, INFER_DECODER_DETECTIONS);
  g_assert_cmpuint(g_strv_length((char **)infer_model_info_get_labels(info)), ==, 4);
}

static void
test_label_file(Fixture *fixture, gconstpointer data)
{
  g_autofree char *labels = put_file(fixture, "names.txt", "\xEF\xBB\xBFone\r\n\r\nthree\r\n", -1);
  g_autofree char *path =
      put_file(fixture, "m.modelinfo", "[modelinfo]\nlabel-file=names.txt\n", -1);
  g_autofree char *missing =
      put_file(fixture, "n.modelinfo", "[modelinfo]\nlabel-file=none.txt\n", -1);
  g_autoptr(GError) error = NULL;
  g_autoptr(InferModelInfo) info = infer_model_info_new_from_file(path, &error);

  g_assert_no_error(error);
  const char *const *names = infer_model_info_get_labels(info);
  g_assert_cmpuint(g_strv_length((char **)names), ==, 3);
  g_assert_cmpstr(names[0], ==, "one");
  g_assert_cmpstr(names[1], ==, "");
  g_assert_cmpstr(names[2], ==, "three");
  g_autofree char *text = infer_model_info_to_data(info);
  g_assert_null(strstr(text, "label-file"));

  g_assert_null(infer_model_info_new_from_file(missing, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_MODEL);
  g_assert_nonnull(strstr(error->message, "none.txt"));
}

static void
test_labels_load(Fixture *fixture, gconstpointer data)
{
  g_autofree char *empty = put_file(fixture, "empty", "", 0);
  g_autofree char *bad = put_file(fixture, "bad", "a\nb\xff\n", -1);
  g_autofree char *zero = put_file(fixture, "zero", "a\0b\n", 4);
  g_autofree char *large_text = g_strnfill((1 << 20) + 1, 'a');
  g_autofree char *large = put_file(fixture, "large", large_text, -1);
  g_autofree char *last = put_file(fixture, "last", "a\nb", -1);
  const char *const wrong[] = {empty, bad, zero, large, fixture->folder, "/dev/zero", "/no/file"};

  for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(infer_labels_load(wrong[i], &error));
    g_assert_true(error != NULL && error->domain == INFER_ERROR);
    g_assert_nonnull(strstr(error->message, wrong[i]));
  }
  g_auto(GStrv) labels = infer_labels_load(last, NULL);
  g_assert_cmpuint(g_strv_length(labels), ==, 2);
}

static void
test_find(Fixture *fixture, gconstpointer data)
{
  g_autofree char *model = g_build_filename(fixture->folder, "m.v1.onnx", NULL);
  g_autofree char *none = infer_model_info_find(model);
  g_assert_null(none);
  g_autofree char *second = put_file(fixture, "m.v1.modelinfo", "", 0);
  g_autofree char *found = infer_model_info_find(model);
  g_assert_cmpstr(found, ==, second);
  g_autofree char *first = put_file(fixture, "m.v1.onnx.modelinfo", "", 0);
  g_autofree char *found_first = infer_model_info_find(model);
  g_assert_cmpstr(found_first, ==, first);
  g_autofree char *hidden = g_build_filename(fixture->folder, ".onnx", NULL);
  g_autofree char *not_hidden = infer_model_info_find(hidden);
  g_assert_null(not_hidden);
}

#define ADD(name, func) g_test_add("/modelinfo/" name, Fixture, NULL, setup, func, teardown)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/modelinfo/read", test_read);
  g_test_add_func("/modelinfo/round-trip", test_round_trip);
  g_test_add_func("/modelinfo/defaults", test_defaults);
  g_test_add_func("/modelinfo/exact-numbers", test_exact_numbers);
  g_test_add_func("/modelinfo/odd-names", test_odd_names);
  g_test_add_func("/modelinfo/not-utf8", test_not_utf8);
  g_test_add_func("/modelinfo/scale-wins", test_scale_wins);
  g_test_add_func("/modelinfo/image-input", test_image_input);
  g_test_add_func("/modelinfo/wrong-values", test_wrong_values);
  g_test_add_func("/modelinfo/not-a-model-info", test_not_a_model_info);
  g_test_add_func("/modelinfo/damaged", test_damaged);
  ADD("load-over", test_load_over);
  ADD("label-file", test_label_file);
  ADD("labels-load", test_labels_load);
  ADD("find", test_find);
  return g_test_run();
}
