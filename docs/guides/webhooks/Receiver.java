import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.gson.JsonParser;
import com.standardwebhooks.Webhook;
import com.standardwebhooks.exceptions.WebhookVerificationException;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;

class Receiver {
    public static void main(String[] arguments) throws IOException {
        var webhook = new Webhook(Objects.requireNonNull(System.getenv("TILL_WEBHOOK_SECRET"), "TILL_WEBHOOK_SECRET"));
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8000"));
        Set<String> seen = ConcurrentHashMap.newKeySet(); // an application has a database

        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.createContext("/till", exchange -> {
            // A longer body has another signature.
            var body = new String(exchange.getRequestBody().readNBytes(65_536), UTF_8);
            int status = 204;
            try {
                webhook.verify(body, exchange.getRequestHeaders());
                var event = JsonParser.parseString(body).getAsJsonObject();
                boolean isNew = seen.add(exchange.getRequestHeaders().getFirst("webhook-id"));
                if (isNew && event.get("type").getAsString().equals("invoice.paid")) {
                    var label = event.getAsJsonObject("data").get("label");
                    System.out.println("Ship " + (label == null ? "" : label.getAsString()));
                }
            } catch (WebhookVerificationException error) {
                status = 400;
            }
            exchange.sendResponseHeaders(status, -1);
            exchange.close();
        });
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
        System.out.println("Waiting for events at http://127.0.0.1:" + server.getAddress().getPort() + "/till");
    }
}
