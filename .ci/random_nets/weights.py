"""Weights as trained and pruned networks have them: odd scales, dead filters, heavy tails."""
import numpy as np


def plain(random, shape):
    """Without a scale yet."""
    kind = random.choice(["normal", "uniform", "laplace", "sparse"], p=[0.5, 0.2, 0.2, 0.1])
    if kind == "normal":
        w = random.randn(*shape)
    elif kind == "uniform":
        w = random.uniform(-1, 1, shape)
    elif kind == "laplace":
        w = random.laplace(size=shape)
    else:
        w = random.randn(*shape) * (random.rand(*shape) < 0.3)
    return w


def filters(random, shape, style):
    """Of a convolution or a matrix with its outputs first."""
    w = plain(random, shape)
    if random.rand() < 0.3:
        # Channels of very different strength.
        w *= np.exp(random.randn(shape[0]) * random.choice([0.5, 1.5])).reshape(-1, *[1] * (len(shape) - 1))
    if random.rand() < 0.3:
        # More positive than negative, as in front of a ReLU that lets much through.
        w += random.uniform(-0.3, 0.5)
    if random.rand() < style.dead and shape[0] > 2:
        w[random.rand(shape[0]) < 0.3] = 0.0
    return w.astype(np.float32)


def gain(random, style):
    """How large the outputs of a layer are to be, as a standard deviation."""
    if random.rand() < style.odd_scale:
        return float(10 ** random.uniform(-3, 3))
    return float(np.exp(0.4 * random.randn()))


def bias(random, outputs, size, style):
    b = random.randn(outputs) * 0.4 * size
    if random.rand() < style.dead and outputs > 2:
        # Filters whose ReLU never fires.
        b[random.rand(outputs) < 0.3] = -30.0 * size
    return b.astype(np.float32)
