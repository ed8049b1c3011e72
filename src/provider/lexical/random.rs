use crate::digest::Digest;

/// Gives random numbers by SplitMix64 (Steele, Lea and Flood 2014), seeded by a digest's first 8 bytes, little endian.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Starts a stream.
    pub(super) fn new(seed: &Digest) -> Self {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&seed.as_bytes()[..8]);
        Self(u64::from_le_bytes(bytes))
    }

    /// Gives the next number in [0, 1): the upper 53 bits over 2^53.
    pub(super) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs for seed 0 are e220a8397b1dcdaf and 6e789e6aa1b965f4, as published with the algorithm.
    #[test]
    fn golden_vectors_stand() {
        let mut random = Random::new(&Digest::from_bytes([0; 32]));
        let expected = |bits: u64| (bits >> 11) as f64 / 9007199254740992.0;
        assert_eq!(random.unit(), expected(0xe220_a839_7b1d_cdaf));
        assert_eq!(random.unit(), expected(0x6e78_9e6a_a1b9_65f4));
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random.unit())));
    }
}
