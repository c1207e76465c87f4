#include "till/watch.h"

#include <algorithm>
#include <utility>

#include <google/protobuf/util/message_differencer.h>

#include "items.h"

namespace till {
namespace {

using google::protobuf::util::MessageDifferencer;

bool IsFinal(const v1::Invoice& invoice) {
  switch (invoice.status()) {
    case v1::INVOICE_STATUS_PAID:
    case v1::INVOICE_STATUS_EXPIRED:
    case v1::INVOICE_STATUS_CANCELED:
      return true;
    default:
      return false;
  }
}

class Watching : public Attempted<v1::Invoice> {
 public:
  Watching(std::shared_ptr<const Session> session, std::string invoice_id, WatchOptions options)
      : Attempted(std::move(session), "watch"), waits_for_ready_(options.wait_for_ready) {
    attempts_.on_connection = std::move(options.on_connection);
    attempts_.Start(options.timeout);
    if (std::any_of(invoice_id.begin(), invoice_id.end(), [](unsigned char each) { return each > 0x7F; })) {
      // Till's error for malformed UTF-8 has no code: it would look like a lost connection.
      End(Error({grpc::StatusCode::INVALID_ARGUMENT, "invoice_id has ASCII characters only"}));
    }
    request_.set_invoice_id(std::move(invoice_id));
  }

  ~Watching() override {
    Cancel();
    if (reader_) reader_->Finish();
  }

  std::optional<v1::Invoice> Next() override {
    while (!end_) {
      if (!reader_ && !Begin()) break;
      v1::WatchInvoiceResponse message;
      if (!reader_->Read(&message)) {
        Lose();
      } else if (IsNews(message)) {
        if (IsFinal(message.invoice())) End({});
        return std::move(*message.mutable_invoice());
      }
    }
    return std::nullopt;
  }

 private:
  /// Begins an attempt. False: the watch has ended.
  bool Begin() {
    const auto context = attempts_.Begin();
    if (!context) return End(context.error());
    reader_ = session_->invoices->WatchInvoice(*context, request_);
    return true;
  }

  /// Takes note of a message. False: it repeats the last state.
  bool IsNews(const v1::WatchInvoiceResponse& message) {
    attempts_.Received();
    if (last_ && MessageDifferencer::Equals(message, *last_)) return false;
    last_ = message;
    return true;
  }

  /// Ends the attempt, then pauses before the next one, or ends the watch.
  void Lose() {
    auto status = reader_->Finish();
    reader_.reset();
    if (status.ok()) status = {grpc::StatusCode::UNAVAILABLE, "the watch ended before the invoice was final"};
    if (const auto again = attempts_.PauseAfter(status, last_ || waits_for_ready_); !again) End(again);
  }

  const bool waits_for_ready_;
  v1::WatchInvoiceRequest request_;
  std::unique_ptr<grpc::ClientReaderInterface<v1::WatchInvoiceResponse>> reader_;
  std::optional<v1::WatchInvoiceResponse> last_;
};

}  // namespace

Watch StartWatch(std::shared_ptr<const Session> session, std::string invoice_id, WatchOptions options) {
  return Watch(std::make_unique<Watching>(std::move(session), std::move(invoice_id), std::move(options)));
}

}  // namespace till
