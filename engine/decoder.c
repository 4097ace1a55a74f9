/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <string.h>

#include "decoder-private.h"
#include "network-private.h"

#define DEFAULT_IOU 0.45
#define DEFAULT_SCORE 0.5
#define DEFAULT_TOTAL 100
#define DEFAULT_TOP 5

gboolean
infer_decoding_fail(InferDecoding *d, const char *format, ...)
{
  va_list args;

  if (d->failed)
    return FALSE;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  d->failed = TRUE;
  g_set_error(d->error, INFER_ERROR, INFER_ERROR_MODEL,
              "decoder=%s: %s; say another decoder in the model info, or raw for none",
              infer_decoder_get_name(infer_model_info_get_decoder(d->info)), text);
  return FALSE;
}

static InferNode *
add_node(InferDecoding *d, const char *op, InferTensor *const *inputs, guint n, GVariant *attrs,
         guint n_outputs)
{
  g_autoptr(GVariant) owned = attrs ? g_variant_ref_sink(attrs) : NULL;
  InferNode *node;

  for (guint i = 0; i < n; i++)
    d->failed |= inputs[i] == NULL;
  if (d->failed)
    return NULL;
  node = infer_network_add_node(d->network, op, NULL, inputs, n, owned, n_outputs, d->error);
  d->failed = node == NULL;
  return node;
}

InferTensor *
infer_decoding_op1(InferDecoding *d, const char *op, InferTensor *a, GVariant *attrs)
{
  InferNode *node = add_node(d, op, &a, 1, attrs, 1);

  return node ? node->outputs[0] : NULL;
}

InferTensor *
infer_decoding_op2(InferDecoding *d, const char *op, InferTensor *a, InferTensor *b,
                   GVariant *attrs)
{
  InferTensor *inputs[] = {a, b};
  InferNode *node = add_node(d, op, inputs, 2, attrs, 1);

  return node ? node->outputs[0] : NULL;
}

InferTensor *
infer_decoding_number(InferDecoding *d, float value)
{
  g_autoptr(InferArray) array = infer_array_new_float(value);

  return infer_network_add_constant(d->network, NULL, array);
}

InferTensor *
infer_decoding_ints(InferDecoding *d, const gint64 *values, gsize n)
{
  g_autoptr(InferArray) array = infer_array_new_int64s(values, n);

  return infer_network_add_constant(d->network, NULL, array);
}

InferTensor *
infer_decoding_constant(InferDecoding *d, const InferDims *dims, const float *values)
{
  g_autoptr(InferArray) array =
      infer_array_new(INFER_TYPE_FLOAT, dims, d->failed ? NULL : d->error);

  if (!array) {
    d->failed = TRUE;
    return NULL;
  }
  memcpy(array->data, values, (gsize)infer_array_count(array) * sizeof *values);
  return infer_network_add_constant(d->network, NULL, array);
}

InferTensor *
infer_decoding_slice(InferDecoding *d, InferTensor *x, gint64 axis, gint64 start, gint64 end)
{
  InferTensor *inputs[] = {x, infer_decoding_ints(d, &start, 1), infer_decoding_ints(d, &end, 1),
                           infer_decoding_ints(d, &axis, 1)};
  InferNode *node = add_node(d, "Slice", inputs, 4, NULL, 1);

  return node ? node->outputs[0] : NULL;
}

InferTensor *
infer_decoding_concat(InferDecoding *d, InferTensor *const *parts, guint n, gint64 axis)
{
  InferNode *node = add_node(d, "Concat", parts, n, infer_attrs_new("axis", 'i', axis, NULL), 1);

  return node ? node->outputs[0] : NULL;
}

InferTensor *
infer_decoding_transpose(InferDecoding *d, InferTensor *x, const gint64 *perm, gsize n)
{
  return infer_decoding_op1(d, "Transpose", x, infer_attrs_new("perm", 'I', perm, n, NULL));
}

InferTensor *
infer_decoding_reshape(InferDecoding *d, InferTensor *x, const gint64 *dims, gsize n)
{
  return infer_decoding_op2(d, "Reshape", x, infer_decoding_ints(d, dims, n), NULL);
}

InferTensor *
infer_decoding_output(InferDecoding *d, guint index, gint rank)
{
  InferTensor *tensor = infer_network_get_output(d->network, index);

  if (!tensor || tensor->dims.n != rank || tensor->type != INFER_TYPE_FLOAT) {
    g_autofree char *dims = tensor ? infer_dims_to_string(&tensor->dims) : g_strdup("nothing");
    infer_decoding_fail(d, "output %u is %s of %s, floats of %d dimensions are needed", index, dims,
                        tensor ? infer_type_name(tensor->type) : "no type", rank);
    return NULL;
  }
  return tensor;
}

gint64
infer_decoding_get_int(InferDecoding *d, const char *key, gint64 fallback, gint64 min, gint64 max)
{
  g_autofree char *text = infer_model_info_get_option(d->info, key);
  gint64 value = fallback;

  if (text && !g_ascii_string_to_signed(text, 10, min, max, &value, NULL))
    infer_decoding_fail(d, "%s=%s is not a number of %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                        key, text, min, max);
  return value;
}

double
infer_decoding_get_float(InferDecoding *d, const char *key, double fallback, double min, double max)
{
  g_autofree char *text = infer_model_info_get_option(d->info, key);
  char *end = NULL;
  double value = fallback;

  if (text) {
    value = g_ascii_strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= min && value <= max))
      infer_decoding_fail(d, "%s=%s is not a number of %g to %g", key, text, min, max);
  }
  return value;
}

InferTensor *
infer_decoding_corners(InferDecoding *d, InferTensor *centre, InferTensor *size)
{
  const float pixels[4] = {1 / (float)d->width, 1 / (float)d->height, 1 / (float)d->width,
                           1 / (float)d->height};
  InferTensor *half = infer_decoding_op2(d, "Mul", size, infer_decoding_number(d, 0.5f), NULL);
  InferTensor *parts[2] = {infer_decoding_op2(d, "Sub", centre, half, NULL),
                           infer_decoding_op2(d, "Add", centre, half, NULL)};
  const InferDims dims = INFER_DIMS(1, 1, 4);

  return infer_decoding_op2(d, "Mul", infer_decoding_concat(d, parts, 2, 2),
                            infer_decoding_constant(d, &dims, pixels), NULL);
}

static InferTensor *
threshold(InferDecoding *d, const char *name, double value)
{
  const InferDims scalar = {.n = 0};
  g_autoptr(InferArray) initial = infer_array_new_float((float)value);
  InferTensor *input;

  if (d->failed)
    return NULL;
  input = infer_network_add_input(d->network, name, INFER_TYPE_FLOAT, &scalar, initial, d->error);
  d->failed = input == NULL;
  return input;
}

/* Outputs of the model that the decoder has read are outputs no more. */
static void
replace_outputs(InferDecoding *d)
{
  for (guint i = 0; i < d->network->outputs->len; i++)
    ((InferTensor *)d->network->outputs->pdata[i])->is_output = FALSE;
  g_ptr_array_set_size(d->network->outputs, 0);
}

/* Where the model has an input of that name it has to be another one. */
static const char *
mark_output(InferDecoding *d, InferTensor *tensor, const char *name)
{
  const InferTensor *there = infer_network_find_tensor(d->network, name);

  if (d->failed || !tensor)
    return NULL;
  if (there && there->is_input)
    name = NULL;
  if (!infer_network_mark_output(d->network, tensor, name, d->error)) {
    d->failed = TRUE;
    return NULL;
  }
  return infer_network_get_output(d->network, infer_network_get_n_outputs(d->network) - 1)->name;
}

gboolean
infer_decoding_finish(InferDecoding *d, InferTensor *const *outputs)
{
  static const char *const names[] = {"detection_boxes", "detection_scores", "detection_classes",
                                      "num_detections"};
  const InferDetectionOutputs *before = infer_model_info_get_detections(d->info);
  InferDetectionOutputs made = {.first_class = 0, .n_classes = before->n_classes};
  const char *given[G_N_ELEMENTS(names)];

  if (d->failed)
    return FALSE;
  replace_outputs(d);
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    given[i] = mark_output(d, outputs[i], names[i]);
  made.boxes = (char *)given[0];
  made.scores = (char *)given[1];
  made.classes = (char *)given[2];
  made.count = (char *)given[3];
  if (!d->failed)
    infer_model_info_set_detections(d->info, &made);
  return !d->failed;
}

/* The number of classes is that of the labels, where the model does not say it. */
static void
note_classes(InferDecoding *d, gint64 n)
{
  InferDetectionOutputs outputs = *infer_model_info_get_detections(d->info);

  outputs.n_classes = n > 0 && n < G_MAXINT ? (gint)n : 0;
  outputs.boxes = g_strdup(outputs.boxes);
  outputs.scores = g_strdup(outputs.scores);
  outputs.classes = g_strdup(outputs.classes);
  outputs.count = g_strdup(outputs.count);
  const InferDecoder decoder = infer_model_info_get_decoder(d->info);
  infer_model_info_set_detections(d->info, &outputs);
  infer_model_info_set_decoder(d->info, decoder);
  g_free(outputs.boxes);
  g_free(outputs.scores);
  g_free(outputs.classes);
  g_free(outputs.count);
}

gboolean
infer_decoding_suppress(InferDecoding *d, InferTensor *boxes, InferTensor *scores,
                        gint64 background)
{
  const double window[4] = {0, 0, 1, 1};
  const gint64 total = infer_decoding_get_int(d, "max-detections", DEFAULT_TOTAL, 1, 100000);
  const gint64 agnostic = infer_decoding_get_int(d, "class-agnostic", 0, 0, 1);
  const double iou = infer_decoding_get_float(d, "iou-threshold", DEFAULT_IOU, 0, 1);
  const double score = infer_model_info_get_score_threshold(d->info);
  const gint64 offset = background == 0 ? -1 : 0;
  InferTensor *inputs[4] = {boxes, scores,
                            threshold(d, "score_threshold", score >= 0 ? score : DEFAULT_SCORE),
                            threshold(d, "iou_threshold", iou)};
  InferNode *node = add_node(d, "infer.DetectionNMS", inputs, 4,
                             infer_attrs_new("max_per_class", 'i', total, "max_total", 'i', total,
                                             "order", 's', "xy", "background", 'i', background,
                                             "class_offset", 'i', offset, "class_agnostic", 'i',
                                             agnostic, "clip_window", 'F', window, (gsize)4, NULL),
                             4);

  if (!node)
    return FALSE;
  note_classes(d, scores->dims.n == 3 ? scores->dims.d[2] - (background == 0) : 0);
  return infer_decoding_finish(d, node->outputs);
}

/* Boxes are corners already; which of the two outputs they are their last dimension says. */
static gboolean
decode_ssd(InferDecoding *d)
{
  const gint64 background = infer_decoding_get_int(d, "background", 0, -1, 0);
  InferTensor *boxes = infer_decoding_output(d, 0, 3), *scores = infer_decoding_output(d, 1, 3);

  if (d->failed)
    return FALSE;
  if (infer_network_get_n_outputs(d->network) != 2)
    return infer_decoding_fail(d, "%u outputs, two are needed",
                               infer_network_get_n_outputs(d->network));
  if (boxes->dims.d[2] != 4 || (scores->dims.d[2] == 4 && strstr(scores->name, "box"))) {
    InferTensor *first = boxes;
    boxes = scores;
    scores = first;
  }
  if (boxes->dims.d[2] != 4)
    return infer_decoding_fail(d, "neither output holds boxes of four numbers");
  return infer_decoding_suppress(d, boxes, scores, background);
}

/* Probabilities come out of a softmax, unless the network ends with what makes them. */
static InferTensor *
probabilities(InferDecoding *d, InferTensor *x)
{
  g_autofree char *wanted = infer_model_info_get_option(d->info, "activation");
  const char *last = x && x->producer ? infer_node_get_op_name(x->producer) : "";
  const gboolean done = g_str_equal(last, "Softmax") || g_str_equal(last, "Sigmoid");

  if (g_strcmp0(wanted, "none") == 0 || (!wanted && done))
    return x;
  if (!wanted && g_str_equal(last, "LogSoftmax"))
    return infer_decoding_op1(d, "Exp", x, NULL);
  if (!wanted || g_str_equal(wanted, "softmax"))
    return infer_decoding_op1(d, "Softmax", x, infer_attrs_new("axis", 'i', (gint64)1, NULL));
  if (g_str_equal(wanted, "sigmoid"))
    return infer_decoding_op1(d, "Sigmoid", x, NULL);
  infer_decoding_fail(d, "activation=%s is none of none, softmax, sigmoid", wanted);
  return NULL;
}

static gboolean
decode_classification(InferDecoding *d)
{
  InferTensor *x = infer_network_get_output(d->network, 0);
  const gint rank = x ? x->dims.n : 0;
  InferTensor *inputs[2];
  InferNode *node;
  gint64 classes, k;

  if (rank < 2 || x->type != INFER_TYPE_FLOAT || x->dims.d[1] < 1)
    return infer_decoding_fail(d, "the first output is no [N,C] of floats");
  for (gint i = 2; i < rank; i++)
    if (x->dims.d[i] != 1)
      return infer_decoding_fail(d, "the first output has dimensions beside the classes");
  classes = x->dims.d[1];
  k = MIN(infer_decoding_get_int(d, "top-k", DEFAULT_TOP, 1, 1000000), classes);
  x = probabilities(d, x);
  if (rank > 2)
    x = infer_decoding_op1(d, "Flatten", x, infer_attrs_new("axis", 'i', (gint64)1, NULL));
  inputs[0] = x;
  inputs[1] = infer_decoding_ints(d, &k, 1);
  node = add_node(d, "TopK", inputs, 2, infer_attrs_new("axis", 'i', (gint64)1, NULL), 2);
  if (!node)
    return FALSE;
  replace_outputs(d);
  InferDetectionOutputs made = {.n_classes = classes < G_MAXINT ? (gint)classes : 0};
  made.scores = (char *)mark_output(d, node->outputs[0], "class_scores");
  made.classes = (char *)mark_output(d, node->outputs[1], "class_numbers");
  if (d->failed)
    return FALSE;
  infer_model_info_set_detections(d->info, &made);
  infer_model_info_set_decoder(d->info, INFER_DECODER_CLASSIFICATION);
  return TRUE;
}

/* What an earlier call, or a plan, has appended already. */
static gboolean
is_appended(InferModelInfo *info)
{
  const InferDetectionOutputs *outputs = infer_model_info_get_detections(info);

  return infer_model_info_get_decoder(info) == INFER_DECODER_CLASSIFICATION && outputs->scores &&
         outputs->classes;
}

static gboolean
append(InferDecoding *d, InferDecoder decoder)
{
  switch (decoder) {
  case INFER_DECODER_CLASSIFICATION:
    return decode_classification(d);
  case INFER_DECODER_SSD:
    return decode_ssd(d);
  case INFER_DECODER_YOLOV5:
    return infer_decode_yolov5(d);
  case INFER_DECODER_YOLOV8:
    return infer_decode_yolov8(d);
  case INFER_DECODER_YOLOV10:
    return infer_decode_yolov10(d);
  case INFER_DECODER_YOLOX:
    return infer_decode_yolox(d);
  case INFER_DECODER_FASTESTDET:
    return infer_decode_fastestdet(d);
  default:
    return TRUE;
  }
}

gboolean
infer_network_append_decoder(InferNetwork *network, GError **error)
{
  InferDecoding d = {.network = network, .error = error};
  InferDecoder decoder;

  d.info = infer_network_get_model_info(network);
  if (!d.info || is_appended(d.info))
    return TRUE;
  decoder = infer_model_info_get_decoder(d.info);
  if (decoder == INFER_DECODER_NONE) {
    decoder = infer_network_guess_decoder(network);
    if (decoder == INFER_DECODER_NONE)
      return TRUE;
    g_info("the outputs look like those of decoder=%s", infer_decoder_get_name(decoder));
    infer_model_info_set_decoder(d.info, decoder);
  }
  if (decoder != INFER_DECODER_DETECTIONS && decoder != INFER_DECODER_RAW &&
      !infer_decoder_image(network, &d.width, &d.height) && decoder != INFER_DECODER_CLASSIFICATION)
    return infer_decoding_fail(&d, "width and height of the image input are not known");
  return append(&d, decoder);
}
