//! The token both hosts hold: from a file only its owner can read, or from the environment; never from the command
//! line, never in any output.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::load::LoadError;

/// Variable that holds the token where no file is given.
pub const VARIABLE: &str = "ZCSCOPE_TOKEN";
const SHORTEST: usize = 16;
const LONGEST: usize = 4096;
/// How a token is made.
const MAKE: &str = "(umask 077; head -c 32 /dev/urandom | base64 >";

/// A token. Its text does not appear in debug output.
#[derive(Clone)]
pub struct Token(Vec<u8>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// A token of this text.
    ///
    /// # Errors
    /// Shorter than 16 bytes or longer than 4096.
    pub fn new(text: &[u8]) -> Result<Self, LoadError> {
        let text = text.trim_ascii();
        if text.len() < SHORTEST || text.len() > LONGEST {
            return Err(LoadError::Usage(format!(
                "the token has {} characters, it must have {SHORTEST} to {LONGEST}; make one with \
                 `{MAKE} FILE)` and copy the file to the other host",
                text.len()
            )));
        }
        Ok(Self(text.to_vec()))
    }

    /// The token of this file, or of [`VARIABLE`] when there is no file.
    ///
    /// # Errors
    /// Neither is there, the file cannot be read or others can read it, or the token is too short.
    pub fn find(file: Option<&Path>) -> Result<Self, LoadError> {
        match (file, std::env::var_os(VARIABLE)) {
            (Some(file), _) => Self::from_file(file),
            (None, Some(text)) => Self::new(text.as_encoded_bytes()),
            (None, None) => Err(LoadError::Usage(format!(
                "--control needs a token: give --token-file FILE (or set {VARIABLE}); `{MAKE} FILE)` makes one"
            ))),
        }
    }

    fn from_file(path: &Path) -> Result<Self, LoadError> {
        let name = path.display();
        let cannot = |error: std::io::Error| {
            let advice = match error.kind() {
                std::io::ErrorKind::NotFound => format!("; `{MAKE} {name})` makes one"),
                _ => String::new(),
            };
            LoadError::Usage(format!("cannot read the token file {name}: {error}{advice}"))
        };
        let file = File::open(path).map_err(cannot)?;
        // Of the open file: what a name means may change.
        let about = file.metadata().map_err(cannot)?;
        if about.mode() & 0o077 != 0 {
            return Err(LoadError::Usage(format!(
                "others may use the token file {name} (mode {:03o}); run `chmod 600 {name}`",
                about.mode() & 0o777
            )));
        }
        let me = nix::unistd::geteuid().as_raw();
        if about.uid() != me && about.uid() != 0 {
            return Err(LoadError::Usage(format!(
                "the token file {name} belongs to user {}, who could change it; run `chown {me} {name}`",
                about.uid()
            )));
        }
        let mut text = Vec::new();
        file.take(LONGEST as u64 + 64).read_to_end(&mut text).map_err(cannot)?;
        Self::new(&text)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "0123456789abcdef0123\n").unwrap();
        for mode in [0o644, 0o640, 0o602] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            let error = Token::find(Some(&path)).unwrap_err().to_string();
            assert!(error.contains(&format!("chmod 600 {}", path.display())), "{error}");
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        let token = Token::find(Some(&path)).unwrap();
        assert_eq!(token.bytes(), b"0123456789abcdef0123");
        assert!(!format!("{token:?}").contains("0123"), "never shown");
    }

    #[test]
    fn short_and_missing_tokens_are_refused_with_how_to_make_one() {
        let error = Token::new(b"hunter2\n").unwrap_err().to_string();
        assert!(error.contains("7 characters") && !error.contains("hunter2"), "{error}");
        let error = Token::find(Some(Path::new("/nonexistent/token"))).unwrap_err().to_string();
        assert!(error.contains("head -c 32 /dev/urandom"), "{error}");
    }
}
