//! What a client can be made of.

use till_client::{Client, InvalidOptions, Options};

#[tokio::test]
async fn a_host_and_a_port_make_an_address() {
    for address in ["127.0.0.1:50051", "till.example:443", "[::1]:50051"] {
        assert!(Client::connect(Options::new(address)).is_ok(), "{address}");
    }
}

#[tokio::test]
async fn what_is_no_address_is_told_with_what_it_must_be() {
    for address in [
        "",
        "till.example",
        "http://till.example:80",
        "till.example:80/x",
        ":80",
        "till.example:99999",
    ] {
        let wrong = Client::connect(Options::new(address)).unwrap_err();
        assert!(matches!(wrong, InvalidOptions::Address(_)), "{address}: {wrong}");
        assert!(wrong.to_string().contains("HOST:PORT"));
    }
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_and_not_repeated() {
    let wrong = Client::connect(Options::new("127.0.0.1:1").key("till_ä")).unwrap_err();
    assert!(matches!(wrong, InvalidOptions::Key));
    assert!(!format!("{wrong} {wrong:?}").contains("till_"));
}

#[tokio::test]
async fn certificates_that_are_none_are_refused() {
    let pem = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    let wrong = Client::connect(Options::new("127.0.0.1:1").ca(pem)).unwrap_err();
    assert!(matches!(wrong, InvalidOptions::Tls(_)));
}

#[tokio::test]
async fn nothing_shows_the_key() {
    let client = Client::connect(Options::new("127.0.0.1:1").key("till_secret")).unwrap();
    assert!(!format!("{:?} {client:?}", client.invoices()).contains("secret"));
}
