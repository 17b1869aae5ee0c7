"""Architecture: which way imports run, what the runtime may load, and how long a function may be.

These tests read the source; they know nothing of what it does.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "vskd": ROOT / "runtime" / "vskd",
    "vskd_training": ROOT / "training" / "vskd_training",
    "vskd_export": ROOT / "export" / "vskd_export",
    "vskd_benchmarks": ROOT / "benchmarks" / "vskd_benchmarks",
}
#: runtime <- training <- export, and runtime <- benchmarks. ``benchmarks/research`` is not in the wheel.
MAY_IMPORT = {
    "vskd": {"vskd"},
    "vskd_training": {"vskd", "vskd_training"},
    "vskd_export": {"vskd", "vskd_training", "vskd_export"},
    "vskd_benchmarks": {"vskd", "vskd_benchmarks"},
}
#: What the runtime may import beside the standard library, and which of its modules may also use the command line's.
RUNTIME_LIBRARIES = {"numpy"}
COMMAND_LINE_LIBRARIES = {"click", "rich"}
COMMAND_LINE_MODULES = {"cli.py", "__main__.py"}
#: The sensors' drivers and the engines' libraries are named to importlib where they are opened, and nowhere else.
SENSOR_LIBRARIES = {"adafruit_blinka", "adafruit_lsm6ds", "adafruit_mpu6050"}
LATE_LIBRARIES = {
    "onnxruntime.py": {"<kind.module>"},
    "tflite.py": {"<kind.module>"},
    "i2c_sensors.py": SENSOR_LIBRARIES,
}

NO_NAME_FOR_A_MODULE = {"utils.py", "helpers.py", "common.py", "base.py", "misc.py"}
#: The runtime's core lies flat, by intent.
MODULES_OF_A_FOLDER = {"vskd": 15}
LONGEST = 50
NINE_OF_TEN = 25

SOURCES = [(package, path) for package, folder in PACKAGES.items() for path in sorted(folder.rglob("*.py"))]


def each(*sources: tuple[str, Path]) -> pytest.MarkDecorator:
    names = [path.relative_to(ROOT).as_posix() for _, path in sources]
    return pytest.mark.parametrize(("package", "path"), sources, ids=names)


EACH_SOURCE = each(*SOURCES)
EACH_OF_THE_RUNTIME = each(*[(package, path) for package, path in SOURCES if package == "vskd"])
EACH_THAT_DOES_NOT_PRINT = each(
    *[(package, path) for package, path in SOURCES if path.name != "cli.py" and "commands" not in path.parts]
)


@dataclass(frozen=True)
class Import:
    """One imported module, by its top-level name; ``late`` if it is named to importlib."""

    top: str
    line: int
    late: bool


def imports_of(path: Path) -> Iterator[Import]:
    """Every import of a file, also inside functions, under TYPE_CHECKING, and through importlib."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name.partition(".")[0], node.lineno, late=False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield Import((node.module or "").partition(".")[0], node.lineno, late=False)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            name = node.args[0]
            text = str(name.value) if isinstance(name, ast.Constant) else f"<{ast.unparse(name)}>"
            top = text if text.startswith("<") else text.partition(".")[0]
            yield Import(top, node.lineno, late=True)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def test_the_four_packages_are_there():
    assert all((folder / "__init__.py").is_file() and (folder / "py.typed").is_file() for folder in PACKAGES.values())


@EACH_SOURCE
def test_imports_run_one_way(package, path):
    wrong = [
        f"line {found.line}: {package} must not import {found.top}"
        for found in imports_of(path)
        if found.top in {*PACKAGES, "research"} - MAY_IMPORT[package]
    ]
    assert not wrong


@EACH_OF_THE_RUNTIME
def test_the_runtime_imports_numpy_and_the_standard_library_only(package, path):
    allowed = {"vskd"} | RUNTIME_LIBRARIES | set(sys.stdlib_module_names)
    if path.name in COMMAND_LINE_MODULES or "commands" in path.parts:
        allowed |= COMMAND_LINE_LIBRARIES
    late = LATE_LIBRARIES.get(path.name, set())
    wrong = [
        f"line {found.line}: {found.top}"
        for found in imports_of(path)
        if found.top not in allowed and not (found.late and found.top in late)
    ]
    assert not wrong


def test_the_benchmarks_run_without_the_training_environment():
    """At import time; what a measurement compares with may be imported where it is measured."""
    training_environment = {"torch", "torchvision", "scipy", "litert_torch", "ai_edge_quantizer", "onnx", "pyts"}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted(PACKAGES["vskd_benchmarks"].rglob("*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if name.partition(".")[0] in training_environment
    ]
    assert not wrong


def parts_of(package: str) -> dict[str, set[str]]:
    """Part of a package -> the parts that it imports. A part is a sub-package, or a module beside the sub-packages."""
    parts: dict[str, set[str]] = {}
    for name, path in SOURCES:
        relative = path.relative_to(PACKAGES[name])
        if name != package or (relative.name == "__init__.py" and len(relative.parts) == 1):
            continue
        part = relative.parts[0].removesuffix(".py")
        imported = parts.setdefault(part, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                module = node.module or ""
                names = [f"{module}.{alias.name}" for alias in node.names] if module == package else [module]
                imported |= {name.split(".")[1] for name in names if name.startswith(f"{package}.")} - {part}
    return parts


def reachable(parts: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = parts.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


@pytest.mark.parametrize("package", list(PACKAGES))
def test_sub_packages_do_not_import_each_other_in_a_circle(package):
    """Also not late or for types: what two parts share belongs into one of them, or into a third."""
    parts = parts_of(package)
    circles = {part for part in parts if part in reachable(parts, part)}
    assert not circles, {part: sorted(parts[part] & circles) for part in sorted(circles)}


@pytest.mark.parametrize("package", list(PACKAGES))
def test_a_folder_holds_about_a_dozen_modules(package):
    folders = {path.parent for name, path in SOURCES if name == package}
    counts = {folder.name: sum(path.name != "__init__.py" for path in folder.glob("*.py")) for folder in folders}
    assert not {name: count for name, count in counts.items() if count > MODULES_OF_A_FOLDER.get(name, 14)}


def loaded_by(code: str) -> set[str]:
    """Top-level modules that are loaded in a fresh interpreter after this code."""
    script = f"{code}\nimport sys\nprint('\\n'.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT / "runtime",
        timeout=120,
    )
    return set(done.stdout.split())


def test_importing_the_runtime_loads_numpy_and_the_standard_library_only():
    own = loaded_by("import vskd; vskd.Classifier") - loaded_by("import numpy")
    assert {name for name in own if not name.startswith("_")} - set(sys.stdlib_module_names) == {"vskd"}


@EACH_THAT_DOES_NOT_PRINT
def test_only_the_command_line_prints(package, path):
    lines = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not lines


#: What prints, and the modules that may call it: everything else goes through them, so that it is escaped.
PRINTERS = {"echo": {"terminal.py", "cli.py"}, "secho": set(), "Console": set()}


@EACH_SOURCE
def test_what_reaches_a_terminal_is_escaped(package, path):
    lines = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and path.name not in PRINTERS.get(_called(node), {path.name})
    ]
    assert not lines, f"say() of vskd.commands.terminal, or SafeConsole of vskd.commands.rich_console: lines {lines}"


@EACH_SOURCE
def test_only_the_writing_module_renames_and_synchronises(package, path):
    """``x.replace(y)`` is a path's; a string's takes two arguments, a dataclass's takes keywords."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    lines = [
        node.lineno
        for node in calls
        if _called(node) in ("rename", "renames", "fsync", "mkdtemp", "mkstemp")
        or (_called(node) == "replace" and len(node.args) == 1 and not node.keywords)
    ]
    assert not lines or path == PACKAGES["vskd"] / "writing.py"


@EACH_SOURCE
def test_no_module_is_a_drawer_for_everything(package, path):
    assert path.name not in NO_NAME_FOR_A_MODULE


@EACH_SOURCE
def test_nothing_is_validated_by_assert(package, path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)]


@EACH_SOURCE
def test_a_module_opens_with_what_it_does(package, path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


def function_lengths() -> dict[str, int]:
    """Lines of every function, from ``def`` to its end, without the docstring."""
    lengths = {}
    for _, path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                where = f"{path.relative_to(ROOT).as_posix()}:{node.lineno} {node.name}"
                lengths[where] = (node.end_lineno or node.lineno) - node.lineno + 1 - docstring_lines(node)
    return lengths


def docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    if ast.get_docstring(node) is None:
        return 0
    return (first.end_lineno or first.lineno) - first.lineno + 1


def test_no_function_is_long():
    too_long = {where: lines for where, lines in function_lengths().items() if lines > LONGEST}
    assert not too_long, f"more than {LONGEST} lines: {too_long}"


def test_nine_functions_of_ten_are_short():
    lengths = function_lengths()
    longer = {where: lines for where, lines in lengths.items() if lines > NINE_OF_TEN}
    share = 1 - len(longer) / len(lengths)
    assert share >= 0.9, f"{share:.1%} of {len(lengths)} have {NINE_OF_TEN} lines or fewer; longer: {longer}"
