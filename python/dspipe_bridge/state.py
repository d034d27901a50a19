"""`server.json`: how clients find the running server."""

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

PROTOCOL = 1
"""The version of this file and of the control protocol."""

FILE_NAME = "server.json"


@dataclass(frozen=True)
class ServerState:
    """What a server writes about itself."""

    pid: int
    control_port: int
    base_url: str
    """Where the OpenAI API is, with its `/v1`."""
    token: str = field(repr=False)
    """What both ports ask for."""
    model: str
    protocol: int = PROTOCOL


class StateFile:
    """A server's file in its state directory, told apart from other servers' by its content."""

    def __init__(self, directory: Path) -> None:
        """Writes nothing yet."""
        self.path = directory / FILE_NAME
        self._written: bytes | None = None

    def write(self, state: ServerState) -> None:
        """Puts the file there, whole and readable for this user only, or raises `OSError`."""
        text = json.dumps(asdict(state)).encode()
        # mkstemp makes it with mode 0600, so that nobody else can read the token at any time.
        fd, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{FILE_NAME}.")
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(text)
            os.replace(temporary, self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        self._written = text

    def is_ours(self) -> bool:
        """Whether clients still find this server. The token makes each server's file unique."""
        try:
            return self._written is not None and self.path.read_bytes() == self._written
        except OSError:
            return False

    def remove(self) -> None:
        """Removes the file unless it is another server's by now."""
        if self.is_ours():
            self.path.unlink(missing_ok=True)
