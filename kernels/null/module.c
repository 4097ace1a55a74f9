/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "backend.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * A device for tests: it has no implementations, so that everything runs by reference, in the
 * caller's thread; and its memory cannot be touched from outside, so that a part of the engine that
 * takes it for the host's is found out at once.
 */

static const InferBackend backend;

struct _InferStream {
  GError *error;
};

/* --- memory: mapped twice, once for those outside, who get a fault, and once for the device --- */

typedef struct {
  guint8 *outside, *inside;
  gsize size;
} Block;

static GMutex blocks_lock;
static GArray *blocks; /* Block */

static gsize
find_block(const void *memory)
{
  for (guint i = 0; blocks && i < blocks->len; i++) {
    const Block *block = &g_array_index(blocks, Block, i);
    if ((const guint8 *)memory >= block->outside &&
        (const guint8 *)memory < block->outside + block->size)
      return i;
  }
  return G_MAXSIZE;
}

/* Where the device has @size bytes that are @memory outside; NULL where it has none. */
static void *
inside(const void *memory, gsize size, GError **error)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&blocks_lock);
  gsize index = find_block(memory);

  if (index != G_MAXSIZE) {
    const Block *block = &g_array_index(blocks, Block, index);
    gsize offset = (gsize)((const guint8 *)memory - block->outside);
    if (size <= block->size - offset)
      return block->inside + offset;
  }
  g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED,
              "%" G_GSIZE_FORMAT " bytes at %p are not memory of the null device", size, memory);
  return NULL;
}

static gboolean
map_block(Block *block)
{
  int file = memfd_create("infer-null", MFD_CLOEXEC);

  block->outside = block->inside = MAP_FAILED;
  if (file >= 0 && ftruncate(file, (off_t)block->size) == 0) {
    block->outside = mmap(NULL, block->size, PROT_NONE, MAP_SHARED, file, 0);
    block->inside = mmap(NULL, block->size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  }
  if (file >= 0)
    close(file);
  if (block->outside != MAP_FAILED && block->inside != MAP_FAILED)
    return TRUE;
  if (block->outside != MAP_FAILED)
    munmap(block->outside, block->size);
  if (block->inside != MAP_FAILED)
    munmap(block->inside, block->size);
  return FALSE;
}

static void *
null_alloc(InferDevice *device, gsize size, GError **error)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&blocks_lock);
  Block block = {.size = MAX(size, 1)};

  if (size > (gsize)1 << 40 || !map_block(&block)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY, "no memory for %" G_GSIZE_FORMAT " bytes",
                size);
    return NULL;
  }
  if (!blocks)
    blocks = g_array_new(FALSE, FALSE, sizeof(Block));
  g_array_append_val(blocks, block);
  return block.outside;
}

static void
null_free(InferDevice *device, void *memory)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&blocks_lock);
  gsize index = find_block(memory);
  Block *block;

  if (index == G_MAXSIZE)
    return;
  block = &g_array_index(blocks, Block, index);
  munmap(block->outside, block->size);
  munmap(block->inside, block->size);
  g_array_remove_index_fast(blocks, (guint)index);
}

static void *
null_alloc_host(InferDevice *device, gsize size, GError **error)
{
  gsize rounded = (MAX(size, 1) + 63) & ~(gsize)63;
  void *memory = rounded >= size ? aligned_alloc(64, rounded) : NULL;
  if (memory == NULL)
    g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY, "no memory for %" G_GSIZE_FORMAT " bytes",
                size);
  return memory;
}

static void
null_free_host(InferDevice *device, void *memory)
{
  free(memory);
}

static gboolean
null_load(InferDevice *device, void *dst, const void *src, gsize size, GError **error)
{
  void *to = size ? inside(dst, size, error) : NULL;

  if (to)
    memcpy(to, src, size);
  return to != NULL || size == 0;
}

static gboolean
null_upload(InferStream *stream, void *dst, const void *src, gsize size, GError **error)
{
  return null_load(NULL, dst, src, size, error);
}

static gboolean
null_download(InferStream *stream, void *dst, const void *src, gsize size, GError **error)
{
  const void *from = size ? inside(src, size, error) : NULL;

  if (from)
    memcpy(dst, from, size);
  return from != NULL || size == 0;
}

static gboolean
null_fill(InferStream *stream, void *dst, guint8 byte, gsize size, GError **error)
{
  void *to = size ? inside(dst, size, error) : NULL;

  if (to)
    memset(to, byte, size);
  return to != NULL || size == 0;
}

/* --- copies between orders --- */

static gboolean
reformat_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                  InferLayout *outputs)
{
  return infer_type_bits(step->outputs[0]->type) >= 8;
}

static gboolean
reformat_prepare(InferPrepare *prepare, GError **error)
{
  InferBuffer *both = g_new(InferBuffer, 2);

  both[0] = prepare->inputs[0];
  both[1] = prepare->outputs[0];
  prepare->state = both;
  return TRUE;
}

static gboolean
reformat_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
             void *workspace, GError **error)
{
  const InferBuffer *in = state, *out = in + 1;
  gint64 count = infer_dims_count(&out->dims);
  gsize size = infer_type_bits(out->type) / 8;
  guint8 *from = inside(inputs[0], (gsize)count * size, error);
  guint8 *to = from ? inside(outputs[0], (gsize)count * size, error) : NULL;

  for (gint64 i = 0; to && i < count; i++) {
    gint64 rest = i, source = 0, target = 0;
    for (gint axis = out->dims.n - 1; axis >= 0; axis--) {
      source += rest % out->dims.d[axis] * in->strides[axis];
      target += rest % out->dims.d[axis] * out->strides[axis];
      rest /= out->dims.d[axis];
    }
    memcpy(to + (gsize)target * size, from + (gsize)source * size, size);
  }
  return to != NULL;
}

static const InferImpl reformat = {
    .name = "null.reformat",
    .batch_invariant = TRUE,
    .supports = reformat_supports,
    .prepare = reformat_prepare,
    .release = g_free,
    .run = reformat_run,
};

/* --- the device --- */

static InferDevice *
null_open(const char *name, guint threads, GError **error)
{
  if (g_strcmp0(name, "null") != 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE,
                "device '%s' is not one of the null backend's; it has only 'null'", name);
    return NULL;
  }
  InferDevice *device = g_new0(InferDevice, 1);
  device->backend = &backend;
  device->name = g_strdup("null");
  device->key = g_strdup("null");
  device->threads = 1;
  return device;
}

static void
null_close(InferDevice *device)
{
  g_free(device->name);
  g_free(device->key);
  g_free(device);
}

static InferStream *
null_stream_new(InferDevice *device, GError **error)
{
  return g_new0(InferStream, 1);
}

static void
null_stream_free(InferStream *stream)
{
  g_clear_error(&stream->error);
  g_free(stream);
}

static gboolean
null_stream_run(InferStream *stream, InferStreamFunc func, gpointer user_data, GError **error)
{
  g_autoptr(GError) failure = NULL;
  if (!func(user_data, stream, &failure) && stream->error == NULL)
    stream->error = g_steal_pointer(&failure);
  return TRUE;
}

static gboolean
null_stream_sync(InferStream *stream, GError **error)
{
  if (stream->error == NULL)
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&stream->error));
  return FALSE;
}

static gboolean
null_stream_mark(InferStream *stream, guint index, GError **error)
{
  return TRUE;
}

static guint64
null_stream_elapsed(InferStream *stream, guint index)
{
  return 0;
}

static const InferImpl *const *
null_impls(const char *op)
{
  static const InferImpl *const list[] = {&reformat, NULL};

  return g_str_equal(op, "infer.Reformat") ? list : NULL;
}

static gboolean
null_preprocess(InferStream *stream, const InferFrame *frames, guint n_frames,
                const InferPreprocess *pre, const InferImageTarget *target, GError **error)
{
  g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
              "the null device does not pre-process frames; use the device 'cpu'");
  return FALSE;
}

static const InferBackend backend = {
    .abi = INFER_BACKEND_ABI,
    .name = "null",
    .exact_rows = TRUE,
    .open = null_open,
    .close = null_close,
    .alloc = null_alloc,
    .free = null_free,
    .alloc_host = null_alloc_host,
    .free_host = null_free_host,
    .load = null_load,
    .upload = null_upload,
    .download = null_download,
    .fill = null_fill,
    .stream_new = null_stream_new,
    .stream_free = null_stream_free,
    .stream_run = null_stream_run,
    .stream_sync = null_stream_sync,
    .stream_mark = null_stream_mark,
    .stream_elapsed = null_stream_elapsed,
    .impls = null_impls,
    .preprocess = null_preprocess,
};

const InferBackend *
infer_backend_get(void)
{
  return &backend;
}
