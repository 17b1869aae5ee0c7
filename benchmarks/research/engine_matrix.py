"""Each engine in an environment of its own, as a device would install it: wheel, one extra, the pinned versions.

``python -m research.engine_matrix BUNDLE --out FOLDER`` from a clone. Two of the engines cannot share an
environment (tflite-runtime works only beside numpy 1.x), and a wheel that lacks a file shows only where nothing else
is installed. Each environment runs ``vskd selftest``, ``vskd verify`` and ``vskd run`` on one recording with every
model that the engine takes. Exit code 1 if one of them fails, or if two engines give other labels for one model file,
or for the fp32 models of both formats.

Needs the network or a pip that finds the packages. Measures no time.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np

from research.document import Script
from vskd.bundle import Bundle
from vskd.engines import ENGINES
from vskd.errors import ConfigError, DataError
from vskd_benchmarks.pipelines.wrist_signal import wrist_signal

#: Pins of constraints.txt that an engine cannot live with.
OTHER_PINS: Mapping[str, Mapping[str, str]] = {"tflite-runtime": {"numpy": "1.26.4"}}

#: No engine's start, install or replay takes longer, s.
TIMEOUT_S = 1200


@dataclass
class Row:
    """What one engine did.

    Attributes
    ----------
    engine : as in ``vskd.engines.ENGINES``
    versions : of the engine's package, numpy and Python
    failed : one sentence per command that failed
    labels : model file -> the label of every event of the recording
    """

    engine: str
    versions: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    labels: dict[str, list[str]] = field(default_factory=dict)


def differences(rows: Sequence[Row]) -> list[str]:
    """Where engines disagree: on one model file, and between the fp32 models of the two formats.

    Parameters
    ----------
    rows : one per engine
    """
    answers = [(row.engine, file, labels) for row in rows for file, labels in row.labels.items()]
    files = sorted({file for _, file, _ in answers})
    groups = [[one for one in answers if one[1] == file] for file in files]
    groups.append([one for one in answers if ".fp32." in one[1]])
    found = []
    for group in groups:
        for engine, file, labels in group[1:]:
            first_engine, first_file, first = group[0]
            if labels != first:
                found.append(f"{file} on {engine}: {_where(labels, first)} as {first_file} on {first_engine}")
    return sorted(set(found))


def _where(labels: Sequence[str], first: Sequence[str]) -> str:
    if len(labels) != len(first):
        return f"{len(labels)} decisions, not {len(first)}"
    other = sum(one != two for one, two in zip(labels, first, strict=True))
    return f"{other} of {len(labels)} labels not the same"


def constraints_for(engine: str, text: str) -> str:
    """The pinned versions, without those that the engine cannot live with."""
    pins = OTHER_PINS.get(engine, {})
    kept = [line for line in text.splitlines() if line.partition("==")[0] not in pins]
    return "\n".join([*kept, *(f"{name}=={version}" for name, version in pins.items())]) + "\n"


class Environment:
    """A virtual environment with the wheel and one engine.

    Parameters
    ----------
    folder : where it is made
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._python = folder / "bin" / "python"

    def make(self, wheel: Path, extra: str, constraints: Path) -> None:
        """Install the wheel with an extra; raises ``DataError`` if pip does not."""
        _must([sys.executable, "-m", "venv", "--clear", str(self._folder)])
        wanted = f"vskd[{extra}] @ {wheel.resolve().as_uri()}"
        _must([str(self._python), "-m", "pip", "install", "--quiet", "--constraint", str(constraints), wanted])

    def vskd(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the command that the wheel installed."""
        return _done([str(self._folder / "bin" / "vskd"), *map(str, words)], self._folder)

    def versions(self, *packages: str) -> dict[str, str]:
        """Versions of packages, and of Python."""
        script = (
            "import json, platform, sys; from importlib.metadata import version;"
            "print(json.dumps({'python': platform.python_version()} | {name: version(name) for name in sys.argv[1:]}))"
        )
        found: dict[str, str] = json.loads(_done([str(self._python), "-c", script, *packages], self._folder).stdout)
        return found


def try_engine(engine: str, environment: Environment, bundle: Path, recording: Path, out: Path) -> Row:
    """Self-test, verify and run in an environment that is there.

    Parameters
    ----------
    engine : the one that is installed
    bundle, recording : to run
    out : folder for the events
    """
    row = Row(engine, environment.versions(ENGINES[engine].distribution, "numpy", "vskd"))
    for words in (("selftest", bundle), ("verify", bundle, "--engine", engine)):
        done = environment.vskd(*words)
        (out / f"{engine}.{words[0]}.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
        row.failed += [] if done.returncode == 0 else [f"vskd {words[0]}: {_last_line(done)}"]
    for entry in Bundle.open(bundle).models:
        if entry.format != ENGINES[engine].format:
            continue
        events = out / f"{engine}.{entry.file}.jsonl"
        events.unlink(missing_ok=True)
        chosen = ("--engine", engine, "--recipe", entry.recipe, "--output", events)
        done = environment.vskd("run", bundle, "--input", recording, *chosen)
        if done.returncode:
            row.failed.append(f"vskd run, {entry.file}: {_last_line(done)}")
        else:
            lines = events.read_text(encoding="utf-8").splitlines()
            row.labels[entry.file] = [json.loads(line)["label"] for line in lines]
    return row


def write_recording(bundle: Bundle, path: Path) -> int:
    """A recording of the bundle's golden windows as CSV; gives the number of samples."""
    signal = wrist_signal(bundle)
    parts = [*([signal.prime] if signal.prime else []), *signal.deliveries]
    chosen = parts[:1] if bundle.contract.window.mode == "whole" else parts
    table = np.column_stack(
        [np.concatenate([part.time_s for part in chosen]), np.concatenate([part.xyz for part in chosen])]
    )
    with path.open("w", encoding="utf-8", newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["time_s", "ax", "ay", "az"])
        writer.writerows(table.tolist())
    return len(table)


def build_wheel(root: Path, out: Path) -> Path:
    """The wheel of a clone, by the backend that its pyproject.toml names."""
    if not (root / "constraints.txt").is_file():
        raise ConfigError(f"{root} is no clone of the project", hint="Run this from a clone")
    for old in out.glob("vskd-*.whl"):
        old.unlink()
    _must([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(root)])
    (wheel,) = out.glob("vskd-*.whl")
    return wheel


def _done(words: Sequence[str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    # The clone's own packages must not stand before the wheel's.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["OMP_NUM_THREADS"] = "1"
    return subprocess.run(
        list(words), capture_output=True, text=True, check=False, timeout=TIMEOUT_S, cwd=folder, env=environment
    )


def _must(words: Sequence[str]) -> None:
    done = _done(words)
    if done.returncode:
        raise DataError(f"{' '.join(words[:5])} ... failed: {_last_line(done)}", hint="Run it by hand to see all of it")


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")] or done.stderr.splitlines()
    return lines[-1].removeprefix("error: ") if lines else f"exit code {done.returncode}"


def matrix(bundle: Path, engines: Iterable[str], out: Path, root: Path) -> dict[str, Any]:
    """Make the environments, try every engine, compare.

    Parameters
    ----------
    bundle : the folder
    engines : names
    out : for the environments, the events and what the commands printed
    root : the clone
    """
    out.mkdir(parents=True, exist_ok=True)
    wheel = build_wheel(root, out)
    opened = Bundle.open(bundle)
    samples = write_recording(opened, out / "recording.csv")
    rows = []
    for engine in engines:
        constraints = out / f"{engine}.constraints.txt"
        text = (root / "constraints.txt").read_text(encoding="utf-8")
        constraints.write_text(constraints_for(engine, text), encoding="utf-8")
        environment = Environment((out / engine).resolve())
        environment.make(wheel, ENGINES[engine].extra, constraints)
        rows.append(try_engine(engine, environment, bundle.resolve(), (out / "recording.csv").resolve(), out.resolve()))
        sys.stderr.write(f"{engine}: {'; '.join(rows[-1].failed) or 'ok'}\n")
    found = differences(rows)
    return {
        "bundle_sha256": opened.sha256(),
        "recording_samples": samples,
        "engines": [asdict(row) for row in rows],
        "differences": found,
        "passed": not found and not any(row.failed for row in rows),
    }


@click.command(cls=Script, epilog="Example: python -m research.engine_matrix wrist.bundle --out build/engines")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for environments, events and outputs."
)
@click.option("--engine", "engines", multiple=True, type=click.Choice(list(ENGINES)), help="Only this; repeatable.")
def main(bundle: Path, out: Path, engines: tuple[str, ...]) -> None:
    """Try each engine in an environment of its own; the last line of standard output is one JSON document."""
    result = matrix(bundle, engines or list(ENGINES), out, Path(__file__).resolve().parents[2])
    for sentence in result["differences"]:
        click.echo(f"difference: {sentence}", err=True)
    click.echo(json.dumps(result))
    sys.exit(0 if result["passed"] else 1)


if __name__ == "__main__":
    main()
