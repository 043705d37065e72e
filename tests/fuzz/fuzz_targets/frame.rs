//! The frame reader delivers every whole frame, whatever lies between and in whatever pieces it comes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| graft_tests::fuzz::frames(bytes));
