/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Conditions whose predicate is a constant, as graphs have that were frozen from training code:
 * the branch that is not taken is dead, and so is all that reads from it. */

static gboolean
emit_switch(TfImport *im, TfNode *node, GError **error)
{
  g_autoptr(InferArray) predicate = tf_const(node, 1, error);
  if (!predicate) {
    return FALSE;
  }
  if (infer_array_count(predicate) != 1) {
    return tf_error(error, INFER_ERROR_MODEL, "the condition is not one value");
  }
  guint taken = infer_array_get_int(predicate, 0) != 0 ? 1 : 0;
  tf_output(node, 1 - taken)->dead = TRUE;
  return tf_forward(node, taken, 0, error);
}

static gboolean
is_dead(const TfEdge *edge)
{
  GArray *values = edge->node->values;
  return edge->node->dead ||
         (values && edge->port < values->len && g_array_index(values, TfValue, edge->port).dead);
}

static gboolean
emit_merge(TfImport *im, TfNode *node, GError **error)
{
  guint alive = 0, n_alive = 0;

  for (guint i = 0; i < node->n_inputs; i++) {
    if (!is_dead(&node->inputs[i])) {
      alive = i;
      n_alive++;
    }
  }
  if (n_alive == 0) {
    node->dead = TRUE;
    return TRUE;
  }
  if (n_alive > 1) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "loops and conditions that are decided at run "
                    "time are not supported");
  }
  return tf_forward(node, 0, alive, error) &&
         tf_out(node, 1, tf_scalar(im, node, "index", INFER_TYPE_INT32, alive));
}

static gboolean
emit_loop(TfImport *im, TfNode *node, GError **error)
{
  return tf_error(error, INFER_ERROR_UNSUPPORTED, "loops are not supported");
}

const TfOp tf_ops_control[] = {
    {"Switch", emit_switch},
    {"Merge", emit_merge},
    {"Enter", emit_loop},
    {"Exit", emit_loop},
    {"NextIteration", emit_loop},
    {"LoopCond", emit_loop},
    {NULL, NULL},
};
