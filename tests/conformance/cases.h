/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "op.h"

/**
 * Case:
 * @network: the network under test
 * @random: seeded by the case
 * @batch: rows to run
 * @type: element type of the data
 * @label: what was generated
 * @error: why it could not be generated
 *
 * A small network around one operator, whose inputs and outputs have the batch first.
 */
typedef struct {
  InferNetwork *network;
  GRand *random;
  guint batch;
  gint64 rows; /* the symbol of the batch */
  InferType type;
  const char *op;
  GString *label;
  GError *error;
} Case;

typedef void (*Generate)(Case *c);

/**
 * Row:
 * @op: operator
 * @generate: makes a case
 * @types: element types, ends with INFER_TYPE_UNDEFINED
 * @count: cases per type
 * @fast: the CPU has an implementation for every case: running by reference is a failure
 *
 * An operator in the table of cases.
 */
typedef struct {
  const char *op;
  Generate generate;
  InferType types[5];
  guint count;
  gboolean fast;
} Row;

extern const Row rows[];

/** Fills @array with numbers that suit its type. */
void fill_random(InferArray *array, GRand *random);
