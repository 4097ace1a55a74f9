/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/check.h"
#include "ops/data.h"
#include "ops/rnn-cell.h"

/* Recurrent layers: Elman's, Cho et al. 2014, and Hochreiter and Schmidhuber 1997 with peepholes.
 */

enum { IN_X, IN_W, IN_R, IN_B, IN_LENGTHS, IN_H, IN_C, IN_P };

static const char *const directions[] = {"forward", "reverse", "bidirectional", NULL};

typedef struct {
  InferOp op;
  InferCellKind kind;
} Rnn;

static InferCellKind
kind_of(const InferNode *node)
{
  return ((const Rnn *)node->op)->kind;
}

/* The sizes, unknown at first. */
typedef struct {
  gint64 seq, batch, inputs, hidden, dirs;
  gboolean batch_first;
} Sizes;

static gboolean
check_attrs(const InferNode *node, Sizes *sizes, GError **error)
{
  gint64 layout, hidden;
  gint direction;
  InferCell cell;

  if (!infer_check_int(node, "layout", 0, 0, 1, &layout, error) ||
      !infer_check_choice(node, "direction", "forward", directions, &direction, error))
    return FALSE;
  sizes->batch_first = layout == 1;
  sizes->dirs = direction == 2 ? 2 : 1;
  if (infer_node_has_attr(node, "hidden_size")) {
    if (!infer_check_int(node, "hidden_size", 0, 1, G_MAXINT32, &hidden, error))
      return FALSE;
    sizes->hidden = hidden;
  }
  for (guint i = 0; i < (guint)sizes->dirs; i++)
    if (!infer_cell_read(node, kind_of(node), i, (guint)sizes->dirs, &cell, error))
      return FALSE;
  return TRUE;
}

/* Learns the hidden size from any weight before checking the rows of all of them. */
static gboolean
check_weights(const InferShapeArgs *args, Sizes *s, GError **error)
{
  gint64 gates = infer_cell_n_gates(kind_of(args->node)), any[3], rows, biases, peepholes;

  any[0] = any[1] = any[2] = INFER_DIM_UNKNOWN;
  if (!infer_check_dims(args, IN_R, 3, (gint64 *[]){&s->dirs, &any[0], &s->hidden}, error) ||
      !infer_check_dims(args, IN_W, 3, (gint64 *[]){&s->dirs, &any[1], &s->inputs}, error))
    return FALSE;
  for (gint i = 0; i < 2; i++)
    if (s->hidden < 0 && any[i] > 0)
      s->hidden = any[i] / gates;
  rows = infer_check_product(s->hidden, gates);
  biases = infer_check_product(s->hidden, 2 * gates);
  peepholes = infer_check_product(s->hidden, 3);
  return infer_check_dims(args, IN_W, 3, (gint64 *[]){&s->dirs, &rows, &s->inputs}, error) &&
         infer_check_dims(args, IN_R, 3, (gint64 *[]){&s->dirs, &rows, &s->hidden}, error) &&
         infer_check_dims(args, IN_B, 2, (gint64 *[]){&s->dirs, &biases}, error) &&
         infer_check_dims(args, IN_P, 2, (gint64 *[]){&s->dirs, &peepholes}, error);
}

static gboolean
check_sequence(const InferShapeArgs *args, Sizes *s, GError **error)
{
  gint64 *x[] = {&s->seq, &s->batch, &s->inputs}, *state[] = {&s->dirs, &s->batch, &s->hidden};

  if (s->batch_first) {
    x[0] = &s->batch;
    x[1] = &s->seq;
    state[0] = &s->batch;
    state[1] = &s->dirs;
  }
  return infer_check_dims(args, IN_X, 3, x, error) &&
         infer_check_vector(args, IN_LENGTHS, &s->batch, error) &&
         infer_check_dims(args, IN_H, 3, state, error) &&
         infer_check_dims(args, IN_C, 3, state, error);
}

static gboolean
rnn_infer(InferShapeArgs *args, GError **error)
{
  Sizes s = {INFER_DIM_UNKNOWN, INFER_DIM_UNKNOWN, INFER_DIM_UNKNOWN, INFER_DIM_UNKNOWN, 1, FALSE};

  if (!infer_check_reals(args, IN_X, IN_B, error) || !infer_check_reals(args, IN_H, IN_P, error) ||
      (infer_check_present(args, IN_LENGTHS) &&
       !infer_op_require_type(args, IN_LENGTHS, error, INFER_TYPE_INT32, INFER_TYPE_UNDEFINED)))
    return FALSE;
  for (guint i = IN_H; i < args->n_in; i++)
    if (infer_check_present(args, i) && args->in[i].type != args->in[0].type)
      return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input %u is %s, input 0 is %s",
                            i, infer_type_name(args->in[i].type),
                            infer_type_name(args->in[0].type));
  if (!check_attrs(args->node, &s, error) || !check_sequence(args, &s, error) ||
      !check_weights(args, &s, error) || !check_sequence(args, &s, error))
    return FALSE;
  for (guint i = 0; i < args->n_out; i++)
    args->out[i].type = args->in[0].type;
  args->out[0].dims = s.batch_first ? INFER_DIMS(s.batch, s.seq, s.dirs, s.hidden)
                                    : INFER_DIMS(s.seq, s.dirs, s.batch, s.hidden);
  for (guint i = 1; i < args->n_out; i++)
    args->out[i].dims = s.batch_first ? INFER_DIMS(s.batch, s.dirs, s.hidden)
                                      : INFER_DIMS(s.dirs, s.batch, s.hidden);
  return TRUE;
}

/* One row of input, the states, and what a cell works with. */
static gsize
rnn_scratch(const InferShapeArgs *args)
{
  gint64 inputs = args->in[IN_X].dims.d[2], hidden = args->in[IN_R].dims.d[2];
  gint64 work = infer_cell_work(kind_of(args->node), hidden);

  if (work < 0 || hidden > G_MAXINT32 || inputs > G_MAXINT32)
    return G_MAXSIZE / 2;
  return infer_check_bytes(work + 2 * hidden + inputs, sizeof(double), 0);
}

/* One direction of one row of the batch. */
typedef struct {
  const InferEvalArgs *args;
  Sizes sizes;
  gint64 dir, row, length;
  gboolean backward;
  double *x, *h, *c;
} Line;

static const InferArray *
input(const InferEvalArgs *args, guint index)
{
  return index < args->n_in ? args->in[index] : NULL;
}

static gint64
state_at(const Line *line)
{
  const Sizes *s = &line->sizes;

  return (s->batch_first ? line->row * s->dirs + line->dir : line->dir * s->batch + line->row) *
         s->hidden;
}

static void
load_state(const Line *line, guint index, double *state)
{
  const InferArray *initial = input(line->args, index);
  gint64 at = state_at(line);

  for (gint64 i = 0; i < line->sizes.hidden; i++)
    state[i] = initial ? infer_real(initial, at + i) : 0;
}

static void
store(InferArray *to, gint64 at, const double *values, gint64 n)
{
  for (gint64 i = 0; i < n; i++)
    infer_real_set(to, at + i, values ? values[i] : 0);
}

static gboolean
run_line(const Line *line, const InferCell *cell, GError **error)
{
  const Sizes *s = &line->sizes;
  InferArray *const *out = line->args->out;

  load_state(line, IN_H, line->h);
  load_state(line, IN_C, line->c);
  for (gint64 i = 0; i < s->seq; i++) {
    gint64 t = line->backward && i < line->length ? line->length - 1 - i : i;
    gint64 at = s->batch_first ? line->row * s->seq + t : t * s->batch + line->row;
    gint64 to = s->batch_first ? at * s->dirs + line->dir
                               : (t * s->dirs + line->dir) * s->batch + line->row;

    if (!infer_op_go_on(error))
      return FALSE;
    for (gint64 k = 0; i < line->length && k < s->inputs; k++)
      line->x[k] = infer_real(line->args->in[IN_X], at * s->inputs + k);
    if (i < line->length)
      infer_cell_step(cell, line->x, line->h, line->c);
    store(out[0], to * s->hidden, i < line->length ? line->h : NULL, s->hidden);
  }
  if (line->args->n_out > 1)
    store(out[1], state_at(line), line->h, s->hidden);
  if (line->args->n_out > 2)
    store(out[2], state_at(line), line->c, s->hidden);
  return TRUE;
}

static gboolean
read_length(const InferEvalArgs *args, gint64 row, gint64 seq, gint64 *length, GError **error)
{
  const InferArray *lengths = input(args, IN_LENGTHS);

  *length = lengths ? infer_array_get_int(lengths, (gsize)row) : seq;
  if (*length >= 0 && *length <= seq)
    return TRUE;
  return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                        "row %" G_GINT64_FORMAT " has the length %" G_GINT64_FORMAT
                        ", the sequence has %" G_GINT64_FORMAT,
                        row, *length, seq);
}

static void
bind_weights(const InferEvalArgs *args, const Sizes *s, gint64 dir, InferCell *cell)
{
  gint64 rows = cell->gates * s->hidden;

  cell->inputs = s->inputs;
  cell->hidden = s->hidden;
  cell->w = args->in[IN_W];
  cell->r = args->in[IN_R];
  cell->b = input(args, IN_B);
  cell->p = input(args, IN_P);
  cell->w_at = dir * rows * s->inputs;
  cell->r_at = dir * rows * s->hidden;
  cell->b_at = dir * 2 * rows;
  cell->p_at = dir * 3 * s->hidden;
}

static gboolean
rnn_eval(const InferEvalArgs *args, GError **error)
{
  const InferDims *x = &args->in[IN_X]->dims;
  gboolean reverse =
      strcmp(infer_node_get_string(args->node, "direction", "forward"), "reverse") == 0;
  Line line = {.args = args};
  Sizes *s = &line.sizes;
  InferCell cell;

  s->batch_first = infer_node_get_int(args->node, "layout", 0) == 1;
  s->seq = x->d[s->batch_first ? 1 : 0];
  s->batch = x->d[s->batch_first ? 0 : 1];
  s->inputs = x->d[2];
  s->dirs = args->in[IN_R]->dims.d[0];
  s->hidden = args->in[IN_R]->dims.d[2];
  line.x = args->scratch;
  line.h = line.x + s->inputs;
  line.c = line.h + s->hidden;
  for (line.dir = 0; line.dir < s->dirs; line.dir++) {
    if (!infer_cell_read(args->node, kind_of(args->node), (guint)line.dir, (guint)s->dirs, &cell,
                         error))
      return FALSE;
    bind_weights(args, s, line.dir, &cell);
    cell.work = line.c + s->hidden;
    line.backward = reverse || line.dir == 1;
    for (line.row = 0; line.row < s->batch; line.row++) {
      if (!read_length(args, line.row, s->seq, &line.length, error) ||
          !run_line(&line, &cell, error))
        return FALSE;
    }
  }
  return TRUE;
}

#define COMMON_ATTRS                                                                               \
  {"activation_alpha", 'F', FALSE}, {"activation_beta", 'F', FALSE}, {"activations", 'S', FALSE},  \
      {"clip", 'f', FALSE}, {"direction", 's', FALSE}, {"hidden_size", 'i', FALSE},                \
  {                                                                                                \
    "layout", 'i', FALSE                                                                           \
  }

static const InferAttrSpec rnn_attrs[] = {COMMON_ATTRS, {NULL, 0, FALSE}};
static const InferAttrSpec gru_attrs[] = {
    COMMON_ATTRS, {"linear_before_reset", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec lstm_attrs[] = {
    COMMON_ATTRS, {"input_forget", 'i', FALSE}, {NULL, 0, FALSE}};

#define RNN(NAME, KIND, INPUTS, OUTPUTS, ATTRS)                                                    \
  {                                                                                                \
    .op = {.name = NAME,                                                                           \
           .version = 14,                                                                          \
           .min_inputs = 3,                                                                        \
           .max_inputs = INPUTS,                                                                   \
           .min_outputs = 1,                                                                       \
           .max_outputs = OUTPUTS,                                                                 \
           .attrs = ATTRS,                                                                         \
           .infer = rnn_infer,                                                                     \
           .scratch = rnn_scratch,                                                                 \
           .eval = rnn_eval},                                                                      \
    .kind = KIND,                                                                                  \
  }

static const Rnn layers[] = {
    RNN("RNN", INFER_CELL_RNN, 6, 2, rnn_attrs),
    RNN("GRU", INFER_CELL_GRU, 6, 2, gru_attrs),
    RNN("LSTM", INFER_CELL_LSTM, 8, 3, lstm_attrs),
};

extern const InferOp *const infer_ops_rnn[];
const InferOp *const infer_ops_rnn[] = {&layers[0].op, &layers[1].op, &layers[2].op, NULL};
