/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>
#include <math.h>
#include <string.h>

#include "op.h"

/* What tests of operators share: short ways to make arrays and nodes, to evaluate a node, to
 * compare, and to see a node refused. */

#define UNKNOWN INFER_DIM_UNKNOWN
#define FLOATS(DIMS, ...) array_of(INFER_TYPE_FLOAT, DIMS, (const float[]){__VA_ARGS__})
#define INTS(DIMS, ...) array_of(INFER_TYPE_INT64, DIMS, (const gint64[]){__VA_ARGS__})
#define LIST(...) INTS(INFER_DIMS(sizeof((gint64[]){__VA_ARGS__}) / 8), __VA_ARGS__)
#define SCALAR(V) INTS(INFER_DIMS_SCALAR, V)
#define INT(NAME, V) NAME, 'i', (gint64)(V)
#define ATTRS(...) infer_attrs_new(__VA_ARGS__, NULL)
#define INT_LIST(NAME, ...)                                                                        \
  NAME, 'I', (const gint64[]){__VA_ARGS__}, sizeof((gint64[]){__VA_ARGS__}) / sizeof(gint64)

static inline InferArray *
array_of(InferType type, InferDims dims, const void *data)
{
  GError *error = NULL;
  InferArray *array = infer_array_new(type, &dims, &error);
  g_assert_no_error(error);
  if (array->size > 0)
    memcpy(array->data, data, array->size);
  return array;
}

static inline InferTensor *
input(InferNetwork *network, InferType type, InferDims dims)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *name = g_strdup_printf("in%u", infer_network_get_n_inputs(network));
  InferTensor *tensor = infer_network_add_input(network, name, type, &dims, NULL, &error);
  g_assert_no_error(error);
  return tensor;
}

/* A constant; takes the array over. */
static inline InferTensor *
constant(InferNetwork *network, InferArray *value)
{
  g_autoptr(InferArray) owned = value;
  return infer_network_add_constant(network, NULL, owned);
}

#define ADD(NETWORK, OP, ATTRIBUTES, ...)                                                          \
  add_node(NETWORK, OP, ATTRIBUTES, (InferTensor *const[]){__VA_ARGS__},                           \
           sizeof((InferTensor *[]){__VA_ARGS__}) / sizeof(InferTensor *))
#define REFUSE(NETWORK, CODE, OP, ATTRIBUTES, ...)                                                 \
  refuse_node(NETWORK, CODE, OP, ATTRIBUTES, (InferTensor *const[]){__VA_ARGS__},                  \
              sizeof((InferTensor *[]){__VA_ARGS__}) / sizeof(InferTensor *))

static inline guint
outputs_of(const char *op)
{
  return g_str_equal(op, "infer.DetectionNMS") ? 4 : g_str_equal(op, "TopK") ? 2 : 1;
}

static inline InferTensor *
add_node(InferNetwork *network, const char *op, GVariant *attrs, InferTensor *const *in, gsize n)
{
  g_autoptr(GError) error = NULL;
  InferNode *node =
      infer_network_add_node(network, op, NULL, in, (guint)n, attrs, outputs_of(op), &error);
  g_assert_no_error(error);
  return node->outputs[0];
}

static inline void
refuse_node(InferNetwork *network, InferError code, const char *op, GVariant *attrs,
            InferTensor *const *in, gsize n)
{
  g_autoptr(GError) error = NULL;
  g_assert_null(
      infer_network_add_node(network, op, NULL, in, (guint)n, attrs, outputs_of(op), &error));
  g_assert_error(error, INFER_ERROR, (gint)code);
}

static inline void
assert_dims(const InferDims *have, InferDims want)
{
  g_autofree char *left = infer_dims_to_string(have);
  g_autofree char *right = infer_dims_to_string(&want);
  if (!infer_dims_equal(have, &want))
    g_error("dimensions are %s, not %s", left, right);
}

#define EVAL(OP, ATTRIBUTES, OUT, N_OUT, ...)                                                      \
  eval(OP, ATTRIBUTES, OUT, N_OUT, (InferArray *const[]){__VA_ARGS__},                             \
       sizeof((InferArray *[]){__VA_ARGS__}) / sizeof(InferArray *), NULL)
#define EVAL1(OP, ATTRIBUTES, ...)                                                                 \
  eval1(OP, ATTRIBUTES, (InferArray *const[]){__VA_ARGS__},                                        \
        sizeof((InferArray *[]){__VA_ARGS__}) / sizeof(InferArray *))
#define FAIL(OP, ATTRIBUTES, ...)                                                                  \
  fail(OP, ATTRIBUTES, (InferArray *const[]){__VA_ARGS__},                                         \
       sizeof((InferArray *[]){__VA_ARGS__}) / sizeof(InferArray *))

/* Evaluates a node whose inputs are not constant in the network; takes the arrays over. */
static inline gboolean
eval(const char *op, GVariant *attrs, InferArray **out, guint n_out, InferArray *const *in,
     gsize n_in, GError **failure)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferTensor *tensors[5] = {NULL};
  for (gsize i = 0; i < n_in; i++)
    tensors[i] = in[i] ? input(network, in[i]->type, in[i]->dims) : NULL;
  InferNode *node =
      infer_network_add_node(network, op, NULL, tensors, (guint)n_in, attrs, n_out, &error);
  g_assert_no_error(error);
  gboolean good = infer_op_eval_alloc(node, (const InferArray *const *)in, (guint)n_in, out, n_out,
                                      failure ? failure : &error);
  g_assert_no_error(error);
  for (gsize i = 0; i < n_in; i++)
    if (in[i])
      infer_array_unref(in[i]);
  return good;
}

static inline InferArray *
eval1(const char *op, GVariant *attrs, InferArray *const *in, gsize n_in)
{
  InferArray *out = NULL;
  eval(op, attrs, &out, 1, in, n_in, NULL);
  return out;
}

static inline void
fail(const char *op, GVariant *attrs, InferArray *const *in, gsize n_in)
{
  g_autoptr(GError) error = NULL;
  InferArray *out[4] = {NULL};
  g_assert_false(eval(op, attrs, out, outputs_of(op), in, n_in, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
}

/* Compares and frees both. */
static inline void
assert_same(InferArray *have, InferArray *want)
{
  g_assert_cmpint(have->type, ==, want->type);
  assert_dims(&have->dims, want->dims);
  for (gint64 i = 0; i < infer_array_count(want); i++) {
    double a = infer_array_get_double(have, i), b = infer_array_get_double(want, i);
    if (a != b && !(isnan(a) && isnan(b)))
      g_error("element %d is %g, not %g", (int)i, a, b);
  }
  infer_array_unref(have);
  infer_array_unref(want);
}

static inline InferArray *
iota(InferDims dims)
{
  InferArray *array = infer_array_new(INFER_TYPE_FLOAT, &dims, NULL);
  for (gint64 i = 0; i < infer_array_count(array); i++)
    ((float *)array->data)[i] = (float)i;
  return array;
}
