/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Kernels of kernels/cuda/fixed compiled for the host: blocks run one after the other, and their
 * threads too, each on a stack of its own where the kernel has barriers. So tests see what a kernel
 * computes on machines without a GPU.
 */

typedef struct EmulateKernel EmulateKernel;

/** emulate_find: Returns: (nullable): the kernel of that name. */
const EmulateKernel *emulate_find(const char *name);

typedef struct {
  unsigned x, y, z;
} EmulateDims;

/** emulate_launch: as cuLaunchKernel(), at once. */
void emulate_launch(const EmulateKernel *kernel, EmulateDims grid, unsigned block, unsigned shared,
                    void **params);

#ifdef __cplusplus
}
#endif
