"""Fixtures: bridges that end with their test, or go on to the next one."""

from collections.abc import Callable, Iterator

import pytest

from optimize.host import Answer, Host
from optimize.task import Task

StartHost = Callable[..., Host]
"""Starts a bridge; keyword arguments are answers by method."""


@pytest.fixture(scope="session")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Host]]:
    """Bridges that no test uses now: most of a short test would be the import of DSPy."""
    hosts: list[Host] = []
    yield hosts
    for host in hosts:
        host.end()


@pytest.fixture
def start(idle: list[Host], tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartHost]:
    """Gives bridges, with `fresh` or a `command` new ones."""
    used: list[Host] = []

    def begin(command: list[str] | None = None, fresh: bool = False, **answers: Answer) -> Host:
        own = fresh or command is not None
        if idle and not own:
            host = idle.pop()
            host.forget(**answers)
        else:
            log = tmp_path_factory.mktemp("bridge") / "bridge.log"
            host = Host(log, command, **answers)
        host.is_shared = not own
        used.append(host)
        return host

    yield begin
    for host in used:
        if host.is_shared and host.is_idle():
            idle.append(host)
        else:
            host.end()


@pytest.fixture
def host(start: StartHost) -> Host:
    """A bridge that was greeted, with the task behind it."""
    return start_task(start)


def start_task(
    start: StartHost,
    task: Task | None = None,
    command: list[str] | None = None,
    fresh: bool = False,
) -> Host:
    """Starts a bridge with a task behind it."""
    task = task or Task()
    host = start(
        command,
        fresh,
        run=task.run,
        step__complete=task.complete,
        metric__score=task.score,
        lm__complete=task.propose,
    )
    task.host = host
    host.hello()
    return host
