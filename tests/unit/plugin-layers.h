/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/infer.h>

/* Layers of the test program: namespaces "test" and "other". */

/** Runs of implementations since the last reset, by what they are for. */
extern gint plugin_layers_runs;

/** Registers them; @newer registers version 2 of test.Scale in place of the others. */
void plugin_layers_register(gboolean newer);

/** An entry that registers a second test.Scale of version 1. */
extern const InferPluginEntry plugin_layers_again;
