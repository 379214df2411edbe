"""Connection parameters of nodes and of private endpoints, and what gateways say to nodes they have registered."""

import contextlib

from awala.connection_params import NodeConnectionParams
from awala.errors import InvalidMessageError
from awala.private_endpoint_params import PrivateEndpointConnParams
from awala.registration import Registration
from tests.published_vectors import of_type

TYPES = (NodeConnectionParams, PrivateEndpointConnParams, Registration)


def target(octets: bytes) -> None:
    for params_type in TYPES:
        with contextlib.suppress(InvalidMessageError):
            params = params_type.deserialize(octets)
            assert params_type.deserialize(params.serialize()) == params


def seeds() -> list[bytes]:
    names = ("NodeConnectionParams", "PrivateEndpointConnParams", "PrivateNodeRegistration")
    return [vector.octets for name in names for vector in of_type(name)]
