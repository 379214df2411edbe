"""Where the services of an Internet address are: SRV records, and the order in which to try them (RS-000, RFC 2782)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter

from awala.errors import InvalidArgumentError

# One service for each binding: parcel delivery (PoHTTP), gateway synchronisation (PoWeb) and cargo relay (CogRPC).
PDC_SERVICE = "awala-pdc"

# The target of a record which says that the service is decidedly not offered (RFC 2782).
NO_TARGET = "."

_MAX_PORT = _MAX_RANK = 0xFFFF


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceRecord:
    """An SRV record: ``target`` is a host name without its last dot, or ``"."`` where the service is not offered.

    :raises InvalidArgumentError: if it is made with values that no SRV record can hold
    """

    priority: int
    weight: int
    target: str
    port: int

    def __post_init__(self) -> None:
        if not all(0 <= rank <= _MAX_RANK for rank in (self.priority, self.weight)):
            raise InvalidArgumentError("SRV priorities and weights have 16 bits")
        if not 0 <= self.port <= _MAX_PORT:
            raise InvalidArgumentError("Ports have 16 bits")
        if self.target != NO_TARGET and (not self.target or self.target.endswith(".")):
            raise InvalidArgumentError("SRV target is empty or has its last dot")


def srv_name(service: str, address: str) -> str:
    """Return the domain name under which the SRV records of a service of ``address`` are (RS-000)."""
    return f"_{service}._tcp.{address.rstrip('.')}"


def order_targets(records: Iterable[ServiceRecord], draw: Callable[[int], int]) -> tuple[ServiceRecord, ...]:
    """Return the records in the order in which to try them (RFC 2782).

    The lowest priority comes first. Among equals chance decides, in proportion to the weights: ``draw(n)`` is to
    return a random number between 0 and ``n``, both included. Records that say that the service is not offered are
    left out, so that nothing is returned when there are only such.
    """
    offered = [record for record in records if record.target != NO_TARGET]
    # Records of weight 0 come first among equals, as RFC 2782 has it: they are chosen when 0 is drawn.
    offered.sort(key=lambda record: (record.priority, record.weight > 0))
    return tuple(_in_drawn_order(offered, draw))


def _in_drawn_order(sorted_records: list[ServiceRecord], draw: Callable[[int], int]) -> Iterator[ServiceRecord]:
    remaining = sorted_records
    while remaining:
        equals = [record for record in remaining if record.priority == remaining[0].priority]
        remaining = remaining[len(equals) :]
        while equals:
            running_sums = list(accumulate(map(attrgetter("weight"), equals)))
            drawn = draw(running_sums[-1])
            yield equals.pop(next(index for index, running_sum in enumerate(running_sums) if running_sum >= drawn))
