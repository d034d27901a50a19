"""What a job works on, read from the host's message: the program, its steps, the examples."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from dspipe_bridge.optimize.errors import BadRequest

T = TypeVar("T")

Runs = Literal["workflow", "step"]
"""Whether the host runs a compiled workflow, or one step alone."""


class Object:
    """A JSON object that is read once, key by key; what is left over is an error."""

    def __init__(self, value: object, where: str) -> None:
        """`where` names the object in errors, as in `params.program.steps[1]`."""
        if not isinstance(value, dict):
            raise BadRequest(f"`{where}` must be an object")
        self._rest = dict(value)
        self.where = where

    def take(self, key: str, read: Callable[[object, str], T]) -> T:
        """A value that must be there."""
        if key not in self._rest:
            raise BadRequest(f"`{self.where}` has no `{key}`")
        return read(self._rest.pop(key), f"{self.where}.{key}")

    def get(self, key: str, read: Callable[[object, str], T], default: T) -> T:
        """A value that may be missing or null."""
        value = self._rest.pop(key, None)
        return default if value is None else read(value, f"{self.where}.{key}")

    def end(self) -> None:
        """Refuses keys that nobody asked for."""
        if self._rest:
            names = ", ".join(f"`{key}`" for key in self._rest)
            raise BadRequest(f"`{self.where}` has unknown keys: {names}")


def text(value: object, where: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise BadRequest(f"`{where}` must be a string")
    return value


def name(value: object, where: str) -> str:
    """A string that is not empty."""
    if not text(value, where):
        raise BadRequest(f"`{where}` must not be empty")
    return str(value)


def whole(value: object, where: str) -> int:
    """A whole number, not negative."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadRequest(f"`{where}` must be a whole number that is not negative")
    return value


def mapping(value: object, where: str) -> dict[str, Any]:
    """An object with any keys."""
    if not isinstance(value, dict):
        raise BadRequest(f"`{where}` must be an object")
    return value


def flag(value: object, where: str) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise BadRequest(f"`{where}` must be true or false")
    return value


def listed(read: Callable[[object, str], T]) -> Callable[[object, str], list[T]]:
    """A list of what `read` reads."""

    def whole_list(value: object, where: str) -> list[T]:
        if not isinstance(value, list):
            raise BadRequest(f"`{where}` must be a list")
        return [read(item, f"{where}[{index}]") for index, item in enumerate(value)]

    return whole_list


def by_name(read: Callable[[object, str], T]) -> Callable[[object, str], dict[str, T]]:
    """An object whose values `read` reads."""

    def whole_object(value: object, where: str) -> dict[str, T]:
        return {key: read(item, f"{where}.{key}") for key, item in mapping(value, where).items()}

    return whole_object


@dataclass(frozen=True)
class Field:
    """An input or output of a step, or an input of the workflow."""

    name: str
    description: str
    schema: dict[str, Any]
    """Its JSON Schema, made by the compiler: what DSPy shows is exactly that."""

    @classmethod
    def read(cls, value: object, where: str) -> "Field":
        """From JSON."""
        it = Object(value, where)
        found = cls(
            name=it.take("name", name),
            description=it.get("description", text, ""),
            schema=it.get("schema", mapping, {"type": "string"}),
        )
        it.end()
        return found


@dataclass(frozen=True)
class Demo:
    """An example in a prompt. With some of the fields only, if it is not augmented."""

    inputs: dict[str, Any]
    outputs: dict[str, Any]
    augmented: bool = False
    """Whether a run of the program made it, rather than the user."""

    @classmethod
    def read(cls, value: object, where: str) -> "Demo":
        """From JSON."""
        it = Object(value, where)
        found = cls(
            inputs=it.take("inputs", mapping),
            outputs=it.take("outputs", mapping),
            augmented=it.get("augmented", flag, False),
        )
        it.end()
        return found

    def to_json(self) -> dict[str, Any]:
        """As it came."""
        return {"inputs": self.inputs, "outputs": self.outputs, "augmented": self.augmented}


@dataclass(frozen=True)
class Prompt:
    """What optimizers change of a step."""

    instructions: str
    demos: tuple[Demo, ...]

    @classmethod
    def read(cls, value: object, where: str) -> "Prompt":
        """From JSON."""
        it = Object(value, where)
        found = cls(
            instructions=it.take("instructions", text),
            demos=tuple(it.get("demos", listed(Demo.read), [])),
        )
        it.end()
        return found

    def to_json(self) -> dict[str, Any]:
        """As it came."""
        return {"instructions": self.instructions, "demos": [it.to_json() for it in self.demos]}


@dataclass(frozen=True)
class Step:
    """A step that is optimized. Others are the host's business alone."""

    name: str
    description: str
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    prompt: Prompt

    @classmethod
    def read(cls, value: object, where: str) -> "Step":
        """From JSON."""
        it = Object(value, where)
        found = cls(
            name=it.take("name", name),
            description=it.get("description", text, ""),
            inputs=tuple(it.take("inputs", listed(Field.read))),
            outputs=tuple(it.take("outputs", listed(Field.read))),
            prompt=Prompt(
                instructions=it.get("instructions", text, ""),
                demos=tuple(it.get("demos", listed(Demo.read), [])),
            ),
        )
        it.end()
        if not found.outputs:
            raise BadRequest(f"`{where}.outputs` must not be empty")
        unique([field.name for field in (*found.inputs, *found.outputs)], f"{where}: fields")
        return found


@dataclass(frozen=True)
class Program:
    """The workflow as the optimizers see it."""

    name: str
    description: str
    outline: str
    """The control flow for people; optimizers show it to the LM that proposes instructions."""
    runs: Runs
    inputs: tuple[Field, ...]
    steps: tuple[Step, ...]

    @classmethod
    def read(cls, value: object, where: str) -> "Program":
        """From JSON."""
        it = Object(value, where)
        runs = it.get("runs", text, "workflow")
        steps = tuple(it.take("steps", listed(Step.read)))
        found = cls(
            name=it.take("name", name),
            description=it.get("description", text, ""),
            outline=it.get("outline", text, ""),
            runs="step" if runs == "step" else "workflow",
            inputs=tuple(it.get("inputs", listed(Field.read), [])),
            steps=steps,
        )
        it.end()
        if runs not in ("workflow", "step"):
            raise BadRequest(f"`{where}.runs` must be `workflow` or `step`, not `{runs}`")
        if not steps:
            raise BadRequest(f"`{where}.steps` must not be empty: there is nothing to optimize")
        if runs == "step" and len(steps) != 1:
            raise BadRequest(f"`{where}.steps` must be one step if `runs` is `step`")
        unique([step.name for step in steps], f"{where}: steps")
        return found


@dataclass(frozen=True)
class Labelled:
    """An example of a data set."""

    id: str
    inputs: dict[str, Any]
    labels: dict[str, Any] = field(default_factory=dict)
    """What is known of the right outputs, by field."""
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is known of single steps: the values of their fields, by step."""

    @classmethod
    def read(cls, value: object, where: str) -> "Labelled":
        """From JSON."""
        it = Object(value, where)
        found = cls(
            id=it.take("id", name),
            inputs=it.take("inputs", mapping),
            labels=it.get("labels", mapping, {}),
            steps=it.get("steps", by_name(mapping), {}),
        )
        it.end()
        if both := found.inputs.keys() & found.labels.keys():
            raise BadRequest(f"`{where}` has `{min(both)}` as an input and as a label")
        return found


def examples(value: object, where: str) -> tuple[Labelled, ...]:
    """A data set that is not empty, without an id twice."""
    found = tuple(listed(Labelled.read)(value, where))
    if not found:
        raise BadRequest(f"`{where}` must not be empty")
    unique([it.id for it in found], f"{where}: ids")
    return found


def unique(names: list[str], where: str) -> None:
    """Refuses a name that is there twice."""
    seen: set[str] = set()
    for it in names:
        if it in seen:
            raise BadRequest(f"{where}: `{it}` is there twice")
        seen.add(it)


def canonical(value: Mapping[str, Any] | list[Any]) -> str:
    """JSON text that is the same for equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
