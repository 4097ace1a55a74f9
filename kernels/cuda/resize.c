/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "generate.h"
#include "impls-ops.h"

#include <math.h>

/* Resize of spatial dimensions, nearest, linear and cubic, in any order. */

#define MAX_TAPS 64
/* Threads of a pixel that find its places together, where there are as many. */
#define MIN_SHARING 4
/* Planes that a thread goes through at most. */
#define MAX_PLANES 16

static const char *const modes[] = {"nearest", "linear", "cubic"};
static const char *const coordinates[] = {"half_pixel",         "half_pixel_symmetric",
                                          "pytorch_half_pixel", "align_corners",
                                          "asymmetric",         "tf_half_pixel_for_nn"};
static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};

static gint
find(const char *const *names, gsize n, const char *name)
{
  for (gsize i = 0; i < n; i++)
    if (g_str_equal(names[i], name))
      return (gint)i;
  return -1;
}

#define FIND(NAMES, NODE, ATTRIBUTE)                                                               \
  find(NAMES, G_N_ELEMENTS(NAMES), infer_node_get_string(NODE, ATTRIBUTE, NAMES[0]))

/* The constant scales; %NULL where sizes are given. */
static const InferArray *
find_scales(const InferNode *node, gboolean *known)
{
  const InferTensor *scales = node->n_inputs > 2 ? node->inputs[2] : NULL;

  *known = TRUE;
  if (!scales || (scales->dims.n == 1 && scales->dims.d[0] == 0))
    return NULL;
  *known = scales->value != NULL;
  return scales->value;
}

/* Scale of each axis of the input; 0 where a size is given. */
static gboolean
find_axes(const InferNode *node, gint rank, double *scales)
{
  gsize n = 0;
  const gint64 *axes = infer_node_get_ints(node, "axes", &n);
  gboolean known;
  const InferArray *values = find_scales(node, &known);

  for (gint i = 0; i < rank; i++)
    scales[i] = axes && n > 0 ? 1 : 0;
  n = axes && n > 0 ? n : (gsize)rank;
  if (!known || (values && infer_array_count(values) != (gint64)n))
    return FALSE;
  for (gsize i = 0; i < n; i++) {
    gint64 axis = axes ? axes[i] : (gint64)i;

    axis += axis < 0 ? rank : 0;
    if (axis < 0 || axis >= rank)
      return FALSE;
    scales[axis] = values ? (double)(float)infer_array_get_double(values, i) : 0;
    if (values && !(scales[axis] > 0))
      return FALSE;
  }
  return TRUE;
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  const InferNode *node = step->nodes[0];
  const InferTensor *x = node->inputs[0];
  gint mode = FIND(modes, node, "mode");
  gint coordinate = FIND(coordinates, node, "coordinate_transformation_mode");
  gint rounding = FIND(roundings, node, "nearest_mode");
  double scales[INFER_MAX_DIMS];

  if (!x || x->value || x->dims.n < 3 || x->dims.n > 5 || mode < 0 || coordinate < 0 ||
      rounding < 0 || (coordinate == 5 && rounding % 2 == 1) || !infer_cuda_type(x->type) ||
      infer_step_find_input(step, x) != 0 ||
      !g_str_equal(infer_node_get_string(node, "keep_aspect_ratio_policy", "stretch"), "stretch"))
    return FALSE;
  if (mode > 0 && !infer_cuda_is_data(x->type) && x->type != INFER_TYPE_DOUBLE)
    return FALSE;
  if (!find_axes(node, x->dims.n, scales) || !infer_cuda_chain_supports(step, TRUE))
    return FALSE;
  for (gint i = 0; i < 2; i++)
    if (x->dims.d[i] != step->outputs[0]->dims.d[i] || x->dims.d[i] == INFER_DIM_UNKNOWN ||
        (scales[i] != 0 && scales[i] != 1))
      return FALSE;
  /* Antialiasing looks at as many elements as the scale says. */
  for (gint i = 2; i < x->dims.n && infer_node_get_int(node, "antialias", 0); i++)
    if (scales[i] == 0 || scales[i] < 1.0 / 14)
      return FALSE;
  infer_cuda_chain_layouts(step, TRUE, INFER_LAYOUT_ANY, inputs, outputs);
  inputs[0] = INFER_LAYOUT_ANY;
  return TRUE;
}

static void
define_number(GString *source, const char *name, char axis, double value)
{
  char digits[64];

  g_string_append_printf(source, "#define %s_%c (%s)\n", name, axis,
                         g_ascii_formatd(digits, sizeof digits, "%.17e", value));
}

static gboolean
define_axis(GString *source, const InferPrepare *prepare, gint k, char name, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  const InferDims *in = &prepare->inputs[0].dims, *out = &prepare->outputs[0].dims;
  gint64 from = k < 2 ? 1 : in->d[k], to = k < 2 ? 1 : out->d[k], taps;
  gint mode = FIND(modes, node, "mode");
  double scales[INFER_MAX_DIMS], scale = 1, wide;
  gboolean by_size, same;

  if (!find_axes(node, in->n, scales) || from < 1 || to < 1 || from > G_MAXINT32 || to > G_MAXINT32)
    return infer_cuda_fail(prepare, error, INFER_ERROR_SHAPE, "its sizes are not known");
  by_size = k < 2 || scales[k] == 0;
  scale = by_size ? (double)to / (double)from : scales[k];
  same = k < 2 || (from == to && scale == 1 &&
                   FIND(coordinates, node, "coordinate_transformation_mode") != 5);
  wide = infer_node_get_int(node, "antialias", 0) && scale < 1 ? 1 / scale : 1;
  taps = same || mode == 0 ? 1 : 2 * (gint64)ceil((mode == 1 ? 1 : 2) * wide);
  if (taps > MAX_TAPS)
    return infer_cuda_fail(prepare, error, INFER_ERROR_UNSUPPORTED, "it shrinks too much");
  g_string_append_printf(source,
                         "#define IN_%c (%" G_GINT64_FORMAT ")\n#define OUT_%c (%" G_GINT64_FORMAT
                         ")\n#define TAPS_%c (%" G_GINT64_FORMAT ")\n#define SAME_%c (%d)\n",
                         name, from, name, to, name, taps, name, same);
  define_number(source, "FACTOR", name, by_size ? (double)from : 1);
  define_number(source, "DIVISOR", name, by_size ? (double)to : scale);
  define_number(source, "SCALE", name, scale);
  return TRUE;
}

/* Whether threads go along x: where channels are not what lies together. */
static gboolean
is_plain(const InferPrepare *prepare)
{
  const InferBuffer *x = &prepare->inputs[0], *y = &prepare->outputs[0];
  gint64 pitch, image;

  return y->strides[y->dims.n - 1] == 1 || !infer_cuda_pixels(x, &pitch, &image) ||
         !infer_cuda_pixels(y, &pitch, &image);
}

/* Neighbours along x: 16 bytes of the output, where few taps leave registers for them. */
static gint
find_width(const InferPrepare *prepare)
{
  const InferNode *node = prepare->step->nodes[0];
  const InferBuffer *y = &prepare->outputs[0];
  gint last = y->dims.n - 1, count = 1;
  gint most = infer_node_get_int(node, "antialias", 0)                        ? 1
              : g_str_equal(infer_node_get_string(node, "mode", ""), "cubic") ? 4
                                                                              : 8;

  if (y->strides[last] == 1)
    count = MIN(most, infer_cuda_aligned(y, y->dims.n, y->dims.d, y->strides, last));
  while (y->dims.d[last] % count != 0)
    count /= 2;
  return MAX(count, 1);
}

static void
define_strides(GString *source, const char *name, const InferBuffer *buffer)
{
  gint64 strides[5] = {buffer->strides[0], buffer->strides[1]};

  for (gint k = 2; k < buffer->dims.n; k++)
    strides[5 - buffer->dims.n + k] = buffer->strides[k];
  infer_cuda_define_list(source, name, strides, 5);
}

static void
define_plain(GString *source, const InferPrepare *prepare, gint vector)
{
  const InferBuffer *x = &prepare->inputs[0], *y = &prepare->outputs[0];

  infer_cuda_define_text(source, "X_T", infer_cuda_type(x->type));
  infer_cuda_define(source, "X_SLOT", 0);
  infer_cuda_define(source, "Y_SLOT", prepare->step->n_inputs);
  infer_cuda_define(source, "OUT_ALIGNED", vector);
  define_strides(source, "X_STRIDES", x);
  define_strides(source, "Y_STRIDES", y);
}

static gboolean
define(GString *source, const InferPrepare *prepare, gint vector, GError **error)
{
  const InferNode *node = prepare->step->nodes[0];
  gint rank = prepare->inputs[0].dims.n;
  char digits[64];

  infer_cuda_define(source, "MODE", FIND(modes, node, "mode"));
  infer_cuda_define(source, "COORDINATES",
                    FIND(coordinates, node, "coordinate_transformation_mode"));
  infer_cuda_define(source, "NEAREST", FIND(roundings, node, "nearest_mode"));
  infer_cuda_define(source, "ANTIALIAS", infer_node_get_int(node, "antialias", 0) != 0);
  infer_cuda_define(source, "EXCLUDE_OUTSIDE", infer_node_get_int(node, "exclude_outside", 0) != 0);
  g_string_append_printf(source, "#define CUBIC_A (%s)\n",
                         g_ascii_formatd(digits, sizeof digits, "%.17e",
                                         infer_node_get_float(node, "cubic_coeff_a", -0.75)));
  infer_cuda_define(source, "SPATIAL", rank - 2);
  infer_cuda_define(source, "OUT_C", prepare->outputs[0].dims.d[1]);
  infer_cuda_define(source, "VEC", vector);
  infer_cuda_define(source, "PLAIN", is_plain(prepare));
  infer_cuda_define(source, "SHARED",
                    !is_plain(prepare) && prepare->outputs[0].dims.d[1] / vector >= MIN_SHARING);
  if (is_plain(prepare))
    define_plain(source, prepare, vector);
  else if (!infer_cuda_define_tensor(source, prepare, "X", FALSE, 0, error) ||
           !infer_cuda_define_tensor(source, prepare, "Y", TRUE, 0, error))
    return FALSE;
  return define_axis(source, prepare, rank - 3, 'D', error) &&
         define_axis(source, prepare, rank - 2, 'H', error) &&
         define_axis(source, prepare, rank - 1, 'W', error);
}

/* Threads; @planes: those that each goes through, few enough to keep the device busy. */
static gint64
count_threads(const InferPrepare *prepare, gint vector, gint64 *planes)
{
  const InferDims *out = &prepare->outputs[0].dims;
  gint64 count = infer_dims_count(out), all = out->d[0] * out->d[1], pixels = count / all / vector;
  gint64 busy = (gint64)infer_cuda_device(prepare->device)->n_multiprocessors * 8192;

  *planes = 1;
  if (!is_plain(prepare))
    return count / vector;
  *planes = CLAMP(pixels * all / MAX(busy, 1), 1, MAX_PLANES);
  return pixels * ((all + *planes - 1) / *planes);
}

static gboolean
prepare_resize(InferPrepare *prepare, GError **error)
{
  g_autofree InferCudaKernel *self = infer_cuda_kernel_new(prepare, 0, error);
  gint64 count = infer_dims_count(&prepare->outputs[0].dims);
  g_autoptr(GString) source = NULL;
  InferCudaSpace space;

  if (!self || !infer_cuda_space_init(&space, prepare, TRUE, error))
    return FALSE;
  if (count > 0) {
    gint vector = is_plain(prepare) ? find_width(prepare) : infer_cuda_vector(prepare, 0);

    self->params.n[0] = count_threads(prepare, vector, &self->params.n[1]);
    self->params.n[2] = prepare->outputs[0].dims.d[0] * prepare->outputs[0].dims.d[1];
    if (is_plain(prepare))
      space.vector = space.n - 1;
    source = infer_cuda_source_new(infer_cuda_is_fast(prepare->step),
                                   infer_cuda_space_is_wide(&space, prepare));
    if (!define(source, prepare, vector, error) ||
        !infer_cuda_chain_append(source, prepare, TRUE, &space, error))
      return FALSE;
    infer_cuda_source_append(source, "resize");
    if (!infer_cuda_kernel_add(
            self, prepare, source->str, "resize",
            (InferCudaSize){infer_cuda_blocks(self->params.n[0], 128, G_MAXINT32), 1, 1},
            (InferCudaSize){128, 1, 1}, 0, error))
      return FALSE;
  }
  prepare->state = g_steal_pointer(&self);
  return TRUE;
}

/* It reads and writes by strides. */
static gboolean
strided(const InferPrepare *prepare, gboolean output, guint index)
{
  return TRUE;
}

const InferImpl infer_cuda_resize = {
    .name = "cuda.resize",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_resize,
    .release = g_free,
    .run = infer_cuda_kernel_run,
    .strided = strided,
};
