//! Connections that cannot be made, and deadlines.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use till_client::tonic::{Code, Request};
use till_client::v1::GetInfoRequest;
use till_client::{Client, Options};
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// An address that takes connections and sends nothing.
fn silence() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

async fn fail_within_5_s(options: Options) {
    let till = Client::connect(options).unwrap();
    let started = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let till = till.clone();
        calls.spawn(async move { till.get_info(GetInfoRequest {}).await.unwrap_err() });
    }
    for error in calls.join_all().await {
        assert_eq!(error.status().code(), Code::Unavailable);
        assert!(error.message().ends_with("no answer within 5 s"), "{error}");
    }
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn many_calls_to_a_silent_address_fail_within_5_s() {
    let (_listener, address) = silence();
    fail_within_5_s(Options::new(address)).await;
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
#[tokio::test(start_paused = true)]
async fn many_calls_by_tls_to_a_silent_address_fail_within_5_s() {
    let (_listener, address) = silence();
    let config = till_client::tonic::transport::ClientTlsConfig::new();
    fail_within_5_s(Options::new(address).tls_config(config)).await;
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_call_covers_the_key_function_and_the_connection() {
    let (_listener, address) = silence();
    let waits = Options::new(&address).key_fn(std::future::pending::<Result<String, std::io::Error>>);
    for options in [waits, Options::new(&address)] {
        let started = Instant::now();
        let mut request = Request::new(GetInfoRequest {});
        request.set_timeout(Duration::from_secs(1));
        let error = Client::connect(options).unwrap().get_info(request).await.unwrap_err();
        assert_eq!(error.status().code(), Code::DeadlineExceeded);
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}

#[tokio::test]
async fn a_server_of_another_protocol_is_named() {
    for (sent, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "does not speak HTTP/2"),
        (&[0x15, 3, 3, 0, 2, 2, 70], "speaks TLS"),
        (&[], "closed the connection"),
    ] {
        let error = first_error(sent, |options| options).await;
        assert!(error.contains(expected), "{error}");
    }
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
#[tokio::test]
async fn a_server_without_tls_is_named() {
    let config = till_client::tonic::transport::ClientTlsConfig::new();
    let error = first_error(&[0, 0, 0, 4, 0, 0, 0, 0, 0], |options| options.tls_config(config)).await;
    assert!(error.contains("does not speak TLS"), "{error}");
}

/// Return the error of a call to a server that sends some bytes and hangs up.
async fn first_error(sent: &'static [u8], configure: impl FnOnce(Options) -> Options) -> String {
    let (listener, address) = silence();
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        connection.write_all(sent).unwrap();
        connection.shutdown(Shutdown::Write).unwrap();
        // A reset would discard what was sent.
        let _ = connection.read_to_end(&mut Vec::new());
    });
    let till = Client::connect(configure(Options::new(address))).unwrap();
    let error = till.get_info(GetInfoRequest {}).await.unwrap_err();
    assert_eq!(error.status().code(), Code::Unavailable);
    error.to_string()
}

#[test]
fn a_client_needs_no_runtime_and_outlives_one() {
    let till = Client::connect("127.0.0.1:1").unwrap();
    for _ in 0..2 {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(till.get_info(GetInfoRequest {})).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("cannot connect to Till: Connection refused"),
            "{error}"
        );
    }
}
