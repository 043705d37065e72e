"""The product, driven by its command line as a user does."""
import json
import subprocess

import numpy as np

# A network is small; nothing that it needs takes this long.
SECONDS = 300


class Refused(Exception):
    """The product said no, in one clear line."""


class Broken(Exception):
    """The product panicked, hung, or said no in a way that is not fit for a user."""


class Product:
    def __init__(self, xtask):
        self.xtask = str(xtask)

    def command(self, *args):
        """The JSON object on stdout, and what is on stderr."""
        command = [self.xtask, *map(str, args), "--json"]
        try:
            run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise Broken(f"{args[0]}: no end after {SECONDS} s") from None
        if run.returncode == 0:
            return json.loads(run.stdout), run.stderr.strip()
        lines = [line for line in run.stderr.splitlines() if line.startswith("error")]
        message = " | ".join(run.stderr.strip().splitlines())
        if run.returncode != 1 or "panicked" in run.stderr or len(lines) != 1 or "please report" in message:
            raise Broken(f"{args[0]}: exit status {run.returncode}: {message}")
        raise Refused(lines[0])

    def convert(self, file, out, *options):
        """The report of a conversion, with `stderr` in it."""
        report, stderr = self.command("convert", file, *options, "-o", out)
        return dict(report, stderr=stderr)

    def logits(self, model, pictures):
        """One row per picture."""
        results = self.command("run", model, *pictures, "--logits")[0]["results"]
        return np.array([r["logits"] for r in results], np.float64)

    def verify(self, model):
        """Engine and tract give the same bits."""
        return self.command("verify", model, "--limit", "2")[0]["equal"]
