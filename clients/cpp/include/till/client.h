/// A client of Till, a cash register for Core Lightning.
///
/// The messages and stubs are those that gRPC generates from Till's protos: till/v1/*.grpc.pb.h. Amounts are in
/// millisatoshi. Nothing here throws but the constructor of Client, for what is no key.
#ifndef TILL_CLIENT_H_
#define TILL_CLIENT_H_

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <grpcpp/grpcpp.h>

#include "till/v1/invoice_service.grpc.pb.h"
#include "till/v1/invreq_service.grpc.pb.h"
#include "till/v1/key_service.grpc.pb.h"

namespace till {

/// The documented code of an error of Till, such as "E2"; empty if it is not Till's: a lost connection, a deadline.
std::string Code(const grpc::Status& status);

/// Why Till failed, such as "NOT_FOUND"; empty if the error is not Till's.
std::string Reason(const grpc::Status& status);

/// How long to wait before the same call may succeed, if the error says it.
std::optional<std::chrono::nanoseconds> RetryAfter(const grpc::Status& status);

/// Follows an invoice through lost connections: see Client::Watch. One thread reads; any may cancel.
class Watch {
 public:
  /// Ends the watch, at Till too.
  ~Watch();

  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Waits for the next state of the invoice. False: there is none any more, and Finish says why.
  bool Read(v1::Invoice* invoice);

  /// OK after the invoice was paid or expired, or else what ended the watch. Call it after Read was false.
  grpc::Status Finish() const;

  /// Lets Read be false soon, and Finish tell CANCELLED.
  void Cancel();

 private:
  friend class Client;
  using Deadline = std::chrono::system_clock::time_point;

  Watch(std::shared_ptr<v1::InvoiceService::StubInterface> invoices, std::string invoice_id, Deadline deadline);
  bool Begin();
  bool End(const grpc::Status& status);
  bool Pause();

  const std::shared_ptr<v1::InvoiceService::StubInterface> invoices_;
  const Deadline deadline_;
  v1::WatchInvoiceRequest request_;
  v1::WatchInvoiceResponse last_;
  std::chrono::milliseconds pause_;
  std::unique_ptr<grpc::ClientReaderInterface<v1::WatchInvoiceResponse>> reader_;
  std::optional<grpc::Status> status_;

  std::mutex mutex_;
  std::condition_variable cancelling_;
  bool is_cancelled_ = false;
  /// Made anew for each attempt: gRPC wants it so.
  std::unique_ptr<grpc::ClientContext> context_;
};

/// How to talk to a Till.
struct Options {
  /// A key, or a watch token, which is sent with each call. Empty: none. White space around it is left out, such as the
  /// end of a line in a file.
  std::string key;
  /// TLS: grpc::SslCredentials. Without it all of it goes in the clear, the key too: that is for loopback.
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
};

/// Calls one Till, over a connection that it opens when it is needed and again when it was lost. Threads may share it.
class Client {
 public:
  /// Does not connect yet. The address is such as "127.0.0.1:50051". Throws std::invalid_argument for what is no key.
  explicit Client(const std::string& address, const Options& options = {});

  /// Takes payments.
  v1::InvoiceService::StubInterface& invoices() const { return *invoices_; }
  /// Offers payments, for keys with the scope payouts.
  v1::InvreqService::StubInterface& invreqs() const { return *invreqs_; }
  /// Makes, lists and revokes keys, for keys with the scope admin.
  v1::KeyService::StubInterface& keys() const { return *keys_; }

  /// Follows an invoice: its state now, then each change, until it is paid or expired.
  ///
  /// When the connection is lost it comes back by itself until the deadline, and tells no state twice in a row. Any other
  /// error ends it.
  std::unique_ptr<till::Watch> Watch(
      std::string invoice_id,
      std::chrono::system_clock::time_point deadline = std::chrono::system_clock::time_point::max()) const;

 private:
  std::shared_ptr<v1::InvoiceService::StubInterface> invoices_;
  std::shared_ptr<v1::InvreqService::StubInterface> invreqs_;
  std::shared_ptr<v1::KeyService::StubInterface> keys_;
};

}  // namespace till

#endif  // TILL_CLIENT_H_
