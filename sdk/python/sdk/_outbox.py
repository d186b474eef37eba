"""Events that nobody waits for: kept, put together, and sent in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from . import _json
from ._transport import Transport
from .exceptions import (
    AgentManagementError,
    APIConnectionError,
    ConflictError,
    NotFoundError,
    RateLimitError,
    ServerError,
    ValidationError,
)

log = logging.getLogger("sdk")

# So many that wait are sent at once; so many, and so many bytes, go into one request.
ENOUGH = 100
BATCH_ITEMS = 500
BATCH_BYTES = 4 << 20

# Pauses between attempts while the server is away, beyond those of each request.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0

# Refusals that may be the fault of single events; every other holds for all that could be sent.
ABOUT_EVENTS = frozenset({400, 404, 409, 413, 422})


@dataclass(frozen=True)
class Item:
    """An event as it goes over the wire. It was written when it was logged: what its payload holds may change afterwards."""

    agent_id: str
    event_type: str
    raw: bytes


@dataclass(frozen=True)
class Batch:
    """Events of one request. The key stays with them, so that they are stored once however often they are sent."""

    items: Sequence[Item]
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def body(self) -> bytes:
        """Return the request."""
        return b'{"events":[' + b",".join(item.raw for item in self.items) + b"]}"


class Outbox:
    """A bounded queue of events, and the task that empties it, which lives while there is something to send.

    put may be called from any thread. Everything else belongs to one event loop: that on which put was called first, or another when
    that has ended.
    """

    def __init__(self, transport: Transport, *, interval: float, capacity: int) -> None:
        if interval < 0 or capacity < 1:
            raise ValueError("flush_interval must not be negative, and max_pending_events must be positive")
        self._transport = transport
        self._interval = interval
        self._capacity = capacity
        self._lock = threading.RLock()
        self._waiting: deque[Item] = deque()
        self._batches: list[Batch] = []  # taken from the queue and not yet settled; the last goes first
        self._put = 0
        self._settled = 0
        self._flushes: list[tuple[int, asyncio.Future[None]]] = []
        self.dropped = 0
        self._closed = False
        self._hurried = 0  # how many flushes wait: nobody waits for more events meanwhile
        self._away = False  # the server does not answer: what is put does not wake the task
        self._crowded = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.Event | None = None

    @property
    def pending(self) -> int:
        """How many events are neither stored nor dropped."""
        return self._put - self._settled

    def put(self, item: Item) -> None:
        """Queue an event; the oldest that waits makes room when there is none."""
        with self._lock:
            self._put += 1
            if self._closed:
                self._settle(1, dropped=True)
                log.warning("event %s was dropped: the client is closed", item.event_type)
                return
            if self.pending > self._capacity and self._waiting:
                self._waiting.popleft()
                self._settle(1, dropped=True)
                if not self._crowded:
                    log.warning("%d events wait to be sent: the oldest are dropped", self._capacity)
                self._crowded = True
            self._waiting.append(item)
        self._start()

    def lost(self) -> None:
        """Count an event that could not even be put."""
        with self._lock:
            self.dropped += 1

    def _start(self) -> None:
        """Have a task running on the right loop. Without any the events wait until there is one."""
        try:
            here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        home = self._loop
        if home is not None and home is not here and home.is_running():
            with contextlib.suppress(RuntimeError):  # it may be closing
                home.call_soon_threadsafe(self._spawn)
        elif here is not None:
            self._loop = here
            self._spawn()

    def _spawn(self) -> None:
        loop = asyncio.get_running_loop()
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            if not self.pending:
                return
            self._away = False
            self._wake = asyncio.Event()
            self._task = loop.create_task(self._run(self._wake))
        if self._wake is not None and (self._hurried or (len(self._waiting) >= ENOUGH and not self._away)):
            self._wake.set()

    async def flush(self, timeout: float) -> bool:
        """Send what was put before. False when that could not be done in time."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            target = self._put
            if self._settled >= target:
                return True
            self._flushes.append((target, done))
        self._hurried += 1
        try:
            self._start()
            await asyncio.wait_for(done, timeout)
        except asyncio.TimeoutError:
            pass
        finally:
            self._hurried -= 1
            with self._lock:
                self._flushes = [waiting for waiting in self._flushes if waiting[1] is not done]
        return self._settled >= target

    async def aclose(self, timeout: float) -> None:
        """Send what waits, as far as the time allows, and drop the rest."""
        with self._lock:
            self._closed = True
        await self.flush(timeout)
        if self._task is not None and not self._task.done() and self._task.get_loop() is asyncio.get_running_loop():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=1)
        with self._lock:
            left = self.pending
            self._waiting.clear()
            self._batches.clear()
            self._settle(left, dropped=True)
        if left:
            log.warning("%d events were dropped: they could not be sent before the client was closed", left)

    def _settle(self, n: int, *, dropped: bool = False) -> None:
        """Note that n events are stored, or dropped."""
        with self._lock:
            self._settled += n
            if dropped:
                self.dropped += n
            for target, done in self._flushes:
                if target <= self._settled:
                    _finish(done)

    async def _run(self, wake: asyncio.Event) -> None:
        pause = FIRST_PAUSE
        while self._batches or self._waiting:
            if not self._batches:
                if len(self._waiting) < ENOUGH and not self._hurried:
                    await _wait(wake, self._interval)
                wake.clear()
                self._take()
            try:
                await self._deliver(self._batches[-1])
                pause, self._away = FIRST_PAUSE, False
            except (APIConnectionError, RateLimitError, ServerError) as e:
                if self._closed:
                    self._give_up()
                    return
                log.warning("%d events wait until the server is back: %s", self.pending, e)
                self._away = True
                wake.clear()
                await _wait(wake, max(pause, e.retry_after or 0))
                pause = min(2 * pause, LONGEST_PAUSE)
            except Exception:
                # A mistake of this module's must end neither the program nor the sending.
                log.exception("events could not be sent")
                self._drop(self._batches.pop().items, "an unexpected error")

    def _give_up(self) -> None:
        """Let nobody wait for what will not be sent any more."""
        with self._lock:
            for _, done in self._flushes:
                _finish(done)

    def _take(self) -> None:
        """Make a batch of what waits longest."""
        with self._lock:
            items: list[Item] = []
            size = 0
            while self._waiting and len(items) < BATCH_ITEMS:
                size += len(self._waiting[0].raw)
                if items and size > BATCH_BYTES:
                    break
                items.append(self._waiting.popleft())
            self._batches.append(Batch(items))

    async def _deliver(self, batch: Batch) -> None:
        """Send a batch, which is stored, split or dropped then; raise when it may go later."""
        try:
            await self._transport.send("POST", "/events/batch", content=batch.body(), idempotency_key=batch.key)
        except (APIConnectionError, RateLimitError, ServerError):
            raise
        except AgentManagementError as e:
            if isinstance(e, ConflictError) and e.retry_after is not None:  # an attempt before is still being answered
                raise ServerError(e.message, detail=e.detail, response=e.response) from e
            rest = await self._sift(batch.items, e)
            self._batches.remove(batch)
            self._batches += [Batch(part) for part in reversed(rest)]
        else:
            self._batches.remove(batch)
            self._settle(len(batch.items))
            self._crowded = False

    async def _sift(self, items: Sequence[Item], error: AgentManagementError) -> list[Sequence[Item]]:
        """Drop those of a refused batch that are at fault, and return the others in smaller ones: a batch is stored whole or not at all."""
        if len(items) == 1 or error.status not in ABOUT_EVENTS:
            self._drop(items, error)
            return []
        bad = _named(error)
        if bad:
            self._drop([item for i, item in enumerate(items) if i in bad], error)
            return [good] if (good := [item for i, item in enumerate(items) if i not in bad]) else []
        # Side by side by agent, so that one that is gone is soon alone. Each agent's events stay in order.
        ordered = sorted(items, key=lambda item: item.agent_id)
        alone = ordered[0].agent_id == ordered[-1].agent_id
        if alone and isinstance(error, NotFoundError) and await self._gone(ordered[0].agent_id):
            self._drop(items, error)
            return []
        half = len(ordered) // 2
        return [ordered[:half], ordered[half:]]

    async def _gone(self, agent_id: str) -> bool:
        try:
            await self._transport.send("GET", f"/agents/{_json.segment(agent_id)}")
        except NotFoundError:
            return True
        except AgentManagementError:
            pass  # the key may not read agents
        return False

    def _drop(self, items: Sequence[Item], why: object) -> None:
        for agent, kind in sorted({(item.agent_id, item.event_type) for item in items})[:10]:
            log.warning("event %s of agent %s was dropped: %s", kind, agent, why)
        self._settle(len(items), dropped=True)


def _named(error: AgentManagementError) -> set[int]:
    """Return which events a refusal names: their places in the batch."""
    named = set()
    for fault in error.errors if isinstance(error, ValidationError) else ():
        loc = list(fault.get("loc") or ())
        if len(loc) > 2 and loc[:2] == ["body", "events"] and isinstance(loc[2], int):
            named.add(loc[2])
    return named


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)


def _finish(done: asyncio.Future[None]) -> None:
    """End a future of whichever loop."""

    def end() -> None:
        if not done.done():
            done.set_result(None)

    with contextlib.suppress(RuntimeError):  # its loop has ended, and nobody waits
        done.get_loop().call_soon_threadsafe(end)
