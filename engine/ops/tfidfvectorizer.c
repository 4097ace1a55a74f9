/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "number.h"

extern const InferOp *const infer_ops_tfidfvectorizer[];

/* TfIdfVectorizer over integers. The n-grams of the pool are sorted per length, so that each of
 * the input is found by halving. */

static const char *const modes[] = {"TF", "IDF", "TFIDF", NULL};

typedef enum {
  MODE_TF,
  MODE_IDF,
  MODE_TFIDF,
} Mode;

typedef struct {
  guint mode;
  gint64 min, max, skip;
  const gint64 *counts, *indexes, *pool;
  const double *weights;
  gsize n_counts, n_indexes, n_pool;
  gint64 width;     /* of the output */
  gboolean strings; /* the pool is strings; @pool is their numbers, while eval has them */
} Vectorizer;

/* The pool's part with n-grams of length @n: where it begins, and how many there are. */
static void
grams_of(const Vectorizer *v, gint64 n, gint64 *begin, gint64 *count)
{
  gint64 end;
  *begin = *count = 0;
  if (n > (gint64)v->n_counts)
    return;
  *begin = v->counts[n - 1];
  end = n < (gint64)v->n_counts ? v->counts[n] : (gint64)v->n_pool;
  *count = (end - *begin) / n;
}

/* The starts have to rise, and every n-gram needs an index. */
static gboolean
pool_good(const Vectorizer *v)
{
  gsize grams = 0;
  for (gsize i = 0; i < v->n_counts; i++) {
    gint64 begin = v->counts[i];
    gint64 end = i + 1 < v->n_counts ? v->counts[i + 1] : (gint64)v->n_pool;
    if (begin < 0 || end < begin || end > (gint64)v->n_pool || (end - begin) % (gint64)(i + 1) != 0)
      return FALSE;
    grams += (gsize)(end - begin) / (i + 1);
  }
  return v->n_counts > 0 && v->counts[0] == 0 && grams == v->n_indexes && grams > 0;
}

static gboolean
vectorizer_params(const InferNode *node, Vectorizer *v, GError **error)
{
  gsize n_weights = 0;
  memset(v, 0, sizeof *v);
  if (!number_choice(node, "mode", modes, &v->mode, error))
    return FALSE;
  v->min = infer_node_get_int(node, "min_gram_length", 1);
  v->max = infer_node_get_int(node, "max_gram_length", 1);
  /* No input is that long. */
  v->skip = MIN(infer_node_get_int(node, "max_skip_count", 0), G_MAXINT32);
  v->counts = infer_node_get_ints(node, "ngram_counts", &v->n_counts);
  v->indexes = infer_node_get_ints(node, "ngram_indexes", &v->n_indexes);
  v->pool = infer_node_get_ints(node, "pool_int64s", &v->n_pool);
  if (v->n_pool == 0) {
    g_auto(GStrv) strings = infer_op_strings(node, "pool_strings", &v->n_pool);
    v->strings = strings != NULL;
  }
  v->weights = infer_node_get_floats(node, "weights", &n_weights);
  if (v->min < 1 || v->max < v->min || v->skip < 0)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "lengths %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT " with up to "
                          "%" G_GINT64_FORMAT " skips do not make n-grams",
                          v->min, v->max, v->skip);
  if (!pool_good(v) || (n_weights > 0 && n_weights != v->n_indexes))
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "ngram_counts, ngram_indexes, the pool and weights do not fit");
  for (gsize i = 0; i < v->n_indexes; i++) {
    if (v->indexes[i] < 0 || v->indexes[i] >= G_MAXINT32)
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                            "ngram_indexes has %" G_GINT64_FORMAT, v->indexes[i]);
    v->width = MAX(v->width, v->indexes[i] + 1);
  }
  return TRUE;
}

static gboolean
vectorizer_dims(const InferNode *node, const InferDims *in, const Vectorizer *v, InferDims *out,
                GError **error)
{
  *out = *in;
  if (in->n < 0)
    return TRUE;
  if (in->n < 1 || in->n > 2)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "the input has %d dimensions; 1 or 2 "
                          "are needed",
                          in->n);
  out->d[in->n - 1] = v->width;
  return TRUE;
}

static gboolean
vectorizer_infer(InferShapeArgs *args, GError **error)
{
  Vectorizer v;
  InferDims dims;
  return vectorizer_params(args->node, &v, error) &&
         (v.strings ? infer_op_require_type(args, 0, error, INFER_TYPE_STRING, INFER_TYPE_UNDEFINED)
                    : number_require_index(args, 0, error)) &&
         vectorizer_dims(args->node, &args->in[0].dims, &v, &dims, error) &&
         data_set(args, 0, INFER_TYPE_FLOAT, &dims, error);
}

static gsize
vectorizer_scratch(const InferShapeArgs *args)
{
  gsize n = 0;
  infer_node_get_ints(args->node, "ngram_indexes", &n);
  return n * sizeof(gint64);
}

static gint
compare_grams(const gint64 *a, const gint64 *b, gint64 n)
{
  for (gint64 i = 0; i < n; i++)
    if (a[i] != b[i])
      return a[i] < b[i] ? -1 : 1;
  return 0;
}

/* Heap sort of n-gram numbers: in place and never quadratic. */
static void
sift(const gint64 *grams, gint64 n, gint64 *order, gint64 count, gint64 at)
{
  for (gint64 child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count &&
        compare_grams(grams + order[child] * n, grams + order[child + 1] * n, n) < 0)
      child++;
    if (compare_grams(grams + order[at] * n, grams + order[child] * n, n) >= 0)
      return;
    gint64 swap = order[at];
    order[at] = order[child];
    order[child] = swap;
  }
}

static void
sort_grams(const gint64 *grams, gint64 n, gint64 *order, gint64 count)
{
  for (gint64 i = 0; i < count; i++)
    order[i] = i;
  for (gint64 at = count / 2; at-- > 0;)
    sift(grams, n, order, count, at);
  for (gint64 last = count - 1; last > 0; last--) {
    gint64 swap = order[0];
    order[0] = order[last];
    order[last] = swap;
    sift(grams, n, order, last, 0);
  }
}

/* The number of the n-gram whose items lie @step apart; -1 where the pool has it not. */
static gint64
find_gram(const InferArray *in, gint64 at, gint64 step, const gint64 *grams, gint64 n,
          const gint64 *order, gint64 count)
{
  gint64 low = 0, high = count;
  while (low < high) {
    gint64 middle = low + (high - low) / 2, differ = 0;
    const gint64 *gram = grams + order[middle] * n;
    for (gint64 i = 0; differ == 0 && i < n; i++) {
      gint64 item = infer_array_get_int(in, (gsize)(at + i * step));
      differ = item < gram[i] ? -1 : item > gram[i];
    }
    if (differ == 0)
      return order[middle];
    if (differ < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return -1;
}

static void
count_grams(const Vectorizer *v, const InferArray *in, gint64 length, gint64 rows, gint64 *order,
            float *out)
{
  gint64 numbered = 0, begin, count;
  for (gint64 n = 1; n <= MIN(v->max, (gint64)v->n_counts); n++, numbered += count) {
    grams_of(v, n, &begin, &count);
    if (n < v->min || count == 0)
      continue;
    const gint64 *grams = v->pool + begin;
    sort_grams(grams, n, order, count);
    /* An item alone skips nothing. */
    for (gint64 step = 1; step <= (n == 1 ? 1 : v->skip + 1) && (n - 1) * step < length; step++)
      for (gint64 row = 0; row < rows; row++)
        for (gint64 i = 0; i + (n - 1) * step < length; i++) {
          gint64 found = find_gram(in, row * length + i, step, grams, n, order, count);
          if (found >= 0)
            out[row * v->width + v->indexes[numbered + found]] += 1;
        }
  }
}

/* Strings as numbers: of the pool, where its strings come first; -1 for others. */
static InferArray *
number_strings(const InferNode *node, const InferArray *in, gint64 *pool, GError **error)
{
  gsize n;
  g_auto(GStrv) strings = infer_op_strings(node, "pool_strings", &n);
  g_autoptr(GHashTable) numbers = g_hash_table_new(g_str_hash, g_str_equal);
  InferArray *array = infer_array_new(INFER_TYPE_INT64, &in->dims, error);

  for (gsize i = 0; i < n; i++) {
    if (!g_hash_table_contains(numbers, strings[i]))
      g_hash_table_insert(numbers, strings[i], GSIZE_TO_POINTER(i + 1));
    pool[i] = (gint64)GPOINTER_TO_SIZE(g_hash_table_lookup(numbers, strings[i]));
  }
  for (gint64 i = 0; array && i < infer_array_count(in); i++) {
    gsize number =
        GPOINTER_TO_SIZE(g_hash_table_lookup(numbers, infer_array_get_string(in, (gsize)i)));
    ((gint64 *)array->data)[i] = number ? (gint64)number : -1;
  }
  return array;
}

static gboolean
vectorizer_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  g_autofree gint64 *own = NULL;
  gint64 *order = args->scratch;
  Vectorizer v;
  InferDims dims;
  if (!vectorizer_params(args->node, &v, error) ||
      !vectorizer_dims(args->node, &in->dims, &v, &dims, error))
    return FALSE;
  InferArray *out = data_output(args, 0, INFER_TYPE_FLOAT, &dims, error);
  if (!out)
    return FALSE;
  g_autofree gint64 *pool = v.strings ? g_new(gint64, v.n_pool) : NULL;
  g_autoptr(InferArray) numbers = v.strings ? number_strings(args->node, in, pool, error) : NULL;
  if (v.strings && !numbers)
    return FALSE;
  if (v.strings)
    v.pool = pool;
  if (!order && !(order = own = g_try_new(gint64, v.n_indexes)))
    return infer_op_error(args->node, error, INFER_ERROR_MEMORY, "no memory to sort the pool");
  gint64 length = in->dims.d[in->dims.n - 1], rows = in->dims.n == 2 ? in->dims.d[0] : 1;
  float *counts = out->data;
  memset(counts, 0, out->size);
  count_grams(&v, numbers ? numbers : in, length, rows, order, counts);
  if (v.mode == MODE_TF)
    return TRUE;
  for (gint64 row = 0; row < rows; row++, counts += v.width) {
    for (gint64 i = 0; v.mode == MODE_IDF && i < v.width; i++)
      counts[i] = MIN(counts[i], 1);
    for (gsize i = 0; v.weights && i < v.n_indexes; i++)
      counts[v.indexes[i]] *= (float)v.weights[i];
  }
  return TRUE;
}

static const InferAttrSpec vectorizer_attrs[] = {
    {"max_gram_length", 'i', TRUE}, {"max_skip_count", 'i', TRUE},
    {"min_gram_length", 'i', TRUE}, {"mode", 's', TRUE},
    {"ngram_counts", 'I', TRUE},    {"ngram_indexes", 'I', TRUE},
    {"pool_int64s", 'I', FALSE},    {"pool_strings", 'S', FALSE},
    {"weights", 'F', FALSE},        {NULL, 0, FALSE}};

static const InferOp vectorizer = {
    .name = "TfIdfVectorizer",
    .version = 9,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attrs = vectorizer_attrs,
    .infer = vectorizer_infer,
    .scratch = vectorizer_scratch,
    .eval = vectorizer_eval,
};

const InferOp *const infer_ops_tfidfvectorizer[] = {&vectorizer, NULL};
