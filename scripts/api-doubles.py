"""What api.sh's server asks beyond itself: a model, a Slack and an identity provider. Prints its port."""

import http.server
import json

CHUNKS = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello."}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}},
]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        issuer = f"http://127.0.0.1:{self.server.server_port}"
        if self.path == "/.well-known/openid-configuration":
            self.answer({
                "issuer": issuer, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token",
                "jwks_uri": issuer + "/jwks", "id_token_signing_alg_values_supported": ["RS256"],
            })
        else:
            self.answer({"keys": []})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/chat/completions"):
            lines = [json.dumps({"id": "c", "object": "chat.completion.chunk", "model": "m", **c}) for c in CHUNKS] + ["[DONE]"]
            self.send("text/event-stream", "".join(f"data: {line}\n\n" for line in lines))
        elif self.path == "/api/oauth.v2.access":
            self.answer({
                "ok": True, "access_token": "xoxb-1", "token_type": "bot", "scope": "app_mentions:read,chat:write", "bot_user_id": "UBOT",
                "app_id": "A1", "team": {"id": "T1", "name": "Team"}, "enterprise": None, "is_enterprise_install": False,
                "authed_user": {"id": "UADMIN"},
            })
        else:
            self.answer({"ok": True})

    def answer(self, body):
        self.send("application/json", json.dumps(body))

    def send(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
