/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trace.h"

/*
 * The front of a graph of TensorFlow's Object Detection API: a loop over the batch resizes each
 * frame, then constants scale and shift it. Frames reach the network resized here, so the loop and
 * the constants become the pre-processing of the model info.
 */

/* How many resizes are looked at; that of the frames comes early. */
#define MAX_TRIED 64

typedef struct {
  TfNode *resize;
  TfNode *placeholder;
  TfNode *result; /* the node that puts out the resized batch */
  gint64 size[2];
} Front;

/* The loop's write of what @resize makes. */
static TfNode *
find_write(const TfGraph *graph, const TfNode *resize)
{
  for (guint i = 0; i < graph->n_nodes; i++) {
    TfNode *node = &graph->nodes[i];
    if (tf_is_array_op(node, "Write") && node->n_inputs > 2 &&
        tf_trace(graph, &node->inputs[2]) == resize) {
      return node;
    }
  }
  return NULL;
}

static gboolean
is_open_image(const TfNode *placeholder)
{
  const InferTf__Attr *attr = tf_attr(placeholder, "shape");
  const InferTf__Shape *shape = attr ? attr->shape : NULL;

  return shape && shape->n_dim == 4 && (shape->dim[1]->size == -1 || shape->dim[2]->size == -1);
}

static gboolean
match_front(const TfGraph *graph, TfNode *resize, Front *front)
{
  TfEdge outside;

  if (resize->n_inputs < 2) {
    return FALSE;
  }
  TfNode *source = tf_trace(graph, &resize->inputs[0]);
  front->resize = resize;
  front->result = resize;
  if (tf_outside(graph, source, &outside)) {
    TfNode *write = find_write(graph, resize);
    source = tf_trace(graph, &outside);
    front->result = write ? tf_array_result(graph, write) : NULL;
  } else if (!tf_is(source, "Placeholder") || !is_open_image(source)) {
    return FALSE;
  }
  front->placeholder = source;
  return front->result && tf_is(source, "Placeholder");
}

static gboolean
read_size(const TfGraph *graph, Front *front, GError **error)
{
  TfNode *size = tf_trace(graph, &front->resize->inputs[1]);
  g_autoptr(InferArray) array = tf_is(size, "Const") ? tf_const_array(graph, size, NULL) : NULL;

  if (!array || infer_array_count(array) != 2) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "'%s' resizes frames to a size that depends on the frame "
                    "(keep_aspect_ratio_resizer), which is not supported; export the model with "
                    "fixed_shape_resizer",
                    front->resize->def->name);
  }
  for (guint i = 0; i < 2; i++) {
    front->size[i] = infer_array_get_int(array, i);
    if (front->size[i] < 1 || front->size[i] > 1 << 16) {
      return tf_error(error, INFER_ERROR_MODEL,
                      "'%s' resizes frames to %" G_GINT64_FORMAT " pixels",
                      front->resize->def->name, front->size[i]);
    }
  }
  return TRUE;
}

/* What the constants do to a channel: pixel * scale + bias. */
typedef struct {
  double scale[3];
  double bias[3];
} Affine;

static double
element(const InferArray *array, guint channel)
{
  return infer_array_get_double(array, infer_array_count(array) == 1 ? 0 : channel);
}

/* Adds what @node does with a constant; FALSE where it is something else. */
static gboolean
add_affine(const TfGraph *graph, const TfNode *node, const TfNode *from, Affine *affine)
{
  if (node->n_inputs != 2) {
    return FALSE;
  }
  guint other = node->inputs[0].node == from ? 1 : 0;
  TfNode *constant = tf_trace(graph, &node->inputs[other]);
  gboolean quotient = tf_is_any(node, "RealDiv", "Div", NULL);
  gboolean sum = tf_is_any(node, "Add", "AddV2", "Sub", NULL);

  if (!tf_is(constant, "Const") || !(quotient || sum || tf_is(node, "Mul")) ||
      (quotient && other == 0)) {
    return FALSE;
  }
  g_autoptr(InferArray) array = tf_const_array(graph, constant, NULL);
  gint64 count = array ? infer_array_count(array) : 0;
  if (count != 1 && (count != 3 || array->dims.d[array->dims.n - 1] != 3)) {
    return FALSE;
  }
  for (guint c = 0; c < 3; c++) {
    double value = element(array, c);
    double sign = tf_is(node, "Sub") && other == 0 ? -1 : 1;
    double factor = sum ? sign : quotient ? 1 / value : value;
    affine->scale[c] *= factor;
    affine->bias[c] *= factor;
    if (sum) {
      affine->bias[c] += tf_is(node, "Sub") && other == 1 ? -value : value;
    }
  }
  return TRUE;
}

/* The one node that reads the elements of @node; those that read its shape do not count. */
static TfNode *
only_reader(const TfNode *node)
{
  TfNode *found = NULL;

  for (guint i = 0; node->readers && i < node->readers->len; i++) {
    TfNode *reader = node->readers->pdata[i];
    if (tf_is_any(reader, "Shape", "Size", "Rank", NULL)) {
      continue;
    }
    if (found) {
      return NULL;
    }
    found = reader;
  }
  return found;
}

/* Walks from the resized batch over the constants; all nodes on the way become the input. */
static void
take_constants(const TfGraph *graph, TfNode *from, InferTensor *input, Affine *affine)
{
  *affine = (Affine){.scale = {1, 1, 1}};
  tf_out(from, 0, input);
  for (guint i = 0; i < graph->n_nodes; i++) {
    TfNode *next = only_reader(from);
    gboolean same =
        next && (tf_is_any(next, "Identity", "StopGradient", NULL) ||
                 (tf_is(next, "Cast") && tf_attr_type(next, "DstT", 0) == INFER_TYPE_FLOAT));
    if (!next || (!same && !add_affine(graph, next, from, affine))) {
      return;
    }
    tf_out(next, 0, input);
    from = next;
  }
}

static InferTensor *
add_input(TfImport *im, const Front *front, gint64 *channels, GError **error)
{
  const InferTf__Attr *attr = tf_attr(front->placeholder, "shape");
  const InferTf__Shape *shape = attr ? attr->shape : NULL;
  gboolean known = shape && shape->n_dim == 4;
  guint max = im->options && im->options->max_batch ? im->options->max_batch : 1024;
  gint64 batch = known ? shape->dim[0]->size : -1;
  gint64 last = known && shape->dim[3]->size > 0 ? shape->dim[3]->size : 3;
  g_autofree char *name = g_utf8_make_valid(front->placeholder->def->name, -1);

  if (last != 1 && last != 3) {
    tf_error(error, INFER_ERROR_UNSUPPORTED,
             "'%s' has frames of %" G_GINT64_FORMAT " channels; 1 and 3 can be", name, last);
    return NULL;
  }
  if (batch <= 0) {
    batch = infer_network_add_symbol(im->network, "batch", 1, 1, max);
  }
  *channels = last;
  InferDims dims = INFER_DIMS(batch, front->size[0], front->size[1], last);
  return infer_network_add_input(im->network, name, INFER_TYPE_FLOAT, &dims, NULL, error);
}

static void
set_preprocess(const Front *front, const Affine *affine, gint64 channels, InferTensor *input,
               InferModelInfo *info)
{
  gboolean nearest = tf_is(front->resize, "ResizeNearestNeighbor");
  InferPreprocess pre = {
      .color = channels == 1 ? INFER_COLOR_GRAY : INFER_COLOR_RGB,
      .resize = INFER_RESIZE_STRETCH,
      .filter = nearest ? INFER_FILTER_NEAREST : INFER_FILTER_BILINEAR,
      .coordinates =
          tf_attr_bool(front->resize, "align_corners", FALSE) ? INFER_COORDINATES_ALIGN_CORNERS
          : tf_attr_bool(front->resize, "half_pixel_centers", FALSE) ? INFER_COORDINATES_HALF_PIXEL
                                                                     : INFER_COORDINATES_ASYMMETRIC,
  };

  for (guint c = 0; c < 3; c++) {
    pre.scale[c] = (float)affine->scale[c];
    pre.bias[c] = (float)affine->bias[c];
  }
  infer_model_info_set_input(info, input->name);
  infer_model_info_set_preprocess(info, &pre);
}

/* The loop also puts out the size of each resized frame, always the same: three numbers. */
static void
set_true_shapes(TfImport *im)
{
  for (guint i = 0; i < im->graph->n_nodes; i++) {
    TfNode *write = &im->graph->nodes[i];
    TfNode *shape = write->n_inputs > 2 && tf_is_array_op(write, "Write")
                        ? tf_trace(im->graph, &write->inputs[2])
                        : NULL;
    TfNode *result = tf_is(shape, "Const") ? tf_array_result(im->graph, write) : NULL;
    g_autoptr(InferArray) array = result ? tf_const_array(im->graph, shape, NULL) : NULL;
    if (!array || infer_array_count(array) != 3 || !infer_type_is_integer(array->type)) {
      continue;
    }
    g_autoptr(InferArray) row = infer_array_new(array->type, &INFER_DIMS(1, 3), NULL);
    for (guint k = 0; row && k < 3; k++) {
      infer_array_set_double(row, k, infer_array_get_double(array, k));
    }
    tf_out(result, 0, infer_network_add_constant(im->network, NULL, row));
  }
}

gboolean
tf_detection_find_input(TfImport *im, InferModelInfo *info, GError **error)
{
  guint tried = 0;

  for (guint i = 0; i < im->graph->n_nodes && tried < MAX_TRIED; i++) {
    TfNode *node = &im->graph->nodes[i];
    Front front = {NULL};
    if (!tf_is_any(node, "ResizeBilinear", "ResizeNearestNeighbor", NULL)) {
      continue;
    }
    tried++;
    if (!match_front(im->graph, node, &front)) {
      continue;
    }
    gint64 channels = 3;
    if (!read_size(im->graph, &front, error)) {
      return FALSE;
    }
    InferTensor *input = add_input(im, &front, &channels, error);
    if (!input) {
      return FALSE;
    }
    Affine affine;
    take_constants(im->graph, front.result, input, &affine);
    set_preprocess(&front, &affine, channels, input, info);
    set_true_shapes(im);
    return TRUE;
  }
  return TRUE;
}
