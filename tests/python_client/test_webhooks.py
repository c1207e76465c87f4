"""Signatures of webhooks, as Standard Webhooks 1.0 defines them."""

import base64
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from till import webhooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_published_example_has_its_signature() -> None:
    signature = webhooks.sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(
    key=st.binary(min_size=24, max_size=64),
    event_id=st.from_regex("evt_[A-Za-z0-9_~]{21}", fullmatch=True),
    timestamp=st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)),  # noqa: DTZ001 - in UTC below
    body=st.text(st.characters(codec="utf-8")),
)
def test_signatures_are_those_of_the_reference_library(
    key: bytes, event_id: str, timestamp: datetime, body: str
) -> None:
    secret = f"whsec_{base64.b64encode(key).decode()}"
    at = timestamp.replace(microsecond=0, tzinfo=UTC)

    expected = standardwebhooks.Webhook(secret).sign(event_id, at, body)

    assert webhooks.sign(secret, event_id, int(at.timestamp()), body.encode()) == expected


def test_new_secrets_are_random_and_long_enough() -> None:
    one, other = webhooks.new_secret(), webhooks.new_secret()

    assert one != other
    assert len(base64.b64decode(one.removeprefix("whsec_"))) == 32
    assert webhooks.sign(one, "evt_1", 1, b"") != webhooks.sign(other, "evt_1", 1, b"")


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        # Without its prefix, 23 and 65 bytes, and not base64.
        SECRET.removeprefix("whsec_"),
        f"whsec_{base64.b64encode(bytes(23)).decode()}",
        f"whsec_{base64.b64encode(bytes(65)).decode()}",
        SECRET[:-1],
        SECRET.replace("r", "ü"),
        SECRET.replace("r", " "),
    ],
)
def test_a_malformed_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(
        ValueError, match="a secret is whsec_ and the base64 of 24 to 64 random bytes"
    ) as wrong:
        webhooks.sign(secret, "evt_1", 1, b"")

    assert SECRET[6:12] not in str(wrong.value)


def test_an_id_has_no_full_stop() -> None:
    """It separates the signed parts: "a.1" at 2 would sign like "a" at 1 with a body that begins with 2."""
    with pytest.raises(ValueError, match="full stop"):
        webhooks.sign(SECRET, "evt.1", 1, b"")
