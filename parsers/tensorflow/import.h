/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "../partial.h"
#include "graph.h"

G_BEGIN_DECLS

/**
 * TfImport: a graph on its way into a network. TensorFlow's images are NHWC, our operators are
 * ONNX's, NCHW: convolutions and their kin put out the NCHW form of a value, operators that do not
 * care keep it, and a Transpose is added only where somebody asks for the other form.
 */
struct _TfImport {
  TfGraph *graph;
  InferNetwork *network;
  const InferParseOptions *options;
  GHashTable *ops;               /* name -> TfOp */
  GHashTable *wanted;            /* TfNode whose name is kept for an output */
  GPtrArray *problems;           /* char *, one a node */
  gint problem_code;             /* InferError of the first */
  gsize folded;                  /* bytes of constants that were computed here */
  GPtrArray *things;             /* (nullable): TfThing, all that there are */
  InferNetwork *main;            /* the network itself; @network may be a body within it */
  InferTf__Signature *signature; /* (nullable) */
  GHashTable *placeholders;      /* node name -> InferTf__InfoEntry, inputs of the signature */
  guint calls;                   /* how deep functions, loops and conditions are nested just now */
  guint written;                 /* nodes of all that was called */
};

/* The families. */
extern const TfOp tf_ops_basic[];
extern const TfOp tf_ops_blocks[];
extern const TfOp tf_ops_boxes[];
extern const TfOp tf_ops_control[];
extern const TfOp tf_ops_convolution[];
extern const TfOp tf_ops_detection[];
extern const TfOp tf_ops_function[];
extern const TfOp tf_ops_list[];
extern const TfOp tf_ops_math[];
extern const TfOp tf_ops_matrix[];
extern const TfOp tf_ops_volume[];
extern const TfOp tf_ops_index[];
extern const TfOp tf_ops_cell[];
extern const TfOp tf_ops_pointwise[];
extern const TfOp tf_ops_pool[];
extern const TfOp tf_ops_reduce[];
extern const TfOp tf_ops_resize[];
extern const TfOp tf_ops_shape[];
extern const TfOp tf_ops_slice[];

/* frame.c: conditions and loops of TensorFlow 1 */

/** tf_frame_wait: operators that do not need all of their inputs say, with tf_wait(), what they
 * need before they are added; asked again when that is there. Returns: FALSE when nothing more is.
 */
gboolean tf_frame_wait(TfImport *im, TfNode *node);

/** tf_frame_inside: Returns: (transfer container) (element-type TfNode): the nodes that are in
 * loops, and in branches too where @branches says so. */
GHashTable *tf_frame_inside(const TfGraph *graph, gboolean branches);

/* function.c */
extern const TfOp tf_op_function;

/* basic.c */
/** tf_op_given: a node that the caller's options make an input. */
extern const TfOp tf_op_given;

/* matrix.c */
gboolean tf_emit_matmul(TfImport *im, TfNode *node, GError **error);

/* plugin.c */
extern const TfOp tf_op_plugin;
/** tf_plugin_is: whether a plugin has the node's operator. */
gboolean tf_plugin_is(const TfNode *node);

/* import.c */

/** tf_index_ops: finds what adds each node of a graph. */
void tf_index_ops(TfImport *im, TfGraph *graph);
/** tf_forget: takes back problems that were remembered since there were @n. */
void tf_forget(TfImport *im, guint n);
/** tf_wait: makes @node wait for @n values of other nodes instead of its inputs. */
void tf_wait(TfNode *node, const TfEdge *edges, guint n);
/** tf_problem: remembers that @node cannot be had; @error is taken. */
void tf_problem(TfImport *im, TfNode *node, GError *error);
/** tf_import: adds @root and all it needs, once; problems are remembered, not returned.
 *  Returns: FALSE only where the graph itself is broken. */
gboolean tf_import(TfImport *im, TfNode *root, GError **error);
/** tf_import_value: the tensor (in TensorFlow's order) of one output of a node, imported now.
 *  Returns: (nullable): NULL with @error unset where a problem was remembered. */
InferTensor *tf_import_value(TfImport *im, const TfEdge *edge, GError **error);

/* emit.c: adding operators */

/** tf_error: Returns: FALSE, with an error. */
gboolean tf_error(GError **error, InferError code, const char *format, ...) G_GNUC_PRINTF(3, 4);

/**
 * tf_add:
 * @suffix: (nullable): what is added to the node's name; NULL for the node's main operator
 * @op: ONNX's operator
 * @attrs: (nullable): its attributes, sunk
 * @inputs: inputs; one that is NULL is absent
 *
 * Adds an operator; where all inputs are constant it is computed at once.
 *
 * Returns: (nullable): its output
 */
InferTensor *tf_add(TfImport *im, TfNode *node, const char *suffix, const char *op, GVariant *attrs,
                    InferTensor *const *inputs, guint n_inputs, GError **error);
/** tf_add_n: the same for several outputs. */
gboolean tf_add_n(TfImport *im, TfNode *node, const char *suffix, const char *op, GVariant *attrs,
                  InferTensor *const *inputs, guint n_inputs, InferTensor **outputs,
                  guint n_outputs, GError **error);
/** tf_add1: / tf_add2: one and two inputs. */
InferTensor *tf_add1(TfImport *im, TfNode *node, const char *suffix, const char *op,
                     GVariant *attrs, InferTensor *input, GError **error);
InferTensor *tf_add2(TfImport *im, TfNode *node, const char *suffix, const char *op,
                     GVariant *attrs, InferTensor *a, InferTensor *b, GError **error);

/** tf_ints: a constant vector of int64. */
InferTensor *tf_ints(TfImport *im, TfNode *node, const char *suffix, const gint64 *values, gsize n);
/** tf_scalar: a constant scalar of @type. */
InferTensor *tf_scalar(TfImport *im, TfNode *node, const char *suffix, InferType type,
                       double value);
/** tf_cast: @input as @type; itself where it has it. */
InferTensor *tf_cast(TfImport *im, TfNode *node, const char *suffix, InferTensor *input,
                     InferType type, GError **error);
/** tf_squeeze: / tf_unsqueeze: dimensions taken out and put in; none gives @input back. */
InferTensor *tf_squeeze(TfImport *im, TfNode *node, const char *suffix, InferTensor *input,
                        const gint64 *axes, gsize n, GError **error);
InferTensor *tf_unsqueeze(TfImport *im, TfNode *node, const char *suffix, InferTensor *input,
                          const gint64 *axes, gsize n, GError **error);
/** tf_transpose: @input with its dimensions in the order @perm. */
InferTensor *tf_transpose(TfImport *im, TfNode *node, const char *suffix, InferTensor *input,
                          const gint64 *perm, gsize n, GError **error);

/** tf_part: / tf_join: a Slice along one axis, and a Concat; one part alone is given back. */
InferTensor *tf_part(TfImport *im, TfNode *node, InferTensor *x, gint64 axis, gint64 start,
                     gint64 end, gint64 step, GError **error);
InferTensor *tf_join(TfImport *im, TfNode *node, InferTensor *const *parts, guint n, gint64 axis,
                     GError **error);

/* value.c: inputs and outputs of nodes */

/** tf_value: input @index of @node; an error where it is not there. */
TfValue *tf_value(TfNode *node, guint index, GError **error);
/** tf_in: / tf_in_nchw: the input in one form or the other, transposed where it must be. */
InferTensor *tf_in(TfImport *im, TfNode *node, guint index, GError **error);
InferTensor *tf_in_nchw(TfImport *im, TfNode *node, guint index, GError **error);
/** tf_has_nchw: whether the input is there in NCHW. */
gboolean tf_has_nchw(TfNode *node, guint index);
/** tf_in_rank: dimensions of the input, -1 where not known. */
gint tf_in_rank(TfNode *node, guint index);
/** tf_const: Returns: (transfer full) (nullable): the input's contents, which must be constant. */
InferArray *tf_const(TfNode *node, guint index, GError **error);
/** tf_const_ints: the same as at most @max integers. */
gboolean tf_const_ints(TfNode *node, guint index, gint64 *values, gsize max, gsize *n,
                       GError **error);
/** tf_const_axis: a constant axis, made positive where @rank (or -1) says how. */
gboolean tf_const_axis(TfNode *node, guint index, gint rank, gint64 *axis, GError **error);
/** tf_axis: checks @axis and makes it positive. */
gboolean tf_axis(gint64 *axis, gint rank, GError **error);
/** tf_nchw_axis: where a dimension of NHWC stands in NCHW. */
gint64 tf_nchw_axis(gint64 axis);

/** tf_out: / tf_out_nchw: stores output @port. Returns: FALSE where @tensor is NULL. */
gboolean tf_out(TfNode *node, guint port, InferTensor *tensor);
gboolean tf_out_nchw(TfNode *node, guint port, InferTensor *tensor);
/** tf_out_as: the same in the form that @nchw says. */
gboolean tf_out_as(TfNode *node, guint port, InferTensor *tensor, gboolean nchw);
/** tf_forward: output @port is input @index. */
gboolean tf_forward(TfNode *node, guint port, guint index, GError **error);
/** tf_value_form: makes a form of a value. */
InferTensor *tf_value_form(TfImport *im, TfNode *owner, TfValue *value, gboolean nchw,
                           GError **error);
/** tf_output: an output of a node, made when it is not there yet. */
TfValue *tf_output(TfNode *node, guint port);

/* objectdetection.c, suppression.c: graphs of TensorFlow's Object Detection API */

/** tf_detection_find_input: finds the loop that resizes the frames, and puts an input of the
 *  network behind it. Returns: FALSE on an error; a graph without one is no error. */
gboolean tf_detection_find_input(TfImport *im, InferModelInfo *info, GError **error);
/** tf_detection_is: whether the graph has the four outputs of a detector. */
gboolean tf_detection_is(const TfGraph *graph);
/** tf_detection_is_output: whether @name is one of the four. */
gboolean tf_detection_is_output(const char *name);
/** tf_detection_outputs: adds box decoding and non-maximum suppression as operators of ours. */
gboolean tf_detection_outputs(TfImport *im, InferModelInfo *info, GError **error);

G_END_DECLS
