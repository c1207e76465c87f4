package till.client;

import org.jspecify.annotations.Nullable;

/**
 * A change of the connection of a watch or an event stream: lost, before each pause, or back, before the next item.
 *
 * @param lost whether it was lost
 * @param attempt if lost, the number of losses in a row, from 1; if back, how many there were
 * @param error the loss; null if the connection is back
 */
public record Connection(boolean lost, int attempt, @Nullable TillException error) {}
