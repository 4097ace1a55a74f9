/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/layers.h>
#include "op.h"

G_BEGIN_DECLS

/* What the functions of infer/layers.h share. */

/**
 * InferLayer:
 * @kind: what it is called in errors ("convolution")
 * @made_up: a name made up for it
 * @n_parts: nodes added so far before the last, for their names
 * @failed: an error was set, here or before, and nothing is added any more
 */
typedef struct {
  InferNetwork *network;
  const char *kind;
  const char *name;
  char made_up[64];
  guint n_parts;
  gboolean failed;
  GError **error;
} InferLayer;

/* Each function starts with this; it lasts as long as the function. */
#define INFER_LAYER(KIND)                                                                          \
  InferLayer layer = {.network = network, .kind = KIND, .name = name, .error = error};             \
  infer_layer_begin(&layer)

void infer_layer_begin(InferLayer *layer);

/** Sets an error that names the layer. Returns: FALSE. */
gboolean infer_layer_error(InferLayer *layer, InferError code, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/** Checks that tensors which have to be there are, and belong to the network; the list ends with
 *  INFER_LAYER_END. */
gboolean infer_layer_needs(InferLayer *layer, ...);
#define INFER_LAYER_END ((InferTensor *)-1)

/** The same for one that may be absent. */
gboolean infer_layer_allows(InferLayer *layer, const InferTensor *tensor);

/** Checks an enumeration's value against how many there are. */
gboolean infer_layer_choice(InferLayer *layer, const char *what, int value, gsize n);

/** Checks a list of numbers: @n of them, any number when it is negative. */
gboolean infer_layer_list(InferLayer *layer, const char *what, const InferDims *list, gint n);

/** @list, or @n times @fallback where it is %NULL. */
InferDims infer_layer_list_or(const InferDims *list, gint n, gint64 fallback);

/** A constant of @dims from @array, which has as many elements in another shape or none: then the
 *  dimensions are those of the array. NULL on error. */
InferTensor *infer_layer_constant(InferLayer *layer, const char *what, InferArray *array,
                                  const InferDims *dims);
InferTensor *infer_layer_ints(InferLayer *layer, const gint64 *values, gsize n);
InferTensor *infer_layer_list_constant(InferLayer *layer, const InferDims *list);

/** A scalar of @type. */
InferTensor *infer_layer_number(InferLayer *layer, InferType type, double value);

/** Adds the node that has the layer's name. %NULL with an error. */
InferNode *infer_layer_node(InferLayer *layer, const char *op, InferTensor *const *inputs,
                            guint n_inputs, GVariant *attrs, guint n_outputs);

/** The same of one output. */
InferTensor *infer_layer_last(InferLayer *layer, const char *op, InferTensor *const *inputs,
                              guint n_inputs, GVariant *attrs);

/** A node before the last, named after the layer. */
InferTensor *infer_layer_part(InferLayer *layer, const char *op, InferTensor *const *inputs,
                              guint n_inputs, GVariant *attrs);

/** last or part, with inputs in place. */
#define INFER_LAST(OP, ATTRS, ...)                                                                 \
  infer_layer_last(&layer, OP, (InferTensor *const[]){__VA_ARGS__},                                \
                   sizeof((InferTensor *[]){__VA_ARGS__}) / sizeof(InferTensor *), ATTRS)
#define INFER_PART(OP, ATTRS, ...)                                                                 \
  infer_layer_part(&layer, OP, (InferTensor *const[]){__VA_ARGS__},                                \
                   sizeof((InferTensor *[]){__VA_ARGS__}) / sizeof(InferTensor *), ATTRS)

/** Attributes in place: infer_attrs_new() with its end. */
#define INFER_ATTRS(...) infer_attrs_new(__VA_ARGS__, NULL)
#define INFER_INT(NAME, VALUE) NAME, 'i', (gint64)(VALUE)
#define INFER_REAL(NAME, VALUE) NAME, 'f', (double)(VALUE)
#define INFER_INTS(NAME, LIST) NAME, 'I', (LIST)->d, (gsize)(LIST)->n

G_END_DECLS
