/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_INFER_OVERLAY (gst_infer_overlay_get_type())
G_DECLARE_FINAL_TYPE(GstInferOverlay, gst_infer_overlay, GST, INFER_OVERLAY, GstBaseTransform)

GST_ELEMENT_REGISTER_DECLARE(inferoverlay);

G_END_DECLS
