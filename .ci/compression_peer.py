#!/usr/bin/env python3
"""Prunes ResNet-56 with torch-pruning, without training, and prints what it loses.

    compression_peer.py SHARED_DATA_DIR SHARE

Needs torch, torch-pruning, numpy and onnx. The magnitude of a group of channels (L2, global ranking) says what leaves,
as in the examples of torch-pruning.
"""
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch_pruning as tp
from onnx import numpy_helper

DATA, SHARE = Path(sys.argv[1]), float(sys.argv[2])


class Block(nn.Module):
    """Two convolutions and a shortcut that drops every other pixel and adds channels of zeros."""

    def __init__(self, ins, outs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(ins, outs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outs)
        self.conv2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outs)
        self.more = (outs - ins) // 2
        self.wide = stride != 1

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.wide:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more, self.more))
        return F.relu(x + y)


class ResNet56(nn.Module):
    """As akamaster/pytorch_resnet_cifar10 has it."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        ins = 16
        for stage, outs in enumerate((16, 32, 64), 1):
            blocks = []
            for i in range(9):
                blocks.append(Block(ins, outs, 2 if stage > 1 and i == 0 else 1))
                ins = outs
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def top1(model):
    raw = np.fromfile(DATA / "reference/cifar10_test.bin", np.uint8).reshape(-1, 3073)
    pixels = torch.tensor(raw[:, 1:].reshape(-1, 3, 32, 32) / 255.0, dtype=torch.float32)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        answers = torch.cat([model((p - mean) / std).argmax(1) for p in pixels.split(100)])
    return float((answers.numpy() == raw[:, 0]).mean())


weights = onnx.load(DATA / "models/resnet56_cifar10.onnx").graph.initializer
weights = {w.name: torch.tensor(numpy_helper.to_array(w).copy()) for w in weights}
model = ResNet56()
missing = model.load_state_dict({k: v for k, v in weights.items() if k in model.state_dict()}, strict=False)
assert all(k.endswith("num_batches_tracked") for k in missing.missing_keys), missing
model.eval()
before = top1(model)
example = torch.zeros(1, 3, 32, 32)
whole, _ = tp.utils.count_ops_and_params(model, example)
# Only inner channels: the channels that stages add to are padded with zeros, which torch-pruning does not follow.
ignored = [model.conv1, model.linear] + [m.conv2 for m in model.modules() if isinstance(m, Block)]
steps = 100
pruner = tp.pruner.MagnitudePruner(model, example, importance=tp.importance.MagnitudeImportance(p=2),
                                   global_pruning=True, iterative_steps=steps, pruning_ratio=0.95, ignored_layers=ignored)
for _ in range(steps):
    now, _ = tp.utils.count_ops_and_params(model, example)
    if now <= whole * (1 - SHARE):
        break
    pruner.step()
now, _ = tp.utils.count_ops_and_params(model, example)
after = top1(model)
print(json.dumps({"before": before, "top1": after, "lost": before - after, "fewer_macs": 1 - now / whole}))
