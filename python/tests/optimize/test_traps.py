"""What DSPy does that one would not think, each found by trying; here it must not happen."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from optimize.conftest import StartHost, start_task
from optimize.host import Host, Params
from optimize.task import RULE, Task, examples, triage


def run_stage(host: Host, optimizer: str, settings: Params | None = None, **more: Any) -> Params:
    """One optimizer on the task."""
    params = {
        "job": "j",
        "program": triage(),
        "train": examples(12),
        "val": examples(12, "v"),
        "stages": [{"optimizer": optimizer, "settings": settings or {}}],
        "threads": 4,
        **more,
    }
    result: Params = host.call("optimize", **params)
    return result


def test_nothing_but_protocol_comes_out_whatever_is_printed(start: StartHost) -> None:
    script = Path(__file__).parent / "noisy_bridge.py"
    host = start_task(start, command=[str(script)])
    result = run_stage(host, "labeled_few_shot")
    # The host reads each line as JSON, and would have failed at the first that is none.
    assert len(result["prompts"]["classify"]["demos"]) == 12
    for line in (
        *("print", "sys.__stdout__", "descriptor 1"),
        *("child process", "python child", "puts of libc"),
    ):
        assert line in host.log().splitlines()


def test_success_is_a_perfect_score_unless_a_threshold_is_set(start: StartHost) -> None:
    # DSPy takes any score above zero for success.
    def score(params: Params) -> Any:
        return {"score": 0.99 if params["example"] == "e4" else 0.01}

    task = Task()
    host = start(run=task.run, metric__score=score)
    task.host = host
    host.hello()

    def made(**settings: Any) -> list[str]:
        result = run_stage(host, "bootstrap_few_shot", {"max_labeled_demos": 0, **settings})
        return [it["inputs"]["text"] for it in result["prompts"]["classify"]["demos"]]

    assert made() == []
    assert made(metric_threshold=0.5) == ["Number e4 is red."]
    assert len(made(metric_threshold=0.01)) == 4
    assert len(made(metric_threshold=0.0)) == 4


def test_the_seed_of_mipro_v2_counts_even_if_it_is_zero(start: StartHost) -> None:
    # `MIPROv2.compile(seed=0)` is the seed 9.
    asked: dict[int, list[str]] = {}
    settings = {"num_candidates": 3, "num_trials": 2}
    for seed in (0, 1, 9):
        host = start_task(start)
        run_stage(host, "mipro_v2", {**settings, "seed": seed})
        asked[seed] = [json.dumps(it["messages"]) for it in host.events("lm.complete")]
    assert asked[0] != asked[9]
    assert asked[0] != asked[1]


def test_simba_reads_the_source_of_the_program(start: StartHost) -> None:
    # Without source its rules fail, and it says so in its log only.
    host = start_task(start)
    settings = {"bsize": 8, "num_candidates": 3, "max_steps": 3}
    result = run_stage(host, "simba", settings)
    assert RULE in result["prompts"]["classify"]["instructions"]
    asked = [it["messages"][-1]["text"] for it in host.events("lm.complete")]
    assert all("class Triage(dspy.Module):" in text for text in asked)
    assert not [it for it in host.events("log") if "Strategy failed" in it["message"]]


def test_samples_differ_by_rollout_and_temperature(host: Host) -> None:
    run_stage(host, "simba", {"bsize": 4, "num_candidates": 3, "max_steps": 1})
    setups = [it["steps"]["classify"] for it in host.events("run")]
    sampled = {(it["rollout_id"], it.get("temperature")) for it in setups if "rollout_id" in it}
    assert sampled == {(0, 1.0), (1, 1.0), (2, 1.0)}


def test_several_draws_of_one_proposal_are_told_apart(host: Host) -> None:
    # To a cache they would be one request, and all proposals the same.
    run_stage(host, "copro", {"breadth": 4, "depth": 1})
    asked = host.events("lm.complete")
    assert [it["draw"] for it in asked] == [0, 1, 2]
    assert len({json.dumps(it["messages"]) for it in asked}) == 1
    assert {it["temperature"] for it in asked} == {1.4}


def test_mipro_v2_survives_a_search_with_few_combinations(host: Host) -> None:
    # DSPy fails at the end if all that it tried has been evaluated on all examples.
    settings = {
        "num_candidates": 1,
        "num_trials": 6,
        "minibatch": True,
        "minibatch_size": 2,
        "minibatch_full_eval_steps": 1,
        "max_bootstrapped_demos": 0,
        "max_labeled_demos": 0,
    }
    result = run_stage(host, "mipro_v2", settings)
    assert result["score"] is not None


def test_infer_rules_gives_the_rules_of_its_best_candidate(start: StartHost) -> None:
    # In DSPy its candidates share their signature: the best comes back with the rules of the last.
    task = Task()
    answers = iter([RULE, "Think of the sea.", "Think of the hills."])

    def propose(params: Params) -> Any:
        text = next(answers)
        return {
            "text": f"[[ ## reasoning ## ]]\nWell.\n\n[[ ## natural_language_rules ## ]]\n{text}"
        }

    host = start(run=task.run, metric__score=task.score, lm__complete=propose)
    task.host = host
    host.hello()
    result = run_stage(host, "infer_rules", {"num_candidates": 3, "max_labeled_demos": 0})
    assert RULE in result["prompts"]["classify"]["instructions"]
    assert result["score"] == 1.0


def test_nothing_is_cached_and_nothing_written(start: StartHost, tmp_path: Path) -> None:
    # DSPy's cache takes equal requests to different servers for the same.
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    changed = {"HOME": str(home), "DSPY_CACHEDIR": str(home / "cache")}
    task = Task()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in changed.items():
            patch.setenv(name, value)
        patch.chdir(here)
        host = start_task(start, task, fresh=True)
    for number in range(2):
        host.call("evaluate", job=f"j{number}", program=triage(runs="step"), examples=examples(4))
        run_stage(host, "mipro_v2", {"num_candidates": 2, "num_trials": 1}, job=f"m{number}")
    asked = [it["job"] for it in host.events("lm.complete")]
    assert asked.count("m0") == asked.count("m1") > 0
    assert len(host.events("step.complete")) == 8
    assert not list(home.iterdir())
    assert not list(here.iterdir())


def test_slow_runs_are_not_started_again() -> None:
    # DSPy submits the last three once more after two minutes.
    from dspipe_bridge.optimize.setup import set_up

    set_up(lambda level, logger, message: None)
    from dspy.utils.parallelizer import ParallelExecutor

    assert ParallelExecutor(num_threads=2).timeout == 0
    assert ParallelExecutor(num_threads=2, timeout=5).timeout == 0


def test_the_bridge_needs_no_environment(start: StartHost, tmp_path: Path) -> None:
    # The host starts it with a cleaned environment: there is no key to find.
    keys = [name for name in os.environ if name not in ("PATH", "LD_LIBRARY_PATH")]
    with pytest.MonkeyPatch.context() as patch:
        for name in keys:
            patch.delenv(name)
        host = start_task(start, fresh=True)
    assert run_stage(host, "labeled_few_shot")["prompts"]
    assert sys.executable


@pytest.mark.parametrize("optimizer", ["bootstrap_few_shot_with_random_search", "gepa", "simba"])
def test_two_examples_with_equal_content_are_scored_as_two(
    start: StartHost, optimizer: str
) -> None:
    host = start_task(start)
    twice = [{**it, "id": it["id"].replace("e", "v")} for it in examples(8)]
    settings: Params = {
        "gepa": {"max_metric_calls": 40},
        "simba": {"bsize": 8, "num_candidates": 2, "max_steps": 1},
    }.get(optimizer, {"num_candidate_programs": 1})
    result = run_stage(host, optimizer, settings, train=[*examples(8), *twice], val=twice)
    judged_by = {it["examples"] for it in result["stages"][0]["candidates"]}
    assert judged_by == {16 if optimizer == "simba" else 8}
