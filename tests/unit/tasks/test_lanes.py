import pytest

from tasks import lanes as module
from tasks.lanes import Lanes


def make_lanes(*answering: str, threads: int = 4, per_destination: int = 2) -> Lanes:
    """Lanes that know these destinations to answer."""
    lanes = Lanes(threads=threads, per_destination=per_destination)
    for destination in answering:
        lanes.announce(destination)
        assert lanes.take() == destination
        lanes.give_back(destination, has_more=False, answers=True)
    return lanes


def announce(lanes: Lanes, *destinations: str) -> None:
    for destination in destinations:
        lanes.announce(destination)


def test_nothing_to_do() -> None:
    assert make_lanes().take() is None


def test_destinations_come_in_order_and_once_however_often_they_are_announced() -> None:
    lanes = make_lanes()
    announce(lanes, "a", "b", "a")

    assert [lanes.take(), lanes.take(), lanes.take()] == ["a", "b", None]


def test_destination_with_more_to_do_goes_to_the_end() -> None:
    lanes = make_lanes("a", "b")
    announce(lanes, "a", "b")
    assert lanes.take() == "a"

    lanes.give_back("a", has_more=True, answers=True)

    assert [lanes.take(), lanes.take()] == ["b", "a"]


def test_threads_are_bounded_in_all() -> None:
    lanes = make_lanes("a", "b", "c", threads=2)
    announce(lanes, "a", "b", "c")

    assert [lanes.take(), lanes.take(), lanes.take()] == ["a", "b", None]
    lanes.give_back("a", has_more=False, answers=True)
    assert lanes.take() == "c"


def test_destination_that_answers_has_a_few_threads() -> None:
    lanes = make_lanes("a")
    for _ in range(2):
        announce(lanes, "a")
        assert lanes.take() == "a"
    announce(lanes, "a")

    assert lanes.take() is None


def test_destination_that_has_not_answered_yet_has_one_thread() -> None:
    lanes = make_lanes()
    announce(lanes, "a")
    assert lanes.take() == "a"
    announce(lanes, "a")

    assert lanes.take() is None


def test_destinations_that_do_not_answer_leave_half_of_the_threads_to_the_others() -> None:
    lanes = make_lanes("good", threads=4)
    announce(lanes, "a", "b", "c", "good")

    taken = [lanes.take(), lanes.take(), lanes.take(), lanes.take()]
    assert taken[3] is None
    assert set(taken[:3]) == {"a", "b", "good"}


def test_both_kinds_come_to_their_turn_with_a_single_thread() -> None:
    lanes = make_lanes("good", threads=1)
    announce(lanes, "good", "a", "b")
    taken = []
    for _ in range(4):
        destination = lanes.take()
        assert destination is not None
        taken.append(destination)
        lanes.give_back(destination, has_more=destination == "good", answers=destination == "good")

    assert taken == ["good", "a", "good", "b"]


def test_few_destinations_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    lanes = make_lanes()
    announce(lanes, "a", "b", "c")

    assert [lanes.take(), lanes.take(), lanes.take()] == ["a", "b", None]


def test_destination_that_no_longer_answers_loses_its_threads() -> None:
    lanes = make_lanes("a")
    announce(lanes, "a")
    lanes.take()
    lanes.give_back("a", has_more=True, answers=False)

    assert lanes.take() == "a"
    announce(lanes, "a")
    assert lanes.take() is None


def test_slice_in_which_nothing_showed_changes_nothing() -> None:
    lanes = make_lanes("a")
    announce(lanes, "a")
    lanes.take()
    lanes.give_back("a", has_more=True, answers=None)

    assert lanes.take() == "a"
    announce(lanes, "a")
    assert lanes.take() == "a"


def test_work_that_comes_while_all_threads_are_busy_is_taken_later() -> None:
    lanes = make_lanes(threads=1)
    announce(lanes, "a")
    lanes.take()
    announce(lanes, "a", "b")
    assert lanes.take() is None

    lanes.give_back("a", has_more=False, answers=True)

    assert lanes.take() in {"a", "b"}


def test_few_destinations_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KNOWN", 1)
    lanes = make_lanes("a", "b")
    announce(lanes, "a")
    assert lanes.take() == "a"
    announce(lanes, "a")

    assert lanes.take() is None
