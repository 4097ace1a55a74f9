/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/einsum-equation.h"

#include <string.h>

#define ELLIPSIS 52

typedef struct {
  const InferNode *node;
  gint ellipsis; /* dimensions it stands for; -1 where that is not known */
  guint count[INFER_EINSUM_LABELS];
} Reader;

static gint
label_of(char c)
{
  if (g_ascii_isupper(c))
    return c - 'A';
  return g_ascii_islower(c) ? c - 'a' + 26 : -1;
}

/* Reads up to a comma, an arrow or the end. Returns: where it stopped, or NULL. */
static const char *
read_term(const InferNode *node, const char *text, InferEinsumTerm *term, GError **error)
{
  *term = (InferEinsumTerm){.n = 0, .ellipsis = -1};
  for (; *text && *text != ',' && *text != '-'; text++) {
    if (*text == ' ')
      continue;
    if (strncmp(text, "...", 3) == 0 && term->ellipsis < 0) {
      term->ellipsis = term->n;
      text += 2;
      continue;
    }
    if (label_of(*text) < 0 || term->n == INFER_MAX_DIMS) {
      infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                     "the equation has '%.8s' where a letter, an ellipsis, ',' or '->' is needed, "
                     "or a term of more than %d letters",
                     text, INFER_MAX_DIMS);
      return NULL;
    }
    term->labels[term->n++] = (guint8)label_of(*text);
  }
  return text;
}

const char *
infer_einsum_next(const char *text, InferEinsumTerm *term)
{
  const char *end = read_term(NULL, text, term, NULL);

  return *end == ',' ? end + 1 : end;
}

void
infer_einsum_expand(const InferEinsumTerm *term, gint rank, guint8 *labels)
{
  gint before = term->ellipsis < 0 ? term->n : term->ellipsis, more = rank - term->n;

  for (gint i = 0; i < rank; i++)
    if (i < before)
      labels[i] = term->labels[i];
    else if (i < before + more)
      labels[i] = (guint8)(ELLIPSIS + before + more - 1 - i);
    else
      labels[i] = term->labels[i - more];
}

/* A dimension of 1 broadcasts; what is not known is taken for equal. */
static gboolean
merge(const InferNode *node, gint64 *size, gint64 dim, GError **error)
{
  if (*size == 1 || *size == dim) {
    *size = dim;
    return TRUE;
  }
  if (dim == 1)
    return TRUE;
  if (*size >= 0 && dim >= 0)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "one letter stands for %" G_GINT64_FORMAT " and for %" G_GINT64_FORMAT,
                          *size, dim);
  *size = *size >= 0 || dim >= 0 ? MAX(*size, dim) : INFER_DIM_UNKNOWN;
  return TRUE;
}

static gboolean
use_term(Reader *reader, InferEinsum *e, const InferEinsumTerm *term, guint index,
         const InferDims *dims, GError **error)
{
  guint8 labels[INFER_MAX_DIMS];
  gint rank = dims->n < 0 && term->ellipsis < 0 ? term->n : dims->n;

  if (dims->n >= 0 && (term->ellipsis < 0 ? dims->n != term->n : dims->n < term->n))
    return infer_op_error(reader->node, error, INFER_ERROR_SHAPE,
                          "input %u has %d dimensions, its term has %d letters", index, dims->n,
                          term->n);
  if (rank < 0) {
    reader->ellipsis = -1;
    rank = term->n;
    memcpy(labels, term->labels, sizeof labels);
  } else {
    infer_einsum_expand(term, rank, labels);
    if (reader->ellipsis >= 0)
      reader->ellipsis = MAX(reader->ellipsis, rank - term->n);
  }
  for (gint i = 0; i < rank; i++) {
    gint64 dim = dims->n < 0 ? INFER_DIM_UNKNOWN : dims->d[i];

    if (e->last_use[labels[i]] == 0)
      e->size[labels[i]] = dim;
    else if (!merge(reader->node, &e->size[labels[i]], dim, error))
      return FALSE;
    e->last_use[labels[i]] = index + 1;
    reader->count[labels[i]]++;
  }
  return TRUE;
}

static gboolean
refuse_rank(const InferNode *node, GError **error)
{
  return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                        "the output has more than %d dimensions", INFER_MAX_DIMS);
}

/* Without an arrow: the ellipsis, then the letters that are there once, in ASCII's order. */
static gboolean
implicit_output(Reader *reader, InferEinsum *e, GError **error)
{
  e->n_out = reader->ellipsis;
  for (gint i = 0; i < reader->ellipsis; i++)
    e->out[i] = (guint8)(ELLIPSIS + reader->ellipsis - 1 - i);
  for (gint i = 0; i < ELLIPSIS && e->n_out >= 0; i++) {
    if (reader->count[i] != 1)
      continue;
    if (e->n_out == INFER_MAX_DIMS)
      return refuse_rank(reader->node, error);
    e->out[e->n_out++] = (guint8)i;
  }
  return TRUE;
}

static gboolean
explicit_output(Reader *reader, InferEinsum *e, const char *text, GError **error)
{
  InferEinsumTerm term;
  const char *end = read_term(reader->node, text, &term, error);

  if (!end)
    return FALSE;
  if (*end)
    return infer_op_error(reader->node, error, INFER_ERROR_ARGUMENT,
                          "the equation goes on with '%.8s' after the output", end);
  for (gint i = 0; i < term.n; i++)
    if (e->last_use[term.labels[i]] == 0 || memchr(term.labels, term.labels[i], (gsize)i))
      return infer_op_error(reader->node, error, INFER_ERROR_ARGUMENT,
                            "letter %d of the output is in no input, or twice", i);
  if (term.ellipsis >= 0 && reader->ellipsis < 0) {
    e->n_out = -1;
    return TRUE;
  }
  e->n_out = term.n + (term.ellipsis >= 0 ? reader->ellipsis : 0);
  if (e->n_out > INFER_MAX_DIMS)
    return refuse_rank(reader->node, error);
  infer_einsum_expand(&term, e->n_out, e->out);
  return TRUE;
}

gboolean
infer_einsum_read(const InferNode *node, const InferDims *const *dims, guint n, InferEinsum *e,
                  GError **error)
{
  const char *text = infer_node_get_string(node, "equation", "");
  Reader reader = {.node = node};
  InferEinsumTerm term;

  memset(e, 0, sizeof *e);
  for (guint i = 0; i < n; i++) {
    text = read_term(node, text, &term, error);
    if (!text || !use_term(&reader, e, &term, i, dims[i], error))
      return FALSE;
    if ((*text == ',') != (i + 1 < n))
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                            "the equation has %s terms than the %u inputs",
                            *text == ',' ? "more" : "fewer", n);
    text += *text == ',';
  }
  if (!*text)
    return implicit_output(&reader, e, error);
  if (strncmp(text, "->", 2) != 0)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "the equation has '%.8s', not '->'",
                          text);
  return explicit_output(&reader, e, text + 2, error);
}
