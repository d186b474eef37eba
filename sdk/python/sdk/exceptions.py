"""What the client raises. Everything is an AgentManagementError."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

__all__ = [
    "APIConnectionError",
    "APITimeoutError",
    "AgentManagementError",
    "AuthenticationError",
    "ConflictError",
    "ForbiddenError",
    "NotFoundError",
    "RateLimitError",
    "ServerError",
    "UnexpectedResponseError",
    "ValidationError",
]


class AgentManagementError(Exception):
    """Base of every error of this library, and what is raised for a status without a class of its own.

    status is the HTTP status, None when no answer came; detail what the server said of it: a text, or with 422 a list of faults;
    response the whole answer; request_id the server's name for the request, for reports; retry_after the seconds after which the
    server thinks that trying again makes sense, None when it did not say.
    """

    def __init__(self, message: str, *, detail: Any = None, response: httpx.Response | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.response = response
        self.status: int | None = None if response is None else response.status_code
        self.request_id: str | None = None if response is None else response.headers.get("request-id")
        self.retry_after: float | None = None if response is None else _seconds(response.headers.get("retry-after"))


class AuthenticationError(AgentManagementError):
    """401: no API key, or one that is not valid."""


class ForbiddenError(AgentManagementError):
    """403: the key lacks a permission, or the plan has no room."""


class NotFoundError(AgentManagementError):
    """404: it does not exist, or belongs to somebody else."""


class ConflictError(AgentManagementError):
    """409: a name that another agent has. `register_agent` turns this into the agent of that name."""


class ValidationError(AgentManagementError):
    """422: the input is faulty. errors lists the faults: {"loc": ["body", "name"], "msg": ..., "type": ...}."""

    @property
    def errors(self) -> Sequence[dict[str, Any]]:
        """The faults; empty when the server did not list any."""
        return [fault for fault in self.detail if isinstance(fault, dict)] if isinstance(self.detail, list) else []


class RateLimitError(AgentManagementError):
    """429: too many requests, also after the client has waited; see retry_after."""


class ServerError(AgentManagementError):
    """5xx, also after the client has tried again."""


class APIConnectionError(AgentManagementError):
    """No answer came: the server could not be reached, or the connection broke."""


class APITimeoutError(APIConnectionError):
    """No answer came in time."""


class UnexpectedResponseError(AgentManagementError):
    """The answer is not what the API promises: mostly a base URL that leads elsewhere."""


_BY_STATUS: dict[int, type[AgentManagementError]] = {
    401: AuthenticationError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: ValidationError,
    429: RateLimitError,
}


def error_of(response: httpx.Response) -> AgentManagementError:
    """Make the error of an answer that is no success."""
    status = response.status_code
    try:
        body = response.json()
    except ValueError:
        body = None
    # Whatever stands between client and server may answer without the envelope.
    detail = body["detail"] if isinstance(body, dict) and "detail" in body else (response.text or None)
    if status < 400:
        kind: type[AgentManagementError] = UnexpectedResponseError
    elif status >= 500:
        kind = ServerError
    else:
        kind = _BY_STATUS.get(status, AgentManagementError)
    where = response.headers.get("location")
    said = f"redirected to {where}" if status < 400 and where else _text(detail)
    return kind(f"{status}: {said}", detail=detail, response=response)


def _text(detail: Any) -> str:
    if isinstance(detail, list):
        return "; ".join(_fault(fault) for fault in detail)
    return str(detail)[:500] if detail else "no reason given"


def _fault(fault: Any) -> str:
    if not isinstance(fault, dict):
        return str(fault)
    return ".".join(str(part) for part in fault.get("loc", ())) + f": {fault.get('msg')}"


def _seconds(header: str | None) -> float | None:
    """Read Retry-After: seconds, or a date."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())
