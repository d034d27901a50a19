"""server.json: whole, private, and only ever removed by its own server."""

import json
import stat
import sys
from pathlib import Path

import pytest

from dspipe_bridge.state import ServerState, StateFile


def state(token: str) -> ServerState:
    """A server's state."""
    return ServerState(
        pid=12,
        control_port=34,
        base_url="http://127.0.0.1:56/v1",
        token=token,
        model="smollm2-135m-instruct",
    )


def test_it_holds_what_clients_need(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    file.write(state("secret-token"))
    assert json.loads((tmp_path / "server.json").read_text()) == {
        "protocol": 1,
        "pid": 12,
        "control_port": 34,
        "base_url": "http://127.0.0.1:56/v1",
        "token": "secret-token",
        "model": "smollm2-135m-instruct",
    }
    assert list(tmp_path.iterdir()) == [file.path]


@pytest.mark.skipif(sys.platform == "win32", reason="no such modes")
def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    file.path.write_text("an old one")
    file.path.chmod(0o644)
    file.write(state("secret-token"))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    file = StateFile(tmp_path)
    file.path.mkdir()
    with pytest.raises(OSError):
        file.write(state("secret-token"))
    assert list(tmp_path.iterdir()) == [file.path]
    assert not file.is_ours()


def test_it_is_removed_by_its_own_server_only(tmp_path: Path) -> None:
    first, second = StateFile(tmp_path), StateFile(tmp_path)
    first.write(state("first"))
    assert first.is_ours()
    second.write(state("second"))
    assert not first.is_ours()
    first.remove()
    assert second.is_ours()
    second.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_gone_is_no_error(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    directory.mkdir()
    file = StateFile(directory)
    assert not file.is_ours()
    file.remove()
    file.write(state("first"))
    file.path.unlink()
    directory.rmdir()
    assert not file.is_ours()
    file.remove()


def test_the_token_does_not_show_itself() -> None:
    assert "secret" not in repr(state("secret-token"))
