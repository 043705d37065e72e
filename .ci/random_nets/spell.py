"""Operators as each opset spells them."""
import numpy as np


def clip(g, x, low, high):
    if g.opset < 11:
        bounds = {k: float(v) for k, v in (("min", low), ("max", high)) if v is not None}
        return g.op("Clip", x, **bounds)
    inputs = [x, "" if low is None else g.floats(low), "" if high is None else g.floats(high)]
    while not inputs[-1]:
        inputs.pop()
    return g.op("Clip", inputs, note=f"[{low} to {high}]")


def squeeze(g, x, axes):
    if g.opset < 13:
        return g.op("Squeeze", x, axes=axes)
    return g.op("Squeeze", [x, g.ints(axes)])


def unsqueeze(g, x, axes):
    if g.opset < 13:
        return g.op("Unsqueeze", x, axes=axes)
    return g.op("Unsqueeze", [x, g.ints(axes)])


def reduce(g, op, x, axes, keepdims):
    if g.opset < 18:
        return g.op(op, x, axes=axes, keepdims=keepdims)
    return g.op(op, [x, g.ints(axes)], keepdims=keepdims, note=f"axes={axes}")


def slice_(g, x, axis, start, end, step=1):
    if g.opset < 10:
        assert step == 1
        return g.op("Slice", x, axes=[axis], starts=[start], ends=[end])
    inputs = [x, g.ints([start]), g.ints([end]), g.ints([axis])]
    if step != 1:
        inputs.append(g.ints([step]))
    return g.op("Slice", inputs, note=f"axis {axis} [{start}:{end}:{step}]")


def split(g, x, axis, sizes):
    if g.opset < 13:
        return g.op("Split", x, outputs=len(sizes), axis=axis, split=sizes)
    if g.opset >= 18 and len(set(sizes)) == 1 and g.random.rand() < 0.5:
        return g.op("Split", x, outputs=len(sizes), axis=axis, num_outputs=len(sizes))
    return g.op("Split", [x, g.ints(sizes)], outputs=len(sizes), axis=axis, note=f"{sizes}")


def pad(g, x, before, after):
    """Zeros around a map of four dimensions."""
    pads = [*before, *after]
    if g.opset < 11:
        return g.op("Pad", x, pads=pads)
    form = g.random.randint(3)
    if form == 0:
        return g.op("Pad", [x, g.ints(pads)], note=f"{pads}")
    if form == 1 and g.opset >= 18 and before[:2] == [0, 0] == after[:2]:
        inputs = [x, g.ints(before[2:] + after[2:]), g.floats(0.0), g.ints([2, 3])]
        return g.op("Pad", inputs, note=f"{pads}")
    return g.op("Pad", [x, g.ints(pads), g.floats(0.0)], mode="constant", note=f"{pads}")


def dropout(g, x):
    return g.op("Dropout", x, ratio=0.3) if g.opset < 12 else g.op("Dropout", [x, g.floats(0.3)])


def flatten(g, x):
    """Of a map, to a row, in one of the many ways."""
    n = int(np.prod(g.shape(x)))
    rank = len(g.shape(x))
    form = g.random.randint(7)
    if form == 0:
        return g.op("Flatten", x)
    if form == 1:
        return g.op("Reshape", [x, g.ints([1, -1])])
    if form == 2:
        return g.op("Reshape", [x, g.ints([0, -1])])
    if form == 3:
        return g.op("Reshape", [x, g.ints([-1, n])])
    if form == 4 and rank == 4 and g.shape(x)[2:] == (1, 1) and n > 1:
        return squeeze(g, x, [2, 3] if g.random.rand() < 0.5 else [-1, -2])
    if form == 5 and g.opset >= 11:
        # PyTorch's x.view(x.size(0), -1).
        size = g.op("Gather", [g.op("Shape", x), g.ints(0)], axis=0)
        sizes = g.op("Concat", [unsqueeze(g, size, [0]), g.ints([-1])], axis=0)
        return g.op("Reshape", [x, sizes])
    return g.op("Flatten", x, axis=1)
