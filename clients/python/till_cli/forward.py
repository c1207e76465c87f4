"""Forwards events to a URL as signed webhooks (Standard Webhooks 1.0)."""

import http.client
import itertools
import json
import time
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import typer

from till import webhooks
from till.events import Event
from till_cli.envelope import envelope

# Seconds for each step of a delivery: to connect, and to wait for the response.
TIMEOUT_SECONDS = 15.0
# The pauses before retries, doubled each time.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# The largest retry-after that is honoured.
LONGEST_WAIT_SECONDS = 60.0
MOST_BODY_BYTES = 16 * 1024
CTRL_C = 130
# The receiver wants no more webhooks.
GONE = 410
RETRY_AFTER = {429, 503}


class Attempt(NamedTuple):
    """The outcome of a delivery: the status, or the error without one."""

    status: int | None
    said: str
    seconds: float
    retry_after: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether the receiver has taken the event. A redirect is a failure."""
        return self.status is not None and 200 <= self.status < 300


def check_secret(text: str) -> None:
    """Raise ValueError for a malformed secret."""
    webhooks.sign(text, "", 0, b"")


def announced_secret() -> str:
    """Return a new secret, and print it on standard error."""
    secret = webhooks.new_secret()
    typer.echo(f"secret: {secret}", err=True)
    typer.echo("To use it again: --secret, or TILL_WEBHOOK_SECRET.", err=True)
    return secret


def check_url(text: str) -> None:
    """Raise ValueError unless a URL can be posted to."""
    try:
        url = urlsplit(text)
        is_good = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        is_good = False
    if not is_good or not text.isascii() or any(each <= " " for each in text):
        raise ValueError("expected a URL, such as http://localhost:3000/webhook")


class Receiver:
    """The receiver of webhooks at a URL."""

    def __init__(self, url: str, secret: str) -> None:
        self.url = url
        self._secret = secret
        self._parts = urlsplit(url)
        self._target = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
        self._agent = f"till/{version('lightning-till-client')}"

    def post(self, event_id: str, body: bytes) -> Attempt:
        """Post a body once. A proxy is not used, and a redirect not followed."""
        now = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": self._agent,
            "webhook-id": event_id,
            "webhook-timestamp": str(now),
            "webhook-signature": webhooks.sign(self._secret, event_id, now, body),
        }
        begun = time.monotonic()
        connection = self._connection()
        try:
            connection.request("POST", self._target, body, headers)
            response = connection.getresponse()
            response.read(MOST_BODY_BYTES)
        except TimeoutError:
            return Attempt(None, f"no response within {TIMEOUT_SECONDS:.0f} s", time.monotonic() - begun)
        except http.client.HTTPException as wrong:
            return Attempt(None, f"no HTTP response: {wrong!r}", time.monotonic() - begun)
        except OSError as failed:
            return Attempt(None, failed.strerror or str(failed), time.monotonic() - begun)
        finally:
            connection.close()
        seconds = time.monotonic() - begun
        wait = _seconds(response.getheader("retry-after")) if response.status in RETRY_AFTER else None
        return Attempt(response.status, f"{response.status} {response.reason}".strip(), seconds, wait)

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        return kind(self._parts.hostname or "", self._parts.port, timeout=TIMEOUT_SECONDS)


def forward(events: Iterator[Event], receiver: Receiver, after: object, as_json: bool) -> None:
    """Deliver events in order, until Ctrl-C or a 410. Then print how to continue.

    after: the sequence after which the events begin, if known.
    """
    last = after if isinstance(after, int) else None
    typer.echo(f"forwarding events to {receiver.url}; Ctrl-C ends", err=True)
    try:
        for event in events:
            last = event.sequence - 1
            _deliver(event, receiver, as_json)
            last = event.sequence
    except KeyboardInterrupt:
        if last is not None:
            typer.echo(f"\nto continue: till events forward {receiver.url} --after {last}", err=True)
        raise typer.Exit(CTRL_C) from None


def _deliver(event: Event, receiver: Receiver, as_json: bool) -> None:
    """Post an event until the receiver takes it."""
    body = envelope(event).encode()
    pause = FIRST_PAUSE_SECONDS
    for number in itertools.count(1):
        attempt = receiver.post(event.id, body)
        wait = None if attempt.is_success else max(pause, attempt.retry_after or 0)
        _show(event, attempt, number, wait, as_json)
        if wait is None:
            return
        if attempt.status == GONE:
            typer.echo("till: the receiver wants no more events: it answered 410 Gone", err=True)
            raise typer.Exit(1)
        time.sleep(wait)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _show(event: Event, attempt: Attempt, number: int, wait: float | None, as_json: bool) -> None:
    if as_json:
        row: dict[str, Any] = {
            "id": event.id,
            "sequence": event.sequence,
            "type": event.type,
            "attempt": number,
            "status": attempt.status,
            "error": None if attempt.status else attempt.said,
            "seconds": round(attempt.seconds, 3),
            "retry_seconds": wait,
        }
        typer.echo(json.dumps(row))
        return
    now = datetime.now().astimezone()
    took = f"{attempt.seconds * 1000:,.0f} ms"
    line = f"{now:%H:%M:%S}  {event.sequence:>8}  {event.type:25}  {attempt.said}, {took}"
    if wait is not None and attempt.status != GONE:
        line += f"; again in {wait:.0f} s"
    color = "red" if wait is not None else "green"
    typer.echo(typer.style(line, fg=color))


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a header retry-after, within bounds. None: absent, or a date."""
    if text is None or not (text.isascii() and text.isdecimal()):
        return None
    return min(float(text), LONGEST_WAIT_SECONDS)
