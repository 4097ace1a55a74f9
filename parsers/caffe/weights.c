/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <math.h>
#include <string.h>

/* The most random weights of a network, so that a small text does not take all memory. */
#define MAX_DRAWN ((gsize)1 << 30)

/* Random numbers repeat after as many elements: a gigabyte of them is then a matter of copying. */
#define PERIOD ((gsize)65537)

static double
uniform(CaffeImport *im)
{
  /* A 64 bit linear congruential generator with Knuth's multiplier. */
  im->seed = im->seed * G_GUINT64_CONSTANT(6364136223846793005) + 1442695040888963407u;
  return (double)(im->seed >> 11) / (double)(G_GUINT64_CONSTANT(1) << 53);
}

static double
normal(CaffeImport *im)
{
  double radius = sqrt(-2 * log(1 - uniform(im)));

  return radius * cos(2 * G_PI * uniform(im));
}

typedef struct {
  gboolean gaussian;
  double middle, spread;
} Draw;

static double
fan(const InferArray *array, InferCaffe__FillerParameter__VarianceNorm norm)
{
  const InferDims *dims = &array->dims;
  double count = (double)infer_array_count(array);
  double in = dims->n > 0 ? count / (double)MAX(dims->d[0], 1) : 1;
  double out = dims->n > 1 ? count / (double)MAX(dims->d[1], 1) : count;

  switch (norm) {
  case INFER_CAFFE__FILLER_PARAMETER__VARIANCE_NORM__FAN_OUT:
    return MAX(out, 1);
  case INFER_CAFFE__FILLER_PARAMETER__VARIANCE_NORM__AVERAGE:
    return MAX((in + out) / 2, 1);
  default:
    return MAX(in, 1);
  }
}

static gboolean
draw_of_filler(const InferArray *array, const InferCaffe__FillerParameter *filler, Draw *draw,
               GError **error)
{
  double n = fan(array, filler->variance_norm);

  if (g_str_equal(filler->type, "constant")) {
    *draw = (Draw){FALSE, (double)filler->value, 0};
  } else if (g_str_equal(filler->type, "uniform")) {
    *draw = (Draw){FALSE, ((double)filler->min + (double)filler->max) / 2,
                   ((double)filler->max - (double)filler->min) / 2};
  } else if (g_str_equal(filler->type, "gaussian")) {
    *draw = (Draw){TRUE, (double)filler->mean, (double)filler->std};
  } else if (g_str_equal(filler->type, "xavier")) {
    *draw = (Draw){FALSE, 0, sqrt(3 / n)};
  } else if (g_str_equal(filler->type, "msra")) {
    *draw = (Draw){TRUE, 0, sqrt(2 / n)};
  } else if (g_str_equal(filler->type, "positive_unitball") ||
             g_str_equal(filler->type, "bilinear")) {
    *draw = (Draw){FALSE, 0.5, 0.5};
  } else {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED, "the filler '%s' is not known",
                       filler->type);
  }
  return TRUE;
}

/* What makes a deconvolution a bilinear interpolation. */
static void
fill_bilinear(InferArray *array)
{
  gint64 height = array->dims.d[2], width = array->dims.d[3];
  double factor = ceil((double)width / 2), centre = (2 * factor - 1 - fmod(factor, 2)) / 2 / factor;
  gint64 count = infer_array_count(array);
  float *to = array->data;

  for (gint64 i = 0; i < count; i++) {
    double x = (double)(i % width) / factor, y = (double)(i / width % height) / factor;
    to[i] = (float)((1 - fabs(x - centre)) * (1 - fabs(y - centre)));
  }
}

gboolean
caffe_fill(CaffeImport *im, InferArray *array, const InferCaffe__FillerParameter *filler,
           CaffeDefault fallback, GError **error)
{
  gsize n = (gsize)infer_array_count(array), first = MIN(n, PERIOD);
  Draw draw = {FALSE, 0,
               sqrt(3 / fan(array, INFER_CAFFE__FILLER_PARAMETER__VARIANCE_NORM__FAN_IN))};
  float *to = array->data;

  if (fallback != CAFFE_SPREAD) {
    draw = (Draw){FALSE, fallback == CAFFE_ZERO ? 0 : 1, fallback == CAFFE_POSITIVE ? 0.5 : 0};
  }
  if (filler && !draw_of_filler(array, filler, &draw, error)) {
    return FALSE;
  }
  if (filler && g_str_equal(filler->type, "bilinear") && array->dims.n == 4) {
    fill_bilinear(array);
    return TRUE;
  }
  if (draw.spread == 0 && draw.middle == 0) {
    return TRUE;
  }
  for (gsize i = 0; i < first; i++) {
    double value = draw.gaussian ? normal(im) : 2 * uniform(im) - 1;
    to[i] = (float)(draw.middle + draw.spread * value);
  }
  for (gsize i = first; i < n; i += first) {
    memcpy(to + i, to, MIN(first, n - i) * sizeof *to);
  }
  return TRUE;
}

/* Counts weights that are made here against the greatest size. */
static gboolean
take_room(CaffeImport *im, gsize size, const InferDims *dims, GError **error)
{
  if (size > MAX_DRAWN - im->drawn) {
    g_autofree char *text = infer_dims_to_string(dims);
    return caffe_error(error, INFER_ERROR_MEMORY, "random weights of %s would make more than 1 GiB",
                       text);
  }
  im->drawn += size;
  return TRUE;
}

static InferArray *
random_weights(CaffeImport *im, const InferDims *dims, const InferCaffe__FillerParameter *filler,
               CaffeDefault fallback, GError **error)
{
  gint64 count = infer_dims_count(dims);
  gsize size = count < 0 ? G_MAXSIZE : infer_type_size(INFER_TYPE_FLOAT, count);

  if (!take_room(im, size, dims, error)) {
    return NULL;
  }
  g_autoptr(InferArray) array = infer_array_new(INFER_TYPE_FLOAT, dims, error);
  if (!array || !caffe_fill(im, array, filler, fallback, error)) {
    return NULL;
  }
  return g_steal_pointer(&array);
}

static const CaffeBlob *
find_blob(const CaffeImport *im, const CaffeLayer *layer, guint index)
{
  const CaffeDef *def =
      layer->def->name ? g_hash_table_lookup(im->weights_of, layer->def->name) : NULL;

  return def && index < def->n_blobs ? def->blobs[index] : NULL;
}

gboolean
caffe_has_weights(const CaffeImport *im, const CaffeLayer *layer, guint index)
{
  return !im->weights || find_blob(im, layer, index) != NULL;
}

/* The weights of the first layer that has them under the same name; there may be none. */
static gboolean
shared_weights(CaffeImport *im, const char *name, const InferDims *dims, InferArray **array,
               GError **error)
{
  InferArray *first = name ? g_hash_table_lookup(im->shared, name) : NULL;

  *array = NULL;
  if (!first) {
    return TRUE;
  }
  if (infer_array_count(first) != infer_dims_count(dims)) {
    g_autofree char *left = infer_dims_to_string(&first->dims);
    g_autofree char *right = infer_dims_to_string(dims);
    return caffe_error(error, INFER_ERROR_SHAPE,
                       "the weights '%s' that it shares are %s, it needs %s", name, left, right);
  }
  if (infer_dims_equal(&first->dims, dims)) {
    *array = infer_array_ref(first);
    return TRUE;
  }
  if (!take_room(im, first->size, dims, error)) {
    return FALSE;
  }
  g_autoptr(GBytes) bytes = infer_array_get_bytes(first);
  *array = infer_array_new_from_bytes(first->type, dims, bytes, error);
  return *array != NULL;
}

static InferArray *
own_weights(CaffeImport *im, const CaffeLayer *layer, guint index, const InferDims *dims,
            const InferCaffe__FillerParameter *filler, CaffeDefault fallback, GError **error)
{
  InferDims have;

  if (!im->weights) {
    return random_weights(im, dims, filler, fallback, error);
  }
  const CaffeBlob *blob = find_blob(im, layer, index);
  if (!blob) {
    caffe_error(error, INFER_ERROR_MODEL,
                "the caffemodel has no blob %u for it; prototxt and caffemodel do not belong "
                "together",
                index);
    return NULL;
  }
  gint64 count = caffe_blob_count(blob, &have);
  if (count < 0 || count != infer_dims_count(dims)) {
    g_autofree char *left = infer_dims_to_string(&have);
    g_autofree char *right = infer_dims_to_string(dims);
    caffe_error(error, INFER_ERROR_SHAPE, "blob %u of the caffemodel is %s, not %s", index, left,
                right);
    return NULL;
  }
  return caffe_blob_array(im->weights, blob, dims, error);
}

InferArray *
caffe_weights(CaffeImport *im, const CaffeLayer *layer, guint index, const InferDims *dims,
              const InferCaffe__FillerParameter *filler, CaffeDefault fallback, GError **error)
{
  const char *name = index < layer->def->n_param ? layer->def->param[index]->name : NULL;
  InferArray *array = NULL;

  name = name && name[0] ? name : NULL;
  if (!im->weights || !find_blob(im, layer, index)) {
    if (!shared_weights(im, name, dims, &array, error)) {
      return NULL;
    }
  }
  if (!array) {
    array = own_weights(im, layer, index, dims, filler, fallback, error);
  }
  if (array && name && !g_hash_table_contains(im->shared, name)) {
    g_hash_table_insert(im->shared, (gpointer)name, infer_array_ref(array));
  }
  return array;
}

InferTensor *
caffe_weight_tensor(CaffeImport *im, const CaffeLayer *layer, guint index, const InferDims *dims,
                    const InferCaffe__FillerParameter *filler, CaffeDefault fallback,
                    GError **error)
{
  g_autoptr(InferArray) array = caffe_weights(im, layer, index, dims, filler, fallback, error);
  g_autofree char *name =
      g_strdup_printf("%s/weights%u", layer->def->name ? layer->def->name : "", index);

  return array ? infer_network_add_constant(im->network, name, array) : NULL;
}
