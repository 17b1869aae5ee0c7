"""Archives of arrays whose members are not what they say."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from vskd.untrusted.arrays import read_npz


def archive_of(member: bytes) -> io.BytesIO:
    """An .npz with one member, ``x``."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", member)
    return file


@pytest.fixture
def member() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(3.0))
    return file.getvalue()


def test_a_member_is_read(member):
    np.testing.assert_array_equal(read_npz(archive_of(member))["x"], np.arange(3.0))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"}", b" "),  # numpy's tokenizer ends in an exception of its own
        (b"(3,)", b"(4,)"),
        (b"(3,)", b"(-3)"),
        (b"(3,)", b"9**9"),
        (b"'<f8'", b"'|O8'"),
        (b"'<f8'", b"'<f4'"),
        (b"'<f8'", b"{{{{{"),
        (b"NUMPY\x01", b"NUMPY\x07"),
    ],
)
def test_a_header_that_is_none_is_one_sentence(member, old, new):
    assert old in member
    with pytest.raises(
        ValueError, match=r"^its member 'x\.npy'|^it is no archive of arrays|^shape is not|^malformed node"
    ):
        read_npz(archive_of(member.replace(old, new, 1)))
