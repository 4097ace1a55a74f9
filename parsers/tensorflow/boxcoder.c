/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "boxcoder.h"
#include "trace.h"

#include <math.h>

/*
 * Box decoding (Faster R-CNN's coder, Ren et al. 2015) is four chains of scalar arithmetic between
 * two Unpack nodes, of encodings and of anchors, and a Pack. It is not matched node by node: the
 * chains are computed for chosen numbers, which gives the scales and shows that it is this coder.
 */

#define MAX_DEPTH 64

typedef struct {
  const TfGraph *graph;
  GHashTable *memo; /* TfNode -> double, for chains share nodes */
  TfNode *codes;
  TfNode *anchors;
  double code[4];
  double anchor[4];
} Probe;

static gboolean evaluate(Probe *probe, const TfEdge *edge, guint depth, double *value);

static gboolean
compute(Probe *probe, TfNode *node, guint depth, double *value)
{
  double a = 0, b = 0;
  gboolean one = tf_is_any(node, "Exp", "Identity", NULL);

  if (tf_is(node, "Const")) {
    return tf_number(probe->graph, node, value);
  }
  if (depth == 0 || node->n_inputs < (one ? 1u : 2u) ||
      !evaluate(probe, &node->inputs[0], depth - 1, &a) ||
      (!one && !evaluate(probe, &node->inputs[1], depth - 1, &b))) {
    return FALSE;
  }
  if (one) {
    *value = tf_is(node, "Exp") ? exp(a) : a;
  } else if (tf_is_any(node, "Add", "AddV2", NULL)) {
    *value = a + b;
  } else if (tf_is(node, "Sub")) {
    *value = a - b;
  } else if (tf_is(node, "Mul")) {
    *value = a * b;
  } else if (tf_is_any(node, "RealDiv", "Div", NULL)) {
    *value = a / b;
  } else {
    return FALSE;
  }
  return TRUE;
}

static gboolean
evaluate(Probe *probe, const TfEdge *edge, guint depth, double *value)
{
  TfNode *node = edge->node;

  if (!node) {
    return FALSE;
  }
  if (node == probe->codes || node == probe->anchors) {
    *value = edge->port < 4 ? (node == probe->codes ? probe->code : probe->anchor)[edge->port] : 0;
    return edge->port < 4;
  }
  double *known = g_hash_table_lookup(probe->memo, node);
  if (known) {
    *value = *known;
    return TRUE;
  }
  /* Until it is computed it is no number, so that a cycle ends. */
  double *slot = g_new(double, 1);
  *slot = NAN;
  g_hash_table_insert(probe->memo, node, slot);
  if (!compute(probe, node, depth, value)) {
    return FALSE;
  }
  *slot = *value;
  return TRUE;
}

static gboolean
decode(Probe *probe, const TfNode *pack, const double code[4], const double anchor[4],
       double box[4])
{
  g_hash_table_remove_all(probe->memo);
  for (guint i = 0; i < 4; i++) {
    probe->code[i] = code[i];
    probe->anchor[i] = anchor[i];
  }
  for (guint i = 0; i < 4; i++) {
    if (!evaluate(probe, &pack->inputs[i], MAX_DEPTH, &box[i])) {
      return FALSE;
    }
  }
  return TRUE;
}

/* On the unit box a code of 1 moves by 1 / scale; the logarithm of the size is 1 / scale. */
static gboolean
probe_scales(Probe *probe, const TfNode *pack, double scales[4])
{
  static const double unit[4] = {0, 0, 1, 1};
  static const double ones[4] = {1, 1, 1, 1};
  double box[4];

  if (!decode(probe, pack, ones, unit, box)) {
    return FALSE;
  }
  for (guint i = 0; i < 2; i++) {
    scales[i] = 1 / ((box[i] + box[i + 2]) / 2 - 0.5);
    scales[i + 2] = 1 / log(box[i + 2] - box[i]);
  }
  for (guint i = 0; i < 4; i++) {
    scales[i] = (float)scales[i];
    if (!isfinite(scales[i]) || scales[i] == 0) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
verify(Probe *probe, const TfNode *pack, const double scales[4])
{
  static const double code[4] = {0.7, -1.3, 0.4, -0.9};
  static const double anchor[4] = {0.1, 0.25, 0.6, 0.4};
  double box[4];

  if (!decode(probe, pack, code, anchor, box)) {
    return FALSE;
  }
  for (guint i = 0; i < 2; i++) {
    double size = anchor[i + 2] - anchor[i];
    double centre = anchor[i] + size / 2 + code[i] / scales[i] * size;
    double half = exp(code[i + 2] / scales[i + 2]) * size / 2;
    if (!(fabs(box[i] - (centre - half)) < 1e-5 && fabs(box[i + 2] - (centre + half)) < 1e-5)) {
      return FALSE;
    }
  }
  return TRUE;
}

/* The Unpack nodes that the chains end at: the one that an Exp reads has the encodings. */
static gboolean
find_unpacks(Probe *probe, const TfNode *pack)
{
  g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
  g_autoptr(GPtrArray) stack = g_ptr_array_new();
  TfNode *found[2] = {NULL};
  TfNode *exponent = NULL;

  g_ptr_array_add(stack, (gpointer)pack);
  while (stack->len > 0) {
    TfNode *node = g_ptr_array_steal_index_fast(stack, stack->len - 1);
    if (tf_is(node, "Unpack")) {
      if (found[0] != node && found[1] != node) {
        if (found[1]) {
          return FALSE;
        }
        found[found[0] ? 1 : 0] = node;
      }
      continue;
    }
    exponent = tf_is(node, "Exp") ? node : exponent;
    for (guint i = 0; i < node->n_inputs; i++) {
      TfNode *source = node->inputs[i].node;
      if (source && g_hash_table_add(seen, source)) {
        g_ptr_array_add(stack, source);
      }
    }
  }
  while (exponent && !tf_is(exponent, "Unpack")) {
    TfNode *left = tf_source(exponent, 0);
    gboolean swap = tf_is(exponent, "Mul") && tf_is(left, "Const");
    exponent = swap ? tf_source(exponent, 1) : left;
    if (exponent && !g_hash_table_remove(seen, exponent)) {
      return FALSE;
    }
  }
  probe->codes = exponent;
  probe->anchors = found[0] == exponent ? found[1] : found[0];
  return probe->codes && probe->anchors;
}

/* What was unpacked, before it was laid out as columns (and, for anchors, repeated). */
static TfEdge
unpacked(const TfNode *unpack, gboolean repeated)
{
  TfEdge edge = unpack->n_inputs ? unpack->inputs[0] : (TfEdge){NULL, 0};

  for (guint i = 0; edge.node && i < MAX_DEPTH; i++) {
    gboolean reshape = tf_is(edge.node, "Reshape");
    if (!reshape && !tf_is_any(edge.node, "Transpose", "Identity", NULL) &&
        !(repeated && tf_is_any(edge.node, "Tile", "ExpandDims", NULL))) {
      break;
    }
    if (!tf_trace_step(edge.node, &edge) || (reshape && !repeated)) {
      break;
    }
  }
  return edge;
}

static void
probe_clear(Probe *probe)
{
  g_hash_table_unref(probe->memo);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Probe, probe_clear)

gboolean
tf_box_coder_find(const TfGraph *graph, const TfEdge *boxes, TfBoxCoder *coder, GError **error)
{
  TfNode *pack = tf_trace(graph, boxes);
  g_auto(Probe) probe = {.graph = graph, .memo = g_hash_table_new_full(NULL, NULL, NULL, g_free)};

  if (!tf_is(pack, "Pack") || pack->n_inputs != 4) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "the boxes come from '%s' (%s), not from a box decoding that is known",
                    pack ? pack->def->name : "?", pack ? pack->def->op : "?");
  }
  if (!find_unpacks(&probe, pack) || !probe_scales(&probe, pack, coder->scales) ||
      !verify(&probe, pack, coder->scales)) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "the box decoding that ends in '%s' is not Faster R-CNN's", pack->def->name);
  }
  coder->encodings = unpacked(probe.codes, FALSE);
  coder->anchors = unpacked(probe.anchors, TRUE);
  return (coder->encodings.node && coder->anchors.node) ||
         tf_error(error, INFER_ERROR_MODEL, "the inputs of the box decoding are missing");
}
