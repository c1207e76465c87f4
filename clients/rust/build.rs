//! Generates the messages and stubs from the protos, without `protoc`.

const PROTOS: [&str; 4] = [
    "till/v1/event_service.proto",
    "till/v1/invoice_service.proto",
    "till/v1/invreq_service.proto",
    "till/v1/key_service.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/till/v1");
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .compile_fds(protox::compile(PROTOS, ["proto"])?)?;
    Ok(())
}
