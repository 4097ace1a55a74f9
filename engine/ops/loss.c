/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert.h"
#include "number.h"

#include <math.h>

extern const InferOp *const infer_ops_loss[];

/* NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss, which takes the logarithm of a softmax
 * before. Scores are [N, C, d...], labels [N, d...], weights [C]. */

static const char *const reductions[] = {"mean", "sum", "none", NULL};

typedef enum {
  LOSS_MEAN,
  LOSS_SUM,
  LOSS_NONE,
} LossReduction;

static gboolean
is_entropy(const InferNode *node)
{
  return g_str_equal(infer_node_get_op_name(node), "SoftmaxCrossEntropyLoss");
}

static gboolean
loss_dims(const InferNode *node, const InferDims *scores, const InferDims *labels,
          const InferDims *weights, guint *reduction, InferDims *out, GError **error)
{
  gboolean good = (scores->n < 0 || scores->n >= 2) && (labels->n < 0 || labels->n >= 1);
  if (!number_choice(node, "reduction", reductions, reduction, error))
    return FALSE;
  if (good && scores->n >= 0 && labels->n >= 0) {
    good = labels->n == scores->n - 1;
    for (gint i = 0; good && i < labels->n; i++)
      good = number_fits(labels->d[i], scores->d[i == 0 ? 0 : i + 1]);
  }
  if (good && weights && weights->n >= 0)
    good = weights->n == 1 && (scores->n < 0 || number_fits(weights->d[0], scores->d[1]));
  if (!good) {
    g_autofree char *a = infer_dims_to_string(scores);
    g_autofree char *b = infer_dims_to_string(labels);
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "scores of %s, labels of %s and the weights are not [N, C, d...], "
                          "[N, d...] and [C]",
                          a, b);
  }
  *out = *reduction == LOSS_NONE ? *labels : INFER_DIMS_SCALAR;
  if (*reduction == LOSS_NONE && labels->n < 0 && scores->n >= 2) {
    out->n = scores->n - 1;
    for (gint i = 0; i < out->n; i++)
      out->d[i] = scores->d[i == 0 ? 0 : i + 1];
  }
  return TRUE;
}

static gboolean
loss_infer(InferShapeArgs *args, GError **error)
{
  gboolean weighted = data_present(args, 2);
  guint reduction;
  InferDims dims;
  if (!number_require_real(args, 0, error) || !number_require_index(args, 1, error) ||
      (weighted && !number_require_same(args, 2, 0, error)) ||
      !loss_dims(args->node, &args->in[0].dims, &args->in[1].dims,
                 weighted ? &args->in[2].dims : NULL, &reduction, &dims, error))
    return FALSE;
  return data_set(args, 0, args->in[0].type, &dims, error) &&
         (args->n_out < 2 || data_set(args, 1, args->in[0].type, &args->in[0].dims, error));
}

/* What is taken from a score to give the logarithm of its softmax; 0 where it is one already. */
static double
log_sum(const InferArray *scores, gint64 at, gint64 classes, gint64 inner)
{
  double max = -INFINITY, sum = 0;
  for (gint64 c = 0; c < classes; c++)
    max = fmax(max, infer_array_get_double(scores, (gsize)(at + c * inner)));
  for (gint64 c = 0; c < classes; c++)
    sum += exp(infer_array_get_double(scores, (gsize)(at + c * inner)) - max);
  return max + log(sum);
}

/* The class of a label; -1 where it is to be ignored. */
static gboolean
label_at(const InferNode *node, const InferArray *labels, gint64 i, gint64 classes, gint64 *label,
         GError **error)
{
  *label = infer_array_get_int(labels, (gsize)i);
  if (infer_node_has_attr(node, "ignore_index") &&
      *label == infer_node_get_int(node, "ignore_index", 0)) {
    *label = -1;
    return TRUE;
  }
  return (*label >= 0 && *label < classes) ||
         infer_op_error(node, error, INFER_ERROR_SHAPE,
                        "label %" G_GINT64_FORMAT " is none of %" G_GINT64_FORMAT " classes",
                        *label, classes);
}

static gboolean
loss_rows(const InferEvalArgs *args, InferArray *each, InferArray *logs, double *sum,
          double *weight_sum, GError **error)
{
  const InferArray *scores = args->in[0], *labels = args->in[1], *weights = data_array(args, 2);
  gint64 classes = scores->dims.d[1], inner = data_product(&scores->dims, 2, scores->dims.n);
  gint64 n = infer_array_count(labels);
  gboolean entropy = is_entropy(args->node);
  for (gint64 i = 0; i < n; i++) {
    gint64 at = i / inner * classes * inner + i % inner, label;
    double base = entropy ? log_sum(scores, at, classes, inner) : 0, loss = 0;
    if (!label_at(args->node, labels, i, classes, &label, error))
      return FALSE;
    for (gint64 c = 0; logs && c < classes; c++) {
      gint64 k = at + c * inner;
      infer_store_double(logs, k, infer_array_get_double(scores, (gsize)k) - base);
    }
    if (label >= 0) {
      double weight = weights ? infer_array_get_double(weights, (gsize)label) : 1;
      loss = (base - infer_array_get_double(scores, (gsize)(at + label * inner))) * weight;
      *sum += loss;
      *weight_sum += weight;
    }
    if (each)
      infer_store_double(each, i, loss);
  }
  return TRUE;
}

static gboolean
loss_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *scores = args->in[0], *weights = data_array(args, 2);
  InferArray *logs = NULL;
  guint reduction;
  InferDims dims;
  double sum = 0, weight_sum = 0;
  if (!loss_dims(args->node, &scores->dims, &args->in[1]->dims, weights ? &weights->dims : NULL,
                 &reduction, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, scores->type, &dims, error);
  if (!out)
    return FALSE;
  if (args->n_out > 1 && !(logs = data_output(args, 1, scores->type, &scores->dims, error)))
    return FALSE;
  if (!loss_rows(args, reduction == LOSS_NONE ? out : NULL, logs, &sum, &weight_sum, error))
    return FALSE;
  if (reduction != LOSS_NONE)
    infer_store_double(out, 0, reduction == LOSS_MEAN ? sum / weight_sum : sum);
  return TRUE;
}

static const InferAttrSpec loss_attrs[] = {
    {"ignore_index", 'i', FALSE}, {"reduction", 's', FALSE}, {NULL, 0, FALSE}};

#define LOSS(ID, NAME, N_OUT)                                                                      \
  static const InferOp ID = {                                                                      \
      .name = NAME,                                                                                \
      .version = 13,                                                                               \
      .min_inputs = 2,                                                                             \
      .max_inputs = 3,                                                                             \
      .min_outputs = 1,                                                                            \
      .max_outputs = N_OUT,                                                                        \
      .attrs = loss_attrs,                                                                         \
      .infer = loss_infer,                                                                         \
      .eval = loss_eval,                                                                           \
  }

LOSS(likelihood, "NegativeLogLikelihoodLoss", 1);
LOSS(entropy, "SoftmaxCrossEntropyLoss", 2);

const InferOp *const infer_ops_loss[] = {&likelihood, &entropy, NULL};
