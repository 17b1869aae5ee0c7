"""Execute the cells of ``notebook.py`` and keep what they show: ``python docs/execute.py`` writes ``notebook.ipynb``.

A cell begins at ``# %%``, as in editors that know such cells. Each shows what it prints, the value of its last line and
the figures that it drew, as in Jupyter, which is not needed for this.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().with_name("notebook.py")
NOTEBOOK = SOURCE.with_suffix(".ipynb")

_MARKDOWN = " [markdown]"


def cells(text: str) -> Iterator[dict[str, Any]]:
    """The cells of a program, as a notebook has them before it is executed."""
    for number, part in enumerate(text.split("# %%")[1:]):
        kind, _, body = part.partition("\n")
        source = body.strip("\n")
        if kind == _MARKDOWN:
            lines = [line.removeprefix("#").removeprefix(" ") for line in source.split("\n")]
            yield {"cell_type": "markdown", "id": f"cell-{number}", "metadata": {}, "source": _lines("\n".join(lines))}
        else:
            empty: dict[str, Any] = {"execution_count": None, "outputs": []}
            yield {"cell_type": "code", "id": f"cell-{number}", "metadata": {}, **empty, "source": _lines(source)}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def executed(text: str) -> dict[str, Any]:
    """The notebook (nbformat 4.5) of a program, after running it in a folder that is removed afterwards."""
    from matplotlib import pyplot as plt

    plt.switch_backend("agg")
    plt.close("all")  # what is open already is of no cell
    names: dict[str, Any] = {"__name__": "__main__"}
    found, count = list(cells(text)), 0
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for cell in found:
            if cell["cell_type"] == "code":
                count += 1
                cell["execution_count"] = count
                cell["outputs"] = list(_outputs("".join(cell["source"]), names, count))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": found, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _outputs(source: str, names: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    """What one cell shows: printed lines, the value of its last expression, figures."""
    from matplotlib import pyplot as plt

    body, value = ast.parse(source).body, None
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "<cell>", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    if printed.getvalue():
        yield {"name": "stdout", "output_type": "stream", "text": _lines(printed.getvalue())}
    if value is not None:
        data = {"text/plain": _lines(repr(value))}
        yield {"data": data, "execution_count": count, "metadata": {}, "output_type": "execute_result"}
    for number in plt.get_fignums():
        content = io.BytesIO()
        plt.figure(number).savefig(content, format="png", dpi=90, metadata={"Software": None})
        data = {"image/png": [base64.b64encode(content.getvalue()).decode()], "text/plain": ["<Figure>"]}
        yield {"data": data, "metadata": {}, "output_type": "display_data"}
    plt.close("all")


def main() -> None:
    """Write the notebook."""
    notebook = executed(SOURCE.read_text(encoding="utf-8"))
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
