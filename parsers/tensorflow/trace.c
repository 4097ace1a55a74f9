/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trace.h"

#include <string.h>

/* What is looked for is near; a damaged graph may go in circles. */
#define MAX_STEPS 128

gboolean
tf_is_array_op(const TfNode *node, const char *op)
{
  static const char *const versions[] = {"", "V2", "V3"};
  gsize length = strlen(op);

  if (!node || !g_str_has_prefix(node->def->op, "TensorArray") ||
      strncmp(node->def->op + strlen("TensorArray"), op, length) != 0) {
    return FALSE;
  }
  for (gsize i = 0; i < G_N_ELEMENTS(versions); i++) {
    if (g_str_equal(node->def->op + strlen("TensorArray") + length, versions[i])) {
      return TRUE;
    }
  }
  return FALSE;
}

gboolean
tf_trace_step(const TfNode *node, TfEdge *edge)
{
  guint input = tf_is(node, "Split") ? 1 : 0;

  if (!tf_is_any(node, "Identity", "StopGradient", "CheckNumerics", "Cast", "Reshape", "Squeeze",
                 "ExpandDims", "Slice", "StridedSlice", "Unpack", "Transpose", "Tile", "Gather",
                 "GatherV2", "Split", "Enter", NULL) ||
      input >= node->n_inputs) {
    return FALSE;
  }
  *edge = node->inputs[input];
  return edge->node != NULL;
}

TfNode *
tf_trace(const TfGraph *graph, const TfEdge *edge)
{
  TfEdge at = *edge;

  for (guint i = 0; at.node && i < MAX_STEPS; i++) {
    if (!tf_trace_step(at.node, &at)) {
      return at.node;
    }
  }
  return NULL;
}

/* The node behind any number of Enter and Identity. */
static TfNode *
behind_enter(TfNode *node)
{
  for (guint i = 0; i < MAX_STEPS && tf_is_any(node, "Enter", "Identity", NULL); i++) {
    node = tf_source(node, 0);
  }
  return node;
}

gboolean
tf_outside(const TfGraph *graph, const TfNode *read, TfEdge *outside)
{
  if (!tf_is_array_op(read, "Read")) {
    return FALSE;
  }
  TfNode *scatter = behind_enter(tf_source(read, 2));
  if (!tf_is_array_op(scatter, "Scatter") || scatter->n_inputs < 3) {
    return FALSE;
  }
  *outside = scatter->inputs[2];
  return outside->node != NULL;
}

TfNode *
tf_array_result(const TfGraph *graph, const TfNode *write)
{
  TfNode *array = behind_enter(tf_source(write, 0));

  for (guint i = 0; array && array->readers && i < array->readers->len; i++) {
    TfNode *reader = array->readers->pdata[i];
    if (tf_is_array_op(reader, "Gather") && tf_source(reader, 0) == array) {
      return reader;
    }
  }
  return NULL;
}

gboolean
tf_number(const TfGraph *graph, TfNode *node, double *number)
{
  node = behind_enter(node);
  if (!tf_is(node, "Const")) {
    return FALSE;
  }
  g_autoptr(InferArray) array = tf_const_array(graph, node, NULL);
  if (!array || infer_array_count(array) != 1) {
    return FALSE;
  }
  *number = infer_array_get_double(array, 0);
  return TRUE;
}
