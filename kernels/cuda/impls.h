/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "backend.h"

G_BEGIN_DECLS

/** Implementations of an operator, the most specialised first, %NULL-terminated. */
typedef struct {
  const char *op;
  const InferImpl *const *impls;
} InferCudaOp;

G_END_DECLS
