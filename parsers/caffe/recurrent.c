/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "import.h"

/* A sequence of Caffe's starts anew wherever its second bottom says so. */
static const char reason[] =
    "Caffe's recurrent layers, which start anew within a sequence, are not "
    "supported; export the net to ONNX";

const CaffeOp caffe_ops_recurrent[] = {
    {"LSTM", NULL, reason},
    {"RNN", NULL, reason},
    {NULL, NULL, NULL},
};
