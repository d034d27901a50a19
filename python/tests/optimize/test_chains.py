"""Chains of optimizers, and the two actions by their older names."""

from typing import Any

import pytest

from optimize.conftest import StartHost
from optimize.host import Host, HostError, Params
from optimize.task import RULE, Task, examples, triage


def chain(host: Host, stages: list[Params], **more: Any) -> Params:
    """A chain on the task."""
    found: Params = host.call(
        "optimize",
        job="j",
        program=triage(),
        train=examples(12),
        val=examples(12, "v"),
        stages=stages,
        threads=4,
        **more,
    )
    return found


def test_each_stage_starts_from_the_one_before(host: Host) -> None:
    result = chain(
        host,
        [
            {"optimizer": "bootstrap_few_shot", "settings": {"max_labeled_demos": 0}},
            {"optimizer": "gepa", "settings": {"max_metric_calls": 40}},
        ],
    )
    first, second = result["stages"]
    assert [it["optimizer"] for it in result["stages"]] == ["bootstrap_few_shot", "gepa"]
    # The demos of the first are in the prompts of the second, which has a better instruction.
    assert first["prompts"]["classify"]["demos"]
    assert second["prompts"]["classify"]["demos"] == first["prompts"]["classify"]["demos"]
    assert RULE in second["prompts"]["classify"]["instructions"]
    assert result["prompts"] == second["prompts"]
    assert (first["score"], second["score"], result["score"]) == (0.25, 1.0, 1.0)


def test_a_stage_that_makes_it_worse_is_not_the_result(start: StartHost) -> None:
    task = Task()

    def run(params: Params) -> Any:
        prompt = host.prompts.of(params["steps"]["classify"])
        outputs = {"label": "none" if prompt["demos"] else "R1"}
        call = {"step": "classify", "inputs": params["inputs"], "outputs": outputs}
        return {"calls": [call], "outputs": outputs}

    host = start(run=run, metric__score=task.score)
    host.hello()
    result = chain(
        host,
        [
            {"optimizer": "labeled_few_shot", "settings": {"k": 1}},
            {"optimizer": "bootstrap_few_shot", "settings": {"max_bootstrapped_demos": 1}},
        ],
    )
    assert result["prompts"]["classify"] == {"instructions": "Label the text.", "demos": []}
    assert result["score"] == 0.25
    assert [it["score"] for it in result["stages"]] == [0.0, 0.0]


def test_every_optimizer_can_follow_every_other(host: Host) -> None:
    # DSPy marks what bootstrapping made as compiled, and others refuse such a program.
    stages = [
        {"optimizer": "bootstrap_few_shot", "settings": {"max_bootstrapped_demos": 1}},
        {
            "optimizer": "bootstrap_few_shot_with_random_search",
            "settings": {"num_candidate_programs": 1},
        },
        {"optimizer": "infer_rules", "settings": {"num_candidates": 1}},
        {"optimizer": "copro", "settings": {"breadth": 2, "depth": 1}},
        {"optimizer": "mipro_v2", "settings": {"num_candidates": 2, "num_trials": 1}},
        {"optimizer": "simba", "settings": {"bsize": 4, "num_candidates": 2, "max_steps": 1}},
        {"optimizer": "gepa", "settings": {"max_metric_calls": 30}},
        {"optimizer": "labeled_few_shot", "settings": {"k": 2}},
    ]
    result = chain(host, stages)
    assert [it["optimizer"] for it in result["stages"]] == [it["optimizer"] for it in stages]
    assert result["score"] == max(it["score"] for it in result["stages"]) == 1.0


SIGNATURE: Params = {
    "name": "classify",
    "instructions": "Label the text.",
    "input_fields": [{"name": "text", "type": "string", "description": "What somebody wrote"}],
    "output_fields": [{"name": "label", "schema": {"type": "string", "enum": ["R1", "G2"]}}],
}


def cases(count: int, label: str) -> list[Params]:
    """Examples in the older form."""
    return [{"input": it["inputs"], label: it["labels"]} for it in examples(count)]


def start_older(start: StartHost) -> Host:
    """A bridge whose examples are known by their places."""
    task = Task()
    task.expected = {str(n): it["labels"]["label"] for n, it in enumerate(examples(50))}
    host = start(
        run=task.run,
        step__complete=task.complete,
        metric__score=task.score,
        lm__complete=task.propose,
    )
    task.host = host
    host.hello()
    return host


def test_optimize_prompt_optimizes_one_signature(start: StartHost) -> None:
    host = start_older(start)
    config = {
        "optimization_enabled": True,
        "evaluation_mode": "bootstrap_few_shot_with_random_search",
        "training_size": 12,
        "validation_size": 8,
        "few_shot_examples": 6,
        "bootstrap_iterations": 2,
        "optimizer_settings": {"num_candidate_programs": 4},
        "optimization_target": "accuracy",
        "evaluation_metric": "exact",
    }
    result = host.call(
        "optimize_prompt",
        job="j",
        signature=SIGNATURE,
        config=config,
        context={"examples": cases(50, "output")},
    )
    assert result["success"] is True
    assert result["metrics"]["score"] == 1.0
    assert len(result["optimized_prompt"]["demos"]) == 6
    evaluated = {it["example"] for it in host.events("metric.score") if not it["bootstrap"]}
    assert evaluated == {str(number) for number in range(12, 20)}


def test_evaluate_program_gives_what_was_expected_and_what_came(start: StartHost) -> None:
    host = start_older(start)
    result = host.call(
        "evaluate_program", job="j", program=triage(), test_cases=cases(4, "expected")
    )
    assert result["success"] is True
    assert result["score"] == 0.25
    assert result["results"][1] == {
        "input": {"text": "Number e1 is green."},
        "expected": {"label": "G2"},
        "actual": {"label": "R1"},
        "score": 0.0,
    }


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"evaluation_mode": "grpo"}, "it changes weights"),
        ({"evaluation_mode": "gepa", "few_shot_examples": 3}, "`gepa` has nothing like it"),
        ({"bootstrap_iterations": 3, "optimizer_settings": {"max_rounds": 2}}, "is there twice"),
        ({"temperature": 3}, "unknown keys: `temperature`"),
    ],
)
def test_older_settings_are_checked(host: Host, config: Params, expected: str) -> None:
    with pytest.raises(HostError, match=expected):
        host.call(
            "optimize_prompt",
            job="j",
            signature=SIGNATURE,
            config=config,
            context={"examples": cases(4, "output")},
        )
