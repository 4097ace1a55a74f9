/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>

/* Networks with control flow, sequences and optionals. */

InferTensor *control_add(InferNetwork *network, const char *op, GVariant *attrs, guint n, ...);
InferTensor *control_number(InferNetwork *network, InferType type, double value);
InferTensor *control_input(InferNetwork *network, const char *name, InferType type, InferDims dims);
void control_output(InferNetwork *network, InferTensor *tensor, const char *name);

/* "yes" (bool) and "x" (float 3): "y" is x + 1, or x * 10 where "yes" is not true. */
InferNetwork *control_net_if(void);
/* "trips" (int64) and "x" (float 2): "sum" is x doubled so often; "steps" are the numbers between.
 */
InferNetwork *control_net_loop(void);
/* "list" (sequence of float), "at" (int64): "item" of the list, "count", "rest" without it. */
InferNetwork *control_net_sequence(void);
/* "maybe" (optional float): "has", and "value" which is 7 where there is none. */
InferNetwork *control_net_optional(void);
