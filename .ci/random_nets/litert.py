"""TensorFlow Lite files of a Keras network, and what LiteRT computes for them."""
import os
import sys
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from .common import answer

TYPES = {"float": tf.float32, "int8": tf.int8, "uint8": tf.uint8}


@dataclass
class Recipe:
    """How to quantize."""
    # Type of input and output.
    edges: str
    per_channel: bool
    # Integer kernels for all, or for those that have them, as the converter's defaults say.
    strict: bool
    # Any batch.
    whole: bool
    # Of the float file: float16 weights.
    half: bool

    def text(self):
        flags = [f for f in ("per_channel", "strict", "whole") if getattr(self, f)]
        return f"{self.edges} edges {' '.join(flags)}"


def recipe(seed, dilated):
    """`dilated`: with a batch that may vary, TensorFlow writes such convolutions with operators that nobody else takes."""
    r = np.random.RandomState([seed, 99])
    edges = str(r.choice(["float", "int8", "uint8"], p=[0.35, 0.45, 0.2]))
    return Recipe(edges, bool(r.rand() < 0.75), bool(edges != "float" or r.rand() < 0.5), bool(r.rand() < 0.25 and not dilated), bool(r.rand() < 0.2))


def converter(model, shape, whole):
    """`whole`: as most people call it, with a batch that may vary; else for a batch of 1, which is faster here."""
    if whole:
        return tf.lite.TFLiteConverter.from_keras_model(model)
    function = tf.function(lambda x: model(x, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec((1, *shape), tf.float32))
    return tf.lite.TFLiteConverter.from_concrete_functions([convert_variables_to_constants_v2(concrete)])


def converted(c):
    """What it makes, without the chatter of TensorFlow, which does not go through Python."""
    sys.stdout.flush()
    kept = [os.dup(1), os.dup(2)]
    quiet = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        return c.convert()
    finally:
        sys.stdout.flush()
        for fd, old in enumerate(kept, 1):
            os.dup2(old, fd)
            os.close(old)
        os.close(quiet)


def float_file(model, shape, recipe):
    c = converter(model, shape, recipe.whole)
    if recipe.half:
        c.optimizations = [tf.lite.Optimize.DEFAULT]
        c.target_spec.supported_types = [tf.float16]
    return converted(c)


def int8_file(model, shape, recipe, inputs):
    c = converter(model, shape, recipe.whole)
    c.optimizations = [tf.lite.Optimize.DEFAULT]
    c.representative_dataset = lambda: ([x[None]] for x in inputs)
    c._experimental_disable_per_channel = not recipe.per_channel
    if recipe.strict:
        c.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    c.inference_input_type = c.inference_output_type = TYPES[recipe.edges]
    return converted(c)


ENDS = {"softmax": "SOFTMAX", "sigmoid": "LOGISTIC"}


def run(data, inputs, final, plain=True):
    """The logits for each input; `plain`: by the kernels that TensorFlow holds the others against."""
    kind = OpResolverType.BUILTIN_REF if plain else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(
        model_content=data, experimental_op_resolver_type=kind, experimental_preserve_all_tensors=True, num_threads=1
    )
    interpreter.allocate_tensors()
    entry, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if final in ENDS:
        last = [op for op in interpreter._get_ops_details() if op["op_name"] == ENDS[final]][-1]
        wanted = last["inputs"][0]
        result = next(d for d in interpreter.get_tensor_details() if d["index"] == wanted)
    rows = []
    for x in inputs:
        if entry["dtype"] != np.float32:
            scale, zero = entry["quantization"]
            limits = np.iinfo(entry["dtype"])
            x = np.clip(np.round(x / scale) + zero, limits.min, limits.max).astype(entry["dtype"])
        interpreter.set_tensor(entry["index"], x[None])
        interpreter.invoke()
        row = interpreter.get_tensor(result["index"]).ravel().astype(np.float64)
        if result["dtype"] != np.float32:
            scale, zero = result["quantization"]
            row = (row - zero) * scale
        rows.append(row)
    return answer(np.stack(rows), final)
