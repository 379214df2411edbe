"""What the pages of all rows have in common: they are for reading, and fast however many rows there are."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.text import capfirst

from gateway.admin.columns import Column
from gateway.admin.pagination import BoundedPaginator
from gateway.admin.search import match_row

if TYPE_CHECKING:
    _ModelAdmin: TypeAlias = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin

Link = tuple[str, str]
"""A text and where it leads."""


class RecordAdmin(_ModelAdmin):
    """Shows rows that the network makes; nobody adds, edits or deletes them here."""

    actions: Sequence[str] | None = None
    paginator = BoundedPaginator
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    view_on_site = False

    lines: ClassVar[Sequence[str | Column]] = ()
    """What the page of a row shows: names of fields, or columns."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return self.lines

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:  # noqa: ARG002
        return self.lines

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def match(self, term: str) -> Q:
        """What a search for the term finds, where it is no row's id."""
        raise NotImplementedError

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: "QuerySet[Any]",
        search_term: str,
    ) -> "tuple[QuerySet[Any], bool]":
        """Search by a row's id, which is quick, or else by `match`; Django would look into every column."""
        term = search_term.strip()
        if not term:
            return queryset, False
        row = queryset.filter(match_row(term))
        return (row if row.exists() else queryset.filter(self.match(term))), False

    def get_links(self, row: Any) -> Iterable[Link]:  # noqa: ARG002
        """Other pages about the same."""
        return ()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Name the list after what it holds, where Django asks to select something."""
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def render_change_form(  # noqa: PLR0917 - Django's signature
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,  # noqa: FBT001, FBT002
        change: bool = False,  # noqa: FBT001, FBT002
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        if obj is not None:
            context["links"] = self.get_links(obj)
        return super().render_change_form(request, context, add, change, form_url, obj)


def list_link(text: str, model: type[Model], **filters: object) -> Link:
    """A link to the rows of a model with these values."""
    # The model's own label: an instance cannot tell a list apart from its page.
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")  # noqa: SLF001
    return text, f"{url}?{urlencode({f'{name}__exact': value for name, value in filters.items()})}"
