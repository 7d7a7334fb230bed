#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ringgate_fuzz::allow::check(data));
