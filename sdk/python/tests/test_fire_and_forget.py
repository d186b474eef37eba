"""Events that nobody waits for."""

import asyncio
import json
import logging
import threading

import httpx
import pytest
from fake import AGENT, OTHER, Fake

from sdk import _outbox

STORED = (201, {"created": 0, "events": []})


def kinds(request):
    return [event["event_type"] for event in json.loads(request.content)["events"]]


def refusing(status, bad, detail="no"):
    """A server that refuses batches with a bad event, and knows no agent OTHER."""

    def answer(request):
        if request.method == "GET":
            return 404, {"detail": "no such agent"}
        return (status, {"detail": detail}) if any(bad(e) for e in json.loads(request.content)["events"]) else STORED

    return Fake(answer)


def stored(fake):
    """The events of the batches that were not refused."""
    answer = fake.answers[0]
    return sorted(kind for r in fake.requests if r.method == "POST" and answer(r)[0] == 201 for kind in kinds(r))


@pytest.fixture
def quick(monkeypatch, pauses):
    """Goes on soon after the server was away."""
    monkeypatch.setattr(_outbox, "FIRST_PAUSE", 0.001)


async def test_sent_together_at_close():
    fake = Fake(STORED)
    async with fake.client() as client:
        for n in range(3):
            assert client.log_event_fire_and_forget(AGENT, f"e{n}", source="s", payload={"n": n}) is None
        assert client.pending_events == 3
        await asyncio.sleep(0)
        assert fake.requests == []  # more may come
    [request] = fake.requests
    assert request.url.path == "/api/events/batch" and kinds(request) == ["e0", "e1", "e2"]
    assert fake.bodies()[0]["events"][2] == {"agent_id": AGENT, "event_type": "e2", "source": "s", "payload": {"n": 2}}
    assert (client.pending_events, client.dropped_events) == (0, 0)


async def test_sent_after_the_interval():
    sent = asyncio.Event()
    fake = Fake(lambda request: sent.set() or STORED)
    client = fake.client(flush_interval=0.01)  # outside of async with
    client.log_event_fire_and_forget(AGENT, "e")
    await asyncio.wait_for(sent.wait(), 5)
    await client.aclose()
    assert len(fake.requests) == 1


async def test_a_hundred_do_not_wait():
    sent = asyncio.Event()
    fake = Fake(lambda request: sent.set() or STORED)
    async with fake.client(flush_interval=3600) as client:
        for _ in range(_outbox.ENOUGH - 1):
            client.log_event_fire_and_forget(AGENT, "e")
        await asyncio.sleep(0.01)
        assert not sent.is_set()
        client.log_event_fire_and_forget(AGENT, "e")
        await asyncio.wait_for(sent.wait(), 5)
    assert len(kinds(fake.requests[0])) == 100


async def test_batches_are_bounded(monkeypatch):
    fake = Fake(STORED)
    async with fake.client() as client:
        for _ in range(1001):
            client.log_event_fire_and_forget(AGENT, "e")
    assert [len(kinds(r)) for r in fake.requests] == [500, 500, 1]

    monkeypatch.setattr(_outbox, "BATCH_BYTES", 1000)
    fake = Fake(STORED)
    async with fake.client() as client:
        for size in (10, 5000, 10, 10):
            client.log_event_fire_and_forget(AGENT, "e", payload={"text": "x" * size})
    assert [len(kinds(r)) for r in fake.requests] == [1, 1, 2]


async def test_flush():
    fake = Fake(STORED)
    async with fake.client(flush_interval=3600) as client:
        assert await client.flush() is True
        client.log_event_fire_and_forget(AGENT, "e")
        assert await asyncio.gather(client.flush(), client.flush()) == [True, True]
        assert len(fake.requests) == 1
        client.log_event_fire_and_forget(AGENT, "f")  # the task has ended, and starts again
        assert await client.flush() is True
    assert [kinds(r) for r in fake.requests] == [["e"], ["f"]]


async def test_payload_is_that_of_the_call():
    fake = Fake(STORED)
    async with fake.client() as client:
        payload = {"step": 1}
        client.log_event_fire_and_forget(AGENT, "e", payload=payload)
        payload["step"] = 2
    assert fake.bodies()[0]["events"][0]["payload"] == {"step": 1}


async def test_never_raises(caplog):
    class Rude:
        def __str__(self):
            raise RuntimeError("no text")

    fake = Fake(STORED)
    async with fake.client() as client:
        client.log_event_fire_and_forget(AGENT, "e", payload={"thing": object()})
        client.log_event_fire_and_forget(AGENT, "e", payload={"text": "\ud800"})
        client.log_event_fire_and_forget(Rude(), "e")
        loop = {}
        loop["self"] = loop
        client.log_event_fire_and_forget(AGENT, "e", payload=loop)
        assert (client.dropped_events, client.pending_events) == (4, 0)
    client.log_event_fire_and_forget(AGENT, "late")
    assert client.dropped_events == 5 and fake.requests == []
    assert len(caplog.records) == 5


async def test_oldest_make_room(caplog):
    fake = Fake(STORED)
    async with fake.client(max_pending_events=3) as client:
        for n in range(10):
            client.log_event_fire_and_forget(AGENT, f"e{n}")
        assert (client.pending_events, client.dropped_events) == (3, 7)
    assert kinds(fake.requests[0]) == ["e7", "e8", "e9"]
    assert len([r for r in caplog.records if "oldest" in r.message]) == 1


async def test_server_that_was_away(quick):
    away = [(503, {"detail": "not yet"})] * 4
    fake = Fake(*away, *[httpx.ConnectError] * 4, STORED)
    async with fake.client(flush_interval=0) as client:
        client.log_event_fire_and_forget(AGENT, "e")
        assert await client.flush()
        assert client.dropped_events == 0
    assert len(fake.requests) == 9 and len(set(fake.keys())) == 1  # with one key, so that they are stored once


async def test_server_that_stays_away(quick, monkeypatch):
    monkeypatch.setattr(_outbox, "FIRST_PAUSE", 3600)
    fake = Fake(httpx.ConnectError)
    client = fake.client(flush_interval=0)
    client.log_event_fire_and_forget(AGENT, "e")
    while len(fake.requests) < 4:
        await asyncio.sleep(0)
    for _ in range(_outbox.ENOUGH + 1):  # new ones do not hurry what waits for the server
        client.log_event_fire_and_forget(AGENT, "e")
        await asyncio.sleep(0)
    assert len(fake.requests) == 4
    await client.aclose()  # tries once more, and does not wait for its timeout
    assert len(fake.requests) == 8 and client.dropped_events == _outbox.ENOUGH + 2 and client.pending_events == 0


async def test_closing_takes_its_time_and_no_more(caplog):
    async def hang(request):
        await asyncio.sleep(3600)

    fake = Fake(STORED)
    client = fake.client(close_timeout=0.05)
    client._transport._transport = httpx.MockTransport(hang)
    client.log_event_fire_and_forget(AGENT, "e")
    await client.aclose()
    assert (client.dropped_events, client.pending_events) == (1, 0)
    assert "before the client was closed" in caplog.text


async def test_closing_while_the_program_fails():
    fake = Fake(STORED)
    with pytest.raises(ZeroDivisionError):
        async with fake.client() as client:
            client.log_event_fire_and_forget(AGENT, "e")
            raise ZeroDivisionError
    assert len(fake.requests) == 1


async def test_refused_event_does_not_take_others_along(caplog):
    faults = [{"loc": ["body", "events", 1, "level"], "msg": "unknown", "type": "value_error"}]
    fake = Fake((422, {"detail": faults}), STORED)
    async with fake.client() as client:
        for kind in ("a", "bad", "b"):
            client.log_event_fire_and_forget(AGENT, kind)
    assert kinds(fake.requests[1]) == ["a", "b"] and len(fake.requests) == 2
    assert client.dropped_events == 1 and "event bad of agent" in caplog.text
    assert len(set(fake.keys())) == 2  # another request


async def test_event_that_the_server_does_not_name():
    fake = refusing(422, lambda e: e["event_type"] == "e13")
    async with fake.client() as client:
        for n in range(40):
            client.log_event_fire_and_forget(AGENT, f"e{n}")
    assert stored(fake) == sorted(f"e{n}" for n in range(40) if n != 13)
    assert client.dropped_events == 1 and len(fake.requests) < 16


async def test_agent_that_is_gone():
    fake = refusing(404, lambda e: e["agent_id"] == OTHER)
    async with fake.client() as client:
        for n in range(100):
            client.log_event_fire_and_forget(OTHER if n % 2 else AGENT, f"e{n}")
    assert stored(fake) == sorted(f"e{n}" for n in range(0, 100, 2))
    assert client.dropped_events == 50 and len(fake.requests) < 8


async def test_parent_that_is_gone():
    def answer(request):
        if request.method == "GET":
            return 200, {}
        return (404, {"detail": "no such event"}) if "bad" in kinds(request) else STORED

    fake = Fake(answer)
    async with fake.client() as client:
        for kind in ("a", "b", "bad", "c"):
            client.log_event_fire_and_forget(AGENT, kind)
    assert stored(fake) == ["a", "b", "c"] and client.dropped_events == 1


@pytest.mark.parametrize("status", [401, 403, 405, 301])
async def test_refusal_of_everything(status, caplog):
    fake = Fake((status, {"detail": "no"}))
    async with fake.client() as client:
        for n in range(5):
            client.log_event_fire_and_forget(AGENT, f"e{n}")
    assert len(fake.requests) == 1 and client.dropped_events == 5


async def test_attempt_that_is_being_answered(quick):
    busy = (409, {"detail": "still being answered"}, {"Retry-After": "0"})
    fake = Fake(*[busy] * 5, STORED)
    async with fake.client(flush_interval=0) as client:
        client.log_event_fire_and_forget(AGENT, "e")
        assert await client.flush()
    assert len(fake.requests) == 6 and len(set(fake.keys())) == 1 and client.dropped_events == 0


async def test_mistake_of_the_library_loses_one_batch(monkeypatch, caplog):
    fake = Fake(RuntimeError("a bug"), STORED)
    async with fake.client(flush_interval=0) as client:
        client.log_event_fire_and_forget(AGENT, "a")
        await client.flush()
        client.log_event_fire_and_forget(AGENT, "b")
    assert kinds(fake.requests[1]) == ["b"] and client.dropped_events == 1
    assert any(r.levelno == logging.ERROR for r in caplog.records)


def test_without_a_loop():
    fake = Fake(STORED)
    client = fake.client()
    client.log_event_fire_and_forget(AGENT, "early")
    assert client.pending_events == 1

    async def work():
        client.log_event_fire_and_forget(AGENT, "within")
        await asyncio.sleep(0)

    asyncio.run(work())  # which ends without closing
    client.log_event_fire_and_forget(AGENT, "between")
    assert client.pending_events == 3
    asyncio.run(client.aclose())
    assert [kinds(r) for r in fake.requests] == [["early", "within", "between"]]


def test_loop_that_ended_while_sending():
    async def hang(request):
        await asyncio.sleep(3600)

    fake = Fake(STORED)
    client = fake.client(flush_interval=0)

    async def work():
        client._transport._transport = httpx.MockTransport(hang)
        client.log_event_fire_and_forget(AGENT, "e")
        await asyncio.sleep(0.01)

    asyncio.run(work())
    client._transport._transport = httpx.MockTransport(fake)
    asyncio.run(client.aclose())
    assert [kinds(r) for r in fake.requests] == [["e"]] and client.dropped_events == 0


async def test_from_other_threads():
    fake = Fake(STORED)
    async with fake.client(flush_interval=0) as client:
        client.log_event_fire_and_forget(AGENT, "here")

        def work():
            for _ in range(200):
                client.log_event_fire_and_forget(AGENT, "there")

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            await asyncio.sleep(0)
        assert await client.flush()
        assert (client.pending_events, client.dropped_events) == (0, 0)
    assert sum(len(kinds(r)) for r in fake.requests) == 801
