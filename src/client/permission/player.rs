//! Defines [`Player`], the versions of Flash Player whose rules for sockets differ.
//!
//! Knows: version numbers, and which rules came with which. Must not know: the order in which the rules are applied.

use std::fmt;
use std::str::FromStr;

/// A Flash Player, as far as its rules for sockets go. A version that is not listed follows the rules of the next
/// one below it.
///
/// | | asks about a foreign host | own host, port from 1024 | port below 1024 |
/// |---|---|---|---|
/// | 7.0.14 | the web server | may connect | never |
/// | 7.0.19, 8 | where the SWF says, then the web server | may connect | asks where the SWF says |
/// | 9 | where the SWF says, then the port itself | may connect | asks |
/// | 9.0.115 | port 843, where the SWF says, the port itself | may connect | asks |
/// | 9.0.124, 10 | the same | asks | asks |
/// | AIR | nobody | may connect | may connect |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Player {
    /// 7.0.14 and everything before it: a policy is a file of the web server, ports below 1024 are out of reach.
    V7_0_14,
    /// 7.0.19: the SWF may name places that serve policies (`loadPolicyFile`), sockets among them.
    V7_0_19,
    /// 8: the same rules; a SWF from a local file is no longer trusted.
    V8,
    /// 9, before 9.0.115: asks the port that it is to connect to (Flex 2 guide, p. 459).
    V9,
    /// 9.0.115: asks port 843 first, and minds its `site-control`. The sources differ on whether this version still
    /// connects to its own host without a file; here it does, as Adobe's note on sockets says ("later than 9.0.115").
    V9_0_115,
    /// 9.0.124 and later: needs a policy file for every connection, from a socket. The sources differ on whether
    /// version 9 goes on to take the web server's file; here it does not, as Adobe's note on sockets says.
    V9_0_124,
    /// 10 and everything after it: the rules of 9.0.124.
    V10,
    /// The application sandbox of AIR, and a SWF that the user trusts: no check at all.
    Air,
}

/// The versions of [`Player`], oldest first, with their numbers.
const VERSIONS: [(Player, &str, [u32; 3]); 7] = [
    (Player::V7_0_14, "7.0.14", [0, 0, 0]),
    (Player::V7_0_19, "7.0.19", [7, 0, 19]),
    (Player::V8, "8", [8, 0, 0]),
    (Player::V9, "9", [9, 0, 0]),
    (Player::V9_0_115, "9.0.115", [9, 0, 115]),
    (Player::V9_0_124, "9.0.124", [9, 0, 124]),
    (Player::V10, "10", [10, 0, 0]),
];

impl Player {
    /// Every player, oldest first.
    pub const ALL: [Player; 8] = [
        Player::V7_0_14,
        Player::V7_0_19,
        Player::V8,
        Player::V9,
        Player::V9_0_115,
        Player::V9_0_124,
        Player::V10,
        Player::Air,
    ];

    /// Whether this player knows `loadPolicyFile`, with which a SWF names further places that serve policies.
    pub(super) fn knows_named_places(self) -> bool {
        self >= Player::V7_0_19
    }

    /// Whether this player's files from a web server may open sockets.
    pub(super) fn takes_web_files(self) -> bool {
        self <= Player::V9_0_115
    }

    /// Whether this player asks the web server unasked; otherwise it asks the port that it is to connect to.
    pub(super) fn asks_web_server(self) -> bool {
        self <= Player::V8
    }

    /// Whether this player knows a master policy file and `site-control`.
    pub(super) fn knows_master(self) -> bool {
        self >= Player::V9_0_115
    }

    /// Whether a SWF may connect to the host that served it without a policy file, from port 1024.
    pub(super) fn trusts_own_host(self) -> bool {
        self <= Player::V9_0_115
    }

    /// Whether a SWF from a local file may connect without a policy file, from port 1024.
    ///
    /// Guides up to version 9 say so of all of them; but version 8 brought sandboxes for local files, and those let
    /// a file with access to the network do no more than a SWF from elsewhere. Here the sandboxes win.
    pub(super) fn trusts_local_files(self) -> bool {
        self <= Player::V7_0_19
    }
}

impl FromStr for Player {
    type Err = PlayerError;

    /// Reads `air` or a version: `9`, `9.0.124`, `9,0,124,0`, `32.0.0.465`.
    fn from_str(text: &str) -> Result<Player, PlayerError> {
        if text.eq_ignore_ascii_case("air") {
            return Ok(Player::Air);
        }
        let mut version = [0; 3];
        for (n, part) in text.split(['.', ',']).enumerate() {
            let number = part.parse::<u32>().ok().filter(|_| n < 4 && !part.starts_with('+'));
            let number = number.ok_or_else(|| PlayerError { text: text.to_owned() })?;
            if let Some(place) = version.get_mut(n) {
                *place = number;
            }
        }
        let known = VERSIONS.iter().rev().find(|(_, _, first)| *first <= version);
        Ok(known.map_or(Player::V7_0_14, |(player, _, _)| *player))
    }
}

impl fmt::Display for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = VERSIONS.iter().find(|(player, _, _)| player == self);
        f.write_str(known.map_or("air", |(_, text, _)| text))
    }
}

/// Why a text names no player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayerError {
    /// The text.
    pub text: String,
}

impl fmt::Display for PlayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no player: write a version such as `9.0.124`, or `air`", self.text)
    }
}

impl std::error::Error for PlayerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_its_player() {
        let rows = [
            ("5", Player::V7_0_14),
            ("7", Player::V7_0_14),
            ("7.0.14", Player::V7_0_14),
            ("7.0.18", Player::V7_0_14),
            ("7.0.19", Player::V7_0_19),
            ("7.0.73", Player::V7_0_19),
            ("7.1", Player::V7_0_19),
            ("8", Player::V8),
            ("8.0.22", Player::V8),
            ("9", Player::V9),
            ("9.0", Player::V9),
            ("9.0.16", Player::V9),
            ("9.0.114", Player::V9),
            ("9.0.115", Player::V9_0_115),
            ("9,0,115,0", Player::V9_0_115),
            ("9.0.123", Player::V9_0_115),
            ("9.0.124", Player::V9_0_124),
            ("9.0.289", Player::V9_0_124),
            ("9.1", Player::V9_0_124),
            ("10", Player::V10),
            ("32.0.0.465", Player::V10),
            ("air", Player::Air),
            ("AIR", Player::Air),
        ];
        for (text, player) in rows {
            assert_eq!(text.parse(), Ok(player), "{text}");
        }
        for text in ["", "9.", "nine", "9.x", "-9", "+9", "9.0.124.0.1", "9 0", "99999999999"] {
            let error = text.parse::<Player>().expect_err(text);
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }

    #[test]
    fn every_player_is_shown_as_it_is_read() {
        for player in Player::ALL {
            assert_eq!(player.to_string().parse(), Ok(player));
        }
        let shown: Vec<String> = Player::ALL.iter().map(Player::to_string).collect();
        assert_eq!(shown, ["7.0.14", "7.0.19", "8", "9", "9.0.115", "9.0.124", "10", "air"]);
    }
}
