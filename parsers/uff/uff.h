/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>
#include <infer/parsers.h>

#include "../wire.h"
#include "uff.pb-c.h"

G_BEGIN_DECLS

typedef struct _UffNode UffNode;
typedef struct _UffImport UffImport;

/** UffOp: an operation and what adds it to the network. A table ends with a NULL name. */
typedef struct {
  const char *name;
  gboolean (*emit)(UffImport *im, UffNode *node, GError **error);
} UffOp;

/**
 * UffNode:
 * @plain: (nullable): its output in the order of the file
 * @nchw: (nullable): its output with the last dimension moved to the second place
 * @detections: it is the end of a detector, and its outputs have names of their own
 *
 * One of the two forms is there after a node was added; the other is made when it is needed.
 */
struct _UffNode {
  const InferUff__Node *def;
  UffNode **inputs;
  guint n_inputs;
  guint readers;
  guint next; /* input to visit next */
  gboolean open, done, failed;
  guint n_nodes;
  gboolean detections; /* its outputs are marked already */
  InferTensor *plain;
  InferTensor *nchw;
};

struct _UffImport {
  const InferParseOptions *options;
  GBytes *bytes;
  GArray *ranges;
  WireAllocator allocator;
  InferUff__MetaGraph *graph;
  UffNode *nodes;
  guint n_nodes;
  GHashTable *by_name;
  GHashTable *data; /* referenced data by key */
  GHashTable *ops;
  InferNetwork *network;
  InferModelInfo *info;
  gboolean channels_last; /* images of the graph are, as far as its layers say */
  GPtrArray *problems;
  gint problem_code;
};

extern const UffOp uff_ops_layers[], uff_ops_shape[], uff_ops_slice[], uff_ops_detection[];

/** uff_error: sets an error. Returns: FALSE */
gboolean uff_error(GError **error, InferError code, const char *format, ...) G_GNUC_PRINTF(3, 4);

/** uff_graph_load: unpacks im->bytes and joins its nodes. */
gboolean uff_graph_load(UffImport *im, GError **error);

/* Fields of a node, following references; NULL, or the fallback, where they are absent. In nodes
 * of plugins "_u_" and the type may follow the name. */
const InferUff__Data *uff_field(const UffImport *im, const UffNode *node, const char *name);
gint64 uff_int(const UffImport *im, const UffNode *node, const char *name, gint64 fallback);
double uff_double(const UffImport *im, const UffNode *node, const char *name, double fallback);
const char *uff_string(const UffImport *im, const UffNode *node, const char *name,
                       const char *fallback);
gsize uff_ints(const UffImport *im, const UffNode *node, const char *name, gint64 *values,
               gsize max);
gsize uff_doubles(const UffImport *im, const UffNode *node, const char *name, double *values,
                  gsize max);
/** UFF_REST: stands in an order for the dimensions that are neither 0 (images, or outputs of a
 * filter) nor 1 (channels); the file has them as the range from 2 to the greatest integer. */
#define UFF_REST 2
#define UFF_MAX_ORDER 8
/** uff_order: the order of input @index. Returns: how many places it has, 0 where there is none */
gsize uff_order(const UffImport *im, const UffNode *node, guint index, gint64 order[UFF_MAX_ORDER]);
/** uff_variant: Returns: (transfer floating) (nullable): what a field says, for a plugin. */
GVariant *uff_variant(const InferUff__Data *data);
/** uff_type: a type as the file numbers it, undefined where it is not known. */
InferType uff_type(gint32 dtype);
/** uff_constant: Returns: (transfer full) (nullable): the contents of a Const */
InferArray *uff_constant(const UffImport *im, const UffNode *node, GError **error);
/** uff_channels_last: whether input @index of a node has its channels in the last place. */
gboolean uff_channels_last(const UffImport *im, const UffNode *node, guint index);

InferTensor *uff_add(UffImport *im, UffNode *node, const char *op, GVariant *attrs,
                     InferTensor *const *inputs, guint n_inputs, GError **error);
InferTensor *uff_add1(UffImport *im, UffNode *node, const char *op, GVariant *attrs,
                      InferTensor *input, GError **error);
InferTensor *uff_add2(UffImport *im, UffNode *node, const char *op, GVariant *attrs, InferTensor *a,
                      InferTensor *b, GError **error);
InferTensor *uff_list(UffImport *im, const gint64 *values, gsize n);
InferTensor *uff_float(UffImport *im, double value);
/** uff_to_int64: integers of any size as int64, which operators on shapes take. */
InferTensor *uff_to_int64(UffImport *im, UffNode *node, InferTensor *tensor, GError **error);
/** uff_const_ints: the elements of input @index. Returns: how many; -1 with an error where it is
 * no constant, or has more than @max. */
gint uff_const_ints(UffImport *im, UffNode *node, guint index, gint64 *values, gint max,
                    GError **error);
/** uff_in: input @index in the file's order. */
InferTensor *uff_in(UffImport *im, UffNode *node, guint index, GError **error);
/** uff_in_nchw: input @index as an image with its channels in the second place. */
InferTensor *uff_in_nchw(UffImport *im, UffNode *node, guint index, GError **error);
/** uff_out: sets what a node puts out, in the file's order or with channels second. */
gboolean uff_out(UffNode *node, InferTensor *tensor, gboolean nchw);
/** uff_out_plain: the output of a node in the file's order, made where it is not there. */
InferTensor *uff_out_plain(UffImport *im, UffNode *node, GError **error);
/** uff_is_anchors: whether a node makes the anchors of all layers of a detector. */
gboolean uff_is_anchors(const UffNode *node);
/** uff_rank: rank of input @index, -1 when it is not known. */
gint uff_rank(const UffNode *node, guint index);

G_END_DECLS
