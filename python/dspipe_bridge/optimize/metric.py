"""The metric: the host scores, DSPy gets the score in the form that each optimizer wants."""

import math
from dataclasses import dataclass
from typing import Any

import dspy

from dspipe_bridge.optimize.adapter import step_of
from dspipe_bridge.optimize.candidates import Candidates
from dspipe_bridge.optimize.errors import Abort
from dspipe_bridge.optimize.examples import HostExample
from dspipe_bridge.optimize.job import Job
from dspipe_bridge.optimize.program import HostPrediction, Steps


@dataclass(frozen=True)
class Score:
    """What the host says of a run, or of a step in it."""

    score: float
    feedback: str
    objectives: dict[str, float]


class HostMetric:
    """`metric.score`, in the forms that the optimizers call."""

    def __init__(self, job: Job, steps: Steps, candidates: Candidates) -> None:
        """Of one stage."""
        self._job = job
        self._steps = steps
        self._candidates = candidates

    def __deepcopy__(self, memo: dict[int, Any]) -> "HostMetric":
        """Itself."""
        return self

    def plain(self, gold: HostExample, prediction: Any, trace: Any = None) -> float:
        """A number."""
        return self._score(gold, prediction, trace is not None).score

    def with_feedback(self, gold: HostExample, prediction: Any, trace: Any = None) -> Any:
        """A number and what to say about it, for optimizers that show both to an LM."""
        return as_prediction(self._score(gold, prediction, trace is not None))

    def per_step(
        self,
        gold: HostExample,
        prediction: Any,
        trace: Any = None,
        pred_name: Any = None,
        pred_trace: Any = None,
    ) -> Any:
        """As GEPA calls it: for a whole run, or for one step in it."""
        if pred_name is None or not pred_trace:
            # GEPA always gives a trace, but judges candidates by it: nothing is bootstrapped.
            return as_prediction(self._score(gold, prediction, False))
        predictor, inputs, outputs = pred_trace[0]
        step = step_of(predictor.signature)
        names = self._steps.names
        call = {
            "step": step,
            "inputs": names.out_of(dict(inputs)),
            "outputs": names.out_of(dict(outputs)) if isinstance(outputs, dspy.Example) else None,
        }
        return as_prediction(self._ask(gold, prediction, False, call))

    def _score(self, gold: HostExample, prediction: Any, bootstrap: bool) -> Score:
        # SIMBA asks for scores of runs that failed.
        if prediction is None:
            return Score(0.0, "The run failed.", {})
        found = self._ask(gold, prediction, bootstrap, None)
        if (
            isinstance(prediction, HostPrediction)
            and prediction.candidate is not None
            and not bootstrap
        ):
            self._candidates.score(prediction.candidate, gold.source.id, found.score)
        return found

    def _ask(self, gold: HostExample, prediction: Any, bootstrap: bool, call: Any) -> Score:
        host = isinstance(prediction, HostPrediction)
        params = {
            "example": gold.source.id,
            "run": prediction.run if host else None,
            "outputs": self._steps.names.out_of(dict(prediction)) if host else None,
            "bootstrap": bootstrap,
            "call": call,
        }
        self._job.count("metric_calls")
        return read(self._job.ask("metric.score", params))


def read(answer: object) -> Score:
    """The host's answer."""
    if not isinstance(answer, dict):
        raise Abort("fatal", "protocol", "the answer to `metric.score` is not an object")
    score = answer.get("score")
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not math.isfinite(score):
        raise Abort("fatal", "protocol", "the answer to `metric.score` has no finite `score`")
    objectives = answer.get("objectives") or {}
    if not isinstance(objectives, dict):
        raise Abort(
            "fatal", "protocol", "`objectives` in the answer to `metric.score` is not an object"
        )
    return Score(float(score), str(answer.get("feedback") or ""), objectives)


def as_prediction(score: Score) -> Any:
    """With a text always: GEPA writes its own where there is none, and only for `None`."""
    feedback = score.feedback or f"This trajectory got a score of {score.score}."
    if score.objectives:
        return dspy.Prediction(
            score=score.score, feedback=feedback, objective_scores=score.objectives
        )
    return dspy.Prediction(score=score.score, feedback=feedback)
