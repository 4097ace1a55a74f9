/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/network.h>
#include "op.h"

#include <math.h>

/* Checks of operators: one node, its shapes, and its results. */

#define N(...) ((const double[]){__VA_ARGS__})
#define I(...) ((const gint64[]){__VA_ARGS__}), (gsize)(sizeof((gint64[]){__VA_ARGS__}) / 8)
#define D INFER_DIMS
#define FLOAT INFER_TYPE_FLOAT
#define INT64 INFER_TYPE_INT64
#define SCALAR INFER_DIMS_SCALAR
#define INT(X) 'i', (gint64)(X)
#define IN(...) ((InferArray *[]){__VA_ARGS__}), G_N_ELEMENTS(((InferArray *[]){__VA_ARGS__}))

static InferArray *
array(InferType type, InferDims dims, const double *values)
{
  g_autoptr(GError) error = NULL;
  InferArray *result = infer_array_new(type, &dims, &error);

  g_assert_no_error(error);
  for (gint64 i = 0; i < infer_array_count(result); i++)
    infer_array_set_double(result, (gsize)i, values[i]);
  return result;
}

static InferArray *
floats(InferDims dims, const double *values)
{
  return array(FLOAT, dims, values);
}

/* 1, 2, 3 ... */
static InferArray *
counting(InferDims dims)
{
  double values[64];

  for (int i = 0; i < 64; i++)
    values[i] = i + 1;
  return floats(dims, values);
}

/* The inputs but the first are constants of the network, as parameters are. */
static InferNode *
add(InferNetwork *network, const char *op, GVariant *attrs, InferArray *const *in, guint n_in,
    guint n_out, GError **error)
{
  InferTensor *tensors[8] = {NULL};

  for (guint i = 0; i < n_in; i++)
    if (in[i] && i == 0)
      tensors[i] = infer_network_add_input(network, "x", in[i]->type, &in[i]->dims, NULL, error);
    else if (in[i])
      tensors[i] = infer_network_add_constant(network, NULL, in[i]);
  return infer_network_add_node(network, op, "node", tensors, n_in, attrs, n_out, error);
}

static void
release(InferArray *const *in, guint n_in)
{
  for (guint i = 0; i < n_in; i++)
    if (in[i])
      infer_array_unref(in[i]);
}

static void
compare(const char *op, const InferArray *have, InferDims dims, const double *want)
{
  g_autofree char *text = infer_dims_to_string(&have->dims);

  if (!infer_dims_equal(&have->dims, &dims))
    g_error("%s gives %s", op, text);
  for (gint64 i = 0; i < infer_array_count(have); i++) {
    double value = infer_array_get_double(have, (gsize)i);
    gboolean same = isnan(want[i])
                        ? isnan(value)
                        : value == want[i] || fabs(value - want[i]) <= 1e-5 * MAX(1, fabs(want[i]));

    if (!same)
      g_error("%s: element %d is %g, not %g", op, (int)i, value, want[i]);
  }
}

/* Takes the arrays. @want2 is what a second output has. */
static void
check2(const char *op, GVariant *attrs, InferArray *const *in, guint n_in, InferDims dims,
       const double *want, const double *want2)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  guint n_out = want2 ? 2 : 1;
  InferArray *out[2] = {NULL};
  InferNode *node = add(network, op, attrs, in, n_in, n_out, &error);

  g_assert_no_error(error);
  g_assert_nonnull(node);
  g_assert_cmpint(node->outputs[0]->dims.n, ==, dims.n);
  for (gint i = 0; i < dims.n; i++)
    g_assert_cmpint(node->outputs[0]->dims.d[i], ==, dims.d[i]);
  infer_op_eval_alloc(node, (const InferArray *const *)in, n_in, out, n_out, &error);
  g_assert_no_error(error);
  compare(op, out[0], dims, want);
  if (want2)
    compare(op, out[1], dims, want2);
  release(out, n_out);
  release(in, n_in);
}

static void
check(const char *op, GVariant *attrs, InferArray *const *in, guint n_in, InferDims dims,
      const double *want)
{
  check2(op, attrs, in, n_in, dims, want, NULL);
}

/* Takes the arrays. The node has to be refused, with an error. */
static void
refuse(const char *op, GVariant *attrs, InferArray *const *in, guint n_in)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferNode *node = add(network, op, attrs, in, n_in, 1, &error);

  if (node)
    g_error("%s was accepted", op);
  g_assert_nonnull(error);
  g_assert_true(error->domain == INFER_ERROR);
  release(in, n_in);
}

/* What shape inference says of inputs that are only shapes. */
static InferNode *
shape_of(InferNetwork *network, const char *op, GVariant *attrs, const InferDims *dims, guint n,
         GError **error)
{
  InferTensor *tensors[8] = {NULL};

  for (guint i = 0; i < n; i++) {
    g_autofree char *name = g_strdup_printf("in%u", infer_network_get_n_inputs(network));

    tensors[i] = infer_network_add_input(network, name, FLOAT, &dims[i], NULL, error);
    g_assert_no_error(*error);
  }
  return infer_network_add_node(network, op, NULL, tensors, n, attrs, 1, error);
}

static void
expect_shape(InferNetwork *network, const char *op, GVariant *attrs, const InferDims *dims, guint n,
             InferDims want)
{
  g_autoptr(GError) error = NULL;
  InferNode *node = shape_of(network, op, attrs, dims, n, &error);

  g_assert_no_error(error);
  if (!infer_dims_equal(&node->outputs[0]->dims, &want)) {
    g_autofree char *have = infer_dims_to_string(&node->outputs[0]->dims);
    g_error("%s: shape %s is wrong", op, have);
  }
}

static void
refuse_shape(const char *op, GVariant *attrs, const InferDims *dims, guint n)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;

  if (shape_of(network, op, attrs, dims, n, &error))
    g_error("%s was accepted", op);
  g_assert_nonnull(error);
}

#define SHAPES(...) ((InferDims[]){__VA_ARGS__}), G_N_ELEMENTS(((InferDims[]){__VA_ARGS__}))
