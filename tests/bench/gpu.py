#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images per second of networks on a GPU, beside PyTorch, in one run.

    tests/bench/gpu.py --bin DIRECTORY [--networks a,b] [--batches 1,8,32,128] [--no-compile]

Exports torchvision's networks (and `yolo`, a detector of the usual shape at 640x640) with random
weights to ONNX, builds a plan of each with inferexec (--fp16), measures it with `throughput`, and
measures PyTorch on the same GPU: eager in FP32 without TF32, FP16 channels-last in a CUDA graph, and
torch.compile, which is compiled before, many networks at once. A model file among the networks is
measured alone. Needs torch, torchvision and onnx. DIRECTORY holds inferexec and throughput. Medians
of five rounds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

warnings.filterwarnings('ignore')

NETWORKS = {
    'resnet50': ('resnet50', 224),
    'mobilenet_v2': ('mobilenet_v2', 224),
    'efficientnet_b0': ('efficientnet_b0', 224),
    'vgg16': ('vgg16', 224),
    'ssdlite320': ('detection.ssdlite320_mobilenet_v3_large', 320),
    'deeplabv3': ('segmentation.deeplabv3_mobilenet_v3_large', 512),
    'yolo': (None, 640),
}


def make(name):
    import torch
    import torchvision.models as models
    path, size = NETWORKS[name]
    module = models
    torch.manual_seed(0)
    if name == 'yolo':
        return Yolo(), size
    for part in path.split('.'):
        module = getattr(module, part)
    kwargs = {} if '.' not in path else {'weights_backbone': None}
    network = module(weights=None, **kwargs).eval()
    if name == 'ssdlite320':
        network = Heads(network)
    elif name == 'deeplabv3':
        network = Segmentation(network)
    return network, size


def Heads(detector):
    """Backbone and heads of a detector, without the suppression, whose count is not fixed."""
    import torch

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = detector.backbone
            self.head = detector.head

        def forward(self, x):
            features = list(self.backbone(x).values())
            out = self.head(features)
            return out['bbox_regression'], out['cls_logits']

    return Module().eval()


def Segmentation(model):
    import torch

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x)['out']

    return Module().eval()


def Yolo(width=32, classes=80):
    """A one-stage detector: stages of cross-stage-partial blocks with SiLU, pyramid pooling, features
    passed down and up again, three heads of boxes and classes."""
    import torch
    from torch import nn

    def conv(n_in, n_out, k=1, stride=1):
        return nn.Sequential(nn.Conv2d(n_in, n_out, k, stride, k // 2, bias=False), nn.BatchNorm2d(n_out),
                             nn.SiLU())

    class Partial(nn.Module):
        def __init__(self, n_in, n_out, n, shortcut=True):
            super().__init__()
            half = n_out // 2
            self.shortcut = shortcut
            self.split = conv(n_in, n_out)
            self.blocks = nn.ModuleList(nn.Sequential(conv(half, half, 3), conv(half, half, 3)) for _ in range(n))
            self.join = conv(half * (2 + n), n_out)

        def forward(self, x):
            parts = list(self.split(x).chunk(2, 1))
            for block in self.blocks:
                y = block(parts[-1])
                parts.append(parts[-1] + y if self.shortcut else y)
            return self.join(torch.cat(parts, 1))

    class Pyramid(nn.Module):
        def __init__(self, n):
            super().__init__()
            self.first, self.last = conv(n, n // 2), conv(n * 2, n)
            self.pool = nn.MaxPool2d(5, 1, 2)

        def forward(self, x):
            parts = [self.first(x)]
            for _ in range(3):
                parts.append(self.pool(parts[-1]))
            return self.last(torch.cat(parts, 1))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            w = width
            self.low = nn.Sequential(conv(3, w, 3, 2), conv(w, 2 * w, 3, 2), Partial(2 * w, 2 * w, 1),
                                     conv(2 * w, 4 * w, 3, 2), Partial(4 * w, 4 * w, 2))
            self.middle = nn.Sequential(conv(4 * w, 8 * w, 3, 2), Partial(8 * w, 8 * w, 2))
            self.high = nn.Sequential(conv(8 * w, 16 * w, 3, 2), Partial(16 * w, 16 * w, 1), Pyramid(16 * w))
            self.grow = nn.Upsample(scale_factor=2.0, mode='nearest')
            self.down1, self.down2 = Partial(24 * w, 8 * w, 1, False), Partial(12 * w, 4 * w, 1, False)
            self.shrink1, self.up1 = conv(4 * w, 4 * w, 3, 2), Partial(12 * w, 8 * w, 1, False)
            self.shrink2, self.up2 = conv(8 * w, 8 * w, 3, 2), Partial(24 * w, 16 * w, 1, False)
            self.boxes = nn.ModuleList(
                nn.Sequential(conv(n, 2 * w, 3), conv(2 * w, 2 * w, 3), nn.Conv2d(2 * w, 64, 1))
                for n in (4 * w, 8 * w, 16 * w))
            self.classes = nn.ModuleList(
                nn.Sequential(conv(n, 4 * w, 3), conv(4 * w, 4 * w, 3), nn.Conv2d(4 * w, classes, 1))
                for n in (4 * w, 8 * w, 16 * w))

        def forward(self, x):
            low = self.low(x)
            middle = self.middle(low)
            high = self.high(middle)
            middle = self.down1(torch.cat([self.grow(high), middle], 1))
            low = self.down2(torch.cat([self.grow(middle), low], 1))
            middle = self.up1(torch.cat([self.shrink1(low), middle], 1))
            high = self.up2(torch.cat([self.shrink2(middle), high], 1))
            out = [torch.cat([b(f), c(f)], 1).flatten(2)
                   for f, b, c in zip((low, middle, high), self.boxes, self.classes)]
            boxes, scores = torch.cat(out, 2).split((64, classes), 1)
            return boxes, scores.sigmoid()

    return Network().eval()


def export(name, folder):
    if os.path.exists(name):
        return name
    import torch
    path = os.path.join(folder, name + '.onnx')
    if os.path.exists(path):
        return path
    network, size = make(name)
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        torch.onnx.export(network, (x,), path, input_names=['input'], opset_version=17,
                          dynamic_axes={'input': {0: 'batch'}}, dynamo=False)
    return path


def run(command, log):
    start = time.time()
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log.write('$ ' + ' '.join(command) + '\n' + result.stdout + '\n')
    log.flush()
    return result.returncode, result.stdout, time.time() - start


def measure_ours(args, name, path, log):
    plan = os.path.join(args.work, os.path.basename(name) + '.plan')
    flags = ['--fp16', '--maxBatch=%d' % max(args.batches), '--device=cuda:0', '--skipInference',
             '--builderOptimizationLevel=%d' % args.level, '--timingCacheFile=' + os.path.join(args.work, 'timing.cache')]
    if args.build_time:
        flags.append('--maxBuildTime=%g' % args.build_time)
    if args.no_verify:
        flags.append('--noVerify')
    code, out, took = run([os.path.join(args.bin, 'inferexec'), '--model=' + path,
                           '--saveEngine=' + plan] + flags, log)
    for line in out.splitlines():
        if line.startswith('[I] Note') or line.startswith('[E]'):
            print('   ', line[:300])
    if code:
        return {}, took
    rates = {}
    for batch in args.batches:
        code, out, _ = run([os.path.join(args.bin, 'throughput'), plan, str(batch), str(args.seconds), 'cuda:0'], log)
        for line in out.splitlines():
            fields = line.split()
            if code == 0 and len(fields) == 2 and fields[0] == str(batch):
                rates[batch] = float(fields[1])
    if args.profile:
        run([os.path.join(args.bin, 'inferexec'), '--loadEngine=' + plan, '--batch=%d' % args.profile, '--device=cuda:0',
             '--duration=0.2', '--dumpProfile'], log)
    return rates, took


def rate(step, batch, seconds, steps=8):
    import torch
    rates = []
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    for _ in range(5):
        runs, start = 0, time.time()
        while time.time() - start < seconds:
            for _ in range(steps):
                step()
            torch.cuda.synchronize()
            runs += steps
        rates.append(runs * batch / (time.time() - start))
    return statistics.median(rates)


def compile_mode(args):
    return 'max-autotune' if args.autotune else 'reduce-overhead'


def compile_only(args, name, batch):
    """Fills torch.compile's cache, so that the measuring process finds it."""
    import torch
    network, size = make(name)
    network = network.half().to('cuda', memory_format=torch.channels_last)
    x = torch.randn(batch, 3, size, size, device='cuda').half().contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        torch.compile(network, mode=compile_mode(args))(x)
    torch.cuda.synchronize()


def compile_ahead(args, names, log):
    """All networks and batches, a process each, half as many at once as there are processors."""
    def one(work):
        command = [sys.executable, __file__, '--bin', args.bin, '--networks', work[0], '--batches', str(work[1]),
                   '--compile-only'] + ['--autotune'] * args.autotune
        return run(command, log)[0]

    with ThreadPoolExecutor(max(1, (os.cpu_count() or 2) // 2)) as pool:
        list(pool.map(one, [(n, b) for n in names for b in args.batches if n in NETWORKS]))


def measure_torch(args, name, batch):
    import torch
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    network, size = make(name)
    result = {}
    with torch.no_grad():
        x = torch.randn(batch, 3, size, size)
        if args.cpu:
            result['cpu fp32'] = rate(lambda: network(x), batch, args.seconds, 1)
        x, network = x.cuda(), network.cuda()
        if args.eager:
            result['eager fp32'] = rate(lambda: network(x), batch, args.seconds)
        network = network.half().to(memory_format=torch.channels_last)
        x = x.half().contiguous(memory_format=torch.channels_last)
        for _ in range(3):
            network(x)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            network(x)
        result['graph fp16'] = rate(graph.replay, batch, args.seconds)
        del graph
        if args.compile:
            compiled = torch.compile(network, mode=compile_mode(args))
            result['compile fp16'] = rate(lambda: compiled(x), batch, args.seconds)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--bin', required=True)
    parser.add_argument('--networks', default=','.join(NETWORKS))
    parser.add_argument('--batches', default='1,8,32,128')
    parser.add_argument('--work', default='/tmp/gst-infer-bench')
    parser.add_argument('--seconds', type=float, default=0.3)
    parser.add_argument('--level', type=int, default=3)
    parser.add_argument('--build-time', type=float, default=0, help='seconds after which no more tactics are measured')
    parser.add_argument('--no-torch', dest='torch', action='store_false')
    parser.add_argument('--no-compile', dest='compile', action='store_false')
    parser.add_argument('--no-eager', dest='eager', action='store_false')
    parser.add_argument('--no-verify', action='store_true')
    parser.add_argument('--autotune', action='store_true')
    parser.add_argument('--compile-only', action='store_true', help='fill the cache of torch.compile and end')
    parser.add_argument('--cpu', action='store_true', help="PyTorch's FP32 on the processor too")
    parser.add_argument('--profile', type=int, default=0, help='batch to print the times of steps of, in the log')
    parser.add_argument('--log', default='')
    args = parser.parse_args()
    args.batches = [int(b) for b in args.batches.split(',')]
    os.makedirs(args.work, exist_ok=True)
    log = open(args.log or os.path.join(args.work, 'log'), 'a')
    names = args.networks.split(',')
    if args.compile_only:
        for name in names:
            for batch in args.batches:
                compile_only(args, name, batch)
        return 0
    if args.torch and args.compile:
        compile_ahead(args, names, log)
    for name in names:
        path = export(name, args.work)
        rates, took = measure_ours(args, name, path, log)
        print('%s: built in %.1f s' % (name, took), flush=True)
        for batch in args.batches:
            row = '  batch %3d  ours %9.1f' % (batch, rates.get(batch, 0))
            try:
                peers = measure_torch(args, name, batch) if args.torch and name in NETWORKS else {}
                for key, value in peers.items():
                    row += '  %s %9.1f' % (key, value)
            except Exception as error:
                row += '  PyTorch: %s' % str(error).splitlines()[0][:80]
            print(row, flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
