"""Pages that are made from the code are those that it makes now, and code on the other pages fits it."""

from __future__ import annotations

import ast
import base64
import importlib.util
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import vskd

DOCS = Path(__file__).resolve().parent.parent / "docs"


def loaded(script: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(script, DOCS / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    return loaded("generate")


@pytest.fixture(scope="module")
def execute() -> ModuleType:
    return loaded("execute")


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
    """Every call of a public name in a page's or program's Python: the name, and the call."""
    text = page.read_text(encoding="utf-8")
    blocks = [text] if page.suffix == ".py" else re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    for block in blocks:
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("vskd."):
                yield ast.unparse(node.func), node


def fitting(page: Path) -> set[str]:
    """The public names that it calls, each with arguments that they take."""
    found = list(calls(page))
    for name, call in found:
        function = vskd
        for part in name.split(".")[1:]:
            function = getattr(function, part)
        inspect.signature(function).bind(*call.args, **{word.arg: word.value for word in call.keywords})
    return {name for name, _ in found}


def test_calls_on_the_page_of_python_fit():
    expected = {"vskd.train", "vskd.evaluate", "vskd.export", "vskd.Classifier.open"}
    assert fitting(DOCS / "python.md") == expected


def test_a_program_becomes_an_executed_notebook(execute):
    from matplotlib import pyplot as plt

    plt.figure()  # somebody else's, left open
    text = """# %% [markdown]
# # Title
#
# Words.

# %%
from matplotlib import pyplot as plt

two = 2
print("one")
two * 21

# %%
plt.plot([0, 1])
None
"""
    notebook = execute.executed(text)
    words, first, second = notebook["cells"]
    assert "".join(words["source"]) == "# Title\n\nWords."
    assert first["source"][0] == "from matplotlib import pyplot as plt\n"
    printed, value = first["outputs"]
    assert (printed["text"], value["data"]["text/plain"]) == (["one\n"], ["42"])
    (figure,) = second["outputs"]
    assert base64.b64decode(figure["data"]["image/png"][0]).startswith(b"\x89PNG")
    assert [cell.get("execution_count") for cell in notebook["cells"]] == [None, 1, 2]
    with pytest.raises(ZeroDivisionError):
        execute.executed("# %%\n1 / 0\n")


def test_the_notebook_is_of_this_program_and_executed(execute):
    notebook = json.loads(execute.NOTEBOOK.read_text(encoding="utf-8"))
    sources = [cell["source"] for cell in execute.cells(execute.SOURCE.read_text(encoding="utf-8"))]
    assert [cell["source"] for cell in notebook["cells"]] == sources, "python docs/execute.py executes it anew"
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
    assert kinds == {"stream", "execute_result", "display_data"}


@pytest.mark.slow
def test_the_notebook_runs(execute):
    cells = execute.executed(execute.SOURCE.read_text(encoding="utf-8"))["cells"]
    kinds = {output["output_type"] for cell in cells for output in cell.get("outputs", ())}
    assert kinds == {"stream", "execute_result", "display_data"}


def test_calls_of_the_notebook_fit(execute):
    assert fitting(execute.SOURCE) == {"vskd.train", "vskd.evaluate", "vskd.export", "vskd.Classifier.open"}
