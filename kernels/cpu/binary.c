/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"

static const struct {
  const char *name;
  InferCpuBinary op;
} entries[] = {
    {"Add", INFER_CPU_BINARY_ADD},     {"Sub", INFER_CPU_BINARY_SUB}, {"Mul", INFER_CPU_BINARY_MUL},
    {"Div", INFER_CPU_BINARY_DIV},     {"Max", INFER_CPU_BINARY_MAX}, {"Min", INFER_CPU_BINARY_MIN},
    {"PRelu", INFER_CPU_BINARY_PRELU},
};

/* Loops over the output in the order of its memory; dimensions that can be walked as one are. */
typedef struct {
  const InferCpuKernels *kernels;
  InferCpuBinary op;
  gint input[2];
  gint n;
  gint64 dims[INFER_MAX_DIMS], out[INFER_MAX_DIMS], a[INFER_MAX_DIMS], b[INFER_MAX_DIMS];
  gint64 rows; /* all but the innermost dimension */
} Binary;

static gboolean
find_op(const InferNode *node, InferCpuBinary *op)
{
  for (guint i = 0; i < G_N_ELEMENTS(entries); i++)
    if (g_str_equal(entries[i].name, infer_node_get_op_name(node))) {
      *op = entries[i].op;
      return node->n_inputs == 2;
    }
  return FALSE;
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  InferCpuBinary op;
  if (!infer_cpu_single_float(step) || !find_op(step->nodes[0], &op))
    return FALSE;
  gint rank = step->outputs[0]->dims.n;
  gboolean any = TRUE, varying = FALSE;
  if (rank < 0)
    return FALSE;
  for (guint i = 0; i < step->n_inputs; i++) {
    const InferTensor *input = step->inputs[i];
    if (input->dims.n < 0)
      return FALSE;
    any = any && (input->value != NULL || input->dims.n == rank);
    varying = varying || input->value == NULL;
  }
  if (!any || !varying)
    return TRUE;
  /* Constants are row-major whatever the rest is; their strides say where elements are. */
  for (guint i = 0; i < step->n_inputs; i++)
    if (step->inputs[i]->value == NULL)
      inputs[i] = INFER_LAYOUT_ANY;
  outputs[0] = INFER_LAYOUT_ANY;
  return TRUE;
}

static gboolean
broadcast_strides(const InferBuffer *in, const InferDims *out, gint64 *strides)
{
  gint skip = out->n - in->dims.n;
  if (skip < 0)
    return FALSE;
  for (gint i = 0; i < out->n; i++) {
    gint64 d = i < skip ? 1 : in->dims.d[i - skip];
    if (d != 1 && d != out->d[i])
      return FALSE;
    strides[i] = d == 1 ? 0 : in->strides[i - skip];
  }
  return TRUE;
}

static void
sort_by_output(const gint64 *strides, gint n, gint *axes)
{
  for (gint i = 0; i < n; i++)
    axes[i] = i;
  for (gint i = 1; i < n; i++)
    for (gint k = i; k > 0 && strides[axes[k - 1]] < strides[axes[k]]; k--) {
      gint axis = axes[k];
      axes[k] = axes[k - 1];
      axes[k - 1] = axis;
    }
}

static void
add_axis(Binary *binary, gint64 dim, gint64 out, gint64 a, gint64 b)
{
  gint last = binary->n - 1;
  if (dim == 1)
    return;
  if (last >= 0 && binary->out[last] == out * dim && binary->a[last] == a * dim &&
      binary->b[last] == b * dim) {
    binary->dims[last] *= dim;
  } else {
    binary->dims[++last] = dim;
    binary->n++;
  }
  binary->out[last] = out;
  binary->a[last] = a;
  binary->b[last] = b;
}

static gboolean
prepare_binary(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const InferBuffer *out = &prepare->outputs[0];
  g_autofree Binary *binary = g_new0(Binary, 1);
  gint64 a[INFER_MAX_DIMS], b[INFER_MAX_DIMS];
  gint axes[INFER_MAX_DIMS];
  for (guint i = 0; i < 2; i++)
    binary->input[i] = infer_step_find_input(prepare->step, node->inputs[i]);
  if (!find_op(node, &binary->op) ||
      !broadcast_strides(&prepare->inputs[binary->input[0]], &out->dims, a) ||
      !broadcast_strides(&prepare->inputs[binary->input[1]], &out->dims, b))
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "operands cannot be broadcast");
  binary->kernels = infer_cpu_device(prepare->device)->kernels;
  sort_by_output(out->strides, out->dims.n, axes);
  for (gint i = 0; i < out->dims.n; i++)
    add_axis(binary, out->dims.d[axes[i]], out->strides[axes[i]], a[axes[i]], b[axes[i]]);
  if (binary->n == 0)
    binary->dims[binary->n++] = 1;
  binary->rows = 1;
  for (gint i = 0; i < binary->n - 1; i++)
    binary->rows *= binary->dims[i];
  prepare->state = g_steal_pointer(&binary);
  return TRUE;
}

typedef struct {
  const Binary *binary;
  const float *a, *b;
  float *out;
} Call;

/* Without rows the innermost dimension itself is split. */
static void
run_row(gpointer data, gint64 begin, gint64 end)
{
  const Call *call = data;
  const Binary *binary = call->binary;
  gint64 sa = binary->a[0], sb = binary->b[0];
  binary->kernels->binary(binary->op, call->out + begin, call->a + begin * sa, sa,
                          call->b + begin * sb, sb, end - begin);
}

static void
run_rows(gpointer data, gint64 begin, gint64 end)
{
  const Call *call = data;
  const Binary *binary = call->binary;
  gint inner = binary->n - 1;
  gint64 at[INFER_MAX_DIMS], rest = begin, a = 0, b = 0, out = 0;
  for (gint i = inner - 1; i >= 0; i--) {
    at[i] = rest % binary->dims[i];
    rest /= binary->dims[i];
    a += at[i] * binary->a[i];
    b += at[i] * binary->b[i];
    out += at[i] * binary->out[i];
  }
  for (gint64 row = begin; row < end; row++) {
    binary->kernels->binary(binary->op, call->out + out, call->a + a, binary->a[inner], call->b + b,
                            binary->b[inner], binary->dims[inner]);
    for (gint i = inner - 1; i >= 0; i--) {
      a += binary->a[i];
      b += binary->b[i];
      out += binary->out[i];
      if (++at[i] < binary->dims[i])
        break;
      at[i] = 0;
      a -= binary->a[i] * binary->dims[i];
      b -= binary->b[i] * binary->dims[i];
      out -= binary->out[i] * binary->dims[i];
    }
  }
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  const Binary *binary = state;
  gint inner = binary->n - 1;
  Call call = {binary, inputs[binary->input[0]], inputs[binary->input[1]], outputs[0]};
  if (inner == 0)
    infer_cpu_parallel(binary->dims[0], 1, run_row, &call);
  else
    infer_cpu_parallel(binary->rows, binary->dims[inner], run_rows, &call);
  return TRUE;
}

/* The loops walk strides anyway; what they cannot merge they walk row by row. */
static gboolean
strided(const InferPrepare *prepare, gboolean output, guint index)
{
  return TRUE;
}

const InferImpl infer_cpu_binary = {
    .name = "cpu.binary",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_binary,
    .release = g_free,
    .run = run,
    .strided = strided,
};
