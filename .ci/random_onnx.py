#!/usr/bin/env python3
"""Random ONNX networks against onnxruntime: float, int8, and what onnxruntime itself has quantized.

    cargo build -p xtask
    .ci/random_onnx.py --count 60
    .ci/random_onnx.py --seed 1138 --keep /tmp/nets     one alone, shown in short, its files kept

A seed is always the same network. Prints what fails and `N passed, N failed`; the exit status is 1 if something
does. docs/internals/random-networks.md says what is compared and why. Needs the packages onnx, onnxruntime, numpy
and pillow.
"""
import os

# One network per core; before numpy is there.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from dataclasses import asdict  # noqa: E402

from random_nets import report  # noqa: E402


def check(seed, xtask, folder):
    from random_nets.check_onnx import Check
    from random_nets.product import Product

    check = Check(Product(xtask), seed, folder)
    g, entry = check.network.graph, check.network.entry
    text = f"seed {seed}: opset {g.opset}, input {entry.kind} {entry.shape}, convert {' '.join(entry.options)}\n"
    results = check.run()
    return text + "\n".join("  " + line for line in g.text), [asdict(r) for r in results]


if __name__ == "__main__":
    report.main(check, __doc__, 60)
