/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Caffe's recurrent layers against their definition, step by step. */
#include "caffe-check.h"

#include <math.h>

enum { STEPS = 4, ROWS = 2, IN = 3, FIXED = 2, HIDDEN = 5, GATES = 4 * HIDDEN };

/* What a layer reads. */
typedef struct {
  float x[STEPS * ROWS * IN], cont[STEPS * ROWS], still[ROWS * FIXED];
  float h[ROWS * HIDDEN], c[ROWS * HIDDEN];
  float wx[GATES * IN], bias[GATES], ws[GATES * FIXED], wh[GATES * HIDDEN];
  float wo[HIDDEN * HIDDEN], bo[HIDDEN];
} Data;

static Data
make_data(void)
{
  static const float cont[STEPS * ROWS] = {0, 1, 1, 1, 1, 0, 1, 1};
  Data d;

  cc_fill(d.x, G_N_ELEMENTS(d.x), 1);
  memcpy(d.cont, cont, sizeof cont);
  cc_fill(d.still, G_N_ELEMENTS(d.still), 2);
  cc_fill(d.h, G_N_ELEMENTS(d.h), 3);
  cc_fill(d.c, G_N_ELEMENTS(d.c), 4);
  cc_fill(d.wx, G_N_ELEMENTS(d.wx), 5);
  cc_fill(d.bias, G_N_ELEMENTS(d.bias), 6);
  cc_fill(d.ws, G_N_ELEMENTS(d.ws), 7);
  cc_fill(d.wh, G_N_ELEMENTS(d.wh), 8);
  cc_fill(d.wo, G_N_ELEMENTS(d.wo), 9);
  cc_fill(d.bo, G_N_ELEMENTS(d.bo), 10);
  return d;
}

static double
dot(const float *a, const float *b, gsize n, double factor)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++) {
    sum += factor * (double)a[i] * (double)b[i];
  }
  return sum;
}

static double
gate(const Data *d, gsize t, gsize row, gsize k, const float *h, gboolean fixed)
{
  double sum = (double)d->bias[k];

  sum += dot(d->wx + k * IN, d->x + (t * ROWS + row) * IN, IN, 1);
  sum += fixed ? dot(d->ws + k * FIXED, d->still + row * FIXED, FIXED, 1) : 0;
  return sum + dot(d->wh + k * HIDDEN, h, HIDDEN, (double)d->cont[t * ROWS + row]);
}

static double
sigmoid(double x)
{
  return 1 / (1 + exp(-x));
}

static void
lstm(const Data *d, gboolean fixed, float h[ROWS * HIDDEN], float c[ROWS * HIDDEN],
     float out[STEPS * ROWS * HIDDEN])
{
  for (gsize t = 0; t < STEPS; t++) {
    for (gsize row = 0; row < ROWS; row++) {
      float *before = h + row * HIDDEN, *cell = c + row * HIDDEN;
      float *to = out + (t * ROWS + row) * HIDDEN;
      for (gsize k = 0; k < HIDDEN; k++) {
        double in = sigmoid(gate(d, t, row, k, before, fixed));
        double forget = sigmoid(gate(d, t, row, HIDDEN + k, before, fixed));
        double show = sigmoid(gate(d, t, row, 2 * HIDDEN + k, before, fixed));
        double fresh = tanh(gate(d, t, row, 3 * HIDDEN + k, before, fixed));
        forget = d->cont[t * ROWS + row] == 0 ? 0 : forget;
        cell[k] = (float)(forget * (double)cell[k] + in * fresh);
        to[k] = (float)(show * tanh((double)cell[k]));
      }
      memcpy(before, to, HIDDEN * sizeof *to);
    }
  }
}

static void
rnn(const Data *d, gboolean fixed, float h[ROWS * HIDDEN], float out[STEPS * ROWS * HIDDEN])
{
  for (gsize t = 0; t < STEPS; t++) {
    for (gsize row = 0; row < ROWS; row++) {
      float *before = h + row * HIDDEN, next[HIDDEN];
      for (gsize k = 0; k < HIDDEN; k++) {
        next[k] = (float)tanh(gate(d, t, row, k, before, fixed));
      }
      memcpy(before, next, sizeof next);
      for (gsize k = 0; k < HIDDEN; k++) {
        out[(t * ROWS + row) * HIDDEN + k] =
            (float)tanh(dot(d->wo + k * HIDDEN, before, HIDDEN, 1) + (double)d->bo[k]);
      }
    }
  }
}

static GByteArray *
model(const Data *d, gboolean is_lstm, gboolean fixed)
{
  const gsize gates = is_lstm ? GATES : HIDDEN;
  const float *blobs[6] = {d->wx, d->bias};
  gsize sizes[6] = {gates * IN, gates}, n = 2;
  GByteArray *net = g_byte_array_new();

  if (fixed) {
    blobs[n] = d->ws;
    sizes[n++] = gates * FIXED;
  }
  blobs[n] = d->wh;
  sizes[n++] = gates * HIDDEN;
  if (!is_lstm) {
    blobs[n] = d->wo;
    sizes[n++] = HIDDEN * HIDDEN;
    blobs[n] = d->bo;
    sizes[n++] = HIDDEN;
  }
  cc_layer(net, "y", blobs, sizes, n);
  return net;
}

#define INPUTS CC_INPUT("x", "4,2,3") CC_INPUT("cont", "4,2")
#define PARAM " recurrent_param { num_output: 5 } }"
#define EXPOSED " recurrent_param { num_output: 5 expose_hidden: true } }"

static const char *const plain_text[2] = {
    INPUTS "layer { name: 'y' type: 'RNN' bottom: 'x' bottom: 'cont' top: 'y'" PARAM,
    INPUTS "layer { name: 'y' type: 'LSTM' bottom: 'x' bottom: 'cont' top: 'y'" PARAM};
static const char *const fixed_text[2] = {
    INPUTS CC_INPUT("s", "2,2") "layer { name: 'y' type: 'RNN' bottom: 'x' bottom: 'cont' "
                                "bottom: 's' top: 'y'" PARAM,
    INPUTS CC_INPUT("s", "2,2") "layer { name: 'y' type: 'LSTM' bottom: 'x' bottom: 'cont' "
                                "bottom: 's' top: 'y'" PARAM};
static const char *const exposed_text[2] = {
    INPUTS CC_INPUT("h", "1,2,5") "layer { name: 'y' type: 'RNN' bottom: 'x' bottom: 'cont' "
                                  "bottom: 'h' top: 'y' top: 'ht'" EXPOSED,
    INPUTS CC_INPUT("h", "1,2,5")
        CC_INPUT("c", "1,2,5") "layer { name: 'y' type: 'LSTM' bottom: 'x' bottom: 'cont' bottom: "
                               "'h' bottom: 'c' top: 'y' "
                               "top: 'ht' top: 'ct'" EXPOSED};

static void
test_sequences(void)
{
  Data d = make_data();

  for (guint is_lstm = 0; is_lstm < 2; is_lstm++) {
    for (guint fixed = 0; fixed < 2; fixed++) {
      float h[ROWS * HIDDEN] = {0}, c[ROWS * HIDDEN] = {0}, want[STEPS * ROWS * HIDDEN];
      const CcInput in[3] = {{"x", d.x, G_N_ELEMENTS(d.x)},
                             {"cont", d.cont, G_N_ELEMENTS(d.cont)},
                             {"s", d.still, G_N_ELEMENTS(d.still)}};
      if (is_lstm) {
        lstm(&d, fixed, h, c, want);
      } else {
        rnn(&d, fixed, h, want);
      }
      cc_check(fixed ? fixed_text[is_lstm] : plain_text[is_lstm], model(&d, is_lstm, fixed), in,
               fixed ? 3 : 2, want, G_N_ELEMENTS(want));
    }
  }
}

/* The states go in and come out; the second sequence goes on from them. */
static void
test_states(void)
{
  Data d = make_data();

  for (guint is_lstm = 0; is_lstm < 2; is_lstm++) {
    GError *error = NULL;
    float h[ROWS * HIDDEN], c[ROWS * HIDDEN], want[STEPS * ROWS * HIDDEN];
    const CcInput in[4] = {{"x", d.x, G_N_ELEMENTS(d.x)},
                           {"cont", d.cont, G_N_ELEMENTS(d.cont)},
                           {"h", d.h, G_N_ELEMENTS(d.h)},
                           {"c", d.c, G_N_ELEMENTS(d.c)}};
    memcpy(h, d.h, sizeof h);
    memcpy(c, d.c, sizeof c);
    if (is_lstm) {
      lstm(&d, FALSE, h, c, want);
    } else {
      rnn(&d, FALSE, h, want);
    }
    g_autoptr(InferNetwork) network =
        cc_parse(exposed_text[is_lstm], model(&d, is_lstm, FALSE), NULL, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(infer_network_get_n_outputs(network), ==, 2 + is_lstm);
    const float *outs[3] = {want, h, c};
    const gsize sizes[3] = {G_N_ELEMENTS(want), G_N_ELEMENTS(h), G_N_ELEMENTS(c)};
    for (guint i = 0; i < 2 + is_lstm; i++) {
      g_autoptr(GBytes) out = cc_run(network, in, 3 + is_lstm, i);
      cc_compare(out, outs[i], sizes[i], 1e-4);
    }
  }
}

static void
test_errors(void)
{
  cc_refuse(CC_INPUT("x", "4,2,3") CC_LAYER("LSTM", "recurrent_param { num_output: 5 }"),
            "'y' (LSTM) in line 2: it has 1 bottoms and 1 tops");
  cc_refuse(CC_INPUT("x", "4,2,3") CC_INPUT("cont", "4,1") "layer { name: 'y' type: 'RNN' bottom: "
                                                           "'x' bottom: 'cont' top: 'y'" PARAM,
            "bottoms of 4x2x3 and 4x1");
  cc_refuse(CC_INPUT("x", "2000,1,3")
                CC_INPUT("cont", "2000,1") "layer { name: 'y' type: 'RNN' bottom: "
                                           "'x' bottom: 'cont' top: 'y'" PARAM,
            "2000 steps");
  cc_refuse(INPUTS "layer { name: 'y' type: 'RNN' bottom: 'x' bottom: 'cont' top: 'y' }",
            "it has no num_output");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/caffe-recurrent/sequences", test_sequences);
  g_test_add_func("/caffe-recurrent/states", test_states);
  g_test_add_func("/caffe-recurrent/errors", test_errors);
  return g_test_run();
}
