"""The workflow `label`, optimized with plain DSPy on the same data and server as by dspipe."""

import json
import sys
from typing import Literal

import dspy

url, train, validation, candidates, threads = sys.argv[1:]


class Label(dspy.Signature):
    """Label the text."""

    text: str = dspy.InputField()
    label: Literal["B3", "G2", "R1", "X4"] = dspy.OutputField()


def examples(path: str) -> list[dspy.Example]:
    """Those of a file of JSON lines."""
    with open(path, encoding="utf-8") as file:
        return [dspy.Example(**json.loads(line)).with_inputs("text") for line in file]


def metric(example: dspy.Example, prediction: dspy.Prediction, trace: object = None) -> float:
    """Whether the label is right."""
    return float(example.label == prediction.label)


# dspipe asks everything anew too.
dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
# Its own engine: the other one, litellm, is an optional package.
lm = dspy.LM(
    "openai/gpt-5-mini", api_base=url, api_key="sk-bench", cache=False, engine="lm15"
)
dspy.configure(lm=lm)
optimizer = dspy.BootstrapFewShotWithRandomSearch(
    metric=metric,
    max_bootstrapped_demos=2,
    max_labeled_demos=4,
    num_candidate_programs=int(candidates),
    num_threads=int(threads),
)
optimizer.compile(
    dspy.Predict(Label), trainset=examples(train), valset=examples(validation)
)
