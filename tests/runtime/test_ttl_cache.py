"""The cache whose entries expire."""

import pytest

from tilld.runtime.ttl_cache import TTLCache


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recent(clock: Clock) -> TTLCache[str]:
    return TTLCache[str](2.0, clock)


def test_an_entry_expires_from_the_time_of_its_request(recent: TTLCache[str], clock: Clock) -> None:
    asked_at = clock()
    clock.now += 1.5
    recent.keep("who", "me", asked_at)

    assert recent.get("who") == "me"
    assert recent.get("whose") is None

    clock.now += 0.5
    assert recent.get("who") is None


def test_a_request_from_before_a_change_is_not_cached(recent: TTLCache[str], clock: Clock) -> None:
    asked_at = clock()
    recent.keep("who", "me", asked_at)
    clock.now += 0.1
    recent.forget()
    for too_early in (asked_at, clock()):
        recent.keep("who", "me", too_early)
        assert recent.get("who") is None

    clock.now += 0.1
    recent.keep("who", "you", clock())
    assert recent.get("who") == "you"


def test_expired_entries_are_dropped_on_later_writes(recent: TTLCache[str], clock: Clock) -> None:
    """Entries may be secret, and there may be many."""
    for number in range(1000):
        recent.keep(f"who {number}", "me", clock())
        clock.now += 0.1

    assert len(recent) < 50
