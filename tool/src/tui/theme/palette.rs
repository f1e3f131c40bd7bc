//! The themes: one table, a row each, of colours by meaning.

use ratatui::style::Color;

use super::Depth;

/// Shades of a heat map above nothing.
pub(super) const HEAT_LEVELS: usize = 8;

/// A theme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Named {
    /// The terminal's own sixteen colours: readable on dark and on light.
    #[default]
    Terminal,
    /// Chosen for dark backgrounds.
    Dark,
    /// Chosen for light backgrounds.
    Light,
    /// The terminal's own colour of text alone, bold, underlined and reversed; nothing dimmed.
    HighContrast,
    /// No colours.
    Mono,
}

impl Named {
    /// In the order they are offered.
    pub const ALL: [Self; 5] = [Self::Terminal, Self::Dark, Self::Light, Self::HighContrast, Self::Mono];

    /// As written in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terminal => "terminal",
            Self::Dark => "dark",
            Self::Light => "light",
            Self::HighContrast => "high-contrast",
            Self::Mono => "mono",
        }
    }

    /// Its colours; `None` where it has none.
    pub(super) const fn palette(self) -> Option<&'static Palette> {
        match self {
            Self::Terminal => Some(&TERMINAL),
            Self::Dark => Some(&DARK),
            Self::Light => Some(&LIGHT),
            Self::HighContrast | Self::Mono => None,
        }
    }
}

/// What a colour can be chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Text and figures.
    Text,
    /// What is read only when looked for: headings, borders, units.
    Dim,
    /// Zero-copied bytes.
    Good,
    /// Copied bytes, loss.
    Bad,
    /// What is worth a look.
    Warn,
    /// In flight, names of keys, the focused panel.
    Accent,
}

impl Meaning {
    /// Every meaning, with its name in the configuration.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Text, "text"),
        (Self::Dim, "dim"),
        (Self::Good, "good"),
        (Self::Bad, "bad"),
        (Self::Warn, "warn"),
        (Self::Accent, "accent"),
    ];
}

/// A colour of the sixteen, and what it is where there are more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shade(Color, Option<(u8, u8, u8)>);

impl Shade {
    pub(super) fn at(self, depth: Depth) -> Color {
        match (depth, self.1) {
            (Depth::True, Some((r, g, b))) => Color::Rgb(r, g, b),
            (Depth::Indexed256, Some(rgb)) => Color::Indexed(indexed(rgb)),
            _ => self.0,
        }
    }
}

/// The colours of a theme.
pub(super) struct Palette {
    /// `None`: the terminal's own way to dim.
    pub(super) dim: Option<Shade>,
    pub(super) good: Shade,
    pub(super) bad: Shade,
    pub(super) warn: Shade,
    pub(super) accent: Shade,
    /// From least to most.
    pub(super) heat: [Shade; HEAT_LEVELS],
}

const fn own(colour: Color) -> Shade {
    Shade(colour, None)
}

const fn rgb(colour: Color, r: u8, g: u8, b: u8) -> Shade {
    Shade(colour, Some((r, g, b)))
}

const TERMINAL: Palette = Palette {
    dim: None,
    good: own(Color::Green),
    bad: own(Color::Red),
    warn: own(Color::Yellow),
    accent: own(Color::Cyan),
    heat: [
        own(Color::Blue),
        own(Color::Blue),
        own(Color::Blue),
        own(Color::Cyan),
        own(Color::Cyan),
        own(Color::Cyan),
        own(Color::Reset),
        own(Color::Reset),
    ],
};

const DARK: Palette = Palette {
    dim: Some(rgb(Color::Gray, 148, 148, 158)),
    good: rgb(Color::LightGreen, 106, 215, 135),
    bad: rgb(Color::LightRed, 255, 107, 107),
    warn: rgb(Color::LightYellow, 255, 215, 95),
    accent: rgb(Color::LightCyan, 95, 200, 240),
    // Even steps of lightness, dark to light.
    heat: [
        rgb(Color::Blue, 72, 71, 140),
        rgb(Color::Blue, 62, 103, 151),
        rgb(Color::Cyan, 49, 128, 150),
        rgb(Color::Cyan, 39, 150, 147),
        rgb(Color::LightCyan, 46, 175, 132),
        rgb(Color::LightCyan, 96, 202, 101),
        rgb(Color::LightYellow, 172, 220, 52),
        rgb(Color::LightYellow, 253, 231, 37),
    ],
};

const LIGHT: Palette = Palette {
    dim: Some(rgb(Color::DarkGray, 98, 98, 108)),
    good: rgb(Color::Green, 0, 105, 40),
    bad: rgb(Color::Red, 190, 16, 34),
    warn: rgb(Color::Magenta, 140, 84, 0),
    accent: rgb(Color::Blue, 0, 90, 150),
    // Even steps of lightness, light to dark.
    heat: [
        rgb(Color::Cyan, 158, 202, 225),
        rgb(Color::Cyan, 128, 186, 218),
        rgb(Color::Cyan, 96, 165, 208),
        rgb(Color::Blue, 66, 146, 198),
        rgb(Color::Blue, 33, 113, 181),
        rgb(Color::Blue, 8, 81, 156),
        rgb(Color::Black, 8, 48, 107),
        rgb(Color::Black, 3, 19, 43),
    ],
};

/// The nearest colour of the fixed 256: of the cube 6 x 6 x 6, or of the greys.
fn indexed((r, g, b): (u8, u8, u8)) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let step = |v: u8| (0..STEPS.len()).min_by_key(|&i| STEPS[i].abs_diff(v)).unwrap_or(0);
    let distance = |(x, y, z): (u8, u8, u8)| {
        [(r, x), (g, y), (b, z)].iter().map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum::<u32>()
    };
    let cube = [step(r), step(g), step(b)];
    let of_cube = (STEPS[cube[0]], STEPS[cube[1]], STEPS[cube[2]]);
    let mean = (u16::from(r) + u16::from(g) + u16::from(b)) / 3;
    let grey = (mean.saturating_sub(3) / 10).min(23) as u8;
    let of_grey = 8 + 10 * grey;
    if distance((of_grey, of_grey, of_grey)) < distance(of_cube) {
        232 + grey
    } else {
        (16 + 36 * cube[0] + 6 * cube[1] + cube[2]) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the fixed 256, from 16 on.
    fn of_index(index: u8) -> (u8, u8, u8) {
        const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
        let step = |n: u8| STEPS[usize::from(n % 6)];
        match index {
            232.. => (8 + 10 * (index - 232), 8 + 10 * (index - 232), 8 + 10 * (index - 232)),
            _ => (step((index - 16) / 36), step((index - 16) / 6), step(index - 16)),
        }
    }

    /// Contrast of two colours as the WCAG define it, 1 to 21.
    fn contrast(a: (u8, u8, u8), b: (u8, u8, u8)) -> f64 {
        let linear = |c: u8| match f64::from(c) / 255.0 {
            c if c <= 0.040_45 => c / 12.92,
            c => ((c + 0.055) / 1.055).powf(2.4),
        };
        let light = |(r, g, b)| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) + 0.05;
        let (a, b) = (light(a), light(b));
        a.max(b) / a.min(b)
    }

    /// On the backgrounds that terminals have, text of every colour is readable (WCAG AA: 4.5).
    #[test]
    fn every_colour_of_text_stands_out() {
        let dark = [(0, 0, 0), (30, 30, 30), (40, 44, 52), (0, 43, 54)];
        let light = [(255, 255, 255), (253, 246, 227), (238, 238, 238)];
        for (palette, grounds) in [(&DARK, dark.as_slice()), (&LIGHT, &light)] {
            let text = [palette.good, palette.bad, palette.warn, palette.accent];
            for shade in text.into_iter().chain(palette.dim) {
                let rgb = shade.1.expect("chosen for a background");
                for colour in [rgb, of_index(indexed(rgb))] {
                    for ground in grounds {
                        let contrast = contrast(colour, *ground);
                        assert!(contrast >= 4.5, "{colour:?} on {ground:?}: {contrast:.2}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_nearest_of_256() {
        assert_eq!(indexed((0, 0, 0)), 16);
        assert_eq!(indexed((255, 255, 255)), 231);
        assert_eq!(indexed((255, 0, 0)), 196);
        assert_eq!(indexed((95, 135, 175)), 67);
        assert_eq!(indexed((128, 128, 128)), 244);
    }
}
