/// Errors of calls and watches.
#ifndef TILL_ERRORS_H_
#define TILL_ERRORS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>

#include <grpcpp/support/status.h>

namespace till {

/// The documented codes, E0 to E16: docs/reference/errors.md. A later Till may send others.
enum class Code {
  /// E0: a fault of Till or its node. Its log has the details.
  kInternal = 0,
  /// E1: the request is invalid. The message names the field and the limit.
  kInvalidRequest = 1,
  /// E2: not found, or not visible to this caller.
  kNotFound = 2,
  /// E3: the key is missing, unknown, expired or revoked.
  kUnauthenticated = 3,
  /// E4: the key lacks the scope, or is for another type.
  kPermissionDenied = 4,
  /// E5: the label is in use for a different request, or the invoice can no longer be canceled.
  kConflict = 5,
  /// E6: something exceeds a limit in bytes.
  kTooLarge = 6,
  /// E7: a limit of the key is exceeded. Error::retry_after has the time to wait.
  kTooMany = 7,
  /// E8: the node is offline, or Till cannot serve. Retry.
  kUnavailable = 8,
  /// E9: timed out. Retry.
  kTookTooLong = 9,
  /// E10: this Till has no such method. It is older than the client.
  kNoSuchMethod = 10,
  /// E11: the invoice request is disabled, collected or expired.
  kNotActive = 11,
  /// E12: the invoice request has expired.
  kExpired = 12,
  /// E13: no route to the node that made the invoice request.
  kUnreachable = 13,
  /// E14: that node refuses to pay.
  kRefused = 14,
  /// E15: that node did not pay in time.
  kNotPaid = 15,
  /// E16: events after the start were removed. Error::oldest_sequence has the first one left.
  kEventsGone = 16,
};

/// The code as documented, such as "E2".
[[nodiscard]] std::string ToString(Code code);

/// The error of a call or a watch. Functions return it in a Result; Result::value throws it.
class Error : public std::runtime_error {
 public:
  /// The error in a status of gRPC that is not OK, for callers of the generated stubs.
  explicit Error(const grpc::Status& status);

  /// The documented code. None: the error is not Till's, such as a lost connection or a deadline that passed.
  [[nodiscard]] std::optional<Code> code() const noexcept { return code_; }

  /// The reason that Till gives with its code, such as "NOT_FOUND". Empty: the error is not Till's.
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

  /// The status code of gRPC. CANCELLED and DEADLINE_EXCEEDED without a code: the caller's own cancellation or deadline.
  [[nodiscard]] grpc::StatusCode status_code() const noexcept { return status_code_; }

  /// The message, for people. what() has the code in front of it.
  [[nodiscard]] const std::string& message() const noexcept { return message_; }

  /// How long to wait before the same call may succeed. None: Till did not say.
  [[nodiscard]] std::optional<std::chrono::nanoseconds> retry_after() const noexcept { return retry_after_; }

  /// The sequence of the oldest event left, of kEventsGone. None: unknown, as for events of all users.
  [[nodiscard]] std::optional<std::uint64_t> oldest_sequence() const noexcept { return oldest_sequence_; }

 private:
  struct Details;
  Error(const grpc::Status& status, Details details);

  grpc::StatusCode status_code_;
  std::string message_;
  std::optional<Code> code_;
  std::string reason_;
  std::optional<std::chrono::nanoseconds> retry_after_;
  std::optional<std::uint64_t> oldest_sequence_;
};

/// A value, or the Error why there is none. Used like std::expected of C++23, except that value() throws the Error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : held_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool has_value() const noexcept { return held_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  /// The value. Throws the Error if there is none.
  [[nodiscard]] const T& value() const& { return Check(), std::get<0>(held_); }
  [[nodiscard]] T& value() & { return Check(), std::get<0>(held_); }
  [[nodiscard]] T&& value() && { return Check(), std::get<0>(std::move(held_)); }

  /// The value. There must be one.
  [[nodiscard]] const T& operator*() const& noexcept { return *std::get_if<0>(&held_); }
  [[nodiscard]] T& operator*() & noexcept { return *std::get_if<0>(&held_); }
  [[nodiscard]] T&& operator*() && noexcept { return std::move(*std::get_if<0>(&held_)); }
  [[nodiscard]] const T* operator->() const noexcept { return std::get_if<0>(&held_); }
  [[nodiscard]] T* operator->() noexcept { return std::get_if<0>(&held_); }

  /// The error. There must be one.
  [[nodiscard]] const Error& error() const noexcept { return *std::get_if<1>(&held_); }

 private:
  void Check() const {
    if (!has_value()) throw error();
  }

  std::variant<T, Error> held_;
};

/// Success, or the Error why there is none.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool has_value() const noexcept { return !error_; }
  explicit operator bool() const noexcept { return has_value(); }

  /// Throws the Error if there is one.
  void value() const {
    if (error_) throw *error_;
  }

  /// The error. There must be one.
  [[nodiscard]] const Error& error() const noexcept { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace till

#endif  // TILL_ERRORS_H_
