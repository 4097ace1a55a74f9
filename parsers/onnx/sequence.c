/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

const OnnxRule onnx_rules_sequence[] = {
    {NULL, 0, NULL},
};
