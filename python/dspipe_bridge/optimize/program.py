"""The workflow as a `dspy.Module`: one predictor per step, and a `forward` that the host runs."""

import inspect
import linecache
import operator
import sys
import types
from collections.abc import Mapping
from typing import Any

import dspy
from dspy.signatures.signature import make_signature

from dspipe_bridge.optimize.adapter import MARK, Done, Failure, replaying
from dspipe_bridge.optimize.errors import Abort, StepFailed
from dspipe_bridge.optimize.examples import demo_of
from dspipe_bridge.optimize.job import Job
from dspipe_bridge.optimize.lm import HostLm
from dspipe_bridge.optimize.names import STEPS, Names
from dspipe_bridge.optimize.spec import Demo, Program, Prompt, Step, canonical
from dspipe_bridge.optimize.types import python_type

MODULE = "dspipe_bridge_program"
"""Where the class of the running job's program is."""


class HostPrediction(dspy.Prediction):  # type: ignore[misc]
    """What a run of the workflow gave."""

    def __init__(
        self, *arguments: Any, run: str = "", candidate: str | None = None, **fields: Any
    ) -> None:
        """`candidate` is what ran, or `None` if the run was a sample with chance in it."""
        super().__init__(*arguments, **fields)
        self._run = run
        self._candidate = candidate

    @property
    def run(self) -> str:
        """Its name, which the host knows."""
        found: str = self._run
        return found

    @property
    def candidate(self) -> str | None:
        """What ran."""
        found: str | None = self._candidate
        return found


class Steps:
    """The steps of a program, and how they are called here and there."""

    def __init__(self, program: Program, names: Names) -> None:
        """`names` are those of all fields."""
        self.program = program
        self.by_name: Mapping[str, Step] = {step.name: step for step in program.steps}
        self.attributes = Names([step.name for step in program.steps], STEPS)
        # One table for all, so that a field is called the same in an example and in each step.
        self.names = names
        self._classes = class_names([step.name for step in program.steps], program.name)
        self._signatures = {step.name: self._signature(step) for step in program.steps}
        # DSPy cleans indentation, and writes something itself where there is nothing. By step and what
        # it made of them: the instructions as they were written.
        self._written: dict[tuple[str, str], str] = {}
        # By step, the prompt that ran last, with what it was made of and its id.
        self._last: dict[str, tuple[Any, tuple[Any, ...], Prompt, str]] = {}
        self._class = self._module_class()

    def build(self, prompts: Mapping[str, Prompt]) -> Any:
        """The program with these prompts."""
        student = self._class()
        self.set_prompts(student, prompts)
        return student

    def set_prompts(self, student: Any, prompts: Mapping[str, Prompt]) -> None:
        """Gives the steps these prompts."""
        for step, predictor in self.predictors(student):
            prompt = prompts.get(step.name, step.prompt)
            signature = self._signatures[step.name].with_instructions(prompt.instructions)
            self._written[step.name, signature.instructions] = prompt.instructions
            predictor.signature = signature
            predictor.demos = [self._demo(step, demo) for demo in prompt.demos]

    def predictors(self, student: Any) -> list[tuple[Step, Any]]:
        """The predictors of a program, in the order of the steps."""
        return [
            (step, getattr(student, self.attributes.inside(step.name)))
            for step in self.program.steps
        ]

    def prompt(self, step: Step, predictor: Any) -> Prompt:
        """The instructions and demos that a predictor has now."""
        return self.prompt_of(step, predictor.signature, predictor.demos)

    def prompt_of(self, step: Step, signature: Any, demos: Any) -> Prompt:
        """The instructions and demos of one call."""
        instructions = str(signature.instructions)
        instructions = self._written.get((step.name, instructions), instructions)
        found = [demo_of(step, self.names, demo) for demo in demos]
        return Prompt(instructions, tuple(demo for demo in found if demo is not None))

    def prompts(self, student: Any) -> dict[str, Prompt]:
        """The prompts of all steps."""
        return {
            step.name: self.prompt(step, predictor) for step, predictor in self.predictors(student)
        }

    def run_steps(self, student: Any, inputs: Mapping[str, Any]) -> HostPrediction:
        """`forward` of a workflow: the host runs it, with the prompts that the program has now."""
        job, candidate, setups = self._begin(student)
        run = job.next_run()
        given = self.names.out_of(inputs)
        job.count("runs")
        try:
            outputs = self._run(student, job, {"run": run, "inputs": given, "steps": setups})
        except Exception:
            self._failed(candidate, given)
            raise
        return HostPrediction(base=self.names.into(outputs), run=run, candidate=candidate)

    def run_step(self, student: Any, inputs: Mapping[str, Any]) -> HostPrediction:
        """`forward` of a step alone."""
        job, candidate, _ = self._begin(student)
        ((_, predictor),) = self.predictors(student)
        try:
            outputs = dict(predictor(**inputs))
        except Exception:
            self._failed(candidate, self.names.out_of(inputs))
            raise
        return HostPrediction(base=outputs, run=job.next_run(), candidate=candidate)

    def _begin(self, student: Any) -> tuple[Job, str | None, dict[str, dict[str, Any]]]:
        """What is about to run, told to those who keep the scores."""
        adapter = dspy.settings.adapter
        prompts, setups = {}, {}
        for step, predictor in self.predictors(student):
            prompts[step.name], prompt_id = self._told(adapter.job, step, predictor)
            lm = predictor.lm or dspy.settings.lm
            setups[step.name] = sampling(prompt_id, lm, predictor.config)
        # A run with a rollout id is one sample of many: its score says little of the prompts.
        if any("rollout_id" in setup for setup in setups.values()):
            return adapter.job, None, setups
        candidate = canonical(setups)
        adapter.candidates.ran(candidate, prompts)
        return adapter.job, candidate, setups

    def _told(self, job: Job, step: Step, predictor: Any) -> tuple[Prompt, str]:
        """The prompt that a predictor has now, and its id: the same for all runs of a candidate."""
        signature, demos = predictor.signature, tuple(predictor.demos)
        if (last := self._last.get(step.name)) is not None:
            # Optimizers put other objects in place of these, and change none.
            same = len(last[1]) == len(demos) and all(map(operator.is_, last[1], demos))
            if last[0] is signature and same:
                return last[2], last[3]
        prompt = self.prompt_of(step, signature, demos)
        prompt_id = job.prompt_id(step.name, prompt)
        self._last[step.name] = (signature, demos, prompt, prompt_id)
        return prompt, prompt_id

    def _failed(self, candidate: str | None, inputs: Mapping[str, Any]) -> None:
        if candidate is not None:
            dspy.settings.adapter.candidates.failed(candidate, inputs)

    def _run(self, student: Any, job: Job, params: Mapping[str, Any]) -> dict[str, Any]:
        answer = job.ask("run", params)
        if not isinstance(answer, dict) or not isinstance(answer.get("calls"), list):
            raise Abort("fatal", "protocol", "the answer to `run` has no `calls`")
        for call in answer["calls"]:
            self._replay(student, call)
        if answer.get("failure") is not None:
            self._fail(student, Failure.read(answer["failure"], "run"))
        if not isinstance(answer.get("outputs"), dict):
            raise Abort(
                "fatal", "protocol", "the answer to `run` has neither `outputs` nor `failure`"
            )
        outputs: dict[str, Any] = answer["outputs"]
        return outputs

    def complete(
        self, job: Job, name: str, lm: Any, config: Any, signature: Any, demos: Any, inputs: Any
    ) -> Done | Failure:
        """One step alone."""
        step = self.by_name[name]
        prompt = job.prompt_id(name, self.prompt_of(step, signature, demos))
        params = {
            "step": name,
            "inputs": self.names.out_of(inputs),
            **sampling(prompt, lm, config),
        }
        job.count("steps")
        answer = job.ask("step.complete", params)
        if isinstance(answer, dict) and answer.get("failure") is not None:
            return Failure.read(answer["failure"], "step.complete")
        if not isinstance(answer, dict) or not isinstance(answer.get("outputs"), dict):
            raise Abort("fatal", "protocol", "the answer to `step.complete` has no `outputs`")
        return Done(answer["outputs"])

    def _replay(self, student: Any, call: object) -> None:
        """Lets a predictor see what the host's run of its step gave, so that it is in DSPy's trace."""
        if not isinstance(call, dict) or not isinstance(call.get("step"), str):
            raise Abort("fatal", "protocol", "a call in the answer to `run` has no `step`")
        if call["step"] not in self.by_name:
            return
        inputs, outputs = call.get("inputs"), call.get("outputs")
        if not isinstance(inputs, dict) or not isinstance(outputs, dict):
            raise Abort(
                "fatal", "protocol", "a call in the answer to `run` lacks `inputs` or `outputs`"
            )
        # Evaluations keep no trace, and going through a predictor costs as much as all else in them.
        if dspy.settings.trace is None:
            return
        self._call(student, call["step"], inputs, Done(outputs))

    def _fail(self, student: Any, failure: Failure) -> None:
        if failure.step is not None and failure.step in self.by_name:
            self._call(student, failure.step, failure.inputs, failure)
        raise StepFailed(failure.message)

    def _call(
        self, student: Any, step: str, inputs: Mapping[str, Any], what: Done | Failure
    ) -> None:
        predictor = getattr(student, self.attributes.inside(step))
        with replaying(what):
            predictor(**self.names.into(inputs))

    def _signature(self, step: Step) -> Any:
        names = self.names
        fields = {}
        for given, make in ((step.inputs, dspy.InputField), (step.outputs, dspy.OutputField)):
            for it in given:
                made = make(desc=it.description) if it.description else make()
                made.json_schema_extra[MARK] = step.name
                fields[names.inside(it.name)] = (python_type(it.name, it.schema), made)
        return make_signature(fields, step.prompt.instructions or None, self._classes[step.name])

    def _demo(self, step: Step, demo: Demo) -> Any:
        values = self.names.into({**demo.inputs, **demo.outputs})
        return dspy.Example(base=values | ({"augmented": True} if demo.augmented else {}))

    def _module_class(self) -> Any:
        """A class with source code: optimizers read that, and do less, without a word, if there is none."""
        source = self._source()
        # inspect asks the class for its module, the module for its file, and linecache for the text.
        file = f"<dspipe:{self.program.name}>"
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        module = types.ModuleType(MODULE)
        module.__file__ = file
        space = module.__dict__
        space.update({"dspy": dspy, "workflow": self})
        space.update({self._classes[name]: it for name, it in self._signatures.items()})
        sys.modules[MODULE] = module
        exec(compile(source, file, "exec"), space)
        return space[class_name(self.program.name)]

    def _source(self) -> str:
        lines = [f"class {class_name(self.program.name)}(dspy.Module):"]
        for text in (self.program.description, self.program.outline):
            lines += [
                f"    # {line}".rstrip() for line in inspect.cleandoc(text).splitlines() if text
            ]
        lines += ["    def __init__(self):", "        super().__init__()"]
        for step in self.program.steps:
            about = f"  # {' '.join(step.description.split())}" if step.description else ""
            attribute = self.attributes.inside(step.name)
            lines.append(
                f"        self.{attribute} = dspy.Predict({self._classes[step.name]}){about}"
            )
        what = "step" if self.program.runs == "step" else "steps"
        lines += ["", "    def forward(self, **inputs):"]
        lines.append(f"        return workflow.run_{what}(self, inputs)")
        return "\n".join(lines) + "\n"


def sampling(prompt: str, lm: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """How a step is to be run: its prompt, and what differs from what the workflow says."""
    options = {**lm.kwargs, **config}
    found = {
        "prompt": prompt,
        "lm": lm.host_name if isinstance(lm, HostLm) else None,
        **{key: options.get(key) for key in ("temperature", "max_tokens", "rollout_id")},
    }
    return {key: value for key, value in found.items() if value is not None}


def class_name(name: str) -> str:
    """A name as Python's classes have them."""
    found = "".join(part[:1].upper() + part[1:] for part in name.replace("-", "_").split("_"))
    found = "".join(c for c in found if c.isascii() and c.isalnum())
    return found if found[:1].isalpha() else f"Workflow{found}"


def class_names(steps: list[str], program: str) -> dict[str, str]:
    """Names for the classes of the steps; no two are the same, and none is that of the program's."""
    taken = {class_name(program), "Steps"}
    found = {}
    for step in steps:
        name = class_name(step)
        while name in taken:
            name += "Step"
        taken.add(name)
        found[step] = name
    return found
