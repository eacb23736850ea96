"""All benchmarks that compare, as one table; and a check that none has become slower.

    python benchmarks/run.py                        # all, into output/benchmarks.json
    python benchmarks/run.py results loss           # bench_results.py and bench_loss.py
    python benchmarks/run.py --guard                # the quick ones, beside benchmarks/ratios.json
    python benchmarks/run.py --guard --update       # writes that file

Each script runs in a process of its own. The check fails where a ratio to the plain form, measured
side by side in one process, is over 1.5 times what it was; absolute times depend on the machine and
are not compared, and even ratios differ somewhat between kinds of processors. What fails is
measured anew, twice, since others may use the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from measured_files import machine_facts
from tabulate import tabulate
from timing import RECORD_VARIABLE

FOLDER = Path(__file__).parent
RATIOS = FOLDER / "ratios.json"
#: Benchmarks of seconds, for the check.
QUICK = ("drawing", "loss", "results", "texture")
#: A ratio may rise by this factor.
SLIP = 1.5
#: Ratios of a hundredth are of times too short to measure better.
SLACK = 0.02
ATTEMPTS = 3


def names() -> list[str]:
    """All benchmarks whose times are reported beside a plain form's."""
    scripts = sorted(FOLDER.glob("bench_*.py"))
    return [
        script.stem.removeprefix("bench_")
        for script in scripts
        if "report(" in script.read_text(encoding="utf-8")
    ]


def run(name: str) -> list[dict]:
    """The rows of a benchmark: benchmark, title, name, milliseconds, ratio, baseline.

    Raises:
        RuntimeError: the script failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "rows.jsonl"
        done = subprocess.run(
            [sys.executable, "-W", "ignore", FOLDER / f"bench_{name}.py"],
            env={**os.environ, RECORD_VARIABLE: str(record)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not record.exists():
            raise RuntimeError(f"bench_{name}.py failed:\n{done.stderr[-2000:]}")
        rows = map(json.loads, record.read_text(encoding="utf-8").splitlines())
        return [{"benchmark": name, **row} for row in rows]


def slipped(rows: list[dict], known: dict[str, float]) -> list[str]:
    """A line for each ratio that is over SLIP times the known one."""
    return [
        f"{key(row)}: {row['ratio']:.2f} of {row['baseline']!r}, it was {known[key(row)]:.2f}"
        for row in rows
        if key(row) in known and row["ratio"] > SLIP * known[key(row)] + SLACK
    ]


def key(row: dict) -> str:
    """What names a row: titles end in what was measured on the way."""
    title = row["title"].split(",")[0]
    return f"{row['benchmark']}: {title}: {row['name']}"


def guard(chosen: list[str], known: dict[str, float]) -> list[str]:
    """What has slipped in every one of ATTEMPTS measurements."""
    lines = []
    for name in chosen:
        for _ in range(ATTEMPTS):
            slips = slipped(run(name), known)
            if not slips:
                break
        lines += slips
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names()))
    parser.add_argument("--out", type=Path, default=Path("output/benchmarks.json"))
    parser.add_argument("--guard", action="store_true", help="fail where a ratio has slipped")
    parser.add_argument("--update", action="store_true", help="with --guard: keep the ratios")
    args = parser.parse_args()
    chosen = args.names or list(QUICK if args.guard else names())
    if unknown := sorted({*chosen} - {*names()}):
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(names())}")
    if args.guard and not args.update:
        lines = guard(chosen, json.loads(RATIOS.read_text(encoding="utf-8")))
        print("\n".join(lines) or f"no ratio has slipped: {', '.join(chosen)}")
        return 1 if lines else 0
    rows = [row for name in chosen for row in run(name)]
    facts = machine_facts()
    print(", ".join(f"{name} {value}" for name, value in facts.items()), end="\n\n")
    cells = [
        (row["benchmark"], row["title"], row["name"], f"{row['ms']:.2f}", f"{row['ratio']:.2f}")
        for row in rows
    ]
    print(tabulate(cells, ("benchmark", "what", "how", "ms", "ratio"), tablefmt="github"))
    if args.guard:
        ratios = {key(row): round(row["ratio"], 3) for row in rows}
        RATIOS.write_text(json.dumps(ratios, indent=1) + "\n", encoding="utf-8")
    else:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps({"machine": facts, "rows": rows}, indent=1) + "\n")
        print(f"\n{args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
