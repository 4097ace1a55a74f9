/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Several contexts of one engine side by side, and engines that share a device. */
#include <infer/infer.h>

#include <string.h>

#include "small-net.h"

#define THREADS 4
#define RUNS 25

typedef struct {
  InferEngine *engine;
  guint number;
  gboolean equal;
} Job;

static InferEngine *
build(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GError) error = NULL;
  InferEngine *engine;

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_threads(builder, 1);
  infer_builder_set_max_batch(builder, 4);
  infer_builder_set_timing_cache(builder, "");
  engine = infer_builder_build(builder, network, NULL, NULL, &error);
  g_assert_no_error(error);
  return engine;
}

/* What picture @seed gives, on a context of its own. */
static void
detect(InferContext *context, guint32 seed, guint batch, float *boxes)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GRand) random = g_rand_new_with_seed(seed);
  gsize size;
  float *image;

  infer_context_set_batch(context, batch, &error);
  g_assert_no_error(error);
  image = infer_context_map(context, "image", &size, &error);
  for (gsize i = 0; i < size / sizeof(float) / batch; i++)
    image[i] = (float)g_rand_double_range(random, -1, 1);
  infer_context_run(context, &error);
  g_assert_no_error(error);
  memcpy(boxes, infer_context_map(context, "boxes", NULL, &error), 80 * sizeof(float));
}

static gpointer
work(gpointer data)
{
  Job *job = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) context = infer_context_new(job->engine, &error);
  float first[80], again[80];

  g_assert_no_error(error);
  job->equal = TRUE;
  for (guint i = 0; i < RUNS; i++) {
    detect(context, 7, 1 + (i + job->number) % 4, again);
    if (i == 0)
      memcpy(first, again, sizeof first);
    job->equal &= memcmp(first, again, sizeof first) == 0;
  }
  return NULL;
}

static void
test_side_by_side(void)
{
  g_autoptr(InferEngine) engine = build();
  GThread *threads[THREADS];
  Job jobs[THREADS];

  for (guint i = 0; i < THREADS; i++) {
    jobs[i] = (Job){.engine = engine, .number = i};
    threads[i] = g_thread_new("context", work, &jobs[i]);
  }
  for (guint i = 0; i < THREADS; i++) {
    g_thread_join(threads[i]);
    g_assert_true(jobs[i].equal);
  }
}

static gpointer
build_and_drop(gpointer data)
{
  g_object_unref(build());
  return NULL;
}

static void
test_builds(void)
{
  GThread *threads[THREADS];

  for (guint i = 0; i < THREADS; i++)
    threads[i] = g_thread_new("build", build_and_drop, NULL);
  for (guint i = 0; i < THREADS; i++)
    g_thread_join(threads[i]);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/contexts/side-by-side", test_side_by_side);
  g_test_add_func("/contexts/builds", test_builds);
  return g_test_run();
}
