"""How the engine is set, and what its failures become; with a stand-in for the engine's package."""

import socket
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dspipe_bridge import engine
from dspipe_bridge.protocol import StartError


class StandIn(ModuleType):
    """A package with the engine's interface. It fails as told, and writes to the log before."""

    def __init__(self, log: Path) -> None:
        """Succeeds unless told otherwise."""
        super().__init__("xllamacpp")
        self.log = log
        self.says = ""
        self.failure: Exception | None = None
        self.params: Any = None

    def CommonParams(self) -> SimpleNamespace:
        """Settings without defaults, so that those that are set can be seen."""
        return SimpleNamespace(
            model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace()
        )

    def Server(self, params: Any) -> SimpleNamespace:
        """Starts a server."""
        self.params = params
        with self.log.open("a") as log:
            log.write(self.says)
        if self.failure is not None:
            raise self.failure
        return SimpleNamespace(listening_address="http://127.0.0.1:4567")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The engine's package as the code under test imports it."""
    package = StandIn(tmp_path / "server.log")
    monkeypatch.setitem(sys.modules, "xllamacpp", package)
    return package


def start(stand_in: StandIn) -> engine.Engine:
    """Starts the engine with any model."""
    return engine.start(Path("weights.gguf"), "tiny", "secret-token", stand_in.log)


def failure(stand_in: StandIn) -> StartError:
    """The error that comes instead of an engine."""
    with pytest.raises(StartError) as raised:
        start(stand_in)
    assert "secret-token" not in raised.value.message
    return raised.value


def test_it_is_private_and_frugal(stand_in: StandIn) -> None:
    assert start(stand_in).base_url == "http://127.0.0.1:4567/v1"
    params = stand_in.params
    assert params.model.path == "weights.gguf"
    assert params.hostnames == ["127.0.0.1"]
    assert params.api_keys == ["secret-token"]
    assert (params.ui, params.endpoint_slots, params.offline) == (False, False, True)
    assert (params.cpuparams.n_threads, params.cpuparams_batch.n_threads) == (1, 1)
    assert (params.n_parallel, params.n_ctx) == (1, 8192)


@pytest.mark.parametrize(
    "says",
    [
        "E ggml_aligned_malloc: insufficient memory (attempted to allocate 180.00 MB)\n",
        "E llama_init_from_model: Failed to allocate buffer for kv cache\n",
    ],
)
def test_the_log_tells_that_memory_is_short(stand_in: StandIn, says: str) -> None:
    stand_in.says = says
    stand_in.failure = RuntimeError("Failed to init server")
    error = failure(stand_in)
    assert error.kind == "memory"
    assert "tiny" in error.message


def test_only_what_this_start_wrote_counts(stand_in: StandIn) -> None:
    stand_in.log.write_text("insufficient memory, yesterday\n")
    stand_in.failure = RuntimeError("Failed to init server")
    error = failure(stand_in)
    assert error.kind == "other"
    assert "weights.gguf" in error.message


def test_an_exception_can_tell_it_too(stand_in: StandIn) -> None:
    stand_in.failure = MemoryError()
    assert failure(stand_in).kind == "memory"


def test_no_log_is_no_obstacle(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.failure = RuntimeError("Failed to init server")
    with pytest.raises(StartError) as raised:
        engine.start(Path("weights.gguf"), "tiny", "secret-token", tmp_path / "none" / "log")
    assert raised.value.kind == "other"


def test_without_its_package_the_error_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None in its place makes the import fail, as if it were not installed.
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(StartError) as raised:
        engine.start(Path("weights.gguf"), "tiny", "secret-token", tmp_path / "log")
    assert raised.value.kind == "package-missing"
    assert f"pip install --no-deps {engine.PACKAGE}" in raised.value.message


def test_it_is_alive_while_it_listens() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    running = engine.LlamaEngine(object(), f"http://127.0.0.1:{listener.getsockname()[1]}")
    assert running.is_alive()
    listener.close()
    assert not running.is_alive()
