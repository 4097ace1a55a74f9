/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "import.h"

G_BEGIN_DECLS

/** TfBind: output @port of the node @name is argument @arg of a routine. */
typedef struct {
  const char *name;
  guint port;
  guint arg;
} TfBind;

/**
 * TfRoutine: nodes that are imported when they are called, any number of times: a function of the
 * library, or a part of a graph that is the body of a loop or the branch of a condition.
 * @name: for messages
 * @in_function: how the nodes' inputs are named
 * @defs: of TfDef
 * @own: of TfDef, those of @defs that are made here
 * @binds: of TfBind
 * @results: names of what it gives
 * @n_args: arguments
 */
typedef struct {
  char *name;
  gboolean in_function;
  GPtrArray *defs;
  GPtrArray *own;
  GArray *binds;
  GPtrArray *results;
  guint n_args;
} TfRoutine;

TfRoutine *tf_routine_new(const char *name, gboolean in_function);
void tf_routine_free(TfRoutine *routine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TfRoutine, tf_routine_free)

/** tf_routine_bind: makes an output of a node an argument. */
void tf_routine_bind(TfRoutine *routine, const char *name, guint port, guint arg);

/** tf_routine_of: Returns: (nullable): a function of the library; it belongs to the model. */
TfRoutine *tf_routine_of(TfModel *model, const char *name, GError **error);

/**
 * tf_routine_run:
 * @prefix: goes before the names of nodes
 * @args: (array length=n_args): as many as the routine has, or more
 * @needed: (nullable): which results are wanted
 * @results: (out caller-allocates): one for each result of the routine
 *
 * Imports the nodes that the results need into the network.
 *
 * Returns: FALSE with @error unset where problems were remembered
 */
gboolean tf_routine_run(TfImport *im, const TfRoutine *routine, const char *prefix,
                        const TfValue *args, guint n_args, const gboolean *needed, TfValue *results,
                        GError **error);

/** tf_routine_joined: the routine's nodes, joined, with nothing bound. */
TfGraph *tf_routine_joined(TfModel *model, const TfRoutine *routine, GError **error);
/** tf_routine_arg: whether @edge, in tf_routine_joined(), is an argument that is only passed on. */
gboolean tf_routine_arg(const TfRoutine *routine, TfEdge edge, guint *arg);

/* control.c: what is decided by constants is written out, the engine does the rest. */

/**
 * TfLoop: a loop over values.
 * @condition: gives one bool
 * @body: gives the next value of each variable
 * @n_vars: variables; further arguments are the same in all iterations
 */
typedef struct {
  TfNode *node;
  const TfRoutine *condition;
  const TfRoutine *body;
  guint n_vars;
  const TfValue *args;
  guint n_args;
} TfLoop;

/** tf_run_loop: @results has one for each variable. */
gboolean tf_run_loop(TfImport *im, const TfLoop *loop, TfValue *results, GError **error);
/** tf_run_if: results of one routine or the other. */
gboolean tf_run_if(TfImport *im, TfNode *node, InferTensor *condition, const TfRoutine *branches[2],
                   const TfValue *args, guint n_args, const gboolean *needed, TfValue *results,
                   GError **error);

/* body.c: sub-networks */

/** TfBody: a sub-network on its way, and what it reads of the network around. */
typedef struct {
  InferNetwork *network;
  InferNetwork *around;
  GPtrArray *captures; /* InferTensor of the network around */
} TfBody;

TfBody *tf_body_open(TfImport *im);
/** tf_body_close: goes back to the network around. */
void tf_body_close(TfImport *im, TfBody *body);
void tf_body_free(TfBody *body);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TfBody, tf_body_free)
/** tf_body_capture: a value of the network around, for the sub-network. */
gboolean tf_body_capture(TfImport *im, TfBody *body, TfNode *node, const TfValue *outer,
                         TfValue *inner, GError **error);

G_END_DECLS
