"""Pages of lists that may have millions of rows."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from django.core.paginator import Paginator

# Whoever looks for something further down is quicker with a filter or a search.
MAX_ROWS = 5_000

if TYPE_CHECKING:
    _Paginator: TypeAlias = Paginator[Any]
else:
    _Paginator = Paginator


class BoundedPaginator(_Paginator):
    """Pages over the first rows only: counting them all would read the whole table for each page."""

    @cached_property
    def count(self) -> int:
        return min(self._counted, MAX_ROWS)

    @property
    def has_more_rows(self) -> bool:
        return self._counted > MAX_ROWS

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        count: int = rows.order_by()[: MAX_ROWS + 1].count()
        return count
