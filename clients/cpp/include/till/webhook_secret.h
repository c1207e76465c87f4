/// A webhook with its secret.
#ifndef TILL_WEBHOOK_SECRET_H_
#define TILL_WEBHOOK_SECRET_H_

#include <ostream>
#include <string>

#include "till/v1/webhook.pb.h"

namespace till {

/// A webhook with its new secret, which no other call returns.
struct WebhookSecret {
  v1::Webhook webhook;
  /// Signs the webhook's events: "whsec_" and base64, as till/webhooks.h takes it.
  std::string secret;
};

/// Prints the webhook, without the secret.
inline std::ostream& operator<<(std::ostream& stream, const WebhookSecret& created) {
  return stream << created.webhook.ShortDebugString();
}

}  // namespace till

#endif  // TILL_WEBHOOK_SECRET_H_
