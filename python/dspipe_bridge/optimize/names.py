"""Names of steps and fields as Python and DSPy can have them, and back.

DSPy takes some names for itself: a field called `demos` would be lost without a word, one called `config`
fails. Such a name gets underscores at its end, here only: the host never sees them.
"""

import keyword
from collections.abc import Iterable, Mapping
from typing import Any

import dspy

FIELDS = frozenset(
    {
        # Arguments of Predict.forward, and of what calls it.
        *(
            "signature",
            "demos",
            "config",
            "lm",
            "new_signature",
            "prediction",
            "self",
            "args",
            "kwargs",
        ),
        # Arguments of dspy.Example, and a mark that it has beside the fields.
        *("base", "source", "run", "candidate", "augmented"),
        # What pydantic or dspy.Signature have.
        *("fields", "instructions", "input_fields", "output_fields"),
        *(name for name in dir(dspy.Signature) if not name.startswith("_")),
        # Methods of dspy.Example and dspy.Prediction.
        *(name for name in dir(dspy.Prediction) if not name.startswith("_")),
        *(name for name in dir(dspy.Example) if not name.startswith("_")),
    }
)

STEPS = frozenset(
    {
        *(name for name in dir(dspy.Module) if not name.startswith("_")),
        *("forward", "aforward", "callbacks", "history", "metadata", "workflow"),
    }
)


class Names:
    """A two-way table of names."""

    def __init__(self, names: Iterable[str], reserved: frozenset[str]) -> None:
        """Keeps the names that can be kept."""
        self._inside: dict[str, str] = {}
        self._outside: dict[str, str] = {}
        # First those that stay, so that a changed name cannot take the place of one of them.
        for name in sorted(dict.fromkeys(names), key=lambda it: not can_stay(it, reserved)):
            inside = name
            if not can_stay(name, reserved):
                inside = "".join(c if c.isascii() and c.isalnum() else "_" for c in name).lstrip(
                    "_"
                )
                inside = inside if inside[:1].isalpha() else f"f_{inside}"
                # DSPy hides names that start so.
                inside = f"f_{inside}" if inside.startswith("dspy_") else inside
            while not can_stay(inside, reserved) or inside in self._outside:
                inside += "_"
            self._inside[name] = inside
            self._outside[inside] = name

    def inside(self, name: str) -> str:
        """The name that DSPy has. One that is not in the table is its own."""
        return self._inside.get(name, name)

    def outside(self, name: str) -> str:
        """The host's name."""
        return self._outside.get(name, name)

    def into(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """An object of the host with DSPy's names."""
        return {self.inside(name): value for name, value in values.items()}

    def out_of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """An object of DSPy with the host's names."""
        return {self.outside(name): value for name, value in values.items()}


def can_stay(name: str, reserved: frozenset[str]) -> bool:
    """Whether DSPy can have a name as it is."""
    return (
        name.isascii()
        and name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith(("_", "dspy_"))
        and name not in reserved
    )
