import random
from collections import Counter
from collections.abc import Callable

import pytest

from awala.addressing import PDC_SERVICE, ServiceRecord, order_targets, srv_name
from awala.errors import InvalidArgumentError


def record(target: str, *, priority: int = 0, weight: int = 0) -> ServiceRecord:
    return ServiceRecord(priority=priority, weight=weight, target=target, port=443)


def lowest(_most: int) -> int:
    return 0


def highest(most: int) -> int:
    return most


@pytest.mark.parametrize(
    ("service", "name"),
    [
        (PDC_SERVICE, "_awala-pdc._tcp.ping.example"),
        ("awala-gsc", "_awala-gsc._tcp.ping.example"),
        ("awala-crc", "_awala-crc._tcp.ping.example"),
    ],
)
def test_name_of_each_service(service: str, name: str) -> None:
    assert srv_name(service, "ping.example") == name


def test_name_without_last_dot() -> None:
    assert srv_name(PDC_SERVICE, "ping.example.") == "_awala-pdc._tcp.ping.example"


@pytest.mark.parametrize("draw", [lowest, highest])
def test_lowest_priority_first(draw: Callable[[int], int]) -> None:
    records = [record("c", priority=20, weight=9), record("a", priority=1), record("b", priority=10, weight=1)]

    assert [each.target for each in order_targets(records, draw)] == ["a", "b", "c"]


def test_nothing_of_no_records() -> None:
    assert order_targets([], lowest) == ()


def test_each_record_once_though_equal() -> None:
    records = [record("a", weight=1), record("a", weight=1), record("b")]

    assert sorted(each.target for each in order_targets(records, highest)) == ["a", "a", "b"]


def test_service_not_offered() -> None:
    assert order_targets([record(".")], lowest) == ()


def test_record_of_a_service_not_offered_beside_others() -> None:
    assert order_targets([record("."), record("a", priority=1)], lowest) == (record("a", priority=1),)


def test_weight_zero_is_chosen_when_zero_is_drawn() -> None:
    records = [record("heavy", weight=10), record("light", weight=0)]

    assert [each.target for each in order_targets(records, lowest)] == ["light", "heavy"]


def test_weight_zero_comes_last_otherwise() -> None:
    records = [record("light", weight=0), record("heavy", weight=10)]

    assert [each.target for each in order_targets(records, lambda most: min(most, 1))] == ["heavy", "light"]


@pytest.mark.parametrize(("drawn", "first"), [(0, "a"), (2, "a"), (3, "b"), (5, "b"), (6, "c"), (10, "c")])
def test_first_whose_running_sum_reaches_what_is_drawn(drawn: int, first: str) -> None:
    records = [record("a", weight=2), record("b", weight=3), record("c", weight=5)]

    assert order_targets(records, lambda most: min(most, drawn))[0].target == first


def test_sum_of_what_remains_is_drawn_from() -> None:
    asked: list[int] = []

    def draw(most: int) -> int:
        asked.append(most)
        return most

    order_targets([record("a", weight=2), record("b", weight=3), record("c", weight=7, priority=1)], draw)

    assert asked == [5, 2, 7]


def test_all_weights_zero_keep_their_order() -> None:
    records = [record("b"), record("a"), record("c")]

    assert order_targets(records, lowest) == tuple(records)


def test_first_choices_follow_the_weights() -> None:
    chance = random.Random(2782)
    records = [record("a", weight=60), record("b", weight=30), record("c", weight=10)]
    chosen = Counter(order_targets(records, lambda most: chance.randint(0, most))[0].target for _ in range(5000))

    assert {target: round(times / 500) for target, times in chosen.items()} == {"a": 6, "b": 3, "c": 1}


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"priority": -1}, id="negative priority"),
        pytest.param({"priority": 65536}, id="priority of 17 bits"),
        pytest.param({"weight": -1}, id="negative weight"),
        pytest.param({"weight": 65536}, id="weight of 17 bits"),
        pytest.param({"port": -1}, id="negative port"),
        pytest.param({"port": 65536}, id="port of 17 bits"),
        pytest.param({"target": ""}, id="no target"),
        pytest.param({"target": "a.example."}, id="last dot"),
    ],
)
def test_values_that_no_record_can_hold(values: dict[str, int | str]) -> None:
    valid: dict[str, int | str] = {"priority": 0, "weight": 0, "target": "a.example", "port": 443}

    with pytest.raises(InvalidArgumentError):
        ServiceRecord(**valid | values)  # type: ignore[arg-type]
