# SPDX-License-Identifier: LGPL-2.1-or-later
"""Single operators of TensorFlow for tensorflow.py: name -> (function, inputs)."""
import numpy as np
import tensorflow as tf

raw = tf.raw_ops
IMAGE = (2, 9, 11, 6)
V1 = tf.compat.v1


def rand(*shape, low=-2.0, high=2.0, seed=5):
    return np.random.default_rng(seed).uniform(low, high, shape).astype(np.float32)


def ints(*shape, low=0, high=9, seed=5, dtype=np.int32):
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def const(*shape, seed=11):
    return tf.constant(rand(*shape, low=-1, high=1, seed=seed))


def pointwise():
    x, y = rand(3, 4, 5), rand(4, 5, seed=6)
    positive, unit = rand(3, 4, 5, low=0.1, high=3), rand(3, 4, 5, low=-0.95, high=0.95)
    cases = {}
    for name in ("Relu Relu6 Elu Selu Sigmoid Tanh Softplus Softsign Exp Expm1 Sin Cos Tan Sinh "
                 "Cosh Atan Asinh Neg Abs Floor Ceil Round Rint Sign Erf Erfc Square IsNan IsInf IsFinite Inv "
                 "Reciprocal Softmax LogSoftmax ZerosLike OnesLike Ndtri").split():
        if name in ("Ndtri", "IsNan", "IsInf", "IsFinite"):
            if name == "Ndtri":
                continue
            cases[name] = (lambda x, op=getattr(raw, name): tf.cast(op(x=x), tf.float32), {"x": x})
            continue
        key = {"Relu": "features", "Relu6": "features", "Elu": "features", "Selu": "features",
               "Softplus": "features", "Softsign": "features", "Softmax": "logits",
               "LogSoftmax": "logits"}.get(name, "x")
        cases[name] = (lambda x, op=getattr(raw, name), key=key: op(**{key: x}), {"x": x})
    for name in "Log Log1p Sqrt Rsqrt Digamma Lgamma".split()[:4]:
        cases[name] = (lambda x, op=getattr(raw, name): op(x=x), {"x": positive})
    for name in "Asin Acos Atanh".split():
        cases[name] = (lambda x, op=getattr(raw, name): op(x=x), {"x": unit})
    cases["Acosh"] = (lambda x: raw.Acosh(x=x), {"x": positive + 1})
    cases["LeakyRelu"] = (lambda x: tf.nn.leaky_relu(x, 0.3), {"x": x})
    for name in ("Add AddV2 Sub Mul RealDiv Div FloorDiv FloorMod TruncateMod Mod Maximum Minimum "
                 "SquaredDifference Atan2 DivNoNan MulNoNan Xdivy").split():
        cases[name] = (lambda x, y, op=getattr(raw, name): op(x=x, y=y), {"x": x, "y": y})
    cases["Pow"] = (lambda x, y: tf.pow(x, y), {"x": positive, "y": y})
    cases["Xlogy"] = (lambda x, y: raw.Xlogy(x=x, y=y), {"x": x, "y": np.abs(y) + 0.1})
    for name in "FloorDiv FloorMod TruncateDiv TruncateMod Mod BitwiseAnd BitwiseOr BitwiseXor".split():
        cases[name + "/int"] = (lambda x, y, op=getattr(raw, name): op(x=x, y=y),
                                {"x": ints(3, 4, low=-9), "y": ints(4, low=1, seed=8)})
    for name in "Greater GreaterEqual Less LessEqual Equal NotEqual".split():
        cases[name] = (lambda x, y, op=getattr(raw, name): tf.cast(op(x=x, y=y), tf.int32),
                       {"x": ints(3, 4), "y": ints(4, seed=7)})
    cases["LogicalAnd"] = (lambda x, y: tf.cast(tf.logical_and(x > 0, tf.logical_not(y > 0)),
                                                tf.int32), {"x": x, "y": y})
    cases["LogicalOr"] = (lambda x, y: tf.cast(tf.math.logical_xor(x > 0, tf.logical_or(y > 0, y < -1)),
                                               tf.int32), {"x": x, "y": y})
    cases["Select"] = (lambda x, y: raw.Select(condition=x[:, 0] > 0, x=x, y=y),
                       {"x": rand(4, 5), "y": y})
    cases["SelectV2"] = (lambda x, y: tf.where(x > 0, x, y), {"x": x, "y": y})
    cases["Where"] = (lambda x: tf.where(x > 0), {"x": x})
    cases["ClipByValue"] = (lambda x: raw.ClipByValue(t=x, clip_value_min=-1., clip_value_max=.5),
                            {"x": x})
    cases["AddN"] = (lambda x, y: tf.add_n([x, x + y, x * y]), {"x": x, "y": y})
    cases["Cast"] = (lambda x: tf.cast(tf.cast(x * 9, tf.int32), tf.float32), {"x": x})
    cases["L2Loss"] = (lambda x: raw.L2Loss(t=x), {"x": x})
    cases["BiasAdd"] = (lambda x: tf.nn.bias_add(x, const(6)), {"x": rand(*IMAGE)})
    cases["FakeQuant"] = (lambda x: tf.quantization.fake_quant_with_min_max_args(x, -1.3, 1.4),
                          {"x": x})
    cases["FakeQuantVars"] = (lambda x: tf.quantization.fake_quant_with_min_max_vars(
        x, -1.1, 1.5, num_bits=7, narrow_range=True), {"x": x})
    cases["FakeQuantPerChannel"] = (lambda x: tf.quantization.fake_quant_with_min_max_vars_per_channel(
        x, tf.constant([-1., -.5, -2, 0, -1]), tf.constant([1., 2, .5, 1, 1])), {"x": x})
    cases["Cumsum"] = (lambda x: (tf.cumsum(x, 1), tf.cumsum(x, 2, exclusive=True, reverse=True)),
                       {"x": x})
    cases["Cumprod"] = (lambda x: tf.math.cumprod(x, 1, exclusive=True), {"x": x})
    cases["Bucketize"] = (lambda x: raw.Bucketize(input=x, boundaries=[-1., 0., 1.5]), {"x": x})
    return cases


def windows():
    x, image5 = rand(*IMAGE), rand(2, 5, 6, 7, 4)
    cases = {}
    for padding in ("SAME", "VALID", [[0, 0], [1, 2], [2, 0], [0, 0]]):
        tag = padding if isinstance(padding, str) else "EXPLICIT"
        cases["Conv2D/" + tag] = (lambda x, p=padding: tf.nn.conv2d(x, const(3, 3, 6, 5), [1, 2, 2, 1],
                                                                    p), {"x": x})
        if tag == "VALID" or tag == "SAME":
            cases["Conv2D/dilated/" + tag] = (lambda x, p=padding: tf.nn.conv2d(
                x, const(3, 3, 6, 5), 1, p, dilations=[1, 2, 2, 1]), {"x": x})
            cases["Conv3D/" + tag] = (lambda x, p=padding: tf.nn.conv3d(
                x, const(3, 2, 3, 4, 5), [1, 1, 2, 2, 1], p), {"x": image5})
            cases["Conv3DBackpropInput/" + tag] = (lambda x, p=padding: tf.nn.conv3d_transpose(
                x, const(3, 2, 3, 5, 4), [2, 10, 12, 14, 5] if p == "SAME" else [2, 11, 12, 15, 5],
                2, p), {"x": image5})
            cases["MaxPool/" + tag] = (lambda x, p=padding: tf.nn.max_pool2d(x, 3, 2, p), {"x": x})
            cases["AvgPool/" + tag] = (lambda x, p=padding: tf.nn.avg_pool2d(x, 3, 2, p), {"x": x})
            cases["MaxPool3D/" + tag] = (lambda x, p=padding: tf.nn.max_pool3d(x, 3, 2, p),
                                         {"x": image5})
            cases["AvgPool3D/" + tag] = (lambda x, p=padding: tf.nn.avg_pool3d(x, 3, 2, p),
                                         {"x": image5})
            cases["Conv2DBackpropInput/" + tag] = (lambda x, p=padding: tf.nn.conv2d_transpose(
                x, const(3, 3, 5, 6), [2, 18, 22, 5] if p == "SAME" else [2, 20, 24, 5], 2, p),
                                                   {"x": x})
            cases["Conv2DBackpropInput/1x1/" + tag] = (lambda x, p=padding: tf.nn.conv2d_transpose(
                x, const(4, 2, 5, 6), [2, 9, 11, 5] if p == "SAME" else [2, 12, 12, 5], 1, p),
                                                       {"x": x})
            cases["ExtractImagePatches/" + tag] = (lambda x, p=padding: tf.image.extract_patches(
                x, [1, 3, 2, 1], [1, 2, 1, 1], [1, 1, 1, 1], p), {"x": x})
        cases["Depthwise/" + tag] = (lambda x, p=padding: tf.nn.depthwise_conv2d(
            x, const(3, 3, 6, 2), [1, 2, 2, 1], p), {"x": x})
    cases["Conv2D/groups"] = (lambda x: tf.nn.conv2d(x, const(3, 3, 2, 9), 1, "SAME"), {"x": x})
    for version in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"):
        cases[version] = (lambda x, op=getattr(raw, version): op(
            x=x, scale=const(6), offset=const(6, seed=2), mean=const(6, seed=3),
            variance=tf.abs(const(6, seed=4)) + .5, is_training=False)[0], {"x": x})
    cases["LRN"] = (lambda x: tf.nn.lrn(x, 2, 1.5, 0.3, 0.75), {"x": x})
    cases["MaxPoolV2"] = (lambda x: raw.MaxPoolV2(input=x, ksize=[1, 2, 3, 1], strides=[1, 2, 2, 1],
                                                  padding="SAME"), {"x": x})
    return cases


def resizes():
    x = rand(*IMAGE)
    cases = {}
    for name in ("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic"):
        for size in ((5, 17), (18, 22)):
            for flags in ({}, {"align_corners": True}, {"half_pixel_centers": True}):
                tag = "%s/%dx%d/%s" % (name, *size, "".join(flags))
                cases[tag] = (lambda x, op=getattr(raw, name), size=size, flags=flags: op(
                    images=x, size=size, **flags), {"x": x})
    for method in ("bilinear", "nearest"):
        cases["CropAndResize/" + method] = (lambda x, m=method: tf.image.crop_and_resize(
            x, tf.constant([[.1, .2, .8, .9], [0, 0, 1, 1], [.9, .1, .2, .6], [-.2, .3, .7, 1.3]]),
            [0, 1, 1, 0], [4, 5], m, 0.5), {"x": x})
    cases["CropAndResize/1"] = (lambda x: tf.image.crop_and_resize(
        x, tf.constant([[.1, .2, .8, .9]]), [1], [1, 3]), {"x": x})
    return cases


def shapes():
    x, y = rand(3, 4, 5), rand(4, 5, seed=6)
    image = rand(2, 8, 12, 8)
    cases = {
        "Reshape": (lambda x: tf.reshape(x, [-1, 10]), {"x": x}),
        "Transpose": (lambda x: tf.transpose(x, [2, 0, 1]), {"x": x}),
        "ExpandDims": (lambda x: tf.squeeze(tf.expand_dims(tf.expand_dims(x, 1), -1), [1]), {"x": x}),
        "Pack": (lambda x, y: tf.stack([x[0], y, y * 2], 1), {"x": x, "y": y}),
        "Unpack": (lambda x: tf.unstack(x, axis=1)[1] + tf.unstack(x, axis=1)[3], {"x": x}),
        "Split": (lambda x: tf.split(x, 2, 1), {"x": x}),
        "SplitV": (lambda x: tf.split(x, [1, -1, 2], 2), {"x": x}),
        "ConcatV2": (lambda x, y: tf.concat([x, y[None], x * 2], 0), {"x": x, "y": y}),
        "Tile": (lambda x: tf.tile(x, [1, 3, 2]), {"x": x}),
        "Pad": (lambda x: tf.pad(x, [[1, 0], [0, 2], [1, 1]]), {"x": x}),
        "PadV2": (lambda x: tf.pad(x, [[1, 0], [0, 2], [1, 1]], constant_values=3.), {"x": x}),
        "MirrorPad/REFLECT": (lambda x: tf.pad(x, [[1, 0], [0, 2], [1, 1]], "REFLECT"), {"x": x}),
        "MirrorPad/SYMMETRIC": (lambda x: tf.pad(x, [[3, 1], [0, 4], [2, 1]], "SYMMETRIC"), {"x": x}),
        "SpaceToBatchND": (lambda x: tf.space_to_batch(x, [2, 3], [[2, 0], [1, 2]]), {"x": image}),
        "BatchToSpaceND": (lambda x: tf.batch_to_space(x, [2, 2], [[1, 0], [0, 3]]),
                           {"x": rand(8, 5, 6, 3)}),
        "SpaceToBatchND/1d": (lambda x: tf.space_to_batch(x, [2], [[1, 1]]), {"x": x}),
        "SpaceToDepth": (lambda x: tf.nn.space_to_depth(x, 2), {"x": image}),
        "DepthToSpace": (lambda x: tf.nn.depth_to_space(x, 2), {"x": image}),
        "Slice": (lambda x: tf.slice(x, [1, 0, 2], [2, -1, 3]), {"x": x}),
        "StridedSlice/steps": (lambda x: x[::2, 3:0:-2, 1:-1], {"x": x}),
        "StridedSlice/masks": (lambda x: x[1, ..., tf.newaxis, 2], {"x": x}),
        "StridedSlice/ellipsis": (lambda x: x[..., ::-1], {"x": x}),
        "StridedSlice/negative": (lambda x: x[-2:, -1], {"x": x}),
        "Gather": (lambda x: tf.gather(x, [[2, 0], [1, 1]], axis=1), {"x": x}),
        "Gather/batch": (lambda x: tf.gather(x, [[2, 0], [1, 1], [3, 0]], axis=1, batch_dims=1),
                         {"x": x}),
        "Gather/batch2": (lambda x: tf.gather(x, tf.constant(ints(3, 4, 2, high=5)), axis=2,
                                              batch_dims=2), {"x": x}),
        "GatherNd": (lambda x: tf.gather_nd(x, [[2, 0], [1, 1]]), {"x": x}),
        "GatherNd/batch": (lambda x: tf.gather_nd(x, [[[2, 0]], [[1, 1]], [[0, 4]]], batch_dims=1),
                           {"x": x}),
        "ScatterNd": (lambda y: tf.scatter_nd([[1], [3], [1]], y[:3], [5, 5]), {"y": y}),
        "TensorScatterUpdate": (lambda x, y: tf.tensor_scatter_nd_update(x, [[1], [2]], tf.stack(
            [y, -y])), {"x": x, "y": y}),
        "TensorScatterAdd": (lambda x, y: tf.tensor_scatter_nd_add(x, [[1], [1]], tf.stack(
            [y, -y * 3])), {"x": x, "y": y}),
        "ReverseV2": (lambda x: tf.reverse(x, [0, -1]), {"x": x}),
        "ReverseSequence": (lambda x: tf.reverse_sequence(x, [2, 4, 1], 1, 0), {"x": x}),
        "Roll": (lambda x: tf.roll(x, [1, -2], [0, 2]), {"x": x}),
        "Fill": (lambda x: tf.fill(tf.shape(x)[:2], 3.5) + x[:, :, 0], {"x": x}),
        "BroadcastTo": (lambda x, y: tf.broadcast_to(y, tf.shape(x)) * x, {"x": x, "y": y}),
        "Range": (lambda x: (tf.range(tf.shape(x)[1]) * 2, x * 2), {"x": x}),
        "LinSpace": (lambda x: tf.linspace(0., 3., 7) + x[0, 0, 0], {"x": x}),
        "Shape": (lambda x: (tf.shape(x), tf.size(x), tf.rank(x), tf.shape_n([x, x])[1]), {"x": x}),
        "OneHot": (lambda x: tf.one_hot(x, 5, 2., -1.), {"x": ints(3, 4, low=-1, high=6)}),
        "OneHot/axis": (lambda x: tf.one_hot(x, 5, axis=1), {"x": ints(3, 4, high=5)}),
        "MatrixBandPart": (lambda x: (tf.linalg.band_part(x, 1, 2), tf.linalg.band_part(x, -1, 0),
                                      tf.linalg.band_part(x, 0, -1)), {"x": x}),
        "MatrixDiag": (lambda y: tf.linalg.diag(y), {"y": y}),
        "Diag": (lambda y: raw.Diag(diagonal=y[0]), {"y": y}),
        "InvertPermutation": (lambda x: tf.math.invert_permutation(x),
                              {"x": np.array([3, 0, 2, 1], np.int32)}),
        "Unique": (lambda x: tf.unique(x), {"x": ints(12, high=5)}),
        "UnsortedSegmentSum": (lambda x: tf.math.unsorted_segment_sum(x, [2, 0, 2], 4), {"x": x}),
        "SegmentSum": (lambda x: tf.math.segment_sum(x, tf.constant([0, 0, 2])), {"x": x}),
        "DynamicStitch": (lambda x: tf.dynamic_stitch([[0, 2], [1, 3, 2]], [x[:2], x]), {"x": x}),
        "Bitcast": (lambda x: raw.Bitcast(input=x, type=tf.int32), {"x": x}),
        "EnsureShape": (lambda x: tf.ensure_shape(x, [3, 4, 5]) * 2, {"x": x}),
        "BroadcastArgs": (lambda x, y: (tf.broadcast_dynamic_shape(tf.shape(x), tf.shape(y)), x + y),
                          {"x": x, "y": y}),
    }
    return cases


def matrices():
    x, y = rand(3, 4, 5), rand(4, 5, seed=6)
    boxes = np.sort(rand(20, 2, 2, low=0, high=1), 1).reshape(20, 4)
    scores = rand(20, low=0, high=1, seed=9)
    many = np.stack([boxes, boxes[::-1]])[:, :, None]
    cases = {
        "MatMul": (lambda x, y: (tf.matmul(x[0], y, transpose_b=True),
                                 tf.matmul(x[0], y, transpose_a=True)), {"x": x, "y": y}),
        "BatchMatMulV2": (lambda x, y: tf.matmul(x, y[None], adjoint_b=True), {"x": x, "y": y}),
        "Einsum": (lambda x, y: (tf.einsum("abc,dc->abd", x, y), tf.einsum("a...c,dc->...ad", x, y)),
                   {"x": x, "y": y}),
        "ArgMax": (lambda x: (tf.argmax(x, 1), tf.argmin(x, -1, tf.int32)), {"x": x}),
        "TopKV2": (lambda x: tf.math.top_k(x, 3), {"x": x}),
        "L2Normalize": (lambda x: tf.nn.l2_normalize(x, -1), {"x": x}),
        "Moments": (lambda x: tf.nn.moments(x, [0, 2]), {"x": x}),
    }
    for name in "Mean Sum Max Min Prod EuclideanNorm".split():
        cases[name] = (lambda x, op=getattr(raw, name): (op(input=x, axis=[0, 2]), op(
            input=x, axis=-1, keep_dims=True)), {"x": x})
    for name in "All Any".split():
        cases[name] = (lambda x, op=getattr(raw, name): tf.cast(op(input=x > -1, axis=[1]), tf.int32),
                       {"x": x})
    cases["Mean/image"] = (lambda x: tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(
        x, const(3, 3, 6, 4), 1, "SAME")), [1, 2]), {"x": rand(*IMAGE)})
    for name in ("NonMaxSuppression", "NonMaxSuppressionV2", "NonMaxSuppressionV3"):
        def nms(boxes, scores, name=name):
            args = {"boxes": boxes, "scores": scores, "max_output_size": 8, "iou_threshold": .4}
            if name.endswith("V3"):
                args["score_threshold"] = .2
            return getattr(raw, name)(**args)
        cases[name] = (nms, {"boxes": boxes, "scores": scores})
    for pad in (False, True):
        cases["NonMaxSuppressionV4/%s" % pad] = (lambda boxes, scores, pad=pad: raw.NonMaxSuppressionV4(
            boxes=boxes, scores=scores, max_output_size=30, iou_threshold=.4, score_threshold=.1,
            pad_to_max_output_size=pad), {"boxes": boxes, "scores": scores})
        cases["NonMaxSuppressionV5/%s" % pad] = (lambda boxes, scores, pad=pad: raw.NonMaxSuppressionV5(
            boxes=boxes, scores=scores, max_output_size=30, iou_threshold=.4, score_threshold=.1,
            soft_nms_sigma=0., pad_to_max_output_size=pad), {"boxes": boxes, "scores": scores})
    cases["CombinedNonMaxSuppression"] = (
        lambda boxes, scores: tf.image.combined_non_max_suppression(boxes, scores, 5, 10, .4, .1),
        {"boxes": many.astype(np.float32), "scores": rand(2, 20, 3, low=0, high=1)})
    return cases


def cells():
    size, inputs, batch, steps = 6, 4, 3, 5

    def block_lstm(version):
        def run(x):
            op = getattr(raw, version)
            args = {"seq_len_max": tf.constant(steps, tf.int64), "x": x,
                    "cs_prev": const(batch, size), "h_prev": const(batch, size, seed=2),
                    "w": const(inputs + size, 4 * size, seed=3), "wci": tf.zeros([size]),
                    "wcf": tf.zeros([size]), "wco": tf.zeros([size]), "b": const(4 * size, seed=4),
                    "cell_clip": 0., "use_peephole": False}
            if version == "BlockLSTM":
                args["forget_bias"] = 0.7
            out = op(**args)
            return out.h, out.cs[-1]
        return run

    def peephole(x):
        out = raw.LSTMBlockCell(
            x=x[0], cs_prev=const(batch, size), h_prev=const(batch, size, seed=2),
            w=const(inputs + size, 4 * size, seed=3), wci=const(size, seed=6), wcf=const(size, seed=7),
            wco=const(size, seed=8), b=const(4 * size, seed=4), forget_bias=1., cell_clip=0.4,
            use_peephole=True)
        return out.h, out.cs, out.o

    def gru(x):
        return raw.GRUBlockCell(
            x=x[0], h_prev=const(batch, size), w_ru=const(inputs + size, 2 * size, seed=3),
            w_c=const(inputs + size, size, seed=4), b_ru=const(2 * size, seed=5),
            b_c=const(size, seed=6)).h

    x = rand(steps, batch, inputs)
    return {"BlockLSTM": (block_lstm("BlockLSTM"), {"x": x}),
            "BlockLSTMV2": (block_lstm("BlockLSTMV2"), {"x": x}),
            "LSTMBlockCell": (peephole, {"x": x}), "GRUBlockCell": (gru, {"x": x})}


def all_cases():
    return {**pointwise(), **windows(), **resizes(), **shapes(), **matrices(), **cells()}
