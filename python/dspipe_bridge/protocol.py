"""What a starting server tells its starter: JSON lines on standard output, and nothing else there."""

import json
import os
from collections.abc import Mapping
from typing import Literal

Kind = Literal["model-missing", "package-missing", "port", "memory", "other"]


class StartError(Exception):
    """Why a server could not start, in a form that its starter can act on."""

    def __init__(self, kind: Kind, message: str) -> None:
        """`kind` is for programs, `message` says to people what happened and what to do."""
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message


class Starter:
    """The process that started this one, at the other end of standard output."""

    def __init__(self, fd: int) -> None:
        """Takes over an open file descriptor."""
        self._fd: int | None = fd

    @classmethod
    def on_stdout(cls) -> "Starter":
        """Keeps standard output for the protocol; what anything else prints goes to standard error."""
        # Descriptors instead of sys.stdout, because the engine's C++ code prints too.
        fd = os.dup(1)
        os.dup2(2, 1)
        return cls(fd)

    def ready(self) -> None:
        """Says that the server can be used. It is the last thing that is said."""
        self._say({"ready": True})

    def failed(self, error: StartError) -> None:
        """Says why there will be no server. It is the last thing that is said."""
        self._say({"error": {"kind": error.kind, "message": error.message}})

    def _say(self, message: Mapping[str, object]) -> None:
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        rest = (json.dumps(message, separators=(",", ":")) + "\n").encode()
        try:
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError:
            # The starter is gone. Others may find the server, and if not, it goes by itself.
            pass
        finally:
            os.close(fd)
