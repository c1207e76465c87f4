//! Generates the messages and stubs from the protos, without `protoc`.

const PROTOS: [&str; 5] = [
    "till/v1/event_service.proto",
    "till/v1/invoice_service.proto",
    "till/v1/invreq_service.proto",
    "till/v1/key_service.proto",
    "till/v1/webhook_service.proto",
];

/// Messages with a secret. src/webhooks.rs implements their Debug.
const SECRETS: [&str; 4] = [
    "till.v1.CreateKeyResponse",
    "till.v1.CreateWebhookResponse",
    "till.v1.InvoiceWebhook",
    "till.v1.RotateSecretResponse",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/till/v1");
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .skip_debug(SECRETS)
        .compile_fds(protox::compile(PROTOS, ["proto"])?)?;
    Ok(())
}
