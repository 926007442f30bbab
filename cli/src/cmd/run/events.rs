//! Runs of a file of events.

use super::limits::Limits;
use super::{Args, engine, load, maps, print, recording};
use crate::cmd::{head, open};
use crate::end::{End, Failure};
use crate::files;
use crate::host::Host;
use crate::out::{self, note};
use crate::paint;
use anyhow::{Context, Result, anyhow};
use ebpfkit_abi::ProgType;
use ebpfkit_events::parse::{Format, Items};
use ebpfkit_events::schema::{self, Item, What};
use ebpfkit_events::{Report, Session};
use ebpfkit_object::extend::extend_all;
use ebpfkit_object::{Object, Prepared};
use ebpfkit_vm::show::fill;
use ebpfkit_vm::{Engine, Instance, Interpreter, World};
use serde::Serialize;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// The last line of JSON; documented in `docs/json.md`.
#[derive(Serialize)]
struct Summary<'a> {
    events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maps: Option<&'a print::Maps<'a>>,
}

/// Where reports go: to standard output as they come, or together into a text that is compared.
enum To {
    Output,
    Text(String),
}

impl To {
    fn report(&mut self, report: &Report, json: bool) -> Result<()> {
        let line = if json { serde_json::to_string(report)? } else { report.to_string() };
        self.line(&line)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        match self {
            Self::Output => out::line(format_args!("{line}")),
            Self::Text(text) => {
                writeln!(text, "{line}")?;
                Ok(())
            }
        }
    }
}

/// How a file of events is written: by its name or its first character, but a first line that is an object of JSON tells
/// JSON lines, whatever the name, as `--example-events` prints them.
fn format(path: &Path, from: &mut impl BufRead) -> Result<Format> {
    let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let start = from.fill_buf().with_context(|| files::name(path))?;
    let says_something = |line: &&[u8]| !(line.is_empty() || line.starts_with(b"#") || line.starts_with(b"//"));
    let mut lines = start.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(says_something);
    let Some(first) = lines.next() else { return Ok(if is_yaml { Format::Yaml } else { Format::JsonLines }) };
    let has_documents = lines.any(|line| line == b"---");
    let is_object = !has_documents && serde_json::from_slice::<serde_json::Map<_, _>>(first).is_ok();
    let looks_yaml = is_yaml || matches!(first[0], b'-' | b'a'..=b'z');
    Ok(if looks_yaml && !is_object { Format::Yaml } else { Format::JsonLines })
}

/// Where extensions go, by their names.
type Extensions = BTreeMap<String, String>;

/// Opens and prepares the object as the first items say, before any program is loaded.
fn apply(item: &Item, object: &mut Object, extensions: &mut Extensions, cpus: u32) -> Result<bool, String> {
    let set = match &item.what {
        What::Attach(name, attach) => {
            let names = || object.programs.iter().map(|p| p.name.as_str());
            let Some(n) = object.programs.iter().position(|p| p.name == *name) else {
                let like = ebpfkit_object::nearest(name, names());
                let meant = like.map_or_else(String::new, |l| format!("; did you mean `{l}`?"));
                return Err(format!("attach: the object has no program `{name}`{meant}"));
            };
            if object.programs[n].prog_type == ProgType::Ext {
                extensions.insert(name.clone(), attach.to.clone());
                return Ok(true);
            }
            object.programs[n].attach_target.clone_from(&attach.to);
            object.programs[n].attach_btf_id = 0;
            return Ok(true);
        }
        What::Map(name, map) if map.value_size.is_some() || map.max_entries.is_some() => {
            let Some(def) = object.maps.iter_mut().find(|m| m.name == *name) else {
                return Err(format!("map: the object has no map `{name}`"));
            };
            def.value_size = map.value_size.unwrap_or(def.value_size);
            def.max_entries = map.max_entries.unwrap_or(def.max_entries);
            return match map.set.is_none() && map.delete.is_none() {
                true => Ok(true),
                false => Err("map: sizes and contents are set in items of their own".into()),
            };
        }
        What::Variables(variables, _) => serde_json::Value::Object(variables.clone()),
        What::Map(name, map) if object.maps.iter().any(|m| m.name == *name && m.frozen) => {
            serde_json::json!({ name: map.set })
        }
        _ => return Ok(false),
    };
    let filled = fill(object, &set.to_string(), cpus).map_err(|e| format!("{}: {e}", item.key))?;
    Ok(filled.entries.iter().next().is_none())
}

/// Runs the events of a file.
pub fn run(args: &Args, host: &Host, world: World, path: &Path) -> Result<End> {
    let source = || files::name(path);
    let mut from = BufReader::new(files::open(path)?);
    let format = format(path, &mut from)?;
    let items = Items::new(from, format).map_err(|e| anyhow!(e).context(source()))?;
    let mut items = items.map(|node| node.and_then(|node| schema::read(&node)));
    let mut object = open(&args.file)?;
    args.types.apply(&mut object, &args.selection)?;
    let (mut first, mut extensions) = (Vec::new(), Extensions::new());
    // What comes before the first event may say what loaders decide.
    for item in items.by_ref() {
        let item = item.map_err(|e| anyhow!(e).context(source()))?;
        let applied = apply(&item, &mut object, &mut extensions, world.cpus);
        let applied = applied.map_err(|e| anyhow!("line {}: {e}", item.line).context(source()))?;
        let is_event = schema::ROWS.iter().any(|row| row.key == item.key && row.is_event) || item.key == "time";
        if !applied {
            first.push(item);
        }
        if is_event {
            break;
        }
    }
    let entries = maps::read(args.maps.as_deref(), &mut object, world.cpus)?;
    let target = host.target(&object);
    let mut prepared = object.prepare(&target).with_context(|| files::name(&args.file))?;
    for program in &mut prepared.object.programs {
        program.autoload &= args.selection.fits(program);
    }
    for (name, why) in extend_all(&mut prepared.object, &extensions) {
        note!("{} {name} replaces nothing: {why}", paint::warning("note:"));
    }
    let prepared = prepared;
    let instance = Instance::in_world(&prepared.object, &host.model, &world);
    maps::set(&entries, &prepared, &instance)?;
    let refused = Cell::new(None);
    let loader = |instance: &mut Instance, n: usize| {
        let name = &prepared.object.programs[n].name;
        match load::load_into(args, host, &prepared, instance, n) {
            Ok(Ok(program)) => Ok(program),
            Ok(Err(end)) => {
                refused.set(Some(end));
                Err(format!("program {name} is not loaded"))
            }
            Err(e) => {
                refused.set(Some(Failure::end_of(&e)));
                Err(out::text_of(&e))
            }
        }
    };
    let types = host.model.btf().filter(|_| needs_types(&prepared.object)).cloned();
    let engine: Box<dyn Engine> = match args.engine {
        engine::EngineKind::Jit => Box::new(ebpfkit_jit::Jit),
        _ => Box::new(Interpreter),
    };
    let mut session = Session::new(&prepared.object, types, (instance, world), engine, Box::new(loader));
    session.set_budget(args.budget);
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    session.set_files(Box::new(move |name| files::read(&folder.join(name)).map_err(|e| out::text_of(&e))));
    let counter = args.recording.counter();
    let watched = counter.clone();
    let limits = Limits::new(args.timeout);
    let shared = limits.clone();
    session.set_begin(Box::new(move |run| {
        shared.give(run);
        if args.checked {
            run.set_checked(true);
        }
        if let Some(counter) = &watched {
            run.set_watcher(Some(counter.watcher()));
        }
    }));
    let mut to = if args.expect.is_some() { To::Text(String::new()) } else { To::Output };
    let (mut end, mut count, mut error, mut stopped) = (End::Good, 0, None, None);
    for item in first.into_iter().map(Ok).chain(items) {
        let is_expectation = item.as_ref().is_ok_and(|i| i.key == "expect");
        let mut written = Ok(());
        let mut tell = |report: &Report| {
            count += 1;
            if report.programs.iter().any(|p| p.fault.is_some()) {
                end = End::Bad;
            }
            if written.is_ok() {
                written = to.report(report, args.json);
            }
        };
        let done = match item {
            Ok(item) => session.step(&item, &mut tell).map_err(|e| anyhow!(e)),
            Err(e) => Err(anyhow!(e)),
        };
        written?;
        if let Err(e) = done {
            let e = e.context(source());
            error = Some(out::text_of(&e));
            out::error(&e);
            end = if is_expectation { End::Bad } else { refused.get().unwrap_or(End::Usage) };
            break;
        }
        if let Some(stop) = limits.reached() {
            note!("{} after event {count}: {stop}", paint::error("stopped"));
            stopped = Some(stop.to_string());
            end = stop.end();
            break;
        }
    }
    let maps = print::Maps::of(args, &prepared, session.instance());
    let shown = (!args.no_maps).then_some(&maps);
    if args.json {
        to.line(&serde_json::to_string(&Summary { events: count, error, stopped, maps: shown })?)?;
    } else if let Some(maps) = shown {
        let mut text = Vec::new();
        maps.write(&mut text)?;
        if !text.is_empty() {
            to.line(String::from_utf8_lossy(&text).trim_end())?;
        }
    }
    session.runs().for_each(|run| print::lost(run.state().lost));
    let targets = session.instance().tail_call_targets();
    let programs = session.programs().chain(targets).filter_map(|n| prepared.object.programs.get(n)).collect();
    recording::write_programs(args, &prepared.object, programs, counter)?;
    match (to, &args.expect) {
        (To::Text(text), Some(path)) => compare(path, &text, args.bless, end),
        _ => Ok(end),
    }
}

/// Prints an example of an event for each program.
pub fn examples(args: &Args, host: &Host, prepared: &Prepared) -> Result<End> {
    let object = &prepared.object;
    let types = host.model.btf().filter(|_| needs_types(object));
    for n in args.selection.pick(object).with_context(|| files::name(&args.file))? {
        let name = head(&object.programs[n]);
        if let Some(why) = prepared.unloadable.get(n).and_then(Option::as_ref) {
            // As a comment, so that the file says why it has no event for this program.
            out::line(format_args!("# {name} cannot be loaded: {}", why.replace('\n', " ")))?;
            continue;
        }
        match ebpfkit_events::example(object, types.map(|t| &**t), n) {
            Some(event) => out::line(format_args!("# {name}\n{}", serde_json::to_string(&event)?))?,
            None if object.programs[n].prog_type == ProgType::Ext => {
                let function = &object.programs[n].attach_target;
                note!("{} {name} runs where `{function}` does, in its place", paint::warning("note:"));
            }
            None => note!("{} {name}: no event reaches programs of this type", paint::warning("note:")),
        }
    }
    Ok(End::Good)
}

/// Says what a program would need that is to run on nothing.
pub fn check_input(args: &Args, host: &Host, prepared: &Prepared, index: usize) -> Result<()> {
    use ebpfkit_abi::ProgType as P;
    let program = &prepared.object.programs[index];
    let needs = !matches!(program.prog_type, P::Syscall | P::Unspec);
    let has_input = args.packet.is_some() || args.data_in.is_some() || args.ctx_in.is_some();
    // Other engines say what they take themselves.
    if has_input || !needs || args.engine == engine::EngineKind::Kernel || args.unverified {
        return Ok(());
    }
    let types = host.model.btf().filter(|_| needs_types(&prepared.object));
    let Some(event) = ebpfkit_events::example(&prepared.object, types.map(|t| &**t), index) else { return Ok(()) };
    let kind = program.prog_type;
    let packets = if ebpfkit_vm::input::takes_packet(kind) {
        "give --packet FILE, --data-in FILE or --events FILE"
    } else {
        "give --events FILE (or the bytes of its context, --ctx-in FILE)"
    };
    Err(anyhow!(
        "{kind} programs work on input: {packets}. An event for this program is\n{}",
        serde_json::to_string(&event)?
    ))
}

/// Whether any program gets structs of the kernel, so that its types are read.
fn needs_types(object: &Object) -> bool {
    use ebpfkit_abi::ProgType as P;
    let packets = [P::Xdp, P::SchedCls, P::SchedAct, P::SocketFilter, P::CgroupSkb, P::CgroupSockAddr, P::SockOps];
    object.programs.iter().any(|p| !packets.contains(&p.prog_type))
}

/// Compares what was printed with a file, or writes the file.
pub fn compare(path: &Path, text: &str, bless: bool, end: End) -> Result<End> {
    if bless {
        files::write(path, text.as_bytes())?;
        return Ok(end);
    }
    let mut expected = String::new();
    files::open(path)?.read_to_string(&mut expected).with_context(|| files::name(path))?;
    if expected == text {
        return Ok(end);
    }
    note!("{} {}: something else was printed", paint::error("differs"), files::name(path));
    out::line(format_args!("{}", difference(&expected, text)))?;
    Ok(if matches!(end, End::Good) { End::Bad } else { end })
}

/// The lines that differ, with those around them.
pub fn difference(expected: &str, found: &str) -> String {
    let diff = similar::TextDiff::from_lines(expected, found);
    diff.unified_diff().context_radius(3).header("expected", "found").to_string().trim_end().to_owned()
}
