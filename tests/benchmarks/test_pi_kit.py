"""The kit for a Raspberry Pi: what is in it, what refuses to be made, and its script, run for real on this machine.

pip runs for real too, against a folder of wheels made here: no test needs a network. What only a board's processor can
show, tests/emulation shows.
"""

from __future__ import annotations

import dataclasses
import ensurepip
import functools
import hashlib
import platform
import re
import shutil
import struct
import subprocess
import sys
import sysconfig
import tarfile
import time
import venv
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from vskd.bundle import Bundle
from vskd.errors import BundleError, ConfigError, MissingExtraError
from vskd_benchmarks.commands.pi_kit import pi_kit as pi_kit_command
from vskd_benchmarks.pi_kit import wheels as wheels_module
from vskd_benchmarks.pi_kit.boards import BOARDS, Board, board_for
from vskd_benchmarks.pi_kit.kit import SCRIPT, contents, make_kit, sums
from vskd_benchmarks.pi_kit.wheels import KitError, check_tools, clone_of, fetch_wheels, missing, read_wheel

ROOT = Path(__file__).resolve().parents[2]
PI = BOARDS["aarch64"]
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
    entry_points: str = "",
) -> Path:
    """A wheel that pip installs, by the specification."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {text}\n" for text in requires)
    content = {
        **(files or {}),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
        **({f"{info}/entry_points.txt": entry_points} if entry_points else {}),
    }
    path = folder / f"{name.replace('-', '_')}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in content.items():
            archive.writestr(member, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{member},,\n" for member in [*content, f"{info}/RECORD"]))
    return path


def pinned() -> dict[str, str]:
    """Versions of constraints.txt, read by hand."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


# --- which board, which Python


@pytest.mark.parametrize("python", ["3.12", "3.13"])
def test_a_32_bit_board_has_one_python_and_says_why(python):
    with pytest.raises(
        ConfigError, match=rf"for Python 3\.11, not {re.escape(python)}: tflite-runtime.*--python 3\.11"
    ):
        board_for("armv7l", python)
    assert board_for("armv7l", "3.11").from_system == ("numpy",)


def test_tags_name_the_machine():
    assert "manylinux_2_28_aarch64" in board_for("aarch64", "3.13").tags
    assert all(tag.endswith("_armv7l") for tag in BOARDS["armv7l"].tags)


# --- are the wheels enough


@pytest.fixture
def three_wheels(tmp_path):
    """One that needs the second always, the third on ARM only, and what is Windows' never."""
    first = make_wheel(
        tmp_path, "first", "1.0", requires=[
            "second>=2", "third; platform_machine == 'aarch64'", "colorama; sys_platform == 'win32'",
            "numpy<2; python_version < '3.12'", "extra-thing; extra == 'more'",
        ],
    )  # fmt: skip
    others = [make_wheel(tmp_path, *each) for each in (("second", "2.1"), ("third", "1"), ("numpy", "1.26"))]
    return [read_wheel(path) for path in (first, *others)]


def test_wheels_that_suffice(three_wheels):
    assert list(missing(three_wheels, PI, "3.11")) == []


def test_a_condition_is_judged_for_the_board(three_wheels):
    without = [wheel for wheel in three_wheels if wheel.name not in ("third", "numpy")]
    assert list(missing(without, PI, "3.11")) == [
        'first needs third; platform_machine == "aarch64", and no such wheel is there',
        'first needs numpy<2; python_version < "3.12", and no such wheel is there',
    ]
    assert [text.split(";")[0] for text in missing(without, PI, "3.12")] == ["first needs third"]
    assert list(missing(without, BOARDS["armv7l"], "3.11")) == [], "numpy is the system's there"


def test_a_version_that_is_too_old(three_wheels):
    old = [dataclasses.replace(wheel, version="1.9") if wheel.name == "second" else wheel for wheel in three_wheels]
    assert list(missing(old, PI, "3.11")) == ["first needs second>=2, and 1.9 is there"]


# --- fetching, with pip


@pytest.fixture
def index(tmp_path, monkeypatch) -> Path:
    """A folder that is pip's only source: every wheel of an aarch64 kit, and the same for this machine as a trap."""
    folder = tmp_path / "index"
    folder.mkdir()
    versions = pinned()
    for name in PI.whole:
        tags = ["py3-none-any"] if name in ("click", "rich") else ["cp311-cp311-manylinux_2_28_aarch64"]
        tags += [f"cp311-cp311-manylinux_2_28_{platform.machine()}"] if name == "numpy" else []
        for tag in tags:
            make_wheel(folder, name, versions[name], tag, requires=["mdurl"] if name == "rich" else [])
    make_wheel(folder, "numpy", "99.0", "cp311-cp311-manylinux_2_28_aarch64")
    make_wheel(folder, "mdurl", "0.1")
    make_wheel(folder, "pip", versions["pip"])
    for name, value in {"FIND_LINKS": folder, "NO_INDEX": "1", "CONFIG_FILE": "/dev/null", "NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", str(value))
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    return folder


def test_the_wheels_are_the_boards_at_the_pinned_versions(index, tmp_path):
    folder = tmp_path / "wheels"
    folder.mkdir()
    found = {wheel.name: wheel for wheel in fetch_wheels(PI, "3.11", clone=ROOT, folder=folder)}
    assert set(found) == {"vskd", "pip", "mdurl", *PI.whole}
    versions = pinned()
    assert all(found[name].version == versions[name] for name in (*PI.whole, "pip"))
    assert found["numpy"].path.name.endswith("aarch64.whl")
    with zipfile.ZipFile(found["vskd"].path) as wheel:
        assert f"vskd_benchmarks/pi_kit/{SCRIPT}" in wheel.namelist()


def test_a_wheel_that_does_not_exist_is_named_and_nothing_is_written(index, bundle, tmp_path):
    out = tmp_path / "kit.tar.gz"
    with pytest.raises(KitError, match=r"\(Python 3\.13 on aarch64\): .*(numpy|ai-edge-litert|onnxruntime)"):
        make_kit(bundle.path, out, board=PI, python="3.13", clone=ROOT)
    assert not [path for path in tmp_path.iterdir() if "kit.tar" in path.name]


def test_no_network_is_named(bundle, tmp_path, monkeypatch):
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/simple", "CONFIG_FILE": "/dev/null", "FIND_LINKS": ""}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    out = tmp_path / "kit.tar.gz"
    with pytest.raises(KitError, match=r"\(Python 3\.11 on aarch64\).*no network"):
        make_kit(bundle.path, out, board=PI, python="3.11", clone=ROOT)
    assert not out.exists()


def test_wheels_that_do_not_suffice_are_no_kit(index, tmp_path):
    make_wheel(index, "mdurl", "0.2", requires=["only-on-arm; platform_machine == 'aarch64'"])
    folder = tmp_path / "wheels"
    folder.mkdir()
    sentence = r"mdurl needs only-on-arm.*no such wheel is there.*Run vskd pi-kit with Python 3\.11"
    if platform.machine() == "aarch64":
        sentence = "only-on-arm"
    with pytest.raises(KitError, match=sentence):
        fetch_wheels(PI, "3.11", clone=ROOT, folder=folder)


def test_the_clone_is_found_or_missed(tmp_path, monkeypatch):
    assert clone_of() == ROOT
    monkeypatch.setattr(wheels_module.vskd, "__file__", str(tmp_path / "site-packages" / "vskd" / "__init__.py"))
    with pytest.raises(KitError, match=r"does not run from a clone.*In a clone: pip install"):
        clone_of()


def test_a_tool_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setattr(wheels_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pi-kit needs pip.*vskd\[kit\]"):
        check_tools()


# --- packing


@pytest.fixture
def fetch() -> Callable[..., list]:
    """Two wheels, at once."""

    def two(board: Board, python: str, *, clone: Path, folder: Path) -> list:
        return [read_wheel(make_wheel(folder, name, "1.0")) for name in ("pip", "vskd")]

    return two


def packed(bundle: Bundle, out: Path, fetch: Callable[..., list], **options: object):
    return make_kit(bundle.path, out, board=PI, python="3.11", clone=ROOT, fetch=fetch, **options)


def test_a_kit_holds_wheels_bundle_script_and_the_hash_of_each(bundle, tmp_path, fetch):
    kit = packed(bundle, tmp_path / "pi.tar.gz", fetch)
    assert kit.sha256 == hashlib.sha256((tmp_path / "pi.tar.gz").read_bytes()).hexdigest()
    assert (kit.folder, kit.wheels) == ("pi", ("pip 1.0", "vskd 1.0"))
    subprocess.run(["tar", "xf", "pi.tar.gz"], cwd=tmp_path, check=True)
    checked = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "pi", capture_output=True, text=True, check=True
    )
    present = {path.relative_to(tmp_path / "pi").as_posix() for path in (tmp_path / "pi").rglob("*") if path.is_file()}
    assert {line.removesuffix(": OK") for line in checked.stdout.splitlines()} == present - {"SHA256SUMS"}
    assert Bundle.open(tmp_path / "pi" / "bundle" / "tiny.bundle").sha256() == bundle.sha256()
    assert (tmp_path / "pi" / "requirements.txt").read_text() == "vskd==1.0\n", "pip only installs the others"
    assert {"wheels/pip-1.0-py3-none-any.whl", "wheels/vskd-1.0-py3-none-any.whl", SCRIPT, "kit.conf"} < present


def test_two_kits_are_byte_identical(bundle, tmp_path, fetch):
    packed(bundle, tmp_path / "pi.tar.gz", fetch)
    first = (tmp_path / "pi.tar.gz").read_bytes()
    for path in bundle.path.rglob("*"):
        path.touch()
    (bundle.path / "contract.json").chmod(0o600)
    time.sleep(0.01)
    packed(bundle, tmp_path / "pi.tar.gz", fetch, overwrite=True)
    assert (tmp_path / "pi.tar.gz").read_bytes() == first
    with tarfile.open(tmp_path / "pi.tar.gz") as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(315_532_800, 0, 0, "")}


def test_what_is_there_stays_without_overwrite(bundle, tmp_path, fetch):
    out = tmp_path / "pi.tar.gz"
    out.write_text("mine")
    with pytest.raises(KitError, match=r"pi\.tar\.gz exists\. Give another name, or --overwrite"):
        packed(bundle, out, fetch)
    assert out.read_text() == "mine"
    packed(bundle, out, fetch, overwrite=True)
    assert tarfile.is_tarfile(out)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("kit.zip", r"a kit is a \.tar\.gz file, not .*kit\.zip"),
        (".tar.gz", r"a kit is a \.tar\.gz file"),
        ("nowhere/kit.tar.gz", "there is no folder .*nowhere"),
        ("folder.tar.gz", "is a folder"),
        ("/proc/kit.tar.gz", r"cannot write /proc/kit\.tar\.gz: No such file or directory"),  # not even by root
    ],
)
def test_a_place_that_cannot_hold_a_kit_is_refused_before_anything_is_fetched(bundle, tmp_path, out, message):
    (tmp_path / "folder.tar.gz").mkdir()
    with pytest.raises(KitError, match=message):
        packed(bundle, tmp_path / out, lambda *args, **options: pytest.fail("wheels were fetched"))


def test_a_bundle_that_is_none_or_was_changed(bundle, tmp_path, fetch):
    with pytest.raises(BundleError, match="there is no bundle at"):
        make_kit(tmp_path / "no", tmp_path / "a.tar.gz", board=PI, python="3.11", clone=ROOT, fetch=fetch)
    model = bundle.path / "model.fp32.onnx"
    model.write_bytes(model.read_bytes()[::-1])
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx"):
        packed(bundle, tmp_path / "a.tar.gz", fetch)


def test_a_failure_while_packing_leaves_what_was_there(bundle, tmp_path, fetch):
    out = tmp_path / "pi.tar.gz"
    packed(bundle, out, fetch)
    before = out.read_bytes()

    def lost(board: Board, python: str, *, clone: Path, folder: Path) -> list:
        found = fetch(board, python, clone=clone, folder=folder)
        found[1].path.unlink()
        return found

    with pytest.raises(KitError, match=r"cannot write \S*/pi\.tar\.gz: No such file or directory\. Nothing was left"):
        packed(bundle, out, lost, overwrite=True)
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if "tar" in path.name] == ["pi.tar.gz"]


@pytest.mark.parametrize("name", ["new\nline.bundle", "back\\slash.bundle"])
def test_a_name_that_no_list_of_hashes_can_hold(bundle, tmp_path, fetch, name):
    odd = bundle.path.rename(tmp_path / name)
    with pytest.raises(KitError, match="cannot hold a bundle named"):
        packed(Bundle.open(odd), tmp_path / "pi.tar.gz", fetch)


# --- the command


@pytest.fixture
def pi_kit(run_vskd):
    """``vskd pi-kit`` in a process of its own."""
    return functools.partial(run_vskd, "pi-kit")


def test_the_command_makes_a_kit_and_says_what_to_do_with_it(pi_kit, index, bundle, tmp_path):
    done = pi_kit(bundle.path, "--out", tmp_path / "pi.tar.gz")
    assert done.returncode == 0, done.stderr
    assert "fetching wheels for Python 3.11 on aarch64" in done.stderr
    made, holds, then = done.stdout.splitlines()
    assert made.startswith(f"{tmp_path / 'pi.tar.gz'}: ")
    assert f"numpy {pinned()['numpy']}" in holds
    assert then == "On the board: tar xf pi.tar.gz && sh pi/install-and-run.sh"


def test_every_option_of_the_command_reaches_the_kit(monkeypatch):
    asked = {}

    def stop(bundle, out, **options):
        asked.update(options, bundle=bundle, out=out)
        raise KitError("far enough")

    monkeypatch.setattr("vskd_benchmarks.pi_kit.kit.make_kit", stop)
    words = ["x.bundle", "--out", "pi.tar.gz", "--python", "3.13", "--overwrite"]
    done = CliRunner().invoke(pi_kit_command, words)
    assert isinstance(done.exception, KitError), done.output
    del asked["progress"]
    assert asked == {
        "bundle": Path("x.bundle"), "out": Path("pi.tar.gz"), "board": board_for("aarch64", "3.13"),
        "python": "3.13", "clone": ROOT, "overwrite": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "wanted"),
    [(["--python", "3.13"], "Python 3.13 on aarch64"), (["--machine", "armv7l"], "Python 3.11 on armv7l")],
)
def test_the_command_fetches_for_the_board_and_python_it_was_given(pi_kit, index, bundle, tmp_path, words, wanted):
    """The index holds wheels of neither."""
    done = pi_kit(bundle.path, "--out", tmp_path / "pi.tar.gz", *words)
    assert done.returncode == 1
    assert f"fetching wheels for {wanted}" in done.stderr
    assert f"pip failed ({wanted}): Cannot install" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere", "--out", "x.tar.gz"], 1, "error: there is no bundle at nowhere\n"),
        (["nowhere"], 2, "Missing option '--out'"),
        (["nowhere", "--out", "x.tar.gz", "--machine", "armv6l"], 2, "'armv6l' is not one of 'aarch64', 'armv7l'"),
        (
            ["nowhere", "--out", "x.tar.gz", "--machine", "armv7l", "--python", "3.13"],
            2,
            "is for Python 3.11, not 3.13",
        ),
    ],
)
def test_bad_input_is_one_sentence(pi_kit, words, code, message):
    done = pi_kit(*words)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


# --- the script, on this machine

STAND_IN = """
import sys
from pathlib import Path

def main():
    import numpy_like
    print("vskd", *sys.argv[1:])
    if sys.argv[1] == "bench":
        Path(sys.argv[4]).write_text("measured")
"""


def installer() -> Path:
    """The pip that this Python brings for new environments."""
    folder = sysconfig.get_config_var("WHEEL_PKG_DIR") or Path(ensurepip.__file__).parent / "_bundled"
    return next(Path(folder).glob("pip-*.whl"))


@pytest.fixture(scope="module")
def kit_of_this_machine(make_bundle, tmp_path_factory) -> Path:
    """An unpacked kit for this very machine, whose vskd says what it was called with."""
    folder = tmp_path_factory.mktemp("kit")
    bundle = Bundle.open(make_bundle(folder / "tiny bundle"))
    make_wheel(folder, "numpy-like", "1.0", files={"numpy_like.py": ""})
    make_wheel(
        folder, "vskd", "1.0", requires=["numpy-like"], files={"stand_in.py": STAND_IN},
        entry_points="[console_scripts]\nvskd = stand_in:main\n",
    )  # fmt: skip
    shutil.copy(installer(), folder)
    board = Board(platform.machine(), 8 * struct.calcsize("P"), (), (HERE,), ())
    found = [read_wheel(path) for path in sorted(folder.glob("*.whl"))]
    for name, content in contents(bundle, found, board=board, python=HERE).items():
        target = folder / "kit" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    return folder / "kit"


@pytest.fixture
def kit(kit_of_this_machine, tmp_path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(kit_of_this_machine, tmp_path / "a kit")


def install_and_run(
    kit: Path, *words: str, python: str | Path = sys.executable, **variables: str
) -> subprocess.CompletedProcess[str]:
    # Where nothing can be fetched from: a request to an index is an error.
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHON": str(python),
        "PIP_INDEX_URL": "http://127.0.0.1:9/",
        "PIP_NO_COMPILE": "1",
        **variables,
    }
    command = ["sh", str(kit / SCRIPT), *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)


def test_the_script_installs_offline_tests_and_measures(kit):
    (kit / "results" / "1").mkdir(parents=True)
    done = install_and_run(kit)
    assert done.returncode == 0, done.stderr
    selftest = "vskd selftest ./bundle/tiny bundle"
    assert done.stdout.splitlines() == [selftest, "vskd bench ./bundle/tiny bundle --out results/2"]
    assert (kit / "results" / "2").read_text() == "measured"

    again = install_and_run(kit, "--no-bench")
    assert (again.returncode, again.stdout) == (0, selftest + "\n")
    assert sorted(path.name for path in (kit / "results").iterdir()) == ["1", "2"]


def test_a_changed_file_is_named_before_anything_is_installed(kit):
    (kit / "requirements.txt").write_text("something-else==1\n")
    done = install_and_run(kit)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: this kit was changed or cut short: requirements.txt: FAILED" in done.stderr
    assert not (kit / "venv").exists()


@pytest.mark.parametrize(
    "name", ["wheels/evil-1.0-py3-none-any.whl", "bundle/tiny bundle/weights.bin", "wheels/a\x1b[2J\nb"]
)
@pytest.mark.parametrize("make", [lambda path: path.write_text("x"), lambda path: path.symlink_to("/etc/hostname")])
def test_a_file_that_no_hash_covers_stops_the_script(kit, name, make):
    make(kit / name)
    done = install_and_run(kit)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: this kit was changed: " in done.stderr
    assert "is not among its files" in done.stderr
    assert "\x1b" not in done.stderr
    assert not (kit / "venv").exists()


def test_a_setting_is_not_run_before_it_is_checked(kit, tmp_path):
    ran = tmp_path / "ran"
    (kit / "kit.conf").write_text(f"touch '{ran}'\n" + (kit / "kit.conf").read_text())
    done = install_and_run(kit)
    assert (done.returncode, done.stdout) == (1, "")
    assert "kit.conf: FAILED" in done.stderr
    assert not ran.exists()


@pytest.mark.parametrize("name", ["kit.conf", "requirements.txt"])
def test_a_setting_that_no_hash_covers_is_not_run(kit, tmp_path, name):
    ran = tmp_path / "ran"
    (kit / name).write_text(f"touch '{ran}'\n")
    lines = (kit / "SHA256SUMS").read_text().splitlines(keepends=True)
    (kit / "SHA256SUMS").write_text("".join(line for line in lines if not line.endswith(f"  {name}\n")))
    done = install_and_run(kit)
    assert done.returncode == 1
    assert f"error: this kit was changed: {name} is not among its files" in done.stderr
    assert not ran.exists()


def test_a_line_of_the_hashes_that_is_none_stops_the_script(kit):
    with (kit / "SHA256SUMS").open("a") as sums:
        sums.write("no hash\n")
    assert install_and_run(kit).returncode == 1


def test_the_script_goes_to_its_own_folder_and_no_other(kit, tmp_path, monkeypatch):
    """With CDPATH the shell looks there first: for a folder of the same name that someone else has made."""
    other = tmp_path / "elsewhere" / kit.name
    other.mkdir(parents=True)
    monkeypatch.chdir(kit.parent)
    done = install_and_run(Path(kit.name), CDPATH=str(other.parent))
    assert done.returncode == 0, done.stderr
    assert list(other.iterdir()) == []


def changed(kit: Path, old: str, new: str) -> None:
    """Change the kit's settings, with the hashes that go with them."""
    text = (kit / "kit.conf").read_text()
    assert old in text
    (kit / "kit.conf").write_text(text.replace(old, new))
    hash_again(kit)


def hash_again(kit: Path) -> None:
    names = [line[66:] for line in (kit / "SHA256SUMS").read_text().splitlines() if (kit / line[66:]).exists()]
    (kit / "SHA256SUMS").write_text(sums({name: kit / name for name in names}))


@pytest.mark.parametrize(
    ("old", "new"),
    [(f"KIT_PYTHON={HERE}", "KIT_PYTHON=3.9"), ("KIT_MACHINE=", "KIT_MACHINE=not-"), ("BITS=", "BITS=1")],
)
def test_another_machine_or_python_is_refused_by_name(kit, old, new):
    changed(kit, old, new)
    done = install_and_run(kit)
    assert (done.returncode, done.stdout) == (1, "")
    is_here = f"{HERE} on {platform.machine()}, {8 * struct.calcsize('P')} bit"
    assert done.stderr.startswith("error: this kit is for Python ")
    assert f"{sys.executable} is {is_here}" in done.stderr
    assert "vskd pi-kit BUNDLE --out KIT.tar.gz --machine" in done.stderr


def test_a_python_that_is_not_there(kit):
    done = install_and_run(kit, python="/no/such/python")
    assert done.returncode == 1
    assert "none of /no/such/python runs here" in done.stderr


def test_a_board_without_its_systems_numpy_is_told_how_to_get_it(kit, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    changed(kit, "KIT_SYSTEM_NUMPY=no", "KIT_SYSTEM_NUMPY=yes")
    done = install_and_run(kit, python=tmp_path / "bare" / "bin" / "python")
    assert done.returncode == 1
    assert "needs the system's numpy, 1.24 or later and below 2" in done.stderr
    assert "sudo apt install python3-numpy" in done.stderr


def test_a_wheel_that_is_missing_stops_the_script(kit):
    next((kit / "wheels").glob("numpy_like*")).unlink()
    hash_again(kit)
    done = install_and_run(kit)
    assert (done.returncode, done.stdout) == (1, "")
    assert "numpy-like" in done.stderr
    assert "error: the wheels could not be installed" in done.stderr


def test_a_wrong_word_is_misuse(kit):
    done = install_and_run(kit, "--fast")
    assert (done.returncode, done.stderr) == (2, "usage: sh install-and-run.sh [--no-bench], not --fast\n")
