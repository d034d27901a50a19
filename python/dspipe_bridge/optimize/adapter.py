"""DSPy's adapter: a step of the workflow goes to the host, the optimizer's own questions do not."""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dspy
from dspy.utils.exceptions import AdapterParseError

from dspipe_bridge.optimize.errors import Abort, StepFailed
from dspipe_bridge.optimize.job import Job

if TYPE_CHECKING:
    from dspipe_bridge.optimize.candidates import Candidates
    from dspipe_bridge.optimize.program import Steps

MARK = "x_dspipe_step"
"""In the fields' `json_schema_extra`: which step a signature is of.

GEPA tells predictors apart by their signatures. Without the mark it takes two steps with equal fields
and instructions for one.
"""


@dataclass(frozen=True)
class Failure:
    """Why the host could not do a step, or a run."""

    step: str | None
    inputs: dict[str, Any]
    unreadable: bool
    """Whether there was a reply that does not fit the step's outputs."""
    message: str
    reply: str

    @classmethod
    def read(cls, value: object, method: str) -> "Failure":
        """From the host's answer."""
        if not isinstance(value, dict) or not isinstance(value.get("message"), str):
            raise Abort("fatal", "protocol", f"the `failure` of `{method}` has no `message`")
        step, inputs = value.get("step"), value.get("inputs")
        return cls(
            step=step if isinstance(step, str) else None,
            inputs=inputs if isinstance(inputs, dict) else {},
            unreadable=value.get("kind") == "reply",
            message=value["message"],
            reply=str(value.get("reply", "")),
        )


@dataclass(frozen=True)
class Done:
    """What a step of the run gave."""

    outputs: dict[str, Any]


REPLAY: contextvars.ContextVar[Done | Failure | None] = contextvars.ContextVar(
    "replay", default=None
)
"""What the predictor that is called now is to give: the host has run it already."""


@contextmanager
def replaying(what: Done | Failure) -> Iterator[None]:
    """Lets one predictor give what the host found."""
    token = REPLAY.set(what)
    try:
        yield
    finally:
        REPLAY.reset(token)


class HostAdapter(dspy.Adapter):  # type: ignore[misc]
    """Prompts and replies of steps are the host's business; what is optimized is what will run."""

    def __init__(self, job: Job, steps: "Steps", candidates: "Candidates") -> None:
        """For the job's program."""
        super().__init__()
        self.job = job
        self.steps = steps
        self.candidates = candidates
        self._own = dspy.ChatAdapter()

    def evaluating(self, examples: list[Any]) -> None:
        """Tells the host that an evaluation begins."""
        self.job.tell(
            "progress",
            {
                "event": "evaluating",
                "stage": self.candidates.stage,
                "examples": len(examples),
                **self.job.counts.to_json(),
            },
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> "HostAdapter":
        """Itself."""
        return self

    def __call__(
        self, lm: Any, lm_kwargs: dict[str, Any], signature: Any, demos: Any, inputs: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """One call of one predictor."""
        step = step_of(signature)
        if step is None:
            answers: list[dict[str, Any]] = self._own(lm, lm_kwargs, signature, demos, inputs)
            return answers
        found = REPLAY.get()
        if found is None:
            found = self.steps.complete(self.job, step, lm, lm_kwargs, signature, demos, inputs)
        if isinstance(found, Done):
            missing = dict.fromkeys(signature.output_fields)
            return [missing | self.steps.names.into(found.outputs)]
        if found.unreadable:
            raise AdapterParseError(
                adapter_name="dspipe",
                signature=signature,
                lm_response=found.reply,
                message=found.message,
            )
        raise StepFailed(found.message)


def step_of(signature: Any) -> str | None:
    """The step that a signature is of; `None` for one of the optimizer's own."""
    for field in signature.output_fields.values():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and isinstance(extra.get(MARK), str):
            return str(extra[MARK])
    return None
