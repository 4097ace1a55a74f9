/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>

/*
 * A network against its own definition: built into an engine for a device, written to a plan,
 * loaded from its bytes and run on random inputs; each output is compared with the evaluation of
 * the nodes one by one in plain C. Inputs lie in the range that the tensor says, or between -1 and
 * 1; integers between 0 and 2.
 *
 * A difference may be @tolerance times 1 + |expected|. Returns: %FALSE with @error naming the
 * output and the element.
 */
gboolean net_check(InferNetwork *network, const char *device, guint rows, guint32 seed,
                   double tolerance, GError **error);

/* Evaluates the nodes in order. Returns: arrays by tensor; a full hash table. */
GHashTable *net_evaluate(InferNetwork *network, GPtrArray *inputs, GError **error);

/* Random inputs with @rows for every open dimension. */
GPtrArray *net_inputs(InferNetwork *network, guint rows, guint32 seed, GError **error);
