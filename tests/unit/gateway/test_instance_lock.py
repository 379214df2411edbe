from pathlib import Path

import pytest

from gateway.instance_lock import AlreadyRunningError, InstanceLock


def test_second_instance_is_refused(tmp_path: Path) -> None:
    with InstanceLock(tmp_path), pytest.raises(AlreadyRunningError, match=str(tmp_path)), InstanceLock(tmp_path):
        pass


def test_lock_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with InstanceLock(tmp_path):
            pass


def test_folders_are_independent(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()

    with InstanceLock(tmp_path), InstanceLock(tmp_path / "other"):
        pass
