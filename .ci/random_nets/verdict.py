"""What is right, what is rounding, and what is wrong. The limits are explained in docs/internals/random-networks.md."""
from dataclasses import dataclass, field

import numpy as np

from . import judge

# Float arithmetic in another order: this much of the spread.
FLOAT = 3e-4
# Differences of int8 that no spread excuses and no error explains start here.
ABSOLUTE = 0.03


@dataclass
class Result:
    outcome: str
    message: str = ""
    kind: str = ""
    note: str = ""
    # What `convert` itself says of the file: good, doubtful, or nothing.
    said: str = ""
    numbers: dict = field(default_factory=dict)


def step(rows):
    """About one step of an int8 output with these values."""
    rows = np.asarray(rows)
    return float(max(rows.max(), 0) - min(rows.min(), 0)) / 255


def result(good, numbers, report):
    text = " ".join(f"{k} {v:.3g}" for k, v in numbers.items())
    check = report.get("check") or {}
    said = check.get("verdict", "")
    if said == "doubtful":
        text += f", `convert` doubts it: {' '.join(check['doubts'])}"
    return Result("passed" if good else "failed", text, numbers=numbers, said=said)


def same(rows, reference, report):
    """A float file against the float network."""
    if rows.shape != reference.shape:
        return Result("failed", f"{rows.shape[1]} classes instead of {reference.shape[1]}")
    numbers = judge.summary(rows, reference)
    # Large logits that depend little on the picture have errors of their own size.
    allowed = FLOAT * judge.spread(reference) + 2e-6 * judge.rms(reference)
    return result(judge.rms(rows - reference) <= allowed, numbers, report)


def no_worse(rows, reference, theirs, report):
    """Our int8 of a float network, beside onnxruntime's of the same on the same pictures."""
    unit, error = judge.spread(reference), judge.rms(rows - reference)
    numbers = judge.summary(rows, reference)
    if theirs is None:
        return result(numbers["cosine"] > 0.9, numbers, report)
    other = judge.rms(theirs - reference)
    numbers["theirs"] = other / unit
    allowed = 1.5 * other + ABSOLUTE * unit + step(reference)
    return result(error <= allowed, numbers, report)


def keeps_numbers(rows, theirs, noise, weights, report):
    """Our int8 of a quantized file against onnxruntime on that file, which rounding alone moves by `noise`."""
    unit = judge.spread(theirs)
    numbers = judge.summary(rows, theirs)
    numbers["noise"] = noise / max(unit, 1e-30)
    allowed = 1.5 * noise + weights + ABSOLUTE * unit + 1.5 * step(theirs)
    return result(judge.rms(rows - theirs) <= allowed, numbers, report)


def unrounded(rows, theirs, noise, report):
    """The float file of a quantized one against onnxruntime on that file."""
    unit = judge.spread(theirs)
    numbers = judge.summary(rows, theirs)
    numbers["noise"] = noise / max(unit, 1e-30)
    allowed = 2.5 * noise + ABSOLUTE * unit + 1.5 * step(theirs)
    return result(judge.rms(rows - theirs) <= allowed, numbers, report)


def keeps_litert(rows, theirs, noise, reference, report):
    """Our int8 of a .tflite file against LiteRT on that file, whose two sets of kernels differ by `noise`.

    Ours round once where theirs round twice, so it is as good to be as near to the float network as they are.
    """
    unit, error = judge.spread(theirs), judge.rms(theirs - reference)
    own = judge.rms(rows - reference)
    numbers = judge.summary(rows, theirs)
    numbers.update({"noise": noise / max(unit, 1e-30), "theirs": error / max(unit, 1e-30), "own": own / max(unit, 1e-30)})
    allowed = 2 * noise + 0.5 * error + ABSOLUTE * unit + 1.5 * step(theirs)
    near = judge.rms(rows - theirs) <= allowed
    as_good = own <= 1.5 * error + ABSOLUTE * unit + step(theirs)
    return result(near or as_good, numbers, report)
