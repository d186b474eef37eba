"""The client: a method for every call of the API."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar

import httpx

from . import models
from ._compat import M, ModelError, build
from ._json import LEFT_OUT, Id, Time, changed, encode, given, query, segment, text_of
from ._outbox import Item, Outbox
from ._transport import Timeout, Transport, decode
from .exceptions import ConflictError, UnexpectedResponseError
from .pages import Page

log = logging.getLogger("sdk")

Self = TypeVar("Self", bound="AgentManagementClient")


class AgentManagementClient:
    """Speaks to one server with one key.

    Use it with `async with`, or call `aclose` at the end. It may be used by many tasks of one event loop at once.

    base_url is where the API stands, such as http://127.0.0.1:8080/compat/valar. timeout is for each attempt, 30 seconds when left
    out. max_retries is how often a failed connection, 429 or 5xx is tried again, with growing pauses or after what Retry-After says.
    http_client is an httpx.AsyncClient of yours, which stays yours to close; transport goes into the client's own instead.

    Events of `log_event_fire_and_forget` are sent flush_interval seconds after the first of them at the latest, sooner when 100 wait.
    max_pending_events may wait, then the oldest are dropped. Closing sends what waits and takes close_timeout seconds at most.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        timeout: Timeout | None = None,
        max_retries: int = 3,
        http_client: httpx.AsyncClient | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        flush_interval: float = 3.0,
        max_pending_events: int = 10_000,
        close_timeout: float = 5.0,
    ) -> None:
        self._transport = Transport(
            base_url, api_key, timeout=timeout, max_retries=max_retries, http_client=http_client, transport=transport
        )
        self._outbox = Outbox(self._transport, interval=flush_interval, capacity=max_pending_events)
        self._close_timeout = close_timeout

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._transport.base_url!r})"

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Send the events that wait, and close the connections. Closing twice is fine."""
        try:
            await self._outbox.aclose(self._close_timeout)
        finally:
            await self._transport.aclose()

    close = aclose

    # ------------------------------------------------------------ requests

    async def _request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """Send any request and return the decoded answer, None when it has no body. Errors and retries are as for every method."""
        response = await self._transport.send(
            method,
            path,
            content=None if json is None else encode(json),
            params=query(**(params or {})),
            headers=headers,
            idempotency_key=idempotency_key,
        )
        return decode(response)

    async def _one(self, model: type[M], method: str, path: str, body: Any = None, /, **params: Any) -> M:
        response = await self._transport.send(method, path, content=None if body is None else encode(body), params=query(**params))
        return _fit(model, decode(response), response)

    async def _list(self, model: type[M], path: str, /, *, limit: int | None, offset: int | None, **filters: Any) -> Page[M]:
        response = await self._transport.send("GET", path, params=query(limit=limit, offset=offset, **filters))
        items = decode(response)
        if not isinstance(items, list):
            raise UnexpectedResponseError("the answer is not a list: is the base URL right?", response=response)
        total = response.headers.get("x-total-count", "")

        def fetch(start: int) -> Awaitable[Page[M]]:
            return self._list(model, path, limit=limit, offset=start, **filters)

        return Page(
            [_fit(model, item, response) for item in items],
            total=int(total) if total.isdigit() else None,
            offset=offset or 0,
            fetch=fetch,
        )

    # ------------------------------------------------------------ agents

    async def register_agent(
        self,
        name: str,
        type: str = "assistant",
        *,
        icon: str | None = None,
        platform: str | None = None,
        description: str | None = None,
        status: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> models.Agent:
        """Register an agent, or return the one that has the name, unchanged. ConflictError when that cannot be found."""
        body = {"type": "assistant"} | given(
            name=name,
            type=type,
            icon=icon,
            platform=platform,
            description=description,
            status=status,
            metadata=metadata,
        )
        for last in (False, True):
            try:
                return await self._one(models.Agent, "POST", "/agents", body)
            except ConflictError:
                found = await self._named(name)
                if found is not None:
                    return found
                if last:  # else it was deleted in between, and the name is free again
                    raise
        raise AssertionError("unreachable")

    async def _named(self, name: str) -> models.Agent | None:
        """Return the agent of a name. The API finds names whatever their case; of several, one that is spelt the same goes first."""
        found = await self.list_agents(name=name, limit=500)
        return next((agent for agent in found if agent.name == name), found[0] if found else None)

    async def list_agents(
        self,
        *,
        name: str | None = None,
        type: str | None = None,
        status: str | None = None,
        platform: str | None = None,
        search: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Page[models.Agent]:
        """List agents, newest first. search is a part of the name."""
        return await self._list(
            models.Agent,
            "/agents",
            limit=limit,
            offset=offset,
            name=name,
            type=type,
            status=status,
            platform=platform,
            search=search,
        )

    async def get_agent(self, agent_id: Id) -> models.Agent:
        """Return an agent."""
        return await self._one(models.Agent, "GET", f"/agents/{segment(agent_id)}")

    async def update_agent(
        self,
        agent_id: Id,
        *,
        name: str | None = LEFT_OUT,
        type: str | None = LEFT_OUT,
        icon: str | None = LEFT_OUT,
        platform: str | None = LEFT_OUT,
        description: str | None = LEFT_OUT,
        status: str | None = LEFT_OUT,
        metadata: Mapping[str, Any] | None = LEFT_OUT,
    ) -> models.Agent:
        """Change an agent. What is left out stays; None clears icon, platform, description, status and metadata."""
        body = changed(
            name=name,
            type=type,
            icon=icon,
            platform=platform,
            description=description,
            status=status,
            metadata=metadata,
        )
        return await self._one(models.Agent, "PATCH", f"/agents/{segment(agent_id)}", body)

    async def delete_agent(self, agent_id: Id) -> None:
        """Delete an agent with all that only it needs."""
        await self._transport.send("DELETE", f"/agents/{segment(agent_id)}")

    # ------------------------------------------------------------ events

    async def log_event(
        self,
        agent_id: Id,
        event_type: str,
        *,
        source: str | None = None,
        level: str | None = None,
        trace_id: str | None = None,
        parent_event_id: Id | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> models.Event:
        """Log an event. level is info unless given, or warning, error, critical."""
        return await self._one(
            models.Event,
            "POST",
            "/events",
            _event(agent_id, event_type, source, level, trace_id, parent_event_id, payload),
        )

    def log_event_fire_and_forget(
        self,
        agent_id: Id,
        event_type: str,
        *,
        source: str | None = None,
        level: str | None = None,
        trace_id: str | None = None,
        parent_event_id: Id | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> None:
        """Log an event in the background. This neither waits nor raises; what cannot be sent is logged and counted in dropped_events.

        It may be called from any thread. Without a running event loop events wait for the next call that has one, or for aclose.
        """
        try:
            body = _event(agent_id, event_type, source, level, trace_id, parent_event_id, payload)
            self._outbox.put(Item(str(agent_id), str(event_type), encode(body)))
        except Exception:
            self._outbox.lost()
            log.warning("event %s was dropped: it cannot be written as JSON", event_type, exc_info=True)

    async def flush(self, timeout: float = 10.0) -> bool:
        """Send the events of log_event_fire_and_forget that wait. False when that could not be done in time; they keep waiting."""
        return await self._outbox.flush(timeout)

    @property
    def pending_events(self) -> int:
        """How many events of log_event_fire_and_forget are neither stored nor dropped."""
        return self._outbox.pending

    @property
    def dropped_events(self) -> int:
        """How many events of log_event_fire_and_forget were not stored and will not be."""
        return self._outbox.dropped

    async def log_events_batch(self, events: Iterable[Mapping[str, Any]]) -> models.BatchResult:
        """Log 1 to 500 events, all or none. Each has agent_id and event_type, and what else log_event takes."""
        return await self._one(models.BatchResult, "POST", "/events/batch", {"events": list(events)})

    async def list_events(
        self,
        *,
        agent_id: Id | None = None,
        event_type: str | None = None,
        source: str | None = None,
        level: str | None = None,
        trace_id: str | None = None,
        parent_event_id: Id | None = None,
        since: Time | None = None,
        until: Time | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Page[models.Event]:
        """List events, newest first."""
        return await self._list(
            models.Event,
            "/events",
            limit=limit,
            offset=offset,
            agent_id=agent_id,
            event_type=event_type,
            source=source,
            level=level,
            trace_id=trace_id,
            parent_event_id=parent_event_id,
            since=since,
            until=until,
        )

    async def cleanup_events(
        self, older_than_days: int, *, agent_name: str | None = None, agent_id: Id | None = None
    ) -> models.CleanupResult:
        """Delete the events that are older, of one agent or of all."""
        return await self._one(
            models.CleanupResult,
            "DELETE",
            "/events",
            older_than_days=older_than_days,
            agent_name=agent_name,
            agent_id=agent_id,
        )

    # ------------------------------------------------------------ messages

    async def send_message(
        self,
        sender_id: Id,
        receiver_id: Id,
        message_type: str,
        *,
        payload: Mapping[str, Any] | None = None,
        trace_id: str | None = None,
    ) -> models.Message:
        """Log a message of one agent to another."""
        body = given(
            sender_id=str(sender_id),
            receiver_id=str(receiver_id),
            message_type=message_type,
            payload=payload,
            trace_id=trace_id,
        )
        return await self._one(models.Message, "POST", "/messages", body)

    async def list_messages(
        self,
        *,
        agent_id: Id | None = None,
        sender_id: Id | None = None,
        receiver_id: Id | None = None,
        message_type: str | None = None,
        trace_id: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Page[models.Message]:
        """List messages, newest first. agent_id finds both sides."""
        return await self._list(
            models.Message,
            "/messages",
            limit=limit,
            offset=offset,
            agent_id=agent_id,
            sender_id=sender_id,
            receiver_id=receiver_id,
            message_type=message_type,
            trace_id=trace_id,
            since=since,
            until=until,
        )

    # ------------------------------------------------------------ feedback

    async def submit_feedback(
        self,
        target_type: str,
        target_id: Id,
        feedback_type: str,
        *,
        rating: int | None = None,
        comment: str | None = None,
        user: str | None = None,
    ) -> models.Feedback:
        """Say what somebody thinks of an agent, an event or a message. feedback_type is thumbs_up or thumbs_down; rating is 1 to 5."""
        body = given(
            target_type=target_type,
            target_id=str(target_id),
            feedback_type=feedback_type,
            rating=rating,
            comment=comment,
            user=user,
        )
        return await self._one(models.Feedback, "POST", "/feedback", body)

    async def list_feedback(
        self,
        *,
        target_type: str | None = None,
        target_id: Id | None = None,
        feedback_type: str | None = None,
        agent_id: Id | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Page[models.Feedback]:
        """List feedback, newest first."""
        return await self._list(
            models.Feedback,
            "/feedback",
            limit=limit,
            offset=offset,
            target_type=target_type,
            target_id=target_id,
            feedback_type=feedback_type,
            agent_id=agent_id,
        )

    async def feedback_summary(
        self, *, agent_id: Id | None = None, since: Time | None = None, until: Time | None = None
    ) -> models.FeedbackSummary:
        """Add feedback up, of one agent or of all."""
        return await self._one(models.FeedbackSummary, "GET", "/feedback/summary", agent_id=agent_id, since=since, until=until)

    # ------------------------------------------------------------ usage

    async def report_usage(
        self,
        agent_id: Id,
        *,
        model: str,
        tokens_input: int = 0,
        tokens_output: int = 0,
        cached_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        cache_write_1h_tokens: int | None = None,
        cost: float | None = None,
        api_calls: int | None = None,
        avg_latency_ms: float | None = None,
        provider: str | None = None,
    ) -> models.Usage:
        """Report what a call of a language model used; the server makes computed_cost of it.

        For provider anthropic tokens_input is without the cached tokens, for every other it includes them: as those count themselves.
        """
        body = given(
            agent_id=str(agent_id),
            model=model,
            tokens_input=tokens_input,
            tokens_output=tokens_output,
            cached_tokens=cached_tokens,
            cache_write_tokens=cache_write_tokens,
            cache_write_1h_tokens=cache_write_1h_tokens,
            cost=cost,
            api_calls=api_calls,
            avg_latency_ms=avg_latency_ms,
            provider=provider,
        )
        return await self._one(models.Usage, "POST", "/usage", body)

    async def list_usage(
        self,
        *,
        agent_id: Id | None = None,
        model: str | None = None,
        provider: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Page[models.Usage]:
        """List reports of usage, newest first."""
        return await self._list(
            models.Usage,
            "/usage",
            limit=limit,
            offset=offset,
            agent_id=agent_id,
            model=model,
            provider=provider,
            since=since,
            until=until,
        )

    async def usage_summary(
        self,
        *,
        agent_id: Id | None = None,
        group_by: str | None = None,
        since: Time | None = None,
        until: Time | None = None,
    ) -> models.UsageSummary:
        """Add usage up, in groups by agent, model, provider or day."""
        return await self._one(models.UsageSummary, "GET", "/usage/summary", agent_id=agent_id, group_by=group_by, since=since, until=until)

    # ------------------------------------------------------------ skills

    async def ingest_skills(self, agent_id: Id, skills: Iterable[Mapping[str, Any]]) -> models.IngestResult:
        """Submit skills of an agent for review, all or none. Each has key, name and category at least; an hour has room for 50."""
        return await self._one(models.IngestResult, "POST", "/skills/ingest", {"agent_id": str(agent_id), "skills": list(skills)})

    async def list_skill_reviews(
        self, *, status: str | None = None, limit: int | None = None, offset: int | None = None
    ) -> Page[models.Skill]:
        """List skills of the agents that you are linked to: the pending ones, or those approved or denied."""
        return await self._list(models.Skill, "/skills/review", limit=limit, offset=offset, status=status)

    async def approve_skill(
        self, skill_id: Id, *, digest: str | None = None, reason: str | None = None, accept_risk: bool | None = None
    ) -> models.Skill:
        """Let a skill into the marketplace.

        digest is the sha256 of what you have seen; ConflictError when the skill is another by now. accept_risk lets an administrator
        approve what the security scan calls malicious, with a reason.
        """
        body = given(digest=digest, reason=reason, accept_risk=accept_risk)
        return await self._one(models.Skill, "POST", f"/skills/{segment(skill_id)}/approve", body or None)

    async def deny_skill(self, skill_id: Id, reason: str | None = None) -> models.Skill:
        """Keep a skill out of the marketplace."""
        return await self._one(models.Skill, "POST", f"/skills/{segment(skill_id)}/deny", given(reason=reason))

    async def list_marketplace_skills(
        self,
        *,
        search: str | None = None,
        category: str | None = None,
        tag: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Page[models.Skill]:
        """List approved skills."""
        return await self._list(models.Skill, "/marketplace/skills", limit=limit, offset=offset, search=search, category=category, tag=tag)

    async def get_marketplace_skill(self, skill_id: Id) -> models.Skill:
        """Return an approved skill."""
        return await self._one(models.Skill, "GET", f"/marketplace/skills/{segment(skill_id)}")

    async def get_install_prompt(self, skill_id: Id) -> str:
        """Return the text that gives another agent the skill."""
        response = await self._transport.send("GET", f"/marketplace/skills/{segment(skill_id)}/install-prompt")
        answer = decode(response)
        if not isinstance(answer, dict) or not isinstance(answer.get("prompt"), str):
            raise UnexpectedResponseError("the answer has no prompt", response=response)
        return str(answer["prompt"])

    # ------------------------------------------------------------ agent links

    async def create_agent_link(self, agent_id: Id, user: str) -> models.AgentLink:
        """Let a user review an agent's skills. user is a key's id or name, or an e-mail address."""
        return await self._one(models.AgentLink, "POST", "/agent-links", {"agent_id": str(agent_id), "user": user})

    async def list_agent_links(self, *, limit: int | None = None, offset: int | None = None) -> Page[models.AgentLink]:
        """List who reviews which agent's skills."""
        return await self._list(models.AgentLink, "/agent-links", limit=limit, offset=offset)

    async def delete_agent_link(self, link_id: Id) -> None:
        """Take a link away."""
        await self._transport.send("DELETE", f"/agent-links/{segment(link_id)}")

    # ------------------------------------------------------------ health

    async def health(self) -> models.Health:
        """Ask whether the server is well. This needs no key and sends none."""
        response = await self._transport.send("GET", "/health", authenticated=False)
        return _fit(models.Health, decode(response), response)


def _event(
    agent_id: Id,
    event_type: str,
    source: str | None,
    level: str | None,
    trace_id: str | None,
    parent_event_id: Id | None,
    payload: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return given(
        agent_id=str(agent_id),
        event_type=event_type,
        source=source,
        level=level,
        trace_id=trace_id,
        parent_event_id=text_of(parent_event_id),
        payload=payload,
    )


def _fit(model: type[M], data: Any, response: httpx.Response) -> M:
    try:
        return build(model, data)
    except ModelError as e:
        raise UnexpectedResponseError(f"the answer is no {model.__name__}: {e}", response=response) from e
