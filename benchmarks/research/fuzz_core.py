"""Random bytes for minutes against a bundle's C core, under clang's libFuzzer and its sanitizers.

``python -m research.fuzz_core wrist.bundle --minutes 30 --examples 4``

The bytes become samples of any value at any time, silences, batches and a wearer's examples (``fuzz_core.c``). Found is
whatever the sanitizers of addresses and of undefined behaviour tell, a try of 300 s, and an event that cannot be. Exit
code 1 if there is anything; the input that repeats it is told. The last line of standard output is one JSON document.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from research.document import Script
from vskd.bundle import Bundle
from vskd.errors import ConfigError
from vskd_benchmarks.device.environment import describe_machine
from vskd_export.ports.c.port import CORE_SOURCES, port_of

TARGET = Path(__file__).with_name("fuzz_core.c")

#: Where the search begins: seconds of samples at 50 Hz and at 100 Hz, which the filter takes; drifting from rest.
_INPUTS = tuple(bytes([first, *[15, step, 255, 1, 2, 3, 0, 0, 32] * 4]) for first, step in ((0, 0), (6, 1)))

_FLAGS = ("-std=c99", "-O2", "-g", "-ffp-contract=off")
_SANITIZERS = "-fsanitize=fuzzer,address,undefined,float-cast-overflow"

#: Below the time limit a slow try, on a busy machine, is no finding. The limit of memory is off: Linux counts the peak
#: of the process that started this one, and the core allocates nothing.
_OPTIONS = ("-timeout=300", "-report_slow_units=300", "-rss_limit_mb=0", "-max_len=300", "-print_final_stats=1")


def fuzzed(files: Mapping[str, str], sources: tuple[str, ...], *, limit: Sequence[str], folder: Path) -> dict[str, Any]:
    """What libFuzzer found in a core.

    Parameters
    ----------
    files : name -> text, of the core
    sources : of these, what is compiled
    limit : options of libFuzzer that end the search: ``-max_total_time`` in seconds, or ``-runs`` with a ``-seed``
    folder : takes the files, and the inputs that reach new code

    Raises
    ------
    ConfigError : no clang is installed
    """
    if shutil.which("clang") is None:
        raise ConfigError("no clang is installed, which holds libFuzzer", hint="apt-get install clang")
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    program, inputs = folder / "fuzz", folder / "inputs"
    inputs.mkdir(exist_ok=True)
    for number, content in enumerate(_INPUTS):
        (inputs / f"first-{number}").write_bytes(content)
    command = ["clang", *_FLAGS, _SANITIZERS, "-fno-sanitize-recover=all", f"-I{folder}", "-o", str(program)]
    subprocess.run([*command, *(str(folder / name) for name in sources), str(TARGET)], check=True)
    run = subprocess.run(
        [str(program), *limit, *_OPTIONS, f"-artifact_prefix={folder}/", str(inputs)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        # The core allocates nothing that could leak, and the search for leaks fails where a process may not be traced.
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
    )
    return _found(run.returncode, run.stderr)


def _found(code: int, text: str) -> dict[str, Any]:
    """What libFuzzer's report says."""
    tries = re.search(r"number_of_executed_units: (\d+)", text)
    covered = re.findall(r" cov: (\d+)", text)
    told = [line for line in text.splitlines() if re.search(r"ERROR|runtime error|deadly signal|Test unit", line)]
    return {
        "tries": int(tries[1]) if tries else 0,
        "covered_edges": int(covered[-1]) if covered else 0,
        "violations": told or ([f"exit code {code}: {text[-500:]}"] if code else []),
    }


@click.command(cls=Script, epilog="Example: python -m research.fuzz_core wrist.bundle --minutes 30 --examples 4")
@click.argument("bundle", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=30.0, show_default=True)
@click.option("--examples", type=click.IntRange(0), default=0, show_default=True, help="Of a wearer.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Folder for sources and inputs.")
def main(bundle: Path, minutes: float, examples: int, keep: Path | None) -> None:
    """Fuzz the C core of a BUNDLE."""
    port = port_of(Bundle.open(bundle), examples=examples)
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        limit = [f"-max_total_time={max(1, round(minutes * 60))}"]
        found = fuzzed(port.files, CORE_SOURCES, limit=limit, folder=folder)
    about = {"benchmark": "fuzz C core", "machine": describe_machine(), "bundle": bundle.name, "examples": examples}
    click.echo(json.dumps({**about, "minutes": minutes, **found}))
    if found["violations"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
