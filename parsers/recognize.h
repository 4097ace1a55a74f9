/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* What a file is, by its content. All binary formats are protobuf: their fields tell them apart. */
gboolean recognize_caffemodel(const guint8 *data, gsize size);
gboolean recognize_prototxt(const guint8 *data, gsize size);
gboolean recognize_graph_def(const guint8 *data, gsize size);
gboolean recognize_saved_model(const guint8 *data, gsize size);
gboolean recognize_uff(const guint8 *data, gsize size);

/** parsers_saved_model_file: Returns: (transfer full): "saved_model.pb" in @path where that is a
 *  folder, else @path itself. */
char *parsers_saved_model_file(const char *path);

G_END_DECLS
