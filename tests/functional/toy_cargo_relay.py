"""A CogRPC server that does as a test says, for tests of couriers: it looks into no cargo."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Self

import grpc

SERVICE = "relaynet.cogrpc.CargoRelay"
HOST = "127.0.0.1"
_MAX_MESSAGE_SIZE = 16 * 1024 * 1024
_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """`CargoDelivery`, or with no cargo `CargoDeliveryAck`: fields 1 and 2 in the encoding of Protocol Buffers."""

    id: str
    cargo: bytes = field(default=b"", repr=False)

    def serialize(self) -> bytes:
        name = self.id.encode()
        cargo = b"\x12" + _varint(len(self.cargo)) + self.cargo if self.cargo else b""
        return b"\x0a" + _varint(len(name)) + name + cargo

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        fields: dict[int, bytes] = {}
        position = 0
        while position < len(octets):
            tag = octets[position]
            size, position = _read_varint(octets, position + 1)
            fields[tag] = octets[position : position + size]
            position += size
        return cls(id=fields[0x0A].decode(), cargo=fields.get(0x12, b""))


class ToyCargoRelay:
    """Serves from the moment it is made; enter its `with` block to end it.

    It acknowledges `acknowledge_seconds` after each cargo has come, or never; to each collection it sends `cargoes`
    and then ends the call with `status`, once so many ACKs have come as it is to wait for.
    """

    def __init__(self, *, credentials: grpc.ServerCredentials | None = None) -> None:
        self.acknowledge_seconds: float | None = 0
        self.cargoes: Sequence[bytes] = ()
        self.status = grpc.StatusCode.OK
        self.acks_to_wait_for = 0
        self.delivered: list[bytes] = []
        self.authorizations: list[str] = []
        self.acks: list[str] = []
        limits = [("grpc.max_receive_message_length", _MAX_MESSAGE_SIZE)]
        self._server = grpc.server(ThreadPoolExecutor(_THREADS), options=limits)
        self._server.add_generic_rpc_handlers((self._handlers(),))
        self.port = (
            self._server.add_secure_port(f"{HOST}:0", credentials)
            if credentials
            else self._server.add_insecure_port(f"{HOST}:0")
        )
        self._server.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(grace=None).wait()

    def _handlers(self) -> grpc.GenericRpcHandler:
        methods = {"DeliverCargo": self._deliver_cargo, "CollectCargo": self._collect_cargo}
        handlers = {
            name: grpc.stream_stream_rpc_method_handler(
                method, request_deserializer=Delivery.deserialize, response_serializer=Delivery.serialize
            )
            for name, method in methods.items()
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _deliver_cargo(self, requests: Iterator[Delivery], _context: grpc.ServicerContext) -> Iterator[Delivery]:
        for delivery in requests:
            self.delivered.append(delivery.cargo)
            if self.acknowledge_seconds is not None:
                time.sleep(self.acknowledge_seconds)
                yield Delivery(id=delivery.id)

    def _collect_cargo(self, requests: Iterator[Delivery], context: grpc.ServicerContext) -> Iterator[Delivery]:
        metadata = dict(context.invocation_metadata())
        self.authorizations.append(str(metadata.get("authorization")))
        for number, cargo in enumerate(self.cargoes):
            yield Delivery(id=str(number), cargo=cargo)
        for _ in range(self.acks_to_wait_for):
            self.acks.append(next(requests).id)
        if self.status is not grpc.StatusCode.OK:
            context.abort(self.status, "As the test says")


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number >= 0x80:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*octets, number))


def _read_varint(octets: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while octets[position] & 0x80:
        number |= (octets[position] & 0x7F) << shift
        position, shift = position + 1, shift + 7
    return number | octets[position] << shift, position + 1
