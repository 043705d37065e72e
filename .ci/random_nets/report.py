"""Runs many seeds at once and sums up; shared by the ONNX and the Keras check."""
import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# More refusals than this share of all comparisons is no test any more.
MOST_REFUSED = 0.05


def arguments(what, count):
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=count, help="networks, with seeds from --first on")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="only this one, and show the network")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the files of networks that fail (of all with --seed)")
    parser.add_argument("--xtask", type=Path, default=ROOT / "target/debug/graft", help="the command line, built")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="networks at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--verbose", action="store_true", help="show every comparison")
    return parser.parse_args()


def one(check, seed, xtask, keep, show):
    """All comparisons of a seed, as plain dictionaries."""
    start = time.time()
    folder = Path(tempfile.mkdtemp(prefix=f"graft-{seed}-"))
    try:
        text, results = check(seed, xtask, folder)
        failed = any(r["outcome"] == "failed" for r in results)
        if keep and (failed or show):
            kept = keep / str(seed)
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept)
            (kept / "network.txt").write_text(text + "\n")
        return {"seed": seed, "text": text, "results": results, "seconds": time.time() - start}
    except Exception as e:
        import traceback

        results = [{"kind": "script", "outcome": "failed", "message": f"{e!r}", "note": traceback.format_exc(), "numbers": {}}]
        return {"seed": seed, "text": "", "results": results, "seconds": time.time() - start}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def show(seed, r):
    note = f"  [{r['note']}]" if r["note"] else ""
    print(f"  {r['outcome']}: seed {seed}, {r['kind']}: {r['message']}{note}", flush=True)


def main(check, what, count):
    args = arguments(what, count)
    if not args.xtask.exists():
        sys.exit(f"no {args.xtask}: run `cargo build -p xtask` first")
    single = args.seed is not None
    seeds = [args.seed] if single else range(args.first, args.first + args.count)
    counts, refusals, rows = {}, Counter(), []
    with ProcessPoolExecutor(max_workers=args.jobs) as pool:
        jobs = [pool.submit(one, check, s, args.xtask, args.keep, single) for s in seeds]
        for job in jobs:
            row = job.result()
            rows.append(row)
            if single:
                print(row["text"])
            for r in row["results"]:
                counts.setdefault(r["kind"], Counter())[r["outcome"]] += 1
                if single or args.verbose or r["outcome"] == "failed":
                    show(row["seed"], r)
                if r["outcome"] == "refused":
                    refusals[r["message"]] += 1
    if args.json:
        args.json.write_text(json.dumps(rows))
    sys.exit(summary(counts, refusals, rows, args))


def summary(counts, refusals, rows, args):
    """Prints it; true if something is wrong."""
    for message, n in refusals.most_common():
        print(f"  refused, {n} times: {message}")
    for kind, c in counts.items():
        print(f"  {kind}: " + ", ".join(f"{n} {outcome}" for outcome, n in sorted(c.items())))
    said = Counter((r["outcome"], r.get("said")) for row in rows for r in row["results"])
    right, wrong = said["passed", "good"] + said["passed", "doubtful"], said["failed", "good"] + said["failed", "doubtful"]
    print(f"  convert doubts {said['passed', 'doubtful']} of {right} that are right and {said['failed', 'doubtful']} of {wrong} that are wrong")
    bad = [r["seed"] for r in rows if any(x["outcome"] == "failed" for x in r["results"])]
    compared = sum(sum(c.values()) for c in counts.values())
    many = sum(refusals.values()) > max(MOST_REFUSED * compared, 4)
    if many:
        print(f"  too many are refused: {sum(refusals.values())} of {compared}")
    print(f"{len(rows) - len(bad)} passed, {len(bad)} failed; {compared} comparisons")
    if bad:
        print(f"again, one alone: {sys.argv[0]} --seed {bad[0]} --keep DIR")
    return bool(bad) or many
