/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_regex[];

/* RegexFullMatch. ONNX asks for RE2's syntax, of which Perl's is a superset where it matters; the
 * library bounds the steps of a match, so that no pattern hangs. */

static GRegex *
compile(const InferNode *node, GError **error)
{
  const char *pattern = infer_node_get_string(node, "pattern", "");
  g_autofree char *whole = g_strdup_printf("\\A(?:%s)\\z", pattern);
  g_autoptr(GError) bad = NULL;
  GRegex *regex = g_regex_new(pattern, 0, 0, &bad);

  /* By itself first: brackets that close ours would be accepted. */
  if (regex) {
    g_regex_unref(regex);
    regex = g_regex_new(whole, 0, 0, &bad);
  }
  if (!regex)
    infer_op_error(node, error, INFER_ERROR_ARGUMENT, "pattern '%.64s': %s", pattern, bad->message);
  return regex;
}

static gboolean
match_infer(InferShapeArgs *args, GError **error)
{
  g_autoptr(GRegex) regex = compile(args->node, error);

  return regex && infer_op_require_type(args, 0, error, INFER_TYPE_STRING, INFER_TYPE_UNDEFINED) &&
         data_set(args, 0, INFER_TYPE_BOOL, &args->in[0].dims, error);
}

static gboolean
match_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *in = args->in[0];
  g_autoptr(GRegex) regex = compile(args->node, error);
  InferArray *out = regex ? data_output(args, 0, INFER_TYPE_BOOL, &in->dims, error) : NULL;

  for (gint64 i = 0; out && i < infer_array_count(in); i++) {
    const char *text = infer_array_get_string(in, (gsize)i);
    g_autoptr(GError) failed = NULL;

    if (!g_utf8_validate(text, -1, NULL))
      return infer_op_error(args->node, error, INFER_ERROR_ARGUMENT,
                            "element %" G_GINT64_FORMAT " is not UTF-8", i);
    ((guint8 *)out->data)[i] = g_regex_match_full(regex, text, -1, 0, 0, NULL, &failed) != FALSE;
    if (failed)
      return infer_op_error(args->node, error, INFER_ERROR_FAILED,
                            "element %" G_GINT64_FORMAT " cannot be matched: %s", i,
                            failed->message);
  }
  return out != NULL;
}

static const InferAttrSpec match_attrs[] = {{"pattern", 's', FALSE}, {NULL, 0, FALSE}};

static const InferOp match = {.name = "RegexFullMatch",
                              .version = 20,
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .attrs = match_attrs,
                              .infer = match_infer,
                              .eval = match_eval};

const InferOp *const infer_ops_regex[] = {&match, NULL};
