/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "onednn.h"

/* Convolution, channels-last, with what follows it fused. */

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  InferCpuChain chain;
  if (!infer_cpu_chain_parse(step, &chain) || chain.bias >= 0 || !infer_cpu_all_float(step))
    return FALSE;
  const InferNode *node = step->nodes[0];
  gint x = infer_step_find_input(step, node->inputs[0]);
  gint rank = node->inputs[0]->dims.n;
  if (x < 0 || infer_cpu_is_constant(step, x) || node->inputs[1]->value == NULL || rank < 3 ||
      rank > 2 + INFER_CPU_MAX_SPATIAL || node->inputs[1]->dims.n != rank)
    return FALSE;
  inputs[x] = INFER_LAYOUT_CHANNELS_LAST;
  for (guint i = 0; i < chain.n; i++)
    if (chain.post[i].kind == INFER_CPU_POST_ADD)
      inputs[chain.post[i].input] = INFER_LAYOUT_CHANNELS_LAST;
  outputs[0] = INFER_LAYOUT_CHANNELS_LAST;
  return TRUE;
}

/* Strides of dimensions of one element mean nothing, but oneDNN compares them with its formats. */
static gboolean
activation_md(dnnl_memory_desc_t *md, const InferBuffer *buffer, gint64 images)
{
  InferDims dims = buffer->dims;
  gint64 strides[INFER_MAX_DIMS];
  InferOrder order = infer_order_channels_last(buffer->dims.n);
  gboolean same = TRUE;
  infer_order_strides(&order, &buffer->dims, strides);
  for (gint i = 0; i < buffer->dims.n; i++)
    same = same && (buffer->dims.d[i] == 1 || strides[i] == buffer->strides[i]);
  dims.d[0] = images;
  return infer_onednn_md(md, dims.d, dims.n, same ? strides : buffer->strides);
}

/* oneDNN has groups as a dimension of their own. */
static gboolean
weights_md(dnnl_memory_desc_t *any, dnnl_memory_desc_t *plain, const InferDims *dims, gint64 groups)
{
  gint64 d[3 + INFER_CPU_MAX_SPATIAL], s[3 + INFER_CPU_MAX_SPATIAL], count = 1;
  gint n = dims->n + 1, skip = groups == 1 ? 1 : 0;
  for (gint i = 0; i < n; i++)
    d[i] = i == 0 ? groups : i == 1 ? dims->d[0] / groups : dims->d[i - 1];
  for (gint i = n - 1; i >= 0; i--) {
    s[i] = count;
    count *= d[i];
  }
  return infer_onednn_md(any, d + skip, n - skip, NULL) &&
         infer_onednn_md(plain, d + skip, n - skip, s + skip);
}

typedef struct {
  dnnl_memory_desc_t src, dst, weights, plain, bias;
  dnnl_memory_desc_t add[INFER_CPU_MAX_POST_OPS];
  gboolean has_bias;
  InferCpuChain chain;
  InferCpuWindow window;
} Geometry;

static gboolean
read_geometry(const InferPrepare *prepare, gint64 images, Geometry *g)
{
  const InferStep *step = prepare->step;
  const InferNode *node = step->nodes[0];
  const InferBuffer *x = &prepare->inputs[infer_step_find_input(step, node->inputs[0])];
  const InferBuffer *y = &prepare->outputs[0];
  const InferDims *w = &prepare->inputs[infer_step_find_input(step, node->inputs[1])].dims;
  gint64 groups = infer_node_get_int(node, "group", 1);
  g->has_bias = node->n_inputs > 2 && node->inputs[2] != NULL;
  if (groups < 1 || w->n < 3 || w->d[0] % groups != 0 || !infer_cpu_chain_parse(step, &g->chain) ||
      !infer_cpu_window(node, &x->dims, &y->dims, w->d + 2, &g->window))
    return FALSE;
  if (!activation_md(&g->src, x, images) || !activation_md(&g->dst, y, images) ||
      !weights_md(&g->weights, &g->plain, w, groups))
    return FALSE;
  if (g->has_bias && !infer_onednn_md(&g->bias, &y->dims.d[1], 1, (const gint64[]){1}))
    return FALSE;
  for (guint i = 0, k = 0; i < g->chain.n; i++)
    if (g->chain.post[i].kind == INFER_CPU_POST_ADD &&
        !activation_md(&g->add[k++], &prepare->inputs[g->chain.post[i].input], images))
      return FALSE;
  return TRUE;
}

static dnnl_status_t
describe(dnnl_convolution_desc_t *desc, dnnl_primitive_attr_t *attr, const Geometry *g,
         gboolean sum)
{
  const InferCpuWindow *w = &g->window;
  dnnl_dims_t stride = {0}, dilation = {0}, begin = {0}, end = {0};
  for (gint i = 0; i < w->n; i++) {
    gint k = INFER_CPU_MAX_SPATIAL - w->n + i;
    stride[i] = w->stride[k];
    dilation[i] = w->dilation[k] - 1;
    begin[i] = w->begin[k];
    end[i] = w->end[k];
  }
  dnnl_status_t status = dnnl_dilated_convolution_forward_desc_init(
      desc, dnnl_forward_inference, dnnl_convolution_direct, &g->src, &g->weights,
      g->has_bias ? &g->bias : NULL, &g->dst, stride, dilation, begin, end);
  return status == dnnl_success ? infer_onednn_attr(attr, &g->chain, sum ? NULL : g->add) : status;
}

static gboolean
create_primitive(InferOnednn *conv, InferPrepare *prepare, const Geometry *g, gboolean sum,
                 GError **error)
{
  dnnl_convolution_desc_t desc;
  dnnl_primitive_attr_t attr = NULL;
  dnnl_status_t status = describe(&desc, &attr, g, sum);
  gboolean ok = FALSE;
  if (status != dnnl_success)
    infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE,
                   "oneDNN does not take this convolution (status %d)", status);
  else
    ok = infer_onednn_create(conv, prepare, &desc, attr, g->chain.n_adds > 0 && !sum, error);
  if (attr != NULL)
    dnnl_primitive_attr_destroy(attr);
  return ok;
}

static char **
list_tactics(const InferPrepare *prepare, const InferTacticArgs *args)
{
  g_autofree Geometry *g = g_new0(Geometry, 1);
  dnnl_convolution_desc_t desc;
  dnnl_primitive_attr_t attr = NULL;
  char **names = NULL;
  if (infer_dims_count(&prepare->outputs[0].dims) == 0 || !read_geometry(prepare, 1, g))
    return NULL;
  if (describe(&desc, &attr, g, FALSE) == dnnl_success)
    names = infer_onednn_list(prepare, &desc, attr, g->chain.n_adds > 0);
  if (attr != NULL)
    dnnl_primitive_attr_destroy(attr);
  return names;
}

static gboolean
add_activation(InferOnednn *conv, InferPrepare *prepare, int arg, gint slot,
               const dnnl_memory_desc_t *md, GError **error)
{
  const InferBuffer *buffer =
      slot == INFER_ONEDNN_OUTPUT ? &prepare->outputs[0] : &prepare->inputs[slot];
  if (!infer_onednn_add_arg(conv, prepare, arg, slot, md, NULL, error))
    return FALSE;
  conv->steps[conv->n_args - 1] = (gsize)buffer->strides[0] * sizeof(float);
  return TRUE;
}

static gboolean
add_args(InferOnednn *conv, InferPrepare *prepare, const Geometry *g, GError **error)
{
  const InferStep *step = prepare->step;
  const InferNode *node = step->nodes[0];
  if (!add_activation(conv, prepare, DNNL_ARG_SRC, infer_step_find_input(step, node->inputs[0]),
                      &g->src, error) ||
      !add_activation(conv, prepare, DNNL_ARG_DST, INFER_ONEDNN_OUTPUT, &g->dst, error) ||
      !infer_onednn_add_weights(conv, prepare, infer_step_find_input(step, node->inputs[1]),
                                &g->plain, error))
    return FALSE;
  if (g->has_bias &&
      !infer_onednn_add_arg(conv, prepare, DNNL_ARG_BIAS,
                            infer_step_find_input(step, node->inputs[2]), &g->bias, NULL, error))
    return FALSE;
  for (guint i = 0, k = 0; conv->preload < 0 && i < g->chain.n; i++)
    if (g->chain.post[i].kind == INFER_CPU_POST_ADD &&
        !add_activation(conv, prepare, DNNL_ARG_ATTR_MULTIPLE_POST_OP(i) | DNNL_ARG_SRC_1,
                        g->chain.post[i].input, &g->add[k++], error))
      return FALSE;
  return TRUE;
}

/* Where nothing fast adds another tensor, what adds to its own output may; that is filled first. */
static gboolean
create_best(InferOnednn *conv, InferPrepare *prepare, const Geometry *g, GError **error)
{
  if (!create_primitive(conv, prepare, g, FALSE, error))
    return FALSE;
  if (g->chain.n_adds != 1 || !infer_onednn_is_reference(conv))
    return TRUE;
  InferOnednn summed = *conv;
  summed.primitive = NULL;
  summed.desc = NULL;
  summed.n_args = 0;
  if (!create_primitive(&summed, prepare, g, TRUE, NULL) || infer_onednn_is_reference(&summed)) {
    infer_onednn_clear(&summed);
    return TRUE;
  }
  infer_onednn_clear(conv);
  *conv = summed;
  for (guint i = 0; i < g->chain.n; i++)
    if (g->chain.post[i].kind == INFER_CPU_POST_ADD)
      conv->preload = g->chain.post[i].input;
  conv->preload_size = (gsize)infer_dims_count(&prepare->outputs[0].dims) * sizeof(float);
  return TRUE;
}

static gboolean
make(InferOnednn *conv, InferPrepare *prepare, gconstpointer what, gint64 images, GError **error)
{
  g_autofree Geometry *g = g_new0(Geometry, 1);
  if (!read_geometry(prepare, images, g))
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE,
                          "attributes, weights and dimensions do not fit each other");
  return create_best(conv, prepare, g, error) && add_args(conv, prepare, g, error);
}

static gboolean
prepare_convolution(InferPrepare *prepare, GError **error)
{
  const InferDims *out = &prepare->outputs[0].dims;
  prepare->state =
      infer_onednn_new(prepare, make, NULL, infer_dims_count(out) != 0 ? out->d[0] : 0, error);
  return prepare->state != NULL;
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  return infer_onednn_run(state, stream, inputs, outputs[0], workspace, error);
}

const InferImpl infer_cpu_convolution = {
    .name = "onednn.convolution",
    .batch_invariant = TRUE,
    .supports = supports,
    .tactics = list_tactics,
    .prepare = prepare_convolution,
    .release = infer_onednn_free,
    .run = run,
};
