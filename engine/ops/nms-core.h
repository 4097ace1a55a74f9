/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

/*
 * Non-maximum suppression of one image, as the multi-class post-processing of TensorFlow's Object
 * Detection API does it. Plain functions over row-major floats, shared by the reference and by
 * backends; nothing here allocates, and the result does not depend on anything but the arguments.
 *
 * Candidates of a class lie in a heap, of which only as many are taken as are needed. Classes are
 * read in groups, so that a row of scores is read once for a group, not once for a class. The best
 * detections of all classes so far are a sorted list of at most max_total; a class ends as soon as
 * its next candidate cannot enter that list. A box with a NaN overlaps no other.
 */

/**
 * InferNms:
 * @n_boxes: candidates of an image (A)
 * @n_classes: columns of the scores (C)
 * @box_classes: boxes per candidate: 1, or @n_classes where each class has its own
 * @max_per_class: most boxes that one suppression keeps
 * @max_total: rows of the output (K)
 * @background: a column of the scores to skip, or a number that is none
 * @class_offset: added to the column to give the class
 * @agnostic: one suppression over all classes; a box takes its best class, the lowest of equals
 * @clip: clip what was kept to @window and drop what has no area then
 * @window: in the order of the boxes' corners
 */
typedef struct {
  gsize n_boxes, n_classes, box_classes;
  gsize max_per_class, max_total;
  gint64 background, class_offset;
  gboolean agnostic, clip;
  float window[4];
} InferNms;

/** One detection that was kept; where it came from. */
typedef struct {
  float score;
  guint32 box, column;
} InferNmsHit;

/** A box that was kept, with its corners in order. */
typedef struct {
  float low[2], high[2], area;
} InferNmsBox;

/** Classes read together: one cache line of scores holds 16. */
#define INFER_NMS_GROUP 8

/** Parts of the scratch, each aligned to 8 bytes. */
typedef struct {
  guint64 *candidates[INFER_NMS_GROUP];
  gsize n_candidates[INFER_NMS_GROUP];
  InferNmsBox *kept;
  InferNmsHit *class_hits, *hits, *merged;
  guint32 *best; /* column of each box, agnostic only */
} InferNmsScratch;

static inline gsize
infer_nms_kept(const InferNms *nms)
{
  return MIN(nms->max_per_class, nms->n_boxes);
}

/* How many detections there can be at most. */
static inline gsize
infer_nms_total(const InferNms *nms)
{
  gsize all;
  if (__builtin_mul_overflow(infer_nms_kept(nms), nms->agnostic ? 1 : nms->n_classes, &all))
    return nms->max_total;
  return MIN(all, nms->max_total);
}

static inline gsize
infer_nms_take(gsize *offset, gsize bytes)
{
  gsize at = *offset;
  *offset += (bytes + 7) & ~(gsize)7;
  return at;
}

/* Lays the parts out from @memory on; only counts where that is NULL. Returns the bytes. */
static inline gsize
infer_nms_layout(const InferNms *nms, char *memory, InferNmsScratch *s)
{
  gsize total = infer_nms_total(nms), kept = infer_nms_kept(nms), offset = 0;
  gsize groups = nms->agnostic ? 1 : MIN(INFER_NMS_GROUP, nms->n_classes);
  gsize candidates = infer_nms_take(&offset, groups * nms->n_boxes * sizeof(guint64));
  gsize boxes = infer_nms_take(&offset, kept * sizeof(InferNmsBox));
  gsize class_hits = infer_nms_take(&offset, kept * sizeof(InferNmsHit));
  gsize hits = infer_nms_take(&offset, total * sizeof(InferNmsHit));
  gsize merged = infer_nms_take(&offset, total * sizeof(InferNmsHit));
  gsize best = infer_nms_take(&offset, nms->agnostic ? nms->n_boxes * sizeof(guint32) : 0);
  if (!memory)
    return offset;
  for (gsize i = 0; i < groups; i++)
    s->candidates[i] = (guint64 *)(memory + candidates) + i * nms->n_boxes;
  s->kept = (InferNmsBox *)(memory + boxes);
  s->class_hits = (InferNmsHit *)(memory + class_hits);
  s->hits = (InferNmsHit *)(memory + hits);
  s->merged = (InferNmsHit *)(memory + merged);
  s->best = (guint32 *)(memory + best);
  return offset;
}

/** infer_nms_scratch: bytes that infer_nms_run() needs, aligned to 8. */
static inline gsize
infer_nms_scratch(const InferNms *nms)
{
  return infer_nms_layout(nms, NULL, NULL);
}

/* Packs a score and a box so that the least number is the best candidate: the highest score,
 * of equal ones the lowest box. */
static inline guint64
infer_nms_pack(float score, guint32 box)
{
  guint32 bits;
  score = score == 0 ? 0 : score;
  memcpy(&bits, &score, sizeof bits);
  bits = bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
  return (guint64)bits << 32 | box;
}

static inline float
infer_nms_score(guint64 packed)
{
  guint32 bits = (guint32)(packed >> 32);
  float score;
  bits = bits & 0x80000000u ? bits : ~bits & 0x7fffffffu;
  memcpy(&score, &bits, sizeof score);
  return score;
}

/* A heap with the least number on top. */
static inline void
infer_nms_sift(guint64 *heap, gsize n, gsize at)
{
  guint64 value = heap[at];
  for (;;) {
    gsize child = 2 * at + 1;
    if (child >= n)
      break;
    if (child + 1 < n && heap[child + 1] < heap[child])
      child++;
    if (value <= heap[child])
      break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = value;
}

static inline const float *
infer_nms_corners(const InferNms *nms, const float *boxes, guint32 box, guint32 column)
{
  return boxes + 4 * ((gsize)box * nms->box_classes + (nms->box_classes > 1 ? column : 0));
}

static inline InferNmsBox
infer_nms_box(const float *corners)
{
  InferNmsBox box;
  for (guint i = 0; i < 2; i++) {
    box.low[i] = MIN(corners[i], corners[i + 2]);
    box.high[i] = MAX(corners[i], corners[i + 2]);
  }
  box.area = (box.high[0] - box.low[0]) * (box.high[1] - box.low[1]);
  return box;
}

/* Intersection over union; 0 where an area is not positive. */
static inline float
infer_nms_iou(const InferNmsBox *a, const InferNmsBox *b)
{
  if (!(a->area > 0) || !(b->area > 0))
    return 0;
  float height = MIN(a->high[0], b->high[0]) - MAX(a->low[0], b->low[0]);
  float width = MIN(a->high[1], b->high[1]) - MAX(a->low[1], b->low[1]);
  float both = MAX(height, 0) * MAX(width, 0);
  return both / (a->area + b->area - both);
}

/* Clips corners to the window. FALSE where no area is left; comparisons keep NaN, which has none.
 */
static inline gboolean
infer_nms_clip(const InferNms *nms, const float *corners, float *clipped)
{
  for (guint i = 0; i < 4; i++) {
    float v = corners[i], low = nms->window[i & 1], high = nms->window[(i & 1) + 2];
    v = v > high ? high : v;
    clipped[i] = v < low ? low : v;
  }
  return (clipped[2] - clipped[0]) * (clipped[3] - clipped[1]) > 0;
}

/* Gathers the candidates of columns [first, first + n). NaN is above no threshold. */
static inline void
infer_nms_gather(const InferNms *nms, const float *scores, float threshold, gsize first, gsize n,
                 InferNmsScratch *s)
{
  for (gsize c = 0; c < n; c++)
    s->n_candidates[c] = 0;
  for (gsize box = 0; box < nms->n_boxes; box++) {
    const float *row = scores + box * nms->n_classes + first;
    for (gsize c = 0; c < n; c++)
      if (row[c] > threshold)
        s->candidates[c][s->n_candidates[c]++] = infer_nms_pack(row[c], (guint32)box);
  }
}

/* Gathers each box with its best class. */
static inline void
infer_nms_gather_best(const InferNms *nms, const float *scores, float threshold, InferNmsScratch *s)
{
  s->n_candidates[0] = 0;
  for (gsize box = 0; box < nms->n_boxes; box++) {
    const float *row = scores + box * nms->n_classes;
    gboolean any = FALSE;
    for (gsize c = 0; c < nms->n_classes; c++) {
      if ((gint64)c == nms->background || !(row[c] > threshold) ||
          (any && !(row[c] > row[s->best[box]])))
        continue;
      s->best[box] = (guint32)c;
      any = TRUE;
    }
    if (any)
      s->candidates[0][s->n_candidates[0]++] = infer_nms_pack(row[s->best[box]], (guint32)box);
  }
}

/* Greedy suppression of one heap of candidates. @floor: the list is full, and only a score above
 * this one enters it. Returns how many detections are in class_hits, best first. */
static inline gsize
infer_nms_suppress(const InferNms *nms, const float *boxes, float iou_threshold, gsize slot,
                   guint32 column, const float *floor, InferNmsScratch *s)
{
  guint64 *heap = s->candidates[slot];
  gsize n = s->n_candidates[slot], limit = infer_nms_kept(nms), kept = 0, hits = 0;
  for (gsize at = n / 2; at-- > 0;)
    infer_nms_sift(heap, n, at);
  while (n > 0 && kept < limit) {
    float score = infer_nms_score(heap[0]), clipped[4];
    guint32 index = (guint32)heap[0];
    heap[0] = heap[--n];
    if (n > 0)
      infer_nms_sift(heap, n, 0);
    if (floor && score <= *floor)
      break;
    guint32 from = nms->agnostic ? s->best[index] : column;
    const float *corners = infer_nms_corners(nms, boxes, index, from);
    InferNmsBox box = infer_nms_box(corners);
    gsize k = 0;
    while (k < kept && !(infer_nms_iou(&s->kept[k], &box) > iou_threshold))
      k++;
    if (k < kept)
      continue;
    s->kept[kept++] = box;
    if (!nms->clip || infer_nms_clip(nms, corners, clipped))
      s->class_hits[hits++] = (InferNmsHit){score, index, from};
  }
  return hits;
}

/* Merges the class's detections into the list of all; of equal scores those of before stay first.
 * Returns the new length. */
static inline gsize
infer_nms_merge(const InferNms *nms, gsize n_hits, gsize n_class, InferNmsScratch *s)
{
  gsize limit = infer_nms_total(nms), n = 0, a = 0, b = 0;
  while (n < limit && (a < n_hits || b < n_class)) {
    gboolean old = b == n_class || (a < n_hits && s->hits[a].score >= s->class_hits[b].score);
    s->merged[n++] = old ? s->hits[a++] : s->class_hits[b++];
  }
  InferNmsHit *swap = s->hits;
  s->hits = s->merged;
  s->merged = swap;
  return n;
}

static inline gsize
infer_nms_classes(const InferNms *nms, const float *boxes, const float *scores,
                  float score_threshold, float iou_threshold, InferNmsScratch *s)
{
  gsize n_hits = 0, total = infer_nms_total(nms);
  for (gsize first = 0; first < nms->n_classes; first += INFER_NMS_GROUP) {
    gsize n = MIN(INFER_NMS_GROUP, nms->n_classes - first);
    infer_nms_gather(nms, scores, score_threshold, first, n, s);
    for (gsize c = 0; c < n; c++) {
      if ((gint64)(first + c) == nms->background || s->n_candidates[c] == 0)
        continue;
      const float *floor = n_hits == total && total > 0 ? &s->hits[total - 1].score : NULL;
      gsize n_class =
          infer_nms_suppress(nms, boxes, iou_threshold, c, (guint32)(first + c), floor, s);
      if (n_class > 0)
        n_hits = infer_nms_merge(nms, n_hits, n_class, s);
    }
  }
  return n_hits;
}

/**
 * infer_nms_run:
 * @nms: what to do; n_boxes and n_classes below 2^32
 * @boxes: [n_boxes, box_classes, 4] corners; a pair may be swapped
 * @scores: [n_boxes, n_classes]
 * @score_threshold: candidates have a score above it
 * @iou_threshold: a box is suppressed where its IoU with a better one is above it
 * @scratch: infer_nms_scratch() bytes, aligned to 8; maybe %NULL where that is 0
 * @out_boxes: [max_total, 4]; rows that are not used are 0
 * @out_scores: [max_total]; 0 where not used
 * @out_classes: [max_total]; class_offset where not used
 *
 * Returns: the number of detections, best first.
 */
static inline gsize
infer_nms_run(const InferNms *nms, const float *boxes, const float *scores, float score_threshold,
              float iou_threshold, void *scratch, float *out_boxes, float *out_scores,
              float *out_classes)
{
  InferNmsScratch s = {.kept = NULL};
  gsize n;
  infer_nms_layout(nms, (char *)scratch, &s);
  if (nms->agnostic) {
    infer_nms_gather_best(nms, scores, score_threshold, &s);
    gsize n_class = infer_nms_suppress(nms, boxes, iou_threshold, 0, 0, NULL, &s);
    n = infer_nms_merge(nms, 0, n_class, &s);
  } else {
    n = infer_nms_classes(nms, boxes, scores, score_threshold, iou_threshold, &s);
  }
  for (gsize i = 0; i < n; i++) {
    const InferNmsHit *hit = &s.hits[i];
    const float *corners = infer_nms_corners(nms, boxes, hit->box, hit->column);
    if (nms->clip)
      infer_nms_clip(nms, corners, out_boxes + 4 * i);
    else
      memcpy(out_boxes + 4 * i, corners, 4 * sizeof(float));
    out_scores[i] = hit->score;
    out_classes[i] = (float)(nms->class_offset + (gint64)hit->column);
  }
  for (gsize i = n; i < nms->max_total; i++) {
    memset(out_boxes + 4 * i, 0, 4 * sizeof(float));
    out_scores[i] = 0;
    out_classes[i] = (float)nms->class_offset;
  }
  return n;
}

G_END_DECLS
