/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generate.h"

#include <string.h>

/* Bytes of shared memory that any kernel may ask for. */
#define DEFAULT_SHARED (48u << 10)

/* --- state --- */

InferCudaKernel *
infer_cuda_kernel_new(InferPrepare *prepare, guint64 packed, GError **error)
{
  const InferStep *step = prepare->step;
  g_autofree InferCudaKernel *self = g_new0(InferCudaKernel, 1);

  if (step->n_inputs > INFER_CUDA_MAX_INPUTS ||
      step->n_inputs + step->n_outputs + 1 > INFER_CUDA_MAX_SLOTS) {
    infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED, "it has too many operands");
    return NULL;
  }
  self->n_inputs = step->n_inputs;
  self->n_outputs = step->n_outputs;
  for (guint i = 0; i < step->n_inputs; i++) {
    const void *memory;

    if (!prepare->inputs[i].value || (packed >> i & 1))
      continue;
    memory = infer_cuda_constant(prepare, i, error);
    if (!memory)
      return NULL;
    infer_cuda_kernel_set(self, i, memory);
  }
  return g_steal_pointer(&self);
}

void
infer_cuda_kernel_set(InferCudaKernel *self, guint slot, const void *memory)
{
  self->params.p[slot] = memory;
  self->is_set[slot] = TRUE;
}

guint
infer_cuda_kernel_out(const InferCudaKernel *self, guint index)
{
  return self->n_inputs + index;
}

guint
infer_cuda_kernel_workspace(const InferCudaKernel *self)
{
  return self->n_inputs + self->n_outputs;
}

gboolean
infer_cuda_kernel_add(InferCudaKernel *self, InferPrepare *prepare, const char *source,
                      const char *name, InferCudaSize grid, InferCudaSize block, guint shared,
                      GError **error)
{
  CUfunction function;
  gboolean ok;

  g_assert(self->n_launches < INFER_CUDA_MAX_LAUNCHES);
  if (grid.x == 0 || grid.y == 0 || grid.z == 0)
    return TRUE;
  infer_cuda_push(infer_cuda_device(prepare->device));
  function = infer_cuda_compile(infer_cuda_device(prepare->device), source, name, error);
  ok = function && (shared <= DEFAULT_SHARED || infer_cuda_allow_shared(function, shared, error));
  infer_cuda_pop();
  if (!ok)
    return FALSE;
  self->launches[self->n_launches].function = function;
  self->launches[self->n_launches].grid = grid;
  self->launches[self->n_launches].block = block;
  self->launches[self->n_launches++].shared = shared;
  return TRUE;
}

gboolean
infer_cuda_kernel_run(gpointer state, InferStream *stream, void *const *inputs,
                      void *const *outputs, void *workspace, GError **error)
{
  const InferCudaKernel *self = state;
  const InferCudaQueue *queue = infer_cuda_queue(stream);
  InferCudaParams params = self->params;
  void *list[] = {&params};

  for (guint i = 0; i < self->n_inputs; i++)
    if (!self->is_set[i])
      params.p[i] = inputs[i];
  for (guint i = 0; i < self->n_outputs; i++)
    params.p[self->n_inputs + i] = outputs[i];
  if (!self->is_set[infer_cuda_kernel_workspace(self)])
    params.p[infer_cuda_kernel_workspace(self)] = workspace;
  for (guint i = 0; i < self->n_launches; i++)
    if (!infer_cuda_launch(queue, self->launches[i].function, self->launches[i].grid,
                           self->launches[i].block, self->launches[i].shared, list, error))
      return FALSE;
  return TRUE;
}

guint
infer_cuda_blocks(gint64 threads, guint block, guint most)
{
  gint64 blocks = (threads + block - 1) / block;

  return (guint)CLAMP(blocks, 0, (gint64)most);
}

/* --- source --- */

const char *
infer_cuda_value_type(InferType type)
{
  switch (type) {
  case INFER_TYPE_FLOAT:
  case INFER_TYPE_FLOAT16:
  case INFER_TYPE_BFLOAT16:
    return "float";
  case INFER_TYPE_DOUBLE:
    return "double";
  case INFER_TYPE_INT8:
    return "signed char";
  case INFER_TYPE_INT16:
    return "short";
  case INFER_TYPE_INT32:
    return "int";
  case INFER_TYPE_INT64:
    return "long long";
  case INFER_TYPE_BOOL:
  case INFER_TYPE_UINT8:
    return "unsigned char";
  case INFER_TYPE_UINT16:
    return "unsigned short";
  case INFER_TYPE_UINT32:
    return "unsigned";
  case INFER_TYPE_UINT64:
    return "unsigned long long";
  default:
    return NULL;
  }
}

const char *
infer_cuda_type(InferType type)
{
  if (type == INFER_TYPE_FLOAT16)
    return "half_t";
  return type == INFER_TYPE_BFLOAT16 ? "bf16_t" : infer_cuda_value_type(type);
}

void
infer_cuda_define(GString *source, const char *name, gint64 value)
{
  g_string_append_printf(source, "#define %s (%" G_GINT64_FORMAT ")\n", name, value);
}

void
infer_cuda_define_text(GString *source, const char *name, const char *text)
{
  g_string_append_printf(source, "#define %s %s\n", name, text);
}

void
infer_cuda_define_list(GString *source, const char *name, const gint64 *values, gint n)
{
  g_string_append_printf(source, "#define %s {", name);
  for (gint i = 0; i < n; i++)
    g_string_append_printf(source, "%s%" G_GINT64_FORMAT, i ? ", " : "", values[i]);
  g_string_append(source, n > 0 ? "}\n" : "0}\n");
}

void
infer_cuda_source_append(GString *source, const char *name)
{
  const char *text = infer_cuda_source(name);

  g_string_append(source, text ? text : "#error a part of the library is missing\n");
  g_string_append_c(source, '\n');
}

GString *
infer_cuda_source_new(gboolean fast, gboolean wide)
{
  GString *source = g_string_new(NULL);

  if (fast)
    infer_cuda_define_text(source, "FAST", "1");
  if (wide)
    infer_cuda_define_text(source, "WIDE", "1");
  infer_cuda_source_append(source, "common");
  infer_cuda_source_append(source, "math");
  return source;
}

/* --- operands --- */

gint
infer_cuda_operand(const InferStep *step, const InferNode *node, guint index)
{
  return index < node->n_inputs && node->inputs[index]
             ? infer_step_find_input(step, node->inputs[index])
             : -1;
}

gboolean
infer_cuda_is_half(InferType type)
{
  return type == INFER_TYPE_FLOAT16 || type == INFER_TYPE_BFLOAT16;
}

gboolean
infer_cuda_is_data(InferType type)
{
  return type == INFER_TYPE_FLOAT || infer_cuda_is_half(type);
}

gboolean
infer_cuda_is_fast(const InferStep *step)
{
  return infer_cuda_is_half(step->outputs[0]->type);
}

gboolean
infer_cuda_scalar(const InferTensor *tensor, double *value)
{
  if (!tensor || !tensor->value || infer_array_count(tensor->value) != 1)
    return FALSE;
  *value = infer_array_get_double(tensor->value, 0);
  return TRUE;
}

gboolean
infer_buffer_is_inline(const InferPrepare *prepare, guint index)
{
  const InferBuffer *buffer = &prepare->inputs[index];

  return buffer->value && infer_array_count(buffer->value) == 1;
}

gboolean
infer_cuda_pixels(const InferBuffer *buffer, gint64 *pitch, gint64 *image)
{
  gint64 want = 0;

  *pitch = *image = buffer->dims.n > 1 ? buffer->dims.d[1] : 0;
  if (buffer->dims.n < 3 || (buffer->dims.d[1] != 1 && buffer->strides[1] != 1))
    return FALSE;
  for (gint i = buffer->dims.n - 1; i >= 2; i--) {
    if (buffer->dims.d[i] == 1)
      continue;
    if (want == 0)
      *pitch = want = buffer->strides[i];
    if (buffer->strides[i] != want)
      return FALSE;
    want *= buffer->dims.d[i];
  }
  *image = buffer->dims.d[0] == 1 ? MAX(want, *pitch) : buffer->strides[0];
  return TRUE;
}

static gboolean
divides(gint64 value, gint by)
{
  return value % by == 0;
}

gint
infer_cuda_aligned(const InferBuffer *buffer, gint n, const gint64 *dims, const gint64 *strides,
                   gint vector)
{
  gint size = (gint)infer_type_bits(buffer->type) / 8, count = size > 0 ? 16 / size : 1;
  gsize base = buffer->value ? 64 : buffer->alignment;

  while (count > 1 && base % (gsize)(count * size) != 0)
    count /= 2;
  for (gint i = 0; i < n; i++)
    while (count > 1 && i != vector && dims[i] != 1 && !divides(strides[i], count))
      count /= 2;
  return MAX(count, 1);
}

gint
infer_cuda_vector(const InferPrepare *prepare, guint input)
{
  const InferBuffer *in = &prepare->inputs[input], *out = &prepare->outputs[0];
  gint a = infer_cuda_aligned(in, in->dims.n, in->dims.d, in->strides, 1);
  gint b = infer_cuda_aligned(out, out->dims.n, out->dims.d, out->strides, 1);
  gint count = MIN(MAX(a, b), 8);

  while (in->dims.d[1] % count != 0 || out->dims.d[1] % count != 0)
    count /= 2;
  return count;
}

gboolean
infer_cuda_define_tensor(GString *source, const InferPrepare *prepare, const char *name,
                         gboolean output, guint index, GError **error)
{
  const InferBuffer *buffer = output ? &prepare->outputs[index] : &prepare->inputs[index];
  gint64 pitch, image;

  if (!infer_cuda_pixels(buffer, &pitch, &image))
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "an operand is not channels-last");
  g_string_append_printf(source, "#define %s_T %s\n", name, infer_cuda_type(buffer->type));
  g_string_append_printf(source, "#define %s_SLOT %u\n", name,
                         output ? prepare->step->n_inputs + index : index);
  g_string_append_printf(source, "#define %s_PITCH (%" G_GINT64_FORMAT ")\n", name, pitch);
  g_string_append_printf(source, "#define %s_IMAGE (%" G_GINT64_FORMAT ")\n", name, image);
  g_string_append_printf(
      source, "#define %s_ALIGNED (%d)\n", name,
      infer_cuda_aligned(buffer, buffer->dims.n, buffer->dims.d, buffer->strides, 1));
  return TRUE;
}

gboolean
infer_cuda_strided_pixels(const InferPrepare *prepare, gboolean output, guint index)
{
  const InferBuffer *buffer = output ? &prepare->outputs[index] : &prepare->inputs[index];
  gint64 pitch, image;

  return infer_cuda_pixels(buffer, &pitch, &image) ||
         (!output && index > 0 && infer_cuda_chain_reads(prepare->step, index));
}

/* --- windows --- */

static gint64
item(const gint64 *list, gsize n, gint i, gint64 fallback)
{
  return list && (gsize)i < n ? list[i] : fallback;
}

/* Bounds that keep every product in range and are far beyond what a network has. */
static gboolean
is_sane(const InferCudaWindow *w, gint i)
{
  const gint64 most = 1 << 20;

  return w->kernel[i] >= 1 && w->kernel[i] <= most && w->stride[i] >= 1 && w->stride[i] <= most &&
         w->dilation[i] >= 1 && w->dilation[i] <= most && ABS(w->begin[i]) <= most &&
         ABS(w->end[i]) <= most && w->in[i] >= 0 && w->in[i] <= G_MAXINT32 && w->out[i] >= 0 &&
         w->out[i] <= G_MAXINT32;
}

/* Padding that SAME_* or a wanted output means follows from the sizes. */
static void
pad_automatically(InferCudaWindow *w, gint i, gboolean transposed, gint64 more, gboolean upper)
{
  gint64 extent = (w->kernel[i] - 1) * w->dilation[i] + 1;
  gint64 from = transposed ? w->in[i] : w->out[i], to = transposed ? w->out[i] : w->in[i];
  gint64 total = MAX((from - 1) * w->stride[i] + extent + more - to, 0);

  w->begin[i] = upper ? total / 2 : total - total / 2;
  w->end[i] = total - w->begin[i];
}

gboolean
infer_cuda_window(const InferPrepare *prepare, const InferNode *node, const InferDims *in,
                  const InferDims *out, const gint64 *kernel, gboolean transposed,
                  InferCudaWindow *w, GError **error)
{
  gsize n_shape, n_strides, n_dilations, n_pads, n_more = 0;
  const gint64 *shape = infer_node_get_ints(node, "kernel_shape", &n_shape);
  const gint64 *strides = infer_node_get_ints(node, "strides", &n_strides);
  const gint64 *dilations = infer_node_get_ints(node, "dilations", &n_dilations);
  const gint64 *pads = infer_node_get_ints(node, "pads", &n_pads);
  const char *mode = infer_node_get_string(node, "auto_pad", "NOTSET");
  const gint64 *more = transposed ? infer_node_get_ints(node, "output_padding", &n_more) : NULL;
  gboolean same = g_str_has_prefix(mode, "SAME_"), valid = g_str_equal(mode, "VALID");
  gboolean find = same || (transposed && infer_node_has_attr(node, "output_shape"));
  gint n = in->n - 2, first = 3 - n;

  *w = (InferCudaWindow){.n = n};
  if (n < 1 || n > 3 || out->n != in->n)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "it has %d spatial dimensions", n);
  for (gint i = 0; i < 3; i++) {
    gint k = i - first;

    w->kernel[i] = k < 0 ? 1 : kernel ? kernel[k] : item(shape, n_shape, k, 0);
    w->stride[i] = k < 0 ? 1 : item(strides, n_strides, k, 1);
    w->dilation[i] = k < 0 ? 1 : item(dilations, n_dilations, k, 1);
    w->in[i] = k < 0 ? 1 : in->d[2 + k];
    w->out[i] = k < 0 ? 1 : out->d[2 + k];
    w->begin[i] = k < 0 || same || valid ? 0 : item(pads, n_pads, k, 0);
    w->end[i] = k < 0 || same || valid ? 0 : item(pads, n_pads, n + k, 0);
    if (is_sane(w, i) && k >= 0 && find)
      pad_automatically(w, i, transposed, item(more, n_more, k, 0),
                        g_str_equal(mode, "SAME_UPPER"));
    if (!is_sane(w, i))
      return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE,
                             "the window of spatial dimension %d does not fit", k);
  }
  return TRUE;
}

void
infer_cuda_window_define(GString *source, const InferCudaWindow *w)
{
  static const char axes[] = "DHW";
  const struct {
    const char *name;
    const gint64 *values;
  } lists[] = {{"KERNEL", w->kernel}, {"STRIDE", w->stride}, {"DILATION", w->dilation},
               {"BEGIN", w->begin},   {"END", w->end},       {"IN", w->in},
               {"OUT", w->out}};

  for (gsize i = 0; i < G_N_ELEMENTS(lists); i++)
    for (gint k = 0; k < 3; k++)
      g_string_append_printf(source, "#define %s_%c (%" G_GINT64_FORMAT ")\n", lists[i].name,
                             axes[k], lists[i].values[k]);
}
