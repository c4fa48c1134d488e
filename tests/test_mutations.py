"""The tests of the keys are themselves tested: broken key code must make them fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

MUTATIONS = {
    "functions refer to nothing": (
        "definitions.py",
        "refers = sorted(set().union(*(references(statement, frozenset()) for statement in statements)))",
        "refers = list[str]()",
    ),
    "only one import away is followed": ("code.py", "waiting += follow", "waiting += follow if node[0] == module else []"),
    "star imports are overlooked": ("code.py", 'in summary.imports.get("*", []):', "in list[str]():"),
    "properties of parameters are overlooked": ("keys.py", "not section.parameters.keys() >= set(reads)", "not reads"),
    "statements beside functions are overlooked": ("definitions.py", "loose.append(statement)", "pass"),
    "loops beside functions are overlooked": ("definitions.py", "isinstance(statement, BLOCKS) or ", ""),
    "entries beside functions are overlooked": ("definitions.py", " or fills(statement)", ""),
    "docstrings count": ("definitions.py", "return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)", "return False"),
    "annotations count": ("definitions.py", 'annotation = name == "annotation" and isinstance(node, ast.arg)', "annotation = False"),
    "every parameter counts": ("keys.py", "if reads is None or name in reads:", "if True:"),
    "inputs are keyed by name": ("keys.py", "file_digest(section.path.parent / file)", "file"),
    "networks are keyed by name": ("keys.py", 'parts[f"network {network.name}: {name}"] = value', "pass"),
    "the seed does not count": ("keys.py", '"seed": str(section.seed), ', ""),
    "the name does not count": ("keys.py", ', "name": section.name}', "}"),
    "the drawing does not count": ("keys.py", 'parts = code_parts(code, "generators.drawing", "draw")', "parts = dict[str, str]()"),
    "constants are keyed by type": ("definitions.py", "type(node.value).__name__, spelled(node.value)]", "type(node.value).__name__]"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_broken_key_code_is_noticed(name: str, tmp_path: Path) -> None:
    file, old, new = MUTATIONS[name]
    ignored = shutil.ignore_patterns("__pycache__", "node_modules", "weights")
    for folder in ("generators", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    (tmp_path / "tests").mkdir()
    for module in ("conftest", "browsing", "test_pages", "test_keys"):
        shutil.copy(ROOT / "tests" / f"{module}.py", tmp_path / "tests")
    for part in ("build.py", "pyproject.toml"):
        shutil.copy(ROOT / part, tmp_path / part)
    path = tmp_path / "generators" / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file} no longer says {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "tests/test_keys.py",
        "-p",
        "no:cacheprovider",
    ]
    ran = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert ran.returncode == 1, ran.stdout
    assert "FAILED tests/test_keys.py" in ran.stdout
