/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert.h"
#include "fft.h"
#include "number.h"

extern const InferOp *const infer_ops_dft[];

/* DFT and STFT. Complex numbers are a last dimension of two. */

typedef struct {
  gboolean inverse, onesided;
  gint axis;
  InferElement length;
} Dft;

static gboolean
check_length(const InferNode *node, InferElement length, GError **error)
{
  if (!infer_element_is_number(length) || (length.value >= 1 && length.value <= INFER_FFT_MAX))
    return TRUE;
  return infer_op_error(node, error, INFER_ERROR_SHAPE,
                        "a transform of %" G_GINT64_FORMAT " elements cannot be made; 1 to "
                        "%" G_GINT64_FORMAT " are supported",
                        length.value, INFER_FFT_MAX);
}

static InferElement
element_of_dim(gint64 dim)
{
  return dim == INFER_DIM_UNKNOWN ? INFER_ELEMENT_UNKNOWN : (InferElement){TRUE, dim < 0, dim};
}

/* How many numbers of a spectrum differ, where it is that of a real signal. */
static gint64
bins_of(InferElement length, gboolean onesided)
{
  if (!onesided)
    return number_dim(length);
  return infer_element_is_number(length) ? length.value / 2 + 1 : INFER_DIM_UNKNOWN;
}

/* @axis: maybe unknown. Fills @dft's axis and length where they can be had, and @out. */
static gboolean
dft_dims(const InferNode *node, const InferDims *in, InferElement axis, Dft *dft, InferDims *out,
         GError **error)
{
  gint last = in->n - 1;
  dft->inverse = infer_node_get_int(node, "inverse", 0) != 0;
  dft->onesided = infer_node_get_int(node, "onesided", 0) != 0;
  *out = *in;
  if (in->n < 0)
    return check_length(node, dft->length, error);
  if (in->n < 2 || (in->d[last] >= 0 && in->d[last] != 1 && in->d[last] != 2))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "the input needs two dimensions or more, the last one of 1 or 2");
  if (dft->onesided && !number_fits(in->d[last], dft->inverse ? 2 : 1))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "a onesided transform takes a real signal, its inverse a complex one");
  out->d[last] = dft->inverse && dft->onesided ? 1 : 2;
  if (!infer_element_is_number(axis)) {
    for (gint i = 0; i < last; i++)
      out->d[i] = INFER_DIM_UNKNOWN;
    return check_length(node, dft->length, error);
  }
  if (!infer_op_axis(node, axis.value, in->n, &dft->axis, error))
    return FALSE;
  if (dft->axis == last)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "the last axis has the parts of a number and cannot be transformed");
  return TRUE;
}

/* The length where it is not given, and the dimension of the axis. */
static gboolean
dft_axis(const InferNode *node, const InferDims *in, gboolean given, Dft *dft, InferDims *out,
         GError **error)
{
  gint64 d = in->d[dft->axis];
  if (!given && !(dft->inverse && dft->onesided))
    dft->length = element_of_dim(d);
  else if (!given)
    dft->length =
        d >= 0 && d <= INFER_FFT_MAX ? infer_element_number(2 * (d - 1)) : INFER_ELEMENT_UNKNOWN;
  out->d[dft->axis] = bins_of(dft->length, dft->onesided && !dft->inverse);
  return check_length(node, dft->length, error);
}

static gboolean
dft_infer(InferShapeArgs *args, GError **error)
{
  gboolean given = data_present(args, 1);
  const InferDims *in = &args->in[0].dims;
  Dft dft = {.axis = -1, .length = INFER_ELEMENT_UNKNOWN};
  InferElement axis = infer_element_number(-2);
  InferDims dims;
  if (!number_require_real(args, 0, error))
    return FALSE;
  for (guint i = 1; i < 3; i++)
    if (data_present(args, i) &&
        !(number_require_index(args, i, error) && number_require_scalar(args, i, error)))
      return FALSE;
  if (given)
    dft.length = number_scalar(args, 1);
  if (data_present(args, 2))
    axis = number_scalar(args, 2);
  return dft_dims(args->node, in, axis, &dft, &dims, error) &&
         (dft.axis < 0 || dft_axis(args->node, in, given, &dft, &dims, error)) &&
         data_set(args, 0, args->in[0].type, &dims, error);
}

static gsize
memory_for(gint64 length)
{
  return infer_fft_bytes(length) + (gsize)length * 2 * sizeof(double);
}

/* 0 where the length is known at run time only, and eval makes room itself. */
static gsize
dft_scratch(const InferShapeArgs *args)
{
  const InferDims *in = &args->in[0].dims, *out = &args->out[0].dims;
  InferElement axis = data_present(args, 2) ? number_scalar(args, 2) : infer_element_number(-2);
  InferElement length = data_present(args, 1) ? number_scalar(args, 1) : INFER_ELEMENT_UNKNOWN;
  Dft dft = {.axis = -1, .length = length};
  InferDims dims;
  if (!infer_dims_is_constant(out) || !infer_dims_is_constant(in) ||
      !dft_dims(args->node, in, axis, &dft, &dims, NULL) || dft.axis < 0 ||
      !dft_axis(args->node, in, data_present(args, 1), &dft, &dims, NULL) ||
      !infer_element_is_number(dft.length))
    return 0;
  return memory_for(dft.length.value);
}

/* Reads @n numbers of @parts parts that lie @step numbers apart, and fills up to @length. */
static void
read_numbers(const InferArray *in, gint64 at, gint64 step, gint64 parts, gint64 n, gint64 length,
             double *data)
{
  for (gint64 i = 0; i < length; i++)
    for (gint64 part = 0; part < 2; part++) {
      gsize index = (gsize)((at + i * step) * parts + part);
      data[2 * i + part] = i < n && part < parts ? infer_array_get_double(in, index) : 0;
    }
}

/* The half that a real signal's spectrum leaves out mirrors the other; where a number is its own
 * mirror image it has no imaginary part. */
static void
mirror(gint64 length, double *data)
{
  data[1] = 0;
  if (length % 2 == 0)
    data[length + 1] = 0;
  for (gint64 i = length / 2 + 1; i < length; i++) {
    data[2 * i] = data[2 * (length - i)];
    data[2 * i + 1] = -data[2 * (length - i) + 1];
  }
}

static void
dft_rows(const Dft *dft, const InferArray *in, const InferFft *fft, double *data, InferArray *out)
{
  gint last = in->dims.n - 1;
  gint64 n = in->dims.d[dft->axis], to = out->dims.d[dft->axis];
  gint64 parts = in->dims.d[last], out_parts = out->dims.d[last];
  gint64 rows = data_product(&in->dims, 0, dft->axis);
  gint64 inner = data_product(&in->dims, dft->axis + 1, last);
  gboolean whole = dft->inverse && dft->onesided;
  for (gint64 row = 0; row < rows; row++)
    for (gint64 i = 0; i < inner; i++) {
      read_numbers(in, row * n * inner + i, inner, parts,
                   whole ? MIN(n, fft->n / 2 + 1) : MIN(n, fft->n), fft->n, data);
      if (whole)
        mirror(fft->n, data);
      infer_fft_run(fft, dft->inverse, data);
      for (gint64 k = 0; k < to; k++)
        for (gint64 part = 0; part < out_parts; part++)
          infer_store_double(out, ((row * to + k) * inner + i) * out_parts + part,
                             data[2 * k + part]);
    }
}

/* @own: the memory where no scratch was planned, because the length was not known. */
static double *
working_memory(const InferEvalArgs *args, gint64 length, gpointer *own, GError **error)
{
  if (args->out[0] && args->scratch)
    return args->scratch;
  *own = g_try_malloc(memory_for(length));
  if (!*own)
    infer_op_error(args->node, error, INFER_ERROR_MEMORY,
                   "no memory to transform %" G_GINT64_FORMAT " elements", length);
  return *own;
}

static gboolean
dft_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0], *length = data_array(args, 1), *axis = data_array(args, 2);
  g_autofree gpointer own = NULL;
  Dft dft = {.axis = -1, .length = INFER_ELEMENT_UNKNOWN};
  InferElement where = infer_element_number(axis ? infer_array_get_int(axis, 0) : -2);
  InferDims dims;
  if ((axis && infer_array_count(axis) != 1) || (length && infer_array_count(length) != 1))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "dft_length and axis must be one element");
  if (length)
    dft.length = infer_element_number(infer_array_get_int(length, 0));
  if (!dft_dims(args->node, &in->dims, where, &dft, &dims, error) ||
      !dft_axis(args->node, &in->dims, length != NULL, &dft, &dims, error))
    return FALSE;
  double *memory = working_memory(args, dft.length.value, &own, error);
  InferArray *out = memory ? data_output(args, 0, in->type, &dims, error) : NULL;
  if (!out)
    return FALSE;
  InferFft fft;
  infer_fft_init(&fft, dft.length.value, memory + 2 * dft.length.value);
  dft_rows(&dft, in, &fft, memory, out);
  return TRUE;
}

/* STFT: transforms of windows that move over a signal. */
typedef struct {
  InferElement step, length;
  gboolean onesided;
} Stft;

static gboolean
stft_dims(const InferNode *node, const InferDims *in, const InferDims *window, Stft *stft,
          InferDims *out, GError **error)
{
  gint64 samples = in->n == 3 ? in->d[1] : INFER_DIM_UNKNOWN;
  stft->onesided = infer_node_get_int(node, "onesided", 1) != 0;
  *out = INFER_DIMS(in->n == 3 ? in->d[0] : INFER_DIM_UNKNOWN, INFER_DIM_UNKNOWN, INFER_DIM_UNKNOWN,
                    2);
  if (in->n >= 0 && (in->n != 3 || (in->d[2] >= 0 && in->d[2] != 1 && in->d[2] != 2) ||
                     (stft->onesided && !number_fits(in->d[2], 1)))) {
    g_autofree char *text = infer_dims_to_string(in);
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "a signal of %s is not [N, L, 1], or [N, L, 2] with onesided=0", text);
  }
  if (!check_length(node, stft->length, error))
    return FALSE;
  if (infer_element_is_number(stft->step) && stft->step.value < 1)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "frame_step is %" G_GINT64_FORMAT ", it must be at least 1",
                          stft->step.value);
  if (window && window->n >= 0 &&
      (window->n != 1 ||
       (infer_element_is_number(stft->length) && !number_fits(window->d[0], stft->length.value))))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "the window must be a vector of frame_length elements");
  out->d[2] = bins_of(stft->length, stft->onesided);
  if (!infer_element_is_number(stft->length) || samples < 0)
    return TRUE;
  if (stft->length.value > samples)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "a frame of %" G_GINT64_FORMAT " samples is longer than the signal of "
                          "%" G_GINT64_FORMAT,
                          stft->length.value, samples);
  if (infer_element_is_number(stft->step))
    out->d[1] = (samples - stft->length.value) / stft->step.value + 1;
  return TRUE;
}

/* The frame's length where it is not given: that of the window, else that of the signal. */
static InferElement
default_length(const InferDims *in, const InferDims *window)
{
  if (window)
    return window->n == 1 ? element_of_dim(window->d[0]) : INFER_ELEMENT_UNKNOWN;
  return in->n == 3 ? element_of_dim(in->d[1]) : INFER_ELEMENT_UNKNOWN;
}

static gboolean
stft_shapes(const InferShapeArgs *args, Stft *stft, InferDims *dims, GError **error)
{
  const InferDims *window = data_present(args, 2) ? &args->in[2].dims : NULL;
  stft->step = number_scalar(args, 1);
  stft->length =
      data_present(args, 3) ? number_scalar(args, 3) : default_length(&args->in[0].dims, window);
  return stft_dims(args->node, &args->in[0].dims, window, stft, dims, error);
}

static gboolean
stft_infer(InferShapeArgs *args, GError **error)
{
  Stft stft;
  InferDims dims;
  if (!number_require_real(args, 0, error) || !number_require_index(args, 1, error) ||
      !number_require_scalar(args, 1, error))
    return FALSE;
  if (data_present(args, 2) && !number_require_same(args, 2, 0, error))
    return FALSE;
  if (data_present(args, 3) &&
      !(number_require_index(args, 3, error) && number_require_scalar(args, 3, error)))
    return FALSE;
  return stft_shapes(args, &stft, &dims, error) &&
         data_set(args, 0, args->in[0].type, &dims, error);
}

static gsize
stft_scratch(const InferShapeArgs *args)
{
  Stft stft;
  InferDims dims;
  if (!infer_dims_is_constant(&args->out[0].dims) || !stft_shapes(args, &stft, &dims, NULL) ||
      !infer_element_is_number(stft.length))
    return 0;
  return memory_for(stft.length.value);
}

static void
stft_frame(const InferArray *in, const InferArray *window, gint64 first, const InferFft *fft,
           double *data, InferArray *out, gint64 at)
{
  read_numbers(in, first, 1, in->dims.d[2], fft->n, fft->n, data);
  for (gint64 i = 0; window && i < fft->n; i++) {
    double factor = infer_array_get_double(window, (gsize)i);
    data[2 * i] *= factor;
    data[2 * i + 1] *= factor;
  }
  infer_fft_run(fft, FALSE, data);
  for (gint64 k = 0; k < 2 * out->dims.d[2]; k++)
    infer_store_double(out, at + k, data[k]);
}

static gboolean
stft_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0], *window = data_array(args, 2), *length = data_array(args, 3);
  g_autofree gpointer own = NULL;
  Stft stft;
  InferDims dims;
  if (infer_array_count(args->in[1]) != 1 || (length && infer_array_count(length) != 1))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "frame_step and frame_length must be one element");
  stft.step = infer_element_number(infer_array_get_int(args->in[1], 0));
  stft.length = length ? infer_element_number(infer_array_get_int(length, 0))
                       : default_length(&in->dims, window ? &window->dims : NULL);
  if (!stft_dims(args->node, &in->dims, window ? &window->dims : NULL, &stft, &dims, error))
    return FALSE;
  double *memory = working_memory(args, stft.length.value, &own, error);
  InferArray *out = memory ? data_output(args, 0, in->type, &dims, error) : NULL;
  if (!out)
    return FALSE;
  InferFft fft;
  infer_fft_init(&fft, stft.length.value, memory + 2 * stft.length.value);
  for (gint64 i = 0; i < dims.d[0] * dims.d[1]; i++)
    stft_frame(in, window, i / dims.d[1] * in->dims.d[1] + i % dims.d[1] * stft.step.value, &fft,
               memory, out, i * dims.d[2] * 2);
  return TRUE;
}

static const InferAttrSpec dft_attrs[] = {
    {"inverse", 'i', FALSE}, {"onesided", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec stft_attrs[] = {{"onesided", 'i', FALSE}, {NULL, 0, FALSE}};

static const InferOp dft_op = {
    .name = "DFT",
    .version = 20,
    .min_inputs = 1,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = dft_attrs,
    .infer = dft_infer,
    .scratch = dft_scratch,
    .eval = dft_eval,
};

static const InferOp stft_op = {
    .name = "STFT",
    .version = 17,
    .min_inputs = 2,
    .max_inputs = 4,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = stft_attrs,
    .infer = stft_infer,
    .scratch = stft_scratch,
    .eval = stft_eval,
};

const InferOp *const infer_ops_dft[] = {&dft_op, &stft_op, NULL};
