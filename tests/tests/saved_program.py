"""Saves a program of DSPy, or says what a saved one has, as JSON.

    python saved_program.py save FILE
    python saved_program.py show FILE
"""

import json
import sys
from typing import Literal

import dspy


class Read(dspy.Signature):
    """Read the letter."""

    letter: str = dspy.InputField()
    sender: str = dspy.OutputField()
    topics: list[str] = dspy.OutputField()


class Sort(dspy.Signature):
    """Sort it."""

    topics: list[str] = dspy.InputField()
    team: Literal["billing", "other"] = dspy.OutputField()
    urgent: bool = dspy.OutputField()


class Letters(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.read = dspy.Predict(Read)
        self.sort = dspy.Predict(Sort)


def optimized() -> Letters:
    program = Letters()
    read, sort = program.read, program.sort
    read.signature = read.signature.with_instructions('Read all of it.\n\nSay "nobody" if nobody signed.\n')
    read.demos = [
        dspy.Example(augmented=True, letter="Où est-il?\n\tAnn", sender="Ann", topics=["délai", "“parcel”"]),
        dspy.Example(letter="Hello", topics=[]),
    ]
    sort.signature = sort.signature.with_instructions("Money is billing: {{ and }} 😀 stay.")
    sort.demos = [dspy.Example(augmented=True, topics=["money"], team="billing", urgent=False)]
    return program


def main(action: str, file: str) -> None:
    if action == "save":
        program = optimized()
        program.save(file)
    else:
        program = Letters()
        program.load(file)
    prompts = {
        name: {"instructions": predictor.signature.instructions, "demos": [dict(demo) for demo in predictor.demos]}
        for name, predictor in program.named_predictors()
    }
    json.dump({"dspy": dspy.__version__, "prompts": prompts}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
