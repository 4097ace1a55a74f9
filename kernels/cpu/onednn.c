/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "onednn.h"
#include <omp.h>
#include <string.h>

gboolean
infer_onednn_md(dnnl_memory_desc_t *md, const gint64 *dims, gint n, const gint64 *strides)
{
  dnnl_dims_t d = {0}, s = {0};
  if (n < 1 || n > DNNL_MAX_NDIMS)
    return FALSE;
  for (gint i = 0; i < n; i++) {
    d[i] = dims[i];
    s[i] = strides != NULL ? strides[i] : 0;
  }
  if (strides == NULL)
    return dnnl_memory_desc_init_by_tag(md, n, d, dnnl_f32, dnnl_format_tag_any) == dnnl_success;
  return dnnl_memory_desc_init_by_strides(md, n, d, dnnl_f32, s) == dnnl_success;
}

static dnnl_status_t
append_posts(dnnl_post_ops_t ops, const InferCpuChain *chain, const dnnl_memory_desc_t *add)
{
  for (guint i = 0; i < chain->n; i++) {
    const InferCpuPost *post = &chain->post[i];
    dnnl_status_t status;
    if (post->kind == INFER_CPU_POST_ELTWISE)
      status = dnnl_post_ops_append_eltwise(ops, 1.0f, post->alg, post->alpha, post->beta);
    else if (add != NULL)
      status = dnnl_post_ops_append_binary(ops, dnnl_binary_add, add++);
    else
      status = dnnl_post_ops_append_sum(ops, 1.0f);
    if (status != dnnl_success)
      return status;
  }
  return dnnl_success;
}

dnnl_status_t
infer_onednn_attr(dnnl_primitive_attr_t *attr, const InferCpuChain *chain,
                  const dnnl_memory_desc_t *add)
{
  dnnl_post_ops_t ops = NULL;
  dnnl_status_t status = dnnl_primitive_attr_create(attr);
  if (status == dnnl_success)
    status = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
  if (status == dnnl_success)
    status = dnnl_post_ops_create(&ops);
  if (status == dnnl_success && chain != NULL)
    status = append_posts(ops, chain, add);
  if (status == dnnl_success)
    status = dnnl_primitive_attr_set_post_ops(*attr, ops);
  if (ops != NULL)
    dnnl_post_ops_destroy(ops);
  return status;
}

static const char *
impl_name(dnnl_primitive_desc_t desc)
{
  const char *name = NULL;
  dnnl_status_t status = dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name);
  return status == dnnl_success && name != NULL ? name : "ref";
}

static gboolean
is_reference(dnnl_primitive_desc_t desc)
{
  return strstr(impl_name(desc), "ref") != NULL;
}

gboolean
infer_onednn_is_reference(const InferOnednn *onednn)
{
  return onednn->desc != NULL && is_reference(onednn->desc);
}

/* Implementations that sum an image in the same order whatever their number, as tests showed.
 * "brgconv:" and "gemm" are not. */
static gboolean
is_invariant(dnnl_primitive_desc_t desc)
{
  static const char *const prefixes[] = {
      "jit:", "jit_1x1:", "jit_dw:", "brgconv_1x1:", "brdgmm_dw:"};
  for (guint i = 0; i < G_N_ELEMENTS(prefixes); i++)
    if (g_str_has_prefix(impl_name(desc), prefixes[i]))
      return TRUE;
  return FALSE;
}

/* Weights in a format that is not blocks of a plain one cannot be named by a key. */
static gboolean
has_plain_weights(dnnl_primitive_desc_t desc)
{
  const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(desc, dnnl_query_weights_md, 0);
  return md == NULL || md->ndims == 0 ||
         (md->format_kind == dnnl_blocked && md->extra.flags == dnnl_memory_extra_flag_none);
}

/* Convolution by gemm adds the wrong elements of a channels-last tensor (seen in 2.6.3). */
static gboolean
is_usable(dnnl_primitive_desc_t desc, gboolean adds)
{
  return has_plain_weights(desc) && !(adds && strstr(impl_name(desc), "gemm") != NULL);
}

/* The first that is not slow, or the one of the name that is wanted. */
static dnnl_status_t
choose_desc(dnnl_primitive_desc_t *result, const_dnnl_op_desc_t op_desc, dnnl_primitive_attr_t attr,
            gboolean adds, const char *wanted, dnnl_engine_t engine)
{
  dnnl_primitive_desc_iterator_t it = NULL;
  dnnl_status_t status = dnnl_primitive_desc_iterator_create(&it, op_desc, attr, engine, NULL);
  if (status != dnnl_success)
    return status;
  *result = NULL;
  do {
    dnnl_primitive_desc_t desc = dnnl_primitive_desc_iterator_fetch(it);
    if (desc == NULL)
      break;
    gboolean slow = wanted == NULL && is_reference(desc);
    gboolean usable = wanted == NULL || g_str_equal(impl_name(desc), wanted);
    if (usable && is_usable(desc, adds) && (!slow || *result == NULL)) {
      if (*result != NULL)
        dnnl_primitive_desc_destroy(*result);
      *result = desc;
      if (!slow)
        break;
    } else {
      dnnl_primitive_desc_destroy(desc);
    }
  } while (dnnl_primitive_desc_iterator_next(it) == dnnl_success);
  dnnl_primitive_desc_iterator_destroy(it);
  return *result != NULL ? dnnl_success : dnnl_unimplemented;
}

char **
infer_onednn_list(const InferPrepare *prepare, const_dnnl_op_desc_t op_desc,
                  dnnl_primitive_attr_t attr, gboolean adds)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  dnnl_primitive_desc_iterator_t it = NULL;
  int threads = omp_get_max_threads();
  omp_set_num_threads(prepare->device->threads);
  dnnl_status_t status = dnnl_primitive_desc_iterator_create(
      &it, op_desc, attr, infer_cpu_device(prepare->device)->engine, NULL);
  for (; status == dnnl_success; status = dnnl_primitive_desc_iterator_next(it)) {
    dnnl_primitive_desc_t desc = dnnl_primitive_desc_iterator_fetch(it);
    if (desc == NULL)
      break;
    if (is_usable(desc, adds) && !is_reference(desc) &&
        !g_ptr_array_find_with_equal_func(names, impl_name(desc), g_str_equal, NULL))
      g_ptr_array_add(names, g_strdup(impl_name(desc)));
    dnnl_primitive_desc_destroy(desc);
  }
  if (it != NULL)
    dnnl_primitive_desc_iterator_destroy(it);
  omp_set_num_threads(threads);
  g_ptr_array_add(names, NULL);
  return (char **)g_ptr_array_free(g_steal_pointer(&names), FALSE);
}

gboolean
infer_onednn_create(InferOnednn *onednn, InferPrepare *prepare, const_dnnl_op_desc_t op_desc,
                    dnnl_primitive_attr_t attr, gboolean adds, GError **error)
{
  InferCpuDevice *device = infer_cpu_device(prepare->device);
  /* Blocking and scratchpads depend on the number of threads; it has to be the worker's. */
  int threads = omp_get_max_threads();
  omp_set_num_threads(prepare->device->threads);
  dnnl_status_t status =
      choose_desc(&onednn->desc, op_desc, attr, adds, prepare->tactic, device->engine);
  if (status == dnnl_success)
    status = dnnl_primitive_create(&onednn->primitive, onednn->desc);
  omp_set_num_threads(threads);
  if (status != dnnl_success)
    return infer_cpu_fail(prepare, error, INFER_ERROR_UNSUPPORTED,
                          "oneDNN has no primitive%s%s for these shapes (status %d)",
                          prepare->tactic != NULL ? " " : "",
                          prepare->tactic != NULL ? prepare->tactic : "", status);
  const dnnl_memory_desc_t *scratch =
      dnnl_primitive_desc_query_md(onednn->desc, dnnl_query_scratchpad_md, 0);
  gsize size = scratch != NULL ? dnnl_memory_desc_get_size(scratch) : 0;
  if (size == 0)
    return TRUE;
  prepare->workspace = MAX(prepare->workspace, size);
  return infer_onednn_add_arg(onednn, prepare, DNNL_ARG_SCRATCHPAD, INFER_ONEDNN_WORKSPACE, scratch,
                              NULL, error);
}

gboolean
infer_onednn_add_arg(InferOnednn *onednn, InferPrepare *prepare, int arg, gint slot,
                     const dnnl_memory_desc_t *md, const void *data, GError **error)
{
  dnnl_memory_t memory = NULL;
  dnnl_status_t status = dnnl_out_of_memory;
  if (onednn->n_args < INFER_ONEDNN_MAX_ARGS)
    status = dnnl_memory_create(&memory, md, infer_cpu_device(prepare->device)->engine,
                                data != NULL ? (void *)data : DNNL_MEMORY_NONE);
  if (status != dnnl_success)
    return infer_cpu_fail(prepare, error, INFER_ERROR_FAILED,
                          "oneDNN makes no memory object (status %d)", status);
  onednn->args[onednn->n_args] = (dnnl_exec_arg_t){.arg = arg, .memory = memory};
  onednn->slots[onednn->n_args++] = slot;
  return TRUE;
}

typedef struct {
  dnnl_engine_t engine;
  const dnnl_memory_desc_t *plain, *packed;
} Packing;

static dnnl_status_t
reorder(const Packing *packing, const void *src, void *dst)
{
  dnnl_primitive_desc_t desc = NULL;
  dnnl_primitive_t primitive = NULL;
  dnnl_memory_t from = NULL, to = NULL;
  dnnl_stream_t stream = NULL;
  dnnl_status_t status = dnnl_reorder_primitive_desc_create(&desc, packing->plain, packing->engine,
                                                            packing->packed, packing->engine, NULL);
  if (status == dnnl_success)
    status = dnnl_primitive_create(&primitive, desc);
  if (status == dnnl_success)
    status = dnnl_memory_create(&from, packing->plain, packing->engine, (void *)src);
  if (status == dnnl_success)
    status = dnnl_memory_create(&to, packing->packed, packing->engine, dst);
  if (status == dnnl_success)
    status = dnnl_stream_create(&stream, packing->engine, dnnl_stream_default_flags);
  if (status == dnnl_success) {
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    status = dnnl_primitive_execute(primitive, stream, 2, args);
    if (status == dnnl_success)
      status = dnnl_stream_wait(stream);
    dnnl_stream_destroy(stream);
  }
  if (to != NULL)
    dnnl_memory_destroy(to);
  if (from != NULL)
    dnnl_memory_destroy(from);
  if (primitive != NULL)
    dnnl_primitive_destroy(primitive);
  if (desc != NULL)
    dnnl_primitive_desc_destroy(desc);
  return status;
}

static gboolean
pack(gpointer user_data, const InferArray *value, gpointer dst, GError **error)
{
  const Packing *packing = user_data;
  if (value->size < dnnl_memory_desc_get_size(packing->plain)) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_SHAPE, "weights are smaller than their dimensions");
    return FALSE;
  }
  memset(dst, 0, dnnl_memory_desc_get_size(packing->packed));
  dnnl_status_t status = reorder(packing, value->data, dst);
  if (status != dnnl_success)
    g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "oneDNN cannot pack weights (status %d)",
                status);
  return status == dnnl_success;
}

/* The numbers that say how a blocked format lies in memory. The descriptor itself has bytes
 * that mean nothing, which would make identical builds differ. */
static gsize
make_key(const dnnl_memory_desc_t *plain, const dnnl_memory_desc_t *packed, gint64 *key)
{
  const dnnl_blocking_desc_t *blocks = &packed->format_desc.blocking;
  gsize n = 0;
  key[n++] = packed->ndims;
  key[n++] = packed->data_type;
  key[n++] = packed->offset0;
  key[n++] = blocks->inner_nblks;
  for (gint i = 0; i < packed->ndims; i++) {
    key[n++] = packed->dims[i];
    key[n++] = packed->padded_dims[i];
    key[n++] = blocks->strides[i];
    key[n++] = plain->format_desc.blocking.strides[i];
  }
  for (gint i = 0; i < blocks->inner_nblks; i++) {
    key[n++] = blocks->inner_blks[i];
    key[n++] = blocks->inner_idxs[i];
  }
  return n * sizeof(gint64);
}

gboolean
infer_onednn_add_weights(InferOnednn *onednn, InferPrepare *prepare, guint input,
                         const dnnl_memory_desc_t *plain, GError **error)
{
  const dnnl_memory_desc_t *packed =
      dnnl_primitive_desc_query_md(onednn->desc, dnnl_query_weights_md, 0);
  gint64 key[4 + 6 * DNNL_MAX_NDIMS];
  Packing packing = {infer_cpu_device(prepare->device)->engine, plain, packed};
  const void *data = infer_prepare_pack(prepare, input, key, make_key(plain, packed, key),
                                        dnnl_memory_desc_get_size(packed), pack, &packing, error);
  return data != NULL && infer_onednn_add_arg(onednn, prepare, DNNL_ARG_WEIGHTS, INFER_ONEDNN_FIXED,
                                              packed, data, error);
}

static dnnl_status_t
run_image(InferOnednn *onednn, InferStream *stream, void *const *inputs, guint8 *output,
          void *workspace, gsize image)
{
  dnnl_status_t status = dnnl_success;
  for (int i = 0; i < onednn->n_args && status == dnnl_success; i++) {
    gint slot = onednn->slots[i];
    if (slot == INFER_ONEDNN_FIXED)
      continue;
    guint8 *data = slot == INFER_ONEDNN_OUTPUT      ? output
                   : slot == INFER_ONEDNN_WORKSPACE ? workspace
                                                    : inputs[slot];
    status = dnnl_memory_set_data_handle(onednn->args[i].memory, data + image * onednn->steps[i]);
  }
  if (status == dnnl_success)
    status = dnnl_primitive_execute(onednn->primitive, infer_cpu_stream_dnnl(stream),
                                    onednn->n_args, onednn->args);
  return status;
}

gboolean
infer_onednn_run(InferOnednn *onednn, InferStream *stream, void *const *inputs, void *output,
                 void *workspace, GError **error)
{
  dnnl_status_t status = dnnl_success;
  if (onednn->primitive == NULL)
    return TRUE;
  if (onednn->preload >= 0)
    memcpy(output, inputs[onednn->preload], onednn->preload_size);
  for (gint64 i = 0; i < onednn->images && status == dnnl_success; i++)
    status = run_image(onednn, stream, inputs, output, workspace, (gsize)i);
  if (status == dnnl_success)
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE, "oneDNN failed to run (status %d)", status);
  return FALSE;
}

InferOnednn *
infer_onednn_new(InferPrepare *prepare, InferOnednnMake make, gconstpointer what, gint64 images,
                 GError **error)
{
  InferOnednn *one = g_new0(InferOnednn, 1);
  one->preload = -1;
  one->images = images;
  if (images == 0)
    return one;
  if (!make(one, prepare, what, 1, error)) {
    infer_onednn_free(one);
    return NULL;
  }
  if (images == 1 || !is_invariant(one->desc))
    return one;
  InferOnednn *all = g_new0(InferOnednn, 1);
  all->preload = -1;
  all->images = 1;
  if (make(all, prepare, what, images, NULL) &&
      g_str_equal(impl_name(one->desc), impl_name(all->desc))) {
    infer_onednn_free(one);
    return all;
  }
  infer_onednn_free(all);
  return one;
}

void
infer_onednn_clear(InferOnednn *onednn)
{
  for (int i = 0; i < onednn->n_args; i++)
    dnnl_memory_destroy(onednn->args[i].memory);
  onednn->n_args = 0;
  if (onednn->primitive != NULL)
    dnnl_primitive_destroy(onednn->primitive);
  if (onednn->desc != NULL)
    dnnl_primitive_desc_destroy(onednn->desc);
  onednn->primitive = NULL;
  onednn->desc = NULL;
}

void
infer_onednn_free(gpointer onednn)
{
  infer_onednn_clear(onednn);
  g_free(onednn);
}
