/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "graph.h"

#include <string.h>

/* Nodes with sub-networks, in the words of a user. */

/* The inputs of a node from several lists. */
static InferTensor **
gather(guint n_lists, InferTensor *const *const *lists, const guint *counts, guint *n)
{
  InferTensor **all;

  *n = 0;
  for (guint i = 0; i < n_lists; i++)
    *n += counts[i];
  all = g_new0(InferTensor *, *n + 1);
  *n = 0;
  for (guint i = 0; i < n_lists; i++)
    for (guint k = 0; k < counts[i]; k++)
      all[(*n)++] = lists[i][k];
  return all;
}

InferNode *
infer_network_add_if(InferNetwork *self, const char *name, InferTensor *condition,
                     InferTensor *const *captures, guint n_captures, InferNetwork *then_graph,
                     InferNetwork *else_graph, GError **error)
{
  InferTensor *const *const lists[] = {&condition, captures};
  const guint counts[] = {1, n_captures};
  InferNetwork *graphs[] = {then_graph, else_graph};
  guint n;
  g_autofree InferTensor **inputs = gather(2, lists, counts, &n);

  return infer_network_add_node_full(self, "If", name, inputs, n, NULL, graphs, 2,
                                     infer_network_get_n_outputs(then_graph), error);
}

InferNode *
infer_network_add_loop(InferNetwork *self, const char *name, InferTensor *trip_limit,
                       InferTensor *condition, InferTensor *const *carried, guint n_carried,
                       InferTensor *const *captures, guint n_captures, InferNetwork *body,
                       GError **error)
{
  InferTensor *const head[] = {trip_limit, condition};
  InferTensor *const *const lists[] = {head, carried, captures};
  const guint counts[] = {2, n_carried, n_captures};
  guint n, n_outputs = infer_network_get_n_outputs(body);
  g_autofree InferTensor **inputs = gather(3, lists, counts, &n);

  return infer_network_add_node_full(self, "Loop", name, inputs, n,
                                     infer_attrs_new("captures", 'i', (gint64)n_captures, NULL),
                                     &body, 1, n_outputs ? n_outputs - 1 : 0, error);
}

InferNode *
infer_network_add_scan(InferNetwork *self, const char *name, InferTensor *const *states,
                       guint n_states, InferTensor *const *scanned, guint n_scanned,
                       InferTensor *const *captures, guint n_captures, InferNetwork *body,
                       GError **error)
{
  InferTensor *const *const lists[] = {states, scanned, captures};
  const guint counts[] = {n_states, n_scanned, n_captures};
  guint n;
  g_autofree InferTensor **inputs = gather(3, lists, counts, &n);
  GVariant *attrs = infer_attrs_new("captures", 'i', (gint64)n_captures, "num_scan_inputs", 'i',
                                    (gint64)n_scanned, NULL);

  return infer_network_add_node_full(self, "Scan", name, inputs, n, attrs, &body, 1,
                                     infer_network_get_n_outputs(body), error);
}
