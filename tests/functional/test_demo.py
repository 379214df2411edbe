"""`bin/demo` and `manage.py probe`, as operators run them."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.functional.conftest import StartGateway
from tests.functional.gateway_process import PROJECT, GatewayProcess, Ports, set_up
from tests.functional.tls_proxy import TLSProxy

pytestmark = pytest.mark.functional

# With a ping to the Internet, and without.
ALL_PASSED = "All 40 steps passed"
ALL_BUT_PING_PASSED = "All 38 steps passed"
PONG_ADDRESS = "pong.example.com"
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
    poweb_url: str, pohttp_url: str, cogrpc_url: str, *options: str, data_dir: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    urls = ("--poweb", poweb_url, "--pohttp", pohttp_url, "--cogrpc", cogrpc_url)
    return run(sys.executable, "manage.py", "probe", *urls, *options, GATEWAY_DATA_DIR=str(data_dir), **environment)


def probe_process(process: GatewayProcess, *options: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    return probe(process.poweb_url, process.pohttp_url, cogrpc_url_of(process), *options, data_dir=data_dir)


def cogrpc_url_of(process: GatewayProcess) -> str:
    return f"http://{process.cogrpc_address}"


def pong_options(bind: str) -> tuple[str, ...]:
    return ("--pong", PONG_ADDRESS, "--pong-bind", bind)


def start_for_pong(start_gateway: StartGateway, bind: str) -> GatewayProcess:
    """A gateway that is to find the pong endpoint there."""
    return start_gateway(INTERNET_ADDRESS_OVERRIDES=f"{PONG_ADDRESS}={bind}", POHTTP_USE_TLS="false")


@pytest.fixture
def pong_bind() -> str:
    return f"127.0.0.1:{Ports.choose().pohttp}"


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
            COGRPC_BIND=gateway.cogrpc_address,
            GATEWAY_DATA_DIR=str(tmp_path),
        )

        assert finished.returncode == 0, finished.stderr
        assert ALL_BUT_PING_PASSED in finished.stdout
        assert "give --pong ADDRESS" in finished.stdout
        assert gateway.poweb_url in finished.stdout
        assert "using the gateway that runs here" in finished.stderr


class TestProbe:
    def test_json_document(self, gateway: GatewayProcess, tmp_path: Path) -> None:
        finished = probe_process(gateway, "--json", data_dir=tmp_path)

        assert finished.returncode == 0, finished.stderr
        document = json.loads(finished.stdout)
        assert document["has_passed"]
        assert document["pong_address"] is None
        assert "--pong" in document["left_out"]
        assert len(document["steps"]) == 38

    def test_ping_and_pong(self, start_gateway: StartGateway, pong_bind: str, tmp_path: Path) -> None:
        gateway = start_for_pong(start_gateway, pong_bind)

        shown = probe_process(gateway, *pong_options(pong_bind), data_dir=tmp_path)
        finished = probe_process(gateway, *pong_options(pong_bind), "--json", data_dir=tmp_path)

        assert ALL_PASSED in shown.stdout, shown.stderr
        assert finished.returncode == 0, finished.stderr
        document = json.loads(finished.stdout)
        assert document["pong_address"] == PONG_ADDRESS
        assert document["left_out"] is None
        assert [step["title"] for step in document["steps"] if step["actor"] == "Pong"] == [
            "makes its keys",
            "receives the ping",
            "sends the pong",
        ]

    def test_over_tls(self, gateway: GatewayProcess, tmp_path: Path) -> None:
        with TLSProxy(tmp_path) as proxy:
            ports = gateway.ports
            poweb_url, pohttp_url, cogrpc_url = map(proxy.serve, (ports.poweb, ports.pohttp, ports.cogrpc))
            trusted = {"SSL_CERT_FILE": str(proxy.certificate_file)}
            finished = probe(poweb_url, pohttp_url, cogrpc_url, data_dir=tmp_path, **trusted)
            untrusting = probe(poweb_url, pohttp_url, cogrpc_url, data_dir=tmp_path)
            couriers_alone = probe(gateway.poweb_url, gateway.pohttp_url, cogrpc_url, data_dir=tmp_path)

        assert finished.returncode == 0, finished.stderr
        assert ALL_BUT_PING_PASSED in finished.stdout
        assert untrusting.returncode == 1
        assert "CERTIFICATE_VERIFY_FAILED" in untrusting.stderr
        assert couriers_alone.returncode == 1
        assert "Courier: delivers A's cargo: Couriers are not served at https://localhost" in couriers_alone.stderr


class TestProbeThatFails:
    @pytest.mark.parametrize("options", [(), ("--json",)])
    def test_nobody_answers(self, dead_url: str, tmp_path: Path, options: tuple[str, ...]) -> None:
        finished = probe(dead_url, dead_url, dead_url, *options, data_dir=tmp_path)

        assert finished.returncode == 1
        assert f"Gateway: says who it is: Cannot reach {dead_url}" in finished.stderr
        assert "Check that the gateway runs" in finished.stderr
        assert "Traceback" not in finished.stderr

    def test_pohttp_alone_does_not_answer(self, gateway: GatewayProcess, dead_url: str, tmp_path: Path) -> None:
        finished = probe(gateway.poweb_url, dead_url, cogrpc_url_of(gateway), "--json", data_dir=tmp_path)

        assert finished.returncode == 1
        document = json.loads(finished.stdout)
        assert not document["has_passed"]
        assert document["failure"].startswith(f"Internet: sends A an empty parcel: Cannot reach {dead_url}")

    def test_cogrpc_alone_does_not_answer(self, gateway: GatewayProcess, dead_url: str, tmp_path: Path) -> None:
        finished = probe(gateway.poweb_url, gateway.pohttp_url, dead_url, data_dir=tmp_path)

        assert finished.returncode == 1
        assert f"Courier: delivers A's cargo: Couriers are not served at {dead_url}" in finished.stderr
        assert "runcogrpc" in finished.stderr

    def test_no_worker_runs(self, start_gateway: StartGateway, tmp_path: Path) -> None:
        set_up(tmp_path / "data")
        poweb, pohttp, cogrpc = (start_gateway(command) for command in ("runpoweb", "runpohttp", "runcogrpc"))

        finished = probe(
            poweb.poweb_url, pohttp.pohttp_url, cogrpc_url_of(cogrpc), "--timeout", "2", data_dir=tmp_path / "probe"
        )

        assert finished.returncode == 1
        assert "Device B: is pushed A's parcel: The parcel in the acknowledged cargo did not come" in finished.stderr
        assert "runworker" in finished.stderr

    def test_gateway_does_not_reach_the_pong_endpoint(
        self, start_gateway: StartGateway, dead_url: str, pong_bind: str, tmp_path: Path
    ) -> None:
        gateway = start_for_pong(start_gateway, dead_url.removeprefix("http://"))

        finished = probe_process(gateway, *pong_options(pong_bind), "--timeout", "2", data_dir=tmp_path)

        assert finished.returncode == 1
        assert "Pong: receives the ping: It was not delivered within 2 s" in finished.stderr
        assert "INTERNET_ADDRESS_OVERRIDES" in finished.stderr

    def test_port_of_the_pong_endpoint_is_taken(self, gateway: GatewayProcess, tmp_path: Path) -> None:
        finished = probe_process(gateway, *pong_options(gateway.cogrpc_address), data_dir=tmp_path)

        assert finished.returncode == 1
        assert "cannot listen for the pong endpoint" in finished.stderr
        assert "passed" not in finished.stdout

    def test_couriers_are_sent_to_a_web_server(self, gateway: GatewayProcess, tmp_path: Path) -> None:
        finished = probe(gateway.poweb_url, gateway.pohttp_url, gateway.pohttp_url, data_dir=tmp_path)

        assert finished.returncode == 1
        assert f"Couriers are not served at {gateway.pohttp_url}" in finished.stderr

    def test_ports_mixed_up(self, gateway: GatewayProcess, tmp_path: Path) -> None:
        finished = probe(gateway.pohttp_url, gateway.poweb_url, cogrpc_url_of(gateway), data_dir=tmp_path)

        assert finished.returncode == 1
        assert "another server than the one meant" in finished.stderr

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            (("--poweb", "localhost:8080"), "Not an HTTP or HTTPS URL"),
            (("--timeout", "0"), "more than nothing"),
        ],
    )
    def test_impossible_options(self, options: tuple[str, ...], complaint: str, tmp_path: Path) -> None:
        finished = run(sys.executable, "manage.py", "probe", *options, GATEWAY_DATA_DIR=str(tmp_path))

        assert finished.returncode
        assert complaint in finished.stderr
        assert "Traceback" not in finished.stderr
