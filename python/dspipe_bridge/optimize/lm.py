"""LMs of DSPy whose calls the host makes. They know a name at most: no key, no address."""

import contextvars
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, TextPart, Usage
from dspy.utils.exceptions import ContextWindowExceededError

from dspipe_bridge.optimize.errors import Abort
from dspipe_bridge.optimize.job import Job

CURRENT: contextvars.ContextVar[tuple[Any, Iterator[int]]] = contextvars.ContextVar("current")
"""Of the call that is being made: its rollout id, and the numbers of its draws.

DSPy keeps both from the engine. Without them several draws would be one and the same to a cache.
"""


class Engine:
    """What makes the calls of a `HostLm`."""

    def __init__(self, job: Job, name: str | None) -> None:
        """`name` is `provider/model`; `None` is the LM that the host has for the optimizer."""
        self.job = job
        self.name = name

    def __deepcopy__(self, memo: dict[int, Any]) -> "Engine":
        """Itself: it has no state of its own."""
        return self

    def complete(self, request: Request) -> Response:
        """One call: `lm.complete`."""
        rollout, draws = CURRENT.get()
        params: dict[str, Any] = {
            "lm": self.name,
            "messages": messages(request),
            "temperature": request.config.temperature,
            "max_tokens": request.config.max_tokens,
            "schema": schema(request),
            "rollout_id": rollout,
            "draw": next(draws),
        }
        self.job.count("lm_calls")
        answer = self.job.ask("lm.complete", params)
        if isinstance(answer, dict) and isinstance(failure := answer.get("failure"), dict):
            message = str(failure.get("message", "the LM failed"))
            if failure.get("kind") == "context_window":
                raise ContextWindowExceededError(message=message)
            raise RuntimeError(message)
        if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
            raise Abort("fatal", "protocol", "the answer to `lm.complete` has no `text`")
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant([TextPart(answer["text"])]),
            finish_reason="stop",
            usage=Usage(),
        )


class HostLm(dspy.LM):  # type: ignore[misc]
    """An LM of the host."""

    def __init__(self, job: Job, name: str | None = None) -> None:
        """`name` is `provider/model`; `None` is the one that the host chooses."""
        # A slash would let DSPy see models in it that it has special rules for.
        model = "dspipe/" + (name or "default").replace("/", ":")
        super().__init__(model, cache=False, num_retries=0, engine=Engine(job, name))
        self.host_name = name

    @property
    def supports_response_schema(self) -> bool:
        """The host holds replies to a schema, as far as its LM can be held."""
        return True

    @property
    def supported_params(self) -> set[str]:
        """What the host takes."""
        return {"temperature", "max_tokens", "response_format"}

    @property
    def supports_function_calling(self) -> bool:
        """Optimizers call no tools."""
        return False

    @property
    def supports_reasoning(self) -> bool:
        """DSPy then asks for it in a field of its own."""
        return False

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """As of every LM."""
        rollout = options.get("rollout_id", self.kwargs.get("rollout_id"))
        with current(rollout):
            return super().__call__(*arguments, **options)


@contextmanager
def current(rollout: Any) -> Iterator[None]:
    """Lets the engine know what DSPy does not tell it."""
    token = CURRENT.set((rollout, count()))
    try:
        yield
    finally:
        CURRENT.reset(token)


def messages(request: Request) -> list[dict[str, str]]:
    """Role and text of the messages."""
    found = []
    if request.system:
        found.append({"role": "system", "text": joined(request.system)})
    for message in request.messages:
        found.append({"role": str(message.role), "text": joined(message.parts)})
    return found


def joined(parts: Any) -> str:
    """The text of a message. Optimizers send nothing else."""
    if isinstance(parts, str):
        return parts
    return "".join(part.text for part in parts if isinstance(part, TextPart))


def schema(request: Request) -> Any:
    """The JSON Schema that the reply is to fit; `True` if any JSON object will do, else `None`."""
    wanted = request.config.response_format
    if wanted is None:
        return None
    for key in ("json_schema", "schema"):
        if isinstance(inner := wanted.get(key), dict):
            return inner.get("schema", inner)
    return True
