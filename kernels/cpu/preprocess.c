/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include "cpu.h"
#include "preprocess.h"

/* Geometries kept per thread, and frames worked on at once, which must all find room among them. */
#define CACHE_SIZE 32
#define CHUNK 16
#define BAND 16
/* Below so many output pixels waking other threads costs more than it saves. */
#define PARALLEL_PIXELS 8192
#define ALIGN_FLOATS(n) (((gsize)(n) + 15) & ~(gsize)15)

/* A component of a pixel: its samples are elements offset, offset + step ... of a plane's row. */
typedef struct {
  guint8 plane, offset, step;
  gboolean chroma;
} Component;

typedef struct {
  guint n_planes, n_components;
  Component components[3]; /* Y, Cb, Cr or R, G, B */
  gboolean ten_bits, yuv;
  InferSiting columns, rows; /* of chroma */
} Layout;

static const Layout layouts[] = {
    [INFER_PIXEL_NV12] = {2,
                          3,
                          {{0, 0, 1, 0}, {1, 0, 2, 1}, {1, 1, 2, 1}},
                          FALSE,
                          TRUE,
                          INFER_SITING_COSITED,
                          INFER_SITING_CENTRED},
    [INFER_PIXEL_P010_LE] = {2,
                             3,
                             {{0, 0, 1, 0}, {1, 0, 2, 1}, {1, 1, 2, 1}},
                             TRUE,
                             TRUE,
                             INFER_SITING_COSITED,
                             INFER_SITING_CENTRED},
    [INFER_PIXEL_I420] = {3,
                          3,
                          {{0, 0, 1, 0}, {1, 0, 1, 1}, {2, 0, 1, 1}},
                          FALSE,
                          TRUE,
                          INFER_SITING_COSITED,
                          INFER_SITING_CENTRED},
    [INFER_PIXEL_YUY2] = {1,
                          3,
                          {{0, 0, 2, 0}, {0, 1, 4, 1}, {0, 3, 4, 1}},
                          FALSE,
                          TRUE,
                          INFER_SITING_COSITED,
                          INFER_SITING_FULL},
    [INFER_PIXEL_RGB] = {1, 3, {{0, 0, 3, 0}, {0, 1, 3, 0}, {0, 2, 3, 0}}, FALSE, FALSE, 0, 0},
    [INFER_PIXEL_BGR] = {1, 3, {{0, 2, 3, 0}, {0, 1, 3, 0}, {0, 0, 3, 0}}, FALSE, FALSE, 0, 0},
    [INFER_PIXEL_RGBA] = {1, 3, {{0, 0, 4, 0}, {0, 1, 4, 0}, {0, 2, 4, 0}}, FALSE, FALSE, 0, 0},
    [INFER_PIXEL_BGRA] = {1, 3, {{0, 2, 4, 0}, {0, 1, 4, 0}, {0, 0, 4, 0}}, FALSE, FALSE, 0, 0},
    [INFER_PIXEL_GRAY8] = {1, 1, {{0, 0, 1, 0}}, FALSE, TRUE, 0, 0},
};

/* Everything that a geometry depends on; unsigned integers alone, to be compared as bytes. */
typedef struct {
  guint format, width, height, crop_x, crop_y, crop_width, crop_height;
  guint out_width, out_height, channels, resize, filter, coordinates;
} Key;

/* What is read of a plane for a row: @n elements from @first. */
typedef struct {
  gsize first, n;
  gsize buffer; /* where its row lies in the scratch, in floats */
  gboolean chroma;
} PlaneSpan;

typedef struct {
  Key key;
  guint64 used;
  const Layout *layout;
  guint n_planes, n_components;  /* those that are needed: gray needs luma alone */
  guint x0, x1, y0, y1;          /* the part of the image that the frame covers */
  InferTaps columns[2], rows[2]; /* of luma (and all of RGB), of chroma */
  PlaneSpan spans[3];
  gsize starts[3];     /* of a component's first sample in its plane's buffer */
  gsize components[3]; /* where a component's output row lies in the scratch */
  gsize scratch;       /* floats */
} Geometry;

typedef struct {
  Geometry geometries[CACHE_SIZE];
  guint64 clock;
  float *scratch;
  gsize scratch_size;
} Cache;

typedef struct {
  const InferFrame *frame;
  const Geometry *geometry;
  float matrix[12];
  float black;      /* of luma alone */
  float weights[3]; /* of R, G, B in gray */
  guint image;
} Job;

typedef struct {
  const InferRowOps *ops;
  const InferPreprocess *pre;
  const InferImageTarget *target;
  gsize element;
} Work;

static void
cache_free(gpointer data)
{
  Cache *cache = data;

  for (guint i = 0; i < CACHE_SIZE; i++) {
    for (guint j = 0; j < 2; j++) {
      infer_taps_clear(&cache->geometries[i].columns[j]);
      infer_taps_clear(&cache->geometries[i].rows[j]);
    }
  }
  free(cache->scratch);
  g_free(cache);
}

static GPrivate cache_private = G_PRIVATE_INIT(cache_free);

static Cache *
cache_get(void)
{
  Cache *cache = g_private_get(&cache_private);

  if (!cache) {
    cache = g_new0(Cache, 1);
    g_private_set(&cache_private, cache);
  }
  return cache;
}

static gboolean
cache_reserve(Cache *cache, gsize floats, GError **error)
{
  gsize size;

  if (floats <= cache->scratch_size)
    return TRUE;
  free(cache->scratch);
  cache->scratch_size = 0;
  size = ALIGN_FLOATS(floats) * sizeof(float);
  cache->scratch = aligned_alloc(64, size);
  if (!cache->scratch) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY,
                "no memory for %" G_GSIZE_FORMAT " bytes of pre-processing rows", size);
    return FALSE;
  }
  cache->scratch_size = floats;
  return TRUE;
}

/* The visible part of @content pixels at @offset in @size. */
static void
visible(double offset, double content, guint size, guint *low, guint *high, gint64 *skip)
{
  gint64 start = (gint64)offset, end = start + (gint64)content;

  *low = (guint)CLAMP(start, 0, (gint64)size);
  *high = (guint)CLAMP(end, (gint64)*low, (gint64)size);
  *skip = *low - start;
}

static gboolean
build_axis(InferTaps *luma, InferTaps *chroma, const Layout *layout, InferAxis *axis, guint side,
           InferSiting siting, gboolean columns, GError **error)
{
  axis->siting = INFER_SITING_FULL;
  axis->samples = side;
  axis->step = columns ? layout->components[0].step : 1;
  if (!infer_taps_build(luma, axis, columns, error))
    return FALSE;
  if (layout->n_components < 2 || !layout->components[1].chroma)
    return TRUE;
  axis->siting = siting;
  axis->samples = siting == INFER_SITING_FULL ? side : (side + 1) / 2;
  axis->step = columns ? layout->components[1].step : 1;
  return infer_taps_build(chroma, axis, columns, error);
}

/* Lays out the scratch: a row per plane, then a row per component. */
static void
geometry_lay_out(Geometry *geometry)
{
  gsize at = 0, width = geometry->x1 - geometry->x0;

  for (guint i = 0; i < geometry->n_planes; i++)
    geometry->spans[i] = (PlaneSpan){.first = G_MAXSIZE};
  for (guint i = 0; i < geometry->n_components; i++) {
    const Component *c = &geometry->layout->components[i];
    const InferTaps *taps = &geometry->columns[c->chroma];
    PlaneSpan *span = &geometry->spans[c->plane];
    gsize end = (gsize)(taps->end - 1) * c->step + c->offset + 1;

    span->chroma = c->chroma && geometry->layout->rows != INFER_SITING_FULL;
    span->first = MIN(span->first, (gsize)taps->first * c->step);
    span->n = MAX(span->n, end);
  }
  for (guint i = 0; i < geometry->n_planes; i++) {
    geometry->spans[i].n -= geometry->spans[i].first;
    geometry->spans[i].buffer = at;
    at += ALIGN_FLOATS(geometry->spans[i].n);
  }
  for (guint i = 0; i < geometry->n_components; i++) {
    const Component *c = &geometry->layout->components[i];
    gsize first = (gsize)geometry->columns[c->chroma].first * c->step + c->offset;

    geometry->starts[i] = first - geometry->spans[c->plane].first;
    geometry->components[i] = at;
    at += ALIGN_FLOATS(width);
  }
  geometry->scratch = at;
}

static gboolean
geometry_build(Geometry *geometry, const InferFrame *frame, const InferPreprocess *pre,
               const InferImageTarget *target, GError **error)
{
  const Key *key = &geometry->key;
  const Layout *layout = &layouts[key->format];
  InferPlacement place = infer_frame_place(frame, pre, target->width, target->height);
  InferAxis x = {.filter = pre->filter, .coordinates = pre->coordinates};
  InferAxis y = x;

  x.in = key->crop_width;
  x.origin = key->crop_x;
  x.out = (gint64)floor(place.scale_x * key->crop_width + 0.5);
  y.in = key->crop_height;
  y.origin = key->crop_y;
  y.out = (gint64)floor(place.scale_y * key->crop_height + 0.5);
  visible(place.offset_x, (double)x.out, target->width, &geometry->x0, &geometry->x1, &x.skip);
  visible(place.offset_y, (double)y.out, target->height, &geometry->y0, &geometry->y1, &y.skip);
  x.n = geometry->x1 - geometry->x0;
  y.n = geometry->y1 - geometry->y0;
  geometry->layout = layout;
  geometry->n_components = layout->n_components;
  geometry->n_planes = layout->n_planes;
  if (layout->yuv && target->channels == 1)
    geometry->n_components = geometry->n_planes = 1;
  if (!build_axis(&geometry->columns[0], &geometry->columns[1], layout, &x, key->width,
                  layout->columns, TRUE, error) ||
      !build_axis(&geometry->rows[0], &geometry->rows[1], layout, &y, key->height, layout->rows,
                  FALSE, error))
    return FALSE;
  geometry_lay_out(geometry);
  return TRUE;
}

/* Finds the geometry, or makes it in the place of the one that was not used for the longest. */
static const Geometry *
cache_find(Cache *cache, const InferFrame *frame, const InferPreprocess *pre,
           const InferImageTarget *target, GError **error)
{
  Geometry *oldest = &cache->geometries[0];
  Key key = {
      .format = frame->format,
      .width = frame->width,
      .height = frame->height,
      .crop_x = frame->crop_x,
      .crop_y = frame->crop_y,
      .crop_width = frame->crop_width ? frame->crop_width : frame->width,
      .crop_height = frame->crop_height ? frame->crop_height : frame->height,
      .out_width = target->width,
      .out_height = target->height,
      .channels = target->channels,
      .resize = pre->resize,
      .filter = pre->filter,
      .coordinates = pre->coordinates,
  };

  for (guint i = 0; i < CACHE_SIZE; i++) {
    Geometry *geometry = &cache->geometries[i];

    if (geometry->used && memcmp(&geometry->key, &key, sizeof key) == 0) {
      geometry->used = ++cache->clock;
      return geometry;
    }
    if (geometry->used < oldest->used)
      oldest = geometry;
  }
  oldest->key = key;
  oldest->used = 0;
  if (!geometry_build(oldest, frame, pre, target, error))
    return NULL;
  oldest->used = ++cache->clock;
  return oldest;
}

/* Samples, 8 or 10 bits, to RGB of 0..255. */
static void
job_set_color(Job *job, const InferFrame *frame, gboolean ten_bits)
{
  gboolean given = frame->kr != 0 || frame->kb != 0;
  double kr = given ? (double)frame->kr : 0.299, kb = given ? (double)frame->kb : 0.114;
  double kg = 1 - kr - kb, unit = ten_bits ? 4 : 1;
  double full = frame->full_range ? (ten_bits ? 1023 : 255) : 0;
  double luma = 255 / (full > 0 ? full : 219 * unit), zero = full > 0 ? 0 : 16 * unit;
  double chroma = 255 / (full > 0 ? full : 224 * unit), middle = 128 * unit;
  double red_v = 2 * (1 - kr) * chroma, blue_u = 2 * (1 - kb) * chroma;
  double green_u = -blue_u * kb / kg, green_v = -red_v * kr / kg;
  const double matrix[12] = {luma, 0,       red_v,   -luma * zero - red_v * middle,
                             luma, green_u, green_v, -luma * zero - (green_u + green_v) * middle,
                             luma, blue_u,  0,       -luma * zero - blue_u * middle};

  for (guint i = 0; i < 12; i++)
    job->matrix[i] = (float)matrix[i];
  job->black = (float)(-luma * zero);
  job->weights[0] = (float)kr;
  job->weights[1] = (float)kg;
  job->weights[2] = (float)kb;
}

static void
read_planes(const Work *work, const Job *job, guint y, float *scratch)
{
  const Geometry *geometry = job->geometry;
  gsize bytes = geometry->layout->ten_bits ? 2 : 1;

  for (guint i = 0; i < geometry->n_planes; i++) {
    const PlaneSpan *span = &geometry->spans[i];
    const InferTaps *taps = &geometry->rows[span->chroma];
    const float *w = taps->weights + (gsize)(y - geometry->y0) * taps->count;
    gssize stride = job->frame->strides[i];
    gssize row = (gssize)taps->first + taps->start[y - geometry->y0];
    guint count = taps->count;

    while (count > 1 && w[count - 1] == 0)
      count--;
    while (count > 1 && w[0] == 0) {
      w++;
      row++;
      count--;
    }
    (bytes == 2 ? work->ops->vertical10 : work->ops->vertical8)(
        scratch + span->buffer, job->frame->planes[i] + row * stride + span->first * bytes, stride,
        w, count, span->n);
  }
}

/* Leaves the rows of the network's channels, in its order, in @rows. */
static void
read_row(const Work *work, const Job *job, guint y, float *scratch, const float *rows[3])
{
  const Geometry *geometry = job->geometry;
  const InferRowOps *ops = work->ops;
  gsize n = geometry->x1 - geometry->x0;
  float *out[3];

  read_planes(work, job, y, scratch);
  for (guint i = 0; i < geometry->n_components; i++) {
    const Component *c = &geometry->layout->components[i];

    out[i] = scratch + geometry->components[i];
    ops->horizontal(out[i], scratch + geometry->spans[c->plane].buffer + geometry->starts[i],
                    &geometry->columns[c->chroma], c->step);
  }
  if (geometry->n_components == 1) {
    ops->gain(out[0], job->matrix[0], job->black, n);
    out[1] = out[2] = out[0];
  } else if (geometry->layout->yuv) {
    ops->to_rgb(out[0], out[1], out[2], job->matrix, n);
  } else if (work->target->channels == 1) {
    ops->weigh(out[0], out[1], out[2], job->weights, n);
  }
  rows[0] = out[work->pre->color == INFER_COLOR_BGR ? 2 : 0];
  rows[1] = out[1];
  rows[2] = out[work->pre->color == INFER_COLOR_BGR ? 0 : 2];
}

static guint8 *
target_at(const Work *work, guint image, guint channel, guint y, guint x)
{
  const InferImageTarget *target = work->target;
  gint64 element = image * target->stride_n + channel * target->stride_c + y * target->stride_y +
                   x * target->stride_x;

  return (guint8 *)target->data + element * (gint64)work->element;
}

static void
store_row(const Work *work, const Job *job, guint y, const float *const rows[3])
{
  const InferImageTarget *target = work->target;
  const InferPreprocess *pre = work->pre;
  const InferRowOps *ops = work->ops;
  guint x0 = job->geometry->x0, n = job->geometry->x1 - x0;
  gboolean is_float = target->type == INFER_TYPE_FLOAT;

  if (target->channels == 3 && target->stride_c == 1 && target->stride_x == 3) {
    guint8 *dst = target_at(work, job->image, 0, y, x0);

    if (is_float)
      ops->pack_float((float *)dst, rows, pre->scale, pre->bias, n);
    else
      ops->pack_u8(dst, rows, pre->scale, pre->bias, n);
    return;
  }
  for (guint c = 0; c < target->channels; c++) {
    guint8 *dst = target_at(work, job->image, c, y, x0);

    if (is_float)
      ops->store_float((float *)dst, target->stride_x, rows[c], pre->scale[c], pre->bias[c], n);
    else
      ops->store_u8(dst, target->stride_x, rows[c], pre->scale[c], pre->bias[c], n);
  }
}

static void
pad_row(const Work *work, guint image, guint y, guint x0, guint x1)
{
  const InferImageTarget *target = work->target;
  const InferPreprocess *pre = work->pre;

  for (guint c = 0; x0 < x1 && c < target->channels; c++) {
    guint8 *dst = target_at(work, image, c, y, x0);
    gint64 step = target->stride_x * (gint64)work->element;

    for (guint x = x0; x < x1; x++, dst += step) {
      if (target->type == INFER_TYPE_FLOAT)
        work->ops->store_float((float *)dst, 1, &pre->pad[c], pre->scale[c], pre->bias[c], 1);
      else
        work->ops->store_u8(dst, 1, &pre->pad[c], pre->scale[c], pre->bias[c], 1);
    }
  }
}

static void
run_band(const Work *work, const Job *job, guint first, float *scratch)
{
  const Geometry *geometry = job->geometry;
  guint end = MIN(first + BAND, work->target->height);

  for (guint y = first; y < end; y++) {
    const float *rows[3];

    if (y < geometry->y0 || y >= geometry->y1) {
      pad_row(work, job->image, y, 0, work->target->width);
      continue;
    }
    read_row(work, job, y, scratch, rows);
    store_row(work, job, y, rows);
    pad_row(work, job->image, y, 0, geometry->x0);
    pad_row(work, job->image, y, geometry->x1, work->target->width);
  }
}

static gboolean
run_jobs(const Work *work, const Job *jobs, guint n_jobs, Cache *cache, GError **error)
{
  guint bands = (work->target->height + BAND - 1) / BAND;
  gsize pixels = (gsize)n_jobs * work->target->height * work->target->width;
  gint threads = pixels < PARALLEL_PIXELS ? 1 : omp_get_max_threads();
  gsize scratch = 0;

  for (guint i = 0; i < n_jobs; i++)
    scratch = MAX(scratch, jobs[i].geometry->scratch);
  scratch = ALIGN_FLOATS(scratch);
  if (!cache_reserve(cache, scratch * (gsize)threads, error))
    return FALSE;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1)
  for (guint i = 0; i < n_jobs * bands; i++)
    run_band(work, &jobs[i / bands], i % bands * BAND,
             cache->scratch + scratch * (gsize)omp_get_thread_num());
  return TRUE;
}

gboolean
infer_preprocess_frames(const InferRowOps *ops, const InferFrame *frames, guint n_frames,
                        const InferPreprocess *pre, const InferImageTarget *target, GError **error)
{
  Work work = {ops, pre, target, target->type == INFER_TYPE_FLOAT ? sizeof(float) : 1};
  Cache *cache = cache_get();

  if (!infer_image_target_validate(target, pre, FALSE, error))
    return FALSE;
  for (guint first = 0; first < n_frames; first += CHUNK) {
    guint n = MIN(n_frames - first, CHUNK);
    Job jobs[CHUNK];

    for (guint i = 0; i < n; i++) {
      const InferFrame *frame = &frames[first + i];

      if (!infer_frame_validate(frame, error))
        return FALSE;
      if (frame->memory != INFER_FRAME_HOST) {
        g_set_error(error, INFER_ERROR, INFER_ERROR_UNSUPPORTED,
                    "frame: the CPU cannot read memory of kind %d; give it memory of the host",
                    (gint)frame->memory);
        return FALSE;
      }
      jobs[i].frame = frame;
      jobs[i].image = first + i;
      jobs[i].geometry = cache_find(cache, frame, pre, target, error);
      if (!jobs[i].geometry)
        return FALSE;
      job_set_color(&jobs[i], frame, jobs[i].geometry->layout->ten_bits);
    }
    if (!run_jobs(&work, jobs, n, cache, error))
      return FALSE;
  }
  return TRUE;
}

/**
 * infer_cpu_preprocess:
 * @stream: the stream whose worker thread this is
 * @frames: (array length=n_frames): frames in host memory, one per image
 * @n_frames: how many
 * @pre: how frames become the image input
 * @target: the image input; its rows 0..n_frames-1 are written
 * @error: return location
 *
 * Color conversion, resize, normalisation and layout in one pass over the frames, by the threads
 * of OpenMP. What is computed is written in preprocess.h. Weights of the resize are kept for the
 * last geometries that the calling thread saw; frames of known geometries allocate nothing.
 *
 * Gray of a Y'CbCr frame is its luma scaled to 0..255, gray of an RGB frame is weighed by its kr
 * and kb, or BT.601's where they are 0. Of %INFER_FILTER_NEAREST, half-pixel takes
 * floor((x + 0.5) * scale), asymmetric floor(x * scale), align-corners rounds half up.
 * %INFER_FILTER_AREA averages each axis that gets smaller whatever the coordinates are.
 *
 * Returns: success
 */
gboolean
infer_cpu_preprocess(InferStream *stream, const InferFrame *frames, guint n_frames,
                     const InferPreprocess *pre, const InferImageTarget *target, GError **error)
{
  return infer_preprocess_frames(infer_row_ops(0), frames, n_frames, pre, target, error);
}
