package till.client;

import io.grpc.CallOptions;
import io.grpc.Channel;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;
import till.v1.CancelInvoiceRequest;
import till.v1.CancelInvoiceResponse;
import till.v1.CreateInvoiceRequest;
import till.v1.CreateInvoiceResponse;
import till.v1.ExportInvoicesRequest;
import till.v1.ExportInvoicesResponse;
import till.v1.GetInfoRequest;
import till.v1.GetInfoResponse;
import till.v1.GetInvoiceByIdRequest;
import till.v1.GetInvoiceByIdResponse;
import till.v1.GetInvoiceRequest;
import till.v1.GetInvoiceResponse;
import till.v1.GetReportRequest;
import till.v1.GetReportResponse;
import till.v1.Invoice;
import till.v1.InvoiceServiceGrpc;
import till.v1.ListInvoicesRequest;
import till.v1.ListInvoicesResponse;
import till.v1.LookupInvoiceRequest;
import till.v1.LookupInvoiceResponse;

/**
 * Calls that create, read, list, export, cancel and report invoices.
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
     * @return the new invoice, the node's estimate of whether it can be paid, and a watch token if requested
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
     * Reads a page of the invoices that match. Scope: invoices:read.
     *
     * @param request the request
     * @return the invoices, and the token of the next page
     */
    public ListInvoicesResponse listInvoices(ListInvoicesRequest request) {
        return call(InvoiceServiceGrpc.getListInvoicesMethod(), request);
    }

    /**
     * Starts {@link #listInvoices}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<ListInvoicesResponse> listInvoicesAsync(ListInvoicesRequest request) {
        return start(InvoiceServiceGrpc.getListInvoicesMethod(), request);
    }

    /**
     * Lists all invoices that match, over all pages. Scope: invoices:read.
     *
     * @param request the request; its page token, if any, is that of the first page
     * @return the invoices; nothing is fetched yet
     */
    public PagedList<Invoice> list(ListInvoicesRequest request) {
        Pages.Source<Invoice> pages = (token, deadline) -> withDeadline(deadline)
                .start(
                        InvoiceServiceGrpc.getListInvoicesMethod(),
                        request.toBuilder().setPageToken(token).build(),
                        page -> new Pages.Page<>(page.getInvoicesList(), page.getNextPageToken()));
        return new PagedList<>(pages, request.getPageToken(), getCallOptions().getDeadline(), null);
    }

    /**
     * Exports all invoices that match as CSV. Scope: invoices:read.
     *
     * @param request the request
     * @return the parts of the file; close the export if you leave before the last one
     */
    public Export export(ExportInvoicesRequest request) {
        return new Export(exportCall(request));
    }

    /**
     * As {@link #export}, for reactive code: an export for each subscriber, whose file is complete once {@code onComplete} is
     * called.
     *
     * @param request the request
     * @return a publisher of the parts of the file
     */
    public Flow.Publisher<ExportInvoicesResponse> exportPublisher(ExportInvoicesRequest request) {
        return new BatchPublisher<>(() -> exportCall(request));
    }

    private ExportCall exportCall(ExportInvoicesRequest request) {
        return new ExportCall(getChannel().newCall(InvoiceServiceGrpc.getExportInvoicesMethod(), getCallOptions()), request);
    }

    /**
     * Cancels an unpaid invoice: it can no longer be paid. Idempotent. Scope: invoices:cancel.
     *
     * <p>CONFLICT (E5): the invoice is paid or expired; the message names the status.
     *
     * @param request the request
     * @return the canceled invoice
     */
    public CancelInvoiceResponse cancelInvoice(CancelInvoiceRequest request) {
        return call(InvoiceServiceGrpc.getCancelInvoiceMethod(), request);
    }

    /**
     * Starts {@link #cancelInvoice}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<CancelInvoiceResponse> cancelInvoiceAsync(CancelInvoiceRequest request) {
        return start(InvoiceServiceGrpc.getCancelInvoiceMethod(), request);
    }

    /**
     * Reads the number and the sum of the payments received in a period, by group. Scope: info:read.
     *
     * @param request the request
     * @return the report
     */
    public GetReportResponse getReport(GetReportRequest request) {
        return call(InvoiceServiceGrpc.getGetReportMethod(), request);
    }

    /**
     * Starts {@link #getReport}, and does not wait.
     *
     * @param request the request
     * @return the response, later
     */
    public CompletableFuture<GetReportResponse> getReportAsync(GetReportRequest request) {
        return start(InvoiceServiceGrpc.getGetReportMethod(), request);
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
