import threading

import pytest

from gateway.shared_call import SharedCall

SECONDS = 10


def test_result_and_arguments_are_handed_on() -> None:
    call = SharedCall(lambda a, *, b: (a, b))
    assert call.start(1, b=2).result(SECONDS) == (1, 2)


def test_errors_are_handed_on() -> None:
    def fail() -> None:
        raise LookupError("nowhere")

    with pytest.raises(LookupError, match="nowhere"):
        SharedCall(fail).start().result(SECONDS)


def test_one_call_runs_at_a_time() -> None:
    may_end = threading.Event()
    calls: list[int] = []

    def work(number: int) -> int:
        calls.append(number)
        may_end.wait(SECONDS)
        return number

    call = SharedCall(work)
    first, second = call.start(1), call.start(2)
    may_end.set()
    assert (first.result(SECONDS), second.result(SECONDS)) == (1, 1)
    assert call.start(3).result(SECONDS) == 3
    assert calls == [1, 3]
