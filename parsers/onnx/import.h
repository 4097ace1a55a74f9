/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "../partial.h"
#include "model.h"

G_BEGIN_DECLS

typedef struct _OnnxImport OnnxImport;
typedef struct _OnnxScope OnnxScope;
typedef struct _OnnxCall OnnxCall;
typedef struct _OnnxValue OnnxValue;
typedef struct _OnnxBody OnnxBody;

typedef enum { ONNX_FAILED, ONNX_MISSING, ONNX_TENSOR, ONNX_SEQUENCE, ONNX_NOTHING } OnnxKind;

/**
 * OnnxValue: what a name stands for.
 * @kind: a tensor, a list of tensors, an optional without a value, the output of a node that could
 *   not be had, or an output that an operator of ours does not have
 * @tensor: (nullable): the tensor
 * @items: (nullable): of OnnxValue, the elements of a sequence
 * @type: element type of a sequence, or of what an optional without a value could hold
 * @sequence: an optional without a value could hold a sequence
 *
 * Sequences and optionals are kept here as lists while what is done with them is known, so that
 * the engine sees tensors alone; onnx_tensor_of() makes values of the engine where it is not.
 */
struct _OnnxValue {
  OnnxKind kind;
  InferTensor *tensor;
  GPtrArray *items;
  InferType type;
  gboolean sequence;
};

/**
 * OnnxSpec: what an input of a sub-network is.
 */
typedef struct {
  InferKind kind;
  InferType type;
  InferDims dims;
  InferDims item_dims;
} OnnxSpec;

/**
 * OnnxBody: a subgraph on its way to being a sub-network of the engine.
 * @parent: (nullable): the one around it
 * @network: what is made
 * @captures: of InferTensor of the network around, what it reads of that: its last inputs
 * @twins: InferTensor of any network around -> of this one
 * @outputs: of OnnxValue
 */
struct _OnnxBody {
  OnnxBody *parent;
  InferNetwork *network;
  GPtrArray *captures;
  GHashTable *twins;
  GPtrArray *outputs;
};

/**
 * OnnxScope: names of one graph or one call of a function.
 * @parent: (nullable): the graph around a subgraph, whose names it sees
 * @values: name -> OnnxValue
 * @opsets: domain -> version
 * @attrs: (nullable): name -> InferOnnx__Attr that a function was called with
 * @prefix: goes before the names of nodes
 * @depth: how many graphs are around it
 * @nodes: the graph's nodes, while they are imported
 */
struct _OnnxScope {
  const OnnxScope *parent;
  GHashTable *values;
  GHashTable *opsets;
  GHashTable *attrs;
  char *prefix;
  guint depth;
  InferOnnx__Node **nodes;
  gsize n_nodes;
};

/**
 * OnnxCall: a node on its way into the network; upgrades change it until it is what the newest
 * version of the operator is.
 * @op: operator
 * @opset: version of the node's domain
 * @name: name for what is added
 * @attrs: name -> InferOnnx__Attr, references resolved
 * @dict: the attributes that the operator will have
 * @values: of OnnxValue, the inputs; %NULL where absent
 * @in: of InferTensor, the inputs; %NULL where absent or no tensor
 * @n_outputs: outputs that are named
 * @out: what the outputs are; set by a handler that adds nodes itself
 * @done: @out is set
 */
struct _OnnxCall {
  const OnnxScope *scope;
  const InferOnnx__Node *def;
  const char *op;
  const char *domain;
  gint64 opset;
  char *name;
  GHashTable *attrs;
  GVariantDict *dict;
  GPtrArray *values;
  GPtrArray *in;
  guint n_outputs;
  OnnxValue **out;
  gboolean done;
};

typedef gboolean (*OnnxHandler)(OnnxImport *im, OnnxCall *call, GError **error);

/**
 * OnnxRule:
 * @op: operator
 * @before: the rule is for opsets below this one; 0 for every opset
 * @handle: changes the call, or adds the nodes and sets its outputs
 */
typedef struct {
  const char *op;
  gint64 before;
  OnnxHandler handle;
} OnnxRule;

struct _OnnxImport {
  OnnxModel *model;
  InferNetwork *network; /* what nodes are added to */
  OnnxBody *body;        /* (nullable): the subgraph that it is of */
  const InferParseOptions *options;
  GPtrArray *arena;    /* OnnxValue */
  GPtrArray *problems; /* char *, one a node */
  GPtrArray *culprits; /* InferOnnx__Node, the nodes of @problems */
  gint problem_code;   /* InferError of the first */
  gsize folded;        /* bytes of constants that were computed here */
  guint n_nodes;       /* nodes that were looked at, with those of functions and loops */
  GHashTable *named;   /* InferOnnx__Node whose problem is remembered */
  GHashTable *arrays;  /* InferOnnx__Tensor or SparseTensor -> InferArray */
};

/* The tables; each ends with a NULL operator. Every rule that fits is applied, in order. */
extern const OnnxRule onnx_rules_control[];
extern const OnnxRule onnx_rules_constant[];
extern const OnnxRule onnx_rules_sequence[];
extern const OnnxRule onnx_rules_math[];
extern const OnnxRule onnx_rules_shape[];
extern const OnnxRule onnx_rules_resize[];
extern const OnnxRule onnx_rules_nn[];
extern const OnnxRule onnx_rules_attention[];
extern const OnnxRule onnx_rules_preview[];
extern const OnnxRule onnx_rules_training[];
extern const OnnxRule onnx_rules_ml[];
extern const OnnxRule onnx_rules_microsoft[];

/* graph.c */

OnnxScope *onnx_scope_new(const OnnxScope *parent, const char *prefix);
void onnx_scope_free(OnnxScope *scope);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OnnxScope, onnx_scope_free)
/** onnx_scope_opsets: takes the versions that a model or function imports. */
gboolean onnx_scope_opsets(OnnxScope *scope, InferOnnx__OpsetId **ids, gsize n, GError **error);
/** onnx_lookup: Returns: (nullable): what @name stands for, here or in a graph around. */
OnnxValue *onnx_lookup(const OnnxScope *scope, const char *name);
/** onnx_bind: gives @name a value; FALSE where it has one in this graph already. */
gboolean onnx_bind(OnnxScope *scope, const char *name, OnnxValue *value, GError **error);
/** onnx_count: takes @n from what may be looked at. Returns: FALSE where the model is too large. */
gboolean onnx_count(OnnxImport *im, gsize n, GError **error);
/** onnx_import_nodes: adds the nodes that @wanted needs; problems are remembered.
 *  Returns: FALSE where the graph itself is broken. */
gboolean onnx_import_nodes(OnnxImport *im, OnnxScope *scope, InferOnnx__Node **nodes, gsize n,
                           const char *const *wanted, GError **error);
/** onnx_import_initializers: adds a graph's constants, but not those that have a value. */
gboolean onnx_import_initializers(OnnxImport *im, OnnxScope *scope, const InferOnnx__Graph *graph,
                                  GError **error);
/** onnx_inline: adds a subgraph with its inputs bound to @inputs.
 *  Returns: (transfer container) (nullable): OnnxValue of its outputs. */
GPtrArray *onnx_inline(OnnxImport *im, const OnnxCall *call, const InferOnnx__Graph *graph,
                       const char *suffix, OnnxValue *const *inputs, guint n_inputs,
                       GError **error);

/* node.c */

/** onnx_import_node: adds a node, remembering its problem where it has one. */
void onnx_import_node(OnnxImport *im, OnnxScope *scope, const InferOnnx__Node *node);
/** onnx_problem: remembers that a node cannot be had; @error is taken. */
void onnx_problem(OnnxImport *im, const OnnxScope *scope, const InferOnnx__Node *node,
                  GError *error);

/** onnx_forget: takes back the problems behind the first @n: another way was found. */
void onnx_forget(OnnxImport *im, guint n);

/* body.c */

/** onnx_body_new: imports @graph as a network of its own.
 *  @specs: what its own inputs are
 *  @captures: (nullable): of InferTensor, inputs that it gets in any case
 *  Returns: (nullable): NULL with an error, or without one where the cause is remembered. */
OnnxBody *onnx_body_new(OnnxImport *im, const OnnxCall *call, const InferOnnx__Graph *graph,
                        const char *suffix, const OnnxSpec *specs, guint n_specs,
                        const GPtrArray *captures, GError **error);
void onnx_body_free(OnnxBody *body);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OnnxBody, onnx_body_free)
/** onnx_body_output: what output @index is. */
void onnx_body_output(const OnnxBody *body, guint index, OnnxSpec *spec);
/** onnx_body_close: marks the outputs, as optionals where @wrap (nullable) says so. */
gboolean onnx_body_close(OnnxImport *im, const OnnxCall *call, OnnxBody *body, const gboolean *wrap,
                         GError **error);
/** onnx_body_capture: makes @tensor of the network around an input. */
gboolean onnx_body_capture(OnnxImport *im, OnnxBody *body, InferTensor *tensor, GError **error);
/** onnx_local: @value as the network that nodes are added to has it. */
OnnxValue *onnx_local(OnnxImport *im, OnnxValue *value, GError **error);
void onnx_spec_of(const InferTensor *tensor, OnnxSpec *spec);
/** onnx_spec_join: Returns: whether @spec changed. */
gboolean onnx_spec_join(OnnxSpec *spec, const OnnxSpec *other);
/** onnx_spec_of_type: the kind and type that the file says, with the shape where it has one. */
gboolean onnx_spec_of_type(const InferOnnx__Type *type, OnnxSpec *spec);
/** onnx_tensor_of: a tensor, sequence or optional of the engine. */
InferTensor *onnx_tensor_of(OnnxImport *im, const OnnxCall *call, OnnxValue *value, GError **error);
/** onnx_conform: makes @tensor an optional, or takes its value out, as @kind says. */
InferTensor *onnx_conform(OnnxImport *im, const OnnxCall *call, InferTensor *tensor, InferKind kind,
                          GError **error);

/* runtime.c */

/** Control nodes that the engine runs, with sub-networks. */
gboolean onnx_run_if(OnnxImport *im, OnnxCall *call, GError **error);
gboolean onnx_run_loop(OnnxImport *im, OnnxCall *call, GError **error);
gboolean onnx_run_scan(OnnxImport *im, OnnxCall *call, GError **error);
gboolean onnx_run_map(OnnxImport *im, OnnxCall *call, GError **error);

/** onnx_array: the contents of a tensor of the file, read once.
 *  Returns: (transfer none) (nullable) */
InferArray *onnx_array(OnnxImport *im, const InferOnnx__Tensor *tensor, GError **error);
InferArray *onnx_array_sparse(OnnxImport *im, const InferOnnx__SparseTensor *sparse,
                              GError **error);

/* function.c */

/** onnx_call_function: inlines the model's own function. */
gboolean onnx_call_function(OnnxImport *im, OnnxCall *call, const InferOnnx__Function *function,
                            GError **error);

/* attrs.c */

/** onnx_collect_attrs: fills attrs and dict of @call from its node. */
gboolean onnx_collect_attrs(OnnxCall *call, GError **error);
const InferOnnx__Attr *onnx_attr(const OnnxCall *call, const char *name);
const InferOnnx__Graph *onnx_attr_graph(const OnnxCall *call, const char *name, GError **error);
/* Attributes as they are in the dictionary; @fallback where one is absent. */
gint64 onnx_int(const OnnxCall *call, const char *name, gint64 fallback);
double onnx_float(const OnnxCall *call, const char *name, double fallback);
/** onnx_string: Returns: (transfer full) */
char *onnx_string(const OnnxCall *call, const char *name, const char *fallback);
/** onnx_ints: Returns: (transfer full) (nullable): the list, NULL where it is absent. */
gint64 *onnx_ints(const OnnxCall *call, const char *name, gsize *n);
gboolean onnx_has(const OnnxCall *call, const char *name);
void onnx_drop(OnnxCall *call, const char *name);
void onnx_set_int(OnnxCall *call, const char *name, gint64 value);
void onnx_set_string(OnnxCall *call, const char *name, const char *value);

/* emit.c */

OnnxValue *onnx_value(OnnxImport *im, OnnxKind kind, InferTensor *tensor);
/** onnx_in: Returns: (nullable): input @index, NULL where it is absent. */
InferTensor *onnx_in(const OnnxCall *call, guint index);
/** onnx_set_in: puts @tensor in the place of input @index, absent ones before it. */
void onnx_set_in(OnnxCall *call, guint index, InferTensor *tensor);
/** onnx_require: the same with an error where it is absent. */
InferTensor *onnx_require(const OnnxCall *call, guint index, GError **error);

/** onnx_add_n: adds an operator, or computes it where all inputs are known.
 *  @suffix: (nullable): goes behind the node's name; @attrs: (nullable): sunk */
gboolean onnx_add_n(OnnxImport *im, const OnnxCall *call, const char *suffix, const char *op,
                    GVariant *attrs, InferTensor *const *inputs, guint n_inputs,
                    InferTensor **outputs, guint n_outputs, GError **error);
InferTensor *onnx_add(OnnxImport *im, const OnnxCall *call, const char *suffix, const char *op,
                      GVariant *attrs, InferTensor *const *inputs, guint n_inputs, GError **error);
InferTensor *onnx_add1(OnnxImport *im, const OnnxCall *call, const char *suffix, const char *op,
                       GVariant *attrs, InferTensor *input, GError **error);
InferTensor *onnx_add2(OnnxImport *im, const OnnxCall *call, const char *suffix, const char *op,
                       GVariant *attrs, InferTensor *a, InferTensor *b, GError **error);
InferTensor *onnx_const(OnnxImport *im, const OnnxCall *call, const char *suffix,
                        InferArray *array);
InferTensor *onnx_const_ints(OnnxImport *im, const OnnxCall *call, const char *suffix,
                             const gint64 *values, gsize n);
InferTensor *onnx_const_scalar(OnnxImport *im, const OnnxCall *call, const char *suffix,
                               InferType type, double value);
InferTensor *onnx_unsqueeze(OnnxImport *im, const OnnxCall *call, const char *suffix,
                            InferTensor *input, const gint64 *axes, gsize n, GError **error);
/** onnx_out: makes @tensor the output @index; FALSE where it is NULL. */
gboolean onnx_out(OnnxImport *im, OnnxCall *call, guint index, InferTensor *tensor);

G_END_DECLS
