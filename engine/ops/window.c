/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ops/window.h"

#include <string.h>

/* Larger numbers in attributes and dimensions would let products of them overflow. */
#define MAX_ATTR ((gint64)1 << 31)
#define MAX_DIM ((gint64)1 << 40)

static gboolean
read_list(const InferNode *node, const char *name, gint n, gint64 least, gint64 fallback,
          gint64 *list, GError **error)
{
  gsize have = 0;
  const gint64 *values = infer_node_get_ints(node, name, &have);

  for (gint i = 0; i < n; i++)
    list[i] = fallback;
  if (!values || have == 0)
    return TRUE;
  if (have != (gsize)n)
    return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                          "attribute '%s' has %" G_GSIZE_FORMAT " elements, %d are needed", name,
                          have, n);
  for (gint i = 0; i < n; i++) {
    if (values[i] < least || values[i] > MAX_ATTR)
      return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                            "attribute '%s' has the element %" G_GINT64_FORMAT
                            ", allowed are %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT,
                            name, values[i], least, MAX_ATTR);
    list[i] = values[i];
  }
  return TRUE;
}

static gboolean
read_auto_pad(const InferNode *node, InferAutoPad *auto_pad, GError **error)
{
  static const char *const names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
  const char *name = infer_node_get_string(node, "auto_pad", "NOTSET");

  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    if (strcmp(name, names[i]) == 0) {
      *auto_pad = (InferAutoPad)i;
      return TRUE;
    }
  return infer_op_error(node, error, INFER_ERROR_ARGUMENT,
                        "auto_pad is '%.32s'; it can be NOTSET, SAME_UPPER, SAME_LOWER or VALID",
                        name);
}

static gboolean
read_kernel(const InferNode *node, gint n, const gint64 *kernel, gint64 *result, GError **error)
{
  if (!read_list(node, "kernel_shape", n, 1, -1, result, error))
    return FALSE;
  for (gint i = 0; kernel && i < n; i++) {
    if (kernel[i] < 0)
      continue;
    if (kernel[i] == 0 || kernel[i] > MAX_ATTR || (result[i] >= 0 && result[i] != kernel[i]))
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "the weight's kernel is %" G_GINT64_FORMAT
                            " in spatial dimension %d, kernel_shape says %" G_GINT64_FORMAT,
                            kernel[i], i, result[i]);
    result[i] = kernel[i];
  }
  return TRUE;
}

gboolean
infer_window_read(const InferNode *node, gint n, const gint64 *kernel, InferWindow *window,
                  GError **error)
{
  gint64 pads[2 * INFER_WINDOW_MAX];

  memset(window, 0, sizeof *window);
  window->n = n;
  window->ceil_mode = infer_node_get_int(node, "ceil_mode", 0) != 0;
  if (!read_kernel(node, n, kernel, window->kernel, error) ||
      !read_list(node, "strides", n, 1, 1, window->stride, error) ||
      !read_list(node, "dilations", n, 1, 1, window->dilation, error) ||
      !read_list(node, "pads", 2 * n, 0, 0, pads, error) ||
      !read_auto_pad(node, &window->auto_pad, error))
    return FALSE;
  for (gint i = 0; i < n && window->auto_pad == INFER_PAD_EXPLICIT; i++) {
    window->begin[i] = pads[i];
    window->end[i] = pads[n + i];
  }
  return TRUE;
}

static gboolean
is_same(const InferWindow *window)
{
  return window->auto_pad == INFER_PAD_SAME_UPPER || window->auto_pad == INFER_PAD_SAME_LOWER;
}

static gint64
extent(const InferWindow *window, gint i)
{
  return (window->kernel[i] - 1) * window->dilation[i] + 1;
}

static gboolean
output_dim(const InferNode *node, const InferWindow *window, gint i, gint64 in, gint64 *out,
           GError **error)
{
  gint64 stride = window->stride[i], pads = window->begin[i] + window->end[i], span;

  *out = INFER_DIM_UNKNOWN;
  if (in < 0) {
    if (stride == 1 &&
        (is_same(window) || (window->kernel[i] > 0 && extent(window, i) - 1 == pads)))
      *out = in;
    return TRUE;
  }
  if (in == 0 || in > MAX_DIM)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "spatial dimension %d is %" G_GINT64_FORMAT
                          ", allowed are 1 to %" G_GINT64_FORMAT,
                          i, in, MAX_DIM);
  if (is_same(window)) {
    *out = in / stride + (in % stride != 0);
    return TRUE;
  }
  if (window->kernel[i] < 0)
    return TRUE;
  span = in + pads - extent(window, i);
  if (span < 0)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "a window of %" G_GINT64_FORMAT
                          " does not fit spatial dimension %d, which is %" G_GINT64_FORMAT
                          " with padding",
                          extent(window, i), i, in + pads);
  *out = span / stride + 1;
  /* A partial window counts unless it starts in the padding after the last element. */
  if (window->ceil_mode && span % stride != 0 && *out * stride < in + window->begin[i])
    *out += 1;
  return TRUE;
}

gboolean
infer_window_output(const InferNode *node, const InferWindow *window, const gint64 *in, gint64 *out,
                    GError **error)
{
  for (gint i = 0; i < window->n; i++)
    if (!output_dim(node, window, i, in[i], &out[i], error))
      return FALSE;
  return TRUE;
}

void
infer_window_slide(const InferWindow *window, const gint64 *in, const gint64 *out,
                   InferSlide *slide)
{
  for (gint j = 0; j < INFER_WINDOW_MAX; j++) {
    gint i = j - (INFER_WINDOW_MAX - window->n);

    slide->in[j] = slide->out[j] = slide->kernel[j] = slide->stride[j] = slide->dilation[j] = 1;
    slide->begin[j] = slide->end[j] = 0;
    if (i < 0)
      continue;
    slide->in[j] = in[i];
    slide->out[j] = out[i];
    slide->kernel[j] = window->kernel[i];
    slide->stride[j] = window->stride[i];
    slide->dilation[j] = window->dilation[i];
    slide->begin[j] = window->begin[i];
    slide->end[j] = window->end[i];
    if (is_same(window)) {
      gint64 total = MAX((out[i] - 1) * window->stride[i] + extent(window, i) - in[i], 0);
      gint64 less = total / 2;

      slide->begin[j] = window->auto_pad == INFER_PAD_SAME_UPPER ? less : total - less;
      slide->end[j] = total - slide->begin[j];
    }
  }
}
