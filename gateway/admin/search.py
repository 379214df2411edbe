"""Searches by ids, whole or their beginning, so that the database need not look into any text.

What was typed tells by its form what it is: a row's id, a node id, a digest, or a parcel's id.
"""

import hashlib
import re
import uuid
from collections.abc import Iterable

from django.db.models import Q

from gateway.models.sizes import NODE_ID_LENGTH

_NODE_ID = re.compile(r"0[0-9a-f]{3,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
NOTHING = Q(pk__in=())


def match_row(term: str) -> Q:
    """The row with this id, which stands in the log and in events."""
    try:
        return Q(pk=uuid.UUID(term))
    except ValueError:
        return NOTHING


def match_nodes(term: str, fields: Iterable[str]) -> Q:
    """The rows in which one of the fields holds a node id that begins so."""
    prefix = term.rstrip("…").lower()
    matches = NOTHING
    if len(prefix) == NODE_ID_LENGTH:
        for field in fields:
            matches |= Q(**{field: prefix})
    elif _NODE_ID.fullmatch(prefix):
        for field in fields:
            # A range rather than LIKE, which on SQLite uses no index. No digit comes after "f".
            matches |= Q(**{f"{field}__gte": prefix, f"{field}__lt": f"{prefix}g"})
    return matches


def match_parcel_id(term: str) -> Q:
    """The rows of the parcel with this id, or with the digest of an id that the record keeps."""
    return match_digest(term, "parcel_id_sha256")


def match_digest(term: str, field: str) -> Q:
    """The rows in which a field holds the digest of the term, or the term where it is a digest itself."""
    if _DIGEST.fullmatch(term.lower()):
        return Q(**{field: term.lower()})
    try:
        return Q(**{field: hashlib.sha256(term.encode("latin-1")).hexdigest()})
    except UnicodeEncodeError:
        return NOTHING
