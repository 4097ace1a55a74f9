/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "onednn.h"

/*
 * Gemm and MatMul with a constant second matrix, as a convolution of 1x1 whose pixels are the
 * rows: oneDNN's inner product and matmul sum in another order for another number of rows, its
 * convolution does not.
 */

typedef struct {
  InferCpuChain chain;
  gint a, b, bias; /* step inputs; bias -1 for none */
  gint64 k, n;
  gboolean transposed; /* B is n x k */
} Gemm;

/* A vector that is added to every row. */
static gboolean
is_row(const InferTensor *tensor, gint64 n, gint rank)
{
  const InferDims *dims = &tensor->dims;
  return dims->n >= 1 && dims->n <= rank && dims->d[dims->n - 1] == n &&
         infer_dims_count(dims) == n;
}

static gboolean
parse_gemm(const InferStep *step, Gemm *gemm)
{
  const InferNode *node = step->nodes[0];
  if (infer_node_get_float(node, "alpha", 1.0) != 1.0 || infer_node_get_int(node, "transA", 0) != 0)
    return FALSE;
  gemm->transposed = infer_node_get_int(node, "transB", 0) != 0;
  if (node->n_inputs < 3 || node->inputs[2] == NULL)
    return TRUE;
  gint64 n = node->inputs[1]->dims.d[gemm->transposed ? 0 : 1];
  if (gemm->chain.bias >= 0 || infer_node_get_float(node, "beta", 1.0) != 1.0 ||
      !is_row(node->inputs[2], n, 2))
    return FALSE;
  gemm->bias = infer_step_find_input(step, node->inputs[2]);
  return TRUE;
}

static gboolean
parse(const InferStep *step, Gemm *gemm)
{
  *gemm = (Gemm){.bias = -1};
  if (!infer_cpu_chain_parse(step, &gemm->chain) || !infer_cpu_all_float(step))
    return FALSE;
  const InferNode *node = step->nodes[0];
  const InferTensor *a = node->inputs[0], *b = node->inputs[1];
  if (a->value != NULL || b->value == NULL || b->dims.n != 2 || a->dims.n < 2)
    return FALSE;
  if (g_str_equal(infer_node_get_op_name(node), "Gemm") && !parse_gemm(step, gemm))
    return FALSE;
  gemm->a = infer_step_find_input(step, a);
  gemm->b = infer_step_find_input(step, b);
  gemm->k = b->dims.d[gemm->transposed ? 1 : 0];
  gemm->n = b->dims.d[gemm->transposed ? 0 : 1];
  if (gemm->chain.bias >= 0) {
    if (!is_row(step->inputs[gemm->chain.bias], gemm->n, a->dims.n))
      return FALSE;
    gemm->bias = gemm->chain.bias;
  }
  return gemm->a >= 0 && gemm->b >= 0 && gemm->k > 0 && gemm->n > 0;
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  Gemm gemm;
  return parse(step, &gemm);
}

/* Rows of @width elements as pixels of one line. */
static gboolean
rows_md(dnnl_memory_desc_t *md, gint64 rows, gint64 width)
{
  gint64 dims[] = {1, width, 1, rows}, strides[] = {rows * width, 1, rows * width, width};
  return infer_onednn_md(md, dims, 4, strides);
}

typedef struct {
  dnnl_memory_desc_t src, dst, weights, plain, bias;
  dnnl_memory_desc_t add[INFER_CPU_MAX_POST_OPS];
} Descs;

static gboolean
make_descs(const Gemm *gemm, gint64 rows, Descs *d)
{
  gint64 k = gemm->k, n = gemm->n;
  gint64 dims[] = {n, k, 1, 1};
  gint64 strides[] = {gemm->transposed ? k : 1, gemm->transposed ? 1 : n, 1, 1};
  for (guint i = 0; i < gemm->chain.n_adds; i++)
    if (!rows_md(&d->add[i], rows, n))
      return FALSE;
  return rows_md(&d->src, rows, k) && rows_md(&d->dst, rows, n) &&
         infer_onednn_md(&d->weights, dims, 4, NULL) &&
         infer_onednn_md(&d->plain, dims, 4, strides) &&
         infer_onednn_md(&d->bias, &n, 1, (const gint64[]){1});
}

static gboolean
create_primitive(InferOnednn *onednn, InferPrepare *prepare, const Gemm *gemm, const Descs *d,
                 GError **error)
{
  const dnnl_dims_t ones = {1, 1}, zeros = {0, 0};
  dnnl_convolution_desc_t desc;
  dnnl_primitive_attr_t attr = NULL;
  dnnl_status_t status = dnnl_convolution_forward_desc_init(
      &desc, dnnl_forward_inference, dnnl_convolution_direct, &d->src, &d->weights,
      gemm->bias >= 0 ? &d->bias : NULL, &d->dst, ones, zeros, zeros);
  if (status == dnnl_success)
    status = infer_onednn_attr(&attr, &gemm->chain, d->add);
  gboolean ok = FALSE;
  if (status != dnnl_success)
    infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE,
                   "oneDNN does not take this product (status %d)", status);
  else
    ok = infer_onednn_create(onednn, prepare, &desc, attr, gemm->chain.n_adds > 0, error);
  if (attr != NULL)
    dnnl_primitive_attr_destroy(attr);
  return ok;
}

static gboolean
add_rows(InferOnednn *onednn, InferPrepare *prepare, int arg, gint slot,
         const dnnl_memory_desc_t *md, gint64 width, GError **error)
{
  if (!infer_onednn_add_arg(onednn, prepare, arg, slot, md, NULL, error))
    return FALSE;
  onednn->steps[onednn->n_args - 1] = (gsize)width * sizeof(float);
  return TRUE;
}

static gboolean
add_args(InferOnednn *onednn, InferPrepare *prepare, const Gemm *gemm, const Descs *d,
         GError **error)
{
  if (!add_rows(onednn, prepare, DNNL_ARG_SRC, gemm->a, &d->src, gemm->k, error) ||
      !add_rows(onednn, prepare, DNNL_ARG_DST, INFER_ONEDNN_OUTPUT, &d->dst, gemm->n, error) ||
      !infer_onednn_add_weights(onednn, prepare, gemm->b, &d->plain, error))
    return FALSE;
  if (gemm->bias >= 0 &&
      !infer_onednn_add_arg(onednn, prepare, DNNL_ARG_BIAS, gemm->bias, &d->bias, NULL, error))
    return FALSE;
  for (guint i = 0, k = 0; i < gemm->chain.n; i++)
    if (gemm->chain.post[i].kind == INFER_CPU_POST_ADD &&
        !add_rows(onednn, prepare, DNNL_ARG_ATTR_MULTIPLE_POST_OP(i) | DNNL_ARG_SRC_1,
                  gemm->chain.post[i].input, &d->add[k++], gemm->n, error))
      return FALSE;
  return TRUE;
}

static gboolean
make(InferOnednn *onednn, InferPrepare *prepare, gconstpointer what, gint64 rows, GError **error)
{
  const Gemm *gemm = what;
  g_autofree Descs *descs = g_new0(Descs, 1);
  if (!make_descs(gemm, rows, descs))
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "oneDNN does not take the matrices");
  return create_primitive(onednn, prepare, gemm, descs, error) &&
         add_args(onednn, prepare, gemm, descs, error);
}

static gboolean
prepare_gemm(InferPrepare *prepare, GError **error)
{
  Gemm gemm;
  if (!parse(prepare->step, &gemm))
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "the matrices do not fit each other");
  gint64 rows = infer_dims_count(&prepare->outputs[0].dims) / gemm.n;
  prepare->state = infer_onednn_new(prepare, make, &gemm, rows, error);
  return prepare->state != NULL;
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  return infer_onednn_run(state, stream, inputs, outputs[0], workspace, error);
}

const InferImpl infer_cpu_gemm = {
    .name = "onednn.gemm",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_gemm,
    .release = infer_onednn_free,
    .run = run,
};
