"""Random damage for minutes: a stream of impossible samples, files with changed bytes, and processes killed at work.

``python -m research.fuzz stream --minutes 15``, ``python -m research.fuzz reader csv --minutes 5`` (``READERS`` lists
them), ``python -m research.fuzz kills --count 60``

What is found wrong is a violation, told with the seed that repeats it; exit code 1 if there is one. Allowed are an
answer, and one ``VskdError``. Killed are ``vskd run --append`` and the writer of a bundle: afterwards every line is
whole, and the folder holds the old bundle or the new one. The last line of standard output is one JSON document.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from research.document import Script
from research.soak import MeanEngine
from vskd import Classifier, Contract
from vskd.bundle import Bundle, write_bundle
from vskd.contract import ExamplesSpec, ExampleWeights, RecordingSpec, SignalSpec, WindowSpec
from vskd.decide import Event
from vskd.errors import VskdError
from vskd.manifest import read_manifest
from vskd.model_contract import CONTRACT_KEY, contract_inside
from vskd.sinks.event_files import file_sink, open_output
from vskd.sources.csv import SampleReader
from vskd.sources.layout import Layout
from vskd.sources.npz import NpzReader
from vskd.sources.text_file import file_lines
from vskd.untrusted.arrays import read_npz
from vskd.untrusted.documents import read_json, read_toml
from vskd.untrusted.text import RESERVED_LABELS
from vskd.wearer.profile import MAGIC, Example, Profile
from vskd.wearer.rule import FULL, ExampleRule
from vskd_benchmarks.device.environment import describe_machine
from vskd_training.datasets.files.numpy_pickle import read_mapping
from vskd_training.settings.resampling import todays_resampling

Float64 = NDArray[np.float64]
LABELS = ("x up", "y up", "z up")
#: With every rule of the signal; the motion gate is off, since it would answer for the rules.
CONTRACT = Contract(labels=LABELS, resampling=todays_resampling(), signal=SignalSpec()).with_decision(
    smoothing=0.5, no_signal_after_s=1.0
)
WHOLE = dataclasses.replace(CONTRACT, window=WindowSpec(mode="whole"), recording=RecordingSpec())

#: A try that takes longer than this, s of the processor, has no end.
LONGEST_TRY_S = 20.0

#: Samples of one fuzzed stream, at about 50 Hz.
SAMPLES = 400

#: What a window is computed from lies within it and so much time beside it: a gap that is bridged, half a filter.
MARGIN_S = 0.4

Problems = Callable[..., Iterator[str]]


def crashes_are_problems(problems: Problems) -> Problems:
    """An exception is a problem, by its name."""

    @functools.wraps(problems)
    def guarded(*given: Any) -> Iterator[str]:
        try:
            yield from problems(*given)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what is looked for
            yield f"{type(error).__name__}: {error}"

    return guarded


# --- the stream


def zeros(rng: np.random.Generator, times: Float64, xyz: Float64, part: slice) -> None:
    xyz[part] = 0


def held(rng: np.random.Generator, times: Float64, xyz: Float64, part: slice) -> None:
    xyz[part] = xyz[part.start]


def wild(rng: np.random.Generator, times: Float64, xyz: Float64, part: slice) -> None:
    xyz[part] = rng.choice([math.nan, math.inf, -math.inf, 1e30, 5e-324, 16.0, -16.0], size=xyz[part].shape)


def copied(rng: np.random.Generator, times: Float64, xyz: Float64, part: slice) -> None:
    one, other, _ = rng.permutation(3)
    xyz[part, one] = xyz[part, other]


def one_axis(rng: np.random.Generator, times: Float64, xyz: Float64, part: slice) -> None:
    xyz[part, rng.integers(3)] = rng.normal()


def other_unit(rng: np.random.Generator, times: Float64, xyz: Float64, part: slice) -> None:
    xyz[part] *= rng.choice([9.81, 1 / 9.81, 1000, -1, 0.5, 64, 0.01])


def shuffled(rng: np.random.Generator, times: Float64, xyz: Float64, part: slice) -> None:
    rng.shuffle(times[part])


def shared(rng: np.random.Generator, times: Float64, xyz: Float64, part: slice) -> None:
    times[part] = times[part.start]


def jump(rng: np.random.Generator, times: Float64, xyz: Float64, part: slice) -> None:
    times[part.start :] += rng.choice([-1e9, -100, -0.5, 0.3, 5, 1e4, 1e12])


def wild_time(rng: np.random.Generator, times: Float64, xyz: Float64, part: slice) -> None:
    times[part.start] = rng.choice([math.nan, math.inf, -1e300, 1e300, 0.0])


def other_rate(rng: np.random.Generator, times: Float64, xyz: Float64, part: slice) -> None:
    scale = rng.choice([0.01, 0.25, 0.5, 2, 5, 100])
    with np.errstate(all="ignore"):  # wild times stay wild
        times[part.start :] = times[part.start] + (times[part.start :] - times[part.start]) * scale


DAMAGE = (zeros, held, wild, copied, one_axis, other_unit, shuffled, shared, jump, wild_time, other_rate)


def damaged(rng: np.random.Generator) -> tuple[Float64, Float64]:
    """A wrist that moves, with one to four kinds of damage: times (samples,), s, and xyz (samples, 3), g."""
    times = np.arange(SAMPLES) / 50 + rng.normal(0, 0.002, SAMPLES)
    xyz = rng.normal([0, 0, 1], rng.choice([0.001, 0.2, 2]), (SAMPLES, 3))
    for index in rng.integers(len(DAMAGE), size=rng.integers(1, 5)):
        start = int(rng.integers(SAMPLES))
        DAMAGE[index](rng, times, xyz, slice(start, start + int(rng.integers(1, SAMPLES))))
    return times, xyz


def events_of(times: Float64, xyz: Float64, cuts: NDArray[np.int64]) -> tuple[list[Event], str]:
    """The events of pushes that end at these cuts, and the error that ended them, if one did."""
    classifier, events = Classifier(CONTRACT, MeanEngine()), []
    try:
        for time_s, samples in zip(np.split(times, cuts), np.split(xyz, cuts), strict=True):
            events += classifier.push(time_s, samples)
        events += classifier.finish()
    except VskdError as error:
        return events, type(error).__name__
    return events, ""


def whole_event(times: Float64, xyz: Float64) -> list[Event]:
    """The event of the samples as one whole recording; none where it is refused."""
    with contextlib.suppress(VskdError):
        return [Classifier(WHOLE, MeanEngine()).classify(times, xyz)]
    return []


@crashes_are_problems
def stream_problems(seed: int) -> Iterator[str]:
    """What is wrong with the events of one fuzzed stream."""
    rng = np.random.default_rng(seed)
    times, xyz = damaged(rng)
    one = events_of(times, xyz, np.arange(1, SAMPLES))
    other = events_of(times, xyz, np.sort(rng.integers(SAMPLES, size=rng.integers(0, 9))))
    if [told(event) for event in one[0]] != [told(event) for event in other[0]] and one[1] == other[1] == "":
        yield "another cut into pushes gives other events"
    for event in (*one[0], *whole_event(times, xyz)):
        yield from event_problems(event, times, xyz)


def told(event: Event) -> str:
    return json.dumps(event.to_mapping(LABELS), sort_keys=True)


def event_problems(event: Event, times: Float64, xyz: Float64) -> Iterator[str]:
    """What no event may be."""
    if event.label not in {*LABELS, *RESERVED_LABELS}:
        yield f"an unknown label {event.label!r}"
    if not (math.isfinite(event.start_s) and math.isfinite(event.end_s) and 0 <= event.probability <= 1):
        yield "a number that is none"
    if event.label in RESERVED_LABELS and not event.reason:
        yield "no reason"
    if event.label not in LABELS or len(np.unique(times)) < len(times):  # samples that share a time are spread
        return
    inside = xyz[(times >= event.start_s - MARGIN_S) & (times <= event.end_s + MARGIN_S)]
    if len(inside) >= CONTRACT.window.samples // 2 and np.isfinite(inside).all() and (what := impossible(inside)):
        yield f"an activity while {what}"


def impossible(xyz: Float64) -> str:
    """Why no activity can be known of samples (samples, 3), g; empty where one may be."""
    if (xyz == xyz[0]).all():
        return "the sensor was frozen"
    if np.abs(xyz).max() < 0.05:
        return "there was no gravity"
    if (np.abs(xyz) >= CONTRACT.sensor.range_g).any(axis=1).all():
        return "every sample was beyond the range"
    moving = (np.diff(xyz, axis=0) != 0).all()
    if moving and any((xyz[:, axis] == xyz[:, axis - 1]).all() for axis in range(3)):
        return "two axes read the same"
    return ""


# --- readers


@contextlib.contextmanager
def _file(content: bytes, name: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path


def _exhausted(chunks: Iterator[object]) -> None:
    for _ in chunks:
        pass


PLAIN = Layout()


def _csv(content: bytes, layout: Layout = PLAIN) -> None:
    with _file(content, "fuzzed.csv") as path:
        reader = SampleReader.open(file_lines(path, name=path.name), name=path.name, layout=layout)
        _exhausted(reader.chunks(rows=50))


def _csv_seed() -> bytes:
    return "".join(["time_s,ax,ay,az\n", *(f"{row / 50},0.1,{row % 7},1\n" for row in range(120))]).encode()


def _described_csv(content: bytes) -> None:
    _csv(
        content,
        Layout(separator=";", decimal=",", skip_lines=1, time="when", time_unit="iso", x="-x", y="y", z=("z", "z0")),
    )


def _described_csv_seed() -> bytes:
    start = datetime(2020, 2, 28, 23, 59, 59, tzinfo=UTC)
    rows = [f'{(start + row * timedelta(seconds=0.02)).isoformat()};"0,1";{row % 7};1,0;\n' for row in range(120)]
    return "".join(["a recorder\n", '"when";x;y;z;z0\n', *rows]).encode()


def _npz(content: bytes) -> None:
    with _file(content, "fuzzed.npz") as path:
        _exhausted(NpzReader.open(path).chunks(rows=50))


def _arrays(content: bytes) -> None:
    with _sentences():
        read_npz(io.BytesIO(content), largest_bytes=2**20)


def _member(content: bytes) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("member.npy", content)
    _arrays(archive.getvalue())


def _member_seed() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.arange(12.0).reshape(4, 3))
    return stream.getvalue()


def _npz_seed() -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, time_s=np.arange(120) / 50, xyz=np.ones((120, 3)))
    return stream.getvalue()


def _pickle(content: bytes) -> None:
    with _file(content, "fuzzed.npy") as path:
        read_mapping(path, way_out="")


def _pickle_seed() -> bytes:
    stream = io.BytesIO()
    mapping = {"X": [np.ones((5, 3)), np.arange(4)], "y": np.array([1, 2]), "names": np.array(["a", "b"]), "hz": 50}
    np.save(stream, np.array(mapping, dtype=object), allow_pickle=True)
    return stream.getvalue()


def _contract(content: bytes) -> None:
    Contract.from_json(content.decode("utf-8", errors="replace"))


def _contract_seed() -> bytes:
    return CONTRACT.to_json().encode()


def _onnx(content: bytes) -> None:
    contract_inside(content, "onnx", name="fuzzed.onnx")


def _onnx_seed() -> bytes:
    from onnx import TensorProto, helper

    port = helper.make_tensor_value_info("port", TensorProto.FLOAT, [1, 3])
    values = helper.make_tensor("values", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])
    node = helper.make_node("Add", ["port", "values"], ["sum"])
    model = helper.make_model(helper.make_graph([node], "graph", [port], [port], initializer=[values]))
    helper.set_model_props(model, {CONTRACT_KEY: CONTRACT.to_json()})
    return bytes(model.SerializeToString())


def _tflite(content: bytes) -> None:
    contract_inside(content, "tflite", name="fuzzed.tflite")


def _tflite_seed() -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model, text, entry = schema.ModelT(), schema.BufferT(), schema.MetadataT()
    text.data, entry.name, entry.buffer = list(CONTRACT.to_json().encode()), CONTRACT_KEY, 1
    model.buffers, model.metadata, model.subgraphs = [schema.BufferT(), text], [entry], [schema.SubGraphT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _manifest(content: bytes) -> None:
    read_manifest(content.decode("utf-8", errors="replace"), where="fuzzed")


def _manifest_seed() -> bytes:
    files = {"contract.json": {"sha256": "0" * 64, "size_bytes": 9}}
    return json.dumps({"schema_version": 1, "models": [], "files": files}).encode()


def _profile(content: bytes) -> None:
    """``content`` lies behind the hash, which is made right: a wrong one would hide the rest from the reader.

    What is read decides along, too.
    """
    with _file(MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n" + content, "fuzzed.profile") as path:
        profile = Profile.open(path)
    if profile.examples:
        contract = dataclasses.replace(CONTRACT, examples=ExamplesSpec("ridge", (ExampleWeights(0.5, 10, 0.8),)))
        rule = ExampleRule.of(contract, profile.labels, profile.embeddings)
        mixed = rule.mixed([0.0] * len(LABELS), np.ones(len(rule.examples)))
        if mixed is None or not np.isfinite([*mixed[0], mixed[1]]).all():
            raise ArithmeticError("examples that were taken give a number that is none")


def _profile_seed() -> bytes:
    rows = np.random.default_rng(0).integers(0, FULL, (6, 8)).astype(np.int8)
    rows[:, 0] = FULL
    labels = ("x up", "wave", "jump")
    examples = (Example(labels[index % 3], 1_700_000_000 + index, row.tobytes()) for index, row in enumerate(rows))
    return Profile("ab" * 32, "cd" * 32, tuple(examples)).to_bytes().split(b"\n", 2)[2]


def _json(content: bytes) -> None:
    with _sentences():
        read_json(content.decode("utf-8", errors="replace"))


def _toml(content: bytes) -> None:
    with _sentences():
        read_toml(content.decode("utf-8", errors="replace"))


def _toml_seed() -> bytes:
    return b'a = 1\n[b]\nc = [1, "two", 3.0, {d = 1979-05-27}]\n[[e]]\nf.g.h = 0x1f\n'


@contextlib.contextmanager
def _sentences() -> Iterator[None]:
    """These readers promise a ``ValueError`` with words, which their callers turn into a sentence of vskd's."""
    try:
        yield
    except ValueError as error:
        if not str(error) or isinstance(error, UnicodeError):
            raise


#: The function, and what makes a file that it reads.
READERS: Mapping[str, tuple[Callable[[bytes], None], Callable[[], bytes]]] = {
    "csv": (_csv, _csv_seed),
    "described-csv": (_described_csv, _described_csv_seed),
    "npz": (_npz, _npz_seed),
    "arrays": (_arrays, _npz_seed),
    "array-member": (_member, _member_seed),
    "pickle": (_pickle, _pickle_seed),
    "contract": (_contract, _contract_seed),
    "onnx": (_onnx, _onnx_seed),
    "tflite": (_tflite, _tflite_seed),
    "manifest": (_manifest, _manifest_seed),
    "profile": (_profile, _profile_seed),
    "json": (_json, _contract_seed),
    "toml": (_toml, _toml_seed),
}


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, a piece left out, doubled, or put elsewhere."""
    changed = bytearray(content)
    for place in rng.integers(len(changed), size=rng.integers(0, 6)):
        changed[place] = int(rng.choice([int(rng.integers(256)), *b'[",\n', 0, 255]))
    start, length = (int(value) for value in rng.integers(len(changed), size=2))
    piece = bytes(changed[start : start + length])
    kind = rng.integers(5)
    if kind == 1:
        del changed[start : start + length]
    elif kind == 2:
        changed[start:start] = piece * int(rng.integers(1, 4))
    elif kind == 3:
        return bytes(changed[:start])
    return bytes(changed)


@crashes_are_problems
def reader_problems(read: Callable[[bytes], None], content: bytes, seed: int) -> Iterator[str]:
    """What a reader raises that is no sentence of vskd's, or takes more than a second of the processor."""
    started = time.process_time()
    with contextlib.suppress(VskdError):
        read(mutated(content, np.random.default_rng(seed)))
    if time.process_time() - started > 1:
        yield "more than a second"


def repeated(problems: Callable[[int], Iterator[str]], minutes: float, seed: int) -> dict[str, Any]:
    """Fuzz until the time is over: how often, and each problem with its count and its first seed."""
    end, tries = time.monotonic() + 60 * minutes, 0
    counts: Counter[str] = Counter()
    first: dict[str, int] = {}
    while time.monotonic() < end:
        for problem in _that_ends(problems, seed + tries):
            counts[problem] += 1
            first.setdefault(problem, seed + tries)
        tries += 1
    violations = [{"problem": name, "count": count, "seed": first[name]} for name, count in counts.most_common()]
    return {"minutes": minutes, "tries": tries, "violations": violations}


class _Endless(BaseException):
    """No handler of the tried code takes it for an error of its own."""


def _that_ends(problems: Callable[[int], Iterator[str]], seed: int) -> list[str]:
    """The problems of one try; one that does not end is a problem, too."""

    def stop(*_: object) -> None:
        raise _Endless

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, LONGEST_TRY_S)
    try:
        return list(problems(seed))
    except _Endless:
        return [f"no end within {LONGEST_TRY_S:g} s of the processor"]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


# --- kills


def write_again(bundle: Path) -> None:
    """Write the bundle of the kills over itself until killed; every other time with another contract."""
    for number in range(10**9):
        make_bundle(bundle, number)
        _say_ready(number)


def log_events(path: Path) -> None:
    """Append events of one wrist to a CSV until killed, as ``vskd run --append`` does."""
    classifier = Classifier(CONTRACT, MeanEngine())
    with open_output(path, append=True) as stream:
        sink = file_sink(path, stream, LABELS)
        rng = np.random.default_rng()
        for number in range(10**9):
            times = number * 4.0 + np.arange(200) / 50
            for event in classifier.push(times, rng.normal([0, 0, 1], 0.2, (200, 3))):
                sink(event)
            _say_ready(number)


def _say_ready(number: int) -> None:
    if number == 0:
        click.echo("at work")


def make_bundle(folder: Path, number: int) -> None:
    """A bundle whose files tell its number."""
    contract = dataclasses.replace(CONTRACT, trained_on=f"number {number % 2}")
    files = {f"part{index}.bin": bytes([number % 2]) * 100_000 for index in range(8)}
    write_bundle(folder, contract=contract, models=[], files=files, overwrite=True)


def kill_problems(folder: Path, seed: int) -> Iterator[str]:
    """Kill a writer of bundles, and a run that appends to an event log; look at what they leave."""
    rng = np.random.default_rng(seed)
    bundle = folder / "wrist.bundle"
    make_bundle(bundle, 0)
    yield from _killed(write_again, bundle, after_s=rng.uniform(0, 0.5))
    try:
        opened = Bundle.open(bundle)
        opened.check()
        number = int(opened.contract.trained_on[-1])
        if any(set(opened.read(f"part{index}.bin")) != {number} for index in range(8)):
            yield "a bundle that is half old and half new"
    except VskdError as error:
        yield f"a bundle that does not open: {error.message}"
    make_bundle(bundle, 1)
    if left := [path.name for path in folder.iterdir() if path.name.startswith(".")]:
        yield f"the next writer leaves {len(left)} hidden folders of a killed one"
    yield from _log_problems(folder / "events.csv", rng)


def _log_problems(path: Path, rng: np.random.Generator) -> Iterator[str]:
    for _ in range(2):  # the second appends to what the first left
        yield from _killed(log_events, path, after_s=rng.uniform(0, 0.5))
        os.truncate(path, path.stat().st_size - int(rng.integers(20)))  # as a disk does that lost its power
    *lines, _ = path.read_text().split("\n")  # what is behind the last line break is cut by the next run
    if len({line.count(",") for line in lines}) != 1:
        yield "a line of the log that is not whole"


def _killed(work: Callable[[Path], None], place: Path, *, after_s: float) -> Iterator[str]:
    """Let a process work on a place and kill it so long after it began; it may not end before."""
    script = f"from pathlib import Path; from research.fuzz import {work.__name__} as work; work(Path({str(place)!r}))"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after_s)
        process.kill()
    if process.returncode != -signal.SIGKILL:
        yield f"{work.__name__} ended by itself, with exit code {process.returncode}"


def _finish(kind: str, result: dict[str, Any]) -> None:
    click.echo(json.dumps({"benchmark": f"fuzz {kind}", "machine": describe_machine(), **result}))
    for violation in result["violations"]:
        click.echo(f"{violation['count']} x {violation['problem']} (seed {violation['seed']})", err=True)
    sys.exit(int(bool(result["violations"])))


@click.group(epilog="Example: python -m research.fuzz stream --minutes 15")
def main() -> None:
    """Random damage, for minutes."""


_minutes = click.option("--minutes", type=click.FloatRange(0, min_open=True), default=5.0, show_default=True)
_seed = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The first one.")


@main.command(cls=Script)
@_minutes
@_seed
def stream(minutes: float, seed: int) -> None:
    """Impossible samples: no crash, no number that is none, the same events however they are cut."""
    warnings.simplefilter("error")
    _finish("stream", repeated(stream_problems, minutes, seed))


@main.command(cls=Script)
@click.argument("name", type=click.Choice(list(READERS)))
@_minutes
@_seed
def reader(name: str, minutes: float, seed: int) -> None:
    """Changed bytes: an answer or one sentence, within a second."""
    read, content = READERS[name][0], READERS[name][1]()
    _finish(f"reader {name}", repeated(lambda one: reader_problems(read, content, one), minutes, seed))


@main.command(cls=Script)
@click.option("--count", type=click.IntRange(1), default=60, show_default=True)
@_seed
def kills(count: int, seed: int) -> None:
    """Killed writers: what they leave is whole, old or new."""
    violations = []
    for number in range(seed, seed + count):
        with tempfile.TemporaryDirectory() as folder:
            found = kill_problems(Path(folder), number)
            violations += [{"problem": problem, "count": 1, "seed": number} for problem in found]
    _finish("kills", {"kills": 3 * count, "violations": violations})


if __name__ == "__main__":
    main()
