/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

#include <math.h>

/* Operators that are several of ONNX's. All work element by element, in TensorFlow's order. */

static InferTensor *
one_of(TfImport *im, TfNode *node, const char *suffix, const InferTensor *like, double value)
{
  return tf_scalar(im, node, suffix, like->type, value);
}

/* A chain of operators that each take what came before and a constant, or nothing. */
typedef struct {
  const char *op;
  gboolean binary;
  double number;
  gboolean reversed; /* the constant comes first */
} Link;

static gboolean
chain(TfImport *im, TfNode *node, InferTensor *value, const Link *links, guint n, GError **error)
{
  for (guint i = 0; i < n && value; i++) {
    g_autofree char *step = i + 1 < n ? g_strdup_printf("step%u", i) : NULL;
    if (!links[i].binary) {
      value = tf_add1(im, node, step, links[i].op, NULL, value, error);
      continue;
    }
    InferTensor *number = one_of(im, node, "number", value, links[i].number);
    value = links[i].reversed ? tf_add2(im, node, step, links[i].op, NULL, number, value, error)
                              : tf_add2(im, node, step, links[i].op, NULL, value, number, error);
  }
  return value && tf_out(node, 0, value);
}

static gboolean
emit_expm1(TfImport *im, TfNode *node, GError **error)
{
  static const Link links[] = {{"Exp", FALSE, 0, FALSE}, {"Sub", TRUE, 1, FALSE}};
  InferTensor *x = tf_in(im, node, 0, error);

  return x && chain(im, node, x, links, 2, error);
}

static gboolean
emit_log1p(TfImport *im, TfNode *node, GError **error)
{
  static const Link links[] = {{"Add", TRUE, 1, FALSE}, {"Log", FALSE, 0, FALSE}};
  InferTensor *x = tf_in(im, node, 0, error);

  return x && chain(im, node, x, links, 2, error);
}

static gboolean
emit_erfc(TfImport *im, TfNode *node, GError **error)
{
  static const Link links[] = {{"Erf", FALSE, 0, FALSE}, {"Sub", TRUE, 1, TRUE}};
  InferTensor *x = tf_in(im, node, 0, error);

  return x && chain(im, node, x, links, 2, error);
}

/* Neither infinite nor no number: x - x is 0. */
static gboolean
emit_is_finite(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *x = tf_in(im, node, 0, error);
  InferTensor *zero = x ? tf_add2(im, node, "zero", "Sub", NULL, x, x, error) : NULL;

  return zero && tf_out(node, 0, tf_add2(im, node, NULL, "Equal", NULL, zero, zero, error));
}

static gboolean
two(TfImport *im, TfNode *node, InferTensor *in[2], GError **error)
{
  in[0] = tf_in(im, node, 0, error);
  in[1] = in[0] ? tf_in(im, node, 1, error) : NULL;
  return in[1] != NULL;
}

/* FloorMod has the sign of the divisor, as ONNX's Mod; TruncateMod that of the dividend, as fmod.
 */
static gboolean
emit_mod(TfImport *im, TfNode *node, GError **error)
{
  gboolean floors = tf_is(node, "FloorMod");
  InferTensor *in[2];

  if (!two(im, node, in, error)) {
    return FALSE;
  }
  if (floors && infer_type_is_float(in[0]->type)) {
    InferTensor *q = tf_add(im, node, "quotient", "Div", NULL, in, 2, error);
    InferTensor *whole = q ? tf_add1(im, node, "whole", "Floor", NULL, q, error) : NULL;
    InferTensor *part = whole ? tf_add2(im, node, "part", "Mul", NULL, whole, in[1], error) : NULL;
    return part && tf_out(node, 0, tf_add2(im, node, NULL, "Sub", NULL, in[0], part, error));
  }
  GVariant *attrs = infer_attrs_new("fmod", 'i', (gint64)!floors, NULL);
  return tf_out(node, 0, tf_add(im, node, NULL, "Mod", attrs, in, 2, error));
}

/* 0 where one operand is 0, whatever the other is. */
static gboolean
emit_no_nan(TfImport *im, TfNode *node, GError **error)
{
  gboolean divides = tf_is_any(node, "DivNoNan", "Xdivy", NULL);
  guint decides = tf_is_any(node, "Xdivy", "Xlogy", NULL) ? 0 : 1;
  InferTensor *in[2];

  if (!two(im, node, in, error)) {
    return FALSE;
  }
  InferTensor *zero = one_of(im, node, "zero", in[0], 0);
  InferTensor *none = tf_add2(im, node, "none", "Equal", NULL, in[decides], zero, error);
  InferTensor *b = in[1];
  if (b && tf_is(node, "Xlogy")) {
    b = tf_add1(im, node, "log", "Log", NULL, b, error);
  }
  InferTensor *value =
      none && b ? tf_add2(im, node, "value", divides ? "Div" : "Mul", NULL, in[0], b, error) : NULL;
  InferTensor *choice[3] = {none, zero, value};
  return value && tf_out(node, 0, tf_add(im, node, NULL, "Where", NULL, choice, 3, error));
}

/* By the quotient where x > 0, and half a turn more or less where it is not. */
static gboolean
emit_atan2(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *in[2];

  if (!two(im, node, in, error)) {
    return FALSE;
  }
  InferTensor *y = in[0], *x = in[1], *zero = one_of(im, node, "zero", x, 0);
  InferTensor *none = tf_add2(im, node, "none", "Equal", NULL, x, zero, error);
  InferTensor *tiny = one_of(im, node, "tiny", x, 1e-37);
  InferTensor *safe[3] = {none, tiny, x};
  InferTensor *divisor = none ? tf_add(im, node, "divisor", "Where", NULL, safe, 3, error) : NULL;
  InferTensor *q = divisor ? tf_add2(im, node, "quotient", "Div", NULL, y, divisor, error) : NULL;
  InferTensor *angle = q ? tf_add1(im, node, "angle", "Atan", NULL, q, error) : NULL;
  InferTensor *left = angle ? tf_add2(im, node, "left", "Less", NULL, x, zero, error) : NULL;
  InferTensor *below = left ? tf_add2(im, node, "below", "Less", NULL, y, zero, error) : NULL;
  InferTensor *turns[3] = {below, one_of(im, node, "minus", x, -G_PI),
                           one_of(im, node, "plus", x, G_PI)};
  InferTensor *turn = below ? tf_add(im, node, "turn", "Where", NULL, turns, 3, error) : NULL;
  InferTensor *more[3] = {left, turn, zero};
  InferTensor *add = turn ? tf_add(im, node, "more", "Where", NULL, more, 3, error) : NULL;
  InferTensor *sum = add ? tf_add2(im, node, "sum", "Add", NULL, angle, add, error) : NULL;
  /* 0 / 0 is no angle, and is 0 here. */
  return sum && tf_out(node, 0, sum);
}

static gboolean
emit_l2_loss(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *x = tf_in(im, node, 0, error);
  GVariant *attrs = infer_attrs_new("keepdims", 'i', (gint64)0, NULL);
  InferTensor *sum = NULL;

  if (x) {
    sum = tf_add1(im, node, "sum", "ReduceSumSquare", attrs, x, error);
  } else {
    g_variant_unref(g_variant_ref_sink(attrs));
  }
  InferTensor *half = sum ? one_of(im, node, "half", x, 0.5) : NULL;
  return half && tf_out(node, 0, tf_add2(im, node, NULL, "Mul", NULL, sum, half, error));
}

static gboolean
emit_cumulate(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *in[2];

  if (!two(im, node, in, error)) {
    return FALSE;
  }
  GVariant *attrs =
      infer_attrs_new("exclusive", 'i', (gint64)tf_attr_bool(node, "exclusive", FALSE), "reverse",
                      'i', (gint64)tf_attr_bool(node, "reverse", FALSE), NULL);
  return tf_out(
      node, 0,
      tf_add(im, node, NULL, tf_is(node, "Cumsum") ? "CumSum" : "CumProd", attrs, in, 2, error));
}

/* --- numbers that pass through few bits --- */

/* The range is moved so that 0 is one of its steps. In single precision, as TensorFlow does it:
 * where 0 lies between two steps, rounding decides which. */
static void
nudge(float min, float max, float least, float most, double *scale, double *low, double *high)
{
  float step = (max - min) / (most - least);
  float zero = least - min / step;

  zero = zero < least ? least : zero > most ? most : floorf(zero + 0.5f);
  *scale = (double)step;
  *low = (double)((least - zero) * step);
  *high = (double)((most - zero) * step);
}

static InferTensor *
vector(TfImport *im, TfNode *node, const char *suffix, const double *values, gint64 n)
{
  InferDims dims = n < 0 ? INFER_DIMS_SCALAR : INFER_DIMS(n);
  g_autoptr(InferArray) array = infer_array_new(INFER_TYPE_FLOAT, &dims, NULL);

  for (gint64 i = 0; i < MAX(n, 1) && infer_array_count(array) > 0; i++) {
    infer_array_set_double(array, (gsize)i, values[i]);
  }
  return infer_network_add_constant(im->network, suffix, array);
}

static gboolean
read_range(TfNode *node, InferArray **min, InferArray **max, GError **error)
{
  if (tf_is(node, "FakeQuantWithMinMaxArgs")) {
    *min = infer_array_new_float((float)tf_attr_float(node, "min", -6));
    *max = infer_array_new_float((float)tf_attr_float(node, "max", 6));
    return TRUE;
  }
  *min = tf_const(node, 1, error);
  *max = *min ? tf_const(node, 2, error) : NULL;
  return *max && (infer_array_count(*min) == infer_array_count(*max) ||
                  tf_error(error, INFER_ERROR_MODEL, "its ranges have different lengths"));
}

static gboolean
emit_fake_quant(TfImport *im, TfNode *node, GError **error)
{
  gint64 bits = tf_attr_int(node, "num_bits", 8);
  double least = tf_attr_bool(node, "narrow_range", FALSE) ? 1 : 0;
  g_autoptr(InferArray) min = NULL;
  g_autoptr(InferArray) max = NULL;
  InferTensor *x = tf_in(im, node, 0, error);

  if (!x || !read_range(node, &min, &max, error)) {
    return FALSE;
  }
  gint64 n = min->dims.n == 0 ? -1 : infer_array_count(min);
  if (bits < 2 || bits > 16 || n == 0) {
    return tf_error(error, INFER_ERROR_MODEL, "%" G_GINT64_FORMAT " bits", bits);
  }
  double most = (double)((1 << bits) - 1);
  g_autofree double *values = g_new0(double, (gsize)MAX(n, 1) * 3);
  double *scale = values, *low = scale + MAX(n, 1), *high = low + MAX(n, 1);
  for (gint64 i = 0; i < MAX(n, 1); i++) {
    double from = infer_array_get_double(min, (gsize)i), to = infer_array_get_double(max, (gsize)i);
    if (!(from < to)) {
      return tf_error(error, INFER_ERROR_MODEL, "a range from %g to %g", from, to);
    }
    nudge((float)from, (float)to, (float)least, (float)most, &scale[i], &low[i], &high[i]);
  }
  InferTensor *bottom = vector(im, node, "low", low, n), *top = vector(im, node, "high", high, n);
  InferTensor *step = vector(im, node, "scale", scale, n);
  InferTensor *half = tf_scalar(im, node, "half", INFER_TYPE_FLOAT, 0.5);
  InferTensor *up = tf_add2(im, node, "up", "Max", NULL, x, bottom, error);
  InferTensor *in = up ? tf_add2(im, node, "in", "Min", NULL, up, top, error) : NULL;
  InferTensor *from = in ? tf_add2(im, node, "from", "Sub", NULL, in, bottom, error) : NULL;
  InferTensor *steps = from ? tf_add2(im, node, "steps", "Div", NULL, from, step, error) : NULL;
  InferTensor *near = steps ? tf_add2(im, node, "near", "Add", NULL, steps, half, error) : NULL;
  InferTensor *whole = near ? tf_add1(im, node, "whole", "Floor", NULL, near, error) : NULL;
  InferTensor *back = whole ? tf_add2(im, node, "back", "Mul", NULL, whole, step, error) : NULL;
  return back && tf_out(node, 0, tf_add2(im, node, NULL, "Add", NULL, back, bottom, error));
}

/* How many boundaries a value has reached. */
static gboolean
emit_bucketize(TfImport *im, TfNode *node, GError **error)
{
  const InferTf__Attr *attr = tf_attr(node, "boundaries");
  gsize n = attr && attr->list ? attr->list->n_f : 0;
  InferTensor *x = tf_in(im, node, 0, error);
  static const gint64 last = -1;

  if (!x) {
    return FALSE;
  }
  if (n == 0) {
    return tf_error(error, INFER_ERROR_MODEL, "it has no boundaries");
  }
  g_autofree double *values = g_new(double, n);
  for (gsize i = 0; i < n; i++) {
    values[i] = (double)attr->list->f[i];
  }
  InferTensor *limits = vector(im, node, "limits", values, (gint64)n);
  InferTensor *number = tf_cast(im, node, "float", x, INFER_TYPE_FLOAT, error);
  InferTensor *wide = number ? tf_unsqueeze(im, node, "wide", number, &last, 1, error) : NULL;
  InferTensor *over =
      wide ? tf_add2(im, node, "over", "GreaterOrEqual", NULL, wide, limits, error) : NULL;
  InferTensor *count = over ? tf_cast(im, node, "count", over, INFER_TYPE_INT32, error) : NULL;
  InferTensor *axes = tf_ints(im, node, "axes", &last, 1);
  GVariant *attrs = infer_attrs_new("keepdims", 'i', (gint64)0, NULL);
  if (!count) {
    g_variant_unref(g_variant_ref_sink(attrs));
    return FALSE;
  }
  return tf_out(node, 0, tf_add2(im, node, NULL, "ReduceSum", attrs, count, axes, error));
}

/* The elements of a tensor as another type of the same size. */
static gboolean
emit_bitcast(TfImport *im, TfNode *node, GError **error)
{
  InferType type = tf_attr_type(node, "type", INFER_TYPE_UNDEFINED);
  InferTensor *x = tf_in(im, node, 0, error);

  if (!x) {
    return FALSE;
  }
  if (infer_type_bits(type) != infer_type_bits(x->type)) {
    return tf_error(error, INFER_ERROR_UNSUPPORTED, "the types have different sizes");
  }
  GVariant *attrs = infer_attrs_new("to", 'i', (gint64)type, NULL);
  return tf_out(node, 0, tf_add1(im, node, NULL, "BitCast", attrs, x, error));
}

static gboolean
emit_truncate_div(TfImport *im, TfNode *node, GError **error)
{
  InferTensor *in[2];

  return two(im, node, in, error) &&
         tf_out(node, 0, tf_add(im, node, NULL, "Div", NULL, in, 2, error));
}

const TfOp tf_ops_math[] = {
    {"Expm1", emit_expm1},
    {"Log1p", emit_log1p},
    {"Erfc", emit_erfc},
    {"IsFinite", emit_is_finite},
    {"FloorMod", emit_mod},
    {"TruncateMod", emit_mod},
    {"Mod", emit_mod},
    {"TruncateDiv", emit_truncate_div},
    {"DivNoNan", emit_no_nan},
    {"MulNoNan", emit_no_nan},
    {"Xdivy", emit_no_nan},
    {"Xlogy", emit_no_nan},
    {"Atan2", emit_atan2},
    {"L2Loss", emit_l2_loss},
    {"Cumsum", emit_cumulate},
    {"Cumprod", emit_cumulate},
    {"FakeQuantWithMinMaxArgs", emit_fake_quant},
    {"FakeQuantWithMinMaxVars", emit_fake_quant},
    {"FakeQuantWithMinMaxVarsPerChannel", emit_fake_quant},
    {"Bucketize", emit_bucketize},
    {"Bitcast", emit_bitcast},
    {NULL, NULL},
};
