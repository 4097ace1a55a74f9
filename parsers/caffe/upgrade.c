/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net.h"

/*
 * Caffe had three forms of layers: today's, one with an enumeration of types (V1), and one with
 * all parameters in one message (V0). What is made here shares all that it points at with the
 * message that was read.
 */

typedef InferCaffe__V1LayerParameter V1;
typedef InferCaffe__V0LayerParameter V0;

static const char *const v1_types[] = {
    NULL,
    "Accuracy",
    "BNLL",
    "Concat",
    "Convolution",
    "Data",
    "Dropout",
    "EuclideanLoss",
    "Flatten",
    "HDF5Data",
    "HDF5Output",
    "Im2col",
    "ImageData",
    "InfogainLoss",
    "InnerProduct",
    "LRN",
    "MultinomialLogisticLoss",
    "Pooling",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "SoftmaxWithLoss",
    "Split",
    "TanH",
    "WindowData",
    "Eltwise",
    "Power",
    "SigmoidCrossEntropyLoss",
    "HingeLoss",
    "MemoryData",
    "ArgMax",
    "Threshold",
    "DummyData",
    "Slice",
    "MVN",
    "AbsVal",
    "Silence",
    "ContrastiveLoss",
    "Exp",
    "Deconvolution",
};

static const struct {
  const char *v0;
  const char *type;
} v0_types[] = {
    {"accuracy", "Accuracy"},
    {"bnll", "BNLL"},
    {"concat", "Concat"},
    {"conv", "Convolution"},
    {"data", "Data"},
    {"dropout", "Dropout"},
    {"euclidean_loss", "EuclideanLoss"},
    {"flatten", "Flatten"},
    {"hdf5_data", "HDF5Data"},
    {"hdf5_output", "HDF5Output"},
    {"im2col", "Im2col"},
    {"images", "ImageData"},
    {"infogain_loss", "InfogainLoss"},
    {"innerproduct", "InnerProduct"},
    {"lrn", "LRN"},
    {"multinomial_logistic_loss", "MultinomialLogisticLoss"},
    {"pool", "Pooling"},
    {"relu", "ReLU"},
    {"sigmoid", "Sigmoid"},
    {"softmax", "Softmax"},
    {"softmax_loss", "SoftmaxWithLoss"},
    {"split", "Split"},
    {"tanh", "TanH"},
    {"window_data", "WindowData"},
    {"padding", "Padding"},
};

static gpointer
owned(CaffeNet *net, gsize size)
{
  gpointer block = g_malloc0(size);

  g_ptr_array_add(net->owned, block);
  return block;
}

static CaffeDef *
new_layer(CaffeNet *net)
{
  CaffeDef *layer = owned(net, sizeof *layer);

  infer_caffe__layer_parameter__init(layer);
  return layer;
}

static guint32 *
one(CaffeNet *net, guint32 value, size_t *n)
{
  guint32 *list = owned(net, sizeof *list);

  *list = value;
  *n = 1;
  return list;
}

static void
v0_convolution(CaffeNet *net, const V0 *v0, CaffeDef *layer)
{
  InferCaffe__ConvolutionParameter *p = owned(net, sizeof *p);

  infer_caffe__convolution_parameter__init(p);
  p->has_num_output = v0->has_num_output;
  p->num_output = v0->num_output;
  p->bias_term = v0->biasterm;
  p->group = v0->group;
  p->weight_filler = v0->weight_filler;
  p->bias_filler = v0->bias_filler;
  if (v0->has_pad) {
    p->pad = one(net, v0->pad, &p->n_pad);
  }
  p->kernel_size = one(net, v0->kernelsize, &p->n_kernel_size);
  p->stride = one(net, v0->stride, &p->n_stride);
  layer->convolution_param = p;
}

static void
v0_inner_product(CaffeNet *net, const V0 *v0, CaffeDef *layer)
{
  InferCaffe__InnerProductParameter *p = owned(net, sizeof *p);

  infer_caffe__inner_product_parameter__init(p);
  p->has_num_output = v0->has_num_output;
  p->num_output = v0->num_output;
  p->bias_term = v0->biasterm;
  p->weight_filler = v0->weight_filler;
  p->bias_filler = v0->bias_filler;
  layer->inner_product_param = p;
}

static void
v0_pooling(CaffeNet *net, const V0 *v0, CaffeDef *layer)
{
  InferCaffe__PoolingParameter *p = owned(net, sizeof *p);

  infer_caffe__pooling_parameter__init(p);
  p->pool = (InferCaffe__PoolingParameter__PoolMethod)v0->pool;
  p->has_kernel_size = TRUE;
  p->kernel_size = v0->kernelsize;
  p->stride = v0->stride;
  p->pad = v0->pad;
  layer->pooling_param = p;
}

static void
v0_others(CaffeNet *net, const V0 *v0, CaffeDef *layer)
{
  if (g_str_equal(layer->type, "LRN")) {
    InferCaffe__LRNParameter *p = owned(net, sizeof *p);
    infer_caffe__lrnparameter__init(p);
    p->local_size = v0->local_size;
    p->alpha = v0->alpha;
    p->beta = v0->beta;
    p->k = v0->k;
    layer->lrn_param = p;
  } else if (g_str_equal(layer->type, "Concat")) {
    InferCaffe__ConcatParameter *p = owned(net, sizeof *p);
    infer_caffe__concat_parameter__init(p);
    p->axis = (gint32)v0->concat_dim;
    layer->concat_param = p;
  } else if (g_str_has_suffix(layer->type, "Data")) {
    InferCaffe__TransformationParameter *p = owned(net, sizeof *p);
    InferCaffe__DataParameter *data = owned(net, sizeof *data);
    infer_caffe__transformation_parameter__init(p);
    infer_caffe__data_parameter__init(data);
    p->scale = v0->scale;
    p->mean_file = v0->meanfile;
    p->has_crop_size = v0->has_cropsize;
    p->crop_size = v0->cropsize;
    data->batch_size = v0->batchsize;
    layer->transform_param = p;
    layer->data_param = data;
  }
}

static gboolean
upgrade_v0(CaffeNet *net, const V0 *v0, CaffeDef *layer, GError **error)
{
  layer->name = v0->name;
  layer->type = NULL;
  for (gsize i = 0; v0->type && i < G_N_ELEMENTS(v0_types); i++) {
    if (g_str_equal(v0->type, v0_types[i].v0)) {
      layer->type = (char *)v0_types[i].type;
    }
  }
  if (!layer->type) {
    return caffe_error(error, INFER_ERROR_MODEL, "layer '%s' has the unknown old type '%s'",
                       v0->name ? v0->name : "", v0->type ? v0->type : "");
  }
  layer->n_blobs = v0->n_blobs;
  layer->blobs = v0->blobs;
  if (g_str_equal(layer->type, "Convolution") || g_str_equal(layer->type, "Padding")) {
    v0_convolution(net, v0, layer);
  } else if (g_str_equal(layer->type, "InnerProduct")) {
    v0_inner_product(net, v0, layer);
  } else if (g_str_equal(layer->type, "Pooling")) {
    v0_pooling(net, v0, layer);
  } else {
    v0_others(net, v0, layer);
  }
  return TRUE;
}

/* The names of shared weights. */
static void
upgrade_names(CaffeNet *net, const V1 *v1, CaffeDef *layer)
{
  InferCaffe__ParamSpec *specs = owned(net, v1->n_param * sizeof *specs);

  layer->param = owned(net, v1->n_param * sizeof *layer->param);
  layer->n_param = v1->n_param;
  for (gsize i = 0; i < v1->n_param; i++) {
    infer_caffe__param_spec__init(&specs[i]);
    specs[i].name = v1->param[i];
    layer->param[i] = &specs[i];
  }
}

static void
upgrade_v1(const V1 *v1, CaffeDef *layer)
{
  layer->name = v1->name;
  layer->type = (char *)(v1->has_type ? v1_types[v1->type] : NULL);
  layer->n_blobs = v1->n_blobs;
  layer->blobs = v1->blobs;
  layer->concat_param = v1->concat_param;
  layer->convolution_param = v1->convolution_param;
  layer->data_param = v1->data_param;
  layer->dropout_param = v1->dropout_param;
  layer->image_data_param = v1->image_data_param;
  layer->window_data_param = v1->window_data_param;
  layer->inner_product_param = v1->inner_product_param;
  layer->lrn_param = v1->lrn_param;
  layer->pooling_param = v1->pooling_param;
  layer->power_param = v1->power_param;
  layer->memory_data_param = v1->memory_data_param;
  layer->argmax_param = v1->argmax_param;
  layer->eltwise_param = v1->eltwise_param;
  layer->threshold_param = v1->threshold_param;
  layer->dummy_data_param = v1->dummy_data_param;
  layer->relu_param = v1->relu_param;
  layer->slice_param = v1->slice_param;
  layer->mvn_param = v1->mvn_param;
  layer->transform_param = v1->transform_param;
  layer->softmax_param = v1->softmax_param;
  layer->exp_param = v1->exp_param;
}

static gboolean
upgrade_old(CaffeNet *net, const V1 *v1, GError **error)
{
  CaffeDef *layer = new_layer(net);

  /* A type from a binary file may be any number. */
  if (!v1->layer && v1->has_type && (v1->type < 0 || (gsize)v1->type >= G_N_ELEMENTS(v1_types))) {
    return caffe_error(error, INFER_ERROR_MODEL, "layer '%s' has the unknown type %d",
                       v1->name ? v1->name : "", v1->type);
  }
  if (!v1->layer) {
    upgrade_v1(v1, layer);
    upgrade_names(net, v1, layer);
  } else if (!upgrade_v0(net, v1->layer, layer, error)) {
    return FALSE;
  }
  layer->n_bottom = v1->n_bottom;
  layer->bottom = v1->bottom;
  layer->n_top = v1->n_top;
  layer->top = v1->top;
  layer->n_include = v1->n_include;
  layer->include = v1->include;
  layer->n_exclude = v1->n_exclude;
  layer->exclude = v1->exclude;
  g_ptr_array_add(net->layers, layer);
  g_hash_table_insert(net->lines, layer, g_hash_table_lookup(net->lines, v1));
  return TRUE;
}

gboolean
caffe_net_upgrade(CaffeNet *net, GError **error)
{
  const InferCaffe__NetParameter *proto = net->proto;

  if (proto->n_layer > 0 && proto->n_layers > 0) {
    return caffe_error(error, INFER_ERROR_MODEL,
                       "it has layers of the old form ('layers') and of the new one ('layer')");
  }
  for (gsize i = 0; i < proto->n_layers; i++) {
    if (!upgrade_old(net, proto->layers[i], error)) {
      return FALSE;
    }
  }
  for (gsize i = 0; i < proto->n_layer; i++) {
    g_ptr_array_add(net->layers, proto->layer[i]);
  }
  return TRUE;
}
