"""Files and folders that only their owner can read, and that a crash does not take back."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from gateway.errors import UnsafeSettingError

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def sync_folder(folder: str | Path) -> None:
    """Return once the entries of the folder are on stable storage."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private_folder(folder: Path) -> None:
    """Make the folder, and those above it, where they are not there yet."""
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def prepare_private_folder(folder: Path, *, variable: str) -> None:
    """Make the folder if need be; refuse one in which any user of the machine could replace our files."""
    try:
        make_private_folder(folder)
        mode = folder.stat().st_mode
    except OSError as exc:
        raise UnsafeSettingError(f"{variable}: the folder {folder} cannot be used: {exc.strerror}") from exc
    if mode & stat.S_IWOTH:
        raise UnsafeSettingError(f"{variable}: every user may write to {folder}; run chmod o-w on it")


def read_or_create_secret(path: Path, *, octets: int, variable: str) -> bytes:
    """The secret in the file, as hexadecimal digits there; made at random where there is no file yet."""
    try:
        if not path.exists():
            _create(path, secrets.token_hex(octets))
        return _read(path, octets, variable)
    except OSError as exc:
        raise UnsafeSettingError(
            f"{variable}: it is not set, and the file {path} cannot be used instead: {exc.strerror}"
        ) from exc


def create_private_file(path: Path) -> None:
    """Make an empty file that only its owner can read, unless the file is there already."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _read(path: Path, octets: int, variable: str) -> bytes:
    if path.stat().st_mode & _OTHERS:
        raise UnsafeSettingError(f"{variable}: other users may use the file {path}; run chmod 600 on it")
    try:
        secret = bytes.fromhex(path.read_text("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != octets:
        raise UnsafeSettingError(f"{variable}: the file {path} must hold {octets} octets as hexadecimal digits")
    return secret


def _create(path: Path, text: str) -> None:
    """Write the file so that it is whole and on stable storage before anybody can see it.

    What a lost secret protects is lost with it, so a crash must not take it back. Of several processes that
    start at once the first one wins: linking, unlike renaming, never replaces the file of another.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
    sync_folder(path.parent)
