"""Fixtures: bridges that end with their test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from optimize.host import Answer, Host
from optimize.task import Task

StartHost = Callable[..., Host]
"""Starts a bridge; keyword arguments are answers by method."""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartHost]:
    """Starts bridges."""
    hosts: list[Host] = []

    def begin(command: list[str] | None = None, **answers: Answer) -> Host:
        host = Host(tmp_path / f"bridge{len(hosts)}.log", command, **answers)
        hosts.append(host)
        return host

    yield begin
    for host in hosts:
        host.end()


@pytest.fixture
def host(start: StartHost) -> Host:
    """A bridge that was greeted, with the task behind it."""
    return start_task(start)


def start_task(
    start: StartHost, task: Task | None = None, command: list[str] | None = None
) -> Host:
    """Starts a bridge with a task behind it."""
    task = task or Task()
    host = start(
        command,
        run=task.run,
        step__complete=task.complete,
        metric__score=task.score,
        lm__complete=task.propose,
    )
    task.host = host
    host.hello()
    return host
