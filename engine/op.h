/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/error.h>
#include <infer/network.h>

G_BEGIN_DECLS

/*
 * What an operator is to the engine: a name with a version, its attributes, how many inputs and
 * outputs it has, the types and dimensions of its outputs, and a plain C evaluation.
 *
 * Every file engine/ops/NAME.c defines `const InferOp *const infer_ops_NAME[]`, a %NULL-terminated
 * list of one operator or of a family that shares its arithmetic; meson makes the table from the
 * list of files.
 */

/**
 * InferAttrSpec:
 * @name: attribute
 * @kind: 'i' integer, 'f' float, 's' string, 'I' integers, 'F' floats, 'S' strings,
 *   'y' bytes
 * @required: a node without it is refused
 */
typedef struct {
  const char *name;
  char kind;
  gboolean required;
} InferAttrSpec;

/**
 * InferOperand:
 * @type: element type; %INFER_TYPE_UNDEFINED for an absent optional input
 * @dims: dimensions; maybe symbolic
 * @value: (nullable): contents where they are constant
 * @has_content: @content is valid
 * @content: partly known elements of a scalar (content.n == 1) or vector of integers
 * @kind: a sequence or optional has no dimensions and no @value
 * @item_dims: dimensions that all tensors in a sequence or optional have
 *
 * What shape inference sees of an input and says of an output. For constant integer inputs of at
 * most INFER_MAX_DIMS elements and rank 0 or 1, @content is always filled, with negative numbers as
 * %INFER_DIM_UNKNOWN since they would read as symbols.
 */
typedef struct {
  InferType type;
  InferDims dims;
  const InferArray *value;
  gboolean has_content;
  InferDims content;
  InferKind kind;
  InferDims item_dims;
} InferOperand;

typedef struct {
  const InferNode *node;
  guint n_in;
  const InferOperand *in;
  guint n_out;
  InferOperand *out; /* zeroed, rank unknown, before the call */
  gboolean settle;   /* what is inferred inside sub-networks is recorded there */
  guint *widens;     /* which operands eval gets in a wider type; see widen.h */
} InferShapeArgs;

/**
 * InferEvalArgs:
 * @node: the node, for its attributes
 * @in: inputs, row-major; %NULL where absent
 * @out: outputs, row-major, allocated when shape inference gave constant dimensions; else %NULL,
 *   and the operator stores a new array there
 * @scratch: as many bytes as InferOp.scratch() asked for, aligned to 64
 *
 * Inputs have the types and dimensions that shape inference accepted.
 */
typedef struct {
  const InferNode *node;
  guint n_in;
  const InferArray *const *in;
  guint n_out;
  InferArray **out;
  gpointer scratch;
} InferEvalArgs;

/** InferOpFlags:
 * @INFER_OP_POINTWISE: element i of the output depends on element i of the inputs alone
 *   (with broadcasting), so that any layout does
 * @INFER_OP_VIEW: the output has the input's elements in row-major order (reshape and its kin)
 * @INFER_OP_VALUES: it takes sequences or optionals; others are refused them
 * @INFER_OP_PLUGIN: it is an InferPlugin (plugin-private.h)
 * @INFER_OP_OPAQUE: eval() only fails: there is no reference
 */
typedef enum {
  INFER_OP_POINTWISE = 1 << 0,
  INFER_OP_VIEW = 1 << 1,
  INFER_OP_VALUES = 1 << 2,
  INFER_OP_PLUGIN = 1 << 8,
  INFER_OP_OPAQUE = 1 << 9,
} InferOpFlags;

/** A count of inputs without a limit. */
#define INFER_OP_VARIADIC G_MAXUINT

struct _InferOp {
  const char *name; /* ONNX's name, or "infer.Name" for our own domain */
  guint version;    /* the opset whose semantics it has */
  guint min_inputs, max_inputs;
  guint min_outputs, max_outputs;
  const InferAttrSpec *attrs; /* ends with a NULL name */
  guint flags;
  guint n_graphs; /* sub-networks that a node has */

  /* Checks attributes, types and dimensions, and fills the outputs. Never trusts a value. */
  gboolean (*infer)(InferShapeArgs *args, GError **error);

  /* Bytes of scratch that eval needs; NULL for none. Dimensions are constant. */
  gsize (*scratch)(const InferShapeArgs *args);

  /* Plain C: the oracle of tests, the constant folder, the last resort. It reads and writes
   * nothing outside its operands and scratch, and allocates nothing unless an output is %NULL. */
  gboolean (*eval)(const InferEvalArgs *args, GError **error);
};

/** infer_op_find: Returns: (nullable): the operator of that name; a plugin's is "namespace.Name",
 * of the newest version that is registered, or "namespace.Name@version". */
INFER_API const InferOp *infer_op_find(const char *name);
/** infer_op_list: Returns: (transfer none): every operator, %NULL-terminated. */
INFER_API const InferOp *const *infer_op_list(void);

/* Helpers for operators (engine/ops-util.c). All of them set @error naming the node. */

/** infer_op_error: sets an error "node 'x' (Conv): <message>". Returns: FALSE. */
INFER_API gboolean infer_op_error(const InferNode *node, GError **error, InferError code,
                                  const char *format, ...) G_GNUC_PRINTF(4, 5);

/** InferWidening: what eval does not want to see as it is.
 * @INFER_WIDEN_HALF: float16 and bfloat16 become float
 * @INFER_WIDEN_PACKED: elements of 4 and 2 bits become bytes, with the sign that they have
 * @INFER_WIDEN_STRING: strings become unsigned integers of the size of a pointer, of which equal
 *   strings have the same one; the empty string is 0 */
typedef enum {
  INFER_WIDEN_HALF = 1 << 0,
  INFER_WIDEN_PACKED = 1 << 1,
  INFER_WIDEN_STRING = 1 << 2,
} InferWidening;

/** infer_op_eval_type: the type of input @index that eval is to see: float instead of float16 and
 *  bfloat16, which are widened for it and its outputs of these types rounded (see widen.h). For
 *  operators that check types by themselves. */
InferType infer_op_eval_type(const InferShapeArgs *args, guint index);

/** infer_op_require_type: checks input @index against a list of types that ends with UNDEFINED.
 *  With float in it, float16 and bfloat16 are accepted too; where they are not in it themselves,
 *  eval gets floats. */
gboolean infer_op_require_type(const InferShapeArgs *args, guint index, GError **error, ...);

/** infer_op_require_rank: checks that the rank is known and in [min, max]. */
gboolean infer_op_require_rank(const InferShapeArgs *args, guint index, gint min, gint max,
                               GError **error);

/** infer_op_go_on: whether an evaluation that takes long may go on. It asks the thread's current
 *  GCancellable, and is called now and then, every few milliseconds of work.
 *  Returns: FALSE with %G_IO_ERROR_CANCELLED */
gboolean infer_op_go_on(GError **error);

/** infer_op_axis: normalises a maybe negative axis; FALSE with an error when out of range. */
gboolean infer_op_axis(const InferNode *node, gint64 axis, gint rank, gint *result, GError **error);

/** infer_op_broadcast: multidirectional (NumPy) broadcast of @a and @b into @out. */
gboolean infer_op_broadcast(const InferNode *node, const InferDims *a, const InferDims *b,
                            InferDims *out, GError **error);

/** infer_op_content: reads the partly known integers of input @index (a scalar or vector);
 *  Returns: whether they are known at all. Elements may be symbols or unknown. */
gboolean infer_op_content(const InferShapeArgs *args, guint index, InferDims *content);

/** infer_op_const_ints: the contents of a constant integer input of any length.
 *  Returns: (transfer full) (nullable): NULL when not constant. */
gint64 *infer_op_const_ints(const InferShapeArgs *args, guint index, gsize *n);

/** infer_op_strings: the strings of a list attribute.
 *  Returns: (transfer full) (nullable): %NULL where the node has none. */
char **infer_op_strings(const InferNode *node, const char *name, gsize *n);

/** infer_op_strides: row-major strides in elements; broadcast dimensions (1 where @out is not)
 *  get stride 0, and @in is aligned to the right of @out. */
void infer_op_broadcast_strides(const InferDims *in, const InferDims *out, gint64 *strides);

/** infer_op_shape_args: runs shape inference on prepared arguments; widens has to be set. */
gboolean infer_op_shape_args(InferShapeArgs *args, GError **error);

/** infer_op_shape: runs shape inference of @node on given operands, checking arity. */
gboolean infer_op_shape(const InferNode *node, const InferOperand *in, guint n_in,
                        InferOperand *out, guint n_out, GError **error);

/** infer_op_settle: the same, and records what it finds inside sub-networks there. */
gboolean infer_op_settle(const InferNode *node, const InferOperand *in, guint n_in,
                         InferOperand *out, guint n_out, GError **error);

/** infer_op_eval_alloc: evaluates @node on arrays: infers shapes, allocates outputs and scratch.
 *  Returns: (transfer full): arrays to unref, in @out. */
INFER_API gboolean infer_op_eval_alloc(const InferNode *node, const InferArray *const *in,
                                       guint n_in, InferArray **out, guint n_out, GError **error);

/** infer_operand_from_array: an operand with a constant value and its content. */
void infer_operand_from_array(InferOperand *operand, const InferArray *array);
void infer_operand_from_tensor(InferOperand *operand, const InferTensor *tensor);
/** infer_operand_is_known: whether shapes alone tell all elements of what is no constant. */
gboolean infer_operand_is_known(const InferOperand *operand);
/** infer_operand_content_new: the array that @content, all of whose elements are known, tells. */
InferArray *infer_operand_content_new(InferType type, const InferDims *dims,
                                      const InferDims *content, GError **error);

G_END_DECLS
