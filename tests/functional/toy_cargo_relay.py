"""A CogRPC server that does as a test says, for tests of couriers: it looks into no cargo."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import grpc

from awala.generated.cogrpc_pb2 import CargoDelivery, CargoDeliveryAck

SERVICE = "relaynet.cogrpc.CargoRelay"
HOST = "127.0.0.1"
_MAX_MESSAGE_SIZE = 16 * 1024 * 1024
_THREADS = 8


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
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "DeliverCargo": grpc.stream_stream_rpc_method_handler(
                self._deliver_cargo,
                request_deserializer=CargoDelivery.FromString,
                response_serializer=CargoDeliveryAck.SerializeToString,
            ),
            "CollectCargo": grpc.stream_stream_rpc_method_handler(
                self._collect_cargo,
                request_deserializer=CargoDeliveryAck.FromString,
                response_serializer=CargoDelivery.SerializeToString,
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _deliver_cargo(
        self, requests: Iterator[CargoDelivery], _context: grpc.ServicerContext
    ) -> Iterator[CargoDeliveryAck]:
        for delivery in requests:
            self.delivered.append(delivery.cargo)
            if self.acknowledge_seconds is not None:
                time.sleep(self.acknowledge_seconds)
                yield CargoDeliveryAck(id=delivery.id)

    def _collect_cargo(
        self, requests: Iterator[CargoDeliveryAck], context: grpc.ServicerContext
    ) -> Iterator[CargoDelivery]:
        metadata = dict(context.invocation_metadata())
        self.authorizations.append(str(metadata.get("authorization")))
        for number, cargo in enumerate(self.cargoes):
            yield CargoDelivery(id=str(number), cargo=cargo)
        for _ in range(self.acks_to_wait_for):
            self.acks.append(next(requests).id)
        if self.status is not grpc.StatusCode.OK:
            context.abort(self.status, "As the test says")
