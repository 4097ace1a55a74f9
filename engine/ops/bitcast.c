/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "op.h"

#include <string.h>

/* The same bits as elements of another type of the same width. */

static gboolean
bitcast_infer(InferShapeArgs *args, GError **error)
{
  gint64 to = infer_node_get_int(args->node, "to", 0);
  InferType from = args->in[0].type;
  gboolean known = to > 0 && to < INFER_N_TYPES;
  guint bits = known ? infer_type_bits((InferType)to) : 0;

  if (bits == 0 || bits != infer_type_bits(from))
    return infer_op_error(args->node, error, INFER_ERROR_UNSUPPORTED,
                          "%s cannot be read as %s (to=%" G_GINT64_FORMAT
                          "): both must have elements of as many bits",
                          infer_type_name(from), known ? infer_type_name((InferType)to) : "unknown",
                          to);
  args->out[0].type = (InferType)to;
  args->out[0].dims = args->in[0].dims;
  return TRUE;
}

static gboolean
bitcast_eval(const InferEvalArgs *args, GError **error)
{
  if (args->out[0]->size > 0)
    memcpy(args->out[0]->data, args->in[0]->data, args->out[0]->size);
  return TRUE;
}

static const InferAttrSpec attrs[] = {{"to", 'i', TRUE}, {NULL, 0, FALSE}};

static const InferOp bitcast = {.name = "BitCast",
                                .version = 26,
                                .min_inputs = 1,
                                .max_inputs = 1,
                                .min_outputs = 1,
                                .max_outputs = 1,
                                .attrs = attrs,
                                .infer = bitcast_infer,
                                .eval = bitcast_eval};

extern const InferOp *const infer_ops_bitcast[];
const InferOp *const infer_ops_bitcast[] = {&bitcast, NULL};
