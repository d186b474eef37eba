"""Serves all-MiniLM-L6-v2 at /v1/embeddings, as OpenAI's API serves its models.

    python serve.py MODEL_FOLDER

Listens on a free port of loopback and prints its address. The model (a BERT of six layers, mean of the last layer's tokens, norm 1) is
calculated with numpy from the weights and the tokenizer in the folder.
"""

import json
import math
import pathlib
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from tokenizers import Tokenizer

MODEL = "all-MiniLM-L6-v2"
MAX_TOKENS = 256


def load(path):
    """Reads a safetensors file: the length of the header, the header as JSON, the tensors."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    tensors = {}
    for name, about in header.items():
        if name == "__metadata__" or about["dtype"] != "F32":
            continue
        begin, end = about["data_offsets"]
        tensors[name] = np.frombuffer(data, np.float32, (end - begin) // 4, 8 + size + begin).reshape(about["shape"])
    return tensors


class Encoder:
    def __init__(self, folder):
        self.config = json.loads((folder / "config.json").read_text())
        self.weights = load(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.tokenizer.enable_padding()

    def linear(self, x, name):
        return x @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]

    def norm(self, x, name):
        mean = x.mean(-1, keepdims=True)
        deviation = np.sqrt(((x - mean) ** 2).mean(-1, keepdims=True) + self.config["layer_norm_eps"])
        return (x - mean) / deviation * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def heads(self, x):
        batch, length, width = x.shape
        count = self.config["num_attention_heads"]
        return x.reshape(batch, length, count, width // count).transpose(0, 2, 1, 3)

    def layer(self, x, hidden, name):
        attention = name + ".attention"
        q, k, v = (self.heads(self.linear(x, f"{attention}.self.{part}")) for part in ("query", "key", "value"))
        scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(q.shape[-1]) + hidden
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True)) @ v
        mixed = mixed.transpose(0, 2, 1, 3).reshape(x.shape)
        x = self.norm(self.linear(mixed, attention + ".output.dense") + x, attention + ".output.LayerNorm")
        inner = self.linear(x, name + ".intermediate.dense")
        # tanh's form of GELU differs from the exact one by less than 0.0005
        inner = 0.5 * inner * (1 + np.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner ** 3)))
        return self.norm(self.linear(inner, name + ".output.dense") + x, name + ".output.LayerNorm")

    def embed(self, texts):
        tokens = self.tokenizer.encode_batch(texts)
        ids, mask = (np.array([getattr(t, part) for t in tokens]) for part in ("ids", "attention_mask"))
        w = self.weights
        x = (w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][:ids.shape[1]]
             + w["embeddings.token_type_embeddings.weight"][0])
        x = self.norm(x, "embeddings.LayerNorm")
        hidden = ((1 - mask) * np.float32(-1e9))[:, None, None, :]
        for i in range(self.config["num_hidden_layers"]):
            x = self.layer(x, hidden, f"encoder.layer.{i}")
        pooled = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True), int(mask.sum())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, message):
        self.answer(status, {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/v1/embeddings":
            return self.refuse(404, "unknown address")
        if asked.get("model") != MODEL:
            return self.refuse(404, f"the model {asked.get('model')!r} does not exist")
        if asked.get("encoding_format", "float") != "float" or asked.get("dimensions"):
            return self.refuse(400, "only floats of 384 dimensions")
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        vectors, used = self.server.encoder.embed(texts)
        self.answer(200, {
            "object": "list", "model": MODEL, "usage": {"prompt_tokens": used, "total_tokens": used},
            "data": [{"object": "embedding", "index": i, "embedding": v.tolist()} for i, v in enumerate(vectors)],
        })

    def log_message(self, *_):
        pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.encoder = Encoder(pathlib.Path(sys.argv[1]))
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
