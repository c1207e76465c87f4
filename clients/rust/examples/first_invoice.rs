//! Creates an invoice, prints its payment request, and watches it until it is paid:
//! `cargo run --example first_invoice 127.0.0.1:50051`, with the key in `TILL_KEY` if one is needed.

use std::env;
use std::error::Error;

use till_client::v1::{CreateInvoiceRequest, InvoiceStatus};
use till_client::{Client, Options};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:50051".into());
    let till = Client::connect(Options::new(address).key(env::var("TILL_KEY").unwrap_or_default()))?;
    let request = CreateInvoiceRequest {
        amount_msat: Some(5000),
        description: Some("a coffee".into()),
        metadata: r#"{"type": "shop"}"#.into(),
        ..Default::default()
    };
    let invoice = till.create_invoice(request).await?.invoice.ok_or("no invoice")?;
    println!("{}", invoice.bolt11);
    let mut watch = till.watch(invoice.invoice_id);
    while let Some(invoice) = watch.try_next().await? {
        match (invoice.status(), invoice.payment) {
            (InvoiceStatus::Paid, Some(payment)) => println!("paid: {} msat", payment.amount_received_msat),
            (status, _) => println!("{}", status.as_str_name()),
        }
    }
    Ok(())
}
