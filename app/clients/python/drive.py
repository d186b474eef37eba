"""Drives a server with the official client library for Python, as its users would.

Prints "ok NAME" or "FAIL NAME: reason" for each step, which the Go test reads. Answers are held strictly to the library's own models.
"""

import asyncio
import os
import time
import traceback
import warnings

import anthropic

URL, KEY = os.environ["BUREAU_URL"], os.environ["BUREAU_KEY"]
client = anthropic.Anthropic(api_key=KEY, base_url=URL, max_retries=0, timeout=30)
beta = client.beta
made = {}


def step(name, run):
    try:
        run()
        print(f"ok {name}", flush=True)
    except Exception:
        print(f"FAIL {name}: {' '.join(traceback.format_exc().split())[-3000:]}", flush=True)


def strict(obj):
    """The library takes whatever comes; its models, asked to validate, do not."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        type(obj).model_validate(obj.model_dump(mode="json", by_alias=True, exclude_unset=True))
    return obj


def everything(pages):
    return [strict(item) for item in pages]


def say(text):
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


def refused(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error as e:
        return e
    raise AssertionError(f"{error.__name__} was expected")


def turn(session, *events):
    seen, until = [], time.monotonic() + 60
    with beta.sessions.events.stream(session) as stream:
        sent = beta.sessions.events.send(session, events=list(events))
        assert len(sent.data) == len(events), sent
        for event in stream:
            seen.append(strict(event))
            if event.type == "session.status_idle":
                return seen
            assert time.monotonic() < until, [e.type for e in seen]
    raise AssertionError(f"the stream ended early: {[e.type for e in seen]}")


def environments():
    env = strict(beta.environments.create(name="workbench", config={"type": "cloud", "packages": {"pip": ["requests"]}}))
    made["env"] = env.id
    assert env.config.packages.pip == ["requests"] and env.config.packages.apt == []
    assert strict(beta.environments.update(env.id, metadata={"a": "1"})).metadata == {"a": "1"}
    assert env.id in [e.id for e in everything(beta.environments.list(limit=1))]


def agents():
    tools = [
        {"type": "agent_toolset_20260401", "default_config": {"enabled": False}},
        {"type": "custom", "name": "get_weather", "description": "Get the weather of a city",
         "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
    ]
    agent = strict(beta.agents.create(name="Assistant", model="offline", tools=tools))
    made["agent"] = agent.id
    assert agent.model.id == "offline" and agent.version == 1
    agent = strict(beta.agents.update(agent.id, version=1, description="second"))
    assert agent.version == 2
    e = refused(anthropic.ConflictError, beta.agents.update, agent.id, version=1, description="late")
    assert e.body["error"]["type"] == "conflict_error", e.body
    assert sorted(a.version for a in everything(beta.agents.versions.list(agent.id, limit=1))) == [1, 2]
    assert agent.id in [a.id for a in everything(beta.agents.list(limit=1))]
    refused(anthropic.NotFoundError, beta.agents.retrieve, "agent_nothing")
    refused(anthropic.BadRequestError, beta.agents.create, name="", model="offline")


def turns():
    session = strict(beta.sessions.create(agent=made["agent"], environment_id=made["env"], title="chat"))
    made["session"] = session.id
    events = turn(session.id, say("Hello"))
    assert "agent.message" in [e.type for e in events], events
    assert events[-1].stop_reason.type == "end_turn"
    listed = everything(beta.sessions.events.list(session.id, limit=2))
    assert [e.id for e in listed] == [e.id for e in events]
    events = turn(session.id, say("Use the get_weather tool for the city Paris"))
    use = next(e for e in events if e.type == "agent.custom_tool_use")
    assert events[-1].stop_reason.event_ids == [use.id]
    events = turn(session.id, {"type": "user.custom_tool_result", "custom_tool_use_id": use.id, "content": [{"type": "text", "text": "sun"}]})
    assert events[-1].stop_reason.type == "end_turn"
    assert strict(beta.sessions.retrieve(session.id)).status == "idle"
    assert session.id in [s.id for s in everything(beta.sessions.list(limit=1, statuses=["idle"]))]


def configurations():
    """What only some configurations have: nulls, short forms, rosters, other sources and hosts."""
    config = {"name": "web_fetch", "allowed_domains": ["docs.example.com"], "url_sources": {"user_input": "none"}, "max_content_tokens": None}
    helper = strict(beta.agents.create(name="helper", model={"id": "offline", "effort": None, "speed": None}, description=None, system=None))
    team = {"type": "coordinator", "agents": [helper.id, {"type": "self"}, {"type": "advisor", "model": "offline"}]}
    lead = strict(beta.agents.create(
        name="lead", model={"id": "offline", "effort": "high"}, multiagent=team, execution_identity=None,
        mcp_servers=[{"type": "url", "name": "docs", "url": "https://docs.example.com/mcp"}],
        skills=[{"type": "anthropic", "skill_id": "pdf", "version": None}],
        tools=[
            {"type": "agent_toolset_20260401", "default_config": None, "configs": [config, {"name": "web_search", "user_location": None}]},
            {"type": "mcp_toolset", "mcp_server_name": "docs", "default_config": {"enabled": None, "permission_policy": None}},
            {"type": "custom", "name": "t", "description": "d", "input_schema": {"type": "object", "properties": None, "required": None}},
        ]))
    assert lead.tools[0].configs[0].url_sources.user_input.type == "none"
    assert strict(beta.agents.update(lead.id, model={"id": "offline"})).model.effort.type == "high"
    session = strict(beta.sessions.create(agent=lead.id, environment_id=made["env"], title=None))
    assert session.agent.multiagent.agents[0].name == "helper" and session.agent.multiagent.agents[1].id == lead.id
    strict(beta.sessions.update(session.id, agent={"tools": [{"type": "agent_toolset_20260401", "configs": [{"name": "web_fetch"}]}], "mcp_servers": []}))
    [told] = everything(beta.sessions.events.list(session.id, types=["session.updated"]))
    assert told.agent.multiagent.agents[0].id == helper.id and told.agent.execution_identity.type == "service_account"
    turn(session.id, say("Ask the helper agent: what is 12 plus 30?"))
    everything(beta.sessions.events.list(session.id))
    for thread in everything(beta.sessions.threads.list(session.id)):
        everything(beta.sessions.threads.events.list(thread.id, session_id=session.id))
    refused(anthropic.BadRequestError, beta.agents.update, lead.id, multiagent={"type": "coordinator", "agents": [helper.id, helper.id]})
    env = strict(beta.environments.create(
        name="narrow", config={"type": "cloud", "networking": {"type": "limited", "allowed_hosts": None, "allow_mcp_servers": True}}, metadata={"a": "1", "b": "2"}))
    env = strict(beta.environments.update(env.id, name=None, config=None, metadata={"a": "", "b": None}))
    assert env.name == "narrow" and env.metadata == {} and env.config.networking.allowed_hosts == []
    assert beta.environments.delete(env.id).type == "environment_deleted"


def outcomes():
    session = strict(beta.sessions.create(agent=made["agent"], environment_id=made["env"]))
    rubric = {"type": "text", "content": "The answer says hello"}
    beta.sessions.events.send(session.id, events=[
        {"type": "user.define_outcome", "description": "Say hello", "rubric": rubric, "max_iterations": 1}])
    until = time.monotonic() + 60
    while not beta.sessions.retrieve(session.id).outcome_evaluations[0].completed_at:
        assert time.monotonic() < until, "the outcome is never decided"
        time.sleep(0.1)
    strict(beta.sessions.retrieve(session.id))
    assert "span.outcome_evaluation_end" in [e.type for e in everything(beta.sessions.events.list(session.id))]


def files():
    file = strict(beta.files.upload(file=("notes.txt", b"hello", "text/plain")))
    assert (file.mime_type, file.size_bytes) == ("text/plain", 5)
    assert beta.files.download(file.id).read() == b"hello"
    session = strict(beta.sessions.create(
        agent=made["agent"], environment_id=made["env"], resources=[{"type": "file", "file_id": file.id}]))
    assert [r.file_id for r in everything(beta.sessions.resources.list(session.id))] == [file.id]
    assert file.id in [f.id for f in everything(beta.files.list(limit=1))]
    assert beta.files.delete(file.id).type == "file_deleted"


def skills():
    text = b"---\nname: greeting\ndescription: How to greet\n---\n# Greeting\n"
    skill = strict(beta.skills.create(display_name="Greeting", files=[("greeting/SKILL.md", text)]))
    versions = everything(beta.skills.versions.list(skill.id))
    assert [v.name for v in versions] == ["greeting"]
    assert skill.id in [s.id for s in everything(beta.skills.list())]
    beta.skills.versions.delete(versions[0].id, skill_id=skill.id)
    assert beta.skills.delete(skill.id).type == "skill_deleted"
    assert strict(beta.skills.retrieve("pdf")).source.type == "anthropic"
    everything(beta.skills.list(source="anthropic", limit=1))


def vaults():
    vault = strict(beta.vaults.create(display_name="Keys"))
    auth = {"type": "static_bearer", "token": "a-very-secret-token", "mcp_server_url": "https://mcp.example.com/mcp"}
    credential = strict(beta.vaults.credentials.create(vault.id, auth=auth))
    assert "very-secret" not in credential.model_dump_json()
    oauth = {
        "type": "mcp_oauth", "access_token": "an-access-token", "mcp_server_url": "https://oauth.example.com/mcp", "expires_at": None,
        "refresh": {"client_id": "c", "refresh_token": "a-refresh-token", "token_endpoint": "https://oauth.example.com/token", "resource": None,
                    "scope": None, "token_endpoint_auth": {"type": "client_secret_post", "client_secret": "a-client-secret"}}}
    variable = {"type": "environment_variable", "secret_name": "API_KEY", "secret_value": "a-secret-value",
                "networking": {"type": "limited", "allowed_hosts": ["api.example.com"]}}
    others = [strict(beta.vaults.credentials.create(vault.id, auth=a, display_name="d")).id for a in (oauth, variable)]
    strict(beta.vaults.credentials.update(others[0], vault_id=vault.id, auth={"type": "mcp_oauth", "refresh": {"scope": "read"}}))
    assert strict(beta.vaults.update(vault.id, display_name=None, metadata={"a": "1"})).display_name == "Keys"
    assert {c.id for c in everything(beta.vaults.credentials.list(vault.id))} == {credential.id, *others}
    for c in others:
        assert beta.vaults.credentials.delete(c, vault_id=vault.id).type == "vault_credential_deleted"
    assert vault.id in [v.id for v in everything(beta.vaults.list(limit=1))]
    assert beta.vaults.delete(vault.id).type == "vault_deleted"


def memory():
    store = strict(beta.memory_stores.create(name="Notes"))
    note = strict(beta.memory_stores.memories.create(store.id, path="/a/b.md", content="text", view="full"))
    assert note.content == "text"
    everything(beta.memory_stores.memories.list(store.id, path_prefix="/", depth=1))
    strict(beta.memory_stores.memories.update(note.id, memory_store_id=store.id, content="more", path=None))
    versions = everything(beta.memory_stores.memory_versions.list(store.id, view="full"))
    assert sorted(v.content for v in versions) == ["more", "text"]
    assert strict(beta.memory_stores.memory_versions.redact(versions[-1].id, memory_store_id=store.id)).content is None
    e = refused(anthropic.ConflictError, beta.memory_stores.memories.create, store.id, path="/a", content="x")
    assert e.body["error"]["conflicting_path"] == "/a/b.md", e.body
    assert beta.memory_stores.memories.delete(note.id, memory_store_id=store.id).type == "memory_deleted"
    assert beta.memory_stores.delete(store.id).type == "memory_store_deleted"


def asynchronous():
    async def run():
        async with anthropic.AsyncAnthropic(api_key=KEY, base_url=URL, max_retries=0, timeout=30) as c:
            session = await c.beta.sessions.create(agent=made["agent"], environment_id=made["env"])
            async with await c.beta.sessions.events.stream(session.id) as stream:
                await c.beta.sessions.events.send(session.id, events=[say("Hello")])
                async for event in stream:
                    if event.type == "session.status_idle":
                        break
            await c.beta.sessions.archive(session.id)
            assert (await c.beta.sessions.delete(session.id)).type == "session_deleted"

    asyncio.run(asyncio.wait_for(run(), 60))


def wrong_key():
    stranger = anthropic.Anthropic(api_key="not-a-key", base_url=URL, max_retries=0)
    refused(anthropic.AuthenticationError, stranger.beta.agents.list)


for check in (environments, agents, turns, configurations, outcomes, files, skills, vaults, memory, asynchronous, wrong_key):
    step(check.__name__, check)
