/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "network-private.h"

G_BEGIN_DECLS

/*
 * Sub-networks: what nodes such as If and Loop own. Contexts that run side by side share them, so
 * that inference and evaluation change nothing in them.
 */

/**
 * infer_graph_infer:
 * @graph: a sub-network
 * @in: what its inputs are
 * @out: (out): what its outputs are
 * @settle: record what was found at its tensors; only before it is shared
 *
 * Infers types and dimensions through a sub-network.
 */
gboolean infer_graph_infer(InferNetwork *graph, const InferOperand *in, guint n_in,
                           InferOperand *out, guint n_out, gboolean settle, GError **error);

/** InferGraphRun: what evaluating a sub-network again and again needs. */
typedef struct _InferGraphRun InferGraphRun;
InferGraphRun *infer_graph_run_new(InferNetwork *graph);
void infer_graph_run_free(InferGraphRun *run);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InferGraphRun, infer_graph_run_free)

/**
 * infer_graph_run:
 * @in: arrays for all inputs
 * @out: (out): arrays of all outputs; full references
 *
 * Evaluates every node. Fails when the thread's current #GCancellable is cancelled.
 */
gboolean infer_graph_run(InferGraphRun *run, const InferArray *const *in, guint n_in,
                         InferArray **out, guint n_out, GError **error);

/**
 * infer_graph_set_trial:
 *
 * Says that this thread computes with made up numbers, to time or to verify: loops are short then,
 * and a control node that cannot make sense of the numbers gives zeros.
 */
void infer_graph_set_trial(gboolean trial);
gboolean infer_graph_is_trial(void);

/** Checks @node's sub-networks: that they are valid and nested at most INFER_MAX_NESTING deep. */
gboolean infer_node_check_graphs(const InferNode *node, GError **error);
/** Takes copies of @graphs as the sub-networks of @node. */
void infer_node_set_graphs(InferNode *node, InferNetwork *const *graphs, guint n_graphs);
/** How many sub-networks are in each other: 1 for a network without any. */
guint infer_network_get_depth(InferNetwork *network);

/** How often a Loop runs; %INFER_DIM_UNKNOWN where that depends on data. */
gint64 infer_graph_loop_trips(const InferNode *node);

/* Values (value.c). */

/** An array that lives as long as its references: @array itself, or a copy of a view. */
InferArray *infer_array_keep(const InferArray *array, GError **error);
/** The bytes that a value holds. */
gsize infer_array_total_size(const InferArray *array);
/** Dimensions that all tensors in a sequence or optional have; unknown where they differ. */
void infer_array_item_dims(const InferArray *array, InferDims *dims);
/** What is known where either of two shapes may be. */
void infer_dims_join(InferDims *dims, const InferDims *other);
/** The same for operands; FALSE where type or kind differ. */
gboolean infer_operand_join(InferOperand *operand, const InferOperand *other);
/** Joins tensors along @axis, a new axis where @fresh. */
InferArray *infer_arrays_join(InferArray *const *arrays, guint n, gint64 axis, gboolean fresh,
                              GError **error);
/** @count elements of @axis from @start on; @drop takes the axis away where @count is 1. */
InferArray *infer_array_slice(const InferArray *array, gint axis, gint64 start, gint64 count,
                              gboolean drop, GError **error);

G_END_DECLS
