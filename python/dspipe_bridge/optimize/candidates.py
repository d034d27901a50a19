"""What is known of the programs that were tried, whatever the optimizer.

Optimizers keep their scores in different places, or nowhere. But each run and each score passes here, so
that a candidate is known as soon as it has been scored on all examples of the set it is judged by.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dspipe_bridge.optimize.job import Job
from dspipe_bridge.optimize.spec import Labelled, Prompt, canonical


@dataclass
class Candidate:
    """A program with its prompts."""

    prompts: dict[str, Prompt]
    scores: dict[str, float] = field(default_factory=dict)
    """By example."""


@dataclass(frozen=True)
class Scored:
    """A candidate that was scored on all examples."""

    stage: int
    number: int
    score: float
    examples: int
    prompts: Mapping[str, Prompt]

    def to_json(self) -> dict[str, Any]:
        """For messages."""
        return {
            "stage": self.stage,
            "candidate": self.number,
            "score": self.score,
            "examples": self.examples,
            "prompts": {name: prompt.to_json() for name, prompt in self.prompts.items()},
        }


class Candidates:
    """All candidates of a stage."""

    def __init__(self, job: Job, stage: int, judged_by: tuple[Labelled, ...]) -> None:
        """`judged_by` are the examples whose mean score decides."""
        self._job = job
        self.stage = stage
        self._lock = threading.Lock()
        self._judges = {it.id for it in judged_by}
        self._by_inputs: dict[str, list[str]] = {}
        for it in judged_by:
            self._by_inputs.setdefault(canonical(it.inputs), []).append(it.id)
        self._open: dict[str, Candidate] = {}
        self._done: list[Scored] = []
        self._best: Scored | None = None

    @property
    def scored(self) -> tuple[Scored, ...]:
        """Those that are complete, in the order of their completion."""
        return tuple(self._done)

    @property
    def best(self) -> Scored | None:
        """The one with the highest score; of equals the first."""
        return self._best

    def ran(self, key: str, prompts: dict[str, Prompt]) -> None:
        """A program is about to run."""
        with self._lock:
            self._open.setdefault(key, Candidate(prompts))

    def failed(self, key: str, inputs: Mapping[str, Any]) -> None:
        """A run failed: its example counts as zero."""
        for example in self._by_inputs.get(canonical(dict(inputs)), []):
            self.score(key, example, 0.0)

    def score(self, key: str, example: str, score: float) -> None:
        """A run was scored."""
        with self._lock:
            candidate = self._open.get(key)
            if candidate is None or example not in self._judges or example in candidate.scores:
                return
            candidate.scores[example] = score
            if len(candidate.scores) < len(self._judges):
                return
            # Summed in the order of the ids, so that the threads have no say in the last digit.
            ordered = [candidate.scores[it] for it in sorted(candidate.scores)]
            mean = sum(ordered) / len(ordered)
            scored = Scored(self.stage, len(self._done) + 1, mean, len(ordered), candidate.prompts)
            self._done.append(scored)
            is_best = self._best is None or mean > self._best.score
            if is_best:
                self._best = scored
                self._job.best = scored.to_json()
            best = self._best.score if self._best is not None else mean
        if is_best:
            self._job.tell("candidate", scored.to_json())
        self._job.tell(
            "progress",
            {
                "event": "scored",
                "stage": self.stage,
                "candidate": scored.number,
                "score": mean,
                "best": best,
                **self._job.counts.to_json(),
            },
        )
