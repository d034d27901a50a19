"""JSON lines both ways: requests and answers with ids, many in flight, and notifications."""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from dspipe_bridge.optimize.errors import Abort, from_host

Message = dict[str, Any]

PREVIEW_CHARACTERS = 80
"""Of a line that is not a message, as much is quoted."""


class Pending:
    """A request to the host that has not been answered."""

    def __init__(self) -> None:
        """Not answered yet."""
        self._done = threading.Event()
        self._result: Any = None
        self._abort: Abort | None = None

    def succeed(self, result: Any) -> None:
        """Gives the waiting thread its answer."""
        self._result = result
        self._done.set()

    def fail(self, abort: Abort) -> None:
        """Raises in the waiting thread."""
        self._abort = abort
        self._done.set()

    def wait(self) -> Any:
        """The answer. No time-out: the host owns those, and its end is seen at once."""
        self._done.wait()
        if (abort := self._abort) is not None:
            raise Abort(abort.kind, abort.code, abort.message)
        return self._result


class Connection:
    """Both directions of the pipe. Any thread may send; one thread calls `messages`."""

    def __init__(self, source: BinaryIO, sink_fd: int, host_gone: Callable[[], None]) -> None:
        """Takes over both ends. `host_gone` is called when nobody reads any more."""
        self._source = source
        self._sink_fd = sink_fd
        self._host_gone = host_gone
        self._writing = threading.Lock()
        self._waiting = threading.Lock()
        self._next_id = 1
        self._pending: dict[int, tuple[str, Pending]] = {}

    @classmethod
    def on_stdio(cls, host_gone: Callable[[], None]) -> "Connection":
        """Keeps standard input and output for the protocol.

        What anything prints, this process or one that it starts, goes to standard error; what anything
        reads from standard input is empty.
        """
        # Descriptors instead of sys.stdout, because libraries in C and child processes print too.
        source, sink = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        return cls(os.fdopen(source, "rb"), sink, host_gone)

    def messages(self) -> Iterator[Message]:
        """The host's requests and notifications until it closes the pipe; answers go to who waits."""
        for line in self._source:
            message = self._read(line)
            if message is None:
                continue
            if "method" in message:
                yield message
            else:
                self._answered(message)

    def request(self, job: str, method: str, params: Mapping[str, Any]) -> Any:
        """Asks the host and waits. Raises `Abort` if it answers with an error or the job is cancelled."""
        pending = Pending()
        with self._waiting:
            number = self._next_id
            self._next_id += 1
            self._pending[number] = (job, pending)
        self._send({"id": number, "method": method, "params": {"job": job, **params}})
        return pending.wait()

    def notify(self, method: str, params: Mapping[str, Any]) -> None:
        """Tells the host something that it need not answer."""
        self._send({"method": method, "params": params})

    def answer(self, number: object, result: Mapping[str, Any]) -> None:
        """Answers a request of the host."""
        self._send({"id": number, "result": result})

    def refuse(self, number: object, abort: Abort, **more: Any) -> None:
        """Answers a request of the host with an error."""
        self._send({"id": number, "error": {**abort.to_json(), **more}})

    def abandon(self, job: str, abort: Abort) -> None:
        """Fails all that a job waits for."""
        with self._waiting:
            numbers = [number for number, (owner, _) in self._pending.items() if owner == job]
            found = [self._pending.pop(number)[1] for number in numbers]
        for pending in found:
            pending.fail(abort)

    def _read(self, line: bytes) -> Message | None:
        if not line.strip():
            return None
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if isinstance(message, dict) and ("method" in message or "id" in message):
            return message
        shown = line[:PREVIEW_CHARACTERS].decode(errors="replace").strip()
        text = f"a line on standard input is not a message: {shown!r}"
        self.refuse(None, Abort("fatal", "not_a_message", text))
        return None

    def _answered(self, message: Message) -> None:
        number = message["id"]
        with self._waiting:
            found = self._pending.pop(number, None) if isinstance(number, int) else None
        # An answer that nobody waits for is late: its job has been cancelled.
        if found is None:
            return
        _, pending = found
        if "error" in message:
            pending.fail(from_host(message["error"]))
        elif "result" in message:
            pending.succeed(message["result"])
        else:
            text = f"the answer to request {number} has neither `result` nor `error`"
            pending.fail(Abort("fatal", "protocol", text))

    def _send(self, message: Mapping[str, Any]) -> None:
        # ASCII only: no character of the data can be taken for the end of a line.
        line = json.dumps(message, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
        rest = memoryview(line.encode("ascii") + b"\n")
        with self._writing:
            try:
                while rest:
                    rest = rest[os.write(self._sink_fd, rest) :]
            except OSError:
                self._host_gone()
