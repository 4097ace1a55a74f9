/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferpad.h"

/*
 * What the element adds to a live stream, and what it promises of it. A frame waits for the others
 * of its batch, maybe for batches that take other streams' turns, then for its batch, which is
 * timed as a whole: from closing until its last frame is at the source pad's task, with all that is
 * in flight beside it. The same number is what frames are judged late by before they are inferred
 * on, so that what is inferred on comes out within the latency that the pipeline knows.
 */

/** A batch that takes more than so many times the usual is followed when it happens again. */
#define UNUSUAL 2
/** Of a growth, what is added so that the next one is not announced at once. */
#define HEADROOM 8
/** The first batches warm caches up: their times say nothing of those to come. */
#define WARM_UP 2

static gint
compare_times(gconstpointer a, gconstpointer b)
{
  const GstClockTime x = *(const GstClockTime *)a, y = *(const GstClockTime *)b;

  return x < y ? -1 : x > y;
}

/* The bound follows the longest time, upwards alone; a lone stall of the machine moves it to twice
 * the median at most, until there is a second one among the times remembered. */
static void
pace_note(GstInferPace *pace, GstClockTime took)
{
  GstClockTime sorted[GST_INFER_N_TIMES], wanted;
  guint n;

  if (pace->n++ < WARM_UP)
    return;
  n = (guint)MIN(pace->n - WARM_UP, GST_INFER_N_TIMES);
  pace->times[(pace->n - WARM_UP - 1) % GST_INFER_N_TIMES] = took;
  if (took <= pace->bound)
    return;
  memcpy(sorted, pace->times, n * sizeof *sorted);
  qsort(sorted, n, sizeof *sorted, compare_times);
  wanted = MIN(took, UNUSUAL * sorted[n / 2]);
  if (n > 1)
    wanted = MAX(wanted, sorted[n - 2]);
  if (wanted > pace->bound)
    pace->bound = wanted + wanted / HEADROOM;
}

void
gst_infer_batcher_note_batch(GstInferBatcher *self, guint depth, GstClockTime took)
{
  pace_note(&self->pace[CLAMP(depth, 1, GST_INFER_MAX_RUNS) - 1], took + self->handover);
  self->handover = 0;
}

GstClockTime
gst_infer_batcher_bound(GstInferBatcher *self, guint depth)
{
  GstClockTime bound = 0;

  depth = CLAMP(depth, 1, MAX(self->n_workers, 1));
  for (guint i = 0; i < depth; i++)
    bound = MAX(bound, self->pace[i].bound);
  return MAX(bound, depth * self->planned);
}

/* Until a frame's batch closes: the others of the batch come, and where a batch cannot hold a frame
 * of every stream those whose turn is before; a batch of one waits for nobody. */
GstClockTime
gst_infer_batcher_gathering(GstInferBatcher *self)
{
  const guint target = MAX(gst_infer_batcher_target(self), 1), workers = MAX(self->n_workers, 1);
  const guint turns = (gst_infer_batcher_active(self) + target - 1) / target;
  GstClockTime wait = GST_INFER_ALLOWANCE;

  if (target > 1)
    wait += (GstClockTime)gst_infer_batcher_timeout(self) * GST_USECOND;
  if (turns > 1)
    wait += (turns - 1) * (gst_infer_batcher_bound(self, workers) / workers);
  return wait;
}

GstClockTime
gst_infer_client_get_latency(GstInferClient *client)
{
  GstInferBatcher *batcher = client->batcher;
  const GstClockTime own =
      gst_infer_batcher_gathering(batcher) + gst_infer_batcher_bound(batcher, batcher->n_workers);

  if (!GST_CLOCK_TIME_IS_VALID(client->reported) || own > client->reported)
    client->reported = own;
  return client->reported;
}

gboolean
gst_infer_client_latency_grew(GstInferClient *client)
{
  const GstClockTime before = client->reported;

  return client->running && client->live && GST_CLOCK_TIME_IS_VALID(before) &&
         gst_infer_client_get_latency(client) > before;
}

GstClockTime
gst_infer_client_ahead(GstInferClient *client)
{
  GstInferBatcher *batcher = client->batcher;
  const GstClockTime bound = gst_infer_batcher_bound(batcher, batcher->in_flight + 1);
  const GstClockTime slack = client->upstream + gst_infer_batcher_gathering(batcher);

  return client->pipeline_latency > slack ? MIN(bound, client->pipeline_latency - slack) : 0;
}
