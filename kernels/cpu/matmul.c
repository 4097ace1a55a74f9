/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "onednn.h"

/* MatMul of two computed tensors. Each matrix of a batch is a call of its own, so that a result
 * does not depend on how many there are; rows that grow with the batch are left to others. */

typedef struct {
  InferOnednn onednn;
  gint input[2];
  gint n;
  gint64 dims[INFER_MAX_DIMS];
  gint64 step[2][INFER_MAX_DIMS]; /* elements; 0 where broadcast */
  gint64 count, result;
} Matmul;

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  if (!infer_cpu_single_float(step))
    return FALSE;
  for (guint i = 0; i < 2; i++) {
    const InferDims *dims = &node->inputs[i]->dims;
    if (dims->n < 2 || dims->d[dims->n - 1] <= 0 || dims->d[dims->n - 2] <= 0)
      return FALSE;
  }
  return TRUE;
}

static void
release(gpointer state)
{
  Matmul *matmul = state;
  infer_onednn_clear(&matmul->onednn);
  g_free(matmul);
}

static gboolean
plain_md(dnnl_memory_desc_t *md, const InferDims *dims)
{
  const gint64 *d = &dims->d[dims->n - 2];
  return infer_onednn_md(md, d, 2, (const gint64[]){d[1], 1});
}

static gboolean
create_primitive(Matmul *matmul, InferPrepare *prepare, GError **error)
{
  dnnl_memory_desc_t md[3];
  dnnl_matmul_desc_t desc;
  dnnl_primitive_attr_t attr = NULL;
  if (!plain_md(&md[0], &prepare->inputs[matmul->input[0]].dims) ||
      !plain_md(&md[1], &prepare->inputs[matmul->input[1]].dims) ||
      !plain_md(&md[2], &prepare->outputs[0].dims))
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "oneDNN does not take the dimensions");
  dnnl_status_t status = dnnl_matmul_desc_init(&desc, &md[0], &md[1], NULL, &md[2]);
  if (status == dnnl_success)
    status = infer_onednn_attr(&attr, NULL, NULL);
  gboolean ok = FALSE;
  if (status != dnnl_success)
    infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "oneDNN does not take this product (%d)",
                   status);
  else
    ok = infer_onednn_create(&matmul->onednn, prepare, &desc, attr, FALSE, error) &&
         infer_onednn_add_arg(&matmul->onednn, prepare, DNNL_ARG_SRC, 0, &md[0], NULL, error) &&
         infer_onednn_add_arg(&matmul->onednn, prepare, DNNL_ARG_WEIGHTS, 1, &md[1], NULL, error) &&
         infer_onednn_add_arg(&matmul->onednn, prepare, DNNL_ARG_DST, INFER_ONEDNN_OUTPUT, &md[2],
                              NULL, error);
  if (attr != NULL)
    dnnl_primitive_attr_destroy(attr);
  return ok;
}

static gboolean
prepare_matmul(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const InferDims *out = &prepare->outputs[0].dims;
  Matmul *matmul = g_new0(Matmul, 1);
  matmul->onednn.images = 1;
  matmul->onednn.preload = -1;
  matmul->n = out->n - 2;
  matmul->count = 1;
  matmul->result = out->d[out->n - 1] * out->d[out->n - 2];
  for (gint i = 0; i < matmul->n; i++) {
    matmul->dims[i] = out->d[i];
    matmul->count *= out->d[i];
  }
  for (guint k = 0; k < 2; k++) {
    matmul->input[k] = infer_step_find_input(prepare->step, node->inputs[k]);
    const InferBuffer *in = &prepare->inputs[matmul->input[k]];
    gint skip = out->n - in->dims.n;
    for (gint i = MAX(skip, 0); i < matmul->n; i++)
      matmul->step[k][i] = in->dims.d[i - skip] == 1 ? 0 : in->strides[i - skip];
  }
  if (infer_dims_count(out) > 0 && !create_primitive(matmul, prepare, error)) {
    release(matmul);
    return FALSE;
  }
  prepare->state = matmul;
  return TRUE;
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  Matmul *matmul = state;
  const float *a = inputs[matmul->input[0]], *b = inputs[matmul->input[1]];
  gint64 at[INFER_MAX_DIMS] = {0};
  for (gint64 i = 0; i < matmul->count; i++) {
    void *operands[] = {(void *)a, (void *)b};
    if (!infer_onednn_run(&matmul->onednn, stream, operands,
                          (float *)outputs[0] + i * matmul->result, workspace, error))
      return FALSE;
    for (gint k = matmul->n - 1; k >= 0; k--) {
      a += matmul->step[0][k];
      b += matmul->step[1][k];
      if (++at[k] < matmul->dims[k])
        break;
      at[k] = 0;
      a -= matmul->step[0][k] * matmul->dims[k];
      b -= matmul->step[1][k] * matmul->dims[k];
    }
  }
  return TRUE;
}

const InferImpl infer_cpu_matmul = {
    .name = "onednn.matmul",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_matmul,
    .release = release,
    .run = run,
};
