/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <math.h>
#include <stdlib.h>
#include "preprocess.h"

/* Pixels of the crop that an output reads, with their weights. */
typedef struct {
  gint64 first;
  gint64 count;
  double fraction;  /* of two pixels, the second's weight */
  double low, high; /* of more, what is covered */
} Window;

static Window
window_nearest(const InferAxis *axis, gint64 x)
{
  Window window = {.count = 1};

  if (axis->coordinates == INFER_COORDINATES_HALF_PIXEL)
    window.first = (2 * x + 1) * axis->in / (2 * axis->out);
  else if (axis->coordinates == INFER_COORDINATES_ASYMMETRIC)
    window.first = x * axis->in / axis->out;
  else if (axis->out > 1)
    window.first = (2 * x * (axis->in - 1) + axis->out - 1) / (2 * (axis->out - 1));
  window.first = MIN(window.first, axis->in - 1);
  return window;
}

static Window
window_bilinear(const InferAxis *axis, gint64 x)
{
  Window window;
  double position = 0;

  if (axis->coordinates == INFER_COORDINATES_HALF_PIXEL)
    position = (double)((2 * x + 1) * axis->in - axis->out) / (double)(2 * axis->out);
  else if (axis->coordinates == INFER_COORDINATES_ASYMMETRIC)
    position = (double)(x * axis->in) / (double)axis->out;
  else if (axis->out > 1)
    position = (double)(x * (axis->in - 1)) / (double)(axis->out - 1);
  position = CLAMP(position, 0.0, (double)(axis->in - 1));
  window.first = (gint64)position;
  window.fraction = position - (double)window.first;
  window.count = window.fraction > 0 ? 2 : 1;
  return window;
}

static Window
window_area(const InferAxis *axis, gint64 x)
{
  Window window;

  window.first = x * axis->in / axis->out;
  window.count = ((x + 1) * axis->in - 1) / axis->out - window.first + 1;
  window.low = (double)(x * axis->in) / (double)axis->out;
  window.high = (double)((x + 1) * axis->in) / (double)axis->out;
  return window;
}

static gboolean
averages(const InferAxis *axis)
{
  return axis->filter == INFER_FILTER_AREA && axis->out < axis->in;
}

static Window
window_of(const InferAxis *axis, guint i)
{
  gint64 x = axis->skip + i;

  if (averages(axis))
    return window_area(axis, x);
  if (axis->filter == INFER_FILTER_NEAREST)
    return window_nearest(axis, x);
  return window_bilinear(axis, x);
}

static double
window_weight(const InferAxis *axis, const Window *window, gint64 i)
{
  double low, high;

  if (window->count == 1)
    return 1;
  if (!averages(axis))
    return i ? window->fraction : 1 - window->fraction;
  low = MAX(window->low, (double)(window->first + i));
  high = MIN(window->high, (double)(window->first + i + 1));
  return (high - low) / (window->high - window->low);
}

/* The samples that a pixel of the frame is made of: *@a, and the next with weight @returns. */
static double
upsample(const InferAxis *axis, gint64 pixel, gint64 *a)
{
  gint64 last = axis->samples - 1;
  gint64 half = pixel >> 1;
  double fraction;

  if (axis->siting == INFER_SITING_FULL) {
    *a = pixel;
    return 0;
  }
  if (axis->siting == INFER_SITING_COSITED) {
    *a = half;
    fraction = pixel & 1 ? 0.5 : 0;
  } else {
    *a = pixel & 1 ? half : half - 1;
    fraction = pixel & 1 ? 0.25 : 0.75;
  }
  if (*a < 0) {
    *a = 0;
    return 0;
  }
  return *a < last ? fraction : 0;
}

/* First and last sample that an output reads. */
static void
window_samples(const InferAxis *axis, const Window *window, gint64 *first, gint64 *last)
{
  upsample(axis, axis->origin + window->first, first);
  if (upsample(axis, axis->origin + window->first + window->count - 1, last) > 0)
    ++*last;
}

static gboolean
reserve(gpointer *memory, gsize *capacity, gsize size, GError **error)
{
  gpointer grown;

  if (size <= *capacity)
    return TRUE;
  grown = aligned_alloc(64, (size + 63) & ~(gsize)63);
  if (!grown) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY,
                "no memory for %" G_GSIZE_FORMAT " bytes of resize weights", size);
    return FALSE;
  }
  free(*memory);
  *memory = grown;
  *capacity = size;
  return TRUE;
}

static void
fill_weights(InferTaps *taps, const InferAxis *axis, gboolean columns)
{
  gsize next = columns ? taps->n : 1;

  for (guint i = 0; i < taps->n; i++) {
    float *weights = taps->weights + (columns ? i : (gsize)i * taps->count);
    Window window = window_of(axis, i);
    gint64 start, last;

    window_samples(axis, &window, &start, &last);
    /* Every output gets the same number of weights, inside the plane. */
    start = MIN(start, (gint64)taps->end - taps->count);
    taps->start[i] = (gint32)((start - taps->first) * axis->step);
    for (gint64 k = 0; k < window.count; k++) {
      gint64 sample;
      double second = upsample(axis, axis->origin + window.first + k, &sample);
      double weight = window_weight(axis, &window, k);

      weights[(gsize)(sample - start) * next] += (float)(weight * (1 - second));
      if (second > 0)
        weights[(gsize)(sample + 1 - start) * next] += (float)(weight * second);
    }
  }
}

gboolean
infer_taps_build(InferTaps *taps, const InferAxis *axis, gboolean columns, GError **error)
{
  gsize size;

  taps->n = axis->n;
  taps->count = 1;
  taps->first = axis->samples;
  taps->end = 0;
  for (guint i = 0; i < axis->n; i++) {
    Window window = window_of(axis, i);
    gint64 first, last;

    window_samples(axis, &window, &first, &last);
    taps->first = MIN(taps->first, (guint)first);
    taps->end = MAX(taps->end, (guint)last + 1);
    taps->count = MAX(taps->count, (guint)(last - first + 1));
  }
  size = (gsize)taps->n * taps->count * sizeof *taps->weights;
  if (!reserve((gpointer *)&taps->start, &taps->start_capacity, taps->n * sizeof *taps->start,
               error) ||
      !reserve((gpointer *)&taps->weights, &taps->weights_capacity, size, error))
    return FALSE;
  memset(taps->weights, 0, size);
  fill_weights(taps, axis, columns);
  return TRUE;
}

void
infer_taps_clear(InferTaps *taps)
{
  free(taps->start);
  free(taps->weights);
  *taps = (InferTaps){0};
}
