"""One optimization or evaluation: what it asks the host, until it ends or is cancelled."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dspipe_bridge.optimize.connection import Connection
from dspipe_bridge.optimize.errors import Abort
from dspipe_bridge.optimize.spec import Prompt, canonical


@dataclass
class Counts:
    """What a job has asked for."""

    runs: int = 0
    steps: int = 0
    lm_calls: int = 0
    metric_calls: int = 0

    def to_json(self) -> dict[str, int]:
        """By name."""
        return {
            "runs": self.runs,
            "steps": self.steps,
            "lm_calls": self.lm_calls,
            "metric_calls": self.metric_calls,
        }


class Job:
    """A job's side of the connection. Threads that outlive it fail at their next question."""

    def __init__(self, name: str, connection: Connection) -> None:
        """`name` is the host's, in every message of the job."""
        self.name = name
        self.counts = Counts()
        self.best: dict[str, Any] | None = None
        """The best candidate so far, as in its message."""
        self._connection = connection
        self._lock = threading.Lock()
        self._abort: Abort | None = None
        self._prompts: dict[str, str] = {}
        self._runs = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> "Job":
        """Itself: optimizers copy programs and LMs, and a job is no part of those."""
        return self

    def ask(self, method: str, params: Mapping[str, Any]) -> Any:
        """A request to the host. Its errors, and the job's end, are raised as `Abort`."""
        self.check()
        try:
            answer = self._connection.request(self.name, method, params)
        except Abort as abort:
            # One error of the host ends all threads of the job, in case one of them swallows it.
            self.end(abort)
            raise
        # Between the check and the request the job may have ended.
        self.check()
        return answer

    def tell(self, method: str, params: Mapping[str, Any]) -> None:
        """A notification to the host, as long as the job lives."""
        self.check()
        self._connection.notify(method, {"job": self.name, **params})

    def check(self) -> None:
        """Raises why the job has ended, if it has."""
        if (abort := self._abort) is not None:
            # A new one each time: several threads raise it, and each adds its own traceback.
            raise Abort(abort.kind, abort.code, abort.message)

    def end(self, abort: Abort) -> None:
        """Ends the job: every question of it that waits, or is yet to come, raises `abort`."""
        with self._lock:
            if self._abort is None:
                self._abort = abort
            abort = self._abort
        self._connection.abandon(self.name, abort)

    def next_run(self) -> str:
        """A name for a run of the program."""
        with self._lock:
            self._runs += 1
            return f"r{self._runs}"

    def count(self, what: str) -> None:
        """Counts a question."""
        with self._lock:
            setattr(self.counts, what, getattr(self.counts, what) + 1)

    def prompt_id(self, step: str, prompt: Prompt) -> str:
        """The id of a step's prompt. The host is told the prompt itself once only."""
        content = prompt.to_json()
        key = canonical({"step": step, **content})
        # Under the lock, so that no other thread uses the id before the host has been told.
        with self._lock:
            found = self._prompts.get(key)
            if found is None:
                found = f"p{len(self._prompts) + 1}"
                self._connection.notify(
                    "prompt", {"job": self.name, "prompt": found, "step": step, **content}
                )
                self._prompts[key] = found
        return found
