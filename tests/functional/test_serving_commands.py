"""The commands that serve, as operators run them."""

import os
import signal
import time
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.functional.conftest import StartGateway
from tests.functional.couriers import deliver
from tests.functional.gateway_process import GatewayProcess, GatewayStartError, Ports, set_up

pytestmark = pytest.mark.functional


def test_password_is_shown_at_the_first_start_alone(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    password = (gateway.data_dir / "admin-password").read_text()

    gateway.restart()

    assert gateway.log.count(password) == 1
    assert gateway.log.count("The gateway is ready") == 2


def test_public_ports_know_no_console(gateway: GatewayProcess) -> None:
    for url in (gateway.poweb_url, gateway.pohttp_url):
        for path in ("/admin/", "/admin/login/", "/livez", "/readyz", "/metrics", "/static/admin/css/base.css"):
            assert httpx.get(url + path).status_code == 404


def test_console_knows_no_public_paths(gateway: GatewayProcess) -> None:
    assert httpx.post(f"{gateway.console_url}/v1/parcels").status_code == 404


def test_second_instance_on_the_same_data_is_refused(start_gateway: StartGateway) -> None:
    gateway = start_gateway()

    with pytest.raises(GatewayStartError, match="Another gateway is running on"):
        GatewayProcess(gateway.data_dir, ports=Ports.choose()).manage("rungateway")

    assert gateway.is_running


def test_port_in_use_is_named(start_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = start_gateway()

    with pytest.raises(
        GatewayStartError, match=r"PoWeb cannot listen on 127\.0\.0\.1:\d+: Address already in use"
    ) as caught:
        GatewayProcess(tmp_path / "other", ports=gateway.ports).manage("rungateway")

    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_cleanly(start_gateway: StartGateway, number: signal.Signals) -> None:
    gateway = start_gateway()

    os.kill(gateway.pid, number)

    assert gateway.wait() == 0
    assert gateway.log.endswith("The gateway has stopped.\n")


def test_open_collection_is_closed_with_4000(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    with connect(gateway.collection_url) as websocket:
        websocket.recv(timeout=5)
        started_at = time.monotonic()
        gateway.terminate()
        with pytest.raises(ConnectionClosed):
            websocket.recv(timeout=10)

    assert websocket.close_code == 4000
    assert gateway.wait() == 0
    assert time.monotonic() - started_at < 10


@pytest.mark.parametrize("command", ["runpoweb", "runpohttp", "runcogrpc", "runconsole", "runworker"])
def test_role_refuses_a_database_that_is_not_set_up(tmp_path: Path, command: str) -> None:
    with pytest.raises(GatewayStartError, match=r"run `manage\.py setupgateway` first"):
        GatewayProcess(tmp_path / "data").manage(command)


def test_roles_run_apart(start_gateway: StartGateway, tmp_path: Path) -> None:
    set_up(tmp_path / "data")

    poweb, pohttp, cogrpc, console = (
        start_gateway(command) for command in ("runpoweb", "runpohttp", "runcogrpc", "runconsole")
    )

    assert httpx.get(poweb.poweb_url).status_code == 200
    assert httpx.get(pohttp.pohttp_url).status_code == 200
    assert httpx.get(f"{console.console_url}/admin/login/").status_code == 200
    assert deliver(cogrpc, b"whatever it is") == ["0"]
    assert [process.stop() for process in (poweb, pohttp, cogrpc, console)] == [0, 0, 0, 0]


def test_setup_can_be_repeated(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path / "data")

    assert "Sign in as admin" in gateway.manage("setupgateway")
    assert gateway.manage("setupgateway") == "The gateway is set up.\n"
