/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "net.h"

G_BEGIN_DECLS

typedef struct _CaffeImport CaffeImport;
typedef struct _CaffeLayer CaffeLayer;

/**
 * CaffeOp:
 * @type: Caffe's type of layer
 * @emit: (nullable): adds what the layer computes and sets its tops
 * @reason: (nullable): why there is no @emit
 *
 * A family's file has a table of these that ends with a NULL type.
 */
typedef struct {
  const char *type;
  gboolean (*emit)(CaffeImport *im, CaffeLayer *layer, GError **error);
  const char *reason;
} CaffeOp;

/** CaffeImport: a network that is being made. */
struct _CaffeImport {
  CaffeNet *net;
  CaffeNet *weights; /* NULL where weights are random */
  const InferParseOptions *options;
  InferNetwork *network;
  InferModelInfo *info;
  const char *folder;     /* NULL where there is no file */
  GPtrArray *layers;      /* CaffeDef, those of inference in order */
  GHashTable *blobs;      /* name to InferTensor, as of the current layer */
  GHashTable *weights_of; /* name of a layer to its CaffeDef with weights */
  GHashTable *ops;        /* type to CaffeOp */
  GHashTable *shared;     /* name of weights that layers share to InferArray */
  GPtrArray *problems;    /* texts */
  gint problem_code;
  gint64 first_batch; /* what inputs say as their batch where it became a symbol, else 0 */
  gboolean detections;
  gsize folded;
  gsize drawn; /* bytes of random weights */
  guint64 seed;
};

/**
 * CaffeLayer:
 * @def: the layer's definition
 * @n_in: how many bottoms there are
 * @in: bottoms
 * @out: tops; NULL until the layer sets them
 */
struct _CaffeLayer {
  const CaffeDef *def;
  guint n_in;
  InferTensor **in;
  guint n_out;
  InferTensor **out;
  guint n_nodes;
};

/* custom.c */

/** caffe_custom_is: whether a plugin has the layer's type. */
gboolean caffe_custom_is(const CaffeLayer *layer);
/** caffe_custom_emit: adds the plugin's layer. */
gboolean caffe_custom_emit(CaffeImport *im, CaffeLayer *layer, GError **error);
/** caffe_custom_check: refuses a message that Caffe's own layer does not have. */
gboolean caffe_custom_check(const CaffeImport *im, const CaffeLayer *layer, GError **error);

/* paramstring.c */

/**
 * caffe_param_string:
 * @text: the parameters of a layer in Python, as a mapping in YAML or a dictionary in Python
 * @fields: (element-type utf8 GVariant): gets them: integers, floats, texts, and lists of these
 *
 * Returns: success
 */
gboolean caffe_param_string(const char *text, GHashTable *fields, GError **error);

extern const CaffeOp caffe_ops_convolution[], caffe_ops_pooling[], caffe_ops_pointwise[],
    caffe_ops_norm[], caffe_ops_shape[], caffe_ops_resize[], caffe_ops_detection[],
    caffe_ops_region[], caffe_ops_recurrent[];

/* Nodes. Constants are computed at once. Each returns NULL with an error. */

/** caffe_add_n: adds a node of several outputs. */
gboolean caffe_add_n(CaffeImport *im, CaffeLayer *layer, const char *op, GVariant *attrs,
                     InferTensor *const *inputs, guint n_inputs, InferTensor **outputs,
                     guint n_outputs, GError **error);
InferTensor *caffe_add(CaffeImport *im, CaffeLayer *layer, const char *op, GVariant *attrs,
                       InferTensor *const *inputs, guint n_inputs, GError **error);
/** caffe_add1: a node of one input. */
InferTensor *caffe_add1(CaffeImport *im, CaffeLayer *layer, const char *op, GVariant *attrs,
                        InferTensor *input, GError **error);
/** caffe_add2: a node of two inputs; NULL where one of them is NULL. */
InferTensor *caffe_add2(CaffeImport *im, CaffeLayer *layer, const char *op, GVariant *attrs,
                        InferTensor *a, InferTensor *b, GError **error);
InferTensor *caffe_ints(CaffeImport *im, const gint64 *values, gsize n);
InferTensor *caffe_float(CaffeImport *im, double value);
InferTensor *caffe_floats(CaffeImport *im, const float *values, const InferDims *dims);
/** caffe_reshape: @dims as ONNX's Reshape takes them: 0 copies, -1 is what is left. */
InferTensor *caffe_reshape(CaffeImport *im, CaffeLayer *layer, InferTensor *input,
                           const gint64 *dims, gsize n, GError **error);
InferTensor *caffe_transpose(CaffeImport *im, CaffeLayer *layer, InferTensor *input,
                             const gint64 *order, gsize n, GError **error);

/** caffe_top: sets top @index. Returns: whether there is a tensor */
gboolean caffe_top(CaffeLayer *layer, guint index, InferTensor *tensor);

/** caffe_arity: checks the numbers of bottoms and tops. */
gboolean caffe_arity(const CaffeLayer *layer, guint min_in, guint max_in, guint n_out,
                     GError **error);

/** caffe_axis: a maybe negative axis of @tensor, whose rank has to be known. */
gboolean caffe_axis(const InferTensor *tensor, gint64 axis, gint *result, GError **error);

/** caffe_image: checks that bottom @index has four dimensions, the last two and the channels
 * being numbers. */
gboolean caffe_image(const CaffeLayer *layer, guint index, GError **error);

/** caffe_has_weights: whether blob @index of the layer is in the model; TRUE without a model */
gboolean caffe_has_weights(const CaffeImport *im, const CaffeLayer *layer, guint index);

/**
 * CaffeDefault: what random weights are without a filler that says it.
 * @CAFFE_SPREAD: as many inputs as an output has, so that outputs stay in range
 * @CAFFE_ZERO: zero
 * @CAFFE_ONE: one
 * @CAFFE_POSITIVE: from 0.5 to 1.5
 */
typedef enum { CAFFE_SPREAD, CAFFE_ZERO, CAFFE_ONE, CAFFE_POSITIVE } CaffeDefault;

/**
 * caffe_weights:
 * @im: the import
 * @layer: the layer
 * @index: number of the blob
 * @dims: dimensions that it has to have; the file may write them otherwise
 * @filler: (nullable): how it was initialised
 * @fallback: how to draw it without a filler
 * @error: return location
 *
 * Returns: (transfer full) (nullable): the weights of the model, or random ones without a model
 */
InferArray *caffe_weights(CaffeImport *im, const CaffeLayer *layer, guint index,
                          const InferDims *dims, const InferCaffe__FillerParameter *filler,
                          CaffeDefault fallback, GError **error);
/** caffe_weight_tensor: the same as a constant of the network. */
InferTensor *caffe_weight_tensor(CaffeImport *im, const CaffeLayer *layer, guint index,
                                 const InferDims *dims, const InferCaffe__FillerParameter *filler,
                                 CaffeDefault fallback, GError **error);

/** caffe_fill: draws random weights. */
gboolean caffe_fill(CaffeImport *im, InferArray *array, const InferCaffe__FillerParameter *filler,
                    CaffeDefault fallback, GError **error);

/** caffe_select: fills im->layers with the layers of inference and @outputs with names of blobs. */
gboolean caffe_select(CaffeImport *im, GPtrArray *outputs, GError **error);

/** caffe_is_input: whether layers of the type are inputs of the network. */
gboolean caffe_is_input(const char *type);
/** caffe_inputs: adds the inputs of the network. */
gboolean caffe_inputs(CaffeImport *im, GError **error);

G_END_DECLS
