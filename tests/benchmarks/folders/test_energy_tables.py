"""Energy, battery and profile in a report: labelled, with their assumptions, and never in a device's place."""

from __future__ import annotations

import csv
import io

import pytest

from vskd_benchmarks import energy_tables
from vskd_benchmarks.html_report import write_report
from vskd_benchmarks.profiles import read_profile
from vskd_benchmarks.result_folder import REPORT, read_result


def test_a_row_for_each_case_by_hand(make_result, under, tmp_path):
    result = read_result(make_result(tmp_path / "result", edit=under("pi-4")))
    energy, assumptions = energy_tables.energy(result)
    # 506.4576 mW over a case's busy time for each window, 4.6 ms: 2.33 mJ; with 0.187 mJ a wake-up, of 4680 J.
    assert energy.rows[0][1:] == ("2.33", "", "", "4.65", "", "86400", "1.3")
    assert energy.caption == "A model, not measured: of a core. The figures are of the device itself."
    assert any("model, not measured: a computing core takes 506 mW" in row[1] for row in assumptions.rows)
    held, sources = energy_tables.profile(result)
    assert held.rows[0] == ("cores", "4", "cores 0, 1, 2, 3", "sched_setaffinity")
    assert held.rows[1][2:] == ("not applied", "no-permission: scaling_max_freq <b>")
    assert len(sources.rows) == len(read_profile("pi-4").figures())


@pytest.mark.parametrize(("name", "plotted"), [("pi-4", True), ("generic-watch", False)])
def test_a_battery_is_plotted_for_the_device_and_its_stand_in_alone(make_result, under, tmp_path, name, plotted):
    folder = make_result(tmp_path / "result", edit=under(name))
    page = write_report(folder).read_text(encoding="utf-8")
    assert (folder / REPORT / "accuracy-battery.png").is_file() == plotted
    assert ("of no device" in page) != plotted
    assert "Battery per day: not measured" not in page
    assert "scaling_max_freq &lt;b&gt;" in page
    rows = list(csv.DictReader(io.StringIO((folder / REPORT / "cases.csv").read_text(encoding="utf-8"))))
    assert float(rows[0]["battery_percent_per_day"]) > 0
    assert rows[0]["energy_source"] == "model"


def test_a_problem_is_told_in_place_of_figures(make_result, under, tmp_path):
    result = read_result(make_result(tmp_path / "result", edit=under("pi-4", problem="the meter stopped")))
    assert energy_tables.energy(result)[0].caption == "No figures: the meter stopped."


def test_a_result_without_them_has_no_tables(single):
    result = read_result(single)
    assert energy_tables.energy(result) == energy_tables.profile(result) == []
