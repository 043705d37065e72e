#!/usr/bin/env python3
"""Converts networks of the catalog with random weights to int8, and compares engine and tract on them, and all families
of kernels that this processor runs.

    zoo.py [--all | NAME...]

Without arguments: those of at most 1.2 G MACs and 30 M parameters, which is what CI has time for. Needs the
command line built. Prints time and memory of each; exits with 1 if one fails.
"""
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def xtask(*args):
    run = subprocess.run(["cargo", "xtask", *args, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.returncode != 0:
        # Lines of cargo's come before.
        raise RuntimeError((run.stderr.strip().splitlines() or ["no message"])[-1])
    return json.loads(run.stdout)


def families():
    """All that this processor runs, as the message about an unknown one names them."""
    run = subprocess.run(
        ["cargo", "xtask", "run", "none.edge", "none.png", "--kernels", "?"], stderr=subprocess.PIPE, text=True
    )
    return re.search(r"it runs: (.*)", run.stderr)[1].split(", ")


models = xtask("models")["models"]
names = [m["name"] for m in models]
if sys.argv[1:] and sys.argv[1] != "--all":
    names = sys.argv[1:]
elif not sys.argv[1:]:
    names = [m["name"] for m in models if m["macs"] <= 1.2e9 and m["parameters"] <= 30e6]
kernels = families()
print(f"  kernels: {', '.join(kernels)}", flush=True)
failed = []
with tempfile.TemporaryDirectory() as work:
    out = str(Path(work) / "model.edge")
    picture = Path(work) / "picture.ppm"
    pixels = bytes((x * x // 7 + 3 * y * (c + 1)) % 256 for y in range(240) for x in range(240) for c in range(3))
    picture.write_bytes(b"P6 240 240 255\n" + pixels)
    for name in names:
        start = time.time()
        try:
            converted = xtask("convert", name, "--weights", "random", "--int8", "-o", out)
            equal = xtask("verify", out, "--limit", "1")["equal"]
            # Both backends run the same kernels.
            logits = [
                xtask("run", out, str(picture), "--logits", "--kernels", family)["results"][0]["logits"]
                for family in kernels
            ]
            equal = equal and all(logits[0] == others for others in logits)
        except RuntimeError as e:
            # These come only as a file with a graph of its own.
            if "no architecture" in str(e):
                print(f"  {name}: has no architecture of ours, no random weights", flush=True)
                continue
            print(f"  FAILED: {name}: {e}", flush=True)
            failed.append(name)
            continue
        memory = converted["peak_memory_bytes"] >> 20
        print(f"  {'ok' if equal else 'FAILED'}: {name}: {time.time() - start:.1f} s, {memory} MiB", flush=True)
        if not equal:
            failed.append(name)
if failed:
    sys.exit(f"{len(failed)} of {len(names)} failed: {', '.join(failed)}")
print(f"all {len(names)} convert; both backends and all kernels agree")
