"""A shop: the server creates an invoice for each order, and the payer's browser watches it.

pip install './clients/python' segno
python clients/python/examples/shop/shop.py

Environment: TILL_ADDRESS, Till's gRPC address; TILL_KEY, the shop's key; TILL_URL, Till's REST address as the
browser reaches it; PORT.
"""

import json
import os
import signal
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import segno

import till

PAGE = Path(__file__).parents[3] / "shop" / "index.html"
# The prices are the server's. The page sends the name of an item, and nothing else counts.
PRICES_MSAT = {"coffee": 5_000, "cake": 12_000}
TILL_URL = os.environ.get("TILL_URL", "http://127.0.0.1:8080")


class Shop(BaseHTTPRequestHandler):
    """Serves the page, and takes orders."""

    client: till.Client

    def do_GET(self) -> None:
        """Serve the page."""
        if self.path == "/":
            self._reply(200, "text/html", PAGE.read_bytes())
        else:
            self._reply(404, "text/plain", b"not found")

    def do_POST(self) -> None:
        """Take an order: create its invoice, and watch it."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        item = json.loads(body).get("item")
        if self.path != "/orders" or item not in PRICES_MSAT:
            self._reply(404, "text/plain", b"we do not sell that")
            return
        order = uuid.uuid4().hex
        invoice = self.client.create_invoice(
            PRICES_MSAT[item],
            {"type": "shop", "item": item},
            description=f"a {item}",
            # A create with a label is safe to retry: it returns the same invoice.
            label=order,
            with_watch_token=True,
        )
        threading.Thread(target=self._deliver, args=(order, invoice), daemon=True).start()
        watch = f"/lightning/invoice/{invoice.invoice_id}/watch?token={invoice.watch_token}"
        answer = {
            "order": order,
            "amount_msat": str(invoice.amount_msat),
            "bolt11": invoice.bolt11,
            "qr": segno.make(f"lightning:{invoice.bolt11}".upper()).svg_data_uri(border=4),
            "watch_url": TILL_URL + watch,
        }
        self._reply(201, "application/json", json.dumps(answer).encode())

    def _deliver(self, order: str, invoice: till.Invoice) -> None:
        """Wait for the payment. The shop trusts its own watch, never what a browser says."""
        for state in self.client.watch(invoice):
            if state.status is till.Status.PAID:
                print(f"Order {order} is paid.", flush=True)

    def _reply(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{content_type}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing: only paid orders are printed."""


def main() -> None:
    """Open the shop until SIGTERM or Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    address = os.environ.get("TILL_ADDRESS", "127.0.0.1:50051")
    port = int(os.environ.get("PORT", "8000"))
    with (
        till.Client(address, os.environ.get("TILL_KEY")) as Shop.client,
        ThreadingHTTPServer(("127.0.0.1", port), Shop) as server,
    ):
        print(f"The shop is open at http://127.0.0.1:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("The shop is closed.")


if __name__ == "__main__":
    main()
