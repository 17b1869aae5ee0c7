"""The files of a Wear OS project: the template beside this module, and what a bundle fixes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vskd.bundle import Bundle
from vskd.errors import VskdError
from vskd.wearer.profile import MOST_EXAMPLES
from vskd.writing import disk_errors, refuse_replacing, write_folder
from vskd_export.ports.golden import bundle_golden
from vskd_export.ports.planned import planned
from vskd_export.ports.rules import rules_of
from vskd_export.ports.watch.asset import network_file
from vskd_export.ports.watch.golden import golden_file
from vskd_export.ports.watch.kotlin import about_kt, rules_kt, wrist_kt

TEMPLATE = Path(__file__).parent / "project"

#: Code and files of the core; the second is where a class path begins.
KOTLIN, RESOURCES = "core/src/main/kotlin/vskd", "core/src/main/resources"

#: The Kotlin core, but for what is generated.
CORE = TEMPLATE / KOTLIN

#: Names a folder as a project of ours.
MARK = f"{KOTLIN}/Wrist.kt"

#: Names in the template that are other ones in a project: a wheel would leave out a hidden file.
_RENAMED = {"gitignore": ".gitignore"}


@dataclass(frozen=True)
class Project:
    """A project before it is written.

    Attributes
    ----------
    files : name -> content
    model : the file of the bundle whose network it runs
    """

    files: dict[str, bytes]
    model: str


def project_of(bundle: Bundle, *, examples: int | None = None) -> Project:
    """The project of a bundle.

    Parameters
    ----------
    bundle : opened; its int8 ``.tflite`` is the model
    examples : of the wearer, held at the most; None takes what a core can hold, or 0 where the contract knows of none

    Raises
    ------
    ContractError : a contract that a core cannot hold
    BundleError : no int8 model for TensorFlow Lite, or a changed file
    EngineError : the model holds an operator that a plan has no step for
    """
    made = planned(bundle)
    contract, plan = made.contract, made.plan
    if examples is None:
        examples = MOST_EXAMPLES if contract.examples is not None else 0
    rules = rules_of(contract, examples=examples)
    windows, replays = bundle_golden(bundle, plan)
    written = {
        f"{KOTLIN}/Rules.kt": rules_kt().encode(),
        MARK: wrist_kt(rules, name="Wrist").encode(),
        f"{KOTLIN}/About.kt": about_kt(bundle, made.file).encode(),
        f"{RESOURCES}/vskd/network.bin": network_file(contract, plan),
        f"{RESOURCES}/vskd/golden.bin": golden_file(windows, replays, contract.labels),
        "app/src/litert/assets/model.tflite": bundle.read(made.file),
    }
    return Project({**_template(bundle), **written}, made.file)


def _template(bundle: Bundle) -> dict[str, bytes]:
    paths = [path for path in sorted(TEMPLATE.rglob("*")) if path.is_file()]
    files = {path.relative_to(TEMPLATE).as_posix(): path.read_bytes() for path in paths}
    readme = files.pop("README.md").replace(b"@BUNDLE@", bundle.name.encode())
    return {"README.md": readme, **{_RENAMED.get(name, name): content for name, content in files.items()}}


def refuse_existing(folder: Path, *, overwrite: bool) -> None:
    """Refuse a place where a project cannot be written: what is there without ``overwrite``, and no project even with.

    Raises
    ------
    VskdError
    """
    refuse_replacing(folder, mark=MARK, what="project of vskd watch", kind=VskdError, overwrite=overwrite)


def write_project(project: Project, folder: Path, *, overwrite: bool) -> None:
    """Write a project, whole or not at all.

    Raises
    ------
    VskdError : the folder exists, or cannot be written
    """
    refuse_existing(folder, overwrite=overwrite)
    with disk_errors(folder, VskdError, hint="Nothing was left behind"):
        write_folder(folder, project.files, replace=overwrite)
