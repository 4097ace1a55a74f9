/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu.h"

G_BEGIN_DECLS

/*
 * The few things that we want of oneDNN's C API (version 2), so that its calls are in few files.
 */

#define INFER_ONEDNN_MAX_ARGS (6 + INFER_CPU_MAX_POST_OPS)

/**
 * InferOnednn:
 * @primitive: what runs
 * @desc: its description
 * @args: the arguments
 * @slots: where each argument's pointer comes from: step input (>= 0), INFER_ONEDNN_OUTPUT,
 *   INFER_ONEDNN_WORKSPACE or INFER_ONEDNN_FIXED
 * @steps: bytes from an image to the next, of arguments that have images
 * @images: how often the primitive runs, on one image after the other
 * @preload: step input to be copied to the output first, because the primitive adds to it; -1
 * @preload_size: its bytes
 *
 * A primitive with its arguments, as it runs in one prepared step.
 */
typedef struct {
  dnnl_primitive_t primitive;
  dnnl_primitive_desc_t desc;
  int n_args;
  dnnl_exec_arg_t args[INFER_ONEDNN_MAX_ARGS];
  gint slots[INFER_ONEDNN_MAX_ARGS];
  gsize steps[INFER_ONEDNN_MAX_ARGS];
  gint64 images;
  gint preload;
  gsize preload_size;
} InferOnednn;

#define INFER_ONEDNN_OUTPUT (-1)
#define INFER_ONEDNN_WORKSPACE (-2)
#define INFER_ONEDNN_FIXED (-3)

/**
 * infer_onednn_md:
 * @md: (out): memory descriptor
 * @dims: dimensions
 * @n: number of dimensions, at least 1
 * @strides: (nullable): strides in elements; %NULL for the format that oneDNN likes best
 *
 * Returns: whether oneDNN takes it
 */
gboolean infer_onednn_md(dnnl_memory_desc_t *md, const gint64 *dims, gint n, const gint64 *strides);

/** infer_onednn_attr: attributes with our own scratchpad and the operations of @chain; @add are
 *  the descriptors of the tensors it adds, in order, or %NULL to add to what the output holds. */
dnnl_status_t infer_onednn_attr(dnnl_primitive_attr_t *attr, const InferCpuChain *chain,
                                const dnnl_memory_desc_t *add);

/** InferOnednnMake: makes a primitive for @images images at once, with its arguments. */
typedef gboolean (*InferOnednnMake)(InferOnednn *onednn, InferPrepare *prepare, gconstpointer what,
                                    gint64 images, GError **error);

/**
 * infer_onednn_new:
 * @prepare: the step being prepared
 * @make: makes the primitive
 * @what: closure for @make
 * @images: images (of a convolution) or rows (of a product) in all
 * @error: return location
 *
 * Makes a primitive of which each image's result does not depend on how many there are: for all
 * images at once where its implementation is known to be so, else for one, to be run again and
 * again.
 *
 * Returns: (transfer full) (nullable): the primitive
 */
InferOnednn *infer_onednn_new(InferPrepare *prepare, InferOnednnMake make, gconstpointer what,
                              gint64 images, GError **error);

/** infer_onednn_list: Returns: (transfer full): names of the implementations that oneDNN has for an
 *  operation and that are not slow, for infer_onednn_create() with a tactic. */
char **infer_onednn_list(const InferPrepare *prepare, const_dnnl_op_desc_t op_desc,
                         dnnl_primitive_attr_t attr, gboolean adds);

/**
 * infer_onednn_create:
 * @onednn: zeroed
 * @prepare: the step being prepared; its workspace grows by what the primitive wants
 * @op_desc: oneDNN's operation descriptor
 * @attr: attributes
 * @adds: @attr adds other tensors
 * @error: return location
 *
 * Makes the first implementation that is not oneDNN's reference, or that where there is no other,
 * for as many threads as the device has.
 */
gboolean infer_onednn_create(InferOnednn *onednn, InferPrepare *prepare,
                             const_dnnl_op_desc_t op_desc, dnnl_primitive_attr_t attr,
                             gboolean adds, GError **error);

/** infer_onednn_is_reference: Returns: whether it is oneDNN's slow reference. */
gboolean infer_onednn_is_reference(const InferOnednn *onednn);

/** infer_onednn_add_arg: adds an argument; @data is for INFER_ONEDNN_FIXED. */
gboolean infer_onednn_add_arg(InferOnednn *onednn, InferPrepare *prepare, int arg, gint slot,
                              const dnnl_memory_desc_t *md, const void *data, GError **error);

/**
 * infer_onednn_add_weights:
 * @plain: how step input @input, a constant, lies in memory
 * @input: index
 *
 * Adds the weights, packed as the primitive wants them.
 */
gboolean infer_onednn_add_weights(InferOnednn *onednn, InferPrepare *prepare, guint input,
                                  const dnnl_memory_desc_t *plain, GError **error);

/** infer_onednn_run: runs it; without a primitive, which is how no elements are prepared, does
 *  nothing. */
gboolean infer_onednn_run(InferOnednn *onednn, InferStream *stream, void *const *inputs,
                          void *output, void *workspace, GError **error);

/** infer_onednn_clear: frees what is in it; infer_onednn_free: and itself. */
void infer_onednn_clear(InferOnednn *onednn);
void infer_onednn_free(gpointer onednn);

G_END_DECLS
