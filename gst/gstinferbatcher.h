/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "gstinfermodel.h"
#include "gstinferstats.h"

G_BEGIN_DECLS

typedef struct _GstInferPad GstInferPad;
typedef struct _GstInferRun GstInferRun;
typedef struct _GstInferClient GstInferClient;
typedef struct _GstInferBatcher GstInferBatcher;
typedef struct _GstInferLoader GstInferLoader;

/** A pad that was silent for so long is not waited for; microseconds. */
#define GST_INFER_SILENCE (40 * G_TIME_SPAN_MILLISECOND)
/** What a live stream's latency allows for threads that come a little late. */
#define GST_INFER_ALLOWANCE (5 * GST_MSECOND)
/** The most batches that are in flight at once. */
#define GST_INFER_MAX_RUNS 16
/** Batches in flight unless the user says more: one is prepared while the other runs. */
#define GST_INFER_DEFAULT_RUNS 2

typedef enum {
  GST_INFER_MODEL_NONE,
  GST_INFER_MODEL_LOADING,
  GST_INFER_MODEL_READY,
  GST_INFER_MODEL_FAILED,
} GstInferModelState;

/** GstInferLeaky: which frame is dropped when a pad's queue is full. Values of GstQueue's. */
typedef enum {
  GST_INFER_LEAKY_NO,
  GST_INFER_LEAKY_UPSTREAM,   /* the new one */
  GST_INFER_LEAKY_DOWNSTREAM, /* the oldest that waits */
  GST_INFER_LEAKY_ELEMENT,    /* of pads: as the element says */
} GstInferLeaky;

/**
 * GstInferSettings:
 * @batch_size: frames in a batch, 0 for automatic
 * @batch_timeout: nanoseconds, below 0 for automatic
 * @interval: every how many frames of a pad is inferred on
 * @max_buffers: frames that each of a pad's two queues holds, 0 for automatic
 * @max_frames: frames of one pad in a batch, 0 for any number
 * @leaky: which frame goes when a queue is full
 * @score: score threshold, below 0 for the model's
 * @iou: IoU threshold, below 0 for the model's
 * @motion: share of the picture that has to change, 0 for no gating
 * @qos: late frames pass without inference
 * @metadata: what is attached
 * @attach_tensors: the outputs too
 */
typedef struct {
  guint batch_size;
  gint64 batch_timeout;
  guint interval;
  guint max_buffers;
  guint max_frames;
  GstInferLeaky leaky;
  gdouble score;
  gdouble iou;
  gdouble motion;
  gboolean qos;
  GstInferMetadata metadata;
  gboolean attach_tensors;
} GstInferSettings;

/**
 * GstInferClient:
 * @element: the element; not owned, and used only while @running or by its own pads
 * @batcher: where its pads are; changes between NULL and READY only
 * @own: the batcher that no other element uses
 *
 * What a batcher knows of one of the elements that use it. Refcounted: pads keep it. Everything
 * from @settings on is guarded by the lock of @batcher.
 */
struct _GstInferClient {
  GstElement *element;
  GstInferBatcher *batcher;
  GstInferBatcher *own;
  gchar *instance; /* key of the shared batcher; state changes alone use it */

  GstInferSettings settings;
  gboolean running;
  gboolean live;
  guint in_flight;               /* its frames in batches */
  GstClockTime pipeline_latency; /* as configured by the pipeline; NONE when not known */
  GstClockTime reported;         /* own latency as told to the pipeline; NONE before, only grows */
  GstClockTime limit;            /* while a batch is gathered: running time of what is late */
  GstClockTime upstream;         /* the greatest latency of what feeds its pads */
  guint64 batch;                 /* the last batch that had a frame of it */
  guint64 batches;
  guint64 *sizes;     /* batches by their size; GST_INFER_MAX_BATCH + 1 */
  GstInferStats gone; /* of pads that were released */
  GstClockTime last_run_time, total_run_time;
};

#define GST_INFER_MAX_BATCH 1024

/** Batches whose times are remembered for the latency. */
#define GST_INFER_N_TIMES 64

/**
 * GstInferPace:
 * @times: of the last batches, from closing until all their frames were handed over
 * @n: batches so far
 * @bound: what is allowed for; only grows
 *
 * How long batches take that close as the same one of those in flight.
 */
typedef struct {
  GstClockTime times[GST_INFER_N_TIMES];
  guint64 n;
  GstClockTime bound;
} GstInferPace;

/** GstInferWorker: one batch in flight. */
typedef struct {
  GstInferBatcher *batcher;
  guint index;
  GThread *thread;
  GstInferRun *run;
} GstInferWorker;

/**
 * GstInferBatcher:
 *
 * The queues' lock, the streams, and the workers that gather their frames into batches. A worker
 * takes frames out of the pads' in-queues, leaves places for them in the out-queues and fills them
 * when the batch is done; it never pushes. @control orders state changes of the elements; @device
 * is held while the device runs a batch. Everything from @pads on is guarded by @lock. Where locks
 * are nested @control comes before @device before @lock before the object locks.
 */
struct _GstInferBatcher {
  GMutex control, device, lock;
  GCond wake; /* the workers' */
  GCond idle; /* a batch is done */

  GPtrArray *pads;    /* of GstInferPad, with a reference */
  GPtrArray *clients; /* of GstInferClient, with a reference */
  GstInferWorker workers[GST_INFER_MAX_RUNS];
  guint n_workers;
  GstInferLoader *loader;        /* guarded by @control */
  GstInferModelSettings loaded;  /* what the model is of; guarded by @control */
  GstInferModelSettings claimed; /* what the first element that shares it asked for; same */
  guint users;                   /* elements that share it; same */

  gboolean running;
  GstInferModelState state;
  GstInferModel *model;
  gboolean live;
  guint capacity;        /* frames in each queue of a pad */
  guint in_flight;       /* batches */
  GstClockTime planned;  /* run time of the largest batch as the plan tells it */
  GstClockTime handover; /* the slowest wake-up of a source pad's task since the last batch */
  GstInferPace
      pace[GST_INFER_MAX_RUNS]; /* by the batches in flight, the one that closes included */
  GCond busy;                   /* every worker has a batch */
  GThread *sweeper;             /* lets late frames pass meanwhile */
  guint64 served;               /* batches so far, the clock of fairness */
};

GstInferBatcher *gst_infer_batcher_new(void);
GstInferBatcher *gst_infer_batcher_ref(GstInferBatcher *batcher);
void gst_infer_batcher_unref(GstInferBatcher *batcher);
/** gst_infer_batcher_shared: Returns: (transfer none): the one of @key; it lives for good. */
GstInferBatcher *gst_infer_batcher_shared(const gchar *key);

GstInferClient *gst_infer_client_new(GstElement *element);
GstInferClient *gst_infer_client_ref(GstInferClient *client);
void gst_infer_client_unref(GstInferClient *client);
/** gst_infer_client_retire: takes the element's reference; the element is gone. */
void gst_infer_client_retire(GstInferClient *client);
/** gst_infer_client_lock: Returns: the batcher of @client, its lock taken. */
GstInferBatcher *gst_infer_client_lock(GstInferClient *client);
/** gst_infer_client_move: takes the client and its inactive pads over to @batcher. */
void gst_infer_client_move(GstInferClient *client, GstInferBatcher *batcher);
void gst_infer_client_add_pad(GstInferClient *client, GstInferPad *pad);
void gst_infer_client_remove_pad(GstInferClient *client, GstInferPad *pad);
void gst_infer_client_set_settings(GstInferClient *client, const GstInferSettings *settings);
GstStructure *gst_infer_client_get_stats(GstInferClient *client);

/**
 * gst_infer_client_start:
 * @client: a client
 * @model: what it infers with
 * @n_runs: batches in flight, 0 for automatic; the first client decides
 *
 * Begins to work for @client; the first client starts workers, and the loading of the model where
 * it is not there. Returns at once.
 */
void gst_infer_client_start(GstInferClient *client, const GstInferModelSettings *model,
                            guint n_runs);
/** gst_infer_client_flush: wakes and empties its pads until they are activated again. */
void gst_infer_client_flush(GstInferClient *client);
/** gst_infer_client_stop: waits for its frames; with the last client the workers and loading end.
 */
void gst_infer_client_stop(GstInferClient *client);

/** gst_infer_batcher_set_model: @model is taken over; %NULL but for %GST_INFER_MODEL_READY. */
void gst_infer_batcher_set_model(GstInferBatcher *batcher, GstInferModelState state,
                                 GstInferModel *model);
/** gst_infer_batcher_dup_elements: Returns: (transfer full): the elements that run now. */
GPtrArray *gst_infer_batcher_dup_elements(GstInferBatcher *batcher);

/* With the lock held. */
/** gst_infer_batcher_update: to be called after pads, settings, model or liveness changed. */
void gst_infer_batcher_update(GstInferBatcher *batcher);

/* What a live stream is promised (gstinferlatency.c); with the lock held. */
/** gst_infer_client_get_latency: Returns: what batching and running adds to a live stream; it is
 *  remembered as what the pipeline knows. */
GstClockTime gst_infer_client_get_latency(GstInferClient *client);
/** gst_infer_client_latency_grew: whether the pipeline has to be told; it counts as told then. */
gboolean gst_infer_client_latency_grew(GstInferClient *client);
/** gst_infer_client_ahead: Returns: how long it may take until what enters the next batch comes
 *  out; never more than a pipeline that has not heard of a growth yet leaves to a fresh frame, or
 *  every frame would be late. */
GstClockTime gst_infer_client_ahead(GstInferClient *client);
/** gst_infer_batcher_note_batch: a batch took @took from closing on, when @depth were in flight. */
void gst_infer_batcher_note_batch(GstInferBatcher *batcher, guint depth, GstClockTime took);
/** gst_infer_batcher_bound: Returns: the longest time of a batch, @depth of them in flight. */
GstClockTime gst_infer_batcher_bound(GstInferBatcher *batcher, guint depth);
/** gst_infer_batcher_gathering: Returns: the longest time until a frame's batch closes. */
GstClockTime gst_infer_batcher_gathering(GstInferBatcher *batcher);

/* Which frames make a batch (gstinferschedule.c); with the lock held. */
guint gst_infer_batcher_target(GstInferBatcher *batcher);
/** gst_infer_batcher_active: Returns: the streams that frames may come from, at least 1. */
guint gst_infer_batcher_active(GstInferBatcher *batcher);
/** gst_infer_batcher_timeout: Returns: microseconds that a first frame waits at most when live. */
gint64 gst_infer_batcher_timeout(GstInferBatcher *batcher);
/** gst_infer_batcher_move_through: moves what is not inferred on to the out-queue. */
void gst_infer_batcher_move_through(GstInferBatcher *batcher, GstInferPad *pad);
/** gst_infer_batcher_expire: moves on what is not inferred on, and frames that are too late by now;
 *  while every worker is busy upstream would have to wait otherwise. */
void gst_infer_batcher_expire(GstInferBatcher *batcher);
/** gst_infer_batcher_closes: Returns: (nullable): why a batch is to be closed now; if %NULL, @wake
 *  is lowered to when to look again. */
const gchar *gst_infer_batcher_closes(GstInferBatcher *batcher, guint target, gint64 now,
                                      gint64 *wake);
/** gst_infer_batcher_collect: fills @run with the frames of the next batch. */
void gst_infer_batcher_collect(GstInferBatcher *batcher, GstInferRun *run, guint target);

G_END_DECLS
