"""A webhook: what it may receive, and how it signs."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.samples import DAKK, NOON
from tests.support.webhooks import URL
from till.webhooks import sign
from tilld.auth.caller import Caller, Scope
from tilld.errors import InvalidRequest, PermissionDenied
from tilld.event_log.entry import EventType
from tilld.events.event import OF_INVOICES, OF_INVREQS
from tilld.webhooks.terms import WebhookTerms, checked_types
from tilld.webhooks.webhook import Webhook

PAYING = replace(DAKK, scopes=DAKK.scopes | {Scope.PAYOUTS})
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def a_webhook(caller: Caller = DAKK, *types: str) -> Webhook:
    return Webhook.new(caller, WebhookTerms(URL, types), NOON)


def test_the_headers_are_those_of_the_specification() -> None:
    """The test vector of Standard Webhooks."""
    webhook = a_webhook()._replace(secret=SECRET)
    at = NOON.fromtimestamp(1614265330, NOON.tzinfo)

    headers = webhook.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', at)

    assert headers == {
        "content-type": "application/json",
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_both_secrets_sign_for_a_day_after_a_rotation() -> None:
    webhook = a_webhook()
    rotated = webhook.rotated(NOON)

    def signatures(after: timedelta) -> list[str]:
        return rotated.headers("evt_x", b"{}", NOON + after)["webhook-signature"].split(" ")

    def expected(after: timedelta, *secrets: str) -> list[str]:
        timestamp = int((NOON + after).timestamp())
        return [sign(secret, "evt_x", timestamp, b"{}") for secret in secrets]

    day = timedelta(hours=24)
    almost = day - timedelta(seconds=1)
    assert rotated.secret != webhook.secret
    assert signatures(almost) == expected(almost, rotated.secret, webhook.secret)
    assert signatures(day) == expected(day, rotated.secret)


def test_another_rotation_within_the_day_drops_the_oldest_secret() -> None:
    first = a_webhook()
    second = first.rotated(NOON)
    third = second.rotated(NOON)

    assert (third.secret, third.old_secret) != (second.secret, first.secret)
    assert third.old_secret == second.secret


@pytest.mark.parametrize("secret", [SECRET, "whsec_old"])
def test_no_text_form_shows_a_secret_or_the_url(secret: str) -> None:
    webhook = a_webhook()._replace(secret=secret, old_secret=secret)

    assert secret not in repr(webhook)
    assert URL not in f"{webhook} {webhook!r}"


@pytest.mark.parametrize(
    ("caller", "types"),
    [
        (DAKK, frozenset(EventType) - OF_INVREQS),
        (PAYING, frozenset(EventType)),
        (replace(DAKK, type="bar"), OF_INVOICES),
    ],
    ids=["a shop", "with payouts", "of a type"],
)
def test_every_type_that_the_key_may_read(caller: Caller, types: frozenset[EventType]) -> None:
    webhook = a_webhook(caller)

    assert webhook.view.types == types
    assert webhook.view.metadata_type == caller.type


def test_preimages_need_the_scope_of_reading() -> None:
    without = replace(DAKK, scopes=DAKK.scopes - {Scope.READ})

    assert a_webhook().view.with_preimages
    assert not a_webhook(without).view.with_preimages


def test_only_the_types_that_were_asked_for() -> None:
    """A type that only a newer Till knows selects nothing; it does not select everything."""
    assert a_webhook(DAKK, "invoice.paid").view.types == {EventType.INVOICE_PAID}
    assert a_webhook(DAKK, "offer.paid").view.types == frozenset()
    assert EventType.INVOICE_CREATED in a_webhook(DAKK, "invoice.paid").every_type.types


def test_types_are_checked() -> None:
    assert checked_types(DAKK, ["invoice.paid", "invoice.created", "invoice.paid"]) == (
        "invoice.created",
        "invoice.paid",
    )
    with pytest.raises(
        InvalidRequest, match=r"^types has 'invoice.settled'; the types are invoice.created, "
    ):
        checked_types(DAKK, ["invoice.settled"])
    with pytest.raises(PermissionDenied, match="the key lacks the scope payouts"):
        checked_types(DAKK, ["invoice_request.created"])
    assert checked_types(PAYING, ["invoice_request.created"]) == ("invoice_request.created",)


def test_a_key_with_fewer_scopes_may_not_change_it() -> None:
    """It could otherwise send to its own URL what it may not read."""
    assert a_webhook(PAYING).may_be_changed_by(PAYING)
    assert not a_webhook(PAYING).may_be_changed_by(DAKK)
    assert a_webhook(DAKK).may_be_changed_by(PAYING)
    assert not a_webhook(DAKK).may_be_changed_by(replace(DAKK, scopes=frozenset({Scope.WEBHOOKS})))
