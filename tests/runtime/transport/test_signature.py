"""A signed bundle: its own key accepts it, and any changed bit, any other key and any missing signature is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from vskd.bundle import Bundle
from vskd.bundle_files import MANIFEST, SIGNATURE
from vskd.errors import BundleError
from vskd.transport.signature import PROGRAM, sign, signature_problem

#: Where ``.ci/tools`` installs model-signing, apart from what the exporter needs.
INSTALLED = Path.home() / ".cache" / "vskd-model-signing" / "bin"


@pytest.fixture(scope="module", autouse=True)
def program():
    """The program of model-signing on the search path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{INSTALLED}{os.pathsep}{os.environ['PATH']}")
        if shutil.which(PROGRAM) is None or shutil.which("openssl") is None:
            pytest.skip("model-signing or openssl is not installed; .ci/tools installs both")
        yield


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """key.pem and public.pem of one owner, other.pem is another's public key."""
    folder = tmp_path_factory.mktemp("keys")
    for private, public in (("key.pem", "public.pem"), ("theirs.pem", "other.pem")):
        make = f"openssl ecparam -name prime256v1 -genkey -noout -out {private} && "
        make += f"openssl ec -in {private} -pubout -out {public}"
        subprocess.run(["sh", "-c", make], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, make_bundle, keys) -> Path:
    from vskd.contract import Contract, GafSpec, WindowSpec

    contract = Contract(labels=("a", "b", "c"), window=WindowSpec(samples=32, hop_samples=16), gaf=GafSpec(size=16))
    folder: Path = make_bundle(tmp_path_factory.mktemp("signed") / "wrist.bundle", contract)
    sign(Bundle.open(folder), keys / "key.pem")
    return folder


@pytest.fixture
def copy(signed: Path, tmp_path: Path) -> Path:
    """Under another name, as it may be after a journey."""
    shutil.copytree(signed, tmp_path / "renamed.bundle")
    return tmp_path / "renamed.bundle"


def test_the_command_signs_checks_and_refuses(command, copy, keys):
    assert command("bundle", "sign", copy, "--key", keys / "key.pem").code == 0  # again
    done = command("verify", copy, "--key", keys / "public.pem")
    assert done.out.startswith(f"ok     signature by the owner of {keys / 'public.pem'}\n")
    assert "signed; --key PUBLIC.pem" in command("verify", copy).out
    assert "vskd verify --key PUBLIC.pem checks by whom" in command("inspect", copy).out
    refused = command("verify", copy, "--key", keys / "other.pem")
    assert refused.code == 1
    assert refused.out.startswith("FAILED signature")
    assert "integrity" not in refused.out


@pytest.mark.slow
@pytest.mark.parametrize("name", [MANIFEST, "contract.json", "model.fp32.onnx", "report.json", SIGNATURE])
def test_a_flipped_bit_in_any_file_is_refused(copy, keys, name):
    """Also where the manifest still fits: the signature covers the manifest and what it lists."""
    data = bytearray((copy / name).read_bytes())
    place = data.index(b'"') if name == MANIFEST else len(data) // 2
    opened = Bundle.open(copy)
    data[place] ^= 1
    (copy / name).write_bytes(data)
    assert "not the bundle" in signature_problem(opened, keys / "public.pem")


def test_a_manifest_made_anew_for_a_changed_file_is_refused(copy, keys):
    from runtime.hostile.test_bundles import rewrite

    rewrite(copy, "report.json", b'{"passed": false}\n')
    Bundle.open(copy).check()
    assert "report.json" in signature_problem(Bundle.open(copy), keys / "public.pem")


@pytest.mark.slow
def test_another_spelling_of_the_same_signature_is_refused(copy, keys):
    """Spare bits of base64 mean nothing to a decoder, and a bit that is flipped there is a flipped bit."""
    coded = ""
    while not coded.endswith("="):  # three signatures of four have a length that leaves spare bits
        sign(Bundle.open(copy), keys / "key.pem")
        content = json.loads((copy / SIGNATURE).read_text())
        envelope = content["dsseEnvelope"]
        coded = envelope["signatures"][0]["sig"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = coded.rstrip("=")
    envelope["signatures"][0]["sig"] = body[:-1] + alphabet[alphabet.index(body[-1]) + 1] + coded[len(body) :]
    (copy / SIGNATURE).write_text(json.dumps(content, separators=(",", ":")))
    assert "model.sig was changed" in signature_problem(Bundle.open(copy), keys / "public.pem")


def test_a_bundle_without_signature_and_a_key_that_is_none_are_refused(copy, keys, tmp_path):
    (copy / SIGNATURE).unlink()
    assert "is not signed" in signature_problem(Bundle.open(copy), keys / "public.pem")
    with pytest.raises(BundleError, match="there is no public key"):
        signature_problem(Bundle.open(copy), tmp_path / "none.pem")
    (tmp_path / "text.pem").write_text("no key")
    with pytest.raises(BundleError, match="cannot sign"):
        sign(Bundle.open(copy), tmp_path / "text.pem")
    assert not (copy / SIGNATURE).exists()


def test_a_program_that_does_not_end_is_named(signed, keys, monkeypatch):
    monkeypatch.setattr("vskd.transport.signature._TIMEOUT_S", 0.01)
    problem = signature_problem(Bundle.open(signed), keys / "public.pem")
    assert problem.endswith("that the owner of public.pem signed: model_signing did not end within 0.01 s")
