/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "move.h"

#include <string.h>

/* Gather and its kin, Where, OneHot, ConstantOfShape: one launch each, operands row-major. Indices
 * that come at run time and are out of range choose zeros; constant ones are checked here. */

#define THREADS 256

typedef struct {
  CUfunction function;
  guint32 count;
  gint inputs[4]; /* of the step, -1 for none */
  const void *constants[4];
  guint n_inputs;
  gboolean rows; /* is a plain Gather */
  union {
    InferCudaPadArgs pad;
    InferCudaGatherArgs gather;
    InferCudaElementsArgs elements;
    InferCudaNdArgs nd;
    InferCudaWhereArgs where;
    InferCudaOneHotArgs onehot;
    struct {
      guint32 count, size;
      guint64 value;
    } fill;
  } args;
} Index;

static Index *
index_new(InferPrepare *prepare, const char *kernel, guint n_inputs, GError **error)
{
  g_autofree Index *index = g_new0(Index, 1);

  index->n_inputs = n_inputs;
  index->function = infer_cuda_fixed(infer_cuda_device(prepare->device), kernel, error);
  for (guint i = 0; i < 4; i++)
    index->inputs[i] = -1;
  return index->function ? g_steal_pointer(&index) : NULL;
}

/* Operand @slot of the kernel is the node's input @input; constants go to the device. */
static gboolean
index_bind(Index *index, InferPrepare *prepare, guint slot, guint input, GError **error)
{
  gint at = infer_cuda_anchor_operand(prepare->step, input);

  index->inputs[slot] = at;
  if (at < 0 || !prepare->inputs[at].value)
    return TRUE;
  index->constants[slot] = infer_cuda_constant(prepare, (guint)at, error);
  return index->constants[slot] != NULL || infer_array_count(prepare->inputs[at].value) == 0;
}

static gboolean
index_count(Index *index, InferPrepare *prepare, const InferDims *dims, GError **error)
{
  gint64 count = infer_dims_count(dims);

  if (count < 0 || count > INFER_CUDA_MOST)
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                           "%" G_GINT64_FORMAT " elements are too many for one launch", count);
  index->count = (guint32)count;
  return TRUE;
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  Index *index = state;
  const void *operands[4] = {NULL};
  void *dst = outputs[0], *params[6] = {&dst};

  for (guint i = 0; i < index->n_inputs; i++) {
    operands[i] = index->constants[i]     ? index->constants[i]
                  : index->inputs[i] >= 0 ? inputs[index->inputs[i]]
                                          : NULL;
    params[1 + i] = &operands[i];
  }
  params[1 + index->n_inputs] = &index->args;
  return infer_cuda_linear(infer_cuda_queue(stream), index->function, index->count, THREADS, 1,
                           params, error);
}

/* Rows are moved in elements as wide as they and the pointers allow. */
static gboolean
gather_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
           void *workspace, GError **error)
{
  const Index *index = state;
  InferCudaGatherArgs args = index->args.gather;
  const void *src = index->constants[0] ? index->constants[0] : inputs[index->inputs[0]];
  const void *indices = index->constants[1] ? index->constants[1] : inputs[index->inputs[1]];
  void *dst = outputs[0], *params[] = {&dst, &src, &indices, &args};
  guint32 width = args.width.divisor;
  guintptr pointers = (guintptr)src | (guintptr)dst;

  while (args.size < 16 && width % 2 == 0 && pointers % (2 * args.size) == 0) {
    width /= 2;
    args.size *= 2;
    args.count /= 2;
  }
  args.width = infer_cuda_divisor(width);
  return infer_cuda_linear(infer_cuda_queue(stream), index->function, args.count, THREADS, 1,
                           params, error);
}

static gint64
product(const InferDims *dims, gint from, gint to)
{
  gint64 n = 1;

  for (gint i = from; i < to; i++)
    n *= dims->d[i];
  return n;
}

static void
row_major(const InferDims *dims, gint64 *strides)
{
  const InferOrder order = infer_order_row_major(dims->n);

  infer_order_strides(&order, dims, strides);
}

static gboolean
axis_of(const InferPrepare *prepare, gint rank, gint64 *axis, GError **error)
{
  *axis = infer_node_get_int(prepare->step->nodes[0], "axis", 0);
  *axis += *axis < 0 ? rank : 0;
  return (*axis >= 0 && *axis < rank) ||
         infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "the axis is out of range");
}

/* Constant indices have to lie in [-size, size), the k-th of @depth in the range of sizes[k]. */
static gboolean
check_indices(const InferPrepare *prepare, const InferArray *indices, const gint64 *sizes,
              gint depth, GError **error)
{
  gint64 n = indices ? infer_array_count(indices) : 0;

  for (gint64 i = 0; i < n; i++) {
    gint64 v = infer_array_get_int(indices, (gsize)i), size = sizes[i % depth];

    if (v < -size || v >= size)
      return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE,
                             "index %" G_GINT64_FORMAT " is out of the range of %" G_GINT64_FORMAT
                             " elements",
                             v, size);
  }
  return TRUE;
}

static gboolean
single(const InferStep *step)
{
  if (step->n_nodes != 1 || step->outputs[0]->dims.n < 0 ||
      !infer_cuda_is_bytes(step->outputs[0]->type))
    return FALSE;
  for (guint i = 0; i < step->n_inputs; i++)
    if (step->inputs[i]->dims.n < 0)
      return FALSE;
  return TRUE;
}

/* --- Pad --- */

static gboolean
pad_supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  gint input = infer_cuda_anchor_operand(step, 0);

  if (!single(step) || input < 0 || !infer_cuda_constant_operand(step, 1) ||
      (node->n_inputs > 3 && node->inputs[3] && !infer_cuda_constant_operand(step, 3)))
    return FALSE;
  if (!step->inputs[input]->value) {
    inputs[input] = INFER_LAYOUT_ANY;
    outputs[0] = INFER_LAYOUT_ANY;
  }
  return TRUE;
}

static gint32
pad_mode(const InferNode *node)
{
  static const char *const names[] = {"constant", "reflect", "edge", "wrap"};
  const char *name = infer_node_get_string(node, "mode", "constant");

  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    if (g_str_equal(name, names[i]))
      return (gint32)i;
  return 0;
}

static gboolean
pad_axes(const InferPrepare *prepare, const InferDims *dims, InferCudaPadArgs *args, GError **error)
{
  const InferArray *pads = infer_cuda_constant_operand(prepare->step, 1);
  const InferArray *axes = infer_cuda_constant_operand(prepare->step, 3);
  gint64 n = axes ? infer_array_count(axes) : dims->n;

  if (infer_array_count(pads) != 2 * n)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "pads and axes do not fit");
  for (gint64 i = 0; i < n; i++) {
    gint64 axis = axes ? infer_array_get_int(axes, (gsize)i) : i;
    gint64 before = infer_array_get_int(pads, (gsize)i);
    gint64 after = infer_array_get_int(pads, (gsize)(i + n)), d;

    axis += axis < 0 ? dims->n : 0;
    if (axis < 0 || axis >= dims->n)
      return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "an axis is out of range");
    d = dims->d[axis];
    args->before[axis] = before;
    args->first[axis] = before < 0 ? -MAX(before, -d) : 0;
    args->left[axis] = d - args->first[axis] - (after < 0 ? -MAX(after, -d) : 0);
    if (args->mode != 0 && args->left[axis] <= 0 && prepare->outputs[0].dims.d[axis] > 0)
      return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "nothing is left to pad with");
  }
  return TRUE;
}

static gboolean
pad_prepare(InferPrepare *prepare, GError **error)
{
  const InferBuffer *in = &prepare->inputs[infer_cuda_anchor_operand(prepare->step, 0)];
  const InferBuffer *out = &prepare->outputs[0];
  g_autofree Index *index = index_new(prepare, "infer_pad", 2, error);
  InferCudaPadArgs *args;

  if (!index || !index_bind(index, prepare, 0, 0, error) ||
      !index_bind(index, prepare, 1, 2, error) || !index_count(index, prepare, &out->dims, error))
    return FALSE;
  args = &index->args.pad;
  args->count = index->count;
  args->mode = pad_mode(prepare->step->nodes[0]);
  args->size = infer_type_bits(out->type) / 8;
  args->n = out->dims.n;
  for (gint i = 0; i < args->n; i++) {
    args->dims[i] = infer_cuda_divisor((guint32)MAX(out->dims.d[i], 1));
    args->in[i] = args->left[i] = in->dims.d[i];
    args->src[i] = in->strides[i];
    args->dst[i] = out->strides[i];
  }
  if (!pad_axes(prepare, &in->dims, args, error))
    return FALSE;
  prepare->state = g_steal_pointer(&index);
  return TRUE;
}

/* --- Gather, GatherElements, GatherND --- */

static gboolean
is_index(InferType type)
{
  return type == INFER_TYPE_INT32 || type == INFER_TYPE_INT64;
}

static gboolean
gather_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                InferLayout *outputs)
{
  gint indices = infer_cuda_anchor_operand(step, 1);

  return single(step) && indices >= 0 && is_index(step->inputs[indices]->type);
}

static gboolean
gather_rows(Index *index, InferPrepare *prepare, const InferBuffer *in, const InferBuffer *indices,
            GError **error)
{
  InferCudaGatherArgs *args = &index->args.gather;
  gint64 axis, width, n = infer_dims_count(&indices->dims);

  if (!axis_of(prepare, in->dims.n, &axis, error))
    return FALSE;
  width = product(&in->dims, (gint)axis + 1, in->dims.n);
  args->size = infer_type_bits(in->type) / 8;
  args->width = infer_cuda_divisor((guint32)MAX(width, 1));
  args->n_indices = infer_cuda_divisor((guint32)MAX(n, 1));
  args->rows = in->dims.d[axis];
  args->wide = indices->type == INFER_TYPE_INT64;
  args->count = index->count;
  index->rows = TRUE;
  return check_indices(prepare, indices->value, &args->rows, 1, error);
}

static gboolean
elements_args(InferPrepare *prepare, const InferBuffer *data, const InferBuffer *indices,
              InferCudaElementsArgs *args, GError **error)
{
  gint64 axis;

  if (!axis_of(prepare, data->dims.n, &axis, error))
    return FALSE;
  args->count = (guint32)infer_dims_count(&indices->dims);
  args->size = infer_type_bits(data->type) / 8;
  args->n = indices->dims.n;
  args->wide = indices->type == INFER_TYPE_INT64;
  for (gint i = 0; i < args->n; i++)
    args->dims[i] = infer_cuda_divisor((guint32)MAX(indices->dims.d[i], 1));
  row_major(&data->dims, args->strides);
  args->step = args->strides[axis];
  args->strides[axis] = 0;
  args->axis_size = data->dims.d[axis];
  return check_indices(prepare, indices->value, &args->axis_size, 1, error);
}

/* @batch leading dimensions are shared by data and indices. */
static gboolean
nd_args(InferPrepare *prepare, const InferBuffer *data, const InferBuffer *indices, gint64 batch,
        InferCudaNdArgs *args, GError **error)
{
  gint64 strides[INFER_MAX_DIMS], depth = indices->dims.d[MAX(indices->dims.n - 1, 0)], width;
  gint first;

  if (indices->dims.n < 1 || batch < 0 || batch >= indices->dims.n || depth < 1 ||
      depth > data->dims.n - batch)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "the indices do not fit the data");
  first = (gint)(batch + depth);
  row_major(&data->dims, strides);
  width = product(&data->dims, first, data->dims.n);
  args->size = infer_type_bits(data->type) / 8;
  args->width = infer_cuda_divisor((guint32)MAX(width, 1));
  args->rows = infer_cuda_divisor(
      (guint32)MAX(product(&indices->dims, (gint)batch, indices->dims.n - 1), 1));
  args->pitch = product(&data->dims, (gint)batch, data->dims.n);
  args->depth = (gint32)depth;
  args->wide = indices->type == INFER_TYPE_INT64;
  for (gint i = 0; i < depth; i++) {
    args->dims[i] = data->dims.d[batch + i];
    args->strides[i] = strides[batch + i];
  }
  return check_indices(prepare, indices->value, args->dims, args->depth, error);
}

static gboolean
gather_prepare(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const char *op = infer_node_get_op_name(node);
  gboolean elements = g_str_equal(op, "GatherElements"), nd = g_str_equal(op, "GatherND");
  g_autofree Index *index = index_new(prepare,
                                      elements ? "infer_gather_elements"
                                      : nd     ? "infer_gather_nd"
                                               : "infer_gather",
                                      2, error);
  const InferBuffer *in, *indices;

  if (!index || !index_bind(index, prepare, 0, 0, error) ||
      !index_bind(index, prepare, 1, 1, error) ||
      !index_count(index, prepare, &prepare->outputs[0].dims, error))
    return FALSE;
  in = &prepare->inputs[index->inputs[0]];
  indices = &prepare->inputs[index->inputs[1]];
  if (elements) {
    if (!elements_args(prepare, in, indices, &index->args.elements, error))
      return FALSE;
  } else if (nd) {
    if (!nd_args(prepare, in, indices, infer_node_get_int(node, "batch_dims", 0), &index->args.nd,
                 error))
      return FALSE;
    index->args.nd.count = index->count;
  } else if (!gather_rows(index, prepare, in, indices, error)) {
    return FALSE;
  }
  prepare->state = g_steal_pointer(&index);
  return TRUE;
}

/* --- Where --- */

static gboolean
where_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
               InferLayout *outputs)
{
  gint rank = step->outputs[0]->dims.n, condition = infer_cuda_anchor_operand(step, 0);
  gboolean varying = FALSE;

  if (!single(step) || condition < 0 || step->inputs[condition]->type != INFER_TYPE_BOOL)
    return FALSE;
  for (guint i = 0; i < step->n_inputs; i++)
    if (!step->inputs[i]->value && step->inputs[i]->dims.n == rank) {
      inputs[i] = INFER_LAYOUT_ANY;
      varying = TRUE;
    }
  if (varying)
    outputs[0] = INFER_LAYOUT_ANY;
  return TRUE;
}

static gboolean
where_prepare(InferPrepare *prepare, GError **error)
{
  const InferBuffer *out = &prepare->outputs[0];
  g_autofree Index *index = index_new(prepare, "infer_where", 3, error);
  InferCudaWhereArgs *args;

  if (!index || !index_count(index, prepare, &out->dims, error))
    return FALSE;
  args = &index->args.where;
  args->count = index->count;
  args->size = infer_type_bits(out->type) / 8;
  args->n = out->dims.n;
  for (gint i = 0; i < args->n; i++) {
    args->dims[i] = infer_cuda_divisor((guint32)MAX(out->dims.d[i], 1));
    args->strides[3][i] = out->strides[i];
  }
  for (guint k = 0; k < 3; k++) {
    if (!index_bind(index, prepare, k, k, error))
      return FALSE;
    if (index->inputs[k] < 0)
      return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "input %u is missing", k);
    const InferBuffer *in = &prepare->inputs[index->inputs[k]];
    gint skip = out->dims.n - in->dims.n;

    for (gint i = 0; skip >= 0 && i < in->dims.n; i++)
      args->strides[k][skip + i] = in->dims.d[i] == 1 ? 0 : in->strides[i];
  }
  prepare->state = g_steal_pointer(&index);
  return TRUE;
}

/* --- OneHot --- */

static gboolean
onehot_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                InferLayout *outputs)
{
  gint indices = infer_cuda_anchor_operand(step, 0), values = infer_cuda_anchor_operand(step, 2);

  if (!single(step) || indices < 0 || values < 0 ||
      infer_type_bits(step->inputs[indices]->type) < 8)
    return FALSE;
  return infer_type_is_integer(step->inputs[indices]->type) ||
         step->inputs[indices]->type == INFER_TYPE_BOOL;
}

static gboolean
onehot_prepare(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const InferBuffer *out = &prepare->outputs[0];
  g_autofree Index *index = index_new(prepare, "infer_onehot", 2, error);
  gint64 axis = infer_node_get_int(node, "axis", -1);
  InferCudaOneHotArgs *args;

  axis += axis < 0 ? out->dims.n : 0;
  if (!index || !index_bind(index, prepare, 0, 0, error) ||
      !index_bind(index, prepare, 1, 2, error) || !index_count(index, prepare, &out->dims, error))
    return FALSE;
  if (axis < 0 || axis >= out->dims.n)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "the axis is out of range");
  args = &index->args.onehot;
  args->count = index->count;
  args->size = infer_type_bits(out->type) / 8;
  args->inner =
      infer_cuda_divisor((guint32)MAX(product(&out->dims, (gint)axis + 1, out->dims.n), 1));
  args->depth = infer_cuda_divisor((guint32)MAX(out->dims.d[axis], 1));
  args->type = (gint32)prepare->inputs[index->inputs[0]].type;
  prepare->state = g_steal_pointer(&index);
  return TRUE;
}

/* --- ConstantOfShape --- */

static gboolean
constantofshape_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                         InferLayout *outputs)
{
  return single(step);
}

static guint64
fill_value(const InferNode *node, InferType type)
{
  double real = infer_node_get_float(node, "value", 0);
  gint64 integer = infer_node_get_int(node, "int_value", 0);
  float narrow = (float)real;
  guint64 bits = 0;

  if (type == INFER_TYPE_FLOAT)
    memcpy(&bits, &narrow, sizeof narrow);
  else if (type == INFER_TYPE_DOUBLE)
    memcpy(&bits, &real, sizeof real);
  else
    bits = type == INFER_TYPE_BOOL ? integer != 0 : (guint64)integer;
  return bits;
}

static gboolean
constantofshape_prepare(InferPrepare *prepare, GError **error)
{
  const InferBuffer *out = &prepare->outputs[0];
  g_autofree Index *index = index_new(prepare, "infer_fill", 0, error);

  if (!index || !index_count(index, prepare, &out->dims, error))
    return FALSE;
  index->args.fill.count = index->count;
  index->args.fill.size = infer_type_bits(out->type) / 8;
  index->args.fill.value = fill_value(prepare->step->nodes[0], out->type);
  prepare->state = g_steal_pointer(&index);
  return TRUE;
}

static gboolean
fill_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
         void *workspace, GError **error)
{
  Index *index = state;
  void *dst = outputs[0];
  void *params[] = {&dst, &index->args.fill.count, &index->args.fill.size, &index->args.fill.value};

  return infer_cuda_linear(infer_cuda_queue(stream), index->function, index->count, THREADS, 1,
                           params, error);
}

/* --- ScatterElements, ScatterND --- */

typedef struct {
  CUfunction fill, enter, apply;
  gint inputs[3];
  const void *constants[3];
  gboolean nd;
  guint32 n_rows, n_updates;
  gsize next; /* offset of the lists in the workspace */
  InferCudaElementsArgs elements;
  InferCudaNdArgs nds;
  InferCudaScatterArgs args;
} Scatter;

static gint32
scatter_reduction(const InferNode *node)
{
  static const char *const names[] = {"none", "add", "mul", "max", "min"};
  const char *name = infer_node_get_string(node, "reduction", "none");

  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    if (g_str_equal(name, names[i]))
      return (gint32)i;
  return -1;
}

static gboolean
scatter_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                 InferLayout *outputs)
{
  gint indices = infer_cuda_anchor_operand(step, 1);
  InferType type = step->outputs[0]->type;
  gint32 reduction = scatter_reduction(step->nodes[0]);

  if (!single(step) || indices < 0 || !is_index(step->inputs[indices]->type) || reduction < 0)
    return FALSE;
  return reduction == 0 || type == INFER_TYPE_FLOAT || type == INFER_TYPE_DOUBLE ||
         type == INFER_TYPE_BOOL || infer_type_is_integer(type);
}

static gboolean
scatter_bind(Scatter *scatter, InferPrepare *prepare, GError **error)
{
  for (guint i = 0; i < 3; i++) {
    const InferArray *value;

    scatter->inputs[i] = infer_cuda_anchor_operand(prepare->step, i);
    if (scatter->inputs[i] < 0)
      return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "input %u is missing", i);
    value = prepare->inputs[scatter->inputs[i]].value;
    if (!value || infer_array_count(value) == 0)
      continue;
    scatter->constants[i] = infer_cuda_constant(prepare, (guint)scatter->inputs[i], error);
    if (!scatter->constants[i])
      return FALSE;
  }
  return TRUE;
}

static gboolean
scatter_kernels(Scatter *scatter, InferPrepare *prepare, GError **error)
{
  InferCudaDevice *device = infer_cuda_device(prepare->device);

  scatter->fill = infer_cuda_fixed(device, "infer_fill", error);
  scatter->enter = scatter->fill ? infer_cuda_fixed(device,
                                                    scatter->nd ? "infer_scatter_enter_nd"
                                                                : "infer_scatter_enter_elements",
                                                    error)
                                 : NULL;
  scatter->apply = scatter->enter ? infer_cuda_fixed(device, "infer_scatter_apply", error) : NULL;
  return scatter->apply != NULL;
}

static gboolean
scatter_prepare(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  g_autofree Scatter *scatter = g_new0(Scatter, 1);
  const InferBuffer *data, *indices;
  gint64 count, updates, width = 1;

  scatter->nd = g_str_equal(infer_node_get_op_name(node), "ScatterND");
  if (!scatter_bind(scatter, prepare, error) || !scatter_kernels(scatter, prepare, error))
    return FALSE;
  data = &prepare->inputs[scatter->inputs[0]];
  indices = &prepare->inputs[scatter->inputs[1]];
  count = infer_dims_count(&data->dims);
  updates = infer_dims_count(&indices->dims);
  if (count < 0 || count > INFER_CUDA_MOST || updates < 0 || updates > INFER_CUDA_MOST)
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                           "there are too many elements for one launch");
  if (scatter->nd) {
    if (!nd_args(prepare, data, indices, 0, &scatter->nds, error))
      return FALSE;
    updates /= scatter->nds.depth;
    scatter->nds.count = (guint32)updates;
    width = scatter->nds.width.divisor;
  } else if (!elements_args(prepare, data, indices, &scatter->elements, error)) {
    return FALSE;
  }
  scatter->n_updates = (guint32)updates;
  scatter->n_rows = (guint32)(count / width);
  scatter->args.count = (guint32)count;
  scatter->args.width = infer_cuda_divisor((guint32)width);
  scatter->args.type = (gint32)data->type;
  scatter->args.reduction = scatter_reduction(node);
  scatter->args.size = infer_type_bits(data->type) / 8;
  scatter->next = ((gsize)scatter->n_rows * 4 + 63) & ~(gsize)63;
  prepare->workspace = scatter->next + (scatter->args.reduction ? (gsize)updates * 4 : 0);
  prepare->state = g_steal_pointer(&scatter);
  return TRUE;
}

static gboolean
scatter_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
            void *workspace, GError **error)
{
  Scatter *scatter = state;
  const InferCudaQueue *queue = infer_cuda_queue(stream);
  const void *operands[3];
  void *heads = workspace, *dst = outputs[0];
  void *next = scatter->args.reduction ? (guint8 *)workspace + scatter->next : NULL;
  guint32 size = 4;
  guint64 none = 0xffffffff;
  void *fill[] = {&heads, &scatter->n_rows, &size, &none};
  void *enter[] = {&heads, &next, &operands[1], NULL};
  void *apply[] = {&dst, &operands[0], &operands[2], &heads, &next, &scatter->args};

  for (guint i = 0; i < 3; i++)
    operands[i] = scatter->constants[i] ? scatter->constants[i] : inputs[scatter->inputs[i]];
  enter[3] = scatter->nd ? (void *)&scatter->nds : (void *)&scatter->elements;
  return infer_cuda_linear(queue, scatter->fill, scatter->n_rows, THREADS, 1, fill, error) &&
         infer_cuda_linear(queue, scatter->enter, scatter->n_updates, THREADS, 1, enter, error) &&
         infer_cuda_linear(queue, scatter->apply, scatter->args.count, THREADS, 1, apply, error);
}

static gboolean
index_gather_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
                 void *workspace, GError **error)
{
  const Index *index = state;

  return (index->rows ? gather_run : run)(state, stream, inputs, outputs, workspace, error);
}

/* Where an operand has gaps: those whose kernel knows strides. */
static gboolean
strided(const InferPrepare *prepare, gboolean output, guint index)
{
  return TRUE;
}

static gboolean
pad_strided(const InferPrepare *prepare, gboolean output, guint index)
{
  return output || (gint)index == infer_cuda_anchor_operand(prepare->step, 0);
}

#define INDEX(NAME, RUN, STRIDED)                                                                  \
  const InferImpl infer_cuda_##NAME = {                                                            \
      .name = "cuda." #NAME,                                                                       \
      .batch_invariant = TRUE,                                                                     \
      .supports = NAME##_supports,                                                                 \
      .prepare = NAME##_prepare,                                                                   \
      .release = g_free,                                                                           \
      .run = RUN,                                                                                  \
      .strided = STRIDED,                                                                          \
  }

INDEX(pad, run, pad_strided);
INDEX(gather, index_gather_run, NULL);
INDEX(where, run, strided);
INDEX(onehot, run, NULL);
INDEX(constantofshape, fill_run, NULL);
INDEX(scatter, scatter_run, NULL);
