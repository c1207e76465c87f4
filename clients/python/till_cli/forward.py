"""Forwards events to a URL as signed webhooks (Standard Webhooks 1.0)."""

import http.client
import itertools
import json
import time
from collections.abc import Iterable
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


class Forwarding:
    """Delivers events in order to a receiver.

    after: the sequence of the last event that was delivered, or before which the events begin. None: unknown.
    """

    def __init__(self, receiver: Receiver, after: int | None, as_json: bool) -> None:
        self._receiver = receiver
        self._as_json = as_json
        self.after = after

    def run(self, events: Iterable[Event]) -> None:
        """Deliver events until Ctrl-C, which prints how to continue."""
        typer.echo(f"forwarding events to {self._receiver.url}; Ctrl-C ends", err=True)
        try:
            for event in events:
                self.after = event.sequence - 1
                self._deliver(event)
        except KeyboardInterrupt:
            if self.after is not None:
                typer.echo(f"\nto continue with the next event: --after {self.after}", err=True)
            raise typer.Exit(CTRL_C) from None

    def _deliver(self, event: Event) -> None:
        """Post an event until the receiver takes it."""
        body = envelope(event).encode()
        pause = FIRST_PAUSE_SECONDS
        for number in itertools.count(1):
            attempt = self._receiver.post(event.id, body)
            if attempt.is_success:
                self.after = event.sequence
                _show(event, attempt, number, None, self._as_json)
                return
            if attempt.status == GONE:
                _show(event, attempt, number, None, self._as_json)
                typer.echo("till: the receiver wants no more events: it answered 410 Gone", err=True)
                raise typer.Exit(1)
            wait = max(pause, attempt.retry_after or 0)
            _show(event, attempt, number, wait, self._as_json)
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
    if wait is not None:
        line += f"; again in {wait:.0f} s"
    typer.echo(typer.style(line, fg="green" if attempt.is_success else "red"))


def _seconds(text: str | None) -> float | None:
    """Return the seconds of a header retry-after, within bounds. None: absent, or a date."""
    if text is None or not (text.isascii() and text.isdecimal()):
        return None
    return min(float(text), LONGEST_WAIT_SECONDS)
