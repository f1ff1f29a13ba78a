//! Compiles `paceline/v1/*.proto` and KEDA's `externalscaler.proto` with protox (no protoc to install) into Rust code and the descriptor
//! set for reflection.

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const FILES: [&str; 5] = [
        "paceline/v1/scheduler.proto",
        "paceline/v1/producer.proto",
        "paceline/v1/verify.proto",
        "paceline/v1/scale.proto",
        "externalscaler/externalscaler.proto",
    ];
    println!("cargo:rerun-if-changed=paceline");
    println!("cargo:rerun-if-changed=externalscaler");

    let descriptors = protox::compile(FILES, ["."])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("paceline_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().build_transport(true).compile_fds(descriptors)?;
    Ok(())
}
