"""The same answers give the same result, to the byte, whatever the threads do."""

import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optimize.host import Host, HostError, Params, error
from optimize.task import Task, examples, triage
from optimize.test_failures import STAGES

ALL = {"labeled_few_shot": {"k": 4}, **STAGES}


def canonical(value: object) -> str:
    """As text."""
    return json.dumps(value, sort_keys=True)


class Recorder:
    """Answers from a record what is in it, and the rest from the task, as many times as it may."""

    def __init__(self, record: dict[str, Any], allowed: int, pauses: int) -> None:
        """`pauses` is the seed of short waits, so that threads come in another order."""
        self.record = record
        self.task = Task()
        self.live = 0
        self._allowed = allowed
        self._random = random.Random(pauses)
        self._lock = threading.Lock()

    def answer(self, method: str) -> Callable[[Params], Any]:
        """What answers a method."""
        live = {
            "run": self.task.run,
            "metric.score": self.task.score,
            "lm.complete": self.task.propose,
        }[method]

        def find(params: Params) -> Any:
            with self._lock:
                pause = self._random.random() / 500
            time.sleep(pause)
            key = self.key(method, params)
            if key not in self.record:
                with self._lock:
                    if self.live == self._allowed:
                        raise error("budget")
                    self.live += 1
                self.record[key] = live(params)
            return self.record[key]

        return find

    def key(self, method: str, params: Params) -> str:
        """What is asked, without the names of the day: those of the run and of the prompts."""
        asked = {key: value for key, value in params.items() if key not in ("job", "run")}
        if method == "run":
            setups = {}
            for name, setup in params["steps"].items():
                prompt = self.task.host.prompts.by_id[setup["prompt"]]
                content = {key: prompt[key] for key in ("instructions", "demos")}
                setups[name] = {**setup, "prompt": content}
            asked["steps"] = setups
        return method + canonical(asked)


def run(log: Path, recorder: Recorder, optimizer: str, seed: int = 1, hash_seed: str = "0") -> str:
    """One optimization in a process of its own; its result as the bridge sent it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONHASHSEED", hash_seed)
        host = Host(
            log,
            run=recorder.answer("run"),
            metric__score=recorder.answer("metric.score"),
            lm__complete=recorder.answer("lm.complete"),
        )
    recorder.task.host = host
    try:
        host.hello()
        result = host.call(
            "optimize",
            job="j",
            program=triage(),
            train=examples(12),
            val=examples(12, "v"),
            stages=[{"optimizer": optimizer, "settings": ALL[optimizer]}],
            seed=seed,
            threads=4,
        )
        # In the order in which it came, unsorted: that is to be the same too.
        return json.dumps(result)
    finally:
        host.end()


@pytest.mark.parametrize("optimizer", ALL)
def test_equal_answers_give_equal_results(optimizer: str, tmp_path: Path) -> None:
    record: dict[str, Any] = {}
    first = run(tmp_path / "1", Recorder(record, 10**6, pauses=1), optimizer)
    again = Recorder(record, allowed=0, pauses=2)
    assert run(tmp_path / "2", again, optimizer, hash_seed="17") == first
    assert again.live == 0


@pytest.mark.parametrize(
    "optimizer", ["bootstrap_few_shot_with_random_search", "mipro_v2", "gepa", "simba"]
)
def test_an_optimization_that_was_stopped_is_continued_by_replaying_it(
    optimizer: str, tmp_path: Path
) -> None:
    whole = Recorder({}, 10**6, pauses=1)
    expected = run(tmp_path / "whole", whole, optimizer)
    record: dict[str, Any] = {}
    stopped = Recorder(record, allowed=whole.live // 2, pauses=2)
    with pytest.raises(HostError):
        run(tmp_path / "stopped", stopped, optimizer)
    rest = Recorder(record, 10**6, pauses=3)
    assert run(tmp_path / "rest", rest, optimizer) == expected
    # What was answered before the stop is not paid for again.
    assert stopped.live + rest.live == whole.live


def test_another_seed_is_another_search(tmp_path: Path) -> None:
    name = "bootstrap_few_shot_with_random_search"
    found = {
        run(tmp_path / str(seed), Recorder({}, 10**6, pauses=1), name, seed) for seed in (1, 2, 3)
    }
    assert len(found) > 1
