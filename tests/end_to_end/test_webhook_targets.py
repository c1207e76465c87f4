"""Where callers can send webhooks, and what the operator opens."""

from pathlib import Path

import pytest

from tests.support.calls import BODY
from tests.support.receiver import receiver
from tests.support.shop import Shop, config, open_shop
from tilld.webhooks.http.targets import FORBIDDEN

INSIDE = (
    "http://shop.example/",
    "https://10.0.0.5/",
    "https://[::1]/",
    "https://localhost/",
    "http://till.lan/",
)


@pytest.mark.parametrize("url", INSIDE)
async def test_a_webhook_to_the_operators_network_is_refused(shop: Shop, url: str) -> None:
    created = await shop.rest.post("/lightning/webhooks", json={"url": url})
    with_invoice = await shop.rest.post("/lightning/invoice/create", json=BODY | {"webhook": url})

    for field, refused in (("url", created), ("webhook", with_invoice)):
        assert refused.status_code == 400
        assert refused.json() == {"error": "E1", "message": f"{field} {FORBIDDEN}"}


async def test_a_webhook_cannot_move_into_the_operators_network(shop: Shop) -> None:
    created = (await shop.rest.post("/lightning/webhooks", json={"url": "https://shop.example/"})).json()

    refused = await shop.rest.patch(f"/lightning/webhooks/{created['id']}", json={"url": INSIDE[1]})

    assert (refused.status_code, refused.json()["message"]) == (400, f"url {FORBIDDEN}")
    await shop.rest.delete(f"/lightning/webhooks/{created['id']}")


async def test_the_operator_opens_a_host(tmp_path: Path) -> None:
    async with receiver() as inside, open_shop(config(tmp_path, webhook_allow=("localhost",))) as shop:
        created = (await shop.rest.post("/lightning/webhooks", json={"url": inside.url})).json()

        tested = await shop.rest.post(f"/lightning/webhooks/{created['id']}/test", json={})

        assert tested.status_code == 200, tested.text
        assert (await inside.next()).headers["user-agent"] == "Till/0.2.0"
        refused = await shop.rest.post(
            "/lightning/webhooks", json={"url": inside.url.replace("localhost", "127.0.0.1")}
        )
        assert refused.json()["message"] == f"url {FORBIDDEN}"
