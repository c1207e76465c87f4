package till.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import java.util.concurrent.CompletableFuture;
import till.v1.CreateInvreqRequest;
import till.v1.CreateInvreqResponse;
import till.v1.DisableInvreqRequest;
import till.v1.DisableInvreqResponse;
import till.v1.GetInvreqRequest;
import till.v1.GetInvreqResponse;
import till.v1.InvreqServiceGrpc;
import till.v1.ListInvreqsRequest;
import till.v1.ListInvreqsResponse;
import till.v1.SendInvoiceRequest;
import till.v1.SendInvoiceResponse;

/**
 * Calls for invoice requests (BOLT 12): payouts of your own, and invoices for those of others.
 *
 * <p>A method throws a {@link TillException}, or a {@link java.util.concurrent.CancellationException} if its caller cancels
 * the call. The future of its {@code Async} form fails with the same; cancelling this future cancels the call. {@code
 * withDeadlineAfter} and the other options of gRPC's stubs return a changed copy.
 */
public final class Invreqs extends Calls<Invreqs> {
    Invreqs(Channel channel, CallOptions options) {
        super(channel, options);
    }

    @Override
    protected Invreqs build(Channel channel, CallOptions options) {
        return new Invreqs(channel, options);
    }

    /**
     * Creates an invoice request: from now on the node pays anyone who collects it. Scope: payouts.
     *
     * @param request the request
     * @return the new invoice request
     */
    public CreateInvreqResponse createInvreq(CreateInvreqRequest request) {
        return call(InvreqServiceGrpc.getCreateInvreqMethod(), request);
    }

    /**
     * Starts {@link #createInvreq}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<CreateInvreqResponse> createInvreqAsync(CreateInvreqRequest request) {
        return start(InvreqServiceGrpc.getCreateInvreqMethod(), request);
    }

    /**
     * Reads an invoice request of the caller's user. Scope: payouts.
     *
     * @param request the request
     * @return the invoice request
     */
    public GetInvreqResponse getInvreq(GetInvreqRequest request) {
        return call(InvreqServiceGrpc.getGetInvreqMethod(), request);
    }

    /**
     * Starts {@link #getInvreq}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<GetInvreqResponse> getInvreqAsync(GetInvreqRequest request) {
        return start(InvreqServiceGrpc.getGetInvreqMethod(), request);
    }

    /**
     * Lists the user's invoice requests, newest first. Scope: payouts.
     *
     * @param request the request
     * @return a page of them
     */
    public ListInvreqsResponse listInvreqs(ListInvreqsRequest request) {
        return call(InvreqServiceGrpc.getListInvreqsMethod(), request);
    }

    /**
     * Starts {@link #listInvreqs}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<ListInvreqsResponse> listInvreqsAsync(ListInvreqsRequest request) {
        return start(InvreqServiceGrpc.getListInvreqsMethod(), request);
    }

    /**
     * Disables an invoice request: it can no longer be collected. Scope: payouts.
     *
     * @param request the request
     * @return the disabled invoice request
     */
    public DisableInvreqResponse disableInvreq(DisableInvreqRequest request) {
        return call(InvreqServiceGrpc.getDisableInvreqMethod(), request);
    }

    /**
     * Starts {@link #disableInvreq}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<DisableInvreqResponse> disableInvreqAsync(DisableInvreqRequest request) {
        return start(InvreqServiceGrpc.getDisableInvreqMethod(), request);
    }

    /**
     * Sends an invoice for another node's invoice request, and waits until it is paid. Scope: invoices:create.
     *
     * <p>Repeating a request with its label returns the same payment.
     *
     * @param request the request
     * @return the paid invoice, and the proof of payment
     */
    public SendInvoiceResponse sendInvoice(SendInvoiceRequest request) {
        return call(InvreqServiceGrpc.getSendInvoiceMethod(), request);
    }

    /**
     * Starts {@link #sendInvoice}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<SendInvoiceResponse> sendInvoiceAsync(SendInvoiceRequest request) {
        return start(InvreqServiceGrpc.getSendInvoiceMethod(), request);
    }
}
