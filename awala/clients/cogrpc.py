"""CogRPC client (RS-008): what a courier says to an Internet gateway."""

import base64
import queue
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Protocol, Self

import grpc

from awala.clients.errors import (
    ClientError,
    CollectedAlreadyError,
    InvalidAnswerError,
    RejectedCallError,
    ServerUnavailableError,
)
from awala.generated.cogrpc_pb2 import CargoDelivery, CargoDeliveryAck
from awala.limits import MAX_RAMF_MESSAGE_SIZE

# What deployed couriers call the service; the specification calls it awala.cogrpc.CargoRelay.
DEPLOYED_SERVICE: Final = "relaynet.cogrpc.CargoRelay"
# The specification's name is Awala-CCA; this older one every server knows.
COLLECTION_SCHEME: Final = "Relaynet-CCA"
# A cargo of the largest size, with the id that the call has for it.
MAX_DELIVERY_SIZE: Final = MAX_RAMF_MESSAGE_SIZE + 256
_PERMANENT: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectedCargo:
    """A cargo that the gateway has sent; ``acknowledge`` says that it is safe with the courier."""

    id: str
    cargo_serialized: bytes = field(repr=False)
    acknowledge: Callable[[], None] = field(repr=False)


class CogRPCClient:
    """A courier's client of one Internet gateway; to be closed, or used in a ``with``.

    ``address`` is ``host:port``. With ``tls`` (the default) the server must have a certificate for that host from
    one of the system's authorities or, if given, from those in ``root_certificates`` (PEM). ``timeout`` is in
    seconds, and for the whole of each call, as deployed couriers have it. All methods raise
    ``ServerUnavailableError`` if the server cannot be reached or cannot serve now, ``RejectedCallError`` if it
    refuses the call, and ``InvalidAnswerError`` if its answers make no sense.
    """

    def __init__(
        self,
        address: str,
        *,
        tls: bool = True,
        root_certificates: bytes | None = None,
        timeout: float = 5,
        service: str = DEPLOYED_SERVICE,
    ) -> None:
        self._timeout = timeout
        options = [("grpc.max_receive_message_length", MAX_DELIVERY_SIZE), ("grpc.enable_http_proxy", 0)]
        if tls:
            credentials = grpc.ssl_channel_credentials(root_certificates)
            self._channel = grpc.secure_channel(address, credentials, options)
        else:
            self._channel = grpc.insecure_channel(address, options)
        self._deliver = self._channel.stream_stream(
            f"/{service}/DeliverCargo",
            request_serializer=CargoDelivery.SerializeToString,
            response_deserializer=CargoDeliveryAck.FromString,
        )
        self._collect = self._channel.stream_stream(
            f"/{service}/CollectCargo",
            request_serializer=CargoDeliveryAck.SerializeToString,
            response_deserializer=CargoDelivery.FromString,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way end."""
        self._channel.close()

    def deliver_cargo(self, cargoes: Iterable[tuple[str, bytes]]) -> Iterator[str]:
        """Hand cargo to the gateway, each with an id for this call, and yield the ids that it acknowledges.

        What is acknowledged may be thrown away: the gateway has it, or will never take it. The cargoes are taken
        from ``cargoes`` in another thread while acknowledgements come. Nothing happens before the first is asked for.
        """
        pending: set[str] = set()

        def send() -> Iterator[CargoDelivery]:
            for delivery_id, cargo_serialized in cargoes:
                pending.add(delivery_id)
                yield CargoDelivery(id=delivery_id, cargo=cargo_serialized)

        with _errors():
            call = self._deliver(send(), timeout=self._timeout)
            try:
                for ack in call:
                    if ack.id not in pending:
                        raise InvalidAnswerError("Server acknowledged what was not sent")
                    pending.remove(ack.id)
                    yield ack.id
            finally:
                call.cancel()
            if pending:
                raise InvalidAnswerError("Server ended the call without having acknowledged everything")

    def collect_cargo(self, cca_serialized: bytes) -> Iterator[CollectedCargo]:
        """Yield the cargo that a private gateway's CCA is good for; it is good for one collection.

        :raises CollectedAlreadyError: if the CCA was used before, and may be deleted
        """
        acks: queue.SimpleQueue[str | None] = queue.SimpleQueue()

        def send() -> Iterator[CargoDeliveryAck]:
            while (delivery_id := acks.get()) is not None:
                yield CargoDeliveryAck(id=delivery_id)

        authorization = f"{COLLECTION_SCHEME} {base64.b64encode(cca_serialized).decode()}"
        with _errors():
            call = self._collect(send(), timeout=self._timeout, metadata=(("authorization", authorization),))
            try:
                for delivery in call:
                    yield CollectedCargo(
                        id=delivery.id,
                        cargo_serialized=delivery.cargo,
                        acknowledge=_Acknowledgement(acks, delivery.id),
                    )
            finally:
                acks.put(None)
                call.cancel()


class _Acknowledgement:
    """Acknowledges one delivery when it is called."""

    def __init__(self, acks: "queue.SimpleQueue[str | None]", delivery_id: str) -> None:
        self._acks = acks
        self._delivery_id = delivery_id

    def __call__(self) -> None:
        self._acks.put(self._delivery_id)


class _Status(Protocol):
    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...


@contextmanager
def _errors() -> Iterator[None]:
    """Raise the clients' own errors where a call fails."""
    try:
        yield
    except grpc.RpcError as error:
        raise _translate(error) from error


def _translate(error: Any) -> ClientError:
    status: _Status = error
    code = status.code()
    text = f"{code.name}: {status.details()}"
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return CollectedAlreadyError(f"CCA was used before: {text}", code=code.name)
    if code in _PERMANENT:
        return RejectedCallError(f"Server rejected the call: {text}", code=code.name)
    return ServerUnavailableError(f"Server cannot serve now: {text}")
