/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

G_BEGIN_DECLS

struct _InferNetwork {
  GObject parent;

  GPtrArray *tensors; /* InferTensor */
  GPtrArray *nodes;   /* InferNode */
  GPtrArray *inputs;  /* borrowed */
  GPtrArray *outputs; /* borrowed */
  GPtrArray *symbols; /* InferSymbol */
  GHashTable *names;  /* name -> InferTensor */
  InferModelInfo *info;
  guint counter;
};

/* What passes do to networks. */

/* The parts of network.c that the loader and copies share. Tensors get names of their own. */
void infer_tensor_free(gpointer tensor);
void infer_node_free(gpointer node);
InferTensor *infer_network_add_tensor(InferNetwork *network, const char *name, InferType type,
                                      const InferDims *dims);
InferNode *infer_node_new(InferNetwork *network, const InferOp *op, const char *name,
                          GVariant *attrs, InferTensor *const *inputs, guint n_inputs,
                          guint n_outputs);

/** A deep copy of nodes and tensors; arrays are shared. */
InferNetwork *infer_network_copy(InferNetwork *network);

/** Every tensor, by InferTensor.index. */
guint infer_network_get_n_tensors(InferNetwork *network);
InferTensor *infer_network_get_tensor(InferNetwork *network, guint index);

/** Makes every reader of @from, and the outputs of the network, read @to; when @from is an output,
 *  @to takes its name. FALSE when that cannot be: @from and @to are both outputs, or @to is an
 *  input or constant that would have to be an output. */
gboolean infer_network_replace(InferNetwork *network, InferTensor *from, InferTensor *to);

/** Makes @to leave the network in place of @from, under its name; readers of @from stay. */
gboolean infer_network_replace_output(InferNetwork *network, InferTensor *from, InferTensor *to);

/** Renames @tensor; an inner tensor of that name gets another one. FALSE when an input or output
 * has the name. */
gboolean infer_network_rename(InferNetwork *network, InferTensor *tensor, const char *name);

/** Puts the nodes into the order of @nodes, which holds each of them once. */
void infer_network_order_nodes(InferNetwork *network, InferNode *const *nodes);

/** Makes @tensor an output no more. */
void infer_network_unmark_output(InferNetwork *network, InferTensor *tensor);

/** Makes @tensor a constant; its producer has to be removed by the dead code pass. */
void infer_network_set_value(InferNetwork *network, InferTensor *tensor, InferArray *value);

/** Replaces the inputs of @node. */
void infer_node_set_inputs(InferNode *node, InferTensor *const *inputs, guint n_inputs);
void infer_node_set_attrs(InferNode *node, GVariant *attrs);

/** Removes nodes none of whose outputs is read or an output, and tensors without use. Renumbers
 *  tensors and puts the nodes in order again. Returns: the number of nodes removed, -1 with
 *  @error when the network has a cycle. */
gint infer_network_compact(InferNetwork *network, GError **error);

/** Infers types and dimensions of every node again. */
gboolean infer_network_infer(InferNetwork *network, GError **error);

/**
 * InferUses: who reads each tensor.
 * @nodes: per tensor index, (element-type InferNode), a node once per input that it reads through
 */
typedef struct {
  guint n;
  GPtrArray **nodes;
} InferUses;

InferUses *infer_uses_new(InferNetwork *network);
void infer_uses_free(InferUses *uses);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InferUses, infer_uses_free)

/** Returns: the one node that reads @tensor, %NULL when there are others or it is an output. */
InferNode *infer_uses_single(const InferUses *uses, const InferTensor *tensor);

/* For the plan loader: tensors and nodes exactly as stored. */
InferTensor *infer_network_restore_tensor(InferNetwork *network, const char *name, InferType type,
                                          const InferDims *dims);
InferNode *infer_network_restore_node(InferNetwork *network, const InferOp *op, const char *name,
                                      GVariant *attrs, InferTensor *const *inputs, guint n_inputs,
                                      InferTensor *const *outputs, guint n_outputs, GError **error);
gboolean infer_network_restore_input(InferNetwork *network, InferTensor *tensor,
                                     InferArray *initial);

G_END_DECLS
