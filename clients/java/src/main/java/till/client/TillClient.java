package till.client;

import static io.grpc.ConnectivityState.SHUTDOWN;
import static io.grpc.ConnectivityState.TRANSIENT_FAILURE;
import static io.grpc.Metadata.ASCII_STRING_MARSHALLER;
import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static java.util.concurrent.TimeUnit.SECONDS;

import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptors;
import io.grpc.ConnectivityState;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import io.grpc.stub.MetadataUtils;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Pattern;
import till.v1.InvoiceServiceGrpc;
import till.v1.InvoiceServiceGrpc.InvoiceServiceBlockingStub;
import till.v1.InvreqServiceGrpc;
import till.v1.InvreqServiceGrpc.InvreqServiceBlockingStub;
import till.v1.KeyServiceGrpc;
import till.v1.KeyServiceGrpc.KeyServiceBlockingStub;

/**
 * A connection to a Till. It is made when the first call needs it, and made again when it was lost. Threads may share it.
 *
 * <p>Calls fail with a {@link io.grpc.StatusRuntimeException}; {@link TillError} tells what Till has said of it. A call
 * has no deadline unless it is given one, by {@code withDeadlineAfter} of its stub. None is sent twice by itself: create
 * with a {@code label}, and you may ask again.
 */
public final class TillClient implements AutoCloseable {
    static final long FIRST_PAUSE_MILLIS = 100;
    static final long LONGEST_PAUSE_MILLIS = 2000;

    private static final int CONNECT_TIMEOUT_MILLIS = 5000;
    private static final Pattern KEY = Pattern.compile("[!-~]+");
    private static final Pattern LOOPBACK = Pattern.compile("(dns:///)?(localhost|127(\\.\\d+){3}|\\[::1])(:\\d+)?");

    private final ManagedChannel connection;
    private final Channel channel;

    private TillClient(ManagedChannel connection, String key) {
        this.connection = connection;
        var headers = new Metadata();
        if (key != null) {
            headers.put(Metadata.Key.of("authorization", ASCII_STRING_MARSHALLER), "Bearer " + key);
        }
        channel = ClientInterceptors.intercept(connection, MetadataUtils.newAttachHeadersInterceptor(headers));
        keepConnecting(FIRST_PAUSE_MILLIS);
    }

    /**
     * Talks to a Till in the clear: for one on the same machine.
     *
     * @param address where it serves gRPC, as {@code "host:port"}
     * @param key an API key or a watch token, white space around it is left out; null or empty for a Till without keys
     * @return the connection
     * @throws IllegalArgumentException if the key can be none
     */
    public static TillClient connect(String address, String key) {
        return connect(address, key, InsecureChannelCredentials.create());
    }

    /**
     * Talks to a Till by TLS: {@code TlsChannelCredentials.create()} trusts the usual roots, {@code
     * TlsChannelCredentials.newBuilder().trustManager(new File("ca.pem")).build()} your own authority.
     *
     * @param address where it serves gRPC, as {@code "host:port"}
     * @param key an API key or a watch token, white space around it is left out; null or empty for a Till without keys
     * @param credentials what to trust, and what to show, such as a {@link io.grpc.TlsChannelCredentials}
     * @return the connection
     * @throws IllegalArgumentException if the key can be none
     */
    public static TillClient connect(String address, String key, ChannelCredentials credentials) {
        String checked = checked(key);
        var builder = NettyChannelBuilder.forTarget(address, credentials)
                .withOption(ChannelOption.CONNECT_TIMEOUT_MILLIS, CONNECT_TIMEOUT_MILLIS)
                // A watch that is silent for long still notices that Till has gone without a word.
                .keepAliveTime(30, SECONDS)
                .keepAliveTimeout(10, SECONDS);
        if (LOOPBACK.matcher(address).matches()) {
            // A proxy could not reach it.
            builder.proxyDetector(target -> null);
        }
        return new TillClient(builder.build(), checked);
    }

    /**
     * Creates, reads and watches invoices; each call waits for its answer.
     *
     * @return a stub, which sends the key
     */
    public InvoiceServiceBlockingStub invoices() {
        return InvoiceServiceGrpc.newBlockingStub(channel);
    }

    /**
     * Pays out by invoice requests (BOLT 12), and collects those of others.
     *
     * @return a stub, which sends the key
     */
    public InvreqServiceBlockingStub invreqs() {
        return InvreqServiceGrpc.newBlockingStub(channel);
    }

    /**
     * Manages API keys.
     *
     * @return a stub, which sends the key
     */
    public KeyServiceBlockingStub keys() {
        return KeyServiceGrpc.newBlockingStub(channel);
    }

    /**
     * For stubs of other kinds, such as {@code InvoiceServiceGrpc.newFutureStub(till.channel())}.
     *
     * @return the connection, which sends the key with each call
     */
    public Channel channel() {
        return channel;
    }

    /**
     * Follows an invoice until it is paid or expired, however often the connection is lost.
     *
     * @param invoiceId its public id
     * @return its states, to be closed by those who leave before the last
     */
    public Watch watch(String invoiceId) {
        return new Watch(invoices(), invoiceId, connection::isShutdown);
    }

    /**
     * As {@link #watch(String)}, but fails with DEADLINE_EXCEEDED when this takes longer.
     *
     * @param invoiceId its public id
     * @param timeout how long to watch at most
     * @return its states, to be closed by those who leave before the last
     */
    public Watch watch(String invoiceId, Duration timeout) {
        return new Watch(invoices().withDeadlineAfter(timeout), invoiceId, connection::isShutdown);
    }

    /** Ends the connection, and with it all calls and watches. */
    @Override
    public void close() {
        connection.shutdownNow();
    }

    // gRPC would log what cannot be sent, all of it.
    private static String checked(String key) {
        if (key == null || key.isEmpty()) {
            return null;
        }
        String stripped = key.strip();
        if (!KEY.matcher(stripped).matches()) {
            throw new IllegalArgumentException("a key has printable ASCII only, without spaces");
        }
        return stripped;
    }

    // gRPC's own pauses between attempts to connect grow up to two minutes: Till may long be back.
    private void keepConnecting(long pauseMillis) {
        ConnectivityState state = connection.getState(false);
        if (state == TRANSIENT_FAILURE) {
            CompletableFuture.delayedExecutor(pauseMillis, MILLISECONDS).execute(() -> {
                connection.resetConnectBackoff();
                keepConnecting(Math.min(2 * pauseMillis, LONGEST_PAUSE_MILLIS));
            });
        } else if (state != SHUTDOWN) {
            connection.notifyWhenStateChanged(state, () -> keepConnecting(FIRST_PAUSE_MILLIS));
        }
    }
}
