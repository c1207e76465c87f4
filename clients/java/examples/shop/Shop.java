import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.zxing.BarcodeFormat;
import com.google.zxing.WriterException;
import com.google.zxing.qrcode.QRCodeWriter;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLEncoder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Executors;
import till.client.TillClient;
import till.client.TillException;
import till.client.WatchOptions;
import till.v1.CreateInvoiceRequest;
import till.v1.InvoiceStatus;

/**
 * A small shop. Its server sets the prices, creates the invoices and delivers; the page watches an invoice with a token.
 *
 * <p>Needs Gson for JSON and ZXing for the QR code, beside the client.
 */
class Shop {
    private static final Path PAGE = Path.of("../shop/index.html");
    private static final Map<String, Long> PRICES_MSAT = Map.of("coffee", 5000L, "cake", 12_000L);

    private final TillClient till = TillClient.builder(environment("TILL_ADDRESS", "127.0.0.1:50051"))
            .key(System.getenv("TILL_KEY"))
            .build();

    public static void main(String[] arguments) throws IOException {
        var shop = new Shop();
        var address = new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(environment("PORT", "8000")));
        var server = HttpServer.create(address, 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", shop::handle);
        server.start();
        System.out.println("The shop is open at http://127.0.0.1:" + server.getAddress().getPort());
    }

    private void handle(HttpExchange exchange) throws IOException {
        try (exchange) {
            switch (exchange.getRequestMethod() + " " + exchange.getRequestURI().getPath()) {
                case "GET /" -> answer(exchange, 200, "text/html", Files.readString(PAGE));
                case "POST /orders" -> order(exchange);
                default -> answer(exchange, 404, "text/plain", "There is no such page.");
            }
        }
    }

    private void order(HttpExchange exchange) throws IOException {
        try {
            // At most 1000 bytes; all but the item is ignored.
            String body = new String(exchange.getRequestBody().readNBytes(1000), UTF_8);
            String item = JsonParser.parseString(body).getAsJsonObject().get("item").getAsString();
            Long price = PRICES_MSAT.get(item);
            if (price == null) {
                answer(exchange, 404, "text/plain", "This shop has no " + item + ".");
            } else {
                answer(exchange, 201, "application/json", order(item, price).toString());
            }
        } catch (JsonParseException | IllegalStateException | NullPointerException | UnsupportedOperationException malformed) {
            answer(exchange, 400, "text/plain", "An order is JSON such as {\"item\": \"coffee\"}.");
        } catch (TillException error) {
            System.err.println(error.getMessage());
            answer(exchange, 503, "text/plain", "The shop cannot take orders now. Please try again later.");
        }
    }

    private JsonObject order(String item, long price) {
        String order = UUID.randomUUID().toString();
        var request = CreateInvoiceRequest.newBuilder()
                .setAmountMsat(price)
                .setDescription("a " + item)
                .setMetadata("{\"type\": \"shop\", \"item\": \"%s\"}".formatted(item))
                // A retry with the label returns the same invoice.
                .setLabel(order)
                .setWithWatchToken(true)
                .build();
        var created = till.invoices().createInvoice(request);
        var invoice = created.getInvoice();
        deliverWhenPaid(order, invoice.getInvoiceId());

        var answer = new JsonObject();
        answer.addProperty("order", order);
        answer.addProperty("amount_msat", Long.toString(price));
        answer.addProperty("bolt11", invoice.getBolt11());
        answer.addProperty("qr", qr("LIGHTNING:" + invoice.getBolt11().toUpperCase(Locale.ROOT)));
        answer.addProperty("watch_url", "%s/lightning/invoice/%s/watch?token=%s".formatted(
                environment("TILL_URL", "http://127.0.0.1:8080"),
                invoice.getInvoiceId(),
                URLEncoder.encode(created.getWatchToken(), UTF_8)));
        return answer;
    }

    /** Delivers on what the server knows, never on what a page says. */
    private void deliverWhenPaid(String order, String invoiceId) {
        till.finalState(invoiceId, WatchOptions.defaults().withWaitForReady()).whenComplete((invoice, error) -> {
            if (error != null) {
                System.err.println("Order " + order + " cannot be watched: " + error.getMessage());
            } else if (invoice.getStatus() == InvoiceStatus.INVOICE_STATUS_PAID) {
                System.out.println("Order " + order + " is paid.");
            }
        });
    }

    /** Returns the QR code of a text as a URL of an SVG image. */
    private static String qr(String text) {
        try {
            var code = new QRCodeWriter().encode(text, BarcodeFormat.QR_CODE, 0, 0);
            var squares = new StringBuilder();
            for (int y = 0; y < code.getHeight(); y++) {
                for (int x = 0; x < code.getWidth(); x++) {
                    squares.append(code.get(x, y) ? "M%d %dh1v1h-1z".formatted(x, y) : "");
                }
            }
            var svg = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' shape-rendering='crispEdges'><path d='%s'/></svg>"
                    .formatted(code.getWidth(), code.getHeight(), squares);
            return "data:image/svg+xml;base64," + Base64.getEncoder().encodeToString(svg.getBytes(UTF_8));
        } catch (WriterException error) {
            throw new IllegalArgumentException(error);
        }
    }

    private static void answer(HttpExchange exchange, int status, String type, String text) throws IOException {
        byte[] body = text.getBytes(UTF_8);
        exchange.getResponseHeaders().set("Content-Type", type + "; charset=utf-8");
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
    }

    private static String environment(String name, String otherwise) {
        return System.getenv().getOrDefault(name, otherwise);
    }
}
