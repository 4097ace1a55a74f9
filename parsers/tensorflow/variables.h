/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "graph.h"

G_BEGIN_DECLS

/**
 * tf_variables_open:
 * @model: a model whose graph is known
 * @folder: of the SavedModel
 *
 * Opens the checkpoint in "variables/" of @folder, where there is one, and finds out which of its
 * entries is which variable of the graph.
 */
gboolean tf_variables_open(TfModel *model, const char *folder, GError **error);
void tf_variables_free(TfVariables *variables);

/**
 * tf_variables_read:
 * @variables: (nullable): what was opened
 * @variable: the node that makes the variable
 *
 * Returns: (transfer full) (nullable): its contents, mapped where they can be
 */
InferArray *tf_variables_read(TfVariables *variables, const TfDef *variable, GError **error);

/* bundle.c */

/** TfBundle: a checkpoint: an index and files ("shards") of data. */
typedef struct _TfBundle TfBundle;

/** tf_bundle_open: Returns: (nullable): the checkpoint "variables/variables" in @folder; NULL
 *  without an error where there is none. */
TfBundle *tf_bundle_open(const char *folder, GError **error);
void tf_bundle_free(TfBundle *bundle);
gboolean tf_bundle_has(const TfBundle *bundle, const char *key);
/** tf_bundle_read: Returns: (transfer full) (nullable): the contents of an entry, put together
 *  where they are stored in slices. */
InferArray *tf_bundle_read(TfBundle *bundle, const char *key, GError **error);

G_END_DECLS
