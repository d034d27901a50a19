"""What a job does: `optimize` and `evaluate`, from the host's parameters to the result."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dspy

from dspipe_bridge.optimize import optimizers, settings
from dspipe_bridge.optimize.adapter import HostAdapter
from dspipe_bridge.optimize.candidates import Candidates, Scored
from dspipe_bridge.optimize.errors import BadRequest
from dspipe_bridge.optimize.examples import ExampleFields, HostExample
from dspipe_bridge.optimize.job import Job
from dspipe_bridge.optimize.lm import HostLm
from dspipe_bridge.optimize.metric import HostMetric
from dspipe_bridge.optimize.program import HostPrediction, Steps
from dspipe_bridge.optimize.spec import (
    Labelled,
    Object,
    Program,
    Prompt,
    by_name,
    canonical,
    examples,
    listed,
    mapping,
    text,
    whole,
)

THREADS = 8
"""How many runs are in flight if the host does not say."""


@dataclass(frozen=True)
class StageSpec:
    """One optimizer of a chain."""

    optimizer: str
    settings: dict[str, Any]

    @classmethod
    def read(cls, value: object, where: str) -> "StageSpec":
        """From JSON."""
        it = Object(value, where)
        name = settings.optimizer(it.take("optimizer", text), f"{where}.optimizer")
        found = cls(name, it.get("settings", mapping, {}))
        it.end()
        settings.check(name, found.settings, f"{where}.settings")
        return found


@dataclass(frozen=True)
class Optimize:
    """The parameters of `optimize`."""

    program: Program
    train: tuple[Labelled, ...]
    val: tuple[Labelled, ...]
    stages: tuple[StageSpec, ...]
    seed: int
    threads: int

    @classmethod
    def read(cls, it: Object) -> "Optimize":
        """From JSON."""
        found = cls(
            program=it.take("program", Program.read),
            train=it.take("train", examples),
            val=it.get("val", examples, ()),
            stages=tuple(it.take("stages", listed(StageSpec.read))),
            seed=it.get("seed", whole, 0),
            threads=it.get("threads", whole, THREADS) or 1,
        )
        it.end()
        if not found.stages:
            raise BadRequest("`params.stages` must not be empty")
        return found


@dataclass(frozen=True)
class Evaluate:
    """The parameters of `evaluate`."""

    program: Program
    examples: tuple[Labelled, ...]
    prompts: dict[str, Prompt]
    threads: int

    @classmethod
    def read(cls, it: Object) -> "Evaluate":
        """From JSON."""
        found = cls(
            program=it.take("program", Program.read),
            examples=it.take("examples", examples),
            prompts=it.get("prompts", by_name(Prompt.read), {}),
            threads=it.get("threads", whole, THREADS) or 1,
        )
        it.end()
        return found


class Work:
    """A program with its data, for a job."""

    def __init__(self, job: Job, program: Program, *sets: tuple[Labelled, ...]) -> None:
        """The sets are those whose fields DSPy will see."""
        self.job = job
        self.fields = ExampleFields(program, sets)
        self.steps = Steps(program, self.fields.names)

    def for_dspy(self, sources: tuple[Labelled, ...]) -> list[HostExample]:
        """A data set."""
        return [self.fields.example(source) for source in sources]

    @contextmanager
    def context(self, candidates: Candidates, threads: int) -> Iterator[None]:
        """DSPy's settings for this job."""
        with dspy.context(
            lm=HostLm(self.job),
            adapter=HostAdapter(self.job, self.steps, candidates),
            num_threads=threads,
            max_errors=optimizers.NO_LIMIT,
            disable_history=True,
            track_usage=False,
            warn_on_type_mismatch=False,
            provide_traceback=False,
            trace=None,
        ):
            yield

    def evaluate(
        self, student: Any, sources: tuple[Labelled, ...], stage: int, threads: int
    ) -> tuple[float, list[dict[str, Any]], Candidates]:
        """DSPy's evaluation of a program; what each example gave, and the mean score."""
        candidates = Candidates(self.job, stage, sources)
        metric = HostMetric(self.job, self.steps, candidates)
        with self.context(candidates, threads):
            evaluation = dspy.Evaluate(
                devset=self.for_dspy(sources), metric=metric.plain, num_threads=threads
            )
            rows = evaluation(student).results
        results = [self._row(*row) for row in rows]
        return sum(row["score"] for row in results) / len(results), results, candidates

    def _row(self, example: HostExample, prediction: Any, score: Any) -> dict[str, Any]:
        done = isinstance(prediction, HostPrediction)
        return {
            "example": example.source.id,
            "score": float(score),
            "outputs": self.steps.names.out_of(dict(prediction)) if done else None,
        }


def optimize(job: Job, wanted: Optimize) -> dict[str, Any]:
    """Runs the optimizers, one after the other, each from the result of the one before."""
    random.seed(wanted.seed)
    train = shuffled(wanted.train, wanted.seed)
    work = Work(job, wanted.program, wanted.train, wanted.val)
    student = work.steps.build({})
    chain = len(wanted.stages) > 1
    judges = wanted.val or train
    stages: list[dict[str, Any]] = []
    # Of a chain, the stage with the best score counts, and if none is better the program as it was.
    best_prompts, best_score = work.steps.prompts(student), None
    if chain:
        best_score, _, _ = work.evaluate(student, judges, 0, wanted.threads)
    for number, spec in enumerate(wanted.stages, start=1):
        job.tell("progress", {"event": "stage", "stage": number, "optimizer": spec.optimizer})
        student, candidates = compile_stage(work, student, spec, train, wanted, number)
        prompts = work.steps.prompts(student)
        found = [it for it in candidates.scored if it.prompts == prompts]
        score = found[0].score if found else None
        if chain:
            score, _, _ = work.evaluate(student, judges, number, wanted.threads)
        if not chain or best_score is None or (score is not None and score > best_score):
            best_prompts, best_score = prompts, score
        stages.append(
            {
                "optimizer": spec.optimizer,
                "score": score,
                "prompts": to_json(prompts),
                "candidates": ranked(candidates.scored),
            }
        )
    return {
        "prompts": to_json(best_prompts),
        "score": best_score,
        "stages": stages,
        "stats": job.counts.to_json(),
    }


def compile_stage(
    work: Work,
    student: Any,
    spec: StageSpec,
    train: tuple[Labelled, ...],
    wanted: Optimize,
    number: int,
) -> tuple[Any, Candidates]:
    """One optimizer."""
    data = optimizers.split(spec.optimizer, spec.settings, train, wanted.val, wanted.seed)
    candidates = Candidates(work.job, number, data.judged_by)
    stage = optimizers.Stage(
        job=work.job,
        settings=spec.settings,
        student=optimizers.uncompiled(student),
        train=work.for_dspy(data.train),
        val=work.for_dspy(data.val),
        metric=HostMetric(work.job, work.steps, candidates),
        seed=wanted.seed,
        threads=wanted.threads,
    )
    with work.context(candidates, wanted.threads):
        compiled = optimizers.COMPILE[spec.optimizer](stage)
    if spec.optimizer == "infer_rules" and candidates.best is not None:
        # Its candidates share their signatures, so that the best has the rules of the last.
        work.steps.set_prompts(compiled, candidates.best.prompts)
    return compiled, candidates


def evaluate(job: Job, wanted: Evaluate) -> dict[str, Any]:
    """Scores a program."""
    work = Work(job, wanted.program, wanted.examples)
    student = work.steps.build(wanted.prompts)
    score, results, _ = work.evaluate(student, wanted.examples, 0, wanted.threads)
    return {"score": score, "results": results, "stats": job.counts.to_json()}


def shuffled(sources: tuple[Labelled, ...], seed: int) -> tuple[Labelled, ...]:
    """Another order for another seed: some optimizers have one of their own that never changes."""
    if seed == 0:
        return sources
    found = list(sources)
    random.Random(seed).shuffle(found)
    return tuple(found)


def to_json(prompts: Mapping[str, Prompt]) -> dict[str, Any]:
    """By step."""
    return {name: prompt.to_json() for name, prompt in prompts.items()}


def ranked(scored: tuple[Scored, ...]) -> list[dict[str, Any]]:
    """The best first. Threads decide in what order they were scored, so that cannot be it."""
    found: list[dict[str, Any]] = [
        {"score": it.score, "examples": it.examples, "prompts": to_json(it.prompts)}
        for it in scored
    ]
    return sorted(found, key=lambda it: (-it["score"], canonical(it)))
