package till.conformance;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.util.JsonFormat;
import io.grpc.Status;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import till.client.Connection;
import till.client.EventOptions;
import till.client.TillException;
import till.v1.Invoice;
import till.v1.LogPosition;
import till.v1.WatchEventsRequest;
import till.v1.WatchInvoiceResponse;

/** Requests and answers as the driver writes and reads them. */
final class Json {
    private Json() {}

    @SuppressWarnings("unchecked")
    static <M extends Message> M message(JsonObject request, M empty) throws InvalidProtocolBufferException {
        var builder = empty.newBuilderForType();
        JsonFormat.parser().merge(request.get("request").toString(), builder);
        return (M) builder.build();
    }

    static long id(JsonObject request) {
        return request.get("id").getAsLong();
    }

    static boolean isBlocking(JsonObject request) {
        return id(request) % 2 == 0;
    }

    static boolean isTrue(JsonObject request, String field) {
        return request.has(field) && request.get(field).getAsBoolean();
    }

    static long limit(JsonObject request) {
        return request.has("limit") ? request.get("limit").getAsLong() : Long.MAX_VALUE;
    }

    static Optional<Duration> timeout(JsonObject request) {
        return Optional.ofNullable(request.get("timeout_seconds"))
                .map(seconds -> Duration.ofMillis(Math.round(seconds.getAsDouble() * 1e3)));
    }

    /** Returns the options that make the client send a request. */
    static EventOptions options(WatchEventsRequest request) {
        var options = switch (request.getStartCase()) {
            case AFTER -> EventOptions.after(request.getAfter());
            case CURSOR -> EventOptions.afterCursor(request.getCursor());
            default -> request.getFrom() == LogPosition.LOG_POSITION_BEGINNING
                    ? EventOptions.fromBeginning()
                    : EventOptions.fromNow();
        };
        options = request.getAllUsers() ? options.withAllUsers() : options;
        var filter = request.getFilter();
        options = options.withTypes(filter.getTypesList().toArray(String[]::new));
        return filter.hasMetadataType() ? options.withMetadataType(filter.getMetadataType()) : options;
    }

    static JsonElement event(Invoice state) {
        return json(WatchInvoiceResponse.newBuilder().setInvoice(state));
    }

    static JsonElement json(MessageOrBuilder message) {
        try {
            return JsonParser.parseString(JsonFormat.printer().print(message));
        } catch (InvalidProtocolBufferException error) {
            throw new UncheckedIOException(error);
        }
    }

    static JsonObject plain(Connection change) {
        var plain = new JsonObject();
        plain.addProperty("lost", change.lost());
        plain.addProperty("attempt", change.attempt());
        plain.add("error", change.error() == null ? null : plain(change.error()));
        return plain;
    }

    static JsonObject plain(Throwable error) {
        var plain = new JsonObject();
        var status = error instanceof CancellationException ? Status.Code.CANCELLED : Status.Code.UNKNOWN;
        plain.addProperty("status", status.name());
        plain.addProperty("message", error.toString());
        if (error instanceof TillException failure) {
            plain.addProperty("status", failure.getStatus().getCode().name());
            plain.addProperty("message", failure.getStatus().getDescription());
            plain.addProperty("code", failure.getCode().id().isEmpty() ? null : failure.getCode().id());
            plain.addProperty("reason", failure.getReason().isEmpty() ? null : failure.getReason());
            if (failure.getOldestSequence().isPresent()) {
                plain.addProperty("oldest_sequence", Long.toUnsignedString(failure.getOldestSequence().getAsLong()));
            }
            plain.addProperty("retry_seconds", failure.getRetryAfter().map(after -> after.toMillis() / 1e3).orElse(null));
        }
        return plain;
    }
}
