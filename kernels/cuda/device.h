/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cuda.h"
#include "private.h"

G_BEGIN_DECLS

/* What the files of the backend itself share. */

/* compile.c */
struct _InferCudaCompiler *infer_cuda_compiler_new(void);
void infer_cuda_compiler_free(struct _InferCudaCompiler *compiler);

/* device.c */
InferDevice *infer_cuda_open(const char *name, guint threads, GError **error);
void infer_cuda_close(InferDevice *device);

/* library.c */
/** infer_cuda_libraries_version: Returns: (transfer full): "cuDNN 9.19.0, cuBLASLt 13.1.0" */
char *infer_cuda_libraries_version(void);
void infer_cuda_libraries_close(InferCudaDevice *device);

/* memory.c */
void *infer_cuda_alloc(InferDevice *device, gsize size, GError **error);
void infer_cuda_free(InferDevice *device, void *memory);
void *infer_cuda_alloc_host(InferDevice *device, gsize size, GError **error);
void infer_cuda_free_host(InferDevice *device, void *memory);
gboolean infer_cuda_load(InferDevice *device, void *dst, const void *src, gsize size,
                         GError **error);
gboolean infer_cuda_upload(InferStream *stream, void *dst, const void *src, gsize size,
                           GError **error);
gboolean infer_cuda_download(InferStream *stream, void *dst, const void *src, gsize size,
                             GError **error);
gboolean infer_cuda_fill(InferStream *stream, void *dst, guint8 byte, gsize size, GError **error);

/* stream.c */
InferStream *infer_cuda_stream_new(InferDevice *device, GError **error);
void infer_cuda_stream_free(InferStream *stream);
gboolean infer_cuda_stream_run(InferStream *stream, InferStreamFunc func, gpointer user_data,
                               GError **error);
gboolean infer_cuda_stream_sync(InferStream *stream, GError **error);
gpointer infer_cuda_stream_native(InferStream *stream);
gboolean infer_cuda_stream_mark(InferStream *stream, guint index, GError **error);
guint64 infer_cuda_stream_elapsed(InferStream *stream, guint index);
gboolean infer_cuda_capture_begin(InferStream *stream, GError **error);
gpointer infer_cuda_capture_end(InferStream *stream, GError **error);
gboolean infer_cuda_graph_launch(gpointer graph, InferStream *stream, GError **error);
void infer_cuda_graph_free(gpointer graph);

G_END_DECLS
