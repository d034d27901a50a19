"""What DSPy itself makes of a signature, demos, inputs and replies that are described as JSON.

Cases come in on standard input, one JSON object a line; answers go out the same way. The form of a
signature is that of `DspySignature` in `dspipe_runtime::adapter`. Needs DSPy, and nothing of dspipe.
"""

from __future__ import annotations

import enum
import json
import logging
import re
import sys
import tempfile
import typing
from typing import Any

import dspy
import pydantic
from dspy.adapters.chat_adapter import ChatAdapter
from dspy.adapters.json_adapter import JSONAdapter
from pydantic_core import core_schema

ADAPTERS: dict[str, type[ChatAdapter]] = {"chat": ChatAdapter, "json": JSONAdapter}

Json = dict[str, Any]


class Types:
    """The classes that a description names, as Python classes."""

    def __init__(self, described: Json) -> None:
        # `Union[A, B]` equals `Union[B, A]`, and typing gives either for both, whichever was first in
        # the process. Answers must not depend on the cases before.
        for forget in typing._cleanups:  # type: ignore[attr-defined]
            forget()
        self.described = described
        self.names: dict[str, Any] = {
            "__builtins__": {},
            "str": str,
            "int": int,
            "float": float,
            "bool": bool,
            "list": list,
            "dict": dict,
            "NoneType": type(None),
            "Any": Any,
            "Optional": typing.Optional,
            "Union": typing.Union,
            "Literal": typing.Literal,
            "History": dspy.History,
        }
        for name in described:
            self.define(name)

    def define(self, name: str) -> None:
        if name in self.names:
            return
        described = self.described[name]
        if "enum" in described:
            self.names[name] = enum.Enum(name, described["enum"])
        elif "schema" in described:
            self.names[name] = schema_class(name, described["schema"])
        else:
            fields: dict[str, Any] = {}
            for field in described["model"]:
                annotation = self.annotation(field.get("type", "str"))
                settings: Json = dict(field.get("limits", {}))
                if field.get("desc"):
                    settings["description"] = field["desc"]
                if "default" in field:
                    default = field["default"]
                    adapter = pydantic.TypeAdapter(annotation)
                    settings["default"] = adapter.validate_python(default)
                if "default_factory" in field:
                    settings["default_factory"] = lambda value=field["default_factory"]: value
                fields[field["name"]] = (annotation, pydantic.Field(**settings))
            doc = described.get("doc") or None
            self.names[name] = pydantic.create_model(name, __doc__=doc, **fields)

    def annotation(self, text: str) -> Any:
        for name in re.findall(r"\w+", text):
            if name in self.described:
                self.define(name)
        value = eval(text, self.names)
        return type(None) if value is None else value


def schema_class(name: str, schema: Json) -> type:
    """A class that takes anything and shows its own JSON Schema."""

    def core(cls: type, source: Any, handler: Any) -> Any:
        return core_schema.any_schema()

    def shown(cls: type, core: Any, handler: Any) -> Any:
        return json.loads(json.dumps(schema))

    members = {
        "__get_pydantic_core_schema__": classmethod(core),
        "__get_pydantic_json_schema__": classmethod(shown),
    }
    return type(name, (), members)


def signature_of(described: Json) -> Any:
    types = Types(described.get("types", {}))
    fields = {}
    for field in described["fields"]:
        settings: Json = {}
        for key in ("desc", "prefix", "default"):
            if key in field:
                settings[key] = field[key]
        settings.update(field.get("constraints", {}))
        make = dspy.InputField if field["io"] == "input" else dspy.OutputField
        fields[field["name"]] = (types.annotation(field.get("type", "str")), make(**settings))
    return dspy.Signature(fields, described.get("instructions"))


def typed(signature: Any, values: Json, everything: bool) -> Json:
    """Values as a program passes them: instances of their classes, if everything is to be."""
    result = {}
    for name, value in values.items():
        field = signature.fields.get(name)
        is_history = field is not None and field.annotation is dspy.History
        if field is not None and (everything or is_history):
            value = pydantic.TypeAdapter(field.annotation).validate_python(value)
        result[name] = value
    return result


def error_of(error: Exception) -> Json:
    return {"error": type(error).__name__}


def render(case: Json, adapter: str) -> Any:
    """The messages, or the name of the exception."""
    try:
        signature = signature_of(case["signature"])
        everything = case.get("typed", False)
        demos = [typed(signature, demo, everything) for demo in case.get("demos", [])]
        inputs = typed(signature, case.get("inputs", {}), everything)
        return ADAPTERS[adapter]().format(signature, demos, inputs)
    except Exception as error:
        return error_of(error)


def parse(case: Json, adapter: str) -> Any:
    """The fields of a reply as JSON, or the name of the exception."""
    try:
        signature = signature_of(case["signature"])
        fields = ADAPTERS[adapter]().parse(signature, case["reply"])
        values = {}
        for name, value in fields.items():
            kind = pydantic.TypeAdapter(type(value))
            values[name] = kind.dump_python(value, mode="json", fallback=str)
        return {"fields": values}
    except Exception as error:
        return error_of(error)


def program_of(case: Json, optimized: bool) -> Any:
    """A program with a predictor for each step, before or after it was optimized."""
    program = dspy.Module()
    for name, step in case["steps"].items():
        signature = signature_of(step["signature"])
        if optimized:
            for field, desc in step["optimized"]["descriptions"].items():
                signature = signature.with_updated_fields(field, desc=desc)
            signature = signature.with_instructions(step["optimized"]["instructions"])
        kind = dspy.ChainOfThought if step["optimized"]["thinks"] else dspy.Predict
        module = kind(signature)
        if optimized:
            module.predictors()[0].demos = step["optimized"]["demos"]
        if case["alone"]:
            return module
        setattr(program, name, module)
    return program


def prompts(case: Json, program: Any) -> Json:
    """The messages of each step."""
    answers: Json = {}
    for step, (_, predictor) in zip(case["steps"], program.named_predictors(), strict=True):
        inputs = case["steps"][step]["inputs"]
        signature, demos = predictor.signature, predictor.demos
        answers[step] = {
            name: adapter().format(signature, demos, inputs) for name, adapter in ADAPTERS.items()
        }
    return answers


def saved(case: Json) -> Json:
    """The file that DSPy saves, the one that dspipe writes, and the prompts that both give in DSPy."""
    program = program_of(case, optimized=True)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/program.json"
        program.save(path)
        with open(path, encoding="utf-8") as file:
            # The only thing in it that is not the same on all machines.
            text = re.sub(r'"python": "[^"]*"', '"python": "3.12"', file.read())
        state = json.loads(text)
        state["metadata"] = {"dependency_versions": {"dspy": dspy.__version__}}
        export = json.dumps(state, indent=2, ensure_ascii=False) + "\n"
        with open(path, "w", encoding="utf-8") as file:
            file.write(export)
        loaded = program_of(case, optimized=False)
        loaded.load(path)
    messages = prompts(case, program)
    if prompts(case, loaded) != messages:
        raise AssertionError("DSPy gives other prompts from the exported file")
    return {"program": text, "export": export, "messages": messages}


def answer(case: Json) -> Json:
    if "steps" in case:
        return saved(case)
    ask = parse if "reply" in case else render
    return {adapter: ask(case, adapter) for adapter in ADAPTERS}


def quiet() -> None:
    """Warnings of DSPy's about odd cases are not of interest here."""
    logging.disable(logging.CRITICAL)
    import warnings

    warnings.simplefilter("ignore")


def main() -> None:
    quiet()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
