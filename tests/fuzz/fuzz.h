/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * A fuzz target is a file with LLVMFuzzerTestOneInput() and fuzz_seeds(). Linked with driver.c it
 * is a test of a fixed number of random changes to the seeds; linked by clang with
 * -fsanitize=fuzzer it is a fuzzer, and `driver --write-seeds DIR` writes its corpus.
 */

/** LLVMFuzzerTestOneInput: takes any bytes and never crashes. Returns: 0 */
int LLVMFuzzerTestOneInput(const guint8 *data, gsize size);

/** fuzz_seeds: Returns: (transfer full) (element-type GBytes): inputs that are valid */
GPtrArray *fuzz_seeds(void);
