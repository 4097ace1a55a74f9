/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>
#include <infer/parsers.h>

#include "proto-writer.h"

#include <string.h>

/* Nets of Caffe that tests write, with weights, on the processor. */

#define CC_MAX 4096

/** CcInput: one input, by name. */
typedef struct {
  const char *name;
  const float *values;
  gsize n;
} CcInput;

/** cc_fill: numbers between -1 and 1 that are always the same. */
static inline void
cc_fill(float *values, gsize n, guint32 seed)
{
  for (gsize i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    values[i] = (float)((double)(seed >> 8) / (1 << 23) - 1);
  }
}

static inline InferNetwork *
cc_parse(const char *text, GByteArray *model, const InferParseOptions *options, GError **error)
{
  g_autoptr(GBytes) prototxt = g_bytes_new_static(text, strlen(text));
  g_autoptr(GBytes) caffemodel = model ? g_byte_array_free_to_bytes(model) : NULL;

  return infer_parse_caffe_bytes(prototxt, caffemodel, "net", options, error);
}

/** cc_blob: a blob of a caffemodel. */
static inline GByteArray *
cc_blob(const float *values, const gint64 *dims, gsize n_dims)
{
  GByteArray *out = g_byte_array_new();
  gsize n = 1;

  for (gsize i = 0; i < n_dims; i++) {
    n *= (gsize)dims[i];
  }
  pw_bytes(out, 5, values, n * sizeof(float));
  pw_message(out, 7, pw_ints(dims, n_dims));
  return out;
}

/** cc_layer: a layer of a caffemodel with up to six blobs of one dimension each. */
static inline void
cc_layer(GByteArray *net, const char *name, const float *const *blobs, const gsize *sizes, gsize n)
{
  GByteArray *layer = g_byte_array_new();

  pw_string(layer, 1, name);
  for (gsize i = 0; i < n; i++) {
    pw_message(layer, 7, cc_blob(blobs[i], (gint64[]){(gint64)sizes[i]}, 1));
  }
  pw_message(net, 100, layer);
}

/** cc_run: Returns: (transfer full): output @output for a batch of one. */
static inline GBytes *
cc_run(InferNetwork *network, const CcInput *inputs, gsize n_inputs, guint output)
{
  GError *error = NULL;
  g_autoptr(InferBuilder) builder = infer_builder_new();

  infer_builder_set_device(builder, "cpu");
  infer_builder_set_threads(builder, 1);
  g_autoptr(InferEngine) engine = infer_builder_build(builder, network, "net", NULL, &error);
  g_assert_no_error(error);
  g_autoptr(InferContext) context = infer_context_new(engine, &error);
  g_assert_no_error(error);
  infer_context_set_batch(context, 1, &error);
  g_assert_no_error(error);
  for (gsize i = 0; i < n_inputs; i++) {
    g_autoptr(GBytes) bytes = g_bytes_new(inputs[i].values, inputs[i].n * sizeof(float));
    infer_context_set_input_bytes(context, inputs[i].name, bytes, &error);
    g_assert_no_error(error);
  }
  infer_context_run(context, &error);
  g_assert_no_error(error);
  GBytes *out = infer_context_get_output_bytes(
      context, infer_network_get_output(network, output)->name, &error);
  g_assert_no_error(error);
  return out;
}

static inline void
cc_compare(GBytes *out, const float *want, gsize n, double tolerance)
{
  const float *have = g_bytes_get_data(out, NULL);

  g_assert_cmpuint(g_bytes_get_size(out), ==, n * sizeof(float));
  for (gsize i = 0; i < n; i++) {
    double bar = tolerance * (1 + ABS((double)want[i]));
    if (!(ABS((double)have[i] - (double)want[i]) <= bar)) {
      g_error("element %" G_GSIZE_FORMAT " is %g, not %g", i, (double)have[i], (double)want[i]);
    }
  }
}

/** cc_check: parses @text with @model (freed), runs it and compares its first output. */
static inline void
cc_check(const char *text, GByteArray *model, const CcInput *inputs, gsize n_inputs,
         const float *want, gsize n)
{
  GError *error = NULL;
  g_autoptr(InferNetwork) network = cc_parse(text, model, NULL, &error);

  g_assert_no_error(error);
  g_assert_true(infer_network_validate(network, &error));
  g_autoptr(GBytes) out = cc_run(network, inputs, n_inputs, 0);
  cc_compare(out, want, n, 1e-4);
}

/** cc_check1: the same with one input "x". */
static inline void
cc_check1(const char *text, GByteArray *model, const float *x, gsize n_x, const float *want,
          gsize n)
{
  cc_check(text, model, &(CcInput){"x", x, n_x}, 1, want, n);
}

static inline void
cc_refuse(const char *text, const char *message)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(InferNetwork) network = cc_parse(text, NULL, NULL, &error);

  g_assert_null(network);
  g_assert_nonnull(error);
  if (!strstr(error->message, message)) {
    g_error("'%s' is not in: %s", message, error->message);
  }
}

#define CC_INPUT(name, dims)                                                                       \
  "layer { name: '" name "' type: 'Input' top: '" name "' input_param { shape { dim: [" dims       \
  "] } } }\n"
/** CC_LAYER: layer "y" from "x" to "y". */
#define CC_LAYER(type, more) "layer { name: 'y' type: '" type "' bottom: 'x' top: 'y' " more " }\n"
