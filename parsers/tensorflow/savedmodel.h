/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "import.h"

G_BEGIN_DECLS

/** tf_signature_read: chooses the signature of a SavedModel, where there is one. */
void tf_signature_read(TfImport *im);
/** tf_signature_output: the tensor that the signature calls @name; @name itself for others. */
const char *tf_signature_output(const TfImport *im, const char *name);
/** tf_signature_outputs: adds all its outputs. Returns: whether there are any. */
gboolean tf_signature_outputs(const TfImport *im, GPtrArray *names);

G_END_DECLS
