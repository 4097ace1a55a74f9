/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstinfermeta.h"

G_BEGIN_DECLS

/**
 * GstInferJsonFrame:
 * @timestamp: presentation time in nanoseconds; left out when it is not valid
 * @frame: number of the frame in its stream
 * @stream: (nullable): name of the stream
 * @source: (nullable): where the stream comes from, as the user says
 * @tags: (nullable): a JSON value
 * @carried: the objects were found in an earlier frame, which this one does not differ from
 * @width: width of the frame in pixels
 * @height: height in pixels
 * @objects: (element-type GstInferObject): what was found
 *
 * What is written of one frame.
 */
typedef struct {
  GstClockTime timestamp;
  guint64 frame;
  const gchar *stream;
  const gchar *source;
  const gchar *tags;
  gboolean carried;
  gint width, height;
  GArray *objects;
} GstInferJsonFrame;

/** gst_infer_json_append_frame: appends one line of JSON with its line feed. @frame's texts may be
 *  any bytes; what is not UTF-8 is replaced. Allocates nothing once @text is large enough. */
void gst_infer_json_append_frame(GString *text, const GstInferJsonFrame *frame);

/** gst_infer_json_normalise: Returns: (transfer full) (nullable): the JSON text @json on one line,
 * or %NULL with the reason in @error. */
gchar *gst_infer_json_normalise(const gchar *json, GError **error);

/**
 * GstInferWriter:
 *
 * A file, or the standard output, that one or several elements write lines to. There is one
 * writer for a destination in a process. Lines are written whole: where the disk is full the part
 * that was written is taken back.
 */
typedef struct _GstInferWriter GstInferWriter;

/**
 * gst_infer_writer_open:
 * @path: (nullable): path of a file, made where it does not exist; %NULL for the standard output
 * @append: keep what is in the file; counts for the first who opens it
 * @error: return location
 *
 * Returns: (transfer full) (nullable): the writer of @path, shared with others who have it open.
 */
GstInferWriter *gst_infer_writer_open(const gchar *path, gboolean append, GError **error);
/** gst_infer_writer_close: gives the writer back; the last one closes the file. */
void gst_infer_writer_close(GstInferWriter *writer);

/**
 * gst_infer_writer_write:
 * @writer: a writer
 * @line: text that ends in a line feed
 * @length: its bytes
 * @cancel: set to non-zero by another thread to stop waiting for a slow reader of a pipe
 * @error: return location
 *
 * Returns: %FALSE on errors; %TRUE also when stopped by @cancel
 */
gboolean gst_infer_writer_write(GstInferWriter *writer, const gchar *line, gsize length,
                                const gint *cancel, GError **error);

G_END_DECLS
