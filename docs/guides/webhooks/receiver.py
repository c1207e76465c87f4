"""A receiver of webhooks. It needs: pip install flask standardwebhooks."""

import os

from flask import Flask, request
from standardwebhooks import Webhook, WebhookVerificationError
from werkzeug.serving import make_server

app = Flask(__name__)
webhook = Webhook(os.environ["TILL_WEBHOOK_SECRET"])
seen = set()  # an application has a database


@app.post("/till")
def receive():
    try:
        event = webhook.verify(request.get_data(), dict(request.headers))
    except (WebhookVerificationError, ValueError):
        return "", 400
    event_id = request.headers["webhook-id"]
    if event_id not in seen and event["type"] == "invoice.paid":
        print(f"Ship {event['data'].get('label')}", flush=True)
    seen.add(event_id)
    return "", 204


server = make_server("127.0.0.1", int(os.environ.get("PORT", "8000")), app)
print(f"Waiting for events at http://127.0.0.1:{server.port}/till", flush=True)
server.serve_forever()
