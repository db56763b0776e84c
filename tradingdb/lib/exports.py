"""Exports: exactly the rows a list shows, on all its pages and in its order, as CSV or XLSX."""

import csv
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from io import StringIO
from threading import BoundedSemaphore
from typing import IO, TYPE_CHECKING, Any, ClassVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db import models
from django.http import HttpRequest, HttpResponseRedirect, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST
from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from tradingdb.lib.cells import SAFE_DIGITS
from tradingdb.lib.errors import DomainError
from tradingdb.lib.recording import record, require_fresh
from tradingdb.lib.resources import TableResource, resource_of

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
else:
    ModelAdmin = object

CSV, XLSX = "csv", "xlsx"
TYPES = {
    CSV: "text/csv; charset=utf-8",
    XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# A spreadsheet is made before its first byte is sent, in about ten seconds for this many cells; CSV has no bound.
XLSX_ROWS = 100_000
XLSX_CELLS = 1_000_000
XLSX_TEXT = 32_767
BLOCK = 64 * 1024


# Each export holds a connection while it is sent; the rest of the pool stays with the people who trade.
MOST_AT_ONCE = 3
SLOTS = BoundedSemaphore(MOST_AT_ONCE)


class NotExported(DomainError):
    """An export is not made, and the message says what to do."""

    code = "not_exported"
    http_status = 409


def csv_blocks(headers: list[str], lines: Iterator[list[str]]) -> Iterator[bytes]:
    """Return a CSV file (RFC 4180, UTF-8) in blocks."""
    buffer = StringIO()
    writer = csv.writer(buffer)
    writer.writerow(headers)
    for line in lines:
        writer.writerow(line)
        if buffer.tell() >= BLOCK:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def spreadsheet(resource: TableResource, lines: Iterator[list[str]]) -> IO[bytes]:
    """Return an XLSX file. Whole numbers are numbers; decimals and times stay text, for a number cell is a float.

    Raises NotExported for a text longer than a cell of a spreadsheet holds.
    """
    book = Workbook(write_only=True)
    sheet = book.create_sheet("rows")
    fields = resource.get_export_fields()
    is_whole = [field.widget.write is str for field in fields]
    sheet.append([field.column_name for field in fields])
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile())
        try:
            for line in lines:
                if max(map(len, line), default=0) > XLSX_TEXT:
                    raise NotExported(f"A text has more than the {XLSX_TEXT:,} characters of a cell. Take CSV.")
                sheet.append([sheet_value(text, whole) for text, whole in zip(line, is_whole, strict=True)])
        finally:
            # Only a workbook that is saved gives back its own temporary file.
            book.save(file)
        file.seek(0)
        stack.pop_all()
        return file


def sheet_value(text: str, is_whole: bool) -> str | int | None:
    """Return a cell's value; control characters, which XML cannot hold, are replaced."""
    if is_whole and len(text) <= SAFE_DIGITS:
        return int(text) if text else None
    return ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", text) or None


class Download:
    """A file on its way to a browser, block by block. `close` comes in any case, and tells how many rows went."""

    def __init__(self, blocks: Iterator[bytes], *, closed: Callable[[], None]) -> None:
        self.blocks = blocks
        self.closed: Callable[[], None] | None = closed

    def __iter__(self) -> Iterator[bytes]:
        return self.blocks

    def close(self) -> None:
        getattr(self.blocks, "close", lambda: None)()
        closed, self.closed = self.closed, None
        if closed is not None:
            closed()


class AsyncDownload:
    """The same under ASGI, where a plain iterator would be read to its end before the first byte is sent."""

    def __init__(self, download: Download) -> None:
        self.download = download
        self.close = download.close

    async def __aiter__(self) -> AsyncIterator[bytes]:
        blocks = iter(self.download)
        # One thread per request: the cursor stays on the connection that opened it.
        while (block := await sync_to_async(partial(next, blocks, None), thread_sensitive=True)()) is not None:
            yield block


class Count:
    """Counts lines as they pass."""

    def __init__(self, lines: Iterator[list[str]]) -> None:
        self.lines = lines
        self.rows = 0
        self.is_whole = False

    def __iter__(self) -> Iterator[list[str]]:
        for line in self.lines:
            self.rows += 1
            yield line
        self.is_whole = True


class ExportMixin(ModelAdmin):
    """Adds the export to a page: whoever may see the rows may take them out, and it is recorded."""

    # Columns that no export has, beside secrets and hashes.
    not_exported: ClassVar[tuple[str, ...]] = ()
    resource_type: Any

    def has_export_permission(self, request: HttpRequest) -> bool:
        name = f"{self.opts.app_label}.export_{self.opts.model_name}"
        return self.has_view_permission(request) and bool(request.user.has_perm(name))

    def export_resource(self, *, to_edit: bool) -> TableResource:
        """Return the resource with all columns, or with those that an import takes back."""
        importable: tuple[str, ...] = getattr(self, "importable", ())
        if to_edit and importable:
            return resource_of(self.model, importable)()
        names = tuple(field.name for field in self.opts.concrete_fields if field.name not in self.not_exported)
        return resource_of(self.model, names)()

    def asking_for(self, request: HttpRequest, query: str) -> HttpRequest:
        """Return a request of the same person for the list with a query string."""
        asked = HttpRequest()
        asked.method, asked.user, asked.session = "GET", request.user, request.session
        asked.path, asked.META, asked.GET = request.path, request.META, QueryDict(query)
        return asked

    def filtered(self, request: HttpRequest, query: str) -> models.QuerySet[Any]:
        """Return what the list shows for a query string, all pages of it, in the list's order."""
        rows: models.QuerySet[Any] = self.get_changelist_instance(self.asking_for(request, query)).queryset
        return rows

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        view = self.admin_site.admin_view(require_POST(self.export_view))
        return [path("export/", view, name=name), *super().get_urls()]

    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        """Answer with the file, or go back to the list and say why not."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        kind, _, columns = request.POST.get("format", CSV).partition("-")
        address = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")
        try:
            rows = self.filtered(request, request.GET.urlencode())
        except IncorrectLookupParameters:
            return HttpResponseRedirect(f"{address}?e=1")
        self._check_whole(request, rows)
        try:
            resource = self.export_resource(to_edit=columns == "import")
            return self._answer(request, rows, resource, XLSX if kind == XLSX else CSV)
        except NotExported as e:
            messages.error(request, e.message)
            return HttpResponseRedirect(f"{address}?{request.GET.urlencode()}")

    def _check_whole(self, request: HttpRequest, rows: models.QuerySet[Any]) -> None:
        """Let only an admin, who proves to be there, take out a whole table of some size.

        Raises PermissionDenied and ReauthenticationRequired. A list that is narrowed by a filter is no whole table.
        """
        if rows.query.has_filters() or not rows.order_by().values_list("pk")[settings.EXPORT_FREELY_ROWS :][:1]:
            return
        if not getattr(request.user, "is_admin", False):
            raise PermissionDenied("A whole table of this size is an admin's to take out; narrow the list.")
        require_fresh(request, keeps_form=True)

    def _answer(
        self, request: HttpRequest, rows: models.QuerySet[Any], resource: TableResource, kind: str
    ) -> HttpResponseBase:
        lines = Count(resource.lines(rows))
        with ExitStack() as until_sent:
            if not SLOTS.acquire(blocking=False):
                raise NotExported(f"{MOST_AT_ONCE} exports are under way. Try again when one is through.")
            until_sent.callback(SLOTS.release)
            if kind == XLSX:
                check_fits(rows, columns=len(resource.get_export_fields()))
                file = until_sent.enter_context(spreadsheet(resource, iter(lines)))
                blocks = iter(partial(file.read, BLOCK), b"")
            else:
                blocks = csv_blocks(resource.get_export_headers(), iter(lines))
            told = {"format": kind, "query": request.GET.urlencode()[:2000]}
            # Written before the first byte leaves; how many rows went is known, and written, at the end.
            record(request, f"{self.resource_type}.export", self.resource_type, after=told)

            def tell() -> None:
                done = told | {"rows": lines.rows, "is_whole": lines.is_whole}
                record(request, f"{self.resource_type}.exported", self.resource_type, after=done)

            until_sent.callback(tell)
            download = Download(blocks, closed=until_sent.pop_all().close)
        content: Any = AsyncDownload(download) if isinstance(request, ASGIRequest) else download
        name = f"{self.opts.db_table}-{timezone.now():%Y%m%dT%H%M%SZ}.{kind}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return StreamingHttpResponse(content, content_type=TYPES[kind], headers=headers)


def check_fits(rows: models.QuerySet[Any], *, columns: int) -> None:
    """Raise NotExported for more rows than a spreadsheet is made of here."""
    most = min(XLSX_ROWS, XLSX_CELLS // max(columns, 1))
    if rows.values_list("pk")[most : most + 1]:
        raise NotExported(f"These are more than {most:,} rows, too many for XLSX. Take CSV, which has no bound.")
