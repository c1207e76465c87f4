package till.client;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static till.client.FakeTill.next;

import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import till.v1.ExportInvoicesRequest;
import till.v1.ExportInvoicesResponse;
import till.v1.Invoice;
import till.v1.InvoiceFilter;
import till.v1.InvoiceOrder;
import till.v1.ListInvoicesRequest;
import till.v1.ListInvoicesResponse;

@Timeout(20)
class ListTest {
    private static final ListInvoicesRequest LIST = ListInvoicesRequest.newBuilder()
            .setPageSize(2)
            .setOrder(InvoiceOrder.INVOICE_ORDER_PAID_ASC)
            .setFilter(InvoiceFilter.newBuilder().setType("shop"))
            .build();
    private static final ExportInvoicesRequest EXPORT = ExportInvoicesRequest.getDefaultInstance();

    private final BlockingQueue<ListInvoicesRequest> requests = new LinkedBlockingQueue<>();
    private FakeTill fake;
    private Invoices invoices;

    @BeforeEach
    void start() throws IOException {
        fake = new FakeTill();
        fake.onPage = this::page;
        invoices = fake.client().invoices();
    }

    @AfterEach
    void stop() {
        fake.close();
    }

    /** Answers with "1" and "2", an empty page, and "3". */
    private void page(ListInvoicesRequest request, StreamObserver<ListInvoicesResponse> responses) {
        requests.add(request);
        responses.onNext(switch (request.getPageToken()) {
            case "" -> page("b", "1", "2");
            case "b" -> page("c");
            default -> page("", "3");
        });
        responses.onCompleted();
    }

    private static ListInvoicesResponse page(String next, String... ids) {
        var found = Stream.of(ids).map(id -> Invoice.newBuilder().setId(id).build()).toList();
        return ListInvoicesResponse.newBuilder().addAllInvoices(found).setNextPageToken(next).build();
    }

    /** Lets the last page fail. */
    private void failLastPage(Status status) {
        fake.onPage = (request, responses) -> {
            if (request.getPageToken().equals("c")) {
                responses.onError(status.asRuntimeException());
            } else {
                page(request, responses);
            }
        };
    }

    @Test
    void aListHasAllPagesOfOneRequest() {
        var ids = new ArrayList<String>();
        for (Invoice invoice : invoices.list(LIST)) {
            ids.add(invoice.getId());
        }
        assertEquals(List.of("1", "2", "3"), ids);
        var tokens = Stream.of("", "b", "c").map(token -> LIST.toBuilder().setPageToken(token).build());
        assertEquals(tokens.toList(), List.copyOf(requests));
    }

    @Test
    void aListCanBeginAtAPage() {
        var list = invoices.list(LIST.toBuilder().setPageToken("c").build()).iterator();
        assertEquals("3", list.next().getId());
        assertThrows(NoSuchElementException.class, list::next);
    }

    @Test
    void aStreamFetchesAPageWhenItIsNeeded() {
        var ids = invoices.list(LIST).stream().map(Invoice::getId);
        assertTrue(requests.isEmpty());
        assertEquals(List.of("1", "2"), ids.limit(2).toList());
        assertEquals(1, requests.size());
    }

    @Test
    void aPageThatFailedCanBeFetchedAgain() {
        failLastPage(Status.PERMISSION_DENIED);
        var list = invoices.list(LIST).iterator();
        assertEquals("1", list.next().getId());
        assertEquals("2", list.next().getId());
        assertEquals(Status.Code.PERMISSION_DENIED, assertThrows(TillException.class, list::hasNext).getStatus().getCode());
        fake.onPage = this::page;
        assertEquals("3", list.next().getId());
        assertFalse(list.hasNext());
    }

    @Test
    void aFirstPageFailsLikeACall() {
        failLastPage(Status.UNAVAILABLE);
        var list = invoices.list(LIST.toBuilder().setPageToken("c").build()).iterator();
        assertEquals(Status.Code.UNAVAILABLE, assertThrows(TillException.class, list::hasNext).getStatus().getCode());
    }

    @Test
    void theDeadlineOfAPageNamesItsLastLoss() {
        failLastPage(Status.UNAVAILABLE.withDescription("away"));
        var list = invoices.list(LIST).withPageTimeout(Duration.ofMillis(500)).stream();
        var error = assertThrows(TillException.class, list::toList);
        assertEquals(Status.Code.DEADLINE_EXCEEDED, error.getStatus().getCode());
        assertTrue(error.getMessage().endsWith("; its last loss: UNAVAILABLE: away"), error.getMessage());
        assertEquals("UNAVAILABLE: away", error.getCause().getMessage());
    }

    @Test
    void anInterruptedListCancelsItsPage() throws Exception {
        fake.onPage = (request, responses) -> {};
        Thread.currentThread().interrupt();
        assertThrows(CancellationException.class, invoices.list(LIST).iterator()::hasNext);
        assertTrue(Thread.interrupted());
    }

    @Test
    void aPublisherFetchesAPageWhenItIsRequested() throws Exception {
        var recorder = new Recorder<>(Invoice::getId);
        invoices.list(LIST).publisher().subscribe(recorder);
        recorder.subscription.request(2);
        assertEquals("1", next(recorder.reports));
        assertEquals("2", next(recorder.reports));
        assertEquals(1, requests.size());
        recorder.subscription.request(1);
        assertEquals("3", next(recorder.reports));
        assertEquals("complete", next(recorder.reports));
    }

    @Test
    void aPublisherReportsAnErrorAfterTheInvoicesBefore() throws Exception {
        failLastPage(Status.PERMISSION_DENIED);
        var recorder = new Recorder<>(Invoice::getId);
        invoices.list(LIST).publisher().subscribe(recorder);
        recorder.subscription.request(Long.MAX_VALUE);
        assertEquals("1", next(recorder.reports));
        assertEquals("2", next(recorder.reports));
        assertEquals(TillException.class, next(recorder.reports).getClass());
    }

    @Test
    void aRequestOfNoInvoicesIsAnError() throws Exception {
        var recorder = new Recorder<>(Invoice::getId);
        invoices.list(LIST).publisher().subscribe(recorder);
        recorder.subscription.request(0);
        assertEquals(IllegalArgumentException.class, next(recorder.reports).getClass());
    }

    @Test
    void aCancelledSubscriptionCancelsItsPage() throws Exception {
        var arrived = new CompletableFuture<ListInvoicesRequest>();
        fake.onPage = (request, responses) -> arrived.complete(request);
        var recorder = new Recorder<>(Invoice::getId);
        invoices.list(LIST).publisher().subscribe(recorder);
        recorder.subscription.request(1);
        FakeTill.get(arrived);
        recorder.subscription.cancel();
        assertTrue(fake.cancelled.await(10, SECONDS));
        assertTrue(recorder.reports.isEmpty());
    }

    private static ExportInvoicesResponse part(String csv) {
        return ExportInvoicesResponse.newBuilder().setCsv(csv).build();
    }

    @Test
    void anExportHasAllParts() throws Exception {
        var csv = CompletableFuture.supplyAsync(() -> {
            var lines = new ArrayList<String>();
            try (var parts = invoices.export(EXPORT)) {
                parts.forEachRemaining(part -> lines.add(part.getCsv()));
            }
            return lines;
        });
        var responses = next(fake.exports);
        responses.onNext(part("id\r\n"));
        responses.onNext(part("1\r\n"));
        responses.onCompleted();
        assertEquals(List.of("id\r\n", "1\r\n"), FakeTill.get(csv));
    }

    @Test
    void anExportThatBreaksIsAnErrorAfterItsParts() throws Exception {
        var parts = invoices.export(EXPORT);
        var header = CompletableFuture.supplyAsync(parts::next);
        var responses = next(fake.exports);
        responses.onNext(part("id\r\n"));
        responses.onError(Status.INTERNAL.asRuntimeException());
        assertEquals("id\r\n", FakeTill.get(header).getCsv());
        for (int attempt = 0; attempt < 2; attempt++) {
            assertEquals(Status.Code.INTERNAL, assertThrows(TillException.class, parts::hasNext).getStatus().getCode());
        }
    }

    @Test
    void aClosedExportEndsAtTillToo() throws Exception {
        var parts = invoices.export(EXPORT);
        var waiting = CompletableFuture.runAsync(parts::next);
        next(fake.exports).onNext(part("id\r\n"));
        FakeTill.get(waiting);
        parts.close();
        assertTrue(fake.cancelled.await(10, SECONDS));
        assertThrows(CancellationException.class, parts::hasNext);
    }

    @Test
    void anExportThatIsClosedAtOnceNeverStarts() {
        var parts = invoices.export(EXPORT);
        parts.close();
        assertThrows(CancellationException.class, parts::hasNext);
    }

    @Test
    void aPublisherGivesNoMorePartsThanRequested() throws Exception {
        var recorder = new Recorder<>(ExportInvoicesResponse::getCsv);
        invoices.exportPublisher(EXPORT).subscribe(recorder);
        recorder.subscription.request(1);
        var responses = next(fake.exports);
        responses.onNext(part("id\r\n"));
        responses.onNext(part("1\r\n"));
        assertEquals("id\r\n", next(recorder.reports));
        assertTrue(recorder.reports.isEmpty());
        recorder.subscription.request(2);
        assertEquals("1\r\n", next(recorder.reports));
        responses.onError(Status.UNAVAILABLE.asRuntimeException());
        assertEquals(TillException.class, next(recorder.reports).getClass());
    }
}
