/**
 * Client of Till, a cash register for Core Lightning.
 *
 * <p>{@link till.client.TillClient} is a connection. What is said over it are the messages and stubs in {@code till.v1},
 * which gRPC generates from Till's protos.
 */
package till.client;
