import os

import pytest

from benchmarks.apart import Apart, ApartError, Line


def test_work_is_done_in_another_process() -> None:
    with Apart(lambda line: line.say(os.getpid())) as apart:
        assert apart.line.hear() == apart.pid != os.getpid()


def test_work_waits_until_it_is_told() -> None:
    def double(line: Line) -> None:
        line.say(line.hear() * 2)

    with Apart(double) as apart:
        assert not apart.line.is_speaking
        apart.line.say(21)
        assert apart.line.hear() == 42


def test_failure_is_heard() -> None:
    def fail(_line: Line) -> None:
        raise RuntimeError("Nothing goes")

    with Apart(fail) as apart, pytest.raises(ApartError, match="Nothing goes"):
        apart.line.hear()


def test_silence_ends() -> None:
    with Apart(lambda line: line.hear()) as apart:
        with pytest.raises(ApartError, match="Nothing was heard"):
            apart.line.hear(timeout=0.05)
        apart.kill()


def test_end_without_a_word_is_a_failure() -> None:
    with Apart(lambda _: None) as apart, pytest.raises(ApartError, match="without a word"):
        apart.line.hear()
