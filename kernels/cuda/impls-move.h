/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "frames.h"
#include "impls.h"
#include "move.h"

/* What moves elements, by operator. */

#define LIST(NAME) static const InferImpl *const move_##NAME[] = {&infer_cuda_##NAME, NULL}

LIST(reformat);
LIST(transpose);
LIST(slice);
LIST(expand);
LIST(tile);
LIST(shuffle);
LIST(concat);
LIST(split);
LIST(pad);
LIST(gather);
LIST(scatter);
LIST(where);
LIST(onehot);
LIST(constantofshape);
LIST(cast);
LIST(boxdecode);
LIST(detectionnms);
LIST(topk);
LIST(roialign);
LIST(gridsample);
LIST(priorbox);

#undef LIST

static const InferCudaOp infer_cuda_ops_move[] = {
    {"infer.Reformat", move_reformat},
    {"Transpose", move_transpose},
    {"Slice", move_slice},
    {"Expand", move_expand},
    {"Tile", move_tile},
    {"DepthToSpace", move_shuffle},
    {"SpaceToDepth", move_shuffle},
    {"Concat", move_concat},
    {"Split", move_split},
    {"Pad", move_pad},
    {"Gather", move_gather},
    {"GatherElements", move_gather},
    {"GatherND", move_gather},
    {"ScatterElements", move_scatter},
    {"ScatterND", move_scatter},
    {"Where", move_where},
    {"OneHot", move_onehot},
    {"ConstantOfShape", move_constantofshape},
    {"Cast", move_cast},
    {"CastLike", move_cast},
    {"infer.BoxDecode", move_boxdecode},
    {"infer.DetectionNMS", move_detectionnms},
    {"TopK", move_topk},
    {"RoiAlign", move_roialign},
    {"GridSample", move_gridsample},
    {"infer.PriorBox", move_priorbox},
};
