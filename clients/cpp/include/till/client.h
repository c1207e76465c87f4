/// The client of Till, a cash register for Core Lightning.
///
/// Messages are those that protobuf generates from Till's protos: till/v1/*.pb.h. Amounts are in millisatoshi.
#ifndef TILL_CLIENT_H_
#define TILL_CLIENT_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <grpcpp/grpcpp.h>

#include "till/errors.h"
#include "till/events.h"
#include "till/list.h"
#include "till/v1/event_service.grpc.pb.h"
#include "till/v1/invoice_service.grpc.pb.h"
#include "till/v1/invreq_service.grpc.pb.h"
#include "till/v1/key_service.grpc.pb.h"
#include "till/v1/webhook_service.grpc.pb.h"
#include "till/watch.h"
#include "till/webhook_secret.h"

namespace till {

class Session;

/// Options of a client.
struct Options {
  /// An API key or a watch token, sent with each call. White space around it is stripped. Empty: none is sent.
  std::string key;
  /// Returns the key; called before each call and before each attempt of a watch or of events, so that a key can rotate. Threads may
  /// call it concurrently. If it throws, the call or watch fails with UNAUTHENTICATED.
  std::function<std::string()> key_function;
  /// Maximum duration of a call without a grpc::ClientContext of its own.
  std::chrono::milliseconds timeout = std::chrono::seconds(30);

  /// TLS: grpc::SslCredentialsOptions{} trusts the usual roots. None: plaintext.
  std::optional<grpc::SslCredentialsOptions> tls;
  /// Whether a key may be sent in plaintext beyond loopback (localhost, 127.0.0.0/8, ::1, Unix sockets).
  bool allow_plaintext_key = false;
  /// Arguments of the channel. They take precedence over the client's own, such as GRPC_ARG_KEEPALIVE_TIME_MS.
  grpc::ChannelArguments channel_arguments;
};

/// A client of one Till, over a connection that it opens when needed and reopens when lost.
///
/// Threads may share a client; copies share its connection. Each call fails within 5 s if Till cannot be reached. It is
/// sent once, except the later pages of a list: retry reads, a cancel, or a create with a label, which returns the same
/// invoice.
///
/// A grpc::ClientContext of one's own gives a call another deadline, or metadata, or lets another thread cancel it. A
/// call with a context that has no deadline waits as long as Till does.
class Client {
 public:
  /// Does not connect yet. The address is HOST:PORT, or another target of gRPC such as "unix:/run/till.sock".
  ///
  /// Throws std::invalid_argument for a malformed key, and for a key in plaintext beyond loopback.
  explicit Client(const std::string& address, Options options = {});

  /// Uses a channel of one's own, with other credentials or interceptors, or of a server in the same process. The
  /// caller is responsible for the key in plaintext. Only key, key_function and timeout of the options apply.
  ///
  /// Throws std::invalid_argument for a malformed key.
  explicit Client(std::shared_ptr<grpc::Channel> channel, Options options = {});

  // Payments to receive: till/v1/invoice_service.proto.

  Result<v1::CreateInvoiceResponse> CreateInvoice(const v1::CreateInvoiceRequest& request,
                                                  grpc::ClientContext* context = nullptr) const;
  Result<v1::GetInvoiceResponse> GetInvoice(const v1::GetInvoiceRequest& request,
                                            grpc::ClientContext* context = nullptr) const;
  Result<v1::GetInvoiceByIdResponse> GetInvoiceById(const v1::GetInvoiceByIdRequest& request,
                                                    grpc::ClientContext* context = nullptr) const;
  Result<v1::LookupInvoiceResponse> LookupInvoice(const v1::LookupInvoiceRequest& request,
                                                  grpc::ClientContext* context = nullptr) const;
  Result<v1::GetInfoResponse> GetInfo(const v1::GetInfoRequest& request = {},
                                      grpc::ClientContext* context = nullptr) const;

  /// Cancels an unpaid invoice: it can no longer be paid. Idempotent. kConflict (E5): the invoice is paid or expired.
  Result<v1::CancelInvoiceResponse> CancelInvoice(const v1::CancelInvoiceRequest& request,
                                                  grpc::ClientContext* context = nullptr) const;
  /// The number and the sum of the payments received in a period, by group.
  Result<v1::GetReportResponse> GetReport(const v1::GetReportRequest& request,
                                          grpc::ClientContext* context = nullptr) const;
  /// A single page of a list.
  Result<v1::ListInvoicesResponse> ListInvoices(const v1::ListInvoicesRequest& request,
                                                grpc::ClientContext* context = nullptr) const;

  /// All invoices that match, over all pages: Next fetches a page when an invoice of it is needed. A list may begin at a
  /// page token.
  ///
  /// A page after the first is fetched again if its connection is lost, with the pauses of a watch, until its deadline.
  /// Any other error ends the list.
  [[nodiscard]] InvoiceList List(v1::ListInvoicesRequest request = {}, ListOptions options = {}) const;

  /// All invoices that match as parts of a CSV file: whole lines, the header first. The file is complete only if Finish
  /// returns success, or a loop ends without an exception.
  [[nodiscard]] InvoiceExport Export(v1::ExportInvoicesRequest request = {}, ExportOptions options = {}) const;

  /// Watches an invoice: its current state, then each change, until it is paid, expired or canceled.
  ///
  /// After the first state the watch reconnects when its connection is lost. It returns no state twice in a row, and
  /// misses no payment. Any other error ends it, unless Till says when to try again (E7).
  [[nodiscard]] till::Watch Watch(std::string invoice_id, WatchOptions options = {}) const;

  // The log of events, for keys with the scope events:read: till/v1/event_service.proto.

  /// Events of the user's log, each once and in order: first those in the log, then new ones. It does not end by itself.
  ///
  /// After Till's first response the stream reconnects when its connection is lost, or is silent for 45 s, and continues
  /// behind the last event. Any other error ends it, unless Till says when to try again (E7). kEventsGone (E16): Till has
  /// removed events that the stream has not returned.
  [[nodiscard]] EventStream Events(EventOptions options = {}) const;
  /// A single page of events.
  Result<v1::ListEventsResponse> ListEvents(const v1::ListEventsRequest& request = {},
                                            grpc::ClientContext* context = nullptr) const;

  // Webhooks, for keys with the scope webhooks: till/v1/webhook_service.proto. CreateWebhook, RotateSecret, TestWebhook,
  // RedeliverEvent and ReplayEvents act each time they are called: after an error without a code, read the webhook or its
  // deliveries before a retry.

  /// Creates a webhook: it receives events that happen from now on. If the reply is lost, there may be a webhook whose
  /// secret nobody knows: ListWebhooks shows it.
  Result<WebhookSecret> CreateWebhook(const v1::CreateWebhookRequest& request,
                                      grpc::ClientContext* context = nullptr) const;
  Result<v1::GetWebhookResponse> GetWebhook(const v1::GetWebhookRequest& request,
                                            grpc::ClientContext* context = nullptr) const;
  Result<v1::ListWebhooksResponse> ListWebhooks(const v1::ListWebhooksRequest& request = {},
                                                grpc::ClientContext* context = nullptr) const;
  /// Changes the fields that the request has. Idempotent. EventTypes without types is every type.
  Result<v1::UpdateWebhookResponse> UpdateWebhook(const v1::UpdateWebhookRequest& request,
                                                  grpc::ClientContext* context = nullptr) const;
  /// Deletes a webhook and its deliveries. A retry may fail with kNotFound (E2).
  Result<v1::DeleteWebhookResponse> DeleteWebhook(const v1::DeleteWebhookRequest& request,
                                                  grpc::ClientContext* context = nullptr) const;
  /// Replaces the secret. For 24 hours the old and the new secret both sign.
  Result<WebhookSecret> RotateSecret(const v1::RotateSecretRequest& request,
                                     grpc::ClientContext* context = nullptr) const;
  /// Sends an event of type "ping" now. The test succeeded if the error of the attempt is empty.
  Result<v1::TestWebhookResponse> TestWebhook(const v1::TestWebhookRequest& request,
                                              grpc::ClientContext* context = nullptr) const;
  /// All deliveries of a webhook that are pending or dead, and some of the last that succeeded, the newest event first.
  /// Pages are fetched as by List.
  [[nodiscard]] DeliveryList Deliveries(v1::ListDeliveriesRequest request, ListOptions options = {}) const;
  /// A single page of deliveries.
  Result<v1::ListDeliveriesResponse> ListDeliveries(const v1::ListDeliveriesRequest& request,
                                                    grpc::ClientContext* context = nullptr) const;
  /// Attempts the delivery of an event immediately, whatever its state. kEventsGone (E16): the event was removed.
  Result<v1::RedeliverEventResponse> RedeliverEvent(const v1::RedeliverEventRequest& request,
                                                    grpc::ClientContext* context = nullptr) const;
  /// Sends all events after a sequence again, in order, then new ones.
  Result<v1::ReplayEventsResponse> ReplayEvents(const v1::ReplayEventsRequest& request,
                                                grpc::ClientContext* context = nullptr) const;

  // Payments to offer, for keys with the scope payouts: till/v1/invreq_service.proto.

  Result<v1::CreateInvreqResponse> CreateInvreq(const v1::CreateInvreqRequest& request,
                                                grpc::ClientContext* context = nullptr) const;
  Result<v1::GetInvreqResponse> GetInvreq(const v1::GetInvreqRequest& request,
                                          grpc::ClientContext* context = nullptr) const;
  Result<v1::ListInvreqsResponse> ListInvreqs(const v1::ListInvreqsRequest& request,
                                              grpc::ClientContext* context = nullptr) const;
  Result<v1::DisableInvreqResponse> DisableInvreq(const v1::DisableInvreqRequest& request,
                                                  grpc::ClientContext* context = nullptr) const;
  Result<v1::SendInvoiceResponse> SendInvoice(const v1::SendInvoiceRequest& request,
                                              grpc::ClientContext* context = nullptr) const;

  // Keys, for keys with the scope admin: till/v1/key_service.proto.

  Result<v1::CreateKeyResponse> CreateKey(const v1::CreateKeyRequest& request,
                                          grpc::ClientContext* context = nullptr) const;
  Result<v1::ListKeysResponse> ListKeys(const v1::ListKeysRequest& request,
                                        grpc::ClientContext* context = nullptr) const;
  Result<v1::RevokeKeyResponse> RevokeKey(const v1::RevokeKeyRequest& request,
                                          grpc::ClientContext* context = nullptr) const;

  /// The channel, for the generated stubs: asynchronous calls, say. They send a key only after Authorize.
  [[nodiscard]] const std::shared_ptr<grpc::Channel>& channel() const;

  /// Adds the key to the metadata of a call that a stub makes. Fails if key_function does.
  Result<void> Authorize(grpc::ClientContext* context) const;

 private:
  std::shared_ptr<const Session> session_;
};

}  // namespace till

#endif  // TILL_CLIENT_H_
