import pytest

from awala.errors import InvalidArgumentError
from gateway.probe.target import PongPlace, Target

URL = "http://localhost"


def target(cogrpc_url: str) -> Target:
    return Target(poweb_url=URL, pohttp_url=URL, cogrpc_url=cogrpc_url)


@pytest.mark.parametrize("name", ["poweb_url", "pohttp_url", "cogrpc_url"])
@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://localhost"])
def test_reached_over_http(name: str, url: str) -> None:
    urls = {"poweb_url": URL, "pohttp_url": URL, "cogrpc_url": URL} | {name: url}

    with pytest.raises(InvalidArgumentError):
        Target(**urls)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://localhost:8082", "localhost:8082"),
        ("http://localhost", "localhost:80"),
        ("https://localhost/", "localhost:443"),
        ("http://[::1]:8082", "[::1]:8082"),
    ],
)
def test_address_for_grpc(url: str, address: str) -> None:
    assert target(url).cogrpc_address == address


@pytest.mark.parametrize("address", ["", "localhost", "127.0.0.1", "pong.example.com:80"])
def test_pong_has_an_internet_address(address: str) -> None:
    with pytest.raises(InvalidArgumentError):
        PongPlace(internet_address=address, host="127.0.0.1", port=8083)


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1:8083"), ("::1", "[::1]:8083")])
def test_pong_says_where_it_is(host: str, shown: str) -> None:
    place = PongPlace(internet_address="pong.example.com", host=host, port=8083)

    assert str(place) == f"pong.example.com, at {shown}"
