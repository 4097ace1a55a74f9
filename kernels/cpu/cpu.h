/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "backend.h"
#include "simd.h"
#include <oneapi/dnnl/dnnl.h>

G_BEGIN_DECLS

/**
 * InferCpuDevice:
 * @base: what the engine sees
 * @engine: oneDNN's engine; primitives of all contexts are made on it
 * @kernels: our own loops for the instruction set that oneDNN uses too
 */
typedef struct {
  InferDevice base;
  dnnl_engine_t engine;
  const InferCpuKernels *kernels;
} InferCpuDevice;

static inline InferCpuDevice *
infer_cpu_device(InferDevice *device)
{
  return (InferCpuDevice *)device;
}

/* device.c */
InferDevice *infer_cpu_open(const char *name, guint threads, GError **error);
void infer_cpu_close(InferDevice *device);
void *infer_cpu_alloc(InferDevice *device, gsize size, GError **error);
void infer_cpu_free(InferDevice *device, void *memory);

/* stream.c */
InferStream *infer_cpu_stream_new(InferDevice *device, GError **error);
void infer_cpu_stream_free(InferStream *stream);
gboolean infer_cpu_stream_run(InferStream *stream, InferStreamFunc func, gpointer user_data,
                              GError **error);
gboolean infer_cpu_stream_sync(InferStream *stream, GError **error);
gboolean infer_cpu_stream_mark(InferStream *stream, guint index, GError **error);
guint64 infer_cpu_stream_elapsed(InferStream *stream, guint index);
/** infer_cpu_stream_dnnl: oneDNN's stream of a queue of work. */
dnnl_stream_t infer_cpu_stream_dnnl(InferStream *stream);

/* preprocess.c */
gboolean infer_cpu_preprocess(InferStream *stream, const InferFrame *frames, guint n_frames,
                              const InferPreprocess *pre, const InferImageTarget *target,
                              GError **error);

/* parallel.c */

/** InferCpuRange: works on elements @begin up to @end (exclusive). */
typedef void (*InferCpuRange)(gpointer data, gint64 begin, gint64 end);

/**
 * infer_cpu_parallel:
 * @n: number of things to do
 * @work: elements touched by one of them; small totals stay on the calling thread
 * @func: does a range of them
 * @data: closure
 *
 * Splits 0..n over the threads of the calling thread's OpenMP team.
 */
void infer_cpu_parallel(gint64 n, gint64 work, InferCpuRange func, gpointer data);

/* chain.c */

#define INFER_CPU_MAX_POST_OPS 6

typedef enum {
  INFER_CPU_POST_ELTWISE,
  INFER_CPU_POST_ADD,
} InferCpuPostKind;

typedef struct {
  InferCpuPostKind kind;
  dnnl_alg_kind_t alg;
  float alpha, beta;
  gint input; /* of the step, for ADD */
} InferCpuPost;

/**
 * InferCpuChain:
 * @n: number of operations on the anchor's result
 * @post: the operations
 * @bias: step input that holds a bias added to the anchor's result, -1 for none
 * @n_adds: how many of @post add a tensor
 *
 * What the nodes after the anchor do to its result, element by element.
 */
typedef struct {
  guint n;
  InferCpuPost post[INFER_CPU_MAX_POST_OPS];
  gint bias;
  guint n_adds;
} InferCpuChain;

/** infer_cpu_chain_parse: reads the nodes after the anchor (which has to come first).
 *  Returns: whether each of them can be a post-operation. */
gboolean infer_cpu_chain_parse(const InferStep *step, InferCpuChain *chain);

/* unary.c */

/** infer_cpu_unary_parse: Returns: whether @node is a unary function that the loops know. */
gboolean infer_cpu_unary_parse(const InferNode *node, InferCpuUnary *op, float *alpha, float *beta);

/* window.c */

#define INFER_CPU_MAX_SPATIAL 3

/** InferCpuWindow: a sliding window, spatial dimensions outermost first; always 3, the missing
 *  leading ones are 1 wide. @dilation counts from 1. */
typedef struct {
  gint n;
  gint64 kernel[INFER_CPU_MAX_SPATIAL];
  gint64 stride[INFER_CPU_MAX_SPATIAL];
  gint64 dilation[INFER_CPU_MAX_SPATIAL];
  gint64 begin[INFER_CPU_MAX_SPATIAL];
  gint64 end[INFER_CPU_MAX_SPATIAL];
  gint64 in[INFER_CPU_MAX_SPATIAL];
  gint64 out[INFER_CPU_MAX_SPATIAL];
} InferCpuWindow;

/**
 * infer_cpu_window:
 * @node: Conv or a pooling operator
 * @in: constant dimensions of its input
 * @out: constant dimensions of its output
 * @kernel: (nullable): spatial kernel sizes; "kernel_shape" when %NULL
 * @window: (out): the window; end padding is what makes @out come out
 *
 * Returns: FALSE when the attributes do not fit the dimensions.
 */
gboolean infer_cpu_window(const InferNode *node, const InferDims *in, const InferDims *out,
                          const gint64 *kernel, InferCpuWindow *window);

/* copy.c */

/**
 * InferCpuCopy:
 *
 * A copy between two strided tensors of the same dimensions, dimensions merged and sorted for
 * speed.
 */
typedef struct {
  gint n;
  gint64 dims[INFER_MAX_DIMS];
  gint64 src[INFER_MAX_DIMS]; /* strides in elements */
  gint64 dst[INFER_MAX_DIMS];
  gsize size;         /* bytes of an element: 1, 2, 4 or 8 */
  gboolean transpose; /* the source is dense along dims[n - 2], the destination along the last */
} InferCpuCopy;

gboolean infer_cpu_copy_init(InferCpuCopy *copy, InferType type, const InferDims *dims,
                             const gint64 *src_strides, const gint64 *dst_strides, GError **error);
void infer_cpu_copy_run(const InferCpuCopy *copy, const void *src, void *dst);

/**
 * infer_cpu_pixels:
 * @buffer: a tensor in channels-last order
 * @pitch: (out): elements from a pixel to the next; the channels where they are dense
 *
 * Returns: whether the pixels of an image lie at equal distances
 */
gboolean infer_cpu_pixels(const InferBuffer *buffer, gint64 *pitch);

/* tensor.c */

/** infer_cpu_is_constant: Returns: whether input @index of @step has a value. */
gboolean infer_cpu_is_constant(const InferStep *step, guint index);
/** infer_cpu_single_float: Returns: whether @step is one node with one output, all types float. */
gboolean infer_cpu_single_float(const InferStep *step);
/** infer_cpu_all_float: Returns: whether all inputs and outputs of all nodes are float. */
gboolean infer_cpu_all_float(const InferStep *step);
/** infer_cpu_scalar: reads a constant scalar. Returns: FALSE when it is not one. */
gboolean infer_cpu_scalar(const InferTensor *tensor, double *value);
/** infer_cpu_fail: sets an error that names the step. Returns: FALSE. */
gboolean infer_cpu_fail(const InferPrepare *prepare, GError **error, InferError code,
                        const char *format, ...) G_GNUC_PRINTF(4, 5);

extern const InferImpl infer_cpu_convolution;
extern const InferImpl infer_cpu_pooling;
extern const InferImpl infer_cpu_gemm;
extern const InferImpl infer_cpu_matmul;
extern const InferImpl infer_cpu_pointwise;
extern const InferImpl infer_cpu_batchnorm;
extern const InferImpl infer_cpu_softmax;
extern const InferImpl infer_cpu_layernorm;
extern const InferImpl infer_cpu_concat;
extern const InferImpl infer_cpu_reformat;
extern const InferImpl infer_cpu_transpose;
extern const InferImpl infer_cpu_slice;
extern const InferImpl infer_cpu_split;
extern const InferImpl infer_cpu_resize;
extern const InferImpl infer_cpu_boxdecode;
extern const InferImpl infer_cpu_detectionnms;

G_END_DECLS
