/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

G_BEGIN_DECLS

/* One step of one direction of RNN, GRU and LSTM, for one row of the batch. */

typedef enum { INFER_CELL_RNN, INFER_CELL_GRU, INFER_CELL_LSTM } InferCellKind;

/** The most activations of a cell: f, g and h of LSTM. */
#define INFER_CELL_ACTIVATIONS 3

typedef struct {
  gint kind; /* private to rnn-cell.c */
  double alpha, beta;
} InferCellActivation;

/**
 * InferCell: a direction
 * @gates: 1, 3 or 4
 * @clip: bound of what activations are given; 0 for none
 * @w: gates x hidden rows of @inputs weights, from element @w_at on
 * @r: gates x hidden rows of @hidden weights
 * @b: (nullable): biases of @w, then of @r
 * @p: (nullable): peepholes of the input, output and forget gates
 * @work: doubles, infer_cell_work() of them
 */
typedef struct {
  InferCellKind kind;
  gint64 gates, inputs, hidden;
  gboolean linear_before_reset, input_forget;
  double clip;
  InferCellActivation activations[INFER_CELL_ACTIVATIONS];
  const InferArray *w, *r, *b, *p;
  gint64 w_at, r_at, b_at, p_at;
  double *work;
} InferCell;

guint infer_cell_n_activations(InferCellKind kind);
gint64 infer_cell_n_gates(InferCellKind kind);

/** infer_cell_read: reads and checks activations, clip and flags of @node for @direction, of
 *  @n_directions. */
gboolean infer_cell_read(const InferNode *node, InferCellKind kind, guint direction,
                         guint n_directions, InferCell *cell, GError **error);

/** infer_cell_work: Returns: the doubles of InferCell.work; -1 where they are too many. */
gint64 infer_cell_work(InferCellKind kind, gint64 hidden);

/** infer_cell_step: advances the state @h, and @c of LSTM, by the input @x. */
void infer_cell_step(const InferCell *cell, const double *x, double *h, double *c);

G_END_DECLS
