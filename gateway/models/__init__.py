"""The record: what the gateway knows and has promised. A row here is the truth; everything else is a hint."""

from gateway.models.availability import record_errors
from gateway.models.cargo_collection import CargoCollection
from gateway.models.destination import Destination
from gateway.models.event import Event
from gateway.models.incoming_cargo import IncomingCargo
from gateway.models.lifecycle import Lifecycle, StatefulModel
from gateway.models.maintenance_job import MaintenanceJob
from gateway.models.outgoing_parcel import OutgoingParcel
from gateway.models.own_certificate import OwnCertificate
from gateway.models.parcel_record import ParcelRecord
from gateway.models.peer import Peer
from gateway.models.spent_authorization import SpentAuthorization
from gateway.models.stored_key import StoredKey
from gateway.models.stored_parcel import StoredParcel

__all__ = [
    "CargoCollection",
    "Destination",
    "Event",
    "IncomingCargo",
    "Lifecycle",
    "MaintenanceJob",
    "OutgoingParcel",
    "OwnCertificate",
    "ParcelRecord",
    "Peer",
    "SpentAuthorization",
    "StatefulModel",
    "StoredKey",
    "StoredParcel",
    "record_errors",
]
