/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/error.h>
#include <infer/frame.h>
#include "program.h"
#include "op.h"

G_BEGIN_DECLS

/*
 * What a device is to the engine. A backend is a module "libinfer-NAME.so" that exports
 * infer_backend_get(); the public functions of the engine validate everything before they call it.
 */

#define INFER_BACKEND_ABI 4

/** A device that was opened; a backend puts this first in a structure of its own. */
typedef struct _InferDevice InferDevice;
/** A queue of work of one context. */
typedef struct _InferStream InferStream;

typedef struct _InferBackend InferBackend;

struct _InferDevice {
  const InferBackend *backend;
  char *name; /* "cpu", "cuda:0" */
  char *key;  /* what packed weights and tactics depend on: instruction set, library versions,
                 threads; a plan with another key packs again */
  guint threads;
  gsize cache_size; /* bytes of the last cache before the memory; 0 where it need not be cold */
};

/**
 * InferBuffer:
 * @type: element type
 * @dims: constant dimensions, logical order
 * @strides: in elements, per logical dimension
 * @value: (nullable): contents where they are constant, row-major
 * @alignment: bytes that its address is a multiple of, at most 64
 *
 * A lowered operand of a step that is being prepared.
 */
typedef struct {
  InferType type;
  InferDims dims;
  gint64 strides[INFER_MAX_DIMS];
  const InferArray *value;
  gsize alignment;
} InferBuffer;

/** Fills @dst with @value as an implementation wants it. */
typedef gboolean (*InferPackFunc)(gpointer user_data, const InferArray *value, gpointer dst,
                                  GError **error);

/**
 * InferPrepare:
 * @device: the device
 * @step: the step
 * @inputs: one per InferStep.inputs
 * @outputs: one per InferStep.outputs
 * @tactic: (nullable): one of the names that InferImpl.tactics gave; %NULL for the implementation's
 *   own choice. It may come from a file, so that one which is not known is an error
 * @workspace: (out): bytes wanted while the step runs, aligned to 64; 0 before the call
 * @state: (out): what run() gets; freed by InferImpl.release
 *
 * Preparing one step for one set of shapes.
 */
typedef struct _InferPrepare InferPrepare;
struct _InferPrepare {
  InferDevice *device;
  const InferStep *step;
  const InferBuffer *inputs;
  const InferBuffer *outputs;
  const char *tactic;
  gsize workspace;
  gpointer state;
  /*< private >*/
  gpointer packer;
};

/**
 * infer_prepare_pack:
 * @prepare: being prepared
 * @input: index into the step's inputs, of a constant
 * @key: bytes that say how it is packed (a memory descriptor, a tile size)
 * @key_size: their number
 * @size: bytes of the packed form
 * @pack: makes the packed form; not called where the plan or another shape has it already
 * @user_data: closure for @pack
 * @error: return location
 *
 * Returns: (transfer none) (nullable): the packed form in the device's memory, aligned to 64, which
 *   lives as long as the engine; maybe mapped from the plan. @pack writes to memory of the host.
 *   Packed once for a @key, and stored in the plan.
 */
INFER_API const void *infer_prepare_pack(InferPrepare *prepare, guint input, gconstpointer key,
                                         gsize key_size, gsize size, InferPackFunc pack,
                                         gpointer user_data, GError **error);

/**
 * InferTacticArgs:
 * @level: 0..5, how much time tuning may take: 0 only what is tried without measuring, 3 what
 *   usually wins, 5 everything
 * @deterministic: only tactics that give the same bits in every run
 * @tf32: products of floats may round their factors to TF32
 * @max_workspace: tactics that need more bytes are not wanted
 */
typedef struct {
  guint level;
  gboolean deterministic;
  gboolean tf32;
  gsize max_workspace;
} InferTacticArgs;

/**
 * InferImpl:
 *
 * One way to run a kind of step. Backends keep a list of them per operator, the most specialised
 * first; the reference (the nodes' own eval) comes after the last.
 */
struct _InferImpl {
  const char *name; /* unique in the backend: "onednn.convolution" */
  /* Same rows give the same bits whatever the batch. */
  gboolean batch_invariant;

  /* Whether it can run @step, whose nodes may have been fused on trial: looks at operators,
   * attributes, types, ranks, constness; dims may be symbolic. Fills the layouts wanted
   * (one per step input and output; preset to ROW_MAJOR). */
  gboolean (*supports)(InferDevice *device, const InferStep *step, InferLayout *inputs,
                       InferLayout *outputs);

  /* Names of the ways to run @prepare, the most promising first, %NULL-terminated, to be freed by
   * g_strfreev(); NULL where there is one way only. Called before prepare, on the same shapes. */
  char **(*tactics)(const InferPrepare *prepare, const InferTacticArgs *args);

  gboolean (*prepare)(InferPrepare *prepare, GError **error);
  void (*release)(gpointer state);

  /* Runs, or enqueues on the stream. @inputs and @outputs are one pointer per step input and
   * output; those of constants are row-major memory of the host, which a device reads through
   * infer_prepare_pack(). Allocates nothing. */
  gboolean (*run)(gpointer state, InferStream *stream, void *const *inputs, void *const *outputs,
                  void *workspace, GError **error);

  /* Whether operand @index, an input or with @output an output, may lie as @prepare says: in the
   * layout wanted but with gaps, since it is a part of a larger tensor. Only asked of operands that
   * are not dense; NULL where none may be. The answer may not depend on the number of rows. */
  gboolean (*strided)(const InferPrepare *prepare, gboolean output, guint index);

  /* Waits for the stream and works on the host, so that it cannot be captured. */
  gboolean on_host;

  /* Is asked for steps with a node before the anchor too, which makes the anchor's first input. */
  gboolean takes_leading;
};

/** Work given to a stream. */
typedef gboolean (*InferStreamFunc)(gpointer user_data, InferStream *stream, GError **error);

/**
 * InferImageTarget:
 * @data: the network's image input
 * @type: its element type: float or uint8
 * @width: pixels
 * @height: pixels
 * @channels: 3, or 1 for gray
 * @stride_n: elements from an image to the next
 * @stride_c: elements from a channel to the next
 * @stride_y: elements from a row to the next
 * @stride_x: elements from a pixel to the next
 */
typedef struct {
  void *data;
  InferType type;
  guint width, height, channels;
  gint64 stride_n, stride_c, stride_y, stride_x;
} InferImageTarget;

struct _InferBackend {
  guint abi; /* INFER_BACKEND_ABI */
  const char *name;
  /* Memory that the device uses can be read and written by the host. A backend without has to have
   * an implementation of infer.Reformat for every type of 8 bits and more. */
  gboolean host_memory;
  /* A row's results are the same bits in every batch, so that all sizes have to use one tactic. */
  gboolean exact_rows;

  /* Opens "cpu", "cuda", "cuda:1" ...; @threads 0 for all. */
  InferDevice *(*open)(const char *device, guint threads, GError **error);
  void (*close)(InferDevice *device);

  void *(*alloc)(InferDevice *device, gsize size, GError **error); /* aligned to 64 */
  void (*free)(InferDevice *device, void *memory);

  /* For memory that the host cannot reach; host_memory backends leave these NULL. Memory of the
   * host for fast copies, aligned to 64; a copy at once; copies and bytes set on a stream, where
   * host memory has to stay as it is until the stream comes by. */
  void *(*alloc_host)(InferDevice *device, gsize size, GError **error);
  void (*free_host)(InferDevice *device, void *memory);
  gboolean (*load)(InferDevice *device, void *dst, const void *src, gsize size, GError **error);
  gboolean (*upload)(InferStream *stream, void *dst, const void *src, gsize size, GError **error);
  gboolean (*download)(InferStream *stream, void *dst, const void *src, gsize size, GError **error);
  gboolean (*fill)(InferStream *stream, void *dst, guint8 byte, gsize size, GError **error);

  InferStream *(*stream_new)(InferDevice *device, GError **error);
  void (*stream_free)(InferStream *stream);
  /* Runs @func where the stream's work is issued: on the CPU in the stream's worker thread,
   * asynchronously and in order; elsewhere at once in the caller's, which enqueues. Allocates
   * nothing. An error of @func is kept and reported by the next sync. At least 8 can wait. */
  gboolean (*stream_run)(InferStream *stream, InferStreamFunc func, gpointer user_data,
                         GError **error);
  gboolean (*stream_sync)(InferStream *stream, GError **error);
  /* Marks the point that the stream has come to, for profiles: 0, then 1, and so on; called from
   * inside an InferStreamFunc, and may allocate. */
  gboolean (*stream_mark)(InferStream *stream, guint index, GError **error);
  /* Nanoseconds from mark @index - 1 to mark @index; after a sync. */
  guint64 (*stream_elapsed)(InferStream *stream, guint index);

  /* Graph capture, inside an InferStreamFunc; NULL where there is none. What is captured does not
   * run. A failed capture leaves the stream as it was before. */
  gboolean (*capture_begin)(InferStream *stream, GError **error);
  gpointer (*capture_end)(InferStream *stream, GError **error);
  gboolean (*graph_launch)(gpointer graph, InferStream *stream, GError **error);
  void (*graph_free)(gpointer graph);

  /* Implementations for an anchor operator, %NULL-terminated, or NULL. */
  const InferImpl *const *(*impls)(const char *op);

  /* Pre-processes frames into rows 0..n_frames-1 of the target; from inside an InferStreamFunc. */
  gboolean (*preprocess)(InferStream *stream, const InferFrame *frames, guint n_frames,
                         const InferPreprocess *pre, const InferImageTarget *target,
                         GError **error);

  /* The stream as plugins know it: a CUstream; NULL where there is none. */
  gpointer (*stream_native)(InferStream *stream);
};

/** infer_frame_place: Returns: where a frame lies in an image of @width x @height. */
INFER_API InferPlacement infer_frame_place(const InferFrame *frame, const InferPreprocess *pre,
                                           guint width, guint height);
/** infer_frame_validate: checks sizes, crop, planes and strides of a frame. */
INFER_API gboolean infer_frame_validate(const InferFrame *frame, GError **error);

/** infer_image_target_validate: checks type, channels and sides of an image input; @halves says
 *  whether it may be of 16-bit floats. */
INFER_API gboolean infer_image_target_validate(const InferImageTarget *target,
                                               const InferPreprocess *pre, gboolean halves,
                                               GError **error);

/** The symbol that a backend's module exports. */
INFER_API const InferBackend *infer_backend_get(void);

/** infer_backend_open: opens a device by name: "auto", "cpu", "cuda:N", "null". Returns: (transfer
 *  full): to be closed by infer_device_unref(). Devices are shared by name and threads. */
INFER_API InferDevice *infer_device_open(const char *device, guint threads, GError **error);
INFER_API InferDevice *infer_device_ref(InferDevice *device);
INFER_API void infer_device_unref(InferDevice *device);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InferDevice, infer_device_unref)

/** infer_impl_supports: InferImpl.supports() where it may be asked about @step; layouts are preset.
 */
gboolean infer_impl_supports(const InferImpl *impl, InferDevice *device, const InferStep *step,
                             InferLayout *inputs, InferLayout *outputs);

/** infer_device_find_impl: Returns: (nullable): the implementation of that name. */
const InferImpl *infer_device_find_impl(InferDevice *device, const char *op, const char *name);

/** The reference implementation: the nodes' own eval. */
extern const InferImpl infer_impl_reference;

/** infer_backend_find_module: Returns: (transfer full) (nullable): the file libinfer-@name.so, NULL
 *  where no directory has it. */
char *infer_backend_find_module(const char *name);

G_END_DECLS
