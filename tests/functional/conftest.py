"""Running gateways and the published clients, shared by the functional tests."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.functional.gateway_process import Command, GatewayProcess, set_up
from tests.functional.npm_clients import NpmClients, NpmProcessError


class StartGateway(Protocol):
    def __call__(
        self, command: Command = "rungateway", *, data_dir: Path | None = None, **environment: str
    ) -> GatewayProcess: ...


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that serves all tests that leave it running and undisturbed."""
    with GatewayProcess(tmp_path_factory.mktemp("gateway") / "data") as process:
        yield process


@pytest.fixture(scope="session")
def uvicorn_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """The application of the PoWeb port on another server than ours, with data of its own; it has no PoHTTP."""
    data_dir = tmp_path_factory.mktemp("uvicorn") / "data"
    set_up(data_dir)
    with GatewayProcess(data_dir, "uvicorn") as process:
        yield process


# Of module scope, though the processes live longer: else pytest would run all modules once per parameter.
@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def any_gateway(request: pytest.FixtureRequest) -> GatewayProcess:
    """Both of those above, for tests that use PoWeb alone."""
    process: GatewayProcess = request.getfixturevalue("gateway" if request.param == "daphne" else "uvicorn_gateway")
    return process


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """Starts gateways that the test has for itself; they share a data folder unless it says otherwise."""
    processes: list[GatewayProcess] = []

    def start(command: Command = "rungateway", *, data_dir: Path | None = None, **environment: str) -> GatewayProcess:
        process = GatewayProcess(data_dir or tmp_path / "data", command, environment=environment)
        processes.append(process)
        return process.start()

    yield start
    for process in processes:
        process.close()


@pytest.fixture(scope="session")
def npm() -> Iterator[NpmClients]:
    """The published clients; without Node.js the tests are skipped, or fail where AWALA_REQUIRE_SERVERS is set."""
    try:
        clients = NpmClients.start()
    except NpmProcessError as exc:
        if os.environ.get("AWALA_REQUIRE_SERVERS") == "1":
            raise
        pytest.skip(f"NOT TESTED AGAINST THE PUBLISHED CLIENTS: {exc}")
    with clients:
        yield clients
