"""A server in memory."""

import json

import httpx

from sdk import AgentManagementClient

AGENT = "0190f5a0-0000-7000-8000-000000000001"
OTHER = "0190f5a0-0000-7000-8000-000000000002"
THING = "0190f5a0-0000-7000-8000-000000000003"
TIME = "2026-03-01T12:00:00.123Z"

agent = {"id": AGENT, "name": "my-bot", "type": "assistant", "status": "active", "created_at": TIME, "updated_at": TIME}
event = {"id": THING, "agent_id": AGENT, "event_type": "x", "level": "info", "created_at": TIME}


class Fake:
    """Gives answers in turn, the last one for ever, and notes what it was asked.

    An answer is (status, body), (status, body, headers), an exception to raise, or a function of the request that returns one of them.
    """

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        if callable(answer) and not isinstance(answer, type):
            answer = answer(request)
        if isinstance(answer, (Exception, type)):
            raise answer if isinstance(answer, Exception) else answer("as the test wants it")
        status, body, *headers = answer
        content = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return httpx.Response(status, content=b"" if status == 204 else content, headers=headers[0] if headers else None)

    def client(self, **options):
        return AgentManagementClient("http://valar.test/api/", "key", transport=httpx.MockTransport(self), **options)

    def bodies(self):
        return [json.loads(request.content) for request in self.requests]

    def keys(self):
        return [request.headers.get("idempotency-key") for request in self.requests]
