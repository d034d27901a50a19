"""What DSPy does on its own, and must not do here. To be called before anything else of DSPy is."""

import functools
import logging
import os
from collections.abc import Callable
from typing import Any

Log = Callable[[str, str, str], None]
"""Takes a level, the name of a logger, and a message."""


def set_up(log: Log) -> None:
    """Imports DSPy and switches off its cache, its progress bars, its log and its second tries."""
    # Bars move many times a second, into a log that nobody watches.
    os.environ["TQDM_DISABLE"] = "1"
    import dspy  # noqa: F401
    from dspy.clients import configure_cache
    from dspy.utils.parallelizer import ParallelExecutor

    # The host has one. This one takes equal requests to different servers for the same.
    configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    never_twice(ParallelExecutor)
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
