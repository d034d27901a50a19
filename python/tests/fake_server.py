"""The real command with an engine that needs no model. Run by tests: fake_server.py DIR OPTIONS-JSON."""

import json
import os
import socket
import sys
import time
from pathlib import Path
from unittest import mock

from dspipe_bridge import local_server
from dspipe_bridge.protocol import StartError


class FakeEngine:
    """Listens as an engine does, until the file `die` is there."""

    def __init__(self, state_dir: Path) -> None:
        """Starts to listen."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._die = state_dir / "die"

    @property
    def base_url(self) -> str:
        """As of an engine."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def is_alive(self) -> bool:
        """Until told otherwise."""
        return not self._die.exists()


def main() -> int:
    """Runs the server with the options of a test."""
    state_dir = Path(sys.argv[1])
    options = json.loads(sys.argv[2])

    def start(model: Path, name: str, token: str, log: Path) -> FakeEngine:
        print("noise from Python")
        os.write(1, b"noise from C++\n")
        print(json.dumps({"model": str(model), "name": name, "log": str(log)}), file=sys.stderr)
        while "wait_for" in options and not Path(options["wait_for"]).exists():
            time.sleep(0.005)
        match options.get("engine"):
            case "memory":
                raise StartError("memory", "there is not enough memory")
            case "memory error":
                raise MemoryError
            case "surprise":
                raise RuntimeError("something else")
        return FakeEngine(state_dir)

    if options.get("no_ports"):
        refusal = OSError("no loopback interface")
        mock.patch.object(local_server, "Control", side_effect=refusal).start()
    return local_server.run(
        options.get("model", "smollm2-135m-instruct"),
        state_dir / options.get("below", ""),
        options.get("idle", 0.0),
        start_engine=start,
        locate=lambda model: Path(model.file),
        first_lease_seconds=options.get("first", 3600.0),
        watch_seconds=options.get("watch", 3600.0),
    )


if __name__ == "__main__":
    sys.exit(main())
