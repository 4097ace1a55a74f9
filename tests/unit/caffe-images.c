/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Caffe's layers of images against loops that say what they do. */
#include "caffe-check.h"

#include <float.h>
#include <math.h>

/* Two images would be the same to all of them: the batch is 1. */
typedef struct {
  gint c, h, w;
} Size;

typedef struct {
  gint outputs, group;
  gint kernel[2], stride[2], pad[2], dilation[2];
} Conv;

static gint
out_size(gint size, const Conv *p, gint i)
{
  return (size + 2 * p->pad[i] - (p->dilation[i] * (p->kernel[i] - 1) + 1)) / p->stride[i] + 1;
}

static gsize
convolve(const float *x, Size s, const Conv *p, const float *weights, const float *bias, float *out)
{
  gint oh = out_size(s.h, p, 0), ow = out_size(s.w, p, 1);
  gint per = s.c / p->group, area = p->kernel[0] * p->kernel[1];

  for (gint k = 0; k < p->outputs; k++) {
    gint first = k / (p->outputs / p->group) * per;
    for (gint y = 0; y < oh; y++) {
      for (gint z = 0; z < ow; z++) {
        double sum = (double)bias[k];
        for (gint c = 0; c < per; c++) {
          for (gint i = 0; i < area; i++) {
            gint row = y * p->stride[0] - p->pad[0] + i / p->kernel[1] * p->dilation[0];
            gint column = z * p->stride[1] - p->pad[1] + i % p->kernel[1] * p->dilation[1];
            if (row >= 0 && row < s.h && column >= 0 && column < s.w) {
              sum += (double)x[((first + c) * s.h + row) * s.w + column] *
                     (double)weights[(k * per + c) * area + i];
            }
          }
        }
        out[(k * oh + y) * ow + z] = (float)sum;
      }
    }
  }
  return (gsize)(p->outputs * oh * ow);
}

/* The same the other way: what a convolution would read is written to. */
static gsize
deconvolve(const float *x, Size s, const Conv *p, const float *weights, const float *bias,
           float *out)
{
  gint size[2];
  const gint in[2] = {s.h, s.w};
  gint per_in = s.c / p->group, per = p->outputs / p->group, area = p->kernel[0] * p->kernel[1];

  for (gint i = 0; i < 2; i++) {
    size[i] = p->stride[i] * (in[i] - 1) + p->dilation[i] * (p->kernel[i] - 1) + 1 - 2 * p->pad[i];
  }
  for (gint i = 0; i < p->outputs * size[0] * size[1]; i++) {
    out[i] = bias[i / (size[0] * size[1])];
  }
  for (gint c = 0; c < s.c; c++) {
    for (gint at = 0; at < s.h * s.w; at++) {
      for (gint k = 0; k < per; k++) {
        for (gint i = 0; i < area; i++) {
          gint row = at / s.w * p->stride[0] - p->pad[0] + i / p->kernel[1] * p->dilation[0];
          gint column = at % s.w * p->stride[1] - p->pad[1] + i % p->kernel[1] * p->dilation[1];
          gint output = c / per_in * per + k;
          if (row >= 0 && row < size[0] && column >= 0 && column < size[1]) {
            out[(output * size[0] + row) * size[1] + column] +=
                x[c * s.h * s.w + at] * weights[(c * per + k) * area + i];
          }
        }
      }
    }
  }
  return (gsize)(p->outputs * size[0] * size[1]);
}

static GByteArray *
two_blobs(const float *weights, gsize n, const float *bias, gsize n_bias)
{
  GByteArray *net = g_byte_array_new();

  cc_layer(net, "y", (const float *[]){weights, bias}, (gsize[]){n, n_bias}, 2);
  return net;
}

static void
test_convolution(void)
{
  static const struct {
    const char *dims, *text;
    Size size;
    Conv conv;
    gboolean back;
  } cases[] = {
      {"1,4,7,6",
       "Convolution' convolution_param { num_output: 6 group: 2 kernel_h: 3 kernel_w: 2 stride_h: "
       "2 "
       "stride_w: 1 pad_h: 2 pad_w: 1 }",
       {4, 7, 6},
       {6, 2, {3, 2}, {2, 1}, {2, 1}, {1, 1}},
       FALSE},
      {"1,4,9,8",
       "Convolution' convolution_param { num_output: 3 kernel_size: [3, 2] dilation: [2, 3] "
       "stride: 2 pad: [1, 3] }",
       {4, 9, 8},
       {3, 1, {3, 2}, {2, 2}, {1, 3}, {2, 3}},
       FALSE},
      {"1,4,5,5",
       "DepthwiseConvolution' convolution_param { num_output: 8 kernel_size: 3 pad: 1 }",
       {4, 5, 5},
       {8, 4, {3, 3}, {1, 1}, {1, 1}, {1, 1}},
       FALSE},
      {"1,4,9",
       "Convolution' convolution_param { num_output: 3 kernel_size: 3 stride: 2 pad: 1 }",
       {4, 1, 9},
       {3, 1, {1, 3}, {1, 2}, {0, 1}, {1, 1}},
       FALSE},
      {"1,4,5,3",
       "Deconvolution' convolution_param { num_output: 6 group: 2 kernel_h: 4 kernel_w: 3 stride: "
       "2 "
       "pad_h: 1 pad_w: 0 }",
       {4, 5, 3},
       {6, 2, {4, 3}, {2, 2}, {1, 0}, {1, 1}},
       TRUE},
      {"1,4,5,3",
       "Deconvolution' convolution_param { num_output: 4 group: 4 kernel_size: 3 dilation: 2 }",
       {4, 5, 3},
       {4, 4, {3, 3}, {1, 1}, {0, 0}, {2, 2}},
       TRUE},
  };
  float x[CC_MAX], weights[CC_MAX], bias[16], want[CC_MAX];

  cc_fill(x, CC_MAX, 1);
  cc_fill(weights, CC_MAX, 2);
  cc_fill(bias, 16, 3);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    const Conv *p = &cases[i].conv;
    Size s = cases[i].size;
    gsize n_weights = (gsize)(p->outputs * s.c / p->group * p->kernel[0] * p->kernel[1]);
    g_autofree char *text = g_strdup_printf(
        "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: [%s] } } }\n"
        "layer { name: 'y' bottom: 'x' top: 'y' type: '%s }",
        cases[i].dims, cases[i].text);
    gsize n = (cases[i].back ? deconvolve : convolve)(x, s, p, weights, bias, want);
    cc_check1(text, two_blobs(weights, n_weights, bias, (gsize)p->outputs), x,
              (gsize)(s.c * s.h * s.w), want, n);
  }
}

typedef enum { MAX_POOL, MEAN_POOL, STOCHASTIC_POOL } Kind;

/* Rounded up, without windows that begin behind the image and its padding where there is one. */
static gint
pooled(gint size, gint kernel, gint stride, gint pad)
{
  gint out = (gint)ceil((size + 2 * pad - kernel) / (double)stride) + 1;

  return pad && (out - 1) * stride >= size + pad ? out - 1 : out;
}

static gsize
pool(const float *x, Size s, Kind kind, gint kernel, gint stride, gint pad, float *out, float *mask)
{
  gint oh = pooled(s.h, kernel, stride, pad), ow = pooled(s.w, kernel, stride, pad);

  for (gint i = 0; i < s.c * oh * ow; i++) {
    const float *plane = x + i / (oh * ow) * s.h * s.w;
    gint top = i / ow % oh * stride - pad, left = i % ow * stride - pad;
    gint bottom = MIN(top + kernel, s.h + pad), right = MIN(left + kernel, s.w + pad);
    gint area = (bottom - top) * (right - left);
    double best = -DBL_MAX, sum = 0, squares = 0;
    for (gint row = MAX(top, 0); row < MIN(bottom, s.h); row++) {
      for (gint column = MAX(left, 0); column < MIN(right, s.w); column++) {
        double v = (double)plane[row * s.w + column];
        if (v > best) {
          best = v;
          mask[i] = (float)(row * s.w + column);
        }
        sum += v;
        squares += v * v;
      }
    }
    out[i] = (float)(kind == MAX_POOL    ? best
                     : kind == MEAN_POOL ? sum / area
                     : sum > 0           ? squares / sum
                                         : 0);
  }
  return (gsize)(s.c * oh * ow);
}

static void
test_pooling(void)
{
  static const char *const kinds[] = {"MAX", "AVE", "STOCHASTIC"};
  float x[CC_MAX], want[CC_MAX], mask[CC_MAX];

  cc_fill(x, CC_MAX, 7);
  for (gint kind = 0; kind < 3; kind++) {
    for (gint size = 5; size < 9; size++) {
      for (gint kernel = 2; kernel < 5; kernel++) {
        gint pad = kind == STOCHASTIC_POOL ? 0 : kernel / 2, stride = 2;
        Size s = {2, size, size + 1};
        g_autofree char *text = g_strdup_printf(
            "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: [1,2,%d,%d] } } "
            "}\n" CC_LAYER("Pooling",
                           "pooling_param { pool: %s kernel_size: %d stride: 2 pad: %d }"),
            s.h, s.w, kinds[kind], kernel, pad);
        gsize n = pool(x, s, (Kind)kind, kernel, stride, pad, want, mask);
        if (kind == STOCHASTIC_POOL) {
          for (gsize i = 0; i < CC_MAX; i++) {
            x[i] = i % 3 ? fabsf(x[i]) : 0;
          }
          n = pool(x, s, STOCHASTIC_POOL, kernel, stride, pad, want, mask);
        }
        cc_check1(text, NULL, x, (gsize)(s.c * s.h * s.w), want, n);
      }
    }
  }
}

/* SegNet: maxima, where they are, and back to where they were. */
static void
test_mask(void)
{
  GError *error = NULL;
  float x[CC_MAX], want[CC_MAX], mask[CC_MAX], back[2 * 36] = {0};
  const Size s = {2, 6, 6};
  static const char *const text =
      CC_INPUT("x", "1,2,6,6") "layer { name: 'p' type: 'Pooling' bottom: 'x' top: 'p' top: 'm' "
                               "pooling_param { kernel_size: "
                               "2 stride: 2 } }\n"
                               "layer { name: 'k' type: 'Power' bottom: 'm' top: 'k' }\n"
                               "layer { name: 'u' type: 'Upsample' bottom: 'p' bottom: 'm' top: "
                               "'u' upsample_param { scale: "
                               "2 } }";

  cc_fill(x, 72, 5);
  gsize n = pool(x, s, MAX_POOL, 2, 2, 0, want, mask);
  for (gsize i = 0; i < n; i++) {
    back[i / 9 * 36 + (gsize)mask[i]] = want[i];
  }
  g_autoptr(InferNetwork) network = cc_parse(text, NULL, NULL, &error);
  g_assert_no_error(error);
  g_autoptr(GBytes) places = cc_run(network, &(CcInput){"x", x, 72}, 1, 0);
  cc_compare(places, mask, n, 0);
  g_autoptr(GBytes) spread = cc_run(network, &(CcInput){"x", x, 72}, 1, 1);
  cc_compare(spread, back, 72, 0);
}

static void
test_lrn(void)
{
  float x[5 * 16], want[5 * 16];

  cc_fill(x, 80, 9);
  for (gint i = 0; i < 80; i++) {
    double sum = 0;
    for (gint c = MAX(i / 16 - 1, 0); c <= MIN(i / 16 + 1, 4); c++) {
      sum += pow((double)x[c * 16 + i % 16], 2);
    }
    want[i] = (float)((double)x[i] / pow(2 + 0.5 / 3 * sum, 0.75));
  }
  cc_check1(CC_INPUT("x", "1,5,4,4")
                CC_LAYER("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 k: 2 }"),
            NULL, x, 80, want, 80);
  for (gint i = 0; i < 80; i++) {
    double sum = 0;
    for (gint k = 0; k < 9; k++) {
      gint row = i / 4 % 4 + k / 3 - 1, column = i % 4 + k % 3 - 1;
      gboolean inside = row >= 0 && row < 4 && column >= 0 && column < 4;
      sum += inside ? pow((double)x[i / 16 * 16 + row * 4 + column], 2) : 0;
    }
    want[i] = (float)((double)x[i] / pow(1 + 0.5 / 9 * sum, 0.75));
  }
  cc_check1(CC_INPUT("x", "1,5,4,4")
                CC_LAYER("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 norm_region: "
                                "WITHIN_CHANNEL }"),
            NULL, x, 80, want, 80);
}

static void
test_mvn(void)
{
  float x[2 * 6], want[2 * 6];

  cc_fill(x, 12, 4);
  for (gint across = 0; across < 2; across++) {
    gint n = across ? 12 : 6;
    for (gint first = 0; first < 12; first += n) {
      double mean = 0, variance = 0;
      for (gint i = first; i < first + n; i++) {
        mean += (double)x[i] / n;
      }
      for (gint i = first; i < first + n; i++) {
        variance += pow((double)x[i] - mean, 2) / n;
      }
      for (gint i = first; i < first + n; i++) {
        want[i] = (float)(((double)x[i] - mean) / (sqrt(variance) + 0.01));
      }
    }
    cc_check1(across ? CC_INPUT("x", "1,2,2,3")
                           CC_LAYER("MVN", "mvn_param { across_channels: true eps: 0.01 }")
                     : CC_INPUT("x", "1,2,2,3") CC_LAYER("MVN", "mvn_param { eps: 0.01 }"),
              NULL, x, 12, want, 12);
  }
}

/* Mean and variance are sums; the third blob is what they are divided by. */
static void
test_batch_norm(void)
{
  const float mean[2] = {2, 4}, variance[2] = {8, 2}, factor[1] = {2};
  const float scale[2] = {3, -1}, bias[2] = {0.5f, 7};
  const float *blobs[5] = {mean, variance, factor, scale, bias};
  float x[8], want[8];

  cc_fill(x, 8, 3);
  for (gint nvidia = 0; nvidia < 2; nvidia++) {
    GByteArray *net = g_byte_array_new();
    for (gint i = 0; i < 8; i++) {
      gint c = i / 4;
      double y = ((double)x[i] - (double)mean[c] / 2) / sqrt((double)variance[c] / 2 + 0.001);
      want[i] = (float)(nvidia ? y * (double)scale[c] + (double)bias[c] : y);
    }
    cc_layer(net, "y", blobs, (gsize[]){2, 2, 1, 2, 2}, nvidia ? 5 : 3);
    cc_check1(nvidia ? CC_INPUT("x", "1,2,2,2")
                           CC_LAYER("BatchNorm", "batch_norm_param { eps: 0.001 scale_bias: true }")
                     : CC_INPUT("x", "1,2,2,2")
                           CC_LAYER("BatchNorm", "batch_norm_param { eps: 0.001 }"),
              net, x, 8, want, 8);
  }
}

static void
test_normalize(void)
{
  const float scale[3] = {1, 2, 3};
  float x[12], want[12];

  cc_fill(x, 12, 8);
  for (gint across = 0; across < 2; across++) {
    GByteArray *net = g_byte_array_new();
    for (gint i = 0; i < 12; i++) {
      double sum = 0;
      for (gint k = across ? 0 : i % 4; k < 12; k += across ? 1 : 4) {
        sum += pow((double)x[k], 2);
      }
      want[i] = (float)((double)x[i] / sqrt(sum) * (double)scale[across ? 0 : i / 4]);
    }
    cc_layer(net, "y", (const float *[]){scale}, (gsize[]){across ? 1 : 3}, 1);
    cc_check1(across ? CC_INPUT("x", "1,3,2,2") CC_LAYER("Normalize", "")
                     : CC_INPUT("x", "1,3,2,2")
                           CC_LAYER("Normalize",
                                    "norm_param { across_spatial: false channel_shared: false }"),
              net, x, 12, want, 12);
  }
}

/* Corners stay corners. */
static void
test_interp(void)
{
  float x[2 * 30], want[2 * 7 * 9];

  cc_fill(x, 60, 6);
  for (gint i = 0; i < 2 * 7 * 9; i++) {
    /* Of 5x6 pixels one is cut off at the left and top, and one at the right and bottom. */
    double y = i / 9 % 7 * 2 / 6.0, z = i % 9 * 3 / 8.0;
    gint row = MIN((gint)y, 1), column = MIN((gint)z, 2);
    const float *at = x + i / 63 * 30 + (row + 1) * 6 + column + 1;
    double upper = (double)at[0] + (z - column) * (double)(at[1] - at[0]);
    double lower = (double)at[6] + (z - column) * (double)(at[7] - at[6]);
    want[i] = (float)(upper + (y - row) * (lower - upper));
  }
  cc_check1(CC_INPUT("x", "1,2,5,6")
                CC_LAYER("Interp", "interp_param { height: 7 width: 9 pad_beg: -1 pad_end: -1 }"),
            NULL, x, 60, want, 2 * 63);
  cc_refuse(CC_INPUT("x", "1,2,5,6")
                CC_LAYER("Interp", "interp_param { height: 7 width: 9 pad_beg: "
                                   "-3 pad_end: -3 }"),
            "pads of -3 and -3 for 5 pixels");
}

/* Element (c, y, x) of the bottom belongs to channel c % (C / 4) of twice the size; reversed it
 * goes there, else it comes from there. */
static void
test_reorg(void)
{
  float x[8 * 24], forth[8 * 24], back[8 * 24];

  cc_fill(x, G_N_ELEMENTS(x), 2);
  for (gint i = 0; i < 8 * 24; i++) {
    gint c = i / 24, row = i / 6 % 4 * 2 + c / 2 / 2, column = i % 6 * 2 + c / 2 % 2;
    gint other = (c % 2 * 8 + row) * 12 + column;
    forth[i] = x[other];
    back[other] = x[i];
  }
  cc_check1(CC_INPUT("x", "1,8,4,6") CC_LAYER("Reorg", "reorg_param { stride: 2 }"), NULL, x,
            G_N_ELEMENTS(x), forth, G_N_ELEMENTS(x));
  cc_check1(CC_INPUT("x", "1,8,4,6") CC_LAYER("Reorg", "reorg_param { reverse: true }"), NULL, x,
            G_N_ELEMENTS(x), back, G_N_ELEMENTS(x));
}

static void
test_upsample(void)
{
  const float x[4] = {1, 2, 3, 4};
  const float want[16] = {1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4};

  cc_check1(CC_INPUT("x", "1,1,2,2") CC_LAYER("Upsample", "upsample_param { scale: 2 }"), NULL, x,
            4, want, 16);
}

/* Without weights a bilinear deconvolution is one all the same. */
static void
test_bilinear(void)
{
  const float x[4] = {16, 32, 48, 64};
  float want[16], filter[4] = {0.25f, 0.75f, 0.75f, 0.25f};
  const Conv p = {1, 1, {4, 4}, {2, 2}, {1, 1}, {1, 1}};
  float weights[16], none[1] = {0};

  for (gint i = 0; i < 16; i++) {
    weights[i] = filter[i / 4] * filter[i % 4];
  }
  gsize n = deconvolve(x, (Size){1, 2, 2}, &p, weights, none, want);
  cc_check1(CC_INPUT("x", "1,1,2,2") CC_LAYER(
                "Deconvolution", "convolution_param { num_output: 1 kernel_size: 4 stride: "
                                 "2 pad: 1 bias_term: false weight_filler { type: "
                                 "'bilinear' } }"),
            NULL, x, 4, want, n);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/caffe-images/convolution", test_convolution);
  g_test_add_func("/caffe-images/pooling", test_pooling);
  g_test_add_func("/caffe-images/mask", test_mask);
  g_test_add_func("/caffe-images/lrn", test_lrn);
  g_test_add_func("/caffe-images/mvn", test_mvn);
  g_test_add_func("/caffe-images/batch-norm", test_batch_norm);
  g_test_add_func("/caffe-images/normalize", test_normalize);
  g_test_add_func("/caffe-images/interp", test_interp);
  g_test_add_func("/caffe-images/reorg", test_reorg);
  g_test_add_func("/caffe-images/upsample", test_upsample);
  g_test_add_func("/caffe-images/bilinear", test_bilinear);
  return g_test_run();
}
