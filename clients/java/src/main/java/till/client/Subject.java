package till.client;

import io.grpc.MethodDescriptor;
import java.util.List;

/** What a watch watches: its call, and what the messages mean. No two threads call it at a time. */
interface Subject<Q, R, T> {
    /** Returns what ends or is lost, for errors. */
    String name();

    MethodDescriptor<Q, R> method();

    /** Returns the request of the next attempt, which continues behind the last message. */
    Q request();

    /** Takes note of a message, and returns its news in order. */
    List<T> news(R message);

    /** Returns whether the watch is complete. */
    boolean isComplete();

    /** Returns the message for a call that ends before the watch is complete. */
    String earlyEnd();
}
