//! The pth reader gives tensors or one line, whatever the bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match converter::import::pth::read_bytes(bytes, "fuzz") {
        Ok(tensors) => {
            for tensor in tensors.values() {
                assert_eq!(tensor.shape.iter().product::<usize>(), tensor.data.len());
            }
        }
        Err(e) => assert!(!e.to_string().contains('\n')),
    }
});
