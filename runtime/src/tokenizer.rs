//! Text to token ids, through the `tokenizers` crate. Nothing is fetched.

use std::path::Path;

use tokenizers::{PaddingParams, PaddingStrategy, TruncationParams};

use crate::{DType, Error, Result, Tensor};

/// A tokenizer read from a `tokenizer.json`.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
}

/// Token ids of some texts, each row padded at its end to the longest: `rows` by `length`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub rows: usize,
    pub length: usize,
    pub ids: Vec<u32>,
    /// 1 on tokens, 0 on padding.
    pub mask: Vec<u32>,
    /// Which segment of a text a token belongs to.
    pub types: Vec<u32>,
}

impl Tokenizer {
    /// Reads a definition; texts will be cut to `max_length` tokens, special ones included.
    pub fn open(path: &Path, max_length: usize) -> Result<Tokenizer> {
        let bytes = crate::files::map(path)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(&bytes[..])
            .map_err(|e| Error::format(path, "tokenizer", e.to_string()))?;
        let special = inner.get_post_processor().map_or(0, |processor| {
            tokenizers::PostProcessor::added_tokens(processor, false)
        });
        if max_length <= special {
            let problem =
                format!("max_length {max_length} leaves no room beside {special} special tokens");
            return Err(Error::Tokenizer(problem));
        }
        let truncation = TruncationParams {
            max_length,
            ..inner.get_truncation().cloned().unwrap_or_default()
        };
        inner
            .with_truncation(Some(truncation))
            .map_err(|e| Error::Tokenizer(e.to_string()))?;
        let padding = PaddingParams {
            strategy: PaddingStrategy::BatchLongest,
            pad_to_multiple_of: None,
            ..inner.get_padding().cloned().unwrap_or_default()
        };
        inner.with_padding(Some(padding));
        Ok(Tokenizer { inner })
    }

    /// The ids of some texts.
    pub fn encode(&self, texts: &[impl AsRef<str>]) -> Result<Batch> {
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let encodings = self
            .inner
            .encode_batch(texts, true)
            .map_err(|e| Error::Tokenizer(e.to_string()))?;
        let length = encodings.first().map_or(0, |e| e.len());
        let all = |part: fn(&tokenizers::Encoding) -> &[u32]| {
            encodings
                .iter()
                .flat_map(|e| part(e).iter().copied())
                .collect()
        };
        Ok(Batch {
            rows: encodings.len(),
            length,
            ids: all(|e| e.get_ids()),
            mask: all(|e| e.get_attention_mask()),
            types: all(|e| e.get_type_ids()),
        })
    }
}

impl Batch {
    /// One of the three parts as a tensor of `rows` by `length`.
    pub fn tensor(&self, dtype: DType, part: &[u32]) -> Result<Tensor> {
        let values: Vec<f64> = part.iter().map(|&v| v.into()).collect();
        Tensor::from_f64(dtype, &[self.rows, self.length], &values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFINITION: &str = r###"{
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "two": 4, "word": 5, "##s": 6}}
    }"###;

    fn tokenizer(definition: &str, max_length: usize) -> Result<Tokenizer> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, definition).unwrap();
        Tokenizer::open(&path, max_length)
    }

    #[test]
    fn texts_are_padded_and_cut() {
        let batch = tokenizer(DEFINITION, 5).unwrap();
        let batch = batch
            .encode(&["Two words", "two", "two two two two", ""])
            .unwrap();
        assert_eq!((batch.rows, batch.length), (4, 5));
        assert_eq!(batch.ids[..5], [1, 4, 5, 6, 2]);
        assert_eq!(batch.ids[5..10], [1, 4, 2, 0, 0]);
        assert_eq!(batch.mask[5..10], [1, 1, 1, 0, 0]);
        assert_eq!(batch.ids[10..15], [1, 4, 4, 4, 2]);
        assert_eq!(batch.mask[15..], [1, 1, 0, 0, 0]);
        let ids = batch.tensor(DType::I64, &batch.ids).unwrap();
        assert_eq!((ids.dtype(), ids.shape()), (DType::I64, &[4, 5][..]));
    }

    #[test]
    fn nothing_and_bad_definitions() {
        let none: [&str; 0] = [];
        let batch = tokenizer(DEFINITION, 5).unwrap().encode(&none).unwrap();
        assert_eq!((batch.rows, batch.length), (0, 0));
        assert!(matches!(tokenizer(DEFINITION, 2), Err(Error::Tokenizer(_))));
        assert!(matches!(tokenizer("{}", 5), Err(Error::Format { .. })));
        assert!(matches!(tokenizer("", 5), Err(Error::Format { .. })));
    }
}
