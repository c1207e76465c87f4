//! Options of a client.

use till_client::{Client, InvalidOptions, Options};

#[test]
fn a_host_and_a_port_make_an_address() {
    for address in ["127.0.0.1:50051", "till.example:443", "[::1]:50051"] {
        assert!(Client::connect(address).is_ok(), "{address}");
    }
}

#[test]
fn a_malformed_address_is_an_error_that_names_the_format() {
    for address in [
        "",
        "till.example",
        "http://till.example:80",
        "till.example:80/x",
        ":80",
        "till.example:99999",
    ] {
        let error = Client::connect(address).unwrap_err();
        assert!(matches!(error, InvalidOptions::Address(_)), "{address}: {error}");
        assert!(error.to_string().contains("HOST:PORT"));
    }
}

#[test]
fn a_malformed_key_is_an_error_that_does_not_repeat_it() {
    let error = Client::connect(Options::new("127.0.0.1:1").key("till_ä")).unwrap_err();
    assert!(matches!(error, InvalidOptions::Key));
    assert!(!format!("{error} {error:?}").contains("till_"));
}

#[test]
fn a_key_without_tls_goes_to_loopback_only() {
    for address in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "LOCALHOST:1"] {
        assert!(
            Client::connect(Options::new(address).key("till_key")).is_ok(),
            "{address}"
        );
    }
    for address in ["till.example:1", "10.0.0.1:1", "[2001:db8::1]:1", "localhost.example:1"] {
        let error = Client::connect(Options::new(address).key("till_key")).unwrap_err();
        assert!(matches!(error, InvalidOptions::PlaintextKey), "{address}: {error}");
        let supplied = Options::new(address).key_fn(|| async { Ok::<_, std::io::Error>("till_key".into()) });
        assert!(Client::connect(supplied.clone()).is_err(), "{address}");
        assert!(Client::connect(supplied.allow_plaintext_key(true)).is_ok(), "{address}");
        assert!(Client::connect(Options::new(address).key("")).is_ok(), "{address}");
    }
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
#[test]
fn malformed_certificates_are_an_error() {
    let pem = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let error = Client::connect(Options::new("127.0.0.1:1").ca(pem)).unwrap_err();
    assert!(matches!(error, InvalidOptions::Tls(_)));
}

#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
#[test]
fn tls_options_do_not_apply_to_an_endpoint_of_the_callers_own() {
    let endpoint = till_client::tonic::transport::Endpoint::from_static("http://127.0.0.1:1");
    let error = Client::connect(Options::from(endpoint).ca("")).unwrap_err();
    assert!(matches!(error, InvalidOptions::TlsOfChannel));
}

#[test]
fn debug_does_not_show_the_key() {
    let options = Options::new("127.0.0.1:1").key("till_secret");
    let client = Client::connect(options.clone()).unwrap();
    let shown = format!("{options:?} {client:?} {:?}", client.invoices());
    assert!(shown.contains("redacted") && !shown.contains("secret"), "{shown}");
}
