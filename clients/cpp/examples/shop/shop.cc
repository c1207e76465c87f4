// A shop: the server creates an invoice for each order, and the payer's browser watches it.
//
// Environment: TILL_ADDRESS, Till's gRPC address; TILL_KEY, the shop's key; TILL_URL, Till's REST address as the
// browser reaches it; PORT, 0 for any.
#include <qrencode.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <thread>

#include <httplib.h>
#include <nlohmann/json.hpp>

#include "till/client.h"

namespace {

using nlohmann::json;

// The prices are the server's. The page sends the name of an item, and nothing else counts.
const std::map<std::string, std::uint64_t> kPricesMsat = {{"coffee", 5'000}, {"cake", 12'000}};

std::string Setting(const char* name, const char* fallback) {
  const char* value = std::getenv(name);
  return value ? value : fallback;
}

/// A random ID of 128 bits.
std::string NewOrder() {
  std::random_device random;
  std::ostringstream order;
  for (int i = 0; i < 4; ++i) order << std::hex << std::setfill('0') << std::setw(8) << random();
  return order.str();
}

/// A QR code as the URL of an SVG image. Capitals make it smaller.
std::string QrCode(std::string text) {
  for (char& each : text) each = static_cast<char>(std::toupper(static_cast<unsigned char>(each)));
  const std::unique_ptr<QRcode, void (*)(QRcode*)> code(
      QRcode_encodeString(text.c_str(), 0, QR_ECLEVEL_L, QR_MODE_8, 1), QRcode_free);
  if (!code) throw std::runtime_error("the QR code is too large");
  constexpr int kMargin = 4;
  const int size = code->width + 2 * kMargin;
  std::ostringstream url;
  url << "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' shape-rendering='crispEdges' viewBox='0 0 "
      << size << " " << size << "'%3E%3Cpath d='";
  for (int y = 0; y < code->width; ++y) {
    for (int x = 0; x < code->width; ++x) {
      const bool is_dark = code->data[y * code->width + x] & 1;
      if (is_dark) url << "M" << x + kMargin << " " << y + kMargin << "h1v1h-1z";
    }
  }
  url << "'/%3E%3C/svg%3E";
  return url.str();
}

/// Waits for the payment of an order. The shop trusts its own watch, never what a browser says.
void Deliver(const till::Client& client, const std::string& order, const std::string& invoice_id) {
  auto watch = client.Watch(invoice_id);
  while (const auto invoice = watch.Next()) {
    if (invoice->status() == till::v1::INVOICE_STATUS_PAID) {
      std::cout << "Order " + order + " is paid.\n" << std::flush;
    }
  }
  if (const auto end = watch.Finish(); !end) std::cerr << "Order " + order + ": " + end.error().what() + "\n";
}

/// Creates the invoice of an order, and watches it.
json TakeOrder(const till::Client& client, const std::string& item, std::uint64_t price_msat) {
  const auto order = NewOrder();
  till::v1::CreateInvoiceRequest request;
  request.set_amount_msat(price_msat);
  request.set_description("a " + item);
  request.set_metadata(json{{"type", "shop"}, {"item", item}}.dump());
  // A create with a label is safe to retry: it returns the same invoice.
  request.set_label(order);
  request.set_with_watch_token(true);
  const auto created = client.CreateInvoice(request).value();
  const auto& invoice = created.invoice();

  std::thread(Deliver, client, order, invoice.invoice_id()).detach();
  return {
      {"order", order},
      {"amount_msat", std::to_string(invoice.amount_msat())},
      {"bolt11", invoice.bolt11()},
      {"qr", QrCode("lightning:" + invoice.bolt11())},
      {"watch_url", Setting("TILL_URL", "http://127.0.0.1:8080") + "/lightning/invoice/" + invoice.invoice_id() +
                        "/watch?token=" + created.watch_token()},
  };
}

}  // namespace

int main() {
  till::Options options;
  options.key = Setting("TILL_KEY", "");
  const till::Client client(Setting("TILL_ADDRESS", "127.0.0.1:50051"), options);

  httplib::Server server;
  server.Get("/", [](const httplib::Request&, httplib::Response& response) {
    std::ifstream page(SHOP_PAGE);
    response.set_content({std::istreambuf_iterator<char>(page), {}}, "text/html; charset=utf-8");
  });
  server.Post("/orders", [&client](const httplib::Request& request, httplib::Response& response) {
    try {
      const auto item = json::parse(request.body).at("item").get<std::string>();
      const auto answer = TakeOrder(client, item, kPricesMsat.at(item));
      response.status = 201;
      response.set_content(answer.dump(), "application/json");
    } catch (const till::Error& error) {
      std::cerr << error.what() << "\n";
      response.status = 503;
      response.set_content("we cannot take orders at the moment", "text/plain");
    } catch (const std::exception&) {
      response.status = 404;
      response.set_content("we do not sell that", "text/plain");
    }
  });

  const int wanted = std::stoi(Setting("PORT", "8000"));
  const int port = wanted == 0 ? server.bind_to_any_port("127.0.0.1") : wanted;
  if (wanted != 0 && !server.bind_to_port("127.0.0.1", wanted)) {
    std::cerr << "port " << wanted << " is in use; set PORT\n";
    return 1;
  }
  std::cout << "The shop is open at http://127.0.0.1:" << port << std::endl;
  server.listen_after_bind();
}
