"""Validation of certification paths (RS-002; RFC 5280, section 6), as strict as the stricter deployed library.

The theory: a path is leaf, issuer, issuer's issuer… up to a trusted certificate. Candidates for each next step
are the trusted certificates first and then the attached ones that bear the issuer's name. Since anybody may
attach anything, the search is bounded in depth and in signatures checked, and a link once verified can be
remembered by the caller in :class:`VerifiedLinks`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from threading import Lock

from awala.errors import InvalidMessageError, UnauthorizedSenderError
from awala.limits import MAX_PATH_CERTIFICATES, MAX_PATH_SIGNATURE_CHECKS
from awala.pki.certificate import Certificate


class VerifiedLinks:
    """Remembers which certificates were found to be signed by which keys: a bounded, thread-safe set.

    A signature holds for ever, so that only the size needs a bound: the oldest link goes first.
    """

    def __init__(self, capacity: int = 16_384) -> None:
        self._capacity = capacity
        self._digests: dict[bytes, None] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._digests)

    def __contains__(self, link: bytes) -> bool:
        return link in self._digests

    def add(self, link: bytes) -> None:
        """Remember a link, as :func:`digest_link` gives it, whose signature was verified."""
        with self._lock:
            while len(self._digests) >= self._capacity:
                del self._digests[next(iter(self._digests))]
            self._digests[link] = None


def digest_link(child: Certificate, issuer: Certificate) -> bytes:
    """Return what stands for "the key of ``issuer`` signed ``child``" (32 octets)."""
    # The child's length separates the two, so that no other pair gives the same input.
    return hashlib.sha256(len(child.der).to_bytes(4, "big") + child.der + issuer.spki_der).digest()


def build_path(
    leaf: Certificate,
    attached: Iterable[Certificate],
    trusted: Sequence[Certificate],
    *,
    now: datetime,
    links: VerifiedLinks | None = None,
) -> tuple[Certificate, ...]:
    """Return a valid path from ``leaf`` up to one of ``trusted``, both included.

    Every certificate must be valid at ``now`` (no tolerance), bear a key of its own signed by the next one's,
    and be allowed by its issuers' cA and pathLen. A trusted certificate is no path to itself.

    :raises UnauthorizedSenderError: if there is no such path
    """
    search = _Search(tuple(attached), tuple(trusted), now, links)
    if not search.is_usable(leaf):
        raise UnauthorizedSenderError("Sender certificate is not valid now")
    for path in search.extend((leaf,)):
        return path
    raise UnauthorizedSenderError("No valid certificate path found")


class _Search:
    """One depth-first search for a path."""

    def __init__(
        self,
        attached: tuple[Certificate, ...],
        trusted: tuple[Certificate, ...],
        now: datetime,
        links: VerifiedLinks | None,
    ) -> None:
        self._attached = attached
        self._trusted = trusted
        self._now = now
        self._links = links if links is not None else VerifiedLinks()
        self._checks_left = MAX_PATH_SIGNATURE_CHECKS

    def is_usable(self, certificate: Certificate) -> bool:
        # RFC 5280, 4.2: a critical extension that is not understood makes a certificate unusable.
        return certificate.is_valid_at(self._now) and not certificate.has_unknown_critical_extension

    def extend(self, path: tuple[Certificate, ...]) -> Iterator[tuple[Certificate, ...]]:
        """Yield the complete paths that start with ``path``; its depth is bounded."""
        for issuer in self._trusted:
            if self._may_issue(issuer, path):
                yield (*path, issuer)
        if len(path) + 1 >= MAX_PATH_CERTIFICATES:
            return
        for issuer in self._attached:
            if self._may_issue(issuer, path):
                yield from self.extend((*path, issuer))

    def _may_issue(self, issuer: Certificate, path: tuple[Certificate, ...]) -> bool:
        # A node stands once in a path. RFC 5280, 6.1.4: (k) the issuer is a CA, (m) with no more intermediate
        # certificates below it than its pathLen; 6.1.3: (a)(1) signature, (a)(2) validity, (a)(4) name.
        intermediates = len(path) - 1
        return (
            all(issuer.node_id != certificate.node_id for certificate in path)
            and issuer.is_ca
            and (issuer.path_length is None or intermediates <= issuer.path_length)
            and path[-1].is_issued_by_name(issuer)
            and self.is_usable(issuer)
            and self._is_signed_by(path[-1], issuer)
        )

    def _is_signed_by(self, child: Certificate, issuer: Certificate) -> bool:
        link = digest_link(child, issuer)
        if link in self._links:
            return True
        if self._checks_left == 0:
            raise UnauthorizedSenderError("Too many certificates look alike")
        self._checks_left -= 1
        try:
            child.verify_signature(issuer)
        except InvalidMessageError:
            return False
        self._links.add(link)
        return True
