/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert.h"
#include "number.h"

#include <math.h>

extern const InferOp *const infer_ops_treeensemble[];

/*
 * TreeEnsemble of ai.onnx.ml 5. ONNX's attributes that are tensors are lists here: nodes_modes of
 * integers; nodes_splits, leaf_weights, membership_values and nodes_hitrates (which nothing
 * depends on) of floats.
 */

typedef enum {
  TREE_LEQ,
  TREE_LT,
  TREE_GTE,
  TREE_GT,
  TREE_EQ,
  TREE_NEQ,
  TREE_MEMBER,
} TreeMode;

typedef enum {
  TREE_AVERAGE,
  TREE_SUM,
  TREE_MIN,
  TREE_MAX,
} TreeAggregate;

typedef enum {
  TREE_NONE,
  TREE_SOFTMAX,
  TREE_LOGISTIC,
  TREE_SOFTMAX_ZERO,
  TREE_PROBIT,
} TreeTransform;

typedef struct {
  const gint64 *roots, *modes, *features, *missing, *targets;
  const gint64 *next[2], *leaf[2]; /* where false leads, then where true does */
  const double *splits, *members, *weights;
  gsize n_roots, n_nodes, n_leaves, n_members;
  gint64 n_targets, aggregate, transform;
} Trees;

/* Of a target: what its leaves make together, and whether there was one. */
typedef struct {
  double value;
  gboolean seen;
} Target;

static const gint64 *
node_list(const InferNode *node, const char *name, gsize n, gboolean *good)
{
  gsize have;
  const gint64 *list = infer_node_get_ints(node, name, &have);
  *good = *good && have == n;
  return list;
}

static gboolean
trees_lists(const InferNode *node, Trees *t)
{
  gsize n_weights, n_splits, n_missing;
  gboolean good = TRUE;
  memset(t, 0, sizeof *t);
  t->roots = infer_node_get_ints(node, "tree_roots", &t->n_roots);
  t->modes = infer_node_get_ints(node, "nodes_modes", &t->n_nodes);
  t->targets = infer_node_get_ints(node, "leaf_targetids", &t->n_leaves);
  t->features = node_list(node, "nodes_featureids", t->n_nodes, &good);
  t->next[0] = node_list(node, "nodes_falsenodeids", t->n_nodes, &good);
  t->next[1] = node_list(node, "nodes_truenodeids", t->n_nodes, &good);
  t->leaf[0] = node_list(node, "nodes_falseleafs", t->n_nodes, &good);
  t->leaf[1] = node_list(node, "nodes_trueleafs", t->n_nodes, &good);
  t->missing = infer_node_get_ints(node, "nodes_missing_value_tracks_true", &n_missing);
  t->splits = infer_node_get_floats(node, "nodes_splits", &n_splits);
  t->weights = infer_node_get_floats(node, "leaf_weights", &n_weights);
  t->members = infer_node_get_floats(node, "membership_values", &t->n_members);
  t->missing = n_missing > 0 ? t->missing : NULL;
  return good && t->n_roots > 0 && t->n_nodes > 0 && t->n_leaves > 0 && n_splits == t->n_nodes &&
         n_weights == t->n_leaves && (n_missing == 0 || n_missing == t->n_nodes);
}

/* Whether every id that a walk can meet is one that is there. */
static gboolean
trees_ids(const Trees *t, gint64 features)
{
  for (gsize i = 0; i < t->n_roots; i++)
    if (t->roots[i] < 0 || t->roots[i] >= (gint64)t->n_nodes)
      return FALSE;
  for (gsize i = 0; i < t->n_leaves; i++)
    if (t->targets[i] < 0 || t->targets[i] >= t->n_targets)
      return FALSE;
  for (gsize i = 0; i < t->n_nodes; i++) {
    if (t->modes[i] < TREE_LEQ || t->modes[i] > TREE_MEMBER || t->features[i] < 0 ||
        (features >= 0 && t->features[i] >= features))
      return FALSE;
    for (guint side = 0; side < 2; side++) {
      gsize limit = t->leaf[side][i] ? t->n_leaves : t->n_nodes;
      if (t->next[side][i] < 0 || t->next[side][i] >= (gint64)limit)
        return FALSE;
    }
  }
  return TRUE;
}

static gboolean
trees_params(const InferNode *node, const InferDims *in, Trees *t, GError **error)
{
  if (!trees_lists(node, t))
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "the lists of nodes, or those of leaves, are not of the same length");
  t->n_targets = infer_node_get_int(node, "n_targets", 1);
  t->aggregate = infer_node_get_int(node, "aggregate_function", TREE_SUM);
  t->transform = infer_node_get_int(node, "post_transform", TREE_NONE);
  if (t->n_targets < 1 || t->n_targets > G_MAXINT32 || t->aggregate < TREE_AVERAGE ||
      t->aggregate > TREE_MAX || t->transform < TREE_NONE || t->transform > TREE_PROBIT)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "n_targets %" G_GINT64_FORMAT ", aggregate_function %" G_GINT64_FORMAT
                          " or post_transform %" G_GINT64_FORMAT " is out of range",
                          t->n_targets, t->aggregate, t->transform);
  if (in->n >= 0 && in->n != 2)
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "the input must be [N, features]");
  return trees_ids(t, in->n == 2 ? in->d[1] : INFER_DIM_UNKNOWN) ||
         infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                        "a mode, node, leaf, feature or target is named that is not there");
}

static gboolean
trees_infer(InferShapeArgs *args, GError **error)
{
  const InferDims *in = &args->in[0].dims;
  Trees t;
  return number_require_real(args, 0, error) && trees_params(args->node, in, &t, error) &&
         data_set(args, 0, args->in[0].type,
                  &INFER_DIMS(in->n == 2 ? in->d[0] : INFER_DIM_UNKNOWN, t.n_targets), error);
}

static gsize
memory_for(const Trees *t)
{
  return (gsize)t->n_targets * sizeof(Target) + t->n_nodes * sizeof(gsize);
}

static gsize
trees_scratch(const InferShapeArgs *args)
{
  Trees t;
  return trees_params(args->node, &args->in[0].dims, &t, NULL) ? memory_for(&t) : 0;
}

/* Where the set of each node that asks for membership begins: the sets follow each other in the
 * order of the nodes, each with a NaN behind it. */
static void
find_sets(const Trees *t, gsize *sets)
{
  gsize at = 0;
  for (gsize i = 0; i < t->n_nodes; i++) {
    sets[i] = at;
    if (t->modes[i] != TREE_MEMBER)
      continue;
    while (at < t->n_members && !isnan(t->members[at]))
      at++;
    at = MIN(at + 1, t->n_members);
  }
}

static gboolean
is_member(const Trees *t, gsize at, double x, gboolean single)
{
  for (; at < t->n_members && !isnan(t->members[at]); at++)
    if ((single ? (double)(float)t->members[at] : t->members[at]) == x)
      return TRUE;
  return FALSE;
}

static gboolean
goes_true(const Trees *t, const gsize *sets, gsize node, double x, gboolean single)
{
  double split = single ? (double)(float)t->splits[node] : t->splits[node];
  if (isnan(x) && t->missing && t->missing[node])
    return TRUE;
  switch ((TreeMode)t->modes[node]) {
  case TREE_LEQ:
    return x <= split;
  case TREE_LT:
    return x < split;
  case TREE_GTE:
    return x >= split;
  case TREE_GT:
    return x > split;
  case TREE_EQ:
    return x == split;
  case TREE_NEQ:
    return x != split;
  default:
    return is_member(t, sets[node], x, single);
  }
}

/* The leaf that a row of features comes to; -1 where the nodes go round in a circle. */
static gint64
walk(const Trees *t, const gsize *sets, gint64 root, const InferArray *in, gint64 row)
{
  gint64 node = root;
  for (gsize steps = 0; steps < t->n_nodes; steps++) {
    gsize at = (gsize)(row * in->dims.d[1] + t->features[node]);
    gboolean side = goes_true(t, sets, (gsize)node, infer_array_get_double(in, at),
                              in->type == INFER_TYPE_FLOAT);
    gint64 next = t->next[side][node];
    if (t->leaf[side][node])
      return next;
    node = next;
  }
  return -1;
}

static void
aggregate(const Trees *t, Target *target, double weight)
{
  if (t->aggregate == TREE_MIN)
    target->value = target->seen ? fmin(target->value, weight) : weight;
  else if (t->aggregate == TREE_MAX)
    target->value = target->seen ? fmax(target->value, weight) : weight;
  else
    target->value += t->aggregate == TREE_AVERAGE ? weight / (double)t->n_roots : weight;
  target->seen = TRUE;
}

/* The quantile of the normal distribution, by Newton's method on its integral. */
static double
probit(double p)
{
  double x = 0;
  if (!(p > 0) || !(p < 1))
    return p <= 0 ? -INFINITY : p >= 1 ? INFINITY : NAN;
  for (guint i = 0; i < 64; i++) {
    double error = 0.5 * erfc(-x / M_SQRT2) - p;
    double step = error * sqrt(2 * G_PI) * exp(x * x / 2);
    /* A step past the tail's end would not come back. */
    x -= CLAMP(step, -1, 1);
    if (fabs(step) < 1e-14)
      break;
  }
  return x;
}

static void
transform(const Trees *t, Target *targets)
{
  gboolean zero = t->transform == TREE_SOFTMAX_ZERO;
  double max = -INFINITY, sum = 0;
  for (gint64 i = 0; i < t->n_targets; i++) {
    double *value = &targets[i].value;
    if (t->transform == TREE_LOGISTIC)
      *value = 1 / (1 + exp(-*value));
    else if (t->transform == TREE_PROBIT)
      *value = probit(*value);
    max = fmax(max, *value);
  }
  if (t->transform != TREE_SOFTMAX && !zero)
    return;
  /* What is zero stays so where that is asked for. */
  for (gint64 i = 0; i < t->n_targets; i++)
    if (!zero || fabs(targets[i].value) > 1e-7)
      sum += targets[i].value = exp(targets[i].value - max);
  for (gint64 i = 0; i < t->n_targets && sum > 0; i++)
    targets[i].value /= sum;
}

static gboolean
trees_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  g_autofree gpointer own = NULL;
  Target *targets = args->scratch;
  Trees t;
  if (!trees_params(args->node, &in->dims, &t, error))
    return FALSE;
  InferArray *out = data_output(args, 0, in->type, &INFER_DIMS(in->dims.d[0], t.n_targets), error);
  if (!out)
    return FALSE;
  if (!targets && !(targets = own = g_try_malloc(memory_for(&t))))
    return infer_op_error(args->node, error, INFER_ERROR_MEMORY,
                          "no memory for %" G_GINT64_FORMAT " targets", t.n_targets);
  gsize *sets = (gsize *)(targets + t.n_targets);
  find_sets(&t, sets);
  for (gint64 row = 0; row < in->dims.d[0]; row++) {
    memset(targets, 0, (gsize)t.n_targets * sizeof *targets);
    for (gsize i = 0; i < t.n_roots; i++) {
      gint64 leaf = walk(&t, sets, t.roots[i], in, row);
      if (leaf < 0)
        return infer_op_error(args->node, error, INFER_ERROR_MODEL,
                              "the nodes of tree %" G_GSIZE_FORMAT " go round in a circle", i);
      aggregate(&t, &targets[t.targets[leaf]], t.weights[leaf]);
    }
    transform(&t, targets);
    for (gint64 i = 0; i < t.n_targets; i++)
      infer_store_double(out, row * t.n_targets + i, targets[i].value);
  }
  return TRUE;
}

static const InferAttrSpec trees_attrs[] = {{"aggregate_function", 'i', FALSE},
                                            {"leaf_targetids", 'I', TRUE},
                                            {"leaf_weights", 'F', TRUE},
                                            {"membership_values", 'F', FALSE},
                                            {"n_targets", 'i', FALSE},
                                            {"nodes_falseleafs", 'I', TRUE},
                                            {"nodes_falsenodeids", 'I', TRUE},
                                            {"nodes_featureids", 'I', TRUE},
                                            {"nodes_hitrates", 'F', FALSE},
                                            {"nodes_missing_value_tracks_true", 'I', FALSE},
                                            {"nodes_modes", 'I', TRUE},
                                            {"nodes_splits", 'F', TRUE},
                                            {"nodes_trueleafs", 'I', TRUE},
                                            {"nodes_truenodeids", 'I', TRUE},
                                            {"post_transform", 'i', FALSE},
                                            {"tree_roots", 'I', TRUE},
                                            {NULL, 0, FALSE}};

static const InferOp tree_ensemble = {
    .name = "TreeEnsemble",
    .version = 5,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = trees_attrs,
    .infer = trees_infer,
    .scratch = trees_scratch,
    .eval = trees_eval,
};

const InferOp *const infer_ops_treeensemble[] = {&tree_ensemble, NULL};
