//! Who speaks when: the load says hello, the sink challenges, the load proves, the sink proves. Pure; each side is a
//! value that takes a frame and gives the next one.
//!
//! A proof is a MAC over both opening messages as they were sent, so neither the versions nor the random numbers in
//! them can be altered on the way. The load proves first: a stranger who knocks learns nothing about the token.

use serde::{Deserialize, Serialize};

use super::PROTOCOL;
use super::seal::{Opener, Sealer, Tag, is_tag, tag};
use super::token::Token;

/// A random number used once.
pub(super) type Nonce = [u8; 32];

/// First message of either side.
#[derive(Debug, Deserialize, Serialize)]
struct Opening {
    zcscope_control: u32,
    version: String,
    nonce: Nonce,
}

/// Second message of either side.
#[derive(Debug, Deserialize, Serialize)]
struct Proof {
    proof: Tag,
}

/// What a sink says instead, in the open.
#[derive(Debug, Deserialize, Serialize)]
struct Refused {
    refused: Refusal,
}

/// Why one side does not go on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// The other side speaks another protocol.
    Version {
        /// Its protocol.
        protocol: u32,
        /// Its version of zcscope.
        version: String,
    },
    /// The other side does not know the token.
    Token,
    /// What came is no message of this protocol.
    Garbled,
    /// A message was altered, repeated or left out on the way.
    Tampered,
}

impl Refusal {
    /// The frame that tells the other side.
    pub(super) fn frame(&self) -> Vec<u8> {
        json(&Refused { refused: self.clone() })
    }

    /// For the log of the sink's owner.
    pub(crate) fn seen_by_sink(&self) -> String {
        match self {
            Refusal::Version { protocol, version } => {
                format!("it speaks control protocol {protocol} (zcscope {version}), this sink {}", spoken())
            }
            Refusal::Token => "it does not know the token".into(),
            Refusal::Garbled => "what it said is no control message".into(),
            Refusal::Tampered => "a message was altered on the way".into(),
        }
    }
}

/// What this program speaks.
pub(super) fn spoken() -> String {
    format!("{PROTOCOL} (zcscope {})", env!("CARGO_PKG_VERSION"))
}

/// Sealer and opener of one side.
pub(super) struct Keys {
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
}

fn opening(nonce: Nonce) -> Vec<u8> {
    json(&Opening { zcscope_control: PROTOCOL, version: env!("CARGO_PKG_VERSION").into(), nonce })
}

fn json(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).unwrap_or_default()
}

/// The opening message of the other side, if it speaks our protocol.
fn check_opening(frame: &[u8]) -> Result<(), Refusal> {
    // Only what every version has: a later one may have more in it, or other things.
    #[derive(Deserialize)]
    struct Any {
        zcscope_control: u32,
        version: String,
    }
    let any: Any = serde_json::from_slice(frame).map_err(|_| Refusal::Garbled)?;
    if any.zcscope_control != PROTOCOL {
        let version = any.version.chars().filter(|c| c.is_ascii_graphic()).take(32).collect();
        return Err(Refusal::Version { protocol: any.zcscope_control, version });
    }
    serde_json::from_slice::<Opening>(frame).map(drop).map_err(|_| Refusal::Garbled)
}

/// Both opening messages, as they were sent.
struct Transcript<'a> {
    token: &'a Token,
    load: &'a [u8],
    sink: &'a [u8],
}

const LOAD_PROVES: &[u8] = b"zcscope control: the load knows the token";
const SINK_PROVES: &[u8] = b"zcscope control: the sink knows the token";
const TO_SINK: &[u8] = b"zcscope control: key of the load's messages";
const TO_LOAD: &[u8] = b"zcscope control: key of the sink's messages";

impl Transcript<'_> {
    fn tag(&self, what: &[u8]) -> Tag {
        tag(self.token.bytes(), &[what, self.load, self.sink])
    }

    fn proof(&self, what: &[u8]) -> Vec<u8> {
        json(&Proof { proof: self.tag(what) })
    }

    fn check(&self, what: &[u8], frame: &[u8]) -> Result<(), Refusal> {
        let Proof { proof } = serde_json::from_slice(frame).map_err(|_| Refusal::Garbled)?;
        let good = is_tag(self.token.bytes(), &[what, self.load, self.sink], &proof);
        if good { Ok(()) } else { Err(Refusal::Token) }
    }
}

/// The load's side.
pub(super) struct LoadSide {
    token: Token,
    hello: Vec<u8>,
    challenge: Vec<u8>,
}

/// Why the load's side does not go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LoadRefusal {
    /// The sink said no.
    Theirs(Refusal),
    /// We say no.
    Ours(Refusal),
}

impl LoadSide {
    /// The side, and its first message.
    pub(super) fn new(token: &Token, nonce: Nonce) -> (Self, Vec<u8>) {
        let hello = opening(nonce);
        (Self { token: token.clone(), hello: hello.clone(), challenge: vec![] }, hello)
    }

    /// Takes the sink's challenge, gives our proof.
    pub(super) fn challenged(&mut self, frame: &[u8]) -> Result<Vec<u8>, LoadRefusal> {
        refused(frame)?;
        check_opening(frame).map_err(LoadRefusal::Ours)?;
        self.challenge = frame.to_vec();
        Ok(self.transcript().proof(LOAD_PROVES))
    }

    /// Takes the sink's proof.
    pub(super) fn welcomed(&self, frame: &[u8]) -> Result<Keys, LoadRefusal> {
        refused(frame)?;
        let transcript = self.transcript();
        transcript.check(SINK_PROVES, frame).map_err(LoadRefusal::Ours)?;
        Ok(Keys {
            sealer: Sealer::new(transcript.tag(TO_SINK)),
            opener: Opener::new(transcript.tag(TO_LOAD)),
        })
    }

    fn transcript(&self) -> Transcript<'_> {
        Transcript { token: &self.token, load: &self.hello, sink: &self.challenge }
    }
}

fn refused(frame: &[u8]) -> Result<(), LoadRefusal> {
    match serde_json::from_slice::<Refused>(frame) {
        Ok(Refused { refused }) => Err(LoadRefusal::Theirs(refused)),
        Err(_) => Ok(()),
    }
}

/// The sink's side.
pub(super) struct SinkSide {
    token: Token,
    nonce: Nonce,
    /// The load's hello and our challenge, once they were said.
    said: Option<(Vec<u8>, Vec<u8>)>,
}

impl SinkSide {
    pub(super) fn new(token: &Token, nonce: Nonce) -> Self {
        Self { token: token.clone(), nonce, said: None }
    }

    /// Takes the next frame of the load, gives ours; with keys when both have proved themselves.
    pub(super) fn take(&mut self, frame: &[u8]) -> Result<(Vec<u8>, Option<Keys>), Refusal> {
        let Some((load, sink)) = &self.said else {
            check_opening(frame)?;
            let challenge = opening(self.nonce);
            self.said = Some((frame.to_vec(), challenge.clone()));
            return Ok((challenge, None));
        };
        let transcript = Transcript { token: &self.token, load, sink };
        transcript.check(LOAD_PROVES, frame)?;
        let keys = Keys {
            sealer: Sealer::new(transcript.tag(TO_LOAD)),
            opener: Opener::new(transcript.tag(TO_SINK)),
        };
        Ok((transcript.proof(SINK_PROVES), Some(keys)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Token {
        Token::new(text.as_bytes()).unwrap()
    }

    const RIGHT: &str = "the right token of both";

    fn shake(load: &Token, sink: &Token) -> (Result<Keys, LoadRefusal>, Result<Option<Keys>, Refusal>) {
        let (mut load, hello) = LoadSide::new(load, [1; 32]);
        let mut sink = SinkSide::new(sink, [2; 32]);
        let (challenge, _) = sink.take(&hello).unwrap();
        let proof = load.challenged(&challenge).unwrap();
        match sink.take(&proof) {
            Ok((welcome, keys)) => (load.welcomed(&welcome), Ok(keys)),
            Err(refusal) => (load.welcomed(&refusal.frame()), Err(refusal)),
        }
    }

    #[test]
    fn both_know_the_token_and_can_talk() {
        let (load, sink) = shake(&token(RIGHT), &token(RIGHT));
        let (mut load, mut sink) = (load.ok().unwrap(), sink.unwrap().unwrap());
        assert_eq!(sink.opener.open(&load.sealer.seal(b"do")), Some(&b"do"[..]));
        assert_eq!(load.opener.open(&sink.sealer.seal(b"done")), Some(&b"done"[..]));
        let echoed = load.sealer.seal(b"do");
        assert_eq!(load.opener.open(&echoed), None, "a message sent back to its sender");
    }

    #[test]
    fn another_token_is_refused_and_both_are_told() {
        let (load, sink) = shake(&token("some other token"), &token(RIGHT));
        assert_eq!(sink.err(), Some(Refusal::Token));
        assert_eq!(load.err(), Some(LoadRefusal::Theirs(Refusal::Token)));
    }

    #[test]
    fn a_sink_that_does_not_know_the_token_is_found_out() {
        let (mut load, _) = LoadSide::new(&token(RIGHT), [1; 32]);
        load.challenged(&opening([2; 32])).unwrap();
        let made_up = json(&Proof { proof: [0; 32] });
        assert_eq!(load.welcomed(&made_up).err(), Some(LoadRefusal::Ours(Refusal::Token)));
        // Nor can it send the load's own proof back.
        let mirrored = load.transcript().proof(LOAD_PROVES);
        assert_eq!(load.welcomed(&mirrored).err(), Some(LoadRefusal::Ours(Refusal::Token)));
    }

    #[test]
    fn a_recorded_handshake_is_worth_nothing_later() {
        let (mut load, hello) = LoadSide::new(&token(RIGHT), [1; 32]);
        let mut sink = SinkSide::new(&token(RIGHT), [2; 32]);
        let proof = load.challenged(&sink.take(&hello).unwrap().0).unwrap();
        let mut later = SinkSide::new(&token(RIGHT), [3; 32]);
        later.take(&hello).unwrap();
        assert_eq!(later.take(&proof).err(), Some(Refusal::Token));
    }

    #[test]
    fn an_opening_altered_on_the_way_is_found_out() {
        let (mut load, hello) = LoadSide::new(&token(RIGHT), [1; 32]);
        let mut sink = SinkSide::new(&token(RIGHT), [2; 32]);
        let altered = String::from_utf8(hello).unwrap().replace(env!("CARGO_PKG_VERSION"), "9.9.9");
        let (challenge, _) = sink.take(altered.as_bytes()).unwrap();
        let proof = load.challenged(&challenge).unwrap();
        assert_eq!(sink.take(&proof).err(), Some(Refusal::Token));
    }

    #[test]
    fn another_protocol_is_named_with_its_version_even_when_its_messages_differ() {
        let later = br#"{"zcscope_control":7,"version":"9.1.0","else":true}"#;
        let refusal = SinkSide::new(&token(RIGHT), [2; 32]).take(later).err().unwrap();
        assert_eq!(refusal, Refusal::Version { protocol: 7, version: "9.1.0".into() });
        let (mut load, _) = LoadSide::new(&token(RIGHT), [1; 32]);
        let ours = load.challenged(later).err().unwrap();
        assert_eq!(ours, LoadRefusal::Ours(refusal));
        let garbled = SinkSide::new(&token(RIGHT), [2; 32]).take(b"hello?").err();
        assert_eq!(garbled, Some(Refusal::Garbled));
    }
}
