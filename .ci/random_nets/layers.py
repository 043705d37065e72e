"""Layers with weights: convolutions, fully connected ones, batch norms, constants per channel."""
import numpy as np
from onnx import numpy_helper

from . import weights


def scaled(g, x_op, w, wanted):
    """`w` times what makes the outputs of `x_op(w)` as large as wanted."""
    values = np.concatenate([v.ravel() for v in x_op(w)])
    std = float(values.std())
    return w if std < 1e-12 else (w * (wanted / std)).astype(np.float32)


def window(g, x, largest=5):
    """Kernel, stride, padding and dilation of a window that fits on `x`."""
    r = g.random
    h, w = g.shape(x)[2:]
    while True:
        kernel = [int(r.choice([1, 2, 3, 3, 3, 4, 5])) for _ in range(2)]
        if r.rand() < 0.7:
            kernel[1] = kernel[0]
        kernel = [min(k, largest) for k in kernel]
        stride = [int(r.choice([1, 1, 2, 3], p=[0.4, 0.2, 0.35, 0.05]))] * 2
        if r.rand() < 0.1:
            stride[1] = int(r.randint(1, 4))
        dilation = [int(r.choice([1, 2, 3], p=[0.8, 0.15, 0.05]))] * 2
        style = r.choice(["same", "valid", "odd", "auto"], p=[0.5, 0.1, 0.25, 0.15])
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
        attributes = {"kernel_shape": kernel, "strides": stride}
        if dilation != [1, 1]:
            attributes["dilations"] = dilation
        if style == "auto" and dilation == [1, 1]:
            attributes["auto_pad"] = str(r.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))
            pads = [0] * 4
            if attributes["auto_pad"] != "VALID":
                pads = [s - 1 for s in spans] * 2
        else:
            if style == "same":
                pads = [(s - 1) // 2 for s in spans] * 2
            elif style == "odd":
                pads = [int(r.randint(0, s)) for s in spans * 2]
            else:
                pads = [0] * 4
            attributes["pads"] = pads
        if h + pads[0] + pads[2] >= spans[0] and w + pads[1] + pads[3] >= spans[1]:
            return attributes


def conv(g, x, style, outputs=None, groups=1, attributes=None, size=None):
    """A convolution whose weights have a random form and whose outputs have a chosen size."""
    r, inputs = g.random, g.channels(x)
    outputs = outputs or int(r.randint(2, style.width + 1))
    attributes = dict(attributes or window(g, x))
    if groups > 1:
        attributes["group"] = groups
    shape = (outputs, inputs // groups, *attributes["kernel_shape"])
    size = size or weights.gain(r, style)
    w = weights.filters(r, shape, style)

    def outputs_of(w):
        g.constants["trial"] = w
        return g.evaluate("Conv", [x, "trial"], **attributes)[0][0]

    w = scaled(g, outputs_of, w, size)
    names = [x, g.const(w, "w")]
    if r.rand() < 0.75:
        names.append(g.const(weights.bias(r, outputs, size, style), "b"))
    return g.op("Conv", names, **attributes)


def pointwise(g, x, style, outputs, size=None):
    return conv(g, x, style, outputs, attributes={"kernel_shape": [1, 1]}, size=size)


def grouped(g, x, style):
    """Depthwise, with a multiplier perhaps, or in groups."""
    r, inputs = g.random, g.channels(x)
    if r.rand() < 0.6:
        return conv(g, x, style, inputs * int(r.choice([1, 1, 1, 2])), groups=inputs)
    divisors = [n for n in range(2, inputs + 1) if inputs % n == 0] or [1]
    groups = int(r.choice(divisors))
    return conv(g, x, style, groups * int(r.randint(1, 4)), groups=groups)


def batch_norm(g, x, style):
    """With the statistics that training would have gathered, nearly."""
    r, values = g.random, g.per_channel(x)
    mean, variance = values.mean(1), values.var(1)
    # A channel that was dead in training has a variance of nearly nothing, and its factor then too.
    epsilon = float(r.choice([1e-5, 1e-3, 1e-12]))
    floor = max(float(variance.max()) * 0.01, 1e-10)
    variance = np.maximum(variance * np.exp(0.1 * r.randn(len(mean))), floor)
    mean = mean + 0.1 * np.sqrt(variance) * r.randn(len(mean))
    size = weights.gain(r, style)
    gamma = size * np.exp(0.3 * r.randn(len(mean)))
    if r.rand() < 0.3:
        gamma *= np.where(r.rand(len(mean)) < 0.3, -1, 1)
    if r.rand() < style.dead:
        gamma[r.rand(len(mean)) < 0.3] = 0.0
    beta = size * 0.4 * r.randn(len(mean))
    names = [g.floats(v) for v in (gamma, beta, mean, variance)]
    return g.op("BatchNormalization", [x, *names], epsilon=epsilon)


def row(g, values, x):
    """A constant for each channel of a map or a row, in a shape that broadcasts to it."""
    rank = len(g.shape(x))
    values = np.asarray(values, np.float32)
    if rank == 2:
        return g.const(values if g.random.rand() < 0.5 else values[None])
    shape = (-1, 1, 1) if g.random.rand() < 0.5 else (1, -1, 1, 1)
    return g.const(values.reshape(shape))


def affine(g, x, style):
    """A factor or an offset, one for all or one per channel, spelled in many ways."""
    r, channels, std = g.random, g.channels(x), g.std(x)
    wide = r.rand() < 0.6
    n = channels if wide else 1
    factor = np.exp(0.5 * r.randn(n)) * np.where(r.rand(n) < 0.2, -1, 1)
    if r.rand() < style.odd_scale:
        factor *= 10 ** r.uniform(-2, 2)
    offset = std * 0.7 * r.randn(n)
    const = lambda v: row(g, v, x) if wide else g.floats(np.float32(v[0]))
    pair = lambda name: [x, name] if r.rand() < 0.7 else [name, x]
    kind = r.randint(9)
    if kind == 8 and g.opset >= 9:
        value = numpy_helper.from_array(np.float32([offset[0]]))
        return g.op("Add", [x, g.op("ConstantOfShape", g.ints([1] * len(g.shape(x))), value=value)])
    if kind == 7 and g.opset >= 8:
        return g.op("Sum", [x, const(offset)])
    if kind == 0:
        return g.op("Mul", pair(const(factor)))
    if kind == 1:
        return g.op("Add", pair(const(offset)))
    if kind == 2:
        return g.op("Sub", [x, const(offset)])
    if kind == 3:
        return g.op("Sub", [const(offset), x])
    if kind == 4:
        return g.op("Div", [x, const(factor)])
    if kind == 5:
        return g.op("Neg", x)
    y = g.op("Mul", pair(const(factor)))
    x = y
    return g.op("Add", pair(const(offset)))


def linear(g, x, style, outputs, size=None, centred=False):
    """Fully connected, as a Gemm or a MatMul. `centred`: with a bias that makes the mean small."""
    r, inputs = g.random, g.shape(x)[1]
    size = size or weights.gain(r, style)
    w = weights.filters(r, (outputs, inputs), style)
    rows = np.concatenate(g.values[x]).astype(np.float64)
    given = rows @ w.T.astype(np.float64)
    # What depends on the picture is to be as large as wanted.
    depends = float((given - given.mean(0)).std())
    if depends > 1e-9:
        w = (w * (size / depends)).astype(np.float32)
    b = weights.bias(r, outputs, size, style)
    if centred:
        b = (0.5 * size * r.randn(outputs) - (rows @ w.T).mean(0)).astype(np.float32)
    return matrix(g, x, w, b)


def matrix(g, x, w, b):
    r = g.random
    if r.rand() < 0.35:
        y = g.op("MatMul", [x, g.const(np.ascontiguousarray(w.T), "w")])
        return g.op("Add", [y, g.const(b if r.rand() < 0.5 else b[None], "b")])
    attributes = {}
    alpha = beta = 1.0
    if r.rand() < 0.15:
        alpha = attributes["alpha"] = float(r.choice([0.5, 2.0, -1.0, 0.1]))
    if g.opset < 11 and r.rand() < 0.4:
        # Not where onnxruntime quantizes: it takes beta out of the file and loses it.
        beta = attributes["beta"] = float(r.choice([0.5, 2.0, -1.0]))
    w, b = (w / alpha).astype(np.float32), (b / beta).astype(np.float32)
    if r.rand() < 0.6:
        attributes["transB"] = 1
    else:
        w = np.ascontiguousarray(w.T)
    if r.rand() < 0.2:
        b = b[None]
    return g.op("Gemm", [x, g.const(w, "w"), g.const(b, "b")], **attributes)
