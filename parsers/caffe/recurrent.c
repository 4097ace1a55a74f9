/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/*
 * Caffe's recurrent layers. The second bottom says for each step and sequence whether it goes on
 * from the step before (1) or starts anew (0), so that one batch holds parts of many sequences.
 * Like Caffe, the parser writes the steps out. Every run starts from zeros, or from the tops of the
 * run before where expose_hidden makes them bottoms.
 */

/* Steps that are written out; sequences in published nets have up to 80. */
#define MAX_STEPS 1024

/**
 * Recurrent: a layer while its steps are written.
 * @gates: rows of weights per output: 4 of an LSTM, 1 of an RNN
 * @states: what goes from step to step: h and c, or h
 * @x: what the bottoms add to each step's gates, one tensor of [1, N, gates * n] per step
 * @cont: one tensor of [1, N, 1] per step
 */
typedef struct {
  gint64 steps, batch, n;
  guint gates, states;
  InferTensor **x, **cont;
  InferTensor *weights; /* of h, transposed */
  InferTensor *state[2];
} Recurrent;

static gboolean
read_sizes(const CaffeLayer *layer, Recurrent *r, GError **error)
{
  const InferCaffe__RecurrentParameter *p = layer->def->recurrent_param;
  guint hidden = p && p->expose_hidden ? r->states : 0, bottoms = layer->n_in;

  if (!p || p->num_output < 1) {
    return caffe_error(error, INFER_ERROR_MODEL, "it has no num_output");
  }
  if (bottoms < 2 + hidden || bottoms > 3 + hidden || layer->n_out != 1 + hidden) {
    return caffe_error(
        error, INFER_ERROR_MODEL,
        "it has %u bottoms and %u tops; x, cont, maybe a static input and %u states, "
        "and 1 top and %u states are needed",
        bottoms, layer->n_out, hidden, hidden);
  }
  const InferDims *x = &layer->in[0]->dims, *cont = &layer->in[1]->dims;
  if (x->n < 3 || x->d[0] < 1 || x->d[1] < 1 || cont->n != 2 || cont->d[0] != x->d[0] ||
      cont->d[1] != x->d[1]) {
    g_autofree char *left = infer_dims_to_string(x);
    g_autofree char *right = infer_dims_to_string(cont);
    return caffe_error(error, INFER_ERROR_SHAPE,
                       "bottoms of %s and %s are not steps x sequences x elements and steps x "
                       "sequences",
                       left, right);
  }
  if (x->d[0] > MAX_STEPS) {
    return caffe_error(error, INFER_ERROR_UNSUPPORTED,
                       "%" G_GINT64_FORMAT " steps; up to %d can be written out", x->d[0],
                       MAX_STEPS);
  }
  r->steps = x->d[0];
  r->batch = x->d[1];
  r->n = p->num_output;
  return TRUE;
}

/* Blob @index as the right operand of a product. */
static InferTensor *
matrix(CaffeImport *im, CaffeLayer *layer, guint index, gint64 rows, gint64 columns, GError **error)
{
  InferTensor *weights =
      caffe_weight_tensor(im, layer, index, &INFER_DIMS(rows, columns),
                          layer->def->recurrent_param->weight_filler, CAFFE_SPREAD, error);

  return weights ? caffe_transpose(im, layer, weights, (gint64[]){1, 0}, 2, error) : NULL;
}

static InferTensor *
vector(CaffeImport *im, CaffeLayer *layer, guint index, gint64 n, GError **error)
{
  return caffe_weight_tensor(im, layer, index, &INFER_DIMS(n),
                             layer->def->recurrent_param->bias_filler, CAFFE_ZERO, error);
}

/* The elements of a bottom after its first @axes dimensions in one. */
static InferTensor *
flat(CaffeImport *im, CaffeLayer *layer, InferTensor *x, gint axes, gint64 *count, GError **error)
{
  const InferDims *dims = &x->dims;
  InferDims inner = INFER_DIMS_SCALAR;
  gint64 shape[3] = {dims->d[0], axes == 2 ? dims->d[1] : 0, 0};

  for (gint i = axes; i < dims->n; i++) {
    inner.d[inner.n++] = dims->d[i];
  }
  *count = shape[axes] = infer_dims_count(&inner);
  if (*count < 1) {
    caffe_error(error, INFER_ERROR_SHAPE, "the elements of a step are not known");
    return NULL;
  }
  return dims->n == axes + 1 ? x : caffe_reshape(im, layer, x, shape, (gsize)axes + 1, error);
}

/* One tensor per step. */
static InferTensor **
steps_of(CaffeImport *im, CaffeLayer *layer, InferTensor *x, gint64 steps, GError **error)
{
  g_autofree gint64 *ones = g_new(gint64, (gsize)steps);
  g_autofree InferTensor **out = g_new0(InferTensor *, (gsize)steps);

  if (!x) {
    return NULL;
  }
  if (steps == 1) {
    out[0] = x;
    return g_steal_pointer(&out);
  }
  for (gint64 i = 0; i < steps; i++) {
    ones[i] = 1;
  }
  InferTensor *in[2] = {x, caffe_ints(im, ones, (gsize)steps)};
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)0, NULL);
  return caffe_add_n(im, layer, "Split", attrs, in, 2, out, (guint)steps, error)
             ? g_steal_pointer(&out)
             : NULL;
}

/* What x and the static input add to the gates of every step. Blobs: weights of x, bias, weights of
 * the static input where there is one, weights of h. */
static gboolean
prepare(CaffeImport *im, CaffeLayer *layer, Recurrent *r, guint *next, GError **error)
{
  guint hidden = layer->def->recurrent_param->expose_hidden ? r->states : 0;
  gboolean fixed = layer->n_in == 3 + hidden;
  gint64 rows = r->gates * r->n, count = 0;
  InferTensor *x = flat(im, layer, layer->in[0], 2, &count, error);
  InferTensor *weights = x ? matrix(im, layer, 0, rows, count, error) : NULL;
  InferTensor *bias = weights ? vector(im, layer, 1, rows, error) : NULL;

  *next = 2;
  x = bias ? caffe_add2(im, layer, "MatMul", NULL, x, weights, error) : NULL;
  x = caffe_add2(im, layer, "Add", NULL, x, bias, error);
  if (x && fixed) {
    const InferDims *dims = &layer->in[2]->dims;
    if (dims->n < 2 || dims->d[0] != r->batch) {
      return caffe_error(error, INFER_ERROR_SHAPE, "its static input is not sequences x elements");
    }
    InferTensor *still = flat(im, layer, layer->in[2], 1, &count, error);
    weights = still ? matrix(im, layer, (*next)++, rows, count, error) : NULL;
    still = weights ? caffe_add2(im, layer, "MatMul", NULL, still, weights, error) : NULL;
    x = caffe_add2(im, layer, "Add", NULL, x, still, error);
  }
  r->weights = x ? matrix(im, layer, (*next)++, rows, r->n, error) : NULL;
  if (!r->weights) {
    return FALSE;
  }
  gint64 apart[3] = {r->steps, r->batch, 1};
  r->x = steps_of(im, layer, x, r->steps, error);
  r->cont = r->x ? steps_of(im, layer, caffe_reshape(im, layer, layer->in[1], apart, 3, error),
                            r->steps, error)
                 : NULL;
  for (guint i = 0; r->cont && i < r->states; i++) {
    if (hidden) {
      gint64 one[3] = {1, r->batch, r->n};
      r->state[i] = caffe_reshape(im, layer, layer->in[layer->n_in - hidden + i], one, 3, error);
    } else {
      g_autoptr(InferArray) zeros =
          infer_array_new(INFER_TYPE_FLOAT, &INFER_DIMS(1, r->batch, r->n), error);
      r->state[i] = zeros ? infer_network_add_constant(im->network, NULL, zeros) : NULL;
    }
    if (!r->state[i]) {
      return FALSE;
    }
  }
  return r->cont != NULL;
}

/* The gates before their activations: x + (cont * h) W */
static InferTensor *
gates_of(CaffeImport *im, CaffeLayer *layer, Recurrent *r, gint64 step, GError **error)
{
  InferTensor *h = caffe_add2(im, layer, "Mul", NULL, r->state[0], r->cont[step], error);

  h = caffe_add2(im, layer, "MatMul", NULL, h, r->weights, error);
  return caffe_add2(im, layer, "Add", NULL, r->x[step], h, error);
}

/* Gates in the order input, forget, output, and what is put in. */
static gboolean
step_lstm(CaffeImport *im, CaffeLayer *layer, Recurrent *r, gint64 step, GError **error)
{
  const gint64 sizes[2] = {3 * r->n, r->n}, thirds[3] = {r->n, r->n, r->n};
  GVariant *last = infer_attrs_new("axis", 'i', (gint64)2, NULL);
  InferTensor *in[2] = {gates_of(im, layer, r, step, error), caffe_ints(im, sizes, 2)};
  InferTensor *parts[2], *gate[3];

  if (!in[0] || !caffe_add_n(im, layer, "Split", last, in, 2, parts, 2, error)) {
    return FALSE;
  }
  last = infer_attrs_new("axis", 'i', (gint64)2, NULL);
  in[0] = caffe_add1(im, layer, "Sigmoid", NULL, parts[0], error);
  in[1] = caffe_ints(im, thirds, 3);
  if (!in[0] || !caffe_add_n(im, layer, "Split", last, in, 2, gate, 3, error)) {
    return FALSE;
  }
  InferTensor *fresh = caffe_add1(im, layer, "Tanh", NULL, parts[1], error);
  InferTensor *c = caffe_add2(im, layer, "Mul", NULL, r->state[1], r->cont[step], error);
  c = caffe_add2(im, layer, "Mul", NULL, gate[1], c, error);
  fresh = c ? caffe_add2(im, layer, "Mul", NULL, gate[0], fresh, error) : NULL;
  r->state[1] = caffe_add2(im, layer, "Add", NULL, c, fresh, error);
  c = caffe_add1(im, layer, "Tanh", NULL, r->state[1], error);
  r->state[0] = caffe_add2(im, layer, "Mul", NULL, gate[2], c, error);
  return r->state[0] != NULL;
}

/* The outputs of all steps, and the states after the last one. */
static gboolean
finish(CaffeImport *im, CaffeLayer *layer, Recurrent *r, InferTensor **outputs, GError **error)
{
  GVariant *axis = infer_attrs_new("axis", 'i', (gint64)0, NULL);

  if (!caffe_top(layer, 0, caffe_add(im, layer, "Concat", axis, outputs, (guint)r->steps, error))) {
    return FALSE;
  }
  for (guint i = 1; i < layer->n_out; i++) {
    if (!caffe_top(layer, i, caffe_add1(im, layer, "Identity", NULL, r->state[i - 1], error))) {
      return FALSE;
    }
  }
  return TRUE;
}

static void
recurrent_clear(Recurrent *r)
{
  g_free(r->x);
  g_free(r->cont);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Recurrent, recurrent_clear)

static gboolean
emit_lstm(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  g_auto(Recurrent) r = {.gates = 4, .states = 2};
  guint next;

  if (!read_sizes(layer, &r, error) || !prepare(im, layer, &r, &next, error)) {
    return FALSE;
  }
  g_autofree InferTensor **h = g_new0(InferTensor *, (gsize)r.steps);
  for (gint64 i = 0; i < r.steps; i++) {
    if (!step_lstm(im, layer, &r, i, error)) {
      return FALSE;
    }
    h[i] = r.state[0];
  }
  return finish(im, layer, &r, h, error);
}

/* h = tanh(gates), of which the top is tanh(h W + b). */
static gboolean
emit_rnn(CaffeImport *im, CaffeLayer *layer, GError **error)
{
  g_auto(Recurrent) r = {.gates = 1, .states = 1};
  guint next;

  if (!read_sizes(layer, &r, error) || !prepare(im, layer, &r, &next, error)) {
    return FALSE;
  }
  InferTensor *weights = matrix(im, layer, next, r.n, r.n, error);
  InferTensor *bias = weights ? vector(im, layer, next + 1, r.n, error) : NULL;
  g_autofree InferTensor **out = g_new0(InferTensor *, (gsize)r.steps);
  for (gint64 i = 0; bias && i < r.steps; i++) {
    InferTensor *gates = gates_of(im, layer, &r, i, error);
    r.state[0] = caffe_add1(im, layer, "Tanh", NULL, gates, error);
    out[i] = caffe_add2(im, layer, "MatMul", NULL, r.state[0], weights, error);
    out[i] = caffe_add2(im, layer, "Add", NULL, out[i], bias, error);
    out[i] = caffe_add1(im, layer, "Tanh", NULL, out[i], error);
    if (!out[i]) {
      return FALSE;
    }
  }
  return bias && finish(im, layer, &r, out, error);
}

const CaffeOp caffe_ops_recurrent[] = {
    {"LSTM", emit_lstm, NULL},
    {"RNN", emit_rnn, NULL},
    {NULL, NULL, NULL},
};
