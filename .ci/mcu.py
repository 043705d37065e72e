#!/usr/bin/env python3
"""mcu.py SHARED_DATA WORK: MLPerf Tiny's two quantized image networks on microcontrollers in QEMU.

Prints a table of instructions, flash and RAM. Fails if one exceeds its limit (the counts are the same in every run), if
a board computes other results than the host, or if a command fails. Needs a compiler for the boards and QEMU.
"""
import json
import pathlib
import subprocess
import sys

NETWORKS = {
    "resnet8": "pretrainedResnet_quant.tflite",
    "vww": "vww_96_int8.tflite",
}
# Most instructions of one inference; the M33 runs the kernels of the M4. docs/reference/figures.md has the same for
# TensorFlow Lite Micro with CMSIS-NN.
INSTRUCTIONS = {
    ("resnet8", "qemu-m4"): 15_500_000,
    ("resnet8", "qemu-m7"): 15_500_000,
    ("resnet8", "qemu-m33"): 15_500_000,
    ("resnet8", "qemu-m55"): 4_900_000,
    ("vww", "qemu-m4"): 13_000_000,
    ("vww", "qemu-m7"): 13_000_000,
    ("vww", "qemu-m33"): 13_000_000,
    ("vww", "qemu-m55"): 6_400_000,
}
# Most bytes, on every board.
RAM = {"resnet8": 54_000, "vww": 98_000}
FLASH = {"resnet8": 130_000, "vww": 300_000}


def xtask(*args):
    out = subprocess.run(["cargo", "xtask", *map(str, args), "--json"], stdout=subprocess.PIPE, text=True)
    if out.returncode != 0:
        sys.exit(f"failed: cargo xtask {' '.join(map(str, args))}")
    return json.loads(out.stdout)


def main():
    data, work = map(pathlib.Path, sys.argv[1:3])
    exceeded = []
    print("network  board     instructions  limit       flash    RAM")
    for name, file in NETWORKS.items():
        model = work / f"{name}.edge"
        xtask("convert", data / "models/mlperf-tiny" / file, "--int8", "-o", model)
        for (network, board), limit in INSTRUCTIONS.items():
            if network != name:
                continue
            bench = xtask("bench", model, "--board", board)
            print(f"{name:8} {board:9} {bench['instructions']:12}  {limit:10}  {bench['flash_bytes']:7}  {bench['ram_bytes']}")
            limits = [("instructions", limit), ("ram_bytes", RAM[name]), ("flash_bytes", FLASH[name])]
            exceeded += [f"{name} on {board}: {key} {bench[key]} > {most}" for key, most in limits if bench[key] > most]
        verify = xtask("verify", model, "--on", "engine,qemu-m4,qemu-m7,qemu-m33,qemu-m55")
        print(f"{name}: {' = '.join(verify['backends'])}, {verify['layers']} layers on {verify['inputs']} pictures")
    if exceeded:
        sys.exit("limits exceeded:\n" + "\n".join(exceeded))


main()
