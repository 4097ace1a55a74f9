/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/network.h>

G_BEGIN_DECLS

/*
 * Layers of users. A shared library exports `infer_plugin_entry` (see INFER_PLUGIN_DEFINE), which
 * names the interface that it was compiled for and a function that registers creators. A creator is
 * a layer: a name in a namespace, a version, typed fields, the shapes of its outputs, a reference
 * in plain C, and any number of implementations for devices. One library may bring the layer and
 * its CPU code, another one its CUDA code.
 *
 * In a network the layer is the operator "namespace.Name"; its fields are the node's attributes,
 * which the plan stores together with the name and the version. The plan never names a library:
 * whoever loads it has to have registered the layer before.
 *
 * Everything that a layer is called with was made by a model or a plan that nobody vouches for. The
 * engine has checked the names and types of fields and the number of inputs; values of fields,
 * ranks and dimensions are for InferPluginCreator.shape to check. All callbacks may be called from
 * several threads at once, for different networks and contexts.
 */

/**
 * INFER_PLUGIN_ABI:
 *
 * Version of the structures in this header.
 */
#define INFER_PLUGIN_ABI 1

/** A count of inputs or outputs without a limit. */
#define INFER_PLUGIN_VARIADIC G_MAXUINT

/** The most operands that a row of formats tells apart. */
#define INFER_PLUGIN_MAX_FORMATS 8

/**
 * InferPluginField:
 * @name: name: letters, digits and '_'
 * @kind: 'i' integer, 'f' float, 's' string, 'I' integers, 'F' floats, 'S' strings, 'y' bytes
 * @required: a node without it is refused; then there is no @fallback
 * @fallback: (nullable): the value where it is not given, in GVariant's text format: `1`, `0.5`,
 *   `'same'`, `[1, 2]`; %NULL leaves the field out
 * @description: (nullable): what it means
 *
 * A typed parameter of a layer. What is left out is filled in when a node is made, so that a plan
 * keeps what it was built with when a later library has another fallback. Kind 'y' is for state
 * that only the plugin understands; weights are better given as constant inputs.
 */
typedef struct {
  const char *name;
  char kind;
  gboolean required;
  const char *fallback;
  const char *description;
} InferPluginField;

/**
 * InferPluginLayout:
 * @INFER_PLUGIN_ROW_MAJOR: dense, the last dimension innermost (TensorRT's linear format)
 * @INFER_PLUGIN_CHANNELS_LAST: dense, dimension 1 innermost; row-major below three dimensions
 * @INFER_PLUGIN_ANY: dense in any order, the same for all operands marked so
 *
 * How a tensor lies in memory.
 */
typedef enum {
  INFER_PLUGIN_ROW_MAJOR,
  INFER_PLUGIN_CHANNELS_LAST,
  INFER_PLUGIN_ANY,
} InferPluginLayout;

/**
 * InferPluginFormat:
 * @type: element type
 * @layout: layout
 */
typedef struct {
  InferType type;
  InferPluginLayout layout;
} InferPluginFormat;

/**
 * InferPluginFormats:
 * @inputs: formats of the inputs in order; type 0 ends the list, and its last one holds for all
 *   inputs that follow; inputs that are absent count
 * @outputs: formats of the outputs, in the same way
 *
 * A combination of formats that an implementation can run. Types are the network's; where several
 * rows have them the first is taken. Constant inputs are always row-major.
 */
typedef struct {
  InferPluginFormat inputs[INFER_PLUGIN_MAX_FORMATS];
  InferPluginFormat outputs[INFER_PLUGIN_MAX_FORMATS];
} InferPluginFormats;

/**
 * InferPluginOperand:
 * @type: element type; %INFER_TYPE_UNDEFINED for an input that is absent
 * @dims: dimensions; symbols and %INFER_DIM_UNKNOWN while a network is made, numbers when a step is
 *   prepared or evaluated
 * @value: (nullable): contents, on the host, where they are constant
 * @has_content: @content is valid
 * @content: partly known elements of a scalar or a vector of integers
 *
 * What a layer knows of an input, and says of an output, before it runs.
 */
typedef struct {
  InferType type;
  InferDims dims;
  const InferArray *value;
  gboolean has_content;
  InferDims content;
} InferPluginOperand;

/**
 * InferPluginTensor:
 * @type: element type; %INFER_TYPE_UNDEFINED for an input that is absent
 * @dims: dimensions, numbers, in logical order
 * @strides: elements from one to the next, per dimension
 * @value: (nullable): contents, on the host and row-major, where they are constant
 *
 * A tensor as it will lie in memory when a step runs.
 */
typedef struct {
  InferType type;
  InferDims dims;
  gint64 strides[INFER_MAX_DIMS];
  const InferArray *value;
} InferPluginTensor;

/**
 * InferPluginPrepare:
 * @node: the node, for its name and fields
 * @device: "cpu", "cuda:0"
 * @threads: threads that the device may use
 * @n_inputs: number of inputs
 * @inputs: (array length=n_inputs): inputs
 * @n_outputs: number of outputs
 * @outputs: (array length=n_outputs): outputs
 * @workspace: (out): bytes of the device's memory wanted while the step runs, aligned to 64; 0
 *   before the call
 * @state: (out): what InferPluginImpl.run and release get
 *
 * One node made ready for one set of dimensions. The structure and what it points at live until the
 * state is released.
 */
typedef struct {
  const InferNode *node;
  const char *device;
  guint threads;
  guint n_inputs;
  const InferPluginTensor *inputs;
  guint n_outputs;
  const InferPluginTensor *outputs;
  gsize workspace;
  gpointer state;
  /*< private >*/
  gpointer reserved[4];
} InferPluginPrepare;

/**
 * InferPluginRun:
 * @state: what InferPluginImpl.prepare set
 * @stream: the device's native stream (a CUstream); %NULL on the CPU, whose work is done at once
 * @inputs: memory of each input; %NULL where absent
 * @outputs: memory of each output
 * @workspace: as many bytes as asked for
 *
 * One run. All memory is the device's, that of constant inputs too.
 */
typedef struct {
  gpointer state;
  gpointer stream;
  const void *const *inputs;
  void *const *outputs;
  void *workspace;
  /*< private >*/
  gpointer reserved[4];
} InferPluginRun;

/**
 * InferPluginImpl:
 * @backend: "cpu" or "cuda"
 * @name: (nullable): what inspection and plans call it; "namespace.Name.backend" where %NULL
 * @batch_invariant: the same rows give the same bits whatever the batch is
 * @strided: operands may have gaps, being parts of larger tensors; strides say where elements lie
 * @synchronous: it waits for the stream or works on the host, so that a run cannot be captured in a
 *   graph
 * @formats: (array length=n_formats): combinations of types and layouts, the best first
 * @n_formats: number of @formats
 * @supports: (nullable): further conditions on types, ranks and fields; dimensions may be symbols
 * @prepare: (nullable): sets the workspace and the state
 * @run: runs, or enqueues on the stream; allocates nothing and, unless @synchronous, does not wait
 * @release: (nullable): frees the state
 *
 * One way to run a layer on one kind of device. The engine asks the implementations of a layer in
 * the order in which they were registered.
 */
typedef struct {
  const char *backend;
  const char *name;
  gboolean batch_invariant;
  gboolean strided;
  gboolean synchronous;
  const InferPluginFormats *formats;
  guint n_formats;
  gboolean (*supports)(const InferNode *node, guint n_inputs, const InferPluginOperand *inputs,
                       guint n_outputs, const InferPluginOperand *outputs);
  gboolean (*prepare)(InferPluginPrepare *prepare, GError **error);
  gboolean (*run)(const InferPluginRun *run, GError **error);
  void (*release)(gpointer state);
  /*< private >*/
  gpointer reserved[4];
} InferPluginImpl;

/**
 * InferPluginCreator:
 * @name_space: who made it: "acme", "org.acme.vision"; "infer" and "ai.onnx" are taken
 * @name: name: letters, digits and '_'
 * @version: from 1 on; another behaviour is another version
 * @description: (nullable): what the layer computes
 * @fields: (nullable): fields; ends with a %NULL name
 * @min_inputs: least number of inputs
 * @max_inputs: greatest number of inputs, or %INFER_PLUGIN_VARIADIC
 * @min_outputs: least number of outputs, at least 1
 * @max_outputs: greatest number of outputs, or %INFER_PLUGIN_VARIADIC
 * @shape: checks fields, types and dimensions and sets type and dimensions of every output; what is
 *   not known yet gives %INFER_DIM_UNKNOWN, or a rank of -1. A symbol of the outputs has to be one
 *   of the inputs
 * @scratch: (nullable): bytes of scratch that @eval needs
 * @eval: (nullable): the reference: plain C on row-major arrays. Outputs are allocated where their
 *   dimensions are known before; otherwise they are %NULL and it makes them with infer_array_new().
 *   @scratch is aligned to 64
 * @impls: (nullable): implementations, ends with a %NULL backend
 *
 * A layer that a plugin brings (TensorRT's IPluginCreator). The reference runs where a device of
 * the host has no implementation, folds constants, and is what a build compares implementations
 * with. A layer without one runs only on devices that it has implementations for, and a build says
 * that it could not be compared.
 *
 * The structure and all it points at have to stay for the life of the process.
 */
typedef struct {
  const char *name_space;
  const char *name;
  guint version;
  const char *description;
  const InferPluginField *fields;
  guint min_inputs, max_inputs;
  guint min_outputs, max_outputs;
  gboolean (*shape)(const InferNode *node, guint n_inputs, const InferPluginOperand *inputs,
                    guint n_outputs, InferPluginOperand *outputs, GError **error);
  gsize (*scratch)(const InferNode *node, guint n_inputs, const InferPluginOperand *inputs,
                   guint n_outputs, const InferPluginOperand *outputs);
  gboolean (*eval)(const InferNode *node, guint n_inputs, const InferArray *const *inputs,
                   guint n_outputs, InferArray **outputs, gpointer scratch, GError **error);
  const InferPluginImpl *impls;
  /*< private >*/
  gpointer reserved[4];
} InferPluginCreator;

/**
 * InferPluginRegistrar:
 *
 * What a library registers with while it is loaded.
 */
typedef struct _InferPluginRegistrar InferPluginRegistrar;

/**
 * InferPluginEntry:
 * @abi: %INFER_PLUGIN_ABI
 * @name: name of the library in messages
 * @description: (nullable): what it brings
 * @init: registers; where it fails or returns %FALSE nothing of the library is registered
 */
typedef struct {
  guint abi;
  const char *name;
  const char *description;
  gboolean (*init)(InferPluginRegistrar *registrar, GError **error);
} InferPluginEntry;

/**
 * INFER_PLUGIN_DEFINE: (skip)
 * @plugin_name: name of the library
 * @plugin_description: what it brings
 * @plugin_init: a function that registers
 *
 * Exports what infer_plugin_load() looks for.
 */
#define INFER_PLUGIN_DEFINE(plugin_name, plugin_description, plugin_init)                          \
  extern INFER_API const InferPluginEntry infer_plugin_entry;                                      \
  INFER_API const InferPluginEntry infer_plugin_entry = {INFER_PLUGIN_ABI, (plugin_name),          \
                                                         (plugin_description), (plugin_init)};

/**
 * infer_plugin_register_creator: (skip)
 * @registrar: what InferPluginEntry.init got
 * @creator: (transfer none): a layer; has to stay
 * @error: return location
 *
 * Returns: %FALSE where the creator cannot be used, or the layer of that version is there already
 */
INFER_API gboolean infer_plugin_register_creator(InferPluginRegistrar *registrar,
                                                 const InferPluginCreator *creator, GError **error);

/**
 * infer_plugin_register_impl: (skip)
 * @registrar: what InferPluginEntry.init got
 * @id: "namespace.Name" of a layer, which may be registered later by another library
 * @version: its version
 * @impl: (transfer none): an implementation; has to stay
 * @error: return location
 *
 * Adds a way to run a layer that another library brings.
 *
 * Returns: success
 */
INFER_API gboolean infer_plugin_register_impl(InferPluginRegistrar *registrar, const char *id,
                                              guint version, const InferPluginImpl *impl,
                                              GError **error);

/**
 * infer_plugin_register: (skip)
 * @entry: (transfer none): has to stay
 * @error: return location
 *
 * Registers layers of the program itself, as infer_plugin_load() does those of a library. An entry
 * that is registered already is left alone.
 *
 * Returns: success
 */
INFER_API gboolean infer_plugin_register(const InferPluginEntry *entry, GError **error);

/**
 * infer_plugin_load:
 * @path: (type filename): a shared library
 * @error: return location
 *
 * Loads a library and registers its layers. The library stays for the life of the process, and
 * loading it again does nothing. It is code that runs with all rights of the process: a path must
 * not come from a model or a plan. May be called from any thread.
 *
 * Returns: success
 */
INFER_API gboolean infer_plugin_load(const char *path, GError **error);

/**
 * infer_plugin_load_all:
 *
 * Loads every library "*.so" of the directories of the environment variable INFER_PLUGIN_PATH
 * (names with ':' between; not read in a process with raised rights) and of the directory
 * "infer-1.0/plugins" beside the installed library. Done once, when a layer is first looked for
 * that is not known. What cannot be loaded is warned about.
 */
INFER_API void infer_plugin_load_all(void);

/**
 * InferPluginInfo:
 * @id: "namespace.Name"
 * @name_space: namespace
 * @name: name
 * @version: version
 * @description: (nullable): what it computes
 * @library: (nullable): path of its library, or name of what registered it
 * @backends: (array zero-terminated=1): backends that it has implementations for, and "reference"
 *
 * What infer_plugin_list() says of a layer.
 */
typedef struct {
  char *id;
  char *name_space;
  char *name;
  guint version;
  char *description;
  char *library;
  char **backends;
  /*< private >*/
  const InferPluginField *fields;
} InferPluginInfo;

INFER_API GType infer_plugin_info_get_type(void);
/**
 * infer_plugin_info_copy: (skip)
 */
INFER_API InferPluginInfo *infer_plugin_info_copy(const InferPluginInfo *info);
/**
 * infer_plugin_info_free: (skip)
 */
INFER_API void infer_plugin_info_free(InferPluginInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InferPluginInfo, infer_plugin_info_free)

/**
 * infer_plugin_info_get_fields:
 * @info: a layer
 *
 * Returns: (transfer full): its fields: name, kind, whether it is required, fallback and
 *   description ("" for none), as a GVariant of type `a(ssbss)`
 */
INFER_API GVariant *infer_plugin_info_get_fields(const InferPluginInfo *info);

/**
 * infer_plugin_list:
 *
 * Returns: (transfer container) (element-type InferPluginInfo): every layer that is registered, by
 * name and version
 */
INFER_API GPtrArray *infer_plugin_list(void);

/**
 * infer_plugin_find:
 * @name: "namespace.Name", or the name alone where only one namespace has it
 * @version: version, 0 for the newest
 * @error: return location
 *
 * Looks for a layer, in the search directories too.
 *
 * Returns: (transfer full) (nullable): what is known of it, or %NULL with an error that names the
 *   versions or namespaces that there are
 */
INFER_API InferPluginInfo *infer_plugin_find(const char *name, guint version, GError **error);

/**
 * infer_network_add_plugin:
 * @network: a network
 * @plugin: "namespace.Name", or the name alone where only one namespace has it
 * @version: version, 0 for the newest
 * @name: (nullable): name of the node; made up when %NULL
 * @inputs: (array length=n_inputs): inputs; %NULL where absent
 * @n_inputs: number of inputs
 * @fields: (nullable): a vardict; a floating reference is sunk. Numbers of any width are taken, an
 *   integer for a float, and one value for a list
 * @n_outputs: number of outputs wanted; 0 for as many as the layer has at least
 * @error: return location
 *
 * Adds a layer of a plugin. infer_network_add_node() with "namespace.Name" does the same with
 * fields that already have the types 'x', 'd', 's', 'ax', 'ad', 'as' and 'ay'.
 *
 * Returns: (transfer none) (nullable): the node, or %NULL with an error that names the field,
 *   input or version that does not fit
 */
INFER_API InferNode *infer_network_add_plugin(InferNetwork *network, const char *plugin,
                                              guint version, const char *name,
                                              InferTensor *const *inputs, guint n_inputs,
                                              GVariant *fields, guint n_outputs, GError **error);

G_END_DECLS
