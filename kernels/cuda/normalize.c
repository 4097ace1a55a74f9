/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "impls-ops.h"
#include "nest.h"

#include <string.h>

/* Softmax and LogSoftmax, and the normalizations by layer, instance, group, root mean square and
 * length. */

typedef enum { AXES_ONE, AXES_TRAILING, AXES_SPATIAL, AXES_GROUP, AXES_LIST } Axes;

/* @form, @kind: numbers of source/normalize.cu and source/reduce.cu */
static const struct {
  const char *op;
  gint form, kind;
  Axes axes;
} forms[] = {
    {"Softmax", 0, 8, AXES_ONE},
    {"LogSoftmax", 1, 8, AXES_ONE},
    {"LayerNormalization", 2, 13, AXES_TRAILING},
    {"RMSNormalization", 3, 9, AXES_TRAILING},
    {"InstanceNormalization", 2, 13, AXES_SPATIAL},
    {"GroupNormalization", 2, 13, AXES_GROUP},
    {"MeanVarianceNormalization", 2, 13, AXES_LIST},
    {"LpNormalization", 4, 6, AXES_ONE},
};

static gint
find_form(const InferNode *node)
{
  for (gsize i = 0; i < G_N_ELEMENTS(forms); i++)
    if (g_str_equal(forms[i].op, infer_node_get_op_name(node)))
      return (gint)i;
  return -1;
}

/* Which axes the statistics are over. */
static gboolean
find_axes(const InferNode *node, gint rank, gboolean *gone)
{
  static const gint64 usual[] = {0, 2, 3};
  Axes axes = forms[find_form(node)].axes;
  gint64 axis = infer_node_get_int(node, "axis", -1);
  gsize n = 0;
  const gint64 *list = infer_node_get_ints(node, "axes", &n);

  memset(gone, 0, sizeof *gone * INFER_MAX_DIMS);
  axis += axis < 0 ? rank : 0;
  if ((axes == AXES_ONE || axes == AXES_TRAILING) && (axis < 0 || axis >= rank))
    return FALSE;
  if (axes == AXES_SPATIAL || axes == AXES_GROUP)
    axis = 2;
  if (axes == AXES_LIST && !list) {
    list = usual;
    n = G_N_ELEMENTS(usual);
  }
  for (gint i = 0; i < rank; i++)
    gone[i] = axes == AXES_ONE ? i == axis : axes == AXES_LIST ? FALSE : i >= axis;
  for (gsize i = 0; axes == AXES_LIST && i < n; i++) {
    gint64 k = list[i] < 0 ? list[i] + rank : list[i];
    if (k < 0 || k >= rank)
      return FALSE;
    gone[k] = TRUE;
  }
  return TRUE;
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  const InferTensor *x = node->inputs[0];
  gboolean gone[INFER_MAX_DIMS];

  if (step->n_nodes != 1 || step->n_outputs != 1 || node->n_outputs != 1 || !x || x->value ||
      x->dims.n < 1 || (!infer_cuda_is_data(x->type) && x->type != INFER_TYPE_DOUBLE) ||
      infer_step_find_input(step, x) != 0 || !find_axes(node, x->dims.n, gone))
    return FALSE;
  for (guint i = 1; i < node->n_inputs; i++)
    if (node->inputs[i] && (!(infer_cuda_is_data(node->inputs[i]->type) ||
                              node->inputs[i]->type == INFER_TYPE_DOUBLE) ||
                            node->inputs[i]->dims.n < 0 || node->inputs[i]->dims.n > x->dims.n))
      return FALSE;
  inputs[0] = outputs[0] = INFER_LAYOUT_ANY;
  return TRUE;
}

/* The stride of a factor or term along axis @i: a vector of channels, or broadcast. */
static gint64
parameter_stride(const InferBuffer *p, gboolean channels, gint rank, gint i)
{
  gint k = i - (channels ? 1 : rank - p->dims.n);

  return k < 0 || k >= p->dims.n || p->dims.d[k] == 1 ? 0 : p->strides[k];
}

static void
add_axis(InferCudaNest *nest, const InferPrepare *prepare, gint i, gboolean gone, Axes axes)
{
  const InferBuffer *x = &prepare->inputs[0], *y = &prepare->outputs[0];
  gboolean channels = axes == AXES_SPATIAL || axes == AXES_GROUP;
  gint64 groups = infer_node_get_int(prepare->step->nodes[0], "num_groups", 1);
  InferCudaNestAxis axis = {.dim = x->dims.d[i], .stride = {x->strides[i], y->strides[i]}};

  for (guint k = 1; k <= 2; k++) {
    gint input = infer_cuda_operand(prepare->step, prepare->step->nodes[0], k);
    if (input >= 0)
      axis.stride[INFER_NEST_SCALE + k - 1] =
          parameter_stride(&prepare->inputs[input], channels, x->dims.n, i);
  }
  if (axes == AXES_GROUP && i == 1) {
    InferCudaNestAxis outer = axis;

    axis.dim /= groups;
    outer.dim = groups;
    for (gint k = 0; k < INFER_NEST_OPERANDS; k++)
      outer.stride[k] *= axis.dim;
    infer_cuda_nest_add(nest, FALSE, &outer);
    gone = TRUE;
  }
  infer_cuda_nest_add(nest, gone, &axis);
}

static void
define_parameter(GString *source, const InferPrepare *prepare, guint index, const char *name)
{
  gint input = infer_cuda_operand(prepare->step, prepare->step->nodes[0], index);
  g_autofree char *slot = g_strconcat(name, "_SLOT", NULL), *type = g_strconcat(name, "_T", NULL);

  infer_cuda_define(source, slot, input);
  infer_cuda_define_text(source, type,
                         input >= 0 ? infer_cuda_type(prepare->inputs[input].type) : "float");
}

static void
define_epsilon(GString *source, const InferNode *node)
{
  gboolean after = forms[find_form(node)].axes == AXES_LIST;
  double value = after ? 0 : infer_node_get_float(node, "epsilon", 1e-5);
  char digits[G_ASCII_DTOSTR_BUF_SIZE];

  infer_cuda_define_text(source, "EPSILON", g_ascii_formatd(digits, sizeof digits, "%.17e", value));
  infer_cuda_define_text(source, "EPSILON_AFTER", after ? "1e-9" : "0");
}

static gboolean
prepare_normalize(InferPrepare *prepare, GError **error)
{
  g_autofree InferCudaKernel *self = infer_cuda_kernel_new(prepare, 0, error);
  const InferNode *node = prepare->step->nodes[0];
  const InferBuffer *x = &prepare->inputs[0], *y = &prepare->outputs[0];
  gint form = find_form(node);
  gboolean gone[INFER_MAX_DIMS];
  g_autoptr(GString) source = NULL;
  InferCudaNest nest = {0};

  if (!self || !find_axes(node, x->dims.n, gone))
    return self && infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "its axis is out of range");
  for (gint i = 0; i < x->dims.n; i++)
    add_axis(&nest, prepare, i, gone[i], forms[form].axes);
  infer_cuda_nest_finish(&nest, x, y, TRUE, TRUE);
  source = infer_cuda_source_new(infer_cuda_is_half(y->type), infer_cuda_nest_is_wide(x, y));
  infer_cuda_define(source, "FORM", forms[form].form);
  infer_cuda_define(
      source, "KIND",
      forms[form].form == 4 && infer_node_get_int(node, "p", 2) == 1 ? 5 : forms[form].kind);
  infer_cuda_define(source, "POWER", 2);
  infer_cuda_define(source, "LAST_INDEX", 0);
  infer_cuda_define(source, "EXTREME", 0);
  infer_cuda_define_text(source, "ACC", infer_cuda_accumulator(x->type, FALSE));
  infer_cuda_define(source, "X_SLOT", 0);
  infer_cuda_define(source, "OUT_SLOT", prepare->step->n_inputs);
  define_parameter(source, prepare, 1, "SCALE");
  define_parameter(source, prepare, 2, "SHIFT");
  define_epsilon(source, node);
  infer_cuda_nest_define(&nest, source, x, y);
  infer_cuda_source_append(source, "reduce");
  infer_cuda_source_append(source, "normalize");
  self->params.n[0] = nest.outputs / nest.vec;
  if (infer_dims_count(&x->dims) > 0 &&
      !infer_cuda_kernel_add(
          self, prepare, source->str, "normalize",
          (InferCudaSize){infer_cuda_blocks(self->params.n[0], (guint)nest.lanes, G_MAXINT32), 1,
                          1},
          (InferCudaSize){(guint)(nest.lanes * nest.depth), 1, 1}, 0, error))
    return FALSE;
  prepare->state = g_steal_pointer(&self);
  return TRUE;
}

const InferImpl infer_cuda_normalize = {
    .name = "cuda.normalize",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_normalize,
    .release = g_free,
    .run = infer_cuda_kernel_run,
    .strided = infer_cuda_any_strides,
};
