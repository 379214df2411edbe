import os
import resource
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import InMemoryStorage
from django.utils import timezone
from pytest_django import Settings

from gateway import storage as module
from gateway.errors import ObjectMissingError, StorageUnavailableError
from gateway.storage import (
    DurableFileSystemStorage,
    delete_object,
    find_object_time,
    list_folders,
    list_objects,
    load_object,
    prepare_object_store,
    remove_stale_temporary_files,
    store_object,
    store_objects,
)

KEY = "parcels/gateway-bound/0abc/1"


class BrokenStorage(InMemoryStorage):
    """A back end whose library raises errors of its own."""

    def _save(self, name: str, content: "File[bytes]") -> str:  # noqa: ARG002
        raise RuntimeError("throttled")

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":  # noqa: ARG002
        raise RuntimeError("throttled")

    def delete(self, name: str) -> None:  # noqa: ARG002
        raise RuntimeError("throttled")


def use_backend(settings: Settings, name: str) -> None:
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": name}}


@contextmanager
def file_size_limit(octets: int) -> Iterator[None]:
    """Let the kernel refuse larger files, as it does when a disk or quota is full.

    It concerns this whole process and so whatever the tests print: nothing but the call under test belongs inside.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 1, 65_536, 1_000_001])
def test_object_is_loaded_as_stored(size: int) -> None:
    octets = os.urandom(size)

    store_object(KEY, octets)

    assert load_object(KEY) == octets


def test_object_is_replaced_whole() -> None:
    store_object(KEY, b"longer first")

    store_object(KEY, b"second")

    assert load_object(KEY) == b"second"


def test_deleted_object_is_missing() -> None:
    store_object(KEY, b"octets")

    delete_object(KEY)

    with pytest.raises(ObjectMissingError):
        load_object(KEY)


def test_deleting_twice_is_fine() -> None:
    delete_object(KEY)
    delete_object(KEY)


def test_files_and_folders_are_for_their_owner(object_store: Path) -> None:
    store_object(KEY, b"octets")

    file = object_store / KEY
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for folder in (object_store, object_store / "tmp", *list(file.parents)[:3]):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_nothing_temporary_is_left(object_store: Path) -> None:
    store_object(KEY, b"octets")

    assert not list((object_store / "tmp").iterdir())


def test_everything_is_flushed_before_saving_returns(object_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_object("first", b"octets")
    steps = record_steps(monkeypatch)

    store_object("a/b/1", b"octets")

    names = [step if step == "rename" else os.path.relpath(step, object_store) for step in steps]
    assert names[0].startswith("tmp/")
    # The folders that hold the two new folders, and after the renaming the one that holds the file.
    assert names[1:] == [".", "a", "rename", "a/b"]


def test_known_folders_are_not_flushed_again(object_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store_object("a/b/1", b"octets")
    steps = record_steps(monkeypatch)

    store_object("a/b/2", b"octets")

    assert len(steps) == 3
    assert steps[1:] == ["rename", str(object_store / "a/b")]


def record_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    steps: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        steps.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real_fsync(descriptor)

    def replace(path: str, target: str) -> None:
        steps.append("rename")
        real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    return steps


def test_many_objects_are_flushed_with_each_folder_once(object_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = {f"{folder}/{number}": f"{folder} {number}".encode() for folder in "ab" for number in range(3)}
    store_objects(dict.fromkeys(objects, b"old"))
    steps = record_steps(monkeypatch)

    store_objects(objects)

    assert {key: load_object(key) for key in objects} == objects
    names = [step if step == "rename" else os.path.relpath(step, object_store) for step in steps]
    assert all(name.startswith("tmp/") for name in names[:6])
    assert names[6:] == ["rename"] * 6 + ["a", "b"]


def test_failure_between_many_objects_leaves_nothing_temporary(
    object_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_fsync, flushes_left = os.fsync, [True, True]

    def fsync(descriptor: int) -> None:
        if not flushes_left:
            raise OSError(28, "No space left on device")
        flushes_left.pop()
        real_fsync(descriptor)

    store_object("a/0", b"octets")
    monkeypatch.setattr(os, "fsync", fsync)

    with pytest.raises(StorageUnavailableError, match="No space left"):
        store_objects({f"a/{number}": b"octets" for number in range(1, 5)})

    assert [path.name for path in (object_store / "a").iterdir()] == ["0"]
    assert not list((object_store / "tmp").iterdir())


def test_no_objects_are_stored() -> None:
    store_objects({})


def test_many_objects_are_stored_on_other_back_ends(settings: Settings) -> None:
    use_backend(settings, "django.core.files.storage.InMemoryStorage")
    objects = {"a/1": b"one", "b/2": b"two"}

    store_objects(objects)

    assert {key: load_object(key) for key in objects} == objects


def test_full_disk_is_reported_and_leaves_nothing(object_store: Path) -> None:
    store_object(KEY, b"old")

    with pytest.raises(StorageUnavailableError) as failure, file_size_limit(10_000):
        store_object(KEY, bytes(10_001))

    assert isinstance(failure.value.__cause__, OSError)
    assert load_object(KEY) == b"old"
    assert not list((object_store / "tmp").iterdir())


def test_failing_flush_is_reported_and_leaves_nothing(object_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    store_object(KEY, b"old")
    monkeypatch.setattr(os, "fsync", fsync)

    with pytest.raises(StorageUnavailableError, match="Input/output error"):
        store_object(KEY, b"new")

    assert load_object(KEY) == b"old"
    assert not list((object_store / "tmp").iterdir())


def test_folder_that_cannot_be_made_is_reported(object_store: Path) -> None:
    store_object("parcels/1", b"octets")

    with pytest.raises(StorageUnavailableError):
        store_object("parcels/1/below-a-file", b"octets")

    assert not list((object_store / "tmp").iterdir())


def test_folder_removed_by_somebody_is_made_again(object_store: Path) -> None:
    store_object(KEY, b"octets")
    (object_store / KEY).unlink()
    (object_store / KEY).parent.rmdir()

    store_object(KEY, b"again")

    assert load_object(KEY) == b"again"


def test_store_that_is_not_there_takes_nothing_and_calls_nothing_lost(object_store: Path) -> None:
    """As where a volume is not mounted: an empty folder in its place, or none."""
    store_object(KEY, b"octets")
    elsewhere = object_store.rename(object_store.with_name("elsewhere"))
    for empty in (False, True):
        if empty:
            object_store.mkdir()
        with pytest.raises(StorageUnavailableError):
            load_object(KEY)
        with pytest.raises(StorageUnavailableError):
            store_object(KEY, b"again")
        with pytest.raises(StorageUnavailableError):
            prepare_object_store(has_objects=True)
    object_store.rmdir()
    elsewhere.rename(object_store)

    assert load_object(KEY) == b"octets"


def test_store_of_an_earlier_release_is_marked(object_store: Path) -> None:
    store_object(KEY, b"octets")
    (object_store / "tmp").rmdir()

    prepare_object_store(has_objects=True)

    assert load_object(KEY) == b"octets"


def test_room_is_left_for_the_record(object_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = os.statvfs(object_store)
    free = state.f_bavail * state.f_frsize
    monkeypatch.setattr(module, "RESERVED_SHARE", 1)

    store_object(KEY, b"octets")
    monkeypatch.setattr(module, "RESERVED_SIZE", free)
    with pytest.raises(StorageUnavailableError, match="No space left on device"):
        store_object(KEY, bytes(5_000_000))

    assert load_object(KEY) == b"octets"


def test_unreadable_object_is_reported(object_store: Path) -> None:
    (object_store / KEY).mkdir(parents=True)

    with pytest.raises(StorageUnavailableError):
        load_object(KEY)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../out", "a/../../out", "a//b", "./a", "a/", "a\\b", "a\0b", "tmp/a", "tmp"]
)
def test_names_stay_inside(name: str) -> None:
    for function in (load_object, delete_object):
        with pytest.raises(SuspiciousFileOperation):
            function(name)
    with pytest.raises(SuspiciousFileOperation):
        store_object(name, b"octets")


def test_threads_may_store_at_once() -> None:
    keys = [f"parcels/{number % 5}/{number}" for number in range(100)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store_object(key, key.encode()), keys))

    assert all(load_object(key) == key.encode() for key in keys)


def test_readers_see_old_or_new_but_never_parts() -> None:
    versions = [bytes([number]) * 200_000 for number in range(4)]
    store_object(KEY, versions[0])

    def write() -> None:
        for version in versions * 5:
            store_object(KEY, version)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not writing.done():
            assert load_object(KEY) in versions


def test_known_folders_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.storage._MAX_KNOWN_FOLDERS", 5)
    storage = DurableFileSystemStorage(tmp_path)
    storage.prepare()

    for number in range(20):
        storage.save(f"{number}/1", ContentFile(b"octets"))

    assert len(storage._known_folders) <= 5  # noqa: SLF001


def test_file_without_chunks_can_be_saved(tmp_path: Path) -> None:
    storage = DurableFileSystemStorage(tmp_path)
    storage.prepare()

    assert storage.save("a", BytesIO(b"octets")) == "a"
    assert storage.exists("a")
    assert not storage.exists("b")
    assert storage.size("a") == 6
    assert storage.get_modified_time("a").tzinfo is not None


def test_folders_are_listed(tmp_path: Path) -> None:
    storage = DurableFileSystemStorage(tmp_path)
    storage.prepare()
    storage.save("a/1", ContentFile(b"octets"))
    storage.save("a/b/2", ContentFile(b"octets"))

    assert storage.listdir("a") == (["b"], ["1"])


def test_objects_open_for_reading_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="reading only"):
        DurableFileSystemStorage(tmp_path).open("a", "wb")


def test_stale_temporary_files_are_removed(object_store: Path) -> None:
    store_object(KEY, b"octets")
    stale, fresh = object_store / "tmp" / "stale", object_store / "tmp" / "fresh"
    stale.touch()
    fresh.touch()
    os.utime(stale, (0, 0))

    assert remove_stale_temporary_files() == 1

    assert not stale.exists()
    assert fresh.exists()
    assert load_object(KEY) == b"octets"


def test_empty_store_has_no_stale_files() -> None:
    assert remove_stale_temporary_files() == 0


def test_other_back_ends_have_no_stale_files(settings: Settings) -> None:
    use_backend(settings, "django.core.files.storage.InMemoryStorage")

    assert remove_stale_temporary_files() == 0


@pytest.mark.parametrize("call", [lambda: store_object(KEY, b""), lambda: load_object(KEY), lambda: delete_object(KEY)])
def test_errors_of_other_back_ends_are_translated(call: Any, settings: Settings) -> None:
    use_backend(settings, f"{__name__}.BrokenStorage")

    with pytest.raises(StorageUnavailableError) as failure:
        call()

    assert isinstance(failure.value.__cause__, RuntimeError)


def test_objects_work_on_other_back_ends(settings: Settings) -> None:
    use_backend(settings, "django.core.files.storage.InMemoryStorage")
    store_object(KEY, b"octets")

    assert load_object(KEY) == b"octets"
    delete_object(KEY)
    with pytest.raises(ObjectMissingError):
        load_object(KEY)


def test_back_end_that_renames_is_refused(settings: Settings) -> None:
    use_backend(settings, "django.core.files.storage.InMemoryStorage")
    store_object(KEY, b"first")

    with pytest.raises(StorageUnavailableError, match="other keys"):
        store_object(KEY, b"second")


@pytest.mark.parametrize(
    "backend", ["gateway.storage.DurableFileSystemStorage", "django.core.files.storage.InMemoryStorage"]
)
def test_objects_and_folders_are_listed(settings: Settings, tmp_path: Path, backend: str) -> None:
    options = {"location": tmp_path / "listed"}
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": backend, "OPTIONS": options}}
    prepare_object_store(has_objects=False)
    for key in ("parcels/a/1", "parcels/a/2", "parcels/b/3", "parcels/4"):
        store_object(key, b"octets")

    assert sorted(list_folders("parcels")) == ["a", "b"]
    assert sorted(list_objects("parcels/a")) == ["parcels/a/1", "parcels/a/2"]
    assert list(list_objects("parcels")) == ["parcels/4"]
    assert (list_folders("elsewhere"), list(list_objects("elsewhere"))) == ([], [])


def test_objects_may_be_deleted_while_they_are_listed() -> None:
    for number in range(100):
        store_object(f"parcels/{number}", b"octets")

    for key in list_objects("parcels"):
        delete_object(key)

    assert not list(list_objects("parcels"))


def test_objects_are_dated() -> None:
    before = timezone.now() - timedelta(seconds=1)
    store_object(KEY, b"octets")

    assert before <= find_object_time(KEY) <= timezone.now()


def test_absent_object_has_no_date() -> None:
    with pytest.raises(ObjectMissingError):
        find_object_time(KEY)


def test_store_that_cannot_be_listed_is_told(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    options = {"location": tmp_path / "file"}
    settings.STORAGES = settings.STORAGES | {"default": {**settings.STORAGES["default"], "OPTIONS": options}}

    with pytest.raises(StorageUnavailableError):
        list_folders("parcels")
    with pytest.raises(StorageUnavailableError):
        list(list_objects("parcels"))
