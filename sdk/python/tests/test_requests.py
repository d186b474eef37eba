"""What is asked for, and what is made of the answers."""

import json
import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum

import httpx
import pytest
from fake import AGENT, OTHER, THING, TIME, Fake, agent, event

import sdk
from sdk import AgentManagementClient, Page

message = {"id": THING, "sender_id": AGENT, "receiver_id": OTHER, "message_type": "request", "created_at": TIME}
feedback = {"id": THING, "target_type": "agent", "target_id": AGENT, "feedback_type": "thumbs_up", "created_at": TIME}
usage = {"id": THING, "agent_id": AGENT, "model": "m", "tokens_input": 1, "computed_cost": None, "created_at": TIME}
sums = {"tokens_input": 1, "tokens_output": 2, "cached_tokens": 0, "api_calls": 1, "cost": 0.5, "computed_cost": 0.25, "unpriced": 1}
skill = {"id": THING, "key": "k", "name": "n", "category": "c", "version": None, "status": "pending"}
link = {"id": THING, "agent_id": AGENT, "user": "ada"}
HOUR = datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))

CALLS = [
    # call, method, path with query, body, answer
    (lambda c: c.register_agent("my-bot", icon="i", platform="p", description="d", status="s", metadata={"k": 1}),
     "POST", "/agents", {"name": "my-bot", "type": "assistant", "icon": "i", "platform": "p", "description": "d", "status": "s",
                         "metadata": {"k": 1}}, agent),
    (lambda c: c.register_agent("my-bot", ...), "POST", "/agents", {"name": "my-bot", "type": "assistant"}, agent),
    (lambda c: c.register_agent("my-bot", type="analyst"), "POST", "/agents", {"name": "my-bot", "type": "analyst"}, agent),
    (lambda c: c.list_agents(name="ab", type="t", status="s", platform="p", search="x", limit=2, offset=4),
     "GET", "/agents?limit=2&offset=4&name=ab&type=t&status=s&platform=p&search=x", None, [agent]),
    (lambda c: c.list_agents(), "GET", "/agents", None, []),
    (lambda c: c.get_agent(uuid.UUID(AGENT)), "GET", f"/agents/{AGENT}", None, agent),
    (lambda c: c.get_agent("a/b"), "GET", "/agents/a%2Fb", None, agent),
    (lambda c: c.update_agent(AGENT, status="busy"), "PATCH", f"/agents/{AGENT}", {"status": "busy"}, agent),
    (lambda c: c.update_agent(AGENT, name="n", icon=None, metadata=None), "PATCH", f"/agents/{AGENT}",
     {"name": "n", "icon": None, "metadata": None}, agent),
    (lambda c: c.delete_agent(AGENT), "DELETE", f"/agents/{AGENT}", None, None),
    (lambda c: c.log_event(uuid.UUID(AGENT), "e", source="s", level="error", trace_id="t", parent_event_id=uuid.UUID(THING), payload={}),
     "POST", "/events", {"agent_id": AGENT, "event_type": "e", "source": "s", "level": "error", "trace_id": "t",
                         "parent_event_id": THING, "payload": {}}, event),
    (lambda c: c.log_events_batch([{"agent_id": uuid.UUID(AGENT), "event_type": "e"}]),
     "POST", "/events/batch", {"events": [{"agent_id": AGENT, "event_type": "e"}]}, {"created": 1, "events": [event]}),
    (lambda c: c.list_events(agent_id=uuid.UUID(AGENT), level="error", since=HOUR, until=datetime(2026, 3, 1, 14), limit=1),
     "GET", f"/events?limit=1&agent_id={AGENT}&level=error&since=2026-03-01T12%3A00%3A00Z&until=2026-03-01T14%3A00%3A00Z", None, [event]),
    (lambda c: c.cleanup_events(0, agent_name="my-bot"), "DELETE", "/events?older_than_days=0&agent_name=my-bot", None, {"deleted": 3}),
    (lambda c: c.send_message(uuid.UUID(AGENT), OTHER, "request", payload={"a": 1}, trace_id="t"),
     "POST", "/messages", {"sender_id": AGENT, "receiver_id": OTHER, "message_type": "request", "payload": {"a": 1}, "trace_id": "t"},
     message),
    (lambda c: c.list_messages(agent_id=AGENT, since=TIME), "GET", f"/messages?agent_id={AGENT}&since=2026-03-01T12%3A00%3A00.123Z", None,
     [message]),
    (lambda c: c.submit_feedback("agent", uuid.UUID(AGENT), "thumbs_up", rating=5, comment="c", user="u"),
     "POST", "/feedback", {"target_type": "agent", "target_id": AGENT, "feedback_type": "thumbs_up", "rating": 5, "comment": "c",
                           "user": "u"}, feedback),
    (lambda c: c.list_feedback(target_type="agent", target_id=AGENT), "GET", f"/feedback?target_type=agent&target_id={AGENT}", None,
     [feedback]),
    (lambda c: c.feedback_summary(agent_id=AGENT), "GET", f"/feedback/summary?agent_id={AGENT}", None,
     {"count": 0, "average_rating": None, "thumbs_up": 0, "thumbs_down": 0, "satisfaction": None}),
    (lambda c: c.report_usage(AGENT, model="m", tokens_input=1, cost=Decimal("0.5"), provider="p"),
     "POST", "/usage", {"agent_id": AGENT, "model": "m", "tokens_input": 1, "tokens_output": 0, "cost": 0.5, "provider": "p"}, usage),
    (lambda c: c.list_usage(model="m", offset=0), "GET", "/usage?offset=0&model=m", None, [usage]),
    (lambda c: c.usage_summary(group_by="day"), "GET", "/usage/summary?group_by=day", None,
     {"groups": [{"key": "2026-03-01", **sums}], "total": sums}),
    (lambda c: c.ingest_skills(uuid.UUID(AGENT), [{"key": "k", "name": "n", "category": "c"}]),
     "POST", "/skills/ingest", {"agent_id": AGENT, "skills": [{"key": "k", "name": "n", "category": "c"}]},
     {"ingested": 1, "skills": [{"id": THING, "key": "k", "version": None, "status": "pending"}]}),
    (lambda c: c.list_skill_reviews(status="denied"), "GET", "/skills/review?status=denied", None, [skill]),
    (lambda c: c.approve_skill(THING), "POST", f"/skills/{THING}/approve", None, skill),
    (lambda c: c.approve_skill(THING, digest="d", accept_risk=True, reason="r"), "POST", f"/skills/{THING}/approve",
     {"digest": "d", "accept_risk": True, "reason": "r"}, skill),
    (lambda c: c.deny_skill(THING, "no words"), "POST", f"/skills/{THING}/deny", {"reason": "no words"}, skill),
    (lambda c: c.list_marketplace_skills(search="s", category="c", tag="t"), "GET", "/marketplace/skills?search=s&category=c&tag=t", None,
     [skill]),
    (lambda c: c.get_marketplace_skill(THING), "GET", f"/marketplace/skills/{THING}", None, skill),
    (lambda c: c.get_install_prompt(THING), "GET", f"/marketplace/skills/{THING}/install-prompt", None, {"prompt": "Do it."}),
    (lambda c: c.create_agent_link(uuid.UUID(AGENT), "ada"), "POST", "/agent-links", {"agent_id": AGENT, "user": "ada"}, link),
    (lambda c: c.list_agent_links(limit=9), "GET", "/agent-links?limit=9", None, [link]),
    (lambda c: c.delete_agent_link(THING), "DELETE", f"/agent-links/{THING}", None, None),
]


@pytest.mark.parametrize(("call", "method", "path", "body", "answer"), CALLS, ids=[f"{c[1]} {c[2][:40]}" for c in CALLS])
async def test_call(call, method, path, body, answer):
    fake = Fake((204, "") if answer is None else (200, answer))
    async with fake.client() as client:
        got = await call(client)
    [request] = fake.requests
    assert (request.method, str(request.url)) == (method, "http://valar.test/api" + path)
    assert (json.loads(request.content) if request.content else None) == body
    assert request.headers["x-api-key"] == "key"
    assert ("idempotency-key" in request.headers) == (method == "POST")
    if answer is None or isinstance(got, str):
        assert got in (None, "Do it.")
        return
    for item, want in zip(got, answer) if isinstance(answer, list) else [(got, answer)]:
        for name, value in want.items():
            if not isinstance(value, (dict, list)):
                shown = getattr(item, name)
                assert shown == value or str(shown) == value or name.endswith("_at"), name
    if isinstance(answer, list):
        assert len(got) == len(answer)


async def test_health_sends_no_key():
    fake = Fake((200, {"status": "ok"}))
    async with fake.client() as client:
        assert (await client.health()).status == "ok"
    assert "x-api-key" not in fake.requests[0].headers


async def test_any_request():
    fake = Fake((201, {"computed_cost": 0.5}), (204, ""))
    client = fake.client()
    assert await client._request("POST", "/usage", json={"model": "m"}) == {"computed_cost": 0.5}
    assert await client._request("delete", "things", params={"a": 1, "b": None}, headers={"x-more": "1"}) is None
    await client._request("POST", "/usage", json=[], idempotency_key="mine")
    await client.close()
    assert [str(r.url) for r in fake.requests[:2]] == ["http://valar.test/api/usage", "http://valar.test/api/things?a=1"]
    assert fake.requests[1].method == "DELETE" and fake.requests[1].headers["x-more"] == "1"
    assert fake.keys()[2] == "mine" and fake.requests[2].content == b"[]"


async def test_ids_and_times_are_typed():
    fake = Fake((200, {**agent, "a_field_of_tomorrow": 7}))
    async with fake.client() as client:
        got = await client.get_agent(AGENT)
    assert isinstance(got.id, uuid.UUID) and str(got.id) == AGENT
    assert got.created_at == datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=timezone.utc)
    assert got.a_field_of_tomorrow == 7 and got.icon is None


async def test_values_that_json_does_not_know():
    class Colour(Enum):
        RED = "red"

    fake = Fake((201, event))
    async with fake.client() as client:
        got = await client.log_event(AGENT, "e", payload={
            "id": uuid.UUID(THING), "at": HOUR, "day": date(2026, 3, 1), "sum": Decimal("1.5"), "colour": Colour.RED, "few": {1},
            "answer": sdk.Health(status="ok"), "text": "Grüße 🤖",
        })
        with pytest.raises(TypeError):
            await client.log_event(AGENT, "e", payload={"thing": object()})
        with pytest.raises(ValueError):
            await client.log_event(AGENT, "e", payload={"number": float("nan")})
        with pytest.raises(ValueError):
            await client.get_agent("")
    assert got.event_type == "x" and len(fake.requests) == 1
    assert fake.bodies()[0]["payload"] == {
        "id": THING, "at": "2026-03-01T12:00:00Z", "day": "2026-03-01", "sum": 1.5, "colour": "red", "few": [1], "answer": {"status": "ok"},
        "text": "Grüße 🤖",
    }


async def test_register_returns_the_agent_that_has_the_name():
    taken = (409, {"detail": 'another agent is called "my-bot"'})
    fake = Fake(taken, (200, [{**agent, "id": OTHER, "name": "My-Bot"}, agent]))
    async with fake.client() as client:
        got = await client.register_agent("my-bot")
    assert str(got.id) == AGENT
    assert [r.method for r in fake.requests] == ["POST", "GET"] and fake.requests[1].url.params["name"] == "my-bot"

    fake = Fake(taken, (200, []), (201, agent))  # deleted in between
    async with fake.client() as client:
        assert (await client.register_agent("my-bot")).name == "my-bot"
    assert len(set(fake.keys())) == 3  # two keys and none

    fake = Fake(taken, (200, []), taken, (200, []))
    async with fake.client() as client:
        with pytest.raises(sdk.ConflictError):
            await client.register_agent("my-bot")


def shelf(items, size):
    """A server of a list that others may add to."""

    def answer(request):
        start = int(request.url.params.get("offset", 0))
        return 200, items[start:start + size], {"X-Total-Count": str(len(items))}

    return Fake(answer)


def numbered(n):
    return {**event, "id": str(uuid.UUID(int=n)), "event_type": str(n)}


async def test_pages():
    items = [numbered(n) for n in range(5)]
    fake = shelf(items, 2)
    async with fake.client() as client:
        page = await client.list_events(agent_id=AGENT, limit=2)
        assert isinstance(page, Page) and isinstance(page, list) and len(page) == 2
        assert (page.total, page.offset, page.has_more) == (5, 0, True)
        following = await page.next()
        assert [e.event_type for e in following] == ["2", "3"] and following.offset == 2
        assert [e.event_type async for e in page.all()] == ["0", "1", "2", "3", "4"]
        last = await client.list_events(limit=2, offset=4)
        assert not last.has_more and await last.next() == []
    assert all(r.url.params["limit"] == "2" for r in fake.requests)
    assert fake.requests[1].url.params["agent_id"] == AGENT


async def test_pages_while_items_arrive():
    items = [numbered(n) for n in range(4)]
    async with shelf(items, 2).client() as client:
        seen = []
        async for e in (await client.list_events(limit=2)).all():
            seen.append(e.event_type)
            if len(seen) == 2:
                items.insert(0, numbered(99))
        assert seen == ["0", "1", "2", "3"]


async def test_pages_without_a_total():
    items = [numbered(n) for n in range(3)]
    fake = Fake(lambda request: (200, items[int(request.url.params.get("offset", 0)):][:2]))
    async with fake.client() as client:
        page = await client.list_events(limit=2)
        assert page.total is None
        assert len([e async for e in page.all()]) == 3


async def test_own_http_client_stays_open():
    fake = Fake((200, {"status": "ok"}))
    async with httpx.AsyncClient(transport=httpx.MockTransport(fake), headers={"x-mine": "1"}) as http:
        async with AgentManagementClient("http://valar.test", "key\n", http_client=http) as client:
            await client.health()
        assert not http.is_closed and fake.requests[0].headers["x-mine"] == "1"


async def test_closed_client_refuses():
    client = Fake((200, agent)).client()
    await client.aclose()
    await client.aclose()
    with pytest.raises(RuntimeError, match="closed"):
        await client.get_agent(AGENT)


def test_one_client_on_several_loops():
    import asyncio

    fake = Fake((200, agent))
    client = fake.client()
    for _ in range(2):
        assert asyncio.run(client.get_agent(AGENT)).name == "my-bot"
    asyncio.run(client.aclose())


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="not both"):
        AgentManagementClient("http://x", "k", http_client=httpx.AsyncClient(), transport=httpx.MockTransport(Fake()))
    for wrong in ({"max_retries": -1}, {"flush_interval": -1}, {"max_pending_events": 0}):
        with pytest.raises(ValueError):
            AgentManagementClient("http://x", "k", **wrong)
    for key in ("schlüssel", "secret\nsecret"):
        with pytest.raises(ValueError, match="ASCII") as raised:
            AgentManagementClient("http://x", key)
        assert "secret" not in str(raised.value)
    assert "secret" not in repr(AgentManagementClient("http://x", "secret"))


async def test_redirects_do_not_take_the_key_elsewhere():
    fake = Fake((307, "", {"location": "http://elsewhere.test/"}))
    async with httpx.AsyncClient(transport=httpx.MockTransport(fake), follow_redirects=True) as http_client:
        with pytest.raises(sdk.AgentManagementError, match="redirected to http://elsewhere.test/"):
            await AgentManagementClient("http://valar.test", "key", http_client=http_client).get_agent(AGENT)
    assert [request.url.host for request in fake.requests] == ["valar.test"]


def test_everything_public_is_there():
    assert all(hasattr(sdk, name) for name in sdk.__all__)
