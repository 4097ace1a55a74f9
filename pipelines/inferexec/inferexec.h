/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>

/*
 * inferexec: builds, saves, loads, runs and measures engines from the command line, with the flags
 * of TensorRT's trtexec.
 */

G_BEGIN_DECLS

/**
 * ExecArgs: what the command line says; every pointer may be %NULL where a flag was not given.
 * @warm_up: milliseconds
 * @duration: seconds
 * @percentiles: (element-type double): at least one, 0..100
 * @given_avg_runs: --avgRuns was on the command line
 */
typedef struct {
  char *tf;
  char *onnx;
  char *uff;
  char *deploy;
  char *model;
  char *load_engine;
  char *save_engine;
  char **outputs;
  char *decoder;
  GPtrArray *plugins;
  GPtrArray *tf_inputs;
  GPtrArray *uff_inputs;
  gboolean uff_nhwc;
  char *device;
  char *load_inputs;
  char *export_profile;
  char *export_layer_info;
  char *export_output;
  char *export_times;
  guint batch;
  guint max_batch;
  guint iterations;
  guint avg_runs;
  guint threads;
  double warm_up;
  double duration;
  GArray *percentiles;
  gboolean dump_profile;
  gboolean dump_layer_info;
  gboolean dump_output;
  gboolean no_verify;
  char *timing_cache;
  char *shapes;
  char *min_shapes;
  char *opt_shapes;
  char *max_shapes;
  gboolean no_timing_cache;
  gboolean fp16, bf16, int8, best, no_tf32;
  guint level;
  gboolean deterministic;
  double time_budget; /* seconds */
  char *pool_sizes;
  double workspace;
  gboolean skip_inference;
  gboolean verbose;
  gboolean version;
  gboolean help;
  gboolean given_avg_runs;
  gboolean check_only;
  guint streams;
  gboolean no_transfers;
  char *ref_outputs;
  double atol, rtol;
  char *export_graph;
  char **layer_precisions;
  char **layer_devices;
  gboolean refittable;
  gboolean stripped;
  gboolean dump_refit;
  char *refit_from;
  char **mark_debug;
  char **save_debug;
} ExecArgs;

/** Fills @args; an unknown flag or a bad value is an error that names it and what is allowed. */
gboolean exec_args_parse(ExecArgs *args, int argc, char **argv, GError **error);
void exec_args_clear(ExecArgs *args);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ExecArgs, exec_args_clear)

/** How the value of a flag is read. */
typedef enum {
  EXEC_FLAG_BOOL,
  EXEC_FLAG_STRING,
  EXEC_FLAG_STRINGS,
  EXEC_FLAG_NAMES,
  EXEC_FLAG_UINT,
  EXEC_FLAG_DOUBLE,
  EXEC_FLAG_PERCENTILES,
  EXEC_FLAG_DEVICE,
} ExecFlagKind;

/**
 * ExecFlag:
 * @name: without the two dashes
 * @value: (nullable): what stands behind the "=" in the help
 * @offset: into ExecArgs
 * @min: least value of a number
 * @max: greatest value of a number
 * @help: what it does
 */
typedef struct {
  const char *name;
  ExecFlagKind kind;
  const char *value;
  gsize offset;
  double min, max;
  const char *help;
} ExecFlag;

/** Every flag; ends with a %NULL name. */
extern const ExecFlag exec_flags[];
void exec_print_help(void);

/** Returns: the flag whose spelling is nearest to @name, by edit distance. */
const char *exec_nearest_flag(const char *name);

/** Returns: the model file that is built from, %NULL where a plan is loaded. */
const char *exec_model_file(const ExecArgs *args);
/** Parses the model that @args name. @problems: (nullable): as in InferParseOptions. Returns:
 *  (transfer full) (nullable) */
InferNetwork *exec_model_parse(const ExecArgs *args, GPtrArray *problems, GError **error);
/** Parses and says what cannot be used; builds nothing. */
gboolean exec_model_check(const ExecArgs *args, GError **error);
/** Loads the libraries of --plugins. */
gboolean exec_load_plugins(const ExecArgs *args, GError **error);

/** Marks the tensors of --markDebug. */
gboolean exec_debug_mark(const ExecArgs *args, InferNetwork *network, GError **error);

/** Gives @engine, which is freed, the weights of --refitFrom. Returns: (transfer full)
 *  (nullable) */
InferEngine *exec_refit(const ExecArgs *args, InferEngine *engine, GError **error);

/** Asks layers for what --layerPrecisions and --layerDevices say. */
gboolean exec_layers_set(const ExecArgs *args, InferNetwork *network, GError **error);

/** Prints the layers of a network that was parsed. */
void exec_graph_print(InferNetwork *network);
/** Writes the network as it was parsed, where there is one, and the steps of the engine for
 *  Graphviz. */
gboolean exec_graph_export(const char *path, InferNetwork *parsed, InferEngine *engine,
                           GError **error);

/** Builds from a model or loads a plan, as @args say. @parsed: (out) (nullable): the network of the
 *  model. Returns: (transfer full) (nullable) */
InferEngine *exec_engine_new(const ExecArgs *args, InferNetwork **parsed, GError **error);

/** Reads "name:1x3,other:2". Returns: (element-type utf8 InferDims) (transfer full) (nullable) */
GHashTable *exec_shapes_parse(const char *flag, const char *value, GError **error);
/** Gives a builder the ranges of open dimensions that --minShapes and its kin say, and the batch.
 */
gboolean exec_shapes_set_profile(const ExecArgs *args, InferBuilder *builder, InferNetwork *network,
                                 GError **error);
/** Sets the dimensions that --shapes says. */
gboolean exec_shapes_set(const ExecArgs *args, InferContext *context, GError **error);

/**
 * ExecInput:
 * @binding: the input
 * @array: its contents at the batch that is run
 *
 * What is copied into an input before every run. Optional inputs that were not loaded have none.
 */
typedef struct {
  const InferBinding *binding;
  InferArray *array;
} ExecInput;

/** Loads the inputs that @args name and fills the rest with random numbers, always the same.
 *  Returns: (element-type ExecInput) (transfer full) (nullable) */
GPtrArray *exec_inputs_new(const ExecArgs *args, InferContext *context, GError **error);
/** Copies the inputs into the context's memory. */
gboolean exec_inputs_stage(GPtrArray *inputs, InferContext *context, GError **error);

/** Where the channels of a network's image input lie. */
typedef struct {
  guint channels;
  gsize pixels;
  gboolean channels_last;
} ExecImage;

/** Returns: whether @dims are those of images [N,C,H,W] or [N,H,W,C]. */
gboolean exec_image_from_dims(const InferDims *dims, ExecImage *image);
void exec_random_fill(InferArray *array, const InferPreprocess *image, GRand *random);

/**
 * ExecNpy:
 * @type: element type
 * @dims: shape
 * @offset: of the first element in the file
 *
 * The header of a NumPy array file.
 */
typedef struct {
  InferType type;
  InferDims dims;
  gsize offset;
} ExecNpy;

/** Greatest size of a header that is accepted. */
#define EXEC_NPY_MAX_HEADER 65536

/** Returns: whether @data begins as a NumPy array file. */
gboolean exec_npy_is(const guint8 *data, gsize size);
/**
 * Reads the header (format versions 1 to 3) and checks that the elements fill the rest of the
 * file exactly. @source names the file in errors.
 */
gboolean exec_npy_parse(const guint8 *data, gsize size, const char *source, ExecNpy *npy,
                        GError **error);

/** The most runs whose times are kept. */
#define EXEC_MAX_RUNS (1u << 24)

/** Times of one run, in nanoseconds since the measurement began. */
typedef struct {
  guint64 start;    /* inputs are copied from here */
  guint64 staged;   /* and the run enqueued from here */
  guint64 queued;   /* enqueue returned */
  guint64 finished; /* results are there */
} ExecTime;

/** Time of one step over all profiled runs, in milliseconds, and what it does in each. */
typedef struct {
  char *name;
  char *implementation;
  gint64 operations;
  gint64 bytes;
  double total;
  GArray *times;
} ExecStep;

/**
 * ExecTrace:
 * @times: (element-type ExecTime): the measured runs
 * @steps: (element-type ExecStep): the profile, empty without one
 * @profiled: runs that were profiled
 */
typedef struct {
  GArray *times;
  GPtrArray *steps;
  guint profiled;
} ExecTrace;

ExecTrace *exec_trace_new(void);
void exec_trace_free(ExecTrace *trace);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ExecTrace, exec_trace_free)

/**
 * ExecStream:
 * @context: what runs
 * @inputs: (element-type ExecInput): what is copied into it before each run; shared by all streams
 * @resident: the inputs are on the device already
 * @busy: a run is under way
 * @time: of the run that is under way
 */
typedef struct {
  InferContext *context;
  GPtrArray *inputs;
  gboolean resident;
  gboolean busy;
  ExecTime time;
} ExecStream;

/** Contexts with the batch and the dimensions that @args say, as many as --infStreams.
 *  Returns: (element-type ExecStream) (transfer full) (nullable) */
GPtrArray *exec_streams_new(const ExecArgs *args, InferEngine *engine, GError **error);

/** Warms up, then runs the streams in turn until both the iterations and the duration are
 *  reached. */
gboolean exec_run(const ExecArgs *args, GPtrArray *streams, ExecTrace *trace, GError **error);
/** Runs once more, and writes the debug tensors that --saveDebugTensors names. */
gboolean exec_debug_save(const ExecArgs *args, ExecStream *stream, GError **error);
/** Runs again, step by step. */
gboolean exec_profile(const ExecArgs *args, ExecStream *stream, ExecTrace *trace, GError **error);

/** A sorted copy of @values, and what is wanted of it. */
typedef struct {
  double min, max, mean, median;
  double *sorted;
  gsize n;
} ExecStats;

void exec_stats_init(ExecStats *stats, const double *values, gsize n);
double exec_stats_percentile(const ExecStats *stats, double percent);
void exec_stats_clear(ExecStats *stats);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ExecStats, exec_stats_clear)

void exec_report_times(const ExecArgs *args, guint batch, const ExecTrace *trace);
void exec_report_profile(const ExecArgs *args, const ExecTrace *trace);
gboolean exec_export_times(const char *path, const ExecTrace *trace, GError **error);
gboolean exec_export_profile(const char *path, const ExecTrace *trace, GError **error);

/** A view of an output in host memory. Returns: (transfer full) (nullable) */
InferArray *exec_output_view(InferContext *context, const InferBinding *binding, GError **error);
/** Returns: whether elements are integers or booleans. */
gboolean exec_is_whole(InferType type);
/** Compares the outputs with those of --loadRefOutputs; an error when they differ by more than
 *  --atol and --rtol allow. */
gboolean exec_outputs_compare(const ExecArgs *args, InferContext *context, GError **error);
/** Reads a regular file of at most @limit bytes; what is larger is not read, and the error names
 *  @needed. */
GBytes *exec_read_file(const char *path, gsize limit, gsize needed, GError **error);

/** Prints outputs, writes them as JSON. */
gboolean exec_outputs_dump(InferContext *context, GError **error);
gboolean exec_outputs_export(const char *path, InferContext *context, GError **error);

/** Replaces @path as a whole, or writes into it where it is a pipe, a device or a link. */
gboolean exec_write_file(const char *path, const char *data, gsize size, GError **error);

void exec_info(const char *format, ...) G_GNUC_PRINTF(1, 2);
void exec_note(const char *format, ...) G_GNUC_PRINTF(1, 2);
void exec_verbose(const ExecArgs *args, const char *format, ...) G_GNUC_PRINTF(2, 3);

G_END_DECLS
