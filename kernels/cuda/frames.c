/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "frames.h"
#include "fixed/frames.h"

#include <math.h>
#include <string.h>

#define MAX_FRAMES 65535
/* Copies that may wait for the device before the host has to. */
#define SLOTS 4
#define ALIGN256(size) (((gsize)(size) + 255) & ~(gsize)255)

/* --- memory to copy from --- */

typedef struct {
  guint8 *memory;
  gsize size;
  CUevent copied;
  gboolean used; /* the event was recorded */
} Slot;

struct _InferCudaUploads {
  CUfunction kernel;
  Slot slots[SLOTS];
  guint next;
  CUdeviceptr memory; /* of the device; the stream keeps uses of it apart */
  gsize size;
};

void
infer_cuda_uploads_free(InferCudaUploads *uploads)
{
  if (!uploads)
    return;
  for (guint i = 0; i < SLOTS; i++) {
    if (uploads->slots[i].copied)
      cuEventDestroy(uploads->slots[i].copied);
    if (uploads->slots[i].memory)
      cuMemFreeHost(uploads->slots[i].memory);
  }
  if (uploads->memory)
    cuMemFree(uploads->memory);
  g_free(uploads);
}

static InferCudaUploads *
get_uploads(InferStream *stream, GError **error)
{
  InferCudaUploads **uploads = infer_cuda_uploads(stream);

  if (!*uploads) {
    CUfunction kernel = infer_cuda_fixed(infer_cuda_queue(stream)->device, "infer_frames", error);

    if (!kernel)
      return NULL;
    *uploads = g_new0(InferCudaUploads, 1);
    (*uploads)->kernel = kernel;
  }
  return *uploads;
}

static gboolean
grow_device(InferCudaUploads *uploads, CUstream stream, gsize size, GError **error)
{
  if (size <= uploads->size)
    return TRUE;
  if (!infer_cuda_check(cuStreamSynchronize(stream), "waiting for frames", error))
    return FALSE;
  if (uploads->memory)
    cuMemFree(uploads->memory);
  uploads->memory = 0;
  uploads->size = 0;
  if (!infer_cuda_check(cuMemAlloc(&uploads->memory, size), "allocating memory for frames", error))
    return FALSE;
  uploads->size = size;
  return TRUE;
}

/* The next slot, once the device has read what was in it, with room for @size bytes. */
static Slot *
take_slot(InferCudaUploads *uploads, gsize size, GError **error)
{
  Slot *slot = &uploads->slots[uploads->next];

  uploads->next = (uploads->next + 1) % SLOTS;
  if (!slot->copied && !infer_cuda_check(cuEventCreate(&slot->copied, CU_EVENT_DISABLE_TIMING),
                                         "making an event", error))
    return NULL;
  if (slot->used &&
      !infer_cuda_check(cuEventSynchronize(slot->copied), "waiting for frames", error))
    return NULL;
  slot->used = FALSE;
  if (size <= slot->size)
    return slot;
  if (slot->memory)
    cuMemFreeHost(slot->memory);
  slot->memory = NULL;
  slot->size = 0;
  if (!infer_cuda_check(cuMemHostAlloc((void **)&slot->memory, size, 0),
                        "allocating host memory for frames", error))
    return NULL;
  slot->size = size;
  return slot;
}

/* --- formats --- */

typedef struct {
  guint8 plane, offset, step;
  gboolean chroma;
} Component;

typedef struct {
  guint n_planes, n_components;
  Component components[3]; /* Y, Cb, Cr or R, G, B */
  gboolean ten_bits, yuv;
  gint32 columns, rows; /* siting of chroma */
} Layout;

#define COSITED INFER_CUDA_SITING_COSITED
#define CENTRED INFER_CUDA_SITING_CENTRED

static const Layout layouts[] = {
    [INFER_PIXEL_NV12] =
        {2, 3, {{0, 0, 1, 0}, {1, 0, 2, 1}, {1, 1, 2, 1}}, FALSE, TRUE, COSITED, CENTRED},
    [INFER_PIXEL_P010_LE] =
        {2, 3, {{0, 0, 1, 0}, {1, 0, 2, 1}, {1, 1, 2, 1}}, TRUE, TRUE, COSITED, CENTRED},
    [INFER_PIXEL_I420] =
        {3, 3, {{0, 0, 1, 0}, {1, 0, 1, 1}, {2, 0, 1, 1}}, FALSE, TRUE, COSITED, CENTRED},
    [INFER_PIXEL_YUY2] =
        {1, 3, {{0, 0, 2, 0}, {0, 1, 4, 1}, {0, 3, 4, 1}}, FALSE, TRUE, COSITED, 0},
    [INFER_PIXEL_RGB] = {1, 3, {{0, 0, 3, 0}, {0, 1, 3, 0}, {0, 2, 3, 0}}, FALSE, FALSE, 0, 0},
    [INFER_PIXEL_BGR] = {1, 3, {{0, 2, 3, 0}, {0, 1, 3, 0}, {0, 0, 3, 0}}, FALSE, FALSE, 0, 0},
    [INFER_PIXEL_RGBA] = {1, 3, {{0, 0, 4, 0}, {0, 1, 4, 0}, {0, 2, 4, 0}}, FALSE, FALSE, 0, 0},
    [INFER_PIXEL_BGRA] = {1, 3, {{0, 2, 4, 0}, {0, 1, 4, 0}, {0, 0, 4, 0}}, FALSE, FALSE, 0, 0},
    [INFER_PIXEL_GRAY8] = {1, 1, {{0, 0, 1, 0}}, FALSE, TRUE, 0, 0},
};

/* The bytes of a plane that are read. */
typedef struct {
  guint first_row, n_rows;
  gsize first, n; /* of a row */
} Span;

/* Rows and bytes of @plane that the crop and what its chroma is upsampled from reach. */
static Span
plane_span(const InferFrame *frame, const Layout *layout, guint plane)
{
  guint w = frame->crop_width ? frame->crop_width : frame->width;
  guint h = frame->crop_height ? frame->crop_height : frame->height;
  guint x0 = frame->crop_x, x1 = x0 + w, y0 = frame->crop_y, y1 = y0 + h;
  guint bytes = layout->ten_bits ? 2 : 1, group = layout->components[0].step * bytes;
  guint width = frame->width, height = frame->height;
  Span span;

  if (plane > 0) {
    group = layout->components[1].step * bytes;
    width = (width + 1) / 2;
    height = (height + 1) / 2;
    x0 = x0 / 2;
    x1 = MIN((x1 - 1) / 2 + 2, width);
    y0 = y0 / 2 - (y0 > 1);
    y1 = MIN((y1 - 1) / 2 + 2, height);
  } else if (layout->components[1].chroma && layout->components[1].plane == 0) {
    /* Two pixels share their chroma, four bytes in all. */
    group = 4;
    x0 = x0 / 2;
    x1 = MIN((x1 - 1) / 2 + 2, (width + 1) / 2);
  }
  span.first_row = y0;
  span.n_rows = y1 - y0;
  span.first = (gsize)x0 * group;
  span.n = (gsize)(x1 - x0) * group;
  return span;
}

/* Samples, 8 or 10 bits, to RGB of 0..255. */
static void
set_color(InferCudaFrame *out, const InferFrame *frame, gboolean ten_bits)
{
  gboolean given = frame->kr != 0 || frame->kb != 0;
  double kr = given ? (double)frame->kr : 0.299, kb = given ? (double)frame->kb : 0.114;
  double kg = 1 - kr - kb, unit = ten_bits ? 4 : 1, full = ten_bits ? 1023 : 255;
  double luma = 255 / (frame->full_range ? full : 219 * unit);
  double zero = frame->full_range ? 0 : 16 * unit, middle = 128 * unit;
  double chroma = 255 / (frame->full_range ? full : 224 * unit);
  double v_red = 2 * (1 - kr) * chroma, u_blue = 2 * (1 - kb) * chroma;
  double u[3] = {0, -u_blue * kb / kg, u_blue}, v[3] = {v_red, -v_red * kr / kg, 0};

  for (guint i = 0; i < 3; i++) {
    out->matrix[4 * i] = (float)luma;
    out->matrix[4 * i + 1] = (float)u[i];
    out->matrix[4 * i + 2] = (float)v[i];
    out->matrix[4 * i + 3] = (float)(-luma * zero - (u[i] + v[i]) * middle);
  }
  out->black = (float)(-luma * zero);
  out->weights[0] = (float)kr;
  out->weights[1] = (float)kg;
  out->weights[2] = (float)kb;
}

static void
set_axis(InferCudaAxis *axis, guint in, guint origin, double scale, double offset, guint size,
         guint side, gint32 siting)
{
  gint64 start = (gint64)offset;

  axis->in = in;
  axis->origin = origin;
  axis->out = (gint64)floor(scale * in + 0.5);
  axis->low = (gint32)CLAMP(start, 0, (gint64)size);
  axis->high = (gint32)CLAMP(start + axis->out, axis->low, (gint64)size);
  axis->skip = axis->low - start;
  axis->samples[0] = (gint32)side;
  axis->siting[0] = INFER_CUDA_SITING_FULL;
  axis->samples[1] = siting == INFER_CUDA_SITING_FULL ? (gint32)side : (gint32)(side + 1) / 2;
  axis->siting[1] = siting;
}

static void
describe(InferCudaFrame *out, const InferFrame *frame, const InferPreprocess *pre,
         const InferImageTarget *target)
{
  const Layout *layout = &layouts[frame->format];
  InferPlacement place = infer_frame_place(frame, pre, target->width, target->height);

  memset(out, 0, sizeof *out);
  out->n_components = (gint32)layout->n_components;
  if (layout->yuv && target->channels == 1)
    out->n_components = 1;
  out->ten_bits = layout->ten_bits;
  out->yuv = layout->yuv;
  for (guint i = 0; i < layout->n_components; i++) {
    out->plane[i] = layout->components[i].plane;
    out->offset[i] = layout->components[i].offset;
    out->step[i] = layout->components[i].step;
    out->chroma[i] = layout->components[i].chroma;
  }
  set_axis(&out->axes[0], frame->crop_width ? frame->crop_width : frame->width, frame->crop_x,
           place.scale_x, place.offset_x, target->width, frame->width, layout->columns);
  set_axis(&out->axes[1], frame->crop_height ? frame->crop_height : frame->height, frame->crop_y,
           place.scale_y, place.offset_y, target->height, frame->height, layout->rows);
  set_color(out, frame, layout->ten_bits);
}

/* --- copies --- */

/* Planes that this call reads: gray of Y'CbCr needs luma alone. */
static guint
planes_read(const InferFrame *frame, const InferImageTarget *target)
{
  const Layout *layout = &layouts[frame->format];

  return layout->yuv && target->channels == 1 ? 1 : layout->n_planes;
}

static gsize
frame_size(const InferFrame *frame, const InferImageTarget *target)
{
  gsize size = 0;

  for (guint i = 0; frame->memory == INFER_FRAME_HOST && i < planes_read(frame, target); i++) {
    Span span = plane_span(frame, &layouts[frame->format], i);

    size += ALIGN256(span.n * span.n_rows);
  }
  return size;
}

/* Packs what is read of a plane at @to. */
static void
pack_plane(const InferFrame *frame, guint plane, const Span *span, guint8 *to)
{
  gssize stride = frame->strides[plane];
  const guint8 *from = frame->planes[plane] + (gssize)span->first_row * stride + span->first;

  if (stride == (gssize)span->n) {
    memcpy(to, from, span->n * span->n_rows);
    return;
  }
  for (guint i = 0; i < span->n_rows; i++, from += stride, to += span->n)
    memcpy(to, from, span->n);
}

/* Fills the planes of a description. What is packed lies at *@at of the slot and of the device's
 * memory; the plane starts where its first row would be, of which only the packed part is read. */
static void
place_planes(InferCudaFrame *out, const InferFrame *frame, const InferImageTarget *target,
             guint8 *slot, CUdeviceptr device, gsize *at)
{
  for (guint i = 0; i < planes_read(frame, target); i++) {
    Span span;
    guintptr start;

    out->planes[i] = frame->planes[i];
    out->strides[i] = frame->strides[i];
    if (frame->memory != INFER_FRAME_HOST)
      continue;
    span = plane_span(frame, &layouts[frame->format], i);
    pack_plane(frame, i, &span, slot + *at);
    start = (guintptr)device + *at - (guintptr)span.first_row * span.n - span.first;
    out->planes[i] = (const guint8 *)start;
    out->strides[i] = (gint32)span.n;
    *at += ALIGN256(span.n * span.n_rows);
  }
}

/* --- the call --- */

static gboolean
check_frames(const InferFrame *frames, guint n_frames, GError **error)
{
  if (n_frames > MAX_FRAMES) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT, "%u frames are too many; at most %d fit",
                n_frames, MAX_FRAMES);
    return FALSE;
  }
  for (guint i = 0; i < n_frames; i++) {
    if (!infer_frame_validate(&frames[i], error))
      return FALSE;
    if (frames[i].memory != INFER_FRAME_HOST && frames[i].memory != INFER_FRAME_CUDA) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                  "frame: memory of kind %d is neither the host's nor CUDA's",
                  (gint)frames[i].memory);
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
launch(const InferCudaUploads *uploads, const InferCudaQueue *queue, guint n_frames,
       const InferPreprocess *pre, const InferImageTarget *target, GError **error)
{
  InferCudaFrames all = {
      .width = target->width,
      .height = target->height,
      .channels = target->channels,
      .type = (gint32)target->type,
      .filter = (gint32)pre->filter,
      .coordinates = (gint32)pre->coordinates,
      .swap = pre->color == INFER_COLOR_BGR,
      .stride_n = target->stride_n,
      .stride_c = target->stride_c,
      .stride_y = target->stride_y,
      .stride_x = target->stride_x,
  };
  void *data = target->data;
  CUdeviceptr frames = uploads->memory;
  void *params[] = {&data, &frames, &all};
  InferCudaSize grid = {(target->width + INFER_CUDA_FRAME_X - 1) / INFER_CUDA_FRAME_X,
                        (target->height + INFER_CUDA_FRAME_Y - 1) / INFER_CUDA_FRAME_Y, n_frames};

  for (guint i = 0; i < 3; i++) {
    all.scale[i] = pre->scale[i];
    all.bias[i] = pre->bias[i];
    all.pad[i] = pre->pad[i];
  }
  return infer_cuda_launch(queue, uploads->kernel, grid,
                           (InferCudaSize){INFER_CUDA_FRAME_X * INFER_CUDA_FRAME_Y, 1, 1}, 0,
                           params, error);
}

gboolean
infer_cuda_preprocess(InferStream *stream, const InferFrame *frames, guint n_frames,
                      const InferPreprocess *pre, const InferImageTarget *target, GError **error)
{
  const InferCudaQueue *queue = infer_cuda_queue(stream);
  gsize at = ALIGN256(n_frames * sizeof(InferCudaFrame)), size = at;
  InferCudaUploads *uploads;
  Slot *slot;

  if (!infer_image_target_validate(target, pre, TRUE, error) ||
      !check_frames(frames, n_frames, error))
    return FALSE;
  if (n_frames == 0)
    return TRUE;
  for (guint i = 0; i < n_frames; i++)
    size += frame_size(&frames[i], target);
  uploads = get_uploads(stream, error);
  if (!uploads || !grow_device(uploads, queue->stream, size, error))
    return FALSE;
  slot = take_slot(uploads, size, error);
  if (!slot)
    return FALSE;
  for (guint i = 0; i < n_frames; i++) {
    InferCudaFrame *frame = (InferCudaFrame *)(gpointer)slot->memory + i;

    describe(frame, &frames[i], pre, target);
    place_planes(frame, &frames[i], target, slot->memory, uploads->memory, &at);
  }
  if (!infer_cuda_check(cuMemcpyHtoDAsync(uploads->memory, slot->memory, size, queue->stream),
                        "copying frames", error) ||
      !infer_cuda_check(cuEventRecord(slot->copied, queue->stream), "recording an event", error))
    return FALSE;
  slot->used = TRUE;
  return launch(uploads, queue, n_frames, pre, target, error);
}
