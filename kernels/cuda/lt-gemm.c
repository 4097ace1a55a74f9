/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "impls-library.h"
#include "lt-product.h"

#include <string.h>

/* MatMul and Gemm. */

typedef struct {
  gint a, b, c; /* step inputs; c -1 where it is part of the chain or absent */
  gboolean transposed_a, transposed_b;
  float alpha, beta;
  gint64 n;
  InferCudaFused chain;
} Gemm;

typedef struct {
  InferCudaDevice *device;
  InferCublasltProductState *product; /* NULL where there is nothing to do */
  gint a, b;
  const void *packed_a, *packed_b;
} State;

/* Of the last two dimensions, where a vector is a row or a column. */
static gint64
rows_of(const InferDims *dims, gboolean first)
{
  return dims->n >= 2 ? dims->d[dims->n - 2] : first ? 1 : dims->d[0];
}

static gint64
columns_of(const InferDims *dims, gboolean first)
{
  return dims->n >= 2 || first ? dims->d[dims->n - 1] : 1;
}

/* C of a Gemm: a constant row is a bias, a tensor of the result's dimensions is added. */
static gboolean
parse_c(const InferStep *step, const InferNode *node, Gemm *gemm, const InferTensor **bias)
{
  const InferTensor *c = node->n_inputs > 2 ? node->inputs[2] : NULL;
  const InferDims *out = &node->outputs[0]->dims;

  gemm->beta = (float)infer_node_get_float(node, "beta", 1.0);
  if (!c || gemm->beta == 0.0f)
    return TRUE;
  if (c->value) {
    *bias = c;
    return gemm->beta == 1.0f && c->dims.n >= 1 && c->dims.d[c->dims.n - 1] == gemm->n &&
           infer_array_count(c->value) == gemm->n;
  }
  gemm->c = infer_step_find_input(step, c);
  return gemm->c >= 0 && infer_dims_equal(&c->dims, out) && c->type == node->outputs[0]->type;
}

static gboolean
parse(const InferStep *step, Gemm *gemm)
{
  const InferNode *node = step->nodes[0];
  const InferTensor *a = node->inputs[0], *b = node->inputs[1], *bias = NULL;
  gboolean is_gemm = g_str_equal(infer_node_get_op_name(node), "Gemm");

  *gemm = (Gemm){.c = -1, .alpha = 1.0f, .beta = 0.0f};
  if (!a || !b || a->dims.n < 1 || b->dims.n < 1 || (a->value && b->value))
    return FALSE;
  gemm->a = infer_step_find_input(step, a);
  gemm->b = infer_step_find_input(step, b);
  if (is_gemm) {
    gemm->transposed_a = infer_node_get_int(node, "transA", 0) != 0;
    gemm->transposed_b = infer_node_get_int(node, "transB", 0) != 0;
    gemm->alpha = (float)infer_node_get_float(node, "alpha", 1.0);
    if (a->dims.n != 2 || b->dims.n != 2)
      return FALSE;
  }
  gemm->n = gemm->transposed_b ? rows_of(&b->dims, FALSE) : columns_of(&b->dims, FALSE);
  if (is_gemm && !parse_c(step, node, gemm, &bias))
    return FALSE;
  /* Without columns of its own, a channel would be a row. */
  if (b->dims.n < 2 && step->n_nodes > 1)
    return FALSE;
  return infer_cuda_fused_parse(step, bias, -1, gemm->n, &gemm->chain) &&
         a->type == gemm->chain.type && b->type == gemm->chain.type && gemm->a >= 0 && gemm->b >= 0;
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  Gemm gemm;

  return parse(step, &gemm);
}

/* --- shapes --- */

/* Elements from one index of batch dimension @axis of the result to the next. */
static gint64
batch_stride(const InferDims *in, const InferDims *out, gint axis, gint64 matrix)
{
  gint at = in->n - (out->n - axis);

  if (at < 0 || in->n < 3 || in->d[at] == 1)
    return 0;
  for (gint i = at + 1; i < in->n - 2; i++)
    matrix *= in->d[i];
  return matrix;
}

typedef struct {
  gint n;
  gint64 size[INFER_MAX_DIMS], a[INFER_MAX_DIMS], b[INFER_MAX_DIMS], d[INFER_MAX_DIMS];
} Batches;

/* Dimensions that can be walked as one become one. */
static void
merge_batches(const InferDims *a, const InferDims *b, const InferDims *full,
              InferCublasltProduct *p, Batches *batches)
{
  gint64 d = p->m * p->n;

  for (gint axis = full->n - 3; axis >= 0; axis--) {
    gint64 sa = batch_stride(a, full, axis, p->m * p->k);
    gint64 sb = batch_stride(b, full, axis, p->k * p->n);
    gint last = batches->n - 1;
    if (full->d[axis] != 1) {
      if (last >= 0 && sa == batches->a[last] * batches->size[last] &&
          sb == batches->b[last] * batches->size[last]) {
        batches->size[last] *= full->d[axis];
      } else {
        batches->size[batches->n] = full->d[axis];
        batches->a[batches->n] = sa;
        batches->b[batches->n] = sb;
        batches->d[batches->n++] = d;
      }
    }
    d *= full->d[axis];
  }
}

/* The result with both of the dimensions that vectors leave out. */
static InferDims
full_result(const InferDims *a, const InferDims *b, const InferDims *out, gint64 m, gint64 n)
{
  gint batches = MAX(MAX(a->n, b->n) - 2, 0);
  InferDims full = {.n = batches + 2};

  for (gint i = 0; i < batches; i++)
    full.d[i] = out->d[i];
  full.d[batches] = m;
  full.d[batches + 1] = n;
  return full;
}

static void
set_batches(const Batches *batches, InferCublasltProduct *p)
{
  p->count = 1;
  if (batches->n == 0)
    return;
  /* Rows of one matrix after the other are rows of one, where B is the same for all. */
  if (batches->n == 1 && batches->b[0] == 0 && !p->a.transposed && batches->a[0] == p->m * p->k) {
    p->m *= batches->size[0];
    return;
  }
  p->count = batches->size[0];
  p->a.batch = batches->a[0];
  p->b.batch = batches->b[0];
  p->d.batch = batches->d[0];
  for (gint i = 1; i < batches->n; i++) {
    guint k = p->n_outer++;
    p->outer[k] = batches->size[i];
    p->a_outer[k] = batches->a[i];
    p->b_outer[k] = batches->b[i];
    p->d_outer[k] = batches->d[i];
  }
}

static gboolean
read_product(const InferPrepare *prepare, const Gemm *gemm, InferCublasltProduct *p, GError **error)
{
  const InferDims *a = &prepare->inputs[gemm->a].dims, *b = &prepare->inputs[gemm->b].dims;
  const InferDims *out = &prepare->outputs[0].dims;
  gint64 rows = rows_of(a, TRUE), columns = columns_of(a, TRUE), inner;
  Batches batches = {0};
  InferDims full;

  *p = (InferCublasltProduct){.type = gemm->chain.type,
                              .alpha = gemm->alpha,
                              .beta = gemm->beta,
                              .c_input = gemm->c,
                              .chain = gemm->chain};
  p->m = gemm->transposed_a ? columns : rows;
  p->k = gemm->transposed_a ? rows : columns;
  p->n = gemm->transposed_b ? rows_of(b, FALSE) : columns_of(b, FALSE);
  inner = gemm->transposed_b ? columns_of(b, FALSE) : rows_of(b, FALSE);
  full = full_result(a, b, out, p->m, p->n);
  if (inner != p->k || infer_dims_count(&full) != infer_dims_count(out) || p->m > G_MAXINT32 ||
      p->n > G_MAXINT32 || p->k > G_MAXINT32 || p->n < 0)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "the matrices do not fit each other");
  p->a = (InferCublasltMatrix){columns, 0, gemm->transposed_a};
  p->b = (InferCublasltMatrix){gemm->transposed_b ? p->k : p->n, 0, gemm->transposed_b};
  p->d = p->c = (InferCublasltMatrix){p->n, 0, FALSE};
  merge_batches(a, b, &full, p, &batches);
  set_batches(&batches, p);
  p->c.batch = p->d.batch;
  if (p->m > G_MAXINT32 || p->count > G_MAXINT32)
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED, "the matrices are too large");
  p->shape = (InferEpilogueShape){{1, 1, 1, 1}, 1, (int)p->n, (int)p->n};
  p->shape.size[3] = p->n > 0 ? infer_dims_count(out) / p->n : 0;
  p->d_strides[3] = p->n;
  for (guint i = 0; i < gemm->chain.n_sides; i++)
    p->side_strides[i][3] = p->n;
  return TRUE;
}

/* --- constants --- */

/* A constant B is kept with its columns as rows, whose length is more often a multiple of what the
 * fast loads take. */
static gboolean
pack_transposed(gpointer user_data, const InferArray *value, gpointer dst, GError **error)
{
  const InferCublasltProduct *p = user_data;
  gsize size = infer_type_bits(value->type) / 8;

  for (gint64 k = 0; k < p->k; k++)
    for (gint64 n = 0; n < p->n; n++)
      memcpy((guint8 *)dst + (gsize)(n * p->k + k) * size,
             (const guint8 *)value->data + (gsize)(k * p->n + n) * size, size);
  return TRUE;
}

static gboolean
pack(InferPrepare *prepare, State *state, InferCublasltProduct *p, GError **error)
{
  static const char key[] = "transposed";
  const InferBuffer *a = &prepare->inputs[state->a], *b = &prepare->inputs[state->b];

  if (a->value && !(state->packed_a = infer_cuda_constant(prepare, (guint)state->a, error)))
    return FALSE;
  if (!b->value)
    return TRUE;
  if (p->b.transposed || b->dims.n != 2) {
    state->packed_b = infer_cuda_constant(prepare, (guint)state->b, error);
    return state->packed_b != NULL;
  }
  state->packed_b = infer_prepare_pack(prepare, (guint)state->b, key, sizeof key, b->value->size,
                                       pack_transposed, p, error);
  p->b.transposed = TRUE;
  p->b.pitch = p->k;
  return state->packed_b != NULL;
}

static void
release(gpointer data)
{
  State *state = data;

  infer_cuda_push(state->device);
  if (state->product)
    infer_cublaslt_product_free(state->product);
  infer_cuda_pop();
  g_free(state);
}

static gboolean
prepare_current(InferPrepare *prepare, const Gemm *gemm, State *state, GError **error)
{
  g_autofree InferCublasltProduct *p = g_new0(InferCublasltProduct, 1);

  if (!read_product(prepare, gemm, p, error))
    return FALSE;
  if (infer_dims_count(&prepare->outputs[0].dims) == 0)
    return TRUE;
  if (p->k == 0)
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                           "a product over no elements is not supported");
  if (!pack(prepare, state, p, error))
    return FALSE;
  state->product = infer_cublaslt_product_new(prepare, p, error);
  return state->product != NULL;
}

static gboolean
prepare_gemm(InferPrepare *prepare, GError **error)
{
  g_autofree Gemm *gemm = g_new0(Gemm, 1);
  State *state;
  gboolean ok;

  if (!parse(prepare->step, gemm))
    return infer_cuda_fail(prepare, error, INFER_ERROR_PLAN, "this is no product for cuBLASLt");
  state = g_new0(State, 1);
  state->device = infer_cuda_device(prepare->device);
  state->a = gemm->a;
  state->b = gemm->b;
  infer_cuda_push(state->device);
  ok = prepare_current(prepare, gemm, state, error);
  infer_cuda_pop();
  if (ok)
    prepare->state = state;
  else
    release(state);
  return ok;
}

static char **
tactics(const InferPrepare *prepare, const InferTacticArgs *args)
{
  g_autofree Gemm *gemm = g_new0(Gemm, 1);
  g_autofree InferCublasltProduct *p = g_new0(InferCublasltProduct, 1);
  InferPrepare copy = *prepare;
  char **names = NULL;

  if (!parse(prepare->step, gemm) || !read_product(prepare, gemm, p, NULL) || p->k == 0 ||
      infer_dims_count(&prepare->outputs[0].dims) == 0)
    return NULL;
  infer_cuda_push(infer_cuda_device(prepare->device));
  {
    State state = {.a = gemm->a, .b = gemm->b};
    if (pack(&copy, &state, p, NULL))
      names = infer_cublaslt_product_tactics(prepare, p, args);
  }
  infer_cuda_pop();
  return names;
}

static gboolean
run(gpointer data, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  State *state = data;

  if (!state->product)
    return TRUE;
  return infer_cublaslt_product_run(
      state->product, stream, state->packed_a ? state->packed_a : inputs[state->a],
      state->packed_b ? state->packed_b : inputs[state->b], inputs, outputs[0], workspace, error);
}

const InferImpl infer_cublaslt_gemm = {
    .name = "cublaslt.gemm",
    .supports = supports,
    .tactics = tactics,
    .prepare = prepare_gemm,
    .release = release,
    .run = run,
};
