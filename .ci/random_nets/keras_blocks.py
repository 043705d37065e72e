"""Activations, parts of a trunk and heads, for Keras."""
import keras
import numpy as np
import tensorflow as tf

from . import keras_layers as layers
from .common import BadNetwork


def odd_clip(g, x):
    r = g.random
    low, high = (float(np.float32(v)) for v in np.percentile(x.values, [r.uniform(2, 40), r.uniform(60, 98)]))
    form = r.randint(5)
    if form == 0:
        low, high = -abs(high), abs(high)
    if form == 1:
        bound = float(r.choice([0.5, 1.0, 2.0]))
        low, high = -bound, bound
    if low >= high:
        low = high - 1.0
    if form == 2:
        return g.function(lambda v: tf.minimum(v, high), x, note=f"min {high}")
    if form == 3:
        return g.function(lambda v: tf.maximum(v, low), x, note=f"max {low}")
    return g.function(lambda v: tf.clip_by_value(v, low, high), x, note=f"clip {low} {high}")


def relu_layer(g, x):
    """Keras's ReLU with all its arguments; no threshold, which no runtime has."""
    r = g.random
    top = float(np.percentile(x.values, r.uniform(60, 98)))
    if r.rand() < 0.5 and top > 0:
        return g.apply(keras.layers.ReLU(max_value=top), x, note=f"max {top}")
    return g.apply(keras.layers.LeakyReLU(negative_slope=float(r.choice([0.01, 0.2, 0.3]))), x)


def prelu(g, x):
    r = g.random
    shared = [1, 2] if len(x.shape) == 3 else None
    layer = keras.layers.PReLU(shared_axes=shared)
    layer.build((None, *x.shape))
    layer.set_weights([np.float32(r.uniform(-0.5, 1.2, w.shape)) for w in layer.get_weights()])
    return g.apply(layer, x)


NAMED = ["relu", "relu", "relu", "relu6", "relu6", "silu", "hard_silu", "leaky_relu"]
ODD_NAMED = ["sigmoid", "tanh", "hard_sigmoid"]


def activation(g, x, style):
    r = g.random
    if r.rand() < style.odd_activation:
        form = r.randint(6)
        if form < 2:
            return odd_clip(g, x)
        if form == 2:
            return relu_layer(g, x)
        if form == 3:
            return prelu(g, x)
        name = str(r.choice(ODD_NAMED))
    else:
        name = str(r.choice(NAMED))
    return g.apply(keras.layers.Activation(name), x, note=name)


def maybe(g, x, style, chance=0.8):
    r = g.random
    if r.rand() < chance:
        x = activation(g, x, style)
    if r.rand() < 0.15 * style.odd_activation:
        x = layers.affine(g, x, style)
    return x


def conv_block(g, x, style):
    r = g.random
    if r.rand() < 0.1:
        x = maybe(g, layers.batch_norm(g, x, style), style, 0.6)
    fused = str(r.choice(["relu", "relu6", "tanh"])) if r.rand() < 0.2 else None
    x = layers.conv(g, x, style, kind="depthwise" if r.rand() < 0.35 else "plain", activation=fused)
    if fused:
        return x
    if r.rand() < 0.5:
        x = layers.batch_norm(g, x, style)
    x = maybe(g, x, style)
    if r.rand() < 0.15:
        x = layers.batch_norm(g, x, style)
    return x


def branch(g, x, style, outputs):
    r, depth = g.random, g.random.randint(1, 3)
    for i in range(depth):
        last = i == depth - 1
        k = int(r.choice([1, 3]))
        kind = "plain" if last or r.rand() < 0.7 else "depthwise"
        x = layers.conv(g, x, style, outputs if last else None, kind, ([k, k], 1, "same", 1))
        if r.rand() < 0.4:
            x = layers.batch_norm(g, x, style)
        if not last:
            x = maybe(g, x, style)
    return x


def residual(g, x, style):
    r = g.random
    parts = [x, branch(g, x, style, x.channels)]
    if r.rand() < 0.15:
        parts.append(branch(g, x, style, x.channels))
    layer = keras.layers.Multiply() if r.rand() < 0.15 else keras.layers.Add()
    return maybe(g, g.apply(layer, *parts, joined=True), style, 0.6)


def concat(g, x, style):
    r = g.random
    parts = [branch(g, x, style, int(r.randint(1, style.width // 2 + 1))) for _ in range(r.randint(1, 4))]
    parts = [maybe(g, p, style, 0.6) for p in parts]
    if r.rand() < 0.4 or len(parts) == 1:
        parts.insert(0, x)
    return maybe(g, g.apply(keras.layers.Concatenate(), *parts, joined=True), style, 0.3)


def split(g, x, style):
    c = x.channels
    if c < 2:
        return conv_block(g, x, style)
    first = int(g.random.randint(1, c))
    a = g.function(lambda v: v[..., :first], x, note=f"[..., :{first}]")
    b = g.function(lambda v: v[..., first:], x, note=f"[..., {first}:]")
    b = maybe(g, branch(g, b, style, b.channels), style)
    return g.apply(keras.layers.Concatenate(), a, b, joined=True)


def gate(g, x, style):
    r, c = g.random, x.channels
    form = r.randint(3)
    hidden, last = max(2, c // 2), str(r.choice(["sigmoid", "hard_sigmoid"]))
    if form == 0:
        s = g.apply(keras.layers.GlobalAveragePooling2D(), x)
        s = maybe(g, layers.dense(g, s, style, hidden), style)
        s = layers.dense(g, s, style, c, size=1.0, activation=last)
        s = g.apply(keras.layers.Reshape((1, 1, c)), s)
    else:
        if form == 1:
            s = g.apply(keras.layers.GlobalAveragePooling2D(keepdims=True), x)
        else:
            s = g.function(lambda v: tf.reduce_mean(v, [1, 2], keepdims=True), x, note="mean")
        point = ([1, 1], 1, "same", 1)
        s = maybe(g, layers.conv(g, s, style, hidden, fixed=point), style)
        s = layers.conv(g, s, style, c, fixed=point, size=1.0, activation=last)
    return g.apply(keras.layers.Multiply(), x, s, joined=True)


def pool(g, x, style):
    r = g.random
    kernel, stride, padding, _ = layers.window(g, x, 4)
    kind = keras.layers.MaxPooling2D if r.rand() < 0.5 else keras.layers.AveragePooling2D
    return g.apply(kind(kernel, stride, padding), x, note=f"{kernel} stride {stride} {padding}")


def pad(g, x, style):
    pads = [[int(g.random.randint(0, 3)) for _ in range(2)] for _ in range(2)]
    return g.apply(keras.layers.ZeroPadding2D(pads), x, note=f"{pads}")


def crop(g, x, style):
    r = g.random
    h, w = x.shape[:2]
    if min(h, w) < 5:
        return pad(g, x, style)
    if r.rand() < 0.5:
        cut = [[int(r.randint(0, 2)) for _ in range(2)] for _ in range(2)]
        return g.apply(keras.layers.Cropping2D(cut), x, note=f"{cut}")
    step = int(r.choice([1, 2]))
    return g.function(lambda v: v[:, 1::step, : w - 1, :], x, note=f"[:, 1::{step}, :-1]")


def lrn(g, x, style):
    r = g.random
    power = float(np.square(x.values).mean()) or 1.0
    radius, bias, beta = int(r.randint(1, 4)), float(r.choice([1.0, 2.0])), float(r.choice([0.5, 0.75, 1.0]))
    alpha = float(r.choice([1e-4, 0.1 / power]))
    f = lambda v: tf.nn.local_response_normalization(v, radius, bias, alpha, beta)
    return g.function(f, x, note=f"LRN {radius} {bias} {alpha} {beta}")


def affine(g, x, style):
    return maybe(g, layers.affine(g, x, style), style, 0.5)


BLOCKS = {
    conv_block: 10, residual: 4, concat: 2.5, gate: 2.5, split: 2, pool: 3, pad: 1.5, crop: 1.5, affine: 2, lrn: 0.7,
}


def block(g, x, style):
    functions = list(BLOCKS)
    chances = np.array([BLOCKS[f] for f in functions], float)
    return functions[g.random.choice(len(functions), p=chances / chances.sum())](g, x, style)


def head(g, x, style):
    """The logits, the output of the model, and what is between them: softmax, sigmoid or nothing."""
    r = g.random
    final = str(r.choice(["none", "softmax", "sigmoid", "yes or no"], p=[0.45, 0.35, 0.1, 0.1]))
    classes = 1 if final == "yes or no" else int(r.randint(2, 13))
    form = r.randint(5)
    if form == 0:
        x = g.apply(keras.layers.GlobalMaxPooling2D(), x)
    elif form == 1 and np.prod(x.shape) < 1500:
        x = g.apply(keras.layers.Flatten(), x)
    else:
        x = g.apply(keras.layers.GlobalAveragePooling2D(), x)
    if r.rand() < 0.3:
        x = maybe(g, layers.dense(g, x, style, int(r.randint(4, 17))), style)
    if r.rand() < 0.15:
        x = g.apply(keras.layers.Dropout(0.3), x)
    x = layers.dense(g, x, style, classes, centred=True)
    if float(x.values.std()) < 1e-12:
        raise BadNetwork("the logits are constant")
    if final == "softmax":
        return x, g.apply(keras.layers.Softmax(), x), final
    if final != "none":
        return x, g.apply(keras.layers.Activation("sigmoid"), x, note="sigmoid"), "sigmoid"
    return x, x, final
