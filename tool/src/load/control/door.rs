//! The sink's side of one control connection: bytes in, requests out; answers in, bytes out. Pure.

use super::handshake::{Keys, Nonce, Refusal, SinkSide};
use super::message::{Answer, Request};
use super::token::Token;
use super::wire::{Frames, LARGE, SMALL, frame};
use crate::load::LoadError;

/// One control connection as the sink sees it.
pub(in crate::load) struct Door {
    frames: Frames,
    out: Vec<u8>,
    state: State,
}

enum State {
    /// Both still prove that they know the token.
    Shaking(SinkSide),
    /// Every message is sealed.
    Open(Keys),
    /// Nothing more is taken.
    Shut,
}

/// What came of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::load) enum Event {
    /// The load has proved that it knows the token.
    LetIn,
    /// The load asks for something.
    Request(Request),
}

/// A random number for one control connection.
pub(super) fn nonce() -> Result<Nonce, LoadError> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce)
        .map_err(|error| LoadError::Failed(format!("the kernel gives no random numbers: {error}")))?;
    Ok(nonce)
}

impl Door {
    /// A door that opens to whoever knows the token.
    pub(in crate::load) fn new(token: &Token) -> Result<Self, LoadError> {
        Ok(Self::with_nonce(token, nonce()?))
    }

    fn with_nonce(token: &Token, nonce: Nonce) -> Self {
        let state = State::Shaking(SinkSide::new(token, nonce));
        Self { frames: Frames::default(), out: Vec::new(), state }
    }

    /// Whether the load has proved itself.
    pub(in crate::load) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Takes bytes as they came; [`Self::next`] says what they mean.
    pub(in crate::load) fn push(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
    }

    /// The next event, if there is one. After a refusal nothing more comes; the last bytes out tell the load.
    pub(in crate::load) fn next(&mut self) -> Result<Option<Event>, Refusal> {
        let event = self.step();
        if let Err(refusal) = &event {
            // Sealed talk is not answered in the open: whoever altered a message could read the answer out.
            if !self.is_open() {
                self.out.extend(frame(&refusal.frame()));
            }
            self.state = State::Shut;
        }
        event
    }

    fn step(&mut self) -> Result<Option<Event>, Refusal> {
        loop {
            let limit = if self.is_open() { LARGE } else { SMALL };
            let Some(payload) = self.frames.next(limit).map_err(|_| Refusal::Garbled)? else {
                return Ok(None);
            };
            match &mut self.state {
                State::Shaking(side) => {
                    let (reply, keys) = side.take(&payload)?;
                    self.out.extend(frame(&reply));
                    if let Some(keys) = keys {
                        self.state = State::Open(keys);
                        return Ok(Some(Event::LetIn));
                    }
                }
                State::Open(keys) => {
                    let message = keys.opener.open(&payload).ok_or(Refusal::Tampered)?;
                    let request = serde_json::from_slice(message).map_err(|_| Refusal::Garbled)?;
                    return Ok(Some(Event::Request(request)));
                }
                State::Shut => return Ok(None),
            }
        }
    }

    /// Seals an answer; nothing is said before the door is open.
    pub(in crate::load) fn answer(&mut self, answer: &Answer) {
        if let State::Open(keys) = &mut self.state
            && let Ok(message) = serde_json::to_vec(answer)
        {
            self.out.extend(frame(&keys.sealer.seal(&message)));
        }
    }

    /// Bytes to be sent to the load, oldest first; take away what was sent.
    pub(in crate::load) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }
}

#[cfg(test)]
mod tests {
    use super::super::handshake::LoadSide;
    use super::*;

    fn token() -> Token {
        Token::new(b"the right token of both").unwrap()
    }

    /// Takes what the door has to say and cuts the first frame out of it.
    fn said(door: &mut Door) -> Vec<u8> {
        let mut frames = Frames::default();
        frames.push(&std::mem::take(door.out()));
        frames.next(LARGE).unwrap().unwrap()
    }

    /// A door with a load inside.
    fn opened() -> (Door, Keys) {
        let mut door = Door::with_nonce(&token(), [2; 32]);
        let (mut load, hello) = LoadSide::new(&token(), [1; 32]);
        door.push(&frame(&hello));
        assert_eq!(door.next(), Ok(None));
        let proof = load.challenged(&said(&mut door)).unwrap();
        door.push(&frame(&proof));
        assert_eq!(door.next(), Ok(Some(Event::LetIn)));
        let keys = load.welcomed(&said(&mut door)).ok().unwrap();
        (door, keys)
    }

    #[test]
    fn requests_come_through_and_answers_go_back() {
        let (mut door, mut load) = opened();
        let request = serde_json::to_vec(&Request::Finish).unwrap();
        door.push(&frame(&load.sealer.seal(&request)));
        assert_eq!(door.next(), Ok(Some(Event::Request(Request::Finish))));
        door.answer(&Answer::Ready);
        let answer = said(&mut door);
        let answer: Answer = serde_json::from_slice(load.opener.open(&answer).unwrap()).unwrap();
        assert_eq!(answer, Answer::Ready);
    }

    #[test]
    fn a_message_repeated_or_altered_shuts_the_door() {
        for alter in [false, true] {
            let (mut door, mut load) = opened();
            let mut sealed = load.sealer.seal(&serde_json::to_vec(&Request::Finish).unwrap());
            if alter {
                sealed[1] ^= 1;
            } else {
                door.push(&frame(&sealed));
                assert!(door.next().is_ok());
            }
            door.push(&frame(&sealed));
            assert_eq!(door.next(), Err(Refusal::Tampered));
            door.push(&frame(&load.sealer.seal(b"\"finish\"")));
            assert_eq!(door.next(), Ok(None), "nothing more is taken");
            assert!(door.out().is_empty());
        }
    }

    #[test]
    fn without_proof_nothing_is_commanded() {
        let mut door = Door::with_nonce(&token(), [2; 32]);
        door.push(&frame(&serde_json::to_vec(&Request::Finish).unwrap()));
        assert_eq!(door.next(), Err(Refusal::Garbled));
        let mut door = Door::with_nonce(&token(), [2; 32]);
        door.push(b"GET / HTTP/1.1\r\n\r\n");
        assert_eq!(door.next(), Err(Refusal::Garbled));
        door.answer(&Answer::Ready);
        assert!(String::from_utf8_lossy(door.out()).contains("refused"));
    }
}
