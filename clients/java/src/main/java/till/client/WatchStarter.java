package till.client;

/** Makes watches of one thing, with one set of options. */
interface WatchStarter<T> {
    /** Returns a watch that begins once it is started. */
    Watching<?, ?, T> prepare(Watching.Receiver<T> receiver);
}
