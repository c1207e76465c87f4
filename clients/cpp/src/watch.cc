#include <algorithm>
#include <utility>

#include <google/protobuf/util/message_differencer.h>

#include "till/client.h"

namespace till {
namespace {

using google::protobuf::util::MessageDifferencer;
using namespace std::chrono_literals;

// Pauses before a lost connection is tried again: from the first, twice as long each time, up to the longest.
constexpr auto kFirstPause = 100ms;
constexpr auto kLongestPause = 2000ms;

bool IsFinal(const v1::Invoice& invoice) {
  return invoice.status() == v1::INVOICE_STATUS_PAID || invoice.status() == v1::INVOICE_STATUS_EXPIRED;
}

/// Whether a watch that ended so may succeed when it is begun again.
bool IsLost(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
    case grpc::StatusCode::UNAVAILABLE:
      return true;
    // So looks a Till that stops to some versions of gRPC. Who cancels the watch is heard after all of these.
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::UNKNOWN:
      // So looks a connection that was reset behind a proxy. Till's own errors have a code.
      return Code(status).empty();
    default:
      return false;
  }
}

}  // namespace

Watch::Watch(std::shared_ptr<v1::InvoiceService::StubInterface> invoices, std::string invoice_id, Deadline deadline)
    : invoices_(std::move(invoices)), deadline_(deadline), pause_(kFirstPause) {
  if (std::any_of(invoice_id.begin(), invoice_id.end(), [](unsigned char each) { return each > 0x7F; })) {
    // Till's error for what is no UTF-8 would look like a connection that was lost.
    End({grpc::StatusCode::INVALID_ARGUMENT, "an invoice ID has only ASCII characters"});
  }
  request_.set_invoice_id(std::move(invoice_id));
}

Watch::~Watch() {
  Cancel();
  if (reader_) reader_->Finish();
}

bool Watch::Read(v1::Invoice* invoice) {
  while (!status_) {
    if (!reader_ && !Begin()) break;
    v1::WatchInvoiceResponse state;
    if (reader_->Read(&state)) {
      pause_ = kFirstPause;
      if (MessageDifferencer::Equals(state, last_)) continue;
      last_ = state;
      *invoice = std::move(*state.mutable_invoice());
      if (IsFinal(*invoice)) End(grpc::Status::OK);
      return true;
    }
    const auto status = reader_->Finish();
    reader_.reset();
    if (!IsLost(status)) return End(status);
    if (!Pause()) break;
  }
  return false;
}

grpc::Status Watch::Finish() const { return status_.value_or(grpc::Status::OK); }

void Watch::Cancel() {
  const std::lock_guard lock(mutex_);
  is_cancelled_ = true;
  if (context_) context_->TryCancel();
  cancelling_.notify_all();
}

bool Watch::Begin() {
  const std::lock_guard lock(mutex_);
  if (is_cancelled_) return End(grpc::Status::CANCELLED);
  context_ = std::make_unique<grpc::ClientContext>();
  context_->set_deadline(deadline_);
  // Without a call that waits for it gRPC looks after a connection only every 5 s.
  context_->set_wait_for_ready(true);
  reader_ = invoices_->WatchInvoice(context_.get(), request_);
  return true;
}

bool Watch::End(const grpc::Status& status) {
  status_ = status;
  return false;
}

bool Watch::Pause() {
  std::unique_lock lock(mutex_);
  const auto again = std::chrono::system_clock::now() + pause_;
  if (cancelling_.wait_until(lock, std::min(again, deadline_), [this] { return is_cancelled_; })) {
    return End(grpc::Status::CANCELLED);
  }
  if (again >= deadline_) return End({grpc::StatusCode::DEADLINE_EXCEEDED, "Deadline Exceeded"});
  pause_ = std::min(2 * pause_, std::chrono::milliseconds(kLongestPause));
  return true;
}

}  // namespace till
