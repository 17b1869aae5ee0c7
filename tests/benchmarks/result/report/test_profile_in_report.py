"""A result under a profile, in the report: the sources of its figures, and energy in the CSV as a model's."""

from __future__ import annotations

import csv
import io

from vskd_benchmarks.device.profiles import read_profile
from vskd_benchmarks.report import evidence
from vskd_benchmarks.report.html import write_report
from vskd_benchmarks.result.folder import REPORT, read_result


def test_every_figure_of_the_profile_has_its_source(make_result, under, tmp_path):
    result = read_result(make_result(tmp_path / "result", edit=under("pi-4")))
    rows = {row[0]: row[1:] for row in evidence.profile_sources(result).rows}
    assert rows.keys() == read_profile("pi-4").figures().keys()
    assert rows["settings.frequency_khz"][:2] == ("1500000", "stated")
    assert rows["settings.frequency_khz"][3].endswith("bcm2711.adoc")
    assert rows["model.core_v"][1:] == ("assumption", read_profile("pi-4").sources["model.core_v"].text, "")


def test_a_model_stays_a_model_in_the_page_and_the_csv(make_result, under, tmp_path):
    folder = make_result(tmp_path / "result", edit=under("generic-watch"))
    page = write_report(folder).read_text(encoding="utf-8")
    assert "model, of no device" in page
    assert "scaling_max_freq &lt;b&gt;" in page
    rows = list(csv.DictReader(io.StringIO((folder / REPORT / "cases.csv").read_text(encoding="utf-8"))))
    # 64 mW for 4.6 ms: 0.2944 mJ; with 0.042624 mJ a wake-up, 86,400 times a day, of 4680 J.
    assert rows[0]["energy_source"] == "model"
    assert 0.29 < float(rows[0]["per_inference_mj"]) < 0.33
    share = (float(rows[0]["per_inference_mj"]) + 0.042624) * 86.4 / 46.8
    assert abs(float(rows[0]["battery_percent_per_day"]) - share) < 1e-9


def test_a_result_without_a_profile_has_no_such_table(single):
    assert evidence.profile_sources(read_result(single)).rows == ()
