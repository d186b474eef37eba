"""An agent on the official Python library: serve.py 1.0|0.3 prints its address. It asks for a colour and then paints in pieces; told to be slow
it works until it is cancelled, which it prints."""

import asyncio
import socket
import sys
import threading
import os

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from a2a.server.agent_execution import AgentExecutor
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater

one = sys.argv[1] == "1.0"
if one:
    from a2a.helpers.proto_helpers import new_task_from_user_message, new_text_part
    from a2a.server.routes import create_jsonrpc_routes, create_rest_routes
    from a2a.types import AgentCard
    from google.protobuf.json_format import ParseDict
else:
    from a2a.server.apps import A2ARESTFastAPIApplication, A2AStarletteApplication
    from a2a.types import AgentCard, Part, TextPart
    from a2a.utils import new_task


def part(text):
    return new_text_part(text) if one else Part(root=TextPart(text=text))


class Painter(AgentExecutor):
    async def execute(self, context, event_queue):
        said, task = context.get_user_input(), context.current_task
        begins = task is None
        if begins:
            task = (new_task_from_user_message if one else new_task)(context.message)
            await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, task.id, task.context_id)
        if begins and said == "be slow":
            await updater.start_work()
            await updater.add_artifact([part("begun")], artifact_id="picture")
            await asyncio.Event().wait()
        elif begins:
            await updater.start_work(updater.new_agent_message([part("thinking")]))
            await updater.requires_input(updater.new_agent_message([part(f"Which colour for {said}?")]))
        else:
            await updater.add_artifact([part("Painted ")], artifact_id="picture", append=False, last_chunk=False)
            await updater.add_artifact([part(said)], artifact_id="picture", append=True, last_chunk=True)
            await updater.complete()

    async def cancel(self, context, event_queue):
        print("canceled", flush=True)
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
base = f"http://127.0.0.1:{listener.getsockname()[1]}"


def card(path, binding):
    c = {
        "name": "Painter", "description": "Paints.", "version": "1", "capabilities": {"streaming": True},
        "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "paint", "name": "Paint", "description": "Paints.", "tags": ["paint"]}],
    }
    if one:
        return c | {"supportedInterfaces": [{"url": base + path, "protocolBinding": binding, "protocolVersion": "1.0"}]}
    return c | {"url": base + path, "preferredTransport": binding, "protocolVersion": "0.3.0"}


def shown(c):
    return lambda _: JSONResponse(c)


routes = []
for path, binding in [("/rpc", "JSONRPC"), ("/rest", "HTTP+JSON")]:
    c = card(path, binding)
    routes.append(Route(path + "/.well-known/agent-card.json", shown(c)))
    if one:
        made = ParseDict(c, AgentCard())
        handler = DefaultRequestHandler(agent_executor=Painter(), task_store=InMemoryTaskStore(), agent_card=made)
        routes += create_jsonrpc_routes(handler, path) if binding == "JSONRPC" else create_rest_routes(handler, path_prefix=path)
        continue
    made = AgentCard.model_validate(c)
    handler = DefaultRequestHandler(agent_executor=Painter(), task_store=InMemoryTaskStore())
    if binding == "JSONRPC":
        routes += A2AStarletteApplication(agent_card=made, http_handler=handler).routes(rpc_url=path, agent_card_url=path + "/card")
    else:
        routes.append(Mount(path, A2ARESTFastAPIApplication(agent_card=made, http_handler=handler).build()))


def stop():
    sys.stdin.read()  # until the test ends
    os._exit(0)


threading.Thread(target=stop, daemon=True).start()
print(base, flush=True)
uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="error")).run(sockets=[listener])
