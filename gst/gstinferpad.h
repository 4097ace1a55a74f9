/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/base/gstqueuearray.h>
#include "gstinferbatcher.h"
#include "gstinfermotion.h"

G_BEGIN_DECLS

/**
 * GstInferFormat:
 * @info: the caps
 * @pixel: the engine's name of the format
 * @kr: luma weight of red
 * @kb: luma weight of blue
 *
 * What a stream's caps say to the engine. An atomic reference counted box.
 */
typedef struct {
  GstVideoInfo info;
  InferPixelFormat pixel;
  gfloat kr, kb;
} GstInferFormat;

/** gst_infer_format_new: Returns: (transfer full) (nullable): to be released with
 *  g_atomic_rc_box_release(); %NULL with @error for caps that cannot be inferred on. */
GstInferFormat *gst_infer_format_new(GstCaps *caps, GError **error);

/**
 * GstInferItem:
 * @object: (nullable): a buffer or an event (owned), or a query (borrowed from the thread that
 *   waits for it); %NULL while the frame whose place this is is in a batch
 * @format: (nullable): format of a buffer (owned)
 * @objects: (nullable): what was found, where later frames may need it (owned)
 * @model_name: (nullable): of the model that found @objects
 * @metadata: what is attached to it
 * @frame: number of the frame in its stream
 * @arrival: monotonic time
 * @done: monotonic time of the end of its batch, 0 for what was in none
 * @running_time: of a buffer, maybe %GST_CLOCK_TIME_NONE
 * @pass: why it is not inferred on
 * @discont: frames before it were dropped
 * @abandoned: @object is %NULL for good: inference failed
 */
typedef struct {
  GstMiniObject *object;
  GstInferFormat *format;
  GArray *objects;
  const gchar *model_name;
  GstInferMetadata metadata;
  guint64 frame;
  gint64 arrival;
  gint64 done;
  GstClockTime running_time;
  GstInferPass pass;
  gboolean discont;
  gboolean abandoned;
} GstInferItem;

/**
 * GstInferKeep:
 * @GST_INFER_KEEP_NOTHING: everything goes
 * @GST_INFER_KEEP_EVENTS: events stay where they are
 * @GST_INFER_KEEP_STICKY: sticky events are stored on the source pad, so that they are not lost to
 *   a peer that comes later
 * @GST_INFER_KEEP_BUT_SEGMENT: the same without segments, which end with a flush
 *
 * What survives when queues are emptied.
 */
typedef enum {
  GST_INFER_KEEP_NOTHING,
  GST_INFER_KEEP_EVENTS,
  GST_INFER_KEEP_STICKY,
  GST_INFER_KEEP_BUT_SEGMENT,
} GstInferKeep;

#define GST_TYPE_INFER_LEAKY (gst_infer_leaky_get_type())
GType gst_infer_leaky_get_type(void);

#define GST_TYPE_INFER_PAD (gst_infer_pad_get_type())
G_DECLARE_FINAL_TYPE(GstInferPad, gst_infer_pad, GST, INFER_PAD, GstPad)

/**
 * GstInferPad:
 *
 * A sink pad, and with it one stream: its two queues and its source pad. @stream_name and
 * @stream_id are guarded by the object lock, the numbers beside them are atomic; @srcpad and
 * @client never change; @motion_state belongs to the sink pad's stream lock, @last and what
 * follows it to the source pad's task; the rest is guarded by the batcher's lock.
 */
struct _GstInferPad {
  GstPad parent;

  gint priority;
  gint interval;
  gint max_frames;
  gint max_buffers;
  gint leaky;
  gint motion; /* threshold in millionths, below 0 as the element says */
  gchar *stream_name;
  gchar *stream_id; /* upstream's */

  GstPad *srcpad;
  GstInferClient *client;

  GstInferMotion *motion_state;

  GstQueueArray *in, *out; /* of GstInferItem */
  guint in_buffers, out_buffers;
  guint64 out_popped; /* the place of the first item in @out */
  GCond in_cond, out_cond;
  gboolean flushing;
  gboolean eos;
  gboolean gap;
  gboolean live;
  GstClockTime upstream; /* latency of what feeds it */
  GstFlowReturn flow;    /* what the source pad's peer said last */
  guint serial;          /* counts flushes: frames of before are dropped when a batch ends */
  gint64 last_arrival;
  guint64 frame;
  guint64 served;      /* the batch that had a frame of this pad last */
  guint waited;        /* batches that closed without this pad though it had a frame */
  guint turn_priority; /* @priority while a batch is gathered */
  gboolean warned;
  gboolean discont;        /* the next frame in follows one that was dropped */
  gboolean reference_lost; /* the frame that motion is judged against was not inferred on */
  GstClockTime earliest;   /* by the last QoS event */
  GstInferFormat *format;
  GstSegment segment;
  GstInferStats stats;

  /* The source pad's task. */
  GArray *last; /* objects of the last frame that was inferred on */
  guint last_serial;
  const gchar *last_model;
  guint64 qos_processed, qos_late;
  gboolean overloaded;

  /* One serialized query waits at a time. */
  GstQuery *query;
  gboolean query_busy;
  gboolean query_result;
};

#define GST_TYPE_INFER_SRC_PAD (gst_infer_src_pad_get_type())
G_DECLARE_FINAL_TYPE(GstInferSrcPad, gst_infer_src_pad, GST, INFER_SRC_PAD, GstPad)

struct _GstInferSrcPad {
  GstPad parent;
  GWeakRef partner; /* the GstInferPad */
};

/** gst_infer_pad_new: Returns: (transfer floating): a sink pad with its source pad. */
GstInferPad *gst_infer_pad_new(GstPadTemplate *sink, const gchar *sink_name, GstPadTemplate *src,
                               const gchar *src_name, GstInferClient *client);
/** gst_infer_pad_dup_stream_name: Returns: (transfer full): the name for metadata. */
gchar *gst_infer_pad_dup_stream_name(GstInferPad *pad);

static inline GstInferBatcher *
gst_infer_pad_lock(GstInferPad *pad)
{
  return gst_infer_client_lock(pad->client);
}

/* With the batcher's lock held. */
guint gst_infer_pad_capacity(GstInferPad *pad);
/** gst_infer_pad_max_frames: Returns: of a batch, at least 1. */
guint gst_infer_pad_max_frames(GstInferPad *pad);
/** gst_infer_pad_watches_motion: whether later frames may need a frame's objects. */
gboolean gst_infer_pad_watches_motion(GstInferPad *pad);
void gst_infer_pad_push_in(GstInferPad *pad, const GstInferItem *item);
void gst_infer_pad_push_out(GstInferPad *pad, const GstInferItem *item);
/** gst_infer_pad_reserve_out: Returns: a place at the end of the out-queue for a frame. */
guint64 gst_infer_pad_reserve_out(GstInferPad *pad);
/** gst_infer_pad_fill_out: takes @item over into its place. */
void gst_infer_pad_fill_out(GstInferPad *pad, guint64 place, GstInferItem *item);
/** gst_infer_pad_abandon_out: nothing will come into the place. */
void gst_infer_pad_abandon_out(GstInferPad *pad, guint64 place);
/** gst_infer_pad_drop_oldest: makes room in the in-queue. */
void gst_infer_pad_drop_oldest(GstInferPad *pad);
/** gst_infer_pad_drop: drops what the queues hold, but for @keep; frames in a batch are dropped
 *  when it ends. */
void gst_infer_pad_drop(GstInferPad *pad, GstInferKeep keep);
/** gst_infer_pad_flush: drops, and takes nothing in until gst_infer_pad_start(). */
void gst_infer_pad_flush(GstInferPad *pad, GstInferKeep keep);
/** gst_infer_pad_start: begins anew, after a flush or when activated. */
void gst_infer_pad_start(GstInferPad *pad);
void gst_infer_item_clear(GstInferItem *item);

/** gst_infer_stream_install: sets the functions of both pads (gstinferstream.c). */
void gst_infer_stream_install(GstInferPad *pad);
/** gst_infer_stream_loop: the task of a source pad, which is @user_data (gstinferout.c). */
void gst_infer_stream_loop(gpointer user_data);

G_END_DECLS
