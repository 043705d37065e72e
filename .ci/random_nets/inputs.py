"""How a picture enters a network: what the file takes, and what the command line is told of it."""
from dataclasses import dataclass, field

import numpy as np
from onnx import TensorProto

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


@dataclass
class Input:
    # What the network takes: one array per picture.
    arrays: list
    element: int
    shape: list
    # What `convert` is told.
    options: list = field(default_factory=list)
    # The map in NCHW that the trunk starts from.
    start: str = ""
    kind: str = ""


def pixels(random, images):
    """Float arrays in NCHW by a rule of the command line, and its options."""
    stack = np.stack(images).astype(np.float32)
    channels = stack.shape[3]
    options = []
    rule = random.choice(["raw", "unit", "tf", "torchvision", "own", "one"], p=[0.25, 0.25, 0.15, 0.15, 0.1, 0.1])
    mean, std = np.zeros(3, np.float32), np.ones(3, np.float32)
    if rule == "raw":
        pass
    elif rule == "unit":
        std = std * 255
    elif rule == "tf":
        mean, std = mean + 127.5, std * 127.5
    elif rule == "torchvision" and channels == 3:
        mean, std = MEAN * 255, STD * 255
    else:
        mean, std = np.round(random.uniform(0.2, 0.6, 3), 3), np.round(random.uniform(0.1, 0.5, 3), 3)
        if rule == "one" or channels == 1:
            mean[:], std[:] = mean[0], std[0]
        one = rule == "one" or channels == 1
        show = lambda v: str(v[0]) if one else ",".join(map(str, v))
        options = ["--mean", show(mean), "--std", show(std)]
        mean, std = mean * 255, std * 255
    options = options or ["--normalize", str(rule)]
    values = (stack - mean[:channels].astype(np.float32)) / std[:channels].astype(np.float32)
    if channels == 3 and random.rand() < 0.15:
        values = values[:, :, :, ::-1]
        options.append("--bgr")
    return [np.ascontiguousarray(v.transpose(2, 0, 1)[None], np.float32) for v in values], options


def nhwc(arrays):
    return [np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in arrays]


def normalize(g, x, channels, first):
    """The file's own mean and deviation, for pixels from 0 to 255; `first`: channels are axis 1."""
    r = g.random
    shape = (1, channels, 1, 1) if first else (channels,)
    wide = lambda v: g.const(np.float32(v)[:channels].reshape(shape))
    form = r.randint(4)
    if form == 0:
        return g.op("Div", [g.op("Sub", [x, wide(MEAN * 255)]), wide(STD * 255)])
    if form == 1:
        x = g.op("Mul", [x, g.floats(1 / 127.5)])
        return g.op("Sub", [x, g.floats(1.0)])
    if form == 2:
        return g.op("Div", [x, g.floats(255.0)])
    return g.op("Add", [g.op("Mul", [x, wide(1 / (STD * 255))]), wide(-MEAN / STD)])


def enter(g, images):
    """Defines the input of `g` for these pictures and what stands at its beginning."""
    r = g.random
    height, width, channels = images[0].shape
    kind = str(r.choice(
        ["nchw", "nhwc", "own", "own nhwc", "bytes cast", "bytes dequantized"],
        p=[0.55, 0.12, 0.1, 0.08, 0.08, 0.07],
    ))
    arrays, options = pixels(r, images)
    element = TensorProto.FLOAT
    if kind.startswith("own"):
        arrays = [np.ascontiguousarray(i.transpose(2, 0, 1)[None], np.float32) for i in images]
        options = ["--normalize", "raw"]
    elif kind.startswith("bytes"):
        arrays = [np.ascontiguousarray(i.transpose(2, 0, 1)[None]) for i in images]
        options, element = [], TensorProto.UINT8
    if kind == "bytes dequantized" and g.opset < 10:
        kind = "bytes cast"
    last = kind.endswith("nhwc") or (kind.startswith("bytes") and r.rand() < 0.5)
    if last:
        arrays = nhwc(arrays)
    x = g.input(arrays)
    turned = False
    if kind == "bytes cast":
        x = g.op("Cast", x, to=1)
        if r.rand() < 0.7:
            x = normalize(g, x, channels, not last)
    elif kind == "bytes dequantized":
        zero = g.const(np.uint8(r.choice([0, 128, 0])))
        x = g.op("DequantizeLinear", [x, g.floats(float(r.choice([1 / 255, 1 / 128, 1.0]))), zero])
    elif kind.startswith("own"):
        if last and r.rand() < 0.5:
            x, turned = g.op("Transpose", x, perm=[0, 3, 1, 2]), True
        x = normalize(g, x, channels, not last or turned)
    if last and not turned:
        x = g.op("Transpose", x, perm=[0, 3, 1, 2])
    return Input(arrays, element, list(arrays[0].shape), options, x, kind)
