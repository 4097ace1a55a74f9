/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "backend.h"

/* Runs an implementation of the CUDA backend on emulated kernels and compares it with eval; or the
 * whole operator on the device that INFER_CHECK_DEVICE names. */

#define CHECK_OPERANDS 6

/**
 * Check:
 * @in: operands; freed by check_run()
 * @varying: those that are no constants
 * @tolerance: of 1 + |expected|; 0 for the same bytes
 */
typedef struct {
  const char *op;
  const InferImpl *impl;
  GVariant *attrs;
  InferArray *in[CHECK_OPERANDS];
  gboolean varying[CHECK_OPERANDS];
  guint n_in, n_out;
  double tolerance;
} Check;

/** check_array: an array of random elements: integers below @limit, floats in -limit..limit. */
InferArray *check_array(InferType type, const InferDims *dims, double limit);
#define CHECK_ARRAY(TYPE, LIMIT, ...) check_array(TYPE, &INFER_DIMS(__VA_ARGS__), LIMIT)

/** check_ints: a vector of int64. */
InferArray *check_ints(gsize n, const gint64 *values);
#define CHECK_INTS(...)                                                                            \
  check_ints(sizeof((gint64[]){__VA_ARGS__}) / sizeof(gint64), (gint64[]){__VA_ARGS__})

/** check_device: Returns: (nullable): the device to run on instead of emulated kernels. */
const char *check_device(void);
/** check_main: runs GLib's tests. Returns: the status, 77 where there is no such device. */
int check_main(const char *device);
/** check_run: fails the test where a result differs. */
void check_run(Check *check);
