"""What the tests share: waiting, clients of the control socket, and servers as processes."""

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent

DEADLINE = 60.0
"""Nothing here takes that long; it only ends a test that would hang."""

READY = '{"ready":true}'


def eventually(what: str, look: Callable[[], bool]) -> None:
    """Looks again and again until it is so."""
    deadline = time.monotonic() + DEADLINE
    while not look():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.005)


def greeting(token: str, protocol: object = 1) -> bytes:
    """The line that asks for a lease."""
    return json.dumps({"protocol": protocol, "token": token}).encode() + b"\n"


class Client:
    """A connection to a control socket."""

    def __init__(self, port: int) -> None:
        """Connects."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)

    def __enter__(self) -> "Client":
        """For `with`."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connection."""
        self.close()

    def send(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self.socket.sendall(data)

    def answer(self) -> Any:
        """Waits for a line and reads it."""
        line = b""
        while not line.endswith(b"\n"):
            data = self.socket.recv(4096)
            assert data, f"the server closed after {line!r}"
            line += data
        return json.loads(line)

    def is_closed_by_server(self) -> bool:
        """Waits for the end of the connection."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Closes the connection."""
        self.socket.close()


class ServerProcess:
    """A server as a process of its own, with its output."""

    def __init__(self, command: list[str], state_dir: Path, read_stdout: bool = True) -> None:
        """Starts it; its standard error goes to the log in its state directory."""
        self.state_dir = state_dir
        self.log_path = state_dir / "server.log"
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": "1"}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                text=True,
            )
        self._said: queue.Queue[str | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        if read_stdout:
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.put(line)
        self._said.put(None)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def line(self) -> str | None:
        """Waits for its next line on standard output; `None` at the end."""
        line = self._said.get(timeout=DEADLINE)
        return line if line is None else line.rstrip("\n")

    def ready(self) -> Mapping[str, Any]:
        """Waits until it is ready, and returns what it wrote into its file."""
        line = self.line()
        assert line == READY, f"{line}\n{self.log()}"
        return self.address()

    def failure(self) -> tuple[str, str]:
        """Waits for the failure that it reports as its only line; its kind and message."""
        line = self.line()
        assert line is not None, self.log()
        error = json.loads(line)["error"]
        assert self.line() is None
        assert self.exit_code() == 1
        assert set(error) == {"kind", "message"}
        return error["kind"], error["message"]

    def address(self) -> Mapping[str, Any]:
        """The content of server.json."""
        found: Mapping[str, Any] = json.loads((self.state_dir / "server.json").read_bytes())
        return found

    def lease(self) -> Client:
        """A granted lease on the server that server.json names."""
        return lease(self.address())

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def exit_code(self) -> int:
        """Waits until it has ended by itself."""
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.log()}") from None

    def log(self) -> str:
        """What it wrote to standard error."""
        return self.log_path.read_text(errors="replace")

    def end(self) -> None:
        """Leaves nothing behind after a failed test."""
        self.process.kill()
        self.process.wait()
        if self._thread is not None:
            self._thread.join(DEADLINE)
        if self.process.stdout is not None:
            self.process.stdout.close()


def lease(address: Mapping[str, Any]) -> Client:
    """A granted lease on the server with this address."""
    client = Client(address["control_port"])
    client.send(greeting(address["token"]))
    assert client.answer() == {"ok": True}
    return client
