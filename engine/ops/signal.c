/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fft.h"
#include "number.h"

#include <math.h>

extern const InferOp *const infer_ops_signal[];

/* The windows of ONNX, which are sums of three cosines, and MelWeightMatrix. */

static const double hann[3] = {0.5, 0.5, 0};
static const double hamming[3] = {25.0 / 46, 21.0 / 46, 0};
static const double blackman[3] = {0.42, 0.5, 0.08};

static gboolean
window_size(const InferNode *node, InferElement size, GError **error)
{
  if (!infer_element_is_number(size) || size.value >= 0)
    return TRUE;
  return infer_op_error(node, error, INFER_ERROR_SHAPE, "the size is %" G_GINT64_FORMAT,
                        size.value);
}

static gboolean
window_infer(InferShapeArgs *args, GError **error)
{
  InferType type;
  if (!number_require_index(args, 0, error) || !number_require_scalar(args, 0, error) ||
      !number_type(args->node, "output_datatype", INFER_TYPE_FLOAT, &type, error))
    return FALSE;
  InferElement size = number_scalar(args, 0);
  return window_size(args->node, size, error) &&
         data_set(args, 0, type, &INFER_DIMS(number_dim(size)), error);
}

static gboolean
window_eval(const InferEvalArgs *args, const double *terms, GError **error)
{
  InferType type;
  if (infer_array_count(args->in[0]) != 1)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "size must be one element");
  gint64 size = infer_array_get_int(args->in[0], 0);
  if (!number_type(args->node, "output_datatype", INFER_TYPE_FLOAT, &type, error) ||
      !window_size(args->node, infer_element_number(size), error))
    return FALSE;
  InferArray *out = data_output(args, 0, type, &INFER_DIMS(size), error);
  if (!out)
    return FALSE;
  gboolean periodic = infer_node_get_int(args->node, "periodic", 1) != 0;
  double period = (double)(periodic ? size : size - 1);
  for (gint64 i = 0; i < size; i++) {
    double angle = 2 * G_PI * (double)i / period;
    double value = terms[0] - terms[1] * cos(angle) + terms[2] * cos(2 * angle);
    /* One sample alone is the window's top. */
    infer_array_set_double(out, (gsize)i, size == 1 ? 1 : value);
  }
  return TRUE;
}

#define WINDOW_EVAL(TERMS)                                                                         \
  static gboolean TERMS##_eval(const InferEvalArgs *args, GError **error)                          \
  {                                                                                                \
    return window_eval(args, TERMS, error);                                                        \
  }

WINDOW_EVAL(hann)
WINDOW_EVAL(hamming)
WINDOW_EVAL(blackman)

typedef struct {
  gint64 bands, bins, dft_length, rate;
  double low, high; /* on the mel scale */
} Mel;

static gboolean
mel_dims(const InferNode *node, InferElement bands, InferElement dft_length, InferDims *out,
         GError **error)
{
  gboolean good = !infer_element_is_number(bands) || bands.value >= 0;
  *out = INFER_DIMS(INFER_DIM_UNKNOWN, number_dim(bands));
  if (infer_element_is_number(dft_length)) {
    good = good && dft_length.value >= 0 && dft_length.value <= INFER_FFT_MAX;
    out->d[0] = good ? dft_length.value / 2 + 1 : 0;
  }
  return good || infer_op_error(node, error, INFER_ERROR_SHAPE,
                                "num_mel_bins is %" G_GINT64_FORMAT " and dft_length "
                                "%" G_GINT64_FORMAT ", of which one is out of range",
                                number_dim(bands), number_dim(dft_length));
}

static gboolean
mel_infer(InferShapeArgs *args, GError **error)
{
  InferType type;
  InferDims dims;
  for (guint i = 0; i < 5; i++)
    if (!(i < 3 ? number_require_index(args, i, error) : number_require_real(args, i, error)) ||
        !number_require_scalar(args, i, error))
      return FALSE;
  return number_type(args->node, "output_datatype", INFER_TYPE_FLOAT, &type, error) &&
         mel_dims(args->node, number_scalar(args, 0), number_scalar(args, 1), &dims, error) &&
         data_set(args, 0, type, &dims, error);
}

static gboolean
mel_params(const InferEvalArgs *args, Mel *mel, InferDims *dims, GError **error)
{
  for (guint i = 0; i < 5; i++)
    if (infer_array_count(args->in[i]) != 1)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u must be one element",
                            i);
  mel->bands = infer_array_get_int(args->in[0], 0);
  mel->dft_length = infer_array_get_int(args->in[1], 0);
  mel->rate = infer_array_get_int(args->in[2], 0);
  if (!mel_dims(args->node, infer_element_number(mel->bands), infer_element_number(mel->dft_length),
                dims, error))
    return FALSE;
  double low = infer_array_get_double(args->in[3], 0);
  double high = infer_array_get_double(args->in[4], 0);
  if (mel->rate < 1 || !(low >= 0) || !(high >= low) || !isfinite(high))
    return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT,
                          "a sample rate of %" G_GINT64_FORMAT " and edges of %g and %g Hz have "
                          "no bands between them",
                          mel->rate, low, high);
  mel->low = 2595 * log10(1 + low / 700);
  mel->high = 2595 * log10(1 + high / 700);
  mel->bins = dims->d[0];
  return TRUE;
}

/* The bin of the DFT in which edge @i of the bands lies; maybe far beyond the last. */
static gint64
mel_edge(const Mel *mel, gint64 i)
{
  double at = mel->low + (double)i * (mel->high - mel->low) / (double)(mel->bands + 2);
  double hertz = 700 * (pow(10, at / 2595) - 1);
  double bin = floor((double)(mel->dft_length + 1) * hertz / (double)mel->rate);
  return (gint64)CLAMP(bin, 0, (double)G_MAXINT32 * G_MAXINT32);
}

static gboolean
mel_eval(const InferEvalArgs *args, GError **error)
{
  InferType type;
  InferDims dims;
  Mel mel = {0};
  if (!number_type(args->node, "output_datatype", INFER_TYPE_FLOAT, &type, error) ||
      !mel_params(args, &mel, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, type, &dims, error);
  if (!out)
    return FALSE;
  memset(out->data, 0, out->size);
  for (gint64 band = 0; band < mel.bands; band++) {
    gint64 low = mel_edge(&mel, band), top = mel_edge(&mel, band + 1);
    gint64 high = mel_edge(&mel, band + 2);
    for (gint64 bin = low; bin <= MIN(top, mel.bins - 1); bin++)
      infer_array_set_double(out, (gsize)(bin * mel.bands + band),
                             top == low ? 1 : (double)(bin - low) / (double)(top - low));
    for (gint64 bin = top; bin < MIN(high, mel.bins); bin++)
      infer_array_set_double(out, (gsize)(bin * mel.bands + band),
                             (double)(high - bin) / (double)(high - top));
  }
  return TRUE;
}

static const InferAttrSpec window_attrs[] = {
    {"output_datatype", 'i', FALSE}, {"periodic", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec mel_attrs[] = {{"output_datatype", 'i', FALSE}, {NULL, 0, FALSE}};

#define SIGNAL(ID, NAME, N_IN, FAMILY, EVAL)                                                       \
  static const InferOp ID = {                                                                      \
      .name = NAME,                                                                                \
      .version = 17,                                                                               \
      .min_inputs = N_IN,                                                                          \
      .max_inputs = N_IN,                                                                          \
      .min_outputs = 1,                                                                            \
      .max_outputs = 1,                                                                            \
      .attrs = FAMILY##_attrs,                                                                     \
      .infer = FAMILY##_infer,                                                                     \
      .eval = EVAL,                                                                                \
  }

SIGNAL(hann_window, "HannWindow", 1, window, hann_eval);
SIGNAL(hamming_window, "HammingWindow", 1, window, hamming_eval);
SIGNAL(blackman_window, "BlackmanWindow", 1, window, blackman_eval);
SIGNAL(mel_weight_matrix, "MelWeightMatrix", 5, mel, mel_eval);

const InferOp *const infer_ops_signal[] = {&hann_window, &hamming_window, &blackman_window,
                                           &mel_weight_matrix, NULL};
