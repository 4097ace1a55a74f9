/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <string.h>

/* "input:1x3x224x224,other:1x8", as trtexec has it; a name may hold colons. */
static gboolean
parse_item(const char *flag, const char *item, char **name, InferDims *dims, GError **error)
{
  const char *colon = strrchr(item, ':');
  g_auto(GStrv) numbers = colon ? g_strsplit(colon + 1, "x", -1) : NULL;
  guint n = numbers ? g_strv_length(numbers) : 0;

  dims->n = (gint)n;
  for (guint i = 0; i < n && n <= INFER_MAX_DIMS; i++)
    if (!g_ascii_string_to_signed(numbers[i], 10, 0, G_MAXINT32, &dims->d[i], NULL))
      n = 0;
  if (n == 0 || n > INFER_MAX_DIMS || colon == item) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--%s=%s: allowed is NAME:1x3x224x224, more of them with commas between", flag,
                item);
    return FALSE;
  }
  *name = g_strndup(item, (gsize)(colon - item));
  return TRUE;
}

GHashTable *
exec_shapes_parse(const char *flag, const char *value, GError **error)
{
  g_autoptr(GHashTable) shapes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_auto(GStrv) items = value ? g_strsplit(value, ",", -1) : NULL;

  for (guint i = 0; items && items[i]; i++) {
    InferDims dims;
    char *name;

    if (!parse_item(flag, items[i], &name, &dims, error))
      return NULL;
    g_hash_table_insert(shapes, name, g_memdup2(&dims, sizeof dims));
  }
  return g_steal_pointer(&shapes);
}

typedef struct {
  const char *flag;
  const char *value;
  GHashTable *shapes;
} Side;

/* One open dimension of an input: its least, best and greatest value. */
static gboolean
set_dimension(InferBuilder *builder, InferNetwork *network, const InferTensor *input, gint axis,
              InferDims *const *dims, guint *max_batch, GError **error)
{
  const InferSymbol *symbol =
      infer_network_get_symbol(network, INFER_DIM_SYMBOL_INDEX(input->dims.d[axis]));
  gint64 min = dims[0]->d[axis], opt = dims[1]->d[axis], max = dims[2]->d[axis];

  if (min > opt || opt > max) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "input '%s', dimension %d: --minShapes, --optShapes and --maxShapes do not rise",
                input->name, axis);
    return FALSE;
  }
  if (g_str_equal(symbol->name, "batch"))
    *max_batch = (guint)MAX(max, 1);
  else
    infer_builder_set_profile(builder, symbol->name, min, opt, max);
  return TRUE;
}

/* A dimension of the model that is a number cannot become another one. */
static gboolean
check_fixed(const Side *side, const InferTensor *input, const InferDims *dims, GError **error)
{
  gboolean fits = dims->n == input->dims.n;

  for (gint k = 0; fits && k < dims->n; k++)
    fits = input->dims.d[k] < 0 || input->dims.d[k] == dims->d[k];
  if (!fits) {
    g_autofree char *wanted = infer_dims_to_string(dims);
    g_autofree char *have = infer_dims_to_string(&input->dims);
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--%s=%s:%s: the input is %s in the model; only its open dimensions, ?, can be "
                "chosen",
                side->flag, input->name, wanted, have);
  }
  return fits;
}

static gboolean
set_input(InferBuilder *builder, InferNetwork *network, const InferTensor *input, const Side *sides,
          guint *max_batch, GError **error)
{
  InferDims *dims[3];
  InferDims *any = NULL;

  for (guint i = 0; i < 3; i++) {
    dims[i] = g_hash_table_lookup(sides[i].shapes, input->name);
    any = i == 1 && dims[i] ? dims[i] : any ? any : dims[i];
  }
  for (guint i = 0; any && i < 3; i++) {
    if (dims[i] && !check_fixed(&sides[i], input, dims[i], error))
      return FALSE;
    dims[i] = dims[i] ? dims[i] : any;
  }
  for (gint k = 0; any && k < input->dims.n; k++)
    if (INFER_DIM_IS_SYMBOL(input->dims.d[k]) &&
        !set_dimension(builder, network, input, k, dims, max_batch, error))
      return FALSE;
  return TRUE;
}

static gboolean
check_names(const Side *side, InferNetwork *network, GError **error)
{
  g_autoptr(GString) inputs = g_string_new(NULL);
  GHashTableIter iter;
  gpointer name;

  for (guint i = 0; i < infer_network_get_n_inputs(network); i++)
    g_string_append_printf(inputs, "%s'%s'", i ? ", " : "",
                           infer_network_get_input(network, i)->name);
  g_hash_table_iter_init(&iter, side->shapes);
  while (g_hash_table_iter_next(&iter, &name, NULL)) {
    const InferTensor *tensor = infer_network_find_tensor(network, name);
    if (tensor && tensor->is_input)
      continue;
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "--%s: the model has no input '%s'; it has %s", side->flag, (const char *)name,
                inputs->len ? inputs->str : "none");
    return FALSE;
  }
  return TRUE;
}

gboolean
exec_shapes_set_profile(const ExecArgs *args, InferBuilder *builder, InferNetwork *network,
                        GError **error)
{
  const gboolean opt = args->opt_shapes != NULL;
  Side sides[3] = {{"minShapes", args->min_shapes, NULL},
                   {opt ? "optShapes" : "shapes", opt ? args->opt_shapes : args->shapes, NULL},
                   {"maxShapes", args->max_shapes, NULL}};
  guint max_batch = MAX(args->batch, args->max_batch);
  gboolean good = TRUE;

  for (guint i = 0; i < 3; i++)
    good = good && (sides[i].shapes = exec_shapes_parse(sides[i].flag, sides[i].value, error)) &&
           check_names(&sides[i], network, error);
  for (guint i = 0; good && i < infer_network_get_n_inputs(network); i++)
    good =
        set_input(builder, network, infer_network_get_input(network, i), sides, &max_batch, error);
  for (guint i = 0; i < 3; i++)
    g_clear_pointer(&sides[i].shapes, g_hash_table_unref);
  infer_builder_set_max_batch(builder, max_batch);
  return good;
}

gboolean
exec_shapes_set(const ExecArgs *args, InferContext *context, GError **error)
{
  g_autoptr(GHashTable) shapes =
      exec_shapes_parse("shapes", args->shapes ? args->shapes : args->opt_shapes, error);
  GHashTableIter iter;
  gpointer name, dims;

  if (!shapes)
    return FALSE;
  g_hash_table_iter_init(&iter, shapes);
  while (g_hash_table_iter_next(&iter, &name, &dims))
    if (!infer_context_set_dims(context, name, dims, error))
      return FALSE;
  return TRUE;
}
