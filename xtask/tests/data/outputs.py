#!/usr/bin/env python3
"""Makes the networks of `xtask/tests/outputs.rs`, and prints what onnxruntime says of its pictures.

    outputs.py            (onnx 1.23.2, onnxruntime 1.32.0, numpy)

Each has a convolution of 3x16x16 pixels from 0 to 1 and ends in another way; `quantized` is onnxruntime's own
static int8 of `binary`.
"""
import os

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

HERE = os.path.dirname(os.path.abspath(__file__))
SIDE = 16


def picture(seed):
    """The picture that the test draws: HWC, 0 to 255."""
    y, x, c = np.meshgrid(np.arange(SIDE), np.arange(SIDE), np.arange(3), indexing="ij")
    return (x * (7 + 3 * seed) + y * (5 + seed) + c * 40 * seed + 11 * seed * seed) % 256


def tensor(seed):
    return (picture(seed) / 255).astype(np.float32).transpose(2, 0, 1)[None]


class Network:
    def __init__(self, seed):
        self.random, self.nodes, self.constants = np.random.default_rng(seed), [], []

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, np.float32), name))
        return name

    def op(self, kind, *inputs, **attributes):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def conv(self, x, inputs, outputs, kernel):
        weights = self.random.normal(0, (2 / (inputs * kernel * kernel)) ** 0.5, (outputs, inputs, kernel, kernel))
        pads = [kernel // 2] * 4
        bias = self.random.normal(0, 0.1, outputs)
        return self.op("Conv", x, self.constant(weights), self.constant(bias), pads=pads, strides=[kernel // 2 + 1] * 2)

    def trunk(self):
        return self.op("Relu", self.conv("x", 3, 8, 3))

    def dense(self, outputs):
        x = self.op("Flatten", self.op("GlobalAveragePool", self.trunk()))
        weights, bias = self.random.normal(0, 3, (outputs, 8)), self.random.normal(0, 0.1, outputs)
        return self.op("Gemm", x, self.constant(weights), self.constant(bias), transB=1)

    def save(self, name, output):
        values = [helper.make_tensor_value_info(v, TensorProto.FLOAT, s) for v, s in (("x", [1, 3, SIDE, SIDE]), (output, None))]
        graph = helper.make_graph(self.nodes, name, values[:1], values[1:], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.save(model, path(name))


def path(name):
    return os.path.join(HERE, f"output_{name}.onnx")


def binary(n):
    return n.op("Sigmoid", n.dense(1))


def labels(n):
    return n.op("Sigmoid", n.dense(3))


def pooled(n):
    """No fully connected layer at the end."""
    return n.op("Sigmoid", n.op("Flatten", n.op("GlobalAveragePool", n.conv(n.trunk(), 8, 1, 1))))


def number(n):
    return n.dense(1)


def clipped(n):
    return n.op("Clip", n.dense(4), n.constant(-1.5), n.constant(1))


class Pictures(CalibrationDataReader):
    def __init__(self):
        self.left = iter([{"x": tensor(seed)} for seed in range(8)])

    def get_next(self):
        return next(self.left, None)


def main():
    names = []
    for seed, make in enumerate((binary, labels, pooled, number, clipped)):
        network = Network(seed)
        network.save(make.__name__, make(network))
        names.append(make.__name__)
    quantize_static(path("binary"), path("quantized"), Pictures(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    for name in names + ["quantized"]:
        session = ort.InferenceSession(path(name), providers=["CPUExecutionProvider"])
        answers = [session.run(None, {"x": tensor(seed)})[0].ravel() for seed in range(4)]
        print(name, [[float(f"{v:.6f}") for v in a] for a in answers])


main()
