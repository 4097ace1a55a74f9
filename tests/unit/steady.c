/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counts allocations while a network runs again and again: none may come from our libraries or
 * from what they call; what oneDNN and OpenMP allocate inside is exempt, but must be freed again.
 */
#define _GNU_SOURCE
#include <infer/infer.h>

#include <link.h>
#include <malloc.h>
#include <string.h>

#include "small-net.h"

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

/* Exported, or the libraries would go on calling the C library's. */
INFER_API void *malloc(size_t size);
INFER_API void *calloc(size_t n, size_t size);
INFER_API void *realloc(void *memory, size_t size);
INFER_API void *aligned_alloc(size_t alignment, size_t size);

static struct {
  gsize from, to;
} exempt[64];
static guint n_exempt;
static volatile gint counting;
static volatile gint ours, theirs;

static void
note(void *caller)
{
  gsize at = (gsize)caller;

  if (!g_atomic_int_get(&counting))
    return;
  for (guint i = 0; i < n_exempt; i++)
    if (at >= exempt[i].from && at < exempt[i].to) {
      g_atomic_int_inc(&theirs);
      return;
    }
  g_atomic_int_inc(&ours);
}

void *
malloc(size_t size)
{
  note(__builtin_return_address(0));
  return __libc_malloc(size);
}

void *
calloc(size_t n, size_t size)
{
  note(__builtin_return_address(0));
  return __libc_calloc(n, size);
}

void *
realloc(void *memory, size_t size)
{
  note(__builtin_return_address(0));
  return __libc_realloc(memory, size);
}

void *
aligned_alloc(size_t alignment, size_t size)
{
  note(__builtin_return_address(0));
  return __libc_memalign(alignment, size);
}

static int
find_exempt(struct dl_phdr_info *info, size_t size, void *data)
{
  /* operator new, which oneDNN calls, lives in libstdc++; nothing of ours is C++. */
  static const char *const names[] = {"libdnnl", "libgomp", "libstdc++", NULL};

  for (guint k = 0; names[k]; k++)
    if (strstr(info->dlpi_name, names[k]))
      for (guint i = 0; i < info->dlpi_phnum && n_exempt < G_N_ELEMENTS(exempt); i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
          exempt[n_exempt].from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
          exempt[n_exempt].to = exempt[n_exempt].from + info->dlpi_phdr[i].p_memsz;
          n_exempt++;
        }
  return 0;
}

static void
run_once(InferContext *context, const InferFrame *frames, guint n)
{
  InferPlacement placements[4];

  g_assert_true(infer_context_set_batch(context, n, NULL));
  g_assert_true(infer_context_set_scalar(context, "score_threshold", 0.2));
  g_assert_true(infer_context_enqueue_frames(context, frames, n, placements, NULL));
  g_assert_true(infer_context_enqueue(context, NULL));
  g_assert_true(infer_context_synchronize(context, NULL));
  g_assert_nonnull(infer_context_map(context, "boxes", NULL, NULL));
}

static void
test_steady(void)
{
  g_autoptr(InferNetwork) network = small_net_new(1);
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GError) error = NULL;
  g_autoptr(InferEngine) engine = NULL;
  g_autoptr(InferContext) context = NULL;
  g_autofree guint8 *pixels = g_malloc0(64 * 48 * 3);
  InferFrame frames[4];
  struct mallinfo2 before, after;

  for (guint i = 0; i < 4; i++)
    frames[i] = (InferFrame){.format = INFER_PIXEL_RGB,
                             .width = 64,
                             .height = 48,
                             .planes = {pixels},
                             .strides = {64 * 3},
                             .kr = 0.299f,
                             .kb = 0.114f};
  infer_builder_set_device(builder, "cpu");
  infer_builder_set_threads(builder, 2);
  infer_builder_set_max_batch(builder, 4);
  engine = infer_builder_build(builder, network, NULL, NULL, &error);
  g_assert_no_error(error);
  context = infer_context_new(engine, &error);
  g_assert_no_error(error);
  for (guint i = 0; i < 20; i++)
    run_once(context, frames, 1 + i % 4);
  dl_iterate_phdr(find_exempt, NULL);
  g_atomic_int_set(&counting, 1);
  g_free(g_strdup("seen"));
  g_atomic_int_set(&counting, 0);
  g_assert_cmpint(ours, ==, 1);
  g_atomic_int_set(&ours, 0);
  before = mallinfo2();
  g_atomic_int_set(&counting, 1);
  for (guint i = 0; i < 100; i++)
    run_once(context, frames, 1 + i % 4);
  g_atomic_int_set(&counting, 0);
  after = mallinfo2();
  g_test_message("100 runs: %d allocations of ours, %d inside the libraries, %" G_GINT64_FORMAT
                 " live bytes more",
                 ours, theirs, (gint64)(after.uordblks - before.uordblks));
  g_assert_cmpint(ours, ==, 0);
  /* Thread caches of the allocator move a few hundred bytes to and fro. */
  g_assert_cmpint((gint64)(after.uordblks - before.uordblks), <, 4096);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/steady/allocations", test_steady);
  return g_test_run();
}
