"""From the last map to one number per class."""
import numpy as np

from . import layers, spell
from .activations import maybe
from .graph import BadNetwork


def pooled(g, x):
    """A row of features."""
    r = g.random
    form = r.randint(6)
    if form == 0:
        return spell.flatten(g, g.op("GlobalMaxPool", x))
    if form == 1:
        return spell.reduce(g, "ReduceMean", x, [2, 3], 0)
    if form == 2:
        return spell.reduce(g, "ReduceMax", x, [2, 3], 0) if r.rand() < 0.5 else spell.flatten(
            g, spell.reduce(g, "ReduceMax", x, [2, 3], 1))
    if form == 3 and np.prod(g.shape(x)) < 1500:
        return spell.flatten(g, x)
    return spell.flatten(g, g.op("GlobalAveragePool", x))


def fully_connected(g, x, style, classes):
    r = g.random
    x = pooled(g, x)
    if r.rand() < 0.3:
        x = layers.linear(g, x, style, int(r.randint(4, 17)))
        if r.rand() < 0.3:
            x = layers.batch_norm(g, x, style)
        x = maybe(g, x, style)
    if r.rand() < 0.1:
        x = spell.dropout(g, x)
    return layers.linear(g, x, style, classes, centred=True)


def convolution(g, x, style, classes):
    """SqueezeNet's: the classes are channels, and the pool comes last."""
    r = g.random
    x = layers.pointwise(g, x, style, classes)
    x = maybe(g, x, style, 0.3)
    return spell.flatten(g, g.op("GlobalAveragePool", x) if r.rand() < 0.8 else g.op("GlobalMaxPool", x))


def head(g, x, style):
    """Gives the logits and the output of the file, which is their softmax, perhaps."""
    r = g.random
    classes = int(r.randint(2, 13))
    x = fully_connected(g, x, style, classes) if r.rand() < 0.8 else convolution(g, x, style, classes)
    if r.rand() < 0.08:
        x = maybe(g, x, style, 1.0)
    if g.std(x) < 1e-12:
        raise BadNetwork("the logits are constant")
    output = x
    if r.rand() < 0.25:
        op = str(r.choice(["Softmax", "Softmax", "LogSoftmax"]))
        output = g.op(op, x, axis=int(r.choice([1, -1])))
    return x, output
