"""The command line: one subcommand per job, each in a module of its own."""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dspipe_bridge import __version__, local_server


def seconds(text: str) -> float:
    """A number of seconds from the command line: finite and not negative."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise argparse.ArgumentTypeError(f"`{text}` is not a number of seconds, such as 10")
    return value


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(prog="dspipe_bridge", description=__doc__)
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True)
    server = commands.add_parser("local-server", help="serve a local model until nobody uses it")
    server.add_argument("--model", required=True, help="name of the model, see models.py")
    server.add_argument(
        "--state-dir", required=True, type=Path, help="existing directory for server.json"
    )
    server.add_argument(
        "--idle-seconds", type=seconds, default=10.0, help="time to stay after the last lease"
    )
    commands.add_parser(
        "optimize", help="run DSPy's optimizers for the program at the pipe's other end"
    )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the process's exit code."""
    options = parser().parse_args(arguments)
    if options.command == "optimize":
        # Here, because it is not needed to serve a model.
        from dspipe_bridge.optimize import main as optimize

        return optimize.run()
    return local_server.run(
        model=options.model, state_dir=options.state_dir, idle_seconds=options.idle_seconds
    )


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    # Not sys.exit: the engine's threads may be at work, and its destructor would wait for them.
    os._exit(code)
