/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "half.h"
#include "op.h"
#include "packed.h"
#include "smallfloat.h"

#include <glib/gstdio.h>
#include <infer/infer.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* --- 16-bit floats --- */

/* By the definition: sign, exponent with a bias, mantissa. */
static double
plain(guint code, guint exponent_bits, guint mantissa_bits, int bias)
{
  guint exponent = code >> mantissa_bits & ((1u << exponent_bits) - 1);
  guint mantissa = code & ((1u << mantissa_bits) - 1);
  double fraction = mantissa / pow(2, mantissa_bits), value;

  if (exponent == 0)
    value = fraction * pow(2, 1 - bias);
  else
    value = (1 + fraction) * pow(2, (int)exponent - bias);
  return code >> (exponent_bits + mantissa_bits) & 1 ? -value : value;
}

typedef struct {
  InferType type;
  guint exponent, mantissa;
  int bias;
} Half;

static const Half halves[] = {{INFER_TYPE_FLOAT16, 5, 10, 15}, {INFER_TYPE_BFLOAT16, 8, 7, 127}};

static guint16
narrowed(InferType type, float value)
{
  guint16 code;

  infer_narrow_floats(type, &value, &code, 1);
  g_assert_cmpuint(code, ==, infer_small_float_encode(type, (double)value, FALSE, 0));
  return code;
}

static void
test_widen(gconstpointer data)
{
  const Half *half = data;
  guint top = ((1u << half->exponent) - 1) << half->mantissa;
  g_autofree guint16 *codes = g_new(guint16, 65536), *back = g_new(guint16, 65536);
  g_autofree float *values = g_new(float, 65536);

  for (guint i = 0; i < 65536; i++)
    codes[i] = (guint16)i;
  infer_widen_floats(half->type, codes, values, 65536);
  infer_narrow_floats(half->type, values, back, 65536);
  for (guint i = 0; i < 65536; i++) {
    guint magnitude = i & 0x7fff;
    if (magnitude > top) {
      g_assert_true(isnan(values[i]));
      g_assert_cmpuint(back[i], ==, i | 1u << (half->mantissa - 1));
      continue;
    }
    if (magnitude == top)
      g_assert_true(isinf(values[i]) && !signbit(values[i]) == !(i & 0x8000));
    else
      g_assert_true((double)values[i] == plain(i, half->exponent, half->mantissa, half->bias));
    g_assert_cmpuint(back[i], ==, i);
    g_assert_true(!signbit(values[i]) == !(i & 0x8000));
  }
}

/* Every midpoint of neighbours, and the floats next to it. */
static void
test_narrow(gconstpointer data)
{
  const Half *half = data;
  guint top = ((1u << half->exponent) - 1) << half->mantissa;

  for (guint i = 0; i < top; i++) {
    double low = plain(i, half->exponent, half->mantissa, half->bias);
    /* After the last one comes what the next exponent would be, and it is infinity. */
    double high = plain(i + 1, half->exponent, half->mantissa, half->bias);
    float middle = (float)((low + high) / 2);
    g_assert_true((double)middle == (low + high) / 2);
    g_assert_cmpuint(narrowed(half->type, middle), ==, i % 2 ? i + 1 : i);
    g_assert_cmpuint(narrowed(half->type, nextafterf(middle, 0)), ==, i);
    g_assert_cmpuint(narrowed(half->type, nextafterf(middle, INFINITY)), ==, i + 1);
    g_assert_cmpuint(narrowed(half->type, -middle), ==, (i % 2 ? i + 1 : i) | 0x8000);
  }
  g_assert_cmpuint(narrowed(half->type, G_MAXFLOAT), ==, top);
  g_assert_cmpuint(narrowed(half->type, -INFINITY), ==, top | 0x8000);
  g_assert_cmpuint(narrowed(half->type, 0x1p-149f) & 0x7fff, ==, 0);
  g_assert_cmpuint(narrowed(half->type, -0.0f), ==, 0x8000);
}

/* --- smaller floats --- */

typedef struct {
  InferType type;
  guint exponent, mantissa;
  int bias;
  guint greatest; /* code */
  double number;  /* its number */
  int infinity, nan;
  gboolean one_zero;
} Small;

static const Small smalls[] = {
    {INFER_TYPE_FLOAT8E4M3FN, 4, 3, 7, 0x7e, 448, -1, 0x7f, FALSE},
    {INFER_TYPE_FLOAT8E4M3FNUZ, 4, 3, 8, 0x7f, 240, -1, 0x80, TRUE},
    {INFER_TYPE_FLOAT8E5M2, 5, 2, 15, 0x7b, 57344, 0x7c, 0x7e, FALSE},
    {INFER_TYPE_FLOAT8E5M2FNUZ, 5, 2, 16, 0x7f, 57344, -1, 0x80, TRUE},
    {INFER_TYPE_FLOAT4E2M1, 2, 1, 1, 0x7, 6, -1, -1, FALSE},
};

static void
test_small(gconstpointer data)
{
  const Small *s = data;
  guint sign = 1u << (s->exponent + s->mantissa);

  for (guint i = 0; i < 2 * sign; i++) {
    guint magnitude = i & (sign - 1);
    double value = infer_small_float_decode(s->type, i);
    if (s->one_zero ? i == sign : magnitude > s->greatest) {
      g_assert_true((int)magnitude == s->infinity ? isinf(value) : isnan(value));
      continue;
    }
    g_assert_true(value == plain(i, s->exponent, s->mantissa, s->bias));
    g_assert_cmpuint(infer_small_float_encode(s->type, value, TRUE, 0), ==, i);
    g_assert_cmpuint(infer_small_float_encode(s->type, value, FALSE, 0), ==, i);
    if (magnitude < s->greatest && i < sign) {
      double middle = (value + plain(i + 1, s->exponent, s->mantissa, s->bias)) / 2;
      g_assert_cmpuint(infer_small_float_encode(s->type, middle, TRUE, 0), ==, i % 2 ? i + 1 : i);
      g_assert_cmpuint(infer_small_float_encode(s->type, nextafter(middle, 0), TRUE, 0), ==, i);
      g_assert_cmpuint(infer_small_float_encode(s->type, nextafter(middle, 1e9), TRUE, 0), ==,
                       i + 1);
    }
  }
  g_assert_true(infer_small_float_decode(s->type, s->greatest) == s->number);
  g_assert_cmpuint(infer_small_float_encode(s->type, INFINITY, TRUE, 0), ==, s->greatest);
  g_assert_cmpuint(infer_small_float_encode(s->type, -1e9, TRUE, 0), ==, s->greatest | sign);
  if (s->nan < 0)
    return;
  for (guint k = 0; k < 2; k++)
    g_assert_cmpuint(infer_small_float_encode(s->type, k ? 1e9 : INFINITY, FALSE, 0), ==,
                     s->infinity >= 0 ? s->infinity : s->nan);
  g_assert_cmpuint(infer_small_float_encode(s->type, NAN, TRUE, 0), ==, s->nan);
  g_assert_cmpuint(infer_small_float_encode(s->type, -0.0, TRUE, 0), ==, s->one_zero ? 0 : sign);
}

static void
test_e8m0(void)
{
  const InferType type = INFER_TYPE_FLOAT8E8M0;

  for (guint i = 0; i < 255; i++) {
    double value = infer_small_float_decode(type, i);
    g_assert_true(value == pow(2, (int)i - 127));
    for (guint mode = INFER_ROUND_UP; mode <= INFER_ROUND_NEAREST; mode++) {
      g_assert_cmpuint(infer_small_float_encode(type, value, TRUE, mode), ==, i);
      if (i < 254)
        g_assert_cmpuint(infer_small_float_encode(type, 1.5 * value, TRUE, mode), ==,
                         mode == INFER_ROUND_DOWN ? i : i + 1);
      if (i < 254)
        g_assert_cmpuint(infer_small_float_encode(type, 1.49 * value, TRUE, mode), ==,
                         mode == INFER_ROUND_UP ? i + 1 : i);
    }
  }
  g_assert_true(isnan(infer_small_float_decode(type, 255)));
  g_assert_cmpuint(infer_small_float_encode(type, NAN, TRUE, 0), ==, 255);
  g_assert_cmpuint(infer_small_float_encode(type, INFINITY, TRUE, 0), ==, 254);
  g_assert_cmpuint(infer_small_float_encode(type, 0, TRUE, 0), ==, 0);
  g_assert_cmpuint(infer_small_float_encode(type, 0x1p200, FALSE, 2), ==, 255);
  g_assert_cmpuint(infer_small_float_encode(type, 0, FALSE, 2), ==, 255);
}

static void
test_packed(void)
{
  const InferType types[] = {INFER_TYPE_INT4, INFER_TYPE_UINT4, INFER_TYPE_INT2, INFER_TYPE_UINT2};

  for (guint t = 0; t < G_N_ELEMENTS(types); t++) {
    guint bits = infer_type_bits(types[t]);
    g_autoptr(InferArray) array = infer_array_new(types[t], &INFER_DIMS(7), NULL);
    gint8 bytes[7];
    guint8 again[4] = {0xff, 0xff, 0xff, 0xff};
    int low = t % 2 ? 0 : -(1 << (bits - 1)), high = low + (1 << bits) - 1;

    g_assert_cmpuint(array->size, ==, (7 * bits + 7) / 8);
    for (gsize i = 0; i < 7; i++)
      infer_array_set_double(array, i, i == 6 ? 100 : low + (int)i % (1 << bits));
    infer_unpack(types[t], array->data, bytes, 7);
    for (gsize i = 0; i < 7; i++) {
      g_assert_cmpint(bytes[i], ==, i == 6 ? high : low + (int)i % (1 << bits));
      g_assert_cmpint(infer_array_get_int(array, i), ==, bytes[i]);
    }
    infer_pack(types[t], bytes, again, 7);
    g_assert_cmpmem(again, array->size, array->data, array->size);
  }
}

/* --- through operators --- */

static InferArray *
evaluate(const char *op, GVariant *attrs, guint n_in, InferArray *const *in)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GVariant) sunk = attrs ? g_variant_ref_sink(attrs) : NULL;
  g_autoptr(GError) error = NULL;
  InferTensor *inputs[4];
  InferArray *out[1] = {NULL};
  InferNode *node;

  for (guint i = 0; i < n_in; i++) {
    g_autofree char *name = g_strdup_printf("x%u", i);
    inputs[i] = infer_network_add_input(network, name, in[i]->type, &in[i]->dims, NULL, &error);
    g_assert_no_error(error);
  }
  node = infer_network_add_node(network, op, NULL, inputs, n_in, sunk, 1, &error);
  g_assert_no_error(error);
  infer_op_eval_alloc(node, (const InferArray *const *)in, n_in, out, 1, &error);
  g_assert_no_error(error);
  return out[0];
}

static InferArray *
ramp(InferType type, const InferDims *dims)
{
  InferArray *array = infer_array_new(type, dims, NULL);

  for (gint64 i = 0; i < infer_array_count(array); i++)
    infer_array_set_double(array, (gsize)i, (double)(i % 4));
  return array;
}

/* Sums of float16 that do not fit it are rounded once, at the end. */
static void
test_rounds_once(void)
{
  g_autoptr(InferArray) a = infer_array_new(INFER_TYPE_FLOAT16, &INFER_DIMS(1, 3), NULL);
  g_autoptr(InferArray) b = infer_array_new(INFER_TYPE_FLOAT16, &INFER_DIMS(3, 1), NULL);
  InferArray *in[] = {a, b};
  g_autoptr(InferArray) y = NULL;

  for (gsize i = 0; i < 3; i++)
    infer_array_set_double(b, i, 1);
  infer_array_set_double(a, 0, 2048);
  infer_array_set_double(a, 1, 1);
  infer_array_set_double(a, 2, 1);
  y = evaluate("MatMul", NULL, 2, in);
  g_assert_cmpint(y->type, ==, INFER_TYPE_FLOAT16);
  g_assert_true(infer_array_get_double(y, 0) == 2050);
}

static void
test_refuses_mixed(void)
{
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferTensor *in[2];

  in[0] = infer_network_add_input(network, "a", INFER_TYPE_FLOAT16, &INFER_DIMS(2), NULL, &error);
  in[1] = infer_network_add_input(network, "b", INFER_TYPE_FLOAT, &INFER_DIMS(2), NULL, &error);
  g_assert_null(infer_network_add_node(network, "Add", NULL, in, 2, NULL, 1, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
}

static void
test_moves(gconstpointer data)
{
  const InferType type = (InferType)GPOINTER_TO_INT(data);
  g_autoptr(InferArray) x = ramp(type, &INFER_DIMS(3, 5));
  g_autoptr(InferArray) y = NULL;
  g_autoptr(InferArray) z = NULL;

  y = evaluate("Transpose", NULL, 1, &x);
  g_assert_cmpint(y->type, ==, type);
  for (gsize i = 0; i < 3; i++)
    for (gsize k = 0; k < 5; k++)
      g_assert_true(infer_array_get_double(y, k * 3 + i) == infer_array_get_double(x, i * 5 + k));
  InferArray *both[] = {x, x};
  z = evaluate("Concat", infer_attrs_new("axis", 'i', (gint64)1, NULL), 2, both);
  for (gsize i = 0; i < 3; i++)
    for (gsize k = 0; k < 10; k++)
      g_assert_true(infer_array_get_double(z, i * 10 + k) ==
                    infer_array_get_double(x, i * 5 + k % 5));
}

/* --- strings --- */

static InferNetwork *
string_network(void)
{
  const char *const words[] = {"-", "+"};
  g_autoptr(InferArray) signs = infer_array_new_strings(&INFER_DIMS(2, 1), words, 2, NULL);
  g_autoptr(InferNetwork) network = infer_network_new();
  g_autoptr(GError) error = NULL;
  InferTensor *in[2], *numbers;

  in[0] = infer_network_add_constant(network, "signs", signs);
  in[1] =
      infer_network_add_input(network, "words", INFER_TYPE_STRING, &INFER_DIMS(1, 3), NULL, &error);
  InferNode *node = infer_network_add_node(network, "StringConcat", NULL, in, 2, NULL, 1, &error);
  g_assert_no_error(error);
  infer_network_mark_output(network, node->outputs[0], "text", &error);
  g_autoptr(GVariant) to =
      g_variant_ref_sink(infer_attrs_new("to", 'i', (gint64)INFER_TYPE_FLOAT, NULL));
  node = infer_network_add_node(network, "Cast", NULL, node->outputs, 1, to, 1, &error);
  g_assert_no_error(error);
  numbers = node->outputs[0];
  infer_network_mark_output(network, numbers, "numbers", &error);
  g_assert_no_error(error);
  return g_steal_pointer(&network);
}

static void
check_strings(InferEngine *engine)
{
  const char *const words[] = {"1.5", "2e3", "inf"};
  const char *const junk[] = {"1", "two", "3"};
  const double want[] = {-1.5, -2000, -INFINITY, 1.5, 2000, INFINITY};
  g_autoptr(GError) error = NULL;
  g_autoptr(InferContext) context = infer_context_new(engine, &error);
  g_auto(GStrv) text = NULL;
  const float *numbers;
  gsize size;

  g_assert_no_error(error);
  infer_context_set_batch(context, 1, &error);
  g_assert_no_error(error);
  g_assert_false(infer_context_set_strings(context, "words", words, 2, &error));
  g_assert_error(error, INFER_ERROR, INFER_ERROR_SHAPE);
  g_clear_error(&error);
  infer_context_set_strings(context, "words", words, 3, &error);
  g_assert_no_error(error);
  infer_context_run(context, &error);
  g_assert_no_error(error);
  text = infer_context_get_strings(context, "text", &error);
  g_assert_no_error(error);
  g_assert_cmpuint(g_strv_length(text), ==, 6);
  g_assert_cmpstr(text[1], ==, "-2e3");
  g_assert_cmpstr(text[5], ==, "+inf");
  numbers = infer_context_map(context, "numbers", &size, &error);
  g_assert_cmpuint(size, ==, 24);
  for (guint i = 0; i < 6; i++)
    g_assert_true((double)numbers[i] == want[i]);
  infer_context_set_strings(context, "words", junk, 3, &error);
  g_assert_no_error(error);
  g_assert_false(infer_context_run(context, &error));
  g_assert_nonnull(strstr(error->message, "two"));
}

static void
test_strings(void)
{
  g_autoptr(InferNetwork) network = string_network();
  g_autoptr(InferBuilder) builder = infer_builder_new();
  g_autoptr(GError) error = NULL;
  g_autofree char *path = g_build_filename(g_get_tmp_dir(), "infer-types-XXXXXX", NULL);
  int fd = g_mkstemp(path);

  infer_builder_set_device(builder, "cpu");
  g_autoptr(InferEngine) engine = infer_builder_build(builder, network, "strings", NULL, &error);
  g_assert_no_error(error);
  check_strings(engine);
  infer_engine_save(engine, path, &error);
  g_assert_no_error(error);
  g_autoptr(InferEngine) loaded = infer_engine_new_from_file(path, "cpu", 0, 0, &error);
  g_assert_no_error(error);
  check_strings(loaded);
  close(fd);
  g_unlink(path);
}

static void
test_string_text(void)
{
  const double values[] = {0, -0.0, 1, 0.1, 1e-5, 123456.75, 1e16, 3e15, 0.00012, NAN, -INFINITY};
  const char *const want[] = {"0.0",     "-0.0",      "1.0",   "0.1",
                              "1e-05",   "123456.75", "1e+16", "3000000000000000.0",
                              "0.00012", "nan",       "-inf"};
  g_autoptr(InferArray) x =
      infer_array_new(INFER_TYPE_DOUBLE, &INFER_DIMS(G_N_ELEMENTS(values)), NULL);
  g_autoptr(InferArray) y = NULL;

  memcpy(x->data, values, sizeof values);
  y = evaluate("Cast", infer_attrs_new("to", 'i', (gint64)INFER_TYPE_STRING, NULL), 1, &x);
  for (gsize i = 0; i < G_N_ELEMENTS(values); i++)
    g_assert_cmpstr(infer_array_get_string(y, i), ==, want[i]);
}

static void
test_string_moves(void)
{
  const char *const words[] = {"b", "", "a", "b"};
  const char *const sorted[] = {"", "a", "b"};
  g_autoptr(InferArray) x = infer_array_new_strings(&INFER_DIMS(2, 2), words, 4, NULL);
  g_autoptr(InferArray) y = evaluate("Transpose", NULL, 1, &x);
  g_autoptr(InferArray) unique = evaluate("Unique", NULL, 1, &x);
  InferArray *both[] = {x, y};
  g_autoptr(InferArray) equal = evaluate("Equal", NULL, 2, both);

  g_clear_pointer(&x, infer_array_unref);
  g_assert_cmpstr(infer_array_get_string(y, 1), ==, "a");
  g_assert_cmpstr(infer_array_get_string(y, 2), ==, "");
  g_assert_cmpint(infer_array_count(unique), ==, 3);
  for (gsize i = 0; i < 3; i++)
    g_assert_cmpstr(infer_array_get_string(unique, i), ==, sorted[i]);
  for (gsize i = 0; i < 4; i++)
    g_assert_cmpint(infer_array_get_int(equal, i), ==, i == 0 || i == 3);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_data_func("/types/float16/widen", &halves[0], test_widen);
  g_test_add_data_func("/types/float16/narrow", &halves[0], test_narrow);
  g_test_add_data_func("/types/bfloat16/widen", &halves[1], test_widen);
  g_test_add_data_func("/types/bfloat16/narrow", &halves[1], test_narrow);
  for (guint i = 0; i < G_N_ELEMENTS(smalls); i++) {
    g_autofree char *path = g_strconcat("/types/", infer_type_name(smalls[i].type), NULL);
    g_test_add_data_func(path, &smalls[i], test_small);
  }
  g_test_add_func("/types/float8e8m0", test_e8m0);
  g_test_add_func("/types/packed", test_packed);
  g_test_add_func("/types/half/rounds-once", test_rounds_once);
  g_test_add_func("/types/half/refuses-mixed", test_refuses_mixed);
  const InferType moved[] = {INFER_TYPE_INT4,    INFER_TYPE_UINT2,        INFER_TYPE_FLOAT4E2M1,
                             INFER_TYPE_FLOAT16, INFER_TYPE_FLOAT8E4M3FN, INFER_TYPE_BFLOAT16};
  for (guint i = 0; i < G_N_ELEMENTS(moved); i++) {
    g_autofree char *path = g_strconcat("/types/moves/", infer_type_name(moved[i]), NULL);
    g_test_add_data_func(path, GINT_TO_POINTER(moved[i]), test_moves);
  }
  g_test_add_func("/types/strings/context", test_strings);
  g_test_add_func("/types/strings/text", test_string_text);
  g_test_add_func("/types/strings/moves", test_string_moves);
  return g_test_run();
}
