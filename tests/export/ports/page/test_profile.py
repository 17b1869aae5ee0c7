"""The page reads a profile of ``vskd enroll``, writes it again byte by byte, and refuses what is none."""

from __future__ import annotations

import base64

import pytest

from export.ports.page.node import EARLIER, NEEDS_NODE, Node
from export.ports.profiles import broken, profile_of
from vskd.bundle import Bundle

pytestmark = NEEDS_NODE


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return Bundle.open(EARLIER)


def test_a_profile_of_vskd_enroll_is_read_and_written(node: Node, bundle: Bundle) -> None:
    profile = profile_of(bundle, bundle.contract.labels[0], 32)
    content = base64.b64encode(profile.to_bytes()).decode()
    hashes = {"bundleSha256": profile.bundle_sha256, "contractSha256": profile.contract_sha256}
    assert node("profile", file=content, **hashes) == {"labels": list(profile.labels), "written": content}


def test_what_is_no_profile_is_refused(node: Node, bundle: Bundle) -> None:
    profile = profile_of(bundle, bundle.contract.labels[0], 32)
    for reason, content in broken(profile).items():
        told = node("profile", file=base64.b64encode(content).decode(), bundleSha256=profile.bundle_sha256)
        assert told.startswith(f"this file holds no profile of this model: {reason}")
