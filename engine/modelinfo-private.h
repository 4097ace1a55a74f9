/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/modelinfo.h>

/* What modelinfo.c and modelinfo-read.c share. */

#define MAIN_GROUP "modelinfo"

/* Names by value of the enumerations; the index is the value. */
extern const char *const infer_color_names[];
extern const char *const infer_resize_names[];
extern const char *const infer_filter_names[];
extern const char *const infer_coordinates_names[];
extern const char *const infer_decoder_names[];
extern const char *const infer_box_order_names[];
extern const char *const infer_role_names[];

/** infer_image_keys: the keys that only the group of the image input has. */
extern const char *const infer_image_keys[];

/** InferModelValues: what a model info says. */
typedef struct {
  char *input;
  InferPreprocess pre;
  InferDecoder decoder;
  InferDetectionOutputs outputs;
  double score_threshold;
  char **labels;
} InferModelValues;

void infer_model_values_init(InferModelValues *values);
void infer_model_values_clear(InferModelValues *values);
void infer_model_values_copy(InferModelValues *to, const InferModelValues *from);

/** infer_model_values_role: where the name of the output with a role (an index of
 *  infer_role_names) is kept. */
char **infer_model_values_role(InferDetectionOutputs *outputs, guint role);

/** infer_model_info_tensor_of_group: Returns: (transfer full): the tensor that a group of a model
 *  info describes: the one named as the group, except where a name cannot be a group's name. */
char *infer_model_info_tensor_of_group(GKeyFile *keys, const char *group);

/** infer_model_info_read_file: Returns: (transfer full) (nullable): the contents of a regular file
 *  of at most 1 MiB, with a zero after its end. Never blocks on a pipe or a device. */
char *infer_model_info_read_file(const char *path, gsize *length, GError **error);

/**
 * infer_model_values_read:
 * @values: replaced where @keys has something to say; undefined, yet to be cleared, on errors
 * @keys: a model info
 * @source: its name in errors
 * @folder: (nullable): where label files are looked for; %NULL to refuse them
 * @error: return location
 *
 * Returns: success
 */
gboolean infer_model_values_read(InferModelValues *values, GKeyFile *keys, const char *source,
                                 const char *folder, GError **error);
