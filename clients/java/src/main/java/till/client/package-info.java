/**
 * Client of Till, a cash register for Core Lightning.
 *
 * <p>{@link till.client.TillClient} is the entry. The messages in {@code till.v1} are generated from Till's protos.
 */
@NullMarked
package till.client;

import org.jspecify.annotations.NullMarked;
