"""A QDQ file as a float network: its weights and its saturation, but no rounding of activations.

How far the file's own results are from it is what rounding does to this network, and so how far apart two
right programs may be that round in different places.
"""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

RANGE = {TensorProto.INT8: (-128, 127), TensorProto.UINT8: (0, 255)}


def unrounded(model):
    """`model`, changed in place: each QuantizeLinear of an activation becomes a Clip to what its codes can say."""
    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    types = {i.name: i.data_type for i in model.graph.initializer}
    nodes, new = [], []
    for n in model.graph.node:
        if n.op_type == "QuantizeLinear" and n.input[0] not in constants:
            scale, zero = float(constants[n.input[1]].item()), int(constants[n.input[2]].item())
            bounds = []
            for code in RANGE[types[n.input[2]]]:
                bounds.append(f"{n.output[0]}/{code}")
                new.append(numpy_helper.from_array(np.float32((code - zero) * scale), bounds[-1]))
            nodes.append(helper.make_node("Clip", [n.input[0], *bounds], n.output))
        elif n.op_type == "DequantizeLinear" and n.input[0] not in constants:
            nodes.append(helper.make_node("Identity", n.input[:1], n.output))
        else:
            nodes.append(n)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(new)
    del model.graph.value_info[:]
    return model
