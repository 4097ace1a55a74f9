/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cases.h"
#include "backend.h"

#include <infer/infer.h>
#include <math.h>
#include <string.h>

/*
 * Operators x cases x backends x types: every case is a small random network, built for a device,
 * run, and compared with the evaluation of its nodes one by one. On the CPU a batch also has to
 * give the bits that its rows give alone.
 *
 *   conformance [--exclusions FILE] [--seed N] [--op NAME] [--need-device] [BACKEND ...]
 *
 * With --need-device, a device that cannot be opened ends it with 77 and the reason.
 */

typedef struct {
  guint number, failed;
  guint seed;
  const char *only;
  gboolean no_device;    /* one could not be opened */
  GPtrArray *exclusions; /* of GStrv: backend, operator, type, reason */
} Run;

static const struct {
  InferType type;
  double tolerance; /* of 1 + |expected| */
} tolerances[] = {{INFER_TYPE_FLOAT, 1e-4},
                  {INFER_TYPE_FLOAT16, 1e-2},
                  {INFER_TYPE_BFLOAT16, 8e-2},
                  {INFER_TYPE_DOUBLE, 1e-9}};

static double
tolerance_of(InferType type)
{
  for (guint i = 0; i < G_N_ELEMENTS(tolerances); i++)
    if (tolerances[i].type == type)
      return tolerances[i].tolerance;
  return 0.0;
}

/* --- exclusions --- */

static gboolean
load_exclusions(Run *run, const char *path)
{
  g_autofree char *text = NULL;
  g_autoptr(GError) error = NULL;
  if (path == NULL)
    return TRUE;
  if (!g_file_get_contents(path, &text, NULL, &error)) {
    g_print("Bail out! %s\n", error->message);
    return FALSE;
  }
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++) {
    g_strstrip(lines[i]);
    if (lines[i][0] == '\0' || lines[i][0] == '#')
      continue;
    g_auto(GStrv) fields = g_strsplit(lines[i], " ", 4);
    if (g_strv_length(fields) < 4) {
      g_print("Bail out! %s:%u: an exclusion is: backend operator type reason\n", path, i + 1);
      return FALSE;
    }
    g_ptr_array_add(run->exclusions, g_steal_pointer(&fields));
  }
  return TRUE;
}

static const char *
excluded(const Run *run, const char *backend, const char *op, const char *type)
{
  const char *what[] = {backend, op, type};
  for (guint i = 0; i < run->exclusions->len; i++) {
    char **fields = run->exclusions->pdata[i];
    gboolean match = TRUE;
    for (guint k = 0; k < 3; k++)
      match = match && (g_str_equal(fields[k], "*") || g_str_equal(fields[k], what[k]));
    if (match)
      return fields[3];
  }
  return NULL;
}

/* --- reference --- */

static void
unref_array(gpointer array)
{
  if (array != NULL)
    infer_array_unref(array);
}

/* Evaluates the network's nodes in order. Returns: arrays by tensor. */
static GHashTable *
evaluate(Case *c, GPtrArray *inputs, GError **error)
{
  g_autoptr(GHashTable) values = g_hash_table_new_full(NULL, NULL, NULL, unref_array);
  for (guint i = 0; i < inputs->len; i++)
    g_hash_table_insert(values, infer_network_get_input(c->network, i),
                        infer_array_ref(inputs->pdata[i]));
  for (guint i = 0; i < infer_network_get_n_nodes(c->network); i++) {
    const InferNode *node = infer_network_get_node(c->network, i);
    const InferArray *in[16] = {NULL};
    InferArray *out[16] = {NULL};
    for (guint k = 0; k < node->n_inputs && k < 16; k++) {
      InferTensor *tensor = node->inputs[k];
      if (tensor != NULL)
        in[k] = tensor->value != NULL ? tensor->value : g_hash_table_lookup(values, tensor);
    }
    if (!infer_op_eval_alloc(node, in, node->n_inputs, out, node->n_outputs, error))
      return NULL;
    for (guint k = 0; k < node->n_outputs; k++)
      g_hash_table_insert(values, node->outputs[k], out[k]);
  }
  return g_steal_pointer(&values);
}

/* --- device --- */

static InferEngine *
build(Case *c, const char *device, GError **error)
{
  g_autoptr(InferBuilder) builder = infer_builder_new();
  infer_builder_set_device(builder, device);
  infer_builder_set_max_batch(builder, c->batch);
  infer_builder_set_verify(builder, FALSE);
  infer_builder_set_precisions(builder, 0); /* the bar is that of FP32 */
  return infer_builder_build(builder, c->network, "conformance", NULL, error);
}

/* Runs @n rows from row @first on; outputs are copied. */
static gboolean
run_rows(InferContext *context, Case *c, GPtrArray *inputs, guint first, guint n,
         GPtrArray *outputs, GError **error)
{
  if (!infer_context_set_batch(context, n, error))
    return FALSE;
  for (guint i = 0; i < inputs->len; i++) {
    const InferArray *array = inputs->pdata[i];
    gsize size, row = array->size / c->batch;
    guint8 *memory =
        infer_context_map(context, infer_network_get_input(c->network, i)->name, &size, error);
    if (memory == NULL)
      return FALSE;
    if (size != row * n) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED,
                  "an input has %" G_GSIZE_FORMAT " bytes, expected %" G_GSIZE_FORMAT, size,
                  row * n);
      return FALSE;
    }
    memcpy(memory, (guint8 *)array->data + row * first, size);
  }
  if (!infer_context_run(context, error))
    return FALSE;
  for (guint i = 0; i < infer_network_get_n_outputs(c->network); i++) {
    gsize size;
    gpointer memory =
        infer_context_map(context, infer_network_get_output(c->network, i)->name, &size, error);
    if (memory == NULL)
      return FALSE;
    g_ptr_array_add(outputs, g_bytes_new(memory, size));
  }
  return TRUE;
}

/* --- comparing --- */

static gboolean
compare(const InferArray *want, GBytes *have, GError **error)
{
  gsize size;
  gconstpointer data = g_bytes_get_data(have, &size);
  double tolerance = tolerance_of(want->type);
  if (size != want->size) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERIFY,
                "%" G_GSIZE_FORMAT " bytes, expected %" G_GSIZE_FORMAT, size, want->size);
    return FALSE;
  }
  g_autoptr(InferArray) got = infer_array_new_view(want->type, &want->dims, (gpointer)data);
  gint64 count = infer_array_count(want);
  for (gint64 i = 0; i < count; i++) {
    double a = infer_array_get_double(want, (gsize)i), b = infer_array_get_double(got, (gsize)i);
    if (a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= tolerance * (1.0 + fabs(a)))
      continue;
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERIFY,
                "element %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " is %.9g, expected %.9g", i,
                count, b, a);
    return FALSE;
  }
  return TRUE;
}

static gboolean
compare_rows(InferContext *context, Case *c, GPtrArray *inputs, GPtrArray *whole, GError **error)
{
  for (guint row = 0; row < c->batch; row++) {
    g_autoptr(GPtrArray) alone = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    if (!run_rows(context, c, inputs, row, 1, alone, error))
      return FALSE;
    for (guint i = 0; i < alone->len; i++) {
      gsize size, total;
      gconstpointer data = g_bytes_get_data(alone->pdata[i], &size);
      const guint8 *all = g_bytes_get_data(whole->pdata[i], &total);
      if (total == size * c->batch && memcmp(all + row * size, data, size) == 0)
        continue;
      g_set_error(error, INFER_ERROR, INFER_ERROR_VERIFY,
                  "row %u of a batch of %u differs in bits from that row alone", row, c->batch);
      return FALSE;
    }
  }
  return TRUE;
}

/* What ran the steps; an error where the reference ran one. */
static gboolean
look_at_steps(InferContext *context, Case *c, gboolean fast, GError **error)
{
  InferStepTime step;
  gboolean reference = FALSE;
  g_string_append(c->label, " [");
  for (guint i = 0; infer_context_get_step_time(context, i, &step); i++) {
    const char *name = step.implementation != NULL ? step.implementation : "view";
    g_string_append_printf(c->label, "%s%s", i > 0 ? " " : "", name);
    reference = reference || g_str_equal(name, "reference");
  }
  g_string_append(c->label, "]");
  if (fast && reference)
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERIFY,
                "the device has implementations for this operator, but the reference ran");
  return !(fast && reference);
}

static gboolean
check(Case *c, const char *device, gboolean fast, GError **error)
{
  g_autoptr(GPtrArray) inputs = g_ptr_array_new_with_free_func(unref_array);
  g_autoptr(GPtrArray) outputs = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  for (guint i = 0; i < infer_network_get_n_inputs(c->network); i++) {
    const InferTensor *tensor = infer_network_get_input(c->network, i);
    InferDims dims = tensor->dims;
    dims.d[0] = c->batch;
    InferArray *array = infer_array_new(tensor->type, &dims, error);
    if (array == NULL)
      return FALSE;
    fill_random(array, c->random);
    g_ptr_array_add(inputs, array);
  }
  g_autoptr(GHashTable) expected = evaluate(c, inputs, error);
  g_autoptr(InferEngine) engine = expected != NULL ? build(c, device, error) : NULL;
  g_autoptr(InferContext) context = engine != NULL ? infer_context_new(engine, error) : NULL;
  if (context == NULL)
    return FALSE;
  infer_context_set_profiling(context, TRUE);
  if (!run_rows(context, c, inputs, 0, c->batch, outputs, error))
    return FALSE;
  for (guint i = 0; i < outputs->len; i++)
    if (!compare(g_hash_table_lookup(expected, infer_network_get_output(c->network, i)),
                 outputs->pdata[i], error))
      return FALSE;
  gboolean cpu = g_str_equal(device, "cpu");
  return look_at_steps(context, c, cpu && fast, error) &&
         (!cpu || compare_rows(context, c, inputs, outputs, error));
}

/* --- the walk --- */

static void
report(Run *run, const char *device, const Case *c, const GError *error)
{
  g_print("%s %u - %s %s %s%s\n", error == NULL ? "ok" : "not ok", ++run->number, c->op, device,
          infer_type_name(c->type), c->label->str);
  if (error == NULL)
    return;
  run->failed++;
  g_print("# %s\n", error->message);
}

static void
run_case(Run *run, const char *device, const Row *row, InferType type, guint index)
{
  g_autoptr(GError) error = NULL;
  Case c = {.network = infer_network_new(),
            .random = g_rand_new_with_seed(run->seed + 7919 * index + g_str_hash(row->op)),
            .type = type,
            .op = row->op,
            .label = g_string_new(NULL)};
  c.batch = index % 4 + 1;
  c.rows = infer_network_add_symbol(c.network, "batch", 1, c.batch, c.batch);
  row->generate(&c);
  if (c.error != NULL)
    error = g_steal_pointer(&c.error);
  else
    check(&c, device, row->fast && type == INFER_TYPE_FLOAT, &error);
  report(run, device, &c, error);
  g_object_unref(c.network);
  g_rand_free(c.random);
  g_string_free(c.label, TRUE);
}

static gboolean
has_type(const Row *row, InferType type)
{
  for (guint t = 0; row->types[t] != INFER_TYPE_UNDEFINED; t++)
    if (row->types[t] == type)
      return TRUE;
  return FALSE;
}

static void
run_type(Run *run, const char *device, const Row *row, InferType type, guint count)
{
  const char *name = infer_type_name(type);
  const char *reason = excluded(run, device, row->op, name);
  if (reason != NULL)
    g_print("ok %u - %s %s %s # SKIP %s\n", ++run->number, row->op, device, name, reason);
  for (guint i = 0; reason == NULL && i < count; i++)
    run_case(run, device, row, type, i);
}

static void
run_rows_of(Run *run, const char *device, const Row *table)
{
  for (const Row *row = table; row->op != NULL; row++) {
    if (run->only != NULL && !g_str_equal(run->only, row->op))
      continue;
    for (guint t = 0; row->types[t] != INFER_TYPE_UNDEFINED; t++)
      run_type(run, device, row, row->types[t], row->count);
    /* What takes floats takes 16-bit ones. */
    const InferType halves[] = {INFER_TYPE_FLOAT16, INFER_TYPE_BFLOAT16};
    for (guint t = 0; t < G_N_ELEMENTS(halves) && has_type(row, INFER_TYPE_FLOAT); t++)
      if (!has_type(row, halves[t]))
        run_type(run, device, row, halves[t], MAX(row->count / 3, 2));
  }
}

static void
run_backend(Run *run, const char *device)
{
  g_autoptr(GError) error = NULL;
  InferDevice *opened = infer_device_open(device, 0, &error);
  if (opened == NULL) {
    g_print("ok %u # SKIP %s: %s\n", ++run->number, device, error->message);
    run->no_device = TRUE;
    return;
  }
  g_print("# %s: %s\n", device, opened->key);
  run_rows_of(run, device, rows);
  run_rows_of(run, device, rows_shapes);
  infer_device_unref(opened);
}

int
main(int argc, char **argv)
{
  g_autofree char *exclusions = NULL, *only = NULL;
  g_auto(GStrv) backends = NULL;
  gint seed = 1;
  gboolean need_device = FALSE;
  const GOptionEntry options[] = {
      {"exclusions", 0, 0, G_OPTION_ARG_FILENAME, &exclusions, "what is left out", "FILE"},
      {"seed", 0, 0, G_OPTION_ARG_INT, &seed, "seed of the cases", "N"},
      {"op", 0, 0, G_OPTION_ARG_STRING, &only, "one operator alone", "NAME"},
      {"need-device", 0, 0, G_OPTION_ARG_NONE, &need_device, "end with 77 without it", NULL},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &backends, NULL, "BACKEND ..."},
      {NULL}};
  g_autoptr(GOptionContext) context = g_option_context_new(NULL);
  g_autoptr(GError) error = NULL;
  g_option_context_add_main_entries(context, options, NULL);
  if (!g_option_context_parse(context, &argc, &argv, &error)) {
    g_printerr("%s\n", error->message);
    return 2;
  }
  static const char *const every[] = {"null", "cpu", "cuda:0", NULL};
  g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)g_strfreev);
  Run run = {.seed = (guint)seed, .only = only, .exclusions = list};
  if (!load_exclusions(&run, exclusions))
    return 1;
  const char *const *names = backends != NULL ? (const char *const *)backends : every;
  for (guint i = 0; names[i] != NULL; i++)
    run_backend(&run, names[i]);
  g_print("1..%u\n", run.number);
  return run.failed > 0 ? 1 : need_device && run.no_device ? 77 : 0;
}
