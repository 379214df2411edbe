import pytest

from awala.internet_address import is_publishable_address, is_same_address

LONGEST_ADDRESS = "a." * 61 + "commu"


@pytest.mark.parametrize(
    "address",
    ["example.com", "a.b.example", "a-b.example", "1.example", f"{'a' * 63}.example", "a.xn--j6w193g", LONGEST_ADDRESS],
)
def test_publishable(address: str) -> None:
    assert is_publishable_address(address)


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("", id="empty"),
        pytest.param("localhost", id="one label"),
        pytest.param("Example.com", id="upper case"),
        pytest.param("example.com.", id="last dot"),
        pytest.param("exa_mple.com", id="underscore"),
        pytest.param("192.0.2.1", id="IPv4 address"),
        pytest.param("example.c", id="last label of one letter"),
        pytest.param(f"example.{'c' * 25}", id="last label of 25 letters"),
        pytest.param("-a.example", id="hyphen first"),
        pytest.param("a-.example", id="hyphen last"),
        pytest.param("a..example", id="empty label"),
        pytest.param(f"{'a' * 64}.example", id="label too long"),
        pytest.param("example.com\n", id="newline"),
        pytest.param("\u0661.example", id="digit that is not ASCII"),
        pytest.param("a" + LONGEST_ADDRESS, id="too long"),
    ],
)
def test_not_publishable(address: str) -> None:
    assert not is_publishable_address(address)


@pytest.mark.parametrize("other", ["example.com", "EXAMPLE.com", "example.com.", "Example.Com."])
def test_same_address(other: str) -> None:
    assert is_same_address("example.com", other)


@pytest.mark.parametrize("other", ["example.org", "a.example.com", "", "examplecom"])
def test_other_address(other: str) -> None:
    assert not is_same_address("example.com", other)
