//! The onnx importer gives a graph or one line, whatever the bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match converter::import::onnx::read_bytes(bytes, "fuzz") {
        // What an importer lets through, the passes must take.
        Ok(imported) => drop(converter::passes::simplify(imported.graph)),
        Err(e) => assert!(!e.to_string().contains('\n')),
    }
});
