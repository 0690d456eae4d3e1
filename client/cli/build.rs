//! Folds identical functions in the release binary: generic code leaves many of them.

use std::env;
use std::path::Path;
use std::process::Command;

/// Only the linker that rustup's toolchain brings for this target is known to understand the flag.
const TARGET: &str = "x86_64-unknown-linux-gnu";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if is_release && env::var("TARGET").is_ok_and(|target| target == TARGET) && has_own_linker() {
        println!("cargo:rustc-link-arg-bins=-Wl,--icf=all");
    }
}

fn has_own_linker() -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let Ok(output) = Command::new(rustc).args(["--print", "sysroot"]).output() else { return false };
    let sysroot = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("bin/gcc-ld/ld.lld").exists()
}
