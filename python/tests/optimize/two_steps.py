"""A workflow of two steps that have the same fields and the same instructions."""

import threading
from typing import Any

from optimize.host import Host, Params, field, program, step

FIRST, SECOND = "Sort it.", "Sort it."


def pair(**more: Any) -> Params:
    """The program."""
    steps = [
        step(name, [field("text")], [field("label")], instructions=FIRST)
        for name in ("left", "right")
    ]
    return program(steps, **more)


def examples(count: int) -> list[Params]:
    """Examples whose right label is their number's parity."""
    return [
        {
            "id": f"e{n}",
            "inputs": {"text": f"item {n}"},
            "labels": {"label": "odd" if n % 2 else "even"},
        }
        for n in range(count)
    ]


class Pair:
    """The host's side. Both steps see a text that says which step it is for."""

    def __init__(self, wait_for: int = 0) -> None:
        """With `wait_for`, no run is answered before so many are in flight."""
        self.host: Host
        self.barrier = threading.Barrier(wait_for) if wait_for else None
        self.calls: list[Params] = []

    def run(self, params: Params) -> Any:
        """`run`: each step is right if its instructions name it."""
        if self.barrier is not None:
            self.barrier.wait(30)
        number = int(params["inputs"]["text"].split()[1])
        right = "odd" if number % 2 else "even"
        calls: list[Params] = []
        for name in ("left", "right"):
            prompt: Params = self.host.prompts.of(params["steps"][name])
            assert prompt["step"] == name
            label = right if f"for {name}" in prompt["instructions"] else "unknown"
            inputs = {"text": f"{name} {number}"}
            calls.append({"step": name, "inputs": inputs, "outputs": {"label": label}})
        return {"calls": calls, "outputs": {it["step"]: it["outputs"]["label"] for it in calls}}

    def score(self, params: Params) -> Any:
        """`metric.score`: half for each step."""
        if params["call"] is not None:
            self.calls.append(params["call"])
        number = int(params["example"][1:])
        right = "odd" if number % 2 else "even"
        score = sum(params["outputs"][name] == right for name in ("left", "right")) / 2
        called = (params["call"] or {}).get("step")
        return {
            "score": score,
            "feedback": f"Say that it is for {called}." if called else "Both count.",
        }

    def propose(self, params: Params) -> Any:
        """`lm.complete`: GEPA's reflection; does what the feedback says."""
        text = params["messages"][-1]["text"]
        name = "left" if "for left" in text else "right"
        return {"text": '{"new_instruction": "Sort it for ' + name + '."}'}


def start_pair(start: Any, pair_: Pair) -> Host:
    """Starts a bridge with the workflow behind it."""
    host: Host = start(run=pair_.run, metric__score=pair_.score, lm__complete=pair_.propose)
    pair_.host = host
    host.hello()
    return host
