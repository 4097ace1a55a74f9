/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_INFER (gst_infer_get_type())
G_DECLARE_FINAL_TYPE(GstInfer, gst_infer, GST, INFER, GstElement)

GST_ELEMENT_REGISTER_DECLARE(infer);

G_END_DECLS
