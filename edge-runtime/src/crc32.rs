//! CRC-32: the checksum of transfers, of slots in flash and of fault records.

/// CRC-32 (ISO-HDLC, as in Ethernet and zip) of parts, one after another.
pub fn crc32(parts: &[&[u8]]) -> u32 {
    let mut digest = CRC.digest();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize()
}

const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
