/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu.h"

static gboolean
read_list(const InferNode *node, const char *name, gint spatial, const gint64 **list)
{
  gsize n = 0;
  *list = infer_node_get_ints(node, name, &n);
  return *list == NULL || n == (gsize)spatial;
}

/* SAME pads are known from the output's size alone. */
static void
auto_pad(const char *mode, InferCpuWindow *w, gint i, gint64 extent)
{
  if (!g_str_has_prefix(mode, "SAME_"))
    return;
  gint64 total = MAX((w->out[i] - 1) * w->stride[i] + extent - w->in[i], 0);
  w->begin[i] = g_str_equal(mode, "SAME_UPPER") ? total / 2 : total - total / 2;
}

/* Bounds that keep every product below in range and are far beyond what a model has. */
static gboolean
is_sane(gint64 value, gint64 least)
{
  return value >= least && value <= G_MAXINT32;
}

gboolean
infer_cpu_window(const InferNode *node, const InferDims *in, const InferDims *out,
                 const gint64 *kernel, InferCpuWindow *w)
{
  gint n = in->n - 2, first = INFER_CPU_MAX_SPATIAL - n;
  const gint64 *shape, *strides, *dilations, *pads;
  gsize n_pads = 0;
  if (n < 1 || n > INFER_CPU_MAX_SPATIAL || out->n != in->n)
    return FALSE;
  if (!read_list(node, "kernel_shape", n, &shape) || !read_list(node, "strides", n, &strides) ||
      !read_list(node, "dilations", n, &dilations))
    return FALSE;
  pads = infer_node_get_ints(node, "pads", &n_pads);
  shape = kernel != NULL ? kernel : shape;
  if (shape == NULL || (pads != NULL && n_pads != 2 * (gsize)n))
    return FALSE;
  const char *mode = infer_node_get_string(node, "auto_pad", "NOTSET");
  gboolean explicit = g_str_equal(mode, "NOTSET") || g_str_equal(mode, "");
  *w = (InferCpuWindow){.n = n};
  for (gint i = 0; i < INFER_CPU_MAX_SPATIAL; i++) {
    gint k = i - first;
    w->kernel[i] = k >= 0 ? shape[k] : 1;
    w->stride[i] = k >= 0 && strides != NULL ? strides[k] : 1;
    w->dilation[i] = k >= 0 && dilations != NULL ? dilations[k] : 1;
    w->in[i] = k >= 0 ? in->d[2 + k] : 1;
    w->out[i] = k >= 0 ? out->d[2 + k] : 1;
    w->begin[i] = k >= 0 && pads != NULL && explicit ? pads[k] : 0;
    if (!is_sane(w->kernel[i], 1) || !is_sane(w->stride[i], 1) || !is_sane(w->dilation[i], 1) ||
        !is_sane(w->in[i], 0) || !is_sane(w->out[i], 0) || !is_sane(w->begin[i], 0) ||
        w->kernel[i] > G_MAXINT32 / w->dilation[i])
      return FALSE;
    gint64 extent = (w->kernel[i] - 1) * w->dilation[i] + 1;
    auto_pad(mode, w, i, extent);
    w->end[i] = MAX((w->out[i] - 1) * w->stride[i] + extent - w->in[i] - w->begin[i], 0);
  }
  return TRUE;
}
