/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "generate.h"
#include "impls-ops.h"

#include <dlfcn.h>
#include <nvrtc.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

/*
 * A backend "cuda" for tests on machines without a GPU: generated kernels are compiled for the
 * host by the C++ compiler, and run thread by thread, so that the conformance runner can walk them.
 * Threads of a block are coroutines that change at barriers; blocks of a cluster, which lie along
 * y, take turns where they wait for each other. INFER_EMULATE_KEEP names a directory where the
 * sources are left.
 */

#define STACK ((gsize)64 << 10)
#define MAX_THREADS 8192 /* of a cluster */

typedef struct {
  InferCudaSize thread, block, block_size, grid_size;
  void *shared;
  gsize stride; /* from a block's shared memory to the next one's of the cluster */
  guint first;  /* where the block's threads begin among those of the cluster */
  void (*wait)(int kind);
  guint64 slots[MAX_THREADS][8];
} Emu;

struct CUfunc_st {
  void (*call)(void *params);
  gboolean has_barriers, in_clusters;
  Emu *emu;
};

struct _InferStream {
  InferCudaQueue queue;
  GError *error;
};

static const InferBackend backend;

/* --- running --- */

typedef enum { READY, WAITS_BLOCK, WAITS_WARP, WAITS_CLUSTER, DONE } State;

static struct {
  ucontext_t main, threads[MAX_THREADS];
  State states[MAX_THREADS];
  char *stacks, *shared;
  guint current;
  CUfunction function;
  void *params;
} run;

static void
wait_at(int kind)
{
  static const State states[] = {WAITS_BLOCK, WAITS_WARP, WAITS_CLUSTER};

  run.states[run.current] = states[kind];
  swapcontext(&run.threads[run.current], &run.main);
}

static void
thread_main(void)
{
  run.function->call(run.params);
  run.states[run.current] = DONE;
}

/* Thread @index of block @rank of the cluster. */
static void
set_thread(Emu *emu, guint rank, guint index)
{
  emu->first = rank * emu->block_size.x * emu->block_size.y * emu->block_size.z;
  emu->shared = run.shared + rank * emu->stride;
  run.current = emu->first + index;
  emu->thread.x = index % emu->block_size.x;
  emu->thread.y = index / emu->block_size.x % emu->block_size.y;
  emu->thread.z = index / emu->block_size.x / emu->block_size.y;
}

/* Lets those go on that wait for each other. Returns: whether there are any. */
static gboolean
release(guint first, guint last, State kind)
{
  guint waiting = 0;

  for (guint i = first; i < last; i++) {
    if (run.states[i] != DONE && run.states[i] != kind)
      return FALSE;
    waiting += run.states[i] == kind;
  }
  for (guint i = first; i < last; i++)
    if (run.states[i] == kind)
      run.states[i] = READY;
  return waiting > 0;
}

static void
start_threads(guint n)
{
  if (!run.stacks)
    run.stacks = g_malloc(STACK * MAX_THREADS);
  for (guint i = 0; i < n; i++) {
    getcontext(&run.threads[i]);
    run.threads[i].uc_stack.ss_sp = run.stacks + STACK * i;
    run.threads[i].uc_stack.ss_size = STACK;
    run.threads[i].uc_link = &run.main;
    makecontext(&run.threads[i], thread_main, 0);
    run.states[i] = READY;
  }
}

/* Runs the threads of one block that can run. Returns: whether some can go on after. */
static gboolean
run_ready(Emu *emu, guint rank, guint n)
{
  guint first = rank * n;
  gboolean more = FALSE;

  for (guint i = 0; i < n; i++)
    if (run.states[first + i] == READY) {
      set_thread(emu, rank, i);
      swapcontext(&run.main, &run.threads[first + i]);
    }
  for (guint i = 0; i < n; i += 32)
    more |= release(first + i, first + MIN(i + 32, n), WAITS_WARP);
  more |= release(first, first + n, WAITS_BLOCK);
  return more;
}

/* Runs blocks of @n threads, @n_blocks along y, which are a cluster where there are several. */
static gboolean
run_blocks(Emu *emu, guint n, guint n_blocks)
{
  gboolean more = TRUE;

  start_threads(n * n_blocks);
  while (more) {
    for (guint rank = 0; rank < n_blocks; rank++) {
      emu->block.y = n_blocks > 1 ? rank : emu->block.y;
      while (run_ready(emu, rank, n))
        ;
    }
    more = release(0, n * n_blocks, WAITS_CLUSTER);
  }
  for (guint i = 0; i < n * n_blocks; i++)
    if (run.states[i] != DONE)
      return FALSE;
  return TRUE;
}

gboolean
infer_cuda_allow_shared(CUfunction function, guint shared, GError **error)
{
  return TRUE;
}

gboolean
infer_cuda_launch(const InferCudaQueue *queue, CUfunction function, InferCudaSize grid,
                  InferCudaSize block, guint shared, void **params, GError **error)
{
  guint n = block.x * block.y * block.z, cluster = function->in_clusters ? grid.y : 1;
  Emu *emu = function->emu;

  emu->block_size = block;
  emu->grid_size = grid;
  emu->wait = wait_at;
  emu->stride = ((gsize)shared + 64) / 64 * 64;
  run.shared = aligned_alloc(64, emu->stride * cluster);
  memset(run.shared, 0xff, emu->stride * cluster);
  run.function = function;
  run.params = params[0];
  for (emu->block.z = 0; emu->block.z < grid.z; emu->block.z++)
    for (guint y = 0; y < grid.y; y += cluster)
      for (emu->block.x = 0; emu->block.x < grid.x; emu->block.x++) {
        emu->block.y = y;
        if (function->has_barriers && !run_blocks(emu, n, cluster)) {
          g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "threads wait for each other");
          return FALSE;
        }
        for (guint i = 0; !function->has_barriers && i < n; i++) {
          set_thread(emu, 0, i);
          function->call(params[0]);
        }
      }
  free(run.shared);
  return TRUE;
}

/* --- compiling --- */

static GHashTable *functions; /* source -> library */

/* What the device would be given has to be CUDA C++ too; the compiler needs no device. */
static gboolean
compile_for_device(const char *source, GError **error)
{
  const char *const options[] = {"--gpu-architecture=sm_90a", "--std=c++17", "-default-device"};
  nvrtcProgram program;
  gboolean ok;

  if (nvrtcCreateProgram(&program, source, "kernel.cu", 0, NULL, NULL) != NVRTC_SUCCESS)
    return TRUE;
  ok = nvrtcCompileProgram(program, G_N_ELEMENTS(options), options) == NVRTC_SUCCESS;
  if (!ok) {
    size_t size = 0;
    nvrtcGetProgramLogSize(program, &size);
    g_autofree char *log = g_malloc0(size + 1);
    nvrtcGetProgramLog(program, log);
    g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "a kernel is not CUDA C++: %s", log);
  }
  nvrtcDestroyProgram(&program);
  return ok;
}

static gpointer
compile(const char *source, GError **error)
{
  static guint number;
  const char *keep = g_getenv("INFER_EMULATE_KEEP");
  g_autofree char *prefix = NULL, *stem = NULL, *text = NULL, *err = NULL;
  g_autofree char *in = NULL, *out = NULL, *names = NULL, *raw = NULL;
  gint status = 0;
  gpointer library;

  if (!compile_for_device(source, error) ||
      !g_file_get_contents(INFER_EMULATE_PREFIX, &prefix, NULL, error))
    return NULL;
  stem =
      g_strdup_printf("%s/infer-emulate-%d-%u", keep ? keep : g_get_tmp_dir(), getpid(), number++);
  in = g_strconcat(stem, ".cpp", NULL);
  out = g_strconcat(stem, ".so", NULL);
  raw = g_strconcat(stem, ".cu", NULL);
  g_autoptr(GString) all = g_string_new(prefix);
  g_string_append(all, source);
  for (const char *at = source; (at = strstr(at, "__launch_bounds__(")); at++) {
    const char *name = strchr(at, ')') + 1;
    gsize n = strcspn(name, "(");
    g_autofree char *symbol = g_strstrip(g_strndup(name, n));
    g_string_append_printf(all, "\nextern \"C\" void emu_%s(void *p) { %s(*(Params *)p); }\n",
                           symbol, symbol);
  }
  if (!g_file_set_contents(in, all->str, -1, error) ||
      (keep && !g_file_set_contents(raw, source, -1, error)))
    return NULL;
  const char *const argv[] = {"c++", "-x",    "c++",     "-std=c++17",           "-O0",
                              "-w",  "-fPIC", "-shared", "-fno-strict-aliasing", "-o",
                              out,   in,      NULL};
  if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, &err, &status,
                    error))
    return NULL;
  library = status == 0 ? dlopen(out, RTLD_NOW | RTLD_LOCAL) : NULL;
  if (!library)
    g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "%s cannot be compiled: %s", in,
                status ? err : dlerror());
  unlink(out);
  if (!keep && library)
    unlink(in);
  return library;
}

CUfunction
infer_cuda_compile(InferCudaDevice *device, const char *source, const char *name, GError **error)
{
  static Emu emu;
  g_autofree char *symbol = g_strconcat("emu_", name, NULL);
  gpointer library;
  CUfunction function;

  if (!functions)
    functions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  library = g_hash_table_lookup(functions, source);
  if (!library) {
    library = compile(source, error);
    if (!library)
      return NULL;
    g_hash_table_insert(functions, g_strdup(source), library);
  }
  function = g_new0(struct CUfunc_st, 1);
  function->emu = &emu;
  function->has_barriers = strstr(source, "USES_BARRIERS") != NULL;
  function->in_clusters = strstr(source, "#define CLUSTER ") != NULL;
  *(void **)&function->call = dlsym(library, symbol);
  ((void (*)(Emu *))dlsym(library, "emu_set"))(&emu);
  if (!function->call) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "there is no kernel '%s'", name);
    return NULL;
  }
  return function;
}

const char *
infer_cuda_source(const char *name)
{
  static GHashTable *texts;
  char *text;

  if (!texts)
    texts = g_hash_table_new(g_str_hash, g_str_equal);
  text = g_hash_table_lookup(texts, name);
  if (!text) {
    g_autofree char *file = g_strdup_printf("%s/%s.cu", INFER_EMULATE_SOURCES, name);
    if (g_file_get_contents(file, &text, NULL, NULL))
      g_hash_table_insert(texts, g_strdup(name), text);
  }
  return text;
}

/* --- the rest of the interface --- */

const InferCudaQueue *
infer_cuda_queue(InferStream *stream)
{
  return &stream->queue;
}

void
infer_cuda_push(InferCudaDevice *device)
{
}

void
infer_cuda_pop(void)
{
}

gboolean
infer_cuda_fail(const InferPrepare *prepare, GError **error, InferError code, const char *format,
                ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, INFER_ERROR, code, "step '%s': %s", prepare->step->name, text);
  return FALSE;
}

static gboolean
copy_value(gpointer user_data, const InferArray *value, gpointer dst, GError **error)
{
  memcpy(dst, value->data, value->size);
  return TRUE;
}

const void *
infer_cuda_constant(InferPrepare *prepare, guint input, GError **error)
{
  return infer_prepare_pack(prepare, input, "plain", 5, prepare->step->inputs[input]->value->size,
                            copy_value, NULL, error);
}

static InferDevice *
emu_open(const char *name, guint threads, GError **error)
{
  InferCudaDevice *device = g_new0(InferCudaDevice, 1);
  const char *sms = g_getenv("INFER_EMULATE_MULTIPROCESSORS");

  device->base.backend = &backend;
  device->base.name = g_strdup(name);
  device->base.key = g_strdup("emulated");
  device->base.threads = 1;
  device->major = 9;
  /* Few, so that small cases are cut as large ones are. */
  device->n_multiprocessors = sms ? (guint)g_ascii_strtoull(sms, NULL, 10) : 1;
  device->shared_per_block = 227 << 10;
  return &device->base;
}

static void
emu_close(InferDevice *device)
{
  g_free(device->name);
  g_free(device->key);
  g_free(device);
}

static void *
emu_alloc(InferDevice *device, gsize size, GError **error)
{
  void *memory = aligned_alloc(64, (size + 64) / 64 * 64);

  if (memory)
    memset(memory, 0xff, size);
  return memory;
}

static void
emu_free(InferDevice *device, void *memory)
{
  free(memory);
}

static InferStream *
emu_stream_new(InferDevice *device, GError **error)
{
  InferStream *stream = g_new0(InferStream, 1);

  stream->queue.device = infer_cuda_device(device);
  return stream;
}

static void
emu_stream_free(InferStream *stream)
{
  g_clear_error(&stream->error);
  g_free(stream);
}

static gboolean
emu_stream_run(InferStream *stream, InferStreamFunc func, gpointer user_data, GError **error)
{
  g_autoptr(GError) failure = NULL;

  if (!func(user_data, stream, &failure) && stream->error == NULL)
    stream->error = g_steal_pointer(&failure);
  return TRUE;
}

static gboolean
emu_stream_sync(InferStream *stream, GError **error)
{
  if (stream->error == NULL)
    return TRUE;
  g_propagate_error(error, g_steal_pointer(&stream->error));
  return FALSE;
}

static gboolean
emu_stream_mark(InferStream *stream, guint index, GError **error)
{
  return TRUE;
}

static guint64
emu_stream_elapsed(InferStream *stream, guint index)
{
  return 0;
}

static void
add_impls(GPtrArray *list, const InferCudaOp *ops, gsize n, const char *op)
{
  for (gsize i = 0; i < n; i++)
    for (guint k = 0; g_str_equal(ops[i].op, op) && ops[i].impls[k]; k++)
      if (!g_getenv("INFER_EMULATE_ONLY") ||
          g_str_equal(ops[i].impls[k]->name, g_getenv("INFER_EMULATE_ONLY")))
        g_ptr_array_add(list, (gpointer)ops[i].impls[k]);
}

static const InferImpl *const *
emu_impls(const char *op)
{
  static GHashTable *lists;
  GPtrArray *list;

  if (!lists)
    lists = g_hash_table_new(g_str_hash, g_str_equal);
  list = g_hash_table_lookup(lists, op);
  if (!list) {
    list = g_ptr_array_new();
    add_impls(list, infer_cuda_ops_ops, G_N_ELEMENTS(infer_cuda_ops_ops), op);
    add_impls(list, infer_cuda_ops_last, G_N_ELEMENTS(infer_cuda_ops_last), op);
    g_ptr_array_add(list, NULL);
    g_hash_table_insert(lists, g_strdup(op), list);
  }
  return (const InferImpl *const *)list->pdata;
}

static const InferBackend backend = {
    .abi = INFER_BACKEND_ABI,
    .name = "cuda",
    .host_memory = TRUE,
    .open = emu_open,
    .close = emu_close,
    .alloc = emu_alloc,
    .free = emu_free,
    .stream_new = emu_stream_new,
    .stream_free = emu_stream_free,
    .stream_run = emu_stream_run,
    .stream_sync = emu_stream_sync,
    .stream_mark = emu_stream_mark,
    .stream_elapsed = emu_stream_elapsed,
    .impls = emu_impls,
};

const InferBackend *
infer_backend_get(void)
{
  return &backend;
}
