/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"
#include <string.h>

/*
 * Functions of elements, one or a whole graph of them, as one step: the output is made in tiles
 * that stay in the first-level cache from one function to the next. What the nodes hand to each
 * other lies in registers of the size of a tile.
 */
#define TILE 1024
#define MAX_REGISTERS 6
#define MAX_CODE 16
#define MAX_INPUTS 12

/* An operand: a register, or an input of the step. */
typedef struct {
  gboolean inside;
  gint index;
} Operand;

typedef struct {
  gboolean is_binary;
  InferCpuUnary unary;
  InferCpuBinary binary;
  float alpha, beta;
  Operand a, b;
  gint result; /* register; -1 for the output */
} Instruction;

typedef struct {
  guint n;
  Instruction code[MAX_CODE];
} Code;

/* --- from nodes to code --- */

static const struct {
  const char *name;
  InferCpuBinary op;
} binaries[] = {
    {"Add", INFER_CPU_BINARY_ADD},     {"Sub", INFER_CPU_BINARY_SUB}, {"Mul", INFER_CPU_BINARY_MUL},
    {"Div", INFER_CPU_BINARY_DIV},     {"Max", INFER_CPU_BINARY_MAX}, {"Min", INFER_CPU_BINARY_MIN},
    {"PRelu", INFER_CPU_BINARY_PRELU},
};

/* Where the values of the step's nodes are while it is read. */
typedef struct {
  const InferStep *step;
  gint registers[MAX_CODE]; /* of each node's result */
  guint last[MAX_CODE];     /* the last node that reads it */
  gboolean busy[MAX_REGISTERS];
} Parser;

static gint
node_of(const Parser *self, const InferTensor *tensor, guint before)
{
  for (guint i = 0; i < before; i++)
    if (self->step->nodes[i]->outputs[0] == tensor)
      return (gint)i;
  return -1;
}

static gboolean
find_operand(const Parser *self, const InferTensor *tensor, guint at, Operand *operand)
{
  gint node = tensor != NULL ? node_of(self, tensor, at) : -1;
  if (node >= 0)
    *operand = (Operand){TRUE, self->registers[node]};
  else
    *operand = (Operand){FALSE, tensor != NULL ? infer_step_find_input(self->step, tensor) : -1};
  return operand->index >= 0 && (operand->inside || operand->index < MAX_INPUTS);
}

static gboolean
parse_binary(const InferNode *node, Instruction *in)
{
  double exponent;
  const char *name = infer_node_get_op_name(node);
  if (node->n_inputs != 2)
    return FALSE;
  /* A square is how variances are written. */
  if (g_str_equal(name, "Pow")) {
    in->binary = INFER_CPU_BINARY_MUL;
    return infer_cpu_scalar(node->inputs[1], &exponent) && exponent == 2.0 &&
           node->inputs[1]->dims.n <= node->inputs[0]->dims.n;
  }
  for (guint i = 0; i < G_N_ELEMENTS(binaries); i++)
    if (g_str_equal(binaries[i].name, name)) {
      in->binary = binaries[i].op;
      return TRUE;
    }
  return FALSE;
}

static gboolean
allot(Parser *self, guint node, gint *result)
{
  for (guint i = 0; i < node; i++)
    if (self->last[i] == node && self->registers[i] >= 0)
      self->busy[self->registers[i]] = FALSE;
  if (node + 1 == self->step->n_nodes) {
    *result = -1;
    return TRUE;
  }
  for (gint i = 0; i < MAX_REGISTERS; i++)
    if (!self->busy[i]) {
      self->busy[i] = TRUE;
      *result = self->registers[node] = i;
      return TRUE;
    }
  return FALSE;
}

static gboolean
parse_node(Parser *self, guint at, Instruction *in)
{
  const InferNode *node = self->step->nodes[at];
  *in = (Instruction){0};
  in->is_binary = !infer_cpu_unary_parse(node, &in->unary, &in->alpha, &in->beta);
  if (in->is_binary && !parse_binary(node, in))
    return FALSE;
  if (!find_operand(self, node->inputs[0], at, &in->a))
    return FALSE;
  if (in->is_binary &&
      !find_operand(self, node->inputs[g_str_equal(infer_node_get_op_name(node), "Pow") ? 0 : 1],
                    at, &in->b))
    return FALSE;
  return allot(self, at, &in->result);
}

/* Every value inside has the output's dimensions; only inputs are broadcast. */
static gboolean
parse(const InferStep *step, Code *code)
{
  Parser self = {.step = step};
  if (step->n_outputs != 1 || step->n_nodes > MAX_CODE || !infer_cpu_all_float(step) ||
      step->nodes[step->n_nodes - 1]->outputs[0] != step->outputs[0])
    return FALSE;
  for (guint i = 0; i < step->n_nodes; i++) {
    const InferNode *node = step->nodes[i];
    if (node->n_outputs != 1 || node->outputs[0]->dims.n < 0 ||
        !infer_dims_equal(&node->outputs[0]->dims, &step->outputs[0]->dims))
      return FALSE;
    if (step->n_nodes > 1)
      for (gint k = 0; k < node->outputs[0]->dims.n; k++)
        if (node->outputs[0]->dims.d[k] == INFER_DIM_UNKNOWN)
          return FALSE;
    for (guint k = 0; k < node->n_inputs; k++) {
      gint from = node_of(&self, node->inputs[k], i);
      if (from >= 0)
        self.last[from] = i;
    }
  }
  code->n = step->n_nodes;
  for (guint i = 0; i < step->n_nodes; i++)
    if (!parse_node(&self, i, &code->code[i]))
      return FALSE;
  return TRUE;
}

static gboolean
supports(InferDevice *device, const InferStep *step, InferLayout *inputs, InferLayout *outputs)
{
  g_autofree Code *code = g_new0(Code, 1);
  gboolean any = TRUE, varying = FALSE;
  if (!parse(step, code))
    return FALSE;
  for (guint i = 0; i < step->n_inputs; i++) {
    const InferTensor *input = step->inputs[i];
    if (input->dims.n < 0)
      return FALSE;
    any = any && (input->value != NULL || input->dims.n == step->outputs[0]->dims.n);
    varying = varying || input->value == NULL;
  }
  if (!any || !varying)
    return TRUE;
  /* Constants are row-major whatever the rest is; their strides say where elements are. */
  for (guint i = 0; i < step->n_inputs; i++)
    if (step->inputs[i]->value == NULL)
      inputs[i] = INFER_LAYOUT_ANY;
  outputs[0] = INFER_LAYOUT_ANY;
  return TRUE;
}

/* --- the loops around it --- */

typedef struct {
  const InferCpuKernels *kernels;
  Code code;
  guint n_inputs;
  gint n; /* dimensions, at least 2: ..., rows, columns */
  gint64 dims[INFER_MAX_DIMS + 2];
  gint64 out[INFER_MAX_DIMS + 2]; /* strides */
  gint64 in[MAX_INPUTS][INFER_MAX_DIMS + 2];
  gint64 tile_rows, tile_columns;        /* of a tile */
  gint64 row_tiles, column_tiles, tiles; /* their numbers */
} Pointwise;

static gboolean
broadcast_strides(const InferBuffer *in, const InferDims *out, gint64 *strides)
{
  gint skip = out->n - in->dims.n;
  if (skip < 0)
    return FALSE;
  for (gint i = 0; i < out->n; i++) {
    gint64 d = i < skip ? 1 : in->dims.d[i - skip];
    if (d != 1 && d != out->d[i])
      return FALSE;
    strides[i] = d == 1 ? 0 : in->strides[i - skip];
  }
  return TRUE;
}

static void
sort_by_output(const InferBuffer *out, gint *axes)
{
  for (gint i = 0; i < out->dims.n; i++)
    axes[i] = i;
  for (gint i = 1; i < out->dims.n; i++)
    for (gint k = i; k > 0 && out->strides[axes[k - 1]] < out->strides[axes[k]]; k--) {
      gint axis = axes[k];
      axes[k] = axes[k - 1];
      axes[k - 1] = axis;
    }
}

/* Dimensions that can be walked as one are. */
static void
add_axis(Pointwise *self, gint64 dim, gint64 out, const gint64 *in)
{
  gint last = self->n - 1;
  if (dim == 1)
    return;
  gboolean merged = last >= 0 && self->out[last] == out * dim;
  for (guint i = 0; merged && i < self->n_inputs; i++)
    merged = self->in[i][last] == in[i] * dim;
  if (merged)
    self->dims[last] *= dim;
  else
    self->dims[last = self->n++] = dim;
  self->out[last] = out;
  for (guint i = 0; i < self->n_inputs; i++)
    self->in[i][last] = in[i];
}

static void
add_leading_axis(Pointwise *self)
{
  for (gint i = self->n++; i > 0; i--) {
    self->dims[i] = self->dims[i - 1];
    self->out[i] = self->out[i - 1];
    for (guint k = 0; k < self->n_inputs; k++)
      self->in[k][i] = self->in[k][i - 1];
  }
  self->dims[0] = 1;
  self->out[0] = 0;
  for (guint k = 0; k < self->n_inputs; k++)
    self->in[k][0] = 0;
}

static void
find_tiles(Pointwise *self)
{
  if (self->n == 0) {
    add_leading_axis(self);
    self->out[0] = 1;
  }
  if (self->n == 1)
    add_leading_axis(self);
  gint64 rows = self->dims[self->n - 2], columns = self->dims[self->n - 1];
  /* One function alone needs no registers. */
  gint64 size = self->code.n == 1 ? 16 * TILE : TILE;
  self->tile_columns = MIN(columns, size);
  self->tile_rows = columns == 0 ? 1 : MAX(1, MIN(rows, size / self->tile_columns));
  self->column_tiles = columns == 0 ? 0 : (columns + size - 1) / size;
  self->row_tiles = (rows + self->tile_rows - 1) / self->tile_rows;
  self->tiles = self->column_tiles * self->row_tiles;
  for (gint i = 0; i < self->n - 2; i++)
    self->tiles *= self->dims[i];
}

static gboolean
prepare_pointwise(InferPrepare *prepare, GError **error)
{
  const InferBuffer *out = &prepare->outputs[0];
  g_autofree Pointwise *self = g_new0(Pointwise, 1);
  gint64 strides[MAX_INPUTS][INFER_MAX_DIMS], in[MAX_INPUTS];
  gint axes[INFER_MAX_DIMS];
  if (!parse(prepare->step, &self->code))
    return infer_cpu_fail(prepare, error, INFER_ERROR_FAILED, "not functions of elements");
  self->kernels = infer_cpu_device(prepare->device)->kernels;
  /* What only bounds a Clip comes after the operands, or is read nowhere. */
  self->n_inputs = MIN(prepare->step->n_inputs, MAX_INPUTS);
  for (guint i = 0; i < self->n_inputs; i++)
    if (!broadcast_strides(&prepare->inputs[i], &out->dims, strides[i]))
      return infer_cpu_fail(prepare, error, INFER_ERROR_SHAPE, "operands cannot be broadcast");
  sort_by_output(out, axes);
  for (gint i = 0; i < out->dims.n; i++) {
    for (guint k = 0; k < self->n_inputs; k++)
      in[k] = strides[k][axes[i]];
    add_axis(self, out->dims.d[axes[i]], out->strides[axes[i]], in);
  }
  find_tiles(self);
  prepare->state = g_steal_pointer(&self);
  return TRUE;
}

/* --- running --- */

/* Where an operand lies for the tile at hand. */
typedef struct {
  float *data;
  gint64 row, column; /* strides */
} Place;

typedef struct {
  const Pointwise *self;
  void *const *inputs;
  float *output;
} Call;

typedef struct {
  const Call *call;
  gint64 rows, columns;
  Place inputs[MAX_INPUTS];
  Place output;
  float (*registers)[TILE];
} Tile;

static Place
place_of(const Tile *tile, const Operand *operand)
{
  if (!operand->inside)
    return tile->inputs[operand->index];
  return (Place){tile->registers[operand->index], tile->columns, 1};
}

/* Whether the rows of a tile follow each other without a gap, so that they are one. */
static gboolean
is_flat(const Tile *tile, const Place *place)
{
  return tile->rows == 1 || place->row == tile->columns * place->column;
}

static void
run_unary(const Tile *tile, const Instruction *in, Place dst, Place src)
{
  const InferCpuKernels *kernels = tile->call->self->kernels;
  gboolean flat = is_flat(tile, &dst) && is_flat(tile, &src);
  gint64 n = flat ? tile->rows * tile->columns : tile->columns, rows = flat ? 1 : tile->rows;
  for (gint64 i = 0; i < rows; i++) {
    float *to = dst.data + i * dst.row;
    const float *from = src.data + i * src.row;
    if (src.column != 1) {
      for (gint64 k = 0; k < n; k++)
        to[k] = from[k * src.column];
      from = to;
    }
    kernels->unary(in->unary, to, from, n, in->alpha, in->beta);
  }
}

static void
run_binary(const Tile *tile, const Instruction *in, Place dst, Place a, Place b)
{
  const InferCpuKernels *kernels = tile->call->self->kernels;
  gboolean flat = is_flat(tile, &dst) && is_flat(tile, &a) && is_flat(tile, &b);
  gint64 n = flat ? tile->rows * tile->columns : tile->columns, rows = flat ? 1 : tile->rows;
  for (gint64 i = 0; i < rows; i++)
    kernels->binary(in->binary, dst.data + i * dst.row, a.data + i * a.row, a.column,
                    b.data + i * b.row, b.column, n);
}

static void
run_tile(const Tile *tile)
{
  const Code *code = &tile->call->self->code;
  for (guint i = 0; i < code->n; i++) {
    const Instruction *in = &code->code[i];
    Operand result = {TRUE, in->result};
    Place dst = in->result < 0 ? tile->output : place_of(tile, &result);
    if (in->is_binary)
      run_binary(tile, in, dst, place_of(tile, &in->a), place_of(tile, &in->b));
    else
      run_unary(tile, in, dst, place_of(tile, &in->a));
  }
}

static void
find_places(Tile *tile, gint64 index)
{
  const Pointwise *self = tile->call->self;
  gint rows = self->n - 2, columns = self->n - 1;
  gint64 at[INFER_MAX_DIMS + 2], offset = 0;
  at[columns] = index % self->column_tiles * self->tile_columns;
  index /= self->column_tiles;
  at[rows] = index % self->row_tiles * self->tile_rows;
  index /= self->row_tiles;
  for (gint i = rows - 1; i >= 0; i--) {
    at[i] = index % self->dims[i];
    index /= self->dims[i];
  }
  tile->rows = MIN(self->tile_rows, self->dims[rows] - at[rows]);
  tile->columns = MIN(self->tile_columns, self->dims[columns] - at[columns]);
  for (gint i = 0; i < self->n; i++)
    offset += at[i] * self->out[i];
  tile->output = (Place){tile->call->output + offset, self->out[rows], self->out[columns]};
  for (guint k = 0; k < self->n_inputs; k++) {
    offset = 0;
    for (gint i = 0; i < self->n; i++)
      offset += at[i] * self->in[k][i];
    tile->inputs[k] =
        (Place){(float *)tile->call->inputs[k] + offset, self->in[k][rows], self->in[k][columns]};
  }
}

static void
run_tiles(gpointer data, gint64 begin, gint64 end)
{
  float registers[MAX_REGISTERS][TILE];
  Tile tile = {.call = data, .registers = registers};
  for (gint64 i = begin; i < end; i++) {
    find_places(&tile, i);
    run_tile(&tile);
  }
}

static gboolean
run(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs, void *workspace,
    GError **error)
{
  const Pointwise *self = state;
  Call call = {self, inputs, outputs[0]};
  infer_cpu_parallel(self->tiles, self->tile_rows * self->tile_columns * self->code.n, run_tiles,
                     &call);
  return TRUE;
}

/* The loops walk strides anyway; only the output's innermost has to be 1. */
static gboolean
strided(const InferPrepare *prepare, gboolean output, guint index)
{
  const InferBuffer *buffer = &prepare->outputs[0];
  gint64 least = G_MAXINT64;
  for (gint i = 0; output && i < buffer->dims.n; i++)
    if (buffer->dims.d[i] != 1)
      least = MIN(least, buffer->strides[i]);
  return !output || least == 1 || least == G_MAXINT64;
}

const InferImpl infer_cpu_pointwise = {
    .name = "cpu.pointwise",
    .batch_invariant = TRUE,
    .supports = supports,
    .prepare = prepare_pointwise,
    .release = g_free,
    .run = run,
    .strided = strided,
};
