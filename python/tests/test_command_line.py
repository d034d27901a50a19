"""The command line, and what must not reach standard output."""

from pathlib import Path

import pytest

from dspipe_bridge import __version__, local_server
from dspipe_bridge.__main__ import main


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path, float]]:
    """What the server was started with."""
    calls: list[tuple[str, Path, float]] = []

    def run(model: str, state_dir: Path, idle_seconds: float) -> int:
        calls.append((model, state_dir, idle_seconds))
        return 7

    monkeypatch.setattr(local_server, "run", run)
    return calls


def test_the_server_gets_its_options(ran: list[tuple[str, Path, float]]) -> None:
    arguments = ["local-server", "--model", "tiny", "--state-dir", "run", "--idle-seconds", "2"]
    assert main(arguments) == 7
    assert ran == [("tiny", Path("run"), 2.0)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "command"),
        (["fly"], "fly"),
        (["local-server", "--model", "tiny"], "--state-dir"),
        (["local-server", "--model", "m", "--state-dir", "d", "--idle-seconds", "-1"], "`-1`"),
        (["local-server", "--model", "m", "--state-dir", "d", "--idle-seconds", "nan"], "`nan`"),
        (["local-server", "--model", "m", "--state-dir", "d", "--idle-seconds", "soon"], "`soon`"),
    ],
)
def test_mistakes_are_told_on_standard_error(
    arguments: list[str],
    said: str,
    ran: list[tuple[str, Path, float]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert said in output.err
    assert ran == []


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--version"])
    assert raised.value.code == 0
    assert capsys.readouterr().out.strip() == __version__
