"""The settings of the optimizers: which there are, and what is refused."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from dspipe_bridge.optimize import settings
from dspipe_bridge.optimize.errors import BadRequest
from dspipe_bridge.optimize.optimizers import COMPILE
from optimize.host import Host, HostError
from optimize.task import examples, triage

RUST = Path(__file__).parent.parent.parent.parent / "dspipe-build" / "src" / "spec"


def test_there_are_the_optimizers_of_the_workflow_file() -> None:
    text = (RUST / "optimizer.rs").read_text()
    names = text.split("const NAMES")[1].split("];")[0]
    assert re.findall(r'"(\w+)"', names) == list(settings.TABLES) == list(COMPILE)
    refused = text.split("const REFUSED")[1].split("];")[0]
    assert re.findall(r'^\s+\(?"(\w+)"', refused, re.M) == list(settings.REFUSED)


@pytest.mark.parametrize(
    ("table", "optimizer"),
    [
        ("LABELED", "labeled_few_shot"),
        ("BOOTSTRAP", "bootstrap_few_shot"),
        ("COPRO", "copro"),
        ("MIPRO", "mipro_v2"),
        ("GEPA", "gepa"),
        ("SIMBA", "simba"),
    ],
)
def test_their_settings_are_those_of_the_workflow_file(table: str, optimizer: str) -> None:
    text = (RUST / "optimizer_settings.rs").read_text()
    body = text.split(f"const {table}: Table = &[")[1].split("];\n")[0]
    names = re.findall(r'\(\s*"(\w+)",', body)
    assert names == list(settings.TABLES[optimizer])


GOOD: dict[str, Any] = {
    "auto": "medium",
    "candidate_selection_strategy": "current_best",
    "component_selector": "all",
    "stop_at_score": 90.0,
}


@pytest.mark.parametrize("optimizer", settings.TABLES)
def test_every_setting_takes_a_value_and_refuses_another(optimizer: str) -> None:
    for key, check in settings.TABLES[optimizer].items():
        good = [GOOD.get(key), 2, 0.5, True, "provider/model"]
        assert any(check(value) is None for value in good), key
        wrong: list[Any] = [None, -1, [], {}, "nonsense", float("nan"), 10**12]
        for bad in wrong:
            assert check(bad), key
            with pytest.raises(BadRequest, match=f"`s.{key}` must be"):
                settings.check(optimizer, {key: bad}, "s")


def test_every_setting_reaches_dspy() -> None:
    # Each function of optimizers.py names the settings that it hands on.
    import dspipe_bridge.optimize.optimizers as module

    source = inspect.getsource(module)
    for optimizer, table in settings.TABLES.items():
        for key in table:
            assert f'"{key}"' in source, f"{optimizer}: {key}"


@pytest.mark.parametrize(
    ("optimizer", "given", "expected"),
    [
        ("gepa", {"speed": 1}, "`gepa` has no setting `speed`; it has auto"),
        ("gepa", {"auto": "light", "max_full_evals": 2}, "exclude each other"),
        ("gepa", {"max_metric_calls": 4, "max_full_evals": 2}, "exclude each other"),
        ("mipro_v2", {"auto": "light", "num_trials": 2}, "exclude each other"),
        ("mipro_v2", {"num_trials": 2}, "set both"),
        ("mipro_v2", {"num_candidates": 2}, "set both"),
        ("mipro_v2", {"max_bootstrapped_demos": 0}, "set `max_labeled_demos: 0`"),
        (
            "bootstrap_few_shot_with_random_search",
            {"max_bootstrapped_demos": 0},
            "must be 1 at least",
        ),
        ("copro", {"breadth": 1}, "a whole number from 2"),
        ("labeled_few_shot", {"k": True}, "a whole number from 1"),
    ],
)
def test_what_does_not_go_together_is_refused(
    optimizer: str, given: dict[str, Any], expected: str
) -> None:
    with pytest.raises(BadRequest, match=expected):
        settings.check(optimizer, given, "s")


@pytest.mark.parametrize("name", settings.REFUSED)
def test_optimizers_that_give_no_fixed_prompts_are_refused_with_the_reason(name: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(settings.REFUSED[name])):
        settings.optimizer(name, "s")


def test_names_may_be_those_of_dspy() -> None:
    for name in ("MIPROv2", "GEPA", "SIMBA", "COPRO", "InferRules", "BootstrapFewShot"):
        assert settings.plain(settings.optimizer(name, "s")) == name.lower()
    assert settings.optimizer("BootstrapRS", "s") == "bootstrap_few_shot_with_random_search"
    with pytest.raises(BadRequest, match="no optimizer is called `gradient_descent`"):
        settings.optimizer("gradient_descent", "s")


@pytest.mark.parametrize(
    ("optimizer", "given", "expected"),
    [
        ("simba", {"bsize": 100}, "there are 8 examples to train on"),
        ("mipro_v2", {"minibatch": True}, "`minibatch_size` is 35, but there are 4"),
    ],
)
def test_settings_that_the_data_does_not_allow_are_refused(
    host: Host, optimizer: str, given: dict[str, Any], expected: str
) -> None:
    stages = [{"optimizer": optimizer, "settings": given}]
    with pytest.raises(HostError, match=expected):
        host.call(
            "optimize",
            job="j",
            program=triage(),
            train=examples(8),
            val=examples(4, "v"),
            stages=stages,
        )
    assert not host.events("run")


EVERY: dict[str, dict[str, Any]] = {
    "labeled_few_shot": {"k": 2, "sample": False},
    "bootstrap_few_shot": {
        "metric_threshold": 0.5,
        "max_bootstrapped_demos": 1,
        "max_labeled_demos": 1,
        "max_rounds": 2,
        "max_errors": 3,
        "teacher_lm": "teacher/big",
    },
    "copro": {
        "breadth": 2,
        "depth": 1,
        "init_temperature": 0.5,
        "track_stats": True,
        "prompt_model": "proposer/x",
    },
    "mipro_v2": {
        "num_candidates": 3,
        "num_trials": 2,
        "max_bootstrapped_demos": 1,
        "max_labeled_demos": 1,
        "metric_threshold": 0.5,
        "num_threads": 2,
        "max_errors": 3,
        "seed": 4,
        "init_temperature": 0.5,
        "verbose": True,
        "track_stats": True,
        "minibatch": True,
        "minibatch_size": 2,
        "minibatch_full_eval_steps": 1,
        "program_aware_proposer": False,
        "data_aware_proposer": False,
        "tip_aware_proposer": False,
        "fewshot_aware_proposer": False,
        "view_data_batch_size": 2,
        "prompt_model": "proposer/x",
        "task_model": "task/y",
        "teacher_lm": "teacher/big",
    },
    "gepa": {
        "max_full_evals": 2,
        "reflection_minibatch_size": 2,
        "candidate_selection_strategy": "current_best",
        "reflection_lm": "proposer/x",
        "skip_perfect_score": False,
        "add_format_failure_as_feedback": True,
        "component_selector": "all",
        "use_merge": False,
        "max_merge_invocations": 1,
        "num_threads": 2,
        "failure_score": 0.0,
        "perfect_score": 1.0,
        "track_stats": True,
        "track_best_outputs": True,
        "warn_on_score_mismatch": False,
        "seed": 3,
    },
    "simba": {
        "bsize": 4,
        "num_candidates": 2,
        "max_steps": 1,
        "max_demos": 2,
        "demo_input_field_maxlen": 100,
        "num_threads": 2,
        "temperature_for_sampling": 0.5,
        "temperature_for_candidates": 0.5,
        "seed": 3,
        "prompt_model": "proposer/x",
        "teacher_lm": "teacher/big",
    },
}
EVERY["bootstrap_few_shot_with_random_search"] = {
    **EVERY["bootstrap_few_shot"],
    "num_candidate_programs": 2,
    "num_threads": 2,
    "stop_at_score": 100.0,
    "labeled_sample": False,
}
EVERY["infer_rules"] = {
    **EVERY["bootstrap_few_shot"],
    "num_candidates": 1,
    "num_rules": 2,
    "num_threads": 2,
}


@pytest.mark.parametrize("optimizer", settings.TABLES)
def test_all_settings_at_once_are_taken_and_lms_are_asked_by_name(
    host: Host, optimizer: str
) -> None:
    given = EVERY[optimizer]
    assert set(settings.TABLES[optimizer]) - set(given) <= {"auto", "max_metric_calls"}
    result = host.call(
        "optimize",
        job="j",
        program=triage(),
        train=examples(8),
        val=examples(4, "v"),
        stages=[{"optimizer": optimizer, "settings": given}],
        threads=2,
    )
    assert result["prompts"]["classify"]["instructions"]
    asked = {it["lm"] for it in host.events("lm.complete")}
    ran = {it["steps"]["classify"].get("lm") for it in host.events("run")}
    proposer = "teacher/big" if optimizer == "infer_rules" else "proposer/x"
    assert asked <= {proposer}
    if "teacher_lm" in given:
        assert "teacher/big" in ran
    if "task_model" in given:
        assert "task/y" in ran
    assert ran <= {None, "teacher/big", "task/y"}
