package till.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import java.util.concurrent.CompletableFuture;
import till.v1.CreateInvoiceRequest;
import till.v1.CreateInvoiceResponse;
import till.v1.GetInfoRequest;
import till.v1.GetInfoResponse;
import till.v1.GetInvoiceByIdRequest;
import till.v1.GetInvoiceByIdResponse;
import till.v1.GetInvoiceRequest;
import till.v1.GetInvoiceResponse;
import till.v1.InvoiceServiceGrpc;
import till.v1.LookupInvoiceRequest;
import till.v1.LookupInvoiceResponse;

/**
 * Calls that create and read invoices.
 *
 * <p>A method throws a {@link TillException}, or a {@link java.util.concurrent.CancellationException} if its caller cancels
 * the call. The future of its {@code Async} form fails with the same; cancelling this future cancels the call. {@code
 * withDeadlineAfter} and the other options of gRPC's stubs return a changed copy.
 */
public final class Invoices extends Calls<Invoices> {
    Invoices(Channel channel, CallOptions options) {
        super(channel, options);
    }

    @Override
    protected Invoices build(Channel channel, CallOptions options) {
        return new Invoices(channel, options);
    }

    /**
     * Creates an invoice at the node. Scope: invoices:create.
     *
     * <p>After a lost connection, a deadline or UNAVAILABLE (E8) it is unknown whether the invoice was created. Repeat the request
     * with its label, which returns the same invoice.
     *
     * @param request the request
     * @return the new invoice, and a watch token if requested
     */
    public CreateInvoiceResponse createInvoice(CreateInvoiceRequest request) {
        return call(InvoiceServiceGrpc.getCreateInvoiceMethod(), request);
    }

    /**
     * Starts {@link #createInvoice}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<CreateInvoiceResponse> createInvoiceAsync(CreateInvoiceRequest request) {
        return start(InvoiceServiceGrpc.getCreateInvoiceMethod(), request);
    }

    /**
     * Reads an invoice by its public id. Scope: invoices:read.
     *
     * @param request the request
     * @return the invoice, and a watch token if requested
     */
    public GetInvoiceResponse getInvoice(GetInvoiceRequest request) {
        return call(InvoiceServiceGrpc.getGetInvoiceMethod(), request);
    }

    /**
     * Starts {@link #getInvoice}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<GetInvoiceResponse> getInvoiceAsync(GetInvoiceRequest request) {
        return start(InvoiceServiceGrpc.getGetInvoiceMethod(), request);
    }

    /**
     * Reads an invoice by its internal id. Scope: invoices:read.
     *
     * @param request the request
     * @return the invoice
     */
    public GetInvoiceByIdResponse getInvoiceById(GetInvoiceByIdRequest request) {
        return call(InvoiceServiceGrpc.getGetInvoiceByIdMethod(), request);
    }

    /**
     * Starts {@link #getInvoiceById}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<GetInvoiceByIdResponse> getInvoiceByIdAsync(GetInvoiceByIdRequest request) {
        return start(InvoiceServiceGrpc.getGetInvoiceByIdMethod(), request);
    }

    /**
     * Reads an invoice by its label, payment hash or payment request. Scope: invoices:read.
     *
     * @param request the request
     * @return the invoice
     */
    public LookupInvoiceResponse lookupInvoice(LookupInvoiceRequest request) {
        return call(InvoiceServiceGrpc.getLookupInvoiceMethod(), request);
    }

    /**
     * Starts {@link #lookupInvoice}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<LookupInvoiceResponse> lookupInvoiceAsync(LookupInvoiceRequest request) {
        return start(InvoiceServiceGrpc.getLookupInvoiceMethod(), request);
    }

    /**
     * Reads the caller's totals, and the node as lightning-getinfo(7) describes it. Scope: info:read.
     *
     * @param request the request
     * @return the totals and the node
     */
    public GetInfoResponse getInfo(GetInfoRequest request) {
        return call(InvoiceServiceGrpc.getGetInfoMethod(), request);
    }

    /**
     * Starts {@link #getInfo}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<GetInfoResponse> getInfoAsync(GetInfoRequest request) {
        return start(InvoiceServiceGrpc.getGetInfoMethod(), request);
    }
}
