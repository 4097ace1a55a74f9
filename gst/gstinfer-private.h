/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstinfer.h"
#include "gstinferbatcher.h"

G_BEGIN_DECLS

/**
 * GstInfer:
 *
 * Properties and @numbers are guarded by the object lock; @opened belongs to state changes.
 */
struct _GstInfer {
  GstElement parent;

  GstInferClient *client;
  GstInferModelSettings model;  /* as the properties say, without n_streams */
  GstInferModelSettings opened; /* what was checked when the element became READY */
  GstInferSettings settings;
  gchar *instance_id;
  gint cuda_device;
  guint n_runs;
  GHashTable *numbers; /* pad numbers in use */
};

/** gst_infer_install_properties: the properties of the element (gstinferprops.c). */
void gst_infer_install_properties(GObjectClass *klass);

G_END_DECLS
