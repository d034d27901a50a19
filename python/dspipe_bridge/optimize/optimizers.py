"""DSPy's optimizers: from a stage of a job to the call of `compile`."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.teleprompt import (
    COPRO,
    GEPA,
    SIMBA,
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    InferRules,
    LabeledFewShot,
    MIPROv2,
)

from dspipe_bridge.optimize.errors import BadRequest
from dspipe_bridge.optimize.job import Job
from dspipe_bridge.optimize.lm import HostLm
from dspipe_bridge.optimize.metric import HostMetric
from dspipe_bridge.optimize.spec import Labelled

NO_LIMIT = 10**9
"""Of errors. DSPy gives up after ten; here what fails scores zero, and the host has a budget."""

PERFECT = 1.0
"""The threshold that is used if none is set. DSPy without one takes any score above zero for success."""

MIPRO_VALIDATION = {"light": 100, "medium": 300, "heavy": 1000}
"""How many examples MIPROv2 validates on at most, by its `auto`."""


class Mipro(MIPROv2):  # type: ignore[misc]
    """MIPROv2 that goes on when each combination it has tried has had its full evaluation.

    DSPy raises an error then, at the end of a long search of few combinations, and all is lost.
    """

    def _perform_full_evaluation(
        self,
        trial_num: int,
        adjusted_num_trials: int,
        param_score_dict: Any,
        fully_evaled_param_combos: Any,
        *rest: Any,
    ) -> Any:
        if param_score_dict.keys() <= fully_evaled_param_combos.keys():
            _, _, _, total_eval_calls, _, best_score, best_program, *_ = rest
            return best_score, best_program, total_eval_calls
        return super()._perform_full_evaluation(
            trial_num, adjusted_num_trials, param_score_dict, fully_evaled_param_combos, *rest
        )


@dataclass(frozen=True)
class Data:
    """The examples of a stage."""

    train: tuple[Labelled, ...]
    val: tuple[Labelled, ...]
    judged_by: tuple[Labelled, ...]
    """Those that full evaluations of this optimizer use."""


@dataclass(frozen=True)
class Stage:
    """One optimizer with what it works on."""

    job: Job
    settings: Mapping[str, Any]
    student: Any
    train: list[Any]
    val: list[Any]
    metric: HostMetric
    seed: int
    threads: int

    def pick(self, *names: str) -> dict[str, Any]:
        """The settings that are set, of these."""
        return {name: self.settings[name] for name in names if name in self.settings}

    def lm(self, name: str) -> HostLm:
        """The LM that a setting names, or the one that the host has for optimizers."""
        return HostLm(self.job, self.settings.get(name))

    @property
    def common(self) -> dict[str, Any]:
        """What most of them take."""
        return {"num_threads": self.settings.get("num_threads", self.threads)}

    @property
    def teacher(self) -> dict[str, Any]:
        """The teacher's LM, if it is not the student's."""
        if "teacher_lm" not in self.settings:
            return {}
        return {"teacher_settings": {"lm": self.lm("teacher_lm")}}

    @property
    def bootstrap(self) -> dict[str, Any]:
        """What all that bootstrap take."""
        return {
            "metric": self.metric.plain,
            "metric_threshold": self.threshold,
            "max_errors": self.settings.get("max_errors", NO_LIMIT) or 1,
            **self.teacher,
            **self.pick("max_bootstrapped_demos", "max_labeled_demos", "max_rounds"),
        }

    @property
    def threshold(self) -> float:
        """What counts as success."""
        wanted = float(self.settings.get("metric_threshold", PERFECT))
        # DSPy takes zero for none, and then zero for failure.
        return wanted if wanted > 0 else -1.0


def labeled_few_shot(stage: Stage) -> Any:
    """Labelled examples as demos."""
    optimizer = LabeledFewShot(**stage.pick("k"))
    return optimizer.compile(stage.student, trainset=stage.train, **stage.pick("sample"))


def bootstrap_few_shot(stage: Stage) -> Any:
    """Demos from runs that succeeded."""
    return BootstrapFewShot(**stage.bootstrap).compile(stage.student, trainset=stage.train)


def random_search(stage: Stage) -> Any:
    """The best of several sets of demos."""
    optimizer = BootstrapFewShotWithRandomSearch(
        **stage.bootstrap, **stage.common, **stage.pick("num_candidate_programs", "stop_at_score")
    )
    return optimizer.compile(
        stage.student, trainset=stage.train, valset=stage.val, **stage.pick("labeled_sample")
    )


def copro(stage: Stage) -> Any:
    """Instructions, proposed and improved step by step."""
    optimizer = COPRO(
        metric=stage.metric.plain,
        prompt_model=stage.lm("prompt_model"),
        **stage.pick("breadth", "depth", "init_temperature", "track_stats"),
    )
    evaluation = {**stage.common, "display_progress": False}
    return optimizer.compile(stage.student, trainset=stage.train, eval_kwargs=evaluation)


def mipro_v2(stage: Stage) -> Any:
    """Instructions and demos together, searched by Optuna."""
    by_hand = "num_trials" in stage.settings
    optimizer = Mipro(
        metric=stage.metric.plain,
        metric_threshold=stage.threshold,
        prompt_model=stage.lm("prompt_model"),
        task_model=stage.lm("task_model"),
        auto=None if by_hand else stage.settings.get("auto", "light"),
        max_errors=stage.settings.get("max_errors", NO_LIMIT) or 1,
        # Here and not in `compile`, where zero would be taken for none.
        seed=stage.settings.get("seed", stage.seed),
        **stage.teacher,
        **stage.common,
        **stage.pick("num_candidates", "max_bootstrapped_demos", "max_labeled_demos"),
        **stage.pick("init_temperature", "verbose", "track_stats"),
    )
    size = stage.settings.get("minibatch_size", 35)
    if stage.settings.get("minibatch") and size > len(stage.val):
        raise BadRequest(
            f"`minibatch_size` is {size}, but there are {len(stage.val)} examples to validate"
        )
    return optimizer.compile(
        stage.student,
        trainset=stage.train,
        valset=stage.val,
        minibatch=stage.settings.get("minibatch", size <= len(stage.val)),
        **stage.pick("num_trials", "minibatch_size", "minibatch_full_eval_steps"),
        **stage.pick("program_aware_proposer", "data_aware_proposer", "tip_aware_proposer"),
        **stage.pick("fewshot_aware_proposer", "view_data_batch_size"),
    )


def gepa(stage: Stage) -> Any:
    """Instructions, evolved by reflection on feedback."""
    budget = stage.pick("auto", "max_full_evals", "max_metric_calls") or {"auto": "light"}
    optimizer = GEPA(
        metric=stage.metric.per_step,
        reflection_lm=stage.lm("reflection_lm"),
        seed=stage.settings.get("seed", stage.seed),
        **budget,
        **stage.common,
        **stage.pick("reflection_minibatch_size", "candidate_selection_strategy"),
        **stage.pick("skip_perfect_score", "add_format_failure_as_feedback", "component_selector"),
        **stage.pick("use_merge", "max_merge_invocations", "failure_score", "perfect_score"),
        **stage.pick("track_stats", "track_best_outputs", "warn_on_score_mismatch"),
    )
    return optimizer.compile(stage.student, trainset=stage.train, valset=stage.val)


def simba(stage: Stage) -> Any:
    """Demos and rules from examples whose results vary."""
    size = stage.settings.get("bsize", min(32, len(stage.train)))
    if size > len(stage.train):
        raise BadRequest(
            f"`bsize` is {size}, but there are {len(stage.train)} examples to train on"
        )
    teacher = stage.teacher
    optimizer = SIMBA(
        metric=stage.metric.with_feedback,
        prompt_model=stage.lm("prompt_model"),
        bsize=size,
        **teacher,
        **stage.common,
        **stage.pick("num_candidates", "max_steps", "max_demos", "demo_input_field_maxlen"),
        **stage.pick("temperature_for_sampling", "temperature_for_candidates"),
    )
    seed = stage.settings.get("seed", stage.seed)
    return optimizer.compile(stage.student, trainset=stage.train, seed=seed)


def infer_rules(stage: Stage) -> Any:
    """Demos, and rules induced from the examples."""
    optimizer = InferRules(
        **stage.bootstrap, **stage.common, **stage.pick("num_candidates", "num_rules")
    )
    return optimizer.compile(stage.student, trainset=stage.train, valset=stage.val)


COMPILE: Mapping[str, Callable[[Stage], Any]] = {
    "labeled_few_shot": labeled_few_shot,
    "bootstrap_few_shot": bootstrap_few_shot,
    "bootstrap_few_shot_with_random_search": random_search,
    "copro": copro,
    "mipro_v2": mipro_v2,
    "gepa": gepa,
    "simba": simba,
    "infer_rules": infer_rules,
}
"""By name: what makes the optimized program."""


def split(
    name: str,
    settings: Mapping[str, Any],
    train: tuple[Labelled, ...],
    val: tuple[Labelled, ...],
    seed: int,
) -> Data:
    """The examples that an optimizer trains on and is judged by.

    DSPy splits on its own where there are none to validate. It is done here, in the same proportions, so
    that it is known which examples a full evaluation has.
    """
    if name in ("copro", "simba"):
        # They have no other set.
        return Data(train, val, train)
    if not val:
        if name in ("mipro_v2", "infer_rules"):
            if len(train) < 2:
                raise BadRequest(f"`{name}` needs two examples at least: to train and to validate")
            share = 0.8 if name == "mipro_v2" else 0.5
            cut = len(train) - max(1, min(1000, int(share * len(train))))
            train, val = train[:cut] or train[:1], train[cut:]
        else:
            val = train
    if name == "mipro_v2" and "num_trials" not in settings:
        most = MIPRO_VALIDATION[settings.get("auto", "light")]
        if len(val) > most:
            chosen = sorted(random.Random(seed).sample(range(len(val)), most))
            val = tuple(val[index] for index in chosen)
    return Data(train, val, val)


def uncompiled(student: Any) -> Any:
    """A program that the next optimizer takes: it has been through one already."""
    for _, module in student.named_sub_modules(dspy.Module):
        module._compiled = False
    return student
