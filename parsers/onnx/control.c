/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

const OnnxRule onnx_rules_control[] = {
    {NULL, 0, NULL},
};
