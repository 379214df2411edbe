"""CPU time to verify a parcel, against the JavaScript library, in the same run."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from awala.messages.parcel import Parcel
from awala.pki import keys
from awala.pki.certificate import Certificate
from awala.pki.path import VerifiedLinks
from benchmarks.figures import Figure
from benchmarks.samples import median, median_ratio, spread
from benchmarks.surroundings import Surroundings
from tests.functional.npm_clients import NpmClients, NpmProcessError, Signer

NAME = "verify"
_PAYLOAD_SIZE = 1024
_NAMES = ("cold", "warm", "one RSA verification")


def run(surroundings: Surroundings) -> list[Figure]:
    """A parcel made by the JavaScript library, its chain of 4 certificates: PDA, endpoint, private gateway, root."""
    try:
        npm = NpmClients.start()
    except NpmProcessError as error:
        print(f"LEFT OUT: verification against the JavaScript library ({error})")
        return []
    with npm:
        parcel, root = _make_parcel(npm)
        ours = _make_works(parcel, root)
        theirs: list[float] = []
        costs: dict[str, list[float]] = {name: [] for name in _NAMES}
        for _ in range(surroundings.choose(7, 3)):
            cost = npm.bench_verify(parcel, trusted=[root], iterations=surroundings.choose(120, 40))
            theirs.append(cost.cpu_microseconds / 1000)
            for name, work in ours.items():
                costs[name].append(_cpu_ms(work, surroundings.choose(1500, 300)))
    return _report(theirs, costs)


def _report(theirs: list[float], costs: dict[str, list[float]]) -> list[Figure]:
    cold, warm, signature = (costs[name] for name in _NAMES)
    details = {"javascript_ms": theirs, "cold_ms": cold, "warm_ms": warm, "one_signature_ms": signature}
    javascript = f"JavaScript {median(theirs):.2f} ms ({spread(theirs, 2)})"
    return [
        Figure(
            benchmark=NAME,
            name="JavaScript / ours, cold",
            value=median_ratio(theirs, cold),
            unit="times",
            floor=25,
            goal=40,
            more_is_better=True,
            notes=f"{javascript}; {len(theirs)} interleaved pairs",
            details=details,
        ),
        Figure(
            benchmark=NAME,
            name="CPU per parcel, cold",
            value=median(cold),
            unit="ms",
            floor=0.35,
            notes=f"{spread(cold, 3)}; every link of the chain is verified",
        ),
        Figure(
            benchmark=NAME,
            name="JavaScript / ours, warm",
            value=median_ratio(theirs, warm),
            unit="times",
            more_is_better=True,
        ),
        Figure(
            benchmark=NAME,
            name="CPU per parcel, warm",
            value=median(warm),
            unit="ms",
            notes=f"{spread(warm, 3)}; one RSA-2048 verification alone takes {median(signature):.3f} ms",
        ),
    ]


def _make_parcel(npm: NpmClients) -> tuple[bytes, bytes]:
    gateway, private_gateway, endpoint, sender = (npm.generate_identity() for _ in range(4))
    root = npm.issue_certificate("gateway", gateway, issuer=gateway)
    link = npm.issue_certificate("gateway", private_gateway, issuer=gateway, issuer_certificate_der=root)
    recipient = npm.issue_certificate("endpoint", endpoint, issuer=private_gateway, issuer_certificate_der=link)
    pda = npm.issue_certificate("delivery-authorization", sender, issuer=endpoint, issuer_certificate_der=recipient)
    signer = Signer(identity=sender, certificate_der=pda)
    parcel = npm.make_parcel(signer, endpoint.node_id, payload_size=_PAYLOAD_SIZE, chain=[recipient, link])
    return parcel.serialized, root


def _make_works(parcel_serialized: bytes, root_der: bytes) -> dict[str, Callable[[], object]]:
    trusted = (Certificate.parse(root_der),)
    remembered = VerifiedLinks()
    now = datetime.now(UTC)
    key = keys.generate_rsa_key()
    signature, public_key = keys.sign(key, parcel_serialized[:256]), key.public_key()

    def verify(links: VerifiedLinks) -> None:
        parcel = Parcel.deserialize(parcel_serialized)
        parcel.check_timing(now)
        path = parcel.authorized_path(trusted, now=now, links=links)
        assert len(path) == 4

    return {
        "cold": lambda: verify(VerifiedLinks()),
        "warm": lambda: verify(remembered),
        "one RSA verification": lambda: keys.verify(public_key, signature, parcel_serialized[:256]),
    }


def _cpu_ms(work: Callable[[], object], times: int) -> float:
    for _ in range(20):
        work()
    began_at = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began_at) * 1000 / times
