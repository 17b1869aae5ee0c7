"""A profile comes back as it was written, and what is no profile, or not this bundle's, is refused in a sentence."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vskd.bundle import Bundle
from vskd.errors import ProfileError
from vskd.wearer.profile import LARGEST_BYTES, MOST_EXAMPLES, Example, Profile
from vskd.wearer.rule import FULL

HASH = "ab" * 32


def embedding(seed, features=8):
    values = np.random.default_rng(seed).integers(0, FULL, features).astype(np.int8)
    values[seed % features] = FULL
    return values.tobytes()


def profile_of(count, **changes):
    examples = tuple(Example(f"label {row % 5}", 1_700_000_000 + row, embedding(row)) for row in range(count))
    return Profile(HASH, HASH, examples, **changes)


@settings(max_examples=40)
@given(labels=st.lists(st.sampled_from(["wave", "jumping jack", "Wäsche", "走る", "a" * 100]), max_size=12))
def test_a_profile_comes_back(tmp_path_factory, labels):
    examples = tuple(Example(name, row, embedding(row), HASH * (row % 2)) for row, name in enumerate(labels))
    written, path = Profile(HASH, "cd" * 32, examples), tmp_path_factory.mktemp("profile") / "ann.profile"
    written.save(path)
    assert Profile.open(path) == written
    assert path.read_bytes() == written.to_bytes()
    if examples:
        assert written.embeddings.shape == (len(labels), 8)
        assert [row.tobytes() for row in written.embeddings] == [example.embedding for example in examples]


def test_three_examples_of_27_activities_of_a_raw_student_take_less_than_10_kb_without_the_spectrum():
    rows = range(81)
    examples = tuple(Example(f"activity {row % 27}", 1_700_000_000 + row, embedding(row, 96)) for row in rows)
    assert len(Profile(HASH, HASH, examples).to_bytes()) < 10_000


@pytest.mark.parametrize("place", range(0, 700, 7))
def test_a_changed_byte_is_found(tmp_path, place):
    path, content = tmp_path / "ann.profile", bytearray(profile_of(6).to_bytes())
    content[place % len(content)] ^= 1
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=r"holds no profile: it (does not begin as one|is damaged)"):
        Profile.open(path)


def with_header(content, **changes):
    """The same file with another header and the hash that it then has."""
    magic, _, header, rest = content.split(b"\n", 3)
    changed = {**json.loads(header), **changes}
    body = json.dumps(changed).encode() + b"\n" + rest
    return magic + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"features": 7}, "does not fit 48 bytes"),
        ({"features": -8, "label_of": [], "when_s": [], "recordings": []}, "does not fit 48 bytes"),
        ({"when_s": [0]}, "does not fit 48 bytes"),
        ({"label_of": [0, 0, 0, 0, 0, 9]}, "has a label that is not there"),
        ({"label_of": [0, 0, 0, 0, 0, -1]}, "has a label that is not there"),
        ({"labels": ["a\u202eb", "b", "c", "d", "e"]}, "holds the invisible character"),
        ({"labels": ["still", "b", "c", "d", "e"]}, "is what vskd calls an event without an activity"),
        ({"labels": ["x" * 101, "b", "c", "d", "e"]}, "has 101 characters; a name has at most 100"),
        ({"when_s": [-1] * 6}, "cannot be of the time -1 s"),
        ({"recordings": ["../../etc/passwd"] * 6}, "is named by its SHA-256"),
        ({"bundle_sha256": "no"}, "names its bundle and contract by SHA-256"),
        ({"features": "8"}, "must be of type int"),
        ({"owner": "ann"}, "unknown key 'owner'"),
    ],
)
def test_what_no_profile_may_hold_is_refused(tmp_path, changes, reason):
    path = tmp_path / "ann.profile"
    path.write_bytes(with_header(profile_of(6).to_bytes(), **changes))
    with pytest.raises(ProfileError, match=reason):
        Profile.open(path)


def test_embeddings_that_no_rounding_gives_are_refused():
    for values in ([1, 2, 3], [-128, 127, 0], [0, 0, 0]):
        with pytest.raises(ProfileError, match="the largest entry of an embedding is 127"):
            Profile(HASH, HASH, (Example("wave", 0, np.array(values, np.int8).tobytes()),))
    with pytest.raises(ProfileError, match="an example has 0 features"):
        Profile(HASH, HASH, (Example("wave", 0, b""),))
    with pytest.raises(ProfileError, match="has 9 features, the first one 8"):
        profile_of(1).with_example(Example("wave", 0, embedding(1, 9)))


def test_what_is_no_file_of_a_profile_is_refused(tmp_path):
    with pytest.raises(ProfileError, match=r"cannot read the profile .*No such file"):
        Profile.open(tmp_path / "none")
    with pytest.raises(ProfileError, match="it does not begin as one"):
        Profile.open(tmp_path)
    os.mkfifo(tmp_path / "pipe")  # which nobody writes to
    with pytest.raises(ProfileError, match="it does not begin as one"):
        Profile.open(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"vskd profile 1\n" + bytes(LARGEST_BYTES))
    with pytest.raises(ProfileError, match="it has more than 1048576 bytes"):
        Profile.open(tmp_path / "large")


def test_the_fullest_profile_can_be_read(tmp_path):
    rows = range(MOST_EXAMPLES)
    full = Profile(
        HASH, HASH, tuple(Example(f"{row:03d}" + "語" * 97, row, embedding(row, 2048), HASH) for row in rows)
    )
    full.save(tmp_path / "full.profile")
    assert Profile.open(tmp_path / "full.profile") == full
    with pytest.raises(ProfileError, match=f"is full: it holds at most {MOST_EXAMPLES} examples.*--remove NUMBER"):
        full.with_example(Example("one more", 0, embedding(5000, 2048)))


def test_an_example_joins_once_and_leaves_by_its_number():
    profile = profile_of(3)
    with pytest.raises(ProfileError, match="is in the profile already, as example 2, 'label 1'"):
        profile.with_example(Example("other", 5, embedding(1)))
    assert profile.without([1, 3]).examples == profile.examples[1:2]
    with pytest.raises(ProfileError, match="there is no example 4; the profile holds 3"):
        profile.without([4])


def test_nothing_else_is_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ProfileError, match="exists and is no profile; it is not replaced"):
        profile_of(1).save(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with pytest.raises(ProfileError, match="cannot write"):
        profile_of(1).save(tmp_path / "nowhere" / "ann.profile")


def test_a_profile_of_another_bundle_is_refused_with_the_way_out(tmp_path, make_bundle, contract):
    one = Bundle.open(make_bundle(tmp_path / "one.bundle", contract))
    other = Bundle.open(make_bundle(tmp_path / "other.bundle", contract.with_decision(temperature=2.0)))
    profile = Profile.of(one)
    assert profile.check_for(one) is profile
    with pytest.raises(ProfileError, match=r"a bundle of another contract, .* nothing to other.bundle.*--again OLD"):
        profile.check_for(other)
    same_contract = dataclasses.replace(profile, bundle_sha256=HASH)
    with pytest.raises(ProfileError, match="made with another model of the same contract"):
        same_contract.check_for(one)


def test_a_label_that_cannot_be_is_said_before_that_the_recording_is_there():
    example = Example("wave", 0, bytes([127, 3, 0]))
    profile = Profile("a" * 64, "b" * 64, (example,))
    with pytest.raises(ProfileError, match="the label 'unknown'"):
        profile.with_example(dataclasses.replace(example, label="unknown"))
