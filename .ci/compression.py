#!/usr/bin/env python3
"""Measures what pruning costs and saves, as the tables of docs/reference/pruning.md.

    compression.py SHARED_DATA_DIR [WORK_DIR [PART...]] [--peer PYTHON]

PART is resnet56, imagenet, flowers; all without one. Needs the command line built (`cargo xtask`), and the weights of
EfficientNet-Lite0. PYTHON has torch, torch-pruning, numpy and onnx; without it the peer is skipped.
"""
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

arguments = sys.argv[1:]
PEER = None
if "--peer" in arguments:
    at = arguments.index("--peer")
    PEER = arguments[at + 1]
    del arguments[at:at + 2]
DATA = Path(arguments[0]).resolve()
WORK = Path(arguments[1] if len(arguments) > 1 else tempfile.mkdtemp()).resolve()
PARTS = arguments[2:] or ["resnet56", "imagenet", "flowers"]
WORK.mkdir(parents=True, exist_ok=True)


def xtask(*args):
    """The JSON object that a command prints."""
    run = subprocess.run(["cargo", "xtask", *map(str, args), "--json"], stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(f"FAILED with exit code {run.returncode}: {args}")
    return json.loads(run.stdout)


def row(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def head(*cells):
    row(*cells)
    print("|---" * len(cells) + "|", flush=True)


def percent(value):
    return f"{100 * value:.1f}"


def change(less):
    """What a share less is as a change."""
    return f"{-100 * less:+.1f} %"


def convert(network, *more, out):
    return xtask("convert", network, *more, "-o", WORK / out)


def resnet56():
    """ResNet-56 on CIFAR-10, pruned on training pictures and measured on test pictures."""
    network, train, test = DATA / "models/resnet56_cifar10.onnx", DATA / "cifar10/calib", DATA / "cifar10/test"
    whole = convert(network, out="r56.edge")
    base = xtask("eval", WORK / "r56.edge", test)["top1"]
    print(f"\nResNet-56, CIFAR-10: whole {percent(base)} on 1000 test pictures\n")
    head("fewer MACs", "parameters", "top-1", "lost", "int8 top-1", "int8 latency", "peer lost")
    for share in (0.3, 0.4, 0.5):
        pruned = convert(network, "--prune", share, "--data", train, out="r56p.edge")
        top1 = xtask("eval", WORK / "r56p.edge", test)["top1"]
        int8 = convert(network, "--int8", "--prune", share, "--data", train, out="r56i.edge")
        top1_int8 = xtask("eval", WORK / "r56i.edge", test)["top1"]
        fewer = 1 - pruned["macs"] / whole["macs"]
        less = int8["pruning"]["latency_less"]
        row(percent(fewer), f"{pruned['parameters'] / 1e3:.0f} k", percent(top1), percent(base - top1),
            percent(top1_int8), change(less), peer(share))


def peer(share):
    """What torch-pruning loses on the same network without training, at the same share of the operations."""
    if PEER is None:
        return "skipped"
    run = subprocess.run([PEER, Path(__file__).parent / "compression_peer.py", DATA, str(share)],
                         stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        return "failed"
    result = json.loads(run.stdout.splitlines()[-1])
    return f"{percent(result['lost'])} at {percent(result['fewer_macs'])} % fewer"


def imagenet():
    """EfficientNet-Lite0 on pictures of ImageNet: pruned on 200 of them, measured on the other 300."""
    sample = DATA / "imagenet-sample"
    with open(sample / "labels.csv", newline="") as file:
        names, *rows = csv.reader(file)
    random.Random(0).shuffle(rows)
    for folder, part in (("seen", rows[:200]), ("unseen", rows[200:])):
        (WORK / folder).mkdir(exist_ok=True)
        with open(WORK / folder / "labels.csv", "w", newline="") as file:
            csv.writer(file).writerows([names, *sorted(part)])
        for name, *_ in part:
            link = WORK / folder / name
            if not link.exists():
                os.symlink(sample / name, link)
    seen, unseen = WORK / "seen", WORK / "unseen"
    whole = convert("efficientnet-lite0", "--int8", "--calib", seen, out="l0.edge")
    base = xtask("eval", WORK / "l0.edge", unseen)["top1"]
    print(f"\nEfficientNet-Lite0, int8, ImageNet: whole {percent(base)} on 300 pictures\n")
    head("fewer MACs", "parameters", "file", "arena", "top-1", "lost", "latency")
    for share in (0.1, 0.2, 0.3, 0.4):
        pruned = convert("efficientnet-lite0", "--int8", "--prune", share, "--data", seen, out="l0p.edge")
        top1 = xtask("eval", WORK / "l0p.edge", unseen)["top1"]
        row(percent(1 - pruned["macs"] / whole["macs"]), f"{pruned['parameters'] / 1e6:.2f} M",
            f"{pruned['bytes'] / 2**20:.2f} MiB", f"{pruned['arena_bytes'] / 2**20:.2f} MiB", percent(top1),
            percent(base - top1), change(pruned["pruning"]["latency_less"]))


def flowers():
    """A new head for flowers on EfficientNet-Lite0, pruned on flowers."""
    train, val = DATA / "flowers/train", DATA / "flowers/val"
    print("\nEfficientNet-Lite0, int8, a new head for flowers, mean of three seeds\n")
    head("fewer MACs", "file", "arena", "val top-1", "latency")
    for share in (0, 0.2, 0.4, 0.6):
        more = ("--prune", share, "--data", train) if share else ("--calib", train)
        model = convert("efficientnet-lite0", "--int8", *more, out="f.edge")
        top1 = [xtask("retrain-head", WORK / "f.edge", "--data", train, "--val", val, "--seed", seed,
                      "-o", WORK / "h.edge")["val_top1"] for seed in range(3)]
        pruning = model.get("pruning") or {"macs_less": 0, "latency_less": 0}
        row(percent(pruning["macs_less"]), f"{model['bytes'] / 2**20:.2f} MiB",
            f"{model['arena_bytes'] / 2**20:.2f} MiB", percent(sum(top1) / 3), change(pruning["latency_less"]))


for part in PARTS:
    {"resnet56": resnet56, "imagenet": imagenet, "flowers": flowers}[part]()
