import resource

import pytest

from gateway.servers.limits import raise_open_files_limit

INFINITY = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (1024, 4096, [(4096, 4096)]),
        (1024, 1_000_000, [(65_536, 1_000_000)]),
        (1024, INFINITY, [(65_536, INFINITY)]),
        (65_536, 1_000_000, []),
        (100_000, 1_000_000, []),
        (INFINITY, INFINITY, []),
    ],
)
def test_open_files_are_raised_as_far_as_allowed(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, expected: list[tuple[int, int]]
) -> None:
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: calls.append(limits))

    raise_open_files_limit()

    assert calls == expected
