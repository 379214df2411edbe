import pytest

from awala.errors import InvalidMessageError, MalformedMessageError
from gateway.errors import RecordUnavailableError
from gateway.services import sort_cargo_items
from gateway.services.sort_cargo_items import sort_items, split_into_batches
from tests.factories import NOW
from tests.unit.edges import message_errors


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([], []),
        ([8], [[8]]),
        ([8, 8, 8], [[8, 8, 8]]),
        ([8, 8, 8, 8], [[8, 8, 8], [8]]),
        ([100], [[100]]),
        ([100, 8], [[100], [8]]),
        ([110, 110], [[110], [110]]),
        ([40, 60, 8], [[40, 60], [8]]),
        ([40, 70, 8], [[40], [70, 8]]),
        ([8, 8, 8, 8, 8, 8, 8], [[8, 8, 8], [8, 8, 8], [8]]),
    ],
)
def test_batches_are_bounded_in_number_and_size(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], batches: list[list[int]]
) -> None:
    monkeypatch.setattr(sort_cargo_items, "MAX_BATCH_ITEMS", 3)
    monkeypatch.setattr(sort_cargo_items, "MAX_BATCH_OCTETS", 100)

    split = split_into_batches([b"Awala".ljust(size, b"\x50") for size in sizes])

    assert [[len(item) for item in batch] for batch in split] == batches


@pytest.mark.parametrize("item", [b"", b"Awala\x50\x00", b"no message"])
def test_items_that_cannot_be_messages_count_by_their_octets_alone(item: bytes) -> None:
    message = b"Awala\x50\x00\x30"

    split = list(split_into_batches([item] * 10_000 + [message] * 65))

    assert [len(batch) for batch in split] == [10_064, 1]


def test_each_error_of_an_item_has_its_reason() -> None:
    reasons = {error: sort_cargo_items.find_reason(error()) for error in message_errors()}

    assert [error for error, reason in reasons.items() if reason == "invalid"] == [InvalidMessageError]


def test_error_that_came_later_has_the_reason_of_its_parent() -> None:
    class NewError(MalformedMessageError):
        pass

    assert sort_cargo_items.find_reason(NewError()) == "malformed"


def test_error_that_nobody_has_foreseen_skips_one_item(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: object) -> None:
        raise RecursionError

    monkeypatch.setattr(sort_cargo_items, "admit_parcel_from_peer", fail)
    found = sort_items([b"Awala\x50\x00", b"Awala\x50\x00", b""], "peer", NOW)

    assert (found.number, found.skipped) == (3, {"unforeseen": 2, "empty": 1})
    assert caplog.text.count("'event': 'cargo_item_failed'") == caplog.text.count("Traceback") == 1


@pytest.mark.parametrize("error", [RecordUnavailableError("the database failed"), MemoryError()])
def test_failure_of_ours_is_no_items_fault(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_args: object) -> None:
        raise error

    monkeypatch.setattr(sort_cargo_items, "admit_parcel_from_peer", fail)
    with pytest.raises(type(error)):
        sort_items([b"Awala\x50\x00"], "peer", NOW)
