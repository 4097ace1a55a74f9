/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* Branches and loops, written out where what they depend on is a constant; the engine runs others.
 */

#define MAX_UNROLL 1024
#define MAX_UNROLLED_NODES 65536

static gboolean
take_outputs(OnnxCall *call, GPtrArray *values, GError **error)
{
  if (values->len < call->n_outputs) {
    return onnx_error(error, INFER_ERROR_MODEL, "the subgraph has %u outputs; %u are read",
                      values->len, call->n_outputs);
  }
  for (guint i = 0; i < call->n_outputs; i++) {
    call->out[i] = values->pdata[i];
  }
  call->done = TRUE;
  return TRUE;
}

/* The one number that a tensor is known to be. */
static gboolean
known_number(const OnnxValue *value, gint64 *number)
{
  g_autoptr(InferArray) array =
      value && value->kind == ONNX_TENSOR ? parsers_known(value->tensor) : NULL;

  if (!array || infer_array_count(array) != 1) {
    return FALSE;
  }
  *number = infer_array_get_int(array, 0);
  return TRUE;
}

static gboolean
emit_if(OnnxImport *im, OnnxCall *call, GError **error)
{
  gint64 condition = 0;

  if (call->values->len != 1) {
    return onnx_error(error, INFER_ERROR_MODEL, "it has to have one input");
  }
  if (!known_number(call->values->pdata[0], &condition)) {
    return onnx_run_if(im, call, error);
  }
  const char *name = condition ? "then_branch" : "else_branch";
  const InferOnnx__Graph *graph = onnx_attr_graph(call, name, error);
  g_autoptr(GPtrArray) values = graph ? onnx_inline(im, call, graph, name, NULL, 0, error) : NULL;

  return values && take_outputs(call, values, error);
}

/* --- what scans collect --- */

static gboolean
any_failed(const GPtrArray *values)
{
  for (guint i = 0; i < values->len; i++) {
    if (((const OnnxValue *)values->pdata[i])->kind == ONNX_FAILED) {
      return TRUE;
    }
  }
  return FALSE;
}

/* Stacks one tensor an iteration along @axis. */
static OnnxValue *
stack(OnnxImport *im, const OnnxCall *call, GPtrArray *steps, gint64 axis, GError **error)
{
  g_autofree InferTensor **rows = g_new0(InferTensor *, steps->len + 1);

  if (steps->len == 0) {
    onnx_error(error, INFER_ERROR_UNSUPPORTED,
               "the loop runs no time, so that the shape of what it collects is not known");
    return NULL;
  }
  for (guint i = 0; i < steps->len; i++) {
    OnnxValue *value = steps->pdata[i];
    if (value->kind != ONNX_TENSOR) {
      onnx_error(error, INFER_ERROR_UNSUPPORTED, "what the loop collects is not a tensor");
      return NULL;
    }
    rows[i] = onnx_unsqueeze(im, call, "row", value->tensor, &axis, 1, error);
    if (!rows[i]) {
      return NULL;
    }
  }
  gint64 at = axis;
  InferTensor *all =
      steps->len == 1 ? rows[0]
                      : onnx_add(im, call, "stack", "Concat",
                                 infer_attrs_new("axis", 'i', at, NULL), rows, steps->len, error);
  return all ? onnx_value(im, ONNX_TENSOR, all) : NULL;
}

/* --- Loop --- */

typedef struct {
  const InferOnnx__Graph *body;
  guint n_carried;
  guint n_scans;
  GPtrArray *carried; /* OnnxValue */
  GPtrArray **scans;  /* of OnnxValue, one list a scan output */
  gboolean going;
} Loop;

static gboolean
iterate(OnnxImport *im, const OnnxCall *call, Loop *loop, gint64 number, GError **error)
{
  g_autofree char *suffix = g_strdup_printf("%" G_GINT64_FORMAT, number);
  g_autoptr(GPtrArray) inputs = g_ptr_array_new();
  InferTensor *index = onnx_const_scalar(im, call, "iteration", INFER_TYPE_INT64, (double)number);
  InferTensor *going = onnx_const_scalar(im, call, "condition", INFER_TYPE_BOOL, 1);
  gint64 condition = 0;

  g_ptr_array_add(inputs, onnx_value(im, ONNX_TENSOR, index));
  g_ptr_array_add(inputs, onnx_value(im, ONNX_TENSOR, going));
  for (guint i = 0; i < loop->n_carried; i++) {
    g_ptr_array_add(inputs, loop->carried->pdata[i]);
  }
  g_autoptr(GPtrArray) outputs = onnx_inline(im, call, loop->body, suffix,
                                             (OnnxValue *const *)inputs->pdata, inputs->len, error);
  if (!outputs || any_failed(outputs)) {
    return FALSE;
  }
  if (!known_number(outputs->pdata[0], &condition)) {
    return onnx_error(error, INFER_ERROR_UNSUPPORTED, "whether the loop goes on depends on data");
  }
  loop->going = condition != 0;
  for (guint i = 0; i < loop->n_carried; i++) {
    loop->carried->pdata[i] = outputs->pdata[i + 1];
  }
  for (guint i = 0; i < loop->n_scans; i++) {
    g_ptr_array_add(loop->scans[i], outputs->pdata[i + 1 + loop->n_carried]);
  }
  return TRUE;
}

static gboolean
run_loop(OnnxImport *im, OnnxCall *call, Loop *loop, gint64 trips, GError **error)
{
  for (gint64 i = 0; loop->going && i < trips; i++) {
    if (i >= MAX_UNROLL) {
      return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                        "the loop runs more than %d times, which cannot be written out",
                        MAX_UNROLL);
    }
    if (!iterate(im, call, loop, i, error)) {
      return FALSE;
    }
  }
  g_autoptr(GPtrArray) values = g_ptr_array_new();
  for (guint i = 0; i < loop->n_carried; i++) {
    g_ptr_array_add(values, loop->carried->pdata[i]);
  }
  for (guint i = 0; i < loop->n_scans; i++) {
    /* What nothing reads need not have a shape. */
    guint port = loop->n_carried + i;
    gboolean read = port < call->n_outputs && call->def->output[port][0];
    OnnxValue *all = read ? stack(im, call, loop->scans[i], 0, error) : NULL;
    if (read && !all) {
      return FALSE;
    }
    g_ptr_array_add(values, all);
  }
  return take_outputs(call, values, error);
}

/* Writes the loop out. Returns: FALSE, maybe with an error, where that cannot be. */
static gboolean
unroll_loop(OnnxImport *im, OnnxCall *call, Loop *loop, gint64 trips, GError **error)
{
  loop->carried = g_ptr_array_new();
  for (guint i = 0; i < loop->n_carried; i++) {
    OnnxValue *value = call->values->pdata[i + 2];
    g_ptr_array_add(loop->carried, value ? value : onnx_value(im, ONNX_NOTHING, NULL));
  }
  loop->scans = g_new0(GPtrArray *, loop->n_scans + 1);
  for (guint i = 0; i < loop->n_scans; i++) {
    loop->scans[i] = g_ptr_array_new();
  }
  gboolean good = run_loop(im, call, loop, trips, error);
  for (guint i = 0; i < loop->n_scans; i++) {
    g_ptr_array_unref(loop->scans[i]);
  }
  g_free(loop->scans);
  g_ptr_array_unref(loop->carried);
  return good;
}

/* How often the loop runs at most; FALSE where that is known only when it runs. */
static gboolean
known_head(const OnnxCall *call, gint64 *trips, gint64 *condition)
{
  const OnnxValue *const *in = (const OnnxValue *const *)call->values->pdata;
  guint n = call->values->len;

  *trips = G_MAXINT64;
  *condition = 1;
  return (n < 1 || !in[0] || in[0]->kind == ONNX_NOTHING || known_number(in[0], trips)) &&
         (n < 2 || !in[1] || in[1]->kind == ONNX_NOTHING || known_number(in[1], condition));
}

static gboolean
emit_loop(OnnxImport *im, OnnxCall *call, GError **error)
{
  Loop loop = {.body = onnx_attr_graph(call, "body", error)};
  gint64 trips = 0, condition = 0;
  guint n = call->values->len, problems = im->problems->len, n_nodes = im->n_nodes;

  if (!loop.body) {
    return FALSE;
  }
  loop.n_carried = n > 2 ? n - 2 : 0;
  if (loop.body->n_output < loop.n_carried + 1) {
    return onnx_error(error, INFER_ERROR_MODEL, "the body has too few outputs");
  }
  if (!known_head(call, &trips, &condition)) {
    return onnx_run_loop(im, call, error);
  }
  loop.n_scans = (guint)loop.body->n_output - 1 - loop.n_carried;
  loop.going = condition != 0;
  g_autoptr(GError) trouble = NULL;
  gint64 least = CLAMP(trips, 0, MAX_UNROLL);
  if ((trips <= MAX_UNROLL || trips == G_MAXINT64) &&
      least * (gint64)(loop.body->n_node + 1) <= MAX_UNROLLED_NODES &&
      unroll_loop(im, call, &loop, trips, &trouble)) {
    return TRUE;
  }
  onnx_forget(im, problems);
  im->n_nodes = n_nodes;
  for (guint i = 0; i < call->n_outputs; i++) {
    call->out[i] = NULL;
  }
  return onnx_run_loop(im, call, error);
}

/* --- Scan --- */

typedef struct {
  const InferOnnx__Graph *body;
  guint n_states, n_inputs, n_outputs;
  gint64 *in_axes, *out_axes;
  gboolean *in_back, *out_back;
  gint64 length;
  gboolean batched; /* opset 8: a batch of one is around everything */
  GPtrArray *states;
} Scan;

static gboolean
read_lists(const OnnxCall *call, const char *axes_name, const char *back_name, guint n,
           gint64 **axes, gboolean **back, GError **error)
{
  gsize n_axes = 0, n_back = 0;
  g_autofree gint64 *given = onnx_ints(call, axes_name, &n_axes);
  g_autofree gint64 *directions = onnx_ints(call, back_name, &n_back);

  *axes = g_new0(gint64, n + 1);
  *back = g_new0(gboolean, n + 1);
  if ((given && n_axes != n) || (directions && n_back != n)) {
    return onnx_error(error, INFER_ERROR_MODEL, "%s or %s has not %u elements", axes_name,
                      back_name, n);
  }
  for (guint i = 0; i < n; i++) {
    (*axes)[i] = given ? given[i] : 0;
    (*back)[i] = directions && directions[i] != 0;
  }
  return TRUE;
}

static gboolean
scan_length(const OnnxCall *call, Scan *scan, GError **error)
{
  scan->length = -1;
  for (guint i = 0; i < scan->n_inputs; i++) {
    const InferTensor *tensor = onnx_require(call, scan->n_states + i, error);
    if (!tensor) {
      return FALSE;
    }
    scan->in_axes[i] += scan->in_axes[i] < 0 ? tensor->dims.n : 0;
    gint64 axis = scan->in_axes[i];
    gint64 size = axis >= 0 && axis < tensor->dims.n ? tensor->dims.d[axis] : -1;
    if (size >= 0 && i > 0 && scan->length >= 0 && size != scan->length) {
      return onnx_error(error, INFER_ERROR_MODEL,
                        "the length of scan input %u is not that of the others", i);
    }
    scan->length = size < 0 || (i > 0 && scan->length < 0) ? -1 : size;
  }
  return TRUE;
}

static OnnxValue *
slice_of(OnnxImport *im, const OnnxCall *call, const Scan *scan, guint input, gint64 step,
         GError **error)
{
  gint64 at = scan->in_back[input] ? scan->length - 1 - step : step;
  InferTensor *index = onnx_const_scalar(im, call, "index", INFER_TYPE_INT64, (double)at);
  GVariant *attrs = infer_attrs_new("axis", 'i', scan->in_axes[input], NULL);
  InferTensor *slice = onnx_add2(im, call, "slice", "Gather", attrs,
                                 call->in->pdata[scan->n_states + input], index, error);

  return slice ? onnx_value(im, ONNX_TENSOR, slice) : NULL;
}

static gboolean
scan_step(OnnxImport *im, const OnnxCall *call, Scan *scan, gint64 step, GPtrArray **collected,
          GError **error)
{
  g_autofree char *suffix = g_strdup_printf("%" G_GINT64_FORMAT, step);
  g_autoptr(GPtrArray) inputs = g_ptr_array_new();

  for (guint i = 0; i < scan->n_states; i++) {
    g_ptr_array_add(inputs, scan->states->pdata[i]);
  }
  for (guint i = 0; i < scan->n_inputs; i++) {
    OnnxValue *slice = slice_of(im, call, scan, i, step, error);
    if (!slice) {
      return FALSE;
    }
    g_ptr_array_add(inputs, slice);
  }
  g_autoptr(GPtrArray) outputs = onnx_inline(im, call, scan->body, suffix,
                                             (OnnxValue *const *)inputs->pdata, inputs->len, error);
  if (!outputs || any_failed(outputs)) {
    return FALSE;
  }
  for (guint i = 0; i < scan->n_states; i++) {
    scan->states->pdata[i] = outputs->pdata[i];
  }
  for (guint i = 0; i < scan->n_outputs; i++) {
    g_ptr_array_insert(collected[i], scan->out_back[i] ? 0 : -1,
                       outputs->pdata[scan->n_states + i]);
  }
  return TRUE;
}

/* Opset 8: takes the batch of one away, or puts it back. */
static gboolean
strip_batch(OnnxImport *im, OnnxCall *call, GError **error)
{
  const gint64 axis = 0;

  for (guint i = 0; i < call->in->len; i++) {
    InferTensor *tensor = onnx_require(call, i, error);
    if (!tensor) {
      return FALSE;
    }
    if (tensor->dims.n < 1 || tensor->dims.d[0] != 1) {
      return onnx_error(error, INFER_ERROR_UNSUPPORTED,
                        "a scan of opset 8 over a batch other than 1 is not supported");
    }
    InferTensor *axes = onnx_const_ints(im, call, "batch", &axis, 1);
    tensor = onnx_add2(im, call, "frame", "Squeeze", NULL, tensor, axes, error);
    if (!tensor) {
      return FALSE;
    }
    call->in->pdata[i] = tensor;
    call->values->pdata[i] = onnx_value(im, ONNX_TENSOR, tensor);
  }
  return TRUE;
}

static gboolean
add_batch(OnnxImport *im, const OnnxCall *call, GPtrArray *values, GError **error)
{
  const gint64 axis = 0;

  for (guint i = 0; i < values->len; i++) {
    OnnxValue *value = values->pdata[i];
    InferTensor *tensor = value->kind == ONNX_TENSOR
                              ? onnx_unsqueeze(im, call, "batch", value->tensor, &axis, 1, error)
                              : NULL;
    if (!tensor) {
      return FALSE;
    }
    values->pdata[i] = onnx_value(im, ONNX_TENSOR, tensor);
  }
  return TRUE;
}

static gboolean
run_scan(OnnxImport *im, OnnxCall *call, Scan *scan, GPtrArray **collected, GError **error)
{
  for (gint64 i = 0; i < scan->length; i++) {
    if (!scan_step(im, call, scan, i, collected, error)) {
      return FALSE;
    }
  }
  g_autoptr(GPtrArray) values = g_ptr_array_new();
  for (guint i = 0; i < scan->n_states; i++) {
    g_ptr_array_add(values, scan->states->pdata[i]);
  }
  for (guint i = 0; i < scan->n_outputs; i++) {
    OnnxValue *all = stack(im, call, collected[i], scan->out_axes[i], error);
    if (!all) {
      return FALSE;
    }
    g_ptr_array_add(values, all);
  }
  return (!scan->batched || add_batch(im, call, values, error)) &&
         take_outputs(call, values, error);
}

static gboolean
plan_scan(OnnxImport *im, OnnxCall *call, Scan *scan, GError **error)
{
  gint64 n = onnx_int(call, "num_scan_inputs", 0);

  if (scan->batched) {
    if (call->values->len > 0 && call->values->pdata[0]) {
      return onnx_error(error, INFER_ERROR_UNSUPPORTED, "sequence_lens is not supported");
    }
    if (call->values->len > 0) {
      g_ptr_array_remove_index(call->values, 0);
      g_ptr_array_remove_index(call->in, 0);
    }
    if (!strip_batch(im, call, error)) {
      return FALSE;
    }
  }
  if (n < 1 || n > call->in->len || scan->body->n_output < call->in->len - (gsize)n) {
    return onnx_error(error, INFER_ERROR_MODEL, "num_scan_inputs %" G_GINT64_FORMAT " does not fit",
                      n);
  }
  scan->n_inputs = (guint)n;
  scan->n_states = call->in->len - scan->n_inputs;
  scan->n_outputs = (guint)scan->body->n_output - scan->n_states;
  return read_lists(call, "scan_input_axes", scan->batched ? "directions" : "scan_input_directions",
                    scan->n_inputs, &scan->in_axes, &scan->in_back, error) &&
         read_lists(call, "scan_output_axes", "scan_output_directions", scan->n_outputs,
                    &scan->out_axes, &scan->out_back, error) &&
         scan_length(call, scan, error) &&
         (!scan->batched || (scan->length >= 0 && scan->length <= MAX_UNROLL) ||
          onnx_error(error, INFER_ERROR_UNSUPPORTED,
                     "a scan of opset 8 has to have a constant length of at most %d", MAX_UNROLL));
}

/* A scan of opset 8 has to be: it is not what the engine's is. */
static gboolean
can_unroll(const Scan *scan)
{
  return scan->batched || (scan->length > 0 && scan->length <= MAX_UNROLL &&
                           scan->length * (gint64)(scan->body->n_node + 1) <= MAX_UNROLLED_NODES);
}

static gboolean
emit_scan(OnnxImport *im, OnnxCall *call, GError **error)
{
  Scan scan = {.body = onnx_attr_graph(call, "body", error), .batched = call->opset < 9};
  gboolean good = scan.body && plan_scan(im, call, &scan, error);

  if (good) {
    GPtrArray **collected = g_new0(GPtrArray *, scan.n_outputs + 1);
    for (guint i = 0; i < scan.n_outputs; i++) {
      collected[i] = g_ptr_array_new();
    }
    scan.states = g_ptr_array_new();
    for (guint i = 0; i < scan.n_states; i++) {
      g_ptr_array_add(scan.states, call->values->pdata[i]);
    }
    good = can_unroll(&scan) ? run_scan(im, call, &scan, collected, error)
                             : onnx_run_scan(im, call, error);
    for (guint i = 0; i < scan.n_outputs; i++) {
      g_ptr_array_unref(collected[i]);
    }
    g_free(collected);
    g_ptr_array_unref(scan.states);
  }
  g_free(scan.in_axes);
  g_free(scan.out_axes);
  g_free(scan.in_back);
  g_free(scan.out_back);
  return good;
}

const OnnxRule onnx_rules_control[] = {
    {"If", 0, emit_if},
    {"Loop", 0, emit_loop},
    {"Scan", 0, emit_scan},
    {NULL, 0, NULL},
};
