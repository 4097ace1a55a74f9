/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "plugin-private.h"

#include <dlfcn.h>
#include <gmodule.h>
#include <string.h>
#include <sys/auxv.h>

/*
 * The registry only grows: libraries stay, and what points into them may be kept without a lock.
 * Libraries are loaded one at a time, under a lock that the same thread may take again, since a
 * library may load another one; the tables have a lock of their own, which no foreign code runs
 * under.
 */
static GRecMutex load_lock;
static GHashTable *entries; /* InferPluginEntry that were registered */
static gboolean searched;

static GMutex table_lock;
static GHashTable *by_key;  /* "namespace.Name@version" -> InferPlugin */
static GHashTable *newest;  /* "namespace.Name" -> InferPlugin */
static GPtrArray *all;      /* InferPlugin */
static GPtrArray *awaiting; /* Extra of layers that are not there yet */

typedef struct {
  char *key;
  char *id;
  const InferPluginImpl *impl;
} Extra;

struct _InferPluginRegistrar {
  const char *library;
  GPtrArray *creators; /* const InferPluginCreator */
  GPtrArray *extras;   /* Extra */
};

static char *
make_key(const char *id, guint version)
{
  return g_strdup_printf("%s@%u", id, version);
}

static char *
creator_id(const InferPluginCreator *creator)
{
  return g_strdup_printf("%s.%s", creator->name_space, creator->name);
}

static void
extra_free(gpointer data)
{
  Extra *extra = data;

  g_free(extra->key);
  g_free(extra->id);
  g_free(extra);
}

/* With the table's lock. */
static void
init_tables(void)
{
  if (by_key)
    return;
  by_key = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  newest = g_hash_table_new(g_str_hash, g_str_equal);
  all = g_ptr_array_new();
  awaiting = g_ptr_array_new_with_free_func(extra_free);
}

static const InferPlugin *
lookup(const char *id, guint version)
{
  g_autofree char *key = make_key(id, version);
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&table_lock);

  init_tables();
  return g_hash_table_lookup(version ? by_key : newest, version ? key : id);
}

/* --- registration --- */

/* With the table's lock. Who walks over the list of before goes on with it. */
static void
append_impl(InferPlugin *plugin, const InferPluginImpl *impl)
{
  gpointer *old = plugin->impls;
  guint n = 0;
  gpointer *list;
  InferPluginStep *step = g_new0(InferPluginStep, 1);

  infer_plugin_init_step(step, plugin->id, impl);
  for (; old && old[n]; n++) {
    const InferPluginStep *other = old[n];
    if (g_str_equal(other->impl.name, step->impl.name) &&
        g_str_equal(other->plugin->backend, impl->backend)) {
      g_warning("plugin '%s': its implementation '%s' is registered twice; the first one is used",
                plugin->id, step->impl.name);
      g_free(step->name);
      g_free(step);
      return;
    }
  }
  list = g_new0(gpointer, n + 2);
  if (n)
    memcpy(list, old, n * sizeof *list);
  list[n] = step;
  g_atomic_pointer_set(&plugin->impls, list);
}

/* With the table's lock. */
static void
add_plugin(const InferPluginCreator *creator, const char *library)
{
  InferPlugin *plugin = g_new0(InferPlugin, 1), *other;

  plugin->creator = creator;
  plugin->id = creator_id(creator);
  plugin->library = g_strdup(library);
  plugin->fallbacks = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, NULL);
  for (const InferPluginField *field = creator->fields; field && field->name; field++) {
    GVariant *value = infer_plugin_parse_fallback(field, NULL);
    if (value)
      g_hash_table_insert(plugin->fallbacks, (gpointer)field->name, g_variant_ref_sink(value));
  }
  infer_plugin_init_op(plugin);
  for (const InferPluginImpl *impl = creator->impls; impl && impl->backend; impl++)
    append_impl(plugin, impl);
  g_hash_table_insert(by_key, make_key(plugin->id, creator->version), plugin);
  other = g_hash_table_lookup(newest, plugin->id);
  if (!other || other->op.version < creator->version)
    g_hash_table_replace(newest, plugin->id, plugin);
  g_ptr_array_add(all, plugin);
}

/* With the table's lock: gives layers what was registered for them before they were. */
static void
settle_extras(void)
{
  for (guint i = 0; i < awaiting->len;) {
    const Extra *extra = awaiting->pdata[i];
    InferPlugin *plugin = g_hash_table_lookup(by_key, extra->key);

    if (!plugin) {
      i++;
      continue;
    }
    append_impl(plugin, extra->impl);
    g_ptr_array_remove_index(awaiting, i);
  }
}

gboolean
infer_plugin_register_creator(InferPluginRegistrar *registrar, const InferPluginCreator *creator,
                              GError **error)
{
  g_autofree char *id = creator_id(creator);
  const InferPlugin *plugin;

  if (!infer_plugin_check_creator(creator, error)) {
    g_prefix_error(error, "plugin '%s' of '%s': ", id, registrar->library);
    return FALSE;
  }
  plugin = lookup(id, creator->version);
  for (guint i = 0; i < registrar->creators->len; i++) {
    const InferPluginCreator *other = registrar->creators->pdata[i];
    g_autofree char *other_id = creator_id(other);

    if (!plugin && (!g_str_equal(id, other_id) || other->version != creator->version))
      continue;
    if (!plugin) {
      g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                  "plugin '%s' of version %u is registered twice by '%s'", id, creator->version,
                  registrar->library);
      return FALSE;
    }
  }
  if (plugin) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "plugin '%s' of version %u is registered by '%s' already; '%s' has to give it "
                "another name, namespace or version",
                id, creator->version, plugin->library, registrar->library);
    return FALSE;
  }
  g_ptr_array_add(registrar->creators, (gpointer)creator);
  return TRUE;
}

gboolean
infer_plugin_register_impl(InferPluginRegistrar *registrar, const char *id, guint version,
                           const InferPluginImpl *impl, GError **error)
{
  Extra *extra;

  if (!infer_plugin_is_id(id) || version == 0) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "'%s' of version %u cannot be a plugin; write namespace.Name", id, version);
    return FALSE;
  }
  if (!infer_plugin_check_impl(impl, error)) {
    g_prefix_error(error, "plugin '%s' of '%s': ", id, registrar->library);
    return FALSE;
  }
  extra = g_new0(Extra, 1);
  extra->id = g_strdup(id);
  extra->key = make_key(id, version);
  extra->impl = impl;
  g_ptr_array_add(registrar->extras, extra);
  return TRUE;
}

/* With the lock of loading. All that a library registers, or nothing. */
static gboolean
run_entry(const InferPluginEntry *entry, const char *library, GError **error)
{
  InferPluginRegistrar registrar = {.library = library};
  g_autoptr(GError) reason = NULL;
  gboolean ok;

  registrar.creators = g_ptr_array_new();
  registrar.extras = g_ptr_array_new_with_free_func(extra_free);
  ok = entry->init(&registrar, &reason);
  if (reason || !ok) {
    ok = FALSE;
    g_set_error(error, INFER_ERROR, reason ? reason->code : INFER_ERROR_FAILED,
                "plugin library '%s' cannot be registered: %s", library,
                reason ? reason->message : "it does not say why");
  } else {
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&table_lock);

    init_tables();
    for (guint i = 0; i < registrar.creators->len; i++)
      add_plugin(registrar.creators->pdata[i], library);
    g_ptr_array_extend_and_steal(awaiting, g_steal_pointer(&registrar.extras));
    settle_extras();
    g_hash_table_add(entries, (gpointer)entry);
  }
  g_ptr_array_unref(registrar.creators);
  g_clear_pointer(&registrar.extras, g_ptr_array_unref);
  return ok;
}

static gboolean
register_entry(const InferPluginEntry *entry, const char *library, GError **error)
{
  gboolean ok = TRUE;

  if (entry->abi != INFER_PLUGIN_ABI) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_VERSION,
                "plugin library '%s' was made for interface %u of the engine, this is %u; compile "
                "it against this version (" INFER_VERSION ")",
                library, entry->abi, INFER_PLUGIN_ABI);
    return FALSE;
  }
  if (!entry->name || !entry->init) {
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "plugin library '%s' has no name or no init()", library);
    return FALSE;
  }
  g_rec_mutex_lock(&load_lock);
  if (!entries)
    entries = g_hash_table_new(NULL, NULL);
  if (!g_hash_table_contains(entries, entry))
    ok = run_entry(entry, library, error);
  g_rec_mutex_unlock(&load_lock);
  return ok;
}

gboolean
infer_plugin_register(const InferPluginEntry *entry, GError **error)
{
  return register_entry(entry, entry->abi == INFER_PLUGIN_ABI && entry->name ? entry->name : "?",
                        error);
}

/* --- libraries --- */

gboolean
infer_plugin_load(const char *path, GError **error)
{
  g_autofree char *full =
      g_file_test(path, G_FILE_TEST_EXISTS) ? g_canonicalize_filename(path, NULL) : g_strdup(path);
  g_autofree char *shown = g_filename_display_name(full);
  GModule *module;
  gpointer symbol = NULL;
  gboolean ok;

  g_rec_mutex_lock(&load_lock);
  /* Not lazily: a symbol that is missing is to show now, not when a network runs. */
  module = g_module_open(full, G_MODULE_BIND_LOCAL);
  ok = module && g_module_symbol(module, "infer_plugin_entry", &symbol) && symbol;
  if (!module)
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "plugin library '%s' cannot be loaded: %s", shown, g_module_error());
  else if (!ok)
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "'%s' is no plugin library: it exports no infer_plugin_entry (see "
                "INFER_PLUGIN_DEFINE)",
                shown);
  if (ok) {
    /* Layers point into it, and threads of its own may be running. */
    g_module_make_resident(module);
    ok = register_entry(symbol, shown, error);
  }
  if (module)
    g_module_close(module);
  g_rec_mutex_unlock(&load_lock);
  return ok;
}

static gint
by_name(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
load_directory(const char *directory)
{
  g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
  g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
  const char *name;

  while (dir && (name = g_dir_read_name(dir)) != NULL)
    if (g_str_has_suffix(name, ".so"))
      g_ptr_array_add(files, g_build_filename(directory, name, NULL));
  g_ptr_array_sort(files, by_name);
  for (guint i = 0; i < files->len; i++) {
    g_autoptr(GError) error = NULL;

    if (!infer_plugin_load(files->pdata[i], &error))
      g_warning("%s", error->message);
  }
}

static void
load_search_path(void)
{
  /* A process with raised rights does not run code that its caller names. */
  const char *variable = getauxval(AT_SECURE) ? NULL : g_getenv("INFER_PLUGIN_PATH");
  g_auto(GStrv) parts = g_strsplit(variable ? variable : "", G_SEARCHPATH_SEPARATOR_S, -1);
  g_autofree char *own = NULL;
  Dl_info info;

  for (guint i = 0; parts[i]; i++)
    if (*parts[i])
      load_directory(parts[i]);
  if (dladdr((const void *)load_search_path, &info) && info.dli_fname) {
    g_autofree char *folder = g_path_get_dirname(info.dli_fname);
    own = g_build_filename(folder, "infer-1.0", "plugins", NULL);
    load_directory(own);
  }
  if (g_strcmp0(own, INFER_BACKEND_DIR "/plugins") != 0)
    load_directory(INFER_BACKEND_DIR "/plugins");
}

void
infer_plugin_load_all(void)
{
  g_rec_mutex_lock(&load_lock);
  if (!searched) {
    searched = TRUE;
    load_search_path();
  }
  g_rec_mutex_unlock(&load_lock);
}

/* --- looking for layers --- */

static const InferPlugin *
find_loading(const char *id, guint version)
{
  const InferPlugin *plugin = lookup(id, version);

  if (plugin)
    return plugin;
  infer_plugin_load_all();
  return lookup(id, version);
}

const InferOp *
infer_plugin_op(const char *name)
{
  const char *at = strchr(name, '@');
  g_autofree char *id = at ? g_strndup(name, (gsize)(at - name)) : g_strdup(name);
  const InferPlugin *plugin;
  guint64 version = 0;

  if (!infer_plugin_is_id(id) ||
      (at && !g_ascii_string_to_unsigned(at + 1, 10, 1, G_MAXUINT, &version, NULL)))
    return NULL;
  plugin = find_loading(id, (guint)version);
  return plugin ? &plugin->op : NULL;
}

/* The layers that are meant by a name, with its namespace or without. */
static GPtrArray *
find_named(const char *name)
{
  g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&table_lock);
  GPtrArray *found = g_ptr_array_new();

  init_tables();
  for (guint i = 0; i < all->len; i++) {
    const InferPlugin *plugin = all->pdata[i];
    if (g_str_equal(plugin->id, name) || g_str_equal(plugin->creator->name, name))
      g_ptr_array_add(found, (gpointer)plugin);
  }
  return found;
}

char *
infer_plugin_unknown(const char *id, guint version)
{
  g_autoptr(GPtrArray) found = find_named(id);
  g_autofree char *wanted = version ? g_strdup_printf(" of version %u", version) : g_strdup("");
  g_autoptr(GString) text = g_string_new(NULL);

  g_string_append_printf(text, "the plugin '%s'%s is not registered", id, wanted);
  for (guint i = 0; i < found->len; i++) {
    const InferPlugin *plugin = found->pdata[i];
    g_string_append_printf(text, "%s version %u%s%s%s", i ? "," : ", there is", plugin->op.version,
                           " (", plugin->library, ")");
  }
  g_string_append(text, "; load its library with --plugins=LIBRARY, the property 'plugins' or "
                        "infer_plugin_load(), or put it into a directory that INFER_PLUGIN_PATH "
                        "names");
  return g_string_free(g_steal_pointer(&text), FALSE);
}

/* Reports when a name without a namespace means more than one layer. */
static gboolean
check_unique(const GPtrArray *found, const char *name, GError **error)
{
  for (guint i = 1; i < found->len; i++) {
    const InferPlugin *one = found->pdata[0], *other = found->pdata[i];

    if (g_str_equal(one->id, other->id))
      continue;
    g_set_error(error, INFER_ERROR, INFER_ERROR_ARGUMENT,
                "'%s' is the name of the plugins '%s' and '%s'; write the namespace too", name,
                one->id, other->id);
    return FALSE;
  }
  return TRUE;
}

static const InferPlugin *
resolve(const char *name, guint version, GError **error)
{
  const InferPlugin *plugin = infer_plugin_is_id(name) ? find_loading(name, version) : NULL;
  g_autoptr(GPtrArray) found = NULL;
  g_autofree char *text = NULL;

  if (plugin)
    return plugin;
  infer_plugin_load_all();
  found = find_named(name);
  if (!check_unique(found, name, error))
    return NULL;
  if (found->len)
    plugin = lookup(((const InferPlugin *)found->pdata[0])->id, version);
  if (plugin)
    return plugin;
  text = infer_plugin_unknown(name, version);
  g_set_error_literal(error, INFER_ERROR,
                      found->len ? INFER_ERROR_VERSION : INFER_ERROR_UNSUPPORTED, text);
  return NULL;
}

InferNode *
infer_network_add_plugin(InferNetwork *network, const char *plugin_name, guint version,
                         const char *name, InferTensor *const *inputs, guint n_inputs,
                         GVariant *fields, guint n_outputs, GError **error)
{
  g_autoptr(GVariant) owned = fields ? g_variant_ref_sink(fields) : NULL;
  const InferPlugin *plugin = resolve(plugin_name, version, error);
  g_autofree char *key = NULL;

  if (!plugin) {
    g_prefix_error(error, "node '%s': ", name ? name : plugin_name);
    return NULL;
  }
  key = make_key(plugin->id, plugin->op.version);
  return infer_network_add_node(network, key, name, inputs, n_inputs, owned,
                                n_outputs ? n_outputs : plugin->op.min_outputs, error);
}

/* --- what is told of them --- */

G_DEFINE_BOXED_TYPE(InferPluginInfo, infer_plugin_info, infer_plugin_info_copy,
                    infer_plugin_info_free)

InferPluginInfo *
infer_plugin_info_copy(const InferPluginInfo *info)
{
  InferPluginInfo *copy = g_memdup2(info, sizeof *info);

  copy->id = g_strdup(info->id);
  copy->name_space = g_strdup(info->name_space);
  copy->name = g_strdup(info->name);
  copy->description = g_strdup(info->description);
  copy->library = g_strdup(info->library);
  copy->backends = g_strdupv(info->backends);
  return copy;
}

void
infer_plugin_info_free(InferPluginInfo *info)
{
  g_free(info->id);
  g_free(info->name_space);
  g_free(info->name);
  g_free(info->description);
  g_free(info->library);
  g_strfreev(info->backends);
  g_free(info);
}

static InferPluginInfo *
info_new(const InferPlugin *plugin)
{
  InferPluginInfo *info = g_new0(InferPluginInfo, 1);
  g_autoptr(GStrvBuilder) backends = g_strv_builder_new();
  const InferPluginStep *const *list = infer_plugin_impls(plugin);

  info->id = g_strdup(plugin->id);
  info->name_space = g_strdup(plugin->creator->name_space);
  info->name = g_strdup(plugin->creator->name);
  info->version = plugin->op.version;
  info->description = g_strdup(plugin->creator->description);
  info->library = g_strdup(plugin->library);
  info->fields = plugin->creator->fields;
  for (; *list; list++)
    g_strv_builder_add(backends, (*list)->plugin->backend);
  if (plugin->creator->eval)
    g_strv_builder_add(backends, "reference");
  info->backends = g_strv_builder_end(backends);
  return info;
}

GVariant *
infer_plugin_info_get_fields(const InferPluginInfo *info)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE("a(ssbss)"));
  for (const InferPluginField *field = info->fields; field && field->name; field++)
    g_variant_builder_add(&builder, "(ssbss)", field->name, (char[]){field->kind, 0},
                          field->required, field->fallback ? field->fallback : "",
                          field->description ? field->description : "");
  return g_variant_ref_sink(g_variant_builder_end(&builder));
}

InferPluginInfo *
infer_plugin_find(const char *name, guint version, GError **error)
{
  const InferPlugin *plugin = resolve(name, version, error);

  return plugin ? info_new(plugin) : NULL;
}

static gint
by_id(gconstpointer a, gconstpointer b)
{
  const InferPluginInfo *one = *(InferPluginInfo *const *)a, *other = *(InferPluginInfo *const *)b;
  gint order = strcmp(one->id, other->id);

  return order ? order : (one->version > other->version) - (one->version < other->version);
}

GPtrArray *
infer_plugin_list(void)
{
  GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)infer_plugin_info_free);

  infer_plugin_load_all();
  g_mutex_lock(&table_lock);
  init_tables();
  for (guint i = 0; i < all->len; i++)
    g_ptr_array_add(list, info_new(all->pdata[i]));
  g_mutex_unlock(&table_lock);
  g_ptr_array_sort(list, by_id);
  return list;
}
