"""What DSPy does on its own, and must not do here. To be called before anything else of DSPy is."""

import functools
import logging
import os
import sys
from collections.abc import Callable
from typing import Any

SWITCH_SECONDS = 0.0001

Log = Callable[[str, str, str], None]
"""Takes a level, the name of a logger, and a message."""


def set_up(log: Log) -> None:
    """Imports DSPy and switches off its cache, its progress bars, its log and its second tries."""
    # Threads take turns at each message: with the usual 5 ms, that is what a message would take.
    sys.setswitchinterval(SWITCH_SECONDS)
    # Bars move many times a second, into a log that nobody watches.
    os.environ["TQDM_DISABLE"] = "1"
    from dspy.clients import configure_cache
    from dspy.evaluate.evaluate import Evaluate
    from dspy.utils.parallelizer import ParallelExecutor

    # The host has one. This one takes equal requests to different servers for the same.
    configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    never_twice(ParallelExecutor)
    announced(Evaluate)
    for name in ("dspy", "gepa", "optuna"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [Forward(log)]
        logger.propagate = False


def never_twice(executor: Any) -> None:
    """Lets slow runs be slow: DSPy runs the last three again after two minutes, and pays twice."""
    original = executor.__init__

    @functools.wraps(original)
    def init(self: Any, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options)
        self.timeout = 0

    executor.__init__ = init


def announced(evaluate: Any) -> None:
    """Tells the host of each evaluation. DSPy's callbacks would do it too, at a cost for every run."""
    import dspy

    original = evaluate.__call__

    @functools.wraps(original)
    def call(self: Any, program: Any, *arguments: Any, **options: Any) -> Any:
        dspy.settings.adapter.evaluating(options.get("devset") or self.devset)
        return original(self, program, *arguments, **options)

    evaluate.__call__ = call


class Forward(logging.Handler):
    """Hands log records to the host."""

    def __init__(self, log: Log) -> None:
        """Takes where they go."""
        super().__init__(logging.INFO)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One record."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            # Its arguments do not fit its text. Logging must not end a job.
            message = str(record.msg)
        self._log(record.levelname.lower(), record.name, message)
