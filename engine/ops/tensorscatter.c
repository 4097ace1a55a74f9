/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

extern const InferOp *const infer_ops_tensorscatter[];

/* TensorScatter: writes a run of an axis into a cache, for each batch at an index of its own. */

static const char *const modes[] = {"linear", "circular", NULL};

typedef struct {
  gboolean circular;
  gint axis;
} Run;

static gboolean
run_check(const InferNode *node, const InferDims *cache, const InferDims *update,
          const InferDims *indices, Run *run, GError **error)
{
  guint mode;
  gint rank = cache->n >= 0 ? cache->n : update->n;
  if (!number_choice(node, "mode", modes, &mode, error))
    return FALSE;
  *run = (Run){mode == 1, -1};
  if (rank < 0)
    return TRUE;
  if (!infer_op_axis(node, infer_node_get_int(node, "axis", -2), rank, &run->axis, error))
    return FALSE;
  if (run->axis == 0)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "axis is the batch's, of which no run can be written");
  gboolean good = cache->n < 0 || update->n < 0 || cache->n == update->n;
  for (gint i = 0; good && cache->n >= 0 && i < update->n; i++)
    good = i == run->axis ? cache->d[i] < 0 || update->d[i] <= cache->d[i]
                          : number_fits(cache->d[i], update->d[i]);
  if (good && indices && indices->n >= 0) {
    good = indices->n == 1 && (cache->n < 0 || number_fits(indices->d[0], cache->d[0]));
    good = good && (update->n < 0 || number_fits(indices->d[0], update->d[0]));
  }
  if (good)
    return TRUE;
  g_autofree char *a = infer_dims_to_string(cache);
  g_autofree char *b = infer_dims_to_string(update);
  return infer_op_error(node, error, INFER_ERROR_SHAPE,
                        "a cache of %s, an update of %s and its indices do not fit", a, b);
}

static gboolean
run_infer(InferShapeArgs *args, GError **error)
{
  gboolean indices = data_present(args, 2);
  Run run;
  return data_require(args, 0, error) && number_require_same(args, 1, 0, error) &&
         (!indices || number_require_index(args, 2, error)) &&
         run_check(args->node, &args->in[0].dims, &args->in[1].dims,
                   indices ? &args->in[2].dims : NULL, &run, error) &&
         data_set(args, 0, args->in[0].type, &args->in[0].dims, error);
}

static gboolean
run_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *cache = args->in[0], *update = args->in[1], *indices = data_array(args, 2);
  Run run;
  if (!run_check(args->node, &cache->dims, &update->dims, indices ? &indices->dims : NULL, &run,
                 error))
    return FALSE;
  InferArray *out = data_output(args, 0, cache->type, &cache->dims, error);
  if (!out)
    return FALSE;
  memcpy(out->data, cache->data, cache->size);
  gint64 batches = cache->dims.d[0], rows = data_product(&cache->dims, 1, run.axis);
  gint64 length = cache->dims.d[run.axis], n = update->dims.d[run.axis];
  gsize width =
      (gsize)data_product(&cache->dims, run.axis + 1, cache->dims.n) * data_element_size(cache);
  for (gint64 b = 0; b < batches; b++) {
    gint64 first = indices ? infer_array_get_int(indices, (gsize)b) : 0;
    if (first < 0 || first > (run.circular ? length - 1 : length - n))
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "%" G_GINT64_FORMAT " elements cannot be written at index "
                            "%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT,
                            n, first, length);
    for (gint64 row = b * rows; row < (b + 1) * rows && width > 0; row++)
      for (gint64 i = 0; i < n; i++)
        memcpy((char *)out->data + (gsize)(row * length + (first + i) % length) * width,
               (const char *)update->data + (gsize)(row * n + i) * width, width);
  }
  return TRUE;
}

static const InferAttrSpec run_attrs[] = {
    {"axis", 'i', FALSE}, {"mode", 's', FALSE}, {NULL, 0, FALSE}};

static const InferOp tensor_scatter = {
    .name = "TensorScatter",
    .version = 24,
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = run_attrs,
    .infer = run_infer,
    .eval = run_eval,
};

const InferOp *const infer_ops_tensorscatter[] = {&tensor_scatter, NULL};
