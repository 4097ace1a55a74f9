/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib-object.h>
#include <infer/array.h>
#include <infer/modelinfo.h>

G_BEGIN_DECLS

typedef struct _InferOp InferOp;
typedef struct _InferNode InferNode;
typedef struct _InferTensor InferTensor;
typedef struct _InferNetwork InferNetwork;

#define INFER_TYPE_NETWORK (infer_network_get_type())
/**
 * InferNetwork:
 *
 * A network: tensors (edges) and nodes (operators of ONNX's set and of our own domain), kept in an
 * order in which every node follows the nodes it reads from. Tensors and nodes belong to the
 * network and live as long as it. A network is used by one thread at a time.
 */
INFER_API
G_DECLARE_FINAL_TYPE(InferNetwork, infer_network, INFER, NETWORK, GObject)

/**
 * InferTensor:
 * @name: unique name
 * @type: element type
 * @dims: logical dimensions; symbols where they are not constant
 * @value: the contents where they are constant, else %NULL
 * @initial: (nullable): the default contents of an optional input, else %NULL
 * @producer: (nullable): the node that writes it
 * @is_input: it is an input of the network
 * @is_output: it is an output of the network
 * @kind: what it is; a sequence or optional has no dimensions (their number is -1)
 * @item_dims: dimensions of every tensor in a sequence or optional, as far as they are known
 * @has_content: @content is valid
 * @content: the partly known elements (at most INFER_MAX_DIMS) of a small integer tensor,
 *   constants, symbols or %INFER_DIM_UNKNOWN: how shapes propagate
 * @has_range: @range_min and @range_max are set
 * @range_min: the least value that the elements take, for quantization
 * @range_max: the largest
 *
 * An edge of the network. Read-only to users, who change it through the functions below. It
 * belongs to its network; as a boxed type, a copy is the same tensor and keeps the network alive.
 */
struct _InferTensor {
  char *name;
  InferType type;
  InferDims dims;
  InferArray *value;
  InferArray *initial;
  InferNode *producer;
  gboolean is_input;
  gboolean is_output;
  InferKind kind;
  InferDims item_dims;
  gboolean has_content;
  InferDims content;
  gboolean has_range;
  float range_min;
  float range_max;
  /*< private >*/
  guint index;
  InferNetwork *network;
  gboolean is_debug;
};

/**
 * InferNode:
 * @name: name, as in the model
 * @op: the operator
 * @attrs: a vardict: integers as 'x', floats as 'd', strings as 's', lists as 'ax', 'ad', 'as'
 * @n_inputs: number of inputs
 * @inputs: (array length=n_inputs): tensors; %NULL for an optional input that is absent
 * @n_outputs: number of outputs
 * @outputs: (array length=n_outputs): tensors
 * @n_graphs: number of sub-networks: two for If (then, else), one for Loop, Scan and SequenceMap
 * @graphs: (array length=n_graphs): sub-networks; they belong to the node
 *
 * An operator in a network. Read-only to users. It belongs to its network; as a boxed type, a
 * copy is the same node and keeps the network alive.
 */
struct _InferNode {
  char *name;
  const InferOp *op;
  GVariant *attrs;
  guint n_inputs;
  InferTensor **inputs;
  guint n_outputs;
  InferTensor **outputs;
  guint n_graphs;
  InferNetwork **graphs;
  /*< private >*/
  InferType precision;
  gboolean on_host;
  InferNetwork *network;
};

/**
 * InferSymbol:
 * @name: name, "batch" for the batch
 * @min: least value
 * @opt: the value to tune for
 * @max: greatest value
 *
 * A dimension that is known at run time only.
 */
typedef struct {
  char *name;
  gint64 min, opt, max;
} InferSymbol;

/**
 * infer_network_new:
 *
 * Returns: (transfer full): a network without tensors and nodes.
 */
INFER_API InferNetwork *infer_network_new(void);

/**
 * infer_network_add_symbol:
 * @network: a network
 * @name: name of the dimension; the name "batch" makes it the batch
 * @min: least value, at least 0
 * @opt: the value to tune for
 * @max: greatest value
 *
 * Returns: the dimension to put in an #InferDims; the one of before where @name is there already.
 */
INFER_API gint64 infer_network_add_symbol(InferNetwork *network, const char *name, gint64 min,
                                          gint64 opt, gint64 max);
/**
 * infer_network_get_n_symbols:
 *
 * Returns: how many open dimensions there are
 */
INFER_API guint infer_network_get_n_symbols(InferNetwork *network);
/**
 * infer_network_get_symbol:
 *
 * Returns: (transfer none) (nullable): the dimension
 */
INFER_API const InferSymbol *infer_network_get_symbol(InferNetwork *network, guint index);
/**
 * infer_network_set_symbol_range:
 *
 * Changes the range that a symbol may take.
 */
INFER_API gboolean infer_network_set_symbol_range(InferNetwork *network, const char *name,
                                                  gint64 min, gint64 opt, gint64 max,
                                                  GError **error);

/**
 * infer_network_add_input:
 * @network: a network
 * @name: unique name
 * @type: element type
 * @dims: dimensions, with symbols where they vary
 * @initial: (nullable): the contents to use when nothing is bound; makes the input optional
 * @error: return location
 *
 * Returns: (transfer none) (nullable): the input, or %NULL with @error set.
 */
INFER_API InferTensor *infer_network_add_input(InferNetwork *network, const char *name,
                                               InferType type, const InferDims *dims,
                                               InferArray *initial, GError **error);

/**
 * infer_network_add_constant:
 * @network: a network
 * @name: (nullable): unique name; made up when %NULL
 * @value: the contents; a reference is taken
 *
 * Returns: (transfer none): a constant tensor. Where @name is taken a number is appended.
 */
INFER_API InferTensor *infer_network_add_constant(InferNetwork *network, const char *name,
                                                  InferArray *value);

/**
 * infer_network_add_node:
 * @network: a network
 * @op: operator, for example "Conv", or "infer.BoxDecode" of our own domain
 * @name: (nullable): name; made up when %NULL
 * @inputs: (array length=n_inputs): inputs; %NULL where absent
 * @n_inputs: number of inputs
 * @attrs: (nullable): a vardict as in #InferNode; a floating reference is sunk
 * @n_outputs: number of outputs wanted
 * @error: return location
 *
 * Adds an operator and infers the types and dimensions of its outputs, which are named after
 * the node ("name:0", the first plainly "name"). Attributes are checked against the operator.
 *
 * Returns: (transfer none) (nullable): the node, or %NULL with @error naming node and reason.
 */
INFER_API InferNode *infer_network_add_node(InferNetwork *network, const char *op, const char *name,
                                            InferTensor *const *inputs, guint n_inputs,
                                            GVariant *attrs, guint n_outputs, GError **error);

/**
 * infer_network_add_input_value:
 * @network: a network
 * @name: unique name
 * @kind: a kind of value
 * @type: element type
 * @item_dims: (nullable): dimensions of the tensors in it; %NULL where they are not known
 * @error: return location
 *
 * Adds an input that is a sequence or an optional. It is bound with infer_context_set_value().
 * With %INFER_KIND_TENSOR it is a tensor whose dimensions or rank may be unknown, which inputs of
 * sub-networks may be; a network that an engine is built of needs to know its own inputs'.
 *
 * Returns: (transfer none) (nullable): the input, or %NULL with @error set.
 */
INFER_API InferTensor *infer_network_add_input_value(InferNetwork *network, const char *name,
                                                     InferKind kind, InferType type,
                                                     const InferDims *item_dims, GError **error);

/**
 * INFER_MAX_NESTING:
 *
 * The most sub-networks that can be around each other.
 */
#define INFER_MAX_NESTING 12

/**
 * infer_network_add_node_full:
 * @network: a network
 * @op: operator, for example "If"
 * @name: (nullable): name; made up when %NULL
 * @inputs: (array length=n_inputs): inputs; %NULL where absent
 * @n_inputs: number of inputs
 * @attrs: (nullable): a vardict as in #InferNode; a floating reference is sunk
 * @graphs: (array length=n_graphs) (nullable): sub-networks, which are copied
 * @n_graphs: number of sub-networks
 * @n_outputs: number of outputs wanted
 * @error: return location
 *
 * infer_network_add_node() for operators with sub-networks. What a sub-network reads of the
 * network around it is an explicit input: the last inputs of the node are these captures (their
 * number is the attribute "captures"; for If, every input behind the condition is one), and the
 * last inputs of each sub-network are the same. Open dimensions are those of @network: a
 * sub-network has none of its own. The types and dimensions of a sub-network's inputs follow what
 * they are given.
 *
 * Returns: (transfer none) (nullable): the node, or %NULL with @error naming node and reason.
 */
INFER_API InferNode *infer_network_add_node_full(InferNetwork *network, const char *op,
                                                 const char *name, InferTensor *const *inputs,
                                                 guint n_inputs, GVariant *attrs,
                                                 InferNetwork *const *graphs, guint n_graphs,
                                                 guint n_outputs, GError **error);

/**
 * infer_network_add_if:
 * @network: a network
 * @name: (nullable): name
 * @condition: a bool
 * @captures: (array length=n_captures): what the branches read, the inputs of both
 * @n_captures: how many there are
 * @then_graph: what runs when the condition is true
 * @else_graph: what runs when it is false; it has outputs of the same number and types
 * @error: return location
 *
 * A conditional. Dimensions in which the branches differ are not known until it has run.
 *
 * Returns: (transfer none) (nullable): the node; its outputs are those of the branches
 */
INFER_API InferNode *infer_network_add_if(InferNetwork *network, const char *name,
                                          InferTensor *condition, InferTensor *const *captures,
                                          guint n_captures, InferNetwork *then_graph,
                                          InferNetwork *else_graph, GError **error);

/**
 * infer_network_add_loop:
 * @network: a network
 * @name: (nullable): name
 * @trip_limit: (nullable): an int64, the most iterations
 * @condition: (nullable): a bool, whether the first iteration runs
 * @carried: (array length=n_carried): the first values of what iterations hand on (recurrences)
 * @n_carried: how many there are
 * @captures: (array length=n_captures): what the body reads besides
 * @n_captures: how many there are
 * @body: takes the iteration (int64), the condition (bool), what is carried and the captures; gives
 *   the next condition, what is carried on, and any number of tensors that are stacked
 * @error: return location
 *
 * Returns: (transfer none) (nullable): the node; its outputs are what was carried last, then what
 *   was stacked along a new first axis
 */
INFER_API InferNode *infer_network_add_loop(InferNetwork *network, const char *name,
                                            InferTensor *trip_limit, InferTensor *condition,
                                            InferTensor *const *carried, guint n_carried,
                                            InferTensor *const *captures, guint n_captures,
                                            InferNetwork *body, GError **error);

/**
 * infer_network_add_scan:
 * @network: a network
 * @name: (nullable): name
 * @states: (array length=n_states): the first values of what iterations hand on
 * @n_states: how many there are
 * @scanned: (array length=n_scanned): tensors that are gone through along axis 0 (iterators)
 * @n_scanned: how many there are
 * @captures: (array length=n_captures): what the body reads besides
 * @n_captures: how many there are
 * @body: takes the states, a slice of each of @scanned and the captures; gives the next states and
 *   any number of tensors that are stacked
 * @error: return location
 *
 * For other axes and directions use infer_network_add_node_full() with ONNX's attributes.
 *
 * Returns: (transfer none) (nullable): the node; its outputs are the last states, then what was
 *   stacked
 */
INFER_API InferNode *infer_network_add_scan(InferNetwork *network, const char *name,
                                            InferTensor *const *states, guint n_states,
                                            InferTensor *const *scanned, guint n_scanned,
                                            InferTensor *const *captures, guint n_captures,
                                            InferNetwork *body, GError **error);

/**
 * infer_node_get_graph:
 * @node: a node
 * @index: sub-network
 *
 * Returns: (transfer none) (nullable): the sub-network; it belongs to the node and is not to be
 *   changed
 */
INFER_API InferNetwork *infer_node_get_graph(const InferNode *node, guint index);

/**
 * infer_network_mark_output:
 * @network: a network
 * @tensor: a tensor of it
 * @name: (nullable): its new name
 * @error: return location
 *
 * Makes @tensor an output, renamed to @name where that is given.
 */
INFER_API gboolean infer_network_mark_output(InferNetwork *network, InferTensor *tensor,
                                             const char *name, GError **error);

/**
 * infer_network_mark_debug:
 * @network: a network
 * @tensor: a tensor of it that a node writes
 * @error: return location
 *
 * Keeps @tensor through all optimizations, under its name and in its type, so that a listener can
 * be told of it in every run (infer_context_set_debug_listener()). It is no output of the engine.
 * Layers around it are not fused across it, which takes time.
 *
 * Returns: success
 */
INFER_API gboolean infer_network_mark_debug(InferNetwork *network, InferTensor *tensor,
                                            GError **error);
/**
 * infer_network_unmark_debug:
 * @network: a network
 * @tensor: a tensor of it
 */
INFER_API void infer_network_unmark_debug(InferNetwork *network, InferTensor *tensor);

/**
 * infer_network_get_n_nodes:
 *
 * Returns: how many nodes there are
 */
INFER_API guint infer_network_get_n_nodes(InferNetwork *network);
/**
 * infer_network_get_node:
 *
 * Returns: (transfer none) (nullable): the node
 */
INFER_API InferNode *infer_network_get_node(InferNetwork *network, guint index);
/**
 * infer_network_get_n_inputs:
 *
 * Returns: how many inputs there are, optional ones among them
 */
INFER_API guint infer_network_get_n_inputs(InferNetwork *network);
/**
 * infer_network_get_input:
 *
 * Returns: (transfer none) (nullable): the input
 */
INFER_API InferTensor *infer_network_get_input(InferNetwork *network, guint index);
/**
 * infer_network_get_n_outputs:
 *
 * Returns: how many outputs there are
 */
INFER_API guint infer_network_get_n_outputs(InferNetwork *network);
/**
 * infer_network_get_output:
 *
 * Returns: (transfer none) (nullable): the output
 */
INFER_API InferTensor *infer_network_get_output(InferNetwork *network, guint index);
/**
 * infer_network_find_tensor:
 *
 * Returns: (transfer none) (nullable): the tensor of that name
 */
INFER_API InferTensor *infer_network_find_tensor(InferNetwork *network, const char *name);

/**
 * infer_network_get_model_info:
 *
 * Returns: (transfer none) (nullable): how frames become inputs and outputs objects
 */
INFER_API InferModelInfo *infer_network_get_model_info(InferNetwork *network);
/**
 * infer_network_set_model_info:
 * @network: a network
 * @info: (nullable): how frames become inputs and outputs objects
 */
INFER_API void infer_network_set_model_info(InferNetwork *network, InferModelInfo *info);

/**
 * infer_network_validate:
 *
 * Checks every invariant of the network; for tests and passes.
 */
INFER_API gboolean infer_network_validate(InferNetwork *network, GError **error);

/**
 * infer_tensor_set_name:
 * @tensor: a tensor
 * @name: a name that no input or output has; an inner tensor of that name gets another one
 * @error: return location
 *
 * Returns: success
 */
INFER_API gboolean infer_tensor_set_name(InferTensor *tensor, const char *name, GError **error);

/**
 * infer_tensor_set_type:
 * @tensor: an input of the network without a default
 * @type: the type that it is bound with
 * @error: return location
 *
 * Changes the type of an input, and infers the types of all that follow again. Nothing is
 * converted: where an operator does not take the type the input stays as it was.
 *
 * Returns: success
 */
INFER_API gboolean infer_tensor_set_type(InferTensor *tensor, InferType type, GError **error);

/**
 * infer_tensor_set_dynamic_range:
 * @tensor: a tensor
 * @min: the least value that its elements take
 * @max: the largest, above @min
 * @error: return location
 *
 * Says what values a tensor takes, for quantization without calibration.
 *
 * Returns: success
 */
INFER_API gboolean infer_tensor_set_dynamic_range(InferTensor *tensor, float min, float max,
                                                  GError **error);

/**
 * infer_tensor_get_dims:
 * @tensor: a tensor
 *
 * Returns: (transfer none): its dimensions
 */
INFER_API const InferDims *infer_tensor_get_dims(InferTensor *tensor);

INFER_API GType infer_tensor_get_type(void);
INFER_API GType infer_node_get_type(void);

/**
 * infer_node_set_precision:
 * @node: a node
 * @type: %INFER_TYPE_FLOAT, %INFER_TYPE_FLOAT16 or %INFER_TYPE_BFLOAT16; %INFER_TYPE_UNDEFINED lets
 *   the builder choose
 * @error: return location
 *
 * What the layer has to compute in, whatever the builder would choose. A build fails with the
 * layer's name where the device cannot.
 *
 * Returns: success
 */
INFER_API gboolean infer_node_set_precision(InferNode *node, InferType type, GError **error);
/**
 * infer_node_set_device:
 * @node: a node
 * @device: (nullable): "host" for the processor that the program runs on; %NULL for the builder's
 *   device
 * @error: return location
 *
 * Where the layer has to run.
 *
 * Returns: success
 */
INFER_API gboolean infer_node_set_device(InferNode *node, const char *device, GError **error);
/**
 * infer_node_get_op_name:
 *
 * Returns: the operator's name ("Conv").
 */
INFER_API const char *infer_node_get_op_name(const InferNode *node);

/**
 * infer_node_get_output:
 * @node: a node
 * @index: output
 *
 * Returns: (transfer none) (nullable): the output, %NULL when there is none of that number
 */
INFER_API InferTensor *infer_node_get_output(const InferNode *node, guint index);

/**
 * infer_node_get_input:
 * @node: a node
 * @index: input
 *
 * Returns: (transfer none) (nullable): the input, %NULL when there is none of that number
 */
INFER_API InferTensor *infer_node_get_input(const InferNode *node, guint index);

/**
 * infer_node_get_int:
 * @node: a node
 * @name: attribute
 * @fallback: what an absent attribute is
 *
 * Returns: the integer
 */
INFER_API gint64 infer_node_get_int(const InferNode *node, const char *name, gint64 fallback);
/**
 * infer_node_get_float:
 * @node: a node
 * @name: attribute
 * @fallback: what an absent attribute is
 *
 * Returns: the number
 */
INFER_API double infer_node_get_float(const InferNode *node, const char *name, double fallback);
/**
 * infer_node_get_string:
 * @node: a node
 * @name: attribute
 * @fallback: (nullable): what an absent attribute is
 *
 * Returns: (transfer none) (nullable): the string; it belongs to the node
 */
INFER_API const char *infer_node_get_string(const InferNode *node, const char *name,
                                            const char *fallback);
/**
 * infer_node_get_ints:
 * @node: a node
 * @name: attribute
 * @n: (out): how many there are
 *
 * Returns: (transfer none) (array length=n) (nullable): the list, or %NULL with @n = 0.
 */
INFER_API const gint64 *infer_node_get_ints(const InferNode *node, const char *name, gsize *n);
/**
 * infer_node_get_floats:
 * @node: a node
 * @name: attribute
 * @n: (out): how many there are
 *
 * Returns: (transfer none) (array length=n) (nullable): the list, or %NULL with @n = 0.
 */
INFER_API const double *infer_node_get_floats(const InferNode *node, const char *name, gsize *n);
/**
 * infer_node_get_bytes:
 * @node: a node
 * @name: attribute
 * @n: (out): how many there are
 *
 * Returns: (transfer none) (array length=n) (nullable): the bytes, or %NULL with @n = 0.
 */
INFER_API const guint8 *infer_node_get_bytes(const InferNode *node, const char *name, gsize *n);
/**
 * infer_node_get_strings:
 * @node: a node
 * @name: attribute
 *
 * Returns: (transfer container) (array zero-terminated=1) (nullable): the list; its strings are the
 *   node's
 */
INFER_API const char **infer_node_get_strings(const InferNode *node, const char *name);
/**
 * infer_node_has_attr:
 *
 * Returns: whether the node has an attribute @name.
 */
INFER_API gboolean infer_node_has_attr(const InferNode *node, const char *name);

/**
 * infer_node_get_op_version:
 *
 * Returns: the operator's version: ONNX's operator set, or a plugin's version.
 */
INFER_API guint infer_node_get_op_version(const InferNode *node);

/**
 * infer_attrs_new: (skip)
 * @first: name of the first attribute, or %NULL for none
 * @...: triples without the first name: kind and value, then the next name; %NULL ends the list
 *
 * Kinds: 'i' and a gint64, 'f' and a double, 's' and a string, 'I' and (const gint64 *, gsize n),
 * 'F' and (const double *, gsize n). For example:
 * `infer_attrs_new("group", 'i', (gint64)3, "pads", 'I', pads, (gsize)4, NULL)`.
 *
 * Returns: (transfer floating): a vardict for infer_network_add_node().
 */
INFER_API GVariant *infer_attrs_new(const char *first, ...) G_GNUC_NULL_TERMINATED;

G_END_DECLS
