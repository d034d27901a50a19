"""The inference engine: llama.cpp's HTTP server, in this process, by way of xllamacpp."""

import socket
import sys
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from dspipe_bridge.protocol import StartError

PACKAGE = "xllamacpp==2026.10.11549"

CONTEXT_TOKENS = 8192
"""What the model was trained with; prompt and reply together."""

PROMPT_CACHE_MIB = 256
"""For prompts that alternate, as the steps of a workflow do. The engine's own limit is 8 GiB."""

HTTP_THREADS = 16
"""Clients keep connections open, and each takes a thread of the HTTP server."""

MEMORY_SIGNS = ("insufficient memory", "failed to allocate", "bad_alloc", "out of memory")
"""How the engine's log tells that memory is short; its exceptions do not."""


class Engine(Protocol):
    """A running inference server."""

    @property
    def base_url(self) -> str:
        """Where the OpenAI API is, with its `/v1`."""

    def is_alive(self) -> bool:
        """Whether it still listens."""


_RUNNING: list[object] = []
"""Servers are never let go: the destructor waits for requests in flight, whose clients may be gone."""


class LlamaEngine:
    """llama.cpp with one model, until the process ends."""

    def __init__(self, server: object, address: str) -> None:
        """Takes a started server, which listens at `address`."""
        _RUNNING.append(server)
        self._address = address
        self._port = urlsplit(address).port or 0

    @property
    def base_url(self) -> str:
        """Where the OpenAI API is, with its `/v1`."""
        return f"{self._address}/v1"

    def is_alive(self) -> bool:
        """Whether it still listens. A busy engine does: the kernel accepts in its stead."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return True
        except ConnectionRefusedError:
            return False
        except OSError:
            # A full queue or no descriptor left is no sign of death.
            return True


def start(model: Path, name: str, token: str, log: Path) -> Engine:
    """Loads a model and serves it on a free port of 127.0.0.1 to those who know the token.

    `log` is the file that standard error may go to; it is searched for the reason of a failure.
    """
    try:
        import xllamacpp
    except ImportError as error:
        raise StartError(
            "package-missing",
            f"the inference engine cannot be loaded ({error}); install it: "
            f"{sys.executable} -m pip install --no-deps {PACKAGE}",
        ) from error

    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {name}
    params.offline = True
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    # More threads spin for each other: with any other busy process on the machine they are slower
    # than one, by an order of magnitude.
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.cache_ram_mib = PROMPT_CACHE_MIB

    params.hostnames = ["127.0.0.1"]
    # The system picks a port that is free, so that none can be taken in between.
    params.port = 0
    params.api_keys = [token]
    params.n_threads_http = HTTP_THREADS
    # Clients are programs: no pages, and nothing for pages of others.
    params.ui = False
    params.cors_origins = ""
    params.endpoint_slots = False

    before = _size(log)
    try:
        server = xllamacpp.Server(params)
    except Exception as error:
        said = _text_after(log, before)
        if isinstance(error, MemoryError) or any(sign in said for sign in MEMORY_SIGNS):
            raise StartError(
                "memory",
                f"there is not enough memory for the model {name}; close other programs, or use "
                "an LM of a provider",
            ) from error
        raise StartError(
            "other",
            f"the inference engine could not start with {model} ({error}); its log says why",
        ) from error
    return LlamaEngine(server, server.listening_address)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _text_after(path: Path, offset: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace").lower()
    except OSError:
        return ""
