"""Python types for DSPy's signatures. The JSON Schema of a type is the compiler's, to the letter."""

import copy
from collections.abc import Mapping
from typing import Any

from pydantic_core import CoreSchema, core_schema

PLAIN: Mapping[str, type] = {"string": str, "integer": int, "number": float, "boolean": bool}


def python_type(name: str, schema: Mapping[str, Any]) -> type:
    """The type of a field with this schema. Values stay plain JSON whatever it is."""
    kind = schema.get("type")
    if isinstance(kind, str) and kind in PLAIN and set(schema) <= {"type", "description"}:
        return PLAIN[kind]
    content = copy.deepcopy(dict(schema))

    def core(_cls: type, _source: Any, _handler: Any) -> CoreSchema:
        # The host has checked every value.
        return core_schema.any_schema()

    def json_schema(_cls: type, _core: Any, _handler: Any) -> dict[str, Any]:
        return copy.deepcopy(content)

    body = {
        "__module__": __name__,
        "__get_pydantic_core_schema__": classmethod(core),
        "__get_pydantic_json_schema__": classmethod(json_schema),
    }
    return type("".join(part.capitalize() for part in name.split("_")) or "Value", (), body)
