"""Functions of one number: those that networks have, and clips with bounds in odd places."""
import numpy as np

from . import layers, spell


def silu(g, x):
    gate = g.op("Sigmoid", x)
    return g.op("Mul", [x, gate] if g.random.rand() < 0.5 else [gate, x])


def hard_swish(g, x):
    r = g.random
    form = r.randint(3)
    if form == 0 and g.opset >= 14:
        return g.op("HardSwish", x)
    if form == 1:
        gate = g.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)
        return g.op("Mul", [x, gate])
    inner = spell.clip(g, g.op("Add", [x, g.floats(3.0)]), 0.0, 6.0)
    if r.rand() < 0.5:
        return g.op("Mul", [x, g.op("Div", [inner, g.floats(6.0)])])
    return g.op("Div", [g.op("Mul", [x, inner]), g.floats(6.0)])


def hard_sigmoid(g, x):
    if g.random.rand() < 0.5:
        return g.op("HardSigmoid", x)
    return g.op("HardSigmoid", x, alpha=1 / 6, beta=0.5)


def leaky(g, x):
    return g.op("LeakyRelu", x, alpha=float(g.random.choice([0.01, 0.1, 0.2, 0.3, 1.5])))


def prelu(g, x):
    r = g.random
    form = r.randint(3)
    if form == 0:
        return g.op("PRelu", [x, g.floats([0.25])])
    slopes = (0.25 + 0.2 * r.randn(g.channels(x))) if form == 1 else r.uniform(-0.5, 1.5, g.channels(x))
    shape = (-1,) if len(g.shape(x)) == 2 else (-1, 1, 1)
    return g.op("PRelu", [x, g.const(slopes.astype(np.float32).reshape(shape))])


def odd_clip(g, x):
    """Bounds that cut off a part of the values: below zero, above zero, around it, of one side."""
    r, values = g.random, g.all(x)
    form = r.randint(6)
    low, high = np.percentile(values, [r.uniform(2, 40), r.uniform(60, 98)])
    if form == 0:
        low, high = -abs(high), abs(high)
    elif form == 1:
        low = None
    elif form == 2:
        high = None
    elif form == 3:
        low = 0.0 if high is None or high > 0 else low
    elif form == 4:
        bound = float(r.choice([0.5, 1.0, 2.0]))
        low, high = -bound, bound
    low = None if low is None else float(np.float32(low))
    high = None if high is None else float(np.float32(high))
    if low is not None and high is not None and low >= high:
        low = None
    if g.opset >= 8 and r.rand() < 0.3:
        # The same with Min and Max.
        if low is not None:
            x = g.op("Max", [x, g.floats(low)])
        if high is not None:
            x = g.op("Min", [g.floats(high), x] if r.rand() < 0.5 else [x, g.floats(high)])
        return x
    return spell.clip(g, x, low, high)


def twice(g, x):
    """Two clamps in a row."""
    return odd_clip(g, odd_clip(g, x)) if g.random.rand() < 0.5 else odd_clip(g, relu(g, x))


def relu(g, x):
    return g.op("Relu", x)


def relu6(g, x):
    return spell.clip(g, x, 0.0, 6.0)


def sigmoid(g, x):
    return g.op("Sigmoid", x)


def tanh(g, x):
    return g.op("Tanh", x)


USUAL = [relu, relu, relu, relu, relu6, relu6, leaky, hard_swish, silu]
ODD = [odd_clip, odd_clip, odd_clip, odd_clip, twice, prelu, prelu, sigmoid, tanh, hard_sigmoid, leaky]


def activation(g, x, style):
    """A random one, if one at all."""
    r = g.random
    if r.rand() < style.odd_activation:
        function = ODD[r.randint(len(ODD))]
    else:
        function = USUAL[r.randint(len(USUAL))]
    return function(g, x)


def maybe(g, x, style, chance=0.8):
    r = g.random
    if r.rand() < chance:
        x = activation(g, x, style)
    if r.rand() < 0.15 * style.odd_activation:
        # An affine right behind a clamp, which converters like to fold away.
        x = layers.affine(g, x, style)
    return x
