/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "device.cuh"

/*
 * The next numbers of a list in ascending order, by one block. Numbers differ from each other, so
 * that what comes next is the same whatever order the list has.
 */

#define SELECT_NONE 0xffffffffffffffffull

typedef struct {
  uint32_t histogram[256];
  uint32_t count, digit, left;
} Selection;

/* Sorts @size numbers in shared memory, a power of two (Batcher 1968). */
static __device__ void
sort_shared(uint64_t *keys, uint32_t size, uint32_t threads)
{
  for (uint32_t span = 2; span <= size; span *= 2)
    for (uint32_t step = span / 2; step > 0; step /= 2) {
      __syncthreads();
      for (uint32_t t = threadIdx.x; t < size / 2; t += threads) {
        uint32_t low = 2 * t - (t & (step - 1)), high = low + step;
        uint64_t a = keys[low], b = keys[high];

        if ((a > b) == ((low & span) == 0)) {
          keys[low] = b;
          keys[high] = a;
        }
      }
    }
  __syncthreads();
}

/*
 * Puts the least @chunk numbers of read(0 .. n - 1) that are at least @from into @keys, in order,
 * SELECT_NONE after them. Where there are more, the last of them is found digit by digit. @chunk is
 * a power of two. Returns how many there are.
 */
template <typename Read>
static __device__ uint32_t
select_next(Read read, uint32_t n, uint64_t from, uint64_t *keys, uint32_t chunk, uint32_t threads,
            Selection *s)
{
  uint64_t prefix = 0;
  int shift = 64;

  if (threadIdx.x == 0)
    s->left = chunk;
  __syncthreads();
  /* Digits of the last number wanted; one pass is enough where all fit. */
  for (bool more = true; more && shift > 0;) {
    uint64_t above = shift == 64 ? 0 : ~(uint64_t)0 << shift;

    for (uint32_t i = threadIdx.x; i < 256; i += threads)
      s->histogram[i] = 0;
    __syncthreads();
    shift -= 8;
    for (uint32_t i = threadIdx.x; i < n; i += threads) {
      uint64_t key = read(i);

      if (key >= from && key != SELECT_NONE && ((key ^ prefix) & above) == 0)
        atomicAdd(&s->histogram[(key >> shift) & 255], 1u);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      uint32_t digit = 0, left = s->left;

      while (digit < 255 && s->histogram[digit] < left)
        left -= s->histogram[digit++];
      s->digit = digit;
      /* Everything up to this digit fits exactly, or there is nothing more at all. */
      s->count = s->histogram[digit] > left;
      s->left = left;
    }
    __syncthreads();
    prefix |= (uint64_t)s->digit << shift;
    more = s->count != 0;
    __syncthreads();
  }
  uint64_t last = prefix | (((uint64_t)1 << shift) - 1);

  if (threadIdx.x == 0)
    s->count = 0;
  for (uint32_t i = threadIdx.x; i < chunk; i += threads)
    keys[i] = SELECT_NONE;
  __syncthreads();
  for (uint32_t i = threadIdx.x; i < n; i += threads) {
    uint64_t key = read(i);

    if (key >= from && key <= last && key != SELECT_NONE)
      keys[atomicAdd(&s->count, 1u)] = key;
  }
  __syncthreads();
  uint32_t found = s->count;
  sort_shared(keys, chunk, threads);
  return found;
}
