/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "detect.h"
#include "select.cuh"

/*
 * infer.BoxDecode and infer.DetectionNMS with the results of nms-core.h: each list of candidates is
 * suppressed by a block of its own, in chunks of sorted candidates; then a block per image puts
 * the detections of all lists in order. Lists grow in any order, but what they are sorted by
 * differs in all their members, so that results do not depend on it.
 */

#define THREADS INFER_CUDA_NMS_THREADS
#define CHUNK INFER_CUDA_NMS_CHUNK
#define LEAST(a, b) ((a) < (b) ? (a) : (b))
#define MOST(a, b) ((a) > (b) ? (a) : (b))

INFER_KERNEL(THREADS)
infer_boxdecode(float *boxes, const float *codes, const float *anchors, const InferCudaDecode args)
{
  uint32_t i = blockIdx.x * THREADS + threadIdx.x;

  if (i >= args.n_boxes)
    return;
  uint32_t image = infer_cuda_divide(i, args.anchors);
  const float *code = codes + (int64_t)i * 4;
  const float *anchor = anchors + (int64_t)(i - image * args.anchors.divisor) * 4;

  for (int k = 0; k < 2; k++) {
    float size = anchor[k + 2] - anchor[k];
    float at = add(mul(code[k] / args.scale[k], size), add(anchor[k], mul(0.5f, size)));
    /* By way of a double, which rounds as the host's expf() nearly everywhere. */
    float grown = (float)exp((double)(code[k + 2] / args.scale[k + 2]));
    float half = mul(mul(0.5f, grown), size), low = at - half, high = at + half;

    if (args.clip) {
      low = fminf(fmaxf(low, 0.0f), 1.0f);
      high = fminf(fmaxf(high, 0.0f), 1.0f);
    }
    boxes[(int64_t)i * 4 + k] = low;
    boxes[(int64_t)i * 4 + k + 2] = high;
  }
}

struct Box {
  float low[2], high[2], area;
};

static __device__ Box
make_box(const float *corners)
{
  Box box;

  for (int i = 0; i < 2; i++) {
    box.low[i] = LEAST(corners[i], corners[i + 2]);
    box.high[i] = MOST(corners[i], corners[i + 2]);
  }
  box.area = mul(box.high[0] - box.low[0], box.high[1] - box.low[1]);
  return box;
}

static __device__ bool
overlaps(const Box &a, const Box &b, float threshold)
{
  if (!(a.area > 0) || !(b.area > 0))
    return 0 > threshold;
  float height = LEAST(a.high[0], b.high[0]) - MOST(a.low[0], b.low[0]);
  float width = LEAST(a.high[1], b.high[1]) - MOST(a.low[1], b.low[1]);
  float both = mul(MOST(height, 0.0f), MOST(width, 0.0f));

  return both / add(add(a.area, b.area), -both) > threshold;
}

static __device__ bool
clip_box(const InferCudaNms &nms, const float *corners, float *clipped)
{
  for (int i = 0; i < 4; i++) {
    float v = corners[i], low = nms.window[i & 1], high = nms.window[(i & 1) + 2];

    v = v > high ? high : v;
    clipped[i] = v < low ? low : v;
  }
  return mul(clipped[2] - clipped[0], clipped[3] - clipped[1]) > 0;
}

static __device__ const float *
corners_of(const InferCudaNms &nms, const float *boxes, int64_t image, uint32_t box,
           uint32_t column)
{
  return boxes +
         4 * ((image * nms.n_boxes + box) * nms.box_classes + (nms.box_classes > 1 ? column : 0));
}

/* Every score above the threshold enters the list of its class. */
INFER_KERNEL(THREADS)
infer_nms_gather(const float *scores, const float *threshold, unsigned char *workspace,
                 const InferCudaNms nms)
{
  uint32_t *counts = (uint32_t *)(workspace + nms.counts);
  uint64_t *candidates = (uint64_t *)(workspace + nms.candidates);
  int64_t size = nms.n_boxes * nms.n_classes, image = blockIdx.y;

  for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < size;
       i += (int64_t)gridDim.x * THREADS) {
    int64_t box = i / nms.n_classes, column = i - box * nms.n_classes;
    int64_t list = image * nms.lists + column;
    float score = scores[image * size + i];

    if (score > *threshold && column != nms.background)
      candidates[list * nms.n_boxes + atomicAdd(&counts[list], 1u)] =
          infer_cuda_pack(score, (uint32_t)box);
  }
}

/* Every box enters the one list of its image with its best class, the lowest of equals. */
INFER_KERNEL(THREADS)
infer_nms_gather_best(const float *scores, const float *threshold, unsigned char *workspace,
                      const InferCudaNms nms)
{
  uint32_t *counts = (uint32_t *)(workspace + nms.counts);
  uint64_t *candidates = (uint64_t *)(workspace + nms.candidates);
  uint32_t *best = (uint32_t *)(workspace + nms.best);
  int64_t image = blockIdx.y, box = (int64_t)blockIdx.x * THREADS + threadIdx.x, most = -1;

  if (box >= nms.n_boxes)
    return;
  const float *row = scores + (image * nms.n_boxes + box) * nms.n_classes;
  for (int64_t c = 0; c < nms.n_classes; c++)
    if (c != nms.background && row[c] > *threshold && (most < 0 || row[c] > row[most]))
      most = c;
  if (most < 0)
    return;
  best[image * nms.n_boxes + box] = (uint32_t)most;
  candidates[image * nms.n_boxes + atomicAdd(&counts[image], 1u)] =
      infer_cuda_pack(row[most], (uint32_t)box);
}

struct ReadList {
  const uint64_t *list;
  __device__ __forceinline__ uint64_t operator()(uint32_t i) const
  {
    return list[i];
  }
};

/*
 * Greedy suppression of one list. Of a chunk of sorted candidates, each is first compared with all
 * that were kept before; then the block walks through them, and what is kept is compared with all
 * that come after it at once.
 */
INFER_KERNEL(THREADS)
infer_nms_suppress(const float *boxes, const float *threshold, unsigned char *workspace,
                   const InferCudaNms nms)
{
  __shared__ uint64_t keys[CHUNK];
  __shared__ Box chunk[CHUNK];
  __shared__ uint8_t dead[CHUNK];
  __shared__ Selection selection;
  int64_t list = blockIdx.x, image = list / nms.lists;
  uint32_t *counts = (uint32_t *)(workspace + nms.counts);
  const uint32_t *best = (const uint32_t *)(workspace + nms.best) + image * nms.n_boxes;
  uint32_t *ranks = (uint32_t *)(workspace + nms.boxes) + list * nms.kept;
  uint64_t *hits = (uint64_t *)(workspace + nms.hits) + image * nms.lists * nms.kept;
  Box *areas = (Box *)(workspace + nms.areas) + list * nms.kept;
  ReadList read = {(const uint64_t *)(workspace + nms.candidates) + list * nms.n_boxes};
  uint32_t n = counts[list], column = (uint32_t)(list - image * nms.lists), kept = 0;
  uint64_t from = 0;
  float limit = *threshold;

  for (uint32_t done = 0; done < n && kept < nms.kept;) {
    uint32_t found = select_next(read, n, from, keys, CHUNK, THREADS, &selection);

    if (found == 0)
      break;
    done += found;
    from = keys[found - 1] + 1;
    for (uint32_t i = threadIdx.x; i < found; i += THREADS) {
      uint32_t box = (uint32_t)keys[i];
      bool gone = false;

      chunk[i] = make_box(corners_of(nms, boxes, image, box, nms.agnostic ? best[box] : column));
      for (uint32_t k = 0; k < kept && !gone; k++)
        gone = overlaps(areas[k], chunk[i], limit);
      dead[i] = gone;
    }
    __syncthreads();
    for (uint32_t i = 0; i < found && kept < nms.kept; i++) {
      /* The same for all threads: whoever may change it does so before a barrier. */
      if (dead[i])
        continue;
      if (threadIdx.x == 0) {
        uint32_t box = (uint32_t)keys[i];
        float clipped[4];

        areas[kept] = chunk[i];
        ranks[kept] = box;
        if (!nms.clip ||
            clip_box(nms, corners_of(nms, boxes, image, box, nms.agnostic ? best[box] : column),
                     clipped))
          hits[atomicAdd(&counts[nms.batch * nms.lists + image], 1u)] = infer_cuda_pack(
              infer_cuda_packed_score(keys[i]), (uint32_t)(column * nms.kept + kept));
      }
      kept++;
      for (uint32_t k = i + 1 + threadIdx.x; k < found; k += THREADS)
        if (!dead[k] && overlaps(chunk[i], chunk[k], limit))
          dead[k] = 1;
      __syncthreads();
    }
    __syncthreads();
  }
}

/* The best detections of an image, and zeros after them. Outputs may be NULL. */
INFER_KERNEL(THREADS)
infer_nms_write(float *out_boxes, float *out_scores, float *out_classes, float *out_counts,
                const float *boxes, const unsigned char *workspace, const InferCudaNms nms)
{
  __shared__ uint64_t keys[CHUNK];
  __shared__ Selection selection;
  int64_t image = blockIdx.x;
  uint32_t n = ((const uint32_t *)(workspace + nms.counts))[nms.batch * nms.lists + image];
  uint32_t rows = (uint32_t)nms.total, end = n < rows ? n : rows;
  const uint32_t *best = (const uint32_t *)(workspace + nms.best) + image * nms.n_boxes;
  const uint32_t *ranks = (const uint32_t *)(workspace + nms.boxes) + image * nms.lists * nms.kept;
  ReadList read = {(const uint64_t *)(workspace + nms.hits) + image * nms.lists * nms.kept};
  uint64_t from = 0;

  for (uint32_t done = 0; done < end;) {
    uint32_t found = select_next(read, n, from, keys, CHUNK, THREADS, &selection);

    if (found == 0)
      break;
    from = keys[found - 1] + 1;
    for (uint32_t i = threadIdx.x; i < found && done + i < end; i += THREADS) {
      uint32_t place = (uint32_t)keys[i], box = ranks[place];
      uint32_t column = nms.agnostic ? best[box] : place / (uint32_t)nms.kept;
      const float *corners = corners_of(nms, boxes, image, box, column);
      int64_t row = image * nms.total + done + i;
      float clipped[4];

      clip_box(nms, corners, clipped);
      for (int k = 0; out_boxes && k < 4; k++)
        out_boxes[4 * row + k] = nms.clip ? clipped[k] : corners[k];
      if (out_scores)
        out_scores[row] = infer_cuda_packed_score(keys[i]);
      if (out_classes)
        out_classes[row] = (float)(nms.class_offset + (int64_t)column);
    }
    done += found;
    __syncthreads();
  }
  for (uint32_t i = end + threadIdx.x; i < rows; i += THREADS) {
    int64_t row = image * nms.total + i;

    for (int k = 0; out_boxes && k < 4; k++)
      out_boxes[4 * row + k] = 0;
    if (out_scores)
      out_scores[row] = 0;
    if (out_classes)
      out_classes[row] = (float)nms.class_offset;
  }
  if (threadIdx.x == 0 && out_counts)
    out_counts[image] = (float)end;
}
