//! Keys of `model.toml`: parts that `derive` would read without their places, and what a misspelt key stands for.

use std::fmt;

use aiai_frontend::suggest::nearest;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::config::{DataSection, Recipe, Source};

/// An error of the parser with its place, and the known key that is nearest to an unknown one.
pub fn explain(error: &toml::de::Error) -> String {
    let (shown, message) = (error.to_string(), error.message());
    let Some(known) = message.strip_prefix("unknown field ") else {
        return shown;
    };
    let mut names = known.split('`').skip(1).step_by(2);
    let name = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    let near = nearest(name, known.iter().copied())
        .map_or(String::new(), |near| format!("did you mean `{near}`? "));
    let all = known.join("`, `");
    let better = format!("unknown key `{name}`; {near}the keys here are `{all}`");
    shown.replace(message, &better)
}

impl<'de> Deserialize<'de> for DataSection {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<DataSection, D::Error> {
        from.deserialize_map(DataVisitor)
    }
}

struct DataVisitor;

impl<'de> Visitor<'de> for DataVisitor {
    type Value = DataSection;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the table `[data]`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DataSection, A::Error> {
        let mut path = None;
        let mut section = DataSection::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "path" => path = Some(map.next_value()?),
                "folds" => section.folds = Some(map.next_value()?),
                "fold" => section.fold = Some(map.next_value()?),
                _ => {
                    section.tables.insert(key, map.next_value()?);
                }
            }
        }
        section.path = path.ok_or_else(|| A::Error::missing_field("path"))?;
        Ok(section)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Source, D::Error> {
        from.deserialize_any(SourceVisitor)
    }
}

struct SourceVisitor;

impl<'de> Visitor<'de> for SourceVisitor {
    type Value = Source;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the name of a tensor, or a table")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Source, E> {
        Ok(Source::Name(name.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
        Recipe::deserialize(MapAccessDeserializer::new(map)).map(Source::Recipe)
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Config;
    use super::explain;

    #[test]
    fn a_misspelt_key_is_shown_where_it_stands() {
        let shown = |text: &str| explain(&toml::from_str::<Config>(text).unwrap_err());
        for (text, place, says) in [
            (
                "[train]\nepoch = 3",
                "line 2, column 1",
                "did you mean `epochs`?",
            ),
            (
                "[data]\npath = \"x\"\n[data.y]\nscal = 2",
                "line 4, column 1",
                "did you mean `scale`?",
            ),
            ("[data]\npth = \"x\"", "line 2, column 7", "`path`"),
            ("[data]\nfold = 1", "line 1, column 1", "`path`"),
            (
                "[weights]\npath = \"x\"\n[weights.map]\nw = { fron = \"v\" }",
                "line 4, column 7",
                "did you mean `from`?",
            ),
            (
                "[tran]\nepochs = 3",
                "line 1, column 2",
                "did you mean `train`?",
            ),
        ] {
            let error = shown(text);
            assert!(error.contains(place) && error.contains(says), "{error}");
        }
    }
}
