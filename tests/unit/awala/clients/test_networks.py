from ipaddress import ip_address

import pytest

from awala.clients.networks import NetworkRules, read_literal

REFUSED = {
    "unspecified": ["0.0.0.0", "0.255.255.255", "::"],  # noqa: S104 - connecting is what is asked about.
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fdff::1"],
    "shared": ["100.64.0.0", "100.127.255.255"],
    "loopback": ["127.0.0.1", "127.255.255.255", "::1"],
    "link-local": ["169.254.169.254", "fe80::1", "fe80::1%eth0"],
    "site-local": ["fec0::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "4000::1", "100::1"],
    "IETF": ["192.0.0.8", "192.88.99.1", "2001::1", "2001:1ff:ffff::1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarks": ["198.18.0.1", "198.19.255.255"],
    "mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1"],
    "compatible": ["::127.0.0.1"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1"],
    "6to4": ["2002:7f00:1::", "2002:a00:1::1"],
    "Teredo": ["2001:0:102:304::1"],
    "another interface": ["2606:4700::1%eth0"],
}
PERMITTED = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.0",
    "172.32.0.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450::1",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::1",
]


@pytest.mark.parametrize("address", [address for addresses in REFUSED.values() for address in addresses])
def test_refused(address: str) -> None:
    assert not NetworkRules().permit(ip_address(address))


@pytest.mark.parametrize("address", PERMITTED)
def test_permitted(address: str) -> None:
    assert NetworkRules().permit(ip_address(address))


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "fd00::1"])
def test_allowed_in_any_case(address: str) -> None:
    assert NetworkRules(["127.0.0.0/8", "fd00::/8"]).permit(ip_address(address))


@pytest.mark.parametrize("address", ["10.0.0.1", "fe80::1%eth0"])
def test_what_is_allowed_says_nothing_of_others(address: str) -> None:
    assert not NetworkRules(["127.0.0.0/8", "fe80::/10"]).permit(ip_address(address))


@pytest.mark.parametrize("host", ["localhost", "2130706433", "127.1", "0x7f.0.0.1", "0177.0.0.1", "", "[::1]"])
def test_name_is_no_address(host: str) -> None:
    assert read_literal(host) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_literal_address(host: str) -> None:
    assert str(read_literal(host)) == host
