package till.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.Arrays;
import java.util.Optional;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * A call, a watch or an event stream that failed.
 *
 * <p>{@link #getCode} is the code that Till documents, {@link #getStatus} the gRPC status. Also thrown for a deadline:
 * its status is DEADLINE_EXCEEDED, without a code. The caller's own cancel is a {@link
 * java.util.concurrent.CancellationException} instead.
 */
public final class TillException extends StatusRuntimeException {
    private static final long serialVersionUID = 1;

    private final Code code;
    private final String id;
    private final String reason;
    private final @Nullable Duration retryAfter;
    private final String oldestSequence;

    private TillException(Status status, @Nullable Metadata trailers, ErrorInfo info, @Nullable Duration retryAfter) {
        super(status, trailers);
        id = info.getMetadataOrDefault("code", "");
        code = Code.of(id);
        reason = info.getReason();
        this.retryAfter = retryAfter;
        oldestSequence = info.getMetadataOrDefault("oldest_sequence", "");
    }

    /**
     * Returns the exception for an error of a generated stub.
     *
     * @param error a {@link StatusRuntimeException}, or an exception with one as a cause
     * @return the exception with the details of Till, if there are any
     */
    public static TillException of(Throwable error) {
        return of(Status.fromThrowable(error), Status.trailersFromThrowable(error));
    }

    static TillException of(Status status, @Nullable Metadata trailers) {
        var info = ErrorInfo.getDefaultInstance();
        Duration retryAfter = null;
        try {
            for (Any detail : StatusProto.fromStatusAndTrailers(status, trailers).getDetailsList()) {
                if (detail.is(ErrorInfo.class)) {
                    var found = detail.unpack(ErrorInfo.class);
                    info = found.getDomain().equals("till") ? found : info;
                } else if (detail.is(RetryInfo.class)) {
                    var delay = detail.unpack(RetryInfo.class).getRetryDelay();
                    retryAfter = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
                }
            }
        } catch (InvalidProtocolBufferException malformed) {
            // A proxy's: Till's details are well-formed.
            info = ErrorInfo.getDefaultInstance();
        }
        return new TillException(
                info.getDomain().isEmpty() ? withCause(status) : status, trailers, info, retryAfter);
    }

    /** Names the cause of a lost connection: gRPC's own text is "io exception" and a list of its parts. */
    private static Status withCause(Status status) {
        String text = status.getDescription();
        String cause = status.getCause() == null ? null : status.getCause().getMessage();
        if (status.getCode() != Status.Code.UNAVAILABLE || text == null || cause == null || text.contains(cause)) {
            return status;
        }
        return status.withDescription(text.lines().findFirst().orElse("") + ": " + cause);
    }

    /**
     * Returns the documented code.
     *
     * @return the code; {@link Code#NONE} for an error that is not Till's, such as a lost connection or a deadline
     */
    public Code getCode() {
        return code;
    }

    /**
     * Returns the reason of Till's {@code google.rpc.ErrorInfo}.
     *
     * @return a word such as {@code "NOT_FOUND"}; empty for an error that is not Till's
     */
    public String getReason() {
        return reason;
    }

    /**
     * Returns how long to wait before the next try.
     *
     * @return the delay of {@code google.rpc.RetryInfo}; empty if the error has none
     */
    public Optional<Duration> getRetryAfter() {
        return Optional.ofNullable(retryAfter);
    }

    /**
     * Returns the sequence of the oldest event left, after EVENTS_GONE.
     *
     * @return the sequence; empty if it is unknown, as for events of all users
     */
    public OptionalLong getOldestSequence() {
        return oldestSequence.isEmpty() ? OptionalLong.empty() : OptionalLong.of(Long.parseUnsignedLong(oldestSequence));
    }

    /** Returns the code or the gRPC status, then the message of Till: {@code "E2: resource not found"}. */
    @Override
    public String getMessage() {
        return code == Code.NONE ? String.valueOf(super.getMessage()) : id + ": " + getStatus().getDescription();
    }

    /** The codes that Till documents for its errors. */
    public enum Code {
        /** E0: an internal error of Till or its node; Till's log has the details. */
        INTERNAL("E0"),
        /** E1: the request is invalid; the message names the field and the limit. */
        INVALID_REQUEST("E1"),
        /** E2: not found, or not visible to this key. */
        NOT_FOUND("E2"),
        /** E3: the key is missing, unknown, expired or revoked. */
        UNAUTHENTICATED("E3"),
        /** E4: the key lacks the scope, or is for another type. */
        PERMISSION_DENIED("E4"),
        /** E5: the label is in use for a different request, or the invoice can no longer be canceled; the message says why. */
        CONFLICT("E5"),
        /** E6: a field or the request is too large. */
        TOO_LARGE("E6"),
        /** E7: a limit of the key is exceeded; retry after {@link #getRetryAfter}. */
        TOO_MANY("E7"),
        /** E8: the node is offline, or Till cannot serve; retry. */
        UNAVAILABLE("E8"),
        /** E9: Till timed out; retry. */
        TOOK_TOO_LONG("E9"),
        /** E10: this Till is older than the client and lacks the method. */
        NO_SUCH_METHOD("E10"),
        /** E11: the invoice request is disabled, collected or expired. */
        NOT_ACTIVE("E11"),
        /** E12: the invoice request has expired. */
        EXPIRED("E12"),
        /** E13: no route to the node that made the invoice request; retry later. */
        UNREACHABLE("E13"),
        /** E14: that node refuses to pay; the message has its reason. */
        REFUSED("E14"),
        /** E15: that node did not pay in time, and no longer can; try again. */
        NOT_PAID("E15"),
        /** E16: events after the start were removed; {@link #getOldestSequence} has the first one left. */
        EVENTS_GONE("E16"),
        /** The error is not Till's: a lost connection, a deadline, a proxy. The gRPC status says more. */
        NONE(""),
        /** A code of a newer Till, which this client does not know. */
        UNRECOGNIZED("?");

        private final String id;

        Code(String id) {
            this.id = id;
        }

        /**
         * Returns the code as the documentation has it.
         *
         * @return such as {@code "E2"}; empty for {@link #NONE}, {@code "?"} for {@link #UNRECOGNIZED}
         */
        public String id() {
            return id;
        }

        private static Code of(String id) {
            return Arrays.stream(values()).filter(code -> code.id.equals(id)).findFirst().orElse(UNRECOGNIZED);
        }
    }
}
