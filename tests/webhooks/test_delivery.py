"""When a failed delivery is attempted again."""

from datetime import timedelta
from itertools import accumulate, pairwise

import pytest

from tests.support.samples import NOON
from tilld.webhooks.delivery import PAUSES, Attempt, Delivery, DeliveryState, Spread, next_attempt_at

SECOND = timedelta(seconds=1)
NEW = Delivery.new("w" * 21, 7, "evt_x", "invoice.paid")


def rejected(at: timedelta, *, after_milliseconds: int = 0) -> Attempt:
    return Attempt(NOON + at, after_milliseconds, 500, "status 500")


def slowest(least: float, most: float) -> float:
    return most


def fastest(least: float, most: float) -> float:
    return least


def usual(least: float, most: float) -> float:
    return (least + most) / 2


@pytest.mark.parametrize("spread", [fastest, usual, slowest])
@pytest.mark.parametrize("milliseconds", [0, 15_000])
def test_ten_attempts_within_the_schedule(spread: Spread, milliseconds: int) -> None:
    """Each pause varies by a tenth, and receivers that time out lengthen it."""
    delivery, due, moments = NEW, NOON, [NOON]
    while delivery.state is DeliveryState.PENDING:
        delivery = delivery.attempted(rejected(due - NOON, after_milliseconds=milliseconds), spread=spread)
        due = delivery.next_attempt_at or due
        moments.append(due)

    taken = timedelta(milliseconds=milliseconds)
    pauses = [later - earlier - taken for earlier, later in pairwise(moments)][:-1]
    assert pauses == [each * spread(0.9, 1.1) for each in PAUSES]
    assert delivery.attempts == 10
    assert (delivery.state, delivery.next_attempt_at) == (DeliveryState.DEAD, None)


def test_the_schedule_takes_75_hours() -> None:
    assert sum(PAUSES, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)


def test_attempts_in_between_do_not_shorten_the_schedule() -> None:
    """During an outage there are many attempts. The last pause may be a tenth shorter."""
    often = NEW
    for second in range(0, 67 * 3600, 300):
        often = often.attempted(rejected(second * SECOND), spread=usual)

    assert (often.state, often.attempts) == (DeliveryState.PENDING, 67 * 12)


def test_success_ends_it() -> None:
    accepted = Attempt(NOON, 12, 204, "")

    delivery = NEW.attempted(rejected(-SECOND)).attempted(accepted)

    assert (delivery.state, delivery.attempts, delivery.next_attempt_at) == (DeliveryState.SUCCEEDED, 2, None)


@pytest.mark.parametrize(
    ("asked", "pause"),
    [(1, 5), (600, 600), (7 * 86_400, 86_400)],
    ids=["shorter than the schedule", "longer", "too long"],
)
def test_a_receiver_may_ask_for_a_longer_pause(asked: int, pause: int) -> None:
    due = next_attempt_at(NOON, rejected(timedelta()), asked * SECOND, usual)

    assert due == NOON + pause * SECOND


def test_a_dead_delivery_begins_again() -> None:
    late = max(accumulate(PAUSES)) + timedelta(days=30)
    dead = NEW.attempted(rejected(timedelta())).attempted(rejected(late))
    assert dead.state is DeliveryState.DEAD

    again = dead.again(NOON + late).attempted(rejected(late), spread=usual)

    assert (again.state, again.next_attempt_at) == (DeliveryState.PENDING, NOON + late + 5 * SECOND)
