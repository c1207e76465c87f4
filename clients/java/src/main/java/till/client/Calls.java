package till.client;

import static java.util.concurrent.TimeUnit.NANOSECONDS;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.stub.AbstractStub;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** Calls with Java's errors and futures. The subclasses name the methods of each service. */
abstract class Calls<S extends Calls<S>> extends AbstractStub<S> {
    Calls(Channel channel, CallOptions options) {
        super(channel, options);
    }

    final <Q, R> R call(MethodDescriptor<Q, R> method, Q request) {
        try {
            return ClientCalls.blockingUnaryCall(getChannel(), method, getCallOptions(), request);
        } catch (StatusRuntimeException error) {
            throw failure(error, Context.current().isCancelled() || Thread.currentThread().isInterrupted());
        }
    }

    final <Q, R> CompletableFuture<R> start(MethodDescriptor<Q, R> method, Q request) {
        return start(method, request, Function.identity());
    }

    /** Starts a call whose response is read as another type. Cancelling the future cancels the call. */
    final <Q, R, T> CompletableFuture<T> start(MethodDescriptor<Q, R> method, Q request, Function<R, T> read) {
        ClientCall<Q, R> call = getChannel().newCall(method, getCallOptions());
        Context context = Context.current();
        var future = new CompletableFuture<T>();
        ClientCalls.asyncUnaryCall(call, request, new StreamObserver<R>() {
            private @Nullable T result;

            @Override
            public void onNext(R response) {
                result = read.apply(response);
            }

            @Override
            public void onError(Throwable error) {
                future.completeExceptionally(failure(error, context.isCancelled()));
            }

            @Override
            public void onCompleted() {
                future.complete(result);
            }
        });
        // Has no effect on a call that has ended.
        future.whenComplete((response, error) -> call.cancel("the future was completed", error));
        return future;
    }

    /** Returns the exception for a failed call, which its caller may have cancelled. */
    static RuntimeException failure(Throwable error, boolean isCancelled) {
        var failure = TillException.of(error);
        if (isCancelled && failure.getStatus().getCode() == Status.Code.CANCELLED) {
            return cancellation("the call was cancelled", failure);
        }
        return failure;
    }

    static CancellationException cancellation(String message, @Nullable Throwable cause) {
        var cancellation = new CancellationException(message);
        cancellation.initCause(cause);
        return cancellation;
    }

    static @Nullable Deadline earlier(@Nullable Duration timeout, @Nullable Deadline other) {
        return earlier(timeout == null ? null : Deadline.after(timeout.toNanos(), NANOSECONDS), other);
    }

    static @Nullable Deadline earlier(@Nullable Deadline one, @Nullable Deadline other) {
        return one == null ? other : other == null ? one : one.minimum(other);
    }
}
