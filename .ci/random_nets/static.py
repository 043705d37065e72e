"""onnxruntime's own static quantization of a network."""
import contextlib
import io
import logging
import random as standard_random
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

TIGHT = {"CalibPercentile": 99.9}

# Before this opset there is no quantization per channel.
PER_CHANNEL = 13
# Before this one onnxruntime would have to change the file.
OLDEST = 11


class Reader(CalibrationDataReader):
    def __init__(self, inputs):
        self.batches = iter([{"input": x} for x in inputs])

    def get_next(self):
        return next(self.batches, None)


@dataclass
class Recipe:
    """How to quantize."""
    format: str
    activations: str = "QInt8"
    weights: str = "QInt8"
    per_channel: bool = True
    prepared: bool = False
    symmetric: bool = False
    left_out: float = 0.0
    # Ranges leave out one value in a thousand, so that saturation is used on purpose.
    tight: bool = False
    # More options of onnxruntime's, for the QDQ format.
    options: tuple = ()

    def text(self):
        flags = [n for n in ("per_channel", "prepared", "symmetric", "left_out", "tight") if getattr(self, n)]
        return " ".join([self.format, self.activations, self.weights, *flags, *self.options])


# An own pair for each reader; a ReLU or Clip stays though the range implies it; onnxruntime's own QuantizeLinear;
# weights with zero points.
OPTIONS = {
    "DedicatedQDQPair": True, "QDQKeepRemovableActivations": True, "UseQDQContribOps": True, "WeightSymmetric": False,
}


def recipes(seed, opset, seen):
    """The plain one, beside which our own int8 is held, and one of each format with odd options.

    Both odd ones are made in the same way, since the QDQ file is also what tells how much rounding does.
    Layers are left out only where calibration has `seen` the pictures: what is not in the file we calibrate ourselves.
    """
    r = np.random.RandomState([seed, 77])
    plain = Recipe("QDQ", per_channel=opset >= PER_CHANNEL)
    activations, weights = [("QInt8", "QInt8"), ("QUInt8", "QInt8"), ("QUInt8", "QUInt8")][r.randint(3)]
    operators = Recipe(
        "QOperator", activations, weights,
        per_channel=bool(opset >= PER_CHANNEL and r.rand() < 0.6),
        prepared=bool(r.rand() < 0.5),
        symmetric=bool(activations == "QInt8" and r.rand() < 0.2),
        left_out=0.3 if r.rand() < 0.1 and seen else 0.0,
        tight=bool(r.rand() < 0.1),
    )
    options = tuple(o for o in OPTIONS if r.rand() < 0.12)
    return plain, [replace(operators, format="QDQ", options=options), operators]


def with_initializers(model):
    """The network with its Constant nodes as initializers: onnxruntime quantizes no others."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = [n for n in copy.graph.node if n.op_type != "Constant"]
    for n in copy.graph.node:
        if n.op_type == "Constant":
            tensor = copy.graph.initializer.add()
            tensor.CopyFrom(n.attribute[0].t)
            tensor.name = n.output[0]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def quantize(model, out, inputs, recipe, seed):
    """Writes the quantized file."""
    source = out.with_suffix(".source.onnx")
    onnx.save(with_initializers(model), source)
    names = [n.name for n in model.graph.node if n.name]
    quiet = contextlib.redirect_stdout(io.StringIO())
    logging.disable(logging.WARNING)
    with quiet:
        if recipe.prepared:
            prepared = out.with_suffix(".prepared.onnx")
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            source = prepared
        excluded = [n for n in names if recipe.left_out and standard_random.Random(f"{seed}{n}").random() < recipe.left_out]
        quantize_static(
            source, out, Reader(inputs),
            quant_format=QuantFormat[recipe.format],
            activation_type=QuantType[recipe.activations],
            weight_type=QuantType[recipe.weights],
            per_channel=recipe.per_channel,
            nodes_to_exclude=excluded,
            calibrate_method=CalibrationMethod.Percentile if recipe.tight else CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": recipe.symmetric, **{o: OPTIONS[o] for o in recipe.options}, **TIGHT},
        )
