/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "net.h"

/* The greatest prototxt; the largest known ones have a few hundred kilobytes. */
#define MAX_TEXT ((gsize)64 << 20)
#define MAX_DEPTH 16

/* Every field of a message is kept as it is; the messages below BlobProto have no large fields. */
static const WireRule blob_rules[] = {
    {1, WIRE_KEEP},
    {2, WIRE_KEEP},
    {3, WIRE_KEEP},
    {4, WIRE_KEEP},
    {5, WIRE_CUT, NULL, 1005},
    {7, WIRE_KEEP},
    {8, WIRE_CUT, NULL, 1008},
    {10, WIRE_KEEP},
    {12, WIRE_CUT, NULL, 1012},
    {0},
};

#define KEEP(n)                                                                                    \
  {                                                                                                \
    n, WIRE_KEEP                                                                                   \
  }

static const WireRule layer_rules[] = {
    KEEP(1),   KEEP(2),   KEEP(3),   KEEP(4),   KEEP(6),   {7, WIRE_MESSAGE, blob_rules},
    KEEP(115), KEEP(129), KEEP(145), KEEP(8),   KEEP(9),   KEEP(10),
    KEEP(100), KEEP(103), KEEP(104), KEEP(106), KEEP(107), KEEP(108),
    KEEP(109), KEEP(110), KEEP(111), KEEP(117), KEEP(118), KEEP(119),
    KEEP(120), KEEP(121), KEEP(122), KEEP(123), KEEP(125), KEEP(126),
    KEEP(128), KEEP(130), KEEP(131), KEEP(133), KEEP(134), KEEP(135),
    KEEP(136), KEEP(137), KEEP(138), KEEP(139), KEEP(140), KEEP(141),
    KEEP(142), KEEP(143), KEEP(144), KEEP(146), KEEP(147), KEEP(148),
    KEEP(202), KEEP(203), KEEP(204), KEEP(206), {0},
};
static const WireRule v0_rules[] = {
    KEEP(1),  KEEP(2),
    KEEP(3),  KEEP(4),
    KEEP(5),  KEEP(6),
    KEEP(7),  KEEP(8),
    KEEP(9),  KEEP(10),
    KEEP(11), KEEP(12),
    KEEP(13), KEEP(14),
    KEEP(15), KEEP(17),
    KEEP(18), KEEP(19),
    KEEP(20), KEEP(22),
    KEEP(65), {50, WIRE_MESSAGE, blob_rules},
    {0},
};
static const WireRule v1_rules[] = {
    {1, WIRE_MESSAGE, v0_rules},
    KEEP(2),
    KEEP(3),
    KEEP(4),
    KEEP(5),
    {6, WIRE_MESSAGE, blob_rules},
    KEEP(1001),
    KEEP(15),
    KEEP(20),
    KEEP(9),
    KEEP(10),
    KEEP(11),
    KEEP(12),
    KEEP(17),
    KEEP(18),
    KEEP(19),
    KEEP(21),
    KEEP(22),
    KEEP(23),
    KEEP(24),
    KEEP(25),
    KEEP(26),
    KEEP(30),
    KEEP(31),
    KEEP(32),
    KEEP(33),
    KEEP(34),
    KEEP(36),
    KEEP(39),
    KEEP(41),
    {0},
};
static const WireRule net_rules[] = {
    KEEP(1), {2, WIRE_MESSAGE, v1_rules},      KEEP(3), KEEP(4), KEEP(6),
    KEEP(8), {100, WIRE_MESSAGE, layer_rules}, {0},
};

/* Beside a prototxt only the weights count; other branches use the numbers of parameters for
 * something else. */
static const WireRule layer_weights[] = {KEEP(1), KEEP(2), {7, WIRE_MESSAGE, blob_rules}, {0}};
static const WireRule v0_weights[] = {
    KEEP(1), KEEP(2), KEEP(11), {50, WIRE_MESSAGE, blob_rules}, {0}};
static const WireRule v1_weights[] = {
    {1, WIRE_MESSAGE, v0_weights}, KEEP(4), KEEP(5), {6, WIRE_MESSAGE, blob_rules}, {0}};
static const WireRule net_weights[] = {
    {2, WIRE_MESSAGE, v1_weights}, {100, WIRE_MESSAGE, layer_weights}, {0}};

/* Fields that matter to training, or to how Caffe computes, and nothing else. */
static const char *const skipped[] = {
    "blobs_lr",
    "weight_decay",
    "loss_weight",
    "propagate_down",
    "loss_param",
    "accuracy_param",
    "blob_share_mode",
    "engine",
    "force_backward",
    "debug_info",
    "hdf5_data_param",
    "hdf5_output_param",
    "annotated_data_param",
    "multibox_loss_param",
    "detection_evaluate_param",
    "infogain_loss_param",
    "hinge_loss_param",
    "contrastive_loss_param",
    "sigmoid_param",
    "tanh_param",
    "force_nd_im2col",
    "save_output_param",
    "visualize",
    "visualize_threshold",
    "save_file",
    "source",
    "backend",
    "rand_skip",
    "prefetch",
    "force_encoded_color",
    "shuffle_images",
    "shuffle",
    "root_folder",
    "fg_threshold",
    "bg_threshold",
    "fg_fraction",
    "context_pad",
    "crop_mode",
    "cache_images",
    "det_fg_threshold",
    "det_bg_threshold",
    "det_fg_fraction",
    "det_context_pad",
    "det_crop_mode",
    "new_num",
    "new_channels",
    "new_height",
    "new_width",
    "diff",
    "resize_param",
    "noise_param",
    "distort_param",
    "expand_param",
    "emit_constraint",
    "label_map_file",
    "quantize_param",
    NULL,
};

gboolean
caffe_error(GError **error, InferError code, const char *format, ...)
{
  va_list args;

  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  g_set_error_literal(error, INFER_ERROR, (gint)code, valid);
  return FALSE;
}

void
caffe_net_free(CaffeNet *net)
{
  g_clear_pointer(&net->layers, g_ptr_array_unref);
  g_clear_pointer(&net->owned, g_ptr_array_unref);
  g_clear_pointer(&net->custom, g_ptr_array_unref);
  g_clear_pointer(&net->lines, g_hash_table_unref);
  if (net->proto) {
    infer_caffe__net_parameter__free_unpacked(net->proto, &net->allocator.base);
  }
  g_clear_pointer(&net->ranges, g_array_unref);
  g_clear_pointer(&net->bytes, g_bytes_unref);
  g_free(net);
}

guint
caffe_net_line(const CaffeNet *net, const CaffeDef *layer)
{
  return GPOINTER_TO_UINT(g_hash_table_lookup(net->lines, layer));
}

static CaffeNet *
net_new(gsize size)
{
  CaffeNet *net = g_new0(CaffeNet, 1);

  /* The smallest message of a text, "a{}", becomes a structure of a few hundred bytes. */
  wire_allocator_init(&net->allocator, ((gsize)1 << 20) + size * 256);
  net->ranges = g_array_new(FALSE, FALSE, sizeof(WireRange));
  net->layers = g_ptr_array_new();
  net->owned = g_ptr_array_new_with_free_func(g_free);
  net->custom = g_ptr_array_new_with_free_func(prototext_custom_free);
  net->lines = g_hash_table_new(NULL, NULL);
  return net;
}

CaffeNet *
caffe_net_from_text(GBytes *bytes, GError **error)
{
  gsize size = 0;
  const char *text = g_bytes_get_data(bytes, &size);

  if (size > MAX_TEXT) {
    caffe_error(error, INFER_ERROR_MODEL, "a prototxt of more than 64 MiB");
    return NULL;
  }
  g_autoptr(CaffeNet) net = net_new(size);
  ProtobufCAllocator *allocator = &net->allocator.base;
  net->proto = allocator->alloc(allocator->allocator_data, sizeof *net->proto);
  infer_caffe__net_parameter__init(net->proto);
  if (!prototext_read_custom(text, size, &net->proto->base, allocator, skipped,
                             &infer_caffe__layer_parameter__descriptor, "_param", net->custom,
                             net->lines, error) ||
      !caffe_net_upgrade(net, error)) {
    return NULL;
  }
  return g_steal_pointer(&net);
}

CaffeNet *
caffe_net_from_binary(GBytes *bytes, gboolean weights, GError **error)
{
  gsize size = 0;
  const guint8 *data = g_bytes_get_data(bytes, &size);
  g_autoptr(CaffeNet) net = net_new(0);

  net->bytes = g_bytes_ref(bytes);
  g_autoptr(GByteArray) kept =
      wire_scan(data, size, weights ? net_weights : net_rules, MAX_DEPTH, net->ranges, error);
  if (!kept) {
    return NULL;
  }
  net->allocator.left += (gsize)kept->len * 512;
  net->proto = infer_caffe__net_parameter__unpack(&net->allocator.base, kept->len, kept->data);
  if (!net->proto) {
    caffe_error(error, INFER_ERROR_MODEL, "damaged: it is not a Caffe model, or memory is short");
    return NULL;
  }
  return caffe_net_upgrade(net, error) ? g_steal_pointer(&net) : NULL;
}
