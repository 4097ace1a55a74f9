/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "nms-core.h"
#include "number.h"

#include <math.h>

extern const InferOp *const infer_ops_proposal[];

/*
 * "infer.Proposal": regions from the region proposal network of Faster R-CNN (Ren et al. 2015),
 * with its arithmetic: corners are whole pixels that belong to the box, so that a width is
 * x2 - x1 + 1.
 *
 * Inputs, float: scores [N, 2 * A, H, W], the last A of which are those of objects; deltas
 * [N, 4 * A, H, W]; im_info [N, 3...] or [1, 3...]: height, width and scale of the image. Outputs:
 * regions [N * K, 5]: image, x1, y1, x2, y2 in pixels; scores [N * K]; count [N]. K is
 * "post_nms_topn"; rows that are not used are 0 but for the image. The A anchors of a cell are
 * "ratios" by "scales" of a square of "base_size" pixels.
 */

/** The most anchors of a cell; models have 9 to 15. */
#define MAX_ANCHORS 256

typedef struct {
  const double *ratios, *scales;
  gint64 n_ratios, n_scales;
  gint64 base, stride, before, after;
  float threshold, min_size;
  gint64 batch, height, width, info; /* info: values of an image's im_info */
  gint64 info_step;
} Proposal;

typedef struct {
  float corner[4];
} Region;

static const double usual_ratios[3] = {0.5, 1, 2}, usual_scales[3] = {8, 16, 32};

static gboolean
anchor_list(const InferNode *node, const char *name, const double *usual, const double **list,
            gint64 *n, GError **error)
{
  gsize count = 0;
  *list = infer_node_get_floats(node, name, &count);
  if (!infer_node_has_attr(node, name)) {
    *list = usual;
    count = 3;
  }
  *n = (gint64)count;
  for (gsize i = 0; i < count; i++)
    if (!((*list)[i] > 1e-3) || !((*list)[i] < 1e6))
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT, "%s has %g", name, (*list)[i]);
  return (count > 0 && count <= MAX_ANCHORS) ||
         infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                        "%s has %" G_GSIZE_FORMAT " values, 1 to %d are supported", name, count,
                        MAX_ANCHORS);
}

static gboolean
proposal_params(const InferNode *node, Proposal *p, GError **error)
{
  memset(p, 0, sizeof *p);
  p->base = infer_node_get_int(node, "base_size", 16);
  p->stride = infer_node_get_int(node, "feat_stride", 16);
  p->before = infer_node_get_int(node, "pre_nms_topn", 6000);
  p->after = infer_node_get_int(node, "post_nms_topn", 300);
  p->threshold = (float)infer_node_get_float(node, "nms_thresh", 0.7);
  p->min_size = (float)infer_node_get_float(node, "min_size", 16);
  if (p->base < 1 || p->base > G_MAXINT16 || p->stride < 1 || p->stride > G_MAXINT16 ||
      p->after < 1 || p->after > G_MAXINT32)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "base_size %" G_GINT64_FORMAT ", feat_stride %" G_GINT64_FORMAT
                          " and post_nms_topn %" G_GINT64_FORMAT " must be positive",
                          p->base, p->stride, p->after);
  if (!anchor_list(node, "ratios", usual_ratios, &p->ratios, &p->n_ratios, error) ||
      !anchor_list(node, "scales", usual_scales, &p->scales, &p->n_scales, error))
    return FALSE;
  return p->n_ratios * p->n_scales <= MAX_ANCHORS ||
         infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                        "%" G_GINT64_FORMAT " ratios by %" G_GINT64_FORMAT
                        " scales are more than %d anchors",
                        p->n_ratios, p->n_scales, MAX_ANCHORS);
}

/* Takes the sizes over where they are numbers. */
static gboolean
proposal_dims(const InferNode *node, const InferDims *scores, const InferDims *deltas,
              const InferDims *info, Proposal *p, GError **error)
{
  gint64 anchors = p->n_ratios * p->n_scales, all;
  gboolean good = (scores->n < 0 || (scores->n == 4 && number_fits(scores->d[1], 2 * anchors))) &&
                  (deltas->n < 0 || (deltas->n == 4 && number_fits(deltas->d[1], 4 * anchors))) &&
                  (info->n < 0 || (info->n == 2 && (info->d[1] < 0 || info->d[1] >= 3)));
  for (gint i = 0; good && scores->n == 4 && deltas->n == 4 && i < 4; i++)
    good = i == 1 || number_fits(scores->d[i], deltas->d[i]);
  if (good && info->n == 2 && scores->n == 4 && info->d[0] != 1)
    good = number_fits(info->d[0], scores->d[0]);
  p->batch = scores->n == 4 ? scores->d[0] : deltas->n == 4 ? deltas->d[0] : INFER_DIM_UNKNOWN;
  gint64 cells = scores->n == 4 ? data_product(scores, 2, 4) : INFER_DIM_UNKNOWN;
  if (good && cells >= 0)
    good = !__builtin_mul_overflow(cells, anchors, &all) && all <= G_MAXINT32;
  if (good && p->batch >= 0)
    good = !__builtin_mul_overflow(p->batch, p->after, &all);
  if (!good) {
    g_autofree char *a = infer_dims_to_string(scores);
    g_autofree char *b = infer_dims_to_string(deltas);
    g_autofree char *c = infer_dims_to_string(info);
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "scores of %s, deltas of %s and im_info of %s do not fit "
                          "%" G_GINT64_FORMAT " anchors",
                          a, b, c, anchors);
  }
  if (cells >= 0) {
    p->height = scores->d[2];
    p->width = scores->d[3];
  }
  p->info = info->n == 2 ? info->d[1] : 0;
  p->info_step = info->n == 2 && info->d[0] != 1 ? p->info : 0;
  return TRUE;
}

static gint64
rows_of(const Proposal *p)
{
  if (p->batch >= 0)
    return p->batch * p->after;
  return p->after == 1 ? p->batch : INFER_DIM_UNKNOWN;
}

static gboolean
proposal_infer(InferShapeArgs *args, GError **error)
{
  Proposal p;
  for (guint i = 0; i < 3; i++)
    if (!infer_op_require_type(args, i, error, INFER_TYPE_FLOAT, INFER_TYPE_UNDEFINED))
      return FALSE;
  return proposal_params(args->node, &p, error) &&
         proposal_dims(args->node, &args->in[0].dims, &args->in[1].dims, &args->in[2].dims, &p,
                       error) &&
         data_set(args, 0, INFER_TYPE_FLOAT, &INFER_DIMS(rows_of(&p), 5), error) &&
         data_set(args, 1, INFER_TYPE_FLOAT, &INFER_DIMS(rows_of(&p)), error) &&
         data_set(args, 2, INFER_TYPE_FLOAT, &INFER_DIMS(p.batch), error);
}

static gint64
all_anchors(const Proposal *p)
{
  return p->height * p->width * p->n_ratios * p->n_scales;
}

/* A heap of all candidates, then the regions that are kept. */
static gsize
memory_for(const Proposal *p)
{
  gint64 all = all_anchors(p);
  return (gsize)all * sizeof(guint64) + (gsize)MIN(p->after, all) * sizeof(Region);
}

static gsize
proposal_scratch(const InferShapeArgs *args)
{
  Proposal p;
  if (!infer_dims_is_constant(&args->in[0].dims) || !proposal_params(args->node, &p, NULL) ||
      !proposal_dims(args->node, &args->in[0].dims, &args->in[1].dims, &args->in[2].dims, &p, NULL))
    return 0;
  return memory_for(&p);
}

/* Anchor @a of a cell at the origin: its area is kept by the ratio but for rounding. */
static Region
make_anchor(const Proposal *p, gint64 a)
{
  double ratio = p->ratios[a / p->n_scales], scale = p->scales[a % p->n_scales];
  double width = rint(sqrt((double)(p->base * p->base) / ratio)), height = rint(width * ratio);
  double centre = ((double)p->base - 1) / 2;
  double x = (width * scale - 1) / 2, y = (height * scale - 1) / 2;
  return (Region){
      {(float)(centre - x), (float)(centre - y), (float)(centre + x), (float)(centre + y)}};
}

/* Candidate @i, counted by cell and then by anchor, moved by its deltas and cut to the image. */
static Region
decode(const Proposal *p, const float *deltas, const float *info, gint64 i)
{
  gint64 anchors = p->n_ratios * p->n_scales, cells = p->height * p->width;
  gint64 a = i % anchors, cell = i / anchors;
  const gint64 at[2] = {cell % p->width, cell / p->width};
  Region region = make_anchor(p, a);
  for (guint k = 0; k < 2; k++) {
    const float *delta = deltas + (4 * a + k) * cells + cell;
    float shift = (float)(at[k] * p->stride), limit = info[1 - k] - 1;
    float size = region.corner[k + 2] - region.corner[k] + 1;
    float centre = delta[0] * size + region.corner[k] + shift + 0.5f * size;
    float half = 0.5f * expf(delta[2 * cells]) * size;
    /* fmaxf takes the number where the other is NaN. */
    region.corner[k] = fmaxf(fminf(centre - half, limit), 0);
    region.corner[k + 2] = fmaxf(fminf(centre + half, limit), 0);
  }
  return region;
}

static float
overlap(const Region *a, const Region *b)
{
  float both = 1, area_a = 1, area_b = 1;
  for (guint k = 0; k < 2; k++) {
    float low = MAX(a->corner[k], b->corner[k]), high = MIN(a->corner[k + 2], b->corner[k + 2]);
    both *= MAX(high - low + 1, 0);
    area_a *= a->corner[k + 2] - a->corner[k] + 1;
    area_b *= b->corner[k + 2] - b->corner[k] + 1;
  }
  return both / (area_a + area_b - both);
}

/* The heap of the candidates that are large enough. */
static gsize
gather(const Proposal *p, const float *scores, const float *deltas, const float *info,
       guint64 *heap)
{
  gint64 anchors = p->n_ratios * p->n_scales, cells = p->height * p->width;
  float least = p->min_size * info[2];
  gsize n = 0;
  for (gint64 i = 0; i < cells * anchors; i++) {
    float score = scores[(anchors + i % anchors) * cells + i / anchors];
    Region region = decode(p, deltas, info, i);
    if (score == score && region.corner[2] - region.corner[0] + 1 >= least &&
        region.corner[3] - region.corner[1] + 1 >= least)
      heap[n++] = infer_nms_pack(score, (guint32)i);
  }
  for (gsize at = n / 2; at-- > 0;)
    infer_nms_sift(heap, n, at);
  return n;
}

static gint64
one_image(const Proposal *p, const float *scores, const float *deltas, const float *info,
          guint64 *heap, Region *kept, float *out_scores)
{
  gsize n = gather(p, scores, deltas, info, heap);
  gint64 count = 0;
  for (gint64 taken = 0; n > 0 && count < p->after; taken++) {
    if (p->before > 0 && taken == p->before)
      break;
    guint64 best = heap[0];
    heap[0] = heap[--n];
    if (n > 0)
      infer_nms_sift(heap, n, 0);
    Region region = decode(p, deltas, info, (guint32)best);
    gint64 k = 0;
    while (k < count && !(overlap(&kept[k], &region) > p->threshold))
      k++;
    if (k < count)
      continue;
    out_scores[count] = infer_nms_score(best);
    kept[count++] = region;
  }
  return count;
}

static gboolean
proposal_outputs(const InferEvalArgs *args, const Proposal *p, float **out, GError **error)
{
  const InferDims dims[3] = {INFER_DIMS(rows_of(p), 5), INFER_DIMS(rows_of(p)),
                             INFER_DIMS(p->batch)};
  for (guint i = 0; i < 3; i++) {
    InferArray *array = data_output(args, i, INFER_TYPE_FLOAT, &dims[i], error);
    if (!array)
      return FALSE;
    memset(array->data, 0, array->size);
    out[i] = array->data;
  }
  return TRUE;
}

static gboolean
proposal_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *scores = args->in[0], *deltas = args->in[1], *info = args->in[2];
  gboolean planned = args->out[0] && args->scratch;
  g_autofree char *own = NULL;
  char *memory = args->scratch;
  float *out[3];
  Proposal p;
  if (!proposal_params(args->node, &p, error) ||
      !proposal_dims(args->node, &scores->dims, &deltas->dims, &info->dims, &p, error) ||
      !proposal_outputs(args, &p, out, error))
    return FALSE;
  if (!planned && !(memory = own = g_try_malloc(memory_for(&p) + 1)))
    return infer_op_error(args->node, error, INFER_ERROR_MEMORY,
                          "no memory for %" G_GINT64_FORMAT " anchors", all_anchors(&p));
  guint64 *heap = (guint64 *)memory;
  Region *kept = (Region *)(heap + all_anchors(&p));
  gint64 all = all_anchors(&p);
  for (gint64 n = 0; n < p.batch; n++) {
    gint64 count = one_image(
        &p, (const float *)scores->data + n * 2 * all, (const float *)deltas->data + n * 4 * all,
        (const float *)info->data + n * p.info_step, heap, kept, out[1] + n * p.after);
    for (gint64 i = 0; i < p.after; i++) {
      float *row = out[0] + (n * p.after + i) * 5;
      row[0] = (float)n;
      if (i < count)
        memcpy(row + 1, kept[i].corner, sizeof kept[i].corner);
    }
    out[2][n] = (float)count;
  }
  return TRUE;
}

static const InferAttrSpec proposal_attrs[] = {
    {"feat_stride", 'i', FALSE}, {"base_size", 'i', FALSE},    {"ratios", 'F', FALSE},
    {"scales", 'F', FALSE},      {"pre_nms_topn", 'i', FALSE}, {"post_nms_topn", 'i', FALSE},
    {"nms_thresh", 'f', FALSE},  {"min_size", 'f', FALSE},     {NULL, 0, FALSE}};

static const InferOp proposal = {
    .name = "infer.Proposal",
    .version = 1,
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 3,
    .max_outputs = 3,
    .attrs = proposal_attrs,
    .infer = proposal_infer,
    .scratch = proposal_scratch,
    .eval = proposal_eval,
};

const InferOp *const infer_ops_proposal[] = {&proposal, NULL};
