//! A terminal of a width, and what a program writes to it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{OpenptyResult, Winsize, openpty};

use crate::{PATIENCE, World};

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
        Self::on(command, openpty(Some(&size), None).expect("there is a terminal"))
    }

    fn on(command: &mut Command, pty: OpenptyResult) -> (Child, Self) {
        command.stdout(Stdio::from(pty.slave.try_clone().expect("it can be shared"))).stderr(Stdio::from(pty.slave));
        let running = command.spawn().expect("the program starts");
        // Its end of the terminal is to be its own, so that it ends with it.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        (running, Self { terminal: pty.master.into(), bytes: Vec::new() })
    }

    /// Starts a shell on a terminal of its own, which it reads from, too.
    ///
    /// # Panics
    /// Where there is none, or it cannot be started.
    pub fn of_shell(words: &[&str], environment: &[(&str, &str)]) -> (Child, Self) {
        let kubectl = World::command(&[]);
        let mut command = Command::new("setsid");
        command.arg("--ctty").args(words).env("TERM", "xterm").envs(environment.iter().copied());
        for (key, value) in kubectl.get_envs().filter_map(|(key, value)| Some((key, value?))) {
            command.env(key, value);
        }
        let size = Winsize { ws_row: 24, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).expect("there is a terminal");
        command.stdin(Stdio::from(pty.slave.try_clone().expect("it can be shared")));
        Self::on(&mut command, pty)
    }

    /// Types, once what was there before has been read.
    ///
    /// # Panics
    /// Where the program no longer reads.
    pub fn enter(&mut self, keys: &str) {
        self.bytes.clear();
        self.terminal.write_all(keys.as_bytes()).expect("the program reads");
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
        let mut ready = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(PATIENCE).expect("it is short enough");
        assert_eq!(poll(&mut ready, patience), Ok(1), "it is silent: {}", String::from_utf8_lossy(&self.bytes));
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
