"""Makes columns of lists, and lines of pages, from a row's field and the way in which it is shown."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import Choices
from django.utils.safestring import SafeString

from gateway.admin import formats

Shown = SafeString | str
Column = Callable[[Any], Shown]


def column(show: Callable[[Any], Shown], field: str, description: str = "", *, ordering: str | None = None) -> Column:
    """Show a field. Lists can be sorted by columns that name an ordering: those for which there is an index."""

    def show_field(row: Any) -> Shown:
        return show(getattr(row, field))

    show_field.__name__ = field
    return admin.display(description=description or field.replace("_", " "), ordering=ordering)(show_field)


def short_id(field: str, description: str) -> Column:
    return column(formats.short_id, field, description)


def whole_id(field: str, description: str) -> Column:
    return column(formats.whole_id, field, description)


def short_peer(field: str = "peer_id", description: str = "peer") -> Column:
    return column(lambda node_id: formats.peer_link(node_id, formats.short_id(node_id)), field, description)


def whole_peer(field: str = "peer_id", description: str = "peer") -> Column:
    return column(lambda node_id: formats.peer_link(node_id, formats.whole_id(node_id)), field, description)


def moment(field: str, description: str, *, ordering: str | None = None) -> Column:
    return column(formats.moment, field, description, ordering=ordering)


def whole_moment(field: str, description: str) -> Column:
    return column(formats.whole_moment, field, description)


def size(field: str = "size", description: str = "size") -> Column:
    return column(formats.size, field, description)


def state(choices: type[Choices], field: str = "state") -> Column:
    return column(lambda value: formats.state_badge(value, choices), field)
