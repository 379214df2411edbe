"""`bin/demo` and `manage.py probe`, as operators run them."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.gateway_process import PROJECT, GatewayProcess
from tests.functional.tls_proxy import TLSProxy

pytestmark = pytest.mark.functional

ALL_PASSED = "All 24 steps passed"
SECONDS = 100


@pytest.fixture
def dead_url() -> Iterator[str]:
    """Where nobody answers, for as long as the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def probe(
    poweb_url: str, pohttp_url: str, *options: str, data_dir: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "manage.py", "probe", "--poweb", poweb_url, "--pohttp", pohttp_url, *options)
    return run(*command, GATEWAY_DATA_DIR=str(data_dir), **environment)


class TestDemo:
    def test_starts_a_gateway_where_none_answers(self, dead_url: str, tmp_path: Path) -> None:
        finished = run("bin/demo", POWEB_BIND=dead_url.removeprefix("http://"), TMPDIR=str(tmp_path))

        assert finished.returncode == 0, finished.stderr
        assert ALL_PASSED in finished.stdout
        assert "starting one" in finished.stderr
        assert not list(tmp_path.iterdir()), "its temporary data stays behind"

    def test_uses_the_gateway_that_answers(self, gateway: GatewayProcess, tmp_path: Path) -> None:
        finished = run(
            "bin/demo",
            POWEB_BIND=f"127.0.0.1:{gateway.ports.poweb}",
            POHTTP_BIND=f"127.0.0.1:{gateway.ports.pohttp}",
            GATEWAY_DATA_DIR=str(tmp_path),
        )

        assert finished.returncode == 0, finished.stderr
        assert ALL_PASSED in finished.stdout
        assert gateway.poweb_url in finished.stdout
        assert "using the gateway that runs here" in finished.stderr


class TestProbe:
    def test_json_document(self, gateway: GatewayProcess, tmp_path: Path) -> None:
        finished = probe(gateway.poweb_url, gateway.pohttp_url, "--json", data_dir=tmp_path)

        assert finished.returncode == 0, finished.stderr
        document = json.loads(finished.stdout)
        assert document["has_passed"]
        assert len(document["steps"]) == 24

    def test_over_tls(self, gateway: GatewayProcess, tmp_path: Path) -> None:
        with TLSProxy(tmp_path) as proxy:
            poweb_url, pohttp_url = proxy.serve(gateway.ports.poweb), proxy.serve(gateway.ports.pohttp)
            trusted = {"SSL_CERT_FILE": str(proxy.certificate_file)}
            finished = probe(poweb_url, pohttp_url, data_dir=tmp_path, **trusted)
            untrusting = probe(poweb_url, pohttp_url, data_dir=tmp_path)

        assert finished.returncode == 0, finished.stderr
        assert ALL_PASSED in finished.stdout
        assert untrusting.returncode == 1
        assert "CERTIFICATE_VERIFY_FAILED" in untrusting.stderr

    @pytest.mark.parametrize("options", [(), ("--json",)])
    def test_nobody_answers(self, dead_url: str, tmp_path: Path, options: tuple[str, ...]) -> None:
        finished = probe(dead_url, dead_url, *options, data_dir=tmp_path)

        assert finished.returncode == 1
        assert f"Gateway: says who it is: Cannot reach {dead_url}" in finished.stderr
        assert "Check that the gateway runs" in finished.stderr
        assert "Traceback" not in finished.stderr

    def test_pohttp_alone_does_not_answer(self, gateway: GatewayProcess, dead_url: str, tmp_path: Path) -> None:
        finished = probe(gateway.poweb_url, dead_url, "--json", data_dir=tmp_path)

        assert finished.returncode == 1
        document = json.loads(finished.stdout)
        assert not document["has_passed"]
        assert document["failure"].startswith(f"Internet: sends A an empty parcel: Cannot reach {dead_url}")

    def test_ports_mixed_up(self, gateway: GatewayProcess, tmp_path: Path) -> None:
        finished = probe(gateway.pohttp_url, gateway.poweb_url, data_dir=tmp_path)

        assert finished.returncode == 1
        assert "another server than the one meant" in finished.stderr

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [(("--poweb", "localhost:8080"), "Not an HTTP or HTTPS URL"), (("--timeout", "0"), "more than nothing")],
    )
    def test_impossible_options(self, options: tuple[str, ...], complaint: str, tmp_path: Path) -> None:
        finished = run(sys.executable, "manage.py", "probe", *options, GATEWAY_DATA_DIR=str(tmp_path))

        assert finished.returncode
        assert complaint in finished.stderr
        assert "Traceback" not in finished.stderr
