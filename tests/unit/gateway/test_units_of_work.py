import pytest

from gateway import units_of_work
from gateway.units_of_work import do_unit_of_work


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    steps: list[str] = []
    monkeypatch.setattr(units_of_work, "close_old_connections", lambda: steps.append("close"))
    return steps


def test_service_works_between_two_looks_at_the_connections(steps: list[str]) -> None:
    def service(left: str, *, right: str) -> str:
        steps.append("work")
        return left + right

    assert do_unit_of_work(service, "a", right="b") == "ab"
    assert steps == ["close", "work", "close"]


def test_connections_are_looked_at_even_if_the_service_fails(steps: list[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        do_unit_of_work(lambda: 1 // 0)

    assert steps == ["close", "close"]
