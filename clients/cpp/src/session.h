// The channel of a client, its key, and how its errors read. Shared by a client, its copies and its items.
#ifndef TILL_SRC_SESSION_H_
#define TILL_SRC_SESSION_H_

#include <memory>
#include <string>

#include "till/client.h"

namespace till {

// Longer time-outs overflow a clock.
constexpr std::chrono::milliseconds kLongestTimeout = std::chrono::hours(24) * 365 * 100;

class Session {
 public:
  Session(const std::string& address, const Options& options);
  Session(std::shared_ptr<grpc::Channel> channel, const Options& options);

  Result<void> Authorize(grpc::ClientContext* context) const;

  /// The Error of a status. A lost connection names the proxy, which gRPC's own message presents as Till.
  Error ErrorOf(const grpc::Status& status) const;

  template <class Stub, class Request, class Response>
  Result<Response> Call(Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                        const Request& request, grpc::ClientContext* context) const {
    grpc::ClientContext own;
    if (!context) {
      own.set_deadline(std::chrono::system_clock::now() + timeout);
      context = &own;
    }
    if (auto authorized = Authorize(context); !authorized) return authorized.error();
    Response response;
    if (const auto status = (stub.*method)(context, request, &response); !status.ok()) return ErrorOf(status);
    return response;
  }

  /// The maximum duration of a call.
  const std::chrono::milliseconds timeout;
  const std::shared_ptr<grpc::Channel> channel;
  const std::unique_ptr<v1::EventService::StubInterface> events = v1::EventService::NewStub(channel);
  const std::unique_ptr<v1::InvoiceService::StubInterface> invoices = v1::InvoiceService::NewStub(channel);
  const std::unique_ptr<v1::InvreqService::StubInterface> invreqs = v1::InvreqService::NewStub(channel);
  const std::unique_ptr<v1::KeyService::StubInterface> keys = v1::KeyService::NewStub(channel);
  const std::unique_ptr<v1::WebhookService::StubInterface> webhooks = v1::WebhookService::NewStub(channel);

 private:
  const std::string key_;
  const std::function<std::string()> key_function_;
  const bool may_have_proxy_;
};

}  // namespace till

#endif  // TILL_SRC_SESSION_H_
