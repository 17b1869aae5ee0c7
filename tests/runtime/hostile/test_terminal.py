"""What others wrote reaches the terminal and the spreadsheet as text, never as a command; a full disk is a sentence."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from runtime.mean_engine import MeanEngine
from vskd.bundle import write_bundle
from vskd.bundle_files import REPORT
from vskd.classifier import Classifier
from vskd.commands.rich_console import SafeConsole
from vskd.commands.terminal import say
from vskd.decide import Event
from vskd.sinks.event_files import CsvSink

CLEAR, TITLE = "\x1b[2J\x1b[H", "\x1b]0;owned\x07"


def commands_in(text: str) -> set[str]:
    """What a terminal would obey: control characters but the line break."""
    return {one for one in text if not one.isprintable() and one != "\n"}


@pytest.fixture
def bundle(tmp_path: Path, make_golden_bundle, contract) -> Path:
    folder: Path = make_golden_bundle(tmp_path / "wrist.bundle", contract)
    return folder


@pytest.mark.parametrize("word", ["inspect", "verify", "run", "doctor", "selftest"])
def test_a_bundle_whose_folder_commands_the_terminal(bundle, tmp_path, command, word):
    (tmp_path / "in.csv").write_text("time_s,ax,ay,az\n" + "".join(f"{i / 50},0,0,1\n" for i in range(64)))
    hostile = bundle.rename(tmp_path / f"{CLEAR}{TITLE}\nok everything.bundle")
    result = command(word, hostile, *(["--input", tmp_path / "in.csv"] if word == "run" else []))
    assert result.code == 0
    assert commands_in(result.out + result.err) == set()
    assert not any(line.startswith("ok everything") for line in (result.out + result.err).splitlines())


def test_a_report_and_its_sentences_that_command_the_terminal(tmp_path, contract, command):
    graph = {"inputs": [{"name": f"in{CLEAR}", "type": TITLE}], "outputs": [{"name": "\x9b2J"}], "macs": 1}
    files = {REPORT: json.dumps({"variants": {f"v{CLEAR}\nok": graph}}).encode()}
    folder = write_bundle(
        tmp_path / "x.bundle", contract=contract, models=[], files=files, degraded=[f"{TITLE}\nok all"]
    )
    shown = command("inspect", folder)
    assert shown.code == 0
    assert commands_in(shown.out) == set()
    assert r"\x1b[2J" in shown.out
    assert not any(line.startswith("ok") for line in shown.out.splitlines())
    assert commands_in(command("verify", folder).out) == set()


def test_arrays_and_columns_that_command_the_terminal(bundle, tmp_path, command):
    np.savez(tmp_path / "x.npz", **{f"a{CLEAR}": np.zeros(3)})
    (tmp_path / f"x{CLEAR}.csv").write_text(f"time_s,{TITLE},ay,az\n0,0,0,1\n")
    for name in ("x.npz", f"x{CLEAR}.csv", f"gone{TITLE}.csv"):
        result = command("run", bundle, "--input", tmp_path / name)
        assert result.code == 1
        assert commands_in(result.err) == set()


@given(st.text())
def test_what_is_said_is_one_line_without_commands(text):
    stream = io.StringIO()
    console = SafeConsole(file=stream, width=10_000)
    console.print(Text(text), soft_wrap=True)
    assert commands_in(stream.getvalue()) == set()


def test_a_line_break_in_a_name_begins_no_line(capsys):
    say("file a\nok b")
    say("a\nb", lines=True)
    assert capsys.readouterr().out == "file a\\nok b\na\nb\n"


def test_a_table_keeps_its_colours_and_loses_those_of_its_cells():
    stream = io.StringIO()
    table = Table(f"name{TITLE}")
    table.add_row(f"walk{CLEAR}", style="red")
    SafeConsole(file=stream, force_terminal=True, color_system="standard", no_color=False, width=80).print(table)
    assert r"walk\x1b[2J" in stream.getvalue()
    assert "\x1b[31m" in stream.getvalue()
    assert CLEAR not in stream.getvalue()
    assert TITLE not in stream.getvalue()


@pytest.mark.parametrize("label", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)"])
def test_a_spreadsheet_computes_no_label(contract, label):
    labels = (label, "y up", "z up")
    stream = io.StringIO()
    sink = CsvSink(stream, labels)
    sink(Event(label, 0.5, "", 0.0, 1.0, 0.0, np.array([0.5, 0.25, 0.25])))
    header, row = csv.reader(io.StringIO(stream.getvalue()))
    assert row[2] == f"'{label}"
    assert not any(cell.startswith(("=", "+", "@", "-")) for cell in (*header, *row))
    contract = type(contract)(**{**vars(contract), "labels": labels})
    assert Classifier(contract, MeanEngine()).contract.labels[0] == label  # a bundle may have it


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [("inspect",), ("inspect", "--json"), ("run", "--input", "in.csv"), ("verify",)])
def test_a_full_disk_behind_standard_output_is_one_sentence(bundle, tmp_path, words):
    (tmp_path / "in.csv").write_text("time_s,ax,ay,az\n" + "".join(f"{i / 50},0,0,1\n" for i in range(64)))
    command = [sys.executable, "-m", "vskd", words[0], str(bundle), *words[1:]]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "error: cannot write the output: No space left on device",
        "       Make room, or name a place on another disk",
    ]
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_the_events_is_one_sentence(bundle, tmp_path, command):
    (tmp_path / "in.csv").write_text("time_s,ax,ay,az\n" + "".join(f"{i / 50},0,0,1\n" for i in range(64)))
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    result = command("run", bundle, "--input", tmp_path / "in.csv", "--output", tmp_path / "events.jsonl", "--append")
    assert result.code == 1
    assert result.err.count("error: cannot write the output: No space left on device") == 1


@pytest.mark.parametrize("torn", ["1.0,2.0,wa", "1.0", '"'])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_torn_line_is_cut_before_more_is_appended(bundle, tmp_path, command, torn, suffix):
    (tmp_path / "in.csv").write_text("time_s,ax,ay,az\n" + "".join(f"{i / 50},0,0,1\n" for i in range(64)))
    output = tmp_path / f"events{suffix}"
    words = ("run", bundle, "--input", tmp_path / "in.csv", "--output", output)
    assert command(*words).code == 0
    whole = output.read_text()
    output.write_text(whole + torn)
    assert command(*words, "--append").code == 0
    rows = whole.splitlines()[1:] if suffix == ".csv" else whole.splitlines()
    assert output.read_text().splitlines() == [*whole.splitlines(), *rows]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"\0" * 200_000, b"a," * 100_000])
def test_what_is_no_event_csv_is_not_appended_to(bundle, tmp_path, command, content):
    (tmp_path / "in.csv").write_text("time_s,ax,ay,az\n0,0,0,1\n")
    (tmp_path / "events.csv").write_bytes(content)
    result = command("run", bundle, "--input", tmp_path / "in.csv", "--output", tmp_path / "events.csv", "--append")
    assert result.code == 1
    assert "events.csv has other columns than this bundle's events" in result.err
    assert (tmp_path / "events.csv").read_bytes() == content


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_takes_no_file_is_one_sentence(bundle, tmp_path, command):
    (tmp_path / "in.csv").write_text("time_s,ax,ay,az\n0,0,0,1\n")
    (tmp_path / "locked").mkdir(mode=0o500)
    result = command("run", bundle, "--input", tmp_path / "in.csv", "--output", tmp_path / "locked" / "e.csv")
    assert result.code == 1
    assert "cannot write" in result.err
