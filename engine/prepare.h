/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "program-private.h"

G_BEGIN_DECLS

/**
 * InferPacks: packed weights of an engine.
 *
 * Filled while steps are prepared, by any context; looked up by tensor and key. What came with a
 * plan lies in the plan's mapping.
 */
typedef struct {
  GMutex lock;
  GPtrArray *entries; /* InferPack */
  GHashTable *by_key; /* the same, by InferPack.key */
  gsize size;
  InferDevice *device; /* of InferPack.memory; borrowed */
} InferPacks;

typedef struct {
  GBytes *key; /* tensor index, then what the implementation said */
  guint tensor;
  GBytes *data;
  void *memory; /* the same in the device's memory, where the host's is not */
} InferPack;

InferPacks *infer_packs_new(void);
void infer_packs_free(InferPacks *packs);
void infer_packs_add(InferPacks *packs, guint tensor, GBytes *key, GBytes *data);

/** The most open dimensions of a network. */
#define INFER_MAX_SYMBOLS 64

/** A value for each symbol of a network, by index; the rest is zero. */
typedef struct {
  gint64 values[INFER_MAX_SYMBOLS];
} InferSymbolValues;

/** What runs a step: another implementation than the step's own that wants the same layouts, or
 * %NULL, and one of its tactics, or %NULL. */
typedef struct {
  const InferImpl *impl;
  char *tactic;
} InferChoice;

/** The best choice for each step when symbols have certain values. */
typedef struct {
  InferSymbolValues values;
  guint n;
  InferChoice *choices;
} InferTuning;

InferTuning *infer_tuning_new(const InferSymbolValues *values, guint n_steps);
void infer_tuning_free(gpointer tuning);
/** Returns: (nullable): the tuning whose shapes are the nearest to @values. */
const InferTuning *infer_program_find_tuning(const InferProgram *program,
                                             const InferSymbolValues *values);

/**
 * infer_network_shapes:
 * @operands: (out): room for every tensor of the network, by index
 *
 * The types and dimensions of all tensors when symbols have @values.
 */
gboolean infer_network_shapes(InferNetwork *network, const InferSymbolValues *values,
                              InferOperand *operands, GError **error);

/**
 * InferPrepared:
 * @batch: rows that it was prepared for
 * @buffers: per tensor: concrete dimensions and strides
 * @roots: per tensor: the tensor whose memory it has
 * @shifts: per tensor: bytes from the start of its root's memory
 * @known: per tensor: its contents where shapes alone tell them, else %NULL
 * @known_memory: (nullable): the same in the device's memory
 * @skipped: per step: what it would copy is in place already, or what it would compute is known
 * @offsets: per tensor: where it lies in the memory; of roots that are not constant
 * @memory_size: bytes of memory that a context needs
 * @io_size: bytes of it at the start that are inputs and outputs
 * @io: (nullable): where inputs and outputs lie, when they have memory of their own
 * @tensors_size: bytes of all tensors without sharing, to compare
 * @impls: per step: what runs it; %NULL for a view
 * @tuning: (nullable): tactics of the steps
 * @states: per step
 * @workspaces: per step: offset of its workspace
 * @pointers: one list for each step: its inputs, then its outputs
 * @steps_pointers: per step: index into @pointers
 * @graph: (nullable): the captured steps
 * @n_runs: runs since the pointers were set, to capture after the first
 *
 * A program made ready for one set of shapes.
 */
typedef struct {
  guint batch;
  guint n_tensors;
  guint n_steps;
  const InferProgram *program;
  InferDevice *device;
  const InferBackend *backend;
  InferBuffer *buffers;
  guint *roots;
  gsize *shifts;
  InferArray **known;
  guint8 *known_memory;
  gboolean *skipped;
  gsize *offsets;
  gsize memory_size;
  gsize io_size;
  guint8 *io;
  gsize tensors_size;
  const InferImpl **impls;
  const InferTuning *tuning;
  gpointer *states;
  gsize *workspace_sizes;
  gsize *workspaces;
  gpointer *pointers;
  guint *step_pointers;
  gpointer graph;
  guint n_runs;
} InferPrepared;

/**
 * infer_prepared_new:
 * @keep_all: give every tensor memory of its own, so that all can be looked at after a run
 */
InferPrepared *infer_prepared_new(const InferProgram *program, InferDevice *device,
                                  InferPacks *packs, const InferSymbolValues *values, guint batch,
                                  gboolean keep_all, GError **error);
void infer_prepared_free(gpointer prepared);

/** Fills the pointers for memory at @base. */
void infer_prepared_set_base(InferPrepared *prepared, guint8 *base);

/** Where @offset lies: in the memory at @base, or at InferPrepared.io with the rest at @base. */
static inline guint8 *
infer_prepared_at(const InferPrepared *prepared, gsize offset, guint8 *base)
{
  if (!prepared->io)
    return base + offset;
  return offset < prepared->io_size ? prepared->io + offset : base + (offset - prepared->io_size);
}

/** Where @tensor lies when the memory is at @base; constants and what is known where they are. */
static inline gpointer
infer_prepared_data(const InferPrepared *prepared, const InferTensor *tensor, guint8 *base)
{
  guint root = prepared->roots[tensor->index];
  gsize shift = prepared->shifts[tensor->index];

  if (prepared->buffers[root].value)
    return (guint8 *)prepared->buffers[root].value->data + shift;
  if (prepared->known[root])
    return prepared->known_memory + prepared->offsets[root] + shift;
  return infer_prepared_at(prepared, prepared->offsets[root], base) + shift;
}

/** Bytes of a tensor in memory. */
gsize infer_buffer_size(const InferBuffer *buffer);

/** The operands of a step: arrays to free. */
void infer_prepared_operands(const InferPrepared *prepared, guint index, InferBuffer **inputs,
                             InferBuffer **outputs);

/** Whether the steps may be captured. */
gboolean infer_prepared_can_capture(const InferPrepared *prepared);

/** Runs every step on contents that were made up: loops over them end early, and what control flow
 *  finds wrong with them is no failure. It runs in the stream's thread, so that it is told of the
 *  (nullable) @cancellable. */
gboolean infer_prepared_run_made_up(const InferPrepared *prepared, guint8 *base,
                                    InferStream *stream, GCancellable *cancellable, GError **error);

/** Multiplications and additions of a step's convolutions and matrix products. */
gint64 infer_prepared_step_operations(const InferPrepared *prepared, guint index);

/** Bytes of a step's operands, each counted once. */
gint64 infer_prepared_step_bytes(const InferPrepared *prepared, guint index);

/** Runs one step. */
gboolean infer_prepared_run_step(const InferPrepared *prepared, guint index, guint8 *base,
                                 InferStream *stream, GError **error);

G_END_DECLS
