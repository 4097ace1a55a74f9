/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>
#include <infer/parsers.h>

#include "../wire.h"
#include "graphdef.pb-c.h"

G_BEGIN_DECLS

typedef struct _TfNode TfNode;
typedef struct _TfGraph TfGraph;
typedef struct _TfImport TfImport;
typedef struct _TfVariables TfVariables;
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
 * TfThing: what is no tensor of the network: a variable, or a list of tensors.
 */
typedef struct _TfThing TfThing;

/**
 * TfValue:
 * @tf: (nullable): the tensor in TensorFlow's order of dimensions
 * @nchw: (nullable): a tensor of four dimensions with the last one moved to the second place
 * @thing: (nullable): what the value is when it is no tensor
 * @dead: it is on the branch of a condition that is not taken
 *
 * What a node put out: one of the two forms, the other is made when somebody asks for it.
 */
typedef struct {
  InferTensor *tf;
  InferTensor *nchw;
  TfThing *thing;
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
  TfGraph *graph;
  TfEdge *inputs; /* without control inputs */
  guint n_inputs;
  TfEdge *deps; /* what has to be imported before it, where that is not its inputs */
  guint n_deps;
  guint phase;        /* how often what it waits for was looked at again */
  GPtrArray *readers; /* TfNode, one entry for each input that reads a value of this node */
  gboolean awaited;   /* a node other than NoOp only waits for it */
  GArray *values;     /* TfValue */
  TfState state;
  gboolean failed;
  gboolean dead;
};

/**
 * TfModel: what was read of a file; graphs and the bodies of functions point into it.
 * @root: the graph itself
 * @meta: (nullable): the part of a SavedModel that is used
 * @functions: name -> InferTf__Function
 * @routines: name -> TfRoutine, of functions that were called
 * @variables: (nullable): the contents of variables
 */
typedef struct {
  GBytes *bytes;
  GArray *ranges;
  WireAllocator allocator;
  InferTf__Graph *def;
  InferTf__SavedModel *saved;
  InferTf__Graph *root;
  InferTf__MetaGraph *meta;
  GHashTable *functions;
  GHashTable *routines;
  TfVariables *variables;
} TfModel;

/**
 * TfGraph: nodes that read from each other: a model's graph, or one call of a function.
 * @prefix: (nullable): goes before the names of nodes
 * @in_function: inputs of its nodes are named as in functions
 * @targets: of TfEdge, what is read from outside
 */
struct _TfGraph {
  TfModel *model;
  char *prefix;
  gboolean in_function;
  TfNode *nodes;
  guint n_nodes;
  GHashTable *by_name;
  GArray *targets;
};

/** tf_model_load: reads a GraphDef or a SavedModel. */
TfModel *tf_model_load(GBytes *bytes, GError **error);
void tf_model_free(TfModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TfModel, tf_model_free)

/**
 * tf_graph_new:
 * @defs: nodes
 * @in_function: inputs are named as in functions, "node:output:0"
 * @prefix: (nullable): goes before the names of nodes
 *
 * Joins nodes. Returns: (nullable): NULL where two have one name.
 */
TfGraph *tf_graph_new(TfModel *model, TfDef *const *defs, gsize n_defs, gboolean in_function,
                      const char *prefix, GError **error);
void tf_graph_free(TfGraph *graph);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TfGraph, tf_graph_free)

/** tf_graph_edge: what a name such as "node:1" (in functions "node:output:1") stands for; the
 *  node is NULL where there is none of that name. */
TfEdge tf_graph_edge(const TfGraph *graph, const char *text, gboolean in_function);
/** tf_graph_target: says that @edge is read from outside. */
void tf_graph_target(TfGraph *graph, TfEdge edge);
/** tf_is_read: whether anything reads output @port. */
gboolean tf_is_read(const TfNode *node, guint port);
/** tf_node_name: Returns: (transfer full): the node's name behind its graph's prefix. */
char *tf_node_name(const TfNode *node);

/** tf_output_port: the number of output @index of the argument @arg of an operator. */
guint tf_output_port(const TfModel *model, const TfDef *def, const char *arg, guint index);

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
/** tf_attr_func: Returns: (nullable): the name of a function that an attribute refers to. */
const char *tf_attr_func(const TfNode *node, const char *name);
/** tf_shape_dims: a constant shape. */
gboolean tf_shape_dims(const InferTf__Shape *shape, InferDims *dims, GError **error);
/** tf_const_array: Returns: (transfer full) (nullable): the contents of a Const node. */
InferArray *tf_const_array(const TfGraph *graph, const TfNode *node, GError **error);

G_END_DECLS
