"""`till events forward` at a whole Till: the receiver gets exactly the events that REST lists."""

import json
from asyncio.subprocess import PIPE
from pathlib import Path

import standardwebhooks

from tests.support.receiver import receiver
from tests.support.shop import config, open_shop
from tests.support.terminals import TILL, process
from till import webhooks


async def test_the_receiver_gets_the_events_that_rest_lists(tmp_path: Path) -> None:
    secret = webhooks.new_secret()
    async with open_shop(config(tmp_path)) as shop, receiver((500, {})) as hook:
        address = str(shop.till.running.grpc)
        command = (TILL, "--address", address, "events", "forward", hook.url, "--after", "0")
        async with process(*command, "--secret", secret, stdout=PIPE, stderr=PIPE):
            metadata = {"type": "shop", "table": "4 à la carte", "price": 1.5}
            created = await shop.create(label="order-17", description="a\nb", metadata=metadata)
            await shop.create()
            await shop.pay(created["payreq"])
            await shop.outcome(created)
            taken = [await hook.next() for _ in range(4)]

        listed = (await shop.rest.get("/lightning/events")).json()["events"]

    # The first delivery failed, and was repeated before the next one.
    failed, *accepted = taken
    assert failed.headers["webhook-id"] == accepted[0].headers["webhook-id"]
    verify = standardwebhooks.Webhook(secret).verify
    assert [verify(each.body, each.headers) for each in accepted] == listed
    assert [each["type"] for each in listed] == ["invoice.created", "invoice.created", "invoice.paid"]
    assert listed[2]["data"]["invoiceid"] == created["invoiceid"]
    # As REST writes it, byte for byte.
    assert json.dumps(listed[0], ensure_ascii=False, separators=(",", ":")).encode() == accepted[0].body
