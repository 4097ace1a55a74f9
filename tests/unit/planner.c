/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "planner.h"

static gboolean
overlap(const InferLife *a, const InferLife *b)
{
  return a->size && b->size && a->first <= b->last && b->first <= a->last &&
         a->offset < b->offset + b->size && b->offset < a->offset + a->size;
}

/* Blocks that live at once never share memory, whatever their sizes and lives. */
static void
test_random(void)
{
  g_autoptr(GRand) random = g_rand_new_with_seed(7);

  for (guint round = 0; round < 200; round++) {
    InferLife lives[60];
    guint n = (guint)g_rand_int_range(random, 1, 60);
    gsize total, sum = 0;

    for (guint i = 0; i < n; i++) {
      lives[i].size = (gsize)g_rand_int_range(random, 0, 5000);
      lives[i].first = (guint)g_rand_int_range(random, 0, 40);
      lives[i].last = lives[i].first + (guint)g_rand_int_range(random, 0, 10);
    }
    g_assert_true(infer_plan_memory(lives, n, &total));
    for (guint i = 0; i < n; i++) {
      sum += lives[i].size;
      g_assert_cmpuint(lives[i].offset % INFER_MEMORY_ALIGNMENT, ==, 0);
      g_assert_cmpuint(lives[i].offset + lives[i].size, <=, total);
      for (guint j = 0; j < i; j++)
        g_assert_false(overlap(&lives[i], &lives[j]));
    }
    g_assert_cmpuint(total, <=, sum);
  }
}

/* A chain needs room for a tensor and the one made of it, not for all. */
static void
test_chain(void)
{
  InferLife lives[100];
  gsize total;

  for (guint i = 0; i < G_N_ELEMENTS(lives); i++)
    lives[i] = (InferLife){.size = 6400, .first = i, .last = i + 1};
  g_assert_true(infer_plan_memory(lives, G_N_ELEMENTS(lives), &total));
  g_assert_cmpuint(total, ==, 2 * 6400);
}

static void
test_overflow(void)
{
  InferLife lives[2] = {{.size = G_MAXSIZE - 128}, {.size = 4096}};
  gsize total;

  g_assert_false(infer_plan_memory(lives, 2, &total));
  g_assert_true(infer_plan_memory(lives, 0, &total));
  g_assert_cmpuint(total, ==, 0);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/planner/random", test_random);
  g_test_add_func("/planner/chain", test_chain);
  g_test_add_func("/planner/overflow", test_overflow);
  return g_test_run();
}
