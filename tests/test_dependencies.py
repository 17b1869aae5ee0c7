"""What is installed: direct dependencies pinned, all others locked, and nothing imported that is not declared."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OWN = {"vskd", "vskd_training", "vskd_export", "vskd_benchmarks", "research"}


def pins(name: str) -> list[tuple[str, str]]:
    """(name, version) of every line of a constraints file."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line) for line in lines if line and not line.startswith("#")]
    assert all(found), f"{name}: every line is a comment or NAME==VERSION"
    return [(canonicalize_name(line[1]), line[2]) for line in found if line]


def direct() -> list[Requirement]:
    """What pyproject.toml asks for, in any extra."""
    lists = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [one for words in lists for one in map(Requirement, words) if one.name != "vskd"]


@pytest.mark.parametrize("name", ["constraints.txt", "lock.txt"])
def test_no_name_stands_twice(name):
    names = [one for one, _ in pins(name)]
    assert len(names) == len(set(names))


def test_every_direct_dependency_is_pinned_within_its_range():
    pinned = dict(pins("constraints.txt"))
    # tflite-runtime alone lives beside an older numpy, in an environment of its own.
    asked = [one for one in direct() if str(one) != "numpy<2"]
    assert [str(one) for one in asked if canonicalize_name(one.name) not in pinned] == []
    assert [str(one) for one in asked if not one.specifier.contains(pinned[canonicalize_name(one.name)], True)] == []


def test_the_lock_has_the_versions_of_the_constraints():
    pinned, locked = dict(pins("constraints.txt")), dict(pins("lock.txt"))
    assert {name: version for name, version in locked.items() if pinned.get(name, version) != version} == {}


def needed(name: str, extras: frozenset[str], seen: set[str]) -> Iterator[str]:
    """Names that an installed distribution brings on this machine, its own among them."""
    key = f"{canonicalize_name(name)}[{','.join(sorted(extras))}]"
    if key in seen:
        return
    seen.add(key)
    yield canonicalize_name(name)
    for text in distribution(name).requires or []:
        asked = Requirement(text)
        environments = [{"extra": extra} for extra in extras or {""}]
        if asked.marker is None or any(asked.marker.evaluate(one) for one in environments):
            yield from needed(asked.name, frozenset(asked.extras), seen)


def test_the_lock_holds_everything_that_an_install_brings():
    try:
        brought = set(needed("vskd", frozenset({"dev"}), set())) - {"vskd"}
    except PackageNotFoundError as error:
        pytest.fail(f"{error} is not installed: run make lint, which installs '.[dev]'")
    assert brought == {name for name, _ in pins("lock.txt")}, "run make lock"


def imported() -> Iterator[tuple[str, Path]]:
    """Every module that a file imports at its first level or within, by its top name."""
    for folder in ("runtime", "training", "export", "benchmarks", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [node.module or ""]
                yield from ((name.partition(".")[0], path) for name in names)


def test_everything_that_is_imported_is_declared():
    here = {path.stem for path in (ROOT / "tests").rglob("*.py")} | {path.name for path in (ROOT / "tests").iterdir()}
    known = OWN | set(sys.stdlib_module_names) | here
    owners = packages_distributions()
    declared = {canonicalize_name(one.name) for one in direct()}
    missing = {
        f"{top} ({path.relative_to(ROOT)})"
        for top, path in imported()
        if top not in known
        and not declared.intersection(canonicalize_name(one) for one in owners.get(top, [top.replace("_", "-")]))
    }
    assert not missing
