/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <infer/types.h>

G_BEGIN_DECLS

#define INFER_ERROR infer_error_quark()

/**
 * InferError:
 * @INFER_ERROR_FAILED: anything else
 * @INFER_ERROR_ARGUMENT: a value given by the caller cannot be used
 * @INFER_ERROR_MODEL: a model file is damaged or contradicts itself
 * @INFER_ERROR_UNSUPPORTED: a model, operator or type that is not supported
 * @INFER_ERROR_SHAPE: shapes or types do not fit each other
 * @INFER_ERROR_PLAN: a plan file is damaged
 * @INFER_ERROR_VERSION: a plan was made by another version or for another device
 * @INFER_ERROR_DEVICE: a device is not there, or failed
 * @INFER_ERROR_MEMORY: not enough memory
 * @INFER_ERROR_STATE: a call that does not fit the object's state
 * @INFER_ERROR_VERIFY: a built plan does not compute what the reference computes
 *
 * Errors of libinfer. Messages name the file, layer or tensor, the value, and the cure.
 */
typedef enum {
  INFER_ERROR_FAILED,
  INFER_ERROR_ARGUMENT,
  INFER_ERROR_MODEL,
  INFER_ERROR_UNSUPPORTED,
  INFER_ERROR_SHAPE,
  INFER_ERROR_PLAN,
  INFER_ERROR_VERSION,
  INFER_ERROR_DEVICE,
  INFER_ERROR_MEMORY,
  INFER_ERROR_STATE,
  INFER_ERROR_VERIFY,
} InferError;

/**
 * infer_error_quark:
 *
 * Returns: the domain of the errors that are #InferError.
 */
INFER_API GQuark infer_error_quark(void);

G_END_DECLS
