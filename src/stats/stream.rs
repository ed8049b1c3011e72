//! The random stream behind every resampling method.

/// A portable stream of random numbers: xoshiro256++ (Blackman and Vigna 2019).
///
/// The state comes from a seed and a label, so each block of an analysis has a
/// stream of its own, whatever was computed before it:
///
/// 1. `h` is the 64-bit FNV-1a hash of the label's UTF-8 bytes;
/// 2. `s` is the first output of SplitMix64 started at `seed`;
/// 3. the four state words are the first outputs of SplitMix64 started at `s ^ h`.
///
/// Only wrapping integer arithmetic is used; a stream has the same words on every
/// platform, and nothing about it depends on threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    state: [u64; 4],
}

/// One output of SplitMix64 (Steele, Lea and Flood 2014), advancing its state.
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The 64-bit FNV-1a hash.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

impl Stream {
    /// Derives the stream of a label under a seed.
    pub fn derive(seed: u64, label: &str) -> Self {
        let mut outer = seed;
        let mut inner = split_mix(&mut outer) ^ fnv1a(label.as_bytes());
        Self { state: core::array::from_fn(|_| split_mix(&mut inner)) }
    }

    /// Returns the next 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let output = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let t = b << 17;
        let c = c ^ a;
        let d = d ^ b;
        self.state = [a ^ d, b ^ c, c ^ t, d.rotate_left(45)];
        output
    }

    /// Returns a uniform number in [0, 1), a multiple of 2^−53.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Returns a uniform whole number below `bound` (Lemire 2019, on the upper 32 bits); 0 if `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u32) -> u32 {
        let threshold = bound.wrapping_neg() % bound.max(1);
        loop {
            let product = (self.next_u64() >> 32) * u64::from(bound);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }

    /// Returns the sum of `draws` elements taken with replacement, in the order drawn.
    ///
    /// Each 64-bit output serves two draws, low half first; a half that Lemire's
    /// method rejects is replaced by [`Stream::below`].
    pub(crate) fn sum_of_draws(&mut self, values: &[f64], draws: usize) -> f64 {
        let bound = values.len() as u32;
        if bound == 0 {
            return 0.0;
        }
        let threshold = u64::from(bound.wrapping_neg() % bound);
        let mut sum = 0.0;
        let mut pick = |half: u64, stream: &mut Self| {
            let product = half * u64::from(bound);
            let index = if product & 0xffff_ffff >= threshold { product >> 32 } else { u64::from(stream.below(bound)) };
            sum += values[index as usize];
        };
        for _ in 0..draws / 2 {
            let word = self.next_u64();
            pick(word & 0xffff_ffff, self);
            pick(word >> 32, self);
        }
        if draws % 2 == 1 {
            let word = self.next_u64();
            pick(word & 0xffff_ffff, self);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_match_their_published_vectors() {
        let mut state = 1_234_567;
        let words: [u64; 3] = core::array::from_fn(|_| split_mix(&mut state));
        assert_eq!(words, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
        let mut stream = Stream { state: [1, 2, 3, 4] };
        let words: [u64; 4] = core::array::from_fn(|_| stream.next_u64());
        assert_eq!(words, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn labels_and_seeds_separate_streams() {
        let first = |seed, label| Stream::derive(seed, label).next_u64();
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(first(1, "a"), first(2, "a"));
        assert_eq!(first(1, "a"), first(1, "a"));
    }

    #[test]
    fn small_bounds_are_uniform() {
        let mut stream = Stream::derive(7, "uniform");
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[stream.below(6) as usize] += 1;
        }
        // Five standard deviations of Binomial(60000, 1/6) are 456.
        assert!(counts.iter().all(|c| c.abs_diff(10_000) < 456), "{counts:?}");
        assert_eq!(stream.below(0), 0);
    }
}
