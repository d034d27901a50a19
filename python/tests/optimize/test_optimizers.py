"""Each optimizer with real DSPy over a real pipe: what it is to find is known, and found."""

import pytest

from optimize.host import Host, Params
from optimize.task import examples, triage


def optimize(host: Host, stages: list[Params], train: int = 12, val: int = 12, **more: object) -> Params:
    """A job to its end."""
    result: Params = host.call(
        "optimize",
        job="j1",
        program=triage(),
        train=examples(train),
        stages=stages,
        threads=4,
        **({"val": examples(val, "v")} if val else {}),
        **more,
    )
    return result


def test_labeled_few_shot_puts_examples_into_the_prompt(host: Host) -> None:
    result = optimize(host, [{"optimizer": "labeled_few_shot", "settings": {"k": 3}}])
    demos = result["prompts"]["classify"]["demos"]
    assert len(demos) == 3
    assert all(not demo["augmented"] and demo["outputs"]["label"] for demo in demos)
    assert result["prompts"]["classify"]["instructions"] == "Label the text."


def test_bootstrap_few_shot_takes_runs_that_succeeded(host: Host) -> None:
    settings = {"max_bootstrapped_demos": 2, "max_labeled_demos": 4}
    result = optimize(host, [{"optimizer": "BootstrapFewShot", "settings": settings}])
    demos = result["prompts"]["classify"]["demos"]
    assert [demo["augmented"] for demo in demos].count(True) == 2
    assert len(demos) == 4
