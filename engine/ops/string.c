/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

#include "broadcast.h"

extern const InferOp *const infer_ops_string[];

/* StringConcat, StringSplit and StringNormalizer. Strings are evaluated on the host and with memory
 * from the heap. */

static gboolean
require_string(const InferShapeArgs *args, guint index, GError **error)
{
  return infer_op_require_type(args, index, error, INFER_TYPE_STRING, INFER_TYPE_UNDEFINED);
}

/* --- concatenation --- */

static gboolean
concat_infer(InferShapeArgs *args, GError **error)
{
  args->out[0].type = INFER_TYPE_STRING;
  return require_string(args, 0, error) && require_string(args, 1, error) &&
         infer_op_broadcast(args->node, &args->in[0].dims, &args->in[1].dims, &args->out[0].dims,
                            error);
}

static void
concat_row(gpointer user_data, const gint64 *at, const gint64 *stride, gint64 at_out, gint64 n)
{
  const InferEvalArgs *args = user_data;

  for (gint64 i = 0; i < n; i++) {
    g_autofree char *text =
        g_strconcat(infer_array_get_string(args->in[0], (gsize)(at[0] + i * stride[0])),
                    infer_array_get_string(args->in[1], (gsize)(at[1] + i * stride[1])), NULL);

    infer_array_set_string(args->out[0], (gsize)(at_out + i), text);
  }
}

/* What this run gives may be less open than what was planned. */
static gboolean
concat_eval(const InferEvalArgs *args, GError **error)
{
  const InferDims *in[] = {&args->in[0]->dims, &args->in[1]->dims};
  InferDims dims;

  if (!infer_op_broadcast(args->node, in[0], in[1], &dims, error) ||
      !data_output(args, 0, INFER_TYPE_STRING, &dims, error))
    return FALSE;
  infer_broadcast_rows(in, 2, &dims, concat_row, (gpointer)args);
  return TRUE;
}

/* --- splitting --- */

static gboolean
split_infer(InferShapeArgs *args, GError **error)
{
  InferDims dims = args->in[0].dims;

  if (!require_string(args, 0, error))
    return FALSE;
  if (dims.n >= INFER_MAX_DIMS)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "the input has %d dimensions, the output would have more than %d", dims.n,
                          INFER_MAX_DIMS);
  if (dims.n >= 0)
    dims.d[dims.n++] = INFER_DIM_UNKNOWN;
  return data_set(args, 0, INFER_TYPE_STRING, &dims, error) &&
         data_set(args, 1, INFER_TYPE_INT64, &args->in[0].dims, error);
}

static const char *
skip_spaces(const char *text)
{
  while (*text && g_unichar_isspace(g_utf8_get_char(text)))
    text = g_utf8_next_char(text);
  return text;
}

/* Runs of white space separate, and what leads or trails is dropped; the last part, when there are
 * enough, is the rest. */
static void
split_spaces(const char *text, gint64 most, GPtrArray *parts)
{
  for (text = skip_spaces(text); *text; text = skip_spaces(text)) {
    const char *end = text;

    if (most >= 0 && (gint64)parts->len >= most) {
      g_ptr_array_add(parts, g_strdup(text));
      return;
    }
    while (*end && !g_unichar_isspace(g_utf8_get_char(end)))
      end = g_utf8_next_char(end);
    g_ptr_array_add(parts, g_strndup(text, (gsize)(end - text)));
    text = end;
  }
}

static void
split_at(const char *text, const char *delimiter, gint64 most, GPtrArray *parts)
{
  const char *end;

  while ((most < 0 || (gint64)parts->len < most) && (end = strstr(text, delimiter))) {
    g_ptr_array_add(parts, g_strndup(text, (gsize)(end - text)));
    text = end + strlen(delimiter);
  }
  g_ptr_array_add(parts, g_strdup(text));
}

static void
unref_parts(gpointer parts)
{
  g_ptr_array_unref(parts);
}

static gboolean
write_parts(const InferEvalArgs *args, GPtrArray *lists, GError **error)
{
  InferDims dims = args->in[0]->dims;
  InferArray *out, *counts;
  guint width = 0;

  for (guint i = 0; i < lists->len; i++)
    width = MAX(width, ((GPtrArray *)lists->pdata[i])->len);
  dims.d[dims.n++] = width;
  out = data_output(args, 0, INFER_TYPE_STRING, &dims, error);
  counts = out ? data_output(args, 1, INFER_TYPE_INT64, &args->in[0]->dims, error) : NULL;
  for (guint i = 0; counts && i < lists->len; i++) {
    const GPtrArray *parts = lists->pdata[i];

    ((gint64 *)counts->data)[i] = parts->len;
    for (guint k = 0; k < parts->len; k++)
      infer_array_set_string(out, (gsize)i * width + k, parts->pdata[k]);
  }
  return counts != NULL;
}

static gboolean
split_eval(const InferEvalArgs *args, GError **error)
{
  g_autoptr(GPtrArray) lists = g_ptr_array_new_with_free_func(unref_parts);
  const char *delimiter = infer_node_get_string(args->node, "delimiter", "");
  gint64 most = infer_node_get_int(args->node, "maxsplit", -1);

  for (gint64 i = 0; i < infer_array_count(args->in[0]); i++) {
    const char *text = infer_array_get_string(args->in[0], (gsize)i);
    GPtrArray *parts = g_ptr_array_new_with_free_func(g_free);

    g_ptr_array_add(lists, parts);
    if (!g_utf8_validate(text, -1, NULL))
      return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT,
                            "element %" G_GINT64_FORMAT " is not UTF-8", i);
    if (delimiter[0])
      split_at(text, delimiter, most, parts);
    else
      split_spaces(text, most, parts);
  }
  return write_parts(args, lists, error);
}

/* --- normalizing --- */

static const char *const changes[] = {"NONE", "LOWER", "UPPER", NULL};

static gboolean
normalize_infer(InferShapeArgs *args, GError **error)
{
  const char *change = infer_node_get_string(args->node, "case_change_action", "NONE");
  const InferDims *in = &args->in[0].dims;
  InferDims dims = *in;

  if (!require_string(args, 0, error))
    return FALSE;
  if (!g_strv_contains(changes, change))
    return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT,
                          "case_change_action is '%.32s', it can be NONE, LOWER or UPPER", change);
  if (in->n == 0 || in->n > 2 || (in->n == 2 && in->d[0] >= 0 && in->d[0] != 1)) {
    g_autofree char *text = infer_dims_to_string(in);
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "input 0 is %s; a vector or a matrix of one row is needed", text);
  }
  if (in->n == 2)
    dims.d[0] = 1;
  if (in->n > 0)
    dims.d[in->n - 1] = INFER_DIM_UNKNOWN;
  return data_set(args, 0, INFER_TYPE_STRING, &dims, error);
}

static GHashTable *
read_stopwords(const InferNode *node, gboolean exact)
{
  GHashTable *words = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  gsize n;
  g_auto(GStrv) list = infer_op_strings(node, "stopwords", &n);

  for (gsize i = 0; i < n; i++)
    g_hash_table_add(words, exact ? g_strdup(list[i]) : g_utf8_casefold(list[i], -1));
  return words;
}

static gboolean
keep_words(const InferEvalArgs *args, GPtrArray *kept, GError **error)
{
  const gboolean exact = infer_node_get_int(args->node, "is_case_sensitive", 0) != 0;
  const char *change = infer_node_get_string(args->node, "case_change_action", "NONE");
  g_autoptr(GHashTable) words = read_stopwords(args->node, exact);

  for (gint64 i = 0; i < infer_array_count(args->in[0]); i++) {
    const char *text = infer_array_get_string(args->in[0], (gsize)i);
    g_autofree char *folded = NULL;

    if (!g_utf8_validate(text, -1, NULL))
      return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT,
                            "element %" G_GINT64_FORMAT " is not UTF-8", i);
    folded = exact ? g_strdup(text) : g_utf8_casefold(text, -1);
    if (!g_hash_table_contains(words, folded))
      g_ptr_array_add(kept, change[0] == 'L'   ? g_utf8_strdown(text, -1)
                            : change[0] == 'U' ? g_utf8_strup(text, -1)
                                               : g_strdup(text));
  }
  return TRUE;
}

static gboolean
normalize_eval(const InferEvalArgs *args, GError **error)
{
  g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func(g_free);
  InferDims dims = args->in[0]->dims;
  InferArray *out;

  if (!keep_words(args, kept, error))
    return FALSE;
  /* Where nothing is left, one empty string is. */
  dims.d[dims.n - 1] = MAX(kept->len, 1);
  out = data_output(args, 0, INFER_TYPE_STRING, &dims, error);
  for (guint i = 0; out && i < kept->len; i++)
    infer_array_set_string(out, i, kept->pdata[i]);
  return out != NULL;
}

static const InferAttrSpec split_attrs[] = {
    {"delimiter", 's', FALSE}, {"maxsplit", 'i', FALSE}, {NULL, 0, FALSE}};
/* The locale is not looked at: Unicode's own rules change the case. */
static const InferAttrSpec normalize_attrs[] = {{"case_change_action", 's', FALSE},
                                                {"is_case_sensitive", 'i', FALSE},
                                                {"locale", 's', FALSE},
                                                {"stopwords", 'S', FALSE},
                                                {NULL, 0, FALSE}};

static const InferOp concat = {.name = "StringConcat",
                               .version = 20,
                               .min_inputs = 2,
                               .max_inputs = 2,
                               .min_outputs = 1,
                               .max_outputs = 1,
                               .infer = concat_infer,
                               .eval = concat_eval};
static const InferOp split = {.name = "StringSplit",
                              .version = 20,
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .min_outputs = 2,
                              .max_outputs = 2,
                              .attrs = split_attrs,
                              .infer = split_infer,
                              .eval = split_eval};
static const InferOp normalize = {.name = "StringNormalizer",
                                  .version = 10,
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .min_outputs = 1,
                                  .max_outputs = 1,
                                  .attrs = normalize_attrs,
                                  .infer = normalize_infer,
                                  .eval = normalize_eval};

const InferOp *const infer_ops_string[] = {&concat, &split, &normalize, NULL};
