/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "backend.h"

#include <cuda.h>

G_BEGIN_DECLS

/*
 * The CUDA backend. It speaks the driver interface on a CUcontext of its own or one that is handed
 * in, never the runtime's primary context. Kernels come in two ways: fixed ones are compiled with
 * the library (fixed/NAME.cu, one fat binary), and those that take in pointwise nodes or constants
 * of a shape are compiled for the device when a step is prepared (source/NAME.cu, kept as text in
 * the library, compiled by NVRTC and cached on disk by content).
 */

typedef struct _InferCudaDevice InferCudaDevice;

struct _InferCudaDevice {
  InferDevice base;
  CUdevice device;
  CUcontext context;
  gint major, minor; /* compute capability */
  guint n_multiprocessors;
  gsize l2_size;
  gsize shared_per_block; /* with opt-in */
  /*< private >*/
  gboolean borrowed; /* the context is another's */
  struct _InferCudaCompiler *compiler;
  CUmodule *fixed;   /* kernels compiled with the library */
  GPtrArray *cudnn;  /* handles for preparing that nobody uses */
  gpointer cublaslt; /* likewise; any thread may use it */
  CUstream loading;  /* of copies at once */
  GMutex lock;       /* of all of these */
};

/** What a stream is to those who enqueue on it. */
typedef struct {
  InferCudaDevice *device;
  CUstream stream;
} InferCudaQueue;

static inline InferCudaDevice *
infer_cuda_device(InferDevice *device)
{
  return (InferCudaDevice *)device;
}

/**
 * infer_cuda_open_context:
 * @context: a context that lives longer than the device
 * @error: return location
 *
 * Opens the device of a context that another part of the process has made, so that both see each
 * other's memory. Closed by InferBackend.close(), which leaves @context as it is.
 *
 * Returns: (nullable): the device
 */
INFER_API InferDevice *infer_cuda_open_context(CUcontext context, GError **error);

/** infer_cuda_queue: where work of @stream goes; its device's context is current meanwhile. */
const InferCudaQueue *infer_cuda_queue(InferStream *stream);

/** infer_cuda_push: makes the device's context current in this thread; every entry from outside
 *  an InferStreamFunc (open, alloc, prepare, tactics, release ...) does so and pops it after. */
void infer_cuda_push(InferCudaDevice *device);
void infer_cuda_pop(void);

/** infer_cuda_check: sets an error that names what was done and CUDA's reason. Returns: success. */
gboolean infer_cuda_check(CUresult result, const char *what, GError **error);

/** infer_cuda_fixed: a kernel compiled with the library, by its extern "C" name. */
CUfunction infer_cuda_fixed(InferCudaDevice *device, const char *name, GError **error);

/**
 * infer_cuda_compile:
 * @device: for this architecture
 * @source: CUDA C++ with one extern "C" kernel, or several
 * @name: the kernel wanted
 * @error: return location; holds the compiler's log
 *
 * Compiled once for a source in a process, and kept in a cache directory of the user. May be called
 * from several threads at once. The context has to be current.
 *
 * Returns: (nullable): the kernel, which lives as long as the device
 */
CUfunction infer_cuda_compile(InferCudaDevice *device, const char *source, const char *name,
                              GError **error);

/** infer_cuda_source: the text of source/NAME.cu. Returns: (nullable) */
const char *infer_cuda_source(const char *name);

typedef struct {
  guint x, y, z;
} InferCudaSize;

/** infer_cuda_allow_shared: lets a kernel be launched with @shared bytes of dynamic shared memory,
 *  which needs leave beyond 48 KiB; with the device's context pushed. */
gboolean infer_cuda_allow_shared(CUfunction function, guint shared, GError **error);

/** infer_cuda_launch: enqueues a kernel; @params as cuLaunchKernel() takes them. */
gboolean infer_cuda_launch(const InferCudaQueue *queue, CUfunction function, InferCudaSize grid,
                           InferCudaSize block, guint shared, void **params, GError **error);

/** infer_cuda_fail: an error that names the step. Returns: FALSE */
gboolean infer_cuda_fail(const InferPrepare *prepare, GError **error, InferError code,
                         const char *format, ...) G_GNUC_PRINTF(4, 5);

/** infer_cuda_constant: a constant operand as it is, row-major, in the device's memory. */
const void *infer_cuda_constant(InferPrepare *prepare, guint input, GError **error);

G_END_DECLS
