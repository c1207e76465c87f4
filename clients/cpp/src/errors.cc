#include "till/errors.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>

#include "till/client/error_details.pb.h"

namespace till {
namespace {

// Longer waits overflow nanoseconds.
constexpr std::int64_t kLongestRetrySeconds = 365 * 24 * 3600;

/// The number in a code such as "E2".
std::optional<Code> ParseCode(const std::string& text) {
  int number = 0;
  const char* const end = text.data() + text.size();
  if (text.size() < 2 || text[0] != 'E') return std::nullopt;
  const auto [last, failure] = std::from_chars(text.data() + 1, end, number);
  if (failure != std::errc() || last != end || number < 0) return std::nullopt;
  return static_cast<Code>(number);
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
};

Error::Error(const grpc::Status& status) : Error(status, Details(status)) {}

Error::Error(const grpc::Status& status, Details details)
    : std::runtime_error(details.code ? ToString(*details.code) + ": " + status.error_message()
                                      : status.error_message()),
      status_code_(status.error_code()),
      message_(status.error_message()),
      code_(details.code),
      reason_(std::move(details.reason)),
      retry_after_(details.retry_after) {}

}  // namespace till
