package till.client;

import static io.grpc.Metadata.ASCII_STRING_MARSHALLER;

import io.grpc.CallCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.concurrent.Executor;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Sends an API key or a watch token with each call. White space around the key is ignored, and an empty key is not sent.
 *
 * <p>{@link TillClientBuilder} makes these from a key. They also work with generated stubs on a channel of your own, by
 * {@code withCallCredentials}; then make sure that the channel uses TLS.
 */
public final class KeyCredentials extends CallCredentials {
    private static final Metadata.Key<String> AUTHORIZATION = Metadata.Key.of("authorization", ASCII_STRING_MARSHALLER);
    private static final Pattern KEY = Pattern.compile("[!-~]+");

    private final Supplier<? extends @Nullable String> source;

    private KeyCredentials(Supplier<? extends @Nullable String> source) {
        this.source = source;
    }

    /**
     * Returns credentials with a fixed key.
     *
     * @param key an API key or a watch token
     * @return the credentials
     * @throws IllegalArgumentException if the key is malformed; the message does not repeat it
     */
    public static KeyCredentials of(String key) {
        String checked = checked(key);
        return new KeyCredentials(() -> checked);
    }

    /**
     * Returns credentials with a key that may change.
     *
     * @param source called for each call, and for each attempt of a watch or an event stream, on the executor of the
     *     call. An exception fails them with UNAUTHENTICATED, and is the cause.
     * @return the credentials
     */
    public static KeyCredentials from(Supplier<? extends @Nullable String> source) {
        return new KeyCredentials(source);
    }

    @Override
    public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
        // The source may block, which the caller's thread must not.
        executor.execute(() -> {
            var headers = new Metadata();
            try {
                String key = source.get();
                if (key != null && !key.isEmpty()) {
                    headers.put(AUTHORIZATION, "Bearer " + checked(key));
                }
            } catch (IllegalKeyException malformed) {
                applier.fail(Status.UNAUTHENTICATED.withDescription(malformed.getMessage()));
                return;
            } catch (RuntimeException error) {
                applier.fail(Status.UNAUTHENTICATED.withDescription("the key function failed").withCause(error));
                return;
            }
            applier.apply(headers);
        });
    }

    // gRPC would log a header that it cannot send.
    private static String checked(String key) {
        String stripped = key.strip();
        if (!key.isEmpty() && !KEY.matcher(stripped).matches()) {
            throw new IllegalKeyException();
        }
        return stripped;
    }

    private static final class IllegalKeyException extends IllegalArgumentException {
        private static final long serialVersionUID = 1;

        IllegalKeyException() {
            super("a key has printable ASCII only, without spaces");
        }
    }
}
