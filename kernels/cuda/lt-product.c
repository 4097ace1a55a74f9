/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lt-product.h"

#include <math.h>
#include <string.h>

/*
 * Products of matrices by cuBLASLt. It takes columns for rows, so that it is given B and A in this
 * order and makes the result's transpose. A tactic is an algorithm and its configuration:
 * "algo66,t20,g7,k1,r0,w0,o0,i0,c2", then ",split" where the epilogue is a kernel of its own, and
 * ",tf32" where FP32 is multiplied as TF32.
 */

#define MAX_WORKSPACE ((gsize)32 << 20)
#define MAX_ALGORITHMS 64
/* The only sum of parts that keeps FP32. */
#define REDUCTIONS CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE

/* What the library does of a program: the first @n operations. */
typedef struct {
  gint n;
  gint bias, residual; /* sides, -1 for none */
  cublasLtEpilogue_t epilogue;
} Head;

struct _InferCublasltProductState {
  InferCudaDevice *device;
  InferCublasltProduct product;
  Head head;
  InferEpilogueProgram tail;
  gboolean has_tail, is_dense, tf32;
  cublasLtHandle_t handle;
  cublasLtMatmulDesc_t desc;
  cublasLtMatrixLayout_t a, b, c, d;
  cublasLtMatmulAlgo_t algorithm;
  gsize workspace_size, result_offset;
  const void *constants[INFER_EPILOGUE_MAX_SIDES];
  CUfunction epilogue;
};

/* --- the epilogue --- */

static gboolean
is_activation(const InferEpilogueOp *op)
{
  return (op->mode == INFER_EPILOGUE_RELU && op->p0 == 0.0f && isinf(op->p1)) ||
         op->mode == INFER_EPILOGUE_GELU_TANH;
}

/* Whether nothing from @n on looks behind value @n. */
static gboolean
can_cut(const InferEpilogueProgram *program, gint n)
{
  for (gint i = n; i < program->n; i++)
    if (program->ops[i].a < n ||
        (program->ops[i].operand == INFER_EPILOGUE_VALUE && program->ops[i].b < n))
      return FALSE;
  return TRUE;
}

/* Takes operation @i into the head. Returns: whether it can be there. */
static gboolean
extend_head(const InferCublasltProduct *product, gint i, Head *head)
{
  const InferEpilogueOp *op = &product->chain.program.ops[i];

  if (op->a != i || (head->epilogue & (CUBLASLT_EPILOGUE_RELU | CUBLASLT_EPILOGUE_GELU)))
    return FALSE;
  if (is_activation(op)) {
    head->epilogue |=
        op->mode == INFER_EPILOGUE_RELU ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_GELU;
    return TRUE;
  }
  if (op->mode != INFER_EPILOGUE_ADD)
    return FALSE;
  if (op->operand == INFER_EPILOGUE_CHANNEL && head->bias < 0) {
    head->bias = op->b;
    head->epilogue |= CUBLASLT_EPILOGUE_BIAS;
    return TRUE;
  }
  if (op->operand == INFER_EPILOGUE_TENSOR && head->residual < 0 && product->c_input < 0) {
    head->residual = op->b;
    return TRUE;
  }
  return FALSE;
}

static Head
find_head(const InferCublasltProduct *product, gboolean split)
{
  const Head none = {.bias = -1, .residual = -1};
  Head head = none, best = none;

  for (gint i = 0; !split && i < product->chain.program.n; i++) {
    if (!extend_head(product, i, &head))
      break;
    head.n = i + 1;
    if (can_cut(&product->chain.program, head.n))
      best = head;
  }
  return best;
}

static void
cut_tail(InferCublasltProductState *state)
{
  const InferEpilogueProgram *program = &state->product.chain.program;
  gint n = state->head.n;

  state->tail.n = program->n - n;
  for (gint i = 0; i < state->tail.n; i++) {
    state->tail.ops[i] = program->ops[n + i];
    state->tail.ops[i].a -= n;
    if (state->tail.ops[i].operand == INFER_EPILOGUE_VALUE)
      state->tail.ops[i].b -= n;
  }
  state->has_tail = state->tail.n > 0;
}

/* --- descriptors --- */

static cudaDataType_t
data_type(InferType type)
{
  return type == INFER_TYPE_FLOAT     ? CUDA_R_32F
         : type == INFER_TYPE_FLOAT16 ? CUDA_R_16F
                                      : CUDA_R_16BF;
}

static cublasComputeType_t
compute_type(const InferCublasltProductState *state)
{
  return state->tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

static gboolean
set_desc(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t name, const void *value,
         gsize size, GError **error)
{
  return infer_cublaslt_check(cublasLtMatmulDescSetAttribute(desc, name, value, size),
                              "describing a product", error);
}

static gboolean
make_layout(cublasLtMatrixLayout_t *layout, InferType type, gint64 rows, gint64 columns,
            const InferCublasltMatrix *matrix, gint64 count, GError **error)
{
  int32_t batches = (int32_t)count;
  gint64 width = matrix->transposed ? rows : columns, height = matrix->transposed ? columns : rows;

  return infer_cublaslt_check(cublasLtMatrixLayoutCreate(layout, data_type(type), (guint64)width,
                                                         (guint64)height, matrix->pitch),
                              "describing a matrix", error) &&
         infer_cublaslt_check(cublasLtMatrixLayoutSetAttribute(*layout,
                                                               CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                               &batches, sizeof batches),
                              "describing a matrix", error) &&
         infer_cublaslt_check(
             cublasLtMatrixLayoutSetAttribute(*layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                              &matrix->batch, sizeof matrix->batch),
             "describing a matrix", error);
}

static gboolean
describe(InferCublasltProductState *state, GError **error)
{
  const InferCublasltProduct *p = &state->product;
  const Head *head = &state->head;
  cublasOperation_t first = p->b.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  cublasOperation_t second = p->a.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  int32_t epilogue = head->epilogue ? (int32_t)head->epilogue : CUBLASLT_EPILOGUE_DEFAULT;
  const void *bias = head->bias >= 0 ? state->constants[head->bias] : NULL;

  if (!infer_cublaslt_check(cublasLtMatmulDescCreate(&state->desc, compute_type(state), CUDA_R_32F),
                            "describing a product", error) ||
      !set_desc(state->desc, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first, error) ||
      !set_desc(state->desc, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second, error) ||
      !set_desc(state->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue, error) ||
      (bias &&
       !set_desc(state->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias, error)))
    return FALSE;
  return make_layout(&state->a, p->type, p->m, p->k, &p->a, p->count, error) &&
         make_layout(&state->b, p->type, p->k, p->n, &p->b, p->count, error) &&
         make_layout(&state->c, p->type, p->m, p->n,
                     p->c_input >= 0 || head->residual >= 0 ? &p->c : &p->d, p->count, error) &&
         make_layout(&state->d, p->type, p->m, p->n, &p->d, p->count, error);
}

void
infer_cublaslt_product_free(InferCublasltProductState *state)
{
  cublasLtMatrixLayout_t layouts[] = {state->a, state->b, state->c, state->d};

  for (guint i = 0; i < G_N_ELEMENTS(layouts); i++)
    if (layouts[i])
      cublasLtMatrixLayoutDestroy(layouts[i]);
  if (state->desc)
    cublasLtMatmulDescDestroy(state->desc);
  g_free(state);
}

static gboolean
is_dense(const InferCublasltProduct *p)
{
  gint64 next = (gint64)p->shape.groups * p->shape.channels;

  for (gint i = 3; i >= 0; i--) {
    if (p->shape.size[i] != 1 && p->d_strides[i] != next)
      return FALSE;
    next *= p->shape.size[i];
  }
  return TRUE;
}

static InferCublasltProductState *
new_state(InferPrepare *prepare, const InferCublasltProduct *product, gboolean split, gboolean tf32,
          GError **error)
{
  InferCublasltProductState *state = g_new0(InferCublasltProductState, 1);
  gboolean ok = TRUE;

  state->device = infer_cuda_device(prepare->device);
  state->product = *product;
  state->is_dense = is_dense(product);
  state->tf32 = tf32 && product->type == INFER_TYPE_FLOAT;
  state->head = find_head(product, split);
  cut_tail(state);
  if (state->has_tail && !state->is_dense) {
    /* The tail reads what is dense. */
    state->product.d = (InferCublasltMatrix){product->n, product->m * product->n, FALSE};
    ok = product->n_outer == 0;
  }
  for (guint i = 0; ok && i < product->chain.n_sides; i++)
    if (product->chain.constant[i])
      ok = (state->constants[i] =
                infer_cuda_fused_side(prepare, &product->chain, i, 1, product->n, error)) != NULL;
  if (ok && state->has_tail)
    ok = (state->epilogue = infer_cuda_fused_kernel(state->device, product->type, error)) != NULL;
  if (ok)
    ok = (state->handle = infer_cuda_cublaslt(state->device, error)) != NULL &&
         describe(state, error);
  if (ok)
    return state;
  infer_cublaslt_product_free(state);
  if (error && !*error)
    infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED, "the result does not lie in rows");
  return NULL;
}

/* --- algorithms --- */

typedef struct {
  char letter;
  cublasLtMatmulAlgoConfigAttributes_t name;
  gsize size;
} Knob;

static const Knob knobs[] = {
    {'t', CUBLASLT_ALGO_CONFIG_TILE_ID, 4},        {'g', CUBLASLT_ALGO_CONFIG_STAGES_ID, 4},
    {'k', CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 4},     {'r', CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, 4},
    {'w', CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING, 4},  {'o', CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, 4},
    {'i', CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID, 2}, {'c', CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, 2},
};

static char *
algorithm_name(const cublasLtMatmulAlgo_t *algorithm, gboolean split, gboolean tf32)
{
  g_autoptr(GString) name = g_string_new(NULL);
  int32_t id = 0;
  size_t got = 0;

  if (cublasLtMatmulAlgoConfigGetAttribute(algorithm, CUBLASLT_ALGO_CONFIG_ID, &id, sizeof id,
                                           &got) != CUBLAS_STATUS_SUCCESS)
    return NULL;
  g_string_printf(name, "algo%d", id);
  for (guint i = 0; i < G_N_ELEMENTS(knobs); i++) {
    /* Little-endian, as CUDA's hosts are. */
    guint32 value = 0;
    if (cublasLtMatmulAlgoConfigGetAttribute(algorithm, knobs[i].name, &value, knobs[i].size,
                                             &got) == CUBLAS_STATUS_SUCCESS)
      g_string_append_printf(name, ",%c%u", knobs[i].letter, value);
  }
  return g_strconcat(name->str, split ? ",split" : "", tf32 ? ",tf32" : "", NULL);
}

static const Knob *
find_knob(char letter)
{
  for (guint i = 0; i < G_N_ELEMENTS(knobs); i++)
    if (knobs[i].letter == letter)
      return &knobs[i];
  return NULL;
}

static gboolean
apply_knob(cublasLtMatmulAlgo_t *algorithm, const char *text)
{
  const Knob *knob = find_knob(text[0]);
  guint64 number;
  guint32 value;

  if (!knob || !g_ascii_string_to_unsigned(text + 1, 10, 0, knob->size == 2 ? 0xffff : G_MAXUINT32,
                                           &number, NULL))
    return FALSE;
  if (knob->letter == 'r' && number != CUBLASLT_REDUCTION_SCHEME_NONE && number != REDUCTIONS)
    return FALSE;
  value = (guint32)number;
  return cublasLtMatmulAlgoConfigSetAttribute(algorithm, knob->name, &value, knob->size) ==
         CUBLAS_STATUS_SUCCESS;
}

static gboolean
parse_algorithm(InferCublasltProductState *state, const InferPrepare *prepare, char **parts,
                GError **error)
{
  cudaDataType_t type = data_type(state->product.type);
  cublasLtMatmulHeuristicResult_t result = {0};
  guint64 id = 0;
  gboolean ok =
      parts[0] && g_str_has_prefix(parts[0], "algo") &&
      g_ascii_string_to_unsigned(parts[0] + 4, 10, 0, G_MAXINT32, &id, NULL) &&
      cublasLtMatmulAlgoInit(state->handle, compute_type(state), CUDA_R_32F, type, type, type, type,
                             (int)id, &state->algorithm) == CUBLAS_STATUS_SUCCESS;

  for (guint i = 1; ok && parts[i]; i++)
    ok = g_str_equal(parts[i], "split") || g_str_equal(parts[i], "tf32") ||
         apply_knob(&state->algorithm, parts[i]);
  /* It is told here, once, whether the whole fits the matrices. */
  if (ok &&
      cublasLtMatmulAlgoCheck(state->handle, state->desc, state->b, state->a, state->c, state->d,
                              &state->algorithm, &result) == CUBLAS_STATUS_SUCCESS) {
    state->workspace_size = result.workspaceSize;
    return TRUE;
  }
  return infer_cuda_fail(prepare, error, INFER_ERROR_PLAN,
                         "cuBLASLt has no tactic '%s' for this product; build the plan anew",
                         prepare->tactic);
}

/* Returns: how many were found. */
static int
ask(const InferCublasltProductState *state, gsize max_workspace, int most,
    cublasLtMatmulHeuristicResult_t *results)
{
  cublasLtMatmulPreference_t preference = NULL;
  const uint32_t alignment = 16, reductions = REDUCTIONS;
  const struct {
    cublasLtMatmulPreferenceAttributes_t name;
    const void *value;
    gsize size;
  } settings[] = {
      {CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &max_workspace, sizeof max_workspace},
      {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof reductions},
      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &alignment, sizeof alignment},
      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &alignment, sizeof alignment},
      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &alignment, sizeof alignment},
      {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &alignment, sizeof alignment},
  };
  int n = 0;

  if (cublasLtMatmulPreferenceCreate(&preference) != CUBLAS_STATUS_SUCCESS)
    return 0;
  for (guint i = 0; i < G_N_ELEMENTS(settings); i++)
    cublasLtMatmulPreferenceSetAttribute(preference, settings[i].name, settings[i].value,
                                         settings[i].size);
  if (cublasLtMatmulAlgoGetHeuristic(state->handle, state->desc, state->b, state->a, state->c,
                                     state->d, preference, most, results,
                                     &n) != CUBLAS_STATUS_SUCCESS)
    n = 0;
  cublasLtMatmulPreferenceDestroy(preference);
  return n;
}

static void
append_tactics(const InferPrepare *prepare, const InferCublasltProduct *product, gboolean split,
               const InferTacticArgs *args, guint most, GPtrArray *names)
{
  InferPrepare copy = *prepare;
  InferCublasltProductState *state = new_state(&copy, product, split, args->tf32, NULL);
  cublasLtMatmulHeuristicResult_t *results =
      g_new0(cublasLtMatmulHeuristicResult_t, MAX_ALGORITHMS);
  int n = state ? ask(state, MIN(args->max_workspace, MAX_WORKSPACE), (int)most, results) : 0;

  for (int i = 0; i < n; i++) {
    char *name = results[i].state == CUBLAS_STATUS_SUCCESS
                     ? algorithm_name(&results[i].algo, split, state->tf32)
                     : NULL;
    if (name && !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
      g_ptr_array_add(names, name);
    else
      g_free(name);
  }
  g_free(results);
  if (state)
    infer_cublaslt_product_free(state);
}

char **
infer_cublaslt_product_tactics(const InferPrepare *prepare, const InferCublasltProduct *product,
                               const InferTacticArgs *args)
{
  static const guint most[] = {1, 4, 8, 16, 32, MAX_ALGORITHMS};
  guint n = most[MIN(args->level, 5)];
  GPtrArray *names = g_ptr_array_new();

  append_tactics(prepare, product, FALSE, args, n, names);
  if (product->chain.program.n > 0 && (names->len == 0 || args->level >= 4))
    append_tactics(prepare, product, TRUE, args, n, names);
  g_ptr_array_add(names, NULL);
  return (char **)g_ptr_array_free(names, names->len == 1);
}

/* --- preparing --- */

static void
lay_out(InferCublasltProductState *state, InferPrepare *prepare)
{
  const InferEpilogueShape *shape = &state->product.shape;
  gsize size = infer_type_bits(state->product.type) / 8;

  prepare->workspace = state->workspace_size;
  if (!state->has_tail || state->is_dense)
    return;
  state->result_offset = (state->workspace_size + 255) & ~(gsize)255;
  prepare->workspace = state->result_offset +
                       (gsize)(shape->size[0] * shape->size[1] * shape->size[2] * shape->size[3]) *
                           (gsize)state->product.n * size;
}

InferCublasltProductState *
infer_cublaslt_product_new(InferPrepare *prepare, const InferCublasltProduct *product,
                           GError **error)
{
  g_auto(GStrv) parts = g_strsplit(prepare->tactic ? prepare->tactic : "", ",", -1);
  gboolean given = prepare->tactic != NULL;
  gboolean split = given && g_strv_contains((const char *const *)parts, "split");

  for (guint i = 0; i < 2; i++) {
    InferCublasltProductState *state = new_state(prepare, product, split || i == 1,
                                                 infer_cuda_allows_tf32(prepare->tactic), error);
    cublasLtMatmulHeuristicResult_t result = {0};
    if (!state)
      return NULL;
    if (given ? parse_algorithm(state, prepare, parts, error)
              : ask(state, MAX_WORKSPACE, 1, &result) == 1) {
      if (!given) {
        state->algorithm = result.algo;
        state->workspace_size = result.workspaceSize;
      }
      lay_out(state, prepare);
      return state;
    }
    infer_cublaslt_product_free(state);
    if (given)
      return NULL;
  }
  infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                  "cuBLASLt has no algorithm for a product of %" G_GINT64_FORMAT
                  "x%" G_GINT64_FORMAT " by %" G_GINT64_FORMAT "x%" G_GINT64_FORMAT,
                  product->m, product->k, product->k, product->n);
  return NULL;
}

/* --- running --- */

static gboolean
run_tail(const InferCublasltProductState *state, const InferCudaQueue *queue, const void *from,
         void *const *inputs, void *d, GError **error)
{
  const InferCublasltProduct *p = &state->product;
  InferEpilogueShape shape = p->shape;
  InferEpilogueTensor to = {.data = d};
  InferEpilogueSides sides = {0};
  void *params[] = {&shape, &from, &to, &sides, (void *)&state->tail};
  gint64 n = shape.size[0] * shape.size[1] * shape.size[2] * shape.size[3] * p->n;

  for (guint k = 0; k < 4; k++)
    to.stride[k] = p->d_strides[k];
  for (guint i = 0; i < p->chain.n_sides; i++) {
    sides.side[i].data =
        p->chain.constant[i] ? (void *)state->constants[i] : inputs[p->chain.sides[i]];
    for (guint k = 0; k < 4; k++)
      sides.side[i].stride[k] = p->side_strides[i][k];
  }
  return infer_cuda_launch(queue, state->epilogue, infer_cuda_fused_blocks(queue->device, n),
                           (InferCudaSize){256, 1, 1}, 0, params, error);
}

static gboolean
multiply(const InferCublasltProductState *state, const InferCudaQueue *queue, const guint8 *a,
         const guint8 *b, const guint8 *c, guint8 *d, void *workspace, GError **error)
{
  const InferCublasltProduct *p = &state->product;
  const float beta = !c ? 0.0f : state->head.residual >= 0 ? 1.0f : p->beta;

  return infer_cublaslt_check(cublasLtMatmul(state->handle, state->desc, &p->alpha, b, state->b, a,
                                             state->a, &beta, c ? c : d, state->c, d, state->d,
                                             &state->algorithm, workspace, state->workspace_size,
                                             (cudaStream_t)queue->stream),
                              "a product", error);
}

gboolean
infer_cublaslt_product_run(InferCublasltProductState *state, InferStream *stream, const void *a,
                           const void *b, void *const *inputs, void *d, void *workspace,
                           GError **error)
{
  const InferCublasltProduct *p = &state->product;
  const InferCudaQueue *queue = infer_cuda_queue(stream);
  gint64 size = infer_type_bits(p->type) / 8, at[INFER_MAX_DIMS] = {0};
  gint c_input = state->head.residual >= 0 ? p->chain.sides[state->head.residual] : p->c_input;
  const guint8 *a_at = a, *b_at = b, *c_at = c_input >= 0 ? inputs[c_input] : NULL;
  void *result =
      state->has_tail && !state->is_dense ? (guint8 *)workspace + state->result_offset : d;
  guint8 *d_at = result;

  for (;;) {
    gint k = (gint)p->n_outer - 1;
    if (!multiply(state, queue, a_at, b_at, c_at, d_at, workspace, error))
      return FALSE;
    for (; k >= 0; k--) {
      gint64 back = ++at[k] == p->outer[k] ? p->outer[k] - 1 : -1;
      a_at -= back * p->a_outer[k] * size;
      b_at -= back * p->b_outer[k] * size;
      d_at -= back * p->d_outer[k] * size;
      if (c_at)
        c_at -= back * p->d_outer[k] * size;
      if (back < 0)
        break;
      at[k] = 0;
    }
    if (k < 0)
      break;
  }
  return !state->has_tail || run_tail(state, queue, result, inputs, d, error);
}
