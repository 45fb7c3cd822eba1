"""
A server that tells whoever asks what it was sent, credentials included: as an API, as a model, and as an error.

What a careless service does, and what a template's author may point an agent at.
"""

from __future__ import annotations

import json

from support.openai_server import good, reply_of
from support.scripted_server import Call, Reply, ScriptedServer


class EchoServer(ScriptedServer):
    """Answers everything with what it was sent; ``/refused`` with 400, ``/v1/chat/completions`` as a model does."""

    def reply_to(self, call: Call) -> Reply:
        """What arrived, as the answer."""
        sent = {"headers": call.headers, "body": call.body.decode()}
        if call.path.endswith("/chat/completions"):
            return reply_of(good(json.dumps(sent["headers"])), call.json)
        return Reply(status=400 if call.path.endswith("/refused") else 200, body=sent)
