"""The arithmetic peak of one core, measured: int8 and float32 multiply-accumulates a second.

``python -m research.peak`` compiles ``peak.c`` for this processor with the system's C compiler and runs it a few
times. A model's MACs over its latency, divided by the peak, is how much of the processor an engine uses; and int8 can
be faster than float32 by no more than the ratio of the two peaks (Williams et al., Roofline, CACM 2009), unless the
float32 kernels are the worse ones. Memory is not looked at: at batch one a student's weights come out of the caches.
"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from research.document import Script
from vskd.errors import VskdError

SOURCE = Path(__file__).with_name("peak.c")

#: Other programs can only slow a run down, so the best of some is the peak.
RUNS = 15


@dataclass(frozen=True)
class Peak:
    """What one core can do.

    Attributes
    ----------
    int8_macs_per_s : products of 8-bit integers, added in 32 bits
    fp32_macs_per_s : fused multiply-adds in float32
    instructions : that were measured, int8 first
    """

    int8_macs_per_s: float
    fp32_macs_per_s: float
    instructions: str


def measure_peak(*, source: Path = SOURCE, runs: int = RUNS) -> Peak:
    """Measure the peak of the core that this process runs on.

    Parameters
    ----------
    source : the program
    runs : times to run it; the highest figure of either kind counts

    Raises
    ------
    VskdError : no compiler, or it does not know this processor
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise VskdError("there is no C compiler here", hint="On Debian: apt install gcc libc6-dev")
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "peak"
        # Compilers for ARM and for x86 call "this very processor" by different options.
        tuned = "-mcpu=native" if platform.machine() == "aarch64" else "-march=native"
        made = subprocess.run(
            [compiler, "-O2", tuned, str(source), "-o", str(program)], capture_output=True, text=True, check=False
        )
        if made.returncode != 0:
            raise VskdError(
                f"{compiler} cannot compile {source.name} for this processor: {_first_error(made.stderr)}",
                hint="x86 with AVX2, or 64-bit ARM, is needed",
            )
        lines = [_run(program) for _ in range(runs)]
    return Peak(max(float(line[0]) for line in lines), max(float(line[1]) for line in lines), lines[0][2])


def _run(program: Path) -> list[str]:
    ran = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise VskdError(
            f"the compiled program ended with {ran.returncode}", hint="The compiler misjudges this processor"
        )
    return ran.stdout.strip().split(" ", maxsplit=2)


def _first_error(output: str) -> str:
    errors = [line for line in output.splitlines() if "error" in line]
    return (errors or output.splitlines() or ["no message"])[0]


@click.command(cls=Script, epilog="Example: python -m research.peak")
def main() -> None:
    """Measure how many multiply-accumulates one core of this machine can do in a second."""
    peak = measure_peak()
    ratio = peak.int8_macs_per_s / peak.fp32_macs_per_s
    click.echo(
        f"{peak.instructions}: int8 {peak.int8_macs_per_s / 1e9:.1f}, float32 {peak.fp32_macs_per_s / 1e9:.1f} "
        f"thousand million MACs a second, one core; int8 can be {ratio:.2f} times faster",
        err=True,
    )
    click.echo(json.dumps(asdict(peak)))


if __name__ == "__main__":
    main()
