"""The object store: parcels and cargoes as opaque octets under a key, on whatever back end STORAGES names.

Services call the functions here and nothing else. `store_object` and `store_objects` return only once the octets are
on stable storage.
"""

import errno
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, default_storage
from django.utils.deconstruct import deconstructible

from gateway.errors import ObjectMissingError, StorageUnavailableError
from gateway.private_files import make_private_folder, sync_folder

# No write takes this long, so what is older was left by a process that died.
STALE_TEMPORARY_FILE_SECONDS = 3_600.0
# What is left of a file system for the record beside the objects: acknowledging a parcel, which makes room, needs a
# little room itself. The smaller of a size and a share of the whole.
RESERVED_SIZE = 16 * 1024 * 1024
RESERVED_SHARE = 20
_TEMPORARY_FOLDER = "tmp"
_NOT_IN_NAMES = frozenset(("", ".", ".."))
_MAX_KNOWN_FOLDERS = 10_000


def store_object(key: str, octets: bytes) -> None:
    """Keep the octets under the key, in place of any that it held; raises `StorageUnavailableError`."""
    with _failures_of_the_store():
        name = default_storage.save(key, ContentFile(octets))
    if name != key:
        raise StorageUnavailableError("the object store gives objects other keys than asked for")


def store_objects(objects: Mapping[str, bytes]) -> None:
    """Keep many objects, by key, at less cost than one by one; raises `StorageUnavailableError`, and some may be kept.

    Whoever is told that it failed deletes them all.
    """
    if isinstance(default_storage, DurableFileSystemStorage):
        with _failures_of_the_store():
            default_storage.save_all(objects)
        return
    for key, octets in objects.items():
        store_object(key, octets)


def load_object(key: str) -> bytes:
    """The octets under the key; raises `ObjectMissingError` or `StorageUnavailableError`."""
    with _failures_of_the_store(), default_storage.open(key, "rb") as file:
        octets: bytes = file.read()
        return octets


def delete_object(key: str) -> None:
    """Make sure that the key holds nothing; raises `StorageUnavailableError`."""
    with _failures_of_the_store():
        default_storage.delete(key)


def prepare_object_store(*, has_objects: bool) -> None:
    """Make the store at the first start; raises `StorageUnavailableError`.

    With `has_objects`, the store that there must be is not made anew: an empty one in its place, as where a volume
    was not mounted, would make every object look lost.
    """
    if isinstance(default_storage, DurableFileSystemStorage):
        with _failures_of_the_store():
            default_storage.prepare(has_objects=has_objects)


def remove_stale_temporary_files() -> int:
    """Remove what writes cut short by a crash have left; returns their number."""
    if not isinstance(default_storage, DurableFileSystemStorage):
        return 0
    with _failures_of_the_store():
        return default_storage.remove_stale_temporary_files()


def list_folders(folder: str) -> list[str]:
    """The names of the folders in a folder, which need not exist; raises `StorageUnavailableError`."""
    try:
        with _failures_of_the_store():
            return default_storage.listdir(folder)[0]
    except ObjectMissingError:
        return []


def list_objects(folder: str) -> Iterator[str]:
    """The keys in a folder, which need not exist, in no order; raises `StorageUnavailableError`."""
    storage: Storage = default_storage
    with suppress(ObjectMissingError), _failures_of_the_store():
        files = (
            storage.iterate_files(folder)
            if isinstance(storage, DurableFileSystemStorage)
            else storage.listdir(folder)[1]
        )
        for name in files:
            yield f"{folder}/{name}"


def find_object_time(key: str) -> datetime:
    """When the key was last written; raises `ObjectMissingError` or `StorageUnavailableError`."""
    with _failures_of_the_store():
        return default_storage.get_modified_time(key)


@contextmanager
def _failures_of_the_store() -> Iterator[None]:
    try:
        yield
    except (SuspiciousFileOperation, StorageUnavailableError):
        raise
    except FileNotFoundError as exc:
        if isinstance(default_storage, DurableFileSystemStorage) and not default_storage.is_prepared:
            raise StorageUnavailableError("the folder of the object store is not there, or not the one it was") from exc
        raise ObjectMissingError("the object store holds nothing under this key") from exc
    except Exception as exc:  # Each back end has errors of its own library, which are not to be known here.
        raise StorageUnavailableError("the object store failed") from exc


@deconstructible
class DurableFileSystemStorage(Storage):
    """Files in a folder; a saved file is whole, durable and under exactly the name asked for.

    A write goes to a temporary file, which is flushed to stable storage and then renamed; the folder is flushed
    after it, and so is every folder that had to be made. A crash leaves the old content, the new, or none.

    The folder of temporary files is also the mark of a store that was prepared. Without it nothing is written, and
    nothing that is missing is taken for lost.
    """

    def __init__(self, location: str | os.PathLike[str]) -> None:
        self._root = Path(location).absolute()
        self._known_folders: set[str] = set()

    @property
    def is_prepared(self) -> bool:
        return (self._root / _TEMPORARY_FOLDER).is_dir()

    def prepare(self, *, has_objects: bool = False) -> None:
        """Make the folder durable, unless it has lost the objects that it must have."""
        if self.is_prepared:
            return
        if has_objects and not (self._root.is_dir() and any(self._root.iterdir())):
            raise StorageUnavailableError(f"{self._root} is empty, but parcels are on record: is its volume mounted?")
        self._ensure_folder(f"{self._root}/{_TEMPORARY_FOLDER}")

    def get_available_name(self, name: str, max_length: int | None = None) -> str:  # noqa: ARG002
        """Names are exact: a caller that saves twice under one name means to replace the first."""
        return name

    def path(self, name: str) -> str:
        parts = name.split("/")
        if not _NOT_IN_NAMES.isdisjoint(parts) or "\\" in name or "\0" in name:
            raise SuspiciousFileOperation("an object's name must be a plain relative path")
        if parts[0] == _TEMPORARY_FOLDER:
            raise SuspiciousFileOperation("an object's name must be outside the folder of temporary files")
        return f"{self._root}/{name}"

    def save_all(self, objects: Mapping[str, bytes]) -> None:
        """Save many files at once: as `save` does, but each folder is flushed once. Some may be there if it fails."""
        contents = {self.path(name): ContentFile(octets) for name, octets in objects.items()}
        self._write_durably(contents)

    def exists(self, name: str) -> bool:
        return os.path.lexists(self.path(name))

    def delete(self, name: str) -> None:
        Path(self.path(name)).unlink(missing_ok=True)

    def size(self, name: str) -> int:
        return Path(self.path(name)).stat().st_size

    def get_modified_time(self, name: str) -> datetime:
        return datetime.fromtimestamp(Path(self.path(name)).stat().st_mtime, tz=UTC)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        folders: list[str] = []
        files: list[str] = []
        with os.scandir(self.path(path)) as entries:
            for entry in entries:
                (folders if entry.is_dir() else files).append(entry.name)
        return folders, files

    def iterate_files(self, path: str) -> Iterator[str]:
        """The names of the files in a folder, however many, in no order."""
        with os.scandir(self.path(path)) as entries:
            for entry in entries:
                if entry.is_file():
                    yield entry.name

    def remove_stale_temporary_files(self, *, older_than_seconds: float = STALE_TEMPORARY_FILE_SECONDS) -> int:
        """Remove temporary files that no living writer can own; returns their number."""
        removed = 0
        limit = time.time() - older_than_seconds
        folder = self._root / _TEMPORARY_FOLDER
        for path in folder.iterdir() if folder.is_dir() else ():
            with suppress(FileNotFoundError):  # Its writer has just finished.
                if path.stat().st_mtime <= limit:
                    path.unlink()
                    removed += 1
        return removed

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":
        if mode != "rb":
            raise ValueError("stored objects are replaced whole, so they open for reading only")
        return File(Path(self.path(name)).open("rb"))

    def _save(self, name: str, content: "File[bytes]") -> str:
        self._write_durably({self.path(name): content})
        return name

    def _write_durably(self, contents: "Mapping[str, File[bytes]]") -> None:
        try:
            try:
                self._write(contents)
            except FileNotFoundError:
                # Somebody removed a folder that this process had made before.
                self._known_folders.clear()
                self._write(contents)
        except OSError as exc:
            raise StorageUnavailableError(f"a file could not be stored: {exc.strerror}") from exc

    def _write(self, contents: "Mapping[str, File[bytes]]") -> None:
        # Paths are text here, since every parcel comes by: a step of pathlib costs as much as a system call.
        temporaries: dict[str, str] = {}
        folders: dict[str, None] = {}
        try:
            self._write_temporaries(contents, temporaries)
            for target, temporary in temporaries.items():
                folder = target.rpartition("/")[0]
                if folder not in folders:
                    self._ensure_folder(folder)
                    folders[folder] = None
                os.replace(temporary, target)  # noqa: PTH105
        except BaseException:
            for temporary in temporaries.values():
                Path(temporary).unlink(missing_ok=True)
            raise
        for folder in folders:
            sync_folder(folder)

    def _write_temporaries(self, contents: "Mapping[str, File[bytes]]", temporaries: dict[str, str]) -> None:
        """Write and flush a file for each content, beside the objects so that renaming it is atomic.

        Their paths are entered by target as they are made.
        """
        folder = f"{self._root}/{_TEMPORARY_FOLDER}"
        _require_room(folder, sum(content.size for content in contents.values()))
        descriptors: list[int] = []
        try:
            for target, content in contents.items():
                temporaries[target] = path = f"{folder}/{uuid.uuid4().hex}"
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
                descriptors.append(descriptor)
                with os.fdopen(descriptor, "wb", closefd=False) as file:
                    file.writelines(content.chunks())
            if len(descriptors) > 1:
                _begin_writing(descriptors)
            for descriptor in descriptors:
                os.fsync(descriptor)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _ensure_folder(self, folder: str) -> None:
        """Make the folder and those above it durable, once in this object's life."""
        if folder in self._known_folders:
            return
        path = Path(folder)
        if path == self._root:
            make_private_folder(path)
        else:
            self._ensure_folder(str(path.parent))
            path.mkdir(mode=0o700, exist_ok=True)
        # Even if it was there: another process may have made it a moment ago and not flushed it yet.
        sync_folder(path.parent)
        if len(self._known_folders) >= _MAX_KNOWN_FOLDERS:
            self._known_folders.clear()
        self._known_folders.add(folder)


def _require_room(folder: str, size: int) -> None:
    """Raise the error of a full file system a little before it is full."""
    state = os.statvfs(folder)
    reserved = min(RESERVED_SIZE, state.f_blocks * state.f_frsize // RESERVED_SHARE)
    if state.f_bavail * state.f_frsize < size + reserved:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _begin_writing(descriptors: Sequence[int]) -> None:
    """Let the system write all these files at once, so that flushing them afterwards waits little more than once."""
    if not hasattr(os, "posix_fadvise"):
        return
    for descriptor in descriptors:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
