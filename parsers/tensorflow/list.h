/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "import.h"

G_BEGIN_DECLS

typedef enum { TF_VARIABLE, TF_LIST, TF_SLOT } TfThingKind;

/**
 * TfThing:
 * @kind: a variable; a list of tensors (TensorList or TensorArray); or a list that a loop of the
 *   engine fills, which can only be written to
 * @variable: the node that makes the variable
 * @type: element type of a list
 * @stacked: (nullable): all of a list's tensors along a first axis
 * @items: (nullable): of InferTensor, a list's tensors one by one; NULL where one is not set yet
 * @length: (nullable): how many there are in a list of which nothing is set
 * @index: (nullable): where an iteration writes to
 * @item: (nullable): what it writes
 */
struct _TfThing {
  TfThingKind kind;
  const TfDef *variable;
  InferType type;
  InferTensor *stacked;
  GPtrArray *items;
  InferTensor *length;
  InferTensor *index;
  InferTensor *item;
};

/** tf_thing_new: Returns: (transfer none): it belongs to the import. */
TfThing *tf_thing_new(TfImport *im, TfThingKind kind);
/** tf_thing_in: Returns: (nullable): what input @index is where it is no tensor. */
TfThing *tf_thing_in(TfNode *node, guint index);
gboolean tf_out_thing(TfNode *node, guint port, TfThing *thing);
gboolean tf_thing_is_list(const TfThing *thing);
/** tf_list_is_open: a list of which nothing is set, so that a loop can fill it. */
gboolean tf_list_is_open(const TfThing *list);
/** tf_list_of_tensor: a list of the parts of @stacked along its first axis. */
TfThing *tf_list_of_tensor(TfImport *im, InferTensor *stacked);
/** tf_list_stacked: all of a list in one tensor. */
InferTensor *tf_list_stacked(TfImport *im, TfNode *node, TfThing *list, GError **error);

G_END_DECLS
