"""An ONNX graph that computes its values while it is built, with onnxruntime, on a few pictures.

So a block knows the shape and the statistics of what it reads: weights get the scale that is wanted, clips
bounds that cut something off, batch norms the statistics that training would have seen.
"""
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from .common import BadNetwork, rounded, unsteady

TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.int8): TensorProto.INT8,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.int64): TensorProto.INT64,
}


def session(model):
    """One that does what the file says: no fusions of floats, and no 8-bit products that saturate."""
    options = onnxruntime.SessionOptions()
    data = model if isinstance(model, (bytes, str)) else model.SerializeToString()
    # Processors without VNNI saturate in QLinearConv, unless an optimization makes its weights unsigned.
    quantized = b"QLinear" in (Path(data).read_bytes() if isinstance(data, str) else data)
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if quantized else level.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run_model(model, inputs):
    """The first output for each of `inputs`, as rows."""
    s = session(model)
    name = s.get_inputs()[0].name
    return np.stack([s.run(None, {name: x})[0].ravel() for x in inputs]).astype(np.float64)


def rough(arrays):
    """A tensor on all pictures with 8 bits."""
    if arrays[0].dtype != np.float32:
        return arrays
    low, high = min(float(a.min()) for a in arrays), max(float(a.max()) for a in arrays)
    return [unsteady(a, low, high) for a in arrays]


def eight_bits(weights):
    """Weights with one step for all, symmetric."""
    largest = float(np.abs(weights).max())
    return rounded(weights, -largest, largest)


class Graph:
    def __init__(self, random, opset):
        self.random = random
        self.opset = opset
        self.nodes, self.initializers = [], []
        self.constants = {}
        # Of each tensor: what it is on each picture, and what it would be if every tensor had 8 bits.
        self.values, self.rough = {}, {}
        self.count = 0
        self.text = []
        # Constants as initializers, or as nodes, as older exporters write them.
        self.constant_nodes = random.rand() < 0.15

    def name(self, stem):
        self.count += 1
        return f"{stem}{self.count}"

    def input(self, arrays):
        """The network's input, one array per picture."""
        self.values["input"], self.rough["input"] = arrays, rough(arrays)
        return "input"

    def const(self, array, stem="c"):
        array = np.array(array, order="C")
        name = self.name(stem)
        self.constants[name] = array
        tensor = numpy_helper.from_array(array, name)
        if self.constant_nodes:
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.initializers.append(tensor)
        return name

    def floats(self, values, stem="c"):
        return self.const(np.asarray(values, np.float32), stem)

    def ints(self, values, stem="i"):
        return self.const(np.asarray(values, np.int64), stem)

    def shape(self, x):
        return self.constants[x].shape if x in self.constants else self.values[x][0].shape

    def channels(self, x):
        return self.shape(x)[1]

    def all(self, x):
        """All values of a tensor, over all pictures."""
        return np.concatenate([v.ravel() for v in self.values[x]])

    def per_channel(self, x):
        """The same by channel, which is axis 1: a row for each."""
        return np.concatenate([np.moveaxis(v, 1, 0).reshape(v.shape[1], -1) for v in self.values[x]], 1)

    def std(self, x):
        return float(self.all(x).std())

    def evaluate(self, op, inputs, outputs=1, domain="", **attributes):
        """What the operator gives, of the values and of the rough ones: for each output, one array per picture."""
        names = [f"o{i}" for i in range(outputs)]
        node = helper.make_node(op, inputs, names, domain=domain, **attributes)
        constants = {i: self.constants[i] for i in inputs if i in self.constants}
        values = self.run(node, constants, self.values)
        if op in ("Conv", "Gemm", "MatMul"):
            constants[inputs[1]] = eight_bits(constants[inputs[1]])
        return values, self.run(node, constants, self.rough)

    def run(self, node, constants, known):
        infos, fed = [], []
        for name in dict.fromkeys(i for i in node.input if i and i not in constants):
            value = known[name][0]
            infos.append(helper.make_tensor_value_info(name, TYPES[value.dtype], value.shape))
            fed.append(name)
        results = [helper.make_empty_tensor_value_info(n) for n in node.output]
        initializers = [numpy_helper.from_array(v, n) for n, v in constants.items()]
        graph = helper.make_graph([node], "one", infos, results, initializers)
        s = session(onnx.shape_inference.infer_shapes(self.wrap(graph)))
        rows = [s.run(None, {n: known[n][i] for n in fed}) for i in range(len(known["input"]))]
        return [[row[o] for row in rows] for o in range(len(node.output))]

    def op(self, op, inputs, outputs=1, domain="", note="", **attributes):
        """Appends an operator; gives the name of its output, or names if `outputs` is larger than 1."""
        inputs = [inputs] if isinstance(inputs, str) else list(inputs)
        arrays, coarse = self.evaluate(op, inputs, outputs, domain, **attributes)
        names = [self.name(op.lower()) for _ in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name="n_" + names[0], domain=domain, **attributes))
        for name, values, noisy in zip(names, arrays, coarse):
            if any(np.issubdtype(v.dtype, np.floating) and not np.isfinite(v).all() for v in values):
                raise BadNetwork(f"{op} gives values that are not finite")
            if 0 in values[0].shape:
                raise BadNetwork(f"{op} gives nothing")
            self.values[name], self.rough[name] = values, rough(noisy)
        shown = " ".join(f"{k}={v}" for k, v in attributes.items() if not isinstance(v, onnx.TensorProto))
        size = "x".join(map(str, self.shape(names[0])))
        self.text.append(f"{names[0]} {size} = {op}({', '.join(i or '-' for i in inputs)}) {shown} {note}".rstrip())
        return names[0] if outputs == 1 else names

    def wrap(self, graph):
        imports = [helper.make_opsetid("", self.opset)]
        # onnxruntime reads files up to some version of the format; each opset came with one.
        return helper.make_model(graph, opset_imports=imports, ir_version=8 if self.opset < 19 else 10)

    def model(self, output, input_type, input_shape, weights_are_inputs=False):
        """The finished file."""
        infos = [helper.make_tensor_value_info("input", input_type, input_shape)]
        if weights_are_inputs:
            # As files were until 2019.
            infos += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in self.initializers]
        shape = self.shape(output)
        result = helper.make_tensor_value_info(output, TensorProto.FLOAT, list(shape))
        graph = helper.make_graph(self.nodes, "random", infos, [result], self.initializers)
        model = self.wrap(graph)
        onnx.checker.check_model(model)
        return model
