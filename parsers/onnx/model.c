/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

/* The fields that are read, see onnx.proto. Graphs are in attributes of nodes of graphs. */
static const WireRule node_rules[];
#define KEEP(field) {(field), WIRE_KEEP, NULL, 0}
#define SUB(field, rules) {(field), WIRE_MESSAGE, (rules), 0}
#define END {0, WIRE_KEEP, NULL, 0}

static const WireRule entry_rules[] = {KEEP(1), KEEP(2), END};
static const WireRule tensor_rules[] = {
    KEEP(1),
    KEEP(2),
    KEEP(4),
    KEEP(5),
    KEEP(6),
    KEEP(7),
    KEEP(8),
    {9, WIRE_CUT, NULL, 1000},
    KEEP(10),
    KEEP(11),
    SUB(13, entry_rules),
    KEEP(14),
    END,
};
static const WireRule sparse_rules[] = {SUB(1, tensor_rules), SUB(2, tensor_rules), KEEP(3), END};
static const WireRule dim_rules[] = {KEEP(1), KEEP(2), END};
static const WireRule shape_rules[] = {SUB(1, dim_rules), END};
static const WireRule tensor_type_rules[] = {KEEP(1), SUB(2, shape_rules), END};
static const WireRule type_rules[] = {SUB(1, tensor_type_rules), KEEP(4), KEEP(5), KEEP(8),
                                      KEEP(9),                   END};
static const WireRule value_rules[] = {KEEP(1), SUB(2, type_rules), END};
static const WireRule graph_rules[] = {
    SUB(1, node_rules),   KEEP(2), SUB(5, tensor_rules), SUB(11, value_rules),
    SUB(12, value_rules), SUB(15, sparse_rules), END,
};
static const WireRule attr_rules[] = {
    KEEP(1), KEEP(2), KEEP(3),  KEEP(4),  SUB(5, tensor_rules),  SUB(6, graph_rules),
    KEEP(7), KEEP(8), KEEP(9),  KEEP(20), KEEP(21),              SUB(22, sparse_rules),
    END,
};
static const WireRule node_rules[] = {
    KEEP(1), KEEP(2), KEEP(3), KEEP(4), SUB(5, attr_rules), KEEP(7), KEEP(8), END,
};
