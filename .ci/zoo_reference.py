#!/usr/bin/env python3
"""The zoo's architectures as other people wrote them, in PyTorch: what ours are held against.

    zoo_reference.py facts                  state_dicts.txt of the zoo's tests on stdout, and on stderr the
                                            parameters and multiply-accumulate operations of each network
    zoo_reference.py logits DIR [NAME...]   for each network a checkpoint with random weights, a picture and
                                            PyTorch's logits, for GRAFT_ZOO_REFERENCE=DIR cargo test --test zoo

Needs PyTorch, torchvision and timm. Networks that none of them has are written here from the definitions
that their modules in converter/src/zoo name.
"""
import hashlib
import os
import re
import sys
from collections import OrderedDict

import timm
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision.models as tv

TRAINING_ONLY = ("aux1.", "aux2.", "AuxLogits.")


class BnAlexNet(nn.Module):
    """alexnetowtbn of soumith/imagenet-multiGPU.torch."""

    def __init__(self):
        super().__init__()
        conv = lambda i, o, k, s, p: [nn.Conv2d(i, o, k, s, p), nn.BatchNorm2d(o, 1e-3), nn.ReLU()]
        pool = lambda: [nn.MaxPool2d(3, 2)]
        dense = lambda i, o: [nn.Dropout(), nn.Linear(i, o), nn.BatchNorm1d(o, 1e-3), nn.ReLU()]
        self.features = nn.Sequential(
            *conv(3, 64, 11, 4, 2), *pool(), *conv(64, 192, 5, 1, 2), *pool(), *conv(192, 384, 3, 1, 1),
            *conv(384, 256, 3, 1, 1), *conv(256, 256, 3, 1, 1), *pool())
        self.classifier = nn.Sequential(*dense(9216, 4096), *dense(4096, 4096), nn.Linear(4096, 1000))

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


class BnNin(nn.Module):
    """ninbn of soumith/imagenet-multiGPU.torch."""

    def __init__(self):
        super().__init__()

        def block(i, o, k, s, p):
            layers = []
            for args in [(i, o, k, s, p), (o, o, 1), (o, o, 1)]:
                layers += [nn.Conv2d(*args), nn.BatchNorm2d(o, 1e-3), nn.ReLU()]
            return layers

        pool = lambda: [nn.MaxPool2d(3, 2, 1)]
        self.nin = nn.Sequential(
            *block(3, 96, 11, 4, 5), *pool(), *block(96, 256, 5, 1, 2), *pool(), *block(256, 384, 3, 1, 1),
            *pool(), *block(384, 1024, 3, 1, 1), nn.AvgPool2d(7, 1))
        self.fc = nn.Linear(1024, 1000)

    def forward(self, x):
        return self.fc(self.nin(x).flatten(1))


class Bottleneck(nn.Module):
    """_bottleneck of encoder.lua, e-lab/ENet-training."""

    def __init__(self, i, o, down=False, dilation=1, asymmetric=False):
        super().__init__()
        n, step = o // 4, 2 if down else 1
        self.down, self.missing, self.asymmetric = down, o - i, asymmetric
        self.project = nn.Conv2d(i, n, step, step, bias=False)
        self.project_bn = nn.BatchNorm2d(n, 1e-3)
        self.project_prelu = nn.PReLU(n)
        if asymmetric:
            self.conv_5x1 = nn.Conv2d(n, n, (5, 1), padding=(2, 0), bias=False)
            self.conv_1x5 = nn.Conv2d(n, n, (1, 5), padding=(0, 2))
        else:
            self.conv = nn.Conv2d(n, n, 3, padding=dilation, dilation=dilation)
        self.conv_bn = nn.BatchNorm2d(n, 1e-3)
        self.conv_prelu = nn.PReLU(n)
        self.expand = nn.Conv2d(n, o, 1, bias=False)
        self.expand_bn = nn.BatchNorm2d(o, 1e-3)
        self.prelu = nn.PReLU(o)

    def forward(self, x):
        y = self.project_prelu(self.project_bn(self.project(x)))
        y = self.conv_1x5(self.conv_5x1(y)) if self.asymmetric else self.conv(y)
        y = self.expand_bn(self.expand(self.conv_prelu(self.conv_bn(y))))
        other = F.max_pool2d(x, 2, 2) if self.down else x
        return self.prelu(y + F.pad(other, (0, 0, 0, 0, 0, self.missing)))


class ENet(nn.Module):
    """encoder.lua of e-lab/ENet-training, and a classifier."""

    def __init__(self):
        super().__init__()
        self.initial = nn.ModuleDict(OrderedDict(
            conv=nn.Conv2d(3, 13, 3, 2, 1), bn=nn.BatchNorm2d(16, 1e-3), prelu=nn.PReLU(16)))
        kinds = [{}, {"dilation": 2}, {"asymmetric": True}, {"dilation": 4}, {}, {"dilation": 8},
                 {"asymmetric": True}, {"dilation": 16}]
        stage = lambda: [Bottleneck(128, 128, **kind) for kind in kinds]
        self.bottleneck1 = nn.Sequential(Bottleneck(16, 64, True), *[Bottleneck(64, 64) for _ in range(4)])
        self.bottleneck2 = nn.Sequential(Bottleneck(64, 128, True), *stage())
        self.bottleneck3 = nn.Sequential(*stage())
        self.fc = nn.Linear(128, 1000)

    def forward(self, x):
        x = torch.cat([self.initial["conv"](x), F.max_pool2d(x, 2, 2)], 1)
        x = self.initial["prelu"](self.initial["bn"](x))
        x = self.bottleneck3(self.bottleneck2(self.bottleneck1(x)))
        return self.fc(x.mean((2, 3)))


class CifarBlock(nn.Module):
    """BasicBlock of akamaster/pytorch_resnet_cifar10, option A."""

    def __init__(self, i, o, stride):
        super().__init__()
        self.o, self.stride = o, stride
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride != 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.o // 4, self.o // 4))
        return F.relu(y + x)


class CifarResNet(nn.Module):
    """ResNet of akamaster/pytorch_resnet_cifar10."""

    def __init__(self, n):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        stage = lambda i, o, s: nn.Sequential(CifarBlock(i, o, s), *[CifarBlock(o, o, 1) for _ in range(n - 1)])
        self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


class SameConv(nn.Conv2d):
    """Keras' padding='same'."""

    def forward(self, x):
        pads = []
        for axis in (1, 0):
            size, k, s = x.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            total = max((-(-size // s) - 1) * s + k - size, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, 1, self.groups)


def keras(i, o, k, stride=1, groups=1):
    conv = SameConv(i, o, k, stride, groups=groups)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(o, 1e-3)))


class ResNet8(nn.Module):
    """keras_model.py of mlcommons/tiny."""

    def __init__(self):
        super().__init__()
        self.stem = keras(3, 16, 3)
        i = 16
        for number, (o, stride) in enumerate([(16, 1), (32, 2), (64, 2)], 1):
            parts = OrderedDict([("0", keras(i, o, 3, stride)), ("1", keras(o, o, 3))])
            if stride != 1:
                parts["shortcut"] = SameConv(i, o, 1, stride)
            setattr(self, f"stack{number}", nn.ModuleDict(parts))
            i = o
        self.dense = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for stack in (self.stack1, self.stack2, self.stack3):
            y = stack["1"](F.relu(stack["0"](x)))
            x = F.relu(y + (stack["shortcut"](x) if "shortcut" in stack else x))
        return self.dense(x.mean((2, 3)))


class VisualWakeWords(nn.Module):
    """vww_model.py of mlcommons/tiny."""

    def __init__(self):
        super().__init__()
        self.stem = keras(3, 8, 3, 2)
        blocks = [(1, 16), (2, 32), (1, 32), (2, 64), (1, 64), (2, 128), *[(1, 128)] * 5, (2, 256), (1, 256)]
        i = 8
        for number, (stride, o) in enumerate(blocks, 1):
            parts = OrderedDict(depthwise=keras(i, i, 3, stride, i), pointwise=keras(i, o, 1))
            setattr(self, f"block{number}", nn.ModuleDict(parts))
            i = o
        self.dense = nn.Linear(256, 2)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for number in range(1, 14):
            block = getattr(self, f"block{number}")
            x = F.relu(block["pointwise"](F.relu(block["depthwise"](x))))
        return self.dense(x.mean((2, 3)))


NETWORKS = {
    "alexnet": (tv.alexnet, 224),
    "bn-alexnet": (BnAlexNet, 224),
    **{f"vgg{n}{bn}": (getattr(tv, f"vgg{n}" + bn.replace("-", "_")), 224)
       for n in (11, 13, 16, 19) for bn in ("", "-bn")},
    "googlenet": (lambda: tv.googlenet(init_weights=False, aux_logits=True), 224),
    **{f"resnet{n}": (getattr(tv, f"resnet{n}"), 224) for n in (18, 34, 50, 101, 152)},
    "inception-v3": (lambda: tv.inception_v3(init_weights=False, aux_logits=True), 299),
    "inception-v4": (lambda: timm.create_model("inception_v4"), 299),
    "bn-nin": (BnNin, 224),
    "enet": (ENet, 224),
    "squeezenet1.0": (tv.squeezenet1_0, 224),
    "squeezenet1.1": (tv.squeezenet1_1, 224),
    "mobilenet-v1": (lambda: timm.create_model("mobilenetv1_100"), 224),
    "mobilenet-v2": (tv.mobilenet_v2, 224),
    "mobilenet-v3-large": (tv.mobilenet_v3_large, 224),
    "mobilenet-v3-small": (tv.mobilenet_v3_small, 224),
    **{f"efficientnet-lite{n}": (lambda n=n: timm.create_model(f"tf_efficientnet_lite{n}"), size)
       for n, size in enumerate((224, 240, 260, 280, 300))},
    **{f"resnet{6 * n + 2}-cifar10": (lambda n=n: CifarResNet(n), 32) for n in (3, 5, 7, 9, 18)},
    "mlperf-tiny-resnet8": (ResNet8, 32),
    "mlperf-tiny-vww": (VisualWakeWords, 96),
}


def lite_names(state):
    """timm's names of an EfficientNet-Lite as those of efficientnet-lite-pytorch."""
    outside = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1",
               "classifier": "_fc"}
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    other = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1",
             "conv_pwl": "_project_conv", "bn3": "_bn2"}
    order, renamed = {}, {}
    for name, tensor in state.items():
        inside = re.fullmatch(r"blocks\.(\d+\.\d+)\.(\w+)\.(\w+)", name)
        if inside:
            block, layer, what = inside.groups()
            number = order.setdefault(block, len(order))
            layer = (first if block.startswith("0.") else other)[layer]
            renamed[f"_blocks.{number}.{layer}.{what}"] = tensor
        else:
            layer, what = name.split(".")
            renamed[f"{outside[layer]}.{what}"] = tensor
    return renamed


def state(name, network):
    """What a checkpoint holds, but for parts that only training needs."""
    kept = {k: v for k, v in network.state_dict().items()
            if not k.endswith("num_batches_tracked") and not k.startswith(TRAINING_ONLY)}
    return lite_names(kept) if "efficientnet-lite" in name else kept


def macs(network, size):
    total = 0

    def count(module, _, output):
        nonlocal total
        total += output[0].numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, size, size))
    return total


def facts():
    for name, (make, size) in NETWORKS.items():
        network = make()
        lines = sorted(" ".join([k, *map(str, v.shape)]) + "\n" for k, v in state(name, network).items())
        print(name, len(lines), hashlib.sha256("".join(lines).encode()).hexdigest()[:16], flush=True)
        parameters = sum(v.numel() for k, v in network.named_parameters() if not k.startswith(TRAINING_ONLY))
        print(name, parameters, macs(network, size), file=sys.stderr, flush=True)


def logits(folder, names):
    os.makedirs(folder, exist_ok=True)
    for name in names or NETWORKS:
        make, size = NETWORKS[name]
        torch.manual_seed(sum(name.encode()))
        network = make()
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
            if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d)):
                module.momentum = None
                nn.init.uniform_(module.weight, 0.7, 1.3)
                nn.init.uniform_(module.bias, -0.2, 0.2)
        # Blocks of colour with noise: neither flat nor without structure.
        blocks = torch.rand(4, 3, 8, 8) * 200
        pictures = F.interpolate(blocks, size) + torch.rand(4, 3, size, size) * 55
        pictures = pictures.floor().clamp(0, 255)
        seen = (pictures - 127.5) / 64
        with torch.no_grad():
            network.train()(seen)  # The norms learn what they see.
            answer = network.eval()(seen[:1])[0]
        base = os.path.join(folder, name)
        torch.save(state(name, network), base + ".pth")
        picture = pictures[0].permute(1, 2, 0).to(torch.uint8).contiguous()
        with open(base + ".picture", "wb") as f:
            f.write(picture.numpy().tobytes())
        with open(base + ".logits", "wb") as f:
            f.write(answer.numpy().astype("<f4").tobytes())
        print(name, f"{answer.std():.3f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["facts"]:
        facts()
    elif sys.argv[1:2] == ["logits"] and len(sys.argv) > 2:
        logits(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(__doc__)
