/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/parsers.h>

G_BEGIN_DECLS

/* What parsers do to networks that they have made only in part. */

/** parsers_prune: Returns: (transfer full) (nullable): a copy with only what the outputs need. */
InferNetwork *parsers_prune(InferNetwork *from, GError **error);

/** parsers_known: Returns: (transfer full) (nullable): the contents of a tensor where all are
 *  known, as a constant or by shape inference. */
InferArray *parsers_known(const InferTensor *tensor);

/** parsers_tell_problems: hands each of @problems to who asked for them. Returns: all in one
 *  message, so that a user sees at once what a model needs; @what is a "node" or a "layer". */
char *parsers_tell_problems(const InferParseOptions *options, const GPtrArray *problems,
                            const char *what);

/** parsers_find_shape: the dimensions that @options say for the input @name, the first of which,
 * the batch, is open; only the batch where they say none. Returns: FALSE where they are no numbers.
 */
gboolean parsers_find_shape(const InferParseOptions *options, const char *name, InferDims *dims,
                            GError **error);

/** parsers_join_dims: leaves of @dims what @other has too, as what goes round a loop needs.
 *  Returns: whether that changed it. */
gboolean parsers_join_dims(InferDims *dims, const InferDims *other);

G_END_DECLS
