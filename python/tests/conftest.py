"""Fixtures: servers that end with their test."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import PROJECT, ServerProcess

StartFake = Callable[..., ServerProcess]
"""Starts the command with a fake engine; keyword arguments are options of fake_server.py."""


@pytest.fixture
def servers() -> Iterator[list[ServerProcess]]:
    """All servers of a test."""
    started: list[ServerProcess] = []
    yield started
    for server in started:
        server.end()


@pytest.fixture
def start_fake(tmp_path: Path, servers: list[ServerProcess]) -> StartFake:
    """Starts servers that share one state directory."""

    def start(read_stdout: bool = True, **options: Any) -> ServerProcess:
        script = str(PROJECT / "tests" / "fake_server.py")
        server = ServerProcess([script, str(tmp_path), json.dumps(options)], tmp_path, read_stdout)
        servers.append(server)
        return server

    return start
