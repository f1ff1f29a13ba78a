//! Turns the seqs of a flush into stretches of bitmap, which is how they travel to `record.lua`: neighbours share a stretch, so
//! five hundred jobs in a row are 63 bytes and two commands.

use super::keys::CHUNK_SEQS;

/// Bytes without a seq that are cheaper to send than another stretch.
const GAP_BYTES_MAX: u64 = 24;

/// A piece of one chunk's bitmap; the most significant bit of a byte is the lowest seq.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) chunk: u64,
    /// Where it begins within the chunk.
    pub(super) first_byte: u64,
    pub(super) mask: Vec<u8>,
    /// The dead among `mask`; empty when there are none.
    pub(super) dead: Vec<u8>,
}

impl Stretch {
    pub(super) fn first_seq(&self) -> u64 {
        self.chunk * CHUNK_SEQS + self.first_byte * 8
    }

    fn end_byte(&self) -> u64 {
        self.first_byte + self.mask.len() as u64
    }

    fn set(&mut self, byte: u64, bit: u8, is_dead: bool) {
        let index = usize::try_from(byte - self.first_byte).expect("a stretch is short");
        if self.mask.len() <= index {
            self.mask.resize(index + 1, 0);
        }
        self.mask[index] |= bit;
        if is_dead {
            self.dead.resize(self.mask.len(), 0);
            self.dead[index] |= bit;
        }
    }
}

/// `settled` is sorted by seq and names each once, with whether it is dead.
pub(super) fn stretches(settled: &[(u64, bool)]) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    for (seq, is_dead) in settled {
        let (chunk, byte, bit) = (seq / CHUNK_SEQS, seq % CHUNK_SEQS / 8, 0x80 >> (seq % 8));
        let near = |s: &&mut Stretch| s.chunk == chunk && byte < s.end_byte() + GAP_BYTES_MAX;
        match stretches.last_mut().filter(near) {
            Some(stretch) => stretch.set(byte, bit, *is_dead),
            None => {
                let mut stretch = Stretch { chunk, first_byte: byte, ..Stretch::default() };
                stretch.set(byte, bit, *is_dead);
                stretches.push(stretch);
            }
        }
    }
    // The script reads both bitmaps side by side.
    for stretch in stretches.iter_mut().filter(|s| !s.dead.is_empty()) {
        stretch.dead.resize(stretch.mask.len(), 0);
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_core::seqset::SeqSet;

    #[test]
    fn stretches_hold_exactly_the_seqs_and_stay_within_their_chunk() {
        for seed in 1..200u64 {
            let settled: Vec<(u64, bool)> = (0..100)
                .map(|i| {
                    (CHUNK_SEQS - 300 + i * (seed % 13 + 1) + (i * i * seed) % (seed % 3 + 1), (i * seed) % 5 == 0)
                })
                .collect::<std::collections::BTreeMap<_, _>>()
                .into_iter()
                .collect();
            let (mut all, mut dead) = (SeqSet::default(), SeqSet::default());
            for stretch in stretches(&settled) {
                assert!(stretch.end_byte() <= CHUNK_SEQS / 8);
                assert!(stretch.dead.is_empty() || stretch.dead.len() == stretch.mask.len());
                all.insert_msb_bytes(stretch.first_seq(), &stretch.mask);
                dead.insert_msb_bytes(stretch.first_seq(), &stretch.dead);
            }
            assert_eq!(all, settled.iter().map(|(seq, _)| *seq).collect());
            assert_eq!(dead, settled.iter().filter(|(_, is_dead)| *is_dead).map(|(seq, _)| *seq).collect());
        }
        assert_eq!(stretches(&(0..500).map(|seq| (seq, false)).collect::<Vec<_>>()).len(), 1);
    }
}
