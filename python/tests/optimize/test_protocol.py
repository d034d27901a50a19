"""The protocol: its golden messages, the handshake, and lines that are no messages."""

import json
from pathlib import Path
from typing import Any

import pytest

from dspipe_bridge.optimize.main import JOBS
from optimize.conftest import StartHost
from optimize.golden_sessions import GOLDEN, SESSIONS, record
from optimize.host import Host, HostError, Params
from optimize.task import examples, triage

DOCUMENT = Path(__file__).parent.parent.parent.parent / "docs" / "bridge.md"

METHODS = {
    "host": {"hello", "ping", "cancel", "shutdown", *JOBS},
    "bridge": {
        "run",
        "step.complete",
        "lm.complete",
        "metric.score",
        "prompt",
        "progress",
        "candidate",
        "log",
    },
}
"""All messages, by who sends them."""


def golden(name: str) -> list[Params]:
    """The messages of a session."""
    return [json.loads(line) for line in (GOLDEN / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", SESSIONS)
def test_sessions_are_those_of_the_golden_files(name: str, tmp_path: Path) -> None:
    assert (
        record(name, tmp_path / "bridge.log") == (GOLDEN / f"{name}.jsonl").read_text().splitlines()
    )


@pytest.mark.parametrize("side", METHODS)
def test_golden_sessions_have_every_message(side: str) -> None:
    everything = [it for name in SESSIONS for it in golden(name) if it["from"] == side]
    found = {it["message"]["method"] for it in everything if "method" in it["message"]}
    assert found - {"dance"} == METHODS[side]
    kinds = {it["message"]["error"]["class"] for it in everything if "error" in it["message"]}
    assert kinds == ({"budget"} if side == "host" else {"fatal", "budget", "cancelled"})


@pytest.mark.parametrize("side", METHODS)
def test_every_message_is_documented(side: str) -> None:
    text = DOCUMENT.read_text()
    assert not [method for method in METHODS[side] if f"### `{method}`" not in text]


def test_the_handshake_tells_versions(start: StartHost) -> None:
    host = start()
    assert host.hello()["packages"]["dspy"] == "3.4.1"
    # Twice does no harm.
    assert host.hello()["protocol"] == 1


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"{}",
        b'{"id": 1',
        b"[" * 100_000,
        b'{"method": 5, "id": 700007}',
        b'{"method": "evaluate", "params": [], "id": 700008}',
        b'{"id": 99999, "result": {}}',
        b'{"id": {}, "result": {}}',
        b'{"id": 1, "error": "no object"}',
        b"\x00" * 1000,
        b"",
        b"GET / HTTP/1.1",
    ],
)
def test_garbage_on_standard_input_does_no_harm(host: Host, line: bytes) -> None:
    host.write(line + b"\n")
    result = host.call("evaluate", job="j", program=triage(), examples=examples(4))
    assert result["score"] == 0.25


def test_half_a_message_at_the_end_does_no_harm(start: StartHost) -> None:
    host = start()
    host.hello()
    host.write(b'{"id": 5, "meth')
    host.close_stdin()
    assert host.exit_code() == 0


def test_lines_can_be_long(host: Host) -> None:
    text = "A very long text. " * 500_000 + " is red."
    given = [{"id": "e0", "inputs": {"text": text}, "labels": {"label": "R1"}}]
    result = host.call("evaluate", job="j", program=triage(), examples=given)
    assert result["score"] == 1.0


def test_a_ping_is_answered_during_a_job(start: StartHost) -> None:
    def run(params: Params) -> Any:
        assert host.call("ping") == {}
        return {"calls": [], "outputs": {}}

    host = start(run=run, metric__score=lambda params: {"score": 1.0})
    host.hello()
    result = host.call("evaluate", job="j", program=triage(), examples=examples(4), threads=2)
    assert result["score"] == 1.0


GOOD: Params = {
    "job": "j",
    "program": triage(),
    "train": examples(4),
    "stages": [{"optimizer": "labeled_few_shot", "settings": {"k": 1}}],
}
STEP = GOOD["program"]["steps"][0]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"job": ""}, "`params.job` must not be empty"),
        ({"program": 5}, "`params.program` must be an object"),
        ({"program": {"name": "x", "steps": []}}, "there is nothing to optimize"),
        ({"program": triage(runs="twice")}, "must be `workflow` or `step`, not `twice`"),
        ({"program": {"name": "x", "steps": [STEP, STEP]}}, "`classify` is there twice"),
        (
            {"program": {"name": "x", "runs": "step", "steps": [STEP, {**STEP, "name": "b"}]}},
            "must be one step",
        ),
        (
            {"program": {"name": "x", "steps": [{**STEP, "outputs": []}]}},
            "`outputs` must not be empty",
        ),
        ({"program": {"name": "x", "steps": [{**STEP, "color": 1}]}}, "unknown keys: `color`"),
        (
            {"program": {"name": "x", "steps": [{**STEP, "inputs": STEP["outputs"]}]}},
            "fields: `label` is there twice",
        ),
        ({"train": []}, "`params.train` must not be empty"),
        ({"train": [{"id": "a", "inputs": []}]}, "`params.train[0].inputs` must be an object"),
        (
            {"train": [{"id": "a", "inputs": {"x": 1}, "labels": {"x": 1}}]},
            "an input and as a label",
        ),
        ({"seed": -1}, "`params.seed` must be a whole number"),
        ({"seed": True}, "`params.seed` must be a whole number"),
        ({"threads": "two"}, "`params.threads` must be a whole number"),
        ({"stages": []}, "`params.stages` must not be empty"),
        ({"stages": [{}]}, "`params.stages[0]` has no `optimizer`"),
        ({"speed": 3}, "`params` has unknown keys: `speed`"),
    ],
)
def test_parameters_that_are_wrong_are_named(host: Host, change: Params, expected: str) -> None:
    with pytest.raises(HostError) as caught:
        host.call("optimize", **{**GOOD, **change})
    assert (caught.value.error["class"], caught.value.error["code"]) == ("fatal", "bad_request")
    assert expected in caught.value.error["message"].replace(
        "`params.program.steps[0].outputs`", "`outputs`"
    )


def test_shutdown_ends_the_process(start: StartHost) -> None:
    host = start()
    host.hello()
    assert host.call("shutdown") == {}
    assert host.exit_code() == 0


def test_a_missing_package_is_told_at_the_handshake(start: StartHost, tmp_path: Path) -> None:
    script = tmp_path / "bridge.py"
    script.write_text(
        "from dspipe_bridge.optimize import main\n"
        "main.PACKAGES = {**main.PACKAGES, 'dspy': '9.9', 'nowhere-to-be-found': None}\n"
        "main.run()\n"
    )
    host = start(command=[str(script)])
    with pytest.raises(HostError) as caught:
        host.hello()
    assert caught.value.error["code"] == "package_version"
    script.write_text(script.read_text().replace("'dspy': '9.9', ", ""))
    host = start(command=[str(script)])
    with pytest.raises(HostError) as caught:
        host.hello()
    assert caught.value.error == {
        "class": "fatal",
        "code": "package_missing",
        "message": "the Python package `nowhere-to-be-found` is not installed",
    }
