/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "prepare.h"

G_BEGIN_DECLS

/*
 * Host memory of the bindings of a context whose device has memory of its own. What was mapped
 * once is copied in every run from then on; the rest stays on the device.
 */

typedef struct _InferStaging InferStaging;

InferStaging *infer_staging_new(InferDevice *device, guint n_tensors);
void infer_staging_free(InferStaging *staging);

/**
 * infer_staging_map:
 * @tensor: index of an input or output
 * @size: bytes wanted
 * @fresh: (out): whether it was not mapped before, so that the memory does not hold what the
 *   device has
 *
 * Returns: (nullable): memory that is copied in each run from now on
 */
gpointer infer_staging_map(InferStaging *staging, guint tensor, gsize size, gboolean *fresh,
                           GError **error);

/** infer_staging_set: contents of an input that the next run copies, once. */
gboolean infer_staging_set(InferStaging *staging, guint tensor, gconstpointer data, gsize size,
                           GError **error);

/** infer_staging_forget: the device's contents are made elsewhere from now on. */
void infer_staging_forget(InferStaging *staging, guint tensor);

/** infer_staging_upload: what lies in host memory of the inputs goes to the device. */
gboolean infer_staging_upload(InferStaging *staging, const InferPrepared *prepared, guint8 *base,
                              InferStream *stream, GError **error);

/** infer_staging_download: what was mapped of the outputs comes from the device. */
gboolean infer_staging_download(InferStaging *staging, const InferPrepared *prepared, guint8 *base,
                                InferStream *stream, GError **error);

G_END_DECLS
