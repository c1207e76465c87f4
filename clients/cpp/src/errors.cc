#include <chrono>
#include <optional>
#include <string>

#include "till/client.h"
#include "till/client/error_details.pb.h"

namespace till {
namespace {

/// The first detail of a type, such as "google.rpc.ErrorInfo", that an error has.
template <class Detail>
std::optional<Detail> Find(const grpc::Status& status, const std::string& type) {
  client::Status all;
  if (!all.ParseFromString(status.error_details())) return std::nullopt;
  for (const auto& each : all.details()) {
    Detail detail;
    if (each.type_url() == "type.googleapis.com/" + type && detail.ParseFromString(each.value())) return detail;
  }
  return std::nullopt;
}

client::ErrorInfo Info(const grpc::Status& status) {
  const auto info = Find<client::ErrorInfo>(status, "google.rpc.ErrorInfo");
  return info && info->domain() == "till" ? *info : client::ErrorInfo();
}

}  // namespace

std::string Code(const grpc::Status& status) {
  const auto info = Info(status);
  const auto code = info.metadata().find("code");
  return code == info.metadata().end() ? "" : code->second;
}

std::string Reason(const grpc::Status& status) { return Info(status).reason(); }

std::optional<std::chrono::nanoseconds> RetryAfter(const grpc::Status& status) {
  const auto retry = Find<client::RetryInfo>(status, "google.rpc.RetryInfo");
  if (!retry) return std::nullopt;
  return std::chrono::seconds(retry->retry_delay().seconds()) +
         std::chrono::nanoseconds(retry->retry_delay().nanos());
}

}  // namespace till
