import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.errors import UnsafeSettingError
from gateway.private_files import create_private_file, prepare_private_folder, read_or_create_secret


def read(path: Path) -> bytes:
    return read_or_create_secret(path, octets=32, variable="KEY")


def test_processes_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    for attempt in range(20):
        path = tmp_path / str(attempt)
        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(read, [path] * 4))) == 1


def test_nothing_but_the_secret_is_left(tmp_path: Path) -> None:
    read(tmp_path / "key")

    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("content", ["", "00" * 31, "zz" * 32, "é"])
def test_damaged_secret_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(0o600)

    with pytest.raises(UnsafeSettingError, match=r"^KEY: .*32 octets"):
        read(path)


def test_secret_may_end_in_a_newline(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("ab" * 32 + "\n")
    path.chmod(0o600)

    assert read(path) == b"\xab" * 32


def test_secret_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UnsafeSettingError, match=r"^KEY: .*No such file"):
        read(tmp_path / "missing" / "key")


def test_folder_that_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)

    with pytest.raises(UnsafeSettingError, match=r"^DIR: .*chmod o-w"):
        prepare_private_folder(tmp_path, variable="DIR")


def test_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    prepare_private_folder(tmp_path / "a" / "b", variable="DIR")

    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_file_in_the_place_of_the_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UnsafeSettingError, match=r"^DIR: "):
        prepare_private_folder(tmp_path / "file", variable="DIR")


def test_private_file_is_left_alone_when_it_exists(tmp_path: Path) -> None:
    path = tmp_path / "file"
    create_private_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("content")

    create_private_file(path)

    assert path.read_text() == "content"
