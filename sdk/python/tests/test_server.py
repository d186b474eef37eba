"""Drives a server, whose address and key are VALAR_URL and VALAR_KEY, as users of the client would."""

import asyncio
import os
import re
import textwrap
import types
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest

import sdk
from sdk import AgentManagementClient
from sdk.exceptions import (
    AgentManagementError,
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    ServerError,
    ValidationError,
)

URL, KEY = os.environ.get("VALAR_URL", ""), os.environ.get("VALAR_KEY", "")
READER = os.environ.get("VALAR_READER_KEY", "")  # a key that may read agents and nothing else
NOBODY = uuid.UUID("00000000-0000-7000-8000-000000000001")

pytestmark = pytest.mark.skipif(not URL, reason="VALAR_URL names no server")


def connect(key=KEY, **options):
    return AgentManagementClient(base_url=URL, api_key=key, **options)


def name(kind="bot"):
    return f"{kind}-{uuid.uuid4().hex[:12]}"


async def test_a_day_in_the_life():
    """What the README shows first, in one go."""
    async with connect() as client:
        mine = name("my-bot")
        agent = await client.register_agent(mine, type="assistant", icon="🤖", platform="python", description="The first of them")
        assert uuid.UUID(str(agent.id)).version == 7 and (agent.name, agent.icon) == (mine, "🤖")
        event = await client.log_event(agent.id, "task_started", source="scheduler", payload={"job": "report"})
        assert event.agent_id == agent.id and event.payload == {"job": "report"} and event.level == "info"
        client.log_event_fire_and_forget(agent.id, "heartbeat", source="health_check")
        batch = await client.log_events_batch([
            {"agent_id": str(agent.id), "event_type": "step_1", "level": "info"},
            {"agent_id": agent.id, "event_type": "step_2", "level": "warning"},
        ])
        assert batch.created == 2 and [e.event_type for e in batch.events] == ["step_1", "step_2"]
        other = await client.register_agent(name("summarizer"), type="analyst", icon="📊", platform="python")
        message = await client.send_message(agent.id, other.id, "request", payload={"task": "summarize"})
        assert (message.sender_id, message.receiver_id) == (agent.id, other.id)
        feedback = await client.submit_feedback("agent", str(agent.id), "thumbs_up", rating=5)
        assert feedback.target_id == agent.id and feedback.rating == 5
        assert await client.flush()
        result = await client.cleanup_events(30, agent_name=mine)
        assert result.deleted == 0
        assert (await client.cleanup_events(0, agent_name=mine)).deleted == 4


async def test_errors():
    async with connect("not-a-key") as stranger:
        with pytest.raises(AuthenticationError) as refused:
            await stranger.list_agents()
        assert refused.value.status == 401 and refused.value.detail and refused.value.request_id
        assert (await stranger.health()).status == "ok"
    async with connect() as client:
        with pytest.raises(NotFoundError):
            await client.get_agent(NOBODY)
        with pytest.raises(ValidationError) as refused:
            await client.log_event(NOBODY, "x", level="loud")
        assert ["body", "level"] in [e["loc"] for e in refused.value.errors]
        agent = await client.register_agent(name())
        other = await client.register_agent(name())
        with pytest.raises(ConflictError):
            await client.update_agent(other.id, name=agent.name)
        with pytest.raises(AgentManagementError):
            await client._request("POST", "/nothing", json={})
        for kind in (AuthenticationError, NotFoundError, ConflictError, ValidationError, ServerError):
            assert issubclass(kind, AgentManagementError)
    if not READER:
        return
    async with connect(READER) as reader:
        await reader.list_agents()
        with pytest.raises(ForbiddenError):
            await reader.register_agent(name())


async def test_registering_again_returns_the_same():
    async with connect() as client:
        mine = name()
        try:
            first = await client.register_agent(mine, ...)
        except ConflictError:
            pytest.fail("registering is idempotent")
        again = await client.register_agent(mine, type="analyst", icon="x")
        assert (again.id, again.type, again.icon) == (first.id, "assistant", None)
        many = await asyncio.gather(*[client.register_agent(mine + "-many") for _ in range(5)])
        assert len({agent.id for agent in many}) == 1


async def test_agents():
    async with connect() as client:
        platform = name("platform")
        made = [await client.register_agent(name(), type=t, platform=platform, metadata={"tags": ["a"]}) for t in ("x", "y", "x")]
        page = await client.list_agents(platform=platform, limit=2)
        assert (len(page), page.total) == (2, 3) and [a.id for a in page] == [made[2].id, made[1].id]
        assert [a.id async for a in page.all()] == [a.id for a in reversed(made)]
        assert [a.id for a in await client.list_agents(platform=platform, type="y")] == [made[1].id]
        assert (await client.list_agents(name=made[0].name))[0].metadata == {"tags": ["a"]}
        changed = await client.update_agent(made[0].id, status="busy", description="d", icon="i")
        assert (changed.status, changed.type, changed.metadata) == ("busy", "x", {"tags": ["a"]})
        changed = await client.update_agent(str(made[0].id), icon=None)
        assert (changed.icon, changed.description) == (None, "d")
        assert (await client.get_agent(made[0].id)) == changed
        await client.delete_agent(made[0].id)
        with pytest.raises(NotFoundError):
            await client.delete_agent(made[0].id)
        assert (await client.list_agents(platform=platform)).total == 2


async def test_events():
    async with connect() as client:
        agent = await client.register_agent(name())
        trace = name("trace")
        parent = await client.log_event(agent.id, "task", trace_id=trace)
        child = await client.log_event(agent.id, "sub_task", level="error", trace_id=trace, parent_event_id=parent.id)
        assert child.parent_event_id == parent.id
        assert [e.id for e in await client.list_events(trace_id=trace)] == [child.id, parent.id]
        assert [e.id for e in await client.list_events(parent_event_id=parent.id)] == [child.id]
        assert [e.id for e in await client.list_events(agent_id=agent.id, level="error")] == [child.id]
        now = datetime.now(timezone.utc)
        assert (await client.list_events(agent_id=agent.id, since=now - timedelta(hours=1), until=now + timedelta(hours=1))).total == 2
        assert await client.list_events(agent_id=agent.id, since=now + timedelta(hours=1)) == []
        with pytest.raises(ValidationError) as refused:
            await client.log_events_batch([{"agent_id": agent.id, "event_type": "fine"}, {"agent_id": agent.id}])
        assert ["body", "events", 1, "event_type"] in [e["loc"] for e in refused.value.errors]
        assert (await client.list_events(agent_id=agent.id)).total == 2


@pytest.mark.parametrize("path", ["/events", "/events/batch"])
async def test_sending_again_stores_once(path):
    async with connect() as client:
        agent = await client.register_agent(name())
        body = {"agent_id": agent.id, "event_type": "once"}
        body = {"events": [body]} if path.endswith("batch") else body
        first, again = [await client._request("POST", path, json=body, idempotency_key=f"{path} {agent.id}") for _ in range(2)]
        assert first == again
        assert (await client.list_events(agent_id=agent.id)).total == 1


class Forgetful(httpx.AsyncHTTPTransport):
    """Loses the answer to every other request."""

    lost = 0

    async def handle_async_request(self, request):
        response = await super().handle_async_request(request)
        self.lost += 1
        if self.lost % 2:
            await response.aread()
            await response.aclose()
            raise httpx.ReadError("the answer was lost", request=request)
        return response


async def test_answers_that_are_lost(pauses):
    transport = Forgetful()
    async with connect(transport=transport) as client:
        agent = await client.register_agent(name())
        await client.log_event(agent.id, "once")
        await client.log_events_batch([{"agent_id": agent.id, "event_type": "once"}] * 2)
        client.log_event_fire_and_forget(agent.id, "once")
        await client.flush()
        assert (await client.list_events(agent_id=agent.id)).total == 4
        await client.report_usage(agent.id, model="nobody-knows-it", tokens_input=1)
        assert (await client.list_usage(agent_id=agent.id)).total == 1
        await client.delete_agent(agent.id)
    assert transport.lost == 16 and len(pauses) == 8


async def test_fire_and_forget():
    client = connect(flush_interval=0.05)
    agent = await client.register_agent(name())
    client.log_event_fire_and_forget(agent.id, "first")
    until = asyncio.get_running_loop().time() + 5
    while not await client.list_events(agent_id=agent.id):
        assert asyncio.get_running_loop().time() < until
        await asyncio.sleep(0.02)
    gone = await client.register_agent(name())
    await client.delete_agent(gone.id)
    for n in range(30):
        client.log_event_fire_and_forget(gone.id if n % 3 == 1 else agent.id, f"e{n}", level="loud" if n % 3 == 2 else None)
    await client.aclose()
    assert client.dropped_events == 20
    async with connect() as other:
        kinds = {e.event_type async for e in (await other.list_events(agent_id=agent.id, limit=4)).all()}
    assert kinds == {"first"} | {f"e{n}" for n in range(0, 30, 3)}


async def test_messages():
    async with connect() as client:
        a, b = [await client.register_agent(name()) for _ in range(2)]
        asked = await client.send_message(a.id, b.id, "request", trace_id=name("trace"))
        told = await client.send_message(str(b.id), str(a.id), "response", payload={"text": "done"})
        assert [m.id for m in await client.list_messages(agent_id=a.id)] == [told.id, asked.id]
        assert [m.id for m in await client.list_messages(sender_id=a.id, message_type="request")] == [asked.id]
        assert (await client.list_messages(receiver_id=a.id))[0].payload == {"text": "done"}
        assert (await client.list_messages(trace_id=asked.trace_id)).total == 1


async def test_feedback():
    async with connect() as client:
        agent = await client.register_agent(name())
        assert (await client.feedback_summary(agent_id=agent.id)).satisfaction is None
        event = await client.log_event(agent.id, "answered")
        await client.submit_feedback("agent", agent.id, "thumbs_up", rating=5, comment="Good.", user="ada")
        await client.submit_feedback("event", event.id, "thumbs_down", rating=1)
        listed = await client.list_feedback(target_type="agent", target_id=agent.id)
        assert [(f.comment, f.user) for f in listed] == [("Good.", "ada")]
        summary = await client.feedback_summary(agent_id=agent.id)
        assert (summary.count, summary.average_rating, summary.satisfaction) == (2, 3, 0.5)


async def test_usage():
    async with connect() as client:
        agent = await client.register_agent(name())
        used = await client.report_usage(
            agent.id, model="claude-sonnet-4-20250514", tokens_input=1500, tokens_output=800, cached_tokens=200, cost=0.0,
            api_calls=1, avg_latency_ms=1200, provider="anthropic",
        )
        assert used.computed_cost == pytest.approx(0.01656) and used.cost == 0
        unknown = await client.report_usage(agent.id, model="nobody-knows-it", tokens_input=1)
        assert unknown.computed_cost is None
        assert [u.id for u in await client.list_usage(agent_id=agent.id)] == [unknown.id, used.id]
        assert [u.id for u in await client.list_usage(agent_id=agent.id, model="claude-sonnet-4-20250514")] == [used.id]
        for by in ("model", "provider", "agent", "day"):
            summary = await client.usage_summary(agent_id=agent.id, group_by=by)
            assert summary.total.tokens_input == 1501 == sum(group.tokens_input for group in summary.groups)
            assert summary.total.computed_cost == pytest.approx(0.01656) and summary.total.unpriced == 1


async def test_usage_of_an_answer():
    """Reports what a model's client library answered, as a request of one's own making."""
    answer = types.SimpleNamespace(
        model="claude-sonnet-4-20250514", usage=types.SimpleNamespace(input_tokens=1500, output_tokens=800, cache_read_input_tokens=None)
    )
    async with connect() as client:
        agent = await client.register_agent(name())
        got = await client._request("POST", "/usage", json={
            "agent_id": str(agent.id), "model": answer.model, "provider": "anthropic", "api_calls": 1, "cost": 0.0, "avg_latency_ms": 12.5,
            "tokens_input": answer.usage.input_tokens, "tokens_output": answer.usage.output_tokens,
            "cached_tokens": getattr(answer.usage, "cache_read_input_tokens", 0) or 0,
        })
        assert got["computed_cost"] == pytest.approx(0.0165) and got["agent_id"] == str(agent.id)


async def test_skills():
    async with connect() as client:
        agent = await client.register_agent(name())
        category, key = name("messaging"), name("send-dm")
        skill = {
            "key": key, "name": "Send a message", "category": category, "summary": "To one person", "tags": ["chat"], "version": "1.0.0",
            "description_md": "## What it does", "requirements": [{"name": "Bot token", "type": "credential"}],
            "prompt_template": "Send it with the bot's token.", "code_snippet": "async def send(): ...",
            "config_schema": {"type": "object", "properties": {}},
        }
        result = await client.ingest_skills(agent.id, [skill, {"key": key + "-2", "name": "Second", "category": category}])
        assert result.ingested == 2 and [s.status for s in result.skills] == ["pending", "pending"]
        good, bad = result.skills
        waiting = {s.id: s async for s in (await client.list_skill_reviews(limit=500)).all()}
        assert {good.id, bad.id} <= set(waiting) and waiting[good.id].agent_id == agent.id
        assert 0 <= waiting[good.id].scan.score <= 100 and waiting[good.id].scan.verdict
        with pytest.raises(ConflictError):
            await client.approve_skill(good.id, digest=waiting[bad.id].sha256)
        assert (await client.approve_skill(good.id, digest=waiting[good.id].sha256)).status == "approved"
        assert (await client.deny_skill(bad.id, "It says nothing.")).status == "denied"
        assert [s.id for s in await client.list_marketplace_skills(category=category)] == [good.id]
        shown = await client.get_marketplace_skill(good.id)
        assert (shown.summary, shown.tags, shown.config_schema) == ("To one person", ["chat"], {"type": "object", "properties": {}})
        prompt = await client.get_install_prompt(good.id)
        assert "Bot token" in prompt and "Send it with the bot's token." in prompt
        with pytest.raises(NotFoundError):
            await client.get_marketplace_skill(bad.id)
        with pytest.raises(ValidationError) as refused:
            await client.ingest_skills(agent.id, [{"key": "k", "name": "n"}])
        assert ["body", "skills", 0, "category"] in [e["loc"] for e in refused.value.errors]


async def test_agent_links():
    async with connect() as client:
        agent = await client.register_agent(name())
        link = await client.create_agent_link(agent.id, "ada@example.com")
        assert (link.agent_id, link.user) == (agent.id, "ada@example.com")
        assert link.id in [one.id for one in await client.list_agent_links(limit=500)]
        await client.delete_agent_link(link.id)
        with pytest.raises(NotFoundError):
            await client.delete_agent_link(link.id)


async def test_nobody_listens():
    async with AgentManagementClient("http://127.0.0.1:1", KEY, max_retries=0) as client:
        with pytest.raises(sdk.APIConnectionError):
            await client.list_agents()
        client.log_event_fire_and_forget(NOBODY, "lost")
    assert client.dropped_events == 1


README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def examples():
    """The Python of the README: a program, and then parts of one."""
    program, *parts = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    return program.replace("http://127.0.0.1:8080/compat/valar", URL).replace("bur_...", KEY), parts


def test_program_of_the_readme(capsys):
    exec(compile(examples()[0], "README.md", "exec"), {"__name__": "__main__"})
    cost, satisfaction = capsys.readouterr().out.split()
    assert float(cost) == pytest.approx(0.01656) and 0 < float(satisfaction) <= 1


async def test_parts_of_the_readme(capsys):
    async with connect() as client:
        agent = await client.register_agent(name())
        await client.log_event(agent.id, "broken", level="error")
        for part in examples()[1]:
            scope = {}
            exec("async def run(client, agent):\n" + textwrap.indent(part, "    "), scope)
            await scope["run"](client, agent)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "1" and said[1].endswith(" broken") and "level" in said[2] and len(said) == 3
