//! `convert`: exchanges from one format to another.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use traffic::gor::WriteError;
use traffic::{Exchange, gor, har, line};

use crate::input::{Input, NOTHING};
use crate::options::{Convert, Written};

/// How much zstd compresses.
const LEVEL: i32 = 3;
/// Header lines of one message of GoReplay's files.
const LINES: usize = 256;

/// Reads all and writes it; what is to be told of it.
///
/// # Errors
/// What could not be read or written at all.
pub fn convert(asked: &Convert) -> Result<Vec<String>, String> {
    let (format, is_packed) = format(asked)?;
    if asked.output != "-" {
        apart(asked, format)?;
    }
    let input = Input::open(&asked.sources, &asked.packets)?;
    let failed = |error: io::Error| format!("{}: {error}", asked.output);
    let output = Output::of(&asked.output);
    let sink = output.open().map_err(failed)?;
    let sink: Box<dyn Write> = match (format, is_packed) {
        (_, false) => Box::new(BufWriter::new(sink)),
        (Written::Gor, true) => Box::new(GzEncoder::new(BufWriter::new(sink), Compression::new(6))),
        (_, true) => {
            let packed = zstd::stream::write::Encoder::new(BufWriter::new(sink), LEVEL);
            Box::new(packed.map_err(failed)?.auto_finish())
        }
    };
    let mut told = Told::default();
    let written = match format {
        Written::Jsonl => lines(input, sink, &mut told),
        Written::Gor => gor(input, sink, &mut told),
        Written::Har => har(input, sink, &mut told),
    };
    let told = written.map_err(failed).and_then(|()| told.lines());
    output.done(told.is_ok()).map_err(failed)?;
    told
}

/// Where it is written to.
enum Output {
    Stdout,
    /// A pipe or a device.
    AsItIs(PathBuf),
    /// A file, written beside it first, so that it is never there by half.
    Beside(PathBuf, PathBuf),
}

impl Output {
    fn of(name: &str) -> Self {
        let path = PathBuf::from(name);
        match path.metadata() {
            _ if name == "-" => Self::Stdout,
            Ok(about) if !about.is_file() => Self::AsItIs(path),
            _ => {
                let mut beside = path.clone().into_os_string();
                beside.push(".part");
                Self::Beside(beside.into(), path)
            }
        }
    }

    fn open(&self) -> io::Result<Box<dyn Write>> {
        Ok(match self {
            Self::Stdout => Box::new(io::stdout().lock()),
            Self::AsItIs(path) => Box::new(OpenOptions::new().write(true).open(path)?),
            Self::Beside(beside, _) => Box::new(File::create(beside)?),
        })
    }

    /// It is written; or nothing is, and a file that was there stays.
    fn done(self, is_written: bool) -> io::Result<()> {
        match self {
            Self::Stdout | Self::AsItIs(_) => Ok(()),
            Self::Beside(beside, path) if is_written => std::fs::rename(beside, path),
            Self::Beside(beside, _) => std::fs::remove_file(beside),
        }
    }
}

/// The format, and whether it is packed: as the name says.
fn format(asked: &Convert) -> Result<(Written, bool), String> {
    const ENDS: [(&str, Written, bool); 5] = [
        (".jsonl", Written::Jsonl, false),
        (".jsonl.zst", Written::Jsonl, true),
        (".gor", Written::Gor, false),
        (".gor.gz", Written::Gor, true),
        (".har", Written::Har, false),
    ];
    let named = ENDS.into_iter().find(|(end, ..)| asked.output.ends_with(end));
    match (asked.format, named) {
        (Some(format), Some((_, named, packed))) if format == named => Ok((format, packed)),
        (Some(format), _) => Ok((format, false)),
        (None, Some((_, format, packed))) => Ok((format, packed)),
        (None, None) => {
            let ends = ENDS.map(|(end, ..)| end).join(", ");
            Err(format!(
                "--output {}: its end is none of {ends}, and there is no --format",
                asked.output
            ))
        }
    }
}

/// What is written is not what is read: that would be cut off before, or never end.
fn apart(asked: &Convert, format: Written) -> Result<(), String> {
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    let output = Path::new(&asked.output);
    let folder = output.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = real(folder.unwrap_or(Path::new("."))).filter(|_| format == Written::Jsonl);
    let of = [real(output), folder];
    let is_read = |source: &&String| {
        let source = real(Path::new(source));
        source.is_some() && of.contains(&source)
    };
    match asked.sources.iter().find(is_read) {
        None => Ok(()),
        Some(source) => Err(format!("--output {}: is read, too, by way of {source}", asked.output)),
    }
}

/// What came of it.
#[derive(Debug, Default)]
struct Told {
    written: u64,
    unread: Vec<String>,
    more: u64,
    refused: u64,
    /// Lines of other candidates.
    again: u64,
    left: gor::Left,
}

impl Told {
    /// The next one that could be read.
    fn next(&mut self, input: &mut Input) -> Option<Box<Exchange>> {
        const SHOWN: usize = 10;
        loop {
            match input.next()? {
                Ok(exchange) => return Some(exchange),
                Err(why) if self.unread.len() < SHOWN => self.unread.push(why),
                Err(_) => self.more += 1,
            }
        }
    }

    fn lines(self) -> Result<Vec<String>, String> {
        let mut lines = self.unread;
        if self.more > 0 {
            lines.push(format!("{} more could not be read", self.more));
        }
        if self.written == 0 {
            lines.push(NOTHING.to_owned());
            return Err(lines.join("\n"));
        }
        lines.push(format!("{} exchanges written", self.written));
        if self.refused > 0 {
            lines.push(format!("{} left out: this format cannot say them", self.refused));
        }
        if self.again > 0 {
            lines.push(format!("{} lines left out: what other candidates answered", self.again));
        }
        if self.left.answers > 0 {
            lines.push(format!(
                "{} without their answers, which were not kept whole",
                self.left.answers
            ));
        }
        if self.left.trailers > 0 {
            lines.push(format!("{} without their trailers", self.left.trailers));
        }
        Ok(lines)
    }
}

fn lines(input: Input, mut sink: impl Write, told: &mut Told) -> io::Result<()> {
    let (mut input, mut line) = (input.with_all_lines(), Vec::new());
    while let Some(exchange) = told.next(&mut input) {
        line.clear();
        line::write(&exchange, &mut line);
        sink.write_all(&line)?;
        told.written += 1;
    }
    sink.flush()
}

fn gor(mut input: Input, sink: impl Write, told: &mut Told) -> io::Result<()> {
    let mut writer = gor::Writer::new(sink, LINES);
    while let Some(exchange) = told.next(&mut input) {
        match writer.write(&exchange) {
            Ok(()) => told.written += 1,
            Err(WriteError::Refused(_)) => told.refused += 1,
            Err(WriteError::Io(error)) => return Err(error),
        }
    }
    (told.left, told.again) = (writer.left(), input.again());
    writer.into_inner().flush()
}

fn har(mut input: Input, sink: impl Write, told: &mut Told) -> io::Result<()> {
    let mut writer = har::Writer::new(sink, env!("CARGO_PKG_VERSION"))?;
    while let Some(exchange) = told.next(&mut input) {
        writer.write(&exchange)?;
        told.written += 1;
    }
    told.again = input.again();
    writer.finish()?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_not_written_over_nor_into_the_folder_that_is_read() {
        let folder = std::env::temp_dir().join(format!("convert-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let name = |name: &str| folder.join(name).to_str().unwrap().to_owned();
        let mut one = Vec::new();
        line::write(&Exchange::default(), &mut one);
        std::fs::write(name("a.jsonl"), &one).unwrap();
        let to = |source: &str, output: &str| {
            convert(&Convert {
                sources: vec![source.to_owned()],
                output: output.to_owned(),
                format: None,
                packets: Default::default(),
            })
        };
        for (source, output) in [("a.jsonl", "a.jsonl"), (".", "all.jsonl"), (".", "b.jsonl.zst")] {
            let why = to(&name(source), &name(output)).unwrap_err();
            assert!(why.contains("is read, too"), "{why}");
        }
        assert_eq!(std::fs::read(name("a.jsonl")).unwrap(), one, "it is as it was");
        assert!(to(&name("."), &name("all.har")).is_ok());
        assert!(to(&name("a.jsonl"), &name("b.jsonl")).is_ok());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
