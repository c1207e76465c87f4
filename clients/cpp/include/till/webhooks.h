/// Verifies the webhooks that Till sends, as Standard Webhooks 1.0 describes: https://www.standardwebhooks.com
///
/// This header needs OpenSSL's libcrypto, and nothing else of the client.
#ifndef TILL_WEBHOOKS_H_
#define TILL_WEBHOOKS_H_

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace till {

/// A request that is not to be trusted: Till has not signed it, or not in the last five minutes.
class WebhookRejected : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Verifies the requests to one receiver. Threads may share a verifier.
class WebhookVerifier {
 public:
  /// The difference between the clocks of Till and the receiver, and the time in between. It limits for how long a
  /// recorded request can be sent again.
  static constexpr std::chrono::seconds kTolerance = std::chrono::minutes(5);

  /// The secrets of one or more webhooks: "whsec_" and the base64 of 24 to 64 bytes. A request must be signed with one.
  ///
  /// Throws std::invalid_argument if there is no secret, or if one is malformed.
  explicit WebhookVerifier(const std::vector<std::string>& secrets) {
    if (secrets.empty()) throw std::invalid_argument("pass the secret of a webhook");
    for (const auto& secret : secrets) keys_.push_back(KeyOf(secret));
  }

  /// Verifies a request. Ignore a webhook-id that you have seen: Till sends an event at least once.
  ///
  /// The body has the exact bytes that arrived. header(name) returns a header as a std::string; empty if it is absent.
  /// Throws WebhookRejected.
  ///
  ///     verifier.Verify(request.body, [&](const char* name) { return request.get_header_value(name); });
  template <class Header>
  void Verify(std::string_view body, const Header& header,
              std::chrono::system_clock::time_point now = std::chrono::system_clock::now()) const {
    const std::string id = header("webhook-id");
    const std::string timestamp = header("webhook-timestamp");
    const std::string signatures = header("webhook-signature");
    if (id.empty() || timestamp.empty() || signatures.empty()) {
      throw WebhookRejected("webhook-id, webhook-timestamp or webhook-signature is absent");
    }
    CheckAge(timestamp, now);
    const auto content = id + "." + timestamp + "." + std::string(body);
    const auto is_signed = [&](const std::string& key) { return Contains(signatures, "v1," + Signature(key, content)); };
    if (std::none_of(keys_.begin(), keys_.end(), is_signed)) {
      throw WebhookRejected("webhook-signature is wrong; check the secret, and verify the exact bytes of the body");
    }
  }

 private:
  static void CheckAge(const std::string& timestamp, std::chrono::system_clock::time_point now) {
    std::int64_t sent = 0;
    const auto* const end = timestamp.data() + timestamp.size();
    const auto parsed = std::from_chars(timestamp.data(), end, sent);
    if (parsed.ec != std::errc() || parsed.ptr != end) throw WebhookRejected("webhook-timestamp is not a number");
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    if (sent < seconds - kTolerance.count() || sent > seconds + kTolerance.count()) {
      throw WebhookRejected("webhook-timestamp is more than 5 minutes away; check the clock of this machine");
    }
  }

  /// Whether one of the signatures, which spaces separate, is the expected one. In constant time for each.
  static bool Contains(std::string_view signatures, std::string_view expected) {
    for (std::size_t begin = 0; begin <= signatures.size();) {
      const auto end = std::min(signatures.find(' ', begin), signatures.size());
      const auto each = signatures.substr(begin, end - begin);
      if (each.size() == expected.size() && CRYPTO_memcmp(each.data(), expected.data(), each.size()) == 0) return true;
      begin = end + 1;
    }
    return false;
  }

  static std::string Signature(const std::string& key, const std::string& content) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (!HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), Bytes(content), content.size(), digest, &size)) {
      throw std::runtime_error("OpenSSL cannot compute HMAC-SHA256");
    }
    return Base64({reinterpret_cast<const char*>(digest), size});
  }

  /// The bytes of a secret. No error repeats the secret.
  static std::string KeyOf(const std::string& secret) {
    constexpr std::string_view kPrefix = "whsec_";
    const auto base64 = secret.substr(std::min(kPrefix.size(), secret.size()));
    std::string key(base64.size(), '\0');
    const int size =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(key.data()), Bytes(base64), static_cast<int>(base64.size()));
    // OpenSSL counts the padding as bytes.
    key.resize(std::max<std::ptrdiff_t>(0, size - std::count(base64.begin(), base64.end(), '=')));
    // It also reads base64 with spaces around it, or with padding inside.
    if (secret.rfind(kPrefix, 0) != 0 || key.size() < 24 || key.size() > 64 || Base64(key) != base64) {
      throw std::invalid_argument("a secret is whsec_ and the base64 of 24 to 64 random bytes");
    }
    return key;
  }

  static std::string Base64(std::string_view bytes) {
    // A NUL follows the text.
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), Bytes(bytes), static_cast<int>(bytes.size()));
    text.pop_back();
    return text;
  }

  static const unsigned char* Bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

  std::vector<std::string> keys_;
};

}  // namespace till

#endif  // TILL_WEBHOOKS_H_
