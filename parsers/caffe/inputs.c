/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <string.h>

/* Layers whose rows are not the images of a batch, or in other numbers: the batch stays as it is.
 */
static gboolean
fixes_batch(const CaffeImport *im)
{
  static const char *const types[] = {"Proposal", "ROIPooling", "PSROIPooling", "RPROI", "Python",
                                      "LSTM",     "RNN",        "BatchReindex", NULL};

  for (guint i = 0; i < im->layers->len; i++) {
    if (g_strv_contains(types, ((const CaffeDef *)im->layers->pdata[i])->type)) {
      return TRUE;
    }
  }
  return FALSE;
}

static gboolean
add_input(CaffeImport *im, const char *name, InferDims dims, GError **error)
{
  g_autofree char *valid = g_utf8_make_valid(name, -1);
  guint max = im->options ? im->options->max_batch : 0;

  for (gint i = 0; i < dims.n; i++) {
    if (dims.d[i] < 1) {
      return caffe_error(error, INFER_ERROR_MODEL,
                         "input '%s' has the dimension %" G_GINT64_FORMAT
                         " at place %d; at least 1 is needed",
                         valid, dims.d[i], i);
    }
  }
  gboolean first = infer_network_get_n_inputs(im->network) == 0;
  if (dims.n > 1 &&
      (first ? (dims.d[0] == 1 || max > 0) && !fixes_batch(im) : im->first_batch == dims.d[0])) {
    im->first_batch = dims.d[0];
    dims.d[0] = infer_network_add_symbol(im->network, "batch", 1, 1, max ? max : 1024);
  }
  InferTensor *input =
      infer_network_add_input(im->network, valid, INFER_TYPE_FLOAT, &dims, NULL, error);
  if (!input) {
    return FALSE;
  }
  g_hash_table_insert(im->blobs, (gpointer)name, input);
  return TRUE;
}

static gboolean
shape_dims(const InferCaffe__BlobShape *shape, InferDims *dims, GError **error)
{
  *dims = INFER_DIMS_SCALAR;
  if (shape->n_dim > INFER_MAX_DIMS) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED,
                       "an input has %" G_GSIZE_FORMAT " dimensions; at most %d can be",
                       shape->n_dim, INFER_MAX_DIMS);
  }
  for (gsize i = 0; i < shape->n_dim; i++) {
    dims->d[dims->n++] = shape->dim[i];
  }
  return TRUE;
}

/* Inputs that stand before the layers. */
static gboolean
net_inputs(CaffeImport *im, GError **error)
{
  const InferCaffe__NetParameter *net = im->net->proto;

  for (gsize i = 0; i < net->n_input; i++) {
    InferDims dims;
    if (net->n_input_shape > 0) {
      gsize at = net->n_input_shape == 1 ? 0 : i;
      if (at >= net->n_input_shape) {
        return caffe_error(error, INFER_ERROR_MODEL, "input '%s' has no input_shape",
                           net->input[i]);
      }
      if (!shape_dims(net->input_shape[at], &dims, error)) {
        return FALSE;
      }
    } else if (net->n_input_dim >= 4 * (i + 1)) {
      const gint32 *d = net->input_dim + 4 * i;
      dims = INFER_DIMS(d[0], d[1], d[2], d[3]);
    } else {
      return caffe_error(error, INFER_ERROR_MODEL,
                         "input '%s' has no dimensions; add input_shape { dim: ... }",
                         net->input[i]);
    }
    if (!add_input(im, net->input[i], dims, error)) {
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
dummy_dims(const InferCaffe__DummyDataParameter *p, gsize top, InferDims *dims, GError **error)
{
  if (p->n_shape > 0) {
    return shape_dims(p->shape[top < p->n_shape ? top : 0], dims, error);
  }
  if (!p->n_num || !p->n_channels || !p->n_height || !p->n_width) {
    return caffe_error(error, INFER_ERROR_MODEL, "it has no dimensions");
  }
#define PICK(list) (gint64)(p->list[top < p->n_##list ? top : 0])
  *dims = INFER_DIMS(PICK(num), PICK(channels), PICK(height), PICK(width));
#undef PICK
  return TRUE;
}

/* What a layer says of the images that it reads; in the oldest nets its own message has what
 * transform_param says today. */
typedef struct {
  guint32 batch, crop, height, width;
  gboolean gray;
  double scale;
  const char *mean_file;
} Images;

static Images
read_images(const CaffeDef *layer)
{
  const InferCaffe__TransformationParameter *t = layer->transform_param;
  const InferCaffe__DataParameter *p = layer->data_param;
  const InferCaffe__ImageDataParameter *image = layer->image_data_param;
  const InferCaffe__WindowDataParameter *window = layer->window_data_param;
  Images i = {.batch = 1, .scale = 1};

#define OLD(from)                                                                                  \
  i.batch = from->has_batch_size ? from->batch_size : 1;                                           \
  i.crop = from->crop_size;                                                                        \
  i.scale = (double)from->scale;                                                                   \
  i.mean_file = from->mean_file
  if (image) {
    OLD(image);
    i.height = image->new_height;
    i.width = image->new_width;
    i.gray = !image->is_color;
  } else if (window) {
    OLD(window);
  } else if (p) {
    OLD(p);
  }
#undef OLD
  if (t) {
    i.crop = t->crop_size ? t->crop_size : i.crop;
    i.scale = t->has_scale || i.scale == 1 ? (double)t->scale : i.scale;
    i.mean_file = t->mean_file && t->mean_file[0] ? t->mean_file : i.mean_file;
    i.gray = i.gray || t->force_gray;
  }
  i.height = i.crop ? i.crop : i.height;
  i.width = i.crop ? i.crop : i.width;
  return i;
}

/* The images of a data set: three channels of the size that is cut out, or that they get. */
static gboolean
data_dims(const CaffeDef *layer, InferDims *dims, GError **error)
{
  Images images = read_images(layer);

  if (images.height == 0 || images.width == 0) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED,
                       "the size of its images is in a data set; put a layer of type Input with "
                       "input_param { shape { dim: ... } } in its place");
  }
  *dims = INFER_DIMS(MAX(images.batch, 1), images.gray ? 1 : 3, images.height, images.width);
  return TRUE;
}

static gboolean
layer_dims(const CaffeDef *layer, gsize top, InferDims *dims, GError **error)
{
  if (g_str_equal(layer->type, "Input")) {
    const InferCaffe__InputParameter *p = layer->input_param;
    if (!p || p->n_shape == 0) {
      return caffe_error(error, INFER_ERROR_MODEL, "it has no shape");
    }
    return shape_dims(p->shape[top < p->n_shape ? top : 0], dims, error);
  }
  if (layer->dummy_data_param) {
    return dummy_dims(layer->dummy_data_param, top, dims, error);
  }
  if (layer->memory_data_param) {
    const InferCaffe__MemoryDataParameter *p = layer->memory_data_param;
    *dims = INFER_DIMS(p->batch_size, p->channels, p->height, p->width);
    return TRUE;
  }
  return data_dims(layer, dims, error);
}

/* pixel * scale - mean * scale, as data layers do it; scale first for none of Caffe's layers. */
static gboolean
preprocess(CaffeImport *im, const CaffeDef *layer, GError **error)
{
  const InferCaffe__TransformationParameter *t = layer->transform_param;
  InferPreprocess pre = *infer_model_info_get_preprocess(im->info);
  Images images = read_images(layer);
  float mean[3] = {0, 0, 0};

  if (!t && images.scale == 1 && !images.mean_file) {
    return TRUE;
  }
  for (gsize i = 0; t && i < 3 && t->n_mean_value > 0; i++) {
    mean[i] = t->mean_value[t->n_mean_value == 1 ? 0 : MIN(i, t->n_mean_value - 1)];
  }
  if (images.mean_file && images.mean_file[0] && im->folder) {
    g_autofree char *path = g_canonicalize_filename(images.mean_file, im->folder);
    g_autoptr(InferArray) array = infer_caffe_load_mean(path, error);
    if (!array) {
      return FALSE;
    }
    infer_caffe_channel_means(array, mean);
  }
  for (guint i = 0; i < 3; i++) {
    pre.scale[i] = (float)images.scale;
    pre.bias[i] = -mean[i] * (float)images.scale;
  }
  infer_model_info_set_preprocess(im->info, &pre);
  return TRUE;
}

static gboolean
layer_inputs(CaffeImport *im, const CaffeDef *layer, GError **error)
{
  gboolean data = !layer->input_param && !layer->dummy_data_param;

  /* Data layers put out labels as well, which inference does not have. */
  for (gsize i = 0; i < (data ? MIN(layer->n_top, 1) : layer->n_top); i++) {
    InferDims dims;
    GError *trouble = NULL;
    if (!layer_dims(layer, i, &dims, &trouble) || !add_input(im, layer->top[i], dims, &trouble)) {
      caffe_error(error, (InferError)trouble->code, "'%s' (%s): %s", layer->name ? layer->name : "",
                  layer->type, trouble->message);
      g_error_free(trouble);
      return FALSE;
    }
  }
  return !data || preprocess(im, layer, error);
}

/* The one input that could be an image. */
static void
guess_image(CaffeImport *im)
{
  InferPreprocess pre = *infer_model_info_get_preprocess(im->info);
  InferTensor *image = NULL;

  for (guint i = 0; i < infer_network_get_n_inputs(im->network); i++) {
    InferTensor *input = infer_network_get_input(im->network, i);
    if (input->dims.n == 4 && (input->dims.d[1] == 1 || input->dims.d[1] == 3)) {
      if (image) {
        return;
      }
      image = input;
    }
  }
  if (image) {
    /* Caffe reads images with OpenCV, whose order is BGR. */
    pre.color = image->dims.d[1] == 1 ? INFER_COLOR_GRAY : INFER_COLOR_BGR;
    infer_model_info_set_preprocess(im->info, &pre);
    infer_model_info_set_input(im->info, image->name);
  }
}

gboolean
caffe_inputs(CaffeImport *im, GError **error)
{
  if (!net_inputs(im, error)) {
    return FALSE;
  }
  for (guint i = 0; i < im->layers->len; i++) {
    const CaffeDef *layer = im->layers->pdata[i];
    if (caffe_is_input(layer->type) && !layer_inputs(im, layer, error)) {
      return FALSE;
    }
  }
  if (infer_network_get_n_inputs(im->network) == 0) {
    return caffe_error(error, INFER_ERROR_MODEL,
                       "the net has no input; add a layer of type Input, or input and input_shape");
  }
  guess_image(im);
  return TRUE;
}
