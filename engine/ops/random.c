/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

#include <math.h>

extern const InferOp *const infer_ops_random[];

/*
 * Random numbers that are the same in every run: element i depends on the seed and on i alone, by
 * the mixing function of SplitMix64 (Steele, Lea and Flood 2014). A node without a seed takes one
 * from its name, so that two nodes differ.
 */

static guint64
mix(guint64 x)
{
  x = (x ^ (x >> 30)) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

static guint64
seed_of(const InferNode *node)
{
  guint64 hash = G_GUINT64_CONSTANT(0xcbf29ce484222325);
  double seed = infer_node_get_float(node, "seed", 0);
  if (infer_node_has_attr(node, "seed"))
    memcpy(&hash, &seed, sizeof hash);
  else
    for (const char *c = node->name; *c; c++)
      hash = (hash ^ (guchar)*c) * G_GUINT64_CONSTANT(0x100000001b3);
  return mix(hash);
}

/* Evenly in [0, 1). */
static double
uniform(guint64 seed, guint64 i)
{
  return (double)(mix(seed + (i + 1) * G_GUINT64_CONSTANT(0x9e3779b97f4a7c15)) >> 11) * 0x1p-53;
}

/* By Box and Muller, one of the pair. */
static double
normal(guint64 seed, guint64 i)
{
  double radius = sqrt(-2 * log(1 - uniform(seed, 2 * i)));
  return radius * cos(2 * G_PI * uniform(seed, 2 * i + 1));
}

typedef enum {
  RANDOM_UNIFORM,
  RANDOM_NORMAL,
} Distribution;

static gboolean
is_like(const InferNode *node)
{
  return g_str_has_suffix(infer_node_get_op_name(node), "Like");
}

static Distribution
distribution_of(const InferNode *node)
{
  return g_str_has_prefix(infer_node_get_op_name(node), "RandomNormal") ? RANDOM_NORMAL
                                                                        : RANDOM_UNIFORM;
}

static gboolean
real_type(const InferNode *node, InferType fallback, InferType *type, GError **error)
{
  if (!number_type(node, "dtype", fallback, type, error))
    return FALSE;
  return *type == INFER_TYPE_FLOAT || *type == INFER_TYPE_DOUBLE ||
         infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                        "dtype %s is not supported; float and double are", infer_type_name(*type));
}

static gboolean
shape_attr(const InferNode *node, InferDims *dims, GError **error)
{
  gsize n = 0;
  const gint64 *shape = infer_node_get_ints(node, "shape", &n);
  if (n > INFER_MAX_DIMS)
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "the shape has %" G_GSIZE_FORMAT " dimensions, at most %d are supported",
                          n, INFER_MAX_DIMS);
  *dims = (InferDims){.n = (gint)n};
  for (gsize i = 0; i < n; i++) {
    dims->d[i] = shape[i];
    if (shape[i] < 0)
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                            "the shape has the negative dimension %" G_GINT64_FORMAT, shape[i]);
  }
  return TRUE;
}

static gboolean
random_infer(InferShapeArgs *args, GError **error)
{
  InferType type;
  InferDims dims;
  if (is_like(args->node)) {
    if (!data_require(args, 0, error) || !real_type(args->node, args->in[0].type, &type, error))
      return FALSE;
    dims = args->in[0].dims;
  } else if (!real_type(args->node, INFER_TYPE_FLOAT, &type, error) ||
             !shape_attr(args->node, &dims, error)) {
    return FALSE;
  }
  return data_set(args, 0, type, &dims, error);
}

static gboolean
random_eval(const InferEvalArgs *args, GError **error)
{
  const InferNode *node = args->node;
  InferType type;
  InferDims dims;
  if (is_like(node)) {
    dims = args->in[0]->dims;
    if (!real_type(node, args->in[0]->type, &type, error))
      return FALSE;
  } else if (!real_type(node, INFER_TYPE_FLOAT, &type, error) || !shape_attr(node, &dims, error)) {
    return FALSE;
  }
  InferArray *out = data_output(args, 0, type, &dims, error);
  if (!out)
    return FALSE;
  gboolean gaussian = distribution_of(node) == RANDOM_NORMAL;
  double low = infer_node_get_float(node, gaussian ? "mean" : "low", 0);
  double scale = gaussian ? infer_node_get_float(node, "scale", 1)
                          : infer_node_get_float(node, "high", 1) - low;
  guint64 seed = seed_of(node);
  gint64 n = infer_array_count(out);
  for (gint64 i = 0; i < n; i++) {
    double value = gaussian ? normal(seed, (guint64)i) : uniform(seed, (guint64)i);
    infer_array_set_double(out, (gsize)i, low + scale * value);
  }
  return TRUE;
}

static gboolean
bernoulli_infer(InferShapeArgs *args, GError **error)
{
  InferType type;
  return number_require_real(args, 0, error) &&
         number_type(args->node, "dtype", args->in[0].type, &type, error) &&
         data_set(args, 0, type, &args->in[0].dims, error);
}

static gboolean
bernoulli_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  InferType type;
  if (!number_type(args->node, "dtype", in->type, &type, error))
    return FALSE;
  InferArray *out = data_output(args, 0, type, &in->dims, error);
  if (!out)
    return FALSE;
  guint64 seed = seed_of(args->node);
  gint64 n = infer_array_count(in);
  for (gint64 i = 0; i < n; i++)
    infer_array_set_double(out, (gsize)i,
                           uniform(seed, (guint64)i) < infer_array_get_double(in, (gsize)i));
  return TRUE;
}

static gboolean
multinomial_dims(const InferNode *node, const InferDims *in, InferType *type, InferDims *out,
                 GError **error)
{
  gint64 samples = infer_node_get_int(node, "sample_size", 1);
  *out = INFER_DIMS(in->n == 2 ? in->d[0] : INFER_DIM_UNKNOWN, samples);
  if (!number_type(node, "dtype", INFER_TYPE_INT32, type, error))
    return FALSE;
  if (*type != INFER_TYPE_INT32 && *type != INFER_TYPE_INT64)
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "dtype %s is not supported; int32 and int64 are", infer_type_name(*type));
  if (samples < 1)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "sample_size is %" G_GINT64_FORMAT ", it must be at least 1", samples);
  if (in->n >= 0 && (in->n != 2 || in->d[1] == 0))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "the input must be a matrix with at least one class");
  return TRUE;
}

static gboolean
multinomial_infer(InferShapeArgs *args, GError **error)
{
  InferType type;
  InferDims dims;
  return number_require_real(args, 0, error) &&
         multinomial_dims(args->node, &args->in[0].dims, &type, &dims, error) &&
         data_set(args, 0, type, &dims, error);
}

/* The class in which a share of @u of the weights exp(logit - max) ends. */
static gint64
pick(const InferArray *in, gint64 at, gint64 classes, double max, double sum, double u)
{
  double so_far = 0;
  gint64 last = 0;
  for (gint64 c = 0; c < classes; c++) {
    double weight = exp(infer_array_get_double(in, (gsize)(at + c)) - max);
    so_far += weight;
    if (weight > 0)
      last = c;
    if (so_far > u * sum)
      return c;
  }
  return last;
}

static gboolean
multinomial_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  InferType type;
  InferDims dims;
  if (!multinomial_dims(args->node, &in->dims, &type, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, type, &dims, error);
  if (!out)
    return FALSE;
  guint64 seed = seed_of(args->node);
  gint64 classes = in->dims.d[1], samples = dims.d[1];
  for (gint64 b = 0; b < dims.d[0]; b++) {
    double max = -INFINITY, sum = 0;
    for (gint64 c = 0; c < classes; c++)
      max = fmax(max, infer_array_get_double(in, (gsize)(b * classes + c)));
    for (gint64 c = 0; c < classes; c++)
      sum += exp(infer_array_get_double(in, (gsize)(b * classes + c)) - max);
    for (gint64 i = b * samples; i < (b + 1) * samples; i++)
      infer_array_set_double(
          out, (gsize)i,
          (double)pick(in, b * classes, classes, max, sum, uniform(seed, (guint64)i)));
  }
  return TRUE;
}

static const InferAttrSpec uniform_attrs[] = {{"dtype", 'i', FALSE}, {"high", 'f', FALSE},
                                              {"low", 'f', FALSE},   {"seed", 'f', FALSE},
                                              {"shape", 'I', TRUE},  {NULL, 0, FALSE}};
static const InferAttrSpec normal_attrs[] = {{"dtype", 'i', FALSE}, {"mean", 'f', FALSE},
                                             {"scale", 'f', FALSE}, {"seed", 'f', FALSE},
                                             {"shape", 'I', TRUE},  {NULL, 0, FALSE}};
static const InferAttrSpec uniform_like_attrs[] = {{"dtype", 'i', FALSE},
                                                   {"high", 'f', FALSE},
                                                   {"low", 'f', FALSE},
                                                   {"seed", 'f', FALSE},
                                                   {NULL, 0, FALSE}};
static const InferAttrSpec normal_like_attrs[] = {{"dtype", 'i', FALSE},
                                                  {"mean", 'f', FALSE},
                                                  {"scale", 'f', FALSE},
                                                  {"seed", 'f', FALSE},
                                                  {NULL, 0, FALSE}};
static const InferAttrSpec bernoulli_attrs[] = {
    {"dtype", 'i', FALSE}, {"seed", 'f', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec multinomial_attrs[] = {
    {"dtype", 'i', FALSE}, {"sample_size", 'i', FALSE}, {"seed", 'f', FALSE}, {NULL, 0, FALSE}};

#define RANDOM(ID, NAME, N_IN, FUNC)                                                               \
  static const InferOp ID##_op = {                                                                 \
      .name = NAME,                                                                                \
      .version = 22,                                                                               \
      .min_inputs = N_IN,                                                                          \
      .max_inputs = N_IN,                                                                          \
      .min_outputs = 1,                                                                            \
      .max_outputs = 1,                                                                            \
      .attrs = ID##_attrs,                                                                         \
      .infer = FUNC##_infer,                                                                       \
      .eval = FUNC##_eval,                                                                         \
  }

RANDOM(uniform, "RandomUniform", 0, random);
RANDOM(normal, "RandomNormal", 0, random);
RANDOM(uniform_like, "RandomUniformLike", 1, random);
RANDOM(normal_like, "RandomNormalLike", 1, random);
RANDOM(bernoulli, "Bernoulli", 1, bernoulli);
RANDOM(multinomial, "Multinomial", 1, multinomial);

const InferOp *const infer_ops_random[] = {
    &uniform_op,     &normal_op, &uniform_like_op, &normal_like_op, &bernoulli_op,
    &multinomial_op, NULL};
