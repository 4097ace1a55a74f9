/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "graph.h"

G_BEGIN_DECLS

/* What If, Loop, Scan and SequenceMap share. */

/** The most iterations of one Loop; fewer where it has no limit of its own and where numbers are
 *  made up. */
#define CONTROL_MAX_TRIPS ((gint64)1 << 24)
#define CONTROL_MAX_OPEN_TRIPS ((gint64)1 << 20)
#define CONTROL_MAX_TRIAL_TRIPS 64
/** The most bytes that a loop carries and collects; what is shared counts each time. */
#define CONTROL_MAX_BYTES ((gsize)2 << 30)

/** Reads the attribute "captures": how many of the inputs behind the first @least are captures. */
gboolean control_captures(const InferNode *node, guint n_in, guint least, guint *captures,
                          GError **error);

/** Gives output @index the value @array: copied to where planned memory is, else by reference. */
gboolean control_put(const InferEvalArgs *args, guint index, InferArray *array, GError **error);

/** One iteration may change what it hands on: repeats @infer until the states stay.
 *  @in: operands of the body's inputs, with @n_states states from @first on
 *  @out: operands of its outputs, with the states from @first_out on */
gboolean control_infer_states(InferShapeArgs *args, InferOperand *in, guint n_in, guint first,
                              guint n_states, InferOperand *out, guint n_out, guint first_out,
                              GError **error);

/** Arrays that iterations add to. */
typedef struct {
  guint n;
  GPtrArray **lists;
  gsize bytes;
} ControlLists;

void control_lists_init(ControlLists *self, guint n);
void control_lists_clear(ControlLists *self);
/** Takes @array. FALSE where the loop holds too much by now, with @carried bytes besides. */
gboolean control_lists_add(ControlLists *self, const InferNode *node, guint index,
                           InferArray *array, gsize carried, GError **error);
/** Gives output @output what was collected, stacked; without any an empty array like the body's
 * output
 *  @graph_output. */
gboolean control_lists_put(ControlLists *self, const InferEvalArgs *args, guint index, guint output,
                           guint graph_output, gint64 axis, gboolean backwards, GError **error);

/** With made up numbers an evaluation that fails gives zeros. */
gboolean control_finish(const InferEvalArgs *args, gboolean ok, GError **error);

G_END_DECLS
