"""Runs the steps of a case against an agent, and against the Till and the node that it talks to."""

import asyncio
import csv
import io
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import standardwebhooks
from google.protobuf.json_format import ParseError

from tests.clients.agent import Agent
from tests.clients.suite import canonical, differences, filled
from tests.clients.world import World
from tests.support.receiver import Receiver, receiver
from tilld.errors import OperatorError

# The longest time that a step may take.
PATIENCE_SECONDS = 20.0
# The same for the steps of a slow case.
SLOW_PATIENCE_SECONDS = 60.0
# The steps whose request has many answers, and their methods.
STREAMS = {
    "watch": "WatchInvoice",
    "list": "ListInvoices",
    "export": "ExportInvoices",
    "events": "WatchEvents",
}
# The steps with reports that `end` describes, by the name of their invoices or deliveries.
LISTS = {"ListInvoices": "invoice", "ListDeliveries": "delivery"}


class Scenario:
    """One case, for one agent."""

    def __init__(self, agent: Agent, world: World, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._agent = agent
        self._world = world
        self._receiver: Receiver
        self._names: dict[str, Any] = world.names | {"unique": uuid.uuid4().hex}
        # The id and the method of each open call, by the name that the case gave it.
        self._open: dict[str, tuple[int, str]] = {}

    async def run(self, steps: list[dict[str, Any]]) -> None:
        """Run all steps. Raise AssertionError with the fault and the transcript."""
        async with receiver() as self._receiver:
            self._names["receiver"] = self._receiver.url
            await self._run(steps)

    async def _run(self, steps: list[dict[str, Any]]) -> None:
        for number, step in enumerate(steps, 1):
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await self._do(filled(step, self._names))
            except (AssertionError, OperatorError, TimeoutError) as failed:
                late = f"nothing came for {self._patience_seconds:.0f} s"
                why = late if isinstance(failed, TimeoutError) else failed
                said = "\n".join(self._agent.transcript)
                raise AssertionError(f"Step {number}, {step}:\n{why}\n\nTranscript:\n{said}") from None

    async def _do(self, step: dict[str, Any]) -> None:
        match step:
            case {"connect": where}:
                number = self._agent.send("connect", **{"address": self._names["till"]} | where)
                await self._expect(number, "", step)
            case {"call": method}:
                await self._expect(self._call(method, step), method, step)
            case {"start": method}:
                self._open[step["as"]] = self._call(method, step), method
            case {"watch": request} | {"list": request} | {"export": request} | {"events": request}:
                op = next(iter(step))
                number = self._agent.send(op, request=request, **_options(step))
                self._open[step["as"]] = number, step.get("method", STREAMS[op])
            case {"next": name}:
                with self._takes(step):
                    await self._next(*self._open[name], step)
            case {"end": name}:
                with self._takes(step):
                    await self._end(*self._open[name], step)
            case {"lost": name}:
                with self._takes(step):
                    await self._lost(self._open[name][0], step)
            case {"back": name}:
                with self._takes(step):
                    await self._back(self._open[name][0])
            case {"apart": names}:
                await self._apart([self._open[name][0] for name in names], step["seconds"])
            case {"cancel": name}:
                number = self._agent.send("cancel", call=self._open[name][0])
                await self._expect(number, "", {"gives": {}})
            case _:
                await self._change_world(step)

    async def _change_world(self, step: dict[str, Any]) -> None:
        match step:
            case {"pay": bolt11}:
                await self._world.pay(bolt11, step.get("amount_msat"))
            case {"till": verb}:
                await self._world.till(verb)
            case {"node": verb}:
                await self._world.node(verb)
            case {"relay": "mute"}:
                self._world.mute()
            case {"key_file": key}:
                self._world.write_key(key)
            case {"create_key": fields}:
                self._names[step["as"]] = await self._world.create_key(**fields)
            case {"revoke_key": key_id}:
                await self._world.revoke_key(key_id)
            case {"delivery": secret}:
                await self._delivery(secret, step)
            case {"answer": status}:
                self._receiver.answers.append((status, {}))
            case {"prune": _}:
                await self._world.prune()
            case {"watchers": wanted}:
                await self._world.watchers(wanted)
            case {"streams": wanted}:
                await self._world.streams(wanted)

    def _call(self, method: str, step: dict[str, Any]) -> int:
        return self._agent.send("call", method=method, request=step.get("request", {}), **_options(step))

    async def _next(self, number: int, method: str, step: dict[str, Any]) -> None:
        answer = await self._agent.answer(number)
        assert "event" in answer, f"there must be a report, and not {answer}"
        self._check(step.get("gives", {}), _event(method, answer["event"]), step)

    async def _end(self, number: int, method: str, step: dict[str, Any]) -> None:
        """Wait for the end. A list and an export may have reports before it, which `gives` describes."""
        if method not in {*LISTS, "ExportInvoices"}:
            await self._expect(number, method, step)
            return
        events = []
        while "event" in (answer := await self._agent.answer(number)):
            events.append(_event(method, answer["event"]))
        how = "error" if "fails" in step else "ok"
        assert how in answer, f"the end must be {how}, and is {answer}"
        self._check(step.get("fails", {}), answer[how], {})
        if method in LISTS:
            found: list[Any] = [each[LISTS[method]] for each in events]
        else:
            found = list(csv.DictReader(io.StringIO("".join(each["csv"] for each in events), newline="")))
        self._check(step.get("gives", found), found, step)

    async def _lost(self, number: int, step: dict[str, Any]) -> None:
        """Read losses up to an attempt. They are counted from 1, without a gap."""
        wanted = step.get("attempts", 1)
        change = await self._connection(number)
        while change["lost"] and change["attempt"] < wanted:
            following = await self._connection(number)
            assert following["attempt"] == change["attempt"] + 1, f"{following} must follow {change}"
            change = following
        assert change["lost"], f"the connection must be lost, and not {change}"
        self._check(step.get("fails", {}), change["error"], step)

    async def _back(self, number: int) -> None:
        """Read losses until the connection is back."""
        change = await self._connection(number)
        while change["lost"]:
            change = await self._connection(number)
        assert not change.get("error"), f"a connection that is back has no error: {change}"

    async def _connection(self, number: int) -> dict[str, Any]:
        answer = await self._agent.answer(number)
        assert "connection" in answer, f"it must report its connection, and not {answer}"
        change: dict[str, Any] = answer["connection"]
        return change

    async def _apart(self, numbers: list[int], seconds: float) -> None:
        """Take the next answer of each watch; the first and the last are this far apart at least."""

        async def arrives(number: int) -> float:
            answer = await self._agent.answer(number)
            assert "event" in answer, f"the watch must report a state, and not {answer}"
            return time.monotonic()

        times = await asyncio.gather(*map(arrives, numbers))
        found = max(times) - min(times)
        assert found >= seconds, f"they must be {seconds} s apart, and were {found:.3f} s"

    async def _delivery(self, secret: str, step: dict[str, Any]) -> None:
        """Take the next delivery; the public library of Standard Webhooks verifies its signature."""
        delivery = await self._receiver.next()
        event = standardwebhooks.Webhook(secret).verify(delivery.body, delivery.headers)
        assert event["id"] == delivery.headers["webhook-id"]
        self._check(step.get("gives", {}), event, step)

    @contextmanager
    def _takes(self, step: dict[str, Any]) -> Iterator[None]:
        """Check the seconds that a step takes, if it has bounds."""
        begun = time.monotonic()
        yield
        took = time.monotonic() - begun
        assert step.get("takes", took) == took, f"it must take {step['takes']} s, and took {took:.3f} s"

    async def _expect(self, number: int, method: str, step: dict[str, Any]) -> None:
        answer = await self._agent.answer(number)
        while step.get("skips") in answer:
            answer = await self._agent.answer(number)
        if "fails" in step:
            assert "error" in answer, f"the call must fail, and returned {answer}"
            error = answer["error"]
            if error.get("oldest_sequence") is not None:
                error["oldest_sequence"] = str(error["oldest_sequence"])
            self._check(step["fails"], error, step)
        else:
            assert "ok" in answer, f"the call must succeed, and returned {answer}"
            # The end of a watch or an event stream has no message.
            is_message = method and method not in {"WatchInvoice", "WatchEvents"}
            found = _canonical(method, answer["ok"]) if is_message else answer["ok"]
            self._check(step.get("gives", {}), found, step)

    def _check(self, expected: Any, found: Any, step: dict[str, Any]) -> None:
        wrong = list(differences(expected, found))
        assert not wrong, "\n".join(wrong)
        if "as" in step:
            self._names[step["as"]] = found


def _options(step: dict[str, Any]) -> dict[str, Any]:
    names = ("method", "timeout_seconds", "wait_for_ready", "connection", "limit")
    return {name: step[name] for name in names if name in step}


def _event(method: str, event: Any) -> dict[str, Any]:
    """Return a report in one form. That of a list is the response of a method with one of its members."""
    of_one = {"ListInvoices": "WatchInvoice", "ListDeliveries": "RedeliverEvent"}
    return _canonical(of_one.get(method, method), event)


def _canonical(method: str, message: Any) -> dict[str, Any]:
    try:
        return canonical(method, message)
    except ParseError as wrong:
        raise AssertionError(
            f"this is not a response of {method} in proto3 JSON: {message}: {wrong}"
        ) from None
