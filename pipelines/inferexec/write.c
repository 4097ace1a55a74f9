/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inferexec.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <stdio.h>

/* Pipes, devices and links such as /dev/stdout would be lost if they were replaced. */
static gboolean
write_through(const char *path, const char *data, gsize size, GError **error)
{
  FILE *file = g_fopen(path, "w");
  gboolean written = file != NULL && fwrite(data, 1, size, file) == size;
  int code = errno;
  if (file != NULL && fclose(file) != 0 && written) {
    written = FALSE;
    code = errno;
  }
  if (!written)
    g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "%s cannot be written: %s", path,
                g_strerror(code));
  return written;
}

gboolean
exec_write_file(const char *path, const char *data, gsize size, GError **error)
{
  GStatBuf info;
  if (g_lstat(path, &info) == 0 && !S_ISREG(info.st_mode))
    return write_through(path, data, size, error);
  if (size > G_MAXSSIZE) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_FAILED, "%s: too much to write", path);
    return FALSE;
  }
  return g_file_set_contents(path, data, size, error);
}
