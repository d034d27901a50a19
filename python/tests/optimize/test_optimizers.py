"""Each optimizer with real DSPy over a real pipe: what it is to find is known, and found."""

from optimize.host import Host, Params
from optimize.task import RULE, examples, triage


def optimize(
    host: Host, stages: list[Params], train: int = 12, val: int = 12, **more: object
) -> Params:
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


def test_random_search_finds_a_perfect_set_of_demos(host: Host) -> None:
    settings = {"max_bootstrapped_demos": 2, "max_labeled_demos": 4, "num_candidate_programs": 6}
    result = optimize(host, [{"optimizer": "BootstrapRS", "settings": settings}])
    assert result["score"] == 1.0
    shown = {demo["outputs"]["label"] for demo in result["prompts"]["classify"]["demos"]}
    assert shown == {"R1", "G2", "B3", "X4"}


def test_copro_finds_the_rule(host: Host) -> None:
    settings = {"breadth": 4, "depth": 2}
    result = optimize(host, [{"optimizer": "copro", "settings": settings}], val=0)
    assert result["score"] == 1.0
    assert RULE in result["prompts"]["classify"]["instructions"]


def test_mipro_v2_finds_the_rule(host: Host) -> None:
    settings = {"auto": "light", "max_bootstrapped_demos": 0, "max_labeled_demos": 0}
    result = optimize(host, [{"optimizer": "MIPROv2", "settings": settings}])
    assert result["score"] == 1.0
    assert RULE in result["prompts"]["classify"]["instructions"]


def test_gepa_finds_the_rule_by_feedback(host: Host) -> None:
    settings = {"max_metric_calls": 60}
    result = optimize(host, [{"optimizer": "gepa", "settings": settings}])
    assert result["score"] == 1.0
    assert RULE in result["prompts"]["classify"]["instructions"]


def test_simba_learns_from_results_that_vary(host: Host) -> None:
    settings = {"bsize": 8, "num_candidates": 3, "max_steps": 3, "max_demos": 4}
    result = optimize(host, [{"optimizer": "simba", "settings": settings}], val=0)
    assert result["score"] == 1.0


def test_infer_rules_finds_the_rule(host: Host) -> None:
    settings = {"num_candidates": 4, "max_bootstrapped_demos": 1, "max_labeled_demos": 0}
    result = optimize(host, [{"optimizer": "infer_rules", "settings": settings}])
    assert result["score"] == 1.0
    assert RULE in result["prompts"]["classify"]["instructions"]
