"""The garbage collector's pauses, and the objects that it no longer visits."""

import gc
import time
import weakref
from collections.abc import Iterator

import pytest

from tilld.runtime import gc_pauses


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    callbacks = list(gc.callbacks)
    yield
    gc.callbacks[:] = callbacks
    gc.unfreeze()


class Thing:
    pass


def test_what_takes_the_collector_long_is_looked_at_once() -> None:
    gc_pauses.spare_what_stays(long_seconds=0.0)
    things = [Thing() for _ in range(1000)]

    gc.collect()

    assert not any(each is things[0] for each in gc.get_objects())


def test_what_takes_it_no_time_is_looked_at_again() -> None:
    gc_pauses.spare_what_stays(long_seconds=60.0)
    thing = Thing()

    gc.collect()

    assert any(each is thing for each in gc.get_objects())


def test_what_a_busy_machine_holds_up_did_not_take_long() -> None:
    """Cycles of frozen objects are never freed, so a slow machine must not freeze any."""
    gc_pauses.spare_what_stays()
    thing = Thing()
    gc.callbacks.append(lambda *_: time.sleep(2 * gc_pauses.LONG_SECONDS))

    gc.collect()

    assert any(each is thing for each in gc.get_objects())


def test_what_is_spared_is_freed_when_nothing_refers_to_it() -> None:
    thing = Thing()
    gc_pauses.spare_what_stays()
    gone = weakref.ref(thing)

    del thing

    assert gone() is None
