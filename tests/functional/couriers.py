"""Couriers on the Python side, and what simulated private gateways give them and get from them."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from awala.clients.cogrpc import CogRPCClient
from awala.pki.certificate import Certificate
from awala.session_key import SessionKey
from tests import cargo_factories
from tests.cargo_factories import MadeMessage, open_cargo
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PrivateGateway, in_whole_seconds

__all__ = ["MadeMessage", "courier_of", "deliver", "make_cargo", "make_cca", "open_cargo", "with_items_of"]


def courier_of(process: GatewayProcess, **options: Any) -> CogRPCClient:
    return CogRPCClient(**{"address": process.cogrpc_address, "tls": False, **options})


def deliver(process: GatewayProcess, *cargoes: bytes) -> list[str]:
    """Hand cargo to the gateway, and return the ids acknowledged: "0", "1"..."""
    with courier_of(process) as courier:
        return list(courier.deliver_cargo((str(number), cargo) for number, cargo in enumerate(cargoes)))


def make_cargo(gateway: PrivateGateway, items: Sequence[bytes] = (), **fields: Any) -> MadeMessage:
    """A cargo from the private gateway, encrypted to the session key of its registration."""
    return cargo_factories.make_cargo(tuple(items), **_defaults(gateway) | fields)


def make_cca(gateway: PrivateGateway, **fields: Any) -> MadeMessage:
    """A CCA of the private gateway, encrypted to the session key of its registration."""
    return cargo_factories.make_cca(**_defaults(gateway) | fields)


def with_items_of(size: int, number: int) -> list[bytes]:
    """Items that nothing can be made of."""
    return [os.urandom(size) for _ in range(number)]


def with_certificate(gateway: PrivateGateway, certificate: Certificate) -> PrivateGateway:
    return replace(gateway, certificate=certificate)


def _defaults(gateway: PrivateGateway) -> dict[str, Any]:
    session_key: SessionKey | None = gateway.session_key
    assert session_key is not None
    return {
        "sender": gateway.certificate,
        "gateway": gateway.gateway_certificate,
        "session_key": session_key,
        "creation_date": in_whole_seconds(timedelta(minutes=-90)),
    }
