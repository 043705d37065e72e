"""A random Keras network from a seed."""
from dataclasses import dataclass

import keras
import numpy as np

from . import keras_blocks, pictures
from . import style as styles
from .common import ATTEMPTS, CALIBRATION, JUDGING, BadNetwork, answer, check
from .keras_graph import KerasGraph


@dataclass
class Network:
    seed: int
    graph: KerasGraph
    model: keras.Model
    images: list
    # What the network takes, for all pictures.
    inputs: np.ndarray
    options: list
    # What the pixels are in numbers: (pixel - mean) / std.
    pixels: str
    reference: np.ndarray
    # Between the logits and the output: softmax, sigmoid or none.
    final: str

    def wanted(self):
        """The logits of the pictures that are judged on, as the product gives them."""
        return answer(self.reference[:JUDGING], self.final)

    def dilated(self):
        return any("Conv2D" in line and "dilation 2" in line for line in self.graph.text)


def rule(random, images):
    """The input of the network, what `convert` is told, and its name."""
    stack = np.stack(images).astype(np.float32)
    name = str(random.choice(["unit", "tf", "raw"], p=[0.4, 0.3, 0.3]))
    values = {"unit": stack / 255, "tf": stack / 127.5 - 1, "raw": stack}[name]
    return values.astype(np.float32), name


def normalize(g, x):
    """The file's own scaling, for pixels from 0 to 255."""
    r = g.random
    form = r.randint(3)
    if form == 0:
        return g.apply(keras.layers.Rescaling(1 / 255), x, note="1/255")
    if form == 1:
        return g.apply(keras.layers.Rescaling(1 / 127.5, offset=-1), x, note="1/127.5 - 1")
    layer = keras.layers.Normalization(mean=[120.0, 115.0, 104.0][: x.channels], variance=[3400.0, 3200.0, 3300.0][: x.channels])
    return g.apply(layer, x, note="mean and variance")


def attempt(seed, number):
    random = np.random.RandomState([seed, number])
    style = styles.draw(random)
    height = int(random.randint(16, 41))
    width = height if random.rand() < 0.8 else int(random.randint(16, 41))
    channels = 1 if random.rand() < 0.15 else 3
    images = pictures.pictures(random, JUDGING + CALIBRATION, height, width, channels)
    # Together they use the whole range of pixels, so that an 8-bit input has one code for each.
    images[-1][0, 0], images[-1][-1, -1] = 0, 255
    values, name = rule(random, images)
    options = ["--normalize", name]
    g = KerasGraph(random, values)
    x = g.input
    if name == "raw" and random.rand() < 0.7:
        x = normalize(g, x)
    x = keras_blocks.conv_block(g, x, style)
    for _ in range(style.blocks):
        if np.prod(x.shape[:2]) < 4 or np.prod(x.shape) > 60000:
            break
        x = keras_blocks.block(g, x, style)
    logits, output, final = keras_blocks.head(g, x, style)
    check(logits.values, logits.rough)
    return Network(
        seed, g, g.model(output), images, values, options, name, logits.values.astype(np.float64), final
    )


def network(seed):
    """Always the same for a seed."""
    reasons = []
    for number in range(ATTEMPTS):
        keras.utils.clear_session()
        try:
            return attempt(seed, number)
        except BadNetwork as e:
            reasons.append(str(e))
    raise BadNetwork("; ".join(reasons))
