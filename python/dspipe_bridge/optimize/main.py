"""The command `optimize`: reads requests until standard input ends."""

import importlib.metadata
import os
import platform
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dspipe_bridge import __version__
from dspipe_bridge.optimize.connection import Connection, Message
from dspipe_bridge.optimize.errors import Abort, BadRequest

if TYPE_CHECKING:
    from dspipe_bridge.optimize.job import Job
    from dspipe_bridge.optimize.spec import Object

PROTOCOL = 1
JOBS = ("optimize", "evaluate", "optimize_prompt", "evaluate_program")
PACKAGES = {"dspy": "3.4.1", "gepa": "0.1.4", "optuna": "5.0.0", "numpy": None}
"""What must be there, in the version that this was tested with; `None` is any."""


def run() -> int:
    """Serves the host. Ends with the process."""
    # A Ctrl-C in the terminal is for the host, which will then cancel or close.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection.on_stdio(host_gone=leave)
    try:
        Server(connection).serve()
    except BaseException:
        traceback.print_exc()
        leave(1)
    leave()
    return 0


def leave(code: int = 0) -> None:
    """Ends the process at once: optimizers leave threads behind, and nothing is half written."""
    sys.stderr.flush()
    os._exit(code)


class Server:
    """Answers the host. Jobs run one at a time, in a thread of their own."""

    def __init__(self, connection: Connection) -> None:
        """For the other end of this connection."""
        self._connection = connection
        self._greeted = False
        self._queue: queue.Queue[tuple[Any, Job, Callable[[Job], dict[str, Any]]]] = queue.Queue()
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._work, name="jobs", daemon=True).start()

    def serve(self) -> None:
        """Until the host closes the pipe or says `shutdown`."""
        for message in self._connection.messages():
            number = message.get("id")
            try:
                if not self._handle(number, message):
                    return
            except BadRequest as error:
                self._connection.refuse(number, Abort("fatal", "bad_request", str(error)))
            except Abort as abort:
                self._connection.refuse(number, abort)
            except Exception as error:
                traceback.print_exc()
                self._connection.refuse(number, unexpected(error))

    def _handle(self, number: Any, message: Message) -> bool:
        """Whether to go on."""
        from dspipe_bridge.optimize.spec import Object, name, whole

        method = message["method"]
        params = Object(message.get("params") or {}, "params")
        if method == "hello":
            self._hello(number, params.take("protocol", whole))
        elif not self._greeted:
            raise Abort("fatal", "not_greeted", "the first request must be `hello`")
        elif method == "ping":
            self._connection.answer(number, {})
        elif method == "shutdown":
            self._connection.answer(number, {})
            return False
        elif method == "cancel":
            with self._lock:
                job = self._jobs.get(params.take("job", name))
            # First, so that the job's own answer comes after it.
            self._connection.answer(number, {"found": job is not None})
            if job is not None:
                job.end(Abort("cancelled", "cancelled", "the host cancelled the job"))
        elif method in JOBS:
            self._start(number, method, params)
        else:
            raise BadRequest(f"there is no method `{method}`")
        return True

    def _hello(self, number: Any, protocol: int) -> None:
        if protocol != PROTOCOL:
            text = f"this bridge speaks protocol {PROTOCOL}, not {protocol}"
            raise Abort("fatal", "protocol_version", text)
        versions = installed()
        from dspipe_bridge.optimize.setup import set_up

        if not self._greeted:
            set_up(self._log)
            self._greeted = True
        self._connection.answer(
            number,
            {
                "protocol": PROTOCOL,
                "bridge": __version__,
                "python": platform.python_version(),
                "packages": versions,
            },
        )

    def _start(self, number: Any, method: str, params: "Object") -> None:
        from dspipe_bridge.optimize.job import Job
        from dspipe_bridge.optimize.spec import name

        job = Job(params.take("job", name), self._connection)
        what = self._job(method, params)
        with self._lock:
            if job.name in self._jobs:
                raise BadRequest(f"there is a job called `{job.name}` already")
            self._jobs[job.name] = job
        self._queue.put((number, job, what))

    def _job(self, method: str, params: "Object") -> Callable[["Job"], dict[str, Any]]:
        """What is to be done; all that can be wrong with the parameters is found here."""
        from dspipe_bridge.optimize import actions, work

        match method:
            case "optimize":
                optimize = work.Optimize.read(params)
                return lambda job: work.optimize(job, optimize)
            case "evaluate":
                evaluate = work.Evaluate.read(params)
                return lambda job: work.evaluate(job, evaluate)
            case "optimize_prompt":
                return actions.OptimizePrompt(params).run
            case _:
                return actions.EvaluateProgram(params).run

    def _log(self, level: str, logger: str, message: str) -> None:
        self._connection.notify("log", {"level": level, "logger": logger, "message": message})

    def _work(self) -> None:
        while True:
            number, job, what = self._queue.get()
            answer = self._outcome(job, what)
            # Threads that the optimizer left behind must not ask the host any more.
            job.end(Abort("cancelled", "ended", "the job has ended"))
            with self._lock:
                del self._jobs[job.name]
            answer(number)

    def _outcome(
        self, job: "Job", what: Callable[["Job"], dict[str, Any]]
    ) -> Callable[[Any], None]:
        """Does a job; what answers its request."""
        try:
            job.check()
            result = what(job)
            # In case something swallowed the host's error.
            job.check()
            return lambda number: self._connection.answer(number, result)
        except Abort as abort:
            error = abort
        except BadRequest as bad:
            error = Abort("fatal", "bad_request", str(bad))
        except BaseException as other:
            traceback.print_exc()
            error = unexpected(other)
        return lambda number: self._connection.refuse(number, error, best=job.best)


def unexpected(error: BaseException) -> Abort:
    """An error that nobody foresaw, such as an optimizer's own. Its traceback is on standard error."""
    if isinstance(error, Exception) and not isinstance(error, MemoryError):
        return Abort("fatal", "internal", f"{type(error).__name__}: {error}")
    return Abort("restart", "internal", f"{type(error).__name__}: {error}")


def installed() -> dict[str, str]:
    """The versions of the packages, or an `Abort` if they are not those that this was tested with."""
    found = {}
    for package, wanted in PACKAGES.items():
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            text = f"the Python package `{package}` is not installed"
            raise Abort("fatal", "package_missing", text) from None
        if wanted is not None and version != wanted:
            text = f"the Python package `{package}` is {version}, but {wanted} is needed"
            raise Abort("fatal", "package_version", text)
        found[package] = version
    return found
