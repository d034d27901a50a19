"""The settings of the optimizers, spelt as in the workflow file, with the values they take."""

from collections.abc import Callable, Mapping
from typing import Any

from dspipe_bridge.optimize.errors import BadRequest

Check = Callable[[object], str | None]
"""What is wrong with a value; `None` if nothing is."""

MANY = 1_000_000


def size(least: int, most: int = MANY) -> Check:
    """A whole number in a range."""

    def check(value: object) -> str | None:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if is_whole and isinstance(value, int) and least <= value <= most:
            return None
        return f"a whole number from {least} to {most}"

    return check


def number(least: float, most: float) -> Check:
    """A number in a range."""

    def check(value: object) -> str | None:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if is_number and isinstance(value, (int, float)) and least <= value <= most:
            return None
        return f"a number from {least:g} to {most:g}"

    return check


def flag(value: object) -> str | None:
    """True or false."""
    return None if isinstance(value, bool) else "true or false"


def choice(*values: str) -> Check:
    """One of a few words."""
    return lambda value: None if value in values else f"one of {', '.join(values)}"


def lm(value: object) -> str | None:
    """The name of an LM."""
    parts = value.split("/", 1) if isinstance(value, str) else []
    return None if len(parts) == 2 and all(parts) else "the name of an LM, `provider/model`"


COUNT, COUNT_OR_NONE = size(1), size(0)
THREADS, SEED = size(1, 1024), size(0, 2**32 - 1)
TEMPERATURE, SHARE = number(0.0, 2.0), number(0.0, 1.0)
AUTO = choice("light", "medium", "heavy")

Table = Mapping[str, Check]

BOOTSTRAP: Table = {
    "metric_threshold": SHARE,
    "max_bootstrapped_demos": COUNT_OR_NONE,
    "max_labeled_demos": COUNT_OR_NONE,
    "max_rounds": COUNT,
    "max_errors": COUNT_OR_NONE,
    "teacher_lm": lm,
}

TABLES: Mapping[str, Table] = {
    "labeled_few_shot": {"k": COUNT, "sample": flag},
    "bootstrap_few_shot": BOOTSTRAP,
    "bootstrap_few_shot_with_random_search": {
        **BOOTSTRAP,
        "num_candidate_programs": COUNT,
        "num_threads": THREADS,
        "stop_at_score": number(0.0, 100.0),
        "labeled_sample": flag,
    },
    "copro": {
        "breadth": size(2),
        "depth": COUNT,
        "init_temperature": TEMPERATURE,
        "track_stats": flag,
        "prompt_model": lm,
    },
    "mipro_v2": {
        "auto": AUTO,
        "num_candidates": COUNT,
        "num_trials": COUNT,
        "max_bootstrapped_demos": COUNT_OR_NONE,
        "max_labeled_demos": COUNT_OR_NONE,
        "metric_threshold": SHARE,
        "num_threads": THREADS,
        "max_errors": COUNT_OR_NONE,
        "seed": SEED,
        "init_temperature": TEMPERATURE,
        "verbose": flag,
        "track_stats": flag,
        "minibatch": flag,
        "minibatch_size": COUNT,
        "minibatch_full_eval_steps": COUNT,
        "program_aware_proposer": flag,
        "data_aware_proposer": flag,
        "tip_aware_proposer": flag,
        "fewshot_aware_proposer": flag,
        "view_data_batch_size": COUNT,
        "prompt_model": lm,
        "task_model": lm,
        "teacher_lm": lm,
    },
    "gepa": {
        "auto": AUTO,
        "max_full_evals": COUNT,
        "max_metric_calls": COUNT,
        "reflection_minibatch_size": COUNT,
        "candidate_selection_strategy": choice("pareto", "current_best"),
        "reflection_lm": lm,
        "skip_perfect_score": flag,
        "add_format_failure_as_feedback": flag,
        "component_selector": choice("round_robin", "all"),
        "use_merge": flag,
        "max_merge_invocations": COUNT_OR_NONE,
        "num_threads": THREADS,
        "failure_score": SHARE,
        "perfect_score": SHARE,
        "track_stats": flag,
        "track_best_outputs": flag,
        "warn_on_score_mismatch": flag,
        "seed": SEED,
    },
    "simba": {
        "bsize": COUNT,
        "num_candidates": COUNT,
        "max_steps": COUNT,
        "max_demos": COUNT_OR_NONE,
        "demo_input_field_maxlen": COUNT,
        "num_threads": THREADS,
        "temperature_for_sampling": TEMPERATURE,
        "temperature_for_candidates": TEMPERATURE,
        "seed": SEED,
        "prompt_model": lm,
        "teacher_lm": lm,
    },
    "infer_rules": {
        **BOOTSTRAP,
        "num_candidates": COUNT,
        "num_rules": COUNT,
        "num_threads": THREADS,
    },
}
"""By optimizer: its settings."""

CHANGES_WEIGHTS = "it changes weights of the model; dspipe optimizes instructions and demos"
REFUSED: Mapping[str, str] = {
    "knn_few_shot": "it picks new demos at every call; a compiled workflow has fixed prompts",
    "ensemble": "it runs several programs at every call; a compiled workflow is one",
    "bootstrap_finetune": CHANGES_WEIGHTS,
    "finetune": CHANGES_WEIGHTS,
    "grpo": CHANGES_WEIGHTS,
    "bootstrap_few_shot_with_optuna": "its search cannot be repeated: DSPy gives it no seed",
    "avatar_optimizer": "it does not run in DSPy 3.4",
    "re_anchor": "it tunes thresholds, and a signature has none",
    "better_together": "a chain is written as a list of stages",
}
"""By optimizer of DSPy: why there is none here."""


def plain(name: str) -> str:
    """Without what names of optimizers are spelt differently by: `MIPROv2`, `mipro_v2`."""
    return name.replace("_", "").replace("-", "").lower()


def optimizer(name: str, where: str) -> str:
    """The name of an optimizer, as here or as its class in DSPy is called."""
    wanted = "bootstrapfewshotwithrandomsearch" if plain(name) == "bootstraprs" else plain(name)
    for known in TABLES:
        if plain(known) == wanted:
            return known
    for known, reason in REFUSED.items():
        if plain(known) == wanted:
            raise BadRequest(f"`{where}`: the optimizer `{known}` is not supported: {reason}")
    raise BadRequest(f"`{where}`: no optimizer is called `{name}`; there are {', '.join(TABLES)}")


def check(name: str, settings: Mapping[str, Any], where: str) -> None:
    """Refuses settings that an optimizer does not have, and values that it cannot have."""
    table = TABLES[name]
    for key, value in settings.items():
        if key not in table:
            raise BadRequest(
                f"`{where}`: `{name}` has no setting `{key}`; it has {', '.join(table)}"
            )
        if expected := table[key](value):
            raise BadRequest(f"`{where}.{key}` must be {expected}")
    contradictions(name, settings, where)


def contradictions(name: str, settings: Mapping[str, Any], where: str) -> None:
    """Refuses settings that exclude each other."""
    budgets = {
        "gepa": ("auto", "max_full_evals", "max_metric_calls"),
        "mipro_v2": ("auto", "num_candidates", "num_trials"),
    }.get(name, ())
    found = [key for key in budgets if key in settings]
    if settings.get("max_bootstrapped_demos") == 0:
        # DSPy then draws a number from 1 to 0, in the middle of the search.
        if name == "bootstrap_few_shot_with_random_search":
            raise BadRequest(f"`{where}.max_bootstrapped_demos` must be 1 at least")
        if name == "mipro_v2" and settings.get("max_labeled_demos") != 0:
            text = "without bootstrapped demos there can be no labeled ones: set `max_labeled_demos: 0`"
            raise BadRequest(f"`{where}`: {text}")
    if name == "mipro_v2" and "auto" not in settings:
        if len(found) == 1:
            raise BadRequest(f"`{where}`: set both `num_candidates` and `num_trials`, or neither")
    elif len(found) > 1:
        raise BadRequest(f"`{where}`: `{found[0]}` and `{found[1]}` exclude each other")
