/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>
#include <infer/parsers.h>

#include "../wire.h"
#include "caffe.pb-c.h"
#include "prototext.h"

G_BEGIN_DECLS

typedef InferCaffe__LayerParameter CaffeDef;
typedef InferCaffe__BlobProto CaffeBlob;

/**
 * CaffeNet:
 * @bytes: (nullable): the file that the ranges are of; none for a text
 * @ranges: (element-type WireRange): contents of blobs
 * @proto: the message
 * @layers: (element-type CaffeDef): its layers in today's form
 *
 * A prototxt or a caffemodel.
 */
typedef struct {
  GBytes *bytes;
  GArray *ranges;
  WireAllocator allocator;
  InferCaffe__NetParameter *proto;
  GPtrArray *layers;
  GPtrArray *owned;  /* what upgrading made */
  GPtrArray *custom; /* PrototextCustom: messages of layers that Caffe does not have */
  GHashTable *lines; /* line of a text by CaffeDef */
} CaffeNet;

/** caffe_net_from_text: reads a prototxt. */
CaffeNet *caffe_net_from_text(GBytes *bytes, GError **error);
/** caffe_net_from_binary: reads a caffemodel; without its parameters when only @weights count. */
CaffeNet *caffe_net_from_binary(GBytes *bytes, gboolean weights, GError **error);
void caffe_net_free(CaffeNet *net);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CaffeNet, caffe_net_free)

/** caffe_net_upgrade: makes @layers of layers of every age. */
gboolean caffe_net_upgrade(CaffeNet *net, GError **error);

/** caffe_net_line: Returns: the line in which a layer begins, 0 where there is no text */
guint caffe_net_line(const CaffeNet *net, const CaffeDef *layer);

/** caffe_blob_count: Returns: the elements of a blob, -1 when its dimensions are damaged */
gint64 caffe_blob_count(const CaffeBlob *blob, InferDims *dims);

/** caffe_blob_array: Returns: (transfer full) (nullable): a blob's contents as float */
InferArray *caffe_blob_array(const CaffeNet *net, const CaffeBlob *blob, const InferDims *dims,
                             GError **error);

/** caffe_error: sets an error. Returns: FALSE */
gboolean caffe_error(GError **error, InferError code, const char *format, ...) G_GNUC_PRINTF(3, 4);

G_END_DECLS
