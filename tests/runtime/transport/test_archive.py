"""A packed bundle: the same bytes each time, any program reads it, and nothing but a whole bundle comes out."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from vskd.bundle import Bundle
from vskd.bundle_files import MANIFEST, SIGNATURE
from vskd.errors import BundleError
from vskd.transport.archive import pack, unpack


@pytest.fixture
def folder(tmp_path: Path, make_bundle, contract) -> Path:
    made: Path = make_bundle(tmp_path / "wrist.bundle", contract)
    return made


@pytest.fixture
def packed(folder: Path, tmp_path: Path) -> Path:
    pack(Bundle.open(folder), tmp_path / "wrist.zip")
    return tmp_path / "wrist.zip"


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_was_packed_comes_out_and_twice_gives_the_same_bytes(folder, packed, tmp_path):
    (folder / MANIFEST).touch()  # another date, another mode
    (folder / MANIFEST).chmod(0o600)
    pack(Bundle.open(folder), tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()
    assert content(unpack(packed, tmp_path / "other.bundle")) == content(folder)


def test_the_signature_travels(folder, tmp_path):
    (folder / SIGNATURE).write_text("{}")
    pack(Bundle.open(folder), tmp_path / "signed.zip")
    assert (unpack(tmp_path / "signed.zip", tmp_path / "signed.bundle") / SIGNATURE).read_text() == "{}"


def test_the_command_names_file_and_folder_by_itself(command, folder, tmp_path):
    assert command("bundle", "pack", folder).code == 0
    before = content(folder)
    shutil.rmtree(folder)
    assert command("bundle", "unpack", tmp_path / "wrist.bundle.zip").code == 0
    assert content(folder) == before
    again = command("bundle", "unpack", tmp_path / "wrist.bundle.zip")
    assert again.code == 1
    assert "wrist.bundle exists" in again.err


def test_python_reads_it(packed, folder):
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        assert {name.removeprefix("wrist.bundle/") for name in archive.namelist()} == set(content(folder))


def repacked(packed: Path, change) -> Path:
    """The same archive with other members: ``change`` gets name -> content."""
    with zipfile.ZipFile(packed) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    out = packed.with_name("changed.zip")
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in change(members):
            archive.writestr(name, data)
    return out


MODEL = "wrist.bundle/model.fp32.onnx"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: [*files.items(), ("wrist.bundle/more.txt", b"")], "'more.txt', which its manifest does not"),
        (lambda files: [*files.items(), ("wrist.bundle/../up.txt", b"")], "which its manifest does not list"),
        (lambda files: [*files.items(), ("/etc/passwd", b"")], "in 2 folders"),
        (lambda files: [*files.items(), ("other.bundle/x", b"")], "in 2 folders"),
        (lambda files: [(f"../{name}", data) for name, data in files.items()], r"names its folder '\.\.'"),
        (lambda files: [(name, data) for name, data in files.items() if name != MODEL], "holds no model.fp32.onnx"),
        (lambda files: [(name, data) for name, data in files.items() if MANIFEST not in name], "holds no manifest"),
        (lambda files: (files | {MODEL: files[MODEL][:-1] + b"x"}).items(), r"model\.fp32\.onnx was changed"),
        (lambda files: (files | {MODEL: bytes(10**7)}).items(), r"model\.fp32\.onnx was changed"),
        (lambda files: (files | {f"wrist.bundle/{MANIFEST}": b"{}"}).items(), "manifest.json was changed"),
        (lambda files: [], "holds 0 files"),
    ],
)  # fmt: skip
def test_what_is_no_whole_bundle_is_refused_and_leaves_nothing(packed, tmp_path, change, message):
    bad = repacked(packed, change)
    before = set(tmp_path.iterdir())
    with pytest.raises(BundleError, match=message):
        unpack(bad, tmp_path / "out.bundle")
    assert set(tmp_path.iterdir()) == before


def test_a_name_twice_is_refused(packed, tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        bad = repacked(packed, lambda files: [*files.items(), (MODEL, b"other")])
    with pytest.raises(BundleError, match="a packed bundle is one folder"):
        unpack(bad, tmp_path / "out.bundle")


@pytest.mark.parametrize("damage", [b"", b"no zip", b"cut"])
def test_a_file_that_is_no_zip_is_refused(packed, tmp_path, damage):
    data = packed.read_bytes()
    packed.write_bytes(data[: len(data) // 2] if damage == b"cut" else damage)
    with pytest.raises(BundleError, match="is no packed bundle"):
        unpack(packed, tmp_path / "out.bundle")


def test_every_flipped_byte_is_refused_or_changes_nothing(packed, folder, tmp_path):
    """Of a zip's own fields some mean nothing; what comes out is the bundle, or nothing."""
    data, right = packed.read_bytes(), content(folder)
    for place in range(0, len(data), 97):
        packed.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        out = tmp_path / "out.bundle"
        try:
            assert content(unpack(packed, out)) == right
        except BundleError:
            assert not out.exists()
        else:
            shutil.rmtree(out)


def test_a_changed_bundle_is_not_packed(folder, tmp_path):
    path = folder / "golden/notes.json"
    path.write_bytes(b"{}x")
    with pytest.raises(BundleError, match="was changed"):
        pack(Bundle.open(folder), tmp_path / "x.zip")
    path.write_bytes(b"[]\n")
    with pytest.raises(BundleError, match="was changed"):
        pack(Bundle.open(folder), tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()
