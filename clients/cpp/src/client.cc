#include "till/client.h"

#include <utility>

#include "items.h"
#include "session.h"

namespace till {

using EventLog = v1::EventService::StubInterface;
using Invoices = v1::InvoiceService::StubInterface;
using Invreqs = v1::InvreqService::StubInterface;
using Keys = v1::KeyService::StubInterface;
using Webhooks = v1::WebhookService::StubInterface;

namespace {

template <class Response>
Result<WebhookSecret> SecretOf(Result<Response> response) {
  if (!response) return response.error();
  return WebhookSecret{response->webhook(), response->secret()};
}

}  // namespace

Client::Client(const std::string& address, Options options)
    : session_(std::make_shared<const Session>(address, options)) {}

Client::Client(std::shared_ptr<grpc::Channel> channel, Options options)
    : session_(std::make_shared<const Session>(std::move(channel), options)) {}

Result<v1::CreateInvoiceResponse> Client::CreateInvoice(const v1::CreateInvoiceRequest& request,
                                                        grpc::ClientContext* context) const {
  return session_->Call(*session_->invoices, &Invoices::CreateInvoice, request, context);
}

Result<v1::GetInvoiceResponse> Client::GetInvoice(const v1::GetInvoiceRequest& request,
                                                  grpc::ClientContext* context) const {
  return session_->Call(*session_->invoices, &Invoices::GetInvoice, request, context);
}

Result<v1::GetInvoiceByIdResponse> Client::GetInvoiceById(const v1::GetInvoiceByIdRequest& request,
                                                          grpc::ClientContext* context) const {
  return session_->Call(*session_->invoices, &Invoices::GetInvoiceById, request, context);
}

Result<v1::LookupInvoiceResponse> Client::LookupInvoice(const v1::LookupInvoiceRequest& request,
                                                        grpc::ClientContext* context) const {
  return session_->Call(*session_->invoices, &Invoices::LookupInvoice, request, context);
}

Result<v1::GetInfoResponse> Client::GetInfo(const v1::GetInfoRequest& request, grpc::ClientContext* context) const {
  return session_->Call(*session_->invoices, &Invoices::GetInfo, request, context);
}

Result<v1::CancelInvoiceResponse> Client::CancelInvoice(const v1::CancelInvoiceRequest& request,
                                                        grpc::ClientContext* context) const {
  return session_->Call(*session_->invoices, &Invoices::CancelInvoice, request, context);
}

Result<v1::GetReportResponse> Client::GetReport(const v1::GetReportRequest& request,
                                                grpc::ClientContext* context) const {
  return session_->Call(*session_->invoices, &Invoices::GetReport, request, context);
}

Result<v1::ListInvoicesResponse> Client::ListInvoices(const v1::ListInvoicesRequest& request,
                                                      grpc::ClientContext* context) const {
  return session_->Call(*session_->invoices, &Invoices::ListInvoices, request, context);
}

InvoiceList Client::List(v1::ListInvoicesRequest request, ListOptions options) const {
  return StartList(session_, std::move(request), options);
}

InvoiceExport Client::Export(v1::ExportInvoicesRequest request, ExportOptions options) const {
  return StartExport(session_, std::move(request), options);
}

till::Watch Client::Watch(std::string invoice_id, WatchOptions options) const {
  return StartWatch(session_, std::move(invoice_id), std::move(options));
}

EventStream Client::Events(EventOptions options) const { return StartEvents(session_, std::move(options)); }

Result<v1::ListEventsResponse> Client::ListEvents(const v1::ListEventsRequest& request,
                                                  grpc::ClientContext* context) const {
  return session_->Call(*session_->events, &EventLog::ListEvents, request, context);
}

Result<WebhookSecret> Client::CreateWebhook(const v1::CreateWebhookRequest& request, grpc::ClientContext* context) const {
  return SecretOf(session_->Call(*session_->webhooks, &Webhooks::CreateWebhook, request, context));
}

Result<v1::GetWebhookResponse> Client::GetWebhook(const v1::GetWebhookRequest& request,
                                                  grpc::ClientContext* context) const {
  return session_->Call(*session_->webhooks, &Webhooks::GetWebhook, request, context);
}

Result<v1::ListWebhooksResponse> Client::ListWebhooks(const v1::ListWebhooksRequest& request,
                                                      grpc::ClientContext* context) const {
  return session_->Call(*session_->webhooks, &Webhooks::ListWebhooks, request, context);
}

Result<v1::UpdateWebhookResponse> Client::UpdateWebhook(const v1::UpdateWebhookRequest& request,
                                                        grpc::ClientContext* context) const {
  return session_->Call(*session_->webhooks, &Webhooks::UpdateWebhook, request, context);
}

Result<v1::DeleteWebhookResponse> Client::DeleteWebhook(const v1::DeleteWebhookRequest& request,
                                                        grpc::ClientContext* context) const {
  return session_->Call(*session_->webhooks, &Webhooks::DeleteWebhook, request, context);
}

Result<WebhookSecret> Client::RotateSecret(const v1::RotateSecretRequest& request, grpc::ClientContext* context) const {
  return SecretOf(session_->Call(*session_->webhooks, &Webhooks::RotateSecret, request, context));
}

Result<v1::TestWebhookResponse> Client::TestWebhook(const v1::TestWebhookRequest& request,
                                                    grpc::ClientContext* context) const {
  return session_->Call(*session_->webhooks, &Webhooks::TestWebhook, request, context);
}

DeliveryList Client::Deliveries(v1::ListDeliveriesRequest request, ListOptions options) const {
  return StartDeliveries(session_, std::move(request), options);
}

Result<v1::ListDeliveriesResponse> Client::ListDeliveries(const v1::ListDeliveriesRequest& request,
                                                          grpc::ClientContext* context) const {
  return session_->Call(*session_->webhooks, &Webhooks::ListDeliveries, request, context);
}

Result<v1::RedeliverEventResponse> Client::RedeliverEvent(const v1::RedeliverEventRequest& request,
                                                          grpc::ClientContext* context) const {
  return session_->Call(*session_->webhooks, &Webhooks::RedeliverEvent, request, context);
}

Result<v1::ReplayEventsResponse> Client::ReplayEvents(const v1::ReplayEventsRequest& request,
                                                      grpc::ClientContext* context) const {
  return session_->Call(*session_->webhooks, &Webhooks::ReplayEvents, request, context);
}

Result<v1::CreateInvreqResponse> Client::CreateInvreq(const v1::CreateInvreqRequest& request,
                                                      grpc::ClientContext* context) const {
  return session_->Call(*session_->invreqs, &Invreqs::CreateInvreq, request, context);
}

Result<v1::GetInvreqResponse> Client::GetInvreq(const v1::GetInvreqRequest& request,
                                                grpc::ClientContext* context) const {
  return session_->Call(*session_->invreqs, &Invreqs::GetInvreq, request, context);
}

Result<v1::ListInvreqsResponse> Client::ListInvreqs(const v1::ListInvreqsRequest& request,
                                                    grpc::ClientContext* context) const {
  return session_->Call(*session_->invreqs, &Invreqs::ListInvreqs, request, context);
}

Result<v1::DisableInvreqResponse> Client::DisableInvreq(const v1::DisableInvreqRequest& request,
                                                        grpc::ClientContext* context) const {
  return session_->Call(*session_->invreqs, &Invreqs::DisableInvreq, request, context);
}

Result<v1::SendInvoiceResponse> Client::SendInvoice(const v1::SendInvoiceRequest& request,
                                                    grpc::ClientContext* context) const {
  return session_->Call(*session_->invreqs, &Invreqs::SendInvoice, request, context);
}

Result<v1::CreateKeyResponse> Client::CreateKey(const v1::CreateKeyRequest& request,
                                                grpc::ClientContext* context) const {
  return session_->Call(*session_->keys, &Keys::CreateKey, request, context);
}

Result<v1::ListKeysResponse> Client::ListKeys(const v1::ListKeysRequest& request,
                                              grpc::ClientContext* context) const {
  return session_->Call(*session_->keys, &Keys::ListKeys, request, context);
}

Result<v1::RevokeKeyResponse> Client::RevokeKey(const v1::RevokeKeyRequest& request,
                                                grpc::ClientContext* context) const {
  return session_->Call(*session_->keys, &Keys::RevokeKey, request, context);
}

const std::shared_ptr<grpc::Channel>& Client::channel() const { return session_->channel; }

Result<void> Client::Authorize(grpc::ClientContext* context) const { return session_->Authorize(context); }

}  // namespace till
