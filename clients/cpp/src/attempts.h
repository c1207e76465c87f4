// The attempts at a watch, at a stream of events, or at a page of a list: their connections, the pauses between them, and their end.
#ifndef TILL_SRC_ATTEMPTS_H_
#define TILL_SRC_ATTEMPTS_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>

#include "session.h"

namespace till {

// The first pause. Each is twice as long, up to the longest.
constexpr auto kFirstPause = std::chrono::milliseconds(100);

class Attempts {
 public:
  /// What is attempted, such as "watch", is for errors.
  Attempts(std::shared_ptr<const Session> session, std::string what);

  /// Starts anew, with a deadline for all attempts together.
  void Start(std::optional<std::chrono::milliseconds> timeout);

  /// Begins an attempt: the context of its call, until the next attempt. An error ends the attempts.
  Result<grpc::ClientContext*> Begin();

  /// Takes note of a message.
  void Received();

  /// Pauses before the next attempt. An error ends the attempts: the one that the last attempt ended with unless
  /// another may cure it, the deadline, or Cancel.
  Result<void> PauseAfter(const grpc::Status& status, bool may_reconnect);

  /// Ends the attempts. Any thread may call it.
  void Cancel();
  bool IsCancelled();
  Error Cancelled() const;

  const std::string& what() const { return what_; }

  /// Called with each change of the connection.
  std::function<void(const Connection&)> on_connection;

 private:
  using Clock = std::chrono::steady_clock;

  void AwaitReconnect();
  Result<void> Pause(const Error& error, std::chrono::nanoseconds pause, double least, double most);
  Error Late() const;
  void Report(bool lost, int attempt) const;

  const std::shared_ptr<const Session> session_;
  const std::string what_;
  std::minstd_rand random_;
  std::optional<Clock::time_point> deadline_;
  std::chrono::nanoseconds pause_ = kFirstPause;
  int failures_ = 0;
  std::optional<Error> lost_;

  std::mutex mutex_;
  std::condition_variable cancelling_;
  bool is_cancelled_ = false;
  // gRPC wants a new one for each attempt.
  std::unique_ptr<grpc::ClientContext> context_;
};

}  // namespace till

#endif  // TILL_SRC_ATTEMPTS_H_
