import java.util.LinkedHashMap;
import java.util.Map;
import org.openapitools.client.ApiClient;
import org.openapitools.client.api.InvoicesApi;
import org.openapitools.client.model.CreateInvoice;
import org.openapitools.client.model.CreateInvoiceMsat;
import org.openapitools.client.model.Invoice;

/** Reads an invoice and creates one for any amount, by a client that was generated from openapi.json: Main URL INVOICEID. */
public final class Main {
  public static void main(String[] arguments) throws Exception {
    ApiClient client = new ApiClient();
    client.updateBaseUri(arguments[0]);
    InvoicesApi invoices = new InvoicesApi(client);
    Invoice read = invoices.getInvoice(arguments[1], null);
    CreateInvoice order =
        new CreateInvoice().msat(new CreateInvoiceMsat("any")).metadata(read.getMetadata());
    Invoice created = invoices.createInvoice(order, null);
    Map<String, Object> told = new LinkedHashMap<>();
    told.put("status", read.getStatus());
    told.put("msatoshi", read.getMsatoshi());
    told.put("metadata", read.getMetadata());
    told.put("created_at", read.getCreatedAt().toEpochSecond());
    told.put("is_any", created.getMsatoshi() == null);
    told.put("any_metadata", created.getMetadata());
    System.out.println(client.getObjectMapper().writeValueAsString(told));
  }
}
