/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <omp.h>
#include "cpu.h"
#include "ops/nms-core.h"

/*
 * What comes after a detector's convolutions. Both give the bits of the operators' own evaluation:
 * the arithmetic is the same, nothing here may be fused into multiply-adds, and what is left out
 * (classes and candidates that cannot enter the result) would not have changed it.
 */

#define BODY static inline __attribute__((always_inline))
#define ALIGN64(size) (((gsize)(size) + 63) & ~(gsize)63)
/* Boxes decoded by one thread before another is worth waking. */
#define LEAST_BOXES 4096

static gboolean
is_single(const InferStep *step, const char *op)
{
  return step->n_nodes == 1 && g_str_equal(infer_node_get_op_name(step->nodes[0]), op) &&
         infer_cpu_all_float(step);
}

/* infer.BoxDecode */

typedef struct {
  guint codes, anchors; /* step inputs */
  gint64 n_boxes, n_anchors;
  float scale[4];
  gboolean clip;
} Decode;

static gboolean
decode_supports(InferDevice *device, const InferStep *step, InferLayout *inputs,
                InferLayout *outputs)
{
  return is_single(step, "infer.BoxDecode");
}

static gboolean
decode_prepare(InferPrepare *prepare, GError **error)
{
  static const float usual[4] = {10, 10, 5, 5};
  const InferNode *node = prepare->step->nodes[0];
  gint codes = infer_step_find_input(prepare->step, node->inputs[0]);
  gint anchors = infer_step_find_input(prepare->step, node->inputs[1]);
  gsize n = 0;
  const double *scales = infer_node_get_floats(node, "scales", &n);
  Decode *decode;

  if (codes < 0 || anchors < 0 || prepare->inputs[codes].dims.n != 3 ||
      prepare->inputs[anchors].dims.n != 2)
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE,
                          "encodings and anchors are not [N, A, 4] and [A, 4]");
  decode = g_new0(Decode, 1);
  decode->codes = (guint)codes;
  decode->anchors = (guint)anchors;
  decode->n_anchors = prepare->inputs[codes].dims.d[1];
  decode->n_boxes = prepare->inputs[codes].dims.d[0] * decode->n_anchors;
  decode->clip = infer_node_get_int(node, "clip", 0) != 0;
  for (guint i = 0; i < 4; i++)
    decode->scale[i] = n == 4 ? (float)scales[i] : usual[i];
  prepare->state = decode;
  return TRUE;
}

static inline void
decode_box(const Decode *decode, const float *code, const float *anchor, float *box)
{
  for (guint i = 0; i < 2; i++) {
    float size = anchor[i + 2] - anchor[i];
    float at = code[i] / decode->scale[i] * size + (anchor[i] + 0.5f * size);
    float half = 0.5f * expf(code[i + 2] / decode->scale[i + 2]) * size;

    box[i] = at - half;
    box[i + 2] = at + half;
  }
  for (guint i = 0; decode->clip && i < 4; i++)
    box[i] = fminf(fmaxf(box[i], 0.0f), 1.0f);
}

static gboolean
decode_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
           void *workspace, GError **error)
{
  const Decode *decode = state;
  const float *codes = inputs[decode->codes], *anchors = inputs[decode->anchors];
  float *boxes = outputs[0];

#pragma omp parallel for schedule(static) if (decode->n_boxes >= LEAST_BOXES)
  for (gint64 i = 0; i < decode->n_boxes; i++)
    decode_box(decode, codes + 4 * i, anchors + 4 * (i % decode->n_anchors), boxes + 4 * i);
  return TRUE;
}

const InferImpl infer_cpu_boxdecode = {
    .name = "cpu.boxdecode",
    .batch_invariant = TRUE,
    .supports = decode_supports,
    .prepare = decode_prepare,
    .release = g_free,
    .run = decode_run,
};

/* Loops of infer.DetectionNMS, for two instruction sets. AVX2 without FMA rounds as plain C. */

/* What a suppression kept, one array a field, to be compared with many at once. */
typedef struct {
  float *low0, *low1, *high0, *high1, *area;
} Kept;

typedef struct {
  void (*column_max)(float *max, const float *scores, gsize rows, gsize columns);
  float (*row_max)(const float *row, gsize n);
  gboolean (*overlaps)(const Kept *kept, gsize n, const InferNmsBox *box, float threshold);
} Loops;

/* A NaN is greater than nothing. */
BODY void
column_max_body(float *restrict max, const float *restrict scores, gsize rows, gsize columns)
{
  for (gsize c = 0; c < columns; c++)
    max[c] = -INFINITY;
  for (gsize r = 0; r < rows; r++, scores += columns) {
#pragma omp simd
    for (gsize c = 0; c < columns; c++)
      max[c] = scores[c] > max[c] ? scores[c] : max[c];
  }
}

BODY float
row_max_body(const float *row, gsize n)
{
  float max = -INFINITY;

#pragma omp simd reduction(max : max)
  for (gsize i = 0; i < n; i++)
    max = row[i] > max ? row[i] : max;
  return max;
}

/* Whether infer_nms_iou() of @box and any of those kept is above the threshold. */
BODY gboolean
overlaps_body(const Kept *kept, gsize n, const InferNmsBox *box, float threshold)
{
  const float *restrict low0 = kept->low0, *restrict low1 = kept->low1;
  const float *restrict high0 = kept->high0, *restrict high1 = kept->high1;
  const float *restrict areas = kept->area;
  float bl0 = box->low[0], bl1 = box->low[1], bh0 = box->high[0], bh1 = box->high[1];
  float area = box->area;
  gint zero = 0 > threshold;

  if (!(area > 0))
    return n > 0 && zero;
  for (gsize first = 0; first < n; first += 32) {
    gsize end = MIN(n, first + 32);
    gint any = 0;

#pragma omp simd reduction(| : any)
    for (gsize i = first; i < end; i++) {
      float height = MIN(high0[i], bh0) - MAX(low0[i], bl0);
      float width = MIN(high1[i], bh1) - MAX(low1[i], bl1);
      float both = MAX(height, 0.0f) * MAX(width, 0.0f);
      float ratio = both / (areas[i] + area - both);
      gint positive = areas[i] > 0;

      /* Without a branch, for the sake of vectors. */
      any |= (positive & (ratio > threshold)) | ((1 - positive) & zero);
    }
    if (any)
      return TRUE;
  }
  return FALSE;
}

#define LOOPS(isa, target)                                                                         \
  target static void column_max_##isa(float *max, const float *scores, gsize rows, gsize columns)  \
  {                                                                                                \
    column_max_body(max, scores, rows, columns);                                                   \
  }                                                                                                \
  target static float row_max_##isa(const float *row, gsize n)                                     \
  {                                                                                                \
    return row_max_body(row, n);                                                                   \
  }                                                                                                \
  target static gboolean overlaps_##isa(const Kept *kept, gsize n, const InferNmsBox *box,         \
                                        float threshold)                                           \
  {                                                                                                \
    return overlaps_body(kept, n, box, threshold);                                                 \
  }                                                                                                \
  static const Loops loops_##isa = {column_max_##isa, row_max_##isa, overlaps_##isa};

LOOPS(baseline, )
#if defined(__x86_64__)
LOOPS(avx2, __attribute__((target("avx2"))))
#endif

static const Loops *
loops_choose(void)
{
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2"))
    return &loops_avx2;
#endif
  return &loops_baseline;
}

/* infer.DetectionNMS */

typedef struct {
  InferNms nms;
  const Loops *loops;
  guint inputs[4]; /* step inputs: boxes, scores, thresholds */
  gint outputs[4]; /* step outputs, -1 where nobody reads one */
  gint64 batch;
  guint threads;
  gsize scratch; /* bytes per thread */
} Nms;

/* Parts of one thread's scratch. */
typedef struct {
  InferNmsScratch base; /* base.kept is not used */
  Kept kept;
  float *max;
} NmsScratch;

static gboolean
nms_supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  return is_single(step, "infer.DetectionNMS");
}

/* Adds what the vector loops need to the parts of nms-core. Only counts where @memory is NULL. */
static gsize
nms_lay_out(const InferNms *nms, char *memory, NmsScratch *s)
{
  gsize offset = ALIGN64(infer_nms_layout(nms, memory, &s->base));
  gsize kept = ALIGN64(infer_nms_kept(nms) * sizeof(float));
  float **fields[5] = {&s->kept.low0, &s->kept.low1, &s->kept.high0, &s->kept.high1, &s->kept.area};

  for (guint i = 0; i < 5; i++, offset += kept)
    *fields[i] = memory ? (float *)(memory + offset) : NULL;
  s->max = memory ? (float *)(memory + offset) : NULL;
  return offset + ALIGN64(nms->n_classes * sizeof(float));
}

/* The operator's shape inference has checked the attributes. */
static void
nms_read_attrs(const InferNode *node, InferNms *nms)
{
  gsize n = 0;
  const double *window = infer_node_get_floats(node, "clip_window", &n);

  nms->max_per_class = (gsize)infer_node_get_int(node, "max_per_class", 1);
  nms->max_total = (gsize)infer_node_get_int(node, "max_total", 1);
  nms->background = infer_node_get_int(node, "background", -1);
  nms->class_offset = infer_node_get_int(node, "class_offset", 0);
  nms->agnostic = infer_node_get_int(node, "class_agnostic", 0) != 0;
  nms->clip = n == 4;
  for (guint i = 0; nms->clip && i < 4; i++)
    nms->window[i] = (float)window[i];
}

static gboolean
nms_find_operands(const InferPrepare *prepare, Nms *nms)
{
  const InferStep *step = prepare->step;
  const InferNode *node = step->nodes[0];

  for (guint i = 0; i < 4; i++) {
    gint input = infer_step_find_input(step, node->inputs[i]);

    if (input < 0 || (i >= 2 && infer_dims_count(&prepare->inputs[input].dims) != 1))
      return FALSE;
    nms->inputs[i] = (guint)input;
    nms->outputs[i] = node->outputs[i] ? infer_step_find_output(step, node->outputs[i]) : -1;
  }
  return TRUE;
}

static gboolean
nms_prepare(InferPrepare *prepare, GError **error)
{
  g_autofree Nms *nms = g_new0(Nms, 1);
  const InferDims *boxes, *scores;
  NmsScratch scratch;

  if (!nms_find_operands(prepare, nms))
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "a threshold is not a scalar");
  boxes = &prepare->inputs[nms->inputs[0]].dims;
  scores = &prepare->inputs[nms->inputs[1]].dims;
  if ((boxes->n != 3 && boxes->n != 4) || scores->n != 3)
    return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE,
                          "boxes and scores are not [N, A, 1 or C, 4] or [N, A, 4], and [N, A, C]");
  nms_read_attrs(prepare->step->nodes[0], &nms->nms);
  nms->batch = scores->d[0];
  nms->nms.n_boxes = (gsize)scores->d[1];
  nms->nms.n_classes = (gsize)scores->d[2];
  nms->nms.box_classes = boxes->n == 4 ? (gsize)boxes->d[2] : 1;
  nms->loops = loops_choose();
  nms->threads = (guint)CLAMP(nms->batch, 1, MAX((gint64)prepare->device->threads, 1));
  nms->scratch = nms_lay_out(&nms->nms, NULL, &scratch);
  prepare->workspace = nms->scratch * nms->threads;
  prepare->state = g_steal_pointer(&nms);
  return TRUE;
}

/* Gathers the candidates of up to INFER_NMS_GROUP columns. */
static void
nms_gather(const InferNms *nms, const float *scores, float threshold, const guint32 *columns,
           guint n, InferNmsScratch *s)
{
  for (guint k = 0; k < n; k++)
    s->n_candidates[k] = 0;
  for (gsize box = 0; box < nms->n_boxes; box++) {
    const float *row = scores + box * nms->n_classes;

    for (guint k = 0; k < n; k++) {
      float score = row[columns[k]];

      if (score > threshold)
        s->candidates[k][s->n_candidates[k]++] = infer_nms_pack(score, (guint32)box);
    }
  }
}

/* Gathers each box with its best class. */
static void
nms_gather_best(const Nms *state, const float *scores, float threshold, InferNmsScratch *s)
{
  const InferNms *nms = &state->nms;
  gsize n = nms->n_classes, skip = n;

  if (nms->background >= 0 && nms->background < (gint64)n)
    skip = (gsize)nms->background;
  s->n_candidates[0] = 0;
  for (gsize box = 0; box < nms->n_boxes; box++) {
    const float *row = scores + box * n;
    float before = state->loops->row_max(row, skip);
    float after = skip < n ? state->loops->row_max(row + skip + 1, n - skip - 1) : -INFINITY;
    float max = MAX(before, after);
    gsize c = before >= after ? 0 : skip + 1;

    if (!(max > threshold))
      continue;
    while (row[c] != max)
      c++;
    s->best[box] = (guint32)c;
    s->candidates[0][s->n_candidates[0]++] = infer_nms_pack(row[c], (guint32)box);
  }
}

static void
kept_set(const Kept *kept, gsize i, const InferNmsBox *box)
{
  kept->low0[i] = box->low[0];
  kept->low1[i] = box->low[1];
  kept->high0[i] = box->high[0];
  kept->high1[i] = box->high[1];
  kept->area[i] = box->area;
}

/* Greedy suppression of the candidates in @slot that are above @floor. Returns how many detections
 * are in class_hits, best first. */
static gsize
nms_suppress(const Nms *state, const float *boxes, float iou_threshold, float floor, guint slot,
             guint32 column, NmsScratch *s)
{
  const InferNms *nms = &state->nms;
  guint64 *heap = s->base.candidates[slot];
  gsize n = s->base.n_candidates[slot], limit = infer_nms_kept(nms), kept = 0, hits = 0;

  for (gsize at = n / 2; at-- > 0;)
    infer_nms_sift(heap, n, at);
  while (n > 0 && kept < limit) {
    float score = infer_nms_score(heap[0]), clipped[4];
    guint32 index = (guint32)heap[0], from = nms->agnostic ? s->base.best[index] : column;
    const float *corners = infer_nms_corners(nms, boxes, index, from);
    InferNmsBox box = infer_nms_box(corners);

    if (!(score > floor))
      break;
    heap[0] = heap[--n];
    if (n > 0)
      infer_nms_sift(heap, n, 0);
    if (state->loops->overlaps(&s->kept, kept, &box, iou_threshold))
      continue;
    kept_set(&s->kept, kept++, &box);
    if (!nms->clip || infer_nms_clip(nms, corners, clipped))
      s->base.class_hits[hits++] = (InferNmsHit){score, index, from};
  }
  return hits;
}

/* What a score has to exceed to enter the result. */
static float
nms_floor(const InferNms *nms, gsize n_hits, float threshold, const NmsScratch *s)
{
  gsize total = infer_nms_total(nms);

  if (total == 0 || n_hits < total)
    return threshold;
  return MAX(threshold, s->base.hits[total - 1].score);
}

/* The next columns, from *@at on, in which a score exceeds @floor. */
static guint
nms_next_columns(const InferNms *nms, const float *max, float floor, gsize *at, guint32 *columns)
{
  guint n = 0;

  for (; *at < nms->n_classes && n < INFER_NMS_GROUP; ++*at) {
    if ((gint64)*at != nms->background && max[*at] > floor)
      columns[n++] = (guint32)*at;
  }
  return n;
}

static gsize
nms_classes(const Nms *state, const float *boxes, const float *scores, float score_threshold,
            float iou_threshold, NmsScratch *s)
{
  const InferNms *nms = &state->nms;
  guint32 columns[INFER_NMS_GROUP];
  gsize n_hits = 0, at = 0;
  guint n;

  state->loops->column_max(s->max, scores, nms->n_boxes, nms->n_classes);
  for (;;) {
    float floor = nms_floor(nms, n_hits, score_threshold, s);

    n = nms_next_columns(nms, s->max, floor, &at, columns);
    if (n == 0)
      return n_hits;
    nms_gather(nms, scores, floor, columns, n, &s->base);
    for (guint k = 0; k < n; k++) {
      gsize n_class = nms_suppress(state, boxes, iou_threshold, floor, k, columns[k], s);

      if (n_class > 0)
        n_hits = infer_nms_merge(nms, n_hits, n_class, &s->base);
      floor = nms_floor(nms, n_hits, score_threshold, s);
    }
  }
}

/* Writes the detections of one image, and zeros after them. */
static void
nms_write(const InferNms *nms, const float *boxes, const InferNmsHit *hits, gsize n,
          float *const *out)
{
  for (gsize i = 0; i < nms->max_total; i++) {
    const InferNmsHit none = {0}, *hit = i < n ? &hits[i] : &none;
    const float *corners = infer_nms_corners(nms, boxes, hit->box, hit->column);

    if (out[0] && i >= n)
      memset(out[0] + 4 * i, 0, 4 * sizeof(float));
    else if (out[0] && nms->clip)
      infer_nms_clip(nms, corners, out[0] + 4 * i);
    else if (out[0])
      memcpy(out[0] + 4 * i, corners, 4 * sizeof(float));
    if (out[1])
      out[1][i] = hit->score;
    if (out[2])
      out[2][i] = (float)(nms->class_offset + (gint64)hit->column);
  }
  if (out[3])
    *out[3] = (float)n;
}

static void
nms_image(const Nms *state, gint64 image, void *const *inputs, void *const *outputs, char *memory)
{
  const InferNms *nms = &state->nms;
  const gsize rows[4] = {nms->max_total * 4, nms->max_total, nms->max_total, 1};
  const float *boxes = inputs[state->inputs[0]], *scores = inputs[state->inputs[1]];
  float score_threshold = *(const float *)inputs[state->inputs[2]];
  float iou_threshold = *(const float *)inputs[state->inputs[3]];
  float *out[4];
  NmsScratch s;
  gsize n;

  nms_lay_out(nms, memory, &s);
  boxes += (gsize)image * nms->n_boxes * nms->box_classes * 4;
  scores += (gsize)image * nms->n_boxes * nms->n_classes;
  for (guint i = 0; i < 4; i++)
    out[i] =
        state->outputs[i] < 0 ? NULL : (float *)outputs[state->outputs[i]] + (gsize)image * rows[i];
  if (nms->agnostic) {
    nms_gather_best(state, scores, score_threshold, &s.base);
    n = nms_suppress(state, boxes, iou_threshold, score_threshold, 0, 0, &s);
    n = infer_nms_merge(nms, 0, n, &s.base);
  } else {
    n = nms_classes(state, boxes, scores, score_threshold, iou_threshold, &s);
  }
  nms_write(nms, boxes, s.base.hits, n, out);
}

static gboolean
nms_run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
        void *workspace, GError **error)
{
  const Nms *nms = state;

#pragma omp parallel for schedule(dynamic, 1) num_threads(nms->threads) if (nms->threads > 1)
  for (gint64 i = 0; i < nms->batch; i++)
    nms_image(nms, i, inputs, outputs,
              (char *)workspace + nms->scratch * (gsize)omp_get_thread_num());
  return TRUE;
}

const InferImpl infer_cpu_detectionnms = {
    .name = "cpu.detectionnms",
    .batch_invariant = TRUE,
    .supports = nms_supports,
    .prepare = nms_prepare,
    .release = g_free,
    .run = nms_run,
};
