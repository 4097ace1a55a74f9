/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* The cells of recurrent networks that TensorFlow has as one operator each. */

#define MAX_STEPS 1024

enum { OUT_I, OUT_CS, OUT_F, OUT_O, OUT_CI, OUT_CO, OUT_H, N_OUT };

/**
 * Lstm: what a cell computes with.
 * @order: where the gates input, cell, forget and output stand
 * @forget: added to the forget gate
 * @clip: the cell's state stays within -clip and clip; not where 0
 * @peepholes: (nullable): weights of the state for the gates input, forget and output
 */
typedef struct {
  InferTensor *w, *b;
  InferTensor *peepholes[3];
  guint order[4];
  double forget, clip;
} Lstm;

static InferTensor *
gate(TfImport *im, TfNode *node, InferTensor *sum, InferTensor *peephole, InferTensor *state,
     const char *op, GError **error)
{
  if (sum && peephole) {
    InferTensor *seen = tf_add2(im, node, "peephole", "Mul", NULL, state, peephole, error);
    sum = seen ? tf_add2(im, node, "gate", "Add", NULL, sum, seen, error) : NULL;
  }
  return sum ? tf_add1(im, node, "gate", op, NULL, sum, error) : NULL;
}

/* One step; @out gets all that the operator has. */
static gboolean
step(TfImport *im, TfNode *node, const Lstm *cell, InferTensor *x, InferTensor *c, InferTensor *h,
     InferTensor **out, GError **error)
{
  InferTensor *joined = tf_add2(im, node, "joined", "Concat",
                                infer_attrs_new("axis", 'i', (gint64)1, NULL), x, h, error);
  InferTensor *product =
      joined ? tf_add2(im, node, "product", "MatMul", NULL, joined, cell->w, error) : NULL;
  InferTensor *sum =
      product ? tf_add2(im, node, "sum", "Add", NULL, product, cell->b, error) : NULL;
  InferTensor *g[4];
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)1, "num_outputs", 'i', (gint64)4, NULL);
  if (!sum) {
    g_variant_unref(g_variant_ref_sink(attrs));
    return FALSE;
  }
  if (!tf_add_n(im, node, "gates", "Split", attrs, &sum, 1, g, 4, error)) {
    return FALSE;
  }
  InferTensor *forget = g[cell->order[2]];
  if (cell->forget != 0) {
    InferTensor *more = tf_scalar(im, node, "forget", sum->type, cell->forget);
    forget = tf_add2(im, node, "forget", "Add", NULL, forget, more, error);
  }
  out[OUT_I] = gate(im, node, g[cell->order[0]], cell->peepholes[0], c, "Sigmoid", error);
  out[OUT_CI] = gate(im, node, g[cell->order[1]], NULL, NULL, "Tanh", error);
  out[OUT_F] = gate(im, node, forget, cell->peepholes[1], c, "Sigmoid", error);
  if (!out[OUT_I] || !out[OUT_CI] || !out[OUT_F]) {
    return FALSE;
  }
  InferTensor *kept = tf_add2(im, node, "kept", "Mul", NULL, c, out[OUT_F], error);
  InferTensor *fresh =
      kept ? tf_add2(im, node, "fresh", "Mul", NULL, out[OUT_I], out[OUT_CI], error) : NULL;
  InferTensor *state = fresh ? tf_add2(im, node, "state", "Add", NULL, kept, fresh, error) : NULL;
  if (state && cell->clip > 0) {
    InferTensor *in[3] = {state, tf_scalar(im, node, "least", state->type, -cell->clip),
                          tf_scalar(im, node, "most", state->type, cell->clip)};
    state = tf_add(im, node, "clipped", "Clip", NULL, in, 3, error);
  }
  out[OUT_CS] = state;
  out[OUT_O] =
      state ? gate(im, node, g[cell->order[3]], cell->peepholes[2], state, "Sigmoid", error) : NULL;
  out[OUT_CO] = out[OUT_O] ? tf_add1(im, node, "co", "Tanh", NULL, state, error) : NULL;
  out[OUT_H] =
      out[OUT_CO] ? tf_add2(im, node, "h", "Mul", NULL, out[OUT_CO], out[OUT_O], error) : NULL;
  return out[OUT_H] != NULL;
}

/* @first: the input that the weights are; then come three peepholes and the bias */
static gboolean
read_cell(TfImport *im, TfNode *node, guint first, Lstm *cell, GError **error)
{
  gboolean second = tf_is(node, "BlockLSTMV2");
  gboolean peepholes = tf_attr_bool(node, "use_peephole", FALSE);

  /* The second version has the forget gate before the cell, and its bias holds all. */
  *cell = (Lstm){.order = {0, second ? 2 : 1, second ? 1 : 2, 3},
                 .forget = second ? 0 : tf_attr_float(node, "forget_bias", 1),
                 .clip = tf_attr_float(node, "cell_clip", second ? 0 : 3)};
  cell->w = tf_in(im, node, first, error);
  cell->b = cell->w ? tf_in(im, node, first + 4, error) : NULL;
  for (guint i = 0; i < 3 && cell->b && peepholes; i++) {
    cell->peepholes[i] = tf_in(im, node, first + 1 + i, error);
    if (!cell->peepholes[i]) {
      return FALSE;
    }
  }
  return cell->b != NULL;
}

static gboolean
emit_lstm_cell(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *in[3], *out[N_OUT];
  Lstm cell;

  for (guint i = 0; i < 3; i++) {
    in[i] = tf_in(im, node, i, error);
    if (!in[i]) {
      return FALSE;
    }
  }
  if (!read_cell(im, node, 3, &cell, error) ||
      !step(im, node, &cell, in[0], in[1], in[2], out, error)) {
    return FALSE;
  }
  for (guint i = 0; i < N_OUT; i++) {
    tf_out(node, i, out[i]);
  }
  return TRUE;
}

static gboolean
emit_block_lstm(TfImport *im, TfNode *node, GError **error)
{
  static const gint64 first = 0;
  gint64 longest = 0;
  InferTensor *in[4];
  Lstm cell;

  for (guint i = 1; i < 4; i++) {
    in[i] = tf_in(im, node, i, error);
    if (!in[i]) {
      return FALSE;
    }
  }
  gint64 n = in[1]->dims.n == 3 ? in[1]->dims.d[0] : -1;
  if (!tf_const_axis(node, 0, -1, &longest, NULL)) {
    longest = G_MAXINT64; /* computed from the input, which is as long */
  }
  if (n < 1 || n > MAX_STEPS || longest < n) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED,
                    "the number of steps has to be known, at most %d, and all have to run",
                    MAX_STEPS);
  }
  if (!read_cell(im, node, 4, &cell, error)) {
    return FALSE;
  }
  g_autofree InferTensor **x = g_new0(InferTensor *, (gsize)n);
  g_autofree InferTensor **rows = g_new0(InferTensor *, (gsize)n * N_OUT);
  GVariant *attrs = infer_attrs_new("axis", 'i', (gint64)0, "num_outputs", 'i', n, NULL);
  if (!tf_add_n(im, node, "steps", "Split", attrs, &in[1], 1, x, (guint)n, error)) {
    return FALSE;
  }
  InferTensor *c = in[2], *h = in[3];
  for (gint64 t = 0; t < n; t++) {
    InferTensor *out[N_OUT], *row = tf_squeeze(im, node, "x", x[t], &first, 1, error);
    if (!row || !step(im, node, &cell, row, c, h, out, error)) {
      return FALSE;
    }
    c = out[OUT_CS];
    h = out[OUT_H];
    for (guint i = 0; i < N_OUT; i++) {
      if (tf_is_read(node, i)) {
        rows[i * n + t] = tf_unsqueeze(im, node, "row", out[i], &first, 1, error);
      }
    }
  }
  for (guint i = 0; i < N_OUT; i++) {
    if (tf_is_read(node, i)) {
      tf_out(node, i,
             tf_add(im, node, "all", "Concat", infer_attrs_new("axis", 'i', (gint64)0, NULL),
                    rows + i * n, (guint)n, error));
    }
  }
  return !error || !*error;
}

static InferTensor *
layer(TfImport *im, TfNode *node, InferTensor *a, InferTensor *b, InferTensor *w, InferTensor *bias,
      const char *op, GError **error)
{
  InferTensor *joined = tf_add2(im, node, "joined", "Concat",
                                infer_attrs_new("axis", 'i', (gint64)1, NULL), a, b, error);
  InferTensor *product =
      joined ? tf_add2(im, node, "product", "MatMul", NULL, joined, w, error) : NULL;
  InferTensor *sum = product ? tf_add2(im, node, "sum", "Add", NULL, product, bias, error) : NULL;

  return sum ? tf_add1(im, node, "layer", op, NULL, sum, error) : NULL;
}

static gboolean
emit_gru_cell(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *in[6], *gates[2];

  for (guint i = 0; i < 6; i++) {
    in[i] = tf_in(im, node, i, error);
    if (!in[i]) {
      return FALSE;
    }
  }
  InferTensor *both = layer(im, node, in[0], in[1], in[2], in[4], "Sigmoid", error);
  if (!both ||
      !tf_add_n(im, node, "gates", "Split",
                infer_attrs_new("axis", 'i', (gint64)1, "num_outputs", 'i', (gint64)2, NULL), &both,
                1, gates, 2, error)) {
    return FALSE;
  }
  InferTensor *reset = tf_add2(im, node, "reset", "Mul", NULL, gates[0], in[1], error);
  InferTensor *c = reset ? layer(im, node, in[0], reset, in[3], in[5], "Tanh", error) : NULL;
  InferTensor *less = c ? tf_add2(im, node, "less", "Sub", NULL, in[1], c, error) : NULL;
  InferTensor *kept = less ? tf_add2(im, node, "kept", "Mul", NULL, gates[1], less, error) : NULL;
  return kept && tf_out(node, 0, gates[0]) && tf_out(node, 1, gates[1]) && tf_out(node, 2, c) &&
         tf_out(node, 3, tf_add2(im, node, "h", "Add", NULL, c, kept, error));
}

const TfOp tf_ops_cell[] = {
    {"LSTMBlockCell", emit_lstm_cell},
    {"BlockLSTM", emit_block_lstm},
    {"BlockLSTMV2", emit_block_lstm},
    {"GRUBlockCell", emit_gru_cell},
    {NULL, NULL},
};
