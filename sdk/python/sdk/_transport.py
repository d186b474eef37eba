"""Sends requests, and sends them again when that is safe and may help."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Mapping
from typing import Any, Union

import httpx

from .exceptions import (
    AgentManagementError,
    APIConnectionError,
    APITimeoutError,
    ConflictError,
    NotFoundError,
    RateLimitError,
    ServerError,
    UnexpectedResponseError,
    error_of,
)

log = logging.getLogger("sdk")

# Back-off doubles from the first pause to the longest; a server that names a pause is believed, up to more than the minute in which
# it counts requests.
FIRST_PAUSE = 0.25
LONGEST_PAUSE = 8.0
LONGEST_NAMED_PAUSE = 90.0

DEFAULT_TIMEOUT = 30.0

USER_AGENT = "bureau-valar-sdk/1.0.0"

Timeout = Union[float, httpx.Timeout]

sleep = asyncio.sleep  # tests replace it


class Transport:
    """Requests to one server with one key. The connections belong to the event loop that is running; another loop gets its own."""

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        *,
        timeout: Timeout | None,
        max_retries: int,
        http_client: httpx.AsyncClient | None,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        if http_client is not None and transport is not None:
            raise ValueError("give http_client or transport, not both")
        if max_retries < 0:
            raise ValueError("max_retries must not be negative")
        self.base_url = base_url.strip().rstrip("/")
        # A key that was read from a file has a line's end behind it, which no header can carry.
        self._api_key = (api_key or "").strip()
        if not self._api_key.isascii() or not self._api_key.isprintable():
            raise ValueError("api_key must be one line of ASCII")  # and is not repeated, as what refuses the header would
        self._timeout = timeout
        self._max_retries = max_retries
        self._foreign = http_client
        self._transport = transport
        self._own: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closed = False

    def _http(self) -> httpx.AsyncClient:
        if self.closed:
            raise RuntimeError("the client is closed")
        if self._foreign is not None:
            return self._foreign
        loop = asyncio.get_running_loop()
        if self._own is None or self._loop is not loop:
            self._own = httpx.AsyncClient(transport=self._transport)
            self._loop = loop
        return self._own

    async def aclose(self) -> None:
        """Close the connections, unless they are the caller's."""
        self.closed = True
        if self._own is not None and self._loop is asyncio.get_running_loop():
            await self._own.aclose()
        self._own = None

    async def send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        authenticated: bool = True,
    ) -> httpx.Response:
        """Return a successful answer; raise an AgentManagementError for every other."""
        method = method.upper()
        url = self.base_url + "/" + path.lstrip("/")
        sent = {"accept": "application/json", "user-agent": USER_AGENT, **(headers or {})}
        if authenticated and self._api_key:
            sent["x-api-key"] = self._api_key
        if content is not None:
            sent["content-type"] = "application/json"
        if method == "POST" and authenticated:
            # One that was carried out and whose answer was lost is answered once more, not done once more.
            sent["idempotency-key"] = idempotency_key or uuid.uuid4().hex
        attempt = 0
        while True:
            error = None
            try:
                return await self._attempt(method, url, content, params, sent)
            except AgentManagementError as e:
                error = e
            if method == "DELETE" and attempt > 0 and isinstance(error, NotFoundError) and error.response is not None:
                return error.response  # the attempt before had done it
            pause = self._pause(error, attempt)
            if pause is None:
                raise error
            attempt += 1
            log.debug("%s %s: %s; trying again in %.2f s", method, url, error, pause)
            await sleep(pause)

    async def _attempt(
        self,
        method: str,
        url: str,
        content: bytes | None,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
    ) -> httpx.Response:
        timeout: Any = self._timeout
        if timeout is None:
            timeout = DEFAULT_TIMEOUT if self._foreign is None else httpx.USE_CLIENT_DEFAULT
        try:
            response = await self._http().request(
                method,
                url,
                content=content,
                params=params or None,
                headers=dict(headers),
                timeout=timeout,
                follow_redirects=False,  # another host would be shown the key
            )
        except httpx.TimeoutException as e:
            raise APITimeoutError(f"no answer to {method} {url} in time ({type(e).__name__})") from e
        except (httpx.HTTPError, httpx.InvalidURL) as e:
            raise APIConnectionError(f"{method} {url}: {e or type(e).__name__}") from e
        if not response.is_success:
            raise error_of(response)
        return response

    def _pause(self, error: AgentManagementError, attempt: int) -> float | None:
        """Return how long to wait before trying again, None for not at all. Whether it is safe is settled: POSTs have a key."""
        if attempt >= self._max_retries or not _worthwhile(error):
            return None
        back_off: float = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE) * random.uniform(0.75, 1.25)
        if error.retry_after is None:
            return back_off
        return max(error.retry_after, back_off) if error.retry_after <= LONGEST_NAMED_PAUSE else None


def _worthwhile(error: AgentManagementError) -> bool:
    if isinstance(error, APIConnectionError):
        # An address that cannot be used stays so.
        return isinstance(error.__cause__, httpx.TransportError) and not isinstance(
            error.__cause__, (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
        )
    if isinstance(error, ConflictError):
        return error.retry_after is not None  # the attempt before is still being answered
    return isinstance(error, (RateLimitError, ServerError))


def decode(response: httpx.Response) -> Any:
    """Return the JSON of an answer; None when it has no body."""
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError as e:
        raise UnexpectedResponseError("the answer is not JSON: is the base URL right?", response=response) from e
