/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"
#include "ops/data.h"

/* In inference nothing is dropped. */

static gboolean
drops(const InferArray *ratio, const InferArray *training)
{
  return training && infer_array_get_int(training, 0) != 0 &&
         (!ratio || infer_array_get_double(ratio, 0) != 0);
}

static gboolean
refuse_training(const InferNode *node, GError **error)
{
  return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                        "training_mode is set and the ratio is not 0; export the model for "
                        "inference");
}

static gboolean
dropout_infer(InferShapeArgs *args, GError **error)
{
  if (!data_require(args, 0, error) || !infer_check_scalar(args, 1, error) ||
      !infer_check_scalar(args, 2, error) ||
      (infer_check_present(args, 1) &&
       !infer_op_require_type(args, 1, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE,
                              INFER_TYPE_FLOAT16, INFER_TYPE_BFLOAT16, INFER_TYPE_UNDEFINED)) ||
      (infer_check_present(args, 2) &&
       !infer_op_require_type(args, 2, error, INFER_TYPE_BOOL, INFER_TYPE_UNDEFINED)))
    return FALSE;
  if (args->n_in > 2 && (!infer_check_present(args, 1) || args->in[1].value) &&
      drops(args->in[1].value, args->in[2].value))
    return refuse_training(args->node, error);
  args->out[0].type = args->in[0].type;
  args->out[0].dims = args->in[0].dims;
  if (args->n_out > 1) {
    args->out[1].type = INFER_TYPE_BOOL;
    args->out[1].dims = args->in[0].dims;
  }
  return TRUE;
}

static gboolean
dropout_eval(const InferEvalArgs *args, GError **error)
{
  if (drops(data_array(args, 1), data_array(args, 2)))
    return refuse_training(args->node, error);
  if (args->out[0]->size > 0)
    memcpy(args->out[0]->data, args->in[0]->data, args->out[0]->size);
  if (args->n_out > 1)
    memset(args->out[1]->data, 1, args->out[1]->size);
  return TRUE;
}

static const InferAttrSpec attrs[] = {{"seed", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp dropout = {.name = "Dropout",
                                .version = 13,
                                .min_inputs = 1,
                                .max_inputs = 3,
                                .min_outputs = 1,
                                .max_outputs = 2,
                                .attrs = attrs,
                                .infer = dropout_infer,
                                .eval = dropout_eval};

extern const InferOp *const infer_ops_dropout[];
const InferOp *const infer_ops_dropout[] = {&dropout, NULL};
