#!/usr/bin/env python3
"""Runs the commands on real weights and real pictures and holds their figures against known ones.

    real_data.py SHARED_DATA_DIR [WORK_DIR [PART...]]

Needs the command line built (`cargo xtask`), and the Python package index or a filled cache for the
weights of EfficientNet-Lite0. Prints every figure; exits with 1 if one is out of its bounds.
"""
import array
import ast
import atexit
import json
import math
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
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


def npy(path, descr="<f4", kind="f"):
    """Rows of a two-dimensional .npy file of one type, float32 if nothing else is said."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[8:10], "little")
    header = ast.literal_eval(raw[10:10 + length].decode())
    assert header["descr"] == descr and not header["fortran_order"], header
    values = array.array(kind, raw[10 + length:])
    columns = header["shape"][1]
    return [values[i:i + columns] for i in range(0, len(values), columns)]


def png(width, height, rgb):
    """A PNG file of 8-bit RGB pixels."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + rgb[3 * width * y:3 * width * (y + 1)] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def softmax(logits):
    exps = [math.exp(v - max(logits)) for v in logits]
    return [e / sum(exps) for e in exps]


def probabilities(model, images):
    return [softmax(r["logits"]) for r in xtask("run", model, *images, "--logits")["results"]]


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


def started(words, announces):
    """A program that runs until the end of this script, and the address that its first line of output announces."""
    process = subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    line = process.stdout.readline()
    if not line:
        sys.exit(f"FAILED: {words[0]} did not start")
    return announces(line)


def pick(name, choose):
    """A folder with some of the pictures of every class of flowers/train, chosen from their sorted names."""
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    for source in sorted(p for p in (DATA / "flowers/train").iterdir() if p.is_dir()):
        (folder / source.name).mkdir(parents=True)
        for picture in choose(sorted(source.iterdir())):
            shutil.copy(picture, folder / source.name)
    return folder


def device():
    """A head trained on a device, in the simulation and in the program for Linux, and one from few pictures."""
    model, train, val = WORK / "int8.edge", DATA / "flowers/train", DATA / "flowers/val"
    if not model.exists():
        xtask("convert", "efficientnet-lite0", "--int8", "--calib", DATA / "imagenet-sample", "--calib-images", 200, "-o", model)
    host = WORK / "flowers-0.edge"
    if not host.exists():
        xtask("retrain-head", model, "--data", train, "--seed", 0, "-o", host)
    file = host.read_bytes()

    hidden = WORK / "flowers-hidden.edge"
    top1 = xtask("retrain-head", model, "--data", train, "--val", val, "--hidden", 32, "-o", hidden)["val_top1"]
    check("a hidden layer of 32 units: val top-1", top1, top1 >= 0.894)
    hidden = hidden.read_bytes()

    simulation = ["cargo", "xtask", "simulate", "--board", "qemu-m7", model, "--listen", "127.0.0.1:0", "--json"]
    subprocess.run(["cargo", "build", "--quiet", "--workspace", "--bins"], check=True)
    program = ["target/debug/edge", "serve", "--model", model, "--state", tempfile.mkdtemp(dir=WORK), "--listen", "127.0.0.1:0"]
    places = (
        ("simulation", simulation, lambda line: json.loads(line)["listening"]),
        ("Linux program", program, lambda line: line.strip().removeprefix("listening on ")),
    )
    for name, words, announces in places:
        port = ("device", "--port", "tcp:" + started(words, announces))
        result = xtask(*port, "retrain-head", "--data", train)
        check(f"{name}: committed", result["head_sequence"], result["committed"])
        head = WORK / "device.head"
        head.unlink(missing_ok=True)
        xtask(*port, "export-head", head)
        check(f"{name}: the host's head, bit for bit", result["head_sha256"], file.endswith(head.read_bytes()))
        top1 = xtask(*port, "eval", val)["top1"]
        check(f"{name}: val top-1", top1, top1 >= 0.894)
        # From the samples that are there.
        result = xtask(*port, "retrain-head", "--hidden", 32, "--force")
        head.unlink()
        xtask(*port, "export-head", head)
        check(f"{name}: the host's head with a hidden layer, bit for bit", result["head_sha256"], hidden.endswith(head.read_bytes()))
        if name == "simulation":
            # The first 20 of each folder by name, on a device that has forgotten all others.
            result = xtask(*port, "retrain-head", "--clear", "--force", "--data", pick("first-20", lambda files: files[:20]))
            pictures = result["samples"] + result["held_out"]
            check("20 of each class: pictures", pictures, pictures == 100)
            top1 = xtask(*port, "eval", val)["top1"]
            check("20 of each class: val top-1", top1, top1 >= 0.81)


def few():
    """Heads from 20 pictures of each class, on the host, after `efficientnet`: one choice of pictures says little."""
    model, train, val = WORK / "int8.edge", DATA / "flowers/train", DATA / "flowers/val"
    found = []
    for number in range(5):
        folder = pick("few", lambda files: random.Random(number).sample(files, 20))
        found.append(xtask("retrain-head", model, "--data", folder, "--val", val, "-o", WORK / "few.edge")["val_top1"])
    mean = sum(found) / len(found)
    check(f"20 of each class, 5 random choices, {min(found)} to {max(found)}: mean val top-1", mean, mean >= 0.81)


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


def quantized_sources():
    """TensorFlow Lite models that are int8 already keep their numbers."""
    tiny, sample = DATA / "models/mlperf-tiny", DATA / "imagenet-sample"
    model = xtask("convert", DATA / "models/mobilenet_v2_1.0_224_quant.tflite", "--int8", "-o", WORK / "mv2.edge")["out"]
    result = xtask("eval", model, sample)
    check("MobileNetV2 (uint8 source): top-1", result["top1"], result["top1"] >= 0.868 and result["class_offset"] == 1)
    equal = xtask("verify", model, "--images", sample, "--limit", 5)["equal"]
    check("MobileNetV2: engine and tract agree", equal, equal)

    model = xtask("convert", tiny / "pretrainedResnet_quant.tflite", "--int8", "-o", WORK / "resnet8.edge")["out"]
    top1 = xtask("eval", model, DATA / "cifar10/test")["top1"]
    check("ResNet-8 (int8 source): top-1", top1, abs(top1 - 0.766) <= 0.008)
    # Decoded pixels, because JPEG decoders differ. A record is a label and 3 planes of 32x32.
    raw, pictures = (DATA / "reference/cifar10_test.bin").read_bytes(), []
    for i in range(len(raw) // 3073):
        planes = raw[i * 3073 + 1:(i + 1) * 3073]
        pictures.append(WORK / f"cifar-{i:04}.png")
        pictures[-1].write_bytes(png(32, 32, bytes(planes[c * 1024 + at] for at in range(1024) for c in range(3))))
    rows = probabilities(model, pictures)
    same = steps = 0
    for row, want in zip(rows, npy(DATA / "reference/resnet8_int8_out.npy", "|i1", "b")):
        same += want[row.index(max(row))] == max(want)
        steps += sum(abs(max(-128, min(127, round(p * 256) - 128)) - w) for p, w in zip(row, want)) / len(row)
    # What one rounding for two costs, see docs/reference/quantization.md.
    check("ResNet-8: first class as the reference kernels'", same / len(rows), same / len(rows) >= 0.95)
    check("ResNet-8: mean difference in steps of the softmax", steps / len(rows), steps / len(rows) < 2)


def open_nsfw():
    """A real ResNet-50 from a package."""
    crops = sorted((DATA / "reference/imagenet_crops").glob("*.png"))
    model = xtask("convert", "resnet50-thin-nsfw", "-o", WORK / "nsfw-f32.edge")["out"]
    want = probabilities(model, crops)
    # Single pixels decide min-max ranges here: other crops of the same pictures gave 0.016 to 0.090
    # (docs/internals/decisions.md).
    calibrated = ("calibrated on 200", ("--calib", DATA / "imagenet-sample"), 0.1)
    for name, more, most in (("data-free", (), 0.02), calibrated):
        model = xtask("convert", "resnet50-thin-nsfw", "--int8", *more, "-o", WORK / "nsfw.edge")["out"]
        got = probabilities(model, crops)
        error = max(abs(a[0] - b[0]) for a, b in zip(got, want))
        check(f"resnet50-thin-nsfw, {name}: int8 against float on {len(crops)} crops", error, len(crops) == 20 and error < most)


def resnet50():
    """What converting costs."""
    result = xtask("convert", "resnet50", "--weights", "random", "--int8", "-o", WORK / "resnet50.edge")
    check("resnet50: peak memory in MiB", result["peak_memory_bytes"] >> 20, result["peak_memory_bytes"] < 3 << 29)
    # Machines are noisy: shown, not held against anything.
    ratio = result["seconds"] / result["float_pass_seconds"]
    print(f"  {result['seconds']:.1f} s, {ratio:.2f} times one float pass over the same {result['float_pass_images']} pictures")


def pruning():
    """Networks without some of their channels. Least squares differ a little from processor to processor, so bounds
    leave room; docs/reference/pruning.md has what was measured."""
    network, train, test = DATA / "models/resnet56_cifar10.onnx", DATA / "cifar10/calib", DATA / "cifar10/test"
    for share, least in ((0.3, 0.832), (0.5, 0.80)):
        model = xtask("convert", network, "--prune", share, "--data", train, "-o", WORK / "resnet56-pruned.edge")
        fewer = 1 - model["macs"] / model["pruning"]["before"]["macs"]
        check(f"ResNet-56: share of MACs gone for --prune {share}", fewer, share <= fewer < share + 0.02)
        top1 = xtask("eval", model["out"], test)["top1"]
        check(f"ResNet-56, {share} pruned: top-1 (whole: 0.842)", top1, top1 >= least)

    train, val = DATA / "flowers/train", DATA / "flowers/val"
    model = xtask("convert", "efficientnet-lite0", "--int8", "--prune", 0.3, "--data", train, "-o", WORK / "pruned.edge")
    before = model["pruning"]["before"]
    smaller = [model["bytes"] / before["bytes"], model["arena_bytes"] / before["arena_bytes"]]
    check("EfficientNet-Lite0, 0.3 pruned: file and arena", smaller, max(smaller) < 0.9)
    top1 = xtask("retrain-head", model["out"], "--data", train, "--val", val, "-o", WORK / "pruned-flowers.edge")["val_top1"]
    check("a head for flowers on it: val top-1 (whole: 0.907)", top1, top1 >= 0.88)
    equal = xtask("verify", model["out"], "--images", val, "--limit", 5)["equal"]
    check("engine and tract agree", equal, equal)


PARTS = (efficientnet, device, few, cifar, quantized_sources, open_nsfw, resnet50, pruning)
for part in [p for p in PARTS if p.__name__ in sys.argv[3:] or not sys.argv[3:]]:
    print(part.__name__, flush=True)
    part()
if FAILED:
    sys.exit(f"{len(FAILED)} figure(s) out of bounds: {', '.join(FAILED)}")
print("all figures within their bounds")
