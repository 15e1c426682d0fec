"""A look-alike on loopback and a client with its credentials."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from st_export.simulate.options import SimulateOptions
from st_export.simulate.server import LookAlike, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)


class Reader:
    """Asks the look-alike with a token of its own."""

    def __init__(self, look_alike: LookAlike, session: aiohttp.ClientSession) -> None:
        self.look_alike = look_alike
        self.simulation = look_alike.simulation
        self.session = session
        self.headers: dict[str, str] = {}

    async def log_in(self, tenant: int = 0) -> dict[str, Any]:
        access = self.look_alike.tenants[tenant]
        form = {"grant_type": "client_credentials", "client_id": access.client_id, "client_secret": access.client_secret}
        async with self.session.post(self.look_alike.auth_url, data=form) as answer:
            document: dict[str, Any] = await answer.json()
        self.headers = {"Authorization": f"Bearer {document['access_token']}", "ST-App-Key": access.app_key}
        return document

    async def ask(self, path: str, method: str = "GET", data: bytes | None = None, /, **query: str) -> tuple[int, Any, dict[str, str]]:
        url = self.look_alike.api_url + path.replace("{tenant}", "1001")
        async with self.session.request(method, url, params=query, headers=self.headers, data=data, allow_redirects=False) as answer:
            body = await answer.read()
            kind = answer.headers.get("Content-Type", "")
            return answer.status, await answer.json(content_type=None) if "json" in kind else body, dict(answer.headers)

    async def get(self, path: str, **query: str) -> Any:
        status, document, _ = await self.ask(path, **query)
        assert status == 200, document
        return document

    async def drain(self, path: str, **query: str) -> tuple[list[Any], str]:
        """Read a feed to its end; return the records and the last token."""
        records: list[Any] = []
        while True:
            page = await self.get(path, **query)
            records += page["data"]
            query["from"] = page["continueFrom"]
            if not page["hasMore"]:
                return records, page["continueFrom"]

    async def pages(self, path: str, size: int, **query: str) -> list[Any]:
        """Read a list to its end, page after page."""
        records: list[Any] = []
        page = 1
        while True:
            document = await self.get(path, page=str(page), pageSize=str(size), **query)
            records += document["data"]
            page += 1
            if not document["hasMore"]:
                return records


@pytest.fixture
def reading() -> Callable[..., AbstractAsyncContextManager[Reader]]:
    """Return a context: a look-alike with these options (60 rows, no limit, a clock at NOW) and a reader that has logged in."""

    @asynccontextmanager
    async def run(**options: Any) -> AsyncIterator[Reader]:
        defaults: dict[str, Any] = {"rows": 60, "requests_per_second": 0, "now": NOW, "feed_page_rows": 25}
        async with serve(SimulateOptions(**{**defaults, **options})) as look_alike, aiohttp.ClientSession() as session:
            reader = Reader(look_alike, session)
            await reader.log_in()
            yield reader

    return run
