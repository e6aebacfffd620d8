//! The live view: a block at the bottom of the terminal that is redrawn every
//! second, with the script's lines scrolling above it. However the run ends,
//! the terminal is left as it was.

use crate::view::{View, stopping};
use crate::words;
use crossterm::cursor::{MoveTo, Show};
use crossterm::terminal::{Clear, ClearType};
use drumfire_engine::Event;
use drumfire_metrics::{RunFacts, Summary};
use drumfire_report::live::{self, LiveState, LiveView};
use ratatui::backend::CrosstermBackend;
use ratatui::text::Line;
use ratatui::widgets::Widget;
use ratatui::{Terminal, TerminalOptions, Viewport};
use std::io::{self, Stdout};
use std::mem::MaybeUninit;
use std::sync::OnceLock;

/// Rows of the block, on a terminal that has as many.
const ROWS: u16 = 22;
/// Rows left to what scrolls above it.
const ROWS_ABOVE: u16 = 2;
/// Rows that one line of a script may take.
const ROWS_OF_LINE_LIMIT: usize = 20;

/// The terminal as it was before.
static BEFORE: OnceLock<libc::termios> = OnceLock::new();

/// Draws on the terminal behind standard output.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    live: LiveView,
    failed: bool,
}

impl Screen {
    /// Takes the bottom of the terminal.
    ///
    /// # Errors
    /// There is no terminal, or it does not answer.
    pub fn open() -> io::Result<Self> {
        let (_, rows) = crossterm::terminal::size()?;
        quiet_keys()?;
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore_terminal();
            hook(panic);
        }));
        let height = ROWS.min(rows.saturating_sub(ROWS_ABOVE)).max(1);
        let options = TerminalOptions {
            viewport: Viewport::Inline(height),
        };
        let terminal = Terminal::with_options(CrosstermBackend::new(io::stdout()), options);
        let terminal = terminal.inspect_err(|_| restore_terminal())?;
        Ok(Screen {
            terminal,
            live: LiveView::new(RunFacts::default()),
            failed: false,
        })
    }

    fn show(&mut self, event: &Event, summary: &Summary) -> io::Result<()> {
        match event {
            Event::Log(line) => return self.above(line),
            Event::Warning(line) => return self.above(&format!("warning: {line}")),
            Event::Finished => return self.clear(),
            Event::Interval => {
                let interval = summary.timeline.last().cloned();
                self.live.push(interval.unwrap_or_default());
                self.live.saturations = summary.saturations();
            }
            Event::Stopping(reason) => {
                self.live.state = LiveState::Draining;
                self.live.notice = Some(stopping(*reason).to_owned());
            }
            Event::Draining { .. } => self.live.state = LiveState::Draining,
            Event::Started
            | Event::Begun { .. }
            | Event::StageStarted { .. }
            | Event::StageEnded { .. } => {}
        }
        let live = &self.live;
        self.terminal
            .draw(|frame| live::draw(frame, live))
            .map(drop)
    }

    /// Prints lines above the block, wrapped where they are too long.
    fn above(&mut self, text: &str) -> io::Result<()> {
        let width = usize::from(self.terminal.size()?.width.max(1));
        for line in text.lines() {
            let shown: Vec<char> = line.chars().filter(|c| !c.is_control()).collect();
            for row in shown.chunks(width).take(ROWS_OF_LINE_LIMIT) {
                let row = Line::from(row.iter().collect::<String>());
                self.terminal
                    .insert_before(1, |buffer| row.render(buffer.area, buffer))?;
            }
        }
        Ok(())
    }

    /// Leaves nothing of the block behind.
    fn clear(&mut self) -> io::Result<()> {
        let top = self.terminal.get_frame().area().y;
        let from_top = Clear(ClearType::FromCursorDown);
        crossterm::execute!(io::stdout(), MoveTo(0, top), from_top)?;
        restore_terminal();
        Ok(())
    }
}

impl View for Screen {
    fn begin(&mut self, facts: RunFacts) {
        self.live = LiveView::new(facts);
    }

    fn event(&mut self, event: &Event, summary: &Summary) {
        if self.failed {
            return;
        }
        // A terminal that went away takes the view with it, and not the run.
        if let Err(error) = self.show(event, summary) {
            self.failed = true;
            restore_terminal();
            words::warn(&format!("the live view has ended: {error}"), None);
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore_terminal();
    }
}

/// Keys typed meanwhile are not shown, but Ctrl-C still is a signal.
fn quiet_keys() -> io::Result<()> {
    let mut terminal = MaybeUninit::uninit();
    // SAFETY: `terminal` is valid to write to.
    if unsafe { libc::tcgetattr(libc::STDIN_FILENO, terminal.as_mut_ptr()) } != 0 {
        // Standard input is no terminal, so no keys are typed.
        return Ok(());
    }
    // SAFETY: tcgetattr has filled it.
    let before: libc::termios = unsafe { terminal.assume_init() };
    let mut quiet = before;
    quiet.c_lflag &= !(libc::ICANON | libc::ECHO);
    BEFORE.get_or_init(|| before);
    // SAFETY: `quiet` is an initialised termios.
    match unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &quiet) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Leaves the terminal as it was found; safe to call at any time, more than once.
pub fn restore_terminal() {
    let Some(before) = BEFORE.get() else { return };
    // SAFETY: `before` is an initialised termios. What was typed meanwhile is thrown away, lest the
    // shell takes it for commands.
    unsafe {
        libc::tcflush(libc::STDIN_FILENO, libc::TCIFLUSH);
        libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, before);
    }
    // The cursor is shown as well as can be; where it cannot, the terminal is gone.
    crossterm::execute!(io::stdout(), Show).ok();
}
