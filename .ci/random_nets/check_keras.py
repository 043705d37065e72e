"""One random Keras network: made, converted by TensorFlow, converted by us, and compared."""
import os
from pathlib import Path

import numpy as np

from . import judge, keras_net, litert, verdict
from .common import JUDGING
from .pictures import save
from .product import Broken, Refused


class Check:
    def __init__(self, product, seed, folder):
        self.product, self.folder = product, Path(folder)
        self.network = keras_net.network(seed)
        self.recipe = litert.recipe(seed, self.network.dilated())
        self.results = []
        paths = save(self.network.images, self.folder / "pictures")
        self.judging = paths[: JUDGING]
        self.inputs = self.network.inputs[: JUDGING]
        self.calibration = self.folder / "calibration"
        self.calibration.mkdir()
        for path in paths:
            os.link(path, self.calibration / path.name)

    def ours(self, file, out, *options):
        out = self.folder / out
        report = self.product.convert(self.folder / file, out, *options)
        return self.product.logits(out, self.judging), report

    def record(self, kind, compare, note=""):
        try:
            result = compare()
        except Refused as e:
            result = verdict.Result("refused", str(e).replace(f"{self.folder}/", ""))
        except Broken as e:
            result = verdict.Result("failed", str(e))
        result.kind, result.note = kind, note or result.note
        self.results.append(result)

    def made(self, file, make):
        """Writes a file of TensorFlow's; nothing if TensorFlow itself fails."""
        try:
            data = make()
        except Exception as e:
            self.results.append(verdict.Result("skipped", f"tensorflow: {str(e).splitlines()[0][:160]}", kind=file))
            return None
        (self.folder / file).write_bytes(data)
        return data

    def run(self):
        network, shape = self.network, self.network.inputs.shape[1:]
        wanted = network.wanted()
        data = self.made("int8.tflite", lambda: litert.int8_file(network.model, shape, self.recipe, network.inputs))
        theirs = None
        if data:
            theirs, noise = self.right(data, wanted)
            # The file says what its pixels are; half of the networks rely on that.
            says = network.pixels == "raw" or np.random.RandomState([network.seed, 6]).rand() < 0.5
            options = [] if says else network.options
            self.record("kept", lambda: self.check_kept(theirs, noise, wanted, options), self.recipe.text())
            self.record("kept as float", lambda: self.check_unrounded(theirs, wanted, options), self.recipe.text())
        data = self.made("float.tflite", lambda: litert.float_file(network.model, shape, self.recipe))
        if data:
            # Not by the plain kernels: their LRN is wrong.
            right = litert.run(data, self.inputs, network.final, plain=False)
            self.record("float", lambda: self.check_float(right), "float16 weights" if self.recipe.half else "")
            self.record("int8", lambda: self.check_int8(right, theirs))
        return self.results

    def right(self, data, wanted):
        """What LiteRT says, by those of its kernels that are nearer to the float network, and how they differ."""
        plain, fast = (litert.run(data, self.inputs, self.network.final, plain=p) for p in (True, False))
        noise = judge.rms(plain - fast)
        return min((plain, fast), key=lambda rows: judge.rms(rows - wanted)), noise

    def check_float(self, right):
        rows, report = self.ours("float.tflite", "float.edge", *self.network.options)
        return verdict.same(rows, right, report)

    def check_int8(self, right, theirs):
        options = self.network.options
        rows, report = self.ours("float.tflite", "int8.edge", "--int8", "--calib", self.calibration, *options)
        return self.verified(verdict.no_worse(rows, right, theirs, report), "int8.edge")

    def check_kept(self, theirs, noise, wanted, options):
        rows, report = self.ours("int8.tflite", "kept.edge", "--int8", *options)
        return self.verified(verdict.keeps_litert(rows, theirs, noise, wanted, report), "kept.edge")

    def check_unrounded(self, theirs, wanted, options):
        rows, report = self.ours("int8.tflite", "kept-float.edge", *options)
        return verdict.unrounded(rows, theirs, judge.rms(theirs - wanted), report)

    def verified(self, result, file):
        if not self.product.verify(self.folder / file):
            return verdict.Result("failed", "engine and tract differ")
        return result
