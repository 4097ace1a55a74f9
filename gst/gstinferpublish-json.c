/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstinferpublish-json.h"

#include <errno.h>
#include <fcntl.h>
#include <json-glib/json-glib.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Written by hand rather than through a tree of nodes: a line a frame must not cost hundreds of
 * allocations, and json-glib writes 0.1 as 0.10000000000000001. */

static void
append_string(GString *text, const gchar *string)
{
  const gchar *end = NULL;

  g_string_append_c(text, '"');
  while (*string != '\0') {
    g_utf8_validate(string, -1, &end);
    for (; string < end; string++) {
      const guchar c = (guchar)*string;
      if (c == '"' || c == '\\')
        g_string_append_c(text, '\\');
      if (c == '\n')
        g_string_append(text, "\\n");
      else if (c == '\t')
        g_string_append(text, "\\t");
      else if (c < 0x20 || c == 0x7f)
        g_string_append_printf(text, "\\u%04x", c);
      else
        g_string_append_c(text, *string);
    }
    if (*string != '\0') {
      g_string_append(text, "\uFFFD");
      string++;
    }
  }
  g_string_append_c(text, '"');
}

static void
append_key(GString *text, const gchar *key)
{
  if (text->len > 0 && text->str[text->len - 1] != '{' && text->str[text->len - 1] != '[')
    g_string_append_c(text, ',');
  append_string(text, key);
  g_string_append_c(text, ':');
}

static void
append_text(GString *text, const gchar *key, const gchar *value)
{
  append_key(text, key);
  append_string(text, value);
}

static void
append_integer(GString *text, const gchar *key, gint64 value)
{
  append_key(text, key);
  g_string_append_printf(text, "%" G_GINT64_FORMAT, value);
}

static void
append_unsigned(GString *text, const gchar *key, guint64 value)
{
  append_key(text, key);
  g_string_append_printf(text, "%" G_GUINT64_FORMAT, value);
}

/* As many digits as a float has, and a point, so that readers with types see no integer. */
static void
append_double(GString *text, const gchar *key, gdouble value)
{
  gchar number[G_ASCII_DTOSTR_BUF_SIZE];

  append_key(text, key);
  g_ascii_formatd(number, sizeof number, "%.7g", isfinite(value) ? value : 0);
  g_string_append(text, number);
  if (strpbrk(number, ".e") == NULL)
    g_string_append(text, ".0");
}

static void
append_detection(GString *text, const GstInferObject *object, gint width, gint height)
{
  append_key(text, "detection");
  g_string_append_c(text, '{');
  /* A region that another element marked without a score has none. */
  if (object->confidence > 0 || object->label_id >= 0)
    append_double(text, "confidence", object->confidence);
  if (object->label != 0)
    append_text(text, "label", g_quark_to_string(object->label));
  if (object->label_id >= 0)
    append_integer(text, "label_id", object->label_id);
  if (width > 0 && height > 0) {
    append_key(text, "bounding_box");
    g_string_append_c(text, '{');
    append_double(text, "x_min", CLAMP(object->x / width, 0, 1));
    append_double(text, "y_min", CLAMP(object->y / height, 0, 1));
    append_double(text, "x_max", CLAMP((object->x + object->w) / width, 0, 1));
    append_double(text, "y_max", CLAMP((object->y + object->h) / height, 0, 1));
    g_string_append_c(text, '}');
  }
  g_string_append_c(text, '}');
}

static const gchar *
attribute_name(const GstStructure *param)
{
  const gchar *name = gst_structure_get_string(param, "attribute_name");
  return name != NULL && *name != '\0' ? name : gst_structure_get_name(param);
}

/* Whether @name is a member of the object already; a JSON object has each name once. */
static gboolean
is_taken(const GList *params, const GList *until, const gchar *name)
{
  static const gchar *const own[] = {"x",  "y",        "w",         "h", "region_id",
                                     "id", "roi_type", "parent_id", NULL};

  if (g_strv_contains(own, name) || g_str_equal(name, "detection"))
    return TRUE;
  for (const GList *l = params; l != until; l = l->next)
    if (gst_structure_has_field(l->data, "label") && g_str_equal(attribute_name(l->data), name))
      return TRUE;
  return FALSE;
}

static void
append_classifications(GString *text, const GList *params)
{
  for (const GList *l = params; l != NULL; l = l->next) {
    const GstStructure *param = l->data;
    const gchar *label = gst_structure_get_string(param, "label");
    const gchar *model = gst_structure_get_string(param, "model_name");
    gint label_id;
    gdouble confidence;

    if (label == NULL || is_taken(params, l, attribute_name(param)))
      continue;
    append_key(text, attribute_name(param));
    g_string_append_c(text, '{');
    append_text(text, "label", label);
    if (gst_structure_get_int(param, "label_id", &label_id))
      append_integer(text, "label_id", label_id);
    if (gst_structure_get_double(param, "confidence", &confidence))
      append_double(text, "confidence", confidence);
    if (model != NULL) {
      append_key(text, "model");
      g_string_append_c(text, '{');
      append_text(text, "name", model);
      g_string_append_c(text, '}');
    }
    g_string_append_c(text, '}');
  }
}

/* A rectangle in whole pixels, rounded by its edges so that neighbours stay neighbours. */
static void
append_rectangle(GString *text, const GstInferObject *object)
{
  const gint64 x = llround(object->x), y = llround(object->y);

  append_integer(text, "x", x);
  append_integer(text, "y", y);
  append_integer(text, "w", MAX(llround(object->x + object->w) - x, 1));
  append_integer(text, "h", MAX(llround(object->y + object->h) - y, 1));
}

static void
append_object(GString *text, const GstInferObject *object, gint width, gint height)
{
  g_string_append_c(text, '{');
  append_rectangle(text, object);
  append_integer(text, "region_id", object->id);
  if (object->parent_id >= 0)
    append_integer(text, "parent_id", object->parent_id);
  if (object->has_object_id)
    append_unsigned(text, "id", object->object_id);
  append_text(text, "roi_type", object->label ? g_quark_to_string(object->label) : "object");
  append_detection(text, object, width, height);
  append_classifications(text, object->params);
  g_string_append_c(text, '}');
}

void
gst_infer_json_append_frame(GString *text, const GstInferJsonFrame *frame)
{
  g_string_append_c(text, '{');
  if (GST_CLOCK_TIME_IS_VALID(frame->timestamp))
    append_unsigned(text, "timestamp", frame->timestamp);
  append_unsigned(text, "frame", frame->frame);
  if (frame->stream != NULL)
    append_text(text, "stream", frame->stream);
  if (frame->source != NULL)
    append_text(text, "source", frame->source);
  if (frame->width > 0 && frame->height > 0) {
    append_key(text, "resolution");
    g_string_append_c(text, '{');
    append_integer(text, "width", frame->width);
    append_integer(text, "height", frame->height);
    g_string_append_c(text, '}');
  }
  if (frame->tags != NULL) {
    append_key(text, "tags");
    g_string_append(text, frame->tags);
  }
  if (frame->carried) {
    append_key(text, "carried");
    g_string_append(text, "true");
  }
  append_key(text, "objects");
  g_string_append_c(text, '[');
  for (guint i = 0; i < frame->objects->len; i++) {
    if (i > 0)
      g_string_append_c(text, ',');
    append_object(text, &g_array_index(frame->objects, GstInferObject, i), frame->width,
                  frame->height);
  }
  g_string_append(text, "]}\n");
}

gchar *
gst_infer_json_normalise(const gchar *json, GError **error)
{
  g_autoptr(JsonNode) node = json_from_string(json, error);

  if (node == NULL) {
    if (error != NULL && *error == NULL)
      g_set_error(error, JSON_PARSER_ERROR, JSON_PARSER_ERROR_PARSE, "the text is empty");
    return NULL;
  }
  return json_to_string(node, FALSE);
}

struct _GstInferWriter {
  guint users; /* under registry_lock */
  GMutex lock;
  GCond free;
  gboolean busy; /* one writes a line; under lock */
  gchar *path;   /* as given, for messages */
  dev_t device;
  ino_t inode;
  int fd;
  gboolean is_regular;
};

static GMutex registry_lock;
static GList *registry; /* of GstInferWriter */

static gboolean
fail(GError **error, const gchar *path, const gchar *what, int code)
{
  g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(code), "%s %s: %s", path, what,
              g_strerror(code));
  return FALSE;
}

static GstInferWriter *
find_writer(const struct stat *st)
{
  for (GList *l = registry; l != NULL; l = l->next) {
    GstInferWriter *writer = l->data;
    if (writer->device == st->st_dev && writer->inode == st->st_ino)
      return writer;
  }
  return NULL;
}

/* A line that was cut off by a crash stays a line of its own. */
static gboolean
ends_with_line(const gchar *path, off_t size)
{
  gchar last = '\n';
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

  if (fd >= 0) {
    if (size > 0 && pread(fd, &last, 1, size - 1) != 1)
      last = '\n';
    close(fd);
  }
  return last == '\n';
}

static gboolean
begin_file(int fd, const gchar *path, gboolean append, off_t size, GError **error)
{
  if (!append)
    return ftruncate(fd, 0) == 0 || fail(error, path, "cannot be emptied", errno);
  if (!ends_with_line(path, size) && write(fd, "\n", 1) != 1)
    return fail(error, path, "cannot be written", errno);
  return TRUE;
}

/* Which file it is decides what is shared: two spellings of a path are one destination. */
static GstInferWriter *
open_locked(const gchar *path, gboolean append, GError **error)
{
  const gchar *name = path != NULL ? path : "the standard output";
  const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  int fd = path != NULL ? open(path, flags, 0666) : fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  struct stat st;

  if (fd < 0 || fstat(fd, &st) != 0) {
    fail(error, name,
         errno == ENXIO ? "cannot be opened for writing, nobody reads from it"
                        : "cannot be opened for writing",
         errno);
    if (fd >= 0)
      close(fd);
    return NULL;
  }
  GstInferWriter *writer = find_writer(&st);
  if (writer != NULL) {
    close(fd);
    writer->users++;
    return writer;
  }
  if (path != NULL && S_ISREG(st.st_mode) && !begin_file(fd, path, append, st.st_size, error)) {
    close(fd);
    return NULL;
  }
  writer = g_new0(GstInferWriter, 1);
  writer->users = 1;
  g_mutex_init(&writer->lock);
  g_cond_init(&writer->free);
  writer->path = g_strdup(name);
  writer->device = st.st_dev;
  writer->inode = st.st_ino;
  writer->fd = fd;
  writer->is_regular = S_ISREG(st.st_mode);
  registry = g_list_prepend(registry, writer);
  return writer;
}

GstInferWriter *
gst_infer_writer_open(const gchar *path, gboolean append, GError **error)
{
  g_mutex_lock(&registry_lock);
  GstInferWriter *writer = open_locked(path, append, error);
  g_mutex_unlock(&registry_lock);
  return writer;
}

void
gst_infer_writer_close(GstInferWriter *writer)
{
  g_mutex_lock(&registry_lock);
  if (--writer->users == 0) {
    registry = g_list_remove(registry, writer);
    close(writer->fd);
    g_mutex_clear(&writer->lock);
    g_cond_clear(&writer->free);
    g_free(writer->path);
    g_free(writer);
  }
  g_mutex_unlock(&registry_lock);
}

/* write() that reports a pipe without a reader as EPIPE and never as a signal. */
static ssize_t
write_quietly(int fd, const gchar *data, gsize length)
{
  static const struct timespec now = {0, 0};
  sigset_t pipe_signal, old, pending;

  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, &old);
  const ssize_t n = write(fd, data, length);
  const int code = errno;
  if (n < 0 && code == EPIPE && !sigismember(&pending, SIGPIPE))
    while (sigtimedwait(&pipe_signal, NULL, &now) < 0 && errno == EINTR)
      ;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  errno = code;
  return n;
}

/* Waits until a pipe takes PIPE_BUF bytes, which a write then does not block on. */
static gboolean
wait_writable(int fd, const gint *cancel)
{
  struct pollfd wait = {.fd = fd, .events = POLLOUT};

  while (poll(&wait, 1, 100) <= 0)
    if (g_atomic_int_get(cancel))
      return FALSE;
  return TRUE;
}

/* Writes it all; 0, or the number of the error with the bytes that went out in @done. */
static int
write_all(const GstInferWriter *writer, const gchar *line, gsize length, const gint *cancel,
          gsize *done)
{
  while (*done < length) {
    gsize part = length - *done;
    if (!writer->is_regular) {
      part = MIN(part, PIPE_BUF);
      if (!wait_writable(writer->fd, cancel))
        return ECANCELED;
    }
    const ssize_t n = write_quietly(writer->fd, line + *done, part);
    if (n >= 0)
      *done += (gsize)n;
    else if (errno != EINTR && errno != EAGAIN)
      return errno;
  }
  return 0;
}

static gboolean
write_line(GstInferWriter *writer, const gchar *line, gsize length, const gint *cancel,
           GError **error)
{
  gsize done = 0;
  const int code = write_all(writer, line, length, cancel, &done);

  if (code == 0 || code == ECANCELED)
    return TRUE;
  if (done > 0 && writer->is_regular) {
    struct stat st;
    if (fstat(writer->fd, &st) != 0 || st.st_size < (off_t)done ||
        ftruncate(writer->fd, st.st_size - (off_t)done) != 0)
      GST_WARNING("a partial line is left at the end of %s", writer->path);
  }
  return fail(error, writer->path, "cannot be written", code);
}

/* Takes the writer for one line; FALSE when stopped meanwhile. No mutex is held while writing: an
 * element that waits for its turn behind a stuck pipe can be stopped too. */
static gboolean
take_turn(GstInferWriter *writer, const gint *cancel)
{
  gboolean stopped = FALSE;

  g_mutex_lock(&writer->lock);
  while (writer->busy && !(stopped = g_atomic_int_get(cancel) != 0))
    g_cond_wait_until(&writer->free, &writer->lock,
                      g_get_monotonic_time() + 100 * G_TIME_SPAN_MILLISECOND);
  if (!stopped)
    writer->busy = TRUE;
  g_mutex_unlock(&writer->lock);
  return !stopped;
}

gboolean
gst_infer_writer_write(GstInferWriter *writer, const gchar *line, gsize length, const gint *cancel,
                       GError **error)
{
  if (!take_turn(writer, cancel))
    return TRUE;
  const gboolean ok = write_line(writer, line, length, cancel, error);
  g_mutex_lock(&writer->lock);
  writer->busy = FALSE;
  g_cond_signal(&writer->free);
  g_mutex_unlock(&writer->lock);
  return ok;
}
