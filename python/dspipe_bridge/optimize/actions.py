"""The two actions by their older names, `optimize_prompt` and `evaluate_program`, and their settings."""

from collections.abc import Mapping
from typing import Any

from dspipe_bridge.optimize import settings
from dspipe_bridge.optimize.errors import BadRequest
from dspipe_bridge.optimize.job import Job
from dspipe_bridge.optimize.spec import Object, flag, listed, mapping, name, text, unique, whole
from dspipe_bridge.optimize.work import THREADS, Evaluate, Optimize, evaluate, optimize

TYPES = ("string", "integer", "number", "boolean", "array", "object")

DEMOS = {
    "labeled_few_shot": "k",
    "bootstrap_few_shot": "max_labeled_demos",
    "bootstrap_few_shot_with_random_search": "max_labeled_demos",
    "mipro_v2": "max_labeled_demos",
    "infer_rules": "max_labeled_demos",
    "simba": "max_demos",
}
"""What `few_shot_examples` is called by each optimizer."""


class OptimizePrompt:
    """One signature alone, with its examples."""

    def __init__(self, it: Object) -> None:
        """Reads the parameters."""
        signature = it.take("signature", mapping)
        none: dict[str, Any] = {}
        config = it.get("config", mapping, none)
        context = it.get("context", mapping, none)
        threads = it.get("threads", whole, THREADS)
        it.end()
        step = step_of(Object(signature, "params.signature"))
        chosen = Object(config, "params.config")
        optimizer, options, sizes, seed = read_config(chosen)
        cases = Object(context, "params.context").take("examples", listed(mapping))
        found = [
            example(Object(case, "params.context.examples"), at) for at, case in enumerate(cases)
        ]
        train = found[: sizes[0]] if sizes[0] else found
        rest = found[len(train) :]
        val = rest[: sizes[1]] if sizes[1] else rest
        self._step = step["name"]
        params = {
            "program": {"name": step["name"], "runs": "step", "steps": [step]},
            "train": train,
            "stages": [{"optimizer": optimizer, "settings": options}],
            "seed": seed,
            "threads": threads,
            **({"val": val} if val else {}),
        }
        self._wanted = Optimize.read(Object(params, "params"))

    def run(self, job: Job) -> dict[str, Any]:
        """The prompt, and how good it is."""
        result = optimize(job, self._wanted)
        return {
            "success": True,
            "optimized_prompt": result["prompts"][self._step],
            "metrics": {"score": result["score"], **result["stats"]},
        }


class EvaluateProgram:
    """A program on test cases."""

    def __init__(self, it: Object) -> None:
        """Reads the parameters."""
        program = it.take("program", mapping)
        cases = it.take("test_cases", listed(mapping))
        threads = it.get("threads", whole, THREADS)
        it.end()
        self._cases = [
            example(Object(case, "params.test_cases"), at, "expected")
            for at, case in enumerate(cases)
        ]
        params = {"program": program, "examples": self._cases, "threads": threads}
        self._wanted = Evaluate.read(Object(params, "params"))

    def run(self, job: Job) -> dict[str, Any]:
        """What each case gave, beside what was expected."""
        result = evaluate(job, self._wanted)
        rows = [
            {
                "input": case["inputs"],
                "expected": case["labels"],
                "actual": row["outputs"],
                "score": row["score"],
            }
            for case, row in zip(self._cases, result["results"], strict=True)
        ]
        return {"success": True, "score": result["score"], "results": rows}


def step_of(it: Object) -> dict[str, Any]:
    """A signature as a step."""
    found = {
        "name": it.take("name", name),
        "description": it.get("description", text, ""),
        "instructions": it.get("instructions", text, ""),
        "inputs": it.take("input_fields", listed(field)),
        "outputs": it.take("output_fields", listed(field)),
    }
    it.end()
    return found


def field(value: object, where: str) -> dict[str, Any]:
    """A field with a type and perhaps a schema."""
    it = Object(value, where)
    kind = it.get("type", text, "string")
    found = {
        "name": it.take("name", name),
        "description": it.get("description", text, ""),
        "schema": it.get("schema", mapping, {"type": kind}),
    }
    it.end()
    if kind not in TYPES:
        raise BadRequest(f"`{where}.type` must be one of {', '.join(TYPES)}")
    return found


def example(it: Object, at: int, label: str = "output") -> dict[str, Any]:
    """An example; its id is its place."""
    found = {
        "id": str(at),
        "inputs": it.take("input", mapping),
        "labels": it.take(label, mapping),
    }
    it.end()
    return found


def read_config(it: Object) -> tuple[str, Mapping[str, Any], tuple[int, int], int]:
    """Optimizer, settings, sizes of both sets (zero is all), and seed."""
    mode = it.get("evaluation_mode", text, "bootstrap_few_shot")
    optimizer = settings.optimizer(it.get("optimizer", text, mode), "params.config.optimizer")
    options: dict[str, Any] = {}
    options |= it.get("optimizer_settings", mapping, options)
    demos = it.get("few_shot_examples", whole, -1)
    rounds = it.get("bootstrap_iterations", whole, -1)
    sizes = (it.get("training_size", whole, 0), it.get("validation_size", whole, 0))
    seed = it.get("seed", whole, 0)
    # The metric is the host's, who reads what it is called and what it aims at.
    it.get("evaluation_metric", text, "")
    it.get("optimization_target", text, "")
    it.get("optimization_enabled", flag, True)
    it.end()
    renamed = [("few_shot_examples", DEMOS.get(optimizer), demos)]
    has_rounds = "max_rounds" in settings.TABLES[optimizer]
    renamed.append(("bootstrap_iterations", "max_rounds" if has_rounds else None, rounds))
    for older, key, value in renamed:
        if value < 0:
            continue
        if key is None:
            raise BadRequest(f"`params.config.{older}`: `{optimizer}` has nothing like it")
        unique([key, *options], "params.config.optimizer_settings")
        options[key] = value
    return optimizer, options, sizes, seed
