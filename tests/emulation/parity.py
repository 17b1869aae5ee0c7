"""A bundle's answers on an emulated board beside those of this machine.

``python tests/emulation/parity.py BUNDLE CACHE OUT`` makes the kits of a bundle, installs each on its emulated board
with the kit's own script, and writes one JSON per board into the folder OUT: what agrees, what differs, and by how
much. Nothing in it is a time.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle, ModelEntry
from vskd.checks.golden import FLIP_MARGIN, Golden, gives_the_networks_logits, margins, read_golden
from vskd.checks.golden_stream import read_golden_stream
from vskd.decide import softmax
from vskd.engines.process import infer_in_subprocess
from vskd_benchmarks.pi_kit.boards import board_for
from vskd_benchmarks.pi_kit.kit import SCRIPT, make_kit
from vskd_benchmarks.pi_kit.wheels import clone_of

if __package__:
    from .emulated_board import GUESTS, EmulatedBoard, prepare
else:
    from emulated_board import GUESTS, EmulatedBoard, prepare

#: Engine on the board -> engine here that runs the same files.
ENGINES = {
    "aarch64": {"litert": "litert", "onnxruntime": "onnxruntime"},
    "armv7l": {"tflite-runtime": "litert"},
}


@dataclass(frozen=True)
class Installed:
    """A kit, unpacked and installed on an emulated board.

    Attributes
    ----------
    board : which
    folder : of the kit
    output : of the installer and the self-test that it runs
    """

    board: EmulatedBoard
    folder: Path
    output: str

    @property
    def bundle(self) -> Path:
        """The bundle that came with the kit."""
        (path,) = (self.folder / "bundle").iterdir()
        return path

    def vskd(self, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
        """The board's ``vskd``."""
        return self.board.run([self.folder / "venv" / "bin" / "vskd", *words], folder=self.folder)

    def logits(self, engine: str, entry: ModelEntry, windows: NDArray[np.float32]) -> tuple[str, NDArray[np.float32]]:
        """(version of the engine, (windows, classes)) as the board computes them."""
        stdin = io.BytesIO()
        np.save(stdin, windows)
        python = self.folder / "venv" / "bin" / "python"
        command = [python, "-m", "vskd.engines.process", engine, self.bundle / entry.file]
        done = succeeded(self.board.run(command, folder=self.folder, stdin=stdin.getvalue()))
        with np.load(io.BytesIO(done.stdout), allow_pickle=False) as archive:
            return str(archive["version"]), archive["logits_0"]


def succeeded(done: subprocess.CompletedProcess[bytes]) -> subprocess.CompletedProcess[bytes]:
    """Refuse a process that failed, with its last words."""
    if done.returncode != 0:
        words = (done.stdout + done.stderr).decode(errors="replace")[-2000:]
        raise RuntimeError(f"{done.args} ended with exit code {done.returncode}:\n{words}")
    return done


def install(bundle: Path, machine: str, cache: Path, folder: Path) -> Installed:
    """Make the kit, unpack it, and run its own script up to the self-test.

    Raises
    ------
    NoEmulationError : no such board can be emulated here
    KitError : no kit can be made
    RuntimeError : the script failed on the board
    """
    board = prepare(GUESTS[machine], cache)
    kit = make_kit(bundle, folder / "kit.tar.gz", board=board_for(machine, "3.11"), python="3.11", clone=clone_of())
    subprocess.run(["tar", "xf", kit.path.name], cwd=folder, check=True)
    python = folder / kit.folder / "venv" / "bin" / "python"
    board.show_as_binary(python)
    try:
        done = succeeded(board.run(["sh", f"{kit.folder}/{SCRIPT}", "--no-bench"], folder=folder))
    finally:
        board.forget(python)
    return Installed(board, folder / kit.folder, done.stdout.decode())


def compare(installed: Installed) -> dict[str, Any]:
    """Both machines' answers to the golden windows and the golden stream, of every model and engine of the board."""
    bundle = Bundle.open(installed.bundle)
    golden = read_golden(bundle)
    models = [
        _compare_model(installed, bundle, golden, engine, here, entry)
        for engine, here in ENGINES[installed.board.guest.machine].items()
        for entry in bundle.models
        if entry.format == ("onnx" if engine == "onnxruntime" else "tflite")
    ]
    about = f"emulated {installed.board.guest.cpu} ({installed.board.guest.emulator}), beside this machine"
    return {
        "about": f"{about}; parity only, no real board was used and no time was taken",
        "machine": installed.board.guest.machine,
        "bundle_sha256": bundle.sha256(),
        "limits": {
            "fp32_logit_from_golden": bundle.contract.logit_tolerance,
            "int8_probability": FLIP_MARGIN,
            "int8_label_may_change_up_to_margin": FLIP_MARGIN,
        },
        "packages": (installed.folder / "requirements.txt").read_text(encoding="utf-8").split(),
        "models": models,
    }


def _compare_model(
    installed: Installed, bundle: Bundle, golden: Golden, engine: str, here: str, entry: ModelEntry
) -> dict[str, Any]:
    exact = gives_the_networks_logits(entry)
    version, there = installed.logits(engine, entry, golden.windows)
    answer = infer_in_subprocess(here, [bundle.model_path(entry)], golden.windows)
    difference = np.abs(there - answer.logits[0]).max(axis=1)
    from_golden = np.abs(there - (golden.logits if exact else golden.model_logits[entry.file])).max()
    probabilities, expected = (
        softmax(logits, temperature=bundle.contract.decision.temperature) for logits in (there, answer.logits[0])
    )
    other = np.flatnonzero(there.argmax(axis=1) != answer.logits[0].argmax(axis=1))
    lead = margins(expected)
    return {
        "file": entry.file,
        "recipe": entry.recipe,
        "engine_on_board": f"{engine} {version}",
        "engine_here": f"{here} {answer.version}",
        "windows": len(golden),
        "labels_that_differ": {golden.names[index]: round(float(lead[index]), 4) for index in other},
        "largest_logit_difference": float(difference.max()),
        "where": golden.names[int(difference.argmax())],
        "largest_logit_difference_from_golden": float(from_golden),
        "largest_probability_difference": float(np.abs(probabilities - expected).max()),
        **_compare_events(installed, bundle, engine, here, entry),
    }


def _compare_events(installed: Installed, bundle: Bundle, engine: str, here: str, entry: ModelEntry) -> dict[str, Any]:
    """``vskd run`` on the golden stream, as the sensor of another device sends it."""
    case = read_golden_stream(bundle).cases[-1]
    words = ["run", str(bundle.path), "--input", str(bundle.path / case.file), "--recipe", entry.recipe]
    words += ["--unit", case.unit, f"--axes={case.axes}"]
    there = _events(installed.vskd(*words, "--engine", engine))
    command = [sys.executable, "-m", "vskd", *words, "--engine", here]
    expected = _events(subprocess.run(command, capture_output=True, check=False))
    same_times = [each["end_s"] for each in there] == [each["end_s"] for each in expected]
    pairs = list(zip(there, expected, strict=True)) if same_times else []
    return {
        "events": len(there),
        "events_at_the_same_times": same_times,
        "event_labels_that_differ": sum(one["label"] != other["label"] for one, other in pairs),
        "largest_event_probability_difference": max(
            (abs(one["probability"] - other["probability"]) for one, other in pairs), default=0.0
        ),
    }


def _events(done: subprocess.CompletedProcess[bytes]) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in succeeded(done).stdout.splitlines()]


def main(bundle: Path, cache: Path, out: Path) -> None:
    """Compare on every kind of board."""
    out.mkdir(parents=True, exist_ok=True)
    for machine in ENGINES:
        with tempfile.TemporaryDirectory() as folder:
            document = compare(install(bundle, machine, cache, Path(folder)))
        (out / f"{machine}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
