"""Writes what DSPy's adapters do to `dspipe-runtime/tests/dspy_vectors`, or checks what is there.

    python tools/dspy_vectors.py write
    python tools/dspy_vectors.py check

The cases come from a random generator with a fixed seed. Needs DSPy of the version in VERSION.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dspy
import pydantic

sys.path.insert(0, str(Path(__file__).resolve().parent))

import dspy_cases as cases
import dspy_oracle as oracle

VERSION = "3.4.1"
FOLDER = Path(__file__).resolve().parents[2] / "dspipe-runtime/tests/dspy_vectors"
COUNTS = {"render": 260, "parse": 400, "saved": 50}


def header(seed: int, count: int) -> dict[str, Any]:
    return {
        "dspy": dspy.__version__,
        "pydantic": pydantic.VERSION,
        "seed": seed,
        "count": count,
        "written by": "python/tools/dspy_vectors.py",
    }


def vectors(kind: str, seed: int, count: int) -> Iterator[str]:
    yield json.dumps(header(seed, count))
    make = getattr(cases, f"{kind}_case")
    for index in range(count):
        # Each case has its own generator: one more case changes no other.
        rng = random.Random(f"{kind} {seed} {index}")
        while True:
            case = make(rng)
            try:
                expected = oracle.answer(case)
            except RuntimeError:
                # DSPy cannot save whole numbers of more than 64 bits.
                continue
            line = json.dumps({**case, "expected": expected}, ensure_ascii=False)
            if is_text(line):
                break
        yield line


def is_text(line: str) -> bool:
    """Half a surrogate pair, as a broken escape gives, is a text in Python only."""
    return not any("\ud800" <= char <= "\udfff" for char in line)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("action", choices=["write", "check"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, help="of each kind")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    if dspy.__version__ != VERSION:
        print(f"DSPy {VERSION} is needed, {dspy.__version__} is installed", file=sys.stderr)
        return 2
    oracle.quiet()
    stale = []
    for kind, count in COUNTS.items():
        lines = vectors(kind, arguments.seed, arguments.count or count)
        text = "".join(f"{line}\n" for line in lines)
        path = arguments.folder / f"{kind}.jsonl"
        if arguments.action == "write":
            arguments.folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path)
    for path in stale:
        print(f"{path} is not what DSPy {VERSION} gives", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
