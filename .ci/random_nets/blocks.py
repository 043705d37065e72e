"""Parts of a trunk: from a map to a map."""
import numpy as np

from . import layers, spell, weights
from .activations import maybe


def conv_block(g, x, style):
    """Convolution, batch norm and activation, in this order or another."""
    r = g.random
    if r.rand() < 0.15:
        x = layers.batch_norm(g, x, style)
        x = maybe(g, x, style, 0.6)
    x = layers.grouped(g, x, style) if r.rand() < 0.35 else layers.conv(g, x, style)
    if r.rand() < 0.4:
        x = layers.batch_norm(g, x, style)
    x = maybe(g, x, style)
    if r.rand() < 0.2:
        x = layers.batch_norm(g, x, style)
    return x


def norm_block(g, x, style):
    return maybe(g, layers.batch_norm(g, x, style), style, 0.5)


def lrn(g, x, style):
    r = g.random
    size = int(r.choice([1, 3, 5, 7]))
    # So much that it matters: alpha for the activations that are there.
    power = float(np.square(g.all(x)).mean()) or 1.0
    alpha = float(r.choice([1e-4, 0.1 / power, 1.0 / power]))
    bias = float(r.choice([1.0, 2.0, 0.5]))
    return g.op("LRN", x, size=size, alpha=alpha, beta=float(r.choice([0.75, 0.5, 1.0])), bias=bias)


def pool(g, x, style):
    r = g.random
    op = str(r.choice(["MaxPool", "AveragePool"]))
    attributes = layers.window(g, x, largest=4)
    attributes.pop("dilations", None)
    # A window must not lie in the padding as a whole.
    if "pads" in attributes:
        limit = [(k - 1) for k in attributes["kernel_shape"]] * 2
        attributes["pads"] = [min(p, l) for p, l in zip(attributes["pads"], limit)]
    if op == "AveragePool":
        attributes["count_include_pad"] = int(r.randint(2))
    if g.opset >= 10 and r.rand() < 0.3 and "auto_pad" not in attributes:
        attributes["ceil_mode"] = 1
    return g.op(op, x, **attributes)


def branch(g, x, style, outputs):
    """A way from `x` to a map of the same height and width with so many channels."""
    r, depth = g.random, g.random.randint(1, 3)
    for i in range(depth):
        last = i == depth - 1
        k = int(r.choice([1, 3]))
        window = {"kernel_shape": [k, k], "pads": [k // 2] * 4}
        if last or r.rand() < 0.7:
            x = layers.conv(g, x, style, outputs if last else None, attributes=window, size=g_size(g, style))
        else:
            x = layers.conv(g, x, style, g.channels(x), groups=g.channels(x), attributes=window)
        if r.rand() < 0.4:
            x = layers.batch_norm(g, x, style)
        if not last:
            x = maybe(g, x, style)
    return x


def g_size(g, style):
    return weights.gain(g.random, style)


def dead_branch(g, x, style):
    """A sum of two branches that is never above zero, and its ReLU: a block that pruning has emptied."""
    y = branch(g, x, style, g.channels(x))
    top = float(max(g.all(y).max(), g.all(x).max(), 1e-3))
    offset = layers.row(g, np.full(g.channels(x), -4 * top), x)
    y = g.op("Relu", g.op("Add", [g.op("Add", [y, x]), offset]))
    return g.op("Add", [x, y])


def residual(g, x, style):
    r = g.random
    if r.rand() < 0.3 * style.dead:
        return dead_branch(g, x, style)
    y = branch(g, x, style, g.channels(x))
    form = r.randint(8)
    if form == 0:
        z = g.op("Sub", [x, y] if r.rand() < 0.5 else [y, x])
    elif form == 1 and g.opset >= 8:
        z = g.op("Sum", [x, y, branch(g, x, style, g.channels(x))])
    elif form == 2:
        z = g.op("Mul", [x, y])
    elif form == 3:
        # Dense: what came before is added once more.
        z = g.op("Add", [g.op("Add", [x, y]), x])
    else:
        z = g.op("Add", [x, y] if r.rand() < 0.5 else [y, x])
    return maybe(g, z, style, 0.6)


def gate(g, x, style):
    """Squeeze and excitation."""
    r, channels = g.random, g.channels(x)
    rows = r.rand() < 0.3
    if r.rand() < 0.5:
        s = g.op("GlobalAveragePool", x)
    else:
        s = spell.reduce(g, "ReduceMean", x, [2, 3] if r.rand() < 0.5 else [-1, -2], 1)
    hidden = max(2, channels // 2)
    if rows:
        s = spell.flatten(g, s)
        s = layers.linear(g, s, style, hidden)
        s = maybe(g, s, style)
        s = layers.linear(g, s, style, channels)
    else:
        s = layers.pointwise(g, s, style, hidden)
        s = maybe(g, s, style)
        s = layers.pointwise(g, s, style, channels, size=1.0)
    s = g.op("Sigmoid", s) if r.rand() < 0.6 else g.op("HardSigmoid", s, alpha=1 / 6, beta=0.5)
    if rows:
        s = g.op("Reshape", [s, g.ints([1, channels, 1, 1])]) if r.rand() < 0.5 else spell.unsqueeze(g, s, [2, 3])
    return g.op("Mul", [x, s] if r.rand() < 0.5 else [s, x])


def concat(g, x, style):
    """Branches beside each other, the input among them perhaps; of different sizes."""
    r = g.random
    parts = [branch(g, x, style, int(r.randint(1, style.width // 2 + 1))) for _ in range(r.randint(1, 4))]
    parts = [maybe(g, p, style, 0.6) for p in parts]
    if r.rand() < 0.4 or len(parts) == 1:
        parts.insert(0, x)
    if r.rand() < 0.2:
        window = {"kernel_shape": [3, 3], "pads": [1] * 4, "strides": [1, 1]}
        parts.append(g.op("MaxPool", x, **window))
    axis = 1 if r.rand() < 0.7 else -3
    return maybe(g, g.op("Concat", parts, axis=axis), style, 0.3)


def split(g, x, style):
    """ShuffleNet: one part of the channels goes another way."""
    r, channels = g.random, g.channels(x)
    if channels < 2:
        return conv_block(g, x, style)
    first = channels // 2 if r.rand() < 0.7 else int(r.randint(1, channels))
    if r.rand() < 0.5:
        a, b = spell.split(g, x, 1, [first, channels - first])
    else:
        a = spell.slice_(g, x, 1, 0, first)
        b = spell.slice_(g, x, 1, first, channels if r.rand() < 0.5 else 2**31 - 1)
    b = maybe(g, branch(g, b, style, g.channels(b)), style)
    x = g.op("Concat", [a, b], axis=1)
    return shuffle(g, x, style) if r.rand() < 0.7 else x


def shuffle(g, x, style):
    n, channels, h, w = g.shape(x)
    divisors = [d for d in range(2, channels) if channels % d == 0]
    if not divisors:
        return conv_block(g, x, style)
    groups = int(g.random.choice(divisors))
    x = g.op("Reshape", [x, g.ints([1, groups, channels // groups, h, w])])
    x = g.op("Transpose", x, perm=[0, 2, 1, 3, 4])
    return g.op("Reshape", [x, g.ints([1, -1, h, w] if g.random.rand() < 0.5 else [0, channels, h, w])])


def pad(g, x, style):
    r = g.random
    before, after = ([0, 0] + [int(r.randint(0, 3)) for _ in range(2)] for _ in range(2))
    if r.rand() < 0.2:
        after[1] = int(r.randint(1, 4))
    return spell.pad(g, x, before, after)


def crop(g, x, style):
    r = g.random
    axis = int(r.randint(2, 4))
    side = g.shape(x)[axis]
    if side < 4:
        return pad(g, x, style)
    start, end = int(r.randint(0, side // 3)), int(r.randint(2 * side // 3, side + 1))
    step = int(r.choice([1, 1, 2])) if g.opset >= 10 else 1
    if r.rand() < 0.3 and end < side:
        end -= side
    return spell.slice_(g, x, axis, start, end, step)


def view(g, x, style):
    """Operators that do nothing, or are undone."""
    r = g.random
    form = r.randint(5)
    if form == 0:
        x = g.op("Transpose", x, perm=[0, 2, 3, 1])
        x = g.op(str(r.choice(["Relu", "Sigmoid"])), x)
        return g.op("Transpose", x, perm=[0, 3, 1, 2])
    if form == 1:
        return spell.dropout(g, x)
    if form == 2:
        return g.op("Cast", x, to=1)
    if form == 3:
        return spell.squeeze(g, spell.unsqueeze(g, x, [0]), [0])
    return g.op("Identity", x)


def affine(g, x, style):
    return maybe(g, layers.affine(g, x, style), style, 0.5)


BLOCKS = {
    conv_block: 10, residual: 5, concat: 3, gate: 3, split: 3, pool: 4, norm_block: 2, lrn: 1.5,
    affine: 2.5, shuffle: 1, pad: 1.5, crop: 1.5, view: 1.5,
}


def block(g, x, style):
    functions = list(BLOCKS)
    chances = np.array([BLOCKS[f] for f in functions], float)
    return functions[g.random.choice(len(functions), p=chances / chances.sum())](g, x, style)
