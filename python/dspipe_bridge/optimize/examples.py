"""Examples as DSPy has them, that know which of the host's they are."""

from collections.abc import Mapping
from typing import Any

import dspy

from dspipe_bridge.optimize.names import FIELDS, Names
from dspipe_bridge.optimize.spec import Demo, Labelled, Program, Step


class HostExample(dspy.Example):  # type: ignore[misc]
    """One of the host's examples."""

    def __init__(self, base: Any = None, source: Labelled | None = None, **values: Any) -> None:
        """A copy keeps what it is a copy of."""
        super().__init__(base=base, **values)
        # A name with an underscore is an attribute, not a field that optimizers would show.
        self._source: Labelled | None = source or getattr(base, "_source", None)

    @property
    def source(self) -> Labelled:
        """As the host sent it."""
        assert self._source is not None
        return self._source


class ExampleFields:
    """Field names of data sets."""

    def __init__(self, program: Program, sets: tuple[tuple[Labelled, ...], ...]) -> None:
        """Takes all names that occur."""
        found = [field.name for field in program.inputs]
        for step in program.steps:
            found += [field.name for field in (*step.inputs, *step.outputs)]
        for examples in sets:
            for it in examples:
                found += [*it.inputs, *it.labels]
        self.names = Names(found, FIELDS)

    def example(self, source: Labelled) -> HostExample:
        """For DSPy."""
        values = {**source.inputs, **source.labels}
        plain = HostExample(base=self.names.into(values), source=source)
        found: HostExample = plain.with_inputs(*(self.names.inside(name) for name in source.inputs))
        return found


def demo_of(step: Step, names: Names, demo: Any) -> Demo | None:
    """What a demo of a predictor is for its step; `None` if it says nothing about it.

    Optimizers give an example of the whole workflow to every step. Of it a step can use what the host
    says about this step, or else the fields that it has by the same names.
    """
    source = demo.source if isinstance(demo, HostExample) else None
    if source is not None and step.name in source.steps:
        values: Mapping[str, Any] = source.steps[step.name]
    elif source is not None:
        values = {**source.inputs, **source.labels}
    else:
        values = names.out_of(dict(demo))
    inputs = {field.name: values[field.name] for field in step.inputs if field.name in values}
    outputs = {field.name: values[field.name] for field in step.outputs if field.name in values}
    if not outputs or (step.inputs and not inputs):
        return None
    # The keys that DSPy adds have no counterpart in the host's tables, so that they come unchanged.
    augmented = source is None and bool(dict(demo).get("augmented"))
    return Demo(inputs, outputs, augmented)
