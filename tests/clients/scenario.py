"""Goes through the steps of a case: tells an agent what to do, and Till what shall become of it."""

import asyncio
import uuid
from typing import Any

from google.protobuf.json_format import ParseError

from tests.clients.agent import Agent
from tests.clients.suite import canonical, differences, filled
from tests.clients.world import World
from tilld.errors import OperatorError

# How long a step may take, at worst.
PATIENCE_SECONDS = 20.0
# The same for a case that is slow.
SLOW_PATIENCE_SECONDS = 60.0


class Scenario:
    """One case, for one agent."""

    def __init__(self, agent: Agent, world: World, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._agent = agent
        self._world = world
        self._names: dict[str, Any] = world.names | {"unique": uuid.uuid4().hex}
        # What goes on, by the name that the case gave it: its id and its method.
        self._going_on: dict[str, tuple[int, str]] = {}

    async def run(self, steps: list[dict[str, Any]]) -> None:
        """Go through all steps. Raises AssertionError, which tells what was wrong and all that was said."""
        for number, step in enumerate(steps, 1):
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await self._do(filled(step, self._names))
            except (AssertionError, OperatorError, TimeoutError) as failed:
                late = f"nothing came for {self._patience_seconds:.0f} s"
                why = late if isinstance(failed, TimeoutError) else failed
                said = "\n".join(self._agent.transcript)
                raise AssertionError(f"Step {number}, {step}:\n{why}\n\nWhat was said:\n{said}") from None

    async def _do(self, step: dict[str, Any]) -> None:
        match step:
            case {"connect": where}:
                number = self._agent.send("connect", **{"address": self._names["till"]} | where)
                await self._expect(number, "", step)
            case {"call": method}:
                await self._expect(self._call(method, step), method, step)
            case {"start": method}:
                self._going_on[step["as"]] = self._call(method, step), method
            case {"watch": request}:
                number = self._agent.send("watch", request=request, **_timeout(step))
                self._going_on[step["as"]] = number, "WatchInvoice"
            case {"next": name}:
                await self._next(*self._going_on[name], step)
            case {"end": name}:
                await self._expect(*self._going_on[name], step)
            case {"cancel": name}:
                number = self._agent.send("cancel", call=self._going_on[name][0])
                await self._expect(number, "", {"gives": {}})
            case {"pay": bolt11}:
                await self._world.pay(bolt11, step.get("amount_msat"))
            case {"till": verb}:
                await self._world.till(verb)
            case {"node": verb}:
                await self._world.node(verb)
            case {"relay": "mute"}:
                self._world.mute()
            case {"watchers": wanted}:
                await self._world.watchers(wanted)

    def _call(self, method: str, step: dict[str, Any]) -> int:
        return self._agent.send("call", method=method, request=step.get("request", {}), **_timeout(step))

    async def _next(self, number: int, method: str, step: dict[str, Any]) -> None:
        answer = await self._agent.answer(number)
        assert "event" in answer, f"the watch must tell a state, and not {answer}"
        self._check(step.get("gives", {}), _canonical(method, answer["event"]), step)

    async def _expect(self, number: int, method: str, step: dict[str, Any]) -> None:
        answer = await self._agent.answer(number)
        if "fails" in step:
            assert "error" in answer, f"it must fail, and gave {answer}"
            self._check(step["fails"], answer["error"], step)
        else:
            assert "ok" in answer, f"it must succeed, and gave {answer}"
            # The end of a watch has nothing to tell.
            is_message = method and method != "WatchInvoice"
            found = _canonical(method, answer["ok"]) if is_message else answer["ok"]
            self._check(step.get("gives", {}), found, step)

    def _check(self, expected: Any, found: Any, step: dict[str, Any]) -> None:
        wrong = list(differences(expected, found))
        assert not wrong, "\n".join(wrong)
        if "as" in step:
            self._names[step["as"]] = found


def _timeout(step: dict[str, Any]) -> dict[str, Any]:
    return {"timeout_seconds": step["timeout_seconds"]} if "timeout_seconds" in step else {}


def _canonical(method: str, message: Any) -> dict[str, Any]:
    try:
        return canonical(method, message)
    except ParseError as wrong:
        raise AssertionError(f"this is no {method} in proto3 JSON: {message}: {wrong}") from None
