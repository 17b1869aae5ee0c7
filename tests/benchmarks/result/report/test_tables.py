"""The tables: every figure stands under its own heading, in its unit, in the row of its own case."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from vskd_benchmarks.report import evidence, tables
from vskd_benchmarks.report.headline import headline
from vskd_benchmarks.report.html import report_files
from vskd_benchmarks.report.terminal import print_tables
from vskd_benchmarks.result.folder import read_raw, read_result

CSV = "cases.csv"


@pytest.fixture(scope="module")
def made(make_result, tmp_path_factory):
    return make_result(tmp_path_factory.mktemp("tables") / "result")


@pytest.fixture(scope="module")
def result(made):
    return read_result(made)


def cells(table, row=0):
    """Heading -> text of one row."""
    return dict(zip(table.headings, table.rows[row], strict=True))


def rank_ms(values, percent):
    """A percentile by nearest rank, from its definition, in ms to three places."""
    ordered = np.sort(values, axis=None)
    return f"{ordered[int(np.ceil(percent / 100 * ordered.size)) - 1] / 1e6:.3f}"


def test_latency(result, made):
    table = tables.latency(result)
    assert [row[0] for row in table.rows] == [f"#{n} {case.name}" for n, case in enumerate(result.cases[:-1], start=1)]
    for index, case in enumerate(result.cases[:-1]):
        row, readings = cells(table, index), read_raw(made, case.id)["sensor_to_label"]
        assert [row[f"p{percent}, ms"] for percent in (50, 90, 99)] == [rank_ms(readings, p) for p in (50, 90, 99)]
        assert (row["windows"], row["p99.9, ms"], row["status"]) == ("800", "n/a", "valid")
        assert row["slowest, ms"] == f"{readings.max() / 1e6:.3f}"
    raw = read_raw(made, result.cases[0].id)
    overhead_us = np.sort(raw["sensor_to_label"] - raw["bare_call"], axis=None) / 1e3
    # The ranks of 95 %: 800 / 2 -+ 0.98 sqrt(800), outwards.
    expected = f"{overhead_us[399]:.0f} ({overhead_us[372]:.0f} to {overhead_us[428]:.0f})"
    assert cells(table)["overhead, us"] == expected


def test_numbers_have_no_gap_where_a_case_is_on_no_path(result):
    first = replace(result, cases=(result.cases[-1], *result.cases[:-1]))
    numbers = [row[0].partition(" ")[0] for row in tables.latency(first).rows]
    assert numbers == [f"#{number}" for number in range(1, len(result.cases))]
    assert tables.encoders(first).rows[0][0].startswith(f"#{len(result.cases)} ")


def test_five_lines_open_a_report(result):
    lines = dict(headline(result))
    fastest = min((c for c in result.cases if c.kind == "bundle"), key=lambda c: c.sensor_to_label.p50_ns)
    assert lines["verdict"] == "valid. No check failed: these figures can be cited."
    assert lines["fastest model"] == f"#4 {fastest.name}, macro-F1 81.0 % on held-out windows"
    assert lines["sensor to label"].startswith(f"{fastest.sensor_to_label.p50_ns / 1e6:.3f} ms in the median, ")
    assert lines["size"] == "file 11.49 MB, peak memory 78 MB"
    usual = next(c for c in result.cases if c.kind == "usual-pipeline")
    ratio = next(r.ratio for r in result.ratios if (r.case, r.against) == (fastest.id, usual.id))
    assert lines["speed-up"] == f"{ratio:.1f} times faster than {usual.name}"


def test_the_five_lines_of_less_tell_less(result):
    networks = tuple(case for case in result.cases if case.kind != "bundle")
    assert [topic for topic, _ in headline(replace(result, cases=networks))] == ["verdict"]
    alone = dict(headline(replace(result, cases=result.cases[:1], ratios=())))
    assert alone["speed-up"] == "the usual pipeline was not measured beside it"


def test_split_and_encoders(result, made):
    student = next(case for case in result.cases if case.kind == "student")
    row = cells(tables.split(result), result.cases.index(student))
    raw = read_raw(made, student.id)
    for heading, name in (
        ("resample", "resample"), ("encode", "encode"), ("infer", "infer"), ("decide", "decide"),
        ("model only", "model_only"), ("bare call", "bare_call"),
    ):  # fmt: skip
        assert row[f"{heading}, us"] == f"{float(rank_ms(raw[name] * 1000, 50)):,.1f}", heading
    assert cells(tables.split(result))["encode, us"] == ""
    encoder = read_raw(made, result.cases[-1].id)
    row = cells(tables.encoders(result))
    assert row["vskd in numpy, us"] == f"{float(rank_ms(encoder['numpy_encoder'] * 1000, 50)):,.1f}"
    assert row["pyts, us"] == f"{float(rank_ms(encoder['pyts_encoder'] * 1000, 50)):,.1f}"


def test_start_memory_and_size(result):
    case = result.cases[0]
    cold = replace(
        case.cold_start, median_ns=1_000_000, import_ns=2_000_000, open_ns=3_000_000, first_window_ns=4_000_000
    )
    memory = replace(case.memory, peak_bytes=5_000_000, over_library_bytes=6_000_000)
    model = replace(case.model, size_bytes=7_000_000, macs=8_000_000)
    changed = replace(result, cases=(replace(case, cold_start=cold, memory=memory, model=model), *result.cases[1:]))
    assert tables.start(changed).rows[0][1:] == ("1.0", "2.0", "3.0", "4.0", "5.0", "6.0", "7.0", "8.0")
    assert tables.start(changed).headings[1:] == (
        "cold start, ms", "import, ms", "open, ms", "first window, ms", "peak memory, MB", "over the library, MB",
        "file, MB", "million MACs",
    )  # fmt: skip


def test_ratios_stand_in_the_row_of_the_faster_and_the_column_of_the_other(result):
    (table,) = tables.ratios(result)
    found = {(ratio.case, ratio.against): ratio for ratio in result.ratios}
    labels = {f"#{number} {case.name}": case.id for number, case in enumerate(result.cases, start=1)}
    shown = {
        (labels[row[0]], labels[heading]): text
        for row in table.rows
        for heading, text in zip(table.headings[1:], row[1:], strict=True)
    }
    assert shown == {
        pair: f"{each.ratio:.2f} ({each.lowest:.2f} to {each.highest:.2f}); in yardsticks {each.in_yardsticks:.2f}"
        for pair, each in found.items()
    }
    assert all(ratio.lowest <= ratio.ratio <= ratio.highest for ratio in found.values())


def test_goals(result):
    words = {True: "met", False: "missed", None: "not measured"}
    assert [row[3] for row in tables.goals(result).rows] == [words[goal.met] for goal in result.goals]
    assert {"met", "missed", "not measured"} == {row[3] for row in tables.goals(result).rows}


def test_a_goal_of_a_degraded_run_is_marked_as_such(result):
    goals = tuple(replace(goal, status="degraded") for goal in result.goals)
    found = {row[3] for row in tables.goals(replace(result, goals=goals)).rows}
    assert found == {"met, but the run is degraded", "missed, but the run is degraded", "not measured"}


def test_the_yardstick_of_each_case(result):
    table = evidence.yardstick(result)
    assert [row[0] for row in table.rows] == [label for label, _ in tables.numbered(result)]
    # Every round has readings from 300.000 to 300.015 us, and the machine's best was 299 before.
    assert table.rows[0][1:] == ("300.0", "300.0 to 300.0", "0.0", "0.3")
    assert "300.0 us in this run; 299.0 us before it" in table.caption
    first = result.cases[0]
    assert cells(tables.latency(result))["p50, yardsticks"] == f"{first.yardstick.sensor_to_label:.4g}"
    unknown = replace(result, yardstick=replace(result.yardstick, known_best_ns=None))
    assert "none is known from before" in evidence.yardstick(unknown).caption
    assert evidence.yardstick(replace(result, yardstick=None)).rows == ()


def test_reasons_name_their_case_their_value_and_their_limit(make_result, tmp_path):
    def spoilt(facts):
        facts["cases"][1]["cpu"]["other_cores"] = 3.5
        facts["environment"]["before"]["governors"] = ["ondemand"]
        facts["environment"]["after"]["swap_used_bytes"] = 4096

    result = read_result(make_result(tmp_path / "result", edit=spoilt))
    rows = {row[1]: row for row in evidence.reasons(result).rows}
    assert list(rows) == ["load", "governor", "swap-in-use"]
    assert (rows["load"][0], *rows["load"][3:]) == ("invalid", "3.5 cores", "3 cores", "#2")
    assert rows["governor"][3:] == ("ondemand", "performance", "machine")
    assert [line[:2] for line in evidence.lowering(result)] == [
        ("invalid: load", "#2"), ("degraded: governor", "machine"),
    ]  # fmt: skip


def test_the_state_of_the_machine(result):
    environment = result.environment
    after = replace(environment.after, swapped_pages=52, throttled="0x1", governors=("ondemand",))
    table = evidence.machine(replace(result, environment=replace(environment, after=after)))
    assert ("frequency governor (wanted: performance)", "ondemand, performance") in table.rows
    assert ("throttled (vcgencmd), before and after", "0x0, 0x1") in table.rows
    assert ("pages swapped during the run", "42") in table.rows


def test_audits_say_passed_failed_or_not_applicable(result):
    case = result.cases[0]
    failed = replace(case.audits, outputs=replace(case.audits.outputs, passed=False, detail="0 of 20"))
    changed = replace(result, cases=(replace(case, audits=failed), *result.cases[1:]))
    assert evidence.audits(changed).rows[0][1] == "FAILED: 0 of 20"
    assert evidence.audits(result).rows[0][1].startswith("passed: ")
    assert evidence.audits(result).rows[-1][1] == "not applicable: gives no logits"


def test_the_csv_holds_each_cases_own_figures(make_result, tmp_path):
    def spoilt(facts):
        facts["cases"] = facts["cases"][:2]
        facts["cases"][1]["cpu"]["other_cores"] = 0.5

    folder = make_result(tmp_path / "result", edit=spoilt)
    result = read_result(folder)
    rows = list(csv.DictReader(io.StringIO(report_files(folder)[CSV].decode())))
    assert [row["status"] for row in rows] == ["valid", "degraded"]
    for row, case in zip(rows, result.cases, strict=True):
        assert row["cold_start_ns"] == str(case.cold_start.median_ns)
        assert row["model_sha256"] == case.model.sha256
        for scope in ("sensor_to_label", "model_only", "bare_call"):
            for percentile in ("p50_ns", "p90_ns", "p99_ns"):
                assert row[f"{scope}_{percentile}"] == str(getattr(case.scopes[scope], percentile))
        assert row["infer_p50_ns"] == str(case.stages["infer"].p50_ns)


def test_the_terminal_shows_names_once_and_numbers_afterwards(make_result, tmp_path):
    def spoilt(facts):
        facts["cases"][1]["cpu"]["other_cores"] = 3.5
        facts["cases"][0]["name"] = "[bold]odd[/] name"

    console = Console(record=True, width=200, file=io.StringIO())
    print_tables(read_result(make_result(tmp_path / "result", edit=spoilt)), console)
    text = console.export_text()
    assert text.count("[bold]odd[/] name") == 1
    assert "not measured: tensorflow fp32: tensorflow is not installed" in text
    assert "result: invalid\n  invalid: load (#2): other work kept 3.50 cores busy meanwhile, above 3\n" in text
    ratios = [line.split() for line in text[text.index("Speed-up over") :].splitlines()]
    assert [next(len(words) for words in ratios if words[:1] == [number]) for number in ("#1", "#2")] == [3, 3]
