"""``vskd watch``: a project that follows from the bundle alone, whose core gives Python's answers on a JVM.

Gradle, an emulator and a watch are not to be had here. The app is compiled against Android 6's classes
(``VSKD_ANDROID_JAR``; Debian 11's package ``libandroid-23-java`` holds them), and its newer calls are looked up in the
package ``chaquopy-stubs-android`` of Android 16.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner

from export.conftest import LABELS
from export.ports.profiles import broken, profile_of
from export.ports.watch.android_newer import MEMBERS, compile_app
from export.ports.watch.kotlin_jvm import HERE, compiled, standard_library
from vskd.bundle import Bundle
from vskd.contract import Contract
from vskd.errors import ContractError, VskdError
from vskd.wearer.profile import Profile
from vskd_export.ports.watch.asset import text
from vskd_export.ports.watch.command import watch
from vskd_export.ports.watch.kotlin import string
from vskd_export.ports.watch.project import MARK, TEMPLATE, Project, project_of, refuse_existing, write_project
from vskd_training.datasets.folder.reader import FolderSource

APP = TEMPLATE / "app/src/main/kotlin/vskd/app"


@pytest.fixture(scope="module")
def core(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's core, compiled with the harness ``ProjectCheck.kt``."""
    out = tmp_path_factory.mktemp("core")
    compiled([*sorted((project / MARK).parent.glob("*.kt")), HERE / "ProjectCheck.kt"], out)
    return out


def test_the_self_test_passes_and_a_recording_is_a_data_set(project: Path, core: Path, tmp_path: Path) -> None:
    told = on_jvm(core, project, "ProjectCheckKt", tmp_path / "recordings")
    passed, windows, events, labels = told[0].split()
    assert (passed, labels) == ("true", windows), told
    assert int(windows) > 20
    assert int(events) > 10
    source = FolderSource.open(tmp_path / "recordings", view="none")
    found = list(source.recordings())
    assert [one.info.label for one in found] == ['a, "quoted" label', "größer"]
    np.testing.assert_allclose(found[0].acceleration_g[:, 2], 9.81 / 9.80665, rtol=1e-6)
    assert not [one for one in source.defects() if one.left_out]


def test_a_profile_of_vskd_enroll_is_read_kept_and_written(
    project: Path, core: Path, bundle: Bundle, tmp_path: Path
) -> None:
    width = next(entry.embedding_size for entry in bundle.models if entry.recipe == "w8a8-static-pc")
    profile = profile_of(bundle, LABELS[0], width)
    profile.save(tmp_path / "wearer.profile")
    refused = broken(profile)
    for number, content in enumerate(refused.values()):
        (tmp_path / f"{number}.profile").write_bytes(content)
    told = on_jvm(core, project, "ProjectCheckKt", "profile", tmp_path / "wearer.profile", len(refused))
    assert told[0] == "equal bytes"
    for line, reason in zip(told[1:], refused, strict=False):
        assert line.startswith(f"this file holds no profile of this model: {reason}"), line
    assert told[len(refused) + 1 :] == [
        "4 examples", "the activity is what vskd calls an event without an activity",
        "this recording is an example already", f"it is nearer to an example of {LABELS[0]} than to those of größer",
    ]  # fmt: skip
    grown = Profile.open(tmp_path / "wearer.profile").check_for(bundle)
    assert grown.examples[:3] == profile.examples
    assert grown.examples[3].label == "größer"


def on_jvm(core: Path, project: Path, main: str, *arguments: object) -> list[str]:
    """Lines that a program with the core's classes prints."""
    places = [core, project / "core/src/main/resources", standard_library()]
    command = ["java", "-cp", os.pathsep.join(map(str, places)), main, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_app_compiles_against_android_6(project: Path, core: Path, tmp_path: Path) -> None:
    jar = os.environ.get("VSKD_ANDROID_JAR")
    if not jar:
        pytest.skip("no classes of Android 6: name the jar of Debian 11's libandroid-23-java in VSKD_ANDROID_JAR")
    compile_app(project, tmp_path, classpath=[core, jar])


def test_the_newer_calls_exist_in_android_16() -> None:
    try:
        files = importlib.metadata.files("chaquopy-stubs-android") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("no stubs of Android 16: pip install chaquopy-stubs-android")
    stubs = {path.parent.as_posix(): Path(str(path.locate())) for path in files if path.name == "__init__.pyi"}
    code = (APP / "Newer.kt").read_text(encoding="utf-8")
    for module, owner, member in MEMBERS:
        content = stubs[f"android-stubs/{module}"].read_text(encoding="utf-8")
        body = re.search(rf"^class {owner}\b.*?(?=^class |\Z)", content, re.MULTILINE | re.DOTALL)
        assert body, owner
        assert re.search(rf"\b{member}\b", body[0]), (owner, member)
        assert owner in code
        assert member == "__init__" or member in code


def test_no_other_file_names_what_android_6_lacks() -> None:
    names = {member for _, _, member in MEMBERS if member not in ("__init__", "startForeground")}
    for path in APP.glob("*.kt"):
        if path.name != "Newer.kt":
            assert not names & set(re.findall(r"\w+", path.read_text(encoding="utf-8"))), path.name


def test_the_manifest_names_what_is_there() -> None:
    name = "{http://schemas.android.com/apk/res/android}name"
    tree = ElementTree.parse(TEMPLATE / "app/src/main/AndroidManifest.xml").getroot()
    classes = {one.get(name) for kind in ("activity", "service") for one in tree.iter(kind)}
    assert classes == {
        f"vskd.app.{one}" for one in ("MainActivity", "ExamplesActivity", "SelfTestActivity", "WristService")
    }
    assert all((APP / f"{str(one).rpartition('.')[2]}.kt").is_file() for one in classes)
    permissions = {str(one.get(name)).rpartition(".")[2] for one in tree.iter("uses-permission")}
    assert permissions >= {"FOREGROUND_SERVICE", "FOREGROUND_SERVICE_HEALTH", "HIGH_SAMPLING_RATE_SENSORS", "WAKE_LOCK"}


def test_the_contracts_numbers_lie_in_the_generated_code(project: Path, bundle: Bundle) -> None:
    code = (project / MARK).read_text(encoding="utf-8")
    assert "override val smoothing = 0.25\n" in code
    assert "override val minLead = 0.1\n" in code
    assert f"override val rateHz = {bundle.contract.window.rate_hz}\n" in code
    template = {path.relative_to(TEMPLATE).as_posix() for path in TEMPLATE.rglob("*") if path.is_file()}
    written = {path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()}
    generated = {f"core/src/main/kotlin/vskd/{name}.kt" for name in ("Rules", "Wrist", "About")}
    generated |= {f"core/src/main/resources/vskd/{name}.bin" for name in ("network", "golden")}
    assert written == template - {"gitignore"} | {".gitignore", "app/src/litert/assets/model.tflite"} | generated
    assert "@BUNDLE@" not in (project / "README.md").read_text(encoding="utf-8")


# --- the command


def test_the_command_writes_once_and_replaces_on_demand(bundle: Bundle, tmp_path: Path) -> None:
    out = tmp_path / "watch"
    arguments = [str(bundle.path), "--out", str(out)]
    first = CliRunner().invoke(watch, arguments, catch_exceptions=False)
    assert first.exit_code == 0
    assert "with the network of model.w8a8-static-pc.tflite" in first.output
    assert "README.md" in first.output
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(VskdError, match=r"watch exists\. Give another name, or --overwrite"):
        CliRunner().invoke(watch, arguments, catch_exceptions=False)
    CliRunner().invoke(watch, [*arguments, "--overwrite"], catch_exceptions=False)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_what_is_no_project_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(VskdError, match="mine exists and is no project of vskd watch; it is not replaced"):
        refuse_existing(tmp_path / "mine", overwrite=True)
    (tmp_path / "file").touch()
    with pytest.raises(VskdError, match="file is a file, and a project of vskd watch is a folder"):
        refuse_existing(tmp_path / "file", overwrite=True)
    with pytest.raises(VskdError, match=r"cannot write .*Not a directory"):
        write_project(Project({}, ""), tmp_path / "file" / "inside", overwrite=False)


@pytest.mark.parametrize(
    ("section", "change", "examples", "message"),
    [
        ("window", {"mode": "whole"}, None, "decides on whole recordings, which a device's stream does not have"),
        ("examples", None, 3, "does not say how a wearer's examples count"),
    ],
)
def test_a_contract_that_no_core_can_hold_is_refused(
    bundle: Bundle, section: str, change: dict[str, str] | None, examples: int | None, message: str
) -> None:
    other = Bundle.open(bundle.path)
    mapping = json.loads(other.contract.to_json())
    mapping["examples"] = {"score": "means", "weights": [{"logits": 1.0, "examples": 1.0, "neutral": 0.0}]}
    mapping[section] = change and mapping[section] | change
    other.contract = Contract.from_mapping(mapping)
    with pytest.raises(ContractError, match=message):
        project_of(other, examples=examples)


# --- text


@pytest.mark.parametrize("given", ["plain", 'a "b" \\ $c ${d}', "größer", "\U0001f3c3 run", "\0"])
def test_text_reaches_kotlin_whole(given: str) -> None:
    assert string(given).isascii()
    assert "$" not in string(given)
    spelt = re.sub(r"\\u([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), string(given)[1:-1])
    assert spelt.encode("utf-16", "surrogatepass").decode("utf-16") == given
    length, content = text(given)[:2], text(given)[2:]
    assert int.from_bytes(length) == len(content)
    decoded = content.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
    assert decoded.encode("utf-16", "surrogatepass").decode("utf-16") == given
