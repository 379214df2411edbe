"""The domain name system in small: a zone signed by DNSSEC, its server, and a resolver that validates, over HTTPS.

Both servers are BIND. Its resolver speaks HTTP/2 alone, as few others do, so nghttpx stands in front of it and takes
HTTP/1.1 as well; TLS is left out, which clients accept from the loopback.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from awala.clients.connections import Deadline
from awala.clients.doh import DoHResolver
from awala.clients.errors import ResolutionError
from tests.functional.gateway_process import Ports

SIGNED_ZONE = "signed.test"
UNSIGNED_ZONE = "unsigned.test"

_START_SECONDS = 20
_STOP_SECONDS = 10
_LOG_TAIL = 2_000
_PROGRAMS = ("named", "dnssec-keygen", "dnssec-signzone", "nghttpx")
_ALGORITHM = "ECDSAP256SHA256"
# What each zone begins with.
_HEAD = """\
$TTL 60
@ IN SOA ns admin 1 3600 600 86400 60
@ IN NS ns
@ IN A 127.0.0.1
ns IN A 127.0.0.1
"""
_OPTIONS = """
    listen-on-v6 { none; }; pid-file none; session-keyfile none; allow-transfer { none; };
    empty-zones-enable no; max-cache-size 16M; directory "%(folder)s";
"""
_AUTHORITY = """
controls { };
options { %(options)s listen-on port %(authority)d { 127.0.0.1; }; recursion no; };
zone "signed.test" { type primary; file "signed.zone.signed"; };
zone "unsigned.test" { type primary; file "unsigned.zone"; };
zone "localhost" { type primary; file "localhost.zone"; };
"""
_RESOLVER = """
controls { };
http doh { endpoints { "/dns-query"; }; };
options {
    %(options)s listen-on port %(resolver)d tls none http doh { 127.0.0.1; };
    recursion yes; allow-recursion { 127.0.0.1; }; dnssec-validation yes;
    forward only; forwarders { 127.0.0.1 port %(authority)d; };
};
trust-anchors { "signed.test" static-key %(anchor)s; };
"""


class DNSServerMissingError(RuntimeError):
    """A program is not installed."""


class DNSServerStartError(RuntimeError):
    """The servers do not answer; the message has the ends of their logs."""


@dataclass(frozen=True, kw_only=True)
class ZoneFile:
    """`records` are lines of a zone file, with names relative to the zone's."""

    signed: Sequence[str]
    unsigned: Sequence[str]
    # Changed once the zone is signed, so that its signature does not hold any more.
    tampered: tuple[str, str]


@contextmanager
def run_dns(folder: Path, zones: ZoneFile) -> Iterator[str]:
    """Serve the zones on free ports of the loopback; the value is the URL of the resolver."""
    programs = {name: _find_program(name) for name in _PROGRAMS}
    ports = Ports.choose()
    authority, resolver, front = ports.poweb, ports.pohttp, ports.console
    values: dict[str, object] = {
        "authority": authority,
        "resolver": resolver,
        "anchor": _sign(folder, zones, programs),
        "options": _OPTIONS % {"folder": folder},
    }
    (folder / "authority.conf").write_text(_AUTHORITY % values)
    (folder / "resolver.conf").write_text(_RESOLVER % values)
    # AppArmor lets BIND, known by its path, read nothing but what Debian configures; a copy is nobody it knows.
    named = str(shutil.copy(programs["named"], folder / "named-copy"))
    url = f"http://127.0.0.1:{front}/dns-query"
    with ExitStack() as stack:
        for name in ("authority", "resolver"):
            stack.enter_context(_running(folder, name, [named, "-g", "-n", "1", "-c", f"{name}.conf"]))
        addresses = (f"--frontend=127.0.0.1,{front};no-tls", f"--backend=127.0.0.1,{resolver};;proto=h2")
        options = ("--conf=/dev/null", "--workers=1")
        stack.enter_context(_running(folder, "front", [programs["nghttpx"], *options, *addresses]))
        _wait_until_ready(folder, url)
        yield url


def _find_program(name: str) -> str:
    # Where Debian has servers, which is not on everybody's PATH.
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise DNSServerMissingError(f"there is no {name}")
    return found


def _sign(folder: Path, zones: ZoneFile, programs: dict[str, str]) -> str:
    """Write the zones, and return the key that a resolver has to trust, as BIND's configuration wants it."""
    (folder / "unsigned.zone").write_text(_HEAD + "\n".join(zones.unsigned) + "\n")
    (folder / "localhost.zone").write_text(_HEAD)
    (folder / "signed.zone").write_text(_HEAD + "\n".join(zones.signed) + "\n")
    for options in (["-f", "KSK"], []):
        _run([programs["dnssec-keygen"], "-q", "-a", _ALGORITHM, *options, SIGNED_ZONE], folder)
    _run([programs["dnssec-signzone"], "-q", "-S", "-o", SIGNED_ZONE, "signed.zone"], folder)
    signed = folder / "signed.zone.signed"
    original, changed = zones.tampered
    text = signed.read_text()
    assert text.count(original) == 1
    signed.write_text(text.replace(original, changed))
    key_records = [path.read_text().split("DNSKEY ")[1] for path in folder.glob("K*.key")]
    [key] = [record for record in key_records if record.startswith("257 ")]
    flags, protocol, algorithm, *octets = key.split()
    return f'{flags} {protocol} {algorithm} "{"".join(octets)}"'


def _run(command: Sequence[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=_START_SECONDS)


@contextmanager
def _running(folder: Path, name: str, command: Sequence[str]) -> Iterator[None]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(folder: Path, url: str) -> None:
    resolver = DoHResolver(url, timeout_seconds=1)
    give_up_at = time.monotonic() + _START_SECONDS
    try:
        while True:
            try:
                list(resolver.resolve_host(SIGNED_ZONE, Deadline(1)))
            except ResolutionError as error:
                if time.monotonic() > give_up_at:
                    logs = "\n".join(log.read_text(errors="replace")[-_LOG_TAIL:] for log in folder.glob("*.log"))
                    raise DNSServerStartError(logs) from error
                time.sleep(0.05)
            else:
                return
    finally:
        resolver.close()
