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


def test_objects_are_frozen_after_a_slow_collection() -> None:
    gc_pauses.spare_what_stays(long_seconds=0.0)
    things = [Thing() for _ in range(1000)]

    gc.collect()

    assert not any(each is things[0] for each in gc.get_objects())


def test_objects_stay_tracked_after_a_fast_collection() -> None:
    gc_pauses.spare_what_stays(long_seconds=60.0)
    thing = Thing()

    gc.collect()

    assert any(each is thing for each in gc.get_objects())


def test_a_busy_machine_does_not_freeze_objects() -> None:
    """Cycles of frozen objects are never freed, so a slow machine must not freeze any."""
    gc_pauses.spare_what_stays()
    thing = Thing()
    gc.callbacks.append(lambda *_: time.sleep(2 * gc_pauses.LONG_SECONDS))

    gc.collect()

    assert any(each is thing for each in gc.get_objects())


def test_a_frozen_object_is_freed_with_its_last_reference() -> None:
    thing = Thing()
    gc_pauses.spare_what_stays()
    gone = weakref.ref(thing)

    del thing

    assert gone() is None
