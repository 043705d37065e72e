"""How far outputs are from each other, in units that mean something. Rows are pictures, columns classes."""
import numpy as np


def rms(x):
    return float(np.sqrt(np.mean(np.square(np.asarray(x, np.float64)))))


def spread(rows):
    """How much the outputs depend on the picture: their RMS, the mean over the pictures taken off."""
    rows = np.asarray(rows, np.float64)
    return rms(rows - rows.mean(0))


def slope(rows, reference):
    """By how much the outputs are too large: 1 is right."""
    a, b = (np.asarray(r, np.float64) for r in (rows, reference))
    a, b = a - a.mean(0), b - b.mean(0)
    return float((a * b).sum() / max((b * b).sum(), 1e-300))


def cosine(rows, reference):
    """Of the outputs with the mean over the pictures taken off."""
    a, b = (np.asarray(r, np.float64) for r in (rows, reference))
    a, b = a - a.mean(0), b - b.mean(0)
    return float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-300))


def summary(rows, reference):
    """For people, and for `--json`."""
    unit = max(spread(reference), 1e-30)
    return {
        "error": rms(np.asarray(rows) - reference) / unit,
        "cosine": cosine(rows, reference),
        "slope": slope(rows, reference),
    }
