"""A host in Python: it speaks the protocol, and its workflow, LM and metric are scripts."""

import itertools
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from support import DEADLINE, PROJECT, eventually

Params = dict[str, Any]
Answer = Callable[[Params], Any]


class HostError(Exception):
    """An error that the host answers with, or the bridge did."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        """As in the message."""
        super().__init__(str(error))
        self.error = dict(error)


def error(kind: str, code: str = "test", message: str = "as the test wants it") -> HostError:
    """An error of a class."""
    return HostError({"class": kind, "code": code, "message": message})


class Prompts:
    """The prompts that the bridge told of."""

    def __init__(self) -> None:
        """None yet."""
        self.by_id: dict[str, Params] = {}

    def of(self, setup: Params) -> Params:
        """The prompt that a step is to be run with."""
        return self.by_id[setup["prompt"]]


class Host:
    """A bridge as a process, and a thread that answers its requests, each in a thread of its own."""

    def __init__(self, log: Path, command: list[str] | None = None, **answers: Answer) -> None:
        """`answers` by method; a dot is written as two underscores: `metric__score`."""
        self.answers = by_method(answers)
        self.prompts = Prompts()
        self.is_shared = False
        self.received: list[Params] = []
        self.both: list[Params] = []
        """All messages with who sent them, in the order in which they were sent or read."""
        self.log_path = log
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONHASHSEED": "0"}
        with log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, *(command or ["-m", "dspipe_bridge", "optimize"])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment,
            )
        self._ids = itertools.count(1)
        self._deaf = False
        self._unanswered: set[int] = set()
        self._replies: dict[int | None, queue.Queue[Params | None]] = {None: queue.Queue()}
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def forget(self, **answers: Answer) -> None:
        """Begins anew, with other answers, as if it had been started now."""
        self.answers = by_method(answers)
        self.prompts = Prompts()
        self.received.clear()
        self.both.clear()

    def is_idle(self) -> bool:
        """Whether it can be used again: all that it was asked is answered, and it answers still."""
        open_end = self.process.stdin is not None and not self.process.stdin.closed
        if self.process.poll() is not None or not open_end or self._deaf or self._unanswered:
            return False
        return bool(self.call("ping") == {})

    def hello(self, protocol: int = 1) -> Params:
        """The handshake."""
        found: Params = self.call("hello", protocol=protocol)
        return found

    def start(self, method: str, **params: Any) -> int:
        """Sends a request; its number."""
        number = next(self._ids)
        self._replies[number] = queue.Queue()
        self._unanswered.add(number)
        self.send({"id": number, "method": method, "params": params})
        return number

    def reply(self, number: int | None) -> Any:
        """Waits for an answer: the result, or a `HostError`."""
        message = self._replies[number].get(timeout=DEADLINE)
        assert message is not None, f"the bridge has ended\n{self.log()}"
        if "error" in message:
            raise HostError(message["error"])
        return message["result"]

    def call(self, method: str, **params: Any) -> Any:
        """A request and its answer."""
        return self.reply(self.start(method, **params))

    def send(self, message: Params) -> None:
        """Sends a message."""
        self.both.append({"from": "host", "message": message})
        self.write(json.dumps(message).encode() + b"\n")

    def write(self, data: bytes) -> None:
        """Writes bytes as they are."""
        assert self.process.stdin is not None
        with self._lock:
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def events(self, method: str) -> list[Params]:
        """The parameters of all messages of the bridge with this method so far."""
        return [it["params"] for it in list(self.received) if it.get("method") == method]

    def wait_for(self, method: str, **params: Any) -> None:
        """Waits until the bridge has sent a message with these parameters."""
        eventually(method, lambda: any(params.items() <= it.items() for it in self.events(method)))

    def exit_code(self) -> int:
        """Waits until the process has ended by itself."""
        return self.process.wait(DEADLINE)

    def close_stdin(self) -> None:
        """What the bridge sees when the host is gone."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def stop_reading(self) -> None:
        """Closes the end that the bridge writes to."""
        self._deaf = True
        self.call("ping")
        self._reader.join(DEADLINE)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def log(self) -> str:
        """What the bridge wrote to standard error."""
        return self.log_path.read_text(errors="replace")

    def end(self) -> None:
        """Leaves nothing behind."""
        self.process.kill()
        self.process.wait()
        self._reader.join(DEADLINE)
        for end in (self.process.stdin, self.process.stdout):
            assert end is not None
            with suppress(BrokenPipeError):
                end.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            assert line.isascii(), line
            message = json.loads(line)
            self.received.append(message)
            self.both.append({"from": "bridge", "message": message})
            if self._deaf:
                self._replies[message["id"]].put(message)
                return
            if "method" not in message:
                self._unanswered.discard(message["id"])
                # Of a line that the test wrote itself, nobody waits for the answer.
                self._replies.setdefault(message["id"], queue.Queue()).put(message)
            elif "id" in message:
                threading.Thread(target=self._answer, args=(message,), daemon=True).start()
            elif message["method"] == "prompt":
                self.prompts.by_id[message["params"]["prompt"]] = message["params"]
        for waiting in list(self._replies.values()):
            waiting.put(None)

    def _answer(self, message: Params) -> None:
        try:
            answer = {
                "id": message["id"],
                "result": self.answers[message["method"]](message["params"]),
            }
        except HostError as failure:
            answer = {"id": message["id"], "error": failure.error}
        # If it has ended, the test has seen why.
        with suppress(BrokenPipeError, ValueError):
            self.send(answer)


def by_method(answers: Mapping[str, Answer]) -> dict[str, Answer]:
    """By the names in the protocol."""
    return {name.replace("__", "."): answer for name, answer in answers.items()}


def field(name: str, schema: Params | None = None, description: str = "") -> Params:
    """A field of a step."""
    return {"name": name, "description": description, "schema": schema or {"type": "string"}}


def step(name: str, inputs: list[Params], outputs: list[Params], **more: Any) -> Params:
    """A step of a program."""
    return {"name": name, "inputs": inputs, "outputs": outputs, **more}


def program(steps: list[Params], **more: Any) -> Params:
    """A program."""
    return {"name": "triage", "inputs": [field("text")], "steps": steps, **more}
