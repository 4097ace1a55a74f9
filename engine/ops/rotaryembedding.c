/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "convert.h"
#include "number.h"

extern const InferOp *const infer_ops_rotaryembedding[];

/* RotaryEmbedding: pairs of a head's elements are turned by angles of their position. */

typedef struct {
  gint64 batch, heads, steps, size, rotated;
  gboolean heads_first; /* [N, heads, steps, size], else [N, steps, heads * size] */
  gboolean interleaved;
} Rotary;

static gboolean
rotary_error(const InferNode *node, const InferDims *x, const InferDims *cache, GError **error)
{
  g_autofree char *a = infer_dims_to_string(x);
  g_autofree char *b = infer_dims_to_string(cache);
  return infer_op_error(node, error, INFER_ERROR_SHAPE,
                        "an input of %s, caches of %s and the positions do not fit num_heads or "
                        "rotary_embedding_dim",
                        a, b);
}

static gboolean
rotary_head(const InferNode *node, const InferDims *x, Rotary *rotary)
{
  gint64 heads = infer_node_get_int(node, "num_heads", 0);
  rotary->heads_first = x->n == 4;
  rotary->batch = x->d[0];
  rotary->steps = x->d[x->n - 2];
  rotary->heads = x->n == 4 ? x->d[1] : heads;
  rotary->size = x->d[x->n - 1];
  if (heads < 0 || (x->n == 4 && heads > 0 && !number_fits(x->d[1], heads)))
    return FALSE;
  if (x->n == 3) {
    if (heads == 0 || (rotary->size >= 0 && rotary->size % heads != 0))
      return FALSE;
    rotary->size = rotary->size >= 0 ? rotary->size / heads : INFER_DIM_UNKNOWN;
  }
  gint64 dim = infer_node_get_int(node, "rotary_embedding_dim", 0);
  rotary->rotated = dim == 0 ? rotary->size : dim;
  return dim >= 0 && (rotary->rotated < 0 || rotary->rotated % 2 == 0) &&
         (rotary->size < 0 || dim <= rotary->size);
}

static gboolean
rotary_check(const InferNode *node, const InferDims *x, const InferDims *cos, const InferDims *sin,
             const InferDims *positions, Rotary *rotary, GError **error)
{
  gint rank = positions ? 2 : 3;
  rotary->interleaved = infer_node_get_int(node, "interleaved", 0) != 0;
  if (x->n < 0)
    return TRUE;
  gboolean good = (x->n == 3 || x->n == 4) && rotary_head(node, x, rotary);
  for (guint i = 0; good && i < 2; i++) {
    const InferDims *cache = i == 0 ? cos : sin;
    if (cache->n < 0)
      continue;
    good = cache->n == rank &&
           (rotary->rotated < 0 || number_fits(cache->d[rank - 1], rotary->rotated / 2));
    if (good && !positions)
      good = number_fits(cache->d[0], rotary->batch) && number_fits(cache->d[1], rotary->steps);
    if (good && positions && i == 1 && cos->n == 2)
      good = number_fits(cache->d[0], cos->d[0]);
  }
  if (good && positions && positions->n >= 0)
    good = positions->n == 2 && number_fits(positions->d[0], rotary->batch) &&
           number_fits(positions->d[1], rotary->steps);
  return good || rotary_error(node, x, cos, error);
}

static gboolean
rotary_infer(InferShapeArgs *args, GError **error)
{
  gboolean positions = data_present(args, 3);
  Rotary rotary;
  return number_require_real(args, 0, error) && number_require_same(args, 1, 0, error) &&
         number_require_same(args, 2, 0, error) &&
         (!positions || number_require_index(args, 3, error)) &&
         rotary_check(args->node, &args->in[0].dims, &args->in[1].dims, &args->in[2].dims,
                      positions ? &args->in[3].dims : NULL, &rotary, error) &&
         data_set(args, 0, args->in[0].type, &args->in[0].dims, error);
}

/* One head of one step, at element @at; its angles lie at @angle of the caches. */
static void
rotate(const Rotary *rotary, const InferEvalArgs *args, gint64 at, gint64 angle, InferArray *out)
{
  const InferArray *x = args->in[0];
  gint64 half = rotary->rotated / 2;
  for (gint64 i = 0; i < half; i++) {
    gint64 a = at + (rotary->interleaved ? 2 * i : i), b = a + (rotary->interleaved ? 1 : half);
    double cos = infer_array_get_double(args->in[1], (gsize)(angle + i));
    double sin = infer_array_get_double(args->in[2], (gsize)(angle + i));
    double re = infer_array_get_double(x, (gsize)a), im = infer_array_get_double(x, (gsize)b);
    infer_store_double(out, a, re * cos - im * sin);
    infer_store_double(out, b, re * sin + im * cos);
  }
}

static gboolean
rotary_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *x = args->in[0], *positions = data_array(args, 3);
  Rotary rotary;
  if (!rotary_check(args->node, &x->dims, &args->in[1]->dims, &args->in[2]->dims,
                    positions ? &positions->dims : NULL, &rotary, error))
    return FALSE;
  InferArray *out = data_output(args, 0, x->type, &x->dims, error);
  if (!out)
    return FALSE;
  memcpy(out->data, x->data, x->size);
  for (gint64 row = 0; row < rotary.batch * rotary.steps; row++) {
    gint64 position = positions ? infer_array_get_int(positions, (gsize)row) : row;
    if (positions && (position < 0 || position >= args->in[1]->dims.d[0]))
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                            "position %" G_GINT64_FORMAT " is not one of %" G_GINT64_FORMAT,
                            position, args->in[1]->dims.d[0]);
    gint64 n = row / rotary.steps, step = row % rotary.steps;
    for (gint64 head = 0; head < rotary.heads; head++) {
      gint64 at = rotary.heads_first ? (n * rotary.heads + head) * rotary.steps + step
                                     : row * rotary.heads + head;
      rotate(&rotary, args, at * rotary.size, position * (rotary.rotated / 2), out);
    }
  }
  return TRUE;
}

static const InferAttrSpec rotary_attrs[] = {{"interleaved", 'i', FALSE},
                                             {"num_heads", 'i', FALSE},
                                             {"rotary_embedding_dim", 'i', FALSE},
                                             {NULL, 0, FALSE}};

static const InferOp rotary_embedding = {
    .name = "RotaryEmbedding",
    .version = 23,
    .min_inputs = 3,
    .max_inputs = 4,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = rotary_attrs,
    .infer = rotary_infer,
    .eval = rotary_eval,
};

const InferOp *const infer_ops_rotaryembedding[] = {&rotary_embedding, NULL};
