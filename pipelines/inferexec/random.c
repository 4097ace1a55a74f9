/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

gboolean
exec_image_from_dims(const InferDims *dims, ExecImage *image)
{
  if (dims->n != 4)
    return FALSE;
  gboolean last = dims->d[3] == 3 || dims->d[3] == 1;
  gboolean first = dims->d[1] == 3 || dims->d[1] == 1;
  /* Where both could be, three channels are likelier than a picture one or three pixels wide. */
  image->channels_last = last && !(first && dims->d[1] == 3 && dims->d[3] == 1);
  if (!last && !first)
    return FALSE;
  image->channels = image->channels_last ? dims->d[3] : dims->d[1];
  image->pixels = image->channels_last ? dims->d[1] * dims->d[2] : dims->d[2] * dims->d[3];
  return TRUE;
}

/* The values that pixels 0..255 have in the input. */
static void
fill_image(InferArray *array, const InferPreprocess *pre, const ExecImage *image, GRand *random)
{
  gsize n = infer_array_count(array);
  for (gsize i = 0; i < n; i++) {
    guint channel = (image->channels_last ? i : i / image->pixels) % image->channels;
    double pixel = g_rand_double(random) * 255;
    infer_array_set_double(array, i, pixel * pre->scale[channel] + pre->bias[channel]);
  }
}

/* Fills @array; @pre is given for the float image input of the network. */
void
exec_random_fill(InferArray *array, const InferPreprocess *pre, GRand *random)
{
  ExecImage image;
  gsize n = infer_array_count(array);
  gboolean is_float = infer_type_is_float(array->type);
  gboolean is_image = pre != NULL && exec_image_from_dims(&array->dims, &image);
  if (infer_type_bits(array->type) < 8)
    return;
  if (is_image && is_float) {
    fill_image(array, pre, &image, random);
    return;
  }
  gint end = is_image && array->type == INFER_TYPE_UINT8 ? 256 : 2;
  for (gsize i = 0; i < n; i++)
    infer_array_set_double(
        array, i, is_float ? g_rand_double(random) : (double)g_rand_int_range(random, 0, end));
}
