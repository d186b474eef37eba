"""Lists that know how long they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any, Callable, TypeVar

T = TypeVar("T")

Fetch = Callable[[int], Awaitable["Page[Any]"]]


class Page(list[T]):
    """A page of a list, newest first: a list of its items.

    total is how many items there are on all pages, None when the server does not count them; offset how many stand before this page.
    """

    def __init__(self, items: list[T], *, total: int | None, offset: int, fetch: Fetch) -> None:
        super().__init__(items)
        self.total = total
        self.offset = offset
        self._fetch = fetch

    @property
    def has_more(self) -> bool:
        """Whether another page follows, as far as this one knows."""
        return bool(self) and (self.total is None or self.offset + len(self) < self.total)

    async def next(self) -> Page[T]:
        """Return the page after this one; it is empty after the last."""
        following: Page[T] = await self._fetch(self.offset + len(self))
        return following

    async def all(self) -> AsyncIterator[T]:
        """Walk over the items of this page and of all that follow.

        Items that arrive meanwhile push others to later pages; those are not shown twice.
        """
        page, seen = self, set()
        while True:
            for item in page:
                key = getattr(item, "id", None)
                if key is None or key not in seen:
                    seen.add(key)
                    yield item
            if not page.has_more:
                return
            page = await page.next()
