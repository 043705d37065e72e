"""A random ONNX network from a seed."""
from dataclasses import dataclass

import numpy as np
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from . import blocks, heads, inputs, pictures
from . import style as styles
from .common import ATTEMPTS, CALIBRATION, JUDGING, BadNetwork, answer, check
from .graph import Graph

@dataclass
class Network:
    seed: int
    graph: Graph
    model: object
    entry: inputs.Input
    images: list
    logits: str
    # Logits of all pictures, as rows; the first JUDGING are judged on, the others calibrate.
    reference: np.ndarray
    # Between the logits and the output: softmax, sigmoid or none.
    final: str
    # Calibration sees the pictures that are judged on; else ranges are exceeded, which is a test of saturation.
    seen: bool
    # The weights are in a file beside the model.
    outside: bool

    def judging(self):
        return answer(self.reference[:JUDGING], self.final)


def attempt(seed, number):
    random = np.random.RandomState([seed, number])
    opset = int(random.choice(range(7, 22), p=OPSETS))
    style = styles.draw(random)
    height = int(random.randint(16, 41))
    width = height if random.rand() < 0.8 else int(random.randint(16, 41))
    channels = 1 if random.rand() < 0.15 else 3
    images = pictures.pictures(random, JUDGING + CALIBRATION, height, width, channels)
    g = Graph(random, opset)
    entry = inputs.enter(g, images)
    x = entry.start
    if random.rand() < 0.85:
        x = blocks.conv_block(g, x, style)
    for _ in range(style.blocks):
        h, w = g.shape(x)[2:]
        if h * w < 4 or np.prod(g.shape(x)) > 60000:
            break
        x = blocks.block(g, x, style)
    logits, output, final = heads.head(g, x, style)
    rows, rough = (np.stack([v.ravel() for v in known[logits]]) for known in (g.values, g.rough))
    check(rows, rough)
    old = opset <= 8 and random.rand() < 0.3
    batch = ["N"] if random.rand() < 0.3 else [1]
    model = g.model(output, entry.element, batch + entry.shape[1:], weights_are_inputs=old)
    return Network(seed, g, model, entry, images, logits, rows.astype(np.float64), final, bool(random.rand() < 0.75), bool(random.rand() < 0.08))


# Half of the files are of opset 13 or 17, PyTorch's defaults.
OPSETS = np.array([1, 1, 1, 1, 2, 1, 8, 1, 2, 2, 8, 3, 1, 2, 2], float)
OPSETS /= OPSETS.sum()


def network(seed):
    """Always the same for a seed."""
    reasons = []
    for number in range(ATTEMPTS):
        try:
            return attempt(seed, number)
        except BadNetwork as e:
            reasons.append(str(e))
        except (ort_errors.Fail, ort_errors.RuntimeException, ort_errors.NotImplemented) as e:
            # What onnxruntime does not run, it cannot judge.
            reasons.append(str(e).splitlines()[0])
    raise BadNetwork("; ".join(reasons))
