#include "till/client.h"

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <stdexcept>
#include <utility>
#include <vector>

#include <grpcpp/support/client_interceptor.h>

namespace till {
namespace {

namespace experimental = grpc::experimental;

/// Adds the key to what a call sends. gRPC's call credentials would refuse to, without TLS.
class KeySender : public experimental::Interceptor {
 public:
  explicit KeySender(const std::string& authorization) : authorization_(authorization) {}

  void Intercept(experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(experimental::InterceptionHookPoints::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->emplace("authorization", authorization_);
    }
    methods->Proceed();
  }

 private:
  const std::string& authorization_;
};

class KeySenderFactory : public experimental::ClientInterceptorFactoryInterface {
 public:
  explicit KeySenderFactory(const std::string& key) : authorization_("Bearer " + key) {}

  experimental::Interceptor* CreateClientInterceptor(experimental::ClientRpcInfo*) override {
    return new KeySender(authorization_);
  }

 private:
  const std::string authorization_;
};

/// The variable that gRPC takes a proxy from, unless no_proxy names the host; null: there is none.
const char* ProxyVariable() {
  for (const char* each : {"grpc_proxy", "https_proxy", "http_proxy"}) {
    if (const char* proxy = std::getenv(each); proxy && *proxy) return each;
  }
  return nullptr;
}

/// Names the proxy in the error of a call that has not come to Till: gRPC's own has its address as if it were Till's.
class ProxyNamer : public experimental::Interceptor {
 public:
  void Intercept(experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(experimental::InterceptionHookPoints::POST_RECV_STATUS)) {
      auto* status = methods->GetRecvStatus();
      const char* variable = ProxyVariable();
      if (variable && status->error_code() == grpc::StatusCode::UNAVAILABLE && Code(*status).empty()) {
        *status = {status->error_code(),
                   status->error_message() + " (through the proxy in " + variable + ", unless no_proxy has Till's host)",
                   status->error_details()};
      }
    }
    methods->Proceed();
  }
};

class ProxyNamerFactory : public experimental::ClientInterceptorFactoryInterface {
 public:
  experimental::Interceptor* CreateClientInterceptor(experimental::ClientRpcInfo*) override { return new ProxyNamer; }
};

bool IsLoopback(const std::string& address) {
  static const std::regex loopback(R"((dns:(//[^/]*/)?|ipv[46]:)?(localhost|127(\.\d+){3}|\[::1\])(:\d+)?)");
  return std::regex_match(address, loopback);
}

/// A key without white space around it. Throws std::invalid_argument for what gRPC would end the program for.
std::string Checked(const std::string& key) {
  constexpr auto kSpace = " \t\r\n\v\f";
  const auto first = key.find_first_not_of(kSpace);
  const auto stripped = first == key.npos ? "" : key.substr(first, key.find_last_not_of(kSpace) - first + 1);
  const auto is_printable = [](char each) { return '!' <= each && each <= '~'; };
  if (stripped.empty() || !std::all_of(stripped.begin(), stripped.end(), is_printable)) {
    throw std::invalid_argument("a key has printable ASCII only, without spaces");
  }
  return stripped;
}

}  // namespace

Client::Client(const std::string& address, const Options& options) {
  grpc::ChannelArguments arguments;
  // gRPC's own pauses grow to two minutes, and a watch would wait for them.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // How long an attempt to connect may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5'000);
  // A watch is silent for as long as nobody pays: else it would not notice that the network is gone.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  // While a ping of another kind waits for its answer later versions of gRPC send none of these, and wait for a minute.
  arguments.SetInt("grpc.http2.ping_timeout_ms", 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  std::vector<std::unique_ptr<experimental::ClientInterceptorFactoryInterface>> interceptors;
  if (!options.key.empty()) {
    interceptors.push_back(std::make_unique<KeySenderFactory>(Checked(options.key)));
  }
  if (IsLoopback(address)) {
    // A proxy could not reach it.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  } else {
    interceptors.push_back(std::make_unique<ProxyNamerFactory>());
  }
  const auto channel = experimental::CreateCustomChannelWithInterceptors(address, options.credentials, arguments,
                                                                         std::move(interceptors));
  invoices_ = v1::InvoiceService::NewStub(channel);
  invreqs_ = v1::InvreqService::NewStub(channel);
  keys_ = v1::KeyService::NewStub(channel);
}

std::unique_ptr<till::Watch> Client::Watch(std::string invoice_id,
                                           std::chrono::system_clock::time_point deadline) const {
  return std::unique_ptr<till::Watch>(new till::Watch(invoices_, std::move(invoice_id), deadline));
}

}  // namespace till
