"""What goes wrong: in the host's answers, in the runs, in the pipe, in the processes."""

import json
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from optimize.conftest import StartHost, start_task
from optimize.host import Answer, Host, HostError, Params, error
from optimize.task import RULE, Task, examples, triage

STAGES: dict[str, Params] = {
    "bootstrap_few_shot": {"max_rounds": 2},
    "bootstrap_few_shot_with_random_search": {"num_candidate_programs": 2},
    "copro": {"breadth": 2, "depth": 1},
    "mipro_v2": {"num_candidates": 2, "num_trials": 3},
    "gepa": {"max_metric_calls": 40},
    "simba": {"bsize": 8, "num_candidates": 2, "max_steps": 1},
    "infer_rules": {"num_candidates": 2},
}
"""Small settings of each optimizer that asks the host anything."""


def job(host: Host, optimizer: str, **more: Any) -> int:
    """Starts an optimization; the number of the request."""
    return host.start(
        "optimize",
        **{
            "job": "j",
            "program": triage(),
            "train": examples(12),
            "val": examples(12, "v"),
            "stages": [{"optimizer": optimizer, "settings": STAGES.get(optimizer, {})}],
            "threads": 3,
            **more,
        },
    )


def after(
    count: int, answer: Callable[[Params], Any], failure: HostError
) -> Callable[[Params], Any]:
    """Answers so often, and fails from then on."""
    left = [count]
    lock = threading.Lock()

    def answer_or_fail(params: Params) -> Any:
        with lock:
            left[0] -= 1
            if left[0] < 0:
                raise failure
        return answer(params)

    return answer_or_fail


@pytest.mark.parametrize("optimizer", STAGES)
@pytest.mark.parametrize("method", ["run", "metric.score"])
def test_an_error_of_the_host_ends_every_optimizer(
    start: StartHost, optimizer: str, method: str
) -> None:
    # As an ordinary exception it would be a zero, and MIPROv2, GEPA and SIMBA would finish with zeros.
    task = Task()
    answers: dict[str, Answer] = {
        "run": task.run,
        "metric.score": task.score,
        "lm.complete": task.propose,
    }
    answers[method] = after(2, answers[method], error("budget", "calls", "400 calls are spent"))
    host = start(**{name.replace(".", "__"): answer for name, answer in answers.items()})
    task.host = host
    host.hello()
    with pytest.raises(HostError) as caught:
        host.reply(job(host, optimizer))
    found = caught.value.error
    assert (found["class"], found["code"], found["message"]) == (
        "budget",
        "calls",
        "400 calls are spent",
    )
    assert host.call("ping") == {}


@pytest.mark.parametrize("optimizer", ["copro", "mipro_v2", "gepa", "infer_rules"])
def test_an_error_of_the_optimizers_lm_ends_it(start: StartHost, optimizer: str) -> None:
    task = Task()

    def fail(params: Params) -> Any:
        raise error("fatal", "auth", "no key")

    host = start(run=task.run, metric__score=task.score, lm__complete=fail)
    task.host = host
    host.hello()
    with pytest.raises(HostError) as caught:
        host.reply(job(host, optimizer))
    assert (caught.value.error["class"], caught.value.error["code"]) == ("fatal", "auth")


@pytest.mark.parametrize("kind", ["retry", "restart", "fatal", "cancelled", "budget"])
def test_the_class_of_an_error_is_handed_on(start: StartHost, kind: str) -> None:
    def fail(params: Params) -> Any:
        raise error(kind)

    host = start(run=fail)
    host.hello()
    with pytest.raises(HostError) as caught:
        host.call("evaluate", job="j", program=triage(), examples=examples(4))
    assert caught.value.error == {
        "class": kind,
        "code": "test",
        "message": "as the test wants it",
        "best": None,
    }


def test_a_spent_budget_leaves_the_best_candidate_so_far(start: StartHost) -> None:
    task = Task()
    # 12 runs for each of three candidates, and a few for their demos: some are complete before the end.
    host = start(
        run=after(60, task.run, error("budget")),
        metric__score=task.score,
        lm__complete=task.propose,
    )
    task.host = host
    host.hello()
    settings = {"num_candidate_programs": 50}
    stages = [{"optimizer": "BootstrapRS", "settings": settings}]
    with pytest.raises(HostError) as caught:
        host.reply(job(host, "BootstrapRS", stages=stages))
    best = caught.value.error["best"]
    told = host.events("candidate")
    assert told[-1] == {"job": "j", **best}
    assert [it["score"] for it in told] == sorted({it["score"] for it in told})
    assert best["examples"] == 12
    again = start_task(start)
    result = again.call(
        "evaluate", job="e", program=triage(), examples=examples(12, "v"), prompts=best["prompts"]
    )
    assert result["score"] == best["score"] > 0.25


@pytest.mark.parametrize("optimizer", STAGES)
def test_a_cancelled_job_ends_and_asks_no_more(start: StartHost, optimizer: str) -> None:
    task = Task()
    asked, go_on = threading.Event(), threading.Event()

    def hold(params: Params) -> Any:
        asked.set()
        assert go_on.wait(60)
        return task.run(params)

    host = start(run=hold, metric__score=task.score, lm__complete=task.propose)
    task.host = host
    host.hello()
    number = job(host, optimizer)
    assert asked.wait(60)
    assert host.call("cancel", job="j") == {"found": True}
    with pytest.raises(HostError) as caught:
        host.reply(number)
    assert caught.value.error["class"] == "cancelled"
    go_on.set()
    assert host.call("cancel", job="j") == {"found": False}
    runs = len(host.events("run"))
    result = host.call("evaluate", job="k", program=triage(), examples=examples(4))
    assert result["score"] == 0.25
    assert [it["job"] for it in host.events("run")][runs:] == ["k"] * 4


def test_a_job_that_waits_for_its_turn_can_be_cancelled(start: StartHost) -> None:
    task = Task()
    go_on = threading.Event()

    def hold(params: Params) -> Any:
        assert go_on.wait(60)
        return task.run(params)

    host = start(run=hold, metric__score=task.score)
    task.host = host
    host.hello()
    first = host.start("evaluate", job="a", program=triage(), examples=examples(4))
    second = host.start("evaluate", job="b", program=triage(), examples=examples(4))
    with pytest.raises(HostError, match="a job called `b` already"):
        host.call("evaluate", job="b", program=triage(), examples=examples(4))
    assert host.call("cancel", job="b") == {"found": True}
    go_on.set()
    assert host.reply(first)["score"] == 0.25
    with pytest.raises(HostError, match="cancelled the job"):
        host.reply(second)
    assert {it["job"] for it in host.events("run")} == {"a"}


@pytest.mark.parametrize("optimizer", [*STAGES, "labeled_few_shot"])
def test_runs_that_fail_score_zero_and_the_search_goes_on(start: StartHost, optimizer: str) -> None:
    # Without the rule, every run fails: more often than the ten times after which DSPy gives up.
    task = Task()

    def run(params: Params) -> Any:
        prompt = host.prompts.of(params["steps"]["classify"])
        if RULE in prompt["instructions"] or len(prompt["demos"]) > 2:
            return task.run(params)
        failure = {
            "step": "classify",
            "inputs": {"text": params["inputs"]["text"]},
            "kind": "reply",
            "message": "the reply has no `label`",
            "reply": "I do not know.",
        }
        return {"calls": [], "failure": failure}

    host = start(run=run, metric__score=task.score, lm__complete=task.propose)
    task.host = host
    host.hello()
    result = host.reply(job(host, optimizer))
    assert result["prompts"]["classify"]["instructions"]


def test_a_failure_is_told_to_gepas_reflection(start: StartHost) -> None:
    task = Task()
    asked: list[str] = []

    def run(params: Params) -> Any:
        failure = {
            "step": "classify",
            "inputs": params["inputs"],
            "kind": "reply",
            "message": "the reply has no `label`",
            "reply": "I do not know.",
        }
        return {"calls": [], "failure": failure}

    def propose(params: Params) -> Any:
        asked.append(json.dumps(params["messages"]))
        return task.propose(params)

    host = start(run=run, metric__score=task.score, lm__complete=propose)
    host.hello()
    settings = {"max_metric_calls": 30, "add_format_failure_as_feedback": True}
    host.reply(job(host, "gepa", stages=[{"optimizer": "gepa", "settings": settings}]))
    assert any("I do not know." in it for it in asked)


def test_failed_examples_are_in_an_evaluation_as_zeros(start: StartHost) -> None:
    task = Task()

    def run(params: Params) -> Any:
        if "e2 " in params["inputs"]["text"]:
            return {"calls": [], "failure": {"kind": "step", "message": "the network is down"}}
        return task.run(params)

    host = start(run=run, metric__score=task.score)
    task.host = host
    host.hello()
    result = host.call("evaluate", job="j", program=triage(), examples=examples(5))
    assert [row["score"] for row in result["results"]] == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert [row["outputs"] is None for row in result["results"]] == [
        False,
        False,
        True,
        False,
        False,
    ]
    (scored,) = [it for it in host.events("progress") if it["event"] == "scored"]
    assert scored["score"] == result["score"] == 0.4


def test_a_proposal_that_cannot_be_read_ends_no_optimizer(start: StartHost) -> None:
    task = Task()
    host = start(
        run=task.run, metric__score=task.score, lm__complete=lambda params: {"text": "What a day."}
    )
    task.host = host
    host.hello()
    for optimizer in ("gepa", "simba"):
        result = host.reply(job(host, optimizer))
        assert result["prompts"]["classify"]["instructions"] == "Label the text."


@pytest.mark.parametrize(
    ("method", "answer", "expected"),
    [
        ("run", 5, "`run` has no `calls`"),
        ("run", {"calls": []}, "neither `outputs` nor `failure`"),
        ("run", {"calls": [{}], "outputs": {}}, "has no `step`"),
        ("run", {"calls": [{"step": "classify"}], "outputs": {}}, "lacks `inputs` or `outputs`"),
        ("run", {"calls": [], "failure": {}}, "has no `message`"),
        ("metric.score", {"score": None}, "no finite `score`"),
        ("metric.score", {"score": True}, "no finite `score`"),
        ("metric.score", [], "not an object"),
    ],
)
def test_an_answer_that_does_not_fit_ends_the_job(
    start: StartHost, method: str, answer: Any, expected: str
) -> None:
    task = Task()
    answers: dict[str, Answer] = {"run": task.run, "metric.score": task.score}
    answers[method] = lambda params: answer
    host = start(**{name.replace(".", "__"): it for name, it in answers.items()})
    task.host = host
    host.hello()
    with pytest.raises(HostError) as caught:
        host.call("evaluate", job="j", program=triage(), examples=examples(4))
    assert caught.value.error["class"] == "fatal"
    assert caught.value.error["code"] == "protocol"
    assert expected in caught.value.error["message"]


def test_the_bridge_ends_with_its_host(start: StartHost) -> None:
    asked, forever = threading.Event(), threading.Event()

    def hold(params: Params) -> Any:
        asked.set()
        forever.wait(60)

    host = start(run=hold)
    host.hello()
    job(host, "gepa")
    assert asked.wait(60)
    host.close_stdin()
    assert host.exit_code() == 0
    forever.set()


def test_the_bridge_ends_when_nobody_reads_what_it_says(start: StartHost) -> None:
    host = start_task(start)
    host.stop_reading()
    host.send({"id": 1000, "method": "ping", "params": {}})
    assert host.exit_code() == 0


def test_sigterm_ends_the_bridge_at_work(start: StartHost) -> None:
    asked, forever = threading.Event(), threading.Event()

    def hold(params: Params) -> Any:
        asked.set()
        forever.wait(60)

    host = start(run=hold)
    host.hello()
    job(host, "simba")
    assert asked.wait(60)
    host.process.send_signal(signal.SIGTERM)
    assert host.exit_code() == -signal.SIGTERM
    forever.set()


def test_a_ctrl_c_in_the_terminal_is_for_the_host(start: StartHost) -> None:
    host = start_task(start)
    host.process.send_signal(signal.SIGINT)
    result = host.call("evaluate", job="j", program=triage(), examples=examples(4))
    assert result["score"] == 0.25
