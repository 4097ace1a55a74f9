/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cudnn-conv.h"
#include "impls-library.h"

#include <string.h>

/*
 * Convolutions by cuDNN, channels-last, with what follows them fused. A tactic is an engine's name
 * and how the convolution is given to it: "eng39,k2=16,sum", where ",sum" adds a residual before
 * the bias, ",split" leaves the epilogue to a kernel of our own, ",c8" copies the input with its
 * channels padded to a multiple of 8, and ",tf32" lets FP32 be multiplied as TF32.
 */

#define MAX_VARIANTS 12
#define MAX_POINTERS (3 + INFER_EPILOGUE_MAX_SIDES + INFER_CUDNN_MAX_SCALARS)
/* Engines that the heuristics offer and that then fail are rare. */
#define MAX_TRIES 8

typedef struct {
  InferCudaDevice *device;
  InferCudnnConv conv;
  InferCudnnVariant variant;
  gboolean empty;
  gboolean has_epilogue; /* that is a kernel of its own */
  InferCudnnGraph *graph;
  cudnnBackendDescriptor_t plan, pack;
  gsize library_size, copy_offset, result_offset;
  const void *weights;
  const void *constants[INFER_EPILOGUE_MAX_SIDES];
  CUfunction pad, epilogue;
  guint n;
  gint64 ids[MAX_POINTERS];
  void *pointers[MAX_POINTERS]; /* those of the pack, then its workspace */
  void *workspace;
} State;

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  InferCudnnConv conv;

  if (!infer_cudnn_conv_parse(step, &conv))
    return FALSE;
  inputs[conv.x] = INFER_LAYOUT_CHANNELS_LAST;
  for (guint i = 0; i < conv.chain.n_sides; i++)
    if (!conv.chain.constant[i])
      inputs[conv.chain.sides[i]] = INFER_LAYOUT_CHANNELS_LAST;
  outputs[0] = INFER_LAYOUT_CHANNELS_LAST;
  return TRUE;
}

/* --- variants --- */

static gboolean
is_half(const InferCudnnConv *conv)
{
  return conv->type != INFER_TYPE_FLOAT;
}

/* A residual is added right after the bias, so that the two can change places. */
static gboolean
can_sum_first(const InferCudnnConv *conv)
{
  const InferEpilogueOp *ops = conv->chain.program.ops;

  return conv->chain.program.n >= 2 && ops[0].mode == INFER_EPILOGUE_ADD &&
         ops[0].operand == INFER_EPILOGUE_CHANNEL && ops[1].mode == INFER_EPILOGUE_ADD &&
         ops[1].operand == INFER_EPILOGUE_TENSOR && ops[1].a == 1 &&
         /* Nobody else may see the value in between. */
         (conv->chain.program.n < 3 || ops[2].a == 2);
}

static void
add_variant(InferCudnnVariant *variants, guint *n, InferCudnnVariant variant)
{
  for (guint i = 0; i < *n; i++)
    if (variants[i].sum_first == variant.sum_first && variants[i].split == variant.split &&
        variants[i].pad == variant.pad)
      return;
  if (*n < MAX_VARIANTS)
    variants[(*n)++] = variant;
}

/* The promising ones first; the last one works wherever there is an engine at all. */
static guint
list_variants(const InferCudnnConv *conv, gboolean tf32, InferCudnnVariant *variants)
{
  gint64 pads[3];
  guint n = 0, n_pads = 0;
  gboolean must_split = is_half(conv) && conv->channels_out % 2 != 0;

  tf32 = tf32 && !is_half(conv);
  if (!is_half(conv) || conv->channels_in % 2 == 0)
    pads[n_pads++] = 0;
  if (is_half(conv) && conv->channels_in % 8 != 0)
    pads[n_pads++] = 8;
  if ((is_half(conv) && conv->channels_in < 4) || (tf32 && conv->channels_in % 4 != 0))
    pads[n_pads++] = 4;
  for (guint i = 0; i < n_pads; i++) {
    if (!must_split && can_sum_first(conv))
      add_variant(variants, &n, (InferCudnnVariant){TRUE, FALSE, pads[i], tf32});
    if (!must_split)
      add_variant(variants, &n, (InferCudnnVariant){FALSE, FALSE, pads[i], tf32});
    add_variant(variants, &n, (InferCudnnVariant){FALSE, TRUE, pads[i], tf32});
  }
  add_variant(variants, &n, (InferCudnnVariant){FALSE, TRUE, is_half(conv) ? 8 : 1, tf32});
  return n;
}

static char *
tactic_name(const char *engine, const InferCudnnVariant *variant)
{
  GString *name = g_string_new(engine);

  if (variant->sum_first)
    g_string_append(name, ",sum");
  if (variant->split)
    g_string_append(name, ",split");
  if (variant->pad > 0)
    g_string_append_printf(name, ",c%" G_GINT64_FORMAT, variant->pad);
  if (variant->tf32)
    g_string_append(name, ",tf32");
  return g_string_free(name, FALSE);
}

/* Returns: (transfer full): the engine's name. */
static char *
parse_tactic(const InferPrepare *prepare, const InferCudnnConv *conv, InferCudnnVariant *variant,
             GError **error)
{
  g_auto(GStrv) parts = g_strsplit(prepare->tactic, ",", -1);
  g_autoptr(GString) engine = g_string_new(NULL);
  gboolean ok = TRUE;

  memset(variant, 0, sizeof *variant);
  for (guint i = 0; parts[i] && ok; i++) {
    guint64 pad = 0;
    if (g_str_has_prefix(parts[i], "eng") || parts[i][0] == 'k') {
      g_string_append_printf(engine, "%s%s", engine->len > 0 ? "," : "", parts[i]);
    } else if (g_str_equal(parts[i], "sum")) {
      ok = can_sum_first(conv);
      variant->sum_first = TRUE;
    } else if (g_str_equal(parts[i], "split")) {
      variant->split = TRUE;
    } else if (g_str_equal(parts[i], "tf32")) {
      ok = infer_cuda_allows_tf32(prepare->tactic);
      variant->tf32 = TRUE;
    } else {
      ok = parts[i][0] == 'c' && g_ascii_string_to_unsigned(parts[i] + 1, 10, 1, 64, &pad, NULL);
      variant->pad = (gint64)pad;
    }
  }
  if (ok && engine->len > 0 && !(variant->sum_first && variant->split))
    return g_strdup(engine->str);
  infer_cuda_fail(prepare, error, INFER_ERROR_PLAN, "there is no tactic '%s'; build the plan anew",
                  prepare->tactic);
  return NULL;
}

/* --- preparing --- */

static void
append_ints(GString *text, const gint64 *values, guint n)
{
  for (guint i = 0; i < n; i++)
    g_string_append_printf(text, " %" G_GINT64_FORMAT, values[i]);
}

/* All that an engine's plan depends on, apart from its name and the variant. */
static GString *
signature(const InferPrepare *prepare, const InferCudnnConv *conv)
{
  const InferCudaFused *chain = &conv->chain;
  GString *text = g_string_new("convolution 2 ");

  g_string_append_printf(text, "%s;%d %d %d;", prepare->device->key, conv->transposed, conv->type,
                         conv->spatial);
  append_ints(
      text, (const gint64[]){conv->images, conv->groups, conv->channels_in, conv->channels_out}, 4);
  for (guint i = 0; i < INFER_CUDNN_SPATIAL; i++)
    append_ints(text,
                (const gint64[]){conv->kernel[i], conv->stride[i], conv->dilation[i],
                                 conv->begin[i], conv->end[i], conv->in[i], conv->out[i]},
                7);
  append_ints(text, conv->x_strides, 1 + INFER_CUDNN_SPATIAL);
  append_ints(text, conv->y_strides, 1 + INFER_CUDNN_SPATIAL);
  for (guint i = 0; i < chain->n_sides; i++) {
    g_string_append_printf(text, " s%d", chain->constant[i]);
    append_ints(text, conv->side_strides[i], 1 + INFER_CUDNN_SPATIAL);
  }
  for (gint i = 0; i < chain->program.n; i++) {
    const InferEpilogueOp *op = &chain->program.ops[i];
    g_string_append_printf(text, " o%d %d %d %d %a %a", op->mode, op->operand, op->a, op->b,
                           (double)op->p0, (double)op->p1);
  }
  return text;
}

static GBytes *
plan_key(const GString *signature_text, const InferCudnnVariant *variant)
{
  char *text = g_strdup_printf("%s;%d %d %" G_GINT64_FORMAT " %d;", signature_text->str,
                               variant->sum_first, variant->split, variant->pad, variant->tf32);

  return g_bytes_new_take(text, strlen(text));
}

static void
release(gpointer data)
{
  State *state = data;

  infer_cuda_push(state->device);
  if (state->pack)
    cudnnBackendDestroyDescriptor(state->pack);
  if (state->plan)
    cudnnBackendDestroyDescriptor(state->plan);
  if (state->graph)
    infer_cudnn_graph_free(state->graph);
  infer_cuda_pop();
  g_free(state);
}

static gboolean
is_dense(const InferCudnnConv *conv)
{
  gint64 next = conv->groups * conv->channels_out;

  for (gint i = INFER_CUDNN_SPATIAL - 1; i >= 0; i--) {
    if (conv->out[i] != 1 && conv->y_strides[1 + i] != next)
      return FALSE;
    next *= conv->out[i];
  }
  return conv->images == 1 || conv->y_strides[0] == next;
}

static gint64
product(const gint64 *values)
{
  return values[0] * values[1] * values[2];
}

/* A part of the workspace for @n elements. Returns: its offset. */
static gsize
take(InferPrepare *prepare, gint64 n, InferType type)
{
  gsize offset = (prepare->workspace + 255) & ~(gsize)255;

  prepare->workspace = offset + (gsize)n * (infer_type_bits(type) / 8);
  return offset;
}

static gboolean
find_kernels(State *state, GError **error)
{
  const InferCudnnConv *conv = &state->conv;
  gint64 padded = conv->groups * infer_cudnn_conv_in(conv, &state->variant);
  const char *name = is_half(conv)     ? padded % 8 == 0   ? "infer_pad_channels_2x8"
                                         : padded % 4 == 0 ? "infer_pad_channels_2x4"
                                                           : "infer_pad_channels_2"
                     : padded % 4 == 0 ? "infer_pad_channels_4x4"
                                       : "infer_pad_channels_4";

  if (state->variant.pad > 0 && !(state->pad = infer_cuda_fixed(state->device, name, error)))
    return FALSE;
  return !state->has_epilogue ||
         (state->epilogue = infer_cuda_fused_kernel(state->device, conv->type, error)) != NULL;
}

static gboolean
find_constants(State *state, InferPrepare *prepare, GError **error)
{
  const InferCudnnConv *conv = &state->conv;
  const InferCudaFused *chain = &conv->chain;

  state->weights =
      infer_cudnn_conv_weights(prepare, conv, infer_cudnn_conv_in(conv, &state->variant),
                               infer_cudnn_conv_out(conv, &state->variant), error);
  for (guint i = 0; state->weights && i < chain->n_sides; i++)
    if (chain->constant[i] &&
        !(state->constants[i] = infer_cuda_fused_side(prepare, chain, i, 1,
                                                      conv->groups * conv->channels_out, error)))
      return FALSE;
  return state->weights != NULL;
}

static void
list_ids(State *state)
{
  const InferCudaFused *chain = &state->conv.chain;

  state->ids[state->n++] = INFER_CUDNN_X;
  state->ids[state->n++] = INFER_CUDNN_W;
  state->ids[state->n++] = INFER_CUDNN_Y;
  for (guint i = 0; i < chain->n_sides && !state->variant.split; i++)
    state->ids[state->n++] = INFER_CUDNN_SIDE + i;
  for (guint i = 0; i < state->graph->n_scalars; i++)
    state->ids[state->n++] = INFER_CUDNN_SCALAR + i;
}

/* What is the same for all engines of a variant. */
static State *
new_state(InferPrepare *prepare, const InferCudnnConv *conv, const InferCudnnVariant *variant,
          cudnnHandle_t handle, GError **error)
{
  State *state = g_new0(State, 1);

  state->device = infer_cuda_device(prepare->device);
  state->conv = *conv;
  state->variant = *variant;
  state->has_epilogue =
      variant->split && (conv->chain.program.n > 0 || !is_dense(conv) ||
                         infer_cudnn_conv_out(conv, variant) != conv->channels_out);
  state->graph = infer_cudnn_graph_new(handle, &state->conv, &state->variant, error);
  if (state->graph)
    list_ids(state);
  if (state->graph && find_kernels(state, error))
    return state;
  release(state);
  return NULL;
}

/* The rest, once an engine runs it. */
static gboolean
finish(State *state, InferPrepare *prepare, GError **error)
{
  const InferCudnnConv *conv = &state->conv;

  prepare->workspace = state->library_size;
  if (state->variant.pad > 0)
    state->copy_offset = take(prepare,
                              conv->images * product(conv->in) * conv->groups *
                                  infer_cudnn_conv_in(conv, &state->variant),
                              conv->type);
  if (state->has_epilogue)
    state->result_offset = take(prepare,
                                conv->images * product(conv->out) * conv->groups *
                                    infer_cudnn_conv_out(conv, &state->variant),
                                conv->type);
  if (!find_constants(state, prepare, error))
    return FALSE;
  prepare->state = state;
  return TRUE;
}

static gboolean
try_engine(State *state, InferPrepare *prepare, const GString *text, const char *engine,
           GError **error)
{
  g_autoptr(GBytes) key = plan_key(text, &state->variant);

  state->plan = infer_cudnn_plan(state->graph, key, engine, state->conv.type, state->variant.tf32,
                                 &state->library_size, error);
  return state->plan != NULL;
}

static gboolean
prepare_tactic(InferPrepare *prepare, const InferCudnnConv *conv, cudnnHandle_t handle,
               const GString *text, GError **error)
{
  InferCudnnVariant variant;
  g_autofree char *engine = parse_tactic(prepare, conv, &variant, error);
  State *state = engine ? new_state(prepare, conv, &variant, handle, error) : NULL;

  if (!state)
    return FALSE;
  if (try_engine(state, prepare, text, engine, error) && finish(state, prepare, error))
    return TRUE;
  g_prefix_error(error, "tactic '%s': ", prepare->tactic);
  release(state);
  return FALSE;
}

/* The first engine of a variant that can be had. Returns: (transfer full): its name. */
static char *
first_engine(State *state, InferPrepare *prepare, const GString *text)
{
  static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};

  for (guint m = 0; m < G_N_ELEMENTS(modes); m++) {
    g_autoptr(GPtrArray) names =
        infer_cudnn_engines(state->graph, modes[m], state->conv.type, state->variant.tf32, FALSE);
    for (guint i = 0; i < MIN(names->len, MAX_TRIES); i++)
      if (try_engine(state, prepare, text, names->pdata[i], NULL))
        return g_strdup(names->pdata[i]);
  }
  return NULL;
}

/* Without a tactic: what the heuristics put first. Returns: (transfer full): the tactic, and the
 * state in @result. */
static char *
choose(InferPrepare *prepare, const InferCudnnConv *conv, cudnnHandle_t handle, const GString *text,
       State **result, GError **error)
{
  InferCudnnVariant variants[MAX_VARIANTS];
  guint n = list_variants(conv, FALSE, variants);

  for (guint i = 0; i < n; i++) {
    State *state = new_state(prepare, conv, &variants[i], handle, NULL);
    g_autofree char *engine = state ? first_engine(state, prepare, text) : NULL;
    if (engine) {
      *result = state;
      return tactic_name(engine, &variants[i]);
    }
    if (state)
      release(state);
  }
  infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                  "cuDNN has no engine for this convolution (%s)", text->str);
  return NULL;
}

static GBytes *
choice_key(const GString *text)
{
  char *key = g_strdup_printf("%s;choice", text->str);

  return g_bytes_new_take(key, strlen(key));
}

static gboolean
prepare_default(InferPrepare *prepare, const InferCudnnConv *conv, cudnnHandle_t handle,
                const GString *text, GError **error)
{
  g_autoptr(GBytes) key = choice_key(text);
  g_autoptr(GBytes) known = infer_cuda_cache_load("choice", key);
  g_autofree char *tactic = NULL;
  State *state = NULL;

  /* The heuristics take longer than a plan that is in the cache. */
  if (known) {
    InferPrepare again = *prepare;
    tactic = g_strndup(g_bytes_get_data(known, NULL), g_bytes_get_size(known));
    again.tactic = tactic;
    if (prepare_tactic(&again, conv, handle, text, NULL)) {
      prepare->state = again.state;
      prepare->workspace = again.workspace;
      return TRUE;
    }
    g_clear_pointer(&tactic, g_free);
  }
  tactic = choose(prepare, conv, handle, text, &state, error);
  if (!tactic)
    return FALSE;
  if (!finish(state, prepare, error)) {
    release(state);
    return FALSE;
  }
  g_clear_pointer(&known, g_bytes_unref);
  known = g_bytes_new(tactic, strlen(tactic));
  infer_cuda_cache_store("choice", key, known);
  return TRUE;
}

static gboolean
prepare_current(InferPrepare *prepare, GError **error)
{
  g_autofree InferCudnnConv *conv = g_new0(InferCudnnConv, 1);
  g_autoptr(GString) text = NULL;
  cudnnHandle_t handle;

  if (!infer_cudnn_conv_parse(prepare->step, conv))
    return infer_cuda_fail(prepare, error, INFER_ERROR_PLAN, "this is no convolution for cuDNN");
  if (!infer_cudnn_conv_shape(prepare, conv, error))
    return FALSE;
  if (infer_dims_count(&prepare->outputs[0].dims) == 0) {
    State *state = g_new0(State, 1);
    state->device = infer_cuda_device(prepare->device);
    state->empty = TRUE;
    prepare->state = state;
    return TRUE;
  }
  handle = infer_cuda_cudnn(error);
  if (!handle)
    return FALSE;
  text = signature(prepare, conv);
  return prepare->tactic ? prepare_tactic(prepare, conv, handle, text, error)
                         : prepare_default(prepare, conv, handle, text, error);
}

static gboolean
prepare_convolution(InferPrepare *prepare, GError **error)
{
  gboolean ok;

  infer_cuda_library_enter(infer_cuda_device(prepare->device));
  ok = prepare_current(prepare, error);
  infer_cuda_library_leave(infer_cuda_device(prepare->device));
  return ok;
}

/* --- tactics --- */

/* Those of all variants in turn, so that none waits for all of another's. */
static void
interleave(GPtrArray *const *lists, const InferCudnnVariant *variants, guint n, guint most,
           GPtrArray *result)
{
  gboolean more = TRUE;

  for (guint rank = 0; more && result->len < most; rank++) {
    more = FALSE;
    for (guint i = 0; i < n && result->len < most; i++)
      if (rank < lists[i]->len) {
        g_ptr_array_add(result, tactic_name(lists[i]->pdata[rank], &variants[i]));
        more = TRUE;
      }
  }
}

static GPtrArray *
engines_of(const InferPrepare *prepare, const InferCudnnConv *conv,
           const InferCudnnVariant *variant, cudnnHandle_t handle, const InferTacticArgs *args)
{
  static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B,
                                                 CUDNN_HEUR_MODE_FALLBACK};
  GPtrArray *all = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(InferCudnnGraph) graph = infer_cudnn_graph_new(handle, conv, variant, NULL);
  guint n = args->level >= 5 ? 3 : args->level >= 2 ? 2 : 1;

  for (guint m = 0; graph && m < n; m++) {
    g_autoptr(GPtrArray) names =
        infer_cudnn_engines(graph, modes[m], conv->type, variant->tf32, args->deterministic);
    for (guint i = 0; i < names->len; i++)
      if (!g_ptr_array_find_with_equal_func(all, names->pdata[i], g_str_equal, NULL))
        g_ptr_array_add(all, g_strdup(names->pdata[i]));
  }
  return all;
}

static void
list_tactics(const InferPrepare *prepare, const InferCudnnConv *conv, const InferTacticArgs *args,
             GPtrArray *result)
{
  static const guint most[] = {1, 4, 8, 16, 48, G_MAXUINT};
  cudnnHandle_t handle = infer_cuda_cudnn(NULL);
  InferCudnnVariant variants[MAX_VARIANTS];
  GPtrArray *lists[MAX_VARIANTS];
  guint n = handle ? list_variants(conv, args->tf32, variants) : 0;

  for (guint i = 0; i < n; i++)
    lists[i] = engines_of(prepare, conv, &variants[i], handle, args);
  interleave(lists, variants, n, most[MIN(args->level, 5)], result);
  for (guint i = 0; i < n; i++)
    g_ptr_array_unref(lists[i]);
}

/* The one that works without measuring. */
static char *
default_tactic(const InferPrepare *prepare, const InferCudnnConv *conv)
{
  g_autoptr(GString) text = signature(prepare, conv);
  cudnnHandle_t handle = infer_cuda_cudnn(NULL);
  InferPrepare copy = *prepare;
  State *state = NULL;
  char *tactic = handle ? choose(&copy, conv, handle, text, &state, NULL) : NULL;

  if (state)
    release(state);
  return tactic;
}

static char **
tactics(const InferPrepare *prepare, const InferTacticArgs *args)
{
  g_autofree InferCudnnConv *conv = g_new0(InferCudnnConv, 1);
  g_autoptr(GPtrArray) result = g_ptr_array_new_with_free_func(g_free);

  if (!infer_cudnn_conv_parse(prepare->step, conv) ||
      !infer_cudnn_conv_shape(prepare, conv, NULL) ||
      infer_dims_count(&prepare->outputs[0].dims) == 0)
    return NULL;
  infer_cuda_library_enter(infer_cuda_device(prepare->device));
  if (args->level > 0) {
    list_tactics(prepare, conv, args, result);
  } else {
    char *only = default_tactic(prepare, conv);
    if (only)
      g_ptr_array_add(result, only);
  }
  infer_cuda_library_leave(infer_cuda_device(prepare->device));
  if (result->len == 0)
    return NULL;
  g_ptr_array_add(result, NULL);
  return (char **)g_ptr_array_free(g_steal_pointer(&result), FALSE);
}

/* --- running --- */

static gboolean
make_pack(State *state, void *const *pointers, void *workspace, GError **error)
{
  g_autoptr(GPtrArray) owner = infer_cudnn_owner_new();
  cudnnBackendDescriptor_t pack =
      infer_cudnn_new(owner, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, error);

  if (!pack ||
      !infer_cudnn_set(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, state->n,
                       state->ids, error) ||
      !infer_cudnn_set(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, state->n,
                       pointers, error) ||
      !infer_cudnn_set(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace,
                       error) ||
      !infer_cudnn_finalize(pack, "the operands", error))
    return FALSE;
  if (state->pack)
    cudnnBackendDestroyDescriptor(state->pack);
  state->pack = g_ptr_array_steal_index_fast(owner, 0);
  memcpy(state->pointers, pointers, state->n * sizeof *pointers);
  state->workspace = workspace;
  return TRUE;
}

static void
set_tensor(InferEpilogueTensor *tensor, const void *data, const gint64 *strides)
{
  tensor->data = (void *)data;
  for (guint i = 0; i < 1 + INFER_CUDNN_SPATIAL; i++)
    tensor->stride[i] = strides[i];
}

static InferEpilogueShape
shape_of(const InferCudnnConv *conv, const gint64 *spatial, gint64 channels, gint64 padded)
{
  InferEpilogueShape shape = {.size = {conv->images, spatial[0], spatial[1], spatial[2]},
                              .groups = (int)conv->groups,
                              .channels = (int)channels,
                              .padded = (int)padded};

  return shape;
}

static gboolean
run_pad(const State *state, const InferCudaQueue *queue, const void *x, void *copy, GError **error)
{
  const InferCudnnConv *conv = &state->conv;
  InferEpilogueShape shape =
      shape_of(conv, conv->in, conv->channels_in, infer_cudnn_conv_in(conv, &state->variant));
  InferEpilogueTensor from;
  void *params[] = {&shape, &from, &copy};
  gint64 n = conv->images * product(conv->in) * shape.groups * shape.padded;

  set_tensor(&from, x, conv->x_strides);
  return infer_cuda_launch(
      queue, state->pad, infer_cuda_fused_blocks(queue->device, shape.padded % 4 == 0 ? n / 4 : n),
      (InferCudaSize){256, 1, 1}, 0, params, error);
}

static gboolean
run_epilogue(const State *state, const InferCudaQueue *queue, const void *from, void *const *inputs,
             void *y, GError **error)
{
  const InferCudnnConv *conv = &state->conv;
  const InferCudaFused *chain = &conv->chain;
  InferEpilogueShape shape =
      shape_of(conv, conv->out, conv->channels_out, infer_cudnn_conv_out(conv, &state->variant));
  InferEpilogueTensor to;
  InferEpilogueSides sides = {0};
  void *params[] = {&shape, &from, &to, &sides, (void *)&chain->program};
  gint64 n = conv->images * product(conv->out) * conv->groups * conv->channels_out;

  set_tensor(&to, y, conv->y_strides);
  for (guint i = 0; i < chain->n_sides; i++)
    set_tensor(&sides.side[i], chain->constant[i] ? state->constants[i] : inputs[chain->sides[i]],
               conv->side_strides[i]);
  return infer_cuda_launch(queue, state->epilogue, infer_cuda_fused_blocks(queue->device, n),
                           (InferCudaSize){256, 1, 1}, 0, params, error);
}

static gboolean
run(gpointer data, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  State *state = data;
  const InferCudaFused *chain = &state->conv.chain;
  const InferCudaQueue *queue = infer_cuda_queue(stream);
  void *copy = (guint8 *)workspace + state->copy_offset;
  void *result = (guint8 *)workspace + state->result_offset;
  void *pointers[MAX_POINTERS];
  cudnnHandle_t handle;
  guint n = 0;

  if (state->empty)
    return TRUE;
  handle = infer_cuda_cudnn_of(stream, error);
  if (!handle || (state->pad && !run_pad(state, queue, inputs[state->conv.x], copy, error)))
    return FALSE;
  pointers[n++] = state->pad ? copy : inputs[state->conv.x];
  pointers[n++] = (void *)state->weights;
  pointers[n++] = state->has_epilogue ? result : outputs[0];
  for (guint i = 0; i < chain->n_sides && !state->variant.split; i++)
    pointers[n++] = chain->constant[i] ? (void *)state->constants[i] : inputs[chain->sides[i]];
  for (guint i = 0; i < state->graph->n_scalars; i++)
    pointers[n++] = &state->graph->scalars[i];
  if ((!state->pack || workspace != state->workspace ||
       memcmp(pointers, state->pointers, n * sizeof *pointers) != 0) &&
      !make_pack(state, pointers, workspace, error))
    return FALSE;
  return infer_cudnn_check(cudnnBackendExecute(handle, state->plan, state->pack), "a convolution",
                           error) &&
         (!state->has_epilogue || run_epilogue(state, queue, result, inputs, outputs[0], error));
}

/* A channel slice is read where it lies if the fast engines' loads of 16 bytes stay aligned. */
static gboolean
strided(const InferPrepare *prepare, gboolean output, guint index)
{
  const InferBuffer *buffer = output ? &prepare->outputs[index] : &prepare->inputs[index];
  gint64 strides[1 + INFER_CUDNN_SPATIAL], unit = 16 / (infer_type_bits(buffer->type) / 8);

  if (buffer->dims.n < 3 || buffer->dims.n > 2 + INFER_CUDNN_SPATIAL || buffer->alignment < 16 ||
      !infer_cudnn_conv_strides(buffer, strides))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS(strides); i++)
    if (strides[i] % unit != 0)
      return FALSE;
  return TRUE;
}

const InferImpl infer_cudnn_convolution = {
    .name = "cudnn.convolution",
    .supports = supports,
    .tactics = tactics,
    .prepare = prepare_convolution,
    .release = release,
    .run = run,
    .strided = strided,
};
