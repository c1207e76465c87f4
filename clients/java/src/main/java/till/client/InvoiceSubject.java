package till.client;

import io.grpc.MethodDescriptor;
import java.util.List;
import org.jspecify.annotations.Nullable;
import till.v1.Invoice;
import till.v1.InvoiceServiceGrpc;
import till.v1.WatchInvoiceRequest;
import till.v1.WatchInvoiceResponse;

/** The states of an invoice, until it is final. */
final class InvoiceSubject implements Subject<WatchInvoiceRequest, WatchInvoiceResponse, Invoice> {
    private final WatchInvoiceRequest request;
    private @Nullable Invoice last;

    InvoiceSubject(String invoiceId) {
        request = WatchInvoiceRequest.newBuilder().setInvoiceId(invoiceId).build();
    }

    @Override
    public String name() {
        return "watch";
    }

    @Override
    public MethodDescriptor<WatchInvoiceRequest, WatchInvoiceResponse> method() {
        return InvoiceServiceGrpc.getWatchInvoiceMethod();
    }

    @Override
    public WatchInvoiceRequest request() {
        return request;
    }

    @Override
    public List<Invoice> news(WatchInvoiceResponse message) {
        Invoice state = message.getInvoice();
        if (state.equals(last)) {
            return List.of();
        }
        last = state;
        return List.of(state);
    }

    @Override
    public boolean isComplete() {
        return last != null
                && switch (last.getStatus()) {
                    case INVOICE_STATUS_PAID, INVOICE_STATUS_EXPIRED, INVOICE_STATUS_CANCELED -> true;
                    default -> false;
                };
    }

    @Override
    public String earlyEnd() {
        return "the watch ended before the invoice was final";
    }
}
