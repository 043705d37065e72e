"""From the last map to one number per class."""
import numpy as np

from . import layers, spell
from .activations import maybe
from .common import BadNetwork


def pooled(g, x):
    """A row of features."""
    r = g.random
    form = r.randint(8)
    small = np.prod(g.shape(x)) < 1500
    if form == 0:
        return spell.flatten(g, g.op("GlobalMaxPool", x))
    if form == 1:
        return spell.reduce(g, "ReduceMean", x, [2, 3], 0)
    if form == 2:
        keep = int(r.randint(2))
        x = spell.reduce(g, "ReduceMax", x, [2, 3], keep)
        return spell.flatten(g, x) if keep else x
    if form == 3 and small:
        return spell.flatten(g, x)
    if form == 4:
        # TensorFlow's order: channels last.
        x = g.op("Transpose", x, perm=[0, 2, 3, 1])
        return spell.flatten(g, x) if small else spell.reduce(g, "ReduceMean", x, [1, 2], 0)
    if form == 5:
        both = [spell.flatten(g, g.op(op, x)) for op in ("GlobalAveragePool", "GlobalMaxPool")]
        return g.op("Concat", both, axis=int(r.choice([1, -1])))
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
    """The logits, the output of the file, and what is between them: softmax, sigmoid or nothing."""
    r = g.random
    final = str(r.choice(["none", "softmax", "sigmoid", "yes or no"], p=[0.62, 0.22, 0.08, 0.08]))
    classes = 1 if final == "yes or no" else int(r.randint(2, 13))
    x = fully_connected(g, x, style, classes) if r.rand() < 0.8 else convolution(g, x, style, classes)
    if r.rand() < 0.08:
        before, x = x, maybe(g, x, style, 1.0)
        if final == "none" and g.nodes[-1].op_type == "Sigmoid" and g.nodes[-1].input[0] == before:
            return before, x, "sigmoid"
    if g.std(x) < 1e-12:
        raise BadNetwork("the logits are constant")
    if final == "softmax":
        op = str(r.choice(["Softmax", "Softmax", "LogSoftmax"]))
        return x, g.op(op, x, axis=int(r.choice([1, -1]))), final
    if final != "none":
        return x, g.op("Sigmoid", x), "sigmoid"
    return x, x, final
