"""Times one model on one peer, for `bench --peers`.

    PYTHON -c THIS list                     prints {"onnxruntime": {"version": "1.32.0", "reads": ".onnx"}, ...}
    PYTHON -c THIS run PEER FILE THREADS    prints {"prepare_ms": ..., "first_ms": ...}, then for each line with
                                            a number N a list of N times in milliseconds
"""
import importlib.metadata
import json
import sys
import time


def noise(shape, dtype):
    import numpy as np

    shape = [d if isinstance(d, int) and d > 0 else 1 for d in shape]
    if np.dtype(dtype).kind == "f":
        return np.random.default_rng(0).uniform(-1, 1, shape).astype(dtype)
    info = np.iinfo(dtype)
    return np.random.default_rng(0).integers(info.min, info.max, shape, dtype, endpoint=True)


def onnxruntime(path, threads):
    import onnxruntime as rt

    rt.set_default_logger_severity(4)
    options = rt.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = rt.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    source = session.get_inputs()[0]
    dtype = {"tensor(float)": "f4", "tensor(uint8)": "u1", "tensor(int8)": "i1"}[source.type]
    feed = {source.name: noise(source.shape, dtype)}
    return lambda: session.run(None, feed)


def openvino(path, threads):
    import openvino as ov

    config = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    model = ov.Core().compile_model(path, "CPU", config)
    request = model.create_infer_request()
    source = model.inputs[0]
    shape = [d.get_length() if d.is_static else 1 for d in source.partial_shape]
    value = noise(shape, source.element_type.to_dtype())
    return lambda: request.infer({0: value}, share_inputs=True, share_outputs=True)


def litert(path, threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    value = noise(source["shape"].tolist(), source["dtype"])

    def run():
        interpreter.set_tensor(source["index"], value)
        interpreter.invoke()

    return run


PEERS = {
    "onnxruntime": (onnxruntime, "onnxruntime", ".onnx"),
    "openvino": (openvino, "openvino", ".onnx"),
    "litert": (litert, "ai-edge-litert", ".tflite"),
}


def found():
    peers = {}
    for name, (_, package, reads) in PEERS.items():
        try:
            peers[name] = {"version": importlib.metadata.version(package), "reads": reads}
        except importlib.metadata.PackageNotFoundError:
            pass
    return peers


def timed(run):
    start = time.perf_counter()
    value = run()
    return value, (time.perf_counter() - start) * 1e3


def say(value):
    print(json.dumps(value), flush=True)


def main():
    if sys.argv[1] == "list":
        return say(found())
    peer, path, threads = sys.argv[2:]
    run, prepare = timed(lambda: PEERS[peer][0](path, int(threads)))
    say({"prepare_ms": prepare, "first_ms": timed(run)[1]})
    for line in sys.stdin:
        say([timed(run)[1] for _ in range(int(line))])


main()
