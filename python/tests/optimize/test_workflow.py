"""Workflows as DSPy sees them: several steps, in any order and number, run by the host."""

import json
import random
import threading
import time
from typing import Any

import pytest

from optimize import two_steps
from optimize.conftest import StartHost, start_task
from optimize.host import Host, HostError, Params, field, program, step
from optimize.task import CLASSIFY, LABELS, Task, examples, triage
from optimize.two_steps import Pair, pair, start_pair


def test_gepa_tells_steps_with_equal_signatures_apart(start: StartHost) -> None:
    task = Pair()
    host = start_pair(start, task)
    result = host.call(
        "optimize",
        job="j",
        program=pair(),
        train=two_steps.examples(8),
        val=two_steps.examples(8),
        stages=[{"optimizer": "gepa", "settings": {"max_metric_calls": 120}}],
    )
    assert task.calls
    assert all(call["inputs"]["text"].startswith(call["step"]) for call in task.calls)
    assert {call["step"] for call in task.calls} == {"left", "right"}
    assert result["score"] == 1.0
    instructions = {name: it["instructions"] for name, it in result["prompts"].items()}
    assert instructions == {"left": "Sort it for left.", "right": "Sort it for right."}


def test_as_many_runs_are_in_flight_as_there_are_threads(start: StartHost) -> None:
    # Each run is answered only when four have been asked for.
    task = Pair(wait_for=4)
    host = start_pair(start, task)
    result = host.call(
        "evaluate", job="j", program=pair(), examples=two_steps.examples(8), threads=4
    )
    assert [row["example"] for row in result["results"]] == [f"e{n}" for n in range(8)]


def test_answers_may_come_in_any_order(start: StartHost) -> None:
    task = Task()
    shuffle = random.Random(5)
    lock = threading.Lock()

    def slow(params: Params) -> Any:
        with lock:
            pause = shuffle.random() / 50
        time.sleep(pause)
        return task.run(params)

    host = start(run=slow, metric__score=task.score)
    task.host = host
    host.hello()
    result = host.call("evaluate", job="j", program=triage(), examples=examples(40), threads=8)
    expected = [1.0 if it["labels"]["label"] == "R1" else 0.0 for it in examples(40)]
    assert [row["score"] for row in result["results"]] == expected
    assert result["score"] == 0.25


def test_a_step_that_runs_twice_or_never_is_traced_so(start: StartHost) -> None:
    # `again` runs until it is done: once for even numbers, twice for odd ones; `never` does not run.
    steps = [
        step("again", [field("text")], [field("state")], instructions="Go on."),
        step("never", [field("text")], [field("state")], instructions="Never."),
    ]

    def run(params: Params) -> Any:
        text = params["inputs"]["text"]
        times = 1 + int(text.split()[1]) % 2
        calls = [
            {
                "step": "again",
                "inputs": {"text": f"{text} round {n}"},
                "outputs": {"state": f"s{n}"},
            }
            for n in range(times)
        ]
        return {"calls": calls, "outputs": calls[-1]["outputs"]}

    host = start(run=run, metric__score=lambda params: {"score": 1.0})
    host.hello()
    settings = {"max_bootstrapped_demos": 4, "max_labeled_demos": 0}
    result = host.call(
        "optimize",
        job="j",
        program=program(steps),
        train=two_steps.examples(4),
        stages=[{"optimizer": "bootstrap_few_shot", "settings": settings}],
    )
    demos = result["prompts"]["again"]["demos"]
    assert len(demos) == 4
    assert demos[0] == {
        "inputs": {"text": "item 0 round 0"},
        "outputs": {"state": "s0"},
        "augmented": True,
    }
    assert result["prompts"]["never"] == {"instructions": "Never.", "demos": []}


def test_steps_that_are_not_in_the_program_are_the_hosts_own(start: StartHost) -> None:
    task = Pair()
    host = start(run=lambda params: only_left(task, params), metric__score=task.score)
    task.host = host
    host.hello()
    spec = pair()
    spec["steps"] = spec["steps"][:1]
    settings = {"max_labeled_demos": 0, "metric_threshold": 0.0}
    result = host.call(
        "optimize",
        job="j",
        program=spec,
        train=two_steps.examples(3),
        stages=[{"optimizer": "bootstrap_few_shot", "settings": settings}],
    )
    assert list(result["prompts"]) == ["left"]
    assert len(result["prompts"]["left"]["demos"]) == 3


def only_left(task: Pair, params: Params) -> Any:
    """A run in which `right` is not optimized."""
    assert list(params["steps"]) == ["left"]
    params["steps"]["right"] = {"prompt": "own"}
    task.host.prompts.by_id["own"] = {"step": "right", "instructions": "Sort it.", "demos": []}
    return task.run(params)


RESERVED = [
    *("config", "demos", "signature", "lm", "fields", "instructions", "prediction", "self"),
    *("items", "keys", "copy", "inputs", "labels", "schema", "json", "class", "import", "_private"),
    *("dspy_uuid", "augmented", "new_signature", "completions", "model_config", "9lives", "naïve"),
    *("base", "source", "run", "candidate", "score", "with space", "a-b", "trace"),
]


@pytest.mark.parametrize("runs", ["workflow", "step"])
def test_any_name_of_a_field_comes_back_as_it_was(start: StartHost, runs: str) -> None:
    seen: list[Params] = []

    def answer(params: Params) -> Params:
        seen.append(params)
        return {f"{name}_out": f"did {value}" for name, value in params["inputs"].items()}

    def run(params: Params) -> Any:
        outputs = answer(params)
        call = {"step": "forward", "inputs": params["inputs"], "outputs": outputs}
        return {"calls": [call], "outputs": outputs}

    host = start(
        run=run,
        step__complete=lambda params: {"outputs": answer(params)},
        metric__score=lambda params: {"score": 1.0},
    )
    host.hello()
    # The name of the step is one of DSPy's too.
    only = step(
        "forward", [field(name) for name in RESERVED], [field(f"{name}_out") for name in RESERVED]
    )
    given: list[Params] = [
        {
            "id": f"e{n}",
            "inputs": {name: f"{name} {n}" for name in RESERVED},
            "labels": {f"{name}_out": f"known {name} {n}" for name in RESERVED},
        }
        for n in range(3)
    ]
    settings = {"max_bootstrapped_demos": 1, "max_labeled_demos": 2}
    result = host.call(
        "optimize",
        job="j",
        program=program([only], runs=runs),
        train=given,
        stages=[{"optimizer": "bootstrap_few_shot", "settings": settings}],
    )
    assert seen[0]["inputs"] == given[0]["inputs"]
    made, labelled = result["prompts"]["forward"]["demos"]
    assert made["augmented"]
    assert made["inputs"] == given[0]["inputs"]
    assert made["outputs"] == {f"{name}_out": f"did {name} 0" for name in RESERVED}
    assert not labelled["augmented"]
    assert labelled["outputs"]["config_out"].startswith("known config")
    assert labelled["inputs"].keys() == given[0]["inputs"].keys()
    score = host.events("metric.score")[0]
    assert score["outputs"] == made["outputs"]


def test_a_step_alone_is_asked_for_as_such(start: StartHost) -> None:
    host = start_task(start)
    result = host.call(
        "evaluate", job="j", program=triage(runs="step"), examples=examples(8), threads=2
    )
    assert result["score"] == 0.25
    assert result["stats"] == {"runs": 0, "steps": 8, "lm_calls": 0, "metric_calls": 8}


def test_prompts_to_evaluate_may_be_given(host: Host) -> None:
    prompts = {"classify": {"instructions": "Answer with the code of the colour.", "demos": []}}
    result = host.call("evaluate", job="j", program=triage(), examples=examples(8), prompts=prompts)
    assert result["score"] == 1.0


def test_instructions_come_back_byte_for_byte_if_nothing_changed_them(host: Host) -> None:
    # DSPy cleans indentation whenever it reads them.
    text = "  Label the text.\n\n\n      Indented,\tand so on.\n"
    only = {**CLASSIFY, "instructions": text}
    result = host.call(
        "optimize",
        job="j",
        program=program([only]),
        train=examples(4),
        stages=[{"optimizer": "labeled_few_shot", "settings": {"k": 1}}],
    )
    assert result["prompts"]["classify"]["instructions"] == text
    assert all(it["instructions"] == text for it in host.prompts.by_id.values())


@pytest.mark.parametrize("text", ["", "  \tIndented.\n\n   More.  \n", "One\u2028line."])
def test_instructions_to_evaluate_are_used_as_they_are(host: Host, text: str) -> None:
    demo = {"inputs": {"text": "It is blue."}, "outputs": {"label": "B3"}, "augmented": True}
    prompts = {"classify": {"instructions": text, "demos": [demo]}}
    host.call("evaluate", job="j", program=triage(), examples=examples(1), prompts=prompts)
    (told,) = host.events("prompt")
    assert {key: told[key] for key in ("instructions", "demos")} == prompts["classify"]


def test_steps_without_instructions_have_none(host: Host) -> None:
    only = {key: value for key, value in CLASSIFY.items() if key != "instructions"}
    result = host.call("evaluate", job="j", program=program([only]), examples=examples(4))
    assert result["score"] == 0.25
    assert [it["instructions"] for it in host.prompts.by_id.values()] == [""]


def test_examples_can_say_what_is_known_of_each_step(start: StartHost) -> None:
    task = Pair()
    host = start_pair(start, task)
    train = two_steps.examples(2)
    for it in train:
        it["steps"] = {
            "left": {"text": "left of it", "label": "L"},
            "right": {"text": "right of it", "label": "R"},
        }
    result = host.call(
        "optimize",
        job="j",
        program=pair(),
        train=train,
        stages=[{"optimizer": "labeled_few_shot", "settings": {"k": 1}}],
    )
    assert result["prompts"]["left"]["demos"] == [
        {"inputs": {"text": "left of it"}, "outputs": {"label": "L"}, "augmented": False}
    ]
    assert result["prompts"]["right"]["demos"][0]["outputs"] == {"label": "R"}


def test_an_example_that_says_nothing_of_a_step_is_no_demo_of_it(start: StartHost) -> None:
    # The second step has a field of the example's inputs, and none of its outputs.
    steps = [
        CLASSIFY,
        step("reply", [field("text"), field("kind")], [field("answer")], instructions="Reply."),
    ]

    def run(params: Params) -> Any:
        outputs = {"label": "R1", "answer": "yes"}
        return {"calls": [], "outputs": outputs}

    host = start(run=run, metric__score=lambda params: {"score": 1.0})
    host.hello()
    result = host.call(
        "optimize",
        job="j",
        program=program(steps),
        train=examples(4),
        stages=[{"optimizer": "labeled_few_shot", "settings": {"k": 2}}],
    )
    assert len(result["prompts"]["classify"]["demos"]) == 2
    assert result["prompts"]["reply"]["demos"] == []


def test_demos_of_the_workflow_file_are_in_the_baseline(start: StartHost) -> None:
    host = start_task(start)
    demo = {"inputs": {"text": "It is blue."}, "outputs": {"label": "B3"}, "augmented": False}
    only = {**CLASSIFY, "demos": [demo]}
    result = host.call("evaluate", job="j", program=program([only]), examples=examples(8))
    assert result["score"] == 0.5
    (prompt,) = host.prompts.by_id.values()
    assert prompt["demos"] == [demo]


def test_a_prompt_is_told_once(host: Host) -> None:
    host.call("evaluate", job="j", program=triage(), examples=examples(40), threads=8)
    assert len(host.events("prompt")) == 1
    told = [it.get("method") for it in host.received]
    assert told.index("prompt") < told.index("run")


def test_values_of_any_type_come_and_go_as_they_are(start: StartHost) -> None:
    value = {"a": [1, 2.5, None, True, {"ä\u2028\u0085": "\U0001f600"}], "big": 2**70, "s": ""}
    schema = {"type": "object", "properties": {"a": {"type": "array"}}}
    only = step("same", [field("text", schema)], [field("label", schema)])
    seen: list[Any] = []

    def run(params: Params) -> Any:
        seen.append(params["inputs"]["text"])
        call = {"step": "same", "inputs": params["inputs"], "outputs": {"label": value}}
        return {"calls": [call], "outputs": {"label": value}}

    host = start(run=run, metric__score=lambda params: {"score": 1.0})
    host.hello()
    settings = {"max_labeled_demos": 0}
    result = host.call(
        "optimize",
        job="j",
        program=program([only]),
        train=[{"id": "e0", "inputs": {"text": value}}],
        stages=[{"optimizer": "bootstrap_few_shot", "settings": settings}],
    )
    assert seen == [value]
    (demo,) = result["prompts"]["same"]["demos"]
    assert demo["inputs"]["text"] == value
    assert demo["outputs"]["label"] == value


def test_proposers_see_the_compilers_schema_and_readable_source(start: StartHost) -> None:
    task = Task()
    asked: list[str] = []

    def propose(params: Params) -> Any:
        asked.append(json.dumps(params["messages"]))
        return task.propose(params)

    host = start(run=task.run, metric__score=task.score, lm__complete=propose)
    task.host = host
    host.hello()
    settings = {
        "max_bootstrapped_demos": 0,
        "max_labeled_demos": 0,
        "num_candidates": 2,
        "num_trials": 1,
    }
    host.call(
        "optimize",
        job="j",
        program=triage(),
        train=examples(8),
        val=examples(8, "v"),
        stages=[{"optimizer": "mipro_v2", "settings": settings}],
    )
    everything = "\n".join(asked)
    assert "class Triage(dspy.Module)" in everything
    assert "label <- classify(text)" in everything
    assert "self.classify = dspy.Predict(Classify)" in everything
    assert json.loads(json.dumps(LABELS))["enum"][0] in everything
    assert "Running without program aware proposer" not in str(host.events("log"))


def test_the_metric_is_asked_by_example_and_run(host: Host) -> None:
    host.call("evaluate", job="j", program=triage(), examples=examples(4), threads=1)
    runs = [it["run"] for it in host.events("run")]
    scored = host.events("metric.score")
    assert [it["run"] for it in scored] == runs
    assert [it["example"] for it in scored] == ["e0", "e1", "e2", "e3"]
    assert all(it["bootstrap"] is False and it["call"] is None for it in scored)


def test_a_workflow_without_labels_or_inputs_can_be_evaluated(start: StartHost) -> None:
    host = start(
        run=lambda params: {"calls": [], "outputs": {}}, metric__score=lambda params: {"score": 0.5}
    )
    host.hello()
    given = [{"id": "a", "inputs": {}}, {"id": "b", "inputs": {}}]
    result = host.call(
        "evaluate", job="j", program=program([step("one", [], [field("out")])]), examples=given
    )
    assert result["score"] == 0.5


def test_two_examples_with_one_id_are_refused(host: Host) -> None:
    with pytest.raises(HostError, match="`e0` is there twice"):
        host.call("evaluate", job="j", program=triage(), examples=examples(1) * 2)
