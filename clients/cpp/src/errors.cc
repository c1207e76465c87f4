#include "till/errors.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <system_error>

#include "till/client/error_details.pb.h"

namespace till {
namespace {

// Longer waits overflow nanoseconds.
constexpr std::int64_t kLongestRetrySeconds = 365 * 24 * 3600;

/// The whole text as a number, if it is one.
template <class Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number number = 0;
  const char* const end = text.data() + text.size();
  const auto [last, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc() || last != end) return std::nullopt;
  return number;
}

/// The number in a code such as "E2".
std::optional<Code> ParseCode(std::string_view text) {
  if (text.empty() || text[0] != 'E') return std::nullopt;
  const auto number = ParseNumber<int>(text.substr(1));
  if (!number || *number < 0) return std::nullopt;
  return static_cast<Code>(*number);
}

}  // namespace

std::string ToString(Code code) { return "E" + std::to_string(static_cast<int>(code)); }

/// The details in the trailer grpc-status-details-bin.
struct Error::Details {
  explicit Details(const grpc::Status& status) {
    client::Status all;
    if (!all.ParseFromString(status.error_details())) return;
    for (const auto& each : all.details()) {
      if (client::ErrorInfo info; IsA("ErrorInfo", each) && info.ParseFromString(each.value())) {
        const auto found = info.metadata().find("code");
        if (info.domain() != "till" || found == info.metadata().end()) continue;
        code = ParseCode(found->second);
        reason = info.reason();
        const auto oldest = info.metadata().find("oldest_sequence");
        if (oldest != info.metadata().end()) oldest_sequence = ParseNumber<std::uint64_t>(oldest->second);
      } else if (client::RetryInfo retry; IsA("RetryInfo", each) && retry.ParseFromString(each.value())) {
        const auto seconds = std::clamp<std::int64_t>(retry.retry_delay().seconds(), 0, kLongestRetrySeconds);
        retry_after = std::chrono::seconds(seconds) + std::chrono::nanoseconds(retry.retry_delay().nanos());
      }
    }
  }

  static bool IsA(const char* type, const google::protobuf::Any& detail) {
    return detail.type_url() == std::string("type.googleapis.com/google.rpc.") + type;
  }

  std::optional<Code> code;
  std::string reason;
  std::optional<std::chrono::nanoseconds> retry_after;
  std::optional<std::uint64_t> oldest_sequence;
};

Error::Error(const grpc::Status& status) : Error(status, Details(status)) {}

Error::Error(const grpc::Status& status, Details details)
    : std::runtime_error(details.code ? ToString(*details.code) + ": " + status.error_message()
                                      : status.error_message()),
      status_code_(status.error_code()),
      message_(status.error_message()),
      code_(details.code),
      reason_(std::move(details.reason)),
      retry_after_(details.retry_after),
      oldest_sequence_(details.oldest_sequence) {}

}  // namespace till
