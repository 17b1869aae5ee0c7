"""``vskd port``: a bundle as C, compiled and replayed here, and on emulated microcontrollers where these are."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from vskd.bundle import Bundle
from vskd.checks.golden import read_golden
from vskd.checks.selftest import selftest
from vskd.errors import BundleError, ContractError, EngineError
from vskd_export.package.report import ExportReport
from vskd_export.ports import programs, report
from vskd_export.ports.c import replay
from vskd_export.ports.c.command import port
from vskd_export.ports.c.measure import BOARDS, TOOLS, OnBoard, measure
from vskd_export.ports.c.port import Port, macs, port_of
from vskd_export.ports.page.command import page, serve
from vskd_export.ports.planned import Planned, integer_model
from vskd_export.ports.ported import Ported, counted
from vskd_export.ports.programs import missing
from vskd_export.ports.report import port_tables
from vskd_export.ports.watch.command import watch

from .native import sanitizer_runtime

NEEDS_COMPILER = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler (cc)")
NEEDS_CMAKE = pytest.mark.skipif(not (shutil.which("cmake") and shutil.which("cc")), reason="there is no cmake or cc")
NEEDS_BOARD = pytest.mark.skipif(bool(missing(TOOLS)), reason=missing(TOOLS))


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(port, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def bundle(exported: ExportReport) -> Bundle:
    return Bundle.open(exported.path)


@pytest.fixture(scope="module")
def made(bundle: Bundle) -> Port:
    return port_of(bundle)


@NEEDS_CMAKE
def test_the_folder_builds_and_tests_itself_as_its_readme_says(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "c"
    result = command(bundle.path, "--out", out)
    assert result.exit_code == 0, result.output
    assert "Next: cmake -S" in result.output
    build = ["cmake", "-S", str(out), "-B", str(out / "build"), "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror -pedantic"]
    for step in (build, ["cmake", "--build", str(out / "build")], ["ctest", "--test-dir", str(out / "build")]):
        subprocess.run(step, check=True, capture_output=True)
    done = subprocess.run([out / "build/selftest"], check=True, capture_output=True, text=True)
    found = dict(re.findall(r'"(\w+)": ([\d.e-]+)', done.stdout))
    assert found["windows"] == found["windows_equal"] == str(len(read_golden(bundle)))
    assert found["events"] == found["events_equal"]
    assert int(found["events"]) > 10
    samples = "".join(f"{index * 0.02:.2f} 0 0 {1 + 0.1 * (index % 7)}\n" for index in range(120))
    shown = subprocess.run([out / "build/example"], input=samples, check=True, capture_output=True, text=True)
    assert re.fullmatch(r"(\d+\.\d\d s  [\w ]+  [01]\.\d\d\n)+", shown.stdout)


@NEEDS_COMPILER
def test_a_changed_weight_is_seen_by_the_self_test(made: Port) -> None:
    name, _, rest = made.files["wrist.c"].partition("_weights[")
    first = re.search(r"\{\s*(-?\d+), ", rest)
    assert first
    changed = rest[: first.start(1)] + str(-int(first[1]) or 90) + rest[first.end(1) :]
    wrong = dataclasses.replace(made, files={**made.files, "wrist.c": f"{name}_weights[{changed}"})
    found = replay.replayed(wrong, "cc")
    assert found["windows_equal"] < found["windows"]


@NEEDS_COMPILER
def test_verify_replays_the_port(bundle: Bundle) -> None:
    (check,) = [check for check in selftest(bundle) if check.stage == "port" and check.detail.startswith("C by")]
    assert check.problem == ""
    assert re.search(r"C by cc: (\d+) of \1 windows bit-equal, (\d+) of \2 events equal", check.detail)
    assert not [check for check in selftest(bundle, engine="vskd") if check.stage == "port"]


def test_without_a_compiler_verify_says_so_and_goes_on(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    (check,) = replay.replay(bundle)
    assert (check.detail, check.problem) == ("C: not replayed, there is no compiler (cc, gcc, clang)", "")


@NEEDS_BOARD
@pytest.mark.parametrize("name", list(BOARDS))
def test_a_microcontroller_finds_the_same_bits(made: Port, name: str) -> None:
    found = measure(made, BOARDS[name])
    assert (found.windows_equal, found.events_equal) == (found.windows, found.events)
    assert found.events > 10
    assert found.flash_bytes > 10_000
    assert found.arena_bytes < found.state_bytes < 40_000
    assert 200 < found.stack_bytes < 4000
    assert 0 < found.encoder + found.network < found.per_window * 1.2


#: Compiler, flags and emulator.
OTHERS = {
    "aarch64": ("aarch64-linux-gnu-gcc", ("-static",), ("qemu-aarch64-static",)),
    "armhf": ("arm-linux-gnueabihf-gcc", ("-static",), ("qemu-arm-static",)),
    "clang": ("clang", (), ()),
    "sanitized": ("clang", ("-fsanitize=address,undefined", "-fno-sanitize-recover=all"), ()),
    "plain": ("cc", ("-DVSKD_PLAIN_C", "-O0"), ()),
}


@pytest.mark.parametrize("name", list(OTHERS))
def test_every_machine_and_compiler_finds_the_same_bits(made: Port, name: str) -> None:
    compiler, flags, emulator = OTHERS[name]
    missing = [program for program in (compiler, *emulator) if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not found")
    if name == "sanitized":
        sanitizer_runtime()
    found = replay.replayed(made, compiler, *flags, emulator=emulator)
    assert (found["windows_equal"], found["events_equal"]) == (found["windows"], found["events"])


# --- what is refused


def test_a_folder_that_is_there_is_kept(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"exists\. Give another name, or --overwrite"):
        port.main([str(bundle.path), "--out", str(tmp_path)], standalone_mode=False)
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(BundleError, match=r"exists and is no port; it is not replaced"):
        port.main([str(bundle.path), "--out", str(tmp_path), "--overwrite"], standalone_mode=False)


@pytest.mark.parametrize(
    ("refusing", "option"), [(port, "--out"), (page, "--out"), (watch, "--out"), (serve, "--clips")]
)
def test_nothing_is_written_into_the_bundle(bundle: Bundle, refusing: click.Command, option: str) -> None:
    for place in (bundle.path / "made", bundle.path):
        with pytest.raises(BundleError, match=r"lies in the bundle .*Give a place outside of it"):
            refusing.main([str(bundle.path), option, str(place)], standalone_mode=False)
    Bundle.open(bundle.path)


def test_a_bundle_may_have_any_name(bundle: Bundle, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b'not \xff UTF-8, two\nlines, "${x}`\\*')
    shutil.copytree(bundle.path, odd)
    for making, options in ((port, []), (page, ["--no-wasm"]), (watch, ["--examples", "0"])):
        out = tmp_path / str(making.name)
        making.main([str(odd), "--out", str(out), *options], standalone_mode=False)
        assert (out / "README.md").is_file() != (making is page)


def test_more_examples_than_a_core_holds_are_refused(bundle: Bundle) -> None:
    with pytest.raises(ContractError, match="examples"):
        port_of(bundle, examples=100_000)


def test_a_bundle_without_an_int8_model_is_refused(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "models", bundle.models[:1])
    with pytest.raises(BundleError, match=r"has no int8 model for TensorFlow Lite.*Export the run again"):
        integer_model(bundle)
    (check,) = replay.replay(bundle)
    assert check.detail.startswith("C: none, ")
    assert check.problem == ""


def test_help_has_an_example() -> None:
    assert "Example: vskd port wrist.bundle" in command("--help").output


# --- what the export's report says


def test_the_report_has_the_sizes_and_what_a_board_takes(exported: ExportReport, made: Port) -> None:
    table = exported.content["port"]
    assert (table["arena_bytes"], table["macs"]) == (made.arena.size, macs(made.plan))
    page = (exported.path / "report.html").read_text()
    assert f"{table['table_bytes']:,} bytes of weights and tables" in page
    if missing(TOOLS):
        assert (table["boards"], table["not_measured"]) == ([], missing(TOOLS))
        assert missing(TOOLS) in page
    else:
        assert [board["processor"] for board in table["boards"]] == ["Cortex-M4", "Cortex-M55"]
        assert all(board["windows_equal"] == board["windows"] == 4 for board in table["boards"])


def test_one_table_holds_every_port(exported: ExportReport) -> None:
    rows = {row["port"].partition(",")[0]: row for row in exported.content["ports"]}
    text = (exported.path / "report.html").read_text()
    for row in exported.content["ports"]:
        assert row["problem"] == ""
        if not row["not_replayed"]:
            assert row["windows_equal"] == row["labels_equal"] == row["windows"] > 3
            assert row["events_equal"] == row["events"] > 10
        assert f'<th scope="row">{row["port"]}' in text
    replayed = {name for name, row in rows.items() if not row["not_replayed"]}
    assert ("C by cc" in replayed) == (shutil.which("cc") is not None)
    assert ("page" in replayed) == (shutil.which("node") is not None)
    boards = {f"C on {board['processor']}": board for board in exported.content["port"]["boards"]}
    for name, board in boards.items():
        assert rows[name]["bytes"] == board["flash_bytes"]
        assert rows[name]["ram_bytes"] == board["state_bytes"] + board["stack_bytes"]


@pytest.fixture
def no_other_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only boards are replayed."""
    monkeypatch.setattr(report, "_PORTS", ())


@pytest.mark.usefixtures("no_other_port")
def test_a_model_without_a_plan_has_no_port_and_the_report_says_why(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(bundle: Bundle) -> Planned:
        raise EngineError("model.tflite holds the operator TILE")

    monkeypatch.setattr(report, "planned", unknown)
    assert port_tables(bundle) == {"port": {"skipped": "model.tflite holds the operator TILE"}, "ports": []}


@pytest.mark.usefixtures("no_other_port")
def test_a_board_with_other_bits_ends_the_export(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = {"windows": 4, "windows_equal": 3, "labels_equal": 4, "events": 2, "events_equal": 2}
    found = OnBoard("Cortex-M4", 1, 1, 1, 1, 1, 1, 1, 1, **counts)
    monkeypatch.setattr(report, "missing", lambda names: "")
    monkeypatch.setattr(report, "measure", lambda port, board: found)
    with pytest.raises(EngineError, match=r"Cortex-M4.*does not compute .* model does.*Export from another"):
        port_tables(bundle)

    def broken(port: Port, board: object) -> OnBoard:
        raise EngineError("emulating Cortex-M4 failed")

    monkeypatch.setattr(report, "measure", broken)
    table = port_tables(bundle)["port"]
    assert (table["boards"], table["not_measured"]) == ([], "emulating Cortex-M4 failed")


def test_a_port_with_other_events_ends_the_export_and_a_compiler_that_fails_does_not(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"windows": 4, "windows_equal": 4, "labels_equal": 4, "events": 9, "events_equal": 8}
    monkeypatch.setattr(report, "missing", lambda names: "no board")
    monkeypatch.setattr(report, "_PORTS", (lambda bundle: [counted("Kotlin on a JVM", counts, told="event 3")],))
    with pytest.raises(EngineError, match=r"Kotlin on a JVM\) does not compute .*report it: event 3\. Export from"):
        port_tables(bundle)
    monkeypatch.setattr(report, "_PORTS", (lambda bundle: [Ported(port="C by cc", problem="compiling failed")],))
    (row,) = port_tables(bundle)["ports"]
    assert (row["not_replayed"], row["problem"], row["windows"]) == ("compiling failed", "", 0)


def test_a_program_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_TIMEOUT_S", 0.2)
    with pytest.raises(EngineError, match="waiting did not end within 0 s"):
        programs.run(["sleep", "20"], purpose="waiting")
