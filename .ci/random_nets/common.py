"""What both kinds of networks share: how many pictures, what a useful network is, what logits are."""
import numpy as np

from . import judge

# Pictures that are judged on, and others that only calibrate.
JUDGING, CALIBRATION = 6, 16
# Tries until a network is useful.
ATTEMPTS = 40


class BadNetwork(Exception):
    """What came out is no useful test; another attempt is made."""


def rounded(values, low, high):
    """Floats as 8 bits would have them, with a range that holds these bounds and zero."""
    step = (max(high, 0.0) - min(low, 0.0)) / 255 or 1.0
    return (np.round(values / step) * step).astype(np.float32)


def unsteady(values, low, high):
    """The same, but a third of the numbers are a step off, as two right programs differ; zeros stay."""
    step = (max(high, 0.0) - min(low, 0.0)) / 255 or 1.0
    noise = np.random.RandomState(values.size % 1009).uniform(-0.75, 0.75, values.shape)
    return (np.round(values / step + np.where(values == 0, 0, noise)) * step).astype(np.float32)


def check(rows, rough):
    """Fails if the logits hardly depend on the picture, or 8 bits leave nothing of that."""
    rows, rough = rows[:JUDGING].astype(np.float64), rough[:JUDGING].astype(np.float64)
    if not np.isfinite(rows).all() or np.abs(rows).max() > 1e12:
        raise BadNetwork("the logits are not finite, or huge")
    depends = judge.spread(rows)
    if depends < 1e-9 or depends < 0.05 * judge.rms(rows):
        raise BadNetwork("the logits hardly depend on the picture")
    if judge.rms(rough - rows) > 0.3 * depends:
        raise BadNetwork("the network cannot do with 8 bits")


def answer(rows, final):
    """As the product gives logits: one sigmoid is a choice of two classes, the first of which has 0."""
    one = rows.shape[1] == 1 and final == "sigmoid"
    return np.concatenate([np.zeros_like(rows), rows], 1) if one else rows
