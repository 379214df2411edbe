import pytest

from awala.errors import InvalidMessageError
from gateway.services import sort_cargo_items
from gateway.services.sort_cargo_items import split_into_batches


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([], []),
        ([0], [[0]]),
        ([1, 1, 1], [[1, 1, 1]]),
        ([1, 1, 1, 1], [[1, 1, 1], [1]]),
        ([10], [[10]]),
        ([10, 1], [[10], [1]]),
        ([11, 11], [[11], [11]]),
        ([4, 6, 1], [[4, 6], [1]]),
        ([4, 7, 1], [[4], [7, 1]]),
        ([0, 0, 0, 0, 0, 0, 0], [[0, 0, 0], [0, 0, 0], [0]]),
    ],
)
def test_batches_are_bounded_in_number_and_size(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], batches: list[list[int]]
) -> None:
    monkeypatch.setattr(sort_cargo_items, "MAX_BATCH_ITEMS", 3)
    monkeypatch.setattr(sort_cargo_items, "MAX_BATCH_OCTETS", 10)

    split = split_into_batches([bytes(size) for size in sizes])

    assert [[len(item) for item in batch] for batch in split] == batches


def test_each_error_of_an_item_has_its_reason() -> None:
    assert set(sort_cargo_items.REASONS) == set(InvalidMessageError.__subclasses__())
