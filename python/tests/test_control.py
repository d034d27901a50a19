"""Leases and the idle rule: real sockets, and a clock that the tests move."""

import json
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterator

import pytest
from support import Client, eventually, greeting

from dspipe_bridge import control as control_module
from dspipe_bridge.control import ACCEPT_PAUSE_SECONDS, GREETING_BYTES, GREETING_SECONDS, Control

TOKEN = "right-token"


class Clock:
    """A time that stands still until it is moved."""

    def __init__(self) -> None:
        """Starts anywhere."""
        self.now = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


class Subject:
    """A control socket and its clock."""

    def __init__(self) -> None:
        """Waits 30 seconds for the first lease, and 10 after the last."""
        self.clock = Clock()
        self.control = Control(TOKEN, self.clock)
        self.control.begin(first_seconds=30, idle_seconds=10)
        self.clients: list[Client] = []

    def until(self, what: str, look: Callable[[], bool]) -> None:
        """Lets the server work until it is so."""

        def worked() -> bool:
            self.control.poll(0)
            return look()

        eventually(what, worked)

    def connected(self) -> Client:
        """A client that the server has accepted."""
        before = self.control.connections
        client = Client(self.control.port)
        self.clients.append(client)
        self.until("it is accepted", lambda: self.control.connections > before)
        return client

    def leased(self) -> Client:
        """A client with a lease."""
        before = self.control.leases
        client = self.connected()
        client.send(greeting(TOKEN))
        self.until("it gets its lease", lambda: self.control.leases > before)
        assert client.answer() == {"ok": True}
        return client

    def refusal(self, client: Client) -> str:
        """The reason why a client is refused."""
        self.until("it is refused", lambda: self.control.connections == 0)
        answer = client.answer()
        assert set(answer) == {"ok", "error"}
        assert answer["ok"] is False
        assert client.is_closed_by_server()
        assert self.control.leases == 0
        assert TOKEN not in answer["error"]
        reason: str = answer["error"]
        return reason


@pytest.fixture
def subject() -> Iterator[Subject]:
    """A server, and its clients that end with it."""
    made = Subject()
    yield made
    for client in made.clients:
        client.close()
    made.control.close()


def test_a_greeting_makes_a_lease(subject: Subject) -> None:
    client = subject.connected()
    client.send(greeting(TOKEN))
    subject.until("it gets its lease", lambda: subject.control.leases == 1)
    assert client.socket.recv(100) == b'{"ok":true}\n'


def test_a_greeting_may_come_in_pieces(subject: Subject) -> None:
    client = subject.connected()
    for byte in greeting(TOKEN):
        assert subject.control.leases == 0
        client.send(bytes([byte]))
        subject.control.poll(1)
    subject.until("it gets its lease", lambda: subject.control.leases == 1)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (greeting("wrong-token"), "token"),
        (greeting(""), "token"),
        (greeting(TOKEN + "x"), "token"),
        (greeting("\ud800"), "token"),
        (b'{"protocol":1}\n', "token"),
        (b'{"protocol":1,"token":null}\n', "token"),
        (greeting(TOKEN, 2), "protocol 1"),
        (greeting(TOKEN, "1"), "protocol 1"),
        (json.dumps({"token": TOKEN}).encode() + b"\n", "protocol 1"),
        (b"[1]\n", "not a JSON object"),
        (b"\n", "not a JSON object"),
        (b"GET / HTTP/1.1\r\n\r\n", "not a JSON object"),
        (b"\xff\xfe\x00\x80\n", "not a JSON object"),
        (b"[" * (GREETING_BYTES - 2) + b"\n", "not a JSON object"),
        (b"x" * GREETING_BYTES, "longer than 4096 bytes"),
        (b" " * GREETING_BYTES + greeting(TOKEN), "longer than 4096 bytes"),
    ],
)
def test_anything_else_is_refused(subject: Subject, line: bytes, reason: str) -> None:
    client = subject.connected()
    client.send(line)
    assert reason in subject.refusal(client)


def test_who_does_not_greet_is_refused_in_time(subject: Subject) -> None:
    client = subject.connected()
    client.send(b'{"protocol":1')
    subject.clock.now += GREETING_SECONDS - 0.5
    subject.control.poll(0)
    assert subject.control.connections == 1
    subject.clock.now += 0.5
    assert "no greeting" in subject.refusal(client)


def test_leases_have_no_time_limit(subject: Subject) -> None:
    subject.leased()
    subject.clock.now += 1_000_000
    subject.control.poll(0)
    assert subject.control.leases == 1
    assert not subject.control.is_idle()


@pytest.mark.parametrize("greets", [False, True])
@pytest.mark.parametrize("end", ["close", "half", "reset"])
def test_however_a_client_goes_it_is_gone(subject: Subject, greets: bool, end: str) -> None:
    client = subject.leased() if greets else subject.connected()
    if end == "half":
        client.socket.shutdown(socket.SHUT_WR)
    else:
        if end == "reset":
            linger = struct.pack("ii", 1, 0)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        client.close()
    subject.until("it is forgotten", lambda: subject.control.connections == 0)
    assert subject.control.leases == 0


def test_what_comes_on_a_lease_is_ignored(subject: Subject) -> None:
    client = subject.leased()
    for _ in range(20):
        client.send(b"x" * 10_000 + greeting("wrong-token"))
        subject.control.poll(0)
    client.socket.shutdown(socket.SHUT_WR)
    subject.until("all is read", lambda: subject.control.connections == 0)
    assert client.is_closed_by_server()


def test_it_waits_for_the_first_lease(subject: Subject) -> None:
    subject.clock.now += 29.5
    assert not subject.control.is_idle()
    subject.clock.now += 0.5
    assert subject.control.is_idle()


def test_connections_without_lease_do_not_keep_it(subject: Subject) -> None:
    subject.connected()
    subject.clock.now += 30
    assert subject.control.is_idle()


def test_it_waits_for_another_lease_after_the_last(subject: Subject) -> None:
    first, second = subject.leased(), subject.leased()
    first.close()
    subject.until("the first goes", lambda: subject.control.leases == 1)
    subject.clock.now += 100
    assert not subject.control.is_idle()

    second.close()
    subject.until("the second goes", lambda: subject.control.leases == 0)
    subject.clock.now += 9.5
    assert not subject.control.is_idle()
    third = subject.leased()
    subject.clock.now += 100
    assert not subject.control.is_idle()

    third.close()
    subject.until("the third goes", lambda: subject.control.leases == 0)
    assert not subject.control.is_idle()
    subject.clock.now += 10
    assert subject.control.is_idle()


def test_silent_connections_do_not_keep_clients_out(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_module, "MAX_GREETING", 3)
    silent = [subject.connected() for _ in range(3)]
    client = Client(subject.control.port)
    subject.clients.append(client)
    client.send(greeting(TOKEN))
    subject.until("it gets its lease", lambda: subject.control.leases == 1)
    assert client.answer() == {"ok": True}
    assert "too many" in silent[0].answer()["error"]
    assert subject.control.connections == 3


def test_leases_are_limited(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "MAX_LEASES", 2)
    subject.leased()
    subject.leased()
    client = subject.connected()
    client.send(greeting(TOKEN))
    subject.until("it is refused", lambda: subject.control.connections == 2)
    assert "2 leases" in client.answer()["error"]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of open files to set")
def test_it_recovers_when_no_file_can_be_opened(subject: Subject) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    client = Client(subject.control.port)
    subject.clients.append(client)
    client.send(greeting(TOKEN))
    spare = os.dup(0)
    os.close(spare)
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
    try:
        subject.control.poll(1)
        assert subject.control.connections == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    subject.clock.now += ACCEPT_PAUSE_SECONDS
    subject.until("it gets its lease", lambda: subject.control.leases == 1)


def test_clients_see_the_end(subject: Subject) -> None:
    lease, other = subject.leased(), subject.connected()
    subject.control.close()
    assert lease.is_closed_by_server()
    assert other.is_closed_by_server()
