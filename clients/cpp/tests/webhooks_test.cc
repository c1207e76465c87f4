// Tests of webhooks: the calls on a server in the same process, and the verifier on known signatures.
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "expect.h"
#include "till/client.h"
#include "till/webhooks.h"

namespace {

// The test vector of the specification.
const std::string kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const std::string kBody = R"({"test": 2432232314})";
const std::string kSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const std::map<std::string, std::string> kHeaders = {
    {"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"},
    {"webhook-timestamp", "1614265330"},
    {"webhook-signature", kSignature},
};
constexpr auto kSent = std::chrono::system_clock::time_point(std::chrono::seconds(1614265330));
// The base64 of 24 bytes that no webhook has.
const std::string kOther = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a request is rejected; empty if it is not. Changes are headers that differ from kHeaders.
std::string Rejected(const std::map<std::string, std::string>& changes = {}, const std::string& body = kBody,
                     std::chrono::seconds later = {}, const std::vector<std::string>& secrets = {kSecret}) {
  auto headers = kHeaders;
  for (const auto& [name, value] : changes) headers[name] = value;
  try {
    till::WebhookVerifier(secrets).Verify(body, [&](const char* name) { return headers[name]; }, kSent + later);
    return "";
  } catch (const till::WebhookRejected& rejected) {
    return rejected.what();
  }
}

void TheTestVectorIsVerified() {
  Expect(Rejected().empty(), "the signature of the specification");
  Expect(!Rejected({}, R"({"test":2432232314})").empty(), "another body");
  Expect(!Rejected({{"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJel"}}).empty(), "another id");
  Expect(!Rejected({{"webhook-timestamp", "1614265331"}}).empty(), "another timestamp");
  Expect(!Rejected({{"webhook-timestamp", "01614265330"}}).empty(), "another form of the timestamp");
  for (const auto& [name, _] : kHeaders) Expect(!Rejected({{name, ""}}).empty(), "without " + name);
  for (const char* wrong : {"v1,", "v1", ",", " ", "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                            "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=",
                            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE"}) {
    Expect(!Rejected({{"webhook-signature", wrong}}).empty(), wrong);
  }
}

void OneOfSeveralSignaturesOrSecretsSuffices() {
  const auto other = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  for (const auto& both : {kSignature + " " + other, other + (" " + kSignature), "v2,x  " + kSignature + " "}) {
    Expect(Rejected({{"webhook-signature", both}}).empty(), both);
  }
  Expect(Rejected({}, kBody, {}, {kOther, kSecret}).empty(), "the second secret");
  Expect(!Rejected({}, kBody, {}, {kOther}).empty(), "another secret");
}

void ARequestIsVerifiedForFiveMinutes() {
  for (const int seconds : {-300, 0, 300}) Expect(Rejected({}, kBody, std::chrono::seconds(seconds)).empty(), "in time");
  for (const int seconds : {-301, 301}) {
    const auto why = Rejected({}, kBody, std::chrono::seconds(seconds));
    Expect(why == "webhook-timestamp is more than 5 minutes away; check the clock of this machine", why);
  }
  for (const char* wrong : {"now", "1614265330 ", "1614265330.0", "99999999999999999999", "-9223372036854775808"}) {
    Expect(Rejected({{"webhook-timestamp", wrong}}).find("webhook-timestamp") == 0, wrong);
  }
}

void AMalformedSecretIsNotRepeated() {
  const std::string sixteen_bytes = "whsec_AAAAAAAAAAAAAAAAAAAAAA==";
  const std::string sixty_six_bytes = "whsec_" + std::string(88, 'A');
  for (const auto& wrong : {std::string(), std::string("whsec_"), kSecret.substr(6), kSecret + "=", kSecret + " ",
                            "whsec_ " + kSecret.substr(6), "whsec_AA==" + kSecret.substr(6), sixteen_bytes, sixty_six_bytes,
                            "whsec_" + std::string(32, '-')}) {
    try {
      till::WebhookVerifier({wrong});
      Expect(false, "a malformed secret is rejected: " + wrong);
    } catch (const std::invalid_argument& error) {
      Expect(std::string(error.what()) == "a secret is whsec_ and the base64 of 24 to 64 random bytes", error.what());
    }
  }
  for (const auto& good : {kSecret, "whsec_" + std::string(84, 'A') + "AA==", "whsec_" + std::string(43, 'A') + "="}) {
    till::WebhookVerifier({good});
  }
  try {
    till::WebhookVerifier({});
    Expect(false, "no secret is rejected");
  } catch (const std::invalid_argument&) {
  }
}

/// Creates webhooks, and lists deliveries on two pages.
class Server final : public till::v1::WebhookService::Service {
 public:
  Server() : server_(grpc::ServerBuilder().RegisterService(this).BuildAndStart()) {}
  ~Server() override { server_->Shutdown(std::chrono::system_clock::now()); }

  till::Client Client() const { return till::Client(server_->InProcessChannel({})); }

  grpc::Status CreateWebhook(grpc::ServerContext*, const till::v1::CreateWebhookRequest* request,
                             till::v1::CreateWebhookResponse* response) override {
    ++creates;
    if (request->url().empty()) return {grpc::StatusCode::UNAVAILABLE, "away"};
    response->mutable_webhook()->set_url(request->url());
    response->set_secret(kSecret);
    return grpc::Status::OK;
  }

  grpc::Status RotateSecret(grpc::ServerContext*, const till::v1::RotateSecretRequest* request,
                            till::v1::RotateSecretResponse* response) override {
    response->mutable_webhook()->set_id(request->id());
    response->set_secret(kSecret);
    return grpc::Status::OK;
  }

  grpc::Status ListDeliveries(grpc::ServerContext*, const till::v1::ListDeliveriesRequest* request,
                              till::v1::ListDeliveriesResponse* response) override {
    if (request->state() != till::v1::DELIVERY_STATE_DEAD) return {grpc::StatusCode::INVALID_ARGUMENT, "the state"};
    if (request->page_token() == "last") {
      response->add_deliveries()->set_event_id("evt_1");
      return grpc::Status::OK;
    }
    response->add_deliveries()->set_event_id("evt_3");
    response->add_deliveries()->set_event_id("evt_2");
    response->set_next_page_token("last");
    return grpc::Status::OK;
  }

  std::atomic<int> creates = 0;

 private:
  const std::unique_ptr<grpc::Server> server_;
};

void ANewSecretIsNotPrinted() {
  const Server server;
  till::v1::CreateWebhookRequest create;
  create.set_url("https://shop.example/till");
  const auto created = server.Client().CreateWebhook(create).value();
  till::v1::RotateSecretRequest rotate;
  rotate.set_id("one");
  const auto rotated = server.Client().RotateSecret(rotate).value();
  Expect(created.secret == kSecret && rotated.secret == kSecret && rotated.webhook.id() == "one", "the secrets");

  std::ostringstream text;
  text << created << rotated;
  Expect(text.str().find(create.url()) != std::string::npos, "the webhook is printed: " + text.str());
  Expect(text.str().find("whsec_") == std::string::npos, "no secret is printed: " + text.str());
}

void ACreateIsSentOnce() {
  const Server server;
  const auto error = server.Client().CreateWebhook({}).error();
  Expect(error.status_code() == grpc::StatusCode::UNAVAILABLE && server.creates == 1, "one attempt");
}

void DeliveriesHaveAllPages() {
  const Server server;
  till::v1::ListDeliveriesRequest dead;
  dead.set_state(till::v1::DELIVERY_STATE_DEAD);
  std::string ids;
  for (const auto& delivery : server.Client().Deliveries(dead)) ids += delivery.event_id();
  Expect(ids == "evt_3evt_2evt_1", ids);
}

}  // namespace

int main() {
  TheTestVectorIsVerified();
  OneOfSeveralSignaturesOrSecretsSuffices();
  ARequestIsVerifiedForFiveMinutes();
  AMalformedSecretIsNotRepeated();
  ANewSecretIsNotPrinted();
  ACreateIsSentOnce();
  DeliveriesHaveAllPages();
}
