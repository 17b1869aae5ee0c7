"""The page's files: complete, closed against the outside, and refused where a bundle cannot give them."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import struct
import zlib
from pathlib import Path, PurePosixPath

import pytest

from export.ports.page.node import EARLIER
from vskd.bundle import Bundle, write_bundle
from vskd.contract import WindowSpec
from vskd.errors import BundleError, ContractError
from vskd_export.ports.page.files import WORKER, page_files
from vskd_export.ports.page.model import model_of
from vskd_export.ports.page.server import _HEADERS
from vskd_export.ports.page.wasm import missing_tools


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return page_files(model_of(Bundle.open(EARLIER)))


def texts(files: dict[str, bytes]) -> dict[str, str]:
    return {
        name: content.decode() for name, content in files.items() if name.endswith((".html", ".css", ".js", ".svg"))
    }


def test_the_service_worker_keeps_every_file_and_names_none_that_is_not_there(files):
    """One address that is not there, and a browser keeps nothing at all."""
    head = files[WORKER].decode().splitlines()
    kept = json.loads(head[1].removeprefix("const FILES = ").removesuffix(";"))
    assert kept[0] == "./"
    assert set(kept[1:]) == set(files) - {"index.html", WORKER}


def test_every_name_in_the_page_is_a_file(files):
    html = files["index.html"].decode()
    named = {name for name in re.findall(r'(?:src|href)="([^"#]+)"', html) if name}
    assert named
    assert named <= set(files)
    for name, text in texts(files).items():
        for imported in re.findall(r'(?:from|import) "(\.[^"]+)"', text):
            found = PurePosixPath(name).parent / imported
            assert found.as_posix() in files, f"{name} imports {imported}"
    for fetched in ("model/page.json", "model/plan.json", "model/plan.bin", "worker.js", WORKER):
        assert fetched in files


def test_every_part_that_a_script_asks_for_is_in_the_page(files):
    ids = set(re.findall(r'id="([^"]+)"', files["index.html"].decode()))
    for name, text in texts(files).items():
        if name.endswith(".js"):
            asked = set(re.findall(r'(?:part|getElementById)\("([^"]+)"\)', text))
            assert asked <= ids, name


def test_nothing_comes_from_elsewhere_and_nothing_is_inline(files):
    for name, text in texts(files).items():
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text), name
        assert "innerHTML" not in text
        assert not re.search(r"\beval\(|new Function|document\.write|insertAdjacentHTML", text), name
    html = files["index.html"].decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html)
    policy = re.search(r'content="(default-src[^"]+)"', html)
    assert policy is not None
    assert f"{policy[1]}; frame-ancestors 'none'" == _HEADERS["Content-Security-Policy"]


def test_the_manifest_has_icons_that_a_browser_can_read(files):
    manifest = json.loads(files["manifest.webmanifest"])
    assert manifest["start_url"] == "./"
    assert manifest["display"] == "standalone"
    for one in manifest["icons"]:
        content = files[one["src"]]
        if one["type"] == "image/png":
            assert content.startswith(b"\x89PNG\r\n\x1a\n")
            side, height, depth, kind = struct.unpack(">IIBB", content[16:26])
            assert f"{side}x{height}" == one["sizes"]
            rows = zlib.decompress(content[content.index(b"IDAT") + 4 : content.index(b"IEND") - 8])
            assert (depth, kind, len(rows)) == (8, 2, side * (3 * side + 1))


@pytest.mark.skipif(bool(missing_tools()), reason=f"{' and '.join(missing_tools())} is not installed")
def test_a_compiled_page_holds_a_module_without_imports():
    model = model_of(Bundle.open(EARLIER), compiles=True)
    content = page_files(model)["model/network.wasm"]
    assert content.startswith(b"\0asm\1\0\0\0")
    sections, at = [], 8
    while at < len(content):
        kind, at, size, shift = content[at], at + 1, 0, 0
        while True:
            size, shift, at = size | (content[at] & 127) << shift, shift + 7, at + 1
            if content[at - 1] < 128:
                break
        sections.append(kind)
        at += size
    assert 2 not in sections  # imports
    assert model.page["wasm"]["bytes"] < 64 * 1024


def test_equal_bundles_give_equal_pages_and_another_one_another_version(files):
    again = page_files(model_of(Bundle.open(EARLIER)))
    assert again == files
    other = page_files(model_of(Bundle.open(EARLIER), served={"clips": True, "live": False}))
    assert other[WORKER].splitlines()[0] != files[WORKER].splitlines()[0]
    assert other[WORKER].splitlines()[1] == files[WORKER].splitlines()[1]


def test_a_bundle_without_an_int8_tflite_is_refused(tmp_path):
    bundle = Bundle.open(EARLIER)
    (entry,) = [one for one in bundle.models if one.file == "model.fp32.tflite"]
    content = bundle.read(entry.file)
    write_bundle(tmp_path / "b.bundle", contract=bundle.contract, models=[entry], files={entry.file: content})
    with pytest.raises(BundleError, match="has no int8 model for TensorFlow Lite"):
        model_of(Bundle.open(tmp_path / "b.bundle"))


def test_a_contract_on_whole_recordings_is_refused():
    bundle = Bundle.open(EARLIER)
    whole = dataclasses.replace(bundle.contract, window=WindowSpec(mode="whole", samples=128))
    from vskd_export.ports.page.model import core_rules

    with pytest.raises(ContractError, match="decides on whole recordings"):
        core_rules(whole)


def test_the_command_writes_a_folder_and_replaces_pages_alone(run_vskd, tmp_path):
    out = tmp_path / "site"
    done = run_vskd("page", EARLIER, "--out", out, "--no-wasm")
    assert done.returncode == 0, done.stderr
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == set(
        page_files(model_of(Bundle.open(EARLIER)))
    )
    again = run_vskd("page", EARLIER, "--out", out)
    assert (again.returncode, "exists" in again.stderr) == (1, True)
    assert run_vskd("page", EARLIER, "--out", out, "--overwrite").returncode == 0
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    refused = run_vskd("page", EARLIER, "--out", mine, "--overwrite")
    assert (refused.returncode, "is no page; it is not replaced" in refused.stderr) == (1, True)
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]


def test_a_changed_model_is_refused(run_vskd, tmp_path):
    copy = Path(shutil.copytree(EARLIER, tmp_path / "wrist.bundle"))
    model = copy / "model.w8a8-static-pc.tflite"
    content = bytearray(model.read_bytes())
    content[5000] ^= 1
    model.write_bytes(content)
    done = run_vskd("page", copy, "--out", tmp_path / "site")
    assert (done.returncode, "was changed" in done.stderr) == (1, True)
    assert not (tmp_path / "site").exists()
