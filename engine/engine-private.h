/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/context.h>
#include <infer/engine.h>
#include "model.h"
#include "prepare.h"

G_BEGIN_DECLS

/** What was measured of a batch when the engine was built. */
typedef struct {
  guint batch;
  guint64 nanoseconds;
} InferTiming;

struct _InferEngine {
  GObject parent;

  InferProgram *program;
  InferNetwork *tail; /* (nullable): what depends on data, evaluated after the program */
  char **outputs;     /* names, in the network's order */
  char **debug;       /* names of outputs of the program or the tail that listeners get */
  InferDevice *device;
  InferPacks *packs;
  InferModel *model; /* (nullable): where other weights may be set */
  gboolean strip;    /* plans of it leave out weights */
  gboolean hollow;   /* it was loaded from such a plan, and cannot run */
  InferModelInfo *info;
  char *source;        /* what the network was made from */
  gint64 batch_symbol; /* the dimension, or 0 where the batch is fixed */
  guint max_batch;
  gboolean has_graphs; /* a step has a sub-network */
  GArray *bindings;    /* InferBinding */
  GArray *timings;     /* InferTiming */
  GPtrArray *notes;    /* sentences, then NULL */
};

/** Takes the program and the tail; finds the bindings. @outputs are the names of the outputs of
 *  both together. */
InferEngine *infer_engine_new(InferProgram *program, InferNetwork *tail, const char *const *outputs,
                              InferDevice *device, const char *source, GError **error);

/** Says which outputs of the program or the tail are debug tensors. */
gboolean infer_engine_set_debug(InferEngine *engine, const char *const *names, GError **error);

/** The batch that is prepared to run @batch rows: small ones exactly, larger ones in steps, so
 *  that a changing number of streams does not prepare each number. */
guint infer_engine_round_batch(InferEngine *engine, guint batch);

/** The largest prepared size not above the maximum; calls @func for each size that is worth
 *  preparing in advance. */
guint infer_engine_next_size(InferEngine *engine, guint size);

/** A value for each symbol: the batch, and its least, best or greatest for the others. */
typedef enum { INFER_RANGE_MIN, INFER_RANGE_OPT, INFER_RANGE_MAX } InferRange;
InferSymbolValues infer_engine_values(InferEngine *engine, guint batch, InferRange range);

/** Whether an input has a row for each frame of a batch. */
gboolean infer_engine_has_rows(InferEngine *engine, const InferTensor *input);

/* The plan file (plan-write.c, plan-read.c). */
GBytes *infer_plan_write(InferEngine *engine, GError **error);
InferEngine *infer_plan_read(GBytes *bytes, const char *source, const char *device, guint threads,
                             GError **error);

/** Compares every step of a batch of one with its nodes' eval, on random inputs. */
gboolean infer_verify(InferEngine *engine, GCancellable *cancellable, GError **error);

/** Makes runs a trial with made up numbers: what fails because of them does not count. */
void infer_context_set_trial(InferContext *context, gboolean trial);

/** Random contents that suit a network's input: pixels in the range of the model info, else
 *  uniform numbers of 0..1 (small integers for integer types). */
void infer_fill_random(InferEngine *engine, const InferTensor *input, const InferDims *dims,
                       gpointer data, GRand *random);

G_END_DECLS
