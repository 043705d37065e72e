"""One random ONNX network: made, quantized by onnxruntime, converted, and compared."""
import copy
import os
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from . import judge, onnx_net, static, verdict
from .common import JUDGING, answer
from .graph import run_model
from .pictures import save
from .product import Broken, Refused
from .unrounded import unrounded


ENDS = {"softmax": {"Softmax", "LogSoftmax", "QLinearSoftmax"}, "sigmoid": {"Sigmoid", "QLinearSigmoid"}}


def logits_of(path, final):
    """The file with what enters its last softmax or sigmoid as its output."""
    model = onnx.load(path)
    if final == "none":
        return model
    node = [n for n in model.graph.node if n.op_type in ENDS[final]][-1]
    name = node.input[0]
    if node.op_type.startswith("QLinear"):
        model.graph.node.append(helper.make_node("DequantizeLinear", list(node.input[:3]), ["logits"]))
        name = "logits"
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return model


class Check:
    def __init__(self, product, seed, folder):
        self.product, self.folder = product, Path(folder)
        self.network = onnx_net.network(seed)
        self.results = []
        # What rounding activations does to the logits, by onnxruntime's QDQ file.
        self.noise = None
        self.path = self.folder / "model.onnx"
        outside = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
        onnx.save(copy.deepcopy(self.network.model), self.path, **(outside if self.network.outside else {}))
        paths = save(self.network.images, self.folder / "pictures")
        self.judging = paths[: JUDGING]
        self.calibration = self.folder / "calibration"
        self.calibration.mkdir()
        for path in paths[self.unseen() :]:
            os.link(path, self.calibration / path.name)

    def unseen(self):
        """How many pictures calibration does not see."""
        return 0 if self.network.seen else JUDGING

    def inputs(self):
        """Of the pictures that are judged on, and of those that calibrate."""
        arrays = self.network.entry.arrays
        return arrays[: JUDGING], arrays[self.unseen() :]

    def ours(self, file, out, *options):
        """Logits of the converted file, and the report of `convert`."""
        out = self.folder / out
        report = self.product.convert(file, out, *self.network.entry.options, *options)
        return self.product.logits(out, self.judging), report

    def record(self, kind, compare):
        """Runs one comparison; whatever the product says is a result."""
        try:
            result = compare()
        except Refused as e:
            result = verdict.Result("refused", str(e).replace(f"{self.folder}/", ""))
        except Broken as e:
            result = verdict.Result("failed", str(e))
        if result is not None:
            result.kind = kind
            self.results.append(result)

    def run(self):
        judging, calibration = self.inputs()
        reference = self.network.judging()
        self.record("float", lambda: self.check_float(reference))
        theirs = {}
        plain, odd = static.recipes(self.network.seed, self.network.graph.opset, self.network.seen)
        can = self.network.graph.opset >= static.OLDEST and self.network.entry.element == onnx.TensorProto.FLOAT
        if can:
            for recipe in (plain, *odd):
                self.static(recipe, judging, calibration, theirs, name="plain" if recipe is plain else recipe.format.lower())
        self.record("int8", lambda: self.check_int8(reference, theirs.get("plain")))
        for recipe in odd:
            name = recipe.format.lower()
            if name in theirs:
                self.record(name, lambda: self.check_quantized(name, reference, theirs[name]))
                self.record(name + " as float", lambda: self.check_unrounded(name, reference, theirs[name]))
        return self.results

    def static(self, recipe, judging, calibration, theirs, name):
        out = self.folder / f"{name}.onnx"
        try:
            static.quantize(self.network.model, out, calibration, recipe, self.network.seed)
            network = self.network
            rows = answer(run_model(logits_of(out, network.final), judging), network.final)
            if recipe.format == "QDQ":
                smooth = run_model(unrounded(logits_of(out, network.final)), judging)
                smooth = answer(smooth, network.final)
                self.noise = judge.rms(rows - smooth)
        except Exception as e:
            # onnxruntime cannot quantize every network, nor run everything that it has quantized.
            self.results.append(verdict.Result("skipped", f"onnxruntime: {str(e).splitlines()[0][:160]}", kind=name))
            return
        theirs[name] = (recipe, rows)

    def check_float(self, reference):
        rows, report = self.ours(self.path, "float.edge")
        return verdict.same(rows, reference, report)

    def check_int8(self, reference, theirs):
        rows, report = self.ours(self.path, "int8.edge", "--int8", "--calib", self.calibration)
        result = verdict.no_worse(rows, reference, theirs and theirs[1], report)
        return self.verified(result, "int8.edge")

    def check_quantized(self, name, reference, theirs):
        recipe, rows_theirs = theirs
        options = ["--calib", self.calibration]
        rows, report = self.ours(self.folder / f"{name}.onnx", f"{name}.edge", "--int8", *options)
        result = verdict.keeps_numbers(rows, rows_theirs, self.rounding(rows_theirs), self.weights(recipe, rows_theirs), report)
        result.note = recipe.text()
        return self.verified(result, f"{name}.edge")

    def check_unrounded(self, name, reference, theirs):
        recipe, rows_theirs = theirs
        rows, report = self.ours(self.folder / f"{name}.onnx", f"{name}-float.edge")
        result = verdict.unrounded(rows, rows_theirs, self.rounding(rows_theirs), report)
        result.note = recipe.text()
        return result

    def rounding(self, theirs):
        """What rounding does; if there is no QDQ file to measure it with, all that int8 does to the float network."""
        return judge.rms(theirs - self.network.judging()) if self.noise is None else self.noise

    def weights(self, recipe, theirs):
        """What may come on top: asymmetric weights are rounded once more here (docs/reference/quantization.md)."""
        if recipe.weights != "QUInt8" and "WeightSymmetric" not in recipe.options:
            return 0.0
        return min(judge.rms(theirs - self.network.judging()), judge.spread(theirs)) / 2

    def verified(self, result, file):
        if not self.product.verify(self.folder / file):
            return verdict.Result("failed", "engine and tract differ")
        return result
