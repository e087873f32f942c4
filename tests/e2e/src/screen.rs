//! A terminal of a width, and what a program writes to it.

use std::fs::File;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use nix::pty::{Winsize, openpty};

/// What a program has written to a terminal.
pub struct Screen {
    terminal: File,
    bytes: Vec<u8>,
}

impl Screen {
    /// Starts a program whose stdout and stderr are a terminal of so many columns.
    ///
    /// # Panics
    /// Where there is none, or the program cannot be started.
    pub fn start(command: &mut Command, columns: u16) -> (Child, Self) {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).expect("there is a terminal");
        command.stdout(Stdio::from(pty.slave.try_clone().expect("it can be shared"))).stderr(Stdio::from(pty.slave));
        let running = command.spawn().expect("the program starts");
        // Its end of the terminal is to be its own, so that it ends with it.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        (running, Self { terminal: pty.master.into(), bytes: Vec::new() })
    }

    /// Reads on until a text is there.
    ///
    /// # Panics
    /// Where the program ends before.
    pub fn until(&mut self, wanted: &str) {
        while !String::from_utf8_lossy(&self.bytes).contains(wanted) {
            assert!(self.read() > 0, "the program ended without '{wanted}': {}", String::from_utf8_lossy(&self.bytes));
        }
    }

    /// Reads to the end of the program; all that it has written, with line ends as on other systems' files.
    #[must_use]
    pub fn to_end(mut self) -> String {
        while self.read() > 0 {}
        String::from_utf8_lossy(&self.bytes).replace("\r\n", "\n")
    }

    fn read(&mut self) -> usize {
        let mut more = [0; 4096];
        // A terminal whose other end is closed answers with an error.
        let count = self.terminal.read(&mut more).unwrap_or(0);
        self.bytes.extend(&more[..count]);
        count
    }
}

/// The text without what moves the cursor and colours the letters, and of each line what was written over the rest.
#[must_use]
pub fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            let _ = chars.by_ref().skip(1).find(char::is_ascii_alphabetic); // ESC [ … letter
        } else {
            plain.push(c);
        }
    }
    let written_last =
        |line: &str| line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default().to_owned() + "\n";
    plain.lines().map(written_last).collect()
}
