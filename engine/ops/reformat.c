/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_reformat[];

/* Values stay as they are; the engine puts this where only the order in memory changes. */
static gboolean
reformat_infer(InferShapeArgs *args, GError **error)
{
  if (!data_require(args, 0, error))
    return FALSE;
  if (!data_set(args, 0, args->in[0].type, &args->in[0].dims, error))
    return FALSE;
  data_pass_content(args);
  return TRUE;
}

static gboolean
reformat_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  InferArray *out = data_output(args, 0, in->type, &in->dims, error);
  if (!out)
    return FALSE;
  if (in->size > 0)
    memcpy(out->data, in->data, in->size);
  return TRUE;
}

static const InferAttrSpec reformat_attrs[] = {{NULL, 0, FALSE}};

static const InferOp reformat = {
    .name = "infer.Reformat",
    .version = 1,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = reformat_attrs,
    .flags = INFER_OP_POINTWISE,
    .infer = reformat_infer,
    .eval = reformat_eval,
};

const InferOp *const infer_ops_reformat[] = {&reformat, NULL};
