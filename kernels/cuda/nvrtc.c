/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "private.h"

#include <nvrtc.h>
#include <string.h>

static gboolean
check(nvrtcResult result, const char *what, GError **error)
{
  if (result == NVRTC_SUCCESS)
    return TRUE;
  g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE, "%s: %s", what, nvrtcGetErrorString(result));
  return FALSE;
}

char *
infer_cuda_nvrtc_arch(gint major, gint minor, GError **error)
{
  int n = 0, newest = 0, wanted = major * 10 + minor;
  g_autofree int *known = NULL;

  if (!check(nvrtcGetNumSupportedArchs(&n), "the compiler NVRTC cannot be asked", error))
    return NULL;
  known = g_new0(int, MAX(n, 1));
  if (!check(nvrtcGetSupportedArchs(known), "the compiler NVRTC cannot be asked", error))
    return NULL;
  for (int i = 0; i < n; i++) {
    /* From Hopper on there are instructions that only one architecture has. */
    if (known[i] == wanted)
      return g_strdup_printf("sm_%d%s", wanted, wanted >= 90 ? "a" : "");
    newest = MAX(newest, known[i]);
  }
  if (wanted > newest && newest > 0)
    return g_strdup_printf("compute_%d", newest);
  g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE,
              "the compiler NVRTC does not know compute capability %d.%d", major, minor);
  return NULL;
}

static GBytes *
cache_key(const char *source, const char *arch)
{
  GByteArray *key = g_byte_array_new();
  int version[2] = {0};

  nvrtcVersion(&version[0], &version[1]);
  g_byte_array_append(key, (const guint8 *)"nvrtc 1", 8);
  g_byte_array_append(key, (const guint8 *)version, sizeof version);
  g_byte_array_append(key, (const guint8 *)arch, (guint)strlen(arch) + 1);
  g_byte_array_append(key, (const guint8 *)source, (guint)strlen(source));
  return g_byte_array_free_to_bytes(key);
}

static void
set_log(nvrtcProgram program, nvrtcResult result, GError **error)
{
  g_autofree char *log = NULL;
  size_t size = 0;

  if (nvrtcGetProgramLogSize(program, &size) == NVRTC_SUCCESS && size > 1) {
    log = g_malloc0(size + 1);
    nvrtcGetProgramLog(program, log);
  }
  g_set_error(error, INFER_ERROR, INFER_ERROR_DEVICE, "a kernel cannot be compiled: %s\n%s",
              nvrtcGetErrorString(result), log ? log : "");
}

static GBytes *
get_code(nvrtcProgram program, gboolean ptx, GError **error)
{
  size_t size = 0;
  nvrtcResult result = ptx ? nvrtcGetPTXSize(program, &size) : nvrtcGetCUBINSize(program, &size);
  g_autofree char *code = result == NVRTC_SUCCESS ? g_malloc(size + 1) : NULL;

  if (code)
    result = ptx ? nvrtcGetPTX(program, code) : nvrtcGetCUBIN(program, code);
  if (!check(result, "a compiled kernel cannot be read", error))
    return NULL;
  return g_bytes_new_take(g_steal_pointer(&code), size);
}

static GBytes *
compile(const char *source, const char *arch, GError **error)
{
  g_autofree char *option = g_strdup_printf("--gpu-architecture=%s", arch);
  const char *const options[] = {option, "--std=c++17", "-default-device"};
  nvrtcProgram program;
  nvrtcResult result;
  GBytes *code = NULL;

  if (!check(nvrtcCreateProgram(&program, source, "kernel.cu", 0, NULL, NULL),
             "a kernel cannot be compiled", error))
    return NULL;
  result = nvrtcCompileProgram(program, G_N_ELEMENTS(options), options);
  if (result != NVRTC_SUCCESS)
    set_log(program, result, error);
  else
    code = get_code(program, g_str_has_prefix(arch, "compute_"), error);
  nvrtcDestroyProgram(&program);
  return code;
}

GBytes *
infer_cuda_nvrtc_compile(const char *source, const char *arch, GError **error)
{
  g_autoptr(GBytes) key = cache_key(source, arch);
  GBytes *code = infer_cuda_cache_load("cubin", key);

  if (code)
    return code;
  code = compile(source, arch, error);
  if (code)
    infer_cuda_cache_store("cubin", key, code);
  return code;
}
