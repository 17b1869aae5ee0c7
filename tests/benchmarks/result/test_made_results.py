"""The folders that the tests here make are what ``vskd bench`` would have written."""

from __future__ import annotations

from vskd_benchmarks.result.check import differences
from vskd_benchmarks.result.folder import read_result
from vskd_benchmarks.result.records.validity import Validity


def test_a_made_folder_follows_its_own_raw_numbers(make_result, tmp_path):
    folder = make_result(tmp_path / "result", bundles=("wide", "narrow"))
    assert differences(folder) == []
    result = read_result(folder)
    assert result.validity == Validity("valid", ())
    assert {case.validity.status for case in result.cases} == {"valid"}
