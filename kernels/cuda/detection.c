/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "move.h"
#include "fixed/detect.h"

/* What comes after a detector's convolutions, on the device: thresholds are read there too, and
 * what leaves is of one size. */

#define ALIGN64(size) (((guint64)(size) + 63) & ~(guint64)63)
/* Blocks that share the scores of an image. */
#define GATHER_BLOCKS 512
/* A box with its area, as the kernel keeps it. */
#define BOX_SIZE (5 * sizeof(float))

static gboolean
is_single(const InferStep *step)
{
  const InferNode *node = step->nodes[0];

  if (step->n_nodes != 1)
    return FALSE;
  for (guint i = 0; i < node->n_inputs; i++)
    if (!node->inputs[i] || node->inputs[i]->type != INFER_TYPE_FLOAT)
      return FALSE;
  return TRUE;
}

/* Operand @index of the node: constants go to the device. */
static gboolean
bind(InferPrepare *prepare, guint index, gint *input, const void **constant, GError **error)
{
  *input = infer_cuda_anchor_operand(prepare->step, index);
  *constant = NULL;
  if (*input < 0)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "input %u is missing", index);
  if (prepare->inputs[*input].value && infer_array_count(prepare->inputs[*input].value) > 0) {
    *constant = infer_cuda_constant(prepare, (guint)*input, error);
    return *constant != NULL;
  }
  return TRUE;
}

/* --- infer.BoxDecode --- */

typedef struct {
  CUfunction function;
  gint inputs[2];
  const void *constants[2];
  InferCudaDecode args;
} Decode;

static gboolean
boxdecode_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                   InferLayout *outputs)
{
  return is_single(step);
}

static gboolean
boxdecode_prepare(InferPrepare *prepare, GError **error)
{
  static const float usual[4] = {10, 10, 5, 5};
  const InferNode *node = prepare->step->nodes[0];
  g_autofree Decode *decode = g_new0(Decode, 1);
  gsize n = 0;
  const double *scales = infer_node_get_floats(node, "scales", &n);
  const InferDims *codes, *anchors;
  gint64 count;

  for (guint i = 0; i < 2; i++)
    if (!bind(prepare, i, &decode->inputs[i], &decode->constants[i], error))
      return FALSE;
  codes = &prepare->inputs[decode->inputs[0]].dims;
  anchors = &prepare->inputs[decode->inputs[1]].dims;
  count = infer_dims_count(codes);
  if (codes->n != 3 || anchors->n != 2 || codes->d[2] != 4 || anchors->d[1] != 4 ||
      codes->d[1] != anchors->d[0] || count > INFER_CUDA_MOST)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE,
                           "encodings and anchors are not [N, A, 4] and [A, 4]");
  decode->function = infer_cuda_fixed(infer_cuda_device(prepare->device), "infer_boxdecode", error);
  if (!decode->function)
    return FALSE;
  decode->args.n_boxes = (guint32)(count / 4);
  decode->args.anchors = infer_cuda_divisor((guint32)anchors->d[0]);
  decode->args.clip = infer_node_get_int(node, "clip", 0) != 0;
  for (guint i = 0; i < 4; i++)
    decode->args.scale[i] = n == 4 ? (float)scales[i] : usual[i];
  prepare->state = g_steal_pointer(&decode);
  return TRUE;
}

static gboolean
boxdecode_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
              void *workspace, GError **error)
{
  Decode *decode = state;
  const void *operands[2];
  void *boxes = outputs[0];
  void *params[] = {&boxes, &operands[0], &operands[1], &decode->args};

  for (guint i = 0; i < 2; i++)
    operands[i] = decode->constants[i] ? decode->constants[i] : inputs[decode->inputs[i]];
  return infer_cuda_linear(infer_cuda_queue(stream), decode->function, decode->args.n_boxes,
                           INFER_CUDA_NMS_THREADS, 1, params, error);
}

/* --- infer.DetectionNMS --- */

typedef struct {
  CUfunction fill, gather, suppress, write;
  gint inputs[4];
  const void *constants[4];
  gint outputs[4]; /* of the step; -1 where nobody reads one */
  guint gather_blocks;
  InferCudaNms args;
} Nms;

static gboolean
detectionnms_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                      InferLayout *outputs)
{
  return is_single(step);
}

/* The operator's shape inference has checked the attributes. */
static void
nms_attrs(const InferNode *node, InferCudaNms *args)
{
  gsize n = 0;
  const double *window = infer_node_get_floats(node, "clip_window", &n);

  args->kept = infer_node_get_int(node, "max_per_class", 1);
  args->total = infer_node_get_int(node, "max_total", 1);
  args->background = infer_node_get_int(node, "background", -1);
  args->class_offset = infer_node_get_int(node, "class_offset", 0);
  args->agnostic = infer_node_get_int(node, "class_agnostic", 0) != 0;
  args->clip = n == 4;
  for (guint i = 0; args->clip && i < 4; i++)
    args->window[i] = (float)window[i];
}

static guint64
take(guint64 *offset, guint64 bytes)
{
  guint64 at = *offset;

  *offset += ALIGN64(bytes);
  return at;
}

/* Lays out the workspace. */
static gboolean
nms_lay_out(InferPrepare *prepare, InferCudaNms *args, GError **error)
{
  guint64 lists = (guint64)(args->batch * args->lists), offset = 0;
  guint64 hits = lists * (guint64)args->kept;

  if (args->n_boxes > G_MAXINT32 || args->n_classes > G_MAXINT32 || args->batch > 65535 ||
      args->batch * args->lists > INFER_CUDA_MOST || args->lists * args->kept > G_MAXUINT32 ||
      hits > G_MAXUINT32 || lists * (guint64)args->n_boxes > (guint64)1 << 40)
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                           "%" G_GINT64_FORMAT " boxes of %" G_GINT64_FORMAT " classes in "
                           "%" G_GINT64_FORMAT " images are too many; lower max_per_class",
                           args->n_boxes, args->n_classes, args->batch);
  args->counts = take(&offset, (lists + (guint64)args->batch) * sizeof(guint32));
  args->candidates = take(&offset, lists * (guint64)args->n_boxes * sizeof(guint64));
  args->best =
      take(&offset, args->agnostic ? (guint64)(args->batch * args->n_boxes) * sizeof(guint32) : 0);
  args->boxes = take(&offset, hits * sizeof(guint32));
  args->hits = take(&offset, hits * sizeof(guint64));
  args->areas = take(&offset, hits * BOX_SIZE);
  prepare->workspace = offset;
  return TRUE;
}

static gboolean
nms_kernels(Nms *nms, InferPrepare *prepare, GError **error)
{
  InferCudaDevice *device = infer_cuda_device(prepare->device);
  struct {
    CUfunction *function;
    const char *name;
  } kernels[] = {{&nms->fill, "infer_fill"},
                 {&nms->gather, nms->args.agnostic ? "infer_nms_gather_best" : "infer_nms_gather"},
                 {&nms->suppress, "infer_nms_suppress"},
                 {&nms->write, "infer_nms_write"}};

  for (guint i = 0; i < G_N_ELEMENTS(kernels); i++) {
    *kernels[i].function = infer_cuda_fixed(device, kernels[i].name, error);
    if (!*kernels[i].function)
      return FALSE;
  }
  return TRUE;
}

static gboolean
nms_bind(Nms *nms, InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];

  for (guint i = 0; i < 4; i++) {
    if (!bind(prepare, i, &nms->inputs[i], &nms->constants[i], error))
      return FALSE;
    if (i >= 2 && infer_dims_count(&prepare->inputs[nms->inputs[i]].dims) != 1)
      return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "a threshold is not a scalar");
    nms->outputs[i] = i < node->n_outputs && node->outputs[i]
                          ? infer_step_find_output(prepare->step, node->outputs[i])
                          : -1;
  }
  return TRUE;
}

static gboolean
detectionnms_prepare(InferPrepare *prepare, GError **error)
{
  g_autofree Nms *nms = g_new0(Nms, 1);
  InferCudaNms *args = &nms->args;
  const InferDims *boxes, *scores;

  if (!nms_bind(nms, prepare, error))
    return FALSE;
  boxes = &prepare->inputs[nms->inputs[0]].dims;
  scores = &prepare->inputs[nms->inputs[1]].dims;
  if ((boxes->n != 3 && boxes->n != 4) || scores->n != 3)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE,
                           "boxes and scores are not [N, A, 1 or C, 4] or [N, A, 4], and "
                           "[N, A, C]");
  nms_attrs(prepare->step->nodes[0], args);
  args->batch = scores->d[0];
  args->n_boxes = scores->d[1];
  args->n_classes = scores->d[2];
  args->box_classes = boxes->n == 4 ? boxes->d[2] : 1;
  args->lists = args->agnostic ? 1 : args->n_classes;
  args->kept = MIN(args->kept, args->n_boxes);
  if (!nms_lay_out(prepare, args, error) || !nms_kernels(nms, prepare, error))
    return FALSE;
  gint64 work = args->agnostic ? args->n_boxes : args->n_boxes * args->n_classes;
  gint64 needed = (work + INFER_CUDA_NMS_THREADS - 1) / INFER_CUDA_NMS_THREADS;
  /* The best class of a box takes a thread per box; the others walk on. */
  nms->gather_blocks = (guint)(args->agnostic ? needed : MIN(needed, GATHER_BLOCKS));
  prepare->state = g_steal_pointer(&nms);
  return TRUE;
}

static gboolean
detectionnms_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
                 void *workspace, GError **error)
{
  Nms *nms = state;
  const InferCudaQueue *queue = infer_cuda_queue(stream);
  const InferCudaSize block = {INFER_CUDA_NMS_THREADS, 1, 1};
  guint lists = (guint)(nms->args.batch * nms->args.lists), batch = (guint)nms->args.batch;
  guint32 n_counts = lists + batch, size = 4;
  guint64 zero = 0;
  const void *in[4];
  void *out[4], *counts = (guint8 *)workspace + nms->args.counts;
  void *fill[] = {&counts, &n_counts, &size, &zero};
  void *gather[] = {&in[1], &in[2], &workspace, &nms->args};
  void *suppress[] = {&in[0], &in[3], &workspace, &nms->args};
  void *write[] = {&out[0], &out[1], &out[2], &out[3], &in[0], &workspace, &nms->args};

  for (guint i = 0; i < 4; i++) {
    in[i] = nms->constants[i] ? nms->constants[i] : inputs[nms->inputs[i]];
    out[i] = nms->outputs[i] < 0 ? NULL : outputs[nms->outputs[i]];
  }
  if (batch == 0)
    return TRUE;
  return infer_cuda_linear(queue, nms->fill, n_counts, 256, 1, fill, error) &&
         (nms->gather_blocks == 0 ||
          infer_cuda_launch(queue, nms->gather, (InferCudaSize){nms->gather_blocks, batch, 1},
                            block, 0, gather, error)) &&
         (lists == 0 || infer_cuda_launch(queue, nms->suppress, (InferCudaSize){lists, 1, 1}, block,
                                          0, suppress, error)) &&
         infer_cuda_launch(queue, nms->write, (InferCudaSize){batch, 1, 1}, block, 0, write, error);
}

/* --- TopK --- */

#define TOPK_THREADS 512

typedef struct {
  CUfunction function;
  gint input, values, indices;
  gint64 rows;
  InferCudaTopK args;
} TopK;

static gboolean
topk_supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  gint input = infer_cuda_anchor_operand(step, 0);
  InferType type;

  if (step->n_nodes != 1 || input < 0 || step->inputs[input]->value ||
      step->inputs[input]->dims.n < 1)
    return FALSE;
  type = step->inputs[input]->type;
  return infer_type_bits(type) <= 32 && infer_type_bits(type) >= 8 &&
         (type == INFER_TYPE_FLOAT || type == INFER_TYPE_FLOAT16 || type == INFER_TYPE_BFLOAT16 ||
          infer_type_is_integer(type));
}

static gboolean
topk_prepare(InferPrepare *prepare, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  g_autofree TopK *topk = g_new0(TopK, 1);
  gint64 axis = infer_node_get_int(node, "axis", -1);
  const InferBuffer *in;
  const InferDims *out;

  topk->input = infer_cuda_anchor_operand(prepare->step, 0);
  in = &prepare->inputs[topk->input];
  topk->values = infer_step_find_output(prepare->step, node->outputs[0]);
  topk->indices = infer_step_find_output(prepare->step, node->outputs[1]);
  out = &prepare->outputs[MAX(topk->values, 0)].dims;
  axis += axis < 0 ? in->dims.n : 0;
  if (axis < 0 || axis >= in->dims.n || out->n != in->dims.n || in->dims.d[axis] > G_MAXINT32)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "the axis is out of range");
  topk->args.n = in->dims.d[axis];
  topk->args.k = out->d[axis];
  topk->args.inner = topk->rows = 1;
  for (gint i = 0; i < in->dims.n; i++) {
    topk->rows *= i != axis ? in->dims.d[i] : 1;
    topk->args.inner *= i > axis ? in->dims.d[i] : 1;
  }
  if (topk->rows > INFER_CUDA_MOST)
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED, "there are too many rows");
  topk->args.type = (gint32)in->type;
  topk->args.size = infer_type_bits(in->type) / 8;
  topk->args.largest = infer_node_get_int(node, "largest", 1) != 0;
  topk->function = infer_cuda_fixed(infer_cuda_device(prepare->device), "infer_topk", error);
  if (!topk->function)
    return FALSE;
  prepare->state = g_steal_pointer(&topk);
  return TRUE;
}

static gboolean
topk_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
         void *workspace, GError **error)
{
  TopK *topk = state;
  const void *data = inputs[topk->input];
  void *values = topk->values < 0 ? NULL : outputs[topk->values];
  void *indices = topk->indices < 0 ? NULL : outputs[topk->indices];
  void *params[] = {&values, &indices, &data, &topk->args};

  if (topk->rows == 0 || topk->args.k == 0)
    return TRUE;
  return infer_cuda_launch(infer_cuda_queue(stream), topk->function,
                           (InferCudaSize){(guint)topk->rows, 1, 1},
                           (InferCudaSize){TOPK_THREADS, 1, 1}, 0, params, error);
}

#define DETECTION(NAME)                                                                            \
  const InferImpl infer_cuda_##NAME = {                                                            \
      .name = "cuda." #NAME,                                                                       \
      .batch_invariant = TRUE,                                                                     \
      .supports = NAME##_supports,                                                                 \
      .prepare = NAME##_prepare,                                                                   \
      .release = g_free,                                                                           \
      .run = NAME##_run,                                                                           \
  }

DETECTION(boxdecode);
DETECTION(detectionnms);
DETECTION(topk);
