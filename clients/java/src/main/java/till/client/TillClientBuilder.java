package till.client;

import static java.util.concurrent.TimeUnit.SECONDS;

import io.grpc.CallCredentials;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.ChoiceChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors;
import io.grpc.CompositeChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.MethodDescriptor;
import io.grpc.TlsChannelCredentials;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.ChannelOption;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.ForkJoinPool;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Options of a {@link TillClient}. */
public final class TillClientBuilder {
    private static final int CONNECT_TIMEOUT_MILLIS = 5000;
    private static final Pattern LOOPBACK = Pattern.compile("(dns:///)?(localhost|127(\\.\\d+){3}|\\[::1])(:\\d+)?");

    private final String address;
    private final @Nullable Channel channel;
    private final List<ClientInterceptor> interceptors = new ArrayList<>();
    private ChannelCredentials channelCredentials = InsecureChannelCredentials.create();
    private @Nullable CallCredentials callCredentials;
    private boolean allowsPlaintextKey;
    private @Nullable Executor executor;
    private Consumer<? super ManagedChannelBuilder<?>> configuration = builder -> {};

    TillClientBuilder(String address) {
        this.address = address;
        this.channel = null;
    }

    TillClientBuilder(Channel channel) {
        this.address = "";
        this.channel = channel;
    }

    /**
     * Sends a key with each call.
     *
     * @param key an API key or a watch token; white space around it is ignored. Null or empty: none, for a Till without keys
     * @return this
     * @throws IllegalArgumentException if the key is malformed; the message does not repeat it
     */
    public TillClientBuilder key(@Nullable String key) {
        callCredentials = key == null || key.isEmpty() ? null : KeyCredentials.of(key);
        return this;
    }

    /**
     * Sends a key that may change.
     *
     * @param source as in {@link KeyCredentials#from}
     * @return this
     */
    public TillClientBuilder keySource(Supplier<? extends @Nullable String> source) {
        return callCredentials(KeyCredentials.from(source));
    }

    /**
     * Authorizes calls in your own way, such as with a key that is fetched asynchronously.
     *
     * @param credentials added to each call that has none
     * @return this
     */
    public TillClientBuilder callCredentials(CallCredentials credentials) {
        callCredentials = credentials;
        return this;
    }

    /**
     * Allows a key without TLS beyond loopback. Everybody on the way can read it.
     *
     * @return this
     */
    public TillClientBuilder allowPlaintextKey() {
        allowsPlaintextKey = true;
        return this;
    }

    /**
     * Connects with TLS, and trusts the certificate authorities that Java trusts. Default: plaintext.
     *
     * @return this
     */
    public TillClientBuilder tls() {
        return channelCredentials(TlsChannelCredentials.create());
    }

    /**
     * Connects with your own authority or client certificate, by {@link TlsChannelCredentials#newBuilder}.
     *
     * @param credentials of the connection
     * @return this
     */
    public TillClientBuilder channelCredentials(ChannelCredentials credentials) {
        channelCredentials = credentials;
        return this;
    }

    /**
     * Adds interceptors, such as for tracing. They do not see the key.
     *
     * @param added in the order of {@link ClientInterceptors#intercept}: the last one is called first
     * @return this
     */
    public TillClientBuilder intercept(ClientInterceptor... added) {
        interceptors.addAll(List.of(added));
        return this;
    }

    /**
     * Runs callbacks: key sources, futures, and reports of watches without a thread of their own.
     *
     * @param executor default: those of gRPC and {@link ForkJoinPool#commonPool}
     * @return this
     */
    public TillClientBuilder executor(Executor executor) {
        this.executor = executor;
        return this;
    }

    /**
     * Changes the client's channel before it is built, such as its size limits.
     *
     * @param configuration is given gRPC's builder, with the client's own options set
     * @return this
     */
    public TillClientBuilder configureChannel(Consumer<? super ManagedChannelBuilder<?>> configuration) {
        this.configuration = configuration;
        return this;
    }

    /**
     * Makes the client. It connects with the first call.
     *
     * @return the client, to be closed
     * @throws IllegalStateException if a key would be sent without TLS beyond loopback
     */
    public TillClient build() {
        ManagedChannel owned = channel == null ? connection() : null;
        Channel base = channel == null ? owned : channel;
        var all = new ArrayList<ClientInterceptor>();
        if (base instanceof ManagedChannel managed && hasState(managed)) {
            all.add(new Connecting(managed, channel == null ? proxy() : null));
        }
        var openCalls = new OpenCalls();
        all.add(openCalls);
        all.add(new Options());
        all.addAll(interceptors);
        return new TillClient(
                ClientInterceptors.intercept(base, all),
                owned,
                openCalls,
                executor == null ? ForkJoinPool.commonPool() : executor);
    }

    /** Some wrappers of channels have none. */
    private static boolean hasState(ManagedChannel channel) {
        try {
            channel.getState(false);
            return true;
        } catch (UnsupportedOperationException error) {
            return false;
        }
    }

    private ManagedChannel connection() {
        if (callCredentials != null && !allowsPlaintextKey && !isLoopback() && isPlaintext(channelCredentials)) {
            throw new IllegalStateException(
                    "a key is sent without TLS to loopback only; use TLS, or call allowPlaintextKey()");
        }
        var builder = NettyChannelBuilder.forTarget(address, channelCredentials)
                .withOption(ChannelOption.CONNECT_TIMEOUT_MILLIS, CONNECT_TIMEOUT_MILLIS)
                // So that a silent watch notices a lost connection.
                .keepAliveTime(30, SECONDS)
                .keepAliveTimeout(10, SECONDS);
        if (isLoopback()) {
            // A proxy cannot reach it.
            builder.proxyDetector(target -> null);
        }
        configuration.accept(builder);
        return builder.build();
    }

    private boolean isLoopback() {
        return LOOPBACK.matcher(address).matches();
    }

    /** Returns the proxy that gRPC takes for the address, as "host:port"; null without one. */
    private @Nullable String proxy() {
        var selector = ProxySelector.getDefault();
        if (isLoopback() || selector == null) {
            return null;
        }
        try {
            return selector.select(URI.create("https://" + address.replaceFirst("^dns:///", ""))).stream()
                    .filter(found -> found.type() == Proxy.Type.HTTP && found.address() instanceof InetSocketAddress)
                    .map(found -> (InetSocketAddress) found.address())
                    .map(found -> found.getHostString() + ":" + found.getPort())
                    .findFirst()
                    .orElse(null);
        } catch (IllegalArgumentException error) {
            // An address that is no part of a URL, as of a name resolver of the caller's.
            return null;
        }
    }

    private static boolean isPlaintext(ChannelCredentials credentials) {
        if (credentials instanceof CompositeChannelCredentials composite) {
            return isPlaintext(composite.getChannelCredentials());
        } else if (credentials instanceof ChoiceChannelCredentials choice) {
            return choice.getCredentialsList().stream().anyMatch(TillClientBuilder::isPlaintext);
        }
        return credentials instanceof InsecureChannelCredentials;
    }

    /** Sets the credentials and the executor of calls that have none. */
    private final class Options implements ClientInterceptor {
        private final @Nullable CallCredentials credentials = callCredentials;
        private final @Nullable Executor callbacks = executor;

        @Override
        public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
            var chosen = options.getCredentials() == null ? options.withCallCredentials(credentials) : options;
            return next.newCall(method, chosen.getExecutor() == null ? chosen.withExecutor(callbacks) : chosen);
        }
    }
}
