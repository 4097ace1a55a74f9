/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "device.h"
#include "impls-library.h"
#include "impls-move.h"
#include "impls-ops.h"

static const InferImpl *const convolution[] = {&infer_cudnn_convolution,
                                               &infer_cublaslt_convolution, NULL};
static const InferImpl *const transposed[] = {&infer_cudnn_convolution, NULL};
static const InferImpl *const product[] = {&infer_cublaslt_gemm, NULL};

static const InferCudaOp infer_cuda_ops_library[] = {
    {"Conv", convolution},
    {"ConvTranspose", transposed},
    {"Gemm", product},
    {"MatMul", product},
};

/* Tables of operators; one that is in several of them has the implementations of all. */
static const struct {
  const InferCudaOp *ops;
  guint n;
} tables[] = {
#define TABLE(NAME)                                                                                \
  {                                                                                                \
    NAME, G_N_ELEMENTS(NAME)                                                                       \
  }
    TABLE(infer_cuda_ops_ops),
    TABLE(infer_cuda_ops_library),
    TABLE(infer_cuda_ops_move),
    TABLE(infer_cuda_ops_last),
#undef TABLE
};

static gpointer
gather(gpointer unused)
{
  GHashTable *all = g_hash_table_new(g_str_hash, g_str_equal);
  GHashTableIter iter;
  gpointer list;

  for (guint t = 0; t < G_N_ELEMENTS(tables); t++)
    for (guint i = 0; i < tables[t].n; i++) {
      const InferCudaOp *op = &tables[t].ops[i];
      list = g_hash_table_lookup(all, op->op);
      if (!list)
        g_hash_table_insert(all, (gpointer)op->op, list = g_ptr_array_new());
      for (const InferImpl *const *impl = op->impls; *impl; impl++)
        g_ptr_array_add(list, (gpointer)*impl);
    }
  g_hash_table_iter_init(&iter, all);
  while (g_hash_table_iter_next(&iter, NULL, &list))
    g_ptr_array_add(list, NULL);
  return all;
}

static const InferImpl *const *
find_impls(const char *op)
{
  static GOnce once = G_ONCE_INIT;
  const GPtrArray *list;

  g_once(&once, gather, NULL);
  list = g_hash_table_lookup(once.retval, op);
  return list ? (const InferImpl *const *)list->pdata : NULL;
}

static const InferBackend backend = {
    .abi = INFER_BACKEND_ABI,
    .name = "cuda",
    .open = infer_cuda_open,
    .close = infer_cuda_close,
    .alloc = infer_cuda_alloc,
    .free = infer_cuda_free,
    .alloc_host = infer_cuda_alloc_host,
    .free_host = infer_cuda_free_host,
    .load = infer_cuda_load,
    .upload = infer_cuda_upload,
    .download = infer_cuda_download,
    .fill = infer_cuda_fill,
    .stream_new = infer_cuda_stream_new,
    .stream_free = infer_cuda_stream_free,
    .stream_run = infer_cuda_stream_run,
    .stream_sync = infer_cuda_stream_sync,
    .stream_native = infer_cuda_stream_native,
    .stream_mark = infer_cuda_stream_mark,
    .stream_elapsed = infer_cuda_stream_elapsed,
    .capture_begin = infer_cuda_capture_begin,
    .capture_end = infer_cuda_capture_end,
    .graph_launch = infer_cuda_graph_launch,
    .graph_free = infer_cuda_graph_free,
    .impls = find_impls,
    .preprocess = infer_cuda_preprocess,
};

const InferBackend *
infer_backend_get(void)
{
  return &backend;
}
