/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/network.h>

G_BEGIN_DECLS

typedef struct _InferImpl InferImpl;

/**
 * InferOrder:
 * @n: number of dimensions
 * @axis: logical axes, outermost in memory first
 *
 * The order in memory of a dense tensor. Row-major is 0, 1, 2 ...; channels-last of rank 4 is
 * 0, 2, 3, 1.
 */
typedef struct {
  gint n;
  guint8 axis[INFER_MAX_DIMS];
} InferOrder;

INFER_API InferOrder infer_order_row_major(gint rank);
/** infer_order_channels_last: axis 1 innermost; row-major below rank 3. */
INFER_API InferOrder infer_order_channels_last(gint rank);
INFER_API gboolean infer_order_equal(const InferOrder *a, const InferOrder *b);
/** infer_order_strides: strides in elements of dense @dims in @order. */
INFER_API void infer_order_strides(const InferOrder *order, const InferDims *dims, gint64 *strides);

/**
 * InferLayout: what an implementation wants of an operand.
 * @INFER_LAYOUT_ROW_MAJOR: dense, row-major
 * @INFER_LAYOUT_CHANNELS_LAST: dense, channels innermost
 * @INFER_LAYOUT_ANY: dense in any order, the same order for all operands marked so
 */
typedef enum {
  INFER_LAYOUT_ROW_MAJOR,
  INFER_LAYOUT_CHANNELS_LAST,
  INFER_LAYOUT_ANY,
} InferLayout;

/**
 * InferStep:
 * @nodes: the nodes, in order; kept so that a step can be split and evaluated by reference
 * @anchor: index of the node that the step is built around
 * @inputs: tensors that come from outside, each once, in order of first use
 * @outputs: tensors that leave
 * @impl: what runs it; %NULL for a view, which runs nothing
 *
 * One thing that the runtime does.
 */
typedef struct {
  char *name;
  guint n_nodes;
  InferNode **nodes;
  guint anchor;
  guint n_inputs;
  InferTensor **inputs;
  guint n_outputs;
  InferTensor **outputs;
  const InferImpl *impl;
} InferStep;

/** infer_step_find_input: Returns: index of @tensor in the step's inputs, -1 when not there. */
INFER_API gint infer_step_find_input(const InferStep *step, const InferTensor *tensor);
INFER_API gint infer_step_find_output(const InferStep *step, const InferTensor *tensor);

/**
 * InferProgram:
 * @network: the lowered network; every node belongs to one step
 * @steps: (element-type InferStep): in order
 * @orders: order in memory of each tensor, by InferTensor.index
 * @tunings: (element-type InferTuning): what was measured to be best for some shapes
 *
 * A network cut into steps with implementations and layouts chosen.
 */
typedef struct {
  InferNetwork *network;
  GPtrArray *steps;
  InferOrder *orders;
  GPtrArray *tunings;
} InferProgram;

void infer_program_free(InferProgram *program);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InferProgram, infer_program_free)

G_END_DECLS
