from collections.abc import Iterable
from datetime import timedelta

import pytest

from awala.asn1 import ber, der
from awala.errors import UnauthorizedSenderError
from awala.limits import MAX_PATH_CERTIFICATES, MAX_PATH_SIGNATURE_CHECKS
from awala.pki.certificate import Certificate
from awala.pki.path import VerifiedLinks, build_path, digest_link
from tests.factories import NOT_AFTER, NOT_BEFORE, NOW, chain, gateway_certificate, id_of, rsa_key, spki_of
from tests.unit.awala.crafted import (
    NAME_CONSTRAINTS,
    certificate,
    extension,
    extensions,
    name,
)

SECOND = timedelta(seconds=1)
CHAIN = chain()
ROOT = CHAIN.gateway


def find_path(leaf: Certificate, attached: Iterable[Certificate] = (), root: Certificate = ROOT) -> list[str]:
    """Return the ids of the nodes in the path."""
    return [found.node_id for found in build_path(leaf, attached, (root,), now=NOW)]


def assert_refused(leaf: Certificate, attached: Iterable[Certificate] = (), root: Certificate = ROOT) -> None:
    with pytest.raises(UnauthorizedSenderError):
        build_path(leaf, attached, (root,), now=NOW)


@pytest.fixture(name="signature_checks")
def _signature_checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which each check of a signature adds the subject's id."""
    checked: list[str] = []
    verify = Certificate.verify_signature

    def verify_and_note(child: Certificate, issuer: Certificate) -> None:
        checked.append(child.node_id)
        verify(child, issuer)

    monkeypatch.setattr(Certificate, "verify_signature", verify_and_note)
    return checked


# ---------------------------------------------------------------- Paths that hold

FULL_PATH = [id_of("sender"), id_of("endpoint"), id_of("private gateway"), id_of("gateway")]


def test_path_from_leaf_to_root() -> None:
    found = build_path(CHAIN.authorization, CHAIN.attached, (ROOT,), now=NOW)
    assert found == (CHAIN.authorization, CHAIN.endpoint, CHAIN.private_gateway, ROOT)


def test_attached_in_any_order() -> None:
    assert find_path(CHAIN.authorization, reversed(CHAIN.attached)) == FULL_PATH


def test_root_attached() -> None:
    assert find_path(CHAIN.authorization, (ROOT, *CHAIN.attached)) == FULL_PATH


def test_unrelated_certificates_attached() -> None:
    assert find_path(CHAIN.authorization, (certificate("unrelated"), *CHAIN.attached)) == FULL_PATH


def test_expired_namesake_attached() -> None:
    expired = certificate("endpoint", "private gateway", not_after=NOW - SECOND)
    assert find_path(CHAIN.authorization, (expired, *CHAIN.attached)) == FULL_PATH


def test_directly_under_the_root() -> None:
    assert find_path(CHAIN.private_gateway) == [id_of("private gateway"), id_of("gateway")]


def test_older_root_with_the_same_key() -> None:
    newer = gateway_certificate(serial_number=2, not_before=NOW - timedelta(hours=3))
    assert find_path(CHAIN.authorization, CHAIN.attached, newer) == FULL_PATH


def test_several_roots() -> None:
    found = build_path(CHAIN.private_gateway, (), (gateway_certificate("other"), ROOT), now=NOW)
    assert found == (CHAIN.private_gateway, ROOT)


def test_name_in_another_string_type() -> None:
    leaf = certificate("leaf", "gateway", issuer_name=name(id_of("gateway"), encode_text="utf-8", tag=ber.UTF8_STRING))
    assert find_path(leaf) == [id_of("leaf"), id_of("gateway")]


def test_id_comes_from_the_key_when_the_name_lies() -> None:
    liar = certificate("liar", "gateway", subject_name=name(id_of("private gateway")))
    assert find_path(liar) == [id_of("liar"), id_of("gateway")]


def test_second_key_under_the_same_name() -> None:
    """Of two certificates with the issuer's name the one that signed is found, whichever comes first."""
    impostor = certificate("impostor", "gateway", subject_name=name(id_of("endpoint")))
    assert find_path(CHAIN.authorization, (impostor, *CHAIN.attached)) == FULL_PATH


@pytest.mark.parametrize("path_length", [None, 0, 5])
def test_path_length_of_direct_issuer(path_length: int | None) -> None:
    root = certificate("root", path_length=path_length)
    assert find_path(certificate("leaf", "root"), root=root) == [id_of("leaf"), id_of("root")]


def test_path_length_just_enough() -> None:
    attached = [certificate("middle", "root", path_length=0)]
    leaf = certificate("leaf", "middle")
    assert len(find_path(leaf, attached, certificate("root", path_length=1))) == 3


def test_longest_path() -> None:
    nodes = [f"node {n}" for n in range(MAX_PATH_CERTIFICATES)]
    leaf, *attached, root = [certificate(*pair) for pair in zip(nodes, [*nodes[1:], nodes[-1]], strict=True)]
    assert find_path(leaf, attached, root) == [id_of(node) for node in nodes]


# ---------------------------------------------------------------- Paths that do not


def test_no_trusted_certificate() -> None:
    with pytest.raises(UnauthorizedSenderError):
        build_path(CHAIN.authorization, CHAIN.attached, (), now=NOW)


def test_missing_intermediate() -> None:
    assert_refused(CHAIN.authorization, (CHAIN.private_gateway,))


def test_self_issued_sender() -> None:
    assert_refused(certificate("sender"), CHAIN.attached)


def test_trusted_certificate_is_no_path_to_itself() -> None:
    assert_refused(ROOT, (ROOT,))


def test_renewed_root_is_no_path_to_the_older() -> None:
    assert_refused(gateway_certificate(serial_number=2), (ROOT,))


def test_same_name_with_another_key() -> None:
    """The root is known by its key: a namesake that signs with another key is not it."""
    impostor = certificate("impostor", subject_name=name(id_of("gateway")), issuer_name=name(id_of("gateway")))
    leaf = certificate("leaf", "impostor", issuer_name=name(id_of("gateway")))
    assert_refused(leaf, (impostor,))


def test_signature_by_another_key() -> None:
    assert_refused(certificate("leaf", "gateway", signing_key=rsa_key("impostor")))


def test_issuer_with_short_key() -> None:
    issuer = certificate("short", "gateway", spki=spki_of("short", 1024))
    leaf = certificate("leaf", issuer_name=issuer.subject_der, signing_key=rsa_key("short", 1024))
    assert_refused(leaf, (issuer,), certificate("gateway"))


def test_issuer_without_certificate_authority() -> None:
    """A delivery authorisation authorises nobody else."""
    leaf = certificate("leaf", "sender")
    assert_refused(leaf, (CHAIN.authorization, *CHAIN.attached), certificate("gateway"))


def test_path_length_of_attached_certificate() -> None:
    """The deployed JavaScript library does not enforce pathLen: an endpoint could make endpoints."""
    second = certificate("second endpoint", "endpoint")
    leaf = certificate("leaf", "second endpoint")
    assert_refused(leaf, (second, CHAIN.endpoint, CHAIN.private_gateway), certificate("gateway"))


def test_path_length_of_root() -> None:
    attached = [certificate("middle", "root"), certificate("lower", "middle")]
    assert_refused(certificate("leaf", "lower"), attached, certificate("root", path_length=1))


def test_path_too_long() -> None:
    nodes = [f"node {n}" for n in range(MAX_PATH_CERTIFICATES + 1)]
    leaf, *attached, root = [certificate(*pair) for pair in zip(nodes, [*nodes[1:], nodes[-1]], strict=True)]
    assert_refused(leaf, attached, root)


@pytest.mark.parametrize(
    ("not_before", "not_after"),
    [(NOT_BEFORE, NOW - SECOND), (NOW + SECOND, NOT_AFTER)],
    ids=["expired", "not yet valid"],
)
@pytest.mark.parametrize("member", ["leaf", "middle", "root"])
def test_untimely_member(member: str, not_before: object, not_after: object) -> None:
    dates = {"not_before": not_before, "not_after": not_after}
    leaf = certificate("leaf", "middle", **(dates if member == "leaf" else {}))
    middle = certificate("middle", "root", **(dates if member == "middle" else {}))
    root = certificate("root", **(dates if member == "root" else {}))
    assert_refused(leaf, (middle,), root)


def test_validity_has_no_tolerance() -> None:
    leaf = certificate("leaf", "root", not_before=NOW, not_after=NOW)
    assert find_path(leaf, root=certificate("root", not_before=NOW, not_after=NOW))


@pytest.mark.parametrize("member", ["leaf", "middle", "root"])
def test_unknown_critical_extension(member: str) -> None:
    unknown = extensions(
        extension(bytes.fromhex("551d13"), bytes.fromhex("30030101ff")),
        extension(NAME_CONSTRAINTS, b"", critical=der.TRUE),
    )
    leaf = certificate("leaf", "middle", trailing=unknown if member == "leaf" else None)
    middle = certificate("middle", "root", trailing=unknown if member == "middle" else None)
    assert_refused(leaf, (middle,), certificate("root", trailing=unknown if member == "root" else None))


# ---------------------------------------------------------------- Work


def test_cross_signed_loop_ends() -> None:
    one, other = certificate("one", "other"), certificate("other", "one")
    assert_refused(certificate("leaf", "one"), (one, other))


def test_way_out_of_a_cross_signed_loop() -> None:
    attached = [certificate("one", "other"), certificate("other", "one"), certificate("other", "gateway")]
    path = [id_of(node) for node in ("leaf", "one", "other", "gateway")]
    assert find_path(certificate("leaf", "one"), attached, certificate("gateway")) == path


def test_look_alikes_buy_no_endless_work(signature_checks: list[str]) -> None:
    """Certificates that bear the issuer's name, none of which signed anything here."""
    look_alikes = [
        certificate("look-alike", "gateway", subject_name=name(id_of("endpoint")), serial_number=der.integer(n + 1))
        for n in range(MAX_PATH_SIGNATURE_CHECKS + 1)
    ]
    with pytest.raises(UnauthorizedSenderError, match="look alike"):
        build_path(CHAIN.authorization, look_alikes, (ROOT,), now=NOW)
    assert len(signature_checks) == MAX_PATH_SIGNATURE_CHECKS


def test_branching_look_alikes_buy_no_endless_work(signature_checks: list[str]) -> None:
    """Layers of certificates, each signed by every one of the next layer's: exponentially many paths."""
    layers = ["layer 0", "layer 1", "layer 2", "layer 3"]
    attached = [
        certificate(subject, issuer, serial_number=der.integer(serial))
        for subject, issuer in zip(layers, [*layers[1:], "nowhere"], strict=True)
        for serial in range(1, 5)
    ]
    assert_refused(certificate("leaf", "layer 0"), attached)
    assert len(signature_checks) <= len(attached)


def test_unrelated_certificates_cost_no_signature_check(signature_checks: list[str]) -> None:
    find_path(CHAIN.private_gateway, [certificate("unrelated", serial_number=der.integer(n)) for n in (1, 2, 3)])
    assert signature_checks == [id_of("private gateway")]


# ---------------------------------------------------------------- Verified links


def test_verified_links_are_not_checked_again(signature_checks: list[str]) -> None:
    links = VerifiedLinks()
    for _ in range(2):
        build_path(CHAIN.authorization, CHAIN.attached, (ROOT,), now=NOW, links=links)
    assert len(signature_checks) == 3


def test_verified_links_do_not_outlive_validity() -> None:
    links = VerifiedLinks()
    build_path(CHAIN.private_gateway, (), (ROOT,), now=NOW, links=links)
    with pytest.raises(UnauthorizedSenderError):
        build_path(CHAIN.private_gateway, (), (ROOT,), now=NOT_AFTER + SECOND, links=links)


def test_links_that_do_not_hold_are_not_remembered() -> None:
    links = VerifiedLinks()
    forged = certificate("leaf", "gateway", signing_key=rsa_key("impostor"))
    with pytest.raises(UnauthorizedSenderError):
        build_path(forged, (), (ROOT,), now=NOW, links=links)
    assert len(links) == 0


def test_link_is_of_a_certificate_and_a_key() -> None:
    links = VerifiedLinks()
    links.add(digest_link(CHAIN.private_gateway, ROOT))
    assert digest_link(CHAIN.private_gateway, gateway_certificate(serial_number=2)) in links
    assert digest_link(CHAIN.endpoint, ROOT) not in links
    assert digest_link(CHAIN.private_gateway, CHAIN.private_gateway) not in links


def test_oldest_link_goes_first() -> None:
    links = VerifiedLinks(capacity=2)
    for child in CHAIN.attached:
        links.add(digest_link(child, ROOT))
    assert len(links) == 2
    assert [digest_link(child, ROOT) in links for child in CHAIN.attached] == [False, True, True]
