import pytest

from awala.clients.errors import CollectionClosedError


@pytest.mark.parametrize(
    ("code", "is_retryable"),
    [(1001, True), (1006, True), (1011, True), (4000, True), (1003, False), (1008, False), (1009, False)],
)
def test_closed_collections_worth_another_try(code: int, is_retryable: bool) -> None:  # noqa: FBT001
    assert CollectionClosedError(code=code, reason="").retryable is is_retryable


def test_message_of_a_closed_collection() -> None:
    error = CollectionClosedError(code=4000, reason="Server is stopping")
    assert str(error) == "Collection was closed with code 4000: Server is stopping"
