"""Whole or not at all, at every step: each scenario is killed before its first step, its second, and so on to its end.

A process of its own runs the scenario and sends itself SIGKILL at the step asked for. A step is what Python's audit
hooks report (making, opening, locking, renaming, removing), so nothing in the product knows of these tests.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import vskd.writing
from vskd.errors import BundleError
from vskd.writing import (
    append_line,
    cut_half_line,
    disk_errors,
    keep_lines,
    move_folder,
    new_file,
    new_folder,
    recover,
    refuse_unwritable,
    remove_folder,
    write_file,
    write_folder,
)

OLD = {"manifest.json": b"old", "golden/a.npz": b"old golden", "old.txt": b"only in the old one"}
NEW = {"manifest.json": b"new", "golden/a.npz": b"new golden", "new.txt": b"only in the new one"}

_CHILD = """
import os, signal, sys
from pathlib import Path
import ctypes, shutil
import vskd.writing as writing

place, step = Path(sys.argv[1]), int(sys.argv[2])
OLD, NEW = {old!r}, {new!r}
done = 0


def hook(event, arguments):
    global done
    if event == "fcntl.flock" or (arguments and str(place.parent) in str(arguments[0]) and event != "compile"):
        if done == step:
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1


{prepare}
sys.addaudithook(hook)
{act}
"""

#: What stands in for a kernel or a file system without renameat2.
_NO_EXCHANGE = "writing._exchange = lambda one, other: False"


def killed_at(step: int, place: Path, act: str, prepare: str = "") -> bool:
    """Run a scenario that is killed at a step; False when it ended before it."""
    code = _CHILD.format(old=OLD, new=NEW, prepare=prepare, act=act)
    command = [sys.executable, "-S", "-c", code, str(place), str(step)]
    # Without site-packages (-S) the child starts at once; this vskd may be an installed wheel.
    environment = {**os.environ, "PYTHONPATH": str(Path(vskd.writing.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def each_kill(tmp_path: Path, start: Callable[[Path], None], act: str, prepare: str = "") -> Iterator[Path]:
    """The place after a kill at every step, each in a folder of its own that ``start`` has filled."""
    step, killed = 0, True
    while killed:
        place = tmp_path / f"step-{step}" / "place"
        place.parent.mkdir()
        start(place)
        killed = killed_at(step, place, act, prepare)
        yield place
        step += 1
    assert step >= 3, "the scenario has fewer steps than it can have"


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def leftovers(place: Path) -> list[str]:
    return [path.name for path in place.parent.iterdir() if path != place]


def nothing(place: Path) -> None:
    """Nothing is there."""


def old_folder(place: Path) -> None:
    write_folder(place, OLD)


# --- killed at every step


@pytest.mark.parametrize("start", [nothing, lambda place: place.write_bytes(b"old")])
def test_a_file_is_whole_after_a_kill_at_any_step(tmp_path, start):
    seen = set()
    for place in each_kill(tmp_path, start, "writing.write_file(place, b'new' * 100_000)"):
        seen.add(place.read_bytes() if place.exists() else None)
        write_file(place, b"later")
        assert (place.read_bytes(), leftovers(place)) == (b"later", [])
    assert seen == {None if start is nothing else b"old", b"new" * 100_000}


def test_a_folder_is_whole_after_a_kill_at_any_step(tmp_path):
    seen = []
    for place in each_kill(tmp_path, nothing, "writing.write_folder(place, NEW)"):
        if not place.exists():  # the next writer finds nothing of the dead half in its folder
            write_folder(place, OLD)
            assert content_of(place) == OLD
        else:
            seen.append(content_of(place))
        write_folder(place.parent / "other", OLD)
        assert leftovers(place) == ["other"]
    assert NEW in seen
    assert all(content == NEW for content in seen)


@pytest.mark.parametrize("prepare", ["", _NO_EXCHANGE], ids=["renameat2", "two renames"])
def test_an_old_folder_is_there_until_the_new_one_is_after_a_kill_at_any_step(tmp_path, prepare):
    seen = []
    for place in each_kill(tmp_path, old_folder, "writing.write_folder(place, NEW, replace=True)", prepare):
        recover(place)  # what every reader does first
        seen.append(content_of(place))
        write_folder(place.parent / "other", OLD)
        assert leftovers(place) == ["other"]
        assert content_of(place) == seen[-1]
    assert seen[0] == OLD
    assert seen[-1] == NEW
    assert all(content in (OLD, NEW) for content in seen)


def test_the_one_call_leaves_no_moment_without_a_folder(tmp_path):
    for place in each_kill(tmp_path, old_folder, "writing.write_folder(place, NEW, replace=True)"):
        assert content_of(place) in (OLD, NEW)


def test_without_the_call_the_next_writer_puts_the_old_folder_back(tmp_path):
    was_away = 0
    scenario = "writing.write_folder(place, NEW, replace=True)"
    for place in each_kill(tmp_path, old_folder, scenario, _NO_EXCHANGE):
        was_away += not place.exists()
        write_folder(place.parent / "other", OLD)
        assert content_of(place) in (OLD, NEW)
    assert was_away, "the moment between the two renames was not hit"


def test_a_removed_folder_is_whole_or_gone_after_a_kill_at_any_step(tmp_path):
    for place in each_kill(tmp_path, old_folder, "writing.remove_folder(place)"):
        assert not place.exists() or content_of(place) == OLD
        write_folder(place.parent / "other", OLD)
        assert set(leftovers(place)) <= {"other"}


def test_a_moved_folder_has_one_of_its_two_places_after_a_kill_at_any_step(tmp_path):
    for place in each_kill(tmp_path, old_folder, "writing.move_folder(place, place.parent / 'cells' / 'a' / 'place')"):
        moved = place.parent / "cells" / "a" / "place"
        assert [content_of(path) for path in (place, moved) if path.exists()] == [OLD]


def test_a_log_has_whole_lines_after_a_kill_at_any_step(tmp_path):
    lines = set()
    start = lambda place: place.write_bytes(b"one\ntwo\nthr")  # noqa: E731
    for place in each_kill(tmp_path, start, "writing.append_line(place, 'three')"):
        append_line(place, "four")
        lines.add(place.read_text())
    assert lines == {"one\ntwo\nfour\n", "one\ntwo\nthree\nfour\n"}


# --- living and dead


def test_what_a_living_writer_makes_is_not_removed(tmp_path):
    with new_folder(tmp_path / "one") as slow:
        (slow.path / "a").write_bytes(b"a")
        with new_file(tmp_path / "two") as stream:
            stream.write(b"half")
            write_folder(tmp_path / "one", OLD)
            write_file(tmp_path / "three", b"3")
            stream.write(b" and half")
        slow.publish(replace=True)
    assert content_of(tmp_path / "one") == {"a": b"a"}
    assert (tmp_path / "two").read_bytes() == b"half and half"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "three", "two"]


def test_what_a_living_process_makes_is_not_removed_and_a_killed_ones_is(tmp_path):
    code = (
        "import sys; from pathlib import Path; from vskd.writing import new_folder\n"
        "with new_folder(Path(sys.argv[1])) as draft:\n"
        "    (draft.path / 'half').write_bytes(b'')\n"
        "    print(draft.path.name, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "place")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        draft = tmp_path / child.stdout.readline().strip()
        write_folder(tmp_path / "place", NEW)
        assert (draft / "half").exists()
        child.kill()
    write_folder(tmp_path / "place", OLD, replace=True)
    assert content_of(tmp_path / "place") == OLD
    assert not draft.exists()


def test_a_removal_that_is_killed_half_way_is_not_put_back_later(tmp_path, monkeypatch):
    write_folder(tmp_path / "place", NEW)
    write_folder(tmp_path / ".place.vskd-old-0123456789abcdef", OLD)
    monkeypatch.setattr(vskd.writing, "_remove", lambda path: None)  # as a kill at its first step
    write_file(tmp_path / "other", b"")
    assert [name for name in leftovers(tmp_path / "place") if "vskd-old" in name] == []


def test_a_draft_that_was_removed_before_it_was_locked_is_made_anew(tmp_path, monkeypatch):
    flock, removed = vskd.writing.fcntl.flock, []

    def remove_first(descriptor: int, operation: int) -> None:
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].rmdir()
        flock(descriptor, operation)

    monkeypatch.setattr(vskd.writing.fcntl, "flock", remove_first)
    with new_folder(tmp_path / "place") as draft:
        assert draft.path.is_dir()
        assert draft.path not in removed


def test_only_hidden_names_of_this_module_are_removed(tmp_path):
    kept = [".place.partial-1", ".place.vskd-partial-12", "place.vskd-partial-0123456789abcdef", ".vskd-old-x"]
    for name in kept:
        (tmp_path / name).write_bytes(b"of somebody else")
    (tmp_path / ".place.vskd-partial-0123456789abcdef").write_bytes(b"of a dead writer")
    write_file(tmp_path / "place", b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "place"])


def test_without_locks_nothing_is_removed_and_everything_is_written(tmp_path, monkeypatch):
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(vskd.writing.fcntl, "flock", no_locks)
    monkeypatch.setattr(vskd.writing, "_exchange", lambda one, other: False)
    (tmp_path / ".place.vskd-partial-0123456789abcdef").mkdir()
    write_folder(tmp_path / "place", OLD)
    write_folder(tmp_path / "place", NEW, replace=True)
    append_line(tmp_path / "log", "one")
    assert content_of(tmp_path / "place") == NEW
    assert (tmp_path / ".place.vskd-partial-0123456789abcdef").exists()


@pytest.mark.parametrize("exchange", [True, False])
def test_writers_at_one_time_leave_one_whole_folder(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(vskd.writing, "_exchange", lambda one, other: False)
    place = tmp_path / "place"
    write_folder(place, OLD)
    contents = [{f"{name}.txt": str(name).encode(), "manifest.json": str(name).encode()} for name in range(8)]
    refused = []

    def write(content: dict[str, bytes]) -> None:
        try:
            write_folder(place, content, replace=True)
        except OSError as error:
            refused.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert content_of(place) in contents
    assert len(refused) < len(contents)
    assert not (exchange and refused)
    write_folder(tmp_path / "other", OLD)
    assert leftovers(place) == ["other"]


def test_a_folder_that_another_process_is_replacing_is_refused_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(vskd.writing, "_exchange", lambda one, other: False)
    write_folder(tmp_path / "place", OLD)
    lock = vskd.writing._lock(tmp_path / "place")
    try:
        with (
            pytest.raises(BundleError, match=r"cannot write .*place: another process is replacing it\. Wait"),
            disk_errors(tmp_path / "place", BundleError, hint="Wait for it"),
        ):
            write_folder(tmp_path / "place", NEW, replace=True)
    finally:
        os.close(lock)
    assert content_of(tmp_path / "place") == OLD
    assert leftovers(tmp_path / "place") == []


def test_a_folder_set_aside_by_a_living_writer_is_not_put_back(tmp_path):
    aside = tmp_path / ".place.vskd-old-0123456789abcdef"
    write_folder(aside, OLD)
    lock = vskd.writing._lock(aside)
    recover(tmp_path / "place")
    assert not (tmp_path / "place").exists()
    os.close(lock)
    recover(tmp_path / "place")
    assert content_of(tmp_path / "place") == OLD


def test_recovering_asks_for_no_folder_that_can_be_written_to(tmp_path):
    recover(tmp_path / "no folder" / "place")
    write_folder(tmp_path / "place", OLD)
    recover(tmp_path / "place")
    assert content_of(tmp_path / "place") == OLD


# --- the one call of the kernel


def test_the_kernel_exchanges_two_folders(tmp_path):
    write_folder(tmp_path / "one", OLD)
    write_folder(tmp_path / "other", NEW)
    if not vskd.writing._exchange(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this kernel or file system has no renameat2 with RENAME_EXCHANGE")
    assert (content_of(tmp_path / "one"), content_of(tmp_path / "other")) == (NEW, OLD)


@pytest.mark.parametrize("library", [object(), OSError("no C library")])
def test_a_c_library_without_the_call_is_answered_by_two_renames(tmp_path, monkeypatch, library):
    def load(name: str | None) -> object:
        if isinstance(library, OSError):
            raise library
        return library

    monkeypatch.setattr("ctypes.CDLL", load)
    write_folder(tmp_path / "place", OLD)
    write_folder(tmp_path / "place", NEW, replace=True)
    assert content_of(tmp_path / "place") == NEW
    assert leftovers(tmp_path / "place") == []


def test_a_name_with_odd_characters_is_exchanged(tmp_path):
    place = tmp_path / "Arm (left) é\n%s"
    write_folder(place, OLD)
    write_folder(place, NEW, replace=True)
    assert content_of(place) == NEW
    assert leftovers(place) == []


# --- errors of the disk


@contextmanager
def small_disk() -> Iterator[None]:
    """No file may have more than 1,000 bytes; a write beyond that fails in its middle, as on a full disk.

    No fixture: pytest writes a test's result, maybe to a file, before its fixtures end.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_keeps_what_was_there_and_is_one_sentence(tmp_path):
    write_file(tmp_path / "file", b"old")
    write_folder(tmp_path / "place", OLD)
    for write in (
        lambda: write_file(tmp_path / "file", bytes(2000)),
        lambda: write_folder(tmp_path / "place", {"a": b"a", "b": bytes(2000)}, replace=True),
    ):
        with (
            small_disk(),
            pytest.raises(BundleError, match=r"^cannot write x: File too large\. Make room$"),
            disk_errors(Path("x"), BundleError, hint="Make room"),
        ):
            write()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert content_of(tmp_path / "place") == OLD
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "place"]


def test_a_full_disk_takes_nothing_of_a_line(tmp_path):
    append_line(tmp_path / "log", "x" * 900)
    with small_disk(), pytest.raises(OSError, match="File too large"):
        append_line(tmp_path / "log", "y" * 200)
    assert (tmp_path / "log").read_text() == "x" * 900 + "\n"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_an_error_while_publishing_keeps_the_old_folder(tmp_path, monkeypatch, error, exchange, step):
    write_folder(tmp_path / "place", OLD)

    def failing(*arguments: object) -> None:
        raise error

    original = Path.rename
    if step == "fsync":
        monkeypatch.setattr(os, "fsync", failing)
    else:  # the new one never arrives; the old one may step aside and back
        refuse = lambda self, to: failing() if "vskd-partial" in self.name else original(self, to)  # noqa: E731
        monkeypatch.setattr(Path, "rename", refuse)
        exchange = False
    if not exchange:
        monkeypatch.setattr(vskd.writing, "_exchange", lambda one, other: False)
    with pytest.raises(type(error)):  # the very error of the disk
        write_folder(tmp_path / "place", NEW, replace=True)
    assert content_of(tmp_path / "place") == OLD
    assert leftovers(tmp_path / "place") == []


def test_a_folder_whose_place_is_taken_stays_out_of_it(tmp_path):
    write_folder(tmp_path / "place", OLD)
    with pytest.raises(OSError, match=r"not empty|exists"):
        write_folder(tmp_path / "place", NEW)
    assert content_of(tmp_path / "place") == OLD
    assert leftovers(tmp_path / "place") == []


def test_everything_is_written_through_to_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    synced: list[Path] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))  # noqa: PTH115
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    write_folder(tmp_path / "place", NEW)
    draft = synced[0].parent
    expected = {draft / name for name in (*NEW, "golden", ".")}
    assert set(synced[:-1]) == expected
    assert synced[-1] == tmp_path


# --- files and folders that replace others, links


def test_a_link_is_replaced_and_what_it_names_stays(tmp_path):
    write_folder(tmp_path / "target", OLD)
    (tmp_path / "place").symlink_to("target")
    write_folder(tmp_path / "place", NEW, replace=True)
    assert content_of(tmp_path / "place") == NEW
    assert content_of(tmp_path / "target") == OLD
    assert leftovers(tmp_path / "place") == ["target"]


def test_what_is_not_published_is_removed(tmp_path):
    with new_folder(tmp_path / "place") as draft:
        (draft.path / "a").write_bytes(b"a")
    assert list(tmp_path.iterdir()) == []


def test_files_and_folders_have_the_rights_that_the_user_gives_to_new_ones(tmp_path):
    before = os.umask(0o027)
    try:
        write_folder(tmp_path / "place", NEW)
        write_file(tmp_path / "file", b"")
    finally:
        os.umask(before)
    modes = [
        path.stat().st_mode & 0o777 for path in (tmp_path / "place", tmp_path / "place/new.txt", tmp_path / "file")
    ]
    assert modes == [0o750, 0o640, 0o640]


def test_a_moved_and_a_removed_folder(tmp_path):
    write_folder(tmp_path / "a", OLD)
    move_folder(tmp_path / "a", tmp_path / "b" / "c")
    assert content_of(tmp_path / "b" / "c") == OLD
    remove_folder(tmp_path / "b" / "c")
    assert list((tmp_path / "b").iterdir()) == []


# --- logs


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b"half", b""),
        (b"one\n", b"one\n"),
        (b"one\nhalf", b"one\n"),
        (b"one\n" + b"x" * 4095, b"one\n"),
        (b"one\n" + b"x" * 4096, b"one\n"),
        (b"x" * 4095 + b"\n" + b"y" * 4096, b"x" * 4095 + b"\n"),
        (b"x" * 10_000, b""),
    ],
)
def test_half_a_line_is_cut_before_the_next_one_is_written(tmp_path, before, after):
    log = tmp_path / "log"
    log.write_bytes(before)
    append_line(log, "next é")
    assert log.read_bytes() == after + "next é\n".encode()
    log.write_bytes(before)
    cut_half_line(log)
    assert log.read_bytes() == after


def test_lines_that_are_not_wanted_are_dropped_with_the_half_one(tmp_path):
    log = tmp_path / "log"
    log.write_bytes(b"1\n2\n\xff\n3\n2")
    keep_lines(log, lambda line: line.strip() in ("1", "2"))
    assert log.read_bytes() == b"1\n2\n"
    keep_lines(tmp_path / "none", lambda line: True)
    assert not (tmp_path / "none").exists()


def test_a_place_that_cannot_be_written_to_is_told_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "x", tmp_path / "file" / "deep" / "x", tmp_path / ("x" * 300)):
        with pytest.raises(BundleError, match=r"^cannot write .*Give another name, or make the folder writable$"):
            refuse_unwritable(place, BundleError)
    refuse_unwritable(tmp_path / "new" / "deep" / "x", BundleError)
    refuse_unwritable(tmp_path / "file", BundleError)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
