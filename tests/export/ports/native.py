"""The C core as a library of this machine, with a small deterministic network in place of a bundle's.

``Core`` and ``Runtime`` take the same calls and give the same plain events, so that a test compares them.
"""

from __future__ import annotations

import ctypes
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vskd.classifier import Classifier
from vskd.contract import Contract, Unit
from vskd.decide import Event
from vskd.errors import StreamError
from vskd.stream import Health, TimeUnit
from vskd.wearer.profile import Example, Profile
from vskd_export.ports.c.core import core_source, header, rule_macros, source
from vskd_export.ports.rules import rules_of

STAND_IN = Path(__file__).with_name("stand_in.c")
WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-ffp-contract=off"]
EMBEDDING = 8
SCALES = (np.float32(0.0625), np.float32(0.03125))
KINDS = ("frozen", "zeros", "no gravity", "equal axes", "saturated", "cut off", "rate", "gravity", "dead axis")
KINDS += ("direction",)
REASONS = (*KINDS, "improbable", "unlike", "still", "pause", "")
UNITS: tuple[Unit, ...] = ("g", "m/s^2")
TIME_UNITS: tuple[TimeUnit, ...] = ("s", "ms", "us", "ns")
COUNTS = ("samples", "out_of_order", "wild", "reordered", "spread", "not_finite", "gaps", "resets", "saturated")
COUNTS += ("leading_zeros", "cut_off", "windows", "still", "without_activity")


@dataclass(frozen=True)
class Plain:
    """An event of either side; ``label`` counts activities from 0, ``defects`` are kinds."""

    label: int
    start_s: float
    end_s: float
    delay_s: float
    reason: str
    defects: frozenset[str]
    dead: tuple[int, ...]
    probability: float
    probabilities: tuple[float, ...]


class _Event(ctypes.Structure):
    _fields_ = (
        ("start_s", ctypes.c_double),
        ("end_s", ctypes.c_double),
        ("delay_s", ctypes.c_double),
        ("probability", ctypes.c_double),
        ("probabilities", ctypes.POINTER(ctypes.c_double)),
        ("labels", ctypes.c_int16),
        ("label", ctypes.c_int16),
        ("reason", ctypes.c_int),
        ("defects", ctypes.c_uint16),
        ("dead_axes", ctypes.c_uint8),
        ("equal_axes", ctypes.c_uint8),
    )


class _Health(ctypes.Structure):
    _fields_ = (
        *[(name, ctypes.c_uint32) for name in COUNTS[:10]],
        ("cut_off", ctypes.c_uint32),
        ("flat", ctypes.c_uint32 * 3),
        *[(name, ctypes.c_uint32) for name in COUNTS[11:]],
        ("intervals", ctypes.c_uint32),
        ("elapsed_s", ctypes.c_double),
        ("recent_rate_hz", ctypes.c_double),
        ("recent_saturated", ctypes.c_double),
        ("is_settled", ctypes.c_bool),
        ("turned", ctypes.c_bool),
    )


def write_core(folder: Path, contract: Contract, *, examples: int = 0) -> None:
    """``wrist.h``, ``vskd_core.h`` and ``vskd_core.c`` for the stand-in."""
    classes = len(contract.labels)
    macros = rule_macros(rules_of(contract, examples=examples), embedding=EMBEDDING) | {
        "VSKD_ARENA_BYTES": str(classes + EMBEDDING),
        "VSKD_LOGITS": "0",
        "VSKD_LOGITS_SCALE": f"{SCALES[0]}f",
        "VSKD_LOGITS_ZERO_POINT": "3",
        "VSKD_EMBEDDING_SIZE": str(EMBEDDING),
        "VSKD_EMBEDDING": str(classes),
        "VSKD_EMBEDDING_SCALE": f"{SCALES[1]}f",
        "VSKD_EMBEDDING_ZERO_POINT": "-5",
    }
    texts = {"wrist.h": header(macros), "vskd_core.h": source("vskd_core.h"), "vskd_core.c": core_source()}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def compiled(folder: Path, *flags: str, compiler: str = "gcc") -> Path:
    """The core of a folder and the stand-in as a shared library."""
    library = folder / "core.so"
    command = [compiler, *WARNINGS, "-O1", *flags, "-fPIC", "-shared", f"-I{folder}", "-o", str(library)]
    subprocess.run([*command, str(folder / "vskd_core.c"), str(STAND_IN)], check=True, timeout=600)
    return library


class Core:
    """The C core of one contract, from the library of ``compiled``."""

    def __init__(self, library: Path) -> None:
        self.library = ctypes.CDLL(str(library))
        self.library.state_bytes.restype = ctypes.c_size_t
        self.library.health_of.restype = ctypes.POINTER(_Health)
        self._state = ctypes.create_string_buffer(self.library.state_bytes() + 16)
        self.at = ctypes.c_void_p((ctypes.addressof(self._state) + 15) // 16 * 16)
        self._calls = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(_Event))(self._take)
        self._features: list[Any] = []
        self._example = ctypes.create_string_buffer(8 * 2048 + 16)
        self._enrols = False
        self.events: list[Plain] = []

    @property
    def state_bytes(self) -> int:
        """Of the one struct."""
        return int(self.library.state_bytes())

    def begin(self, unit: Unit, axes: str, time_unit: TimeUnit, examples: list[tuple[int, bytes]]) -> Core:
        """Start afresh, with a wearer's examples: labels and features."""
        self.events, self._time_unit, self._features = [], time_unit, []
        self._enrols = hasattr(self.library, "vskd_example_begin")
        if self._enrols:
            self.library.vskd_example_begin(self._example)
        signs = [(-1 if "-" in part else 1) * ("xyz".index(part.strip("+-")) + 1) for part in axes.split(",")]
        given = (ctypes.c_int8 * 3)(*signs)
        assert not self.library.vskd_init(
            self.at, UNITS.index(unit), TIME_UNITS.index(time_unit), given, self._calls, None
        )
        for label, feature in examples:
            self._features.append((ctypes.c_int8 * len(feature)).from_buffer_copy(feature))
            assert not self.library.vskd_profile_add(self.at, ctypes.c_int16(label), self._features[-1])
        return self

    def push(self, times: NDArray[Any], xyz: NDArray[np.float32], clock_s: float) -> bool:
        """Take samples (n,) and (n, 3), delivered at a time; False where the unit is refused."""
        name = "push_all_seconds" if self._time_unit == "s" else "push_all"
        status = getattr(self.library, name)(
            self.at, len(times), times.ctypes.data_as(ctypes.c_void_p), xyz.ctypes.data_as(ctypes.c_void_p)
        )
        self.library.vskd_delivered(self.at, ctypes.c_double(clock_s))
        return not status

    def silence(self, for_s: float) -> None:
        self.library.vskd_silence(self.at, ctypes.c_double(for_s))

    def finish(self) -> bool:
        return not self.library.vskd_finish(self.at)

    def add_window(self, window: NDArray[np.float32]) -> None:
        self.library.vskd_example_add(self._example, self.at, window.ctypes.data_as(ctypes.c_void_p))

    def example(self, count: int) -> bytes | None:
        """The windows since ``begin`` as one example of so many values; None where they are none."""
        found = (ctypes.c_int8 * count)()
        return None if self.library.vskd_example_end(self._example, found) else bytes(found)

    def health(self) -> dict[str, Any]:
        found = self.library.health_of(self.at).contents
        return {name: getattr(found, name) for name in COUNTS} | {
            "flat": list(found.flat),
            "recent_rate_hz": found.recent_rate_hz,
            "recent_saturated": found.recent_saturated,
            "turned": found.turned,
        }

    def _take(self, _: object, event: Any) -> None:
        one = event.contents
        if self._enrols:
            self.library.vskd_example_take(self._example, self.at, event)
        self.events.append(
            Plain(
                label=one.label,
                start_s=one.start_s,
                end_s=one.end_s,
                delay_s=one.delay_s,
                reason=REASONS[one.reason],
                defects=frozenset(kind for bit, kind in enumerate(KINDS) if one.defects >> bit & 1),
                dead=tuple(axis for axis in range(3) if one.dead_axes >> axis & 1),
                probability=one.probability,
                probabilities=tuple(one.probabilities[: one.labels]),
            )
        )


class StandIn:
    """The network of ``stand_in.c``."""

    name, version = "stand-in", "1"

    def __init__(self, classes: int) -> None:
        self._classes = classes

    def _outputs(self, window: NDArray[np.float32]) -> NDArray[np.int64]:
        count, samples = self._classes + EMBEDDING, window.shape[1]
        values = np.array([window[place % 3, place * 5 % samples] for place in range(count)]) * np.float32(20)
        encoded = np.trunc(np.clip(values, -127, 127)).astype(np.int64)
        return np.trunc((3 * encoded + np.roll(encoded, -1)) / 4).astype(np.int64)

    def infer(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.infer_both(window)[0]

    def infer_both(self, window: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        outputs = self._outputs(window).astype(np.float32)
        return (outputs[: self._classes] - 3) * SCALES[0], (outputs[self._classes :] + 5) * SCALES[1]


class Runtime:
    """The Python runtime with the same network."""

    def __init__(
        self, contract: Contract, unit: Unit, axes: str, time_unit: TimeUnit, examples: list[tuple[str, bytes]]
    ) -> None:
        self.contract, self._clock_s = contract, 0.0
        self.events: list[Plain] = []
        own = tuple(Example(label, 0, feature) for label, feature in examples)
        self.classifier = Classifier(
            contract,
            StandIn(len(contract.labels)),
            unit=unit,
            axes=axes,
            time_unit=time_unit,
            clock=lambda: self._clock_s,
            profile=Profile("0" * 64, "0" * 64, own),
        )

    def push(self, times: NDArray[Any], xyz: NDArray[np.float32], clock_s: float) -> bool:
        self._clock_s = clock_s
        return self._keep(lambda: self.classifier.push(times, xyz))

    def silence(self, for_s: float) -> None:
        self._keep(lambda: self.classifier.silence(for_s))

    def finish(self) -> bool:
        return self._keep(self.classifier.finish)

    def health(self) -> dict[str, Any]:
        found: Health = self.classifier.health
        return {name: getattr(found, name) for name in COUNTS} | {
            "flat": found.flat,
            "recent_rate_hz": found.recent_rate_hz or 0.0,
            "recent_saturated": found.recent_saturated,
            "turned": bool(found.turned),
        }

    def _keep(self, call: Callable[[], list[Event]]) -> bool:
        try:
            self.events += map(self._plain, call())
        except StreamError:
            return False
        return True

    def _plain(self, event: Event) -> Plain:
        labels = {name: index for index, name in enumerate(self.classifier.labels)}
        labels |= {"unknown": -1, "no signal": -2, "still": -3}
        kinds = [_kind(defect.kind) for defect in event.defects]
        return Plain(
            label=labels[event.label],
            start_s=event.start_s,
            end_s=event.end_s,
            delay_s=event.delay_s,
            reason=_reason(event),
            defects=frozenset(kinds),
            dead=tuple(
                self.contract.sensor.axes.index(defect.kind.split()[-1])
                for defect in event.defects
                if defect.kind.startswith("dead axis")
            ),
            probability=event.probability,
            probabilities=tuple(event.probabilities.tolist()),
        )


def _kind(kind: str) -> str:
    return "dead axis" if kind.startswith("dead axis") else kind


def _reason(event: Event) -> str:
    obstacle = next((defect for defect in event.defects if defect.label), None)
    if obstacle is not None:
        return _kind(obstacle.kind)
    starts = {"probability": "improbable", "cosine": "unlike", "|a|": "still", "no samples": "pause"}
    return next((reason for start, reason in starts.items() if event.reason.startswith(start)), event.reason)


def sanitizer_runtime() -> Path:
    """The shared library of clang's address sanitizer; the test skips where there is none."""
    if shutil.which("clang") is None:
        pytest.skip("apt-get install clang")
    name = f"libclang_rt.asan-{platform.machine()}.so"
    found = subprocess.run(["clang", f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    runtime = Path(found.stdout.strip())
    if not runtime.exists():
        pytest.skip(f"this clang has no {name}: apt-get install libclang-rt-14-dev")
    return runtime
