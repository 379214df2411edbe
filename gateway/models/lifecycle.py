"""Rows that move between states: each move is one conditional UPDATE, so of two workers only one succeeds.

No row is ever locked. `advance()` asks for the state (and whatever else guards the row) that this worker saw; where
another worker was faster no row matches, nothing changes, and the answer is False.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self

from django.db import models


@dataclass(frozen=True, kw_only=True)
class Lifecycle:
    """The states of an aggregate, its legal moves, and the rows that the retention time concerns."""

    states: type[models.TextChoices]
    moves: Mapping[str, frozenset[str]]
    """To which states a row may go from each state; every state has an entry."""
    settled: frozenset[str] = frozenset()
    """Rows in these states go once their `settled_at` is METADATA_RETENTION_HOURS old, unless a use of theirs lasts."""

    def __post_init__(self) -> None:
        states = set(self.states.values)
        if set(self.moves) != states:
            raise ValueError(f"{self.states.__qualname__}: every state must say where it may go")
        if not (self.settled | frozenset().union(*self.moves.values())) <= states:
            raise ValueError(f"{self.states.__qualname__}: a move leads to a state that does not exist")


class StatefulModel(models.Model):
    """A model whose `state` column is changed by `advance()` alone."""

    lifecycle: ClassVar[Lifecycle]
    guarded_by: ClassVar[tuple[str, ...]] = ()
    """Columns that, besides the state, must still hold what this instance holds."""

    state: Any

    class Meta:
        abstract = True

    def advance(self, new_state: str, **changes: Any) -> bool:
        """Move the row and change it further; False, with nothing changed, where another was faster.

        The instance need not come from a query: its primary key, state and guards are all that is looked at.
        """
        if new_state not in self.lifecycle.moves[self.state]:
            raise ValueError(f"{type(self).__name__} may not go from {self.state} to {new_state}")
        expected = {name: getattr(self, name) for name in ("state", *self.guarded_by)}
        changes["state"] = new_state
        if not type(self)._default_manager.filter(pk=self.pk, **expected).update(**changes):
            return False
        for name, value in changes.items():
            setattr(self, name, value)
        return True

    @classmethod
    def settled_before(cls, moment: datetime) -> "models.QuerySet[Self]":
        """The rows whose retention time is over, given the moment it began for the last of them."""
        return cls._default_manager.filter(state__in=cls.lifecycle.settled, settled_at__lt=moment)
