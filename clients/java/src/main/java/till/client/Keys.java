package till.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import java.util.concurrent.CompletableFuture;
import till.v1.CreateKeyRequest;
import till.v1.CreateKeyResponse;
import till.v1.KeyServiceGrpc;
import till.v1.ListKeysRequest;
import till.v1.ListKeysResponse;
import till.v1.RevokeKeyRequest;
import till.v1.RevokeKeyResponse;

/**
 * Calls that manage API keys. Scope of each: admin.
 *
 * <p>A method throws a {@link TillException}, or a {@link java.util.concurrent.CancellationException} if its caller cancels
 * the call. The future of its {@code Async} form fails with the same; cancelling this future cancels the call. {@code
 * withDeadlineAfter} and the other options of gRPC's stubs return a changed copy.
 */
public final class Keys extends Calls<Keys> {
    Keys(Channel channel, CallOptions options) {
        super(channel, options);
    }

    @Override
    protected Keys build(Channel channel, CallOptions options) {
        return new Keys(channel, options);
    }

    /**
     * Creates a key.
     *
     * @param request the request
     * @return the new key, with the text to send
     */
    public CreateKeyResponse createKey(CreateKeyRequest request) {
        return call(KeyServiceGrpc.getCreateKeyMethod(), request);
    }

    /**
     * Starts {@link #createKey}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<CreateKeyResponse> createKeyAsync(CreateKeyRequest request) {
        return start(KeyServiceGrpc.getCreateKeyMethod(), request);
    }

    /**
     * Lists all keys, oldest first; expired and revoked keys too.
     *
     * @param request the request
     * @return a page of them
     */
    public ListKeysResponse listKeys(ListKeysRequest request) {
        return call(KeyServiceGrpc.getListKeysMethod(), request);
    }

    /**
     * Starts {@link #listKeys}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<ListKeysResponse> listKeysAsync(ListKeysRequest request) {
        return start(KeyServiceGrpc.getListKeysMethod(), request);
    }

    /**
     * Revokes a key: calls with it fail from now on.
     *
     * @param request the request
     * @return the revoked key
     */
    public RevokeKeyResponse revokeKey(RevokeKeyRequest request) {
        return call(KeyServiceGrpc.getRevokeKeyMethod(), request);
    }

    /**
     * Starts {@link #revokeKey}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<RevokeKeyResponse> revokeKeyAsync(RevokeKeyRequest request) {
        return start(KeyServiceGrpc.getRevokeKeyMethod(), request);
    }
}
