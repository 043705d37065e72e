"""Layers with weights, for Keras: those of `layers.py`."""
import keras
import numpy as np

from . import weights


def build(g, layer, x):
    layer(x.symbol)
    return layer


def window(g, x, largest=5):
    r = g.random
    h, w = x.shape[:2]
    while True:
        kernel = [min(int(r.choice([1, 2, 3, 3, 3, 4, 5])), largest) for _ in range(2)]
        if r.rand() < 0.7:
            kernel[1] = kernel[0]
        # Depthwise layers take one stride for both directions, and so do holes.
        stride = int(r.choice([1, 1, 2, 3], p=[0.4, 0.2, 0.35, 0.05]))
        padding = str(r.choice(["same", "valid"], p=[0.7, 0.3]))
        dilation = int(r.choice([1, 2])) if stride == 1 and r.rand() < 0.2 else 1
        spans = [(k - 1) * dilation + 1 for k in kernel]
        if padding == "same" or (spans[0] <= h and spans[1] <= w):
            return kernel, stride, padding, dilation


def conv(g, x, style, outputs=None, kind="plain", fixed=None, size=None, activation=None):
    r = g.random
    outputs = outputs or int(r.randint(2, style.width + 1))
    kernel, stride, padding, dilation = fixed or window(g, x)
    size = size or weights.gain(r, style)
    use_bias = bool(r.rand() < 0.75)
    common = dict(strides=stride, padding=padding, dilation_rate=dilation, use_bias=use_bias, activation=activation)
    if kind == "depthwise":
        multiplier = int(r.choice([1, 1, 1, 2]))
        layer = keras.layers.DepthwiseConv2D(kernel, depth_multiplier=multiplier, **common)
        outputs = x.channels * multiplier
        shape = (outputs, *kernel)
        w = weights.filters(r, shape, style).transpose(1, 2, 0).reshape(*kernel, x.channels, multiplier)
    else:
        layer = keras.layers.Conv2D(outputs, kernel, **common)
        w = weights.filters(r, (outputs, *kernel, x.channels), style).transpose(1, 2, 3, 0)
    layer.build((None, *x.shape))
    finish(layer, w, x, outputs, size, style, r, use_bias)
    return g.apply(layer, x, note=f"kernel {kernel} stride {stride} {padding} dilation {dilation} bias {use_bias} {activation or ''}")


def finish(layer, w, x, outputs, size, style, r, use_bias):
    """Scales the weights so that the outputs are as large as wanted, and gives the layer a bias."""
    zeros = [np.zeros(outputs, np.float32)] * use_bias
    layer.set_weights([w, *zeros])
    function, layer.activation = layer.activation, keras.activations.linear
    std = float(np.std(np.asarray(layer(x.values))))
    layer.activation = function
    if std > 1e-12:
        w = (w * (size / std)).astype(np.float32)
    layer.set_weights([w, *[weights.bias(r, outputs, size, style)] * use_bias])


def dense(g, x, style, outputs, size=None, centred=False, activation=None):
    r = g.random
    size = size or weights.gain(r, style)
    w = weights.filters(r, (outputs, x.channels), style)
    given = x.values.astype(np.float64) @ w.T
    depends = float((given - given.mean(0)).std())
    if depends > 1e-9:
        w = (w * (size / depends)).astype(np.float32)
    b = weights.bias(r, outputs, size, style)
    if centred:
        b = (0.5 * size * r.randn(outputs) - (x.values @ w.T).mean(0)).astype(np.float32)
    layer = keras.layers.Dense(outputs, activation=activation)
    layer.build((None, x.channels))
    layer.set_weights([np.ascontiguousarray(w.T), b])
    return g.apply(layer, x, note=activation or "")


def batch_norm(g, x, style):
    r = g.random
    values = x.values.reshape(-1, x.channels)
    mean, variance = values.mean(0), values.var(0)
    variance = np.maximum(variance * np.exp(0.1 * r.randn(len(mean))), max(float(variance.max()) * 0.01, 1e-10))
    mean = mean + 0.1 * np.sqrt(variance) * r.randn(len(mean))
    size = weights.gain(r, style)
    gamma = size * np.exp(0.3 * r.randn(len(mean)))
    if r.rand() < 0.3:
        gamma *= np.where(r.rand(len(mean)) < 0.3, -1, 1)
    if r.rand() < style.dead:
        gamma[r.rand(len(mean)) < 0.3] = 0.0
    layer = keras.layers.BatchNormalization(epsilon=float(r.choice([1e-3, 1e-5])))
    layer.build((None, *x.shape))
    layer.set_weights([gamma, size * 0.4 * r.randn(len(mean)), mean, variance])
    return g.apply(layer, x)


def affine(g, x, style):
    """A factor or an offset per channel or for all."""
    r, std = g.random, float(x.values.std())
    n = x.channels if r.rand() < 0.6 else 1
    factor = (np.exp(0.5 * r.randn(n)) * np.where(r.rand(n) < 0.2, -1, 1)).astype(np.float32)
    offset = (std * 0.7 * r.randn(n)).astype(np.float32)
    factor, offset = (v if n > 1 else float(v[0]) for v in (factor, offset))
    forms = [
        lambda v: v * factor, lambda v: v + offset, lambda v: v - offset, lambda v: offset - v, lambda v: v / factor,
        lambda v: v * factor + offset,
    ]
    form = r.randint(len(forms) + 1)
    if form == len(forms):
        return g.apply(keras.layers.Rescaling(float(np.ravel(factor)[0]), float(np.ravel(offset)[0])), x)
    return g.function(forms[form], x, note=["mul", "add", "sub", "rsub", "div", "mul add"][form])
