"""The service of couriers under both of its names: what deployed couriers call it, and what the specification does."""

from typing import Any, Final

import grpc

from awala.generated import cogrpc_awala_pb2, cogrpc_pb2
from cogrpc.calls import Calls, Context, Threads
from cogrpc.collection import COLLECTION_ERRORS, Collections
from cogrpc.delivery import DELIVERY_ERRORS, Deliveries
from cogrpc.messages import read_ack, read_delivery, write_ack

RELAY_NAMES: Final[tuple[str, ...]] = tuple(
    module.DESCRIPTOR.services_by_name["CargoRelay"].full_name for module in (cogrpc_pb2, cogrpc_awala_pb2)
)


class Relay:
    """Both methods; to be made in the loop that serves them."""

    def __init__(self, threads: Threads, *, max_calls: int) -> None:
        self._deliveries = Deliveries(threads)
        self._calls = Calls(max_calls, self._deliveries.end_idlest)
        self._collections = Collections(threads)

    async def deliver_cargo(self, _requests: object, context: Context) -> None:
        await self._calls.answer("DeliverCargo", context, DELIVERY_ERRORS, self._deliveries.serve)

    async def collect_cargo(self, _requests: object, context: Context) -> None:
        await self._calls.answer("CollectCargo", context, COLLECTION_ERRORS, self._collections.serve)

    async def finish(self) -> None:
        """Wait for the calls that the server has told to end, and finish what they have left."""
        await self._calls.finish()
        await self._collections.finish()

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "DeliverCargo": grpc.stream_stream_rpc_method_handler(
                self.deliver_cargo,
                request_deserializer=read_delivery,
                response_serializer=write_ack,
            ),
            # Cargo is put into messages by the threads that make it, since the loop has other things to do.
            "CollectCargo": grpc.stream_stream_rpc_method_handler(
                self.collect_cargo, request_deserializer=read_ack, response_serializer=None
            ),
        }
        return tuple(grpc.method_handlers_generic_handler(name, methods) for name in RELAY_NAMES)
