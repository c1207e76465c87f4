#include "till/watch.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <random>
#include <utility>

#include <google/protobuf/util/message_differencer.h>

#include "session.h"

namespace till {
namespace {

using google::protobuf::util::MessageDifferencer;
using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;
using namespace std::chrono_literals;

// Pauses before a reconnect: from the first, twice as long each time, up to the longest.
constexpr auto kFirstPause = 100ms;
constexpr auto kLongestPause = 1500ms;
// How long an attempt waits for a channel whose last attempt to connect failed. Local and metropolitan networks need
// less; if it takes longer, the channel is ready after the next pause.
constexpr auto kReconnectWindow = 250ms;
constexpr auto kCancelPoll = 50ms;

bool IsFinal(const v1::Invoice& invoice) {
  return invoice.status() == v1::INVOICE_STATUS_PAID || invoice.status() == v1::INVOICE_STATUS_EXPIRED;
}

/// Whether the connection was lost, so that another attempt may succeed.
bool IsLost(const Error& error) {
  switch (error.status_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      return true;
    // Without a code: a reset behind a proxy, or a Till that stops. Till's own errors have a code.
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::UNKNOWN:
      return !error.code();
    default:
      return false;
  }
}

}  // namespace

class Watch::Impl {
 public:
  Impl(std::shared_ptr<const Session> session, std::string invoice_id, WatchOptions options)
      : session_(std::move(session)), options_(std::move(options)), random_(std::random_device()()) {
    if (options_.timeout) {
      deadline_ = Clock::now() + std::min(*options_.timeout, kLongestTimeout);
    }
    if (std::any_of(invoice_id.begin(), invoice_id.end(), [](unsigned char each) { return each > 0x7F; })) {
      // Till's error for malformed UTF-8 has no code: it would look like a lost connection.
      End(Error({grpc::StatusCode::INVALID_ARGUMENT, "invoice_id has ASCII characters only"}));
    }
    request_.set_invoice_id(std::move(invoice_id));
  }

  ~Impl() {
    Cancel();
    if (reader_) reader_->Finish();
  }

  std::optional<v1::Invoice> Next() {
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

  Result<void> Finish() const {
    if (end_) return *end_;
    return Error({grpc::StatusCode::FAILED_PRECONDITION, "the watch has not ended; call Next until it returns none"});
  }

  void Cancel() {
    const std::lock_guard lock(mutex_);
    is_cancelled_ = true;
    if (context_) context_->TryCancel();
    cancelling_.notify_all();
  }

 private:
  bool End(Result<void> result) {
    end_ = std::move(result);
    return false;
  }

  bool EndCancelled() { return End(Error({grpc::StatusCode::CANCELLED, "the watch was cancelled"})); }

  bool EndLate() {
    std::string message = "the watch exceeded its timeout";
    if (lost_) message += "; its last error: " + lost_->message();
    return End(Error({grpc::StatusCode::DEADLINE_EXCEEDED, message}));
  }

  /// Begins an attempt. False: the watch has ended.
  bool Begin() {
    if (failures_ > 0) AwaitReconnect();
    auto context = std::make_unique<grpc::ClientContext>();
    if (deadline_) context->set_deadline(std::chrono::system_clock::now() + (*deadline_ - Clock::now()));
    if (auto authorized = session_->Authorize(context.get()); !authorized) return End(authorized);
    const std::lock_guard lock(mutex_);
    if (is_cancelled_) return EndCancelled();
    context_ = std::move(context);
    reader_ = session_->invoices->WatchInvoice(context_.get(), request_);
    return true;
  }

  /// Lets a channel reconnect whose last attempt failed. A call would fail before the channel's own back-off is over,
  /// and the pauses of both would add up.
  void AwaitReconnect() {
    auto& channel = *session_->channel;
    const auto until = std::chrono::system_clock::now() + kReconnectWindow;
    constexpr auto kFailed = GRPC_CHANNEL_TRANSIENT_FAILURE;
    if (channel.GetState(true) != kFailed) return;
    grpc::experimental::ChannelResetConnectionBackoff(&channel);
    while (channel.GetState(true) == kFailed && std::chrono::system_clock::now() < until && !IsCancelled()) {
      channel.WaitForStateChange(kFailed, std::chrono::system_clock::now() + kCancelPoll);
    }
  }

  bool IsCancelled() {
    const std::lock_guard lock(mutex_);
    return is_cancelled_;
  }

  /// Takes note of a message. False: it repeats the last state.
  bool IsNews(const v1::WatchInvoiceResponse& message) {
    pause_ = kFirstPause;
    lost_.reset();
    Report(false, std::exchange(failures_, 0));
    if (last_ && MessageDifferencer::Equals(message, *last_)) return false;
    last_ = message;
    return true;
  }

  /// Ends the attempt, then pauses before the next one, or ends the watch.
  void Lose() {
    auto status = reader_->Finish();
    reader_.reset();
    if (status.ok()) status = {grpc::StatusCode::UNAVAILABLE, "the watch ended before the invoice was final"};
    const auto error = session_->ErrorOf(status);
    if (IsCancelled()) {
      EndCancelled();
    } else if (deadline_ && !error.code() && error.status_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
      EndLate();
    } else if (last_ && error.code() && error.retry_after()) {
      PauseAfter(error, std::max<nanoseconds>(*error.retry_after(), kFirstPause), 1, 1.5);
    } else if (IsLost(error) && (last_ || options_.wait_for_ready)) {
      PauseAfter(error, std::exchange(pause_, std::min<nanoseconds>(2 * pause_, kLongestPause)), 0.5, 1);
    } else {
      End(error);
    }
  }

  /// Pauses, or until the deadline or Cancel. The factor is random, so that the watches of a Till that was restarted do
  /// not return all together.
  void PauseAfter(const Error& error, nanoseconds pause, double least, double most) {
    lost_ = error;
    Report(true, ++failures_);
    const double factor = std::uniform_real_distribution(least, most)(random_);
    const auto again = Clock::now() + std::chrono::duration_cast<nanoseconds>(pause * factor);
    std::unique_lock lock(mutex_);
    if (cancelling_.wait_until(lock, deadline_ ? std::min(again, *deadline_) : again, [this] { return is_cancelled_; })) {
      EndCancelled();
    } else if (deadline_ && again >= *deadline_) {
      EndLate();
    }
  }

  void Report(bool lost, int attempt) const {
    if (attempt > 0 && options_.on_connection) options_.on_connection({lost, attempt, lost ? lost_ : std::nullopt});
  }

  const std::shared_ptr<const Session> session_;
  const WatchOptions options_;
  std::minstd_rand random_;
  v1::WatchInvoiceRequest request_;
  std::optional<Clock::time_point> deadline_;

  std::unique_ptr<grpc::ClientReaderInterface<v1::WatchInvoiceResponse>> reader_;
  std::optional<v1::WatchInvoiceResponse> last_;
  nanoseconds pause_ = kFirstPause;
  int failures_ = 0;
  std::optional<Error> lost_;
  std::optional<Result<void>> end_;

  std::mutex mutex_;
  std::condition_variable cancelling_;
  bool is_cancelled_ = false;
  // gRPC wants a new one for each attempt.
  std::unique_ptr<grpc::ClientContext> context_;
};

Watch::Watch(std::shared_ptr<const Session> session, std::string invoice_id, WatchOptions options)
    : impl_(std::make_unique<Impl>(std::move(session), std::move(invoice_id), std::move(options))) {}
Watch::Watch(Watch&&) noexcept = default;
Watch& Watch::operator=(Watch&&) noexcept = default;
Watch::~Watch() = default;

std::optional<v1::Invoice> Watch::Next() { return impl_->Next(); }
Result<void> Watch::Finish() const { return impl_->Finish(); }
void Watch::Cancel() { impl_->Cancel(); }

}  // namespace till
