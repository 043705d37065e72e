"""A Keras network that computes its values while it is built, as `graph.py` does for ONNX."""
import keras
import numpy as np

from .common import BadNetwork, unsteady


class Node:
    """A tensor: of the model, what it is on the pictures, and what it would be if all had 8 bits."""

    def __init__(self, symbol, values, rough):
        self.symbol, self.values, self.rough = symbol, values, rough

    @property
    def shape(self):
        return self.values.shape[1:]

    @property
    def channels(self):
        return int(self.shape[-1])


def eight_bits(values):
    return unsteady(values, float(values.min()), float(values.max()))


class KerasGraph:
    def __init__(self, random, values):
        """`values`: the pictures as the network wants them."""
        self.random = random
        self.text = []
        symbol = keras.Input(values.shape[1:], name="input")
        self.input = Node(symbol, values, eight_bits(values))

    def apply(self, layer, *inputs, joined=False, note=""):
        """`layer` on nodes; `joined`: it takes a list."""
        pick = lambda what: [getattr(i, what) for i in inputs]
        call = (lambda x: layer(x)) if joined else (lambda x: layer(*x))
        values, rough = (np.asarray(call(pick(w))) for w in ("values", "rough"))
        if not np.isfinite(values).all():
            raise BadNetwork("values that are not finite")
        if 0 in values.shape:
            raise BadNetwork("an empty tensor")
        node = Node(call(pick("symbol")), values, eight_bits(rough))
        size = "x".join(map(str, node.shape))
        self.text.append(f"{size} = {type(layer).__name__}({', '.join('x'.join(map(str, i.shape)) for i in inputs)}) {note}")
        return node

    def function(self, f, *inputs, note=""):
        """A function of `keras.ops` or `tf` as a layer."""
        layer = keras.layers.Lambda(lambda x: f(*x) if len(inputs) > 1 else f(x))
        return self.apply(layer, *inputs, joined=len(inputs) > 1, note=note)

    def model(self, output):
        return keras.Model(self.input.symbol, output.symbol)
