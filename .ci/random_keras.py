#!/usr/bin/env python3
"""Random Keras networks, as .tflite files of TensorFlow, against LiteRT: float, int8, and int8 of TensorFlow's making.

    cargo build -p xtask
    .ci/random_keras.py --count 20
    .ci/random_keras.py --seed 1138 --keep /tmp/nets     one alone, shown in short, its files kept

A seed is always the same network. Prints what fails and `N passed, N failed`; the exit status is 1 if something
does. docs/internals/random-networks.md says what is compared and why. Needs the packages tensorflow-cpu,
ai-edge-litert and pillow.
"""
import os

# One network per core, and numbers that do not depend on the core's kind; before TensorFlow is there.
for name, value in (
    ("OMP_NUM_THREADS", "1"), ("TF_NUM_INTRAOP_THREADS", "1"), ("TF_NUM_INTEROP_THREADS", "1"),
    ("TF_ENABLE_ONEDNN_OPTS", "0"), ("TF_CPP_MIN_LOG_LEVEL", "3"), ("CUDA_VISIBLE_DEVICES", ""),
    ("ABSL_MIN_LOG_LEVEL", "2"), ("PYTHONWARNINGS", "ignore"),
):
    os.environ.setdefault(name, value)

import logging  # noqa: E402
from dataclasses import asdict  # noqa: E402

from random_nets import report  # noqa: E402


def check(seed, xtask, folder):
    from random_nets.check_keras import Check
    from random_nets.product import Product

    logging.getLogger("absl").setLevel(logging.ERROR)
    check = Check(Product(xtask), seed, folder)
    network = check.network
    text = f"seed {seed}: input {network.inputs.shape[1:]}, convert {' '.join(network.options)}, {check.recipe.text()}\n"
    results = check.run()
    return text + "\n".join("  " + line for line in network.graph.text), [asdict(r) for r in results]


if __name__ == "__main__":
    report.main(check, __doc__, 20)
