"""Sessions whose messages are in `tests/golden`: each message of the protocol at least once.

`python tests/optimize/golden_sessions.py` writes the files anew.
"""

import json
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent.parent
GOLDEN = TESTS / "golden"

if __name__ == "__main__":
    sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from optimize.host import Answer, Host, HostError, Params, error  # noqa: E402
from optimize.task import Task, examples, triage  # noqa: E402


def work(host: Host) -> None:
    """A workflow is evaluated, optimized, and evaluated as a step."""
    host.call("ping")
    host.call("evaluate", job="baseline", program=triage(), examples=examples(3), threads=1)
    host.call(
        "optimize",
        job="search",
        program=triage(),
        train=examples(3),
        val=examples(2, "v"),
        stages=[
            {"optimizer": "labeled_few_shot", "settings": {"k": 1}},
            {"optimizer": "copro", "settings": {"breadth": 2, "depth": 1}},
        ],
        seed=0,
        threads=1,
    )
    host.call(
        "optimize",
        job="feedback",
        program=triage(),
        train=examples(3),
        val=examples(2, "v"),
        stages=[{"optimizer": "gepa", "settings": {"max_metric_calls": 8}}],
        threads=1,
    )
    prompts = {"classify": {"instructions": "Label it.", "demos": []}}
    host.call(
        "evaluate",
        job="alone",
        program=triage(runs="step"),
        examples=examples(1),
        prompts=prompts,
        threads=1,
    )
    signature = {
        "name": "classify",
        "instructions": "Label the text.",
        "input_fields": [{"name": "text", "type": "string", "description": "What somebody wrote"}],
        "output_fields": [{"name": "label", "type": "string"}],
    }
    config = {
        "optimization_enabled": True,
        "evaluation_mode": "bootstrap_few_shot",
        "training_size": 3,
        "validation_size": 1,
        "few_shot_examples": 2,
        "bootstrap_iterations": 1,
        "optimization_target": "accuracy",
        "evaluation_metric": "exact",
    }
    cases = [{"input": it["inputs"], "output": it["labels"]} for it in examples(4)]
    host.call(
        "optimize_prompt",
        job="one",
        signature=signature,
        config=config,
        context={"examples": cases},
        threads=1,
    )
    tests = [{"input": it["inputs"], "expected": it["labels"]} for it in examples(2)]
    host.call("evaluate_program", job="tests", program=triage(), test_cases=tests, threads=1)
    host.call("shutdown")


def failures(host: Host) -> None:
    """What goes wrong, on either side."""
    expect("protocol_version", lambda: host.call("hello", protocol=2))
    expect("not_greeted", lambda: host.call("evaluate"))
    host.hello()
    host.write(b"not a message\n")
    expect("not_a_message", lambda: host.reply(None))
    expect("bad_request", lambda: host.call("dance"))
    expect("bad_request", lambda: host.call("evaluate", job="j", program={"name": "x"}))
    stages: list[Params] = [{"optimizer": "knn_few_shot"}]
    expect(
        "bad_request",
        lambda: host.call(
            "optimize", job="j", program=triage(), train=examples(1), stages=stages, threads=1
        ),
    )
    # The first example fails, the second is scored, and the third is one too many.
    expect(
        "calls",
        lambda: host.call(
            "evaluate", job="spent", program=triage(), examples=examples(3), threads=1
        ),
    )
    number = host.start(
        "evaluate", job="stopped", program=triage(), examples=examples(1), threads=1
    )
    host.wait_for("run", job="stopped")
    host.call("cancel", job="stopped")
    expect("cancelled", lambda: host.reply(number))
    host.call("cancel", job="stopped")
    host.call("shutdown")


def expect(code: str, what: Callable[[], Any]) -> None:
    """An error is part of the session."""
    try:
        what()
    except HostError as failure:
        assert failure.error["code"] == code, failure
    else:
        raise AssertionError(f"no error: {code}")


def scripted(task: Task) -> dict[str, Answer]:
    """Answers for `work`."""
    # The places in which the labels of `optimize_prompt` and `evaluate_program` stand.
    for number, it in enumerate(examples(4)):
        task.expected[str(number)] = it["labels"]["label"]
    return {
        "run": task.run,
        "step__complete": task.complete,
        "metric__score": task.score,
        "lm__complete": task.propose,
    }


def failing(task: Task) -> dict[str, Answer]:
    """Answers for `failures`."""
    forever = threading.Event()

    def run(params: Params) -> Any:
        if params["job"] == "stopped":
            forever.wait(1)
        text = params["inputs"]["text"]
        if "e0" in text:
            failure = {
                "step": "classify",
                "inputs": {"text": text},
                "kind": "reply",
                "message": "`label` is missing",
                "reply": "I do not know.",
            }
            return {"calls": [], "failure": failure}
        if "e2" in text:
            raise error("budget", "calls", "all calls are spent")
        return task.run(params)

    return {"run": run, "metric__score": task.score}


SESSIONS: dict[str, tuple[Callable[[Task], dict[str, Answer]], Callable[[Host], None]]] = {
    "work": (scripted, work),
    "failures": (failing, failures),
}


def record(name: str, log: Path) -> list[str]:
    """Runs a session; its messages as lines, with what differs from machine to machine made the same."""
    answers, play = SESSIONS[name]
    task = Task()
    host = Host(log, None, **answers(task))
    task.host = host
    try:
        if name == "work":
            host.hello()
        play(host)
        assert host.exit_code() == 0
    finally:
        host.end()
    lines = []
    logged = False
    for it in host.both:
        message = it["message"]
        # One is enough to show: what they say is not part of the protocol.
        if message.get("method") == "log":
            if logged:
                continue
            logged = True
        if "packages" in message.get("result", {}):
            message = {**message, "result": {**message["result"], "python": "3.11.7"}}
            message["result"]["packages"] = {**message["result"]["packages"], "numpy": "2.4.6"}
        lines.append(json.dumps({"from": it["from"], "message": message}, separators=(",", ":")))
    return lines


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for session in SESSIONS:
        with tempfile.TemporaryDirectory() as work_dir:
            text = "\n".join(record(session, Path(work_dir) / "bridge.log")) + "\n"
        (GOLDEN / f"{session}.jsonl").write_text(text)
