/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cuda.h"

G_BEGIN_DECLS

/*
 * Kernels that are compiled when a step is prepared. The source of one is a list of definitions,
 * source/common.cu and source/math.cu, a function chain() made of the step's pointwise nodes, and
 * the text of a kernel that calls it. All of them take one structure: pointers by slot (the step's
 * inputs, its outputs, the workspace) and numbers that may change without a new compilation, above
 * all the batch.
 */

#define INFER_CUDA_MAX_INPUTS 18
#define INFER_CUDA_MAX_SLOTS 24
#define INFER_CUDA_MAX_LAUNCHES 3

/** What a generated kernel gets; source/common.cu has the same. */
typedef struct {
  const void *p[INFER_CUDA_MAX_SLOTS];
  gint64 n[8];
} InferCudaParams;

/**
 * InferCudaKernel: the state of a prepared step
 * @params: with constants, packed weights and numbers filled in
 * @is_set: which slots of @params were filled in when it was prepared
 * @n_launches: kernels to run one after the other; none where there is nothing to compute
 */
typedef struct {
  guint n_inputs, n_outputs;
  InferCudaParams params;
  gboolean is_set[INFER_CUDA_MAX_SLOTS];
  guint n_launches;
  struct {
    CUfunction function;
    InferCudaSize grid, block;
    guint shared;
  } launches[INFER_CUDA_MAX_LAUNCHES];
} InferCudaKernel;

/** infer_cuda_kernel_new: a state whose slots of constant operands are filled in: those in
 *  @packed, a mask of inputs, are left for the caller. */
InferCudaKernel *infer_cuda_kernel_new(InferPrepare *prepare, guint64 packed, GError **error);
void infer_cuda_kernel_set(InferCudaKernel *self, guint slot, const void *memory);
/** The slot of output @index, and of the workspace. */
guint infer_cuda_kernel_out(const InferCudaKernel *self, guint index);
guint infer_cuda_kernel_workspace(const InferCudaKernel *self);

/** infer_cuda_kernel_add: compiles @source and appends a launch of its kernel @name. */
gboolean infer_cuda_kernel_add(InferCudaKernel *self, InferPrepare *prepare, const char *source,
                               const char *name, InferCudaSize grid, InferCudaSize block,
                               guint shared, GError **error);
gboolean infer_cuda_kernel_run(gpointer state, InferStream *stream, void *const *inputs,
                               void *const *outputs, void *workspace, GError **error);

/** infer_cuda_blocks: blocks for @threads at @block each, at most @most. */
guint infer_cuda_blocks(gint64 threads, guint block, guint most);

/* --- source --- */

/** infer_cuda_type: Returns: (nullable): the C type that elements are stored in. */
const char *infer_cuda_type(InferType type);
/** infer_cuda_value_type: Returns: the C type that elements are computed in. */
const char *infer_cuda_value_type(InferType type);

/** infer_cuda_define: appends "#define NAME value". */
void infer_cuda_define(GString *source, const char *name, gint64 value);
/** infer_cuda_define_text: appends "#define NAME text". */
void infer_cuda_define_text(GString *source, const char *name, const char *text);
/** infer_cuda_define_list: appends "#define NAME {a, b, ...}", at least one element. */
void infer_cuda_define_list(GString *source, const char *name, const gint64 *values, gint n);
/** infer_cuda_source_new: common text; @fast: approximations that half precision does not see. */
GString *infer_cuda_source_new(gboolean fast, gboolean wide);
/** infer_cuda_source_append: appends the text of source/NAME.cu. */
void infer_cuda_source_append(GString *source, const char *name);

/* --- the index space of a kernel --- */

/**
 * InferCudaSpace:
 * @n: number of axes, at least 1
 * @dims: their sizes
 * @out: strides of the output
 * @vector: axis whose neighbours a thread takes together; -1 for none
 * @in: strides of the step's inputs that the chain reads, 0 where they are broadcast
 */
typedef struct {
  gint n;
  gint64 dims[INFER_MAX_DIMS];
  gint64 out[INFER_MAX_DIMS];
  gint vector;
  gint64 in[INFER_CUDA_MAX_INPUTS][INFER_MAX_DIMS];
} InferCudaSpace;

/** infer_cuda_space_init: the logical axes of the step's output; channels are the vector. */
gboolean infer_cuda_space_init(InferCudaSpace *space, const InferPrepare *prepare,
                               gboolean anchored, GError **error);
/** infer_cuda_space_merge: sorts the axes as they lie in memory, and joins those that can be
 *  walked as one; the innermost is the vector. */
void infer_cuda_space_merge(InferCudaSpace *space, guint n_inputs);
/** infer_cuda_space_is_wide: whether offsets need 64 bits. */
gboolean infer_cuda_space_is_wide(const InferCudaSpace *space, const InferPrepare *prepare);

/* --- chains --- */

/**
 * infer_cuda_chain_supports:
 * @step: a step
 * @anchored: its anchor, the first node, is computed by the kernel; otherwise it belongs to the
 *   chain
 *
 * Returns: whether the pointwise nodes can be made into a function.
 */
gboolean infer_cuda_chain_supports(const InferStep *step, gboolean anchored);
/** infer_cuda_chain_reads: whether the chain behind an anchor reads input @input of the step. */
gboolean infer_cuda_chain_reads(const InferStep *step, guint input);
/** infer_cuda_chain_layouts: sets @layout for all operands of the chain that have the output's
 *  rank, and for the output. */
void infer_cuda_chain_layouts(const InferStep *step, gboolean anchored, InferLayout layout,
                              InferLayout *inputs, InferLayout *outputs);
/**
 * infer_cuda_chain_append:
 *
 * Appends the function
 *
 *   template <int V> void chain(const Params &p, idx o, const idx (&i)[n], const A (&a)[V],
 *                               R (&r)[V])
 *
 * where o is the output's offset of the first of V neighbours and i their coordinates, a what the
 * anchor computed and r what is to be stored; and definitions OUT_T (stored), OUT_V (computed).
 */
gboolean infer_cuda_chain_append(GString *source, const InferPrepare *prepare, gboolean anchored,
                                 const InferCudaSpace *space, GError **error);
/** infer_cuda_unary_supports: whether @node is a function of one number and constants. */
gboolean infer_cuda_unary_supports(const InferNode *node);
/** infer_cuda_unary_append: appends "float NAME(float x)": what @nodes do one after the other. */
void infer_cuda_unary_append(GString *source, const char *name, InferNode *const *nodes, guint n);
/** infer_cuda_is_fast: whether what leaves the step has half precision. */
gboolean infer_cuda_is_fast(const InferStep *step);

/** infer_cuda_aligned: elements that an operand's memory can be read together at any place whose
 *  coordinates along @vector are multiples of as many; a power of two, 16 bytes at most. */
gint infer_cuda_aligned(const InferBuffer *buffer, gint n, const gint64 *dims,
                        const gint64 *strides, gint vector);

/* --- operands of a step --- */

/** infer_cuda_operand: the step input that is input @index of @node; -1 where there is none. */
gint infer_cuda_operand(const InferStep *step, const InferNode *node, guint index);
/** infer_cuda_is_data: FLOAT, FLOAT16 or BFLOAT16. */
gboolean infer_cuda_is_data(InferType type);
gboolean infer_cuda_is_half(InferType type);
/** infer_cuda_scalar: reads a constant scalar. Returns: FALSE when it is not one. */
gboolean infer_cuda_scalar(const InferTensor *tensor, double *value);
/** infer_buffer_is_inline: whether input @index is a scalar that the source has as a number. */
gboolean infer_buffer_is_inline(const InferPrepare *prepare, guint index);
/** infer_cuda_pixels: whether a channels-last tensor's pixels lie at equal distances; @pitch: from
 *  one to the next, @image: from an image to the next. */
gboolean infer_cuda_pixels(const InferBuffer *buffer, gint64 *pitch, gint64 *image);

/* --- channels-last activations --- */

/** infer_cuda_vector: the most neighbouring channels that all of an input and the output can be
 *  accessed by, a divisor of the channels; 16 bytes or 8 elements at most. */
gint infer_cuda_vector(const InferPrepare *prepare, guint input);
/** infer_cuda_define_tensor: appends NAME_T, NAME_SLOT, NAME_PITCH, NAME_IMAGE, NAME_ALIGNED of a
 *  channels-last operand: input @index, or with @output an output. */
gboolean infer_cuda_define_tensor(GString *source, const InferPrepare *prepare, const char *name,
                                  gboolean output, guint index, GError **error);
/** infer_cuda_strided_pixels: an InferImpl.strided for kernels that know a pitch of pixels. */
gboolean infer_cuda_strided_pixels(const InferPrepare *prepare, gboolean output, guint index);

/* --- windows --- */

#define INFER_CUDA_MAX_SPATIAL 3

/** InferCudaWindow: spatial dimensions outermost first; always 3, the missing leading ones are 1
 *  wide. @end: the padding behind as it was declared, which means count. */
typedef struct {
  gint n;
  gint64 kernel[3], stride[3], dilation[3], begin[3], end[3], in[3], out[3];
} InferCudaWindow;

/** infer_cuda_window: reads a Conv's or pooling's window; for ConvTranspose with @transposed. */
gboolean infer_cuda_window(const InferPrepare *prepare, const InferNode *node, const InferDims *in,
                           const InferDims *out, const gint64 *kernel, gboolean transposed,
                           InferCudaWindow *window, GError **error);
/** infer_cuda_window_define: appends it as definitions KERNEL_*, STRIDE_* ... */
void infer_cuda_window_define(GString *source, const InferCudaWindow *window);

G_END_DECLS
