/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstinferbatcher.h"

G_BEGIN_DECLS

/**
 * GstInferLoader:
 *
 * Loads or builds a model in a thread of its own, with PROGRESS messages, and gives it to the
 * batcher. The elements of the batcher are told.
 */
struct _GstInferLoader;

/** gst_infer_loader_new: posts PROGRESS START on the elements that run and begins to load what
 *  @settings (copied) say. */
GstInferLoader *gst_infer_loader_new(GstInferBatcher *batcher,
                                     const GstInferModelSettings *settings);
/** gst_infer_loader_post_start: posts PROGRESS START on an element that came later. */
void gst_infer_loader_post_start(GstElement *element);
/** gst_infer_loader_post_end: posts the end where it came meanwhile. */
void gst_infer_loader_post_end(GstElement *element, gboolean ok);
/** gst_infer_loader_cancel: asks it to stop; returns at once. */
void gst_infer_loader_cancel(GstInferLoader *loader);
/** gst_infer_loader_free: waits for the thread. */
void gst_infer_loader_free(GstInferLoader *loader);

G_END_DECLS
