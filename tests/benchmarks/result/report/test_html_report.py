"""The report of a result folder: whole, self-contained, and the result's own words."""

from __future__ import annotations

import csv
import html
import importlib.util
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from vskd.errors import ConfigError, DataError, MissingExtraError
from vskd_benchmarks.commands.bench import _report as report_line
from vskd_benchmarks.report import tables
from vskd_benchmarks.report.html import PAGE, page, report_files, write_report
from vskd_benchmarks.result.check import differences
from vskd_benchmarks.result.folder import read_result
from vskd_benchmarks.result.records.conditions import AppliedProfile, AppliedSetting, UnappliedSetting


class _Reader(HTMLParser):
    """Checks that tags are closed in order, and keeps what a browser would show."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(content: bytes) -> _Reader:
    reader = _Reader()
    reader.feed(content.decode())
    assert reader.open == []
    return reader


def test_the_page_needs_nothing_else(reported):
    content = (reported / "report" / PAGE).read_bytes()
    reader = read(content)
    sources = [value for name, value in reader.attributes if name in ("src", "href", "srcset", "data")]
    assert len(sources) == reader.tags.count("img") == 8
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert not {"script", "link", "iframe", "object"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert b"@import" not in content
    assert b"url(" not in content


def test_it_tells_verdict_figures_environment_and_how_to_repeat(reported):
    text = read((reported / "report" / PAGE).read_bytes()).text
    result = read_result(reported)
    for case in result.cases:
        if case.sensor_to_label is not None:
            assert f"{case.sensor_to_label.p50_ns / 1e6:.3f}" in text
    for words in (
        "No check failed: these figures", "Energy and battery: not measured", "#2 wide: litert w8a8-static-pc",
        result.configuration.command, "Raspberry Pi 4 Model B Rev 1.4", "onnxruntime 1.31.1", "p99.9, ms", "n/a",
        "tensorflow is not installed", "cores used by other processes (limit 0.25)", "the trained network's label",
    ):  # fmt: skip
        assert words in text


def test_images_and_figures_lie_beside_it_and_the_result_is_untouched(reported):
    names = {path.name for path in (reported / "report").iterdir()}
    assert {PAGE, "cases.csv", "ratios.csv", "accuracy-latency.png", "over-time-1.png"} <= names
    with (reported / "report" / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    result = read_result(reported)
    assert [row["id"] for row in rows] == [case.id for case in result.cases]
    assert rows[0]["sensor_to_label_p50_ns"] == str(result.cases[0].sensor_to_label.p50_ns)
    assert rows[0]["numpy_encoder_p50_ns"] == ""
    assert float(rows[1]["model_macro_f1"]) == pytest.approx(0.81)
    assert differences(reported) == []


def test_writing_again_replaces_and_equal_results_give_equal_files(single):
    assert write_report(single) == single / "report" / PAGE
    before = {path.name: path.read_bytes() for path in (single / "report").iterdir()}
    (single / "report" / "old.png").write_bytes(b"")
    write_report(single)
    assert {path.name: path.read_bytes() for path in (single / "report").iterdir()} == before
    assert sorted(path.name for path in single.iterdir()) == ["manifest.json", "raw", "report", "result.json"]


#: The page without its plots, which take the most time.
EMPTY = dict.fromkeys(("pareto", "distribution", "time"), ())


def page_of(folder):
    return page(read_result(folder), EMPTY, "0" * 64)


def test_a_degraded_result_says_so_first(make_result, tmp_path):
    def loaded(facts):
        facts["environment"]["before"]["governors"] = ["ondemand"]
        for number in (0, 2):
            facts["cases"][number]["cpu"]["other_cores"] = 0.5 + number / 10

    text = read(page_of(make_result(tmp_path / "result", edit=loaded))).text
    assert text.index("degraded: load") < text.index("Latency of one window")
    assert "degraded: governor (machine): the frequency governor is ondemand" in " ".join(text.split())
    assert "(#1, #3): other work kept 0.50 cores busy meanwhile, above 0.25, and 1 more like it" in text
    assert "an indication, not figures to cite" in text
    assert "No check failed" not in text


def test_an_invalid_result_says_so_first_and_marks_its_cases(make_result, tmp_path):
    folder = make_result(tmp_path / "result", edit=lambda facts: facts["environment"]["after"].update(throttled="0x4"))
    content = page_of(folder)
    text = read(content).text
    assert text.index("invalid: throttled") < text.index("Latency of one window")
    assert "vcgencmd get_throttled gave 0x4 after the run" in text
    assert content.count(b'class="n lost">invalid<') >= 6
    assert b'class="box bad"' in content


def test_nothing_can_break_out(make_result, tmp_path):
    odd = 'x"><script>alert(1)</script>&amp;'

    def named(facts):
        facts["cases"][0]["name"] = odd
        facts["configuration"]["command"] = odd
        facts["environment"]["machine"]["board"] = odd
        facts["not_measured"][0]["reason"] = odd
        facts["bundles"][0]["name"] = odd

    content = page_of(make_result(tmp_path / "result", edit=named))
    reader = read(content)
    assert "script" not in reader.tags
    assert html.escape(odd).encode() in content.replace(b"&#34;", b"&quot;")
    assert odd in reader.text


def test_what_lacks_is_left_empty(make_result, tmp_path):
    def bare(facts):
        facts["bundles"][0]["accuracy"] = None
        for model in facts["bundles"][0]["models"]:
            model["accuracy"] = {}
        facts["cases"] = facts["cases"][:1]
        facts["environment"]["readings"] = []
        for state in ("before", "after"):
            facts["environment"][state] |= dict.fromkeys(facts["environment"][state]) | {"governors": []}
        facts["environment"]["machine"] |= {"board": None, "cpu": None, "memory_bytes": None, "virtual_machine": None}

    text = read(report_files(make_result(tmp_path / "result", shape=(1, 5), edit=bare))[PAGE]).text
    assert "Benchmark on aarch64" in text
    assert "Accuracy: no bundle's report holds one." in text
    assert text.count("unknown") == 4
    assert "n/a" in text


@pytest.mark.parametrize("mode", ["paced", "soak"])
def test_a_pace_adds_what_the_processor_did(make_result, tmp_path, mode):
    def paced(facts):
        facts["configuration"] |= {"mode": mode, "rate_hz": 1.0, "duration_s": 64.0}
        for case in facts["cases"]:
            case["mode"] = mode
            if mode == "soak":
                case["soak"] = {
                    "resident_bytes": [1000, 3000],
                    "at_s": [1.0, 2.0],
                    "limit_bytes": 10**6,
                    "growth_bytes": 2000,
                }

    table = tables.processor(read_result(make_result(tmp_path / "result", edit=paced)))
    assert table.caption == f"Mode {mode}, 1 windows a second."
    assert table.rows[0][1:3] == ("100.00", "0.0")
    assert table.rows[0][3] == ("2" if mode == "soak" else "")


def test_energy_tells_its_source_its_uncertainty_and_what_it_rests_on(make_result, tmp_path):
    one = {"edit": lambda facts: facts.update(cases=facts["cases"][1:2])}
    folder = make_result(tmp_path / "metered", active_w=2.0, **one)
    result = read_result(folder)
    (row,) = tables.energy(result).rows
    assert row[:2] == ("#1 wide: litert w8a8-static-pc", "measured, power-meter, of device")
    assert float(row[2]) == pytest.approx(result.cases[0].energy.per_inference_mj, rel=0.01)
    assert float(row[5]) == pytest.approx(float(row[2]) / 1e3 * 86_400 / 3600 * 100, rel=0.01)
    text = read(page_of(folder)).text
    assert text.index("Assumptions of the energy figures:") < text.index("One window a second, all day.")


def test_energy_that_could_not_be_measured_says_why(make_result, tmp_path):
    folder = make_result(tmp_path / "metered", edit=lambda facts: facts.update(cases=facts["cases"][1:2]))
    assert "Energy and battery: not measured." in read(page_of(folder)).text
    result = read_result(make_result(tmp_path / "other", active_w=2.0))
    broken = replace(result, energy=replace(result.energy, problem="the meter's file ends early"))
    text = read(page(broken, EMPTY, "0" * 64)).text
    assert "Energy and battery: no figures. the meter's file ends early" in text


def test_a_profile_is_named_with_what_was_not_applied(reported):
    profile = AppliedProfile(
        name="generic-watch", title="a watch", note="No watch.", sha256="", relation="other", figures={},
        statement="Measured on a PC.", applied=(AppliedSetting("cores", 1, 1, "sched_setaffinity"),),
        not_applied=(UnappliedSetting("frequency_khz", 1e6, "no-cpufreq", "no such file"),),
    )  # fmt: skip
    text = read(page(replace(read_result(reported), profile=profile), EMPTY, "0" * 64)).text
    assert text.index("Measured on a PC.") < text.index("Latency of one window")
    assert "applied: 1, by sched_setaffinity" in text
    assert "NOT applied (no-cpufreq): no such file" in text


def test_goals_say_by_which_version_they_were_judged(reported):
    result = read_result(reported)
    assert "against goals version 3." in tables.goals(result).caption
    older = tables.goals(replace(result, goals_version=1)).caption
    assert "against goals version 1. Today's goals are version 3: see vskd bench check, or the page." in older


def test_a_result_of_older_goals_is_judged_again_on_its_page(make_result, tmp_path):
    def older(facts):
        facts["cases"] = facts["cases"][1:2]
        facts["goals_version"] = 1

    files = report_files(make_result(tmp_path / "result", edit=older))
    text = " ".join(read(files[PAGE]).text.split())
    before, after = text.split("against goals version 3.")
    assert "against goals version 1." in before
    assert "runtime's overhead over the bare engine call (us) <= 60" in before
    assert "own overhead at most 20 us a window <= 20" in after


# --- what is refused


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_a_missing_package_names_the_extra(single, monkeypatch, package):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find_spec(name))
    with pytest.raises(MissingExtraError, match=rf"a report needs {package}.*pip install 'vskd\[bench\]'"):
        write_report(single)
    # A measurement does not fail for want of a page: the bench says how to get one.
    assert f"vskd report {single}" in report_line(single)
    assert "pip install 'vskd[bench]'" in report_line(single)


def test_a_bench_ends_with_its_page(make_result, tmp_path):
    folder = make_result(tmp_path / "result")
    assert report_line(folder) == f"report: {folder / 'report' / PAGE}"
    assert (folder / "report" / PAGE).is_file()


def test_a_changed_result_gets_no_report(make_result, tmp_path):
    folder = make_result(tmp_path / "result")
    raw = next((folder / "raw").iterdir())
    raw.write_bytes(raw.read_bytes()[:-1])
    with pytest.raises(DataError, match="was changed: its SHA-256 is not the manifest's"):
        write_report(folder)
    assert not (folder / "report").exists()


def test_a_full_disk_is_one_sentence_and_leaves_the_old_report(single, monkeypatch):
    (single / "report").mkdir()
    (single / "report" / PAGE).write_text("old")

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(ConfigError, match=r"cannot write .*report: No space left on device\. Copy the folder"):
        write_report(single)
    assert (single / "report" / PAGE).read_text() == "old"
    assert not list(single.glob(".report*"))


def test_the_command_prints_the_page_or_one_sentence(run_vskd, single, tmp_path):
    done = run_vskd("report", single)
    assert (done.returncode, done.stdout.strip()) == (0, str(single / "report" / PAGE))
    refused = run_vskd("report", tmp_path)
    assert refused.returncode == 1
    assert "is no result folder: it has no manifest.json" in refused.stderr
