"""A task whose best prompt is known: a text names a colour, and is to be labelled with its code."""

import hashlib
import json
from typing import Any

from optimize.host import Host, Params, field, program, step

CODES = {"red": "R1", "green": "G2", "blue": "B3", "grey": "X4"}

RULE = "Answer with the code of the colour."
"""With this in its instructions the scripted LM is always right."""

LABELS = {"type": "string", "enum": sorted(CODES.values())}

CLASSIFY = step(
    "classify",
    [field("text", description="What somebody wrote")],
    [field("label", LABELS)],
    instructions="Label the text.",
    description="finds the colour",
)


def examples(count: int, prefix: str = "e") -> list[Params]:
    """Examples, the colours in turn."""
    colours = list(CODES)
    return [
        {
            "id": f"{prefix}{number}",
            "inputs": {"text": f"Number {prefix}{number} is {colours[number % len(colours)]}."},
            "labels": {"label": CODES[colours[number % len(colours)]]},
        }
        for number in range(count)
    ]


def colour(text: str) -> str:
    """The colour that a text names."""
    return next(it for it in CODES if f" {it}." in text)


def chance(*what: object) -> float:
    """A number from 0 to 1 that is always the same for the same."""
    digest = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def label(prompt: Params, text: str, setup: Params) -> str:
    """What the scripted LM answers: right if it was told the rule or was shown this colour."""
    wanted = colour(text)
    shown = {
        colour(demo["inputs"]["text"]): demo["outputs"].get("label") for demo in prompt["demos"]
    }
    if RULE in prompt["instructions"]:
        return CODES[wanted]
    if shown.get(wanted):
        return str(shown[wanted])
    if "rollout_id" in setup and chance(text, setup["rollout_id"]) < 0.5:
        return CODES[wanted]
    return "R1"


class Task:
    """The host's side of the task: one step, `classify`."""

    def __init__(self) -> None:
        """Nothing asked yet."""
        self.host: Host
        self.expected = {
            it["id"]: it["labels"]["label"] for it in examples(200) + examples(200, "v")
        }

    def run(self, params: Params) -> Any:
        """`run`."""
        setup = params["steps"]["classify"]
        text = params["inputs"]["text"]
        outputs = {"label": label(self.host.prompts.of(setup), text, setup)}
        call = {"step": "classify", "inputs": {"text": text}, "outputs": outputs}
        return {"calls": [call], "outputs": outputs}

    def complete(self, params: Params) -> Any:
        """`step.complete`."""
        return {
            "outputs": {
                "label": label(self.host.prompts.of(params), params["inputs"]["text"], params)
            }
        }

    def score(self, params: Params) -> Any:
        """`metric.score`."""
        right = (params["outputs"] or {}).get("label") == self.expected[params["example"]]
        feedback = "Right." if right else f"It should be the code. {RULE}"
        return {"score": 1.0 if right else 0.0, "feedback": feedback}

    def propose(self, params: Params) -> Any:
        """`lm.complete`: a proposer that finds the rule at its second try."""
        return {"text": reply(params)}


def reply(params: Params) -> str:
    """What the optimizer's LM answers, in the form in which it is asked."""
    asked = params["messages"][-1]["text"]
    system = params["messages"][0]["text"]
    good = chance(asked, params["draw"], params["rollout_id"]) < 0.7
    text = RULE if good else "Think of the sea."
    if params["schema"] is not None:
        names = list(params["schema"]["properties"])
        return json.dumps(
            {name: {"classify": text} if "advice" in name else text for name in names}
        )
    outputs = system.split("Your output fields are:")[1].split("All interactions")[0]
    names = [line.split("`")[1] for line in outputs.splitlines() if "`" in line]
    values = {name: json.dumps({"classify": text}) if "advice" in name else text for name in names}
    return "\n\n".join(f"[[ ## {name} ## ]]\n{value}" for name, value in values.items())


def triage(**more: Any) -> Params:
    """The program of the task."""
    return program(
        [CLASSIFY], description="Labels texts.", outline="label <- classify(text)", **more
    )
