/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>

/* Short ways to define networks of a few layers. */

#define NAME "layer"
#define D(...) (&INFER_DIMS(__VA_ARGS__))
#define ROUND_DOWN INFER_PADDING_MODE_EXPLICIT_ROUND_DOWN
#define ROUND_UP INFER_PADDING_MODE_EXPLICIT_ROUND_UP
#define FLOAT INFER_TYPE_FLOAT
#define INT64 INFER_TYPE_INT64

/* A network under construction. @e is what every layer of it is given. */
typedef struct {
  InferNetwork *net;
  GRand *random;
  GPtrArray *arrays;
  GError **e;
  gint64 batch;
} Seed;

static inline InferTensor *
in(Seed *s, InferType type, InferDims dims)
{
  g_autofree char *name = g_strdup_printf("in%u", infer_network_get_n_inputs(s->net));

  return infer_network_add_input(s->net, name, type, &dims, NULL, s->e);
}

/* An input of floats with a range. */
static inline InferTensor *
in_range(Seed *s, InferDims dims, float low, float high)
{
  InferTensor *tensor = in(s, FLOAT, dims);

  infer_tensor_set_dynamic_range(tensor, low, high, s->e);
  return tensor;
}

/* Random weights, which live as long as the seed. */
static inline InferArray *
w(Seed *s, InferDims dims)
{
  InferArray *array = infer_array_new(FLOAT, &dims, s->e);

  for (gint64 i = 0; i < infer_array_count(array); i++)
    infer_array_set_double(array, (gsize)i, g_rand_double_range(s->random, 0.1, 1));
  g_ptr_array_add(s->arrays, array);
  return array;
}

static inline InferTensor *
c(Seed *s, InferDims dims)
{
  return infer_network_add_constant(s->net, NULL, w(s, dims));
}

static inline InferTensor *
ints_of(Seed *s, InferType type, InferDims dims, const gint64 *values)
{
  InferArray *array = infer_array_new(type, &dims, s->e);

  for (gint64 i = 0; i < infer_array_count(array); i++)
    infer_array_set_double(array, (gsize)i, (double)values[i]);
  g_ptr_array_add(s->arrays, array);
  return infer_network_add_constant(s->net, NULL, array);
}
#define INTS(DIMS, ...) ints_of(s, INT64, DIMS, (const gint64[]){__VA_ARGS__})

static inline void
out(Seed *s, InferTensor *tensor)
{
  if (tensor)
    infer_network_mark_output(s->net, tensor, NULL, s->e);
}

static inline void
outs(Seed *s, InferNode *node)
{
  for (guint i = 0; node && i < node->n_outputs; i++)
    out(s, infer_node_get_output(node, i));
}
