/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "shared.h"

#include <string.h>

/* Detection: what engine/ops/nms-core.h does, spread over blocks. */

#define INFER_CUDA_NMS_THREADS 256
/** Candidates that a block sorts at once. */
#define INFER_CUDA_NMS_CHUNK 512

/**
 * InferCudaNms:
 * @lists: lists of candidates of an image: its classes, or 1 where @agnostic
 * @kept: most boxes that one suppression keeps
 * @total: rows of the output
 *
 * Offsets are of parts of the workspace, in bytes from its start: @counts of each list, then of
 * the hits of each image; @candidates, packed as infer_nms_pack() does; @best, the class of each
 * box; @boxes, what each list has kept, by rank; @hits of an image, score and place packed; @areas,
 * the corners in order and the area of what was kept.
 */
typedef struct {
  int64_t batch, n_boxes, n_classes, box_classes, lists, kept, total, background, class_offset;
  int32_t agnostic, clip;
  float window[4];
  uint64_t counts, candidates, best, boxes, hits, areas;
} InferCudaNms;

/** infer_cuda_pack: the least number is the best: the highest score, of equal ones the lowest
 *  @place. */
INFER_BOTH uint64_t
infer_cuda_pack(float score, uint32_t place)
{
  uint32_t bits;

  score = score == 0 ? 0 : score;
  memcpy(&bits, &score, sizeof bits);
  bits = bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
  return (uint64_t)bits << 32 | place;
}

INFER_BOTH float
infer_cuda_packed_score(uint64_t packed)
{
  uint32_t bits = (uint32_t)(packed >> 32);
  float score;

  bits = bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
  memcpy(&score, &bits, sizeof score);
  return score;
}

/** InferCudaDecode: infer.BoxDecode. */
typedef struct {
  uint32_t n_boxes;
  InferCudaDivisor anchors;
  float scale[4];
  int32_t clip;
} InferCudaDecode;

/**
 * InferCudaTopK:
 * @n: elements of a row
 * @k: how many are wanted
 * @inner: distance of two elements of a row, and rows that lie between each other
 * @type: element type of 8 to 32 bits, or half floats
 */
typedef struct {
  int64_t n, k, inner;
  int32_t type, largest;
  uint32_t size;
} InferCudaTopK;
