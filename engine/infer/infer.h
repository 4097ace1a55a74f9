/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/types.h>
#include <infer/error.h>
#include <infer/array.h>
#include <infer/modelinfo.h>
#include <infer/frame.h>
#include <infer/network.h>
#include <infer/layers.h>
#include <infer/decoder.h>
#include <infer/engine.h>
#include <infer/builder.h>
#include <infer/context.h>
#include <infer/plugin.h>
#include <infer/refit.h>
