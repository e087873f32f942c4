//! A command on a terminal of its own, and what that shows.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::pty::{Winsize, openpty};

/// Runs a command whose messages go to a terminal of so many columns; every line that it has drawn, those that were
/// rewritten too, with their colours.
pub fn drawn(command: &mut Command, columns: u16) -> Result<Vec<String>> {
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None)?;
    let mut child = {
        command.env("TERM", "xterm").env("CLICOLOR_FORCE", "1").stdout(Stdio::null()).stderr(Stdio::from(pty.slave));
        command.spawn().context("could not run kubectl")?
    };
    // The command holds the other end too, until it is done with.
    command.stderr(Stdio::null());
    let (mut terminal, mut bytes, mut more) = (File::from(pty.master), Vec::new(), [0; 4096]);
    // At the end of the last program on it, a terminal answers with an error on Linux and with nothing elsewhere.
    while let Ok(count @ 1..) = terminal.read(&mut more) {
        bytes.extend(&more[..count]);
    }
    let status = child.wait()?;
    ensure!(status.success(), "it ended with {status}");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(text.split(['\r', '\n']).map(without_movement).filter(|line| !line.is_empty()).collect())
}

/// The line with its colours, without what moves the cursor or wipes.
fn without_movement(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(part.len());
        let (code, rest) = part.split_at(end);
        let colour = rest.strip_prefix('m');
        if colour.is_some() {
            text = text + "\u{1b}[" + code + "m";
        }
        text.push_str(colour.unwrap_or_else(|| rest.get(1..).unwrap_or_default()));
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_stay_and_movements_go() {
        assert_eq!(
            without_movement("\u{1b}[1A\u{1b}[2Kask  \u{1b}[32mSuccessful\u{1b}[0m   "),
            "ask  \u{1b}[32mSuccessful\u{1b}[0m"
        );
        assert_eq!(without_movement("\u{1b}[2K"), "");
    }
}
