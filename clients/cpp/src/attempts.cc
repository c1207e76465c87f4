#include "attempts.h"

#include <algorithm>
#include <utility>

namespace till {
namespace {

using std::chrono::nanoseconds;
using namespace std::chrono_literals;

constexpr auto kLongestPause = 1500ms;
// How long an attempt waits for a channel whose last attempt to connect failed. Local and metropolitan networks need
// less; if it takes longer, the channel is ready after the next pause.
constexpr auto kReconnectWindow = 250ms;
constexpr auto kCancelPoll = 50ms;

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

Attempts::Attempts(std::shared_ptr<const Session> session, std::string what)
    : session_(std::move(session)), what_(std::move(what)), random_(std::random_device()()) {}

void Attempts::Start(std::optional<std::chrono::milliseconds> timeout) {
  deadline_.reset();
  if (timeout) deadline_ = Clock::now() + std::min(*timeout, kLongestTimeout);
  pause_ = kFirstPause;
  failures_ = 0;
  lost_.reset();
}

Result<grpc::ClientContext*> Attempts::Begin() {
  if (failures_ > 0) AwaitReconnect();
  auto context = std::make_unique<grpc::ClientContext>();
  if (deadline_) context->set_deadline(std::chrono::system_clock::now() + (*deadline_ - Clock::now()));
  if (auto authorized = session_->Authorize(context.get()); !authorized) return authorized.error();
  const std::lock_guard lock(mutex_);
  if (is_cancelled_) return Cancelled();
  context_ = std::move(context);
  return context_.get();
}

/// Lets a channel reconnect whose last attempt failed. A call would fail before the channel's own back-off is over, and
/// the pauses of both would add up.
void Attempts::AwaitReconnect() {
  auto& channel = *session_->channel;
  const auto until = std::chrono::system_clock::now() + kReconnectWindow;
  constexpr auto kFailed = GRPC_CHANNEL_TRANSIENT_FAILURE;
  if (channel.GetState(true) != kFailed) return;
  grpc::experimental::ChannelResetConnectionBackoff(&channel);
  while (channel.GetState(true) == kFailed && std::chrono::system_clock::now() < until && !IsCancelled()) {
    channel.WaitForStateChange(kFailed, std::chrono::system_clock::now() + kCancelPoll);
  }
}

void Attempts::Received() {
  pause_ = kFirstPause;
  lost_.reset();
  Report(false, std::exchange(failures_, 0));
}

Result<void> Attempts::PauseAfter(const grpc::Status& status, bool may_reconnect) {
  const auto error = session_->ErrorOf(status);
  if (IsCancelled()) return Cancelled();
  if (deadline_ && !error.code() && error.status_code() == grpc::StatusCode::DEADLINE_EXCEEDED) return Late();
  if (!may_reconnect) return error;
  if (error.code() && error.retry_after()) {
    return Pause(error, std::max<nanoseconds>(*error.retry_after(), kFirstPause), 1, 1.5);
  }
  if (!IsLost(error)) return error;
  return Pause(error, std::exchange(pause_, std::min<nanoseconds>(2 * pause_, kLongestPause)), 0.5, 1);
}

/// Pauses, or until the deadline or Cancel. The factor is random, so that the watches of a Till that was restarted do not
/// return all together.
Result<void> Attempts::Pause(const Error& error, nanoseconds pause, double least, double most) {
  lost_ = error;
  Report(true, ++failures_);
  const double factor = std::uniform_real_distribution(least, most)(random_);
  const auto again = Clock::now() + std::chrono::duration_cast<nanoseconds>(pause * factor);
  std::unique_lock lock(mutex_);
  if (cancelling_.wait_until(lock, deadline_ ? std::min(again, *deadline_) : again, [this] { return is_cancelled_; })) {
    return Cancelled();
  }
  if (deadline_ && again >= *deadline_) return Late();
  return {};
}

void Attempts::Cancel() {
  const std::lock_guard lock(mutex_);
  is_cancelled_ = true;
  if (context_) context_->TryCancel();
  cancelling_.notify_all();
}

bool Attempts::IsCancelled() {
  const std::lock_guard lock(mutex_);
  return is_cancelled_;
}

Error Attempts::Cancelled() const { return Error({grpc::StatusCode::CANCELLED, "the " + what_ + " was cancelled"}); }

Error Attempts::Late() const {
  std::string message = "the " + what_ + " exceeded its timeout";
  if (lost_) message += "; its last error: " + lost_->message();
  return Error({grpc::StatusCode::DEADLINE_EXCEEDED, message});
}

void Attempts::Report(bool lost, int attempt) const {
  if (attempt > 0 && on_connection) on_connection({lost, attempt, lost ? lost_ : std::nullopt});
}

}  // namespace till
