"""What Rust takes for DSPy's prompts and readings is what the installed DSPy does."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from support import PROJECT

TOOL = PROJECT / "tools" / "dspy_vectors.py"

needs_dspy = pytest.mark.skipif(find_spec("dspy") is None, reason="DSPy is not installed")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TOOL), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@needs_dspy
def test_the_committed_vectors_are_those_of_the_installed_dspy() -> None:
    result = run("check")
    assert result.returncode == 0, result.stderr


@needs_dspy
def test_a_changed_vector_is_noticed(tmp_path: Path) -> None:
    few = ["--count", "3", "--folder", str(tmp_path)]
    assert run("write", *few).returncode == 0
    assert run("check", *few).returncode == 0
    path = tmp_path / "render.jsonl"
    path.write_text(path.read_text().replace("Your input", "Our input", 1))
    result = run("check", *few)
    assert result.returncode == 1
    assert "render.jsonl" in result.stderr
