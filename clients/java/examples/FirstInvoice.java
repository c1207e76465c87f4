import till.client.TillClient;
import till.v1.CreateInvoiceRequest;
import till.v1.Invoice;

/** Creates an invoice, prints its payment request, and watches it until it is paid. */
class FirstInvoice {
    public static void main(String[] arguments) {
        String address = arguments.length > 0 ? arguments[0] : "127.0.0.1:50051";
        try (var till = TillClient.builder(address).key(System.getenv("TILL_KEY")).build()) {
            var request = CreateInvoiceRequest.newBuilder()
                    .setAmountMsat(5000)
                    .setDescription("a coffee")
                    .setMetadata("{\"type\": \"shop\"}")
                    .build();
            Invoice invoice = till.invoices().createInvoice(request).getInvoice();
            System.out.println(invoice.getBolt11());
            try (var states = till.watch(invoice.getInvoiceId())) {
                states.forEachRemaining(state -> System.out.println(state.getStatus()));
            }
        }
    }
}
