/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "list.h"
#include "routine.h"

TfBody *
tf_body_open(TfImport *im)
{
  TfBody *body = g_new0(TfBody, 1);

  body->around = im->network;
  body->network = infer_network_new();
  body->captures = g_ptr_array_new();
  /* Dimensions name symbols by number. */
  for (guint i = 0; i < infer_network_get_n_symbols(im->network); i++) {
    const InferSymbol *symbol = infer_network_get_symbol(im->network, i);
    infer_network_add_symbol(body->network, symbol->name, symbol->min, symbol->opt, symbol->max);
  }
  im->network = body->network;
  return body;
}

void
tf_body_close(TfImport *im, TfBody *body)
{
  im->network = body->around;
}

void
tf_body_free(TfBody *body)
{
  g_object_unref(body->network);
  g_ptr_array_unref(body->captures);
  g_free(body);
}

static InferTensor *
capture_tensor(TfBody *body, InferTensor *outer, GError **error)
{
  g_autoptr(InferArray) known = parsers_known(outer);

  if (known) {
    return infer_network_add_constant(body->network, outer->name, known);
  }
  g_autofree char *name = g_strdup_printf("%s.%u", outer->name, body->captures->len);
  while (infer_network_find_tensor(body->network, name)) {
    char *longer = g_strconcat(name, "'", NULL);
    g_free(name);
    name = longer;
  }
  g_ptr_array_add(body->captures, outer);
  return infer_network_add_input_value(body->network, name, INFER_KIND_TENSOR, outer->type,
                                       &outer->dims, error);
}

gboolean
tf_body_capture(TfImport *im, TfBody *body, TfNode *node, const TfValue *outer, TfValue *inner,
                GError **error)
{
  *inner = (TfValue){.dead = outer->dead};
  if (outer->thing) {
    InferTensor *stacked = NULL;
    if (tf_thing_is_list(outer->thing)) {
      im->network = body->around;
      stacked = tf_list_stacked(im, node, outer->thing, error);
      im->network = body->network;
      stacked = stacked ? capture_tensor(body, stacked, error) : NULL;
      if (!stacked) {
        return FALSE;
      }
    }
    inner->thing = stacked ? tf_list_of_tensor(im, stacked) : outer->thing;
    return TRUE;
  }
  if (outer->tf) {
    inner->tf = capture_tensor(body, outer->tf, error);
  } else if (outer->nchw) {
    inner->nchw = capture_tensor(body, outer->nchw, error);
  }
  return inner->tf || inner->nchw || outer->dead;
}
