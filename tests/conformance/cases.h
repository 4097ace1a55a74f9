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

/** Tables of cases; end with a NULL operator. */
extern const Row rows[];
extern const Row rows_shapes[];

/* What generators are made of. They do nothing once the case has an error. */

gint64 pick(Case *c, gint64 least, gint64 most);
gboolean coin(Case *c);
InferTensor *input(Case *c, gint rank, const gint64 *dims);
InferTensor *constant_of(Case *c, InferType type, InferDims dims, double low, double high);
InferTensor *scalar(Case *c, double value);
InferTensor *integers(Case *c, gsize n, const gint64 *values);
InferNode *add_node(Case *c, const char *op, GVariant *attrs, guint n_out, guint n_in,
                    InferTensor *const *in);
InferTensor *first(InferNode *node);
void output(Case *c, InferTensor *tensor);
InferTensor *feature_map(Case *c, gint64 channels, gint64 height, gint64 width);
InferTensor *activation(Case *c, InferTensor *x);

#define INPUT(C, ...)                                                                              \
  input(C, sizeof((gint64[]){__VA_ARGS__}) / sizeof(gint64), (gint64[]){__VA_ARGS__})

#define CONSTANT(C, ...) constant_of(C, (C)->type, INFER_DIMS(__VA_ARGS__), -1.0, 1.0)

#define INTEGERS(C, ...)                                                                           \
  integers(C, sizeof((gint64[]){__VA_ARGS__}) / sizeof(gint64), (gint64[]){__VA_ARGS__})

#define NODE(C, OP, ATTRS, ...)                                                                    \
  first(add_node(C, OP, ATTRS, 1, sizeof((InferTensor *[]){__VA_ARGS__}) / sizeof(InferTensor *),  \
                 (InferTensor *[]){__VA_ARGS__}))

/** Fills @array with numbers that suit its type. */
void fill_random(InferArray *array, GRand *random);
