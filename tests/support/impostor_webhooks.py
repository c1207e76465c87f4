"""The webhooks of the impostor, whose calls end as their callers ask them to."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from till.v1 import webhook_service_pb2 as pb
from till.v1.webhook_pb2 import (
    DELIVERY_STATE_DEAD,
    DeliveryAttempt,
    DeliveryState,
    Webhook,
    WebhookDelivery,
)

Context = grpc.aio.ServicerContext[Any, Any]
Answer = Callable[[Any], Any]
# A state that no client knows.
FUTURE = cast("DeliveryState", 99)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class ImpostorWebhooks:
    """Ends the first call of each method as the id, or the last part of the URL, says; the next one succeeds.

    Answers repeat the request: `disabled_reason` has the names of the fields that were present, `sequence`
    the sequence of ReplayEvents.

    ListDeliveries has the deliveries "evt_1" and "evt_2", an empty page, and a page with "evt_3", whose state
    is unknown. Its last page gets the ending. The pages have one size and state.
    """

    def __init__(self, end: Callable[[Context, str], Awaitable[None]]) -> None:
        self._end = end
        # The calls that were ended, by caller, method and ending.
        self._ended: set[tuple[str, str, str]] = set()

    def handlers(self) -> "dict[str, grpc.RpcMethodHandler[Any, Any]]":
        """Return the methods of the service."""
        answers: dict[str, Answer] = {
            "CreateWebhook": _created,
            "GetWebhook": lambda request: pb.GetWebhookResponse(webhook=_webhook(request)),
            "ListWebhooks": lambda _: pb.ListWebhooksResponse(webhooks=[Webhook(id="1"), Webhook(id="2")]),
            "UpdateWebhook": _updated,
            "DeleteWebhook": lambda _: pb.DeleteWebhookResponse(),
            "RotateSecret": lambda request: pb.RotateSecretResponse(webhook=_webhook(request), secret=SECRET),
            "TestWebhook": lambda _: pb.TestWebhookResponse(attempt=_attempt()),
            "ListDeliveries": _page,
            "RedeliverEvent": lambda request: pb.RedeliverEventResponse(delivery=_delivery(request.event_id)),
            "ReplayEvents": lambda request: pb.ReplayEventsResponse(
                webhook=Webhook(id=request.id, sequence=request.after)
            ),
        }
        return {name: self._handler(name, answer) for name, answer in answers.items()}

    def _handler(self, name: str, answer: Answer) -> "grpc.RpcMethodHandler[Any, Any]":
        async def handle(request: Any, context: Context) -> Any:
            ending = request.url.rpartition("/")[2] if name == "CreateWebhook" else getattr(request, "id", "")
            is_inside = name == "ListDeliveries" and request.page_token != "last"
            if not is_inside and (call := (context.peer(), name, ending)) not in self._ended:
                self._ended.add(call)
                if ending.isupper():
                    await self._end(context, ending)
            if name == "ListDeliveries" and (request.page_size, request.state) != (2, DELIVERY_STATE_DEAD):
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT, "page_size must be 2, and the state DEAD"
                )
            return answer(request)

        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=getattr(pb, f"{name}Request").FromString,
            response_serializer=getattr(pb, f"{name}Response").SerializeToString,
        )


def _webhook(request: Any) -> Webhook:
    present = ", ".join(field.name for field, _ in request.ListFields())
    return Webhook(id=request.id, disabled_reason=present)


def _created(request: pb.CreateWebhookRequest) -> pb.CreateWebhookResponse:
    webhook = Webhook(id="1", url=request.url, types=request.types, enabled=True)
    return pb.CreateWebhookResponse(webhook=webhook, secret=SECRET)


def _updated(request: pb.UpdateWebhookRequest) -> pb.UpdateWebhookResponse:
    webhook = _webhook(request)
    webhook.url = request.url
    webhook.types.extend(request.types.types)
    webhook.enabled = request.enabled
    return pb.UpdateWebhookResponse(webhook=webhook)


def _attempt() -> DeliveryAttempt:
    return DeliveryAttempt(duration=Duration(nanos=1_500_000), status=500, error="the status is 500")


def _page(request: pb.ListDeliveriesRequest) -> pb.ListDeliveriesResponse:
    match request.page_token:
        case "":
            found = [_delivery("evt_1"), _delivery("evt_2")]
            return pb.ListDeliveriesResponse(deliveries=found, next_page_token="empty")
        case "empty":
            return pb.ListDeliveriesResponse(next_page_token="last")
    return pb.ListDeliveriesResponse(deliveries=[_delivery("evt_3", FUTURE)])


def _delivery(event_id: str, state: DeliveryState = DELIVERY_STATE_DEAD) -> WebhookDelivery:
    # Beyond 2^53, which a floating-point number cannot have exactly.
    return WebhookDelivery(
        event_id=event_id,
        sequence=2**53 + 1,
        type="invoice.paid",
        state=state,
        attempts=10,
        last_attempt=_attempt(),
    )
