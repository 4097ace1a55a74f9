/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"
#include "ops/convert.h"
#include "ops/einsum-equation.h"

#include <string.h>

/* The inputs are multiplied in one after the other; labels that nothing needs any more are summed
 * up at once. Reals are added up as double, integers as unsigned so that they wrap. */

typedef union {
  double real;
  guint64 whole;
} Number;

/* One product: loops over kept labels, in the order of the result, then over summed ones. */
typedef struct {
  gint n_kept, n_summed;
  guint8 labels[INFER_EINSUM_LABELS]; /* kept, then summed */
  gint64 sizes[INFER_EINSUM_LABELS], left[INFER_EINSUM_LABELS], right[INFER_EINSUM_LABELS];
} Product;

/* What was multiplied so far: its labels, row-major. */
typedef struct {
  gint n;
  guint8 labels[INFER_EINSUM_LABELS];
} Sofar;

static gboolean
is_needed(const InferEinsum *e, guint8 label, guint index)
{
  return e->last_use[label] > index + 1 || memchr(e->out, label, (gsize)e->n_out);
}

/* Strides of each label: repeated ones add up to a diagonal, and 1 broadcasts. */
static void
add_strides(const InferEinsum *e, const guint8 *labels, gint n, const gint64 *dims, gint64 *strides)
{
  gint64 stride = 1;

  for (gint i = n - 1; i >= 0; i--) {
    gint64 dim = dims ? dims[i] : e->size[labels[i]];

    if (dim != 1)
      strides[labels[i]] += stride;
    stride *= dim;
  }
}

static void
plan_product(const InferEinsum *e, const Sofar *sofar, const guint8 *labels, const InferDims *dims,
             guint index, gboolean last, Product *p)
{
  gint64 left[INFER_EINSUM_LABELS] = {0}, right[INFER_EINSUM_LABELS] = {0};
  gboolean there[INFER_EINSUM_LABELS] = {FALSE};

  add_strides(e, sofar->labels, sofar->n, NULL, left);
  add_strides(e, labels, dims->n, dims->d, right);
  for (gint i = 0; i < sofar->n; i++)
    there[sofar->labels[i]] = TRUE;
  for (gint i = 0; i < dims->n; i++)
    there[labels[i]] = TRUE;
  *p = (Product){0};
  for (gint i = 0; last && i < e->n_out; i++)
    p->labels[p->n_kept++] = e->out[i];
  for (guint8 i = 0; !last && i < INFER_EINSUM_LABELS; i++)
    if (there[i] && is_needed(e, i, index))
      p->labels[p->n_kept++] = i;
  for (guint8 i = 0; i < INFER_EINSUM_LABELS; i++)
    if (there[i] && !is_needed(e, i, index))
      p->labels[p->n_kept + p->n_summed++] = i;
  for (gint i = 0; i < p->n_kept + p->n_summed; i++) {
    p->sizes[i] = e->size[p->labels[i]];
    p->left[i] = left[p->labels[i]];
    p->right[i] = right[p->labels[i]];
  }
}

static gint64
count_kept(const Product *p)
{
  gint64 count = 1;

  for (gint i = 0; i < p->n_kept && count >= 0; i++)
    count = infer_check_product(count, p->sizes[i]);
  return count;
}

/* Dimensions of the result in whose loops it is asked whether to go on; the inner ones are short.
 */
#define CHECKED 2

#define DEFINE_MULTIPLY(FIELD, T)                                                                  \
  static T sum_##FIELD(const Product *p, gint level, const Number *a, const Number *b)             \
  {                                                                                                \
    T sum = 0;                                                                                     \
    if (level == p->n_kept + p->n_summed)                                                          \
      return a->FIELD * b->FIELD;                                                                  \
    if (level + 1 == p->n_kept + p->n_summed)                                                      \
      for (gint64 i = 0; i < p->sizes[level]; i++)                                                 \
        sum += a[i * p->left[level]].FIELD * b[i * p->right[level]].FIELD;                         \
    else                                                                                           \
      for (gint64 i = 0; i < p->sizes[level]; i++)                                                 \
        sum += sum_##FIELD(p, level + 1, a + i * p->left[level], b + i * p->right[level]);         \
    return sum;                                                                                    \
  }                                                                                                \
  static Number *fill_##FIELD(const Product *p, gint level, const Number *a, const Number *b,      \
                              Number *out)                                                         \
  {                                                                                                \
    if (level < p->n_kept) {                                                                       \
      for (gint64 i = 0; out && i < p->sizes[level]; i++)                                          \
        out =                                                                                      \
            level >= CHECKED || infer_op_go_on(NULL)                                               \
                ? fill_##FIELD(p, level + 1, a + i * p->left[level], b + i * p->right[level], out) \
                : NULL;                                                                            \
      return out;                                                                                  \
    }                                                                                              \
    out->FIELD = sum_##FIELD(p, level, a, b);                                                      \
    return out + 1;                                                                                \
  }

DEFINE_MULTIPLY(real, double)
DEFINE_MULTIPLY(whole, guint64)

/* Walks through the inputs. @func gets each product; @most the largest number of elements that
 * anything has, or -1. */
typedef void (*ProductFunc)(gpointer data, guint index, const Product *p, gint64 count);

static gint64
walk(const InferNode *node, const InferEinsum *e, const InferDims *const *dims, guint n,
     ProductFunc func, gpointer data)
{
  const char *text = infer_node_get_string(node, "equation", "");
  Sofar sofar = {.n = 0};
  gint64 most = 1;

  for (guint i = 0; i < n; i++) {
    guint8 labels[INFER_MAX_DIMS] = {0};
    InferEinsumTerm term;
    Product p;
    gint64 count;

    text = infer_einsum_next(text, &term);
    infer_einsum_expand(&term, dims[i]->n, labels);
    plan_product(e, &sofar, labels, dims[i], i, i + 1 == n, &p);
    count = count_kept(&p);
    if (count < 0)
      return -1;
    most = MAX(most, MAX(count, infer_dims_count(dims[i])));
    if (func)
      func(data, i, &p, count);
    sofar.n = p.n_kept;
    memcpy(sofar.labels, p.labels, sizeof sofar.labels);
  }
  return most;
}

static gboolean
all_constant(const InferDims *const *dims, guint n)
{
  for (guint i = 0; i < n; i++)
    if (!infer_dims_is_constant(dims[i]))
      return FALSE;
  return TRUE;
}

static const InferDims **
list_dims(const InferShapeArgs *args)
{
  const InferDims **dims = g_new(const InferDims *, args->n_in);

  for (guint i = 0; i < args->n_in; i++)
    dims[i] = &args->in[i].dims;
  return dims;
}

static gboolean
einsum_infer(InferShapeArgs *args, GError **error)
{
  g_autofree const InferDims **dims = list_dims(args);
  InferEinsum e;

  for (guint i = 0; i < args->n_in; i++)
    if (!infer_op_require_type(args, i, error, INFER_TYPE_FLOAT, INFER_TYPE_DOUBLE, INFER_TYPE_INT8,
                               INFER_TYPE_UINT8, INFER_TYPE_INT16, INFER_TYPE_UINT16,
                               INFER_TYPE_INT32, INFER_TYPE_UINT32, INFER_TYPE_INT64,
                               INFER_TYPE_UINT64, INFER_TYPE_UNDEFINED))
      return FALSE;
    else if (args->in[i].type != args->in[0].type)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is %s, input 0 is %s",
                            i, infer_type_name(args->in[i].type),
                            infer_type_name(args->in[0].type));
  args->out[0].type = args->in[0].type;
  if (!infer_einsum_read(args->node, dims, args->n_in, &e, error))
    return FALSE;
  args->out[0].dims.n = e.n_out;
  for (gint i = 0; i < e.n_out; i++)
    args->out[0].dims.d[i] = e.size[e.out[i]];
  if (all_constant(dims, args->n_in) && walk(args->node, &e, dims, args->n_in, NULL, NULL) < 0)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "a product of the inputs has too many elements");
  return TRUE;
}

/* Three blocks, each as large as the largest operand or product. */
static gsize
einsum_scratch(const InferShapeArgs *args)
{
  g_autofree const InferDims **dims = list_dims(args);
  InferEinsum e;
  gint64 most = -1;

  if (infer_einsum_read(args->node, dims, args->n_in, &e, NULL))
    most = walk(args->node, &e, dims, args->n_in, NULL, NULL);
  return infer_check_bytes(most, 3 * sizeof(Number), args->n_in * sizeof(InferDims *));
}

typedef struct {
  const InferEvalArgs *args;
  gboolean whole;
  Number *sofar, *next, *loaded;
} Run;

static void
multiply(gpointer data, guint index, const Product *p, gint64 count)
{
  Run *run = data;
  const InferArray *x = run->args->in[index];
  gint64 n = infer_array_count(x);
  Number *swap = run->sofar;

  for (gint64 i = 0; run->whole && i < n; i++)
    run->loaded[i].whole = (guint64)infer_array_get_int(x, (gsize)i);
  if (!run->whole)
    infer_load_doubles(x->type, x->data, 0, 1, n, &run->loaded->real);
  if (count == 0)
    return;
  if (run->whole)
    fill_whole(p, 0, run->sofar, run->loaded, run->next);
  else
    fill_real(p, 0, run->sofar, run->loaded, run->next);
  run->sofar = run->next;
  run->next = swap;
}

static void
store(InferArray *y, gint64 i, Number value)
{
  if (y->type == INFER_TYPE_FLOAT || y->type == INFER_TYPE_DOUBLE)
    infer_real_set(y, i, value.real);
  else if (infer_type_bits(y->type) == 64)
    ((guint64 *)y->data)[i] = value.whole;
  else if (infer_type_bits(y->type) == 32)
    ((guint32 *)y->data)[i] = (guint32)value.whole;
  else if (infer_type_bits(y->type) == 16)
    ((guint16 *)y->data)[i] = (guint16)value.whole;
  else
    ((guint8 *)y->data)[i] = (guint8)value.whole;
}

static gboolean
einsum_eval(const InferEvalArgs *args, GError **error)
{
  const InferDims **dims = args->scratch;
  Run run = {.args = args, .whole = infer_type_is_integer(args->in[0]->type)};
  gint64 count = infer_array_count(args->out[0]), most;
  InferEinsum e;

  for (guint i = 0; i < args->n_in; i++)
    dims[i] = &args->in[i]->dims;
  if (!infer_einsum_read(args->node, dims, args->n_in, &e, error))
    return FALSE;
  most = walk(args->node, &e, dims, args->n_in, NULL, NULL);
  run.loaded = (Number *)(dims + args->n_in);
  run.sofar = run.loaded + most;
  run.next = run.sofar + most;
  if (run.whole)
    run.sofar->whole = 1;
  else
    run.sofar->real = 1;
  walk(args->node, &e, dims, args->n_in, multiply, &run);
  if (!infer_op_go_on(error))
    return FALSE;
  for (gint64 i = 0; i < count; i++)
    store(args->out[0], i, run.sofar[i]);
  return TRUE;
}

static const InferAttrSpec attrs[] = {{"equation", 's', TRUE}, {NULL, 0, FALSE}};

static const InferOp einsum = {.name = "Einsum",
                               .version = 12,
                               .min_inputs = 1,
                               .max_inputs = INFER_OP_VARIADIC,
                               .min_outputs = 1,
                               .max_outputs = 1,
                               .attrs = attrs,
                               .infer = einsum_infer,
                               .scratch = einsum_scratch,
                               .eval = einsum_eval};

extern const InferOp *const infer_ops_einsum[];
const InferOp *const infer_ops_einsum[] = {&einsum, NULL};
