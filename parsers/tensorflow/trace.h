/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "import.h"

G_BEGIN_DECLS

/* Following a value backwards through a graph, without importing it. */

/** tf_trace: from @edge back over operators that only rearrange or pass on their first input, as
 *  far as that goes. Returns: (nullable): the node where it ends. */
TfNode *tf_trace(const TfGraph *graph, const TfEdge *edge);
/** tf_trace_step: the edge that such an operator passes on. Returns: FALSE for others. */
gboolean tf_trace_step(const TfNode *node, TfEdge *edge);
/** tf_outside: where @read is a TensorArrayRead of a loop, the whole value that the loop was given
 *  outside. */
gboolean tf_outside(const TfGraph *graph, const TfNode *read, TfEdge *outside);
/** tf_is_array_op: whether the node is that operator of tensor arrays, in any version. */
gboolean tf_is_array_op(const TfNode *node, const char *op);
/** tf_array_result: the node outside that gathers what @write stores in a loop. */
TfNode *tf_array_result(const TfGraph *graph, const TfNode *write);
/** tf_number: the value of a constant scalar that may stand behind Identity and Enter. */
gboolean tf_number(const TfGraph *graph, TfNode *node, double *number);

G_END_DECLS
