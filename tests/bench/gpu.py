#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images per second of networks on a GPU, beside PyTorch, in one run.

    tests/bench/gpu.py --bin DIRECTORY [--networks a,b] [--batches 1,8,32,128] [--no-compile]

Exports torchvision's networks with random weights to ONNX, builds a plan of each with inferexec
(--fp16), measures it with `throughput`, and measures PyTorch on the same GPU: eager in FP32 without
TF32, FP16 channels-last in a CUDA graph, and torch.compile. Needs torch, torchvision and onnx. DIRECTORY
holds inferexec and throughput. Medians of five rounds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings

warnings.filterwarnings('ignore')

NETWORKS = {
    'resnet50': ('resnet50', 224),
    'mobilenet_v2': ('mobilenet_v2', 224),
    'efficientnet_b0': ('efficientnet_b0', 224),
    'vgg16': ('vgg16', 224),
    'ssdlite320': ('detection.ssdlite320_mobilenet_v3_large', 320),
    'deeplabv3': ('segmentation.deeplabv3_mobilenet_v3_large', 512),
}


def make(name):
    import torch
    import torchvision.models as models
    path, size = NETWORKS[name]
    module = models
    for part in path.split('.'):
        module = getattr(module, part)
    torch.manual_seed(0)
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


def export(name, folder):
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
    plan = os.path.join(args.work, name + '.plan')
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


def rate(step, batch, seconds):
    import torch
    rates = []
    for _ in range(3):
        step()
    torch.cuda.synchronize()
    for _ in range(5):
        runs, start = 0, time.time()
        while time.time() - start < seconds:
            for _ in range(8):
                step()
            torch.cuda.synchronize()
            runs += 8
        rates.append(runs * batch / (time.time() - start))
    return statistics.median(rates)


def measure_torch(args, name, batch):
    import torch
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    network, size = make(name)
    result = {}
    with torch.no_grad():
        x = torch.randn(batch, 3, size, size, device='cuda')
        network = network.cuda()
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
            compiled = torch.compile(network, mode='max-autotune' if args.autotune else 'reduce-overhead')
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
    parser.add_argument('--profile', type=int, default=0, help='batch to print the times of steps of, in the log')
    parser.add_argument('--log', default='')
    args = parser.parse_args()
    args.batches = [int(b) for b in args.batches.split(',')]
    os.makedirs(args.work, exist_ok=True)
    log = open(args.log or os.path.join(args.work, 'log'), 'a')
    for name in args.networks.split(','):
        path = export(name, args.work)
        rates, took = measure_ours(args, name, path, log)
        print('%s: built in %.1f s' % (name, took), flush=True)
        for batch in args.batches:
            row = '  batch %3d  ours %9.1f' % (batch, rates.get(batch, 0))
            try:
                for key, value in (measure_torch(args, name, batch) if args.torch else {}).items():
                    row += '  %s %9.1f' % (key, value)
            except Exception as error:
                row += '  PyTorch: %s' % str(error).splitlines()[0][:80]
            print(row, flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
