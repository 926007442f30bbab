//! The debugger on a terminal: source, instructions and state side by side, and a line for commands.

use anyhow::Result;
use ebpfkit_explain::explore::{Change, Session, location_name};
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style, Stylize};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, List, ListItem, ListState, Paragraph, Wrap};
use std::collections::{HashMap, HashSet};

const KEYS: &str = " arrows step, up/down lines, home/end, c/r to breakpoints, : command (:help), q quit ";

/// What the screen shows besides the session.
#[derive(Default)]
struct Screen {
    /// The command that is being typed.
    command: Option<String>,
    /// What the last command said.
    answer: String,
    /// What belongs to a path is the same until another path is chosen.
    walked: HashSet<usize>,
    walked_of: Vec<usize>,
}

/// Shows the session until the user leaves.
pub fn show(session: &mut Session) -> Result<()> {
    let mut terminal = ratatui::try_init()?;
    let result = (|| -> Result<()> {
        let mut screen = Screen::default();
        loop {
            terminal.draw(|frame| screen.draw(frame, session))?;
            let Event::Key(key) = event::read()? else { continue };
            if key.kind != KeyEventKind::Release && screen.key(key.code, session) {
                return Ok(());
            }
        }
    })();
    ratatui::restore();
    result
}

impl Screen {
    /// Takes a key; true at the end.
    fn key(&mut self, key: KeyCode, session: &mut Session) -> bool {
        if let Some(command) = &mut self.command {
            match key {
                KeyCode::Enter => {
                    let command = self.command.take().unwrap_or_default();
                    return self.execute(&command, session);
                }
                KeyCode::Esc => self.command = None,
                KeyCode::Backspace => {
                    command.pop();
                }
                KeyCode::Char(c) => command.push(c),
                _ => {}
            }
            return false;
        }
        let command = match key {
            KeyCode::Right => "step",
            KeyCode::Left => "back",
            KeyCode::Down => "next",
            KeyCode::Up => "prev",
            KeyCode::Home => "start",
            KeyCode::End => "end",
            KeyCode::Char('c') => "continue",
            KeyCode::Char('r') => "reverse",
            KeyCode::Char('q') => "quit",
            KeyCode::Char(':') => {
                self.command = Some(String::new());
                return false;
            }
            _ => return false,
        };
        let quits = self.execute(command, session);
        self.answer.clear();
        quits
    }

    fn execute(&mut self, command: &str, session: &mut Session) -> bool {
        let answer = session.execute(command);
        self.answer = answer.text;
        answer.quits
    }

    fn draw(&mut self, frame: &mut Frame<'_>, session: &Session) {
        let below = (self.answer.lines().count() as u16 + 2).clamp(3, frame.area().height / 2);
        let [head, middle, foot] =
            Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(below)])
                .areas(frame.area());
        let [source, insns, state] =
            Layout::horizontal([Constraint::Percentage(38), Constraint::Percentage(32), Constraint::Fill(1)])
                .areas(middle);
        let e = session.exploration();
        frame.render_widget(Line::from(format!("{}: {}", e.program, e.verdict)).bold(), head);
        let (path, position) = session.path();
        if self.walked_of != path {
            self.walked = path.iter().map(|s| e.steps[*s].0).collect();
            self.walked_of = path.to_vec();
        }
        if let Some(step) = path.get(position) {
            let here = e.steps[*step].0;
            self.draw_source(frame, source, session, here);
            self.draw_insns(frame, insns, session, here);
            draw_state(frame, state, session);
        }
        let text = match &self.command {
            Some(command) => format!(":{command}"),
            None if self.answer.is_empty() => match path.len() {
                0 => "no step was recorded".into(),
                len => format!("step {position} of {}", len - 1),
            },
            None => self.answer.clone(),
        };
        let block = Block::new().borders(Borders::TOP).title(KEYS);
        frame.render_widget(Paragraph::new(Text::from(text)).block(block), foot);
    }

    fn draw_source(&self, frame: &mut Frame<'_>, area: Rect, session: &Session, here: usize) {
        let e = session.exploration();
        let chosen = e.insns[here].line;
        let mut walked = HashSet::new();
        let mut stops = HashSet::new();
        for (slot, insn) in e.insns.iter().enumerate() {
            if self.walked.contains(&slot) {
                walked.extend(insn.line);
            }
            if session.stops_at(slot) {
                stops.extend(insn.line);
            }
        }
        let items = e.lines.iter().enumerate().map(|(n, row)| {
            let text =
                format!("{}{:>5} {}", if stops.contains(&n) { '*' } else { ' ' }, row.1, row.2.replace('\t', "    "));
            item(text, walked.contains(&n))
        });
        let title = chosen.map_or("source", |n| e.files[e.lines[n].0].as_str()).to_owned();
        draw_list(frame, area, title, items.collect(), chosen);
    }

    fn draw_insns(&self, frame: &mut Frame<'_>, area: Rect, session: &Session, here: usize) {
        let e = session.exploration();
        let shown: Vec<usize> = (0..e.insns.len()).filter(|s| !e.insns[*s].text.is_empty()).collect();
        let chosen = shown.iter().position(|s| *s == here);
        let items = shown.iter().map(|slot| {
            let stop = if session.stops_at(*slot) { '*' } else { ' ' };
            item(format!("{stop}{slot:>5}: {}", e.insns[*slot].text), self.walked.contains(slot))
        });
        let title = e.functions.get(e.insns[here].function).cloned().unwrap_or_default();
        draw_list(frame, area, title, items.collect(), chosen);
    }
}

/// A row; what the path does not touch is dim.
fn item(text: String, is_walked: bool) -> ListItem<'static> {
    let style = if is_walked { Style::new() } else { Style::new().add_modifier(Modifier::DIM) };
    ListItem::new(text).style(style)
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, title: String, items: Vec<ListItem<'_>>, chosen: Option<usize>) {
    let list = List::new(items)
        .block(Block::new().borders(Borders::RIGHT | Borders::TOP).title(title))
        .highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .scroll_padding(3);
    frame.render_stateful_widget(list, area, &mut ListState::default().with_selected(chosen));
}

fn draw_state(frame: &mut Frame<'_>, area: Rect, session: &Session) {
    let (e, (path, position)) = (session.exploration(), session.path());
    let step = &e.steps[path[position]];
    let changed: HashMap<i32, i64> = match step.4 {
        true => HashMap::new(),
        false => step.3.iter().map(|Change(location, value)| (*location, *value)).collect(),
    };
    let state = e.state(path, position);
    let (stack, regs): (Vec<_>, Vec<_>) = state.iter().partition(|s| *s.0 < 0);
    let rows = regs.iter().chain(stack.iter().rev()).map(|(location, value)| {
        let row =
            vec![Span::from(format!("{:>6} ", location_name(**location))).bold(), Span::from((**value).to_owned())];
        let line = Line::from(row);
        if changed.contains_key(*location) { line.reversed() } else { line }
    });
    let title = if step.2 > 0 { format!("state, {} calls deep", step.2) } else { "state".into() };
    let block = Block::new().borders(Borders::TOP).title(title);
    frame.render_widget(Paragraph::new(rows.collect::<Vec<_>>()).wrap(Wrap { trim: false }).block(block), area);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebpfkit_explain::explore::Walk;
    use ebpfkit_object::Target;
    use ebpfkit_verifier::{KernelModel, Options, verify};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn the_screen_shows_where_the_session_is() {
        let text = ".section xdp\n.func p\n  r1 = 5\n  r0 = r1\n  r0 += r2\n  exit\n";
        let object = ebpfkit_asm::assemble_object("t.s", text).unwrap_or_else(|e| panic!("{e}"));
        let prepared = object.prepare(&Target::default()).expect("prepared");
        let kernel = KernelModel::standard();
        let mut walk = Walk::new(&kernel, &prepared.object, &prepared.object.programs[0]);
        verify(&kernel, &prepared.object, 0, Options::default(), &mut walk);
        let mut session = Session::new(walk.finish("rejected: R2 !read_ok".into(), Some(2)));
        let mut terminal = Terminal::new(TestBackend::new(120, 20)).expect("a terminal in memory");
        let mut screen = Screen::default();
        screen.key(KeyCode::Home, &mut session);
        screen.key(KeyCode::Right, &mut session);
        terminal.draw(|frame| screen.draw(frame, &session)).expect("drawn");
        let shown = terminal.backend().to_string();
        for part in ["p: rejected: R2 !read_ok", "r0 = r1", "r1 the number 5", "step 1 of 2", "t.s"] {
            assert!(shown.contains(part), "{part}:\n{shown}");
        }
        for key in ":origin r1".chars() {
            screen.key(KeyCode::Char(key), &mut session);
        }
        assert!(!screen.key(KeyCode::Enter, &mut session));
        terminal.draw(|frame| screen.draw(frame, &session)).expect("drawn");
        assert!(terminal.backend().to_string().contains("step 0: 0: r1 = 5"));
        assert!(screen.key(KeyCode::Char('q'), &mut session));
    }
}
