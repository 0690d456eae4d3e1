//! Pictures of pages as they are drawn.

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::Page;

/// The colours that a reader's system asks pages for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// The format of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Every pixel as it is drawn.
    Png,
    /// A third of that, with losses that are hard to see.
    WebP,
}

impl Theme {
    /// As style sheets and file names have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl Format {
    /// The end of a file's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::WebP => "webp",
        }
    }
}

impl Page<'_> {
    /// Hides scroll bars, and asks the page for these colours.
    ///
    /// # Errors
    /// The browser does not answer.
    pub fn pose(&mut self, theme: Theme) -> Result<()> {
        self.call("Emulation.setScrollbarsHidden", &json!({ "hidden": true }))?;
        let feature = json!({ "name": "prefers-color-scheme", "value": theme.name() });
        self.call("Emulation.setEmulatedMedia", &json!({ "features": [feature] })).map(drop)
    }

    /// A picture of the page from an element on, at most so high.
    ///
    /// # Errors
    /// There is no such element, or the browser does not give one.
    pub fn picture(&mut self, format: Format, selector: &str, height_max: u32) -> Result<Vec<u8>> {
        // Two frames later, what has changed is drawn.
        self.value_of("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(0))))")?;
        let size = self.value_of(&format!(
            "(() => {{ const top = scrollY + document.querySelector({selector:?}).getBoundingClientRect().top; \
             const {{ clientWidth, scrollHeight }} = document.documentElement; \
             return [clientWidth, top, scrollHeight - top]; }})()"
        ))?;
        let height = size[2].as_f64().context("a height")?.min(height_max.into());
        let clip = json!({ "x": 0, "y": size[1], "width": size[0], "height": height, "scale": 1 });
        let mut request = json!({ "format": format.name(), "captureBeyondViewport": true, "clip": clip });
        if format == Format::WebP {
            request["quality"] = 55.into();
        }
        let answer = self.call("Page.captureScreenshot", &request)?;
        decode_base64(answer["data"].as_str().context("a picture")?)
    }
}

/// The bytes of a text in base 64 as RFC 4648 has it, without line breaks.
fn decode_base64(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for at in 0..4 {
            let value = match four.get(at).copied() {
                Some(letter @ b'A'..=b'Z') => letter - b'A',
                Some(letter @ b'a'..=b'z') => letter - b'a' + 26,
                Some(digit @ b'0'..=b'9') => digit - b'0' + 52,
                Some(b'+') => 62,
                Some(b'/') => 63,
                Some(other) => bail!("{other} is no digit of base 64"),
                None => 0,
            };
            bits = bits << 6 | u32::from(value);
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYmE=", "fooba"), ("Pz8+", "??>")]
        {
            assert_eq!(decode_base64(text).unwrap(), bytes.as_bytes(), "{text}");
        }
        assert!(decode_base64("Zm9v\n").is_err());
    }
}
