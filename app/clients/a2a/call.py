"""Calls an agent of a server with a2a-sdk, of either generation and over either binding: finds its card, sends, follows, cancels, and has changes posted
to a receiver. It prints "ok STEP" or "FAIL STEP: why" for each step; see a2a_calls_test.go."""

import asyncio
import contextlib
import json
import logging
import os
import sys
import traceback
import uuid

import httpx
from a2a import types
from a2a.client import ClientConfig, ClientFactory

logging.disable(logging.CRITICAL)
OLDER = hasattr(types.AgentCard, "model_validate")
BASE = f"{os.environ['BUREAU_URL']}/a2a/{os.environ['BUREAU_AGENT']}"
BINDING = os.environ["BUREAU_BINDING"]
http = httpx.AsyncClient(headers={"x-api-key": os.environ["BUREAU_KEY"]}, timeout=60, trust_env=False)


def state(task):
    if OLDER:
        return task.status.state.value
    return types.TaskState.Name(task.status.state).removeprefix("TASK_STATE_").lower().replace("_", "-")


def said(artifact):
    return "".join(p.root.text if OLDER else p.text for p in artifact.parts)


def message(text, **of):
    ident = uuid.uuid4().hex
    if OLDER:
        return types.Message(message_id=ident, role=types.Role.user, parts=[types.Part(root=types.TextPart(text=text))], **of)
    return types.Message(message_id=ident, role=types.Role.ROLE_USER, parts=[types.Part(text=text)], **of)


class Seen:
    """What a stream, or an answer, told."""

    def __init__(self):
        self.task, self.states, self.said = None, [], ""

    def take(self, event):
        if OLDER:
            self.task, update = event
            if update is not None and hasattr(update, "status"):
                self.states.append(state(update))
            self.said = "".join(said(a) for a in self.task.artifacts or [])
            return
        kind = event.WhichOneof("payload")
        if kind == "task":
            self.task = event.task
            self.said = "".join(said(a) for a in event.task.artifacts)
        elif kind == "status_update":
            self.states.append(state(event.status_update))
        elif kind == "artifact_update":
            self.said = (self.said if event.artifact_update.append else "") + said(event.artifact_update.artifact)


async def follow(events, first=None):
    seen = Seen()
    async for event in events:
        seen.take(event)
        if first is not None:
            first.set()
    return seen


def send(agent, m):
    return agent.send_message(m if OLDER else types.SendMessageRequest(message=m))


async def connect(**config):
    if OLDER:
        config["supported_transports"] = [BINDING]
        return await ClientFactory.connect(BASE, client_config=ClientConfig(httpx_client=http, use_client_preference=True, **config))
    c = ClientConfig(httpx_client=http, supported_protocol_bindings=[BINDING], use_client_preference=True, **config)
    return await ClientFactory(c).create_from_url(BASE)


def cancel(agent, task):
    return agent.cancel_task(types.TaskIdParams(id=task.id) if OLDER else types.CancelTaskRequest(id=task.id))


def subscribe(agent, task):
    if OLDER:
        return agent.resubscribe(types.TaskIdParams(id=task.id))
    return agent.subscribe(types.SubscribeToTaskRequest(id=task.id))


async def card(agent, waiting):
    if OLDER:
        found = await agent.get_card()  # with a key: the extended one
    else:
        found = await agent.get_extended_agent_card(types.GetExtendedAgentCardRequest())
    assert found.name == "Clerk", found.name
    assert any(s.id == "order" for s in found.skills), found.skills


async def stream(agent, waiting):
    seen = await follow(send(agent, message("What is 12*12?")))
    assert "12*12" in seen.said, seen.said
    assert seen.states[-1] == "completed", seen.states


async def send_and_get(agent, waiting):
    seen = await follow(send(waiting, message("What is 6*7?")))
    assert state(seen.task) == "completed" and "6*7" in seen.said, seen.said
    query = types.TaskQueryParams(id=seen.task.id) if OLDER else types.GetTaskRequest(id=seen.task.id)
    again = await agent.get_task(query)
    assert said(again.artifacts[0]) == seen.said
    more = await follow(send(waiting, message("What is 3+3?", context_id=seen.task.context_id)))
    assert more.task.context_id == seen.task.context_id and more.task.id != seen.task.id


async def subscribe_and_cancel(agent, waiting):
    task = (await follow(send(waiting, message("Use the order tool to order a book")))).task
    assert state(task) == "input-required", state(task)
    first = asyncio.Event()
    following = asyncio.create_task(follow(subscribe(agent, task), first))
    await first.wait()  # the task as it is: from now on nothing is missed
    assert state(await cancel(agent, task)) == "canceled"
    assert (await following).states[-1] == "canceled"


@contextlib.asynccontextmanager
async def receiver():
    """Takes what is posted; the queue has headers and body of each request."""
    got = asyncio.Queue()

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        await got.put((headers, json.loads(body)))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook", got


async def push(agent, waiting):
    async with receiver() as (url, got):
        if OLDER:
            config = types.PushNotificationConfig(
                id="mine", url=url, token="t0ken", authentication=types.PushNotificationAuthenticationInfo(schemes=["Bearer"], credentials="cr3d"),
            )
            pushed = await connect(streaming=False, polling=True, push_notification_configs=[config])
        else:
            config = types.TaskPushNotificationConfig(
                id="mine", url=url, token="t0ken", authentication=types.AuthenticationInfo(scheme="Bearer", credentials="cr3d"),
            )
            pushed = await connect(streaming=False, polling=True, push_notification_config=config)
        task = (await follow(send(pushed, message("What is 5*5?")))).task
        all_of = []
        while not all_of or "completed" not in json.dumps(all_of[-1][1]).lower():
            all_of.append(await asyncio.wait_for(got.get(), 60))
        assert all_of[0][0]["authorization"] == "Bearer cr3d" and all_of[0][0]["x-a2a-notification-token"] == "t0ken", all_of[0]
        last = all_of[-1][1]
        if OLDER:
            done = types.Task.model_validate(last)
            assert done.id == task.id and "5*5" in said(done.artifacts[0]), last
            two = types.TaskPushNotificationConfig(task_id=task.id, push_notification_config=types.PushNotificationConfig(id="two", url=url))
            assert (await agent.set_task_callback(two)).push_notification_config.id == "two"
            wanted = types.GetTaskPushNotificationConfigParams(id=task.id, push_notification_config_id="two")
            assert (await agent.get_task_callback(wanted)).push_notification_config.url == url
            return
        from google.protobuf.json_format import ParseDict

        assert ParseDict(last, types.StreamResponse()).status_update.task_id == task.id
        assert "5*5" in said(ParseDict(all_of[-2][1], types.StreamResponse()).artifact_update.artifact), all_of[-2]
        made = await agent.create_task_push_notification_config(types.TaskPushNotificationConfig(task_id=task.id, id="two", url=url))
        assert made.id == "two"
        wanted = types.GetTaskPushNotificationConfigRequest(task_id=task.id, id="two")
        assert (await agent.get_task_push_notification_config(wanted)).url == url
        listing = types.ListTaskPushNotificationConfigsRequest(task_id=task.id)
        assert len((await agent.list_task_push_notification_configs(listing)).configs) == 2
        await agent.delete_task_push_notification_config(types.DeleteTaskPushNotificationConfigRequest(task_id=task.id, id="two"))
        assert len((await agent.list_task_push_notification_configs(listing)).configs) == 1


async def main():
    failed = False
    agent, waiting = await connect(), await connect(streaming=False)
    for step in (card, send_and_get, stream, subscribe_and_cancel, push):
        name = step.__name__.replace("_", " ")
        try:
            await step(agent, waiting)
            print("ok", name, flush=True)
        except Exception as err:  # noqa: BLE001 - it is told
            failed = True
            at = traceback.extract_tb(err.__traceback__)[-1]
            print(f"FAIL {name}: {type(err).__name__} {err} at {at.name}:{at.lineno}".replace("\n", " ")[:1500], flush=True)
    return failed


sys.exit(asyncio.run(main()))
