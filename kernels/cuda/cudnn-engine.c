/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cudnn-conv.h"
#include "private.h"

#include <string.h>

/*
 * Engines of cuDNN by name. A name holds all that an engine's configuration is made of, so that a
 * plan file, which may hold no machine code, can say which one ran.
 */

#define MAX_KNOBS CUDNN_KNOB_TYPE_COUNTS

typedef cudnnBackendDescriptor_t Descriptor;

/* Whether an engine computes as precisely as its type promises: FP32 with all its bits unless TF32
 * will do, halves with sums in FP32. */
static gboolean
is_precise(Descriptor engine, InferType type, gboolean tf32, gboolean deterministic)
{
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  gint64 n = 0;

  if (cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                               CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, notes) != CUDNN_STATUS_SUCCESS)
    return FALSE;
  for (gint64 i = 0; i < n; i++) {
    if (type == INFER_TYPE_FLOAT && !tf32 &&
        (notes[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE ||
         notes[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS))
      return FALSE;
    if (notes[i] == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION ||
        (deterministic && notes[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC))
      return FALSE;
  }
  return TRUE;
}

/* --- names --- */

/* Descriptors that cuDNN fills are made by the caller. */
static gboolean
get_parts(Descriptor from, cudnnBackendAttributeName_t name, Descriptor *parts, gint64 most,
          gint64 *n)
{
  return cudnnBackendGetAttribute(from, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, n, parts) ==
         CUDNN_STATUS_SUCCESS;
}

static gboolean
append_knobs(GString *name, GPtrArray *owner, Descriptor config)
{
  Descriptor knobs[MAX_KNOBS];
  gint64 n = 0, got;

  for (guint i = 0; i < MAX_KNOBS; i++) {
    knobs[i] = infer_cudnn_new(owner, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, NULL);
    if (!knobs[i])
      return FALSE;
  }
  if (!get_parts(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, knobs, MAX_KNOBS, &n))
    return FALSE;
  for (gint64 i = 0; i < MIN(n, MAX_KNOBS); i++) {
    cudnnBackendKnobType_t type;
    gint64 value;
    if (cudnnBackendGetAttribute(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE,
                                 1, &got, &type) != CUDNN_STATUS_SUCCESS ||
        cudnnBackendGetAttribute(knobs[i], CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1,
                                 &got, &value) != CUDNN_STATUS_SUCCESS)
      return FALSE;
    g_string_append_printf(name, ",k%d=%" G_GINT64_FORMAT, type, value);
  }
  return TRUE;
}

static char *
name_of(GPtrArray *owner, Descriptor config, InferType type, gboolean tf32, gboolean deterministic)
{
  Descriptor engine = infer_cudnn_new(owner, CUDNN_BACKEND_ENGINE_DESCRIPTOR, NULL);
  g_autoptr(GString) name = g_string_new("eng");
  gint64 n = 0, index = 0;

  if (!engine || !get_parts(config, CUDNN_ATTR_ENGINECFG_ENGINE, &engine, 1, &n) || n != 1 ||
      cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &n,
                               &index) != CUDNN_STATUS_SUCCESS ||
      !is_precise(engine, type, tf32, deterministic))
    return NULL;
  g_string_append_printf(name, "%" G_GINT64_FORMAT, index);
  return append_knobs(name, owner, config) ? g_strdup(name->str) : NULL;
}

GPtrArray *
infer_cudnn_engines(const InferCudnnGraph *graph, cudnnBackendHeurMode_t mode, InferType type,
                    gboolean tf32, gboolean deterministic)
{
  GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GPtrArray) owner = infer_cudnn_owner_new();
  g_autofree Descriptor *configs = NULL;
  Descriptor heuristics = infer_cudnn_new(owner, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, NULL);
  gint64 n = 0;

  if (!heuristics ||
      !infer_cudnn_set(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
                       CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &graph->graph, NULL) ||
      !infer_cudnn_set(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode,
                       NULL) ||
      !infer_cudnn_finalize(heuristics, "asking which engines fit", NULL) ||
      cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                               CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &n,
                               NULL) != CUDNN_STATUS_SUCCESS ||
      n <= 0 || n > 10000)
    return names;
  configs = g_new0(Descriptor, n);
  for (gint64 i = 0; i < n; i++)
    if (!(configs[i] = infer_cudnn_new(owner, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, NULL)))
      return names;
  if (!get_parts(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, configs, n, &n))
    return names;
  for (gint64 i = 0; i < n; i++) {
    char *name = name_of(owner, configs[i], type, tf32, deterministic);
    if (name && !g_ptr_array_find_with_equal_func(names, name, g_str_equal, NULL))
      g_ptr_array_add(names, name);
    else
      g_free(name);
  }
  return names;
}

/* --- configurations from names --- */

static gboolean
bad_name(const char *name, GError **error)
{
  g_set_error(error, INFER_ERROR, INFER_ERROR_PLAN,
              "'%s' is not the name of a cuDNN engine; build the plan anew", name);
  return FALSE;
}

static gboolean
parse_number(const char **at, gint64 *value)
{
  char *end = NULL;

  if (!g_ascii_isdigit(**at) && **at != '-')
    return FALSE;
  *value = g_ascii_strtoll(*at, &end, 10);
  if (end == *at)
    return FALSE;
  *at = end;
  return TRUE;
}

static Descriptor
make_knob(GPtrArray *owner, gint64 type, gint64 value, GError **error)
{
  Descriptor knob = infer_cudnn_new(owner, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, error);
  cudnnBackendKnobType_t kind = (cudnnBackendKnobType_t)type;

  if (!knob ||
      !infer_cudnn_set(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &kind,
                       error) ||
      !infer_cudnn_set(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &value,
                       error) ||
      !infer_cudnn_finalize(knob, "an engine's knob", error))
    return NULL;
  return knob;
}

static gboolean
parse_knobs(const char *name, const char *at, GPtrArray *owner, Descriptor *knobs, gint64 *n,
            GError **error)
{
  for (*n = 0; *at; (*n)++) {
    gint64 type, value;

    if (*n == MAX_KNOBS || at[0] != ',' || at[1] != 'k')
      return bad_name(name, error);
    at += 2;
    if (!parse_number(&at, &type) || *at++ != '=' || !parse_number(&at, &value) || type < 0 ||
        type >= MAX_KNOBS)
      return bad_name(name, error);
    if (!(knobs[*n] = make_knob(owner, type, value, error)))
      return FALSE;
  }
  return TRUE;
}

static Descriptor
make_config(const InferCudnnGraph *graph, GPtrArray *owner, const char *name, InferType type,
            gboolean tf32, GError **error)
{
  const char *at = name + 3;
  Descriptor knobs[MAX_KNOBS], engine, config;
  gint64 index, n;

  if (!g_str_has_prefix(name, "eng") || !parse_number(&at, &index)) {
    bad_name(name, error);
    return NULL;
  }
  engine = infer_cudnn_new(owner, CUDNN_BACKEND_ENGINE_DESCRIPTOR, error);
  if (!engine ||
      !infer_cudnn_set(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                       &graph->graph, error) ||
      !infer_cudnn_set(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &index,
                       error) ||
      !infer_cudnn_finalize(engine, name, error))
    return NULL;
  if (!is_precise(engine, type, tf32, FALSE)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_PLAN,
                "engine '%s' computes with less precision than was asked for", name);
    return NULL;
  }
  config = infer_cudnn_new(owner, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, error);
  if (!config || !parse_knobs(name, at, owner, knobs, &n, error) ||
      !infer_cudnn_set(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                       &engine, error) ||
      (n > 0 && !infer_cudnn_set(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, n, knobs, error)) ||
      !infer_cudnn_finalize(config, name, error))
    return NULL;
  return config;
}

/* --- plans --- */

static Descriptor
finish_plan(GPtrArray *owner, Descriptor plan, const char *name, gsize *workspace, GError **error)
{
  gint64 n = 0, size = 0;

  if (!infer_cudnn_finalize(plan, name, error) ||
      !infer_cudnn_check(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                                  CUDNN_TYPE_INT64, 1, &n, &size),
                         name, error))
    return NULL;
  if (size < 0 || size > (gint64)1 << 40) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_MEMORY,
                "engine '%s' wants a workspace of %" G_GINT64_FORMAT " bytes", name, size);
    return NULL;
  }
  *workspace = (gsize)size;
  /* The plan outlives what it was made with. */
  g_ptr_array_steal_index_fast(owner, owner->len - 1);
  return plan;
}

static Descriptor
new_plan(const InferCudnnGraph *graph, GPtrArray *owner, GError **error)
{
  Descriptor plan = infer_cudnn_new(owner, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, error);

  if (!plan || !infer_cudnn_set(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1,
                                &graph->handle, error))
    return NULL;
  return plan;
}

static Descriptor
load_plan(const InferCudnnGraph *graph, GBytes *text, const char *name, gsize *workspace)
{
  g_autoptr(GPtrArray) owner = infer_cudnn_owner_new();
  Descriptor plan = new_plan(graph, owner, NULL);
  gsize size;
  gconstpointer data = g_bytes_get_data(text, &size);

  if (!plan || !infer_cudnn_set(plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION,
                                CUDNN_TYPE_CHAR, (gint64)size, data, NULL))
    return NULL;
  return finish_plan(owner, plan, name, workspace, NULL);
}

static void
store_plan(Descriptor plan, GBytes *key)
{
  gint64 size = 0;
  g_autofree char *text = NULL;
  g_autoptr(GBytes) data = NULL;

  if (cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                               0, &size, NULL) != CUDNN_STATUS_SUCCESS ||
      size <= 0 || size > (gint64)64 << 20)
    return;
  text = g_malloc0((gsize)size + 1);
  if (cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                               size, &size, text) != CUDNN_STATUS_SUCCESS)
    return;
  data = g_bytes_new_take(g_steal_pointer(&text), (gsize)size);
  infer_cuda_cache_store("cudnn", key, data);
}

static GBytes *
whole_key(GBytes *key, const char *engine)
{
  GByteArray *whole = g_byte_array_new();

  g_byte_array_append(whole, g_bytes_get_data(key, NULL), (guint)g_bytes_get_size(key));
  g_byte_array_append(whole, (const guint8 *)engine, (guint)strlen(engine));
  return g_byte_array_free_to_bytes(whole);
}

cudnnBackendDescriptor_t
infer_cudnn_plan(const InferCudnnGraph *graph, GBytes *key, const char *engine, InferType type,
                 gboolean tf32, gsize *workspace, GError **error)
{
  g_autoptr(GBytes) whole = whole_key(key, engine);
  g_autoptr(GBytes) text = infer_cuda_cache_load("cudnn", whole);
  g_autoptr(GPtrArray) owner = infer_cudnn_owner_new();
  Descriptor plan = text ? load_plan(graph, text, engine, workspace) : NULL;
  Descriptor config;

  if (plan)
    return plan;
  config = make_config(graph, graph->descriptors, engine, type, tf32, error);
  plan = config ? new_plan(graph, owner, error) : NULL;
  if (!plan || !infer_cudnn_set(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config, error))
    return NULL;
  plan = finish_plan(owner, plan, engine, workspace, error);
  if (plan)
    store_plan(plan, whole);
  return plan;
}
