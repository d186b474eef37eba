"""Signs and verifies agent cards with a2a-sdk, of either generation. One JSON document comes on standard input and one goes to standard output;
see signature_test.go."""

import json
import logging
import sys

from a2a.types import AgentCard
from a2a.utils import signing
from jwt import PyJWK

logging.disable(logging.CRITICAL)

if hasattr(AgentCard, "model_validate"):  # 0.3

    def read(card):
        return AgentCard.model_validate(card)

    def write(card):
        return card.model_dump(mode="json", by_alias=True, exclude_none=True)

else:
    from a2a.client.card_resolver import parse_agent_card
    from google.protobuf.json_format import MessageToDict

    def read(card):
        return parse_agent_card(card)

    def write(card):
        return MessageToDict(card)


def sign(job, key, card):
    signer = signing.create_agent_card_signer(key, {"kid": job["kid"], "alg": job["alg"], "jku": None, "typ": "JOSE"})
    signed = write(signer(read(json.loads(json.dumps(card)))))
    if job["do"] == "sign typed":
        return signed
    return card | {"signatures": signed["signatures"]}


def verify(job, key, card):
    def provide(kid, jku):
        if kid != job["kid"]:
            raise signing.PyJWTError("no such key")
        return key

    signing.create_signature_verifier(provide, [job["alg"]])(read(card))


answers = []
for job in json.load(sys.stdin):
    key = PyJWK(job["key"], job["alg"])
    answer = {"cards": [], "errors": []}
    for card in job["cards"]:
        signed, error = None, ""
        try:
            if job["do"] == "verify":
                verify(job, key, card)
            else:
                signed = sign(job, key, card)
        except Exception as e:  # whatever a library does with a card is told
            error = f"{type(e).__name__}: {e}"
        answer["cards"].append(signed)
        answer["errors"].append(error)
    answers.append(answer)
json.dump(answers, sys.stdout)
