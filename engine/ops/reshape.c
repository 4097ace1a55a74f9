/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "data.h"

extern const InferOp *const infer_ops_reshape[];

/* A product of dimensions: a number times symbols. */
typedef struct {
  gint64 number;
  gint n_symbols;
  gint64 symbols[INFER_MAX_DIMS];
  gboolean open; /* a factor is not known, or the number does not fit */
} Product;

static void
product_add(Product *product, gint64 d)
{
  if (d == INFER_DIM_UNKNOWN)
    product->open = TRUE;
  else if (d < 0)
    product->symbols[product->n_symbols++] = d;
  else if (__builtin_mul_overflow(product->number, d, &product->number))
    product->open = TRUE;
}

/* Removes the symbols that both have. */
static void
product_cancel(Product *a, Product *b)
{
  for (gint i = 0; i < a->n_symbols;) {
    gint j = 0;
    while (j < b->n_symbols && b->symbols[j] != a->symbols[i])
      j++;
    if (j == b->n_symbols) {
      i++;
      continue;
    }
    a->symbols[i] = a->symbols[--a->n_symbols];
    b->symbols[j] = b->symbols[--b->n_symbols];
  }
}

/* The one element that the target leaves open, from the counts of both sides. @asked: by a -1. */
static gboolean
reshape_solve(const InferNode *node, Product *in, Product *out, gboolean asked, gint64 *open,
              GError **error)
{
  if (in->open || out->open)
    return TRUE;
  product_cancel(in, out);
  if (out->n_symbols > 0)
    return TRUE;
  if (in->n_symbols == 0) {
    if (out->number == 0 && !asked)
      return TRUE;
    if (out->number == 0)
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "the open dimension cannot be told where another one is 0");
    if (in->number % out->number != 0)
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "%" G_GINT64_FORMAT " elements do not divide into rows of "
                            "%" G_GINT64_FORMAT,
                            in->number, out->number);
    *open = in->number / out->number;
  } else if (in->n_symbols == 1 && in->number == out->number && in->number != 0) {
    *open = in->symbols[0];
  }
  return TRUE;
}

static gboolean
reshape_check_target(const InferNode *node, const DataInts *target, gboolean allow_zero,
                     GError **error)
{
  gint minus = 0, zero = 0;
  if (target->n > INFER_MAX_DIMS)
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "the shape has %d dimensions, at most %d are supported", target->n,
                          INFER_MAX_DIMS);
  for (gint i = 0; i < target->n; i++) {
    if (!target->known[i])
      continue;
    if (target->v[i] < -1)
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "the shape has the negative dimension %" G_GINT64_FORMAT, target->v[i]);
    minus += target->v[i] == -1;
    zero += target->v[i] == 0;
  }
  if (minus > 1 || (minus == 1 && zero > 0 && allow_zero))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          minus > 1 ? "the shape has more than one -1"
                                    : "the shape has a -1 beside a 0 that allowzero keeps");
  return TRUE;
}

static gboolean
reshape_dims(const InferNode *node, const InferDims *in, const DataInts *target, InferDims *out,
             GError **error)
{
  gboolean allow_zero = infer_node_get_int(node, "allowzero", 0) != 0;
  Product in_product = {.number = 1}, out_product = {.number = 1};
  gboolean copied[INFER_MAX_DIMS] = {FALSE};
  gint open = -1, n_open = 0;
  *out = INFER_DIMS_UNKNOWN;
  if (!reshape_check_target(node, target, allow_zero, error))
    return FALSE;
  out->n = target->n;
  for (gint i = 0; i < target->n; i++) {
    out->d[i] = target->v[i];
    if (!target->known[i] ? target->v[i] == INFER_DIM_UNKNOWN : target->v[i] == -1) {
      out->d[i] = INFER_DIM_UNKNOWN;
      open = i;
      n_open++;
    } else if (target->v[i] == 0 && !allow_zero) {
      if (in->n >= 0 && i >= in->n)
        return infer_op_error(node, error, INFER_ERROR_SHAPE,
                              "the shape copies dimension %d, the input has rank %d", i, in->n);
      /* A dimension that is copied cancels, also where nothing is known of it. */
      out->d[i] = in->n < 0 ? INFER_DIM_UNKNOWN : in->d[i];
      copied[i] = in->n >= 0;
      if (in->n < 0)
        out_product.open = TRUE;
    } else {
      product_add(&out_product, out->d[i]);
    }
  }
  if (in->n < 0 || target->n < 0)
    return TRUE;
  gboolean zero = FALSE;
  for (gint i = 0; i < in->n; i++) {
    zero = zero || in->d[i] == 0;
    if (!copied[i])
      product_add(&in_product, in->d[i]);
  }
  if (n_open == 1)
    return reshape_solve(node, &in_product, &out_product, target->known[open], &out->d[open],
                         error);
  if (n_open > 1 || in_product.open || out_product.open)
    return TRUE;
  product_cancel(&in_product, &out_product);
  if (in_product.n_symbols + out_product.n_symbols == 0 &&
      in_product.number != out_product.number &&
      !(zero && infer_dims_is_constant(out) && infer_dims_count(out) == 0))
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "%" G_GINT64_FORMAT " elements do not fill a shape of %" G_GINT64_FORMAT,
                          in_product.number, out_product.number);
  return TRUE;
}

static gboolean
reshape_infer(InferShapeArgs *args, GError **error)
{
  DataInts target;
  InferDims dims;
  if (!data_require(args, 0, error) || !data_ints(args, 1, &target, error) ||
      !reshape_dims(args->node, &args->in[0].dims, &target, &dims, error) ||
      !data_set(args, 0, args->in[0].type, &dims, error))
    return FALSE;
  data_pass_content(args);
  return TRUE;
}

/* Copies all elements into an output of whatever shape. */
static gboolean
copy_all(const InferEvalArgs *args, const InferDims *dims, GError **error)
{
  const InferArray *in = args->in[0];
  InferArray *out = args->out[0];
  if (!out)
    out = data_output(args, 0, in->type, dims, error);
  if (!out)
    return FALSE;
  if (out->size != in->size)
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE,
                          "the output takes %" G_GSIZE_FORMAT " bytes, the input has "
                          "%" G_GSIZE_FORMAT,
                          out->size, in->size);
  if (in->size > 0)
    memcpy(out->data, in->data, in->size);
  return TRUE;
}

static gboolean
reshape_eval(const InferEvalArgs *args, GError **error)
{
  DataInts target;
  InferDims dims = INFER_DIMS_UNKNOWN;
  if (!args->out[0] && (!data_ints_from_array(args->node, args->in[1], &target, error) ||
                        !reshape_dims(args->node, &args->in[0]->dims, &target, &dims, error)))
    return FALSE;
  return copy_all(args, &dims, error);
}

static gboolean
flatten_dims(const InferNode *node, const InferDims *in, InferDims *out, GError **error)
{
  gint64 axis = infer_node_get_int(node, "axis", 1);
  *out = INFER_DIMS(INFER_DIM_UNKNOWN, INFER_DIM_UNKNOWN);
  if (in->n < 0)
    return TRUE;
  if (axis < -in->n || axis > in->n)
    return infer_op_error(node, error, INFER_ERROR_SHAPE,
                          "axis %" G_GINT64_FORMAT " is out of the range of rank %d", axis, in->n);
  gint split = (gint)(axis < 0 ? axis + in->n : axis);
  out->d[0] = data_product(in, 0, split);
  out->d[1] = data_product(in, split, in->n);
  return TRUE;
}

static gboolean
flatten_infer(InferShapeArgs *args, GError **error)
{
  InferDims dims;
  return data_require(args, 0, error) &&
         flatten_dims(args->node, &args->in[0].dims, &dims, error) &&
         data_set(args, 0, args->in[0].type, &dims, error);
}

static gboolean
flatten_eval(const InferEvalArgs *args, GError **error)
{
  InferDims dims;
  return flatten_dims(args->node, &args->in[0]->dims, &dims, error) && copy_all(args, &dims, error);
}

/* A set of axes of a rank as bits; *known is FALSE where an axis is not a number. */
static gboolean
axes_mask(const InferNode *node, const DataInts *axes, gint rank, guint *mask, gboolean *known,
          GError **error)
{
  *mask = 0;
  *known = TRUE;
  for (gint i = 0; i < axes->n; i++) {
    gint axis;
    if (!axes->known[i]) {
      *known = FALSE;
      continue;
    }
    if (!infer_op_axis(node, axes->v[i], rank, &axis, error))
      return FALSE;
    if (*mask & (1u << axis))
      return infer_op_error(node, error, INFER_ERROR_SHAPE, "axis %d is given twice", axis);
    *mask |= 1u << axis;
  }
  return TRUE;
}

static void
unknown_dims(InferDims *dims, gint n)
{
  dims->n = n;
  for (gint i = 0; i < n; i++)
    dims->d[i] = INFER_DIM_UNKNOWN;
}

static gboolean
squeeze_dims(const InferNode *node, const InferDims *in, gboolean given, const DataInts *axes,
             InferDims *out, GError **error)
{
  guint mask = 0;
  gboolean known = TRUE;
  *out = INFER_DIMS_UNKNOWN;
  if (in->n < 0 || (given && axes->n < 0))
    return TRUE;
  if (given && axes->n > in->n)
    return infer_op_error(node, error, INFER_ERROR_SHAPE, "%d axes of a tensor of rank %d", axes->n,
                          in->n);
  if (given && !axes_mask(node, axes, in->n, &mask, &known, error))
    return FALSE;
  if (!known) {
    unknown_dims(out, in->n - axes->n);
    return TRUE;
  }
  for (gint i = 0; !given && i < in->n; i++) {
    /* Whether it goes is known at run time only. */
    if (in->d[i] < 0)
      return TRUE;
    mask |= in->d[i] == 1 ? 1u << i : 0;
  }
  out->n = 0;
  for (gint i = 0; i < in->n; i++) {
    if (!(mask & (1u << i)))
      out->d[out->n++] = in->d[i];
    else if (in->d[i] >= 0 && in->d[i] != 1)
      return infer_op_error(node, error, INFER_ERROR_SHAPE,
                            "axis %d has %" G_GINT64_FORMAT " elements; only 1 can be dropped", i,
                            in->d[i]);
  }
  return TRUE;
}

static gboolean
squeeze_infer(InferShapeArgs *args, GError **error)
{
  DataInts axes;
  InferDims dims;
  if (!data_require(args, 0, error) || !data_ints(args, 1, &axes, error) ||
      !squeeze_dims(args->node, &args->in[0].dims, data_present(args, 1), &axes, &dims, error) ||
      !data_set(args, 0, args->in[0].type, &dims, error))
    return FALSE;
  data_pass_content(args);
  return TRUE;
}

static gboolean
squeeze_eval(const InferEvalArgs *args, GError **error)
{
  const InferArray *list = data_array(args, 1);
  DataInts axes;
  InferDims dims;
  return data_ints_from_array(args->node, list, &axes, error) &&
         squeeze_dims(args->node, &args->in[0]->dims, list != NULL, &axes, &dims, error) &&
         copy_all(args, &dims, error);
}

static gboolean
unsqueeze_dims(const InferNode *node, const InferDims *in, const DataInts *axes, InferDims *out,
               GError **error)
{
  guint mask;
  gboolean known;
  *out = INFER_DIMS_UNKNOWN;
  if (in->n < 0 || axes->n < 0)
    return TRUE;
  if (in->n + axes->n > INFER_MAX_DIMS)
    return infer_op_error(node, error, INFER_ERROR_UNSUPPORTED,
                          "the output has %d dimensions, at most %d are supported", in->n + axes->n,
                          INFER_MAX_DIMS);
  if (!axes_mask(node, axes, in->n + axes->n, &mask, &known, error))
    return FALSE;
  unknown_dims(out, in->n + axes->n);
  for (gint i = 0, from = 0; known && i < out->n; i++)
    out->d[i] = mask & (1u << i) ? 1 : in->d[from++];
  return TRUE;
}

static gboolean
unsqueeze_infer(InferShapeArgs *args, GError **error)
{
  DataInts axes;
  InferDims dims;
  if (!data_require(args, 0, error) || !data_ints(args, 1, &axes, error) ||
      !unsqueeze_dims(args->node, &args->in[0].dims, &axes, &dims, error) ||
      !data_set(args, 0, args->in[0].type, &dims, error))
    return FALSE;
  data_pass_content(args);
  return TRUE;
}

static gboolean
unsqueeze_eval(const InferEvalArgs *args, GError **error)
{
  DataInts axes;
  InferDims dims;
  return data_ints_from_array(args->node, args->in[1], &axes, error) &&
         unsqueeze_dims(args->node, &args->in[0]->dims, &axes, &dims, error) &&
         copy_all(args, &dims, error);
}

static gboolean
identity_infer(InferShapeArgs *args, GError **error)
{
  if (!data_present(args, 0))
    return infer_op_error(args->node, error, INFER_ERROR_SHAPE, "input 0 is missing");
  if (args->in[0].kind != INFER_KIND_TENSOR) {
    args->out[0] = args->in[0];
    return TRUE;
  }
  if (!data_set(args, 0, args->in[0].type, &args->in[0].dims, error))
    return FALSE;
  data_pass_content(args);
  return TRUE;
}

static gboolean
identity_eval(const InferEvalArgs *args, GError **error)
{
  if (infer_array_get_kind(args->in[0]) != INFER_KIND_TENSOR) {
    args->out[0] = infer_array_ref((InferArray *)args->in[0]);
    return TRUE;
  }
  return copy_all(args, &args->in[0]->dims, error);
}

static const InferAttrSpec reshape_attrs[] = {{"allowzero", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec flatten_attrs[] = {{"axis", 'i', FALSE}, {NULL, 0, FALSE}};
static const InferAttrSpec no_attrs[] = {{NULL, 0, FALSE}};

#define VIEW(ID, NAME, MIN_INPUTS, MAX_INPUTS, ATTRS)                                              \
  static const InferOp ID = {                                                                      \
      .name = NAME,                                                                                \
      .version = 21,                                                                               \
      .min_inputs = MIN_INPUTS,                                                                    \
      .max_inputs = MAX_INPUTS,                                                                    \
      .min_outputs = 1,                                                                            \
      .max_outputs = 1,                                                                            \
      .attrs = ATTRS,                                                                              \
      .flags = INFER_OP_VIEW,                                                                      \
      .infer = ID##_infer,                                                                         \
      .eval = ID##_eval,                                                                           \
  }

VIEW(reshape, "Reshape", 2, 2, reshape_attrs);
VIEW(flatten, "Flatten", 1, 1, flatten_attrs);
VIEW(squeeze, "Squeeze", 1, 2, no_attrs);
VIEW(unsqueeze, "Unsqueeze", 2, 2, no_attrs);

static const InferOp identity = {
    .name = "Identity",
    .version = 21,
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = INFER_OP_VIEW | INFER_OP_VALUES,
    .infer = identity_infer,
    .eval = identity_eval,
};

const InferOp *const infer_ops_reshape[] = {&reshape,   &flatten,  &squeeze,
                                            &unsqueeze, &identity, NULL};
