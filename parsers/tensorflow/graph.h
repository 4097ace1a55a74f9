/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>
#include <infer/parsers.h>

#include "../wire.h"
#include "graphdef.pb-c.h"

G_BEGIN_DECLS

typedef struct _TfNode TfNode;
typedef struct _TfImport TfImport;
typedef InferTf__Node TfDef;

/**
 * TfOp:
 * @name: TensorFlow's operator
 * @emit: adds what it computes to the network and stores the outputs of @node
 *
 * A family's file has a table of these that ends with a NULL name.
 */
typedef struct {
  const char *name;
  gboolean (*emit)(TfImport *im, TfNode *node, GError **error);
} TfOp;

/**
 * TfValue:
 * @tf: (nullable): the tensor in TensorFlow's order of dimensions
 * @nchw: (nullable): a tensor of four dimensions with the last one moved to the second place
 * @dead: it is on the branch of a condition that is not taken
 *
 * What a node put out: one of the two forms, the other is made when somebody asks for it.
 */
typedef struct {
  InferTensor *tf;
  InferTensor *nchw;
  gboolean dead;
} TfValue;

/** TfEdge: an output of a node; @node is NULL where the graph has no such node. */
typedef struct {
  TfNode *node;
  guint port;
} TfEdge;

typedef enum { TF_NEW, TF_OPEN, TF_ORDERED, TF_DONE } TfState;

struct _TfNode {
  const TfDef *def;
  const TfOp *op; /* NULL where it is not supported */
  TfEdge *inputs; /* without control inputs */
  guint n_inputs;
  GPtrArray *readers; /* TfNode, one entry for each input that reads a value of this node */
  GArray *values;     /* TfValue */
  TfState state;
  gboolean failed;
  gboolean dead;
};

typedef struct {
  GBytes *bytes;
  GArray *ranges;
  WireAllocator allocator;
  InferTf__Graph *def;
  TfNode *nodes;
  guint n_nodes;
  GHashTable *by_name;
} TfGraph;

/** tf_graph_load: reads a GraphDef and joins its nodes. */
TfGraph *tf_graph_load(GBytes *bytes, GError **error);
void tf_graph_free(TfGraph *graph);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TfGraph, tf_graph_free)

/** tf_graph_find: Returns: (nullable): the node of that name, without ":port". */
TfNode *tf_graph_find(const TfGraph *graph, const char *name);
/** tf_split_name: the name without its port, which goes to @port. */
char *tf_split_name(const char *name, guint *port);

/** tf_is: whether @node (may be NULL) has the operator @op. */
gboolean tf_is(const TfNode *node, const char *op);
/** tf_is_any: the same for a list that ends with NULL. */
gboolean tf_is_any(const TfNode *node, ...) G_GNUC_NULL_TERMINATED;
/** tf_source: Returns: (nullable): the node that input @index reads. */
TfNode *tf_source(const TfNode *node, guint index);

/* Attributes; @fallback where one is absent. */
const InferTf__Attr *tf_attr(const TfNode *node, const char *name);
gint64 tf_attr_int(const TfNode *node, const char *name, gint64 fallback);
gboolean tf_attr_bool(const TfNode *node, const char *name, gboolean fallback);
double tf_attr_float(const TfNode *node, const char *name, double fallback);
/** tf_attr_is: whether a string attribute has @value, or is absent and @fallback is TRUE. */
gboolean tf_attr_is(const TfNode *node, const char *name, const char *value, gboolean fallback);
InferType tf_attr_type(const TfNode *node, const char *name, InferType fallback);
/** tf_attr_ints: Returns: how many of the list's integers were stored, at most @max. */
gsize tf_attr_ints(const TfNode *node, const char *name, gint64 *values, gsize max);

/** tf_type: TensorFlow's type as ours, INFER_TYPE_UNDEFINED where there is none. */
InferType tf_type(gint64 dtype);
/** tf_tensor_array: Returns: (transfer full) (nullable): the contents of a TensorProto. */
InferArray *tf_tensor_array(const TfGraph *graph, const InferTf__Tensor *tensor, GError **error);
/** tf_const_array: Returns: (transfer full) (nullable): the contents of a Const node. */
InferArray *tf_const_array(const TfGraph *graph, const TfNode *node, GError **error);

G_END_DECLS
