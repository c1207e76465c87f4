#include <cstdlib>
#include <iostream>
#include <mutex>
#include <set>
#include <string>

#include <httplib.h>
#include <nlohmann/json.hpp>

#include "till/webhooks.h"

int main() {
  const char* secret = std::getenv("TILL_WEBHOOK_SECRET");
  const till::WebhookVerifier verifier({secret ? secret : ""});
  std::set<std::string> seen;  // an application has a database
  std::mutex mutex;

  httplib::Server server;
  server.set_payload_max_length(65536);
  server.Post("/till", [&](const httplib::Request& request, httplib::Response& response) {
    const auto header = [&](const char* name) { return request.get_header_value(name); };
    try {
      verifier.Verify(request.body, header);
    } catch (const till::WebhookRejected&) {
      response.status = 400;
      return;
    }
    const auto event = nlohmann::json::parse(request.body);
    const std::lock_guard lock(mutex);
    if (seen.insert(header("webhook-id")).second && event.at("type") == "invoice.paid") {
      std::cout << "Ship " << event.at("data").value("label", "") << std::endl;
    }
    response.status = 204;
  });

  const char* wanted = std::getenv("PORT");
  int port = std::stoi(wanted ? wanted : "8000");
  if (port == 0) {
    port = server.bind_to_any_port("127.0.0.1");
  } else if (!server.bind_to_port("127.0.0.1", port)) {
    std::cerr << "port " << port << " is in use; set PORT\n";
    return 1;
  }
  std::cout << "Waiting for events at http://127.0.0.1:" << port << "/till" << std::endl;
  server.listen_after_bind();
}
