/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "fused.h"
#include "library.h"
#include "private.h"

G_BEGIN_DECLS

#define INFER_CUDNN_SPATIAL 3

/**
 * InferCudnnConv:
 * @transposed: the gradient of a convolution: from our point of view @in and @out keep their names
 * @spatial: dimensions that cuDNN sees: 2 or 3
 * @channels_in: of a group
 * @channels_out: of a group
 *
 * A convolution of one set of shapes; always three spatial dimensions, missing leading ones are 1.
 */
typedef struct {
  gboolean transposed;
  InferType type;
  gint spatial;
  gint x, w; /* step inputs */
  gint64 images, groups, channels_in, channels_out;
  gint64 kernel[INFER_CUDNN_SPATIAL], stride[INFER_CUDNN_SPATIAL], dilation[INFER_CUDNN_SPATIAL];
  gint64 begin[INFER_CUDNN_SPATIAL], end[INFER_CUDNN_SPATIAL];
  gint64 in[INFER_CUDNN_SPATIAL], out[INFER_CUDNN_SPATIAL];
  /* Elements along images and the spatial dimensions. */
  gint64 x_strides[1 + INFER_CUDNN_SPATIAL], y_strides[1 + INFER_CUDNN_SPATIAL];
  gint64 side_strides[INFER_EPILOGUE_MAX_SIDES][1 + INFER_CUDNN_SPATIAL];
  InferCudaFused chain;
} InferCudnnConv;

/** infer_cudnn_conv_parse: what is known without dimensions. Returns: whether cuDNN is to run it.
 */
gboolean infer_cudnn_conv_parse(const InferStep *step, InferCudnnConv *conv);
/** infer_cudnn_conv_shape: the rest. */
gboolean infer_cudnn_conv_shape(const InferPrepare *prepare, InferCudnnConv *conv, GError **error);
/** infer_cudnn_conv_strides: strides of a channels-last buffer; those of dimensions of one element
 *  as if they were dense. Returns: FALSE where channels are apart. */
gboolean infer_cudnn_conv_strides(const InferBuffer *buffer, gint64 *strides);

/** infer_cudnn_conv_weights: packed: output channel, taps, input channels, padded by the two. */
const void *infer_cudnn_conv_weights(InferPrepare *prepare, const InferCudnnConv *conv,
                                     gint64 padded_in, gint64 padded_out, GError **error);

/**
 * InferCudnnVariant:
 * @sum_first: a residual is added before the bias
 * @split: cuDNN runs the convolution alone, the epilogue is a kernel of its own
 * @pad: the input is copied with each group's channels padded to a multiple of this; 0 to read it
 *   where it is
 * @tf32: engines may round what they multiply to TF32
 *
 * One way to give a convolution to cuDNN.
 */
typedef struct {
  gboolean sum_first, split;
  gint64 pad;
  gboolean tf32;
} InferCudnnVariant;

static inline gint64
infer_cudnn_round(gint64 n, gint64 multiple)
{
  return multiple > 1 ? (n + multiple - 1) / multiple * multiple : n;
}

/** Channels of a group as cuDNN sees them. */
static inline gint64
infer_cudnn_conv_in(const InferCudnnConv *conv, const InferCudnnVariant *variant)
{
  return infer_cudnn_round(conv->channels_in, variant->pad);
}

/** Half types are read in pairs at least, so that a result of an odd width is made wider. */
static inline gint64
infer_cudnn_conv_out(const InferCudnnConv *conv, const InferCudnnVariant *variant)
{
  gboolean odd = conv->type != INFER_TYPE_FLOAT && conv->channels_out % 2 != 0;

  return variant->split && odd ? infer_cudnn_round(conv->channels_out, 8) : conv->channels_out;
}

/* graph.c */

enum {
  INFER_CUDNN_X = 1,
  INFER_CUDNN_W = 2,
  INFER_CUDNN_Y = 3,
  INFER_CUDNN_SIDE = 10,
  INFER_CUDNN_SCALAR = 100,
  INFER_CUDNN_VIRTUAL = 1000,
};

/** A scalar of each operation, of which a clip takes two. */
#define INFER_CUDNN_MAX_SCALARS (2 * INFER_EPILOGUE_MAX_OPS)

/**
 * InferCudnnGraph:
 * @descriptors: all that were made, to be destroyed in reverse
 * @graph: the operation graph
 * @n_scalars: scalars by value, whose ids begin at %INFER_CUDNN_SCALAR
 */
typedef struct {
  GPtrArray *descriptors;
  cudnnHandle_t handle;
  cudnnBackendDescriptor_t graph;
  guint n_scalars;
  float scalars[INFER_CUDNN_MAX_SCALARS];
} InferCudnnGraph;

/** infer_cudnn_graph_new: @conv as @variant says. */
InferCudnnGraph *infer_cudnn_graph_new(cudnnHandle_t handle, const InferCudnnConv *conv,
                                       const InferCudnnVariant *variant, GError **error);
void infer_cudnn_graph_free(InferCudnnGraph *graph);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InferCudnnGraph, infer_cudnn_graph_free)

/** A descriptor of @type that lives with the graph; %NULL with @error. */
cudnnBackendDescriptor_t infer_cudnn_new(GPtrArray *owner, cudnnBackendDescriptorType_t type,
                                         GError **error);
gboolean infer_cudnn_set(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                         cudnnBackendAttributeType_t type, gint64 n, const void *values,
                         GError **error);
gboolean infer_cudnn_finalize(cudnnBackendDescriptor_t descriptor, const char *what,
                              GError **error);
GPtrArray *infer_cudnn_owner_new(void);

/* engine.c */

/** infer_cudnn_engines: names of engine configurations of a graph, as the heuristics of @mode
 *  order them; without those that lose precision that @type has. */
GPtrArray *infer_cudnn_engines(const InferCudnnGraph *graph, cudnnBackendHeurMode_t mode,
                               InferType type, gboolean tf32, gboolean deterministic);

/**
 * infer_cudnn_plan:
 * @graph: an operation graph
 * @key: what it depends on, as bytes that are the same in another process
 * @engine: a name such as "eng4,k2=16"
 * @type: the step's
 * @tf32: whether less than its precision will do
 * @workspace: (out): bytes
 * @error: return location
 *
 * An execution plan, from the cache where it is there. The context has to be current.
 */
cudnnBackendDescriptor_t infer_cudnn_plan(const InferCudnnGraph *graph, GBytes *key,
                                          const char *engine, InferType type, gboolean tf32,
                                          gsize *workspace, GError **error);

G_END_DECLS
