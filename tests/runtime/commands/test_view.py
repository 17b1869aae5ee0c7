"""The terminal view: what is on it at every size, with and without colour, and what it leaves of the terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from runtime.mean_engine import MeanEngine
from vskd import Event
from vskd.commands.input_option import Input
from vskd.commands.session import Session
from vskd.commands.view import RecordingEngine, View
from vskd.commands.view.parts import ASCII_SHADES, SHADES, SPAN_S, Image, trace
from vskd.contract import STANDARD_GRAVITY_M_S2, Contract
from vskd.sources.csv import Chunk
from vskd.stream import Health

ENTER, LEAVE, CURSOR_BACK = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"
SIZES = [(120, 40), (80, 24), (50, 14), (30, 8), (8, 3)]


class Terminal:
    """A console of a size, and what was drawn on it."""

    def __init__(self, width: int = 120, height: int = 40, *, color: str | None = "truecolor", encoding: str = "utf-8"):
        self.bytes = io.BytesIO()
        file = io.TextIOWrapper(self.bytes, encoding=encoding, errors="strict", write_through=True)
        self.console = Console(
            file=file, width=width, height=height, force_terminal=True, color_system=color, legacy_windows=False
        )  # fmt: skip
        self.encoding = encoding

    def shown(self, view: View) -> str:
        self.console.print(view.layout())
        return self.bytes.getvalue().decode(self.encoding)


def view_on(terminal: Terminal, contract: Contract, **settings: object) -> View:
    """A view that has seen three seconds of a turning wrist."""
    engine = RecordingEngine(MeanEngine(gain=1))
    health = settings.pop("health", Health(samples=150))
    given_settings = {"unit": "g", "axes": "x,y,z", "time_unit": "s", "clock": time.perf_counter} | settings
    view = View(
        contract, title="x.bundle on mean", engine=engine, health=health, console=terminal.console, **given_settings
    )
    time_s = np.arange(150) / 50
    angle = time_s * 2
    view.take(Chunk(time_s, np.stack([np.sin(angle), np.zeros(150), np.cos(angle)], axis=1)))
    engine.infer(np.random.default_rng(0).normal(size=contract.window_shape).astype(np.float32))
    return view


def event(label: str = "z up", reason: str = "", top: float = 0.75) -> Event:
    return Event(label, top, reason, 1.0, 1.62, 0.64, np.array([1 - top - 0.05, 0.05, top]))


def test_a_session_decides_the_same_with_a_view_and_without(contract):
    """On samples in another unit, other axes and milliseconds; what is drawn is in g, the contract's axes and s."""
    time_s = np.arange(100) / 50
    xyz = np.stack([np.sin(time_s), 0.2 * np.cos(3 * time_s), np.cos(time_s)], axis=1)
    turned = np.stack([xyz[:, 1], xyz[:, 2], -xyz[:, 0]], axis=1)  # the contract's x, y, z are -z, x, y of these
    chunk = Chunk(time_s * 1000, turned * STANDARD_GRAVITY_M_S2)
    for title in (None, "x.bundle on mean"):
        engine, session = MeanEngine(), Session(None)
        session.begin(contract, engine, Input(SimpleNamespace(time_unit="ms"), "m/s^2", "-z,x,y"), title=title)
        for seen in session.observed([chunk]):
            assert session.classifier.push(seen.time, seen.xyz)
        np.testing.assert_allclose(engine.windows[0], xyz[:32].T, atol=1e-6)
        drawn = None if session._view is None else np.array(session._view._samples)
    np.testing.assert_allclose(drawn, np.column_stack([time_s, xyz]), atol=1e-9)


# --- what is shown


@pytest.mark.parametrize("color", ["truecolor", "256", None])
@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_every_terminal_gets_a_screen_of_its_size(contract, width, height, color, encoding):
    terminal = Terminal(width, height, color=color, encoding=encoding)
    view = view_on(terminal, contract)
    view.show(event())
    lines = terminal.shown(view).rstrip("\n").split("\n")  # strict encoding: nothing that the terminal cannot show
    assert len(lines) == height
    assert "x.bundle"[:width] in lines[0]
    if height > 4:
        assert any("z up" in line for line in lines)
    if width >= 80:
        assert any("gadf" in line for line in lines)
        assert any("latency" in line for line in lines)
    if color is None:
        assert "\x1b[3" not in "".join(lines)


@pytest.mark.parametrize(
    ("told", "parts"),
    [
        (None, ["the first decision needs 32 samples"]),
        (event(), ["z up", "75%, 1.00 to 1.62 s"]),
        (event("unknown", "probability below 0.8"), ["unknown", "75%, probability below 0.8"]),
        (event("no signal", "no samples for 3.000 s", 1 / 3), ["no signal", "no samples for 3.000 s"]),
        (event("still", "|a| varies by 0.0010 g, below 0.01", 1 / 3), ["still", "below 0.01"]),
    ],
)
def test_the_decision_and_its_reason_are_in_words(contract, told, parts):
    terminal = Terminal(color=None)
    view = view_on(terminal, contract)
    if told:
        view.show(told)
    shown = terminal.shown(view)
    assert all(part in shown for part in parts)


def test_bars_are_sorted_and_as_long_as_their_probability(contract):
    terminal = Terminal(color=None)
    view = view_on(terminal, contract)
    view.show(event(top=0.5))
    bars = [line for line in terminal.shown(view).split("\n") if "━" in line or "5%" in line]
    assert [line.split("│")[1].split("%")[0].split()[:2] for line in bars[-3:]] == [
        ["z", "up"],
        ["x", "up"],
        ["y", "up"],
    ]
    half, nearly_half, little = (line.count("━") for line in bars[-3:])
    assert half > 20
    assert (nearly_half, little) == (pytest.approx(half * 0.9, abs=1), pytest.approx(half * 0.1, abs=1))


def test_health_is_the_streams(contract):
    health = Health(samples=1234, out_of_order=2, not_finite=3, gaps=7, saturated=9, windows=11)
    health.count_intervals(250, elapsed_s=10.0)
    terminal = Terminal(color=None)
    shown = terminal.shown(view_on(terminal, contract, health=health))
    for words in ("samples   150", "25.00 Hz of 50", "gaps      7", "dropped   5", "saturated 9", "windows   11"):
        assert words in shown


def test_latency_is_from_the_push_to_the_decision(contract):
    now = [10.0]
    terminal = Terminal(color=None)
    view = view_on(terminal, contract, clock=lambda: now[0])
    for milliseconds in (1.0, 2.0, 9.0):
        view.take(Chunk(np.array([now[0]]), np.zeros((1, 3))))
        now[0] += milliseconds / 1e3
        view.show(event())
    assert "9.00 ms, p50 2.00 (3)" in terminal.shown(view)
    view.silent(5.0)
    now[0] += 50
    view.show(event("no signal", "no samples for 5.000 s"))
    assert len(view.latencies_s) == 3


def test_a_silence_is_shown_before_any_rule_and_ends_with_the_next_sample(contract):
    terminal = Terminal(color=None)
    view = view_on(terminal, contract)
    view.show(event())
    view.silent(2.5)
    assert "no samples for 2.5 s" in terminal.shown(view)
    view.take(Chunk(np.array([9.0]), np.zeros((1, 3))))
    again = Terminal(color=None)
    view.console = again.console
    assert "no samples" not in again.shown(view)


def test_a_remark_stands_at_the_foot(contract):
    terminal = Terminal(color=None)
    view = view_on(terminal, contract)
    view.note("i2c:lsm6dsox,bus=1 does not answer")
    assert terminal.shown(view).rstrip("\n").split("\n")[-1].startswith("i2c:lsm6dsox,bus=1 does not answer")


def test_the_signal_is_in_g_and_in_the_contracts_axes(contract):
    plain, rotated = Terminal(color=None), Terminal(color=None)
    one = view_on(plain, contract)
    other = view_on(rotated, contract, unit="m/s^2", axes="y,x,z")
    other._samples.clear()
    other.samples = 0
    for _, x, y, z in list(one._samples):
        assert x * x + y * y + z * z == pytest.approx(1)
    time_s, xyz = np.arange(150) / 50, np.array([row[1:] for row in one._samples])
    other.take(Chunk(time_s, xyz[:, [1, 0, 2]] * STANDARD_GRAVITY_M_S2))
    assert rotated.shown(other) == plain.shown(one)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30, -1e300])
@pytest.mark.parametrize("place", ["time", "value"])
def test_a_wild_sample_does_not_spoil_the_signal(contract, bad, place):
    terminal = Terminal()
    view = view_on(terminal, contract)
    time_s, xyz = np.array([3.0, 3.02, 3.04]), np.zeros((3, 3))
    (time_s if place == "time" else xyz)[1] = bad
    view.take(Chunk(time_s, xyz))
    assert "signal, g" in terminal.shown(view)


# --- the drawing


def dots(lines: list[str]) -> np.ndarray:
    """Braille back into dots, by the definition of the Unicode block: bits 0 to 2 and 6 left, 3 to 5 and 7 right."""
    places = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (3, 0), (3, 1)]
    found = np.zeros((4 * len(lines), 2 * len(lines[0])), dtype=bool)
    for row, line in enumerate(lines):
        for column, character in enumerate(line):
            for bit, (down, right) in enumerate(places):
                found[4 * row + down, 2 * column + right] = ord(character) - 0x2800 >> bit & 1
    return found


def test_a_ramp_is_a_diagonal():
    time_s = np.linspace(0, SPAN_S, 4 * 40)
    lines = trace(np.column_stack((time_s, time_s)), 1, 20, 10, 0.0, SPAN_S, ascii_only=False)
    found = dots(lines)
    assert found.shape == (40, 40)
    assert np.diag(found[::-1]).all()
    assert found.sum() <= 3 * 40


def test_a_gap_is_left_blank():
    time_s = np.concatenate([np.arange(0, 2, 0.02), np.arange(4, 6, 0.02)])
    found = dots(trace(np.column_stack((time_s, time_s * 0)), 1, 30, 2, -1.0, 1.0, ascii_only=False))
    columns = found.any(axis=0)
    assert not columns[22:38].any()
    assert columns[:18].all()
    assert columns[42:].all()


@given(
    samples=st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e30, 1e30)), max_size=30),
    width=st.integers(1, 40),
    rows=st.integers(1, 8),
    ascii_only=st.booleans(),
)
def test_any_samples_fill_the_frame_and_no_more(samples, width, rows, ascii_only):
    lines = trace(np.array(samples).reshape(-1, 2), 1, width, rows, -2.0, 2.0, ascii_only=ascii_only)
    assert [len(line) for line in lines] == [width] * rows
    allowed = set(" '.:") if ascii_only else {chr(0x2800 + code) for code in range(256)}
    assert set("".join(lines)) <= allowed


@pytest.mark.parametrize(("color", "encoding", "shades"), [(None, "utf-8", SHADES), (None, "ascii", ASCII_SHADES)])
def test_without_colour_the_image_is_in_shades(color, encoding, shades):
    terminal = Terminal(40, 16, color=color, encoding=encoding)
    channels = np.concatenate([np.full((3, 16, 32), -1.0), np.full((3, 16, 32), 1.0)], axis=1).astype(np.float32)
    terminal.console.print(Image(channels))
    lines = terminal.bytes.getvalue().decode(encoding).rstrip("\n").split("\n")
    assert lines == [shades[0] * 32] * 8 + [shades[-1] * 32] * 8


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_in_colour_a_character_is_two_pixels(channels):
    terminal = Terminal(64, 32)
    image = np.full((channels, 16, 16), -1.0, dtype=np.float32)
    image[0, ::2] = 1.0
    terminal.console.print(Image(image))
    text = terminal.bytes.getvalue().decode()
    assert text.count("▀") == 16 * 8
    top = {1: "255;255;255", 2: "255;0;255"}.get(channels, "255;0;0")
    assert text.count(f"38;2;{top};48;2;0;0;0m") >= 8


# --- the command, on a terminal of its own


class Screen:
    """``vskd run --view`` whose standard error is a pseudo-terminal and whose standard output a pipe."""

    def __init__(self, *words: str | Path) -> None:
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vskd", "run", *map(str, words), "--view", "--engine", "onnxruntime"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, env=environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # no threads here
        )  # fmt: skip
        os.close(theirs)
        self._terminal = ours
        self.text = ""

    def read_until(self, text: str, timeout_s: float = 60) -> None:
        end = time.monotonic() + timeout_s
        while text not in self.text and time.monotonic() < end and self._read():
            pass
        assert text in self.text

    def _read(self) -> bool:
        if not select.select([self._terminal], [], [], 1)[0]:
            return True
        try:
            data = os.read(self._terminal, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def end(self) -> list[str]:
        """Events, once the process has ended."""
        while self._read():
            pass
        os.close(self._terminal)
        out, _ = self.process.communicate(timeout=60)
        return [json.loads(line)["label"] for line in out.decode().splitlines()]


@pytest.fixture
def bundle(tmp_path: Path, make_bundle, contract: Contract) -> Path:
    return make_bundle(tmp_path / "wrist.bundle", contract)


def recording(folder: Path, samples: int) -> Path:
    path = folder / "walk.csv"
    path.write_text("time_s,ax,ay,az\n" + "".join(f"{index / 50},0.01,0.01,1\n" for index in range(samples)))
    return path


def test_a_replay_is_shown_its_events_are_piped_and_the_terminal_is_given_back(bundle, tmp_path):
    screen = Screen(bundle, "--input", recording(tmp_path, 100), "--replay-speed", "10")
    assert screen.end() == ["z up"] * 5
    assert screen.process.returncode == 0
    assert screen.text.index(ENTER) < screen.text.index("health") < screen.text.index(LEAVE)
    after = screen.text[screen.text.index(LEAVE) :]
    assert CURSOR_BACK in screen.text[screen.text.rindex("\x1b[?25l") :]
    assert "z up" in after  # the last screen stays
    assert "100 samples" in after


@pytest.mark.parametrize("words", [["--replay-speed", "1"], ["--follow"]])
def test_ctrl_c_gives_the_terminal_back_and_ends_as_without_a_view(bundle, tmp_path, words):
    screen = Screen(bundle, "--input", recording(tmp_path, 400), *words)
    screen.read_until("health")
    screen.process.send_signal(signal.SIGINT)
    screen.end()
    is_live = words == ["--follow"]
    assert screen.process.returncode == (0 if is_live else 130)
    after = screen.text[screen.text.index(LEAVE) :]
    assert "stopped" in after
    assert "Aborted" not in screen.text
    assert "Traceback" not in screen.text
    assert CURSOR_BACK in screen.text[screen.text.rindex("\x1b[?25l") :]


@pytest.mark.parametrize(("words", "code"), [(["--replay-speed", "1"], 128 + signal.SIGTERM), (["--follow"], 0)])
def test_a_termination_gives_the_terminal_back_too(bundle, tmp_path, words, code):
    screen = Screen(bundle, "--input", recording(tmp_path, 400), *words)
    screen.read_until("health")
    screen.process.send_signal(signal.SIGTERM)
    screen.end()
    assert screen.process.returncode == code
    assert LEAVE in screen.text
    assert CURSOR_BACK in screen.text[screen.text.rindex("\x1b[?25l") :]


def test_an_error_is_read_on_the_ordinary_screen(bundle, tmp_path):
    path = recording(tmp_path, 60)
    path.write_text(path.read_text() + "1.3,0,zero,1\n" * 30)
    screen = Screen(bundle, "--input", path, "--replay-speed", "20")
    screen.end()
    assert screen.process.returncode == 1
    assert "the first is line 62" in screen.text[screen.text.index(LEAVE) :]


def test_without_a_terminal_it_is_refused(bundle, tmp_path):
    words = ["run", str(bundle), "--input", str(recording(tmp_path, 60)), "--view"]
    done = subprocess.run(
        [sys.executable, "-m", "vskd", *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "--view draws on a terminal, and standard error is none" in done.stderr


def test_a_whole_recording_is_drawn_and_its_decision_stays(tmp_path, make_bundle, whole_contract):
    bundle = make_bundle(tmp_path / "whole.bundle", whole_contract)
    screen = Screen(bundle, "--input", recording(tmp_path, 40), "--replay-speed", "20")
    assert screen.end() == ["z up"]
    after = screen.text[screen.text.index(LEAVE) :]
    assert "z up" in after
    assert "samples 40" in after
    assert "the source has ended" in after
    assert "gaps" not in after  # only a stream counts them
