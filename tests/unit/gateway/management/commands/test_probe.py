import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from gateway.management.commands import probe as command
from gateway.probe.steps import Timeline
from gateway.probe.target import PongPlace, Target


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--cogrpc", "localhost:8082"), "Not an HTTP or HTTPS URL"),
        (("--pong", "localhost"), "Not an Internet address"),
        (("--pong-bind", "8083"), "must be host:port"),
        (("--pong-bind", "127.0.0.1"), "must be host:port"),
        (("--pong-bind", "127.0.0.1:0"), "must be host:port"),
        (("--pong-bind", "127.0.0.1:80000"), "must be host:port"),
        (("--pong-bind", "me@127.0.0.1:8083"), "must be host:port"),
        (("--pong-bind", "127.0.0.1:8083/pong"), "must be host:port"),
    ],
)
def test_impossible_options(options: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        call_command("probe", *options)


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[Target]:
    """What was probed, by a probe that does nothing."""
    targets: list[Target] = []

    def probe(target: Target, _: Timeline) -> None:
        targets.append(target)

    monkeypatch.setattr(command, "probe", probe)
    return targets


def test_probes_what_runs_here(probed: list[Target]) -> None:
    call_command("probe", "--json")

    [target] = probed
    assert target.cogrpc_url == f"http://{settings.COGRPC_BIND}"
    assert target.pong is None


@pytest.mark.parametrize(
    ("options", "host", "port"),
    [
        ((), "127.0.0.1", 8083),
        (("--pong-bind", "192.0.2.1:8443"), "192.0.2.1", 8443),
        (("--pong-bind", "[::]:80"), "::", 80),
    ],
)
def test_plays_a_pong_endpoint(probed: list[Target], options: tuple[str, ...], host: str, port: int) -> None:
    call_command("probe", "--json", "--pong", "pong.example.com", *options)

    assert probed[0].pong == PongPlace(internet_address="pong.example.com", host=host, port=port)
