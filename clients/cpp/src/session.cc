#include "session.h"

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace till {
namespace {

constexpr auto kMalformedKey = "a key has printable ASCII only, without spaces";

/// The client's own arguments of a channel, each unless the caller gave it another value.
class Arguments {
 public:
  explicit Arguments(const grpc::ChannelArguments& given) : arguments_(given) {
    const auto all = given.c_channel_args();
    for (size_t i = 0; i < all.num_args; ++i) given_.insert(all.args[i].key);
  }

  void Default(const char* name, int value) {
    if (given_.count(name) == 0) arguments_.SetInt(name, value);
  }

  const grpc::ChannelArguments& Get() const { return arguments_; }

 private:
  grpc::ChannelArguments arguments_;
  std::set<std::string> given_;
};

bool IsLoopback(const std::string& address) {
  static const std::regex loopback(R"((dns:(//[^/]*/)?|ipv[46]:)?(localhost|127(\.\d+){3}|\[::1\])(:\d+)?)");
  return std::regex_match(address, loopback);
}

bool IsUnixSocket(const std::string& address) {
  return address.rfind("unix:", 0) == 0 || address.rfind("unix-abstract:", 0) == 0;
}

/// The key without white space around it; none if the text is empty. Throws std::invalid_argument if it is malformed:
/// gRPC would abort the program.
std::string Checked(std::string_view text) {
  constexpr auto kSpace = " \t\r\n\v\f";
  if (text.empty()) return "";
  const auto first = text.find_first_not_of(kSpace);
  const auto key = first == text.npos ? "" : text.substr(first, text.find_last_not_of(kSpace) - first + 1);
  const auto is_printable = [](char each) { return '!' <= each && each <= '~'; };
  if (key.empty() || !std::all_of(key.begin(), key.end(), is_printable)) throw std::invalid_argument(kMalformedKey);
  return std::string(key);
}

/// The key of the options. Throws std::invalid_argument if it is malformed, or one of two.
std::string KeyOf(const Options& options) {
  if (!options.key.empty() && options.key_function) {
    throw std::invalid_argument("key and key_function are both set; pass one of them");
  }
  return Checked(options.key);
}

std::shared_ptr<grpc::Channel> Connect(const std::string& address, const Options& options) {
  const bool is_local = IsLoopback(address) || IsUnixSocket(address);
  if ((!options.key.empty() || options.key_function) && !options.tls && !is_local && !options.allow_plaintext_key) {
    throw std::invalid_argument("a key is sent without TLS to loopback only; use TLS, or pass allow_plaintext_key");
  }
  Arguments arguments(options.channel_arguments);
  // gRPC's default back-off grows to two minutes; calls would fail that long after Till is back.
  arguments.Default(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.Default(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  // The time-out of an attempt to connect.
  arguments.Default(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  // A watch is silent until somebody pays; without pings it would not notice a dead network.
  arguments.Default(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.Default(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // Later versions of gRPC send no keepalive ping while another ping is unanswered, for one minute by default.
  arguments.Default("grpc.http2.ping_timeout_ms", 10'000);
  arguments.Default(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // A proxy cannot reach this machine's loopback.
  if (is_local) arguments.Default(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  const auto credentials = options.tls ? grpc::SslCredentials(*options.tls) : grpc::InsecureChannelCredentials();
  return grpc::CreateCustomChannel(address, credentials, arguments.Get());
}

Error KeyFailure(const std::string& why) {
  return Error({grpc::StatusCode::UNAUTHENTICATED, "key_function failed: " + why});
}

/// The variable that gRPC takes a proxy from; null: none is set.
const char* ProxyVariable() {
  for (const char* each : {"grpc_proxy", "https_proxy", "http_proxy"}) {
    if (const char* proxy = std::getenv(each); proxy && *proxy) return each;
  }
  return nullptr;
}

}  // namespace

Session::Session(const std::string& address, const Options& options)
    : timeout(std::min(options.timeout, kLongestTimeout)),
      channel(Connect(address, options)),
      key_(KeyOf(options)),
      key_function_(options.key_function),
      may_have_proxy_(!IsLoopback(address) && !IsUnixSocket(address)) {}

Session::Session(std::shared_ptr<grpc::Channel> own, const Options& options)
    : timeout(std::min(options.timeout, kLongestTimeout)),
      channel(std::move(own)),
      key_(KeyOf(options)),
      key_function_(options.key_function),
      may_have_proxy_(false) {}

Result<void> Session::Authorize(grpc::ClientContext* context) const {
  std::string key = key_;
  if (key_function_) {
    try {
      key = Checked(key_function_());
    } catch (const std::exception& failed) {
      return KeyFailure(failed.what());
    } catch (...) {
      return KeyFailure("it threw something that is not a std::exception");
    }
  }
  if (!key.empty()) context->AddMetadata("authorization", "Bearer " + key);
  return {};
}

Error Session::ErrorOf(const grpc::Status& status) const {
  Error error(status);
  const char* variable = may_have_proxy_ ? ProxyVariable() : nullptr;
  if (!variable || error.code() || error.status_code() != grpc::StatusCode::UNAVAILABLE) return error;
  return Error({status.error_code(),
                status.error_message() + " (through the proxy in " + variable + ", unless no_proxy has Till's host)",
                status.error_details()});
}

}  // namespace till
