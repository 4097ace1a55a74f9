/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <infer/infer.h>
#include <infer/parsers.h>

#include <glib/gstdio.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/*
 * How long an ONNX model takes to parse, and how much memory beyond the mapped file.
 *
 *   parse-bench [FILE ...]
 *
 * Without files three models are made: 100 MB in 100 layers; the same as float_data; and ten
 * thousand small nodes. "held" is what the heap has afterwards: weights whose place in the file is
 * not one for floats are copied, and their pages of the file given back. "peak" is the most that
 * was resident at once, the file's pages among it, less the size of the file.
 */

/* --- models --- */

static void
put_varint(GByteArray *out, guint64 value)
{
  do {
    guint8 byte = (guint8)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    g_byte_array_append(out, &byte, 1);
    value >>= 7;
  } while (value > 0);
}

static void
put_number(GByteArray *out, guint field, guint64 value)
{
  put_varint(out, (guint64)field << 3);
  put_varint(out, value);
}

static void
put_bytes(GByteArray *out, guint field, gconstpointer data, gsize size)
{
  put_varint(out, (guint64)field << 3 | 2);
  put_varint(out, size);
  g_byte_array_append(out, data, (guint)size);
}

static void
put_text(GByteArray *out, guint field, const char *text)
{
  put_bytes(out, field, text, strlen(text));
}

static void
put_message(GByteArray *out, guint field, GByteArray *message)
{
  put_bytes(out, field, message->data, message->len);
  g_byte_array_unref(message);
}

/* A square matrix, as raw_data or as float_data. */
static void
put_matrix(GByteArray *graph, const char *name, guint size, gboolean raw)
{
  GByteArray *tensor = g_byte_array_new();
  gsize n = (gsize)size * size;
  g_autofree float *values = g_new(float, n);

  for (gsize i = 0; i < n; i++)
    values[i] = (float)(i % 251) / 251.0f;
  put_number(tensor, 1, size);
  put_number(tensor, 1, size);
  put_number(tensor, 2, INFER_TYPE_FLOAT);
  put_text(tensor, 8, name);
  put_bytes(tensor, raw ? 9 : 4, values, n * sizeof(float));
  put_message(graph, 5, tensor);
}

static void
put_node(GByteArray *graph, const char *op, const char *a, const char *b, const char *out)
{
  GByteArray *node = g_byte_array_new();

  put_text(node, 1, a);
  if (b)
    put_text(node, 1, b);
  put_text(node, 2, out);
  put_text(node, 3, out);
  put_text(node, 4, op);
  put_message(graph, 1, node);
}

static void
put_value(GByteArray *graph, guint field, const char *name, guint size)
{
  GByteArray *value = g_byte_array_new(), *type = g_byte_array_new();
  GByteArray *tensor = g_byte_array_new(), *shape = g_byte_array_new();

  for (guint i = 0; i < 2; i++) {
    GByteArray *dim = g_byte_array_new();
    put_number(dim, 1, i ? size : 1);
    put_message(shape, 1, dim);
  }
  put_number(tensor, 1, INFER_TYPE_FLOAT);
  put_message(tensor, 2, shape);
  put_message(type, 1, tensor);
  put_text(value, 1, name);
  put_message(value, 2, type);
  put_message(graph, field, value);
}

/* A chain of products (each with a matrix of @size) or of pointwise operators (@size 0). */
static GByteArray *
make_model(guint layers, guint size, gboolean raw)
{
  GByteArray *graph = g_byte_array_new(), *model = g_byte_array_new();
  GByteArray *opset = g_byte_array_new();
  g_autofree char *last = g_strdup("x");

  for (guint i = 0; i < layers; i++) {
    g_autofree char *weight = g_strdup_printf("layer.%u.weight", i);
    char *out = g_strdup_printf("layer.%u", i);
    if (size)
      put_matrix(graph, weight, size, raw);
    put_node(graph, size ? "MatMul" : i % 2 ? "Relu" : "Sigmoid", last, size ? weight : NULL, out);
    g_free(last);
    last = out;
  }
  put_value(graph, 11, "x", size ? size : 64);
  put_value(graph, 12, last, size ? size : 64);
  put_number(model, 1, 8);
  put_message(model, 7, graph);
  put_number(opset, 2, 17);
  put_message(model, 8, opset);
  return model;
}

/* --- measuring --- */

/* Kilobytes of a line of /proc/self/status. */
static glong
status_kb(const char *key)
{
  g_autofree char *text = NULL;
  const char *line;

  if (!g_file_get_contents("/proc/self/status", &text, NULL, NULL))
    return 0;
  line = strstr(text, key);
  return line ? strtol(line + strlen(key), NULL, 10) : 0;
}

/* Lets the peak of resident memory start anew. */
static glong
reset_peak(void)
{
  FILE *file = fopen("/proc/self/clear_refs", "w");

  if (file) {
    fputs("5", file);
    fclose(file);
  }
  return status_kb("VmRSS:");
}

static gboolean
measure(const char *title, const char *path)
{
  g_autoptr(GError) error = NULL;
  GStatBuf info;
  double best = 1e9;
  glong before = reset_peak(), peak = 0;
  gsize held = 0;

  for (guint i = 0; i < 5; i++) {
    gsize heap = mallinfo2().uordblks + mallinfo2().hblkhd;
    gint64 started = g_get_monotonic_time();
    g_autoptr(InferNetwork) network = infer_parse_onnx(path, NULL, &error);
    best = MIN(best, (double)(g_get_monotonic_time() - started) / 1e6);
    if (!network) {
      g_printerr("%s\n", error->message);
      return FALSE;
    }
    if (i == 0) {
      peak = status_kb("VmHWM:");
      held = mallinfo2().uordblks + mallinfo2().hblkhd - heap;
    }
  }
  g_stat(path, &info);
  g_print("%-28s %8.1f MB %9.4f s %9.2f MB held %9.2f MB peak beyond the file\n", title,
          (double)info.st_size / 1e6, best, (double)held / 1e6,
          ((double)(peak - before) * 1024 - (double)info.st_size) / 1e6);
  malloc_trim(0);
  return TRUE;
}

static gboolean
measure_made(const char *title, guint layers, guint size, gboolean raw)
{
  g_autofree char *path = NULL;
  g_autoptr(GError) error = NULL;
  GByteArray *model = make_model(layers, size, raw);
  gint file = g_file_open_tmp("parse-XXXXXX.onnx", &path, &error);
  gboolean good = file >= 0;

  for (gsize at = 0; good && at < model->len;) {
    gssize n = write(file, model->data + at, model->len - at);
    good = n > 0;
    at += good ? (gsize)n : 0;
  }
  g_byte_array_unref(model);
  malloc_trim(0);
  if (file >= 0)
    close(file);
  good = good && measure(title, path);
  if (path)
    g_unlink(path);
  return good;
}

int
main(int argc, char **argv)
{
  gboolean good = TRUE;

  for (int i = 1; i < argc; i++) {
    g_autofree char *name = g_path_get_basename(argv[i]);
    good = measure(name, argv[i]) && good;
  }
  if (argc < 2)
    good = measure_made("100 MB as raw_data", 100, 512, TRUE) &&
           measure_made("100 MB as float_data", 100, 512, FALSE) &&
           measure_made("10000 nodes", 10000, 0, TRUE);
  return good ? 0 : 1;
}
