/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinfer.h"
#include "gstinferoverlay.h"
#include "gstinferpublish.h"

static gboolean
plugin_init(GstPlugin *plugin)
{
  gboolean any = FALSE;

  any |= GST_ELEMENT_REGISTER(infer, plugin);
  any |= GST_ELEMENT_REGISTER(inferoverlay, plugin);
  any |= GST_ELEMENT_REGISTER(inferpublish, plugin);
  return any;
}

#define PACKAGE "gst-infer"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, infer,
                  "Neural networks on video: inference, drawing and publishing of what was found",
                  plugin_init, PACKAGE_VERSION, "LGPL", "gst-infer", "Unknown package origin")
