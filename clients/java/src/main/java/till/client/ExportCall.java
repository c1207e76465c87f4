package till.client;

import io.grpc.ClientCall;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.Status;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import till.v1.ExportInvoicesRequest;
import till.v1.ExportInvoicesResponse;

/** The call of an export. It begins with the first part. */
final class ExportCall extends ClientCall.Listener<ExportInvoicesResponse> implements Batches<ExportInvoicesResponse> {
    private final ClientCall<ExportInvoicesRequest, ExportInvoicesResponse> call;
    private final ExportInvoicesRequest request;
    private final Context context = Context.current();
    private final CompletableFuture<Batch<ExportInvoicesResponse>> end = new CompletableFuture<>();
    private volatile CompletableFuture<Batch<ExportInvoicesResponse>> part = end;
    private boolean hasStarted;

    ExportCall(ClientCall<ExportInvoicesRequest, ExportInvoicesResponse> call, ExportInvoicesRequest request) {
        this.call = call;
        this.request = request;
    }

    @Override
    public synchronized CompletableFuture<Batch<ExportInvoicesResponse>> next() {
        if (end.isDone()) {
            return end;
        }
        part = new CompletableFuture<>();
        if (!hasStarted) {
            hasStarted = true;
            call.start(this, new Metadata());
            call.sendMessage(request);
            call.halfClose();
        }
        call.request(1);
        return part.applyToEither(end, Function.identity());
    }

    @Override
    public synchronized void cancel() {
        end.completeExceptionally(Calls.cancellation("the export was closed", null));
        call.cancel("the export was closed", null);
    }

    @Override
    public void onMessage(ExportInvoicesResponse lines) {
        part.complete(Batch.of(List.of(lines), false));
    }

    @Override
    public void onClose(Status status, Metadata trailers) {
        if (status.isOk()) {
            end.complete(Batch.of(List.of(), true));
        } else {
            end.completeExceptionally(Calls.failure(TillException.of(status, trailers), context.isCancelled()));
        }
    }
}
