"""Pages that are made from the code are those that it makes now, and code on the other pages fits it."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import vskd

DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_made_pages_are_up_to_date(generate):
    old = [path.name for path, text in generate.files().items() if path.read_text(encoding="utf-8") != text]
    assert not old, "python docs/generate.py writes them anew"


def test_every_public_name_and_every_command_has_a_place(generate):
    api, cli = generate.api_page(), generate.cli_page()
    for name in vskd.__all__:
        assert f"### vskd.{name}\n" in api or name in ("VskdError", "__version__"), name
    for command in ("run", "train student", "train forest", "bench check", "evaluate", "export"):
        assert f"\n## vskd {command}\n" in cli
    assert "- `--coverage FLOAT RANGE`: " in cli
    assert "[default: 0.95; 0\\<x\\<=1]" in cli
    assert "\n## vskd bench measure" not in cli, "a verb that nobody types"


def test_a_docstring_becomes_a_list(generate):
    text = """Do it.

    A reason with a * and ``code <b>``.

    Parameters
    ----------
    one, two : the first
        goes on
    three : of ``kind``

    Returns
    -------
    a number : of it

    Raises
    ------
    ConfigError, DataError
    """
    assert "\n".join(generate._markdown(inspect.cleandoc(text))) == (
        "Do it.\n\nA reason with a \\* and `code <b>`.\n\n"
        "**Parameters**\n\n- `one, two`: the first\n  goes on\n- `three`: of `kind`\n\n"
        "**Returns**\n\na number : of it\n\n**Raises**\n\n- ConfigError, DataError\n"
    )


def calls(page: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a public name in a page's Python: the name, and the call."""
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("vskd."):
                yield ast.unparse(node.func), node


def test_calls_on_the_page_of_python_fit():
    found = list(calls(DOCS / "python.md"))
    assert {name for name, _ in found} == {"vskd.train", "vskd.evaluate", "vskd.export", "vskd.Classifier.open"}
    for name, call in found:
        function = vskd
        for part in name.split(".")[1:]:
            function = getattr(function, part)
        inspect.signature(function).bind(*call.args, **{word.arg: word.value for word in call.keywords})
