"""The command `local-server`: a model for all processes of this user, for as long as one uses it."""

import os
import secrets
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

from dspipe_bridge import engine, models
from dspipe_bridge.control import Control
from dspipe_bridge.engine import Engine
from dspipe_bridge.protocol import Kind, StartError, Starter
from dspipe_bridge.state import ServerState, StateFile

FIRST_LEASE_SECONDS = 30.0
"""For the starter to take its lease. It does so at once, unless it has been killed."""

WATCH_SECONDS = 5.0
"""How often to look whether clients still find the server, and whether its engine is alive."""

LOG_NAME = "server.log"
"""Where the starter lets standard error go, in the state directory."""

OPEN_FILES = 4096

StartEngine = Callable[[Path, str, str, Path], Engine]
"""Model file, its name, token, log file."""


class EngineDied(Exception):
    """The inference server went away while it was in use."""


def run(
    model: str,
    state_dir: Path,
    idle_seconds: float,
    *,
    start_engine: StartEngine = engine.start,
    locate: Callable[[models.Model], Path] = models.locate,
    first_lease_seconds: float = FIRST_LEASE_SECONDS,
    watch_seconds: float = WATCH_SECONDS,
) -> int:
    """Serves until nobody uses the model, and returns the exit code.

    The engine's start, the place of the model and the times can be given by tests.
    """
    detach()
    starter = Starter.on_stdout()
    allow_open_files()
    state_file = StateFile(state_dir)
    try:
        found = models.find(model)
        path = locate(found)
        token = secrets.token_urlsafe(32)
        with closing(listen(token)) as control:
            serving = start_engine(path, found.name, token, state_dir / LOG_NAME)
            with stop_signals(control) as stopped:
                try:
                    publish(state_file, serving, control, token, found.name)
                    control.begin(first_lease_seconds, idle_seconds)
                    starter.ready()
                    serve(control, serving, state_file, stopped, watch_seconds)
                finally:
                    # While the control socket is open, so that clients find a server or no file.
                    state_file.remove()
    except StartError as error:
        log(error.message)
        starter.failed(error)
        return 1
    except EngineDied:
        log("the inference engine does not listen any more")
        return 1
    except Exception as error:
        traceback.print_exc()
        kind: Kind = "memory" if isinstance(error, MemoryError) else "other"
        starter.failed(StartError(kind, f"{type(error).__name__}: {error}"))
        return 1
    return 0


def detach() -> None:
    """Leaves the starter's session: what its terminal sends is not for a server that others use."""
    if sys.platform != "win32":
        try:
            os.setsid()
        except PermissionError:
            # It leads a process group already, as from a shell.
            pass


def allow_open_files() -> None:
    """Raises the limit of open files, which some systems set lower than leases need."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            except (OSError, ValueError):
                # The server works with fewer too.
                pass


def listen(token: str) -> Control:
    """The control socket, or a `StartError`."""
    try:
        return Control(token)
    except OSError as error:
        raise StartError(
            "port",
            f"no port of 127.0.0.1 can be opened ({error}); check that the loopback interface is "
            "up and that nothing forbids local connections",
        ) from error


def publish(
    state_file: StateFile, serving: Engine, control: Control, token: str, model: str
) -> None:
    """Lets clients find the server, or raises a `StartError`."""
    state = ServerState(
        pid=os.getpid(),
        control_port=control.port,
        base_url=serving.base_url,
        token=token,
        model=model,
    )
    try:
        state_file.write(state)
    except OSError as error:
        raise StartError(
            "other",
            f"{state_file.path} cannot be written ({error}); check the directory and the free space",
        ) from error


def serve(
    control: Control,
    serving: Engine,
    state_file: StateFile,
    stopped: Callable[[], bool],
    watch_seconds: float,
) -> None:
    """Stays until nobody uses the server, it is told to stop, or its engine is gone."""
    look_again = time.monotonic() + watch_seconds
    while not stopped() and not control.is_idle():
        if control.leases == 0 and not state_file.is_ours():
            log("clients do not find this server any more, and none uses it")
            return
        if time.monotonic() >= look_again:
            look_again = time.monotonic() + watch_seconds
            if not serving.is_alive():
                raise EngineDied
        control.poll(watch_seconds)


@contextmanager
def stop_signals(control: Control) -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM or SIGINT has come. Before that they end the process as usual."""
    received = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal received
        received = True
        control.wake()

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def log(message: str) -> None:
    """Writes a line to standard error, which the starter lets go to the log."""
    print(f"dspipe local-server: {message}", file=sys.stderr, flush=True)
