package till.client;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import com.google.rpc.Status;
import io.grpc.protobuf.StatusProto;
import java.time.Duration;
import java.util.Optional;

/**
 * What Till says of an error, beside gRPC's status and its message.
 *
 * @param code the documented code, such as {@code "E2"}; empty where Till said nothing: a lost connection, a deadline
 * @param reason the same as a word, such as {@code "NOT_FOUND"}; empty likewise
 * @param retryAfter when to try again, where Till knows
 */
public record TillError(String code, String reason, Optional<Duration> retryAfter) {
    private static final TillError NOTHING = new TillError("", "", Optional.empty());

    /**
     * Reads what came with an error.
     *
     * @param error a {@link io.grpc.StatusRuntimeException}, or what was caused by one, as futures have it
     * @return what Till has said; never null
     */
    public static TillError of(Throwable error) {
        Status status = StatusProto.fromThrowable(error);
        if (status == null) {
            return NOTHING;
        }
        TillError told = NOTHING;
        try {
            for (Any detail : status.getDetailsList()) {
                if (detail.is(ErrorInfo.class)) {
                    ErrorInfo info = detail.unpack(ErrorInfo.class);
                    if (info.getDomain().equals("till")) {
                        told = new TillError(info.getMetadataOrDefault("code", ""), info.getReason(), told.retryAfter);
                    }
                } else if (detail.is(RetryInfo.class)) {
                    var delay = detail.unpack(RetryInfo.class).getRetryDelay();
                    var after = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
                    told = new TillError(told.code, told.reason, Optional.of(after));
                }
            }
        } catch (InvalidProtocolBufferException notOfTill) {
            return NOTHING;
        }
        return told;
    }
}
