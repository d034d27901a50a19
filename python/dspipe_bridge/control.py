"""Who uses the server: leases on a TCP control socket, and the rule for when to go.

A lease is a connection that stays open. The kernel closes it with the client's process, however that
ends, so that a server never outlives its clients for long and no client has to give anything back.
"""

import hmac
import json
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dspipe_bridge.state import PROTOCOL

GREETING_SECONDS = 10.0
GREETING_BYTES = 4096

MAX_GREETING = 64
"""Connections that have not greeted yet. One more drops the oldest: clients greet at once."""

MAX_LEASES = 512

DRAIN_BYTES = 65536

ACCEPT_PAUSE_SECONDS = 1.0

Clock = Callable[[], float]


class IdleRule:
    """When a server without leases goes."""

    def __init__(self, first_seconds: float, idle_seconds: float, now: float) -> None:
        """`first_seconds` for the first lease to come, `idle_seconds` for another after the last."""
        self._idle_seconds = idle_seconds
        self._leases = 0
        self._deadline: float | None = now + first_seconds

    @property
    def leases(self) -> int:
        """How many there are."""
        return self._leases

    @property
    def deadline(self) -> float | None:
        """When to go unless a lease comes; `None` while there is one."""
        return self._deadline

    def opened(self) -> None:
        """A lease came."""
        self._leases += 1
        self._deadline = None

    def closed(self, now: float) -> None:
        """A lease went."""
        self._leases -= 1
        if self._leases == 0:
            self._deadline = now + self._idle_seconds

    def is_over(self, now: float) -> bool:
        """Whether it is time to go."""
        return self._deadline is not None and now >= self._deadline


class Refusal(Exception):
    """Why a connection is no lease; the client is told."""


@dataclass(eq=False)
class Connection:
    """One client: first expected to greet, then a lease."""

    socket: socket.socket
    greet_until: float
    is_lease: bool = False
    received: bytearray = field(default_factory=bytearray)


class Control:
    """The control socket, on a free port of 127.0.0.1. One thread calls `poll` again and again."""

    def __init__(self, token: str, clock: Clock = time.monotonic) -> None:
        """Listens, or raises `OSError`. The time for the first lease runs from `begin`."""
        self._token = token
        self._clock = clock
        self._rule: IdleRule | None = None
        # In order of arrival, so that the first that has not greeted is the oldest.
        self._connections: dict[socket.socket, Connection] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setblocking(False)
        self._accept_from: float | None = None
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def leases(self) -> int:
        """How many clients hold the server."""
        return 0 if self._rule is None else self._rule.leases

    @property
    def connections(self) -> int:
        """How many sockets are open, with those that have not greeted."""
        return len(self._connections)

    def begin(self, first_seconds: float, idle_seconds: float) -> None:
        """From now on clients may come, and the time runs."""
        self._rule = IdleRule(first_seconds, idle_seconds, self._clock())

    def is_idle(self) -> bool:
        """Whether nobody has used the server for as long as it waits."""
        return self._rule is not None and self._rule.is_over(self._clock())

    def wake(self) -> None:
        """Ends a `poll` that is waiting; for signal handlers."""
        try:
            self._wake.send(b"\0")
        except OSError:
            # Full: it has been woken already.
            pass

    def poll(self, timeout: float) -> None:
        """Waits for something to happen, no longer than `timeout` seconds, and handles it."""
        for key, _ in self._selector.select(self._time_to_next(timeout)):
            if key.fileobj is self._listener:
                self._accept()
            elif key.fileobj is self._woken:
                self._receive(self._woken)
            elif isinstance(key.data, Connection) and key.data.socket in self._connections:
                self._read(key.data)
        now = self._clock()
        for connection in list(self._connections.values()):
            if not connection.is_lease and now >= connection.greet_until:
                self._refuse(connection, f"no greeting within {GREETING_SECONDS:g} seconds")
        if self._accept_from is not None and now >= self._accept_from:
            self._accept_from = None
            self._selector.register(self._listener, selectors.EVENT_READ)

    def close(self) -> None:
        """Closes all sockets; clients see that their lease has ended."""
        for connection in list(self._connections.values()):
            self._drop(connection)
        self._selector.close()
        for end in (self._listener, self._woken, self._wake):
            end.close()

    def _time_to_next(self, timeout: float) -> float:
        moments = [
            connection.greet_until
            for connection in self._connections.values()
            if not connection.is_lease
        ]
        if self._accept_from is not None:
            moments.append(self._accept_from)
        if self._rule is not None and self._rule.deadline is not None:
            moments.append(self._rule.deadline)
        return max(0.0, min([timeout, *(moment - self._clock() for moment in moments)]))

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError:
            # No descriptor left. The listener stays readable, so looking at it would be a busy loop.
            self._selector.unregister(self._listener)
            self._accept_from = self._clock() + ACCEPT_PAUSE_SECONDS
            return
        client.setblocking(False)
        waiting = [it for it in self._connections.values() if not it.is_lease]
        if len(waiting) >= MAX_GREETING:
            self._refuse(waiting[0], "too many connections that do not greet")
        connection = Connection(client, self._clock() + GREETING_SECONDS)
        self._connections[client] = connection
        self._selector.register(client, selectors.EVENT_READ, connection)

    def _read(self, connection: Connection) -> None:
        data = self._receive(connection.socket)
        if data is None:
            return
        if not data:
            self._drop(connection)
        elif not connection.is_lease:
            connection.received += data
            try:
                if self._greeted(connection.received):
                    self._grant(connection)
            except Refusal as refusal:
                self._refuse(connection, str(refusal))
        # What a client sends on a lease means nothing; it is read so that its end is seen.

    def _receive(self, end: socket.socket) -> bytes | None:
        """What has come: `None` if nothing has, empty at the end of the connection."""
        try:
            return end.recv(GREETING_BYTES)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""

    def _greeted(self, received: bytearray) -> bool:
        """Whether the whole greeting is there; a `Refusal` if it is not the right one."""
        line, end, _ = received.partition(b"\n")
        if len(line) >= GREETING_BYTES:
            raise Refusal(f"the greeting is longer than {GREETING_BYTES} bytes")
        if not end:
            return False
        try:
            greeting = json.loads(line)
        except (ValueError, RecursionError):
            greeting = None
        if not isinstance(greeting, dict):
            raise Refusal("the greeting is not a JSON object")
        if greeting.get("protocol") != PROTOCOL:
            raise Refusal(f"this server speaks protocol {PROTOCOL} only")
        token = greeting.get("token")
        if not isinstance(token, str) or not hmac.compare_digest(
            token.encode(errors="replace"), self._token.encode()
        ):
            raise Refusal("the token is wrong")
        return True

    def _grant(self, connection: Connection) -> None:
        if self._rule is None:
            raise Refusal("the server is not ready")
        if self._rule.leases >= MAX_LEASES:
            raise Refusal(f"there are {MAX_LEASES} leases already")
        if not self._answer(connection, {"ok": True}):
            self._drop(connection)
            return
        connection.is_lease = True
        connection.received.clear()
        self._rule.opened()

    def _refuse(self, connection: Connection, reason: str) -> None:
        self._answer(connection, {"ok": False, "error": reason})
        try:
            connection.socket.shutdown(socket.SHUT_WR)
            # Closing with unread data resets the connection, and the client might not see the answer.
            left = DRAIN_BYTES
            while left > 0 and (data := self._receive(connection.socket)):
                left -= len(data)
        except OSError:
            pass
        self._drop(connection)

    def _answer(self, connection: Connection, answer: dict[str, object]) -> bool:
        line = (json.dumps(answer, separators=(",", ":")) + "\n").encode()
        try:
            # The first bytes on a connection, so that they fit into its buffer.
            return connection.socket.send(line) == len(line)
        except OSError:
            return False

    def _drop(self, connection: Connection) -> None:
        self._selector.unregister(connection.socket)
        del self._connections[connection.socket]
        connection.socket.close()
        if connection.is_lease and self._rule is not None:
            self._rule.closed(self._clock())
