"""The policy of a comparison: closed, and every limit a number that can be one."""

from __future__ import annotations

import pytest

from vskd.errors import ConfigError
from vskd_benchmarks.compare.policy import Policy, read_policy


def test_the_committed_policy_names_a_limit_of_every_kind():
    policy = read_policy()
    assert policy.latency.p50_max_ratio == 1.10
    assert None not in (policy.memory.peak_max_ratio, policy.size.file_max_ratio, policy.accuracy.max_loss)
    assert policy.latency.p99_max_ratio is None


def test_what_is_left_out_has_no_limit(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text("")
    assert read_policy(path) == Policy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[latency]\np50_max = 1.1", r"unknown key 'p50_max' in .*latency\. Did you mean 'p50_max_ratio'\?"),
        ("[speed]", "unknown key 'speed'"),
        ("[latency]\np50_max_ratio = 0", r"latency\.p50_max_ratio is a ratio above 0, got 0"),
        ("[memory]\npeak_max_ratio = -1", r"memory\.peak_max_ratio is a ratio above 0, got -1"),
        ("[size]\nfile_max_ratio = 0", r"size\.file_max_ratio is a ratio above 0, got 0"),
        ("[accuracy]\nmax_loss = 5", r"accuracy\.max_loss is a share from 0 to 1, got 5"),
        ("[latency]\np50_max_ratio = nan", "must be a finite number, got nan"),
        ("[latency", "is no TOML"),
    ],
)
def test_a_policy_that_is_none_is_refused(tmp_path, text, message):
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_policy(path)


def test_a_missing_policy_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the policy .*none\.toml: No such file"):
        read_policy(tmp_path / "none.toml")
